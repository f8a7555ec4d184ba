"""Every shipped adapter fits its port.

mypy and pyright check this file; pytest does not run it.
"""

from __future__ import annotations

from clonepolicy.adapters.cinder import (
    CinderArray,
    CinderImages,
    CinderVolumes,
)
from clonepolicy.adapters.glance import GlanceImages
from clonepolicy.adapters.local._array import LocalArray
from clonepolicy.adapters.local._images import LocalImages
from clonepolicy.adapters.local._journal import LocalJournal
from clonepolicy.adapters.local._volumes import LocalVolumes
from clonepolicy.adapters.memory import (
    MemoryArray,
    MemoryImages,
    MemoryJournal,
    MemoryVolumes,
)
from clonepolicy.adapters.qcow2 import Qcow2Array
from clonepolicy.adapters.rbd import RbdArray
from clonepolicy.adapters.reflink import ReflinkArray
from clonepolicy.ports import (
    ArrayBackend,
    ArrayKind,
    ImageService,
    Journal,
    VolumeService,
)

ARRAY_KINDS: tuple[ArrayKind, ...] = (ReflinkArray, RbdArray, Qcow2Array)


def arrays(
    *made: ReflinkArray
    | RbdArray
    | Qcow2Array
    | LocalArray
    | MemoryArray
    | CinderArray,
) -> tuple[ArrayBackend, ...]:
    """Return adapters as what they are to implement."""
    return made


def image_services(
    *made: LocalImages | MemoryImages | GlanceImages | CinderImages,
) -> tuple[ImageService, ...]:
    """Return adapters as what they are to implement."""
    return made


def volume_services(
    *made: LocalVolumes | MemoryVolumes | CinderVolumes,
) -> tuple[VolumeService, ...]:
    """Return adapters as what they are to implement."""
    return made


def journals(*made: LocalJournal | MemoryJournal) -> tuple[Journal, ...]:
    """Return adapters as what they are to implement."""
    return made
