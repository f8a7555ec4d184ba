"""`GlanceImages`: the image service, by python-glanceclient."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import attrs

from clonepolicy import (
    AdapterError,
    CinderLocation,
    ConflictError,
    ForbiddenError,
    GlanceConfig,
    GlanceStore,
    Image,
    IntegrityError,
    Location,
    LocationsFrom,
    NotFoundError,
    UnavailableError,
    UnsupportedError,
    parse_location,
)
from clonepolicy.adapters.glance._api import (
    GlanceApi,
    Patience,
    UploadStream,
    translate_errors,
    verified_data,
)
from clonepolicy.adapters.records import image_from_v2, locations_from_v2
from clonepolicy.adapters.records._glance import HAS_DATA
from clonepolicy.ports import why_unread

_BEFORE_ACTIVE = {"queued", "saving", "importing", "uploading"}
_WITHOUT_DATA = {"queued", "saving"}
_RUNNING = frozenset({"pending", "processing"})


@attrs.frozen(kw_only=True)
class _Registration:
    """What Glance shows of one location of one image, at one moment."""

    status: str | None
    """The image's status; None: neither user sees the image."""
    shown: bool | None
    """Whether the image shows the location; None if that is unknown."""
    tasks: frozenset[str]
    """The status of each of Glance's tasks that register the location."""

    @property
    def running(self) -> bool:
        return not self.tasks.isdisjoint(_RUNNING)

    @property
    def may_be_shown(self) -> bool:
        if self.shown is not None:
            return self.shown
        return self.status not in _BEFORE_ACTIVE and self.tasks != {"failure"}


