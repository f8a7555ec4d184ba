"""Read, register and withdraw the locations of images."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import attrs

from clonepolicy import (
    AdapterError,
    CinderLocation,
    ConflictError,
    ForbiddenError,
    Location,
    LocationsFrom,
    NotFoundError,
    UnavailableError,
    UnsupportedError,
    parse_location,
)
from clonepolicy.adapters.glance._api import GlanceApi
from clonepolicy.adapters.glance._errors import translate_errors
from clonepolicy.adapters.glance._patience import Patience
from clonepolicy.adapters.records import locations_from_v2

_BEFORE_ACTIVE = {"queued", "saving", "importing", "uploading"}
TASK_RUNNING = frozenset({"pending", "processing"})


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
        return not self.tasks.isdisjoint(TASK_RUNNING)

    @property
    def may_be_shown(self) -> bool:
        if self.shown is not None:
            return self.shown
        return self.status not in _BEFORE_ACTIVE and self.tasks != {"failure"}


@attrs.frozen
class GlanceLocations:
    """The part of an `ImageService` that reads and writes locations."""

    client: Any = attrs.field(repr=False)
    service_client: Any = attrs.field(default=None, kw_only=True, repr=False)
    patience: Patience = attrs.field(factory=Patience, kw_only=True)

    @property
    def _requester(self) -> GlanceApi:
        return GlanceApi(self.client, self.patience)

    @property
    def _service(self) -> GlanceApi:
        client = self.service_client
        return GlanceApi(
            self.client if client is None else client, self.patience
        )

    def get_locations(self, image_id: str) -> tuple[Location, ...]:
        """Read the locations of the image's data, in Glance's order.

        The service user asks the locations API.  If that fails for any
        reason, the locations that the image itself shows are returned.

        Raises:
            AdapterError: the API failed for another reason than missing
                rights or an old Glance, and the image shows no locations.
        """
        body = self._requester.image(image_id)
        return self._find_locations(image_id, body)[1]

    def _find_locations(
        self, image_id: str, body: Mapping[str, Any]
    ) -> tuple[LocationsFrom, tuple[Location, ...]]:
        action = f"reading locations of image {image_id}"
        try:
            found = self._service.locations(image_id)
            with translate_errors(action):
                return LocationsFrom.LOCATIONS_API, locations_from_v2(found)
        except (ForbiddenError, UnsupportedError):
            pass
        except AdapterError:
            if "locations" not in body and "direct_url" not in body:
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
                message = (
                    f"image {image_id} is {status}: only a queued image "
                    "takes a location"
                )
                raise ConflictError(message) from None
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
        now = self._inspect(image_id, location)
        if now.status is None:
            message = f"image {image_id} is gone"
            raise NotFoundError(message)
        if now.status == "active" and now.shown:
            return True
        if now.running:
            return False
        if now.shown is None:
            message = (
                f"no interface shows locations of image {image_id}: give the "
                "[glance] user the roles service and admin"
            )
            raise ForbiddenError(message)
        if now.status in _BEFORE_ACTIVE and (now.shown or not now.tasks):
            return False
        message = (
            f"image {image_id} is {now.status} and did not take {location}: "
            "see Glance's log"
        )
        raise ConflictError(message)

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
                message = (
                    f"image {image_id} is {now.status} and shows {location}, "
                    "or may show it: delete the image instead"
                )
                raise ConflictError(message)
            may_arrive = now.status == "queued" and not now.tasks
            return not (may_arrive and in_grace)

        self.patience.wait_until(
            f"withdrawing {location} from image {image_id}", is_withdrawn
        )

    def _import_tasks(self, image_id: str) -> list[tuple[str, str]]:
        """Read Glance's tasks that register a location: URL and status.

        404 means that there are none: the service user does not see the
        image, and so registered nothing, or Glance has no such tasks.
        """
        try:
            return self._service.import_tasks(image_id)
        except NotFoundError:
            return []

    def _inspect(
        self, image_id: str, location: CinderLocation
    ) -> _Registration:
        # tasks first: the image then shows the result of a finished task
        tasks = frozenset(
            status
            for url, status in self._import_tasks(image_id)
            if _same_volume(parse_location(url), location)
        )
        body = self._visible_image(image_id)
        if body is None:
            return _Registration(status=None, shown=False, tasks=tasks)
        return _Registration(
            status=body["status"],
            shown=self._is_shown(image_id, location, body),
            tasks=tasks,
        )

    def _visible_image(self, image_id: str) -> Mapping[str, Any] | None:
        for api in (self._requester, self._service):
            try:
                return api.image(image_id)
            except NotFoundError:
                continue
        return None

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
