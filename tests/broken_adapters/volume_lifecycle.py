"""Volume services that handle image volumes wrongly."""

from __future__ import annotations

from typing_extensions import override

from broken_adapters._registry import broken_volumes
from clonepolicy import ConflictError
from clonepolicy.adapters.memory import MemoryVolumes


@broken_volumes("creates-an-image-volume-like-its-source")
class CopiesMetadata(MemoryVolumes):
    """It copies metadata that a tenant wrote on the source."""

    @override
    def create_image_volume(
        self, volume_id: str, source_id: str, project_id: str
    ) -> None:
        super().create_image_volume(volume_id, source_id, project_id)
        held = self.cloud.volumes
        held[volume_id].metadata.update(held[source_id].metadata)


@broken_volumes("creates-an-image-volume-like-its-source")
class KeepsItAtHome(MemoryVolumes):
    """It gives an image volume to its source's project."""

    @override
    def create_image_volume(
        self, volume_id: str, source_id: str, project_id: str
    ) -> None:
        owner = self.get_volume(source_id).project_id
        super().create_image_volume(volume_id, source_id, owner)


@broken_volumes("creates-an-image-volume-like-its-source")
class MakesItAvailable(MemoryVolumes):
    """It creates an image volume as available, without data."""

    @override
    def create_image_volume(
        self, volume_id: str, source_id: str, project_id: str
    ) -> None:
        super().create_image_volume(volume_id, source_id, project_id)
        self.cloud.set_volume(volume_id, status="available")


@broken_volumes("creates-an-image-volume-like-its-source")
class HoldsTheSource(MemoryVolumes):
    """It changes the source of an image volume."""

    @override
    def create_image_volume(
        self, volume_id: str, source_id: str, project_id: str
    ) -> None:
        super().create_image_volume(volume_id, source_id, project_id)
        self.cloud.set_volume(source_id, multiattach=True)


@broken_volumes("refuses-an-id-that-is-taken")
class ReplacesRecords(MemoryVolumes):
    """It replaces a record that has the same id."""

    @override
    def create_image_volume(
        self, volume_id: str, source_id: str, project_id: str
    ) -> None:
        self.cloud.volumes.pop(volume_id, None)
        super().create_image_volume(volume_id, source_id, project_id)


@broken_volumes("refuses-a-missing-source", "refuses-hostile-volume-ids")
class NeedsNoSource(MemoryVolumes):
    """It creates an image volume without a source."""

    @override
    def create_image_volume(
        self, volume_id: str, source_id: str, project_id: str
    ) -> None:
        if source_id not in self.cloud.volumes:
            source_id = self.cloud.add_volume(project_id, 1).id
        super().create_image_volume(volume_id, source_id, project_id)


@broken_volumes("keeps-the-metadata-of-each-volume")
class ForgetsOtherMetadata(MemoryVolumes):
    """It keeps only the item of metadata that was written last."""

    @override
    def set_metadata(self, volume_id: str, key: str, value: str) -> None:
        self.cloud.volume_row(volume_id).metadata.clear()
        super().set_metadata(volume_id, key, value)


@broken_volumes("keeps-the-metadata-of-each-volume")
class KeepsTheFirstWord(MemoryVolumes):
    """It never replaces an item of metadata."""

    @override
    def set_metadata(self, volume_id: str, key: str, value: str) -> None:
        self.cloud.volume_row(volume_id).metadata.setdefault(key, value)


@broken_volumes("marks-a-volume-as-read-only")
class TurnsTheMark(MemoryVolumes):
    """It removes the mark when it is set again."""

    @override
    def set_readonly(self, volume_id: str) -> None:
        held = self.cloud.volume_row(volume_id)
        held.readonly = not held.readonly


@broken_volumes("marks-a-volume-as-read-only")
class MarksAll(MemoryVolumes):
    """It marks every volume."""

    @override
    def set_readonly(self, volume_id: str) -> None:
        super().set_readonly(volume_id)
        for held in self.cloud.volumes.values():
            held.readonly = True


@broken_volumes("publishes-volumes-idempotently")
class PublishesOnlyOnce(MemoryVolumes):
    """It fails if the volume is already available."""

    @override
    def publish(self, volume_id: str) -> None:
        if self.get_volume(volume_id).status == "available":
            message = f"volume {volume_id} is available already: go on"
            raise ConflictError(message)
        super().publish(volume_id)


