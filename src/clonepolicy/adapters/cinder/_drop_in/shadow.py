"""Shadow mode: what Cinder is expected to do, and what it then did."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import attrs
from oslo_config import cfg

from clonepolicy import (
    SAFE,
    CacheEntry,
    Clone,
    CreateRequest,
    Decision,
    MalformedLocation,
    Operation,
    Reason,
    Refuse,
    Register,
    Request,
    Route,
    UploadRequest,
    decide,
)
from clonepolicy.adapters.cinder._releases import installed_release

UNKNOWN, FAILED = "unknown", "failed"

# cinder-api checks these before it sends the request to cinder-volume
_API = frozenset(
    {
        *(Reason.SIZE_INVALID, Reason.TYPE_SIZE_LIMIT),
        *(Reason.SIZE_UNKNOWN,),
        *(Reason.IMAGE_NOT_VISIBLE, Reason.IMAGE_NOT_ACTIVE),
        *(Reason.IMAGE_LARGER_THAN_VOLUME, Reason.BELOW_MIN_DISK),
        *(Reason.MULTIATTACH_ENCRYPTED, Reason.VOLUME_NOT_UPLOADABLE),
        *(Reason.QUOTA_UNKNOWN, Reason.QUOTA_EXCEEDED),
        *(Reason.FORCE_DISABLED, Reason.FORMAT_FOR_ENCRYPTED_UPLOAD),
    }
)
# Cinder tries, and the driver or Glance may refuse
_TRIED = frozenset(
    {
        *(Reason.DRIVER_CANNOT_CLONE, Reason.EXTEND_UNSUPPORTED),
        *(Reason.DIFFERENT_HOST, Reason.DIFFERENT_CLUSTER),
        *(Reason.DIFFERENT_POOL, Reason.DIFFERENT_ARRAY),
        *(Reason.SOURCE_STATUS, Reason.SOURCE_IN_USE),
        *(Reason.SOURCE_ENCRYPTED, Reason.ENCRYPTED_SOURCE),
        *(Reason.SOURCE_LARGER_THAN_REQUEST, Reason.SOURCE_IS_NEW_VOLUME),
        *(Reason.SOURCE_SIZE_UNKNOWN, Reason.CLONES_UNKNOWN),
        *(Reason.SNAPSHOT_LIMIT, Reason.IMAGE_NOT_QUEUED),
        *(Reason.CLONE_WHILE_UPLOADING_UNSUPPORTED, Reason.GLANCE_UNKNOWN),
        *(Reason.STORE_UNRESOLVED, Reason.LEGACY_WRITE_DISABLED),
        *(Reason.SET_LOCATION_FORBIDDEN, Reason.SERVICE_ROLE_MISSING),
    }
)
# the records do not say whether Cinder finds the source
_UNDECIDED = frozenset(
    {
        *(Reason.SOURCE_FORBIDDEN, Reason.SOURCE_UNAVAILABLE),
        *(Reason.SOURCE_NOT_LOOKED_UP, Reason.CACHE_UNREADABLE),
    }
)


@attrs.frozen
class Prediction:
    """What Cinder is expected to do, by the facts before it acts."""

    verdict: str
    """A verdict, or UNKNOWN."""
    unsure: tuple[Reason, ...] = ()
    """Why it is unknown."""


NOT_PREDICTED = Prediction(UNKNOWN)


def agree(one: str, other: str) -> str:
    """Return whether both are the same: ``yes``, ``no`` or UNKNOWN.

    A request that Cinder fails counts as refused.
    """
    if UNKNOWN in {one, other}:
        return UNKNOWN
    kinds = {FAILED if each == "refuse" else each for each in (one, other)}
    return "yes" if len(kinds) == 1 else "no"


def differ(one: str, other: str) -> str:
    """Return the opposite of `agree`."""
    return {"yes": "no", "no": "yes"}.get(agree(one, other), UNKNOWN)


def predict(decision: Decision, capabilities: Mapping[str, Any]) -> Prediction:
    """Predict what Cinder does with a request, by its release's policy.

    The prediction is UNKNOWN where that policy says only what Cinder tries,
    and where Cinder decides by something that is not among the facts.

    Args:
        decision: the decision about the same request.
        capabilities: those of the driver.
    """
    request = decision.request
    stock = decide(
        _as_cinder(request, capabilities), installed_release().stock
    )
    if request.operation is Operation.CREATE:
        unsure = _unsure_create(request, stock)
        verdict = stock.verdict
    else:
        unsure, verdict = _unsure_upload(request, stock)
    if unsure:
        return Prediction(UNKNOWN, tuple(dict.fromkeys(unsure)))
    return Prediction(verdict)


def _as_cinder(request: Request, capabilities: Mapping[str, Any]) -> Request:
    """Leave out what the drop-in adds to the facts.

    Cinder asks at most the driver whether it clones across pools.  Neither
    extra_capabilities nor what is known of the driver's code counts.
    """
    schemes = frozenset(cfg.CONF.allowed_direct_url_schemes)
    across = installed_release().clones_across_pools and bool(
        capabilities.get("clone_across_pools")
    )
    return attrs.evolve(
        request,
        config=attrs.evolve(
            request.config, allowed_direct_url_schemes=schemes
        ),
        backend=attrs.evolve(request.backend, clone_across_pools=across),
    )


def _unsure_create(request: CreateRequest, stock: Decision) -> list[Reason]:
    if isinstance(stock, Refuse):
        return _passed(stock)
    if request.volume.encryption_key_id is not None:
        return []  # Cinder clones nothing, and downloads
    if request.backend.finds_images:
        return [Reason.DRIVER_FINDS_IMAGES]
    locations = [
        *(image.location for image in request.array_images),
        *(volume.location for volume in request.image_volumes),
    ]
    if any(isinstance(each, MalformedLocation) for each in locations):
        return [Reason.LOCATION_MALFORMED]
    unsure = _unsure_sources(stock)
    if isinstance(stock, Clone):
        unsure += _may_fail(request, stock)
    return unsure


def _unsure_sources(stock: Decision) -> list[Reason]:
    """Return why Cinder may find another source, on an earlier route."""
    about_request = stock.evaluation.about_request
    closed = {route for f in about_request for route in f.blocks}
    taken = stock.route if isinstance(stock, Clone) else None
    unsure = [f.reason for f in about_request if f.reason in _UNDECIDED]
    for route in stock.efficient:
        if route not in closed:
            tried = [each for each in stock.candidates if each.route is route]
            found = [[f.reason for f in each.findings] for each in tried]
            for reasons in found:
                if reasons and _UNDECIDED.issuperset(reasons):
                    unsure += reasons
            if route is Route.CACHE_ENTRY:
                unsure += _unsure_cache(tried)
        if route is taken:
            break
    return unsure


def _unsure_cache(tried: Iterable[Any]) -> list[Reason]:
    """Return why it is not known which cache entry Cinder takes.

    Cinder takes the entry that was used last, and evicts it if it is stale.
    """
    here = [
        each
        for each in tried
        if not {Reason.DIFFERENT_HOST, Reason.BACKREF_MISMATCH}
        & {finding.reason for finding in each.findings}
    ]
    bad = [f.reason for each in here for f in each.findings]
    if len(here) > 1:
        return bad
    return [
        reason
        for each in here
        for reason in bad
        if reason is Reason.CACHE_STALE and not _evictable(each.candidate)
    ]


def _evictable(entry: CacheEntry) -> bool:
    source = entry.source
    return (
        source is not None
        and source.status == "available"
        and source.migration_status is None
    )


def _may_fail(request: CreateRequest, stock: Clone) -> list[Reason]:
    """Return why the clone that Cinder tries may fail, by SAFE's rules."""
    safe = decide(request, SAFE)
    findings = [
        *safe.closing(stock.route),
        *(
            finding
            for each in safe.candidates
            if (each.route, each.candidate) == (stock.route, stock.source)
            for finding in each.findings
        ),
    ]
    return [f.reason for f in findings if f.reason in _TRIED]


