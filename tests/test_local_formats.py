"""Disk formats: images are converted, and unsafe ones are refused."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from clonepolicy import (
    AdapterError,
    ConflictError,
    Download,
    GiB,
    Image,
    IntegrityError,
    UnavailableError,
    UnsupportedError,
)
from clonepolicy.adapters import _formats
from clonepolicy.adapters.local import Created, LocalCloud

sys.path.insert(0, str(Path(__file__).parent))

import local_support
from local_support import MIB, content, faults

source = local_support.source
agreeing = local_support.agreeing

needs_qemu_img = pytest.mark.skipif(
    shutil.which("qemu-img") is None, reason="qemu-img is not installed"
)
_NAMES = {"vhd": "vpc"}


def _qemu_img(*arguments: object) -> None:
    command = ["qemu-img", *map(str, arguments)]
    subprocess.run(command, check=True, capture_output=True)


def _converted(source: Path, disk_format: str, *options: str) -> Path:
    made = source.with_suffix(f".{disk_format}")
    name = _NAMES.get(disk_format, disk_format)
    _qemu_img("convert", "-O", name, *options, source, made)
    return made


def _create(cloud: LocalCloud, image: Image, size: int = 1) -> Created:
    return cloud.create_volume(image.id, name="v", project_id="p", size=size)


def _error(made: Created) -> AdapterError:
    assert made.outcome is not None
    (failure,) = made.outcome.failures
    assert made.volume is not None
    assert made.volume.volume.status == "error"
    return failure.error


@needs_qemu_img
@pytest.mark.parametrize(
    ("disk_format", "options"),
    [
        ("qcow2", ()),
        ("qcow2", ("-c",)),
        ("vmdk", ()),
        ("vmdk", ("-o", "subformat=streamOptimized")),
        ("vhd", ("-o", "subformat=dynamic,force_size=on")),
        ("vhdx", ()),
        ("vdi", ()),
    ],
)
def test_every_known_format_becomes_the_same_volume(
    disk_format: str, options: tuple[str, ...], tmp_path: Path, source: Path
) -> None:
    """The volume has the converted data with its holes, and its own size."""
    image_file = _converted(source, disk_format, *options)
    with LocalCloud.init(tmp_path / "c") as cloud:
        image = cloud.add_image(
            image_file, name="i", project_id="p", disk_format=disk_format
        )
        assert image.virtual_size == 3 * MIB
        made = _create(cloud, image)
        assert isinstance(made.decision, Download)
        assert made.outcome is not None
        assert made.outcome.failures == ()
        assert made.volume is not None
        assert content(source) == content(made.volume.path)
        assert GiB == made.volume.path.stat().st_size
        assert made.volume.bytes_on_disk < 4 * MIB
    assert faults(tmp_path / "c", source) == []


@needs_qemu_img
@pytest.mark.parametrize("disk_format", ["qcow2", "vmdk", "vhdx", "vdi"])
def test_an_image_with_a_wrong_disk_format_is_refused(
    disk_format: str, tmp_path: Path, source: Path
) -> None:
    """An image with a wrong disk_format is refused and not stored."""
    image_file = _converted(source, disk_format)
    with LocalCloud.init(tmp_path / "c") as cloud:
        with pytest.raises(IntegrityError, match="disk_format raw"):
            cloud.add_image(image_file, name="i", project_id="p")
        assert cloud.list_images() == ()
        with pytest.raises(IntegrityError):
            cloud.add_image(
                source, name="i", project_id="p", disk_format=disk_format
            )
    assert faults(tmp_path / "c") == []


@needs_qemu_img
def test_a_mislabelled_image_fills_no_volume(
    tmp_path: Path, source: Path
) -> None:
    """The data is inspected again when it is written to a volume."""
    image_file = _converted(source, "qcow2")
    root = tmp_path / "c"
    with LocalCloud.init(root) as cloud:
        image = cloud.add_image(
            image_file, name="i", project_id="p", disk_format="qcow2"
        )
        with cloud._store.catalogue.transaction("mislabelling") as db:
            db.execute("UPDATE image SET disk_format = 'raw'")
        error = _error(_create(cloud, image))
        assert isinstance(error, IntegrityError)
        assert "it is qcow2" in str(error)


@needs_qemu_img
def test_references_to_other_files_are_refused(
    tmp_path: Path, source: Path
) -> None:
    """A backing file or a data file could be any file of the host."""
    backed, split = tmp_path / "backed.qcow2", tmp_path / "split.qcow2"
    _qemu_img("create", "-f", "qcow2", "-F", "raw", "-b", source, backed)
    data = f"data_file={tmp_path / 'data'},data_file_raw=on"
    _qemu_img("create", "-f", "qcow2", "-o", data, split, "1M")
    flat = _converted(source, "vmdk", "-o", "subformat=monolithicFlat")
    with LocalCloud.init(tmp_path / "c") as cloud:
        for path, why in (
            (backed, "backing file"),
            (split, "data_file"),
            (flat, "not "),
        ):
            with pytest.raises(IntegrityError, match=why):
                cloud.add_image(
                    path,
                    name="i",
                    project_id="p",
                    disk_format=path.suffix[1:],
                )
    assert faults(tmp_path / "c") == []


@needs_qemu_img
def test_a_disk_larger_than_the_volume_is_refused(
    tmp_path: Path,
) -> None:
    """The policy refuses it; if its size is not recorded, the array does."""
    path = tmp_path / "big.qcow2"
    _qemu_img("create", "-f", "qcow2", path, "2G")
    with LocalCloud.init(tmp_path / "c") as cloud:
        image = cloud.add_image(
            path, name="i", project_id="p", disk_format="qcow2"
        )
        assert _create(cloud, image).outcome is None
        with cloud._store.catalogue.transaction("forgetting") as db:
            db.execute("UPDATE image SET virtual_size = NULL")
        assert "at least 2 GiB" in str(_error(_create(cloud, image)))
        made = cloud.create_volume(image.id, name="w", project_id="p", size=2)
        assert made.volume is not None
        assert made.volume.volume.status == "available"


@needs_qemu_img
def test_without_qemu_img_the_remedy_is_named(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without qemu-img, only raw images fill volumes."""
    image_file = _converted(source, "qcow2")
    monkeypatch.setenv("PATH", "")
    with LocalCloud.init(tmp_path / "c") as cloud:
        image = cloud.add_image(
            image_file, name="i", project_id="p", disk_format="qcow2"
        )
        error = _error(_create(cloud, image))
        assert isinstance(error, UnsupportedError)
        assert "install qemu-utils" in str(error)
        raw = cloud.add_image(source, name="r", project_id="p")
        assert (
            getattr(
                getattr(_create(cloud, raw).volume, "volume", None),
                "status",
                "",
            )
            == "available"
        )


