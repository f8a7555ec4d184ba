"""Create a volume from an image: decide, clone, or let Cinder download."""

from __future__ import annotations

import contextlib
import copy
import functools
import shutil
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import attrs
from cinder import context as cinder_context
from cinder import exception
from cinder.db import api as db
from oslo_config import cfg
from oslo_log import log

from clonepolicy import (
    Clone,
    CloneLimitError,
    CreateRequest,
    Decision,
    GlanceConfig,
    Operation,
    Outcome,
    Route,
    execute,
    gather_create,
)
from clonepolicy.adapters.cinder._drop_in.backend import (
    DriverBackend,
    refused,
)
from clonepolicy.adapters.cinder._drop_in.journal import Work
from clonepolicy.adapters.cinder._drop_in.metrics import (
    Measure,
    count_fallbacks,
)
from clonepolicy.adapters.cinder._drop_in.reports import log_failures
from clonepolicy.adapters.cinder._drop_in.shadow import WatchedDriver
from clonepolicy.adapters.cinder._errors import surviving
from clonepolicy.adapters.cinder._images import CinderImages
from clonepolicy.adapters.cinder._records import (
    image_lists_locations,
    volume_from_object,
)
from clonepolicy.adapters.cinder._releases import installed_release
from clonepolicy.plan import (
    Attempt,
    CloneImage,
    CloneVolume,
    Plan,
    PublishVolume,
)
from clonepolicy.ports import Ports

LOG = log.getLogger(__name__)
_FRESH = 5.0
"""Seconds for which an image is not read again.

Cinder itself lets about as much time pass between reading and cloning.
"""


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
    ``note`` is called with the call and the volume that is cloned first, and
    notes the clone until the volume is created; None: it cannot.  Without
    it a killed clone leaves its data.
    """

    backend: DriverBackend
    call: CreateCall
    cloned: Callable[[Any], None]
    note: Callable[[CreateCall, str | None], Work | None] | None = None

    @functools.cached_property
    def _ports(self) -> Ports:
        """Make the ports; a create does not ask which APIs Glance has."""
        settings = self.backend.settings
        images = CinderImages(
            context=self.call.context,
            image_service=self.call.image_service,
            settings=settings,
            image_location=self.call.image_location,
            image_meta=self.call.image_meta,
            fresh=_FRESH,
            config=GlanceConfig(
                show_multiple_locations=settings.show_multiple_locations
                or image_lists_locations(self.call.image_location)
            ),
        )
        return self.backend.ports(
            images,
            known={self.call.volume.id: self.call.volume},
            cloned=self.cloned,
        )

    @property
    def _named(self) -> Mapping[str, str]:
        return {
            "operation": "create",
            "image": self.call.image_id,
            "volume": self.call.volume.id,
        }

    def decide(self) -> Decision | None:
        """Decide and report, as `DriverBackend.enforce`."""
        return self.backend.enforce(
            self.call.context, self._gather, _able, self._named
        )

    @contextlib.contextmanager
    def shadow(self, driver: Any) -> Iterator[WatchedDriver]:
        """Decide, then let Cinder act in the block, and report both.

        The block uses what is yielded in the place of the driver.
        """
        with self.backend.watch(self.decide(), _able, self._named) as deed:
            yield WatchedDriver(driver, deed)

    def _gather(self) -> CreateRequest:
        return gather_create(
            self.call.image_id,
            volume_from_object(self.call.volume),
            self.backend.config(),
            self._ports,
            conversion_free=_conversion_free(),
        )

    def clone(self, decision: Decision | None) -> Outcome | None:
        """Try the plan's clones in order; None if the plan has none.

        Afterwards Cinder downloads the image if no clone was made.

        Raises:
            cinder.exception.ImageUnacceptable: no clone was made, and the
                plan has no download.
            cinder.exception.VolumeBackendAPIException: a failed clone could
                not be erased, so that no data may be written over it.
        """
        if not isinstance(decision, Clone):
            return None
        outcome = None
        if not self.backend.declines(decision):
            outcome = self._execute(Plan(tuple(_clones(decision))))
        made = outcome is not None and outcome.attempt is not None
        routes = {attempt.route for attempt in decision.plan.attempts}
        if not made and Route.DOWNLOAD not in routes:
            self.backend.tell_not_made(self.call.context, decision)
            raise refused(decision)
        return outcome

    def _execute(self, plan: Plan) -> Outcome | None:
        if not plan.attempts:
            return None
        work = None
        if self.note is not None:
            first, source = plan.attempts[0].steps[0], None
            if isinstance(first, CloneVolume):
                source = first.source.id
            work = self.note(self.call, source)
            if work is None:
                return None
        outcome = execute(plan, self._ports, journal=work)
        log_failures(outcome, self._named)
        count_fallbacks(outcome)
        if not outcome.settled:
            raise exception.VolumeBackendAPIException(
                data="a failed clone could not be erased: delete volume "
                f"{self.call.volume.id}"
            )
        return outcome


def _able(decision: Decision) -> bool:
    return isinstance(decision, Clone) and any(_clones(decision))


def _clones(decision: Clone) -> Iterator[Attempt]:
    """Yield the plan's clones that Cinder and its options allow.

    Three limits hold for every policy.  An encrypted volume is neither the
    source nor the target of a clone.  The source is no larger than the
    volume.  Cinder's own options stay in force.  `PublishVolume` is left out,
    because the last task of Cinder's flow makes the volume available.
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
            and clone.source.size is not None
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