def _unsure_upload(
    request: UploadRequest, stock: Decision
) -> tuple[list[Reason], str]:
    if isinstance(stock, Refuse):
        return _passed(stock), stock.verdict
    if not isinstance(stock, Register):
        return [], stock.verdict
    closing = decide(request, SAFE).closing(Route.REGISTER)
    tried = [f.reason for f in closing if f.reason in _TRIED]
    if Reason.DRIVER_CANNOT_CLONE in tried:
        return tried, stock.verdict
    notes = {note.reason for note in stock.notes}
    if (
        request.backend.clone_while_uploading is False
        or Reason.STORE_ID_UNSUPPORTED_BY_API in notes
    ):
        return [], "upload"  # the driver or Glance refuses at once
    return tried, stock.verdict


def _passed(stock: Refuse) -> list[Reason]:
    """Return what cinder-api checked before, and what now fails."""
    closing = stock.closing(*stock.efficient, stock.ordinary)
    return [f.reason for f in closing if f.reason in _API]


@attrs.define
class Deed:
    """What Cinder did with one request."""

    did: str = UNKNOWN
    """A verdict, FAILED, or UNKNOWN."""
    source: str | None = None
    """The id of the volume that was cloned."""
    error: str | None = None
    """The class of the error, if the request or a clone failed."""

    def fail(self, error: BaseException) -> None:
        """Remember that Cinder failed the request."""
        self.did, self.error = FAILED, type(error).__name__


class WatchedDriver:
    """A driver that fills one volume, and records in a `Deed` what it did."""

    def __init__(self, driver: Any, deed: Deed) -> None:
        self.driver, self.deed = driver, deed

    def __getattr__(self, name: str) -> Any:
        return getattr(self.driver, name)

    def clone_image(self, *args: Any, **kwargs: Any) -> Any:
        """Call the driver's method, and keep whether it cloned."""
        update, cloned = self.driver.clone_image(*args, **kwargs)
        if cloned:
            self.deed.did = "clone"
        return update, cloned

    def create_cloned_volume(self, volume: Any, src_vref: Any) -> Any:
        """Call the driver's method, and keep whether it cloned."""
        try:
            update = self.driver.create_cloned_volume(volume, src_vref)
        except Exception as error:
            self.deed.error = type(error).__name__
            raise
        self.deed.did, self.deed.source = "clone", src_vref.id
        return update

    def copy_image_to_volume(self, *args: Any, **kwargs: Any) -> Any:
        """Call the driver's method, and keep that it downloaded."""
        update = self.driver.copy_image_to_volume(*args, **kwargs)
        self.deed.did, self.deed.source = "download", None
        return update

    def copy_image_to_encrypted_volume(self, *args: Any, **kwargs: Any) -> Any:
        """Call the driver's method, and keep that it downloaded."""
        update = self.driver.copy_image_to_encrypted_volume(*args, **kwargs)
        self.deed.did, self.deed.source = "download", None
        return update