@attrs.frozen
class GlanceImages:
    """An `ImageService` that acts for one requester.

    Args:
        client: the requester's ``glanceclient.Client("2", …)``.
        service_client: a client with the credentials of the ``[glance]``
            user in cinder.conf, for the locations API.  None: use the
            requester's.
        service_roles: the roles of that user.
        stores: Glance's cinder stores.
        show_multiple_locations: this option of glance-api.conf, which no API
            shows.
        set_image_location: whether Glance's policy of this name lets the
            requester set locations by the image API; no API shows it, and
            None means not known.
        asks_download: if true, open the image's data to learn whether the
            requester may download it; for a cinder store Glance then
            attaches the volume.  If false, everybody who sees an image may
            download it, as Glance's default ``download_image`` policy allows
            to project members (glance 33.0.0 ``policies/image.py``).
        patience: how long to wait for Glance.
        endpoints: those of Glance that have had the locations API, which no
            later release removes.  They are not asked for their version
            again; a caller may keep the set for its next requester.
    """

    client: Any = attrs.field(repr=False)
    service_client: Any = attrs.field(default=None, kw_only=True, repr=False)
    service_roles: frozenset[str] = attrs.field(
        default=frozenset(), kw_only=True
    )
    stores: tuple[GlanceStore, ...] = attrs.field(default=(), kw_only=True)
    show_multiple_locations: bool = attrs.field(default=False, kw_only=True)
    set_image_location: bool | None = attrs.field(default=None, kw_only=True)
    asks_download: bool = attrs.field(default=False, kw_only=True)
    patience: Patience = attrs.field(factory=Patience, kw_only=True)
    endpoints: set[str] = attrs.field(
        factory=set, kw_only=True, eq=False, repr=False
    )

    @property
    def _requester(self) -> GlanceApi:
        return GlanceApi(self.client, self.patience, self.endpoints)

    @property
    def _service(self) -> GlanceApi:
        own = self.service_client
        client = self.client if own is None else own
        return GlanceApi(client, self.patience, self.endpoints)

    def get_config(self) -> GlanceConfig:
        """Return what Glance offers; no API shows more than its version."""
        return GlanceConfig(
            has_location_api=self._requester.has_location_api(),
            show_multiple_locations=self.show_multiple_locations,
            set_image_location=self.set_image_location,
            service_roles=self.service_roles,
            stores=self.stores,
        )

    def read(self, image_id: str) -> Mapping[str, Any]:
        """Read an image as the API shows it, with one request.

        Raises:
            NotFoundError: the requester does not see the image.
        """
        return self._requester.image(image_id)

    def get_image(self, image_id: str) -> Image:
        """Read an image, and which interface shows its locations.

        Raises:
            NotFoundError: the requester does not see the image.
        """
        return self.get_image_and_locations(image_id)[0]

    def get_image_and_locations(
        self, image_id: str
    ) -> tuple[Image, tuple[Location, ...]]:
        """Read an image and its locations, each once.

        If no locations can be read, ``locations_from`` of the image says why.

        Raises:
            NotFoundError: the requester does not see the image.
        """
        body = self._requester.image(image_id)
        locations: tuple[Location, ...] = ()
        try:
            locations_from, locations = self._find_locations(image_id, body)
        except AdapterError as error:
            locations_from = why_unread(error)
        downloadable = not self.asks_download or self.may_download(image_id)
        with translate_errors(f"reading image {image_id}"):
            image = image_from_v2(
                body,
                visible=True,
                downloadable=downloadable,
                locations_from=locations_from,
            )
        return image, locations

    def may_download(self, image_id: str) -> bool:
        """Ask Glance for the data, and return whether it is given."""
        # without Range: some stores refuse it even when the policy allows
        try:
            self._requester.open_data(image_id).close()
        except ForbiddenError:
            return False
        return True

    def download(self, image_id: str) -> Iterator[bytes]:
        """Yield the image's data, checked against its size and hash.

        Raises:
            IntegrityError: the data differs from ``size`` or
                ``os_hash_value`` as read before; raised at the end at the
                latest.
            ConflictError: the image is not active.
        """
        action = f"downloading image {image_id}"
        body = self._requester.image(image_id)
        with translate_errors(action):
            image = image_from_v2(body)
        if image.status != "active":
            raise ConflictError(f"{action}: it is {image.status}")
        yield from verified_data(image, self._requester.open_data(image_id))

    def upload(self, image_id: str, data: Iterable[bytes]) -> None:
        """Give a queued image its data, after which it is active.

        Raises:
            ConflictError: the image is not queued; no data is read.
            IntegrityError: Glance received part of the data; the image is
                deleted.
            AdapterError: the upload failed.
        """
        action = f"uploading to image {image_id}"
        status = self._requester.status(image_id)
        if status != "queued":
            raise ConflictError(f"{action}: it is {status}")
        with UploadStream(data) as stream:
            try:
                self._requester.put_data(image_id, stream)
            except UnavailableError:
                # perhaps only the answer was lost
                if self._is_complete(image_id, stream):
                    return
                raise
        if not self._is_complete(image_id, stream):
            self._requester.delete(image_id)
            message = f"{action}: not all {stream.size} bytes arrived"
            raise IntegrityError(message)

    def _is_complete(self, image_id: str, stream: UploadStream) -> bool:
        """Wait until Glance has stored the data; compare its size."""
        if not stream.exhausted:
            return False
        self.patience.wait_until(
            f"uploading to image {image_id}",
            lambda: self._requester.status(image_id) != "saving",
        )
        body = self._requester.image(image_id)
        return (body["status"], body.get("size")) == ("active", stream.size)

    def discard(self, image_id: str) -> None:
        """Delete an image that has no data; leave any other alone.

        Glance has no conditional delete: data that somebody else uploads
        between the check and the deletion is lost.

        Raises:
            UnavailableError: Glance did not decide in time whether the
                image gets data.
            ForbiddenError: the image is protected, or another user's.
        """

        def is_discarded() -> bool:
            try:
                tasks = self._service.import_tasks(image_id)
                if any(status in _RUNNING for _, status in tasks):
                    return False
                if self._requester.status(image_id) in _WITHOUT_DATA:
                    self._requester.delete(image_id)
            except NotFoundError:
                pass
            return True

        self.patience.wait_until(f"discarding image {image_id}", is_discarded)

    def get_locations(self, image_id: str) -> tuple[Location, ...]:
        """Read the locations of the image's data, in Glance's order.

        The service user asks the locations API.  If that fails for any
        reason, the locations that the image itself shows are returned.

        Raises:
            ForbiddenError: the service user does not see the image, which
                shows no locations.
            AdapterError: the API failed for another reason than missing
                rights or an old Glance, and the image shows no locations.
        """
        body = self._requester.image(image_id)
        return self._find_locations(image_id, body)[1]

    def _find_locations(
        self, image_id: str, body: Mapping[str, Any]
    ) -> tuple[LocationsFrom, tuple[Location, ...]]:
        action = f"reading locations of image {image_id}"
        shown = "locations" in body or body.get("direct_url") is not None
        try:
            found = self._service.locations(image_id)
            with translate_errors(action):
                return LocationsFrom.LOCATIONS_API, locations_from_v2(found)
        except (ForbiddenError, UnsupportedError):
            if not shown and body.get("status") in HAS_DATA:
                return LocationsFrom.HIDDEN, ()
        except NotFoundError as error:
            if not shown:
                # the requester sees the image
                raise ForbiddenError(
                    f"{action}: the [glance] user does not see it; give that "
                    "user the role admin"
                ) from error
        except AdapterError:
            if not shown:
                raise
        with translate_errors(action):
            return LocationsFrom.IMAGE, locations_from_v2(body)

    def add_location(self, image_id: str, location: CinderLocation) -> None:
        """Register a location; do nothing if the image shows it already.

        Glance registers it in the background; `verify_location` waits for
        the result.
        """
        try:
            self._register(image_id, str(location))
        except AdapterError:
            now = self._inspect(image_id, location)
            if not (now.shown or now.running):
                raise

    def _register(self, image_id: str, url: str) -> None:
        try:
            self._service.post_location(image_id, url)
        except (ForbiddenError, NotFoundError, UnsupportedError):
            # PATCH would add a second source of data to an active image
            status = self._requester.status(image_id)
            if status != "queued":
                raise ConflictError(
                    f"image {image_id} is {status}: only a queued image "
                    "takes a location"
                ) from None
            self._requester.patch_location(image_id, url)

    def verify_location(self, image_id: str, location: CinderLocation) -> None:
        """Return once the image is active and shows the location.

        Raises:
            ConflictError: Glance did not take the location, or the image has
                other data.
            ForbiddenError: no interface shows the image's locations.
            NotFoundError: the image is gone.
            UnavailableError: Glance did not decide in time.
        """
        self.patience.wait_until(
            f"registering {location} on image {image_id}",
            lambda: self._is_verified(image_id, location),
        )

    def _is_verified(self, image_id: str, location: CinderLocation) -> bool:
        # without the tasks: Glance may hash the image after it is active
        if self._is_active(image_id, location):
            return True
        if not self._tasks(image_id, location).isdisjoint(_RUNNING):
            return False
        now = self._inspect(image_id, location)
        if now.status is None:
            raise NotFoundError(f"image {image_id} is gone")
        if now.status == "active" and now.shown:
            return True
        if now.running:
            return False
        if now.shown is None:
            raise ForbiddenError(
                f"no interface shows locations of image {image_id}: give the "
                "[glance] user the roles service and admin"
            )
        if now.status in _BEFORE_ACTIVE and (now.shown or not now.tasks):
            return False
        raise ConflictError(
            f"image {image_id} is {now.status} and did not take {location}: "
            "see Glance's log"
        )

    def _is_active(self, image_id: str, location: CinderLocation) -> bool:
        try:
            body = self._requester.image(image_id)
        except NotFoundError:
            return False
        return body["status"] == "active" and bool(
            self._is_shown(image_id, location, body)
        )

    def withdraw_location(
        self, image_id: str, location: CinderLocation
    ) -> None:
        """Return once the image does not show the location, or raise.

        A location that the image shows is never removed: Glance would delete
        the volume behind it (glance 33.0.0 ``location.py``,
        ``StoreLocations.pop``).  A registration that Glance is working on is
        waited for.  If Glance has no task for the location, an earlier
        request may still arrive, for which ``patience.grace`` is waited.

        Raises:
            ConflictError: the image shows the location, or may show it.
            UnavailableError: Glance did not decide in time.
        """
        end_of_grace = time.monotonic() + self.patience.grace

        def is_withdrawn() -> bool:
            in_grace = time.monotonic() < end_of_grace
            now = self._inspect(image_id, location)
            if now.status is None:
                return True
            if now.running:
                return False
            if now.may_be_shown:
                raise ConflictError(
                    f"image {image_id} is {now.status} and shows {location}, "
                    "or may show it: if nobody needs the image, delete it"
                )
            may_arrive = now.status == "queued" and not now.tasks
            return not (may_arrive and in_grace)

        self.patience.wait_until(
            f"withdrawing {location} from image {image_id}", is_withdrawn
        )

    def _inspect(
        self, image_id: str, location: CinderLocation
    ) -> _Registration:
        # tasks first: the image then shows the result of a finished task
        tasks = self._tasks(image_id, location)
        for api in (self._requester, self._service):
            try:
                body = api.image(image_id)
            except NotFoundError:
                continue
            shown = self._is_shown(image_id, location, body)
            return _Registration(
                status=body["status"], shown=shown, tasks=tasks
            )
        return _Registration(status=None, shown=False, tasks=tasks)

    def _tasks(
        self, image_id: str, location: CinderLocation
    ) -> frozenset[str]:
        """Return the status of each of Glance's tasks for the location."""
        return frozenset(
            status
            for url, status in self._service.import_tasks(image_id)
            if _same_volume(parse_location(url), location)
        )

    def _is_shown(
        self, image_id: str, location: CinderLocation, body: Mapping[str, Any]
    ) -> bool | None:
        try:
            source, found = self._find_locations(image_id, body)
        except UnavailableError:
            raise
        except AdapterError:
            return None
        if any(_same_volume(other, location) for other in found):
            return True
        complete = source is LocationsFrom.LOCATIONS_API or "locations" in body
        return False if complete else None


def _same_volume(other: Location, location: CinderLocation) -> bool:
    """Compare volume ids only: Glance adds the store's name to a URL."""
    return (
        isinstance(other, CinderLocation)
        and other.volume_id == location.volume_id
    )
