"""Decide about an upload, and register an image volume."""

from __future__ import annotations

import functools
from typing import Any

import attrs
from cinder import exception
from cinder.image import glance

from clonepolicy import (
    AdapterError,
    ConflictError,
    Register,
    UploadDecision,
    Volume,
    decide,
    execute,
    gather_upload,
)
from clonepolicy.adapters.cinder._driver_array import CinderArray
from clonepolicy.adapters.cinder._drop_in.backend import DriverBackend
from clonepolicy.adapters.cinder._drop_in.reports import (
    log_failures,
    log_undecided,
)
from clonepolicy.adapters.cinder._errors import translate_errors
from clonepolicy.adapters.cinder._options import Notes
from clonepolicy.adapters.cinder._services import CinderImages
from clonepolicy.plan import Plan, WithdrawLocation
from clonepolicy.ports import Ports


@attrs.frozen(kw_only=True)
class ManagerArray(CinderArray):
    """The array of a volume manager, which creates and deletes the volumes.

    The manager counts an image volume in quota, capacity and notifications,
    as it does every volume.
    """

    manager: Any
    created: set[str] = attrs.field(factory=set)
    """The volumes that the manager was asked to create."""

    def clone_volume(self, volume_id: str, source: Volume) -> None:
        """Have the manager create a volume from its source."""
        action = f"cloning volume {source.id}"
        target = self.get_object(volume_id)
        with self.locked(source):
            self.created.add(volume_id)
            with translate_errors(action):
                self.manager.create_volume(
                    self.volumes.context, target, allow_reschedule=False
                )
                target.refresh()
        if target.status != "available":
            message = f"{action}: the clone is {target.status}"
            raise AdapterError(message)

    def discard(self, volume_id: str) -> None:
        """Have the manager delete the volume, with its row and its quota.

        Raises:
            ConflictError: the manager found the volume busy and left it.
            AdapterError: the deletion failed.
        """
        found = self.volumes.find_object(volume_id)
        if found is None or volume_id not in self.created:
            return
        with translate_errors(f"deleting volume {volume_id}"):
            self.manager.delete_volume(self.volumes.context, found)
        if self.volumes.find_object(volume_id) is not None:
            message = f"volume {volume_id} is busy and was not deleted"
            raise ConflictError(message)


@attrs.frozen(kw_only=True, slots=False)
class UploadToImage:
    """One call of ``VolumeManager.copy_volume_to_image``."""

    backend: DriverBackend
    manager: Any
    context: Any
    volume_id: str
    image_id: str

    @functools.cached_property
    def _ports(self) -> Ports:
        with translate_errors(f"finding image {self.image_id}"):
            service, _ = glance.get_remote_image_service(
                self.context, self.image_id
            )
        volumes = self.backend.volumes(self.context)
        return Ports(
            images=CinderImages(
                context=self.context,
                image_service=service,
                settings=self.backend.settings,
            ),
            volumes=volumes,
            array=self.backend.array(
                volumes, ManagerArray, manager=self.manager
            ),
        )

    def decide(self) -> UploadDecision | None:
        """Decide and report; None if the facts cannot be read."""
        try:
            ports = self._ports
            volume = ports.volumes.get_volume(self.volume_id)
            request = gather_upload(
                self.volume_id,
                self.image_id,
                self.context.project_id,
                # cinder-api has checked both, and may have another cinder.conf
                attrs.evolve(
                    self.backend.config(),
                    enable_force_upload=True,
                    allow_compression_on_image_upload=True,
                ),
                ports,
                # cinder-api accepts an attached volume only with force
                force=volume.previous_status == "in-use",
            )
            decision = decide(request, self.backend.settings.policy)
        except Exception as error:  # noqa: BLE001 - Cinder can upload
            log_undecided("upload", error)
            return None
        self.backend.report(self.context, decision)
        return decision

    def register(self, decision: UploadDecision | None) -> bool:
        """Register a clone if that is the decision; return if it succeeded.

        Raises:
            cinder.exception.VolumeBackendAPIException: the image may have
                the location, so that no data may be uploaded to it.
        """
        if not isinstance(decision, Register) or (
            decision.notes and self.backend.settings.notes is Notes.DECLINE
        ):
            return False
        outcome = execute(Plan(decision.plan.attempts[:1]), self._ports)
        log_failures(outcome)
        done = outcome.attempt is not None
        if not done and any(
            isinstance(failure.step, WithdrawLocation)
            for failure in outcome.failures
        ):
            left = ", ".join(outcome.ids.values())
            message = (
                f"image {self.image_id} may use image volume {left}, which "
                "could not be removed: delete the image, then that volume"
            )
            raise exception.VolumeBackendAPIException(data=message)
        return done