@broken_volumes("publishes-volumes-idempotently")
class PublishesAll(MemoryVolumes):
    """It publishes every volume in creation."""

    @override
    def publish(self, volume_id: str) -> None:
        super().publish(volume_id)
        for other in self.cloud.volumes:
            self._change(other, "creating", "available")


@broken_volumes("refuses-to-publish-a-failed-volume")
class PublishesFailures(MemoryVolumes):
    """It publishes a volume in error."""

    @override
    def publish(self, volume_id: str) -> None:
        self.get_volume(volume_id)
        self.cloud.set_volume(volume_id, status="available")


@broken_volumes("unpublishes-volumes-idempotently")
class TakesNothingBack(MemoryVolumes):
    """It does not unpublish volumes."""

    @override
    def unpublish(self, volume_id: str) -> None:
        pass


@broken_volumes(
    "unpublishes-volumes-idempotently",
    "ignores-the-cleanup-of-a-missing-volume",
)
class TakesBackOnlyOnce(MemoryVolumes):
    """It fails if there is nothing to unpublish."""

    @override
    def unpublish(self, volume_id: str) -> None:
        if self.get_volume(volume_id).status == "creating":
            message = f"volume {volume_id} is not available: go on"
            raise ConflictError(message)
        super().unpublish(volume_id)


@broken_volumes("unpublishes-only-available-volumes")
class TakesBackWhatIsUsed(MemoryVolumes):
    """It unpublishes a volume in any status."""

    @override
    def unpublish(self, volume_id: str) -> None:
        if volume_id in self.cloud.volumes:
            self.cloud.set_volume(volume_id, status="creating")


@broken_volumes("fails-volumes-idempotently")
class FailsNothing(MemoryVolumes):
    """It leaves a failed volume in creation."""

    @override
    def fail(self, volume_id: str) -> None:
        pass


@broken_volumes("fails-volumes-idempotently")
class FailsAll(MemoryVolumes):
    """It puts every volume in creation into error."""

    @override
    def fail(self, volume_id: str) -> None:
        for other in self.cloud.volumes:
            super().fail(other)


@broken_volumes("fails-only-volumes-in-creation")
class FailsWhatHasData(MemoryVolumes):
    """It puts a volume in any status into error."""

    @override
    def fail(self, volume_id: str) -> None:
        if volume_id in self.cloud.volumes:
            self.cloud.set_volume(volume_id, status="error")


@broken_volumes("restores-volumes-idempotently")
class RestoresToAvailable(MemoryVolumes):
    """It restores every volume to available."""

    @override
    def restore(self, volume_id: str) -> None:
        self._change(volume_id, "uploading", "available")


@broken_volumes("restores-volumes-idempotently")
class RestoresAll(MemoryVolumes):
    """It restores every volume that is uploading."""

    @override
    def restore(self, volume_id: str) -> None:
        for other in self.cloud.volumes:
            super().restore(other)


@broken_volumes("restores-only-uploading-volumes")
class RestoresWithoutLooking(MemoryVolumes):
    """It makes a volume in any status available."""

    @override
    def restore(self, volume_id: str) -> None:
        if volume_id in self.cloud.volumes:
            self.cloud.set_volume(volume_id, status="available")


@broken_volumes(
    "deletes-image-volumes-idempotently", "returns-the-quota-that-is-left"
)
class DeletesNothing(MemoryVolumes):
    """It does not delete the records of image volumes."""

    @override
    def delete_image_volume(self, volume_id: str) -> None:
        pass


@broken_volumes("deletes-image-volumes-idempotently")
class DeletesAll(MemoryVolumes):
    """It deletes every image volume in creation."""

    @override
    def delete_image_volume(self, volume_id: str) -> None:
        for other in list(self.cloud.volumes):
            if self.cloud.volumes[other].for_image:
                super().delete_image_volume(other)


@broken_volumes("refuses-to-delete-a-volume-with-data")
class ForgetsData(MemoryVolumes):
    """It deletes the record of a volume that has data."""

    @override
    def delete_image_volume(self, volume_id: str) -> None:
        self.cloud.volumes.pop(volume_id, None)


@broken_volumes("refuses-hostile-volume-ids")
class TrimsIds(MemoryVolumes):
    """It removes dots, slashes and blanks around an id."""

    @override
    def fail(self, volume_id: str) -> None:
        super().fail(volume_id.strip("./ "))
