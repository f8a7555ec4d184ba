"""The check that the installed Cinder is one that was verified."""

from __future__ import annotations

import functools
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from types import FunctionType, MethodType
from typing import Any

from oslo_log import log

from clonepolicy.adapters.cinder._errors import IncompatibleCinderError
from clonepolicy.adapters.cinder._releases import (
    CinderRelease,
    installed_release,
)
from clonepolicy.adapters.cinder._releases.digest import digest
from clonepolicy.adapters.cinder._releases.installed import (
    installed_version,
    is_known,
)
from clonepolicy.adapters.cinder._releases.known import RELEASES
from clonepolicy.adapters.cinder._releases.verified import verified

LOG = log.getLogger(__name__)
_WRAP = {"cinder", "clonepolicy", "decorator", "oslo_db", "osprofiler"}
"""The packages whose decorators Cinder and this package use."""


def check_cinder(*, allow_unverified: bool) -> None:
    """Compare the installed Cinder with the release that was verified.

    Args:
        allow_unverified: whether to log other code, and go on.  Other
            parameters are refused all the same.

    Raises:
        IncompatibleCinderError: names what differs.
    """
    release = installed_release()
    if refused := _incompatible(release):
        raise IncompatibleCinderError(
            f"{_installed()} cannot run with this clonepolicy: "
            f"{'; '.join(refused)}. Install a clonepolicy for this release, "
            "or remove it from volume_manager and volume_driver in cinder.conf"
        )
    unverified = _unverified(release)
    if unverified is None:
        return
    if not allow_unverified:
        raise IncompatibleCinderError(
            f"{unverified}. Install a clonepolicy that was verified with it, "
            "or set allow_unverified_cinder = True in [clonepolicy] to run "
            "all the same"
        )
    LOG.warning("clonepolicy runs all the same: %s", unverified)


def _installed() -> str:
    return f"Cinder {installed_version()}"


def functions_of(
    release: CinderRelease,
) -> Iterator[tuple[str, Callable[..., Any] | None, str]]:
    """Yield each function of a release: its name, itself, its parameters.

    None: the installed Cinder does not have it.
    """
    owner = ""
    table = release.functions.format(database=release.database)
    for line in table.splitlines():
        if not line.startswith(" "):
            owner = line
            continue
        name, _, parameters = line.strip().partition(" ")
        try:
            found = pkgutil.resolve_name(owner + name)
        except (ImportError, AttributeError):
            found = None
        yield f"{owner}{name}".replace(":", "."), found, parameters


@functools.cache
def _incompatible(release: CinderRelease) -> tuple[str, ...]:
    """Say of each function that cannot be called how it differs."""
    return tuple(_differences(release))


def _differences(release: CinderRelease) -> Iterator[str]:
    for name, function, expected in functions_of(release):
        if function is None:
            yield f"{name} is missing"
            continue
        try:
            names = inspect.signature(function).parameters
        except (TypeError, ValueError):
            yield f"{name} is no function"
            continue
        found = " ".join(each for each in names if each != "self")
        if found != expected:
            yield f"{name} has the parameters ({found}), not ({expected})"


@functools.cache
def _unverified(release: CinderRelease) -> str | None:
    """Say what of the installed Cinder was not verified; None: nothing."""
    known = verified()
    changed = ", ".join(
        name
        for name, function, _ in functions_of(release)
        if release.number not in known[name].get(_digest(function), ())
    )
    if not is_known():
        supported = f"{RELEASES[0]} to {RELEASES[-1]}"
        differs = changed or "nothing that clonepolicy uses"
        return (
            f"{_installed()} is not one of the supported releases, "
            f"{supported}; compared with {release.number}, {differs} differs"
        )
    if changed:
        return (
            f"{_installed()} has other code than every verified "
            f"{release.number}: {changed}"
        )
    return None


def _digest(function: Any) -> str:
    """Return the digest of a function; nothing if it cannot be told.

    The digest is that of the code inside all decorators.  Those that Cinder
    writes are part of it.
    """
    outer = function
    while hasattr(outer, "__wrapped__"):
        if _package(outer) not in _WRAP:
            return ""
        outer = outer.__wrapped__
    try:
        return digest(function)
    except (OSError, TypeError):  # the latter of what is not written in Python
        return ""


def _package(function: Any) -> str:
    """Return the package that a function's code is in.

    Its ``__module__`` is that of what it wraps.
    """
    if type(function) not in {FunctionType, MethodType}:
        return ""  # a proxy, which shows what it wraps
    return str(function.__globals__["__name__"]).partition(".")[0]
