"""Decide about an upload, and register an image volume."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import attrs
from cinder import exception
from cinder.objects.fields import VolumeAttachStatus
from oslo_log import log

from clonepolicy import (
    AdapterError,
    ConflictError,
    Decision,
    GiB,
    Register,
    Route,
    UploadRequest,
    Volume,
    execute,
    gather_upload,
)
from clonepolicy._text import printable
from clonepolicy.adapters.cinder._driver_array import CinderArray
from clonepolicy.adapters.cinder._drop_in.backend import DriverBackend
from clonepolicy.adapters.cinder._drop_in.journal import Work
from clonepolicy.adapters.cinder._drop_in.metrics import (
    Measure,
    count_fallbacks,
)
from clonepolicy.adapters.cinder._drop_in.reports import log_failures
from clonepolicy.adapters.cinder._errors import translate_errors
from clonepolicy.adapters.cinder._images import CinderImages
from clonepolicy.adapters.cinder._volumes import UNUSED
from clonepolicy.plan import Plan, WithdrawLocation
from clonepolicy.ports import Ports

LOG = log.getLogger(__name__)


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
            raise AdapterError(f"{action}: the clone is {target.status}")

    def discard(self, volume_id: str) -> None:
        """Have the driver delete the data, as the manager deletes volumes.

        The row and its quota stay, because `delete_image_volume` deletes both
        in one transaction, and the manager in two.

        Raises:
            ConflictError: the volume is in use, or the driver found it busy.
                A volume that is not in use then is available.
            AdapterError: the deletion failed.  The volume then is
                error_deleting.
        """
        found = self.volumes.find_object(volume_id)
        if found is None or volume_id not in self.created:
            return
        try:
            with (
                translate_errors(f"deleting volume {volume_id}"),
                self.deletion_lock(volume_id),
            ):
                self._delete_data(found)
        except ConflictError:
            self.volumes.keep(volume_id, "available")
            raise
        except AdapterError:
            self.volumes.keep(volume_id, "error_deleting")
            raise
        self.created.remove(volume_id)

    def _delete_data(self, found: Any) -> None:
        found.refresh()
        attached = found.attach_status == VolumeAttachStatus.ATTACHED
        if attached or found.status not in UNUSED:
            raise ConflictError(f"volume {found.id} is in use: {found.status}")
        manager, context = self.manager, self.volumes.context.elevated()
        manager._check_is_our_resource(found)
        manager._notify_about_volume_usage(context, found, "delete.start")
        self.driver.remove_export(context, found)
        self.locate_clone(found, found.source_volid)
        manager.driver_delete_volume(found)
        self.remove_clone_snapshot(found, found.source_volid)
        manager._notify_about_volume_usage(context, found, "delete.end")
        manager._update_allocated_capacity(found, decrement=True)


@attrs.frozen(slots=False)
class UploadToImage:
    """One call of ``VolumeManager.copy_volume_to_image``."""

    backend: DriverBackend
    manager: Any
    context: Any
    volume_id: str
    image_id: str
    work: Work | None
    """The journal of this upload; None: nothing can be noted."""
    measure: Measure

    @functools.cached_property
    def _ports(self) -> Ports:
        images = CinderImages(
            context=self.context,
            image_service=None,
            settings=self.backend.settings,
        )
        return self.backend.ports(
            images,
            ManagerArray,
            image_id=self.image_id,
            manager=self.manager,
        )

    @functools.cached_property
    def decision(self) -> Decision | None:
        """The decision, made and reported as `DriverBackend.enforce`."""
        return self.backend.enforce(
            self.context, self._gather, self.able, self.named
        )

    @property
    def named(self) -> Mapping[str, str]:
        """The fields of a log line that name the request."""
        return {
            "operation": "upload",
            "image": self.image_id,
            "volume": self.volume_id,
        }

    def able(self, decision: Decision) -> bool:
        """Return whether the drop-in can register: unencrypted, and noted."""
        noted = self.work is not None or not self.backend.enforces
        return noted and decision.request.volume.encryption_key_id is None

    def _gather(self) -> UploadRequest:
        volume = self._ports.volumes.get_volume(self.volume_id)
        return gather_upload(
            self.volume_id,
            self.image_id,
            self.context.project_id,
            # cinder-api has checked both, and may have another cinder.conf
            attrs.evolve(
                self.backend.config(),
                enable_force_upload=True,
                allow_compression_on_image_upload=True,
            ),
            self._ports,
            # cinder-api accepts an attached volume only with force
            force=volume.previous_status == "in-use",
        )

    def register(self) -> bool:
        """Register a clone if that is the decision; return if it succeeded.

        Raises:
            cinder.exception.VolumeBackendAPIException: the image may have
                the location, so that no data may be uploaded to it.
        """
        made = self.decision
        if (
            not isinstance(made, Register)
            or self.backend.declines(made)
            or not self.able(made)
        ):
            return False
        plan = Plan(made.plan.attempts[:1])
        outcome = execute(plan, self._ports, journal=self.work)
        log_failures(outcome, self.named)
        count_fallbacks(outcome)
        done = outcome.attempt is not None
        if not done and any(
            isinstance(failure.step, WithdrawLocation)
            for failure in outcome.failures
        ):
            left = ", ".join(outcome.ids.values())
            image = printable(self.image_id)
            raise exception.VolumeBackendAPIException(
                data=f"image {image} may use image volume {left}, "
                "which could not be removed: if the image is not active, "
                "delete the image, then that volume"
            )
        return done

    def done(self) -> Route:
        """Return what was done: if nothing was registered, Cinder has sent.

        Remember how many bytes it has sent.
        """
        route = self.measure.route
        if route is None:
            made, route = self.decision, Route.UPLOAD
            size = None if made is None else made.request.volume.size * GiB
            self.measure.took(route, size)
        return route
