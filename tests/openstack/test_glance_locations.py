"""GlanceImages registers locations with a real Glance."""

from __future__ import annotations

import secrets
import threading
import time
import uuid
from typing import TYPE_CHECKING, Any

import attrs
import pytest

pytest.importorskip("cinderclient", reason="run by nox -s openstack")
pytest.importorskip("glance", reason="run by nox -s openstack")

from glance_clients import (
    QUICK,
    SERVICE,
    fill,
    plain,
    privileged,
    queue,
    status,
)

from clonepolicy import (
    CinderLocation,
    ConflictError,
    ForbiddenError,
    LocationsFrom,
    NotFoundError,
    Outcome,
    UnavailableError,
    decide,
    execute,
    gather_upload,
)
from clonepolicy.adapters.glance import GlanceImages
from clonepolicy.adapters.memory import MemoryCloud

if TYPE_CHECKING:
    from glance_proxy import Proxy
    from glance_server import Glance
    from volume_api_server import VolumeApi


def missing_volume() -> CinderLocation:
    """Return the location of a volume that does not exist."""
    return CinderLocation(str(uuid.uuid4()))


class TestRegistering:
    """Adding, verifying and withdrawing a location."""

    @pytest.mark.parametrize("name", ["glance", "open_glance"])
    @pytest.mark.parametrize("act_for", [privileged, plain])
    def test_a_registered_volume_makes_the_image_active(
        self,
        request: pytest.FixtureRequest,
        cinder: VolumeApi,
        name: str,
        act_for: Any,
    ) -> None:
        """By either API; Glance may add its store to the URL."""
        of: Glance = request.getfixturevalue(name)
        location = CinderLocation(cinder.add_volume())
        image_id, images = queue(of), act_for(of)
        if (name, act_for) == ("glance", plain):
            with pytest.raises(ForbiddenError):
                images.add_location(image_id, location)
            images.withdraw_location(image_id, location)
            assert "queued" == status(of, image_id)
            return
        images.add_location(image_id, location)
        images.verify_location(image_id, location)

        (shown,) = images.get_locations(image_id)
        assert location.volume_id == shown.volume_id
        assert "active" == status(of, image_id)

    def test_a_store_that_glance_does_not_find_is_named(
        self, cinder: VolumeApi, open_glance: Glance
    ) -> None:
        """The URL alone names no store to the image API."""
        volume_id = cinder.add_volume("slow")
        location = CinderLocation(volume_id, "fast")
        image_id, images = queue(open_glance), plain(open_glance)

        images.add_location(image_id, location)
        images.verify_location(image_id, location)

        assert "active" == status(open_glance, image_id)

    @pytest.mark.parametrize("name", ["glance", "open_glance"])
    def test_registering_twice_registers_once(
        self, request: pytest.FixtureRequest, cinder: VolumeApi, name: str
    ) -> None:
        """The second request comes before or after Glance's decision."""
        of: Glance = request.getfixturevalue(name)
        location = CinderLocation(cinder.add_volume())
        image_id, images = queue(of), privileged(of)
        with cinder.closed():
            images.add_location(image_id, location)
            assert cinder.asked.wait(20)
            images.add_location(image_id, location)
        images.verify_location(image_id, location)
        images.add_location(image_id, location)
        if name == "open_glance":
            plain(of).add_location(image_id, location)

        assert 1 == len(images.get_locations(image_id))

    def test_every_call_waits_while_glance_decides(
        self, glance: Glance, cinder: VolumeApi
    ) -> None:
        """Verifying, withdrawing and discarding end with a timeout."""
        location = CinderLocation(cinder.add_volume())
        image_id, images = queue(glance), privileged(glance, total=0.5)
        with cinder.closed():
            images.add_location(image_id, location)
            assert cinder.asked.wait(20)
            for settle in (images.verify_location, images.withdraw_location):
                with pytest.raises(UnavailableError, match="not done after"):
                    settle(image_id, location)
            with pytest.raises(UnavailableError, match="not done after"):
                images.discard(image_id)
        privileged(glance).verify_location(image_id, location)

        assert "active" == status(glance, image_id)

    def test_verifying_returns_when_glance_has_decided(
        self, glance: Glance, cinder: VolumeApi
    ) -> None:
        """It waits until then."""
        location = CinderLocation(cinder.add_volume())
        image_id, images = queue(glance), privileged(glance)
        with cinder.closed():
            images.add_location(image_id, location)
            threading.Timer(0.5, cinder.open.set).start()
            images.verify_location(image_id, location)

        assert (location,) == images.get_locations(image_id)

    def test_a_rejected_location_leaves_the_image_queued(
        self, glance: Glance
    ) -> None:
        """The adapter does not wait on, and the image can take data."""
        location, image_id = missing_volume(), queue(glance)
        images = privileged(glance, total=60, grace=60)
        images.add_location(image_id, location)
        begun = time.monotonic()
        with pytest.raises(ConflictError, match="did not take"):
            images.verify_location(image_id, location)
        images.withdraw_location(image_id, location)

        assert time.monotonic() - begun < 20
        images.upload(image_id, [b"bytes"])
        assert b"bytes" == b"".join(images.download(image_id))

    @pytest.mark.parametrize("name", ["glance", "open_glance"])
    def test_a_shown_location_is_not_withdrawn(
        self, request: pytest.FixtureRequest, cinder: VolumeApi, name: str
    ) -> None:
        """Glance would delete the volume behind it."""
        of: Glance = request.getfixturevalue(name)
        location = CinderLocation(cinder.add_volume())
        image_id, images = queue(of), privileged(of)
        images.add_location(image_id, location)
        images.verify_location(image_id, location)
        with pytest.raises(ConflictError, match="if nobody needs"):
            images.withdraw_location(image_id, location)

        assert "active" == status(of, image_id)
        assert location.volume_id not in cinder.deleted

    def test_a_location_that_cannot_be_seen_is_neither_verified_nor_withdrawn(
        self, glance: Glance, cinder: VolumeApi
    ) -> None:
        """The image may still have it."""
        location = CinderLocation(cinder.add_volume())
        image_id, images = queue(glance), privileged(glance)
        images.add_location(image_id, location)
        images.verify_location(image_id, location)
        with pytest.raises(ForbiddenError, match="service and admin"):
            plain(glance).verify_location(image_id, location)
        with pytest.raises(ConflictError, match="or may"):
            plain(glance).withdraw_location(image_id, location)

    def test_a_service_user_without_admin_registers_nothing_on_a_private_image(
        self, glance: Glance
    ) -> None:
        """It has the role service, and does not see the image."""
        image_id, location = (
            queue(glance, visibility="private"),
            missing_volume(),
        )
        images = GlanceImages(
            glance.client("alice"),
            service_client=glance.client("services", "service", "member"),
            patience=QUICK,
        )
        with pytest.raises(ForbiddenError):
            images.add_location(image_id, location)
        images.withdraw_location(image_id, location)

        image = images.get_image(image_id)
        assert LocationsFrom.FORBIDDEN is image.locations_from
        with pytest.raises(ForbiddenError, match="role admin"):
            images.get_locations(image_id)

    def test_verifying_without_a_request_times_out(
        self, glance: Glance
    ) -> None:
        """A request could still arrive."""
        images = privileged(glance, total=0.5)
        with pytest.raises(UnavailableError, match="not done after"):
            images.verify_location(queue(glance), missing_volume())

    def test_another_location_is_withdrawn_and_not_verified(
        self, glance: Glance
    ) -> None:
        """The image has other data."""
        image_id, images = queue(glance), privileged(glance)
        fill(glance, image_id)
        images.withdraw_location(image_id, missing_volume())

        with pytest.raises(ConflictError, match="did not take"):
            images.verify_location(image_id, missing_volume())

    @pytest.mark.parametrize("act_for", [privileged, plain])
    def test_an_image_with_data_takes_no_location(
        self,
        open_glance: Glance,
        open_proxy: Proxy,
        cinder: VolumeApi,
        act_for: Any,
    ) -> None:
        """It would have two sources of different data."""
        location = CinderLocation(cinder.add_volume())
        image_id = queue(open_glance)
        fill(open_glance, image_id)
        with pytest.raises(ConflictError):
            act_for(open_proxy).add_location(image_id, location)

        assert not any("PATCH" in request for request in open_proxy.seen)

    def test_a_deactivated_image_is_neither_verified_nor_downloaded(
        self, glance: Glance, cinder: VolumeApi
    ) -> None:
        """The adapter does not wait for it."""
        location = CinderLocation(cinder.add_volume())
        image_id, images = queue(glance), privileged(glance)
        images.add_location(image_id, location)
        images.verify_location(image_id, location)
        admin = glance.client("services", *SERVICE)
        admin.images.deactivate(image_id)

        with pytest.raises(ConflictError, match="deactivated"):
            images.verify_location(image_id, location)
        with pytest.raises(ConflictError, match="deactivated"):
            next(images.download(image_id))

    def test_undoing_on_a_deleted_image_does_nothing(
        self, glance: Glance, cinder: VolumeApi
    ) -> None:
        """Verifying and adding raise NotFoundError."""
        location = CinderLocation(cinder.add_volume())
        image_id, images = queue(glance), privileged(glance)
        images.add_location(image_id, location)
        images.verify_location(image_id, location)
        glance.client("alice").images.delete(image_id)

        with pytest.raises(NotFoundError, match="gone"):
            images.verify_location(image_id, location)
        with pytest.raises(NotFoundError):
            images.add_location(image_id, location)
        images.withdraw_location(image_id, location)
        images.discard(image_id)


