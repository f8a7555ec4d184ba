"""What the Glance adapter promises, against a real glance-api."""

from __future__ import annotations

import io
import secrets
import threading
import time
import uuid
from collections.abc import Generator, Iterator
from typing import Any

import attrs
import pytest

pytest.importorskip("cinderclient", reason="run by nox -s openstack")
pytest.importorskip("glance", reason="run by nox -s openstack")

from glance_server import (
    Cinder,
    Glance,
    Proxy,
    cinder,
    glance,
    open_glance,
    open_proxy,
)

from clonepolicy import (
    CinderLocation,
    ConflictError,
    FactError,
    ForbiddenError,
    GlanceConfig,
    GlanceStore,
    ImageService,
    LocationsFrom,
    NotFoundError,
    Outcome,
    UnavailableError,
    decide_upload,
    execute,
    gather_upload,
)
from clonepolicy.adapters.glance import GlanceImages, Patience
from clonepolicy.adapters.memory import MemoryCloud

__all__ = ["cinder", "glance", "open_glance", "open_proxy"]

QUICK = Patience(first=0.02, longest=0.2, total=20, grace=0.3)
IMPATIENT = attrs.evolve(QUICK, total=0.5)
SERVICE = ("service", "admin", "member", "reader")


def privileged(of: Glance, patience: Patience = QUICK) -> GlanceImages:
    """Act for alice, with a service user of both roles."""
    return GlanceImages(
        of.client("alice"),
        service_client=of.client("services", *SERVICE),
        service_roles=frozenset({"service", "admin"}),
        patience=patience,
    )


def plain(of: Glance | Proxy) -> GlanceImages:
    """Act for alice with her own credentials only."""
    return GlanceImages(of.client("alice"), patience=QUICK)


def queue(of: Glance, **fields: Any) -> str:
    """Make an image of alice's, still without data."""
    body = {"disk_format": "raw", "container_format": "bare"} | fields
    return str(of.client("alice").images.create(name="image", **body).id)


def fill(of: Glance, image_id: str, data: bytes = b"data") -> None:
    """Give an image its bytes behind the adapter's back."""
    of.client("alice").images.upload(image_id, io.BytesIO(data))


def status(of: Glance, image_id: str) -> str:
    """Read an image's status behind the adapter's back."""
    return str(of.client("alice").images.get(image_id)["status"])


def missing_volume() -> CinderLocation:
    """Name a volume that Glance will not find."""
    return CinderLocation(str(uuid.uuid4()))


class TestReading:
    """What is told of Glance and of an image."""

    def test_the_location_api_is_learnt_from_glance(
        self, glance: Glance
    ) -> None:
        """The rest of the configuration is what the caller says."""
        stores = (GlanceStore(id="fast"),)
        roles = frozenset({"service"})
        images: ImageService = GlanceImages(
            glance.client("alice"),
            service_roles=roles,
            stores=stores,
            show_multiple_locations=True,
        )

        assert images.get_config() == GlanceConfig(
            has_location_api=True,
            show_multiple_locations=True,
            service_roles=roles,
            stores=stores,
        )

    def test_an_image_is_read_as_its_requester_sees_it(
        self, glance: Glance
    ) -> None:
        """The service user's sight does not count."""
        image_id = queue(glance, min_disk=3, visibility="private")
        image = privileged(glance).get_image(image_id)
        bobs = GlanceImages(
            glance.client("bob"),
            service_client=glance.client("services", *SERVICE),
        )

        assert ("queued", "alice", 3) == (
            image.status,
            image.owner,
            image.min_disk,
        )
        assert image.visible
        for read in (bobs.get_image, bobs.get_locations):
            with pytest.raises(NotFoundError):
                read(image_id)

    def test_the_service_user_reads_the_locations_api(
        self, glance: Glance, cinder: Cinder
    ) -> None:
        """On behalf of a requester who may not."""
        location = CinderLocation(cinder.add_volume())
        image_id, images = queue(glance), privileged(glance)
        images.add_location(image_id, location)
        images.verify_location(image_id, location)

        told = images.get_image(image_id).locations_from
        assert LocationsFrom.LOCATIONS_API is told
        assert (location,) == images.get_locations(image_id)

    def test_without_the_role_what_the_image_shows_counts(
        self, open_glance: Glance, cinder: Cinder
    ) -> None:
        """Its locations and its direct URL, each once."""
        location = CinderLocation(cinder.add_volume(), "fast")
        image_id, images = queue(open_glance), plain(open_glance)
        images.add_location(image_id, location)

        image = images.get_image(image_id)
        assert LocationsFrom.IMAGE is image.locations_from
        assert str(location) == image.direct_url
        assert (location,) == images.get_locations(image_id)

    def test_where_no_interface_shows_any_there_are_none(
        self, glance: Glance
    ) -> None:
        """As stock Cinder takes it."""
        image_id = queue(glance)
        fill(glance, image_id)
        images = plain(glance)

        told = images.get_image(image_id).locations_from
        assert LocationsFrom.IMAGE is told
        assert () == images.get_locations(image_id)

    @pytest.mark.parametrize(
        ("asks", "roles", "may"),
        [
            (False, ("member", "reader"), True),
            (False, ("member", "reader", "looker"), True),
            (True, ("member", "reader"), True),
            (True, ("member", "reader", "looker"), False),
        ],
    )
    @pytest.mark.parametrize("filled", [True, False])
    def test_glance_is_asked_for_the_right_to_download(
        self,
        glance: Glance,
        *,
        asks: bool,
        roles: tuple[str, ...],
        may: bool,
        filled: bool,
    ) -> None:
        """If the caller wants that; its policy forbids it to lookers."""
        image_id = queue(glance)
        if filled:
            fill(glance, image_id)
        client = glance.client("alice", *roles)
        images = GlanceImages(client, asks_download=asks, patience=QUICK)

        assert may is images.get_image(image_id).downloadable


