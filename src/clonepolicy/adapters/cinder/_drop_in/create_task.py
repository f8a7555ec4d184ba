"""A create in Cinder's flow: clone by the plan, or let Cinder download."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import attrs
from cinder import context as cinder_context
from cinder.db import api as db
from oslo_log import log

from clonepolicy import CloneLimitError, CreateDecision, CreateRequest, Outcome
from clonepolicy.adapters.cinder._drop_in.backend import DriverBackend
from clonepolicy.adapters.cinder._drop_in.create import (
    CreateCall,
    CreateFromImage,
)
from clonepolicy.plan import CloneVolume

LOG = log.getLogger(__name__)


@attrs.frozen
class CreateTask:
    """One call of ``CreateVolumeFromSpecTask._create_from_image``.

    ``task`` is that task, and ``stock`` Cinder's own method.
    """

    backend: DriverBackend
    task: Any
    stock: Callable[..., Any]
    call: CreateCall
    cache_checked: bool = False
    """Whether this is the second decision, after the cache got an entry."""

    @property
    def _arguments(self) -> tuple[Any, ...]:
        return attrs.astuple(self.call, recurse=False)

    def run(self) -> dict[str, Any] | None:
        """Clone if that is the decision, or else download.

        Returns:
            What Cinder writes into the volume's record.

        Raises:
            cinder.exception.CinderException: neither succeeded.
        """
        create = CreateFromImage(
            self.backend, self.call, self.task._cleanup_cg_in_volume
        )
        decision = create.decide()
        if not self.backend.enforces:
            return self.stock(self.task, *self._arguments) or None
        outcome = create.clone(decision)
        update = None
        if outcome is None or outcome.attempt is None:
            if decision is not None and outcome is not None:
                self._evict_exhausted(_cached(decision), outcome)
            update = self._download(decision)
        self.task._handle_bootable_volume_glance_meta(
            self.call.context,
            self.call.volume,
            image_id=self.call.image_id,
            image_meta=self.call.image_meta,
        )
        return update

    def _evict_exhausted(self, cached: set[str], outcome: Outcome) -> None:
        """Evict cache entries that have as many clones as the array allows."""
        admin = self.call.context.elevated()
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
        """Have Cinder download, and fill its cache if that has no entry.

        Cinder's own clone of a cache entry is disabled.  If an entry was
        added after the decision, the decision is made once more.
        """
        plain = copy.copy(self.task)
        if self._uses_cache() and not self.cache_checked:
            # Cinder looks into the cache once more when it fills it
            plain._create_from_image_cache = _no_hit
            update, done = plain._prepare_image_cache_entry(*self._arguments)
            if done:
                return update or None
            if decision is not None and self._entries() - _cached(decision):
                return attrs.evolve(self, cache_checked=True).run()
        plain.image_volume_cache = None
        update = plain._create_from_image_cache_or_download(*self._arguments)
        return update or None

    def _uses_cache(self) -> bool:
        """Check the conditions under which Cinder uses its cache."""
        return (
            self.task.image_volume_cache is not None
            and self.call.volume.encryption_key_id is None
            and cinder_context.get_internal_tenant_context() is not None
        )

    def _entries(self) -> set[str]:
        rows = db.image_volume_cache_get_all(
            self.call.context.elevated(), image_id=self.call.image_id
        )
        return {row["volume_id"] for row in rows}


def _no_hit(*_: object) -> tuple[None, bool]:
    return None, False


def _cached(decision: CreateDecision) -> set[str]:
    """Return the volumes of the cache entries in the decision's request."""
    request = decision.evaluation.request
    assert isinstance(request, CreateRequest)  # noqa: S101 - tells the type
    return {
        entry.source.id
        for entry in request.cache_entries
        if entry.source is not None
    }
