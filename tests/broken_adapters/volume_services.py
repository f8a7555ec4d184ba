"""Volume services that return wrong facts, or exceed quotas."""

from __future__ import annotations

import attrs
from typing_extensions import override

from broken_adapters._registry import broken_volumes
from clonepolicy import (
    Backend,
    CacheEntry,
    Quota,
    QuotaError,
    Volume,
    VolumeType,
)
from clonepolicy.adapters.memory import POOL, MemoryVolumes
from memory_harnesses import OWNER


@broken_volumes("makes-unique-volume-ids")
class GivesOneId(MemoryVolumes):
    """It returns the same id at each call."""

    @override
    def new_id(self) -> str:
        return "00000000-0000-4000-8000-000000000000"


@broken_volumes("makes-unique-volume-ids")
class GivesHexadecimals(MemoryVolumes):
    """It returns ids without hyphens."""

    @override
    def new_id(self) -> str:
        return super().new_id().replace("-", "")


@broken_volumes("returns-the-facts-of-a-volume")
class CountsInMiB(MemoryVolumes):
    """It returns a volume's size in MiB."""

    @override
    def get_volume(self, volume_id: str) -> Volume:
        volume = super().get_volume(volume_id)
        return attrs.evolve(volume, size=volume.size * 1024)


@broken_volumes("returns-the-facts-of-a-volume")
class SeesNoUpload(MemoryVolumes):
    """It returns the previous status of a volume that is uploading."""

    @override
    def get_volume(self, volume_id: str) -> Volume:
        volume = super().get_volume(volume_id)
        status = volume.previous_status or volume.status
        return attrs.evolve(volume, status=status)


@broken_volumes(
    "reports-a-missing-volume-as-not-found", "refuses-hostile-volume-ids"
)
class FindsAnyVolume(MemoryVolumes):
    """It finds a volume under any id."""

    @override
    def get_volume(self, volume_id: str) -> Volume:
        if volume_id in self.cloud.volumes:
            return super().get_volume(volume_id)
        return Volume(
            id=volume_id or "none", project_id=OWNER, size=1, status="error"
        )


@broken_volumes(
    "reports-a-missing-volume-as-not-found", "refuses-hostile-volume-ids"
)
class PublishesNothing(MemoryVolumes):
    """It publishes a missing volume without an error."""

    @override
    def publish(self, volume_id: str) -> None:
        if volume_id in self.cloud.volumes:
            super().publish(volume_id)


@broken_volumes(
    "reports-a-missing-volume-as-not-found", "refuses-hostile-volume-ids"
)
class WritesIntoThinAir(MemoryVolumes):
    """It writes the metadata of a missing volume without an error."""

    @override
    def set_metadata(self, volume_id: str, key: str, value: str) -> None:
        if volume_id in self.cloud.volumes:
            super().set_metadata(volume_id, key, value)


@broken_volumes("ignores-the-cleanup-of-a-missing-volume")
class WantsAVolumeToFail(MemoryVolumes):
    """It cannot put a missing volume into error."""

    @override
    def fail(self, volume_id: str) -> None:
        self.get_volume(volume_id)
        super().fail(volume_id)


@broken_volumes(
    "ignores-the-cleanup-of-a-missing-volume",
    "deletes-image-volumes-idempotently",
)
class DeletesOnlyOnce(MemoryVolumes):
    """It fails to delete a missing volume."""

    @override
    def delete_image_volume(self, volume_id: str) -> None:
        self.get_volume(volume_id)
        super().delete_image_volume(volume_id)


@broken_volumes("returns-the-array-of-a-volume")
class CountsArrays(MemoryVolumes):
    """It returns another array at each call."""

    @override
    def get_backend(self, volume: Volume) -> Backend:
        return Backend(array_id=self.cloud.new_id())


@broken_volumes("returns-no-array-for-an-unknown-host")
class HasOneArrayForAll(MemoryVolumes):
    """It returns its own array for every host."""

    @override
    def get_backend(self, volume: Volume) -> Backend:
        return self.cloud.arrays[POOL].get_backend()


@broken_volumes("returns-no-cache-entry-for-an-unknown-image")
class HasNoTuple(MemoryVolumes):
    """It returns None if the cache has no entry."""

    @override
    def get_cache_entries(self, image_id: str) -> tuple[CacheEntry, ...]:
        return super().get_cache_entries(image_id) or None  # type: ignore[return-value]  # the defect


@broken_volumes("returns-the-cache-entries-of-one-image")
class GivesTheWholeCache(MemoryVolumes):
    """It returns the entries of every image."""

    @override
    def get_cache_entries(self, image_id: str) -> tuple[CacheEntry, ...]:
        return tuple(self.cloud.cache)


@broken_volumes("returns-the-quota-that-is-left")
class TellsTheLimit(MemoryVolumes):
    """It returns the whole quota instead of what is left of it."""

    @override
    def get_quota(
        self, project_id: str, volume_type: VolumeType | None = None
    ) -> Quota:
        return self.cloud.limits.get(project_id, Quota())


@broken_volumes("returns-no-number-for-an-unlimited-quota")
class TellsZero(MemoryVolumes):
    """It returns no limit as zero."""

    @override
    def get_quota(
        self, project_id: str, volume_type: VolumeType | None = None
    ) -> Quota:
        quota = super().get_quota(project_id, volume_type)
        return attrs.evolve(quota, volumes=quota.volumes or 0)


@broken_volumes("refuses-volumes-beyond-the-quota")
class KnowsNoQuota(MemoryVolumes):
    """It creates image volumes beyond the quota."""

    @override
    def create_image_volume(
        self, volume_id: str, source_id: str, project_id: str
    ) -> None:
        limit = self.cloud.limits.pop(project_id, Quota())
        try:
            super().create_image_volume(volume_id, source_id, project_id)
        finally:
            self.cloud.limits[project_id] = limit


@broken_volumes("refuses-volumes-beyond-the-quota")
class CountsTooLate(MemoryVolumes):
    """It leaves the record of a volume for which there was no quota."""

    @override
    def create_image_volume(
        self, volume_id: str, source_id: str, project_id: str
    ) -> None:
        try:
            super().create_image_volume(volume_id, source_id, project_id)
        except QuotaError:
            source = self.get_volume(source_id)
            made = attrs.evolve(source, id=volume_id, project_id=project_id)
            self.cloud.add_image_volume(made)
            raise
