"""The driver mixin decides, under Cinder's own volume manager."""

from __future__ import annotations

from collections.abc import Callable

import pytest

pytest.importorskip("cinder", reason="needs Cinder: nox -s openstack")

import cinder_here
from cinder import context, exception
from cinder.volume import manager
from cinder_here import Here

start, database = cinder_here.start, cinder_here.database

Start = Callable[..., Here]
MIXED = {
    "kind": manager.VolumeManager,
    "driver": "MixedDriver",
    "options": {"allowed_direct_url_schemes": []},
}


def mixed(start: Start, **own: str) -> Here:
    """Start Cinder's own manager over a mixed driver, and set that up."""
    here = start(**MIXED, **own)
    here.driver.do_setup(context.get_admin_context())
    return here


def test_an_image_volume_is_cloned(start: Start) -> None:
    """Naming the mixin is consent enough."""
    here = mixed(start)
    image = here.images.add()
    backing = here.backing(image)
    volume = here.create(image)
    assert volume.status == "available"
    assert here.driver.calls == [
        ("create_cloned_volume", volume.id, backing.id)
    ]
    assert here.lines()[0]["verdict"] == "clone"


def test_a_strangers_volume_is_downloaded(start: Start) -> None:
    """By the rules of the policy, not by Cinder's."""
    here = mixed(start)
    image = here.images.add()
    here.backing(image, project_id="stranger")
    volume = here.create(image)
    assert here.driver.held[volume.id] == ("image data", 1)
    assert "owner-mismatch" in here.lines()[0]["reasons"]


def test_a_deactivated_image_is_refused(start: Start) -> None:
    """Neither path is open."""
    here = mixed(start)
    with pytest.raises(exception.ImageUnacceptable):
        here.create(here.images.add(status="deactivated"))


def test_in_shadow_the_drivers_own_clone_is_asked(start: Start) -> None:
    """The decision is logged all the same."""
    here = mixed(start, mode="shadow")
    here.create(here.images.add())
    assert "clone_image" in here.driver.names()
    assert here.lines()[0]["mode"] == "shadow"


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
def test_what_cinder_would_clone_unasked_has_to_be_off(
    start: Start, options: dict[str, object]
) -> None:
    """The driver does not start, and names the option."""
    here = start(**{**MIXED, "options": options})
    with pytest.raises(exception.InvalidConfigurationValue) as caught:
        here.driver.do_setup(context.get_admin_context())
    assert list(options)[-1].rpartition(".")[2] in str(caught.value)