@attrs.frozen
class CreateTask:
    """One call of ``CreateVolumeFromSpecTask._create_from_image``.

    ``task`` is that task, and ``stock`` Cinder's own method.
    """

    backend: DriverBackend
    task: Any
    stock: Callable[..., Any]
    call: CreateCall
    measure: Measure
    cache_checked: bool = False
    """Whether this is the second decision, after an entry was added."""

    @property
    def _arguments(self) -> tuple[Any, ...]:
        return attrs.astuple(self.call, recurse=False)

    def run(self) -> dict[str, Any] | None:
        """Clone if that is the decision; otherwise let Cinder download.

        Returns:
            What Cinder writes into the volume's record.

        Raises:
            cinder.exception.CinderException: neither succeeded.
        """
        create = CreateFromImage(
            self.backend,
            self.call,
            self.task._cleanup_cg_in_volume,
            self.task.manager.note_create,
        )
        if not self.backend.enforces:
            task = copy.copy(self.task)
            with create.shadow(task.driver) as task.driver:
                update = self.stock(task, *self._arguments) or None
            if task.driver.deed.did == Route.DOWNLOAD:
                self.measure.copied = self._size
            return update
        decision = create.decide()
        outcome = create.clone(decision)
        update = None
        if outcome is None or outcome.attempt is None:
            if decision is not None and outcome is not None:
                self._evict_exhausted(_cached(decision), outcome)
            update = self._download(decision)
        else:
            self.measure.took(outcome.attempt.route)
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
            if not (
                isinstance(failure.error, CloneLimitError)
                and isinstance(step, CloneVolume)
                and step.source.id in cached
            ):
                continue
            volume_id = step.source.id
            with surviving(LOG, f"could not evict cached volume {volume_id}"):
                entry = db.image_volume_cache_get_by_volume_id(
                    admin, volume_id
                )
                installed_release().evict_entry(
                    self.task.image_volume_cache, admin, entry
                )

    def _download(self, decision: Decision | None) -> dict[str, Any] | None:
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
                self._downloaded()
                return update or None
            if decision is not None and self._entries() - _cached(decision):
                return attrs.evolve(self, cache_checked=True).run()
        plain.image_volume_cache = None
        update = plain._create_from_image_cache_or_download(*self._arguments)
        self._downloaded()
        return update or None

    @property
    def _size(self) -> int | None:
        """The size of the image's file; None: it is not known."""
        size = self.call.image_meta.get("size")
        return size if isinstance(size, int) else None

    def _downloaded(self) -> None:
        self.measure.took(Route.DOWNLOAD, self._size)

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


def _cached(decision: Decision) -> set[str]:
    """Return the volumes of the cache entries in the decision's request."""
    request = decision.request
    assert request.operation is Operation.CREATE  # noqa: S101 - tells the type
    return {
        entry.source.id
        for entry in request.cache_entries
        if entry.source is not None
    }
