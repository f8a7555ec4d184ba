"""Uploading to an image, decided and carried out in Cinder's manager."""

from __future__ import annotations

import functools
from typing import Any

import attrs
from cinder import exception
from cinder.image import glance

from clonepolicy import (
    AdapterError,
    ConflictError,
    Plan,
    Ports,
    Register,
    UploadDecision,
    Volume,
    WithdrawLocation,
    decide_upload,
    execute,
    gather_upload,
)
from clonepolicy.adapters.cinder._array import CinderArray
from clonepolicy.adapters.cinder._config import Notes, Settings
from clonepolicy.adapters.cinder._errors import told_as_adapter_error
from clonepolicy.adapters.cinder._images import CinderImages
from clonepolicy.adapters.cinder._report import log_failures, log_unreadable


@attrs.frozen(kw_only=True)
class ManagedArray(CinderArray):
    """The manager's array: its image volumes are volumes like all others.

    Made and deleted by the manager itself, they count in quota, capacity
    and notifications.
    """

    manager: Any
    begun: set[str] = attrs.field(factory=set)
    """The volumes that the manager was asked to create."""

    def clone_volume(self, volume_id: str, source: Volume) -> None:
        """Have the manager create a volume from its source."""
        target = self.get_object(volume_id)
        with self.held(source):
            what = f"clone of volume {source.id}"
            self.begun.add(volume_id)
            with told_as_adapter_error(what):
                self.manager.create_volume(
                    self.volumes.context, target, allow_reschedule=False
                )
                target.refresh()
        if target.status != "available":
            message = f"{what} is {target.status}"
            raise AdapterError(message)

    def discard(self, volume_id: str) -> None:
        """Have the manager delete the volume, row and quota included.

        Raises:
            AdapterError: it did not, or found the volume busy and let it be.
        """
        found = self.volumes.find_object(volume_id)
        if found is None or volume_id not in self.begun:
            return
        with told_as_adapter_error(f"deletion of volume {volume_id}"):
            self.manager.delete_volume(self.volumes.context, found)
        if self.volumes.find_object(volume_id) is not None:
            message = f"volume {volume_id} is busy"
            raise ConflictError(message)


@attrs.frozen(kw_only=True, slots=False)
class Uploading:
    """One run of ``VolumeManager.copy_volume_to_image``."""

    manager: Any
    context: Any
    volume_id: str
    image_id: str

    @functools.cached_property
    def _ports(self) -> Ports:
        with told_as_adapter_error(f"image {self.image_id}"):
            service, _ = glance.get_remote_image_service(
                self.context, self.image_id
            )
        volumes = self.manager.service.volumes(self.context)
        return Ports(
            images=CinderImages(
                context=self.context,
                image_service=service,
                settings=self.manager.service.settings,
            ),
            volumes=volumes,
            array=self.manager.service.array(
                volumes, ManagedArray, manager=self.manager
            ),
        )

    def decide(self) -> UploadDecision | None:
        """Decide and tell; without facts there is nothing to decide.

        Cinder's API has let the volume into status uploading; an attached
        one only if the requester forced it and the option lets them.
        """
        settings: Settings = self.manager.service.settings
        try:
            ports = self._ports
            volume = ports.volumes.get_volume(self.volume_id)
            request = gather_upload(
                self.volume_id,
                self.image_id,
                self.context.project_id,
                # both were asked by cinder-api, whose file may be another
                attrs.evolve(
                    self.manager.service.config(),
                    enable_force_upload=True,
                    allow_compression_on_image_upload=True,
                ),
                ports,
                force=volume.previous_status == "in-use",
            )
            decision = decide_upload(request, settings.policy)
        except Exception as error:  # noqa: BLE001 - Cinder can go on without
            log_unreadable("upload", error)
            return None
        self.manager.service.tell(self.context, decision)
        return decision

    def register(self, decision: UploadDecision | None) -> bool:
        """Register a clone if that is the decision; say if one is.

        Raises:
            cinder.exception.VolumeBackendAPIException: the image may have
                the location, and bytes must not follow it.
        """
        settings: Settings = self.manager.service.settings
        if not isinstance(decision, Register) or (
            decision.notes and settings.notes is Notes.DECLINE
        ):
            return False
        outcome = execute(Plan(decision.plan.attempts[:1]), self._ports)
        log_failures(outcome)
        if any(isinstance(f.step, WithdrawLocation) for f in outcome.failures):
            if outcome.attempt is not None:
                return True
            left = ", ".join(outcome.ids.values())
            message = f"image volume {left} could not be taken back"
            raise exception.VolumeBackendAPIException(data=message)
        return outcome.attempt is not None
