"""Arrays that are installed, the versions of their port, and two checks.

A distribution offers a class of arrays by an entry point of the group
`ARRAY_BACKENDS`.  The class says in ``API_VERSION`` for which version of
`ArrayBackend` it was written, as a number and not by reference, and in
``CAPABILITIES`` what every array of its kind can do: a `Backend` in which
None leaves it to the single array.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Protocol

import attrs

from clonepolicy._errors import (
    ConflictError,
    NotFoundError,
    UnsupportedError,
)
from clonepolicy._protocols import ArrayBackend
from clonepolicy._records import Backend, Volume
from clonepolicy._rules.candidate import READY

API_VERSION = 1
"""The version of `ArrayBackend` that is described and called here."""

OLDEST_API_VERSION = 1
"""The oldest version of it whose adapters are still called rightly."""

ARRAY_BACKENDS = "clonepolicy.array_backends"
"""The entry points' group."""

_VOLUME_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class ArrayKind(Protocol):
    """What an entry point names: a class of arrays, or what makes them."""

    @property
    def API_VERSION(self) -> int:  # noqa: N802 - a constant of a class
        """The version of `ArrayBackend` that it was written for."""

    @property
    def CAPABILITIES(self) -> Backend:  # noqa: N802 - a constant of a class
        """What every array of the kind can do; None: it depends."""

    def __call__(self, *args: Any, **more: Any) -> ArrayBackend:  # noqa: ANN401 - each kind's own
        """Open an array."""


@attrs.frozen(kw_only=True)
class InstalledArray:
    """An entry point of the group, and what came of loading it."""

    name: str
    target: str
    """``package.module:attribute``."""
    distribution: str | None
    """Name and version of what offers it."""
    api_version: int | None = None
    capabilities: Backend | None = None
    problem: str | None = None
    """Why it cannot be used; None: it can."""
    warning: str | None = None
    """What will keep it from being used one day."""


def installed_arrays(name: str | None = None) -> tuple[InstalledArray, ...]:
    """Look at every kind of array that is installed, broken ones too.

    Whatever loading one raises is its problem, and nobody else's.

    Args:
        name: look at those of this name only.
    """
    points = sorted(_points(name), key=lambda p: (p.name, p.value))
    return tuple(_look_at(point, points) for point in points)


def _points(name: str | None = None) -> tuple[EntryPoint, ...]:
    found = entry_points(group=ARRAY_BACKENDS)
    return tuple(point for point in found if name in {None, point.name})


def load_array(name: str) -> ArrayKind:
    """Load one kind of array by its entry point's name, and no other.

    Warns with `FutureWarning` of one that was written for an older version.

    Raises:
        NotFoundError: there is none of that name.
        UnsupportedError: it cannot be loaded, or is of a version that is
            not called here, or two distributions offer the name.
    """
    points = _points(name)
    if not points:
        message = (
            f"no array backend {name!r} is installed; there are: "
            f"{_listed(point.name for point in _points())}"
        )
        raise NotFoundError(message)
    _check_unique(name, points)
    kind = _load(points[0])
    aging = check_array_kind(kind)
    if aging is not None:
        warnings.warn(f"{points[0].value}: {aging}", FutureWarning, 2)
    return kind


def check_array_kind(kind: ArrayKind) -> str | None:
    """See that a kind of array is one that is called here.

    Returns:
        A warning about one that will not always be; None: there is none.

    Raises:
        UnsupportedError: it is not; names the versions and the remedy.
    """
    version, _ = _examine(kind)
    return _aging(version)


