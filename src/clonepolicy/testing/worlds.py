"""Small worlds: requests that clone, and every way in which rules can fail.

`CLONEABLE` holds, for each mechanism, a request that every shipped policy
clones; `REGISTERABLE` one that every one registers.  `AXES` and
`UPLOAD_AXES` give each fact that a rule reads a few values which between
them make every rule hold and fail.  `combinations` walks every realisable
combination of outcomes of one table's rules, with a world for each.

Nothing here needs hypothesis.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, TypeAlias, TypeVar

import attrs

from clonepolicy import (
    ArrayImage,
    Backend,
    CacheEntry,
    Candidate,
    CinderLocation,
    CloneKind,
    Config,
    CreateRequest,
    GiB,
    GlanceConfig,
    GlanceStore,
    Host,
    Image,
    ImageVolume,
    LocationsFrom,
    Mechanism,
    Quota,
    RbdLocation,
    StoredImage,
    UploadRequest,
    Volume,
    VolumeType,
    parse_location,
)

Request: TypeAlias = CreateRequest | UploadRequest
Values: TypeAlias = Mapping[str, Any]
R = TypeVar("R", bound=Request)

ALICE, BOB, INTERNAL, STORE = "alice", "bob", "internal", "store"
IMAGE_ID = "1f2e3d4c-0000-4000-8000-000000000001"
NEW_ID = "1f2e3d4c-0000-4000-8000-000000000002"
SOURCE_ID = "1f2e3d4c-0000-4000-8000-000000000003"
OTHER_ID = "1f2e3d4c-0000-4000-8000-000000000004"
ARRAY, OTHER_ARRAY = "array-1", "array-2"
THEN = datetime.datetime(2025, 1, 1, tzinfo=datetime.UTC)
NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
HERE = Host.parse("h1@b1#p1")
PLAIN = VolumeType(id="plain", name="plain", volume_backend_name="b1")

_CONFIG = Config(
    allowed_direct_url_schemes=frozenset({"cinder"}),
    cinder_internal_tenant_project_id=INTERNAL,
    cinder_internal_tenant_user_id="cinder",
    image_upload_use_cinder_backend=True,
    image_upload_use_internal_tenant=True,
    image_volume_cache_enabled=True,
    trusted_projects=frozenset({STORE}),
    trusted_image_pools=frozenset({"images", "/images"}),
)
_BACKEND = Backend(
    array_id=ARRAY,
    can_clone=True,
    clone_kind=CloneKind.COPY_ON_WRITE,
    image_clone_kind=CloneKind.COPY_ON_WRITE,
    clone_across_pools=False,
    can_extend=True,
    clone_while_uploading=True,
    image_schemes=frozenset({"rbd", "file"}),
)
_SOURCE = Volume(
    id=SOURCE_ID,
    project_id=ALICE,
    size=1,
    status="available",
    host=HERE,
    volume_type=PLAIN,
    created_at=THEN,
    clones=0,
    image_owner=ALICE,
    glance_image_id=IMAGE_ID,
)
_CREATE = CreateRequest(
    image=Image(
        id=IMAGE_ID,
        status="active",
        owner=ALICE,
        disk_format="raw",
        container_format="bare",
        size=GiB,
        visible=True,
        downloadable=True,
        updated_at=THEN,
        locations_from=LocationsFrom.LOCATIONS_API,
    ),
    volume=Volume(
        id=NEW_ID,
        project_id=ALICE,
        size=1,
        status="creating",
        host=HERE,
        volume_type=PLAIN,
        created_at=NOW,
    ),
    backend=_BACKEND,
    config=_CONFIG,
    glance=GlanceConfig(
        has_location_api=True, service_roles=frozenset({"service", "admin"})
    ),
)

CLONEABLE: Mapping[Mechanism, CreateRequest] = MappingProxyType(
    {
        Mechanism.ARRAY_IMAGE: attrs.evolve(
            _CREATE,
            array_images=(
                ArrayImage(
                    location=RbdLocation(ARRAY, "images", IMAGE_ID, "snap"),
                    source=StoredImage(size=1, clones=0),
                    backend=_BACKEND,
                ),
            ),
        ),
        Mechanism.IMAGE_VOLUME: attrs.evolve(
            _CREATE,
            image_volumes=(
                ImageVolume(
                    location=CinderLocation(SOURCE_ID),
                    source=_SOURCE,
                    backend=_BACKEND,
                ),
            ),
        ),
        Mechanism.CACHE_ENTRY: attrs.evolve(
            _CREATE,
            cache_entries=(
                CacheEntry(
                    image_id=IMAGE_ID,
                    image_updated_at=THEN,
                    last_used=THEN,
                    source=attrs.evolve(_SOURCE, project_id=INTERNAL),
                    backend=_BACKEND,
                ),
            ),
        ),
    }
)
"""For each mechanism a request that is cloned by it."""

REGISTERABLE = UploadRequest(
    image=Image(
        id=IMAGE_ID,
        status="queued",
        owner=ALICE,
        disk_format="raw",
        container_format="bare",
        visible=True,
        downloadable=True,
    ),
    volume=attrs.evolve(
        _SOURCE,
        status="uploading",
        previous_status="available",
        image_owner=None,
        glance_image_id=None,
    ),
    project_id=ALICE,
    backend=_BACKEND,
    config=_CONFIG,
    glance=GlanceConfig(
        has_location_api=True, service_roles=frozenset({"service", "admin"})
    ),
)
"""A request that is registered."""

_SAME_BACKEND = attrs.evolve(PLAIN, id="big", name="big", min_vol_size=2)
_OTHER_BACKEND = VolumeType(id="far", name="far", volume_backend_name="b2")
_STORED = attrs.evolve(PLAIN, id="stored", name="stored", store_id="s1")
_HOSTS = tuple(
    Host.parse(text)
    for text in ("h1@b1#p1", "h1@b1#p2", "h1@b2#p1", "h2@b1#p1", "h1@b1")
)
_CLUSTERS = (
    None,
    *(Host.parse(text) for text in ("c1@b1#p1", "c1@b1#p2", "c2@b1#p1")),
)
_YES_NO_UNKNOWN = (True, False, None)
_OWNERS = (ALICE, BOB, None)
_KEYS = (None, "key-1")
_ARRAYS = (ARRAY, OTHER_ARRAY, None)
_LOCATIONS = tuple(
    parse_location(url)
    for url in (
        f"cinder://{SOURCE_ID}",
        f"cinder://store/{SOURCE_ID}",
        f"CINDER://{SOURCE_ID}",
        f"cinder://{SOURCE_ID}?size=1",
        f"cinder://{SOURCE_ID}/",
        "cinder:nothing",
        f"rbd://{ARRAY}/images/{IMAGE_ID}/snap",
        f"rbd://{ARRAY}/volumes/{IMAGE_ID}/snap",
        f"rbd://{ARRAY}/images/{OTHER_ID}/snap",
        f"rbd://{OTHER_ARRAY}/images/{IMAGE_ID}/snap",
        f"rbd://{ARRAY}/images",
        f"file:///images/{IMAGE_ID}",
        f"file:///elsewhere/{IMAGE_ID}",
        f"file:///images/{OTHER_ID}",
        "http://images.example/1",
    )
)

AXES: Mapping[str, tuple[Any, ...]] = MappingProxyType(
    {
        "image.id": (IMAGE_ID, OTHER_ID),
        "image.status": ("active", "deactivated", "queued"),
        "image.owner": _OWNERS,
        "image.disk_format": ("raw", "qcow2", "iso", None),
        "image.container_format": ("bare", "ovf", "compressed", None),
        "image.size": (GiB, 0, 2 * GiB, None),
        "image.virtual_size": (None, 0, GiB, 2 * GiB),
        "image.min_disk": (0, 1, 2),
        "image.visible": (True, False),
        "image.downloadable": (True, False),
        "image.encryption_key_id": _KEYS,
        "image.signed": (False, True),
        "image.os_hash_value": (None, "0f"),
        "image.updated_at": (THEN, NOW, None),
        "image.locations_from": tuple(LocationsFrom),
        "image.direct_url": (None, f"cinder://{SOURCE_ID}"),
        "volume.id": (NEW_ID, SOURCE_ID),
        "volume.project_id": (ALICE, BOB),
        "volume.size": (1, 0, 2),
        "volume.host": (*_HOSTS, None),
        "volume.cluster_name": _CLUSTERS,
        "volume.encryption_key_id": _KEYS,
        "volume.volume_type": (PLAIN, _SAME_BACKEND, _OTHER_BACKEND, None),
        "volume.multiattach": (False, True),
        "backend.array_id": _ARRAYS,
        "backend.can_clone": _YES_NO_UNKNOWN,
        "backend.clone_kind": (*CloneKind, None),
        "backend.image_clone_kind": (*CloneKind, None),
        "backend.clone_across_pools": (False, True, None),
        "backend.can_extend": _YES_NO_UNKNOWN,
        "backend.clone_limit": (None, 1),
        "backend.frozen": (False, True),
        "backend.image_schemes": (
            frozenset({"rbd", "file"}),
            frozenset({"rbd"}),
            frozenset(),
        ),
        "config.allowed_direct_url_schemes": (
            frozenset({"cinder"}),
            frozenset({"cinder", "file"}),
            frozenset({"file"}),
            frozenset(),
        ),
        "config.verify_glance_signatures": ("enabled", "disabled"),
        "config.cinder_internal_tenant_project_id": (INTERNAL, None),
        "config.cinder_internal_tenant_user_id": ("cinder", None),
        "config.image_volume_cache_enabled": (True, False),
        "config.image_conversion_disable": (False, True),
        "config.allow_compression_on_image_upload": (False, True),
        "config.trusted_projects": (frozenset({STORE}), frozenset()),
        "config.trusted_image_pools": (
            frozenset({"images", "/images"}),
            frozenset(),
        ),
        "glance.show_multiple_locations": (False, True),
        "quota": (Quota(), Quota(volumes=0), Quota(gigabytes=1)),
        "conversion_free": (None, GiB, 3 * GiB),
        "candidate.location": _LOCATIONS,
        "candidate.backend.array_id": _ARRAYS,
        "candidate.image_id": (IMAGE_ID, OTHER_ID),
        "candidate.image_updated_at": (THEN, NOW, None),
        "source.id": (SOURCE_ID, OTHER_ID),
        "source.project_id": (ALICE, BOB, INTERNAL, STORE),
        "source.size": (1, 0, 2),
        "source.status": ("available", "in-use", "error", "deleting"),
        "source.migration_status": (None, "success", "migrating"),
        "source.host": (*_HOSTS, None),
        "source.cluster_name": _CLUSTERS,
        "source.encryption_key_id": _KEYS,
        "source.volume_type": (PLAIN, _OTHER_BACKEND, None),
        "source.clones": (0, 1, None),
        "source.image_owner": _OWNERS,
        "source.glance_image_id": (IMAGE_ID, OTHER_ID, None),
    }
)
"""Values for each fact of a create request; absence has its own marks."""

UPLOAD_AXES: Mapping[str, tuple[Any, ...]] = MappingProxyType(
    {
        "image.status": ("queued", "active"),
        "image.owner": _OWNERS,
        "image.disk_format": ("raw", "qcow2"),
        "image.container_format": ("bare", "ovf", "compressed"),
        "image.visibility": ("private", "public", "shared"),
        "volume.size": (1, 2),
        "volume.status": ("uploading", "available", "in-use", "error"),
        "volume.previous_status": ("available", "in-use", None),
        "volume.encryption_key_id": _KEYS,
        "volume.volume_type": (PLAIN, _STORED, None),
        "volume.clones": (0, 1, None),
        "volume.migration_status": (None, "success", "migrating"),
        "project_id": (ALICE, BOB, STORE),
        "force": (False, True),
        "backend.can_clone": _YES_NO_UNKNOWN,
        "backend.clone_kind": (*CloneKind, None),
        "backend.clone_while_uploading": _YES_NO_UNKNOWN,
        "backend.clone_limit": (None, 1),
        "backend.frozen": (False, True),
        "config.allowed_direct_url_schemes": (
            frozenset({"cinder"}),
            frozenset(),
        ),
        "config.cinder_internal_tenant_project_id": (INTERNAL, None),
        "config.cinder_internal_tenant_user_id": ("cinder", None),
        "config.image_upload_use_cinder_backend": (True, False),
        "config.image_upload_use_internal_tenant": (True, False),
        "config.image_conversion_disable": (False, True),
        "config.allow_compression_on_image_upload": (False, True),
        "config.enable_force_upload": (False, True),
        "config.trusted_projects": (frozenset({STORE}), frozenset()),
        "glance.has_location_api": _YES_NO_UNKNOWN,
        "glance.show_multiple_locations": (False, True),
        "glance.service_roles": (
            frozenset({"service", "admin"}),
            frozenset({"service"}),
            frozenset({"admin"}),
            frozenset(),
        ),
        "glance.stores": (
            (),
            (GlanceStore(id="s1", cinder_volume_type="plain"),),
            (GlanceStore(id="s1", read_only=True),),
            (
                GlanceStore(id="s1", cinder_volume_type="plain"),
                GlanceStore(id="s2", cinder_volume_type="plain"),
            ),
        ),
        "clone_quota": (Quota(), Quota(volumes=0), Quota(gigabytes=1)),
    }
)
"""Values for each fact of an upload request."""

HELD = {
    Mechanism.ARRAY_IMAGE: "array_images",
    Mechanism.IMAGE_VOLUME: "image_volumes",
    Mechanism.CACHE_ENTRY: "cache_entries",
}


def candidate_of(request: Request) -> Candidate | None:
    """Give the only candidate of a world, if there is one."""
    if isinstance(request, UploadRequest):
        return None
    for field in HELD.values():
        for candidate in getattr(request, field):
            found: Candidate = candidate
            return found
    return None


def put(world: R, values: Values) -> R:
    """Give a world other values, by the paths that rules read.

    A world has one candidate at the most.

    ``source`` and the names of the candidate tuples take only None and the
    empty tuple: there is no source, or no candidate.  A field that a
    candidate does not have is passed over.
    """
    flat: dict[str, Any] = {}
    nested: dict[str, dict[str, Any]] = {}
    for path, value in values.items():
        root, _, rest = path.partition(".")
        if rest:
            nested.setdefault(root, {})[rest] = value
        else:
            flat[root] = value
    about_source = nested.pop("source", {})
    about_candidate = nested.pop("candidate", {})
    candidate = candidate_of(world)
    if candidate is not None:
        source: Any = candidate.source
        if "source" in flat:
            source = flat.pop("source")
        elif source is not None:
            source = _evolved(source, about_source)
        array_id = about_candidate.pop("backend.array_id", Ellipsis)
        backend = candidate.backend
        if array_id is not Ellipsis:
            backend = attrs.evolve(backend, array_id=array_id)
        candidate = _evolved(
            candidate,
            {**about_candidate, "source": source, "backend": backend},
        )
        field = next(f for f in HELD.values() if getattr(world, f))
        flat.setdefault(field, (candidate,))
    flat.pop("source", None)
    for root, changes in nested.items():
        flat[root] = attrs.evolve(getattr(world, root), **changes)
    return attrs.evolve(world, **flat)


def _evolved(record: Any, changes: Values) -> Any:  # noqa: ANN401 - any record
    fields = attrs.fields_dict(type(record))
    return attrs.evolve(
        record, **{k: v for k, v in changes.items() if k in fields}
    )
