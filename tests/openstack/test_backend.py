"""What a driver declares becomes a record, or an error."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("cinder", reason="needs Cinder: nox -s openstack")

from cinder import objects

objects.register_all()  # the drivers name its classes

from cinder.volume.drivers import lvm, nfs, rbd  # noqa: E402 - the same
from cinder.volume.drivers.ibm import gpfs  # noqa: E402 - the same
from cinder.volume.drivers.netapp.dataontap.nfs_cmode import (  # noqa: E402 - the same
    NetAppCmodeNfsDriver as OntapNfs,
)
from fake_driver import DictDriver  # noqa: E402 - the same

from clonepolicy import CloneKind, FactError  # noqa: E402 - the same
from clonepolicy.adapters.cinder import (  # noqa: E402 - the same
    backend_from_driver,
)

FSID = "6e3f1f6e-0000-4000-8000-000000000001"


class FakeConfiguration:
    """A backend's configuration."""

    def __init__(self, **options: Any) -> None:
        self.options = options

    def safe_get(self, name: str) -> Any:
        return self.options.get(name)


def rbd_driver(depth: int) -> Any:
    """Make an RBD driver without a cluster."""
    driver = object.__new__(rbd.RBDDriver)
    driver.configuration = FakeConfiguration(rbd_max_clone_depth=depth)
    driver.capabilities = {}
    driver._get_fsid = lambda: FSID
    return driver


def test_an_rbd_array_has_the_id_of_its_cluster() -> None:
    """RBD URLs contain it; the operator cannot override it."""
    extra = {"array_id": "mine"}
    backend = backend_from_driver(rbd_driver(5), extra=extra)
    assert backend.array_id == FSID
    assert backend.image_schemes == {"rbd"}
    assert backend.clone_kind is CloneKind.COPY_ON_WRITE
    assert backend.clone_while_uploading is True
    assert backend.can_clone is True
    assert backend.can_extend is True


def test_the_cluster_is_not_asked_for_what_the_driver_has_reported() -> None:
    """To ask it takes a connection."""
    driver = rbd_driver(5)
    del driver._get_fsid
    driver._stats = {
        "storage_protocol": "ceph",
        "location_info": f"ceph:/etc/ceph/ceph.conf:{FSID}:cinder:volumes",
    }
    assert backend_from_driver(driver).array_id == FSID


def test_an_rbd_driver_without_clone_depth_makes_full_copies() -> None:
    """A depth of zero or less disables clones."""
    backend = backend_from_driver(rbd_driver(0))
    assert backend.clone_kind is CloneKind.FULL_COPY


def test_an_nfs_driver_does_not_clone_an_uploading_volume() -> None:
    """Its family accepts three other states."""
    driver = object.__new__(nfs.NfsDriver)
    driver.capabilities = {}
    backend = backend_from_driver(driver)
    assert backend.clone_while_uploading is False
    assert backend.array_id is None


def test_what_a_driver_does_not_declare_is_unknown() -> None:
    """The fields stay None."""
    driver = object.__new__(DictDriver)
    backend = backend_from_driver(driver)
    assert backend.can_clone is True
    assert backend.clone_while_uploading is None
    assert backend.clone_across_pools is None


@pytest.mark.parametrize(
    "extra",
    [{"clone_kind": "magic"}, {"clone_limit": "many"}, {"can_extend": "yes"}],
    ids=lambda extra: next(iter(extra)),
)
def test_an_invalid_declaration_is_refused(
    extra: dict[str, object],
) -> None:
    """The error names the field and the value."""
    driver = object.__new__(DictDriver)
    with pytest.raises(FactError) as caught:
        backend_from_driver(driver, extra=extra)
    (name, value) = next(iter(extra.items()))
    assert caught.value.field == f"Backend.{name}"
    assert caught.value.value == value


@pytest.mark.parametrize(
    ("lvm_type", "kind"),
    [
        ("thin", CloneKind.THIN_COPY),
        ("default", CloneKind.FULL_COPY),
        ("auto", CloneKind.FULL_COPY),
    ],
)
def test_an_lvm_clone_outlives_its_source(
    lvm_type: str, kind: CloneKind
) -> None:
    """A thin snapshot shares data; it stays when its origin is removed."""
    driver = object.__new__(lvm.LVMVolumeDriver)
    driver.configuration = FakeConfiguration(lvm_type=lvm_type)
    driver.capabilities = {}
    backend = backend_from_driver(driver)
    assert backend.clone_kind is kind
    assert backend.clone_in_use is True
    assert backend.finds_images is False


@pytest.mark.parametrize(
    ("flexgroups", "clones_files", "known"),
    [
        (False, False, True),
        (True, True, True),
        (True, False, None),
    ],
)
def test_an_ontap_nfs_driver_may_have_to_copy_in_flexgroups(
    *, flexgroups: bool, clones_files: bool, known: bool | None
) -> None:
    """Which of the pools has the source is not known beforehand."""
    driver = object.__new__(OntapNfs)
    driver.capabilities = {}
    driver.ssc_library = SimpleNamespace(
        contains_flexgroup_pool=lambda: flexgroups
    )
    driver._is_flexgroup_clone_file_supported = lambda: clones_files
    backend = backend_from_driver(driver)
    assert backend.clone_while_uploading is known
    assert backend.clone_in_use is known
    assert backend.finds_images is True


def test_an_ontap_nfs_driver_that_is_not_set_up_is_unknown() -> None:
    """It has not yet asked the array for its pools."""
    driver = object.__new__(OntapNfs)
    driver.capabilities = {}
    assert backend_from_driver(driver).clone_in_use is None


def test_the_operator_overrides_what_the_code_shows() -> None:
    """Also what is known to be refused."""
    driver = object.__new__(nfs.NfsDriver)
    driver.capabilities = {}
    extra = {"clone_in_use": True, "clone_while_uploading": True}
    backend = backend_from_driver(driver, extra=extra)
    assert backend.clone_in_use is True
    assert backend.clone_while_uploading is True


@pytest.mark.parametrize(
    ("options", "finds"),
    [
        ({}, False),
        ({"gpfs_images_dir": "/images"}, False),
        (
            {
                "gpfs_images_dir": "/images",
                "gpfs_images_share_mode": "copy_on_write",
            },
            True,
        ),
    ],
)
def test_a_driver_finds_images_if_its_options_say_where(
    options: dict[str, object], *, finds: bool
) -> None:
    """Without them its ``clone_image`` clones nothing."""
    driver = object.__new__(gpfs.GPFSDriver)
    driver.configuration = FakeConfiguration(**options)
    driver.capabilities = {}
    assert backend_from_driver(driver).finds_images is finds
    extra = {"finds_images": not finds}
    assert backend_from_driver(driver, extra=extra).finds_images is not finds
