"""The image service over python-glanceclient."""

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
from clonepolicy.adapters.glance._api import Api
from clonepolicy.adapters.glance._data import Source, checked
from clonepolicy.adapters.glance._errors import told_as_adapter_error
from clonepolicy.adapters.glance._patience import Patience
from clonepolicy.adapters.records import image_from_v2, locations_from_v2

_WITHOUT_DATA = {"queued", "saving"}
_ON_THE_WAY = {"queued", "saving", "importing", "uploading"}
_UNDECIDED = {"pending", "processing"}


@attrs.frozen(kw_only=True)
class _Look:
    """What is to be seen of one location of one image, at one moment."""

    status: str | None
    """The image's; None: there is no such image."""
    shows: bool | None
    """None: no interface tells."""
    imports: frozenset[str]
    """Status of each of Glance's tasks that take the location."""

    @property
    def undecided(self) -> bool:
        return not self.imports.isdisjoint(_UNDECIDED)


@attrs.frozen
class GlanceImages:
    """An `ImageService` on behalf of the requester whose client it is given.

    Args:
        client: the requester's ``glanceclient.Client("2", …)``.
        service_client: one with the credentials of cinder.conf's
            ``[glance]``, for the locations API; None: the requester's.
        service_roles: the roles of that user.
        stores: Glance's cinder stores.
        show_multiple_locations: glance-api.conf's, which no API tells.
        asks_download: ask Glance whether the requester may have the data,
            by opening it.  For a cinder store that attaches the volume.
            Otherwise whoever sees an image may have it, as Glance's
            default for ``download_image`` says of every project member
            (glance 33.0.0 ``policies/image.py``).
        patience: how long to wait.
    """

    client: Any = attrs.field(repr=False)
    service_client: Any = attrs.field(default=None, kw_only=True, repr=False)
    service_roles: frozenset[str] = attrs.field(
        default=frozenset(), kw_only=True
    )
    stores: tuple[GlanceStore, ...] = attrs.field(default=(), kw_only=True)
    show_multiple_locations: bool = attrs.field(default=False, kw_only=True)
    asks_download: bool = attrs.field(default=False, kw_only=True)
    patience: Patience = attrs.field(factory=Patience, kw_only=True)

    @property
    def _requester(self) -> Api:
        return Api(self.client, self.patience)

    @property
    def _service(self) -> Api:
        client = self.service_client
        return Api(self.client if client is None else client, self.patience)

    def get_config(self) -> GlanceConfig:
        """Tell what Glance offers; only its versions are asked of it."""
        return GlanceConfig(
            has_location_api=self._requester.has_location_api(),
            show_multiple_locations=self.show_multiple_locations,
            service_roles=self.service_roles,
            stores=self.stores,
        )

    def get_image(self, image_id: str) -> Image:
        """Read an image; `NotFoundError` if the requester sees none.

        Its locations are read too, to tell which interface shows them.
        """
        body = self._requester.image(image_id)
        try:
            told, _ = self._find_locations(image_id, body)
        except AdapterError:
            told = LocationsFrom.UNREADABLE
        may = not self.asks_download or self._may_download(image_id)
        with told_as_adapter_error(f"reading image {image_id}"):
            return image_from_v2(
                body, visible=True, downloadable=may, locations_from=told
            )

    def _may_download(self, image_id: str) -> bool:
        # no Range: some stores refuse it, after the policy was asked
        try:
            self._requester.open_data(image_id).close()
        except ForbiddenError:
            return False
        return True

    def get_locations(self, image_id: str) -> tuple[Location, ...]:
        """Read where the image's data lies, in Glance's order.

        The locations API is asked with the service user's credentials;
        where that fails, in whatever way, what the image shows counts.

        Raises:
            AdapterError: it failed in a way that does not say that the
                API is closed, and the image shows nothing.
        """
        body = self._requester.image(image_id)
        return self._find_locations(image_id, body)[1]

    def _find_locations(
        self, image_id: str, body: Mapping[str, Any]
    ) -> tuple[LocationsFrom, tuple[Location, ...]]:
        what = f"reading locations of image {image_id}"
        try:
            found = self._service.locations(image_id)
            with told_as_adapter_error(what):
                return LocationsFrom.LOCATIONS_API, locations_from_v2(found)
        except (ForbiddenError, UnsupportedError):
            pass
        except AdapterError:
            if "locations" not in body and "direct_url" not in body:
                raise
        with told_as_adapter_error(what):
            return LocationsFrom.IMAGE, locations_from_v2(body)

    def add_location(self, image_id: str, location: CinderLocation) -> None:
        """Register a location; fine if the image shows it already.

        Glance takes it later: `verify_location` waits for that.
        """
        try:
            self._add(image_id, str(location))
        except AdapterError:
            look = self._look(image_id, location)
            if not (look.shows or look.undecided):
                raise

    def _add(self, image_id: str, url: str) -> None:
        try:
            self._service.post_location(image_id, url)
        except (ForbiddenError, NotFoundError, UnsupportedError):
            # PATCH would give an active image's data a second source
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
            ConflictError: Glance did not take it, or the image went
                another way.
            ForbiddenError: no interface shows the image's locations.
            NotFoundError: the image is gone.
            UnavailableError: Glance has not decided in time.
        """
        self.patience.wait_until(
            f"registering {location} on image {image_id}",
            lambda: self._is_verified(image_id, location),
        )

    def _is_verified(self, image_id: str, location: CinderLocation) -> bool:
        look = self._look(image_id, location)
        if look.status is None:
            message = f"image {image_id} is gone"
            raise NotFoundError(message)
        if look.status == "active" and look.shows:
            return True
        if look.undecided:
            return False
        if look.shows is None:
            message = (
                f"no interface shows locations of image {image_id}: give the "
                "[glance] user the roles service and admin"
            )
            raise ForbiddenError(message)
        if look.status in _ON_THE_WAY and (look.shows or not look.imports):
            return False
        message = (
            f"image {image_id} is {look.status} and did not take {location}: "
            "see Glance's log"
        )
        raise ConflictError(message)

    def withdraw_location(
        self, image_id: str, location: CinderLocation
    ) -> None:
        """Return once the image does not show the location, or raise.

        A location that is shown stays: removing it from the image would
        make Glance delete the volume behind it (glance 33.0.0
        ``location.py``, ``StoreLocations.pop``).  What Glance has not
        decided yet is waited for.  Where it knows of no request for the
        location, one may still be on its way: for that there is a grace.

        Raises:
            ConflictError: the image shows it, or may do so.
            UnavailableError: Glance has not decided in time.
        """
        end_of_grace = time.monotonic() + self.patience.grace

        def is_withdrawn() -> bool:
            in_grace = time.monotonic() < end_of_grace
            look = self._look(image_id, location)
            if look.status is None:
                return True
            if look.undecided:
                return False
            if look.shows or (look.shows is None and _may_show(look)):
                message = (
                    f"image {image_id} is {look.status} and holds {location}, "
                    "or may: delete the image instead"
                )
                raise ConflictError(message)
            late = look.status == "queued" and not look.imports
            return not (late and in_grace)

        self.patience.wait_until(
            f"withdrawing {location} from image {image_id}", is_withdrawn
        )

    def _look(self, image_id: str, location: CinderLocation) -> _Look:
        # the tasks first: what a task that ended did is seen in the rest
        imports = frozenset(
            status
            for url, status in self._imports(image_id)
            if _names(parse_location(url), location)
        )
        body = self._body(image_id)
        if body is None:
            return _Look(status=None, shows=False, imports=imports)
        return _Look(
            status=body["status"],
            shows=self._shows(image_id, location, body),
            imports=imports,
        )

    def _imports(self, image_id: str) -> list[tuple[str, str]]:
        """Read what became of the requests for locations.

        Who may not see the image has not asked Glance for anything either;
        and a Glance that has no such tasks answers 404 too.
        """
        try:
            return self._service.imports(image_id)
        except NotFoundError:
            return []

    def _body(self, image_id: str) -> Mapping[str, Any] | None:
        """Read an image; None only if neither user sees one."""
        for api in (self._requester, self._service):
            try:
                return api.image(image_id)
            except NotFoundError:
                continue
        return None

    def _shows(
        self, image_id: str, location: CinderLocation, body: Mapping[str, Any]
    ) -> bool | None:
        try:
            told, found = self._find_locations(image_id, body)
        except UnavailableError:
            raise
        except AdapterError:
            return None
        if any(_names(other, location) for other in found):
            return True
        all_told = told is LocationsFrom.LOCATIONS_API or "locations" in body
        return False if all_told else None

    def download(self, image_id: str) -> Iterator[bytes]:
        """Give the image's data; `IntegrityError` if it is not that.

        It is compared with ``size`` and ``os_hash_value`` as they were
        recorded before; the error comes at the end at the latest.
        """
        what = f"downloading image {image_id}"
        body = self._requester.image(image_id)
        with told_as_adapter_error(what):
            image = image_from_v2(body)
        if image.status != "active":
            message = f"{what}: it is {image.status}"
            raise ConflictError(message)
        yield from checked(image, self._requester.open_data(image_id))

    def upload(self, image_id: str, data: Iterable[bytes]) -> None:
        """Take an image's data; a queued image becomes active, or none.

        Raises:
            IntegrityError: Glance took other than all of it; the image is
                deleted.
            AdapterError: it was not taken.
        """
        what = f"uploading to image {image_id}"
        status = self._requester.status(image_id)
        if status != "queued":
            message = f"{what}: it is {status}"
            raise ConflictError(message)
        with Source(data) as source:
            try:
                self._requester.put_data(image_id, source)
            except UnavailableError:
                # perhaps only the answer was lost
                if source.ended and self._took(image_id, source.size):
                    return
                raise
        if not (source.ended and self._took(image_id, source.size)):
            self._requester.delete(image_id)
            message = f"{what}: not all {source.size} bytes arrived"
            raise IntegrityError(message)

    def _took(self, image_id: str, size: int) -> bool:
        """Wait until Glance is done with the data; say if it is all there."""

        def is_done() -> bool:
            return self._requester.status(image_id) != "saving"

        self.patience.wait_until(f"uploading to image {image_id}", is_done)
        body = self._requester.image(image_id)
        return (body["status"], body.get("size")) == ("active", size)

    def discard(self, image_id: str) -> None:
        """Delete an image that has no data; leave any other alone.

        Glance cannot be asked to delete on a condition: data that somebody
        else sends between looking and deleting is lost.

        Raises:
            UnavailableError: Glance has not decided in time whether it
                gets data.
            ForbiddenError: the image is protected, or another's.
        """

        def is_discarded() -> bool:
            try:
                imports = self._imports(image_id)
                if any(status in _UNDECIDED for _, status in imports):
                    return False
                if self._requester.status(image_id) in _WITHOUT_DATA:
                    self._requester.delete(image_id)
            except NotFoundError:
                pass
            return True

        self.patience.wait_until(f"discarding image {image_id}", is_discarded)


def _names(other: Location, location: CinderLocation) -> bool:
    """Compare volumes only: Glance writes the store's name in itself."""
    return (
        isinstance(other, CinderLocation)
        and other.volume_id == location.volume_id
    )


def _may_show(look: _Look) -> bool:
    """Say whether an image whose locations nobody tells may show one."""
    return look.status not in _ON_THE_WAY and look.imports != {"failure"}
