"""What confines the programs that read images (extra ``arrays``)."""

from clonepolicy.adapters._qemu import confine, run

__all__ = ["sandbox"]


def sandbox() -> str:
    """Return what keeps qemu-img from opening files that it was not given."""
    version = confine.landlock()
    if version:
        return f"Landlock, version {version}"
    if run.bubblewrap():
        return "bubblewrap"
    return "none (there is neither Landlock nor a working bubblewrap)"
