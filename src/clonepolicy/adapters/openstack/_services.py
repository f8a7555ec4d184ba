"""Ports over what a cloud tells: they read, and have nothing else."""

from __future__ import annotations

from collections.abc import Callable

import attrs

from clonepolicy import (
    Backend,
    CacheEntry,
    GiB,
    GlanceConfig,
    Host,
    Image,
    Location,
    Quota,
    RbdLocation,
    UnsupportedError,
    Volume,
    VolumeType,
)
from clonepolicy.adapters.openstack._facts import CloudFacts
from clonepolicy.ports import Inspection, StoredImage, StoredVolume


@attrs.frozen
class ReadImages:
    """An image service with one image, which was read before."""

    image: Image
    locations: tuple[Location, ...]
    config: GlanceConfig

    def get_image(self, _image_id: str) -> Image:
        """Return the image."""
        return self.image

    def get_locations(self, _image_id: str) -> tuple[Location, ...]:
        """Return its locations, as far as they are known."""
        return self.locations

    def get_config(self) -> GlanceConfig:
        """Return what Glance offers."""
        return self.config


@attrs.frozen
class CloudVolumes:
    """A volume service over Cinder's API."""

    facts: CloudFacts
    backend_of: Callable[[Host | None], Backend]

    def get_volume(self, volume_id: str) -> Volume:
        """Read a volume."""
        return self.facts.volume(volume_id).record

    def get_backend(self, volume: Volume) -> Backend:
        """Return the backend of a volume's pool."""
        return self.backend_of(volume.host)

    def get_cache_entries(self, _image_id: str) -> tuple[CacheEntry, ...]:
        """Say that no API shows the cache.

        Raises:
            UnsupportedError: always.
        """
        raise UnsupportedError("no API shows the image-volume cache")

    def get_quota(self, project_id: str, kind: VolumeType | None) -> Quota:
        """Read what a project has left."""
        return self.facts.quota(project_id, kind)


@attrs.frozen
class PoolArray:
    """The array of a pool, which no API reaches.

    Of the images that Glance says are on it, it is taken for granted that
    they are.
    """

    backend: Backend
    image: Image

    def get_backend(self) -> Backend:
        """Return what is known of the array."""
        return self.backend

    def find_image(self, location: Location) -> StoredImage | None:
        """Return the image where its location says.

        Raises:
            UnsupportedError: it is no location of this array.
        """
        here = isinstance(location, RbdLocation) and (
            "rbd" in self.backend.image_schemes
            and self.backend.array_id in {None, location.fsid}
        )
        if not here:
            raise UnsupportedError(f"{location} is no image of this array")
        size = self.image.size
        return StoredImage(size=None if size is None else -(-size // GiB))

    def inspect(self, source: str | Location) -> Inspection:
        """Say that no API inspects data.

        Raises:
            UnsupportedError: always.
        """
        raise UnsupportedError(f"no API inspects {source}")

    def stat(self, volume_id: str) -> StoredVolume | None:
        """Say that no API reaches the array.

        Raises:
            UnsupportedError: always.
        """
        raise UnsupportedError(f"no API counts the clones of {volume_id}")
