"""Carry out one step by calling one port."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import assert_never

import attrs

from clonepolicy._errors import IntegrityError, StaleError
from clonepolicy._facts.locations import CinderLocation
from clonepolicy._facts.records import Image, Inspection
from clonepolicy.plan import _steps as steps
from clonepolicy.plan._steps import LocationStep, Step, VolumeId, VolumeRef
from clonepolicy.ports._checks import volume_changed
from clonepolicy.ports._observer import Observer
from clonepolicy.ports._services import Ports


@attrs.frozen(kw_only=True)
class Performer:
    """Carries out steps, with the ids that the plan's references stand for."""

    ports: Ports
    ids: Mapping[VolumeRef, str]
    observer: Observer

    def perform(self, step: Step) -> None:  # noqa: C901, PLR0912, PLR0915 - one case for each step
        """Carry out one step.

        Raises:
            AdapterError: the port failed, or a fact that the decision
                relied on has changed (`StaleError`).
        """
        images, volumes = self.ports.images, self.ports.volumes
        array, volume_id = self.ports.array, self._volume_id
        match step:
            case steps.CloneVolume(target, source, image):
                self._check_unchanged(image)
                now = volumes.get_volume(source.id)
                if volume_changed(source, now):
                    raise StaleError(f"volume {source.id} has changed")
                array.clone_volume(volume_id(target), now)
                self._check_content(volume_id(target), source.inspection)
            case steps.CloneImage(target, location, stored, image):
                self._check_unchanged(image)
                found = array.find_image(location)
                if found is None or stored != attrs.evolve(
                    found, clones=stored.clones, inspection=stored.inspection
                ):
                    raise StaleError(f"{location} has changed")
                array.clone_image(volume_id(target), location)
                self._check_content(volume_id(target), stored.inspection)
            case steps.ExtendVolume(target, size):
                array.extend(volume_id(target), size)
            case steps.DownloadImage(target, image_id):
                self._download(volume_id(target), image_id)
            case steps.PublishVolume(target):
                volumes.publish(volume_id(target))
            case steps.FailVolume(target):
                volumes.fail(volume_id(target))
            case steps.CreateImageVolume(target, source_id, project_id):
                volumes.create_image_volume(
                    volume_id(target), source_id, project_id
                )
            case steps.SetVolumeMetadata(target, key, value):
                volumes.set_metadata(volume_id(target), key, value)
            case steps.SetVolumeReadonly(target):
                volumes.set_readonly(volume_id(target))
            case steps.AddLocation():
                images.add_location(step.image_id, self._location(step))
            case steps.VerifyLocation():
                images.verify_location(step.image_id, self._location(step))
            case steps.WithdrawLocation():
                images.withdraw_location(step.image_id, self._location(step))
            case steps.UploadImage(image_id, target):
                images.upload(image_id, self._counted(array.read(target)))
            case steps.DiscardImage(image_id):
                images.discard(image_id)
            case steps.RestoreVolume(target):
                volumes.restore(target)
            case steps.DiscardVolume(target):
                array.discard(volume_id(target))
            case steps.DeleteImageVolume(target):
                volumes.delete_image_volume(volume_id(target))
            case steps.UnpublishVolume(target):
                volumes.unpublish(volume_id(target))
            case _:
                assert_never(step)

    def _volume_id(self, known: VolumeId) -> str:
        return known if isinstance(known, str) else self.ids[known]

    def _location(self, step: LocationStep) -> CinderLocation:
        return CinderLocation(self._volume_id(step.volume_id), step.store)

    def _check_unchanged(self, relied: Image | None) -> None:
        if relied is None:
            return
        now = self.ports.images.get_image(relied.id)
        if relied != attrs.evolve(
            now,
            locations_from=relied.locations_from,
            direct_url=relied.direct_url,
        ):
            raise StaleError(f"image {relied.id} has changed")

    def _check_content(self, clone: str, relied: Inspection) -> None:
        """Inspect a clone: its source may have been written to meanwhile."""
        refused = Inspection.REFUSED
        if relied is not refused and self.ports.array.inspect(clone) is (
            refused
        ):
            message = f"the data of clone {clone} is refused by inspection"
            raise IntegrityError(message)

    def _download(self, volume_id: str, image_id: str) -> None:
        image = self.ports.images.get_image(image_id)
        if image.status != "active":
            raise StaleError(f"image {image_id} is {image.status}")
        size = self.ports.volumes.get_volume(volume_id).size
        data = self._counted(self.ports.images.download(image_id))
        self.ports.array.write(volume_id, size, image, data)

    def _counted(self, data: Iterator[bytes]) -> Iterator[bytes]:
        for piece in data:
            self.observer.moved(len(piece))
            yield piece
