"""The facts that a cloud may keep to itself, and the most they can grant."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, TypeVar

import attrs

from clonepolicy import (
    Backend,
    CacheEntry,
    CinderLocation,
    CreateRequest,
    FileLocation,
    GiB,
    GlanceStore,
    Host,
    ImageVolume,
    LocationsFrom,
    Quota,
    RbdLocation,
    UploadRequest,
    Volume,
)
from clonepolicy.ports import Missing
from clonepolicy.unknowns import Change, Unknown

R = TypeVar("R", CreateRequest, UploadRequest)
SERVICE_ROLES = frozenset({"service", "admin"})
_CONF = "--cinder-conf FILE"
_SOMEBODY = "the internal tenant"
_SOME_POOL = Host("some", "backend", "pool")
_SOME_VOLUME = "00000000-0000-4000-8000-000000000000"


def _set(record: str, **values: Any) -> Change:  # noqa: ANN401 - of any field
    """Change fields of one record of a request."""

    def change(request: R) -> R:
        changed = attrs.evolve(getattr(request, record), **values)
        return attrs.evolve(request, **{record: changed})

    return change


def _assumed(fact: str, example: str) -> str:
    return f"--assume {fact}={example}"


def of_config(request: CreateRequest | UploadRequest) -> Iterator[Unknown]:
    """Iterate over the options of cinder.conf, which no API shows."""

    def option(
        name: str, *value: object, example: str, ordered: bool = True
    ) -> Unknown:
        (granted,) = value or (True,)
        return Unknown(
            fact=f"config.{name}",
            missing=Missing.UNSUPPORTED,
            tell=f"{_CONF}, or {_assumed(name, example)}",
            granted=_set("config", **{name: granted}),
            ordered=ordered,
        )

    if request.image.signed:
        yield option(
            "verify_glance_signatures", "disabled", example="disabled"
        )
    if request.image.container_format == "compressed":
        name = "allow_compression_on_image_upload"
        yield option(name, example="true")
    if isinstance(request, UploadRequest):
        yield option("image_upload_use_cinder_backend", example="true")
        name = "image_upload_use_internal_tenant"
        yield option(name, example="true", ordered=False)
        if request.force:
            yield option("enable_force_upload", example="true")
        yield _tenant(_SOMEBODY)
        return
    if request.image.disk_format != "raw":
        # the default is to convert
        name = "image_conversion_disable"
        yield option(name, example="true", ordered=False)
    yield option(
        "allowed_direct_url_schemes", frozenset({"cinder"}), example="cinder"
    )
    projects = _projects(request)
    yield _tenant(next(iter(sorted(projects)), _SOMEBODY))
    if projects:
        example = ",".join(sorted(projects))
        yield option("trusted_projects", projects, example=example)
    pools = frozenset(_pools(request))
    if pools:
        yield option(
            "trusted_image_pools", pools, example=",".join(sorted(pools))
        )


def _tenant(project: str) -> Unknown:
    name = "cinder_internal_tenant_project_id"
    user = "cinder_internal_tenant_user_id"
    return Unknown(
        fact=f"config.{name}",
        missing=Missing.UNSUPPORTED,
        tell=f"{_CONF}, or {_assumed(name, 'ID')} {_assumed(user, 'ID')}",
        granted=_set("config", **{name: project, user: _SOMEBODY}),
    )


def _projects(request: CreateRequest) -> frozenset[str]:
    """Return the projects of the sources that are not the image's owner."""
    sources = (candidate.source for candidate in request.image_volumes)
    found = {source.project_id for source in sources if source is not None}
    return frozenset(found - {request.image.owner})


def _pools(request: CreateRequest) -> Iterator[str]:
    for image in request.array_images:
        match image.location:
            case RbdLocation(pool=pool):
                yield pool
            case FileLocation(path=path):
                yield path.rpartition("/")[0] or "/"
            case _:
                pass


