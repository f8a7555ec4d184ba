"""What Cinder did with a request, and what its policy expects of it."""

from __future__ import annotations

import attrs
from installed import POLICY, as_seen

from clonepolicy import (
    Clone,
    RbdLocation,
    Register,
    Request,
    Route,
    UploadRequest,
    decide,
)


@attrs.frozen(kw_only=True)
class Observed:
    """What Cinder tried first, and whether it ended with an exception.

    A requested clone counts even if it failed.  A copy counts only if it
    succeeded.
    """

    verdict: str
    route: Route | None = None
    source: str | None = None
    """The id of the source volume, or a stored image as pool/image@snap."""
    project_id: str | None = None
    """The project of the image volume, in an upload."""
    error: str | None = None
    """The class of the exception."""
    asked: tuple[str, ...] = ()
    """The calls of the driver, in order."""


def expected(request: Request) -> Observed:
    """Return what its policy expects Cinder to do."""
    decision = decide(as_seen(request), POLICY)
    if isinstance(request, UploadRequest):
        return Observed(
            verdict=type(decision).__name__.lower(),
            project_id=decision.project_id
            if isinstance(decision, Register)
            else None,
        )
    if not isinstance(decision, Clone):
        return Observed(verdict=type(decision).__name__.lower())
    location = getattr(decision.source, "location", None)
    source = getattr(decision.source.source, "id", None)
    if isinstance(location, RbdLocation):
        source = f"{location.pool}/{location.image}@{location.snapshot}"
    return Observed(verdict="clone", route=decision.route, source=source)
