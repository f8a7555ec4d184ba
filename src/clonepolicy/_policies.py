"""Policies as values: which rules stand in which table.

A policy answers four questions with four kinds of table: what is refused
on both paths, what closes the efficient path, what closes the ordinary
path, and what is worth a note.  The order of a table carries no meaning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from enum import StrEnum
from operator import attrgetter
from typing import Any, Generic, TypeAlias, TypeVar

import attrs

from clonepolicy._records import (
    ArrayImage,
    CacheEntry,
    Candidate,
    CreateRequest,
    Host,
    ImageVolume,
    Volume,
)
from clonepolicy._rules import candidate as c
from clonepolicy._rules import cinder29, request, upload
from clonepolicy._rules._rule import CreateRule, Rule, SourceRule, UploadRule

Kind = TypeVar("Kind", ArrayImage, ImageVolume, CacheEntry)

Order: TypeAlias = Callable[[CreateRequest, Candidate], tuple[Any, ...]]


class Mechanism(StrEnum):
    """The ways to fill a volume by cloning, in Cinder's terms."""

    ARRAY_IMAGE = "array-image"
    """``driver.clone_image``."""
    IMAGE_VOLUME = "image-volume"
    """The volume behind a ``cinder://`` location."""
    CACHE_ENTRY = "cache-entry"
    """The image-volume cache."""


_CANDIDATES: Mapping[Mechanism, Callable[[CreateRequest], tuple[Any, ...]]] = {
    Mechanism.ARRAY_IMAGE: attrgetter("array_images"),
    Mechanism.IMAGE_VOLUME: attrgetter("image_volumes"),
    Mechanism.CACHE_ENTRY: attrgetter("cache_entries"),
}


def label(candidate: Candidate) -> str:
    """Name a candidate: its location, or the cached volume."""
    location = getattr(candidate, "location", None)
    if location is not None:
        return str(location)
    volume = candidate.source
    return f"cache:{volume.id if isinstance(volume, Volume) else '?'}"


def _newest(volume: object) -> float:
    made = getattr(volume, "created_at", None)
    return 0.0 if made is None else -made.timestamp()


def _distance(here: Host | None, there: Host | None) -> int:
    if here is None or there is None:
        return 2
    if here == there:
        return 0
    return 1 if (here.host, here.backend) == (there.host, there.backend) else 2


def nearest_first(
    request: CreateRequest, candidate: Candidate
) -> tuple[Any, ...]:
    """Order by same pool, same backend, elsewhere; then newest; then name."""
    volume, source = request.volume, candidate.source
    if not isinstance(source, Volume):
        return (0, 0.0, label(candidate), repr(source))
    clustered = volume.cluster_name is not None
    distance = (
        _distance(volume.cluster_name, source.cluster_name)
        if clustered
        else _distance(volume.host, source.host)
    )
    return (distance, _newest(source), source.id, label(candidate))


def newest_first(
    _request: CreateRequest, candidate: Candidate
) -> tuple[Any, ...]:
    """Order by creation, then id, both descending, as Cinder's database."""
    source = candidate.source
    volume_id = source.id if isinstance(source, Volume) else ""
    # the end of a text sorts behind every letter, so that v10 is before v1
    backwards = (*(-ord(letter) for letter in volume_id), 1)
    return (_newest(source), backwards, label(candidate))


def last_used_first(
    _request: CreateRequest, candidate: Candidate
) -> tuple[Any, ...]:
    """Order by last use, descending, as Cinder's cache."""
    used = getattr(candidate, "last_used", None)
    moment = 0.0 if used is None else -used.timestamp()
    return (moment, label(candidate))


_CODE_BITS = 64

Predicates: TypeAlias = tuple[tuple[Callable[..., bool], int], ...]
"""Each rule's predicate with the bit that it sets in a code if false."""


def _predicates(rules: Iterable[Rule[Any]]) -> Predicates:
    return tuple((rule.holds, 1 << at) for at, rule in enumerate(rules))


def _mask(rules: Iterable[Rule[Any]], among: Sequence[Rule[Any]]) -> int:
    return sum(1 << among.index(rule) for rule in set(rules))


def _distinct(*tables: Iterable[Rule[Any]]) -> tuple[Rule[Any], ...]:
    return tuple(dict.fromkeys(rule for table in tables for rule in table))