def of_cache_option() -> Unknown:
    """Return that it is not known whether the backend has a cache."""
    name = "image_volume_cache_enabled"
    return Unknown(
        fact=f"config.{name}",
        missing=Missing.UNSUPPORTED,
        tell=f"{_CONF}, or {_assumed(name, 'true')}",
        granted=_set("config", **{name: True}),
    )


def of_entries() -> Unknown:
    """Return that the entries of the image-volume cache are not known."""
    return Unknown(
        fact="cache_entries",
        missing=Missing.UNSUPPORTED,
        tell="the table image_volume_cache_entries of Cinder's database",
        granted=_with_entry,
    )


def _with_entry(request: CreateRequest) -> CreateRequest:
    config = request.config
    project = config.cinder_internal_tenant_project_id or _SOMEBODY
    entry = CacheEntry(
        image_id=request.image.id,
        image_updated_at=request.image.updated_at,
        source=_perfect(request, project),
        backend=request.backend,
    )
    return attrs.evolve(request, cache_entries=(entry,), cache_missing=None)


def _perfect(request: CreateRequest, project: str) -> Volume:
    """Return a source that any policy accepts, as far as a source can."""
    image, new = request.image, request.volume
    size = max(image.disk_size or 0, image.size or 0)
    return Volume(
        id=_SOME_VOLUME,
        project_id=project,
        size=min(new.size, max(1, -(-size // GiB), image.min_disk)),
        status="available",
        host=new.host,
        cluster_name=new.cluster_name,
        volume_type=new.volume_type,
        clones=0,
        image_owner=image.owner,
        glance_image_id=image.id,
    )


def of_locations(missing: Missing) -> Unknown:
    """Return that some locations of the image are not known."""
    return Unknown(
        fact="image.locations",
        missing=missing,
        tell="ask as a user with the role service, or "
        + _assumed("locations", "cinder://ID"),
        granted=partial(_with_source, CinderLocation(_SOME_VOLUME)),
    )


_UNREAD = frozenset(Missing) - {Missing.ABSENT, Missing.ELSEWHERE}


def of_sources(request: CreateRequest) -> Iterator[Unknown]:
    """Iterate over the volumes behind locations that could not be read."""
    for candidate in request.image_volumes:
        location, missing = candidate.location, candidate.missing
        if missing in _UNREAD and isinstance(location, CinderLocation):
            yield Unknown(
                fact=f"source of {location}",
                missing=missing or Missing.FAILED,
                tell="ask as an admin, who may read the volume",
                granted=partial(_with_source, location),
            )


def _with_source(
    location: CinderLocation, request: CreateRequest
) -> CreateRequest:
    source = _perfect(request, request.image.owner or _SOMEBODY)
    source = attrs.evolve(source, id=location.volume_id)
    found = ImageVolume(
        location=location, source=source, backend=request.backend
    )
    others = (c for c in request.image_volumes if c.location != location)
    return attrs.evolve(request, image_volumes=(found, *others))


def of_visible(missing: Missing) -> Unknown:
    """Return that it is not known whether the requester sees the image."""
    return Unknown(
        fact="image.visible",
        missing=missing,
        tell="--as-cloud with the requester's own credentials, or "
        + _assumed("visible", "true"),
        granted=_set("image", visible=True),
    )


def of_own_place(missing: Missing) -> Unknown:
    """Return that the host of an existing volume is not known."""
    return Unknown(
        fact="volume.host",
        missing=missing,
        tell="ask as an admin",
        granted=_set("volume", host=_SOME_POOL),
    )


def of_roles(locations_from: LocationsFrom, missing: Missing) -> Unknown:
    """Return that the roles of the ``[glance]`` user are not known.

    ``locations_from`` is where this user reads the locations if it has both.
    """

    def granted(request: R) -> R:
        return attrs.evolve(
            request,
            glance=attrs.evolve(request.glance, service_roles=SERVICE_ROLES),
            image=attrs.evolve(request.image, locations_from=locations_from),
        )

    return Unknown(
        fact="glance.service_roles",
        missing=missing,
        tell=f"{_CONF} and a user who may list role assignments, or "
        + _assumed("service_roles", "service,admin"),
        granted=granted,
    )


def of_quota(field: str, missing: Missing) -> Unknown:
    """Return that a quota is not known."""
    return Unknown(
        fact=field,
        missing=missing,
        tell="ask as a user of the project, or as an admin",
        granted=lambda request: attrs.evolve(request, **{field: Quota()}),
    )


def of_encryption(missing: Missing) -> Unknown:
    """Return that it is not known whether the volume type encrypts."""
    return Unknown(
        fact="volume.encryption_key_id",
        missing=missing,
        tell="ask as an admin, or "
        + _assumed("volume.encryption_key_id", "none"),
        granted=_set("volume", encryption_key_id=NEW_KEY),
        ordered=False,
    )


NEW_KEY = "a key of its own"
"""What a volume of a type with encryption gets from the key manager."""


def of_type(missing: Missing) -> Unknown:
    """Return that what the volume type promises is not known."""

    def granted(request: R) -> R:
        kind = request.volume.volume_type
        if kind is None:
            return request
        kind = attrs.evolve(kind, extra_specs=frozenset())
        volume = attrs.evolve(request.volume, volume_type=kind)
        request = attrs.evolve(request, volume=volume)
        if isinstance(request, UploadRequest):
            return request
        return attrs.evolve(
            request,
            image_volumes=tuple(
                attrs.evolve(
                    each, source=attrs.evolve(each.source, volume_type=kind)
                )
                if each.source is not None
                else each
                for each in request.image_volumes
            ),
        )

    return Unknown(
        fact="volume.volume_type",
        missing=missing,
        tell="ask as an admin: users see few extra specs",
        granted=granted,
    )


def of_place(missing: Missing) -> Unknown:
    """Return that no pool is known to which the new volume may go."""

    def granted(request: CreateRequest) -> CreateRequest:
        host, cluster, array = _SOME_POOL, None, request.backend.array_id
        for candidate in request.image_volumes:
            source = candidate.source
            if source is not None and source.host is not None:
                host, cluster = source.host, source.cluster_name
                array = candidate.backend.array_id
        return attrs.evolve(
            request,
            volume=attrs.evolve(
                request.volume, host=host, cluster_name=cluster
            ),
            backend=attrs.evolve(request.backend, array_id=array),
        )

    return Unknown(
        fact="volume.host",
        missing=missing,
        tell="ask as an admin, who may list pools, or use --pool H@B#P",
        granted=granted,
    )


def of_frozen(missing: Missing) -> Unknown:
    """Return that it is not known whether the pool's service is frozen."""
    return Unknown(
        fact="backend.frozen",
        missing=missing,
        tell="ask as an admin, or " + _assumed("frozen", "false"),
        granted=_set("backend", frozen=False),
    )


def of_glance(missing: Missing) -> Unknown:
    """Return that it is not known whether Glance has the locations API."""
    return Unknown(
        fact="glance.has_location_api",
        missing=missing,
        tell=_assumed("has_location_api", "true") + " since Glance 2024.2",
        granted=lambda request: attrs.evolve(
            request,
            glance=attrs.evolve(
                request.glance, has_location_api=True, missing=None
            ),
        ),
    )


def of_stores(kind: str | None, missing: Missing) -> Unknown:
    """Return that Glance's stores are not known."""
    store = GlanceStore(id="a store", cinder_volume_type=kind)
    return Unknown(
        fact="glance.stores",
        missing=missing,
        tell="ask as an admin, who may read the details of stores",
        granted=_set("glance", stores=(store,)),
    )


def of_backend(backend: Backend, names: tuple[str, ...]) -> Iterator[Unknown]:
    """Iterate over the abilities that neither pool nor driver declares."""
    for name in names:
        if getattr(backend, name) is None:
            yield Unknown(
                fact=f"backend.{name}",
                missing=Missing.UNSUPPORTED,
                tell=f"{_CONF}, or {_assumed(name, 'true')}",
                granted=_set("backend", **{name: True}),
            )