def test_unsupported_formats_are_refused(tmp_path: Path, source: Path) -> None:
    """The error names the unsupported format or container."""
    with LocalCloud.init(tmp_path / "c") as cloud:
        with pytest.raises(UnsupportedError, match="ploop is not one of"):
            cloud.add_image(
                source, name="i", project_id="p", disk_format="ploop"
            )
        with pytest.raises(UnsupportedError, match="use bare"):
            cloud.add_image(
                source, name="i", project_id="p", container_format="ova"
            )
        with pytest.raises(IntegrityError, match="ISO 9660"):
            cloud.add_image(
                source, name="i", project_id="p", disk_format="iso"
            )
        assert cloud.list_images() == ()


def test_a_partitioned_disk_is_a_raw_image(
    tmp_path: Path, source: Path
) -> None:
    """A disk with a GPT is a raw image."""
    with source.open("r+b") as file:
        file.seek(446)
        file.write(bytes([0, 0, 2, 0, 0xEE, 255, 255, 255, 1, 0, 0, 0]))
        file.seek(510)
        file.write(b"\x55\xaaEFI PART")
    with LocalCloud.init(tmp_path / "c") as cloud:
        image = cloud.add_image(source, name="i", project_id="p")
        made = _create(cloud, image)
        assert made.volume is not None
        assert content(source) == content(made.volume.path)


def test_an_upload_in_another_format_is_undone(
    tmp_path: Path, source: Path
) -> None:
    """A volume's data is raw, so the image must be raw."""
    with LocalCloud.init(tmp_path / "c") as cloud:
        image = cloud.add_image(source, name="i", project_id="p")
        made = _create(cloud, image)
        assert made.volume is not None
        done = cloud.upload_volume(
            made.volume.volume.id,
            name="u",
            project_id="p",
            disk_format="qcow2",
        )
        assert done.outcome is not None
        (failure,) = done.outcome.failures
        assert isinstance(failure.error, UnsupportedError)
        assert done.image is None
        assert cloud.find_volume("v", "p").volume.status == "available"
        assert len(cloud.list_images()) == 1


@needs_qemu_img
@pytest.mark.parametrize(
    ("script", "kind", "why"),
    [
        (
            "echo No space left on device >&2; exit 1",
            UnavailableError,
            "no sp",
        ),
        ("echo broken table >&2; exit 1", IntegrityError, "broken table"),
        ("exec sleep 60", UnavailableError, "longer than"),
    ],
)
def test_failures_of_qemu_img_are_adapter_errors(  # noqa: PLR0913, PLR0917 - parameters
    script: str,
    kind: type[AdapterError],
    why: str,
    tmp_path: Path,
    source: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A failing or hanging qemu-img raises an adapter's error."""
    data = _converted(source, "qcow2").read_bytes()
    image = Image(
        id="i", status="active", disk_format="qcow2", container_format="bare"
    )
    program = tmp_path / "qemu-img"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    if "sleep" in script:
        monkeypatch.setattr("clonepolicy.adapters._qemu.run._TIMEOUT", 0.001)
    with pytest.raises(kind, match=why):
        _formats.fill_file(tmp_path / "target", 1, image, iter([data]))


def test_a_volume_is_not_filled_twice(tmp_path: Path, source: Path) -> None:
    """Existing data is not overwritten."""
    with LocalCloud.init(tmp_path / "c") as cloud:
        image = cloud.add_image(source, name="i", project_id="p")
        made = _create(cloud, image)
        assert made.volume is not None
        ports = cloud.ports("p", "pool1")
        new = ports.volumes.new_id()
        ports.volumes.create_image_volume(new, made.volume.volume.id, "p")
        ports.array.clone_volume(new, made.volume.volume)
        data = ports.images.download(image.id)
        with pytest.raises(ConflictError, match="discard it first"):
            ports.array.write(new, 1, image, data)