@attrs.frozen(kw_only=True)
class Lane(Generic[Kind]):
    """One mechanism: its gates, its rules for a source, and its order.

    ``tries`` is how many acceptable sources a plan goes through; None is
    all of them.

    Raises:
        ValueError: more than 64 rules for a source.
    """

    mechanism: Mechanism
    gates: tuple[CreateRule, ...]
    rules: tuple[SourceRule[Kind], ...]
    order: Order = nearest_first
    tries: int | None = None
    notes: tuple[CreateRule, ...] = ()
    source_notes: tuple[SourceRule[Kind], ...] = ()
    candidates: Callable[[CreateRequest], tuple[Kind, ...]] = attrs.field(
        init=False, repr=False, eq=False
    )
    predicates: Predicates = attrs.field(init=False, repr=False, eq=False)

    @candidates.default
    def _(self) -> Callable[[CreateRequest], tuple[Any, ...]]:
        return _CANDIDATES[self.mechanism]

    @predicates.default
    def _(self) -> Predicates:
        return _predicates(self.rules)

    def __attrs_post_init__(self) -> None:
        """Refuse what a candidate's code cannot hold."""
        if len(self.rules) > _CODE_BITS:
            message = f"{self.mechanism}: more than {_CODE_BITS} rules"
            raise ValueError(message)


@attrs.frozen(kw_only=True)
class CreateTables:
    """The tables for creating a volume from an image."""

    refuse: tuple[CreateRule, ...] = ()
    lanes: tuple[Lane[Any], ...]
    """In order of preference."""
    download: tuple[CreateRule, ...] = ()
    request_rules: tuple[CreateRule, ...] = attrs.field(
        init=False, repr=False, eq=False
    )
    """Every rule about the request, once."""
    predicates: Predicates = attrs.field(init=False, repr=False, eq=False)
    refuse_mask: int = attrs.field(init=False, repr=False, eq=False)
    gate_masks: tuple[int, ...] = attrs.field(init=False, repr=False, eq=False)
    download_mask: int = attrs.field(init=False, repr=False, eq=False)

    @request_rules.default
    def _(self) -> tuple[CreateRule, ...]:
        gates = (lane.gates for lane in self.lanes)
        return _distinct(self.refuse, *gates, self.download)

    @predicates.default
    def _(self) -> Predicates:
        return _predicates(self.request_rules)

    @refuse_mask.default
    def _(self) -> int:
        return _mask(self.refuse, self.request_rules)

    @gate_masks.default
    def _(self) -> tuple[int, ...]:
        return tuple(
            _mask(lane.gates, self.request_rules) for lane in self.lanes
        )

    @download_mask.default
    def _(self) -> int:
        return _mask(self.download, self.request_rules)


@attrs.frozen(kw_only=True)
class UploadTables:
    """The tables for uploading a volume to an image."""

    refuse: tuple[UploadRule, ...] = ()
    register: tuple[UploadRule, ...]
    upload: tuple[UploadRule, ...] = ()
    notes: tuple[UploadRule, ...] = ()
    request_rules: tuple[UploadRule, ...] = attrs.field(
        init=False, repr=False, eq=False
    )
    """Every rule about the request, once."""
    predicates: Predicates = attrs.field(init=False, repr=False, eq=False)
    refuse_mask: int = attrs.field(init=False, repr=False, eq=False)
    register_mask: int = attrs.field(init=False, repr=False, eq=False)
    upload_mask: int = attrs.field(init=False, repr=False, eq=False)

    @request_rules.default
    def _(self) -> tuple[UploadRule, ...]:
        return _distinct(self.refuse, self.register, self.upload)

    @predicates.default
    def _(self) -> Predicates:
        return _predicates(self.request_rules)

    @refuse_mask.default
    def _(self) -> int:
        return _mask(self.refuse, self.request_rules)

    @register_mask.default
    def _(self) -> int:
        return _mask(self.register, self.request_rules)

    @upload_mask.default
    def _(self) -> int:
        return _mask(self.upload, self.request_rules)


@attrs.frozen(kw_only=True)
class Policy:
    """A name, a version, and the tables that it stands for."""

    name: str
    version: int
    """Raised whenever some input gets another verdict or other reasons."""
    create: CreateTables = attrs.field(repr=False)
    upload: UploadTables = attrs.field(repr=False)

    def __str__(self) -> str:
        """Give name and version."""
        return f"{self.name}/{self.version}"