def _examine(kind: ArrayKind) -> tuple[int, Backend]:
    """Read what a kind of array declares, once, and see that it will do."""
    name = _shown(_read(kind, "what the entry point names", "__qualname__"))
    if not callable(kind):
        message = (
            f"{name}: expected a class of arrays; name one in the entry "
            "point, behind the colon"
        )
        raise UnsupportedError(message)
    version = _read(kind, name, "API_VERSION")
    if type(version) is not int:
        message = (
            f"API_VERSION of {name}: expected a whole number, got "
            f"{_shown(version)}; write the version of ArrayBackend that it "
            f"was written for (now {API_VERSION})"
        )
        raise UnsupportedError(message)
    if version > API_VERSION:
        message = (
            f"API_VERSION of {name} is {_shown(version)}, which is newer than "
            f"{API_VERSION}, the newest known here; upgrade clonepolicy"
        )
        raise UnsupportedError(message)
    if version < OLDEST_API_VERSION:
        message = (
            f"API_VERSION of {name} is {_shown(version)}, which is older than "
            f"{OLDEST_API_VERSION}, the oldest still called; upgrade the "
            "adapter"
        )
        raise UnsupportedError(message)
    capabilities = _read(kind, name, "CAPABILITIES")
    if not isinstance(capabilities, Backend):
        message = (
            f"CAPABILITIES of {name}: expected a Backend, got "
            f"{_shown(capabilities)}; declare what arrays of this kind can do"
        )
        raise UnsupportedError(message)
    return version, capabilities


def _read(kind: object, name: str, field: str) -> object:
    try:
        return getattr(kind, field, None)
    except Exception as error:
        # somebody else's class may fail in any way
        message = f"{field} of {name}: raised {type(error).__name__}"
        raise UnsupportedError(message) from error


def _shown(value: object) -> str:
    """Show what somebody else wrote, in some characters of one line."""
    try:
        text = value if isinstance(value, str) else repr(value)
    except Exception:  # noqa: BLE001 - it may fail in any way
        text = f"a {type(value).__name__}"
    return text if len(text) <= _MOST else f"{text[:_MOST]}…"


_MOST = 120


def _aging(version: int) -> str | None:
    if version == API_VERSION:
        return None
    return (
        f"written for version {version} of ArrayBackend; version "
        f"{API_VERSION} is current, and {version} will be dropped"
    )


def check_volume_id(volume_id: str) -> None:
    """Refuse an id that is no UUID as Cinder writes them.

    Raises:
        UnsupportedError: it is not.
    """
    if not _VOLUME_ID.fullmatch(volume_id):
        message = (
            f"volume id {volume_id!r}: expected a lower-case, hyphenated UUID"
        )
        raise UnsupportedError(message)


def check_source(
    source: Volume, backend: Backend, *, at_one_instant: bool = True
) -> None:
    """Refuse a source that is not at rest.

    Without ``at_one_instant`` the array cannot clone what somebody writes
    to meanwhile.

    Raises:
        ConflictError: it is neither available nor in use, nor uploading on
            an array that clones while that goes on; or it is in use, and
            the array cannot clone it at one instant.
    """
    status = source.status
    if status == "uploading" and backend.clone_while_uploading is True:
        # where it is not known, somebody may be using it
        status = source.previous_status or "in-use"
    ready = READY if at_one_instant else READY - {"in-use"}
    if status not in ready:
        message = (
            f"volume {source.id} is {status}; it can be cloned when "
            f"it is {' or '.join(sorted(ready))}"
        )
        raise ConflictError(message)


def _check_unique(name: str, points: Iterable[EntryPoint]) -> None:
    targets = {point.value for point in points if point.name == name}
    if len(targets) > 1:
        message = (
            f"several distributions offer an array backend {name!r}: "
            f"{_listed(targets)}; uninstall all but one"
        )
        raise UnsupportedError(message)


def _look_at(
    point: EntryPoint, points: Iterable[EntryPoint]
) -> InstalledArray:
    dist = point.dist
    found = InstalledArray(
        name=point.name,
        target=point.value,
        distribution=None if dist is None else f"{dist.name} {dist.version}",
    )
    try:
        version, capabilities = _examine(_load(point))
        _check_unique(point.name, points)
    except UnsupportedError as error:
        return attrs.evolve(found, problem=str(error))
    return attrs.evolve(
        found,
        api_version=version,
        capabilities=capabilities,
        warning=_aging(version),
    )


def _load(point: EntryPoint) -> ArrayKind:
    try:
        kind: ArrayKind = point.load()
    except (Exception, SystemExit) as error:
        # somebody else's module may fail in any way
        said = _shown(" ".join(f"{type(error).__name__}: {error}".split()))
        message = f"{point.value} cannot be loaded: {said}"
        raise UnsupportedError(message) from error
    return kind


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(set(names))) or "none"
