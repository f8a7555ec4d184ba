"""What a driver declares becomes a record, or an error."""

from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("cinder", reason="needs Cinder: nox -s openstack")

from cinder.volume.drivers import nfs, rbd
from fake_driver import DictDriver

from clonepolicy import CloneKind, FactError
from clonepolicy.adapters.cinder import backend_from_driver

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
