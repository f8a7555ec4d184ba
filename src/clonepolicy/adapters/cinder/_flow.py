"""The decision in Cinder's own flow of creating a volume from an image."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import attrs
from cinder import context as cinder_context
from cinder.db import api as db
from oslo_log import log

from clonepolicy import (
    CloneLimitError,
    CloneVolume,
    CreateDecision,
    CreateRequest,
    Outcome,
)
from clonepolicy.adapters.cinder._create import Creation
from clonepolicy.adapters.cinder._service import Service

LOG = log.getLogger(__name__)


@attrs.frozen
class Run:
    """One run of ``CreateVolumeFromSpecTask._create_from_image``.

    ``stock`` is Cinder's own method; the fields after it are its arguments.
    """

    service: Service
    task: Any
    stock: Callable[..., Any]
    context: Any
    volume: Any
    image_location: Any
    image_id: str
    image_meta: dict[str, Any]
    image_service: Any
    again: bool = False
    """Whether Cinder's cache was filled, or found filled, before."""

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

    def create(self) -> dict[str, Any] | None:
        """Clone if that is the decision, else download; give the update.

        Raises:
            cinder.exception.CinderException: neither can be done.
        """
        creation = Creation(
            service=self.service,
            context=self.context,
            volume=self.volume,
            image_location=self.image_location,
            image_id=self.image_id,
            image_service=self.image_service,
            cloned=self.task._cleanup_cg_in_volume,
        )
        decision = creation.decide()
        if not self.service.acts:
            return self.stock(self.task, *self._arguments) or None
        outcome = creation.clone(decision)
        update = None
        if outcome is None or outcome.attempt is None:
            if decision is not None and outcome is not None:
                self._evict_exhausted(_cached(decision), outcome)
            update = self._download(decision)
        self.task._handle_bootable_volume_glance_meta(
            self.context,
            self.volume,
            image_id=self.image_id,
            image_meta=self.image_meta,
        )
        return update

    def _evict_exhausted(self, cached: set[str], outcome: Outcome) -> None:
        """Drop cache entries of which the array makes no more clones."""
        admin = self.context.elevated()
        for failure in outcome.failures:
            step = failure.step
            if (
                isinstance(failure.error, CloneLimitError)
                and isinstance(step, CloneVolume)
                and step.source.id in cached
            ):
                entry = db.image_volume_cache_get_by_volume_id(
                    admin, step.source.id
                )
                try:
                    self.task.image_volume_cache.delete_cached_volume(
                        admin, entry, "Cache entry has no clones left"
                    )
                except Exception:
                    LOG.warning(
                        "clonepolicy could not evict cached volume %s",
                        step.source.id,
                        exc_info=True,
                    )

    def _download(
        self, decision: CreateDecision | None
    ) -> dict[str, Any] | None:
        """Have Cinder download, and fill its cache where it has no entry.

        Cinder never clones a cache entry by itself here: an entry that came
        since the decision is judged in its turn, once.
        """
        plain = copy.copy(self.task)
        if self._caches() and not self.again:
            # Cinder looks into the cache once more when it fills it
            plain._create_from_image_cache = _no_hit
            update, done = plain._prepare_image_cache_entry(*self._arguments)
            if done:
                return update or None
            if decision is not None and self._entries() - _cached(decision):
                return attrs.evolve(self, again=True).create()
        plain.image_volume_cache = None
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


def _no_hit(*_: object) -> tuple[None, bool]:
    return None, False


def _cached(decision: CreateDecision) -> set[str]:
    request = decision.found.request
    assert isinstance(request, CreateRequest)  # noqa: S101 - tells the type
    return {
        entry.source.id
        for entry in request.cache_entries
        if entry.source is not None
    }
