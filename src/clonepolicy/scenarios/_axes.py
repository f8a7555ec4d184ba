"""Values for every fact that a rule reads."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import attrs

from clonepolicy import (
    CinderLocation,
    CloneKind,
    GiB,
    GlanceStore,
    Host,
    ImageVolume,
    LocationsFrom,
    Quota,
    Route,
    VolumeType,
    parse_location,
)
from clonepolicy.ports import Inspection, Missing
from clonepolicy.scenarios._requests import (
    ALICE,
    ARRAY,
    BOB,
    CLONEABLE,
    IMAGE_ID,
    INTERNAL,
    NEW_ID,
    NOW,
    OTHER_ARRAY,
    OTHER_ID,
    PLAIN,
    SOURCE_ID,
    STORE,
    THEN,
)

_SAME_BACKEND = attrs.evolve(PLAIN, id="big", name="big", min_vol_size=2)
_OTHER_BACKEND = VolumeType(
    id="far",
    name="far",
    volume_backend_name="b2",
    extra_specs=frozenset({"tier=fast"}),
    qos_specs_id="q1",
)
_ONLY_QOS = attrs.evolve(PLAIN, id="qos", name="qos", qos_specs_id="q1")
_UNKNOWN = VolumeType(id="unknown", name="unknown")
_STORED = attrs.evolve(PLAIN, id="stored", name="stored", store_id="s1")
_HOSTS = tuple(
    Host.parse(text)
    for text in ("h1@b1#p1", "h1@b1#p2", "h1@b2#p1", "h2@b1#p1", "h1@b1")
)
_CLUSTERS = (
    None,
    *(Host.parse(text) for text in ("c1@b1#p1", "c1@b1#p2", "c2@b1#p1")),
)
_ARRAY_IMAGES = CLONEABLE[Route.ARRAY_IMAGE].array_images
(_BACKING,) = CLONEABLE[Route.IMAGE_VOLUME].image_volumes


def _backing(
    volume_id: str = SOURCE_ID,
    **facts: Any,  # noqa: ANN401 - of any field
) -> ImageVolume:
    """Change the volume behind the image."""
    source = _BACKING.source
    assert source is not None  # noqa: S101 - tells the type
    return attrs.evolve(
        _BACKING,
        location=CinderLocation(volume_id),
        source=attrs.evolve(source, id=volume_id, **facts),
    )


_DEFECTS: tuple[Mapping[str, Any], ...] = (
    {"encryption_key_id": "key-1"},
    {"status": "error"},
    {"project_id": BOB},
    {"glance_image_id": OTHER_ID},
    {"project_id": STORE, "image_owner": BOB},
    {"project_id": INTERNAL, "image_owner": BOB},
)
"""What can make a volume no data to download."""


_YES_NO_UNKNOWN = (True, False, None)
_OWNERS = (ALICE, BOB, None)
_KEYS = (None, "key-1")
_ARRAYS = (ARRAY, OTHER_ARRAY, None)
_MISSING = (None, Missing.UNAVAILABLE)
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

_QUOTAS = (
    Quota(),
    Quota(volumes=0),
    Quota(gigabytes=1),
    Quota(type_volumes=0),
    Quota(type_gigabytes=1),
    Quota(missing=Missing.UNAVAILABLE),
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
        "volume.volume_type": (
            *(PLAIN, _SAME_BACKEND, _ONLY_QOS, _OTHER_BACKEND, _UNKNOWN),
            None,
        ),
        "volume.multiattach": (False, True),
        "backend.array_id": _ARRAYS,
        "backend.can_clone": _YES_NO_UNKNOWN,
        "backend.clone_kind": (*CloneKind, None),
        "backend.image_clone_kind": (*CloneKind, None),
        "backend.clone_across_pools": (False, True, None),
        "backend.can_extend": _YES_NO_UNKNOWN,
        "backend.clone_in_use": _YES_NO_UNKNOWN,
        "backend.clone_limit": (None, 1),
        "backend.frozen": (False, True),
        "backend.finds_images": (False, True),
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
        "config.image_volume_cache_max_size_gb": (0, 1),
        "config.image_conversion_disable": (False, True),
        "config.allow_compression_on_image_upload": (False, True),
        "config.trusted_projects": (frozenset({STORE}), frozenset()),
        "config.trusted_image_pools": (
            frozenset({"images", "/images"}),
            frozenset(),
        ),
        "glance.show_multiple_locations": (False, True),
        "cache_quota": (None, *_QUOTAS),
        "quota": _QUOTAS,
        "conversion_free": (None, GiB, 3 * GiB),
        "cache_missing": _MISSING,
        "array_images": ((), _ARRAY_IMAGES),
        "image_volumes": (
            (),
            (_BACKING,),
            (attrs.evolve(_BACKING, source=None, missing=Missing.ABSENT),),
            *((_backing(**defect),) for defect in _DEFECTS),
            (_backing(status="deleting"),),
            tuple(
                _backing(f"{SOURCE_ID[:-1]}{number}", **defect)
                for number, defect in enumerate(_DEFECTS)
            ),
        ),
        "candidate.location": _LOCATIONS,
        "candidate.missing": (None, *Missing),
        "candidate.backend.array_id": _ARRAYS,
        "candidate.image_id": (IMAGE_ID, OTHER_ID),
        "candidate.image_updated_at": (THEN, NOW, None),
        "source.id": (SOURCE_ID, OTHER_ID),
        "source.project_id": (ALICE, BOB, INTERNAL, STORE),
        "source.size": (1, 0, 2, None),
        "source.status": ("available", "in-use", "error", "deleting"),
        "source.migration_status": (None, "success", "migrating"),
        "source.host": (*_HOSTS, None),
        "source.cluster_name": _CLUSTERS,
        "source.encryption_key_id": _KEYS,
        "source.volume_type": (
            *(PLAIN, _SAME_BACKEND, _ONLY_QOS, _OTHER_BACKEND, _UNKNOWN),
            None,
        ),
        "source.clones": (0, 1, None),
        "source.inspection": tuple(Inspection),
        "source.image_owner": _OWNERS,
        "source.glance_image_id": (IMAGE_ID, OTHER_ID, None),
    }
)
"""Values for each fact of a create request: rules hold, and fail."""

UPLOAD_AXES: Mapping[str, tuple[Any, ...]] = MappingProxyType(
    {
        "image.status": ("queued", "active"),
        "image.owner": _OWNERS,
        "image.disk_format": ("raw", "qcow2"),
        "image.container_format": ("bare", "ovf", "compressed"),
        "image.visibility": ("private", "public", "shared"),
        "image.encryption_key_id": _KEYS,
        "image.signed": (False, True),
        "image.size": (None, GiB, 2 * GiB),
        "image.virtual_size": (None, GiB, 2 * GiB),
        "image.min_disk": (0, 1, 2),
        "volume.project_id": (ALICE, BOB, STORE),
        "volume.size": (1, 2),
        "volume.host": (*_HOSTS, None),
        "volume.cluster_name": _CLUSTERS,
        "volume.status": ("uploading", "available", "in-use", "error"),
        "volume.previous_status": ("available", "in-use", None),
        "volume.encryption_key_id": _KEYS,
        "volume.volume_type": (PLAIN, _STORED, None),
        "volume.clones": (0, 1, None),
        "volume.inspection": tuple(Inspection),
        "volume.migration_status": (None, "success", "migrating"),
        "project_id": (ALICE, BOB, STORE),
        "force": (False, True),
        "backend.can_clone": _YES_NO_UNKNOWN,
        "backend.clone_kind": (*CloneKind, None),
        "backend.clone_while_uploading": _YES_NO_UNKNOWN,
        "backend.clone_in_use": _YES_NO_UNKNOWN,
        "backend.clone_limit": (None, 1),
        "backend.frozen": (False, True),
        "config.allowed_direct_url_schemes": (
            frozenset({"cinder"}),
            frozenset(),
        ),
        "config.verify_glance_signatures": ("enabled", "disabled"),
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
        "glance.set_image_location": _YES_NO_UNKNOWN,
        "glance.service_roles": (
            frozenset({"service", "admin"}),
            frozenset({"service"}),
            frozenset({"admin"}),
            frozenset(),
        ),
        "glance.missing": _MISSING,
        "glance.stores": (
            (),
            (GlanceStore(id="s1", cinder_volume_type="plain"),),
            (GlanceStore(id="s1", read_only=True),),
            (
                GlanceStore(id="s1", cinder_volume_type="plain"),
                GlanceStore(id="s2", cinder_volume_type="plain"),
            ),
        ),
        "clone_quota": _QUOTAS,
    }
)
"""Values for each fact of an upload request, as in `AXES`."""
