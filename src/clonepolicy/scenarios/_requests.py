"""Requests that take an efficient route, and their parts."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from types import MappingProxyType

import attrs

from clonepolicy import (
    ArrayImage,
    Backend,
    CacheEntry,
    CinderLocation,
    CloneKind,
    Config,
    CreateRequest,
    GiB,
    GlanceConfig,
    Host,
    Image,
    ImageVolume,
    LocationsFrom,
    RbdLocation,
    Route,
    UploadRequest,
    Volume,
    VolumeType,
)
from clonepolicy.ports import Inspection, StoredImage

ALICE, BOB, INTERNAL, STORE = "alice", "bob", "internal", "store"
IMAGE_ID = "1f2e3d4c-0000-4000-8000-000000000001"
NEW_ID = "1f2e3d4c-0000-4000-8000-000000000002"
SOURCE_ID = "1f2e3d4c-0000-4000-8000-000000000003"
OTHER_ID = "1f2e3d4c-0000-4000-8000-000000000004"
ARRAY, OTHER_ARRAY = "array-1", "array-2"
THEN = datetime.datetime(2025, 1, 1, tzinfo=datetime.UTC)
NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
HERE = Host.parse("h1@b1#p1")
PLAIN = VolumeType(
    id="plain",
    name="plain",
    volume_backend_name="b1",
    extra_specs=frozenset(),
)

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
    clone_in_use=True,
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
    inspection=Inspection.PASSED,
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

CLONEABLE: Mapping[Route, CreateRequest] = MappingProxyType(
    {
        Route.ARRAY_IMAGE: attrs.evolve(
            _CREATE,
            array_images=(
                ArrayImage(
                    location=RbdLocation(ARRAY, "images", IMAGE_ID, "snap"),
                    source=StoredImage(
                        size=1, clones=0, inspection=Inspection.PASSED
                    ),
                    backend=_BACKEND,
                ),
            ),
        ),
        Route.IMAGE_VOLUME: attrs.evolve(
            _CREATE,
            image_volumes=(
                ImageVolume(
                    location=CinderLocation(SOURCE_ID),
                    source=_SOURCE,
                    backend=_BACKEND,
                ),
            ),
        ),
        Route.CACHE_ENTRY: attrs.evolve(
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
"""For each clone route, a request that SAFE clones by it."""

DOWNLOADED = _CREATE
"""A request without candidates, which SAFE downloads without a note."""

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
"""A request that every shipped policy registers."""