class TestRegistering:
    """Adding, verifying and withdrawing a location."""

    @pytest.mark.parametrize("name", ["glance", "open_glance"])
    @pytest.mark.parametrize("act_for", [privileged, plain])
    def test_a_registered_volume_becomes_the_images_data(
        self,
        request: pytest.FixtureRequest,
        cinder: Cinder,
        name: str,
        act_for: Any,
    ) -> None:
        """By either API, also where Glance writes its store's name in."""
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

    @pytest.mark.parametrize("name", ["glance", "open_glance"])
    def test_registering_twice_is_fine(
        self, request: pytest.FixtureRequest, cinder: Cinder, name: str
    ) -> None:
        """While Glance is still at it, and after that."""
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

    def test_nothing_is_settled_while_glance_decides(
        self, glance: Glance, cinder: Cinder
    ) -> None:
        """Neither verified nor withdrawn nor discarded; waiting is bounded."""
        location = CinderLocation(cinder.add_volume())
        image_id, images = queue(glance), privileged(glance, IMPATIENT)
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

    def test_verifying_waits_until_glance_has_decided(
        self, glance: Glance, cinder: Cinder
    ) -> None:
        """And no longer."""
        location = CinderLocation(cinder.add_volume())
        image_id, images = queue(glance), privileged(glance)
        with cinder.closed():
            images.add_location(image_id, location)
            threading.Timer(0.5, cinder.open.set).start()
            images.verify_location(image_id, location)

        assert (location,) == images.get_locations(image_id)

    def test_a_rejection_ends_the_waiting_and_leaves_the_image_queued(
        self, glance: Glance
    ) -> None:
        """So that it can still take the bytes."""
        location, image_id = missing_volume(), queue(glance)
        images = privileged(glance, attrs.evolve(QUICK, total=60, grace=60))
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
        self, request: pytest.FixtureRequest, cinder: Cinder, name: str
    ) -> None:
        """Glance would delete the volume behind it."""
        of: Glance = request.getfixturevalue(name)
        location = CinderLocation(cinder.add_volume())
        image_id, images = queue(of), privileged(of)
        images.add_location(image_id, location)
        images.verify_location(image_id, location)
        with pytest.raises(ConflictError, match="delete the image instead"):
            images.withdraw_location(image_id, location)

        assert "active" == status(of, image_id)
        assert location.volume_id not in cinder.deleted

    def test_what_nobody_shows_is_neither_verified_nor_withdrawn(
        self, glance: Glance, cinder: Cinder
    ) -> None:
        """Not to know is not to know that there is none."""
        location = CinderLocation(cinder.add_volume())
        image_id, images = queue(glance), privileged(glance)
        images.add_location(image_id, location)
        images.verify_location(image_id, location)
        with pytest.raises(ForbiddenError, match="service and admin"):
            plain(glance).verify_location(image_id, location)
        with pytest.raises(ConflictError, match="or may"):
            plain(glance).withdraw_location(image_id, location)

    def test_a_service_user_who_sees_no_private_image_is_no_use(
        self, glance: Glance
    ) -> None:
        """It has the role service but not admin; nothing is registered."""
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

        told = images.get_image(image_id).locations_from
        assert LocationsFrom.UNREADABLE is told
        with pytest.raises(NotFoundError):
            images.get_locations(image_id)

    def test_what_was_never_asked_for_is_waited_for_in_vain(
        self, glance: Glance
    ) -> None:
        """A request may still be on its way, but not for ever."""
        images = privileged(glance, IMPATIENT)
        with pytest.raises(UnavailableError, match="not done after"):
            images.verify_location(queue(glance), missing_volume())

    def test_another_location_is_nothing_to_withdraw(
        self, glance: Glance
    ) -> None:
        """Nor is it verified."""
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
        cinder: Cinder,
        act_for: Any,
    ) -> None:
        """The image would have two sources of different data."""
        location = CinderLocation(cinder.add_volume())
        image_id = queue(open_glance)
        fill(open_glance, image_id)
        with pytest.raises(ConflictError):
            act_for(open_proxy).add_location(image_id, location)

        assert not any("PATCH" in request for request in open_proxy.seen)

    def test_a_deactivated_image_is_not_verified(
        self, glance: Glance, cinder: Cinder
    ) -> None:
        """Nor downloaded, nor waited for."""
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

    def test_a_deleted_image_shows_nothing_any_more(
        self, glance: Glance, cinder: Cinder
    ) -> None:
        """Verifying tells so; undoing finds nothing to do."""
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


