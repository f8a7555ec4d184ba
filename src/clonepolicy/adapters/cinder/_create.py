"""Creating from an image: deciding, and making the plan's clones."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import attrs
from cinder import exception
from oslo_config import cfg

from clonepolicy import (
    Attempt,
    Clone,
    CreateDecision,
    GlanceConfig,
    Mechanism,
    Outcome,
    Plan,
    Ports,
    PublishVolume,
    Refuse,
    decide_create,
    execute,
    explain_to_tenant,
    gather_create,
)
from clonepolicy.adapters.cinder._config import Notes
from clonepolicy.adapters.cinder._images import CinderImages
from clonepolicy.adapters.cinder._records import volume_from_object
from clonepolicy.adapters.cinder._report import log_failures, log_unreadable
from clonepolicy.adapters.cinder._service import Service


@attrs.frozen(kw_only=True, slots=False)
class Creation:
    """One volume to fill from one image, as Cinder's flow describes it.

    ``cloned`` is called with a volume right after the driver cloned it.
    """

    service: Service
    context: Any
    volume: Any
    image_location: Any
    image_id: str
    image_service: Any
    cloned: Callable[[Any], None]

    @functools.cached_property
    def _ports(self) -> Ports:
        """Make ports; of Glance a create needs what the operator told."""
        settings = self.service.settings
        shown = settings.show_multiple_locations
        volumes = self.service.volumes(self.context)
        return Ports(
            images=CinderImages(
                context=self.context,
                image_service=self.image_service,
                settings=settings,
                image_location=self.image_location,
                config=GlanceConfig(show_multiple_locations=shown),
            ),
            volumes=volumes,
            array=self.service.array(
                volumes,
                known={self.volume.id: self.volume},
                cloned=self.cloned,
            ),
        )

    def decide(self) -> CreateDecision | None:
        """Decide and tell; without facts there is nothing to decide.

        Raises:
            cinder.exception.ImageUnacceptable: the decision is a refusal,
                and decisions are carried out here.
        """
        try:
            request = gather_create(
                self.image_id,
                volume_from_object(self.volume),
                self.service.config(),
                self._ports,
                conversion_free=_conversion_free(),
            )
            decision = decide_create(request, self.service.settings.policy)
        except Exception as error:  # noqa: BLE001 - Cinder can go on without
            log_unreadable("create", error)
            return None
        self.service.tell(self.context, decision)
        if self.service.acts and isinstance(decision, Refuse):
            raise exception.ImageUnacceptable(
                image_id=self.image_id, reason=explain_to_tenant(decision)
            )
        return decision

    def clone(self, decision: CreateDecision | None) -> Outcome | None:
        """Try the plan's clones in order; None if it has none to try.

        Raises:
            cinder.exception.VolumeBackendAPIException: what a clone left
                could not be erased, and nothing must be written over it.
        """
        if not isinstance(decision, Clone) or (
            decision.notes and self.service.settings.notes is Notes.DECLINE
        ):
            return None
        outcome = execute(Plan(tuple(clones(decision))), self._ports)
        log_failures(outcome)
        if not outcome.settled:
            message = f"volume {self.volume.id} is left half made"
            raise exception.VolumeBackendAPIException(data=message)
        return outcome


def clones(decision: Clone) -> Iterator[Attempt]:
    """Give the plan's clones, as far as Cinder and its options let them.

    Whatever the policy says: ciphertext is cloned neither into nor out of
    an encrypted volume, and nothing into a smaller one.  Cinder's flow makes
    the volume available itself.
    """
    request = decision.found.request
    config, volume = request.config, request.volume
    off = {
        Mechanism.IMAGE_VOLUME: (
            "cinder" not in config.allowed_direct_url_schemes
        ),
        Mechanism.CACHE_ENTRY: not config.image_volume_cache_enabled,
    }
    for (lane, candidate), attempt in zip(
        decision.found.acceptable(), decision.plan.attempts, strict=False
    ):
        source = candidate.source
        if (
            off.get(lane.mechanism, False)
            or volume.encryption_key_id is not None
            or source is None
            or source.encryption_key_id is not None
            or source.size > volume.size
        ):
            continue
        steps = tuple(
            step
            for step in attempt.steps
            if not isinstance(step, PublishVolume)
        )
        yield attrs.evolve(attempt, steps=steps)


def _conversion_free() -> int | None:
    """Bytes free in image_conversion_dir; None: Cinder has yet to make it."""
    folder = cfg.CONF.image_conversion_dir
    try:
        return shutil.disk_usage(folder).free if folder else None
    except OSError:
        return None