def tables(policy: Policy) -> Iterable[tuple[str, tuple[Rule[Any], ...]]]:
    """Walk every table of a policy with its name, notes included."""
    yield "create.refuse", policy.create.refuse
    for lane in policy.create.lanes:
        yield f"create.{lane.mechanism}.gates", lane.gates
        yield f"create.{lane.mechanism}.rules", lane.rules
        yield f"create.{lane.mechanism}.notes", lane.notes
        yield f"create.{lane.mechanism}.source_notes", lane.source_notes
    yield "create.download", policy.create.download
    yield "upload.refuse", policy.upload.refuse
    yield "upload.register", policy.upload.register
    yield "upload.upload", policy.upload.upload
    yield "upload.notes", policy.upload.notes


_API_CREATE = (
    request.size_positive,
    request.type_allows_size,
    request.image_visible,
    request.image_active,
    request.image_fits,
    request.min_disk_met,
    request.virtual_size_fits,
    request.multiattach_unencrypted,
    request.quota_suffices,
)
_DOWNLOAD = (
    request.conversion_allowed,
    request.compression_allowed,
    request.conversion_space,
)
_API_UPLOAD = (
    upload.volume_uploadable,
    upload.force_enabled,
    upload.encrypted_as_it_is,
    request.compression_allowed,
)
_ANY_CLONE = (
    request.new_volume_unencrypted,
    request.image_unencrypted,
    request.signature_not_required,
    request.array_can_clone,
    request.backend_thawed,
    request.image_owned,
    request.container_bare,
)
_LOCATED_CLONE = (
    *_ANY_CLONE,
    request.disk_format_raw,
    request.size_known,
    request.locations_readable,
)
_ANY_SOURCE = (
    c.source_found,
    c.source_ready,
    c.source_unencrypted,
    c.source_fits,
    c.source_holds_image,
    c.extend_possible,
    c.below_clone_limit,
)
_VOLUME_SOURCE = (
    *_ANY_SOURCE,
    c.source_is_another,
    c.backref_matches,
    c.type_compatible,
    c.same_host,
    c.same_cluster,
    c.same_pool,
    c.same_array,
)
_CLONE_NOTES = (request.parent_free,)
_IMAGE_NOTES = (
    request.nothing_to_verify,
    request.hash_present,
    request.locations_protected,
)

SAFE = Policy(
    name="SAFE",
    version=1,
    create=CreateTables(
        refuse=(*_API_CREATE, request.image_downloadable),
        lanes=(
            Lane[ArrayImage](
                mechanism=Mechanism.ARRAY_IMAGE,
                gates=(*_LOCATED_CLONE, request.has_array_image),
                rules=(
                    *_ANY_SOURCE,
                    c.location_well_formed,
                    c.scheme_supported,
                    c.same_fsid,
                    c.image_on_same_array,
                    c.pool_allowed,
                    c.location_names_image,
                ),
                notes=(request.image_parent_free, *_IMAGE_NOTES),
                source_notes=(c.no_extension,),
            ),
            Lane[ImageVolume](
                mechanism=Mechanism.IMAGE_VOLUME,
                gates=(
                    *_LOCATED_CLONE,
                    request.scheme_allowed,
                    request.has_image_volume,
                ),
                rules=(
                    *_VOLUME_SOURCE,
                    c.location_names_volume,
                    c.source_is_named,
                    c.backing_owned,
                ),
                notes=(*_CLONE_NOTES, *_IMAGE_NOTES),
                source_notes=(c.no_extension, c.source_immutable),
            ),
            Lane[CacheEntry](
                mechanism=Mechanism.CACHE_ENTRY,
                gates=(
                    *_ANY_CLONE,
                    request.cache_enabled,
                    request.internal_tenant_set,
                    request.has_cache_entry,
                ),
                rules=(
                    *_VOLUME_SOURCE,
                    c.cache_vouched,
                    c.entry_is_for_image,
                    c.entry_fresh,
                ),
                notes=_CLONE_NOTES,
                source_notes=(c.no_extension,),
            ),
        ),
        download=_DOWNLOAD,
    ),
    upload=UploadTables(
        refuse=(
            *_API_UPLOAD,
            request.conversion_allowed,
            upload.image_queued,
        ),
        register=(
            request.disk_format_raw,
            request.container_bare,
            request.image_owned,
            request.array_can_clone,
            request.backend_thawed,
            upload.upload_backend_enabled,
            upload.uploaded_unencrypted,
            upload.uploaded_settled,
            upload.clone_in_owners_project,
            upload.wanted_tenant_set,
            upload.clone_quota_suffices,
            upload.clones_while_uploading,
            upload.uploaded_below_limit,
            upload.store_resolved,
            upload.location_writable,
            upload.has_service_role,
            upload.sees_private_images,
        ),
        notes=(
            request.scheme_allowed,
            request.parent_free,
            upload.registered_at_once,
            upload.clone_immutable,
        ),
    ),
)
"""What a careful operator wants; the default."""

