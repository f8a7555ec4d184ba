"""Checks that adapters and the executor share."""

from __future__ import annotations

import re

import attrs

from clonepolicy._errors import (
    AdapterError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    UnavailableError,
    UnsupportedError,
)
from clonepolicy._facts.records import (
    AT_REST,
    Backend,
    LocationsFrom,
    Missing,
    Volume,
)

_WHY_MISSING = (
    (NotFoundError, Missing.ABSENT),
    (ForbiddenError, Missing.FORBIDDEN),
    (UnavailableError, Missing.UNAVAILABLE),
    (UnsupportedError, Missing.UNSUPPORTED),
)
_VOLUME_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def why_missing(error: AdapterError) -> Missing:
    """Return why something is missing after its look-up raised an error."""
    for kind, why in _WHY_MISSING:
        if isinstance(error, kind):
            return why
    return Missing.FAILED


def why_unread(error: AdapterError) -> LocationsFrom:
    """Return why no locations are known after reading them failed."""
    match error:
        case ForbiddenError():
            return LocationsFrom.FORBIDDEN
        case UnavailableError():
            return LocationsFrom.UNAVAILABLE
        case _:
            return LocationsFrom.UNREADABLE


def check_volume_id(volume_id: str) -> None:
    """Check that an id is a UUID as Cinder writes them.

    Raises:
        UnsupportedError: it is not.
    """
    if not _VOLUME_ID.fullmatch(volume_id):
        raise UnsupportedError(
            f"volume id {volume_id!r}: expected a lower-case, hyphenated UUID"
        )


def check_source(
    source: Volume, backend: Backend, *, at_one_instant: bool = True
) -> None:
    """Check that a source is at rest, so that it can be cloned.

    Pass ``at_one_instant=False`` if the array cannot clone a volume that is
    written to meanwhile.

    Raises:
        ConflictError: the source is not available or in use, and is not
            uploading on an array that clones while uploading; or it is in
            use, and the array cannot clone it at one instant.
    """
    status = source.status
    if status == "uploading" and backend.clone_while_uploading is True:
        # if it is not known, the volume may be in use
        status = source.previous_status or "in-use"
    ready = AT_REST if at_one_instant else AT_REST - {"in-use"}
    if status not in ready:
        raise ConflictError(
            f"volume {source.id} is {status}; it can be cloned when "
            f"it is {' or '.join(sorted(ready))}"
        )


def volume_changed(relied: Volume, now: Volume) -> bool:
    """Return whether a source differs from what a decision relied on.

    Changes between available and in-use, of the number of clones, of
    ``inspection`` and of ``previous_status`` are ignored.
    """
    same_status = relied.status == now.status or (
        relied.status in AT_REST and now.status in AT_REST
    )
    return not same_status or relied != attrs.evolve(
        now,
        status=relied.status,
        previous_status=relied.previous_status,
        clones=relied.clones,
        inspection=relied.inspection,
    )
