"""Which release of Cinder is installed."""

from __future__ import annotations

import functools
import importlib.metadata

from clonepolicy.adapters.cinder._releases.known import RELEASES
from clonepolicy.adapters.cinder._releases.release import CinderRelease


@functools.cache
def installed_version() -> str:
    """Return the version of the installed Cinder.

    Raises:
        importlib.metadata.PackageNotFoundError: no Cinder is installed.
    """
    return importlib.metadata.version("cinder")


@functools.cache
def installed_release() -> CinderRelease:
    """Return the installed release, or the known one that is nearest to it."""
    number = int(installed_version().partition(".")[0])
    return min(RELEASES, key=lambda known: abs(known.number - number))


def is_known() -> bool:
    """Return whether the installed release is one of the known ones."""
    return installed_version().startswith(f"{installed_release().number}.")
