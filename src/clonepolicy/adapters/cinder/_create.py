"""Creating from an image, decided and carried out in Cinder's flow."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import attrs
from cinder import context as cinder_context
from cinder import exception
from cinder.db import api as db
from oslo_config import cfg
from oslo_log import log

from clonepolicy import (
    AdapterError,
    Attempt,
    Clone,
    CloneLimitError,
    CloneVolume,
    CreateDecision,
    CreateRequest,
    FactError,
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
from clonepolicy.adapters.cinder._config import Notes, Settings, config_from
from clonepolicy.adapters.cinder._images import CinderImages
from clonepolicy.adapters.cinder._records import volume_from_object
from clonepolicy.adapters.cinder._report import log_failures, log_unreadable

LOG = log.getLogger(__name__)


@attrs.frozen
class Creation:
    """One run of ``CreateVolumeFromSpecTask._create_from_image``.

    ``stock`` is Cinder's own method, and ``manager`` the volume manager that
    the task belongs to.
    """

    task: Any
    stock: Callable[..., Any]
    manager: Any
    context: Any
    volume: Any
    image_location: Any
    image_id: str
    image_meta: dict[str, Any]
    image_service: Any

    @property
    def _arguments(self) -> tuple[Any, ...]:
        return (
            self.context,
            self.volume,
            self.image_location,
            self.image_id,
            self.image_meta,
            self.image_service,
        )

    def run(self) -> dict[str, Any] | None:
        """Clone if that is the decision, else download; give the update.

        Raises:
            cinder.exception.ImageUnacceptable: the decision is a refusal.
        """
        decision = self._decide()
        if not self.manager.acts:
            return self.stock(self.task, *self._arguments) or None
        update = None
        if isinstance(decision, Refuse):
            raise exception.ImageUnacceptable(
                image_id=self.image_id, reason=explain_to_tenant(decision)
            )
        if not (isinstance(decision, Clone) and self._cloned(decision)):
            update = self._download(decision)
        self.task._handle_bootable_volume_glance_meta(
            self.context,
            self.volume,
            image_id=self.image_id,
            image_meta=self.image_meta,
        )
        return update

    def _ports(self) -> Ports:
        volumes = self.manager.cinder_volumes(self.context)
        return Ports(
            images=CinderImages(
                context=self.context,
                image_service=self.image_service,
                settings=self.manager.settings,
                image_location=self.image_location,
            ),
            volumes=volumes,
            array=self.manager.cinder_array(
                volumes,
                known={self.volume.id: self.volume},
                cloned=self.task._cleanup_cg_in_volume,
            ),
        )

    def _decide(self) -> CreateDecision | None:
        """Decide and tell; without facts there is nothing to decide.

        In shadow nothing that goes wrong here may reach the create.
        """
        settings: Settings = self.manager.settings
        try:
            request = gather_create(
                self.image_id,
                volume_from_object(self.volume),
                config_from(cfg.CONF, self.task.driver.configuration),
                self._ports(),
                conversion_free=_conversion_free(),
            )
        except (AdapterError, FactError) as error:
            log_unreadable("create", error)
            return None
        decision = decide_create(request, settings.policy)
        self.manager.tell(self.context, decision)
        return decision

    def _cloned(self, decision: Clone) -> bool:
        """Make the plan's clones, one after the other; say if one did."""
        settings: Settings = self.manager.settings
        if decision.notes and settings.notes is Notes.DECLINE:
            return False
        attempts = tuple(clones(decision))
        if not attempts:
            return False
        outcome = execute(Plan(attempts), self._ports())
        log_failures(outcome)
        self._evict_exhausted(decision.found.request, outcome)
        if not outcome.settled:
            message = f"volume {self.volume.id} is left half made"
            raise exception.VolumeBackendAPIException(data=message)
        return outcome.attempt is not None

    def _evict_exhausted(
        self, request: CreateRequest, outcome: Outcome
    ) -> None:
        """Drop cache entries of which the array makes no more clones."""
        cached = {
            entry.source.id
            for entry in request.cache_entries
            if entry.source is not None
        }
        for failure in outcome.failures:
            if isinstance(failure.error, CloneLimitError) and isinstance(
                failure.step, CloneVolume
            ):
                source = failure.step.source.id
                if source in cached:
                    self._evict(source)

    def _evict(self, volume_id: str) -> None:
        admin = self.context.elevated()
        entry = db.image_volume_cache_get_by_volume_id(admin, volume_id)
        if entry is not None:
            self.task.image_volume_cache.delete_cached_volume(
                admin, entry, "Deleting image-volume cache entry: clone limit"
            )

    def _download(
        self, decision: CreateDecision | None
    ) -> dict[str, Any] | None:
        """Have Cinder download, and fill its cache where it has no entry.

        Cinder never clones a cache entry by itself here: those are judged.
        """
        if self._caches():
            update, done = self.task._prepare_image_cache_entry(
                *self._arguments
            )
            if done:
                return update or None
            if decision is not None and self._entries() - _judged(decision):
                return attrs.evolve(self, task=_without_cache(self.task)).run()
        plain = _without_cache(self.task)
        update = plain._create_from_image_cache_or_download(*self._arguments)
        return update or None

    def _caches(self) -> bool:
        """Ask what Cinder asks before it looks into its cache."""
        return (
            self.task.image_volume_cache is not None
            and self.volume.encryption_key_id is None
            and cinder_context.get_internal_tenant_context() is not None
        )

    def _entries(self) -> set[str]:
        rows = db.image_volume_cache_get_all(
            self.context.elevated(), image_id=self.image_id
        )
        return {row["volume_id"] for row in rows}


def clones(decision: Clone) -> Iterator[Attempt]:
    """Give the plan's clones, as far as Cinder's own options let them.

    Cinder's flow makes the volume available itself.
    """
    schemes = decision.found.request.config.allowed_direct_url_schemes
    for (lane, _), attempt in zip(
        decision.found.acceptable(), decision.plan.attempts, strict=False
    ):
        if lane.mechanism is Mechanism.IMAGE_VOLUME and (
            "cinder" not in schemes
        ):
            continue
        steps = tuple(
            step
            for step in attempt.steps
            if not isinstance(step, PublishVolume)
        )
        yield attrs.evolve(attempt, steps=steps)


def _judged(decision: CreateDecision) -> set[str]:
    request = decision.found.request
    assert isinstance(request, CreateRequest)  # noqa: S101 - tells the type
    return {
        entry.source.id
        for entry in request.cache_entries
        if entry.source is not None
    }


def _without_cache(task: Any) -> Any:
    plain = copy.copy(task)
    plain.image_volume_cache = None
    return plain


def _conversion_free() -> int | None:
    """Bytes free in image_conversion_dir; None: Cinder has yet to make it."""
    try:
        return shutil.disk_usage(cfg.CONF.image_conversion_dir).free
    except OSError:
        return None