class TestPlans:
    """A whole upload: Glance is real, volumes and array are in memory."""

    def upload(
        self, glance: Glance, cinder: VolumeApi, *, visible: bool
    ) -> tuple[Outcome, str, MemoryCloud]:
        """Upload a volume, whose clone Glance sees or not."""
        cloud = MemoryCloud()
        volume = cloud.add_volume("alice", 1, data=b"data")
        cloud.set_volume(
            volume.id, status="uploading", previous_status="available"
        )
        image_id = queue(glance)
        # ids in memory are counted, and all tests share one Cinder
        cloud.last_id = secrets.randbelow(2**40)
        if visible:
            cinder.sizes[
                f"00000000-0000-4000-8000-{cloud.last_id + 1:012x}"
            ] = 1
        ports = attrs.evolve(cloud.ports("alice"), images=privileged(glance))
        request = gather_upload(
            volume.id, image_id, "alice", cloud.config, ports
        )
        outcome = execute(decide(request).plan, ports)
        return outcome, image_id, cloud

    def test_an_upload_is_registered(
        self, glance: Glance, cinder: VolumeApi
    ) -> None:
        """The image shows the clone."""
        outcome, image_id, cloud = self.upload(glance, cinder, visible=True)

        assert ("register", True) == (str(outcome.attempt), outcome.settled)
        (volume_id,) = outcome.ids.values()
        shown = privileged(glance).get_locations(image_id)
        assert (CinderLocation(volume_id),) == shown
        assert volume_id in cloud.volumes

    def test_after_a_rejected_clone_the_data_is_uploaded(
        self, glance: Glance, cinder: VolumeApi
    ) -> None:
        """The clone is removed."""
        outcome, image_id, cloud = self.upload(glance, cinder, visible=False)

        assert ("upload", True) == (str(outcome.attempt), outcome.settled)
        assert "active" == status(glance, image_id)
        assert set(outcome.ids.values()).isdisjoint(cloud.volumes)
