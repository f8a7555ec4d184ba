"""Where a create would be a clone, among the pools that passed the filters.

It only reads: the image from Glance, volumes and cache entries from Cinder's
database, and what the pools have reported.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from types import SimpleNamespace
from typing import Any

import attrs
from oslo_config import cfg
from oslo_log import log

from clonepolicy import (
    ArrayImage,
    Clone,
    CreateDecision,
    CreateRequest,
    FactError,
    GiB,
    GlanceConfig,
    Image,
    Location,
    Reason,
    decide,
    gather_create,
)
from clonepolicy._text import log_fields
from clonepolicy.adapters.cinder._arrays import declared_array
from clonepolicy.adapters.cinder._driver_array import CinderArray
from clonepolicy.adapters.cinder._errors import translate_errors
from clonepolicy.adapters.cinder._images import glance_clients
from clonepolicy.adapters.cinder._options import config_from
from clonepolicy.adapters.cinder._volumes import CinderVolumes
from clonepolicy.adapters.conf._own import (
    Mode,
    Settings,
    settings_from,
)
from clonepolicy.adapters.glance import GlanceImages, Patience
from clonepolicy.adapters.records import Pool, pool_from_api
from clonepolicy.policy import Policy
from clonepolicy.ports import Ports, StoredImage

LOG = log.getLogger(__name__)


class Answer(StrEnum):
    """Whether a create would be a clone if the volume went to a pool."""

    CLONE = "clone"
    DEPENDS = "depends"
    """It depends on facts that the driver or the array knows, and the
    scheduler does not."""
    NO = "no"


WEIGHTS = {Answer.CLONE: 1.0, Answer.DEPENDS: 0.75, Answer.NO: 0.0}
_ABILITIES = (
    "can_clone",
    "can_extend",
    "clone_in_use",
    "clone_while_uploading",
)


def weigh(
    pools: Sequence[Any], properties: Mapping[str, Any]
) -> tuple[Mapping[str, float], float]:
    """Weigh the pools for one request, and log one line that says why.

    Args:
        pools: the ``PoolState`` of each pool.
        properties: Cinder's ``weight_properties``.

    Returns:
        The weight of each pool, by its name, and their multiplier.  If no
        volume is created from an image, there are no weights, and the
        multiplier is 0.

    Raises:
        FactError: an option has an invalid value.
        AdapterError: the image or the new volume cannot be read.
    """
    spec = properties.get("request_spec") or {}
    image_id = spec.get("image_id")
    if image_id is None:
        return {}, 0.0
    settings = settings_from(cfg.CONF)
    known, unreadable = _read(pools)
    request = _gather(
        properties["context"],
        image_id,
        spec["volume_id"],
        settings,
        {pool.service: pool.backend.array_id for pool in known.values()},
    )
    requests = {
        caches: attrs.evolve(
            request,
            config=attrs.evolve(
                request.config, image_volume_cache_enabled=caches
            ),
        )
        for caches in (False, True)
    }
    judged = {
        name: _judge(requests, pool, settings.policy)
        for name, pool in known.items()
    }
    _log(request, settings, judged, unreadable)
    shadows = settings.mode is Mode.SHADOW
    return (
        {name: WEIGHTS[answer] for name, (answer, _) in judged.items()},
        0.0 if shadows else settings.clone_weight_multiplier,
    )


def _read(pools: Iterable[Any]) -> tuple[dict[str, Pool], dict[str, str]]:
    """Return the pools by name, and the errors of those that are invalid."""
    known, unreadable = {}, {}
    for state in pools:
        try:
            known[state.host] = pool_from_api(
                {"name": state.host, "capabilities": state.capabilities},
                cluster_name=state.cluster_name,
            )
        except FactError as error:
            unreadable[state.host] = str(error)
    return known, unreadable


@attrs.frozen
class _ReadImage:
    """An image service with one image, which was read before."""

    image: Image
    locations: tuple[Location, ...]
    config: GlanceConfig

    def get_image(self, _image_id: str) -> Image:
        return self.image

    def get_locations(self, _image_id: str) -> tuple[Location, ...]:
        return self.locations

    def get_config(self) -> GlanceConfig:
        return self.config


def _gather(
    context: Any,
    image_id: str,
    volume_id: str,
    settings: Settings,
    arrays: Mapping[str, str | None],
) -> CreateRequest:
    """Read the facts that are the same for all pools.

    A failed request to Glance is not repeated, because a create should not
    wait for a weight.
    """
    images: Any = _ReadImage(
        *_image(context, settings).get_image_and_locations(image_id),
        GlanceConfig(show_multiple_locations=settings.show_multiple_locations),
    )
    volumes = CinderVolumes(
        context=context,
        find_array=lambda name: arrays.get(name) or declared_array(name),
    )
    # the scheduler has no driver; the options of each pool are added later
    array = CinderArray(driver=object(), volumes=volumes)
    nothing = SimpleNamespace(safe_get=lambda _: None)
    return gather_create(
        image_id,
        volumes.get_volume(volume_id),
        config_from(cfg.CONF, nothing),
        Ports(images=images, volumes=volumes, array=array),
    )


def _image(context: Any, settings: Settings) -> GlanceImages:
    with translate_errors("making a client of Glance"):
        requester, service = glance_clients(context)
    return GlanceImages(
        requester,
        service_client=service,
        show_multiple_locations=settings.show_multiple_locations,
        asks_download=settings.download_image_restricted,
        patience=Patience(attempts=1),
    )


def _judge(
    requests: Mapping[bool, CreateRequest], pool: Pool, policy: Policy
) -> tuple[Answer, CreateDecision]:
    """Decide for a pool, with and without the benefit of the doubt.

    If the policy would not clone even if the pool could do all that is not
    known, the answer is NO.  ``requests`` are those without and with Cinder's
    image-volume cache.
    """
    best = decide(_placed(requests, pool, hoping=True), policy)
    if not isinstance(best, Clone):
        return Answer.NO, best
    sure = decide(_placed(requests, pool, hoping=False), policy)
    return (Answer.CLONE if isinstance(sure, Clone) else Answer.DEPENDS), sure


def _placed(
    requests: Mapping[bool, CreateRequest], pool: Pool, *, hoping: bool
) -> CreateRequest:
    """Return the request as if the scheduler had chosen the pool.

    ``hoping`` assumes the best of what only a driver or an array knows: what
    they can do, how often a source was cloned, and that a stored image is
    where its location says.  It never assumes that two arrays are one.
    """
    request = requests[hoping if pool.caches is None else pool.caches]
    backend, stored = pool.backend, None
    if hoping:
        unknown: dict[str, Any] = {
            name: True for name in _ABILITIES if getattr(backend, name) is None
        }
        backend = attrs.evolve(backend, clone_limit=None, **unknown)
        size = request.image.size
        stored = StoredImage(size=None if size is None else -(-size // GiB))
    return attrs.evolve(
        request,
        volume=attrs.evolve(
            request.volume, host=pool.host, cluster_name=pool.cluster_name
        ),
        backend=backend,
        array_images=tuple(
            ArrayImage(location=image.location, source=stored, backend=backend)
            for image in request.array_images
        ),
    )


def _log(
    request: CreateRequest,
    settings: Settings,
    judged: Mapping[str, tuple[Answer, CreateDecision]],
    unreadable: Mapping[str, str],
) -> None:
    """Log the pools by answer, and the nearest reasons of the answer NO."""
    places: dict[Answer, list[str]] = {answer: [] for answer in Answer}
    for name, (answer, _) in judged.items():
        places[answer].append(name)
    reasons = Counter(
        _reasons(d for answer, d in judged.values() if answer is Answer.NO)
    )
    fields = {
        "operation": "place",
        "policy": str(settings.policy),
        "mode": settings.mode,
        "image": request.image.id,
        "volume": request.volume.id,
        "clone": ",".join(places[Answer.CLONE]) or "-",
        "depends": ",".join(places[Answer.DEPENDS]) or "-",
        "no": str(len(places[Answer.NO])),
        "reasons": ",".join(
            f"{reason}:{count}" for reason, count in reasons.most_common()
        )
        or "-",
    }
    if unreadable:
        fields["unreadable"] = "; ".join(
            f"{name}: {error}" for name, error in unreadable.items()
        )
    LOG.info("clonepolicy %s", log_fields(fields))


def _reasons(decisions: Iterable[CreateDecision]) -> Iterator[Reason]:
    """Yield the nearest reason of each decision.

    Most pools fail the same rules: findings are made once for each such set
    of rules.
    """
    known: dict[object, Reason] = {}
    for decision in decisions:
        evaluation = decision.evaluation
        fails = tuple(rules for _, _, rules in evaluation.checked)
        alike = (evaluation.failing, fails)
        if alike not in known:
            known[alike] = _nearest(decision)
        yield known[alike]


def _nearest(decision: CreateDecision) -> Reason:
    """Return the reason against the source that fails the fewest rules.

    If no source is on an open route, return the decision's first reason.
    """
    closed = decision.evaluation.closed
    sources = [c for c in decision.candidates if c.route not in closed]
    if not sources:
        return decision.relevant[0].reason
    nearest = min(sources, key=lambda found: len(found.findings))
    return nearest.findings[0].reason
