"""`GlanceImages`: the image service, by python-glanceclient."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import attrs

from clonepolicy import (
    AdapterError,
    ConflictError,
    ForbiddenError,
    GlanceConfig,
    GlanceStore,
    Image,
    IntegrityError,
    LocationsFrom,
    NotFoundError,
    UnavailableError,
)
from clonepolicy.adapters.glance._errors import translate_errors
from clonepolicy.adapters.glance._image_data import (
    UploadStream,
    verified_data,
)
from clonepolicy.adapters.glance._locations import (
    TASK_RUNNING,
    GlanceLocations,
)
from clonepolicy.adapters.records import image_from_v2

_WITHOUT_DATA = {"queued", "saving"}


@attrs.frozen
class GlanceImages(GlanceLocations):
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
        asks_download: if true, open the image's data to learn whether the
            requester may download it; for a cinder store Glance then
            attaches the volume.  If false, everybody who sees an image may
            download it, as Glance's default ``download_image`` policy allows
            to project members (glance 33.0.0 ``policies/image.py``).
        patience: how long to wait for Glance.
    """

    service_roles: frozenset[str] = attrs.field(
        default=frozenset(), kw_only=True
    )
    stores: tuple[GlanceStore, ...] = attrs.field(default=(), kw_only=True)
    show_multiple_locations: bool = attrs.field(default=False, kw_only=True)
    asks_download: bool = attrs.field(default=False, kw_only=True)

    def get_config(self) -> GlanceConfig:
        """Return what Glance offers; no API shows more than its version."""
        return GlanceConfig(
            has_location_api=self._requester.has_location_api(),
            show_multiple_locations=self.show_multiple_locations,
            service_roles=self.service_roles,
            stores=self.stores,
        )

    def get_image(self, image_id: str) -> Image:
        """Read an image, and which interface shows its locations.

        Raises:
            NotFoundError: the requester does not see the image.
        """
        body = self._requester.image(image_id)
        try:
            locations_from, _ = self._find_locations(image_id, body)
        except AdapterError:
            locations_from = LocationsFrom.UNREADABLE
        downloadable = not self.asks_download or self._may_download(image_id)
        with translate_errors(f"reading image {image_id}"):
            return image_from_v2(
                body,
                visible=True,
                downloadable=downloadable,
                locations_from=locations_from,
            )

    def _may_download(self, image_id: str) -> bool:
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
            message = f"{action}: it is {image.status}"
            raise ConflictError(message)
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
            message = f"{action}: it is {status}"
            raise ConflictError(message)
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
                tasks = self._import_tasks(image_id)
                if any(status in TASK_RUNNING for _, status in tasks):
                    return False
                if self._requester.status(image_id) in _WITHOUT_DATA:
                    self._requester.delete(image_id)
            except NotFoundError:
                pass
            return True

        self.patience.wait_until(f"discarding image {image_id}", is_discarded)
