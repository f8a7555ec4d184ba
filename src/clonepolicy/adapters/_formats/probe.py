"""Find the format that a raw disk looks like.

A program that guesses the format of a disk, as QEMU and libvirt can, also
follows the references in it: to a backing file, an extent, or any other file
of the host.  So a disk must not look like a format that programs guess.
Partition tables, ISO 9660 and file systems are not such formats: QEMU takes
them as raw, and they refer to no file of the host.  No format is guessed
by the end of a disk.
"""

from __future__ import annotations

HEAD = 1 << 16
"""Bytes at the start of a disk that `foreign_format` looks at."""

_STARTS = (
    ("qcow2", b"QFI\xfb"),  # qcow, its first version, has the same
    ("qed", b"QED\0"),
    ("vmdk", b"KDMV"),
    ("vmdk", b"COWD"),
    ("vhd", b"conectix"),
    ("vhdx", b"vhdxfile"),
    ("parallels", b"WithoutFreeSpace"),
    ("parallels", b"WithouFreSpacExt"),  # ploop has the same
    ("luks", b"LUKS\xba\xbe"),
    ("bochs", b"Bochs Virtual HD Image"),
    ("cloop", b"#!/bin/sh\n#V2.0 Format"),
    ("cow", b"OOOM"),
)
_VDI_AT, _VDI = 64, b"\x7f\x10\xda\xbe"


def foreign_format(head: bytes) -> str | None:
    """Name the format that a disk with these first bytes looks like.

    None: it looks like no other format than raw.
    """
    for name, start in _STARTS:
        if head.startswith(start):
            return name
    if head.startswith(_VDI, _VDI_AT):
        return "vdi"
    if _is_descriptor(head):
        return "vmdk"
    return None


def _is_descriptor(head: bytes) -> bool:
    """Return whether it is a VMDK descriptor: text that names extents."""
    if head.lstrip().lower().startswith(b"# disk descriptorfile"):
        return True
    for line in head.lower().split(b"\n"):
        words = line.strip()
        if words and not words.startswith(b"#"):
            return words.startswith(b"version=")
    return False