LIBERTY = Policy(
    name="LIBERTY",
    version=1,
    create=CreateTables(
        lanes=(
            Lane[ImageVolume](
                mechanism=Mechanism.IMAGE_VOLUME,
                gates=(
                    request.disk_format_raw,
                    request.scheme_allowed,
                    request.has_image_volume,
                ),
                rules=(
                    c.location_names_volume,
                    c.source_found,
                    cinder29.spec_same_host,
                    cinder29.spec_same_owner,
                ),
                source_notes=(c.no_extension,),
            ),
        ),
    ),
    upload=UploadTables(
        register=(
            request.disk_format_raw,
            upload.upload_backend_enabled,
        ),
    ),
)
"""The Liberty specification to the letter, and nothing more."""

CINDER_29 = Policy(
    name="CINDER_29",
    version=1,
    create=CreateTables(
        refuse=(
            *_API_CREATE,
            request.size_known,
            cinder29.cinder_locations_read,
        ),
        lanes=(
            Lane[ArrayImage](
                mechanism=Mechanism.ARRAY_IMAGE,
                gates=(
                    request.new_volume_unencrypted,
                    request.disk_format_raw,
                    cinder29.cinder_locations_shown,
                    request.has_array_image,
                ),
                rules=(
                    c.source_found,
                    c.location_well_formed,
                    c.scheme_supported,
                    c.same_fsid,
                ),
                tries=1,
                notes=(request.signature_not_required,),
                source_notes=(c.no_extension,),
            ),
            Lane[ImageVolume](
                mechanism=Mechanism.IMAGE_VOLUME,
                gates=(
                    request.new_volume_unencrypted,
                    request.disk_format_raw,
                    request.container_bare,
                    request.scheme_allowed,
                    cinder29.cinder_locations_shown,
                    request.has_image_volume,
                ),
                rules=(
                    c.source_found,
                    cinder29.cinder_names_volume,
                    cinder29.cinder_same_host,
                    cinder29.cinder_same_cluster,
                    cinder29.cinder_owner,
                ),
                order=newest_first,
                tries=1,
                notes=(request.signature_not_required,),
                source_notes=(c.no_extension,),
            ),
            Lane[CacheEntry](
                mechanism=Mechanism.CACHE_ENTRY,
                gates=(
                    request.new_volume_unencrypted,
                    request.cache_enabled,
                    request.internal_tenant_set,
                    request.conversion_space,
                    request.has_cache_entry,
                ),
                rules=(
                    c.source_found,
                    c.entry_is_for_image,
                    c.entry_fresh,
                    cinder29.cinder_cache_place,
                ),
                order=last_used_first,
                tries=1,
                notes=(request.signature_not_required,),
                source_notes=(c.no_extension,),
            ),
        ),
        download=(*_DOWNLOAD, request.image_downloadable),
    ),
    upload=UploadTables(
        refuse=(*_API_UPLOAD, cinder29.cinder_clone_quota),
        register=(
            upload.upload_backend_enabled,
            request.disk_format_raw,
            request.container_bare,
        ),
        upload=(request.conversion_allowed,),
        notes=(
            cinder29.tenant_as_wanted,
            cinder29.no_store_for_api,
            upload.clones_while_uploading,
            upload.uploaded_unencrypted,
        ),
    ),
)
"""What cinder 29.0.0 does, bugs included."""

POLICIES = {policy.name: policy for policy in (SAFE, LIBERTY, CINDER_29)}
"""The shipped policies by name."""
