"""Disks are compared with disks, and files with files."""

from __future__ import annotations

import pytest

from clonepolicy import (
    CINDER_29,
    SAFE,
    Clone,
    CreateRequest,
    Download,
    GiB,
    Image,
    Reason,
    Refuse,
    Route,
    decide,
)
from clonepolicy.scenarios import CLONEABLE, with_facts

# a file holds headers and tables too: a footer, a full qcow2's, a VDI's
MORE = [("vhd", 512), ("qcow2", 1_704_448), ("vdi", 2 << 20)]
every_format = pytest.mark.parametrize(("disk_format", "more"), MORE)


def cached(disk_format: str, size: int, virtual_size: int) -> CreateRequest:
    """Ask for 11 GiB of an image whose cached volume has 10."""
    return with_facts(
        CLONEABLE[Route.CACHE_ENTRY],
        {
            "image.disk_format": disk_format,
            "image.size": size,
            "image.virtual_size": virtual_size,
            "source.size": 10,
            "volume.size": 11,
        },
    )


@every_format
def test_a_disk_in_a_larger_file_is_cloned(
    disk_format: str, more: int
) -> None:
    """Cinder made the cached volume as large as the disk."""
    request = cached(disk_format, 10 * GiB + more, 10 * GiB)
    for policy in (SAFE, CINDER_29):
        assert isinstance(decide(request, policy), Clone)


@pytest.mark.parametrize("unknown", [None, 0])
def test_a_disk_of_unknown_size_is_not_called_too_large(
    unknown: int | None,
) -> None:
    """Cinder made the cached volume of that disk, whatever its size is."""
    request = cached("qcow2", 10 * GiB + 1, 0)
    request = with_facts(request, {"image.virtual_size": unknown})
    assert isinstance(decide(request), Clone)


@every_format
def test_a_disk_that_is_larger_than_the_source_is_not_cloned(
    disk_format: str, more: int
) -> None:
    """However small the file is."""
    decision = decide(cached(disk_format, more, 10 * GiB + 1))
    assert isinstance(decision, Download)
    (found,) = decision.candidates[0].findings
    assert found.reason is Reason.SOURCE_SMALLER_THAN_IMAGE


@pytest.mark.parametrize("route", CLONEABLE)
def test_the_file_of_a_raw_image_is_its_disk(route: Route) -> None:
    """For each kind of source."""
    larger = {"image.size": GiB + 1, "volume.size": 2}
    decision = decide(with_facts(CLONEABLE[route], larger))
    assert isinstance(decision, Download)
    (found,) = decision.candidates[0].findings
    assert found.reason is Reason.SOURCE_SMALLER_THAN_IMAGE


@every_format
def test_a_file_larger_than_the_volume_is_refused_as_by_cinders_api(
    disk_format: str, more: int
) -> None:
    """The API compares the file, although the disk would fit."""
    request = with_facts(
        cached(disk_format, 10 * GiB + more, 10 * GiB), {"volume.size": 10}
    )
    for policy in (SAFE, CINDER_29):
        decision = decide(request, policy)
        assert isinstance(decision, Refuse)
        refusing = decision.closing(Route.DOWNLOAD)
        assert [Reason.IMAGE_LARGER_THAN_VOLUME] == [
            finding.reason for finding in refusing
        ]
        assert () == decision.candidates[0].findings


@pytest.mark.parametrize(
    ("disk_format", "container_format", "size", "virtual_size", "disk"),
    [
        ("raw", "bare", 5, None, 5),
        ("raw", "bare", 5, 0, 5),
        ("raw", "bare", 5, 6, 6),
        ("raw", "bare", None, 6, 6),
        ("raw", "bare", None, None, None),
        ("raw", "bare", 0, 0, None),
        ("iso", "bare", 5, 4, 5),
        ("qcow2", "bare", 5, 4, 4),
        ("qcow2", "bare", 5, 0, None),
        ("qcow2", "bare", 5, None, None),
        (None, "bare", 5, None, None),
        ("raw", "compressed", 5, 5, None),
        ("vmdk", "ova", 5, 4, None),
        ("raw", None, 5, 5, None),
    ],
)
def test_the_size_of_the_disk_in_an_image(
    disk_format: str | None,
    container_format: str | None,
    size: int | None,
    virtual_size: int | None,
    disk: int | None,
) -> None:
    """It is known from Glance, or from a file that is the disk itself."""
    image = Image(
        id="1",
        status="active",
        disk_format=disk_format,
        container_format=container_format,
        size=size,
        virtual_size=virtual_size,
    )
    assert disk == image.disk_size
