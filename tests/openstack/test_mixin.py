"""The driver mixin decides, under Cinder's own volume manager."""

from __future__ import annotations

import pytest

pytest.importorskip("cinder", reason="needs Cinder: nox -s openstack")

import cinder_cloud
from cinder import context, exception
from cinder.volume import manager
from cinder_cloud import CinderCloud, Start
from fake_driver import MixedDriver

start, database = cinder_cloud.start, cinder_cloud.database

MIXED = {
    "kind": manager.VolumeManager,
    "driver": MixedDriver,
    "options": {"allowed_direct_url_schemes": []},
}


def mixed(start: Start, **own: str) -> CinderCloud:
    """Start Cinder's own manager with a `MixedDriver`, and set it up."""
    cloud = start(**MIXED, **own)
    cloud.driver.do_setup(context.get_admin_context())
    return cloud


def test_an_image_volume_is_cloned(start: Start) -> None:
    """No scheme has to be allowed."""
    cloud = mixed(start)
    image = cloud.images.add()
    backing = cloud.add_image_volume(image)
    volume = cloud.create(image)
    assert volume.status == "available"
    assert cloud.driver.calls == [
        ("create_cloned_volume", volume.id, backing.id)
    ]
    assert cloud.decisions()[0]["verdict"] == "clone"


def test_the_volume_of_a_foreign_project_is_not_cloned(start: Start) -> None:
    """Nor is its data downloaded."""
    cloud = mixed(start)
    image = cloud.images.add()
    cloud.add_image_volume(image, project_id="stranger")
    with pytest.raises(exception.ImageUnacceptable):
        cloud.create(image)
    assert cloud.driver.names() == []
    assert "owner-mismatch" in cloud.decisions()[0]["reasons"]


def test_a_deactivated_image_is_refused(start: Start) -> None:
    """It is not downloaded either."""
    cloud = mixed(start)
    with pytest.raises(exception.ImageUnacceptable):
        cloud.create(cloud.images.add(status="deactivated"))


def test_in_shadow_mode_the_drivers_own_clone_is_called(start: Start) -> None:
    """The decision is logged."""
    cloud = mixed(start, mode="shadow")
    cloud.create(cloud.images.add())
    assert "clone_image" in cloud.driver.names()
    assert cloud.decisions()[0]["mode"] == "shadow"
    (deed,) = cloud.deeds()
    assert (deed["did"], deed["matches"]) == ("unknown", "unknown")
    assert "clonepolicy started=" in cloud.log.text


@pytest.mark.parametrize(
    "options",
    [
        {"allowed_direct_url_schemes": ["cinder"]},
        {
            "allowed_direct_url_schemes": [],
            "backend_defaults.image_volume_cache_enabled": True,
        },
    ],
    ids=["schemes", "cache"],
)
def test_the_driver_does_not_start_if_cinder_may_clone_without_a_decision(
    start: Start, options: dict[str, object]
) -> None:
    """The error names the option."""
    cloud = start(**{**MIXED, "options": options})
    with pytest.raises(exception.InvalidConfigurationValue) as caught:
        cloud.driver.do_setup(context.get_admin_context())
    assert list(options)[-1].rpartition(".")[2] in str(caught.value)
