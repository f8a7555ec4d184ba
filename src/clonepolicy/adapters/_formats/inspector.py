"""Inspect an image's data as it is read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from oslo_utils.imageutils import format_inspector

from clonepolicy import Image, IntegrityError, UnsupportedError
from clonepolicy.adapters._formats import references
from clonepolicy.adapters._formats.probe import HEAD, foreign_format

QEMU: Mapping[str, str] = {
    "qcow2": "qcow2",
    "vdi": "vdi",
    "vhd": "vpc",
    "vhdx": "vhdx",
    "vmdk": "vmdk",
}
"""The formats that are converted, and qemu-img's names for them."""

_PLAIN = frozenset({"raw", "iso"})
"""The formats whose bytes are the disk's bytes."""

_ISO_AT, _ISO = 0x8001, (b"CD001", b"NSR02", b"NSR03")

_LARGEST = (1 << 63) - 1
"""Bytes of the largest disk that any program can address."""


class Inspector:
    """Inspects an image's data in one pass.

    Raises:
        UnsupportedError: the image's format is neither plain nor converted.
    """

    def __init__(self, image: Image) -> None:
        """Expect data of the image's format."""
        check_supported(image.disk_format, image.container_format)
        self.disk_format = str(image.disk_format)
        self.is_plain = self.disk_format in _PLAIN
        self._is_encrypted = image.encryption_key_id is not None
        self._size = 0
        self._head = bytearray()
        self._inspector = None if self.is_plain else _new(self.disk_format)
        self._has_all = False

    def watch(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """Yield pieces; raise `IntegrityError` at the first wrong one."""
        for piece in pieces:
            self._size += len(piece)
            if len(self._head) < HEAD:
                # one piece, so that the result does not depend on the pieces
                self._head += piece
                if len(self._head) >= HEAD:
                    start = bytes(self._head)
                    del self._head[HEAD:]
                    self._inspect(start)
            elif self._inspector is not None:
                self._inspect(piece)
            yield piece

    def finish(self) -> int:
        """Return the disk's size in bytes, after all data has passed.

        Raises:
            IntegrityError: the data is not in its format, or not safe.
        """
        if len(self._head) < HEAD:
            self._inspect(bytes(self._head))
        if self._inspector is None:
            return self._size
        try:
            self._inspector.finish()
            self._inspector.safety_check()
            reasons = list(self._refuse(self._inspector))
            size = self._inspector.virtual_size
            if size > _LARGEST:
                reasons.append(f"its disk has {size} bytes")
        except format_inspector.SafetyCheckFailed as error:
            reasons = [str(each) for each in error.failures.values()]
            raise self._unsafe(reasons) from error
        except Exception as error:
            # raised on any data that an inspector does not know
            raise self._mislabelled(str(error)) from error
        if reasons:
            raise self._unsafe(reasons)
        return size

    def check_disk(self, head: bytes) -> None:
        """Check the start of the disk that was in the image.

        Raises:
            IntegrityError: the disk looks like another format.
        """
        found = foreign_format(head)
        # an encrypted volume's image is raw, and begins as LUKS does
        if found is not None and not (found == "luks" and self._is_encrypted):
            raise self._mislabelled(f"it is {found}")

    def _inspect(self, piece: bytes) -> None:
        if self._inspector is None:
            self._check_plain()
            return
        try:
            # it looks for the next header with each piece, so that it finds
            # no size in a VHDX that comes as one piece; and if there is none,
            # it looks through all of its tables with each piece
            for at in range(0, len(piece), HEAD):
                if self._has_all:
                    return
                was_complete = self._inspector.complete
                self._inspector.eat_chunk(piece[at : at + HEAD])
                self._has_all = was_complete and self._inspector.complete
        except Exception as error:
            # raised on any data that an inspector does not know
            raise self._mislabelled(str(error)) from error

    def _check_plain(self) -> None:
        self.check_disk(bytes(self._head))
        if self.disk_format == "iso" and not self._head.startswith(
            _ISO, _ISO_AT
        ):
            raise self._mislabelled("there is no ISO 9660 header")

    def _refuse(self, found: format_inspector.FileInspector) -> Iterator[str]:
        head = bytes(self._head)
        match self.disk_format:
            case "qcow2":
                yield from references.refuse_qcow2(head)
            case "vmdk":
                yield from references.refuse_vmdk(head, self._size)
            case "vdi":
                yield from references.refuse_vdi(head)
            case "vhd":
                yield from references.refuse_vhd(head)
            case _:
                metadata = bytes(found.region("metadata").data)
                yield from references.refuse_vhdx(metadata)

    def _unsafe(self, reasons: Iterable[str]) -> IntegrityError:
        why = "; ".join(reasons)
        return IntegrityError(
            f"the {self.disk_format} data is not safe: {why}"
        )

    def _mislabelled(self, why: str) -> IntegrityError:
        return IntegrityError(
            f"the data is not in its disk_format {self.disk_format}: {why}; "
            "correct disk_format or the data"
        )


def _new(name: str) -> format_inspector.FileInspector:
    return format_inspector.ALL_FORMATS[name]()


def check_supported(
    disk_format: str | None, container_format: str | None
) -> None:
    """Raise `UnsupportedError` unless the format is plain or converted."""
    if container_format != "bare":
        raise UnsupportedError(
            f"container_format {container_format} cannot be unpacked; use bare"
        )
    if disk_format not in _PLAIN and disk_format not in QEMU:
        known = ", ".join(sorted({*_PLAIN, *QEMU}))
        message = f"disk_format {disk_format} is not one of {known}"
        raise UnsupportedError(message)
