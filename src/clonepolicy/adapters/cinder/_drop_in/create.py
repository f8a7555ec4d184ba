"""Decide about a volume from an image, and make the plan's clones."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import attrs
from cinder import exception
from oslo_config import cfg

from clonepolicy import (
    Clone,
    CreateDecision,
    GlanceConfig,
    Outcome,
    Refuse,
    Route,
    decide,
    execute,
    explain_to_tenant,
    gather_create,
)
from clonepolicy.adapters.cinder._drop_in.backend import DriverBackend
from clonepolicy.adapters.cinder._drop_in.decision_log import (
    log_failures,
    log_undecided,
)
from clonepolicy.adapters.cinder._image_service import CinderImages
from clonepolicy.adapters.cinder._options import Notes
from clonepolicy.adapters.cinder._volume_records import volume_from_object
from clonepolicy.plan import (
    Attempt,
    CloneImage,
    CloneVolume,
    Plan,
    PublishVolume,
)
from clonepolicy.ports import Ports


@attrs.frozen
class CreateCall:
    """The arguments of one call of ``_create_from_image`` in Cinder's flow."""

    context: Any
    volume: Any
    image_location: Any
    image_id: str
    image_meta: dict[str, Any]
    image_service: Any


@attrs.frozen(slots=False)
class CreateFromImage:
    """One volume to create from one image.

    ``cloned`` is called with a volume directly after the driver cloned it.
    """

    backend: DriverBackend
    call: CreateCall
    cloned: Callable[[Any], None]

    @functools.cached_property
    def _ports(self) -> Ports:
        """Make the ports; a create need not ask what Glance offers."""
        settings = self.backend.settings
        volumes = self.backend.volumes(self.call.context)
        return Ports(
            images=CinderImages(
                context=self.call.context,
                image_service=self.call.image_service,
                settings=settings,
                image_location=self.call.image_location,
                config=GlanceConfig(
                    show_multiple_locations=settings.show_multiple_locations
                ),
            ),
            volumes=volumes,
            array=self.backend.array(
                volumes,
                known={self.call.volume.id: self.call.volume},
                cloned=self.cloned,
            ),
        )

    def decide(self) -> CreateDecision | None:
        """Decide and report; None if the facts cannot be read.

        Raises:
            cinder.exception.ImageUnacceptable: the decision is to refuse,
                and decisions are carried out here.
        """
        try:
            request = gather_create(
                self.call.image_id,
                volume_from_object(self.call.volume),
                self.backend.config(),
                self._ports,
                conversion_free=_conversion_free(),
            )
            decision = decide(request, self.backend.settings.policy)
        except Exception as error:  # noqa: BLE001 - Cinder can download
            log_undecided("create", error)
            return None
        self.backend.report(self.call.context, decision)
        if self.backend.enforces and isinstance(decision, Refuse):
            raise exception.ImageUnacceptable(
                image_id=self.call.image_id,
                reason=explain_to_tenant(decision),
            )
        return decision

    def clone(self, decision: CreateDecision | None) -> Outcome | None:
        """Try the plan's clones in order; None if the plan has none.

        Raises:
            cinder.exception.VolumeBackendAPIException: a failed clone could
                not be erased, so that no data may be written over it.
        """
        if not isinstance(decision, Clone) or (
            decision.notes and self.backend.settings.notes is Notes.DECLINE
        ):
            return None
        outcome = execute(Plan(tuple(_clones(decision))), self._ports)
        log_failures(outcome)
        if not outcome.settled:
            message = (
                f"a failed clone could not be erased: delete volume "
                f"{self.call.volume.id}"
            )
            raise exception.VolumeBackendAPIException(data=message)
        return outcome


def _clones(decision: Clone) -> Iterator[Attempt]:
    """Yield the plan's clones that Cinder and its options allow.

    Three limits hold for every policy: an encrypted volume is neither source
    nor target of a clone, nothing is cloned into a smaller volume, and
    Cinder's own options stay in force.  `PublishVolume` is left out, because
    the last task of Cinder's flow makes the volume available.
    """
    config, volume = decision.request.config, decision.request.volume
    disabled = set()
    if "cinder" not in config.allowed_direct_url_schemes:
        disabled.add(Route.IMAGE_VOLUME)
    if not config.image_volume_cache_enabled:
        disabled.add(Route.CACHE_ENTRY)
    for attempt in decision.plan.attempts:
        clone = attempt.steps[0]
        if (
            attempt.route not in disabled
            and volume.encryption_key_id is None
            and isinstance(clone, (CloneVolume, CloneImage))
            and clone.source.encryption_key_id is None
            and clone.source.size <= volume.size
        ):
            steps = tuple(
                step
                for step in attempt.steps
                if not isinstance(step, PublishVolume)
            )
            yield attrs.evolve(attempt, steps=steps)


def _conversion_free() -> int | None:
    """Return the free bytes of image_conversion_dir, if it exists."""
    folder = cfg.CONF.image_conversion_dir
    try:
        return shutil.disk_usage(folder).free if folder else None
    except OSError:
        return None
