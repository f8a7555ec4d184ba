"""What the author of an adapter needs: ports, journal, observer, checks."""

from clonepolicy._lazy import TYPE_CHECKING, on_first_use

if TYPE_CHECKING:
    from clonepolicy._facts.records import (
        Inspection,
        Missing,
        StoredImage,
        StoredVolume,
    )
    from clonepolicy.ports._checks import (
        check_source,
        check_volume_id,
        volume_changed,
        why_missing,
        why_unread,
    )
    from clonepolicy.ports._installed import (
        API_VERSION,
        ARRAY_BACKENDS,
        OLDEST_API_VERSION,
        ArrayKind,
        InstalledArray,
        check_array_kind,
        installed_arrays,
        load_array,
    )
    from clonepolicy.ports._journal import Journal, JournalEntry, Phase
    from clonepolicy.ports._observer import Observer
    from clonepolicy.ports._services import (
        ArrayBackend,
        ImageService,
        Ports,
        VolumeService,
    )
else:
    # the last one reads importlib.metadata, which no other needs
    __getattr__, __dir__ = on_first_use(
        __name__, "_checks", "_services", "_observer", "_journal", "_installed"
    )

__all__ = [
    "API_VERSION",
    "ARRAY_BACKENDS",
    "OLDEST_API_VERSION",
    "ArrayBackend",
    "ArrayKind",
    "ImageService",
    "Inspection",
    "InstalledArray",
    "Journal",
    "JournalEntry",
    "Missing",
    "Observer",
    "Phase",
    "Ports",
    "StoredImage",
    "StoredVolume",
    "VolumeService",
    "check_array_kind",
    "check_source",
    "check_volume_id",
    "installed_arrays",
    "load_array",
    "volume_changed",
    "why_missing",
    "why_unread",
]
