"""GlanceImages reads images, and moves their data, with a real Glance."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

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
    FactError,
    ForbiddenError,
    GlanceConfig,
    GlanceStore,
    LocationsFrom,
    NotFoundError,
    UnavailableError,
)
from clonepolicy.adapters.glance import GlanceImages, Patience
from clonepolicy.ports import ImageService

if TYPE_CHECKING:
    from glance_server import Glance
    from volume_api_server import VolumeApi


class TestReading:
    """Reading configuration, images and locations."""

    def test_glance_says_whether_it_has_the_locations_api(
        self, glance: Glance
    ) -> None:
        """The caller gives the rest of the configuration."""
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

    def test_an_image_is_read_with_the_requesters_credentials(
        self, glance: Glance
    ) -> None:
        """What the service user sees does not count."""
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
        self, glance: Glance, cinder: VolumeApi
    ) -> None:
        """The requester has no right to."""
        location = CinderLocation(cinder.add_volume())
        image_id, images = queue(glance), privileged(glance)
        images.add_location(image_id, location)
        images.verify_location(image_id, location)

        image = images.get_image(image_id)
        assert LocationsFrom.LOCATIONS_API is image.locations_from
        assert (location,) == images.get_locations(image_id)

    def test_without_the_service_role_the_image_shows_its_locations(
        self, open_glance: Glance, cinder: VolumeApi
    ) -> None:
        """They and the direct URL are returned without duplicates."""
        location = CinderLocation(cinder.add_volume(), "fast")
        image_id, images = queue(open_glance), plain(open_glance)
        images.add_location(image_id, location)

        image = images.get_image(image_id)
        assert LocationsFrom.IMAGE is image.locations_from
        assert str(location) == image.direct_url
        assert (location,) == images.get_locations(image_id)

    def test_an_image_that_shows_no_locations_hides_them(
        self, glance: Glance
    ) -> None:
        """Only an image without data has none."""
        image_id = queue(glance)
        images = plain(glance)
        queued = images.get_image(image_id)
        fill(glance, image_id)

        image = images.get_image(image_id)
        assert LocationsFrom.IMAGE is queued.locations_from
        assert LocationsFrom.HIDDEN is image.locations_from
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
    def test_asks_download_asks_glance_for_the_right_to_download(
        self,
        glance: Glance,
        *,
        asks: bool,
        roles: tuple[str, ...],
        may: bool,
        filled: bool,
    ) -> None:
        """The policy of this Glance forbids it to the role looker."""
        image_id = queue(glance)
        if filled:
            fill(glance, image_id)
        client = glance.client("alice", *roles)
        images = GlanceImages(client, asks_download=asks, patience=QUICK)

        assert may is images.get_image(image_id).downloadable


class TestData:
    """Downloading, uploading and discarding."""

    def test_uploaded_data_is_downloaded(self, glance: Glance) -> None:
        """In chunks of limited size."""
        image_id, images = queue(glance), plain(glance)
        pieces = [b"a" * 3_000_000, b"", b"b"]
        images.upload(image_id, iter(pieces))
        got = list(images.download(image_id))

        assert b"".join(pieces) == b"".join(got)
        assert max(map(len, got)) <= 1024 * 1024
        assert "active" == status(glance, image_id)

    def test_a_download_can_be_abandoned(self, glance: Glance) -> None:
        """Only a complete download is verified."""
        image_id, images = queue(glance), plain(glance)
        images.upload(image_id, [b"a" * 3_000_000])
        data = images.download(image_id)
        assert isinstance(data, Generator)
        next(data)
        data.close()

    def test_an_image_with_data_takes_no_upload(self, glance: Glance) -> None:
        """The new data is not read."""
        image_id = queue(glance)
        fill(glance, image_id)
        data = iter([b"other"])
        with pytest.raises(ConflictError, match="active"):
            plain(glance).upload(image_id, data)

        assert b"other" == next(data)

    @pytest.mark.parametrize(
        "error", [UnavailableError("array"), OSError("disk"), ValueError()]
    )
    def test_after_an_error_in_the_data_the_image_is_not_active(
        self, glance: Glance, error: Exception
    ) -> None:
        """The error is raised unchanged."""

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
        """Discarding may be repeated."""
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


@pytest.mark.parametrize("value", [0, -1.5, True, float("nan"), "1"])
def test_patience_refuses_what_is_no_positive_number(value: Any) -> None:
    """The error names the field."""
    with pytest.raises(FactError, match=r"Patience\.total: expected a number"):
        Patience(total=value)
