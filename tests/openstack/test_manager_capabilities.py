"""Arrays, drivers and quotas as the operator declares or Cinder keeps them."""

from __future__ import annotations

import json
from typing import Any

import pytest

pytest.importorskip("cinder", reason="needs Cinder: nox -s openstack")

import cinder_cloud
from cinder import context, exception
from cinder.db import api as db
from cinder.scheduler import rpcapi
from cinder.volume import manager
from cinder_cloud import INTERNAL, CinderCloud, Start
from fake_driver import DictDriver, MixedDriver

start, database = cinder_cloud.start, cinder_cloud.database

CLONE, OWN, COPY = (
    *("create_cloned_volume", "clone_image", "copy_image_to_volume"),
)
DECLARED = json.dumps({"array_id": "SN-1", "clone_across_pools": True})
FINDS_NONE = {
    "backend_defaults.extra_capabilities": json.dumps({"finds_images": False})
}
NFS = "nfs://192.0.2.1/export/glance"


# -- one array under several services -----------------------------------------


def test_what_is_declared_counts_for_every_backend_of_cinder_conf(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the scheduler nor the other service is asked."""
    monkeypatch.delattr(rpcapi.SchedulerAPI, "get_pools")
    here = start(
        options={"backend_defaults.extra_capabilities": DECLARED},
    )
    image = here.images.add()
    source = here.add_image_volume(image, host="node@slow#pool")
    created = here.create(image)
    assert here.clones_of(created) == [source.id]


@pytest.mark.parametrize(
    ("there", "cloned"), [("SN-1", True), ("SN-2", False)]
)
def test_what_other_services_report_to_the_scheduler_counts(
    start: Start, monkeypatch: pytest.MonkeyPatch, there: str, *, cloned: bool
) -> None:
    """It is asked once for many creates."""
    asked = []

    def get_pools(_api: object, ctxt: Any, filters: object = None) -> Any:
        asked.append(filters)
        assert ctxt.is_admin
        return [{"name": "far@slow#pool", "capabilities": {"array_id": there}}]

    monkeypatch.setattr(rpcapi.SchedulerAPI, "get_pools", get_pools)
    here = start(options={"backend_defaults.extra_capabilities": DECLARED})
    image = here.images.add()
    source = here.add_image_volume(image, host="far@slow#pool")
    for _ in range(2):
        created = here.create(image)
        assert here.clones_of(created) == ([source.id] if cloned else [])
    assert asked == [None]


def test_a_service_that_does_not_clone_across_pools_asks_nobody(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the answer, the volume of another service is not cloned."""
    monkeypatch.delattr(rpcapi.SchedulerAPI, "get_pools")
    here = start(
        options={"backend_defaults.extra_capabilities": '{"array_id": "SN-1"}'}
    )
    image = here.images.add()
    here.add_image_volume(image, host="far@slow#pool")
    here.create(image)
    assert COPY in here.driver.names()
    assert "different-host" in here.reasons()
    assert "cannot ask the scheduler" not in here.log.text


def test_a_service_whose_array_has_no_id_asks_nobody(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No other array can then be known to be the same."""
    monkeypatch.delattr(rpcapi.SchedulerAPI, "get_pools")
    here = start(
        options={
            "backend_defaults.extra_capabilities": (
                '{"clone_across_pools": true}'
            )
        }
    )
    image = here.images.add()
    here.add_image_volume(image, host="far@slow#pool")
    here.create(image)
    assert COPY in here.driver.names()
    assert "different-array" in here.reasons()
    assert "cannot ask the scheduler" not in here.log.text


# -- the volume type's quota --------------------------------------------------


@pytest.mark.parametrize("name", ["volumes", "gigabytes"])
def test_a_full_quota_of_the_volume_type_is_a_reason(
    start: Start, name: str
) -> None:
    """The quota over all types has room."""
    here = start()
    db.quota_create(
        context.get_admin_context(), INTERNAL, f"{name}___DEFAULT__", 0
    )
    here.upload(here.add_volume())
    assert here.reasons() == ["clone-quota"]
    assert "attempt=" not in here.log.text


def test_a_quota_of_another_type_is_none_of_the_volumes(start: Start) -> None:
    """The clone has the source's type."""
    here = start()
    admin = context.get_admin_context()
    db.volume_type_create(admin, {"name": "gold", "extra_specs": {}})
    db.quota_create(admin, INTERNAL, "volumes_gold", 0)
    here.upload(here.add_volume())
    (line,) = here.decisions()
    assert line["verdict"] == "register"


# -- a driver that finds images by itself -------------------------------------


class Finding(DictDriver):
    """Clones every image by a means of its own."""

    found = True

    def clone_image(self, *args: Any) -> tuple[dict[str, Any], bool]:
        volume = args[1]
        self._called(OWN, volume.id)
        if self.found:
            self.held[volume.id] = ("image data", volume.size)
        return {"bootable": True}, self.found


class FindingNothing(Finding):
    """Looks for images, and finds none."""

    found = False


def created(here: CinderCloud) -> dict[str, str]:
    """Create a volume from an image in an NFS store; return the log line."""
    image = here.images.add()
    here.images.locations[image] = [f"{NFS}/{image}"]
    assert here.create(image).status == "available"
    (line,) = here.decisions()
    return line


def test_a_driver_that_finds_images_is_not_asked(start: Start) -> None:
    """And the reason says so."""
    here = start(driver=Finding)
    line = created(here)
    assert OWN not in here.driver.names()
    assert "driver-finds-images" in line["reasons"]
    assert "scheme-unsupported" not in line["reasons"]


@pytest.mark.parametrize(
    ("driver", "did", "differs"),
    [(Finding, "clone", "yes"), (FindingNothing, "download", "no")],
)
def test_shadow_mode_tells_what_the_driver_did(
    start: Start, driver: type[DictDriver], did: str, differs: str
) -> None:
    """Cinder asks it, and takes what it finds, which nobody can predict."""
    here = start(driver=driver, mode="shadow")
    line = created(here)
    assert here.driver.names()[0] == OWN
    assert line["stock"] == "unknown"
    (deed,) = here.deeds()
    assert (deed["did"], deed["differs"]) == (did, differs)


class MixedFinding(MixedDriver, Finding):
    """The same, with the decision in the driver."""


def test_shadow_mode_in_a_driver_tells_it_too(start: Start) -> None:
    """The mixin calls the method of the driver's own class."""
    here = start(
        kind=manager.VolumeManager,
        driver=MixedFinding,
        options={"allowed_direct_url_schemes": []},
        mode="shadow",
    )
    here.driver.do_setup(context.get_admin_context())
    line = created(here)
    assert "driver-finds-images" in line["reasons"]
    (deed,) = here.deeds()
    assert (deed["did"], deed["differs"]) == ("clone", "yes")


def test_shadow_mode_reports_even_if_cinder_fails(start: Start) -> None:
    """The decision does not depend on what comes later."""
    here = start(mode="shadow", options=FINDS_NONE)
    here.driver.failing[COPY] = [RuntimeError("no")]
    with pytest.raises(exception.ImageCopyFailure):
        here.create(here.images.add())
    (line,) = here.decisions()
    assert line["stock"] == "download"


def test_only_the_driver_says_whether_cinder_clones_across_pools(
    start: Start,
) -> None:
    """Cinder does not read extra_capabilities for that."""
    here = start(
        mode="shadow",
        options={
            "backend_defaults.extra_capabilities": json.dumps(
                {**json.loads(DECLARED), "finds_images": False}
            )
        },
    )
    image = here.images.add()
    here.add_image_volume(image, host="node@slow#pool")
    here.create(image)
    (line,) = here.decisions()
    assert (line["verdict"], line["stock"]) == ("clone", "download")
    assert CLONE not in here.driver.names()
