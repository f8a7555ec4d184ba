"""Make the headers of the other formats, as their documents say."""

from __future__ import annotations

import struct

SIZE = 1 << 20


def vdi(
    kind: int = 1, link: bytes = b"", parent: bytes = b"", data: bytes = b""
) -> bytes:
    """Make a VirtualBox image of one block of 1 MiB, without its data."""
    header = b"<<< Oracle VM VirtualBox Disk Image >>>\n".ljust(64, b"\0")
    header += struct.pack(
        "<IIIII256s", 0xBEDA107F, 0x10001, 0x190, kind, 0, b""
    )
    header += struct.pack("<IIIIIII", 512, 1024, 0, 0, 0, 512, 0)
    header += struct.pack("<QIIII", SIZE, SIZE, 0, 1, int(bool(data)))
    header += bytes([7] * 16) + bytes(16)
    header += link.ljust(16, b"\0") + parent.ljust(16, b"\0")
    table = struct.pack("<I", 0 if data else 0xFFFFFFFF).ljust(512, b"\0")
    disk = data.ljust(SIZE, b"\0") if data else b""
    return header.ljust(512, b"\0") + table + disk


def vhd(kind: int = 3, parent: str = "") -> bytes:
    """Make a dynamic VHD without data; a parent makes it name one."""
    sectors = 4 * 17 * 31
    footer = struct.pack(
        ">8sIIQI4sI4sQQHBBI",
        *(b"conectix", 2, 0x10000, 512, 0, b"win ", 0x50000, b"Wi2k"),
        *(sectors * 512, sectors * 512, 31, 4, 17, kind),
    )
    footer = _summed(footer, 64, 512)
    name = parent.encode("utf-16-be")[:512]
    dynamic = struct.pack(
        ">8sQQIII", b"cxsparse", (1 << 64) - 1, 1536, 0x10000, 1, 1 << 21
    )
    dynamic += bytes(4)
    if parent:
        dynamic += bytes([9] * 16) + bytes(8) + name.ljust(512, b"\0")
        locator = struct.pack(">4sIIIQ", b"W2ku", 512, len(name), 0, 2048)
        dynamic += locator
    dynamic = _summed(dynamic, 36, 1024)
    table = (b"\xff" * 4).ljust(512, b"\xff")
    where = name.ljust(512, b"\0") if parent else b""
    return footer + dynamic + table + where + footer


def _summed(header: bytes, at: int, size: int) -> bytes:
    """Pad a header of Microsoft's, and put in its check sum."""
    padded = bytearray(header[:at] + bytes(4) + header[at + 4 :])
    padded = padded.ljust(size, b"\0")
    struct.pack_into(">I", padded, at, ~sum(padded) & 0xFFFFFFFF)
    return bytes(padded)


def _guid(text: str) -> bytes:
    a, b, c, d, e = text.split("-")
    head = struct.pack("<IHH", int(a, 16), int(b, 16), int(c, 16))
    return head + bytes.fromhex(d + e)


_BAT = _guid("2DC27766-F623-4200-9D64-115E9BFD4A08")
_METADATA = _guid("8B7CA206-4790-4B9A-B8FE-575F050F886E")
_ITEMS = (
    _guid("CAA16737-FA36-4D43-B3B6-33F0AA44E76B"),  # file parameters
    _guid("2FA54224-CD1B-4876-B211-5DBED83BF4B8"),  # the disk's size
    _guid("BECA12AB-B2E6-4523-93EF-C309E000C746"),  # page 83
    _guid("8141BF1D-A96F-4709-BA47-F233A8FAAB5F"),  # logical sector
    _guid("CDA348C7-445D-4471-9CC9-E9885251C556"),  # physical sector
)
_LOCATOR = _guid("A8D35F2D-B30B-454D-ABF7-D3D84834AB0C")


def vhdx(parent: str = "", flag: int = 0, length: int = 8) -> bytes:
    """Make a VHDX without data; a parent makes it name one."""
    mib = 1 << 20
    made = bytearray(4 * mib)
    made[:8] = b"vhdxfile"
    for at, number in ((1 << 16, 1), (2 << 16, 2)):
        header = struct.pack(
            "<4sIQ16s16s16sHHIQ",
            *(b"head", 0, number, bytes([1] * 16), bytes([2] * 16)),
            *(bytes(16), 0, 1, mib, mib),
        )
        made[at : at + 4096] = _checked(header, 4096)
    regions = struct.pack("<4sIII", b"regi", 0, 2, 0)
    regions += _BAT + struct.pack("<QII", 2 * mib, mib, 1)
    regions += _METADATA + struct.pack("<QII", 3 * mib, mib, 1)
    for at in (3 << 16, 4 << 16):
        made[at : at + (1 << 16)] = _checked(regions, 1 << 16)
    values = [
        struct.pack("<II", mib, flag),
        struct.pack("<Q", SIZE)[:length].ljust(length, b"\0"),
        bytes([3] * 16),
        struct.pack("<I", 512),
        struct.pack("<I", 512),
    ]
    items = list(_ITEMS)
    if parent:
        name = parent.encode("utf-16-le")
        key = "absolute_win32_path".encode("utf-16-le")
        locator = _guid("B04AEFB7-D19E-4A81-B789-25B8E9445913")
        locator += struct.pack("<HHIIHH", 0, 1, 32, 100, len(key), len(name))
        values.append(locator.ljust(32, b"\0") + key.ljust(68, b"\0") + name)
        items.append(_LOCATOR)
    table = struct.pack("<8sHH20x", b"metadata", 0, len(items))
    body, at = b"", 1 << 16
    for item, value in zip(items, values, strict=True):
        table += item + struct.pack("<IIII", at + len(body), len(value), 6, 0)
        body += value
    made[3 * mib : 3 * mib + len(table)] = table
    start = 3 * mib + at
    made[start : start + len(body)] = body
    return bytes(made)


