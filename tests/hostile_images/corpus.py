"""The members of the corpus."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hostile_images import others, qcow2, vmdk
from hostile_images.canaries import CID, Member, references

_ZEROS = bytes(1 << 17)


def hostile(directory: Path) -> tuple[Member, ...]:
    """Make all hostile members; they name the canaries in a directory."""
    raw = references(directory, "canary.raw")
    return (
        *_qcow2_names(raw, references(directory, "canary.qcow2")),
        *_qcow2_headers(),
        *_vmdk_types(raw, references(directory, "canary.vmdk")),
        *_vmdk_parents(references(directory, "canary.vmdk")),
        *_vmdk_headers(raw["absolute"]),
        *_others(raw["absolute"]),
        *_disguised(directory),
        *_nested(directory),
        *_cut(),
    )


def well_formed() -> dict[str, bytes]:
    """Make an image of each format that names no other file."""
    return {
        "qcow2": qcow2.image(data=b"disk" * 1024),
        "vmdk": vmdk.sparse(vmdk.descriptor(), data=b"disk" * 16384),
        "vdi": others.vdi(data=b"disk" * 1024),
        "vhd": others.vhd(),
        "vhdx": others.vhdx(),
        "raw": others.mbr(),
        "iso": others.iso(),
    }


def _made(name: str, **fields: Any) -> Member:  # noqa: ANN401 - a header's
    return Member(f"qcow2 {name}", "qcow2", qcow2.image(**fields))


def _qcow2_names(
    raw: Mapping[str, str], same: Mapping[str, str]
) -> Iterator[Member]:
    """Name a backing file or a data file."""
    for form, path in raw.items():
        where = path.encode()
        raw_format = ((qcow2.BACKING_FORMAT, b"raw"),)
        yield _made(f"backed {form}", backing=where, extensions=raw_format)
        yield _made(f"backed unknown {form}", backing=where)
        yield _made(f"backed version 2 {form}", version=2, backing=where)
        file = ((qcow2.DATA_FILE, where),)
        inside: dict[str, Any] = {"extensions": file, "data": b"disk"}
        yield _made(f"data file {form}", features=4, **inside)
        yield _made(f"data file, no bit {form}", **inside)
        yield _made(f"raw data file {form}", features=4, autoclear=2, **inside)
        first = qcow2.first_version(where)
        yield Member(f"qcow2 first version {form}", "qcow2", first)
    for form, path in same.items():
        yield _made(
            f"backed by its own {form}",
            backing=path.encode(),
            extensions=((qcow2.BACKING_FORMAT, b"qcow2"),),
        )
    json = '{"driver":"raw","file":{"driver":"file","filename":"%s"}}'
    for name, text in {
        "JSON": f"json:{json % raw['absolute']}",
        "network": "nbd://127.0.0.1:10809/x",
        "socket": "nbd+unix:///x?socket=/run/x",
        "password": "json:{}",
        "empty": "\0",
    }.items():
        backing = text.encode()
        yield _made(f"backed {name}", backing=backing)
        file = ((qcow2.DATA_FILE, backing),)
        yield _made(f"data file {name}", features=4, extensions=file)


def _qcow2_headers() -> Iterator[Member]:
    """Set each field to what makes no sense, or is not known."""
    for bit in (4, 5, 8, 31, 32, 62, 63):
        yield _made(f"feature {bit}", features=1 << bit)
    for crypt in (1, 2, 3, 1 << 31):
        yield _made(f"encrypted {crypt}", crypt=crypt)
    for version in (0, 1, 4, 9, 1 << 31):
        yield _made(f"version {version}", version=version)
    for length in (0, 8, 72, 4096, 1 << 16, 1 << 31, (1 << 32) - 1):
        yield _made(f"header of {length}", length=length)
    for at in (1, 72, 1 << 16, 1 << 40, (1 << 64) - 1):
        yield _made(f"backing at {at}", backing_at=at)
    for kind in (1, 0x0537BE77, 0x6803F857, 0x23852875, 0xFFFFFFFF):
        body = b"\xff" * 64
        yield _made(f"extension {kind:x}", extensions=((kind, body),))
    for size in (0, 1, (1 << 40), (1 << 63), (1 << 64) - 1):
        yield _made(f"size {size}", size=size)
    for at in (0, 1, 1 << 40, 1 << 63):
        yield _made(f"table at {at}", table_at=at)
        yield _made(f"references at {at}", refcounts_at=at)
    for entry in (0, 1, 3 << 12, 1 << 40, (1 << 64) - 1):
        yield _made(f"table entry {entry}", l2=entry)
    yield _made("snapshots", snapshots=65535)


def _vmdk_types(
    raw: Mapping[str, str], same: Mapping[str, str]
) -> Iterator[Member]:
    """Name an extent, in each type: as text, and inside an extent."""
    for kind in vmdk.TYPES:
        ours = raw if kind in vmdk.FLAT else same
        text = vmdk.descriptor(kind=kind, extent=ours["absolute"])
        name = f"vmdk {kind}"
        yield Member(f"{name} text", "vmdk", text)
        yield Member(f"{name} padded", "vmdk", text + _ZEROS)
        yield Member(f"{name} as raw", "raw", text + _ZEROS)
        yield Member(f"{name} embedded", "vmdk", vmdk.sparse(text))
        none = vmdk.sparse(text, capacity=0)
        yield Member(f"{name} without capacity", "vmdk", none)
        yield Member(f"{name} footer", "vmdk", vmdk.stream(text, capacity=0))
    for form, path in raw.items():
        text = vmdk.descriptor(kind="monolithicFlat", extent=path)
        for name, data in {
            "text": text + _ZEROS,
            "capacity 0": vmdk.sparse(text, capacity=0),
            "type twice": vmdk.sparse(
                b'#createTypeX"monolithicFlat"\n'
                + vmdk.descriptor(extent=path).replace(b"SPARSE", b"FLAT")[:-1]
                + b" 0\n",
                capacity=0,
            ),
        }.items():
            yield Member(f"vmdk extent {form}, {name}", "vmdk", data)
            yield Member(f"vmdk extent {form}, {name}, raw", "raw", data)
    for head in (
        *("", "#\n", "# x\n# y\n", " \n", "  \n#\n", " \r\n", "\n", "\t\n"),
        *("# DISK DESCRIPTORFILE\n", "#" + "x" * 400 + "\n"),
    ):
        text = vmdk.descriptor(
            kind="monolithicFlat", extent=raw["absolute"], head=head
        )
        for end, padded in (
            ("LF", text),
            ("CR", text.replace(b"\n", b"\r\n")),
        ):
            name = f"vmdk starting {head[:9]!r} {end}"
            yield Member(name, "raw", padded + _ZEROS)


def _vmdk_parents(same: Mapping[str, str]) -> Iterator[Member]:
    for form, path in same.items():
        line = f'parentFileNameHint="{path}"\n'
        plain = vmdk.descriptor(parent_cid=CID)
        texts = {
            "plain": vmdk.descriptor(parent=line, parent_cid=CID),
            "no parentCID": vmdk.descriptor(parent=line),
            "comment": vmdk.descriptor(parent="#" + line, parent_cid=CID),
            "in ddb": vmdk.descriptor(parent=f"ddb.{line}", parent_cid=CID),
            "in a name": vmdk.descriptor(
                parent=f'encoding="{line[:-2]}"\n', parent_cid=CID
            ),
            "first": line.encode() + plain,
            "last": plain + line.encode(),
            "no type": plain.replace(b"createType", b"x") + line.encode(),
            "CR": vmdk.descriptor(parent=line, parent_cid=CID).replace(
                b"\n", b"\r\n"
            ),
        }
        for name, text in texts.items():
            yield Member(
                f"vmdk parent {form} {name}", "vmdk", vmdk.sparse(text)
            )
        text = texts["plain"]
        yield Member(f"vmdk parent {form} stream", "vmdk", vmdk.stream(text))
        short = plain.ljust(512, b"#") + line.encode()
        hidden = vmdk.sparse(short, sectors=1)
        yield Member(f"vmdk parent {form} behind", "vmdk", hidden)
        yield Member(f"vmdk parent {form} raw", "raw", vmdk.sparse(text))
    line = f'parentFileNameHint="{same["absolute"]}"\n'
    for spelling in ("PARENTFILENAMEHINT", "parentFileNameHint "):
        other = line.replace("parentFileNameHint", spelling)
        data = vmdk.sparse(vmdk.descriptor(parent=other, parent_cid=CID))
        yield Member(f"vmdk {spelling!r}", "vmdk", data)
    track = 'changeTrackPath="canary.raw"\n'
    data = vmdk.sparse(vmdk.descriptor(parent=track))
    yield Member("vmdk change tracking", "vmdk", data)


def _vmdk_headers(path: str) -> Iterator[Member]:
    good = vmdk.descriptor()
    for name, data in {
        "version 0": vmdk.sparse(good, version=0),
        "version 4": vmdk.sparse(good, version=4),
        "descriptor at 0": vmdk.sparse(good, at=0),
        "descriptor at 2": vmdk.sparse(good, at=2),
        "descriptor of 0": vmdk.sparse(good, sectors=0),
        "descriptor of all": vmdk.sparse(good, sectors=(1 << 64) - 1),
        "capacity of all": vmdk.sparse(good, capacity=(1 << 64) - 1),
        "directory outside": vmdk.sparse(good, directory=1 << 40),
        "no descriptor": vmdk.sparse(b""),
        "text without end": vmdk.sparse(good + b"#" * (10240 - len(good))),
        "two extents": vmdk.sparse(good + b'RW 1 SPARSE "canary.vmdk"\n'),
        "flat extent": vmdk.sparse(good + b'RW 1 FLAT "canary.raw" 0\n'),
        "not ASCII": vmdk.sparse(good + b"# \xe9\n"),
        "end odd": vmdk.stream(good) + b"odd",
        "COWD": b"COWD" + bytes(2044) + _ZEROS,
        "COWD text": b"COWD" + vmdk.descriptor(extent=path) + _ZEROS,
        "seSparse": b"\xbe\xba\xfe\xca" + _ZEROS,
    }.items():
        yield Member(f"vmdk {name}", "vmdk", data)


def _others(path: str) -> Iterator[Member]:
    name = path.encode()
    same = bytes([9] * 16)
    for each, kind, data in (
        *((f"type {kind}", "vdi", others.vdi(kind)) for kind in (0, 3, 4, 9)),
        ("link", "vdi", others.vdi(link=same)),
        ("parent", "vdi", others.vdi(4, parent=same)),
        ("dynamic with a parent", "vdi", others.vdi(parent=same)),
        *((f"type {kind}", "vhd", others.vhd(kind)) for kind in (0, 2, 4, 6)),
        ("parent", "vhd", others.vhd(4, path)),
        ("dynamic with a parent", "vhd", others.vhd(3, path)),
        ("parent", "vhdx", others.vhdx(path, flag=2)),
        ("parent without its flag", "vhdx", others.vhdx(path)),
        ("flag without a parent", "vhdx", others.vhdx(flag=2)),
        ("short size", "vhdx", others.vhdx(length=4)),
        ("long size", "vhdx", others.vhdx(length=16)),
        ("COW", "raw", others.cow(name)),
        ("QED", "qed", others.qed(name)),
        ("QED", "raw", others.qed(name)),
        ("qcow", "raw", qcow2.first_version(name)),
    ):
        yield Member(f"{kind} {each}", kind, data)


def _foreign(directory: Path) -> dict[str, bytes]:
    """Begin a disk as each format that a program could guess."""
    path = str(directory / "canary.raw")
    return {
        "qcow2": qcow2.image(backing=path.encode()),
        "qcow": qcow2.first_version(path.encode()),
        "qed": others.qed(path.encode()),
        "vmdk": vmdk.sparse(vmdk.descriptor()),
        "vmdk text": vmdk.descriptor(kind="monolithicFlat", extent=path),
        "vmdk version": vmdk.descriptor(
            kind="monolithicFlat", extent=path, head=""
        ),
        "cowd": b"COWD" + bytes(2044),
        "vdi": others.vdi(),
        "vhd": others.vhd(),
        "vhdx": others.vhdx()[: 1 << 20],
        "parallels": others.parallels(),
        "ploop": others.parallels(b"WithouFreSpacExt"),
        "luks": others.luks(),
        "luks2": others.luks(2),
        "bochs": others.bochs(),
        "cloop": others.cloop(),
        "cow": others.cow(path.encode()),
        "dmg": others.dmg(),
    }


def _disguised(directory: Path) -> Iterator[Member]:
    foreign = _foreign(directory)
    for name, data in foreign.items():
        yield Member(f"{name} as raw", "raw", data)
        yield Member(f"iso behind {name}", "iso", others.iso(data))
    chance = random.Random(1)  # noqa: S311 - any bytes will do
    plain = {
        "zeros": _ZEROS,
        "random": chance.randbytes(1 << 17),
        "text": b"text\n" * 9999,
        "mbr": others.mbr(),
        "gpt": others.gpt(),
        "iso": others.iso(),
        "luks": others.luks(),
        "ploop": others.parallels(b"WithouFreSpacExt"),
    }
    good = well_formed()
    for label in ("qcow2", "vmdk", "vdi", "vhd", "vhdx", "iso"):
        for name, data in {**plain, **good}.items():
            if name != label and not (label == "iso" and name == "iso"):
                yield Member(f"{name} as {label}", label, data)
    for label in ("qed", "luks", "ploop", "gpt", "parallels", "dmg"):
        data = foreign.get(label, others.gpt())
        yield Member(f"{label} as itself", label, data)
    for name, data in plain.items():
        yield Member(f"{name} as raw, plainly", "raw", data)


def _nested(directory: Path) -> Iterator[Member]:
    """Hide a format in the disk that an image is converted to."""
    for name, data in _foreign(directory).items():
        start = data[: qcow2.CLUSTER]
        yield Member(f"{name} in qcow2", "qcow2", qcow2.image(data=start))
        packed = vmdk.sparse(vmdk.descriptor(), data=data)
        yield Member(f"{name} in vmdk", "vmdk", packed)
        yield Member(f"{name} in vdi", "vdi", others.vdi(data=start))


def _cut() -> Iterator[Member]:
    for name, data in well_formed().items():
        for size in (0, 1, 4, 64, 511, 512, 1000):
            yield Member(f"{name} cut to {size}", name, data[:size])
