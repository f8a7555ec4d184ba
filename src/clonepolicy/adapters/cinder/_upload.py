"""Uploading to an image, decided and carried out in Cinder's manager."""

from __future__ import annotations

from typing import Any

import attrs
from cinder import exception
from cinder.image import glance

from clonepolicy import (
    AdapterError,
    Plan,
    Ports,
    Register,
    UploadDecision,
    Volume,
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

    def clone_volume(self, volume_id: str, source: Volume) -> None:
        """Have the manager create a volume from its source."""
        target = self.get_object(volume_id)
        with self.held(source):
            what = f"clone of volume {source.id}"
            with told_as_adapter_error(what):
                self.manager.create_volume(
                    self.volumes.context, target, allow_reschedule=False
                )
                target.refresh()
        if target.status != "available":
            message = f"{what} is {target.status}"
            raise AdapterError(message)

    def erase(self, volume_id: str) -> None:
        """Have the manager delete the volume, row and quota included."""
        found = self.volumes.find_object(volume_id)
        if found is not None:
            with told_as_adapter_error(f"deletion of volume {volume_id}"):
                self.manager.delete_volume(self.volumes.context, found)


@attrs.frozen(kw_only=True)
class Uploading:
    """One run of ``VolumeManager.copy_volume_to_image``."""

    manager: Any
    context: Any
    volume_id: str
    image_id: str

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
            ports = self._ports()
            volume = ports.volumes.get_volume(self.volume_id)
            request = gather_upload(
                self.volume_id,
                self.image_id,
                self.context.project_id,
                self.manager.service.config(),
                ports,
                force=volume.previous_status == "in-use",
            )
        except Exception as error:  # noqa: BLE001 - Cinder can go on without
            log_unreadable("upload", error)
            return None
        decision = decide_upload(request, settings.policy)
        self.manager.service.tell(self.context, decision)
        return decision

    def register(self, decision: UploadDecision | None) -> bool:
        """Register a clone if that is the decision; say if one is.

        Raises:
            cinder.exception.VolumeBackendAPIException: what was begun could
                not be undone, and bytes must not follow it.
        """
        settings: Settings = self.manager.service.settings
        if not isinstance(decision, Register) or (
            decision.notes and settings.notes is Notes.DECLINE
        ):
            return False
        outcome = execute(Plan(decision.plan.attempts[:1]), self._ports())
        log_failures(outcome)
        if not outcome.settled:
            left = ", ".join(outcome.ids.values())
            message = f"image volume {left} could not be taken back"
            raise exception.VolumeBackendAPIException(data=message)
        return outcome.attempt is not None