def _checked(header: bytes, size: int) -> bytes:
    padded = header.ljust(size, b"\0")
    return padded[:4] + struct.pack("<I", _crc32c(padded)) + padded[8:]


def _crc32c(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in data:
        crc = _CRC[(crc ^ byte) & 255] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def _entry(number: int) -> int:
    for _ in range(8):
        number = number >> 1 ^ (0x82F63B78 if number & 1 else 0)
    return number


_CRC = [_entry(number) for number in range(256)]


def qed(backing: bytes = b"") -> bytes:
    """Make a QED image, on a backing file if it is named."""
    header = struct.pack(
        "<4sIIIQQQQQII",
        *(b"QED\0", 4096, 1, 1, 1 if backing else 0, 0, 0, 4096, SIZE),
        *(64, len(backing)),
    )
    return (header + backing).ljust(8192, b"\0")


def parallels(magic: bytes = b"WithoutFreeSpace") -> bytes:
    """Make a Parallels image; ploop is the same with the other magic."""
    header = magic + struct.pack(
        "<IIIIIQIIIQ", 2, 16, 512, 63, 8, 2048, 0, 1, 0, 0
    )
    return header.ljust(4096, b"\0")


def luks(version: int = 1) -> bytes:
    """Make the header of an encrypted disk."""
    header = b"LUKS\xba\xbe" + struct.pack(">H", version)
    header += b"aes".ljust(32, b"\0") + b"xts-plain64".ljust(32, b"\0")
    header += b"sha256".ljust(32, b"\0") + struct.pack(">II", 4096, 64)
    return header.ljust(8192, b"\0")


def bochs() -> bytes:
    """Make a growing image of Bochs."""
    header = b"Bochs Virtual HD Image".ljust(32, b"\0")
    header += b"Redolog".ljust(16, b"\0") + b"Growing".ljust(16, b"\0")
    header += struct.pack("<IIIIIQ", 0x20000, 512, 1, 512, 4096, SIZE)
    return header.ljust(8192, b"\0")


def cloop() -> bytes:
    """Make a compressed loop device: its start is a shell script."""
    start = (
        b"#!/bin/sh\n#V2.0 Format\nmodprobe cloop file=$0 && mount -r -t "
        b"iso9660 /dev/cloop $1\n"
    )
    return start.ljust(128, b"\0") + struct.pack(">II", 65536, 1) + bytes(4096)


def cow(backing: bytes) -> bytes:
    """Make a file of QEMU's first format with a backing file."""
    header = struct.pack(">4sI1024s", b"OOOM", 2, backing)
    return (header + struct.pack(">IQI", 0, SIZE, 512)).ljust(8192, b"\0")


def dmg() -> bytes:
    """Make an image of Apple's: it is known by its end."""
    return bytes(4096) + b"koly" + bytes(508)


def iso(start: bytes = b"") -> bytes:
    """Make a file system of a CD, with a system area of any bytes."""
    made = start[:32768].ljust(32768, b"\0")
    made += b"\x01CD001\x01".ljust(2048, b"\0")
    return made + b"\xffCD001\x01".ljust(2048, b"\0")


def mbr(start: bytes = b"\xeb\x63\x90") -> bytes:
    """Make a disk with a partition table."""
    entry = bytes([0x80, 0, 2, 0, 0x83, 255, 255, 255, 1, 0, 0, 0, 8, 0, 0, 0])
    sector = start.ljust(446, b"\0") + entry + bytes(48) + b"\x55\xaa"
    return sector + b"data" * 1024


def gpt() -> bytes:
    """Make a disk with a table of GUIDs, and one that protects it."""
    entry = bytes([0, 0, 2, 0, 0xEE, 255, 255, 255, 1, 0, 0, 0, 8, 0, 0, 0])
    sector = bytes(446) + entry + bytes(48) + b"\x55\xaa"
    return sector + b"EFI PART".ljust(512, b"\0") + b"data" * 1024
