"""Registering and reading locations while Glance, or the way to it, fails."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

import attrs
import pytest

pytest.importorskip("cinderclient", reason="run by nox -s openstack")
pytest.importorskip("glance", reason="run by nox -s openstack")

from glance_clients import QUICK, SERVICE, filled, privileged, queue, status
from glance_proxy import (
    Ask,
    Fault,
    Proxy,
    answering,
    changing,
    lost_answer,
    lost_request,
)

from clonepolicy import (
    AdapterError,
    CinderLocation,
    ConflictError,
    ForbiddenError,
    LocationsFrom,
    UnavailableError,
    gather_create,
)
from clonepolicy.adapters.glance import GlanceImages
from clonepolicy.adapters.memory import MemoryCloud

if TYPE_CHECKING:
    from glance_server import Glance
    from volume_api_server import VolumeApi

IMAGE = "GET /v2/images/[^/]*"
FILE = f"{IMAGE}/file"
LOCATIONS = f"{IMAGE}/locations"
VERSIONS = "GET /versions"
POST = "POST /v2/images/.*/locations"
PUT = "PUT /v2/images/.*/file"


FAULTS = {
    "400": (answering(400), LocationsFrom.UNREADABLE),
    # the service user does not see the image: it lacks a role
    "404": (answering(404), LocationsFrom.FORBIDDEN),
    "500": (answering(500), LocationsFrom.UNAVAILABLE),
    "lost": (lost_request, LocationsFrom.UNAVAILABLE),
}


@pytest.mark.parametrize(("fault", "why"), FAULTS.values(), ids=FAULTS)
class TestUnreadableLocations:
    """The locations API fails, but not because it is closed."""

    def test_the_locations_in_the_image_are_used(
        self,
        open_glance: Glance,
        open_proxy: Proxy,
        cinder: VolumeApi,
        fault: Fault,
        why: LocationsFrom,
    ) -> None:
        """The image can still be cloned."""
        del why
        image_id = queue(open_glance)
        location = CinderLocation(cinder.add_volume(), "fast")
        images = privileged(open_proxy)
        images.add_location(image_id, location)
        images.verify_location(image_id, location)
        open_proxy.always(LOCATIONS, fault)

        assert (location,) == images.get_locations(image_id)
        image = images.get_image(image_id)
        assert LocationsFrom.IMAGE is image.locations_from

    def test_unreadable_locations_are_recorded_in_the_image(
        self, glance: Glance, proxy: Proxy, fault: Fault, why: LocationsFrom
    ) -> None:
        """A volume can still be created from it."""
        image_id = filled(glance)
        proxy.always(LOCATIONS, fault)
        cloud = MemoryCloud()
        ports = attrs.evolve(cloud.ports("alice"), images=privileged(proxy))
        with pytest.raises(AdapterError):
            ports.images.get_locations(image_id)
        image = ports.images.get_image(image_id)
        assert why is image.locations_from
        volume = cloud.add_volume("alice", 1, status="creating")
        request = gather_create(image_id, volume, cloud.config, ports)
        assert why is request.image.locations_from
        assert () == request.image_volumes


def test_an_old_glance_is_used_without_the_locations_api(
    open_glance: Glance, open_proxy: Proxy, cinder: VolumeApi
) -> None:
    """Glance does not have version v2.17."""
    image_id = queue(open_glance)
    location = CinderLocation(cinder.add_volume(), "fast")
    open_proxy.always(
        VERSIONS,
        changing(lambda body: body.replace(b"v2.17", b"v2.99")),
    )
    images = privileged(open_proxy)
    images.add_location(image_id, location)
    images.verify_location(image_id, location)

    with pytest.raises(ConflictError, match="only a queued"):
        images.add_location(image_id, CinderLocation(cinder.add_volume()))

    assert images.get_config().has_location_api is False
    assert LocationsFrom.IMAGE is images.get_image(image_id).locations_from
    assert (location,) == images.get_locations(image_id)
    assert not any(seen.endswith("/locations") for seen in open_proxy.seen)


class TestLostRegistration:
    """The connection is lost while a location is registered."""

    @pytest.mark.parametrize("fault", [lost_request, answering(503)])
    def test_a_lost_request_can_be_withdrawn(
        self, glance: Glance, proxy: Proxy, cinder: VolumeApi, fault: Fault
    ) -> None:
        """It is not repeated, and the image can take other data."""
        location = CinderLocation(cinder.add_volume())
        image_id, images = queue(glance), privileged(proxy)
        proxy.inject(POST, fault)
        with pytest.raises(UnavailableError):
            images.add_location(image_id, location)
        begun = time.monotonic()
        images.withdraw_location(image_id, location)

        assert time.monotonic() - begun >= QUICK.grace
        assert 1 == sum("POST" in request for request in proxy.seen)
        assert "queued" == status(glance, image_id)

    def test_a_refused_request_is_not_waited_for(
        self, glance: Glance, proxy: Proxy, cinder: VolumeApi
    ) -> None:
        """Glance has answered: nothing is in work."""
        location = CinderLocation(cinder.add_volume())
        image_id, images = queue(glance), privileged(proxy, grace=15)
        proxy.inject(POST, answering(400))
        with pytest.raises(AdapterError):
            images.add_location(image_id, location)
        begun = time.monotonic()
        images.withdraw_location(image_id, location)

        assert time.monotonic() - begun < 15
        assert "queued" == status(glance, image_id)

    def test_a_lost_answer_does_not_matter(
        self, glance: Glance, proxy: Proxy, cinder: VolumeApi
    ) -> None:
        """Glance has done what was requested."""
        location = CinderLocation(cinder.add_volume())
        image_id, images = queue(glance), privileged(proxy)
        proxy.inject(POST, lost_answer)
        images.add_location(image_id, location)
        images.verify_location(image_id, location)

        assert (location,) == images.get_locations(image_id)

    def test_a_late_request_is_not_withdrawn(
        self, glance: Glance, proxy: Proxy, cinder: VolumeApi
    ) -> None:
        """It arrives within the grace period, and the location stays."""
        location = CinderLocation(cinder.add_volume())
        image_id = queue(glance)
        images = privileged(proxy, grace=15)
        late = GlanceImages(glance.client("services", *SERVICE))

        def arriving(handler: Any, _ask: Ask) -> None:
            later = threading.Timer(
                0.5, late.add_location, (image_id, location)
            )
            later.start()
            handler.hang_up()

        proxy.inject(POST, arriving)
        with pytest.raises(UnavailableError):
            images.add_location(image_id, location)
        with pytest.raises(ConflictError, match="or may"):
            images.withdraw_location(image_id, location)

        assert "active" == status(glance, image_id)
        assert location.volume_id not in cinder.deleted

    def test_during_an_outage_verifying_and_withdrawing_time_out(
        self, glance: Glance, proxy: Proxy, cinder: VolumeApi
    ) -> None:
        """Neither returns."""
        location = CinderLocation(cinder.add_volume())
        image_id, images = queue(glance), privileged(proxy, total=0.5)
        proxy.always(".*", lost_request)
        for settle in (images.withdraw_location, images.verify_location):
            with pytest.raises(UnavailableError):
                settle(image_id, location)

    def test_an_outage_while_waiting_is_waited_out(
        self, glance: Glance, proxy: Proxy, cinder: VolumeApi
    ) -> None:
        """It is longer than the repetitions of one request."""
        location = CinderLocation(cinder.add_volume())
        image_id, images = queue(glance), privileged(proxy, attempts=1)
        images.add_location(image_id, location)
        proxy.inject(f"{IMAGE}/tasks", *[answering(503)] * 4)
        proxy.inject(LOCATIONS, *[lost_request] * 4)
        images.verify_location(image_id, location)

    def test_without_readable_tasks_nothing_is_withdrawn(
        self, glance: Glance, proxy: Proxy, cinder: VolumeApi
    ) -> None:
        """Glance may still have a request."""
        location = CinderLocation(cinder.add_volume())
        image_id, images = queue(glance), privileged(proxy)
        proxy.always(f"{IMAGE}/tasks", answering(403))
        with pytest.raises(ForbiddenError):
            images.withdraw_location(image_id, location)
