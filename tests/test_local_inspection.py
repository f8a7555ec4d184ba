"""What a download refuses is neither registered nor cloned."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from clonepolicy import (
    Clone,
    Download,
    Reason,
    Upload,
    explain,
)
from clonepolicy.adapters.local import LocalCloud, VolumeRow
from local_support import faults, write_source

DISGUISES = {
    "qcow2": b"QFI\xfb\0\0\0\3",
    "vmdk": b"# Disk DescriptorFile\nversion=1\n",
}


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[LocalCloud]:
    """Make a cloud with one image, and check the cloud at the end."""
    root = tmp_path / "cloud"
    with LocalCloud.init(root) as made:
        made.add_image(
            write_source(tmp_path / "disk.raw"), name="base", project_id="p"
        )
        yield made
    assert [] == faults(root)


def volume(cloud: LocalCloud, image: str = "base") -> VolumeRow:
    """Create a volume from an image."""
    image_id = cloud.find_image(image, "p").image.id
    made = cloud.create_volume(image_id, name="v", project_id="p", size=1)
    assert made.volume is not None
    return made.volume


def write_as_guest(row: VolumeRow, data: bytes) -> None:
    """Write to the start of a volume."""
    with row.path.open("r+b") as file:
        file.write(data)


@pytest.mark.parametrize("disguise", DISGUISES)
def test_a_disguised_volume_is_neither_registered_nor_uploaded(
    cloud: LocalCloud, disguise: str
) -> None:
    """The decision says why, and the image service refuses the data, too."""
    row = volume(cloud)
    write_as_guest(row, DISGUISES[disguise])
    made = cloud.upload_volume(row.volume.id, name="i", project_id="p")
    assert isinstance(made.decision, Upload)
    assert [Reason.CONTENT_REFUSED] == [
        finding.reason for finding in made.decision.findings
    ]
    assert "volume.inspection=refused" in explain(made.decision)
    assert made.image is None
    assert made.outcome is not None
    assert disguise in str(made.outcome.failures[0].error)


@pytest.mark.parametrize("disguise", DISGUISES)
def test_an_image_over_a_disguised_volume_is_neither_cloned_nor_downloaded(
    cloud: LocalCloud, disguise: str
) -> None:
    """Its volume was written to after it was registered."""
    upload = cloud.upload_volume(
        volume(cloud).volume.id, name="i", project_id="p"
    )
    assert upload.image is not None
    image_id = upload.image.image.id
    (backing,) = (
        row
        for row in cloud.list_volumes()
        if row.volume.glance_image_id == image_id
    )
    write_as_guest(backing, DISGUISES[disguise])
    made = cloud.create_volume(image_id, name="w", project_id="p", size=1)
    assert isinstance(made.decision, Download)
    (candidate,) = made.decision.candidates
    assert [Reason.CONTENT_REFUSED] == [f.reason for f in candidate.findings]
    assert made.outcome is not None
    assert made.outcome.attempt is None
    assert disguise in str(made.outcome.failures[0].error)
    assert made.volume is not None
    assert "error" == made.volume.volume.status


def test_a_volume_of_plain_data_is_cloned_without_a_note(
    cloud: LocalCloud,
) -> None:
    """The array has inspected it."""
    upload = cloud.upload_volume(
        volume(cloud).volume.id, name="i", project_id="p"
    )
    assert upload.image is not None
    made = cloud.create_volume(
        upload.image.image.id, name="w", project_id="p", size=1
    )
    assert isinstance(made.decision, Clone)
    for decision in (upload.decision, made.decision):
        assert Reason.CONTENT_NOT_INSPECTED not in {
            note.reason for note in decision.notes
        }
