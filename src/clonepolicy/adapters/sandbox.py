"""What confines the programs that read images (extra ``arrays``)."""

from clonepolicy.adapters._qemu import confine

__all__ = ["sandbox"]


def sandbox() -> str:
    """Return what keeps qemu-img from opening files that it was not given."""
    version = confine.landlock()
    if not version:
        return "none (this kernel has no Landlock)"
    return f"Landlock, version {version}"
