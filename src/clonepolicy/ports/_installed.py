"""Find the arrays that are installed, and check their API version.

A distribution offers a class of arrays by an entry point of the group
`ARRAY_BACKENDS`.  The class has ``API_VERSION``, the version of
`ArrayBackend` that it was written for, as a number and not by reference.
It has ``CAPABILITIES``, a `Backend` with what every array of the class can
do; None: it depends on the array.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Protocol

import attrs

from clonepolicy._errors import NotFoundError, UnsupportedError
from clonepolicy._facts.records import Backend
from clonepolicy._text import shown
from clonepolicy.ports._services import ArrayBackend

API_VERSION = 1
"""The current version of `ArrayBackend`."""

OLDEST_API_VERSION = 1
"""The oldest version of `ArrayBackend` that is still supported."""

ARRAY_BACKENDS = "clonepolicy.array_backends"
"""The group of entry points."""


class ArrayKind(Protocol):
    """What an entry point names: a class of arrays, or a factory."""

    @property
    def API_VERSION(self) -> int:  # noqa: N802 - a constant of a class
        """The version of `ArrayBackend` that it was written for."""
        ...

    @property
    def CAPABILITIES(self) -> Backend:  # noqa: N802 - a constant of a class
        """What every array of the kind can do; None: it depends."""
        ...

    def __call__(self, *args: Any, **more: Any) -> ArrayBackend:  # noqa: ANN401 - each kind's own
        """Open an array."""
        ...


@attrs.frozen(kw_only=True)
class InstalledArray:
    """An entry point of the group, and the result of loading it."""

    name: str
    target: str
    """``package.module:attribute``."""
    distribution: str | None
    """The name and version of the distribution that offers it."""
    api_version: int | None = None
    capabilities: Backend | None = None
    problem: str | None = None
    """Why it cannot be used; None: it can."""
    warning: str | None = None
    """Why a later release will not support it; None: it will."""


def installed_arrays(name: str | None = None) -> tuple[InstalledArray, ...]:
    """Return every kind of array that is installed, broken ones included.

    If loading one raises an exception, its ``problem`` says so.

    Args:
        name: return only the arrays of this name.
    """
    points = sorted(_points(name), key=lambda p: (p.name, p.value))
    return tuple(_look_at(point, points) for point in points)


def _points(name: str | None = None) -> tuple[EntryPoint, ...]:
    found = entry_points(group=ARRAY_BACKENDS)
    return tuple(point for point in found if name in {None, point.name})


def load_array(name: str) -> ArrayKind:
    """Load one kind of array by the name of its entry point.

    Issues a `FutureWarning` if it was written for an older API version.

    Raises:
        NotFoundError: no array of that name is installed.
        UnsupportedError: it cannot be loaded, its API version is not
            supported, or two distributions offer the name.
    """
    points = _points(name)
    if not points:
        raise NotFoundError(
            f"no array backend {name!r} is installed; there are: "
            f"{_listed(point.name for point in _points())}"
        )
    _check_unique(name, points)
    kind = _load(points[0])
    aging = check_array_kind(kind)
    if aging is not None:
        warnings.warn(f"{points[0].value}: {aging}", FutureWarning, 2)
    return kind


def check_array_kind(kind: ArrayKind) -> str | None:
    """Check that the API version of a kind of array is supported.

    Returns:
        A warning if a later release will not support it; else None.

    Raises:
        UnsupportedError: the version is not supported; names the versions
            and the remedy.
    """
    version, _ = _examine(kind)
    return _aging(version)


def _examine(kind: ArrayKind) -> tuple[int, Backend]:
    """Read what a kind of array declares, once, and check it."""
    name = _shown(_read(kind, "what the entry point names", "__qualname__"))
    if not callable(kind):
        raise UnsupportedError(
            f"{name}: expected a class of arrays; name one in the entry "
            "point, after the colon"
        )
    version = _read(kind, name, "API_VERSION")
    if type(version) is not int:
        raise UnsupportedError(
            f"API_VERSION of {name}: expected a whole number, got "
            f"{_shown(version)}; write the version of ArrayBackend that it "
            f"was written for (now {API_VERSION})"
        )
    if version > API_VERSION:
        raise UnsupportedError(
            f"API_VERSION of {name} is {_shown(version)}, which is newer than "
            f"{API_VERSION}, the newest supported; upgrade clonepolicy"
        )
    if version < OLDEST_API_VERSION:
        raise UnsupportedError(
            f"API_VERSION of {name} is {_shown(version)}, which is older than "
            f"{OLDEST_API_VERSION}, the oldest supported; upgrade the "
            "adapter"
        )
    capabilities = _read(kind, name, "CAPABILITIES")
    if not isinstance(capabilities, Backend):
        raise UnsupportedError(
            f"CAPABILITIES of {name}: expected a Backend, got "
            f"{_shown(capabilities)}; declare what arrays of this kind can do"
        )
    return version, capabilities


def _read(kind: object, name: str, field: str) -> object:
    try:
        return getattr(kind, field, None)
    except Exception as error:
        # somebody else's class may fail in any way
        message = f"{field} of {name}: raised {type(error).__name__}"
        raise UnsupportedError(message) from error


def _shown(value: object) -> str:
    """Format a value of a foreign class in one short line."""
    try:
        text = value if isinstance(value, str) else repr(value)
    except Exception:  # noqa: BLE001 - it may fail in any way
        text = f"a {type(value).__name__}"
    return shown(text, _MOST)


_MOST = 120


def _aging(version: int) -> str | None:
    if version == API_VERSION:
        return None
    return (
        f"written for version {version} of ArrayBackend; version "
        f"{API_VERSION} is current, and {version} will be dropped"
    )


def _check_unique(name: str, points: Iterable[EntryPoint]) -> None:
    targets = {point.value for point in points if point.name == name}
    if len(targets) > 1:
        raise UnsupportedError(
            f"several distributions offer an array backend {name!r}: "
            f"{_listed(targets)}; uninstall all but one"
        )


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