class TestBytes:
    """Downloading, uploading and discarding."""

    def test_what_was_uploaded_is_downloaded(self, glance: Glance) -> None:
        """In pieces of bounded size."""
        image_id, images = queue(glance), plain(glance)
        pieces = [b"a" * 3_000_000, b"", b"b"]
        images.upload(image_id, iter(pieces))
        got = list(images.download(image_id))

        assert b"".join(pieces) == b"".join(got)
        assert max(map(len, got)) <= 1024 * 1024
        assert "active" == status(glance, image_id)

    def test_a_download_can_be_left(self, glance: Glance) -> None:
        """It is checked only by who takes it all."""
        image_id, images = queue(glance), plain(glance)
        images.upload(image_id, [b"a" * 3_000_000])
        data = images.download(image_id)
        assert isinstance(data, Generator)
        next(data)
        data.close()

    def test_an_image_with_data_is_not_uploaded_to(
        self, glance: Glance
    ) -> None:
        """And no data is read for it."""
        image_id = queue(glance)
        fill(glance, image_id)
        data = iter([b"other"])
        with pytest.raises(ConflictError, match="active"):
            plain(glance).upload(image_id, data)

        assert b"other" == next(data)

    @pytest.mark.parametrize(
        "error", [UnavailableError("array"), OSError("disk"), ValueError()]
    )
    def test_data_that_breaks_off_makes_no_image(
        self, glance: Glance, error: Exception
    ) -> None:
        """And what broke it is raised as it is."""

        def data() -> Iterator[bytes]:
            yield b"a" * 3_000_000
            raise error

        image_id, images = queue(glance), plain(glance)
        with pytest.raises(type(error)) as raised:
            images.upload(image_id, data())
        assert error is raised.value
        assert "active" != status(glance, image_id)
        images.discard(image_id)
        with pytest.raises(NotFoundError):
            images.get_image(image_id)

    def test_only_an_image_without_data_is_discarded(
        self, glance: Glance
    ) -> None:
        """Twice is as good as once."""
        images, queued, active = plain(glance), queue(glance), queue(glance)
        fill(glance, active)
        for image_id in (queued, queued, active):
            images.discard(image_id)

        assert "active" == status(glance, active)
        with pytest.raises(NotFoundError):
            images.get_image(queued)

    def test_a_protected_image_is_not_discarded(self, glance: Glance) -> None:
        """Glance forbids it."""
        image_id = queue(glance, protected=True)
        with pytest.raises(ForbiddenError):
            plain(glance).discard(image_id)


class TestPlans:
    """A whole upload: Glance is real, volumes and array are in memory."""

    def upload(
        self, glance: Glance, cinder: Cinder, *, visible: bool
    ) -> tuple[Outcome, str, MemoryCloud]:
        """Upload a volume whose clone Glance sees, or not."""
        cloud = MemoryCloud()
        volume = cloud.add_volume("alice", 1, data=b"data")
        cloud.set_volume(
            volume.id, status="uploading", previous_status="available"
        )
        image_id = queue(glance)
        # ids in memory are counted, and all tests share one Cinder
        cloud.last_id = secrets.randbelow(2**40)
        if visible:
            next_id = f"00000000-0000-4000-8000-{cloud.last_id + 1:012x}"
            cinder.sizes[next_id] = 1
        ports = attrs.evolve(cloud.ports("alice"), images=privileged(glance))
        request = gather_upload(
            volume.id, image_id, "alice", cloud.config, ports
        )
        outcome = execute(decide_upload(request).plan, ports)
        return outcome, image_id, cloud

    def test_an_upload_is_registered(
        self, glance: Glance, cinder: Cinder
    ) -> None:
        """And the image shows the clone."""
        outcome, image_id, cloud = self.upload(glance, cinder, visible=True)

        assert ("register", True) == (outcome.attempt, outcome.settled)
        (volume_id,) = outcome.ids.values()
        shown = privileged(glance).get_locations(image_id)
        assert (CinderLocation(volume_id),) == shown
        assert volume_id in cloud.volumes

    def test_a_rejected_clone_is_removed_and_the_bytes_are_sent(
        self, glance: Glance, cinder: Cinder
    ) -> None:
        """Nothing is orphaned."""
        outcome, image_id, cloud = self.upload(glance, cinder, visible=False)

        assert ("upload", True) == (outcome.attempt, outcome.settled)
        assert "active" == status(glance, image_id)
        assert set(outcome.ids.values()).isdisjoint(cloud.volumes)


@pytest.mark.parametrize("value", [0, -1.5, True, float("nan"), "1"])
def test_patience_is_a_positive_number(value: Any) -> None:
    """And says so, naming the field."""
    with pytest.raises(FactError, match=r"Patience\.total: expected a number"):
        Patience(total=value)
