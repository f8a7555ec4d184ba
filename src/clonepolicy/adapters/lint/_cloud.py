"""The checks that ask a running cloud, too."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from clonepolicy import Reason
from clonepolicy.adapters.conf import CinderConf, GlanceConf
from clonepolicy.adapters.lint._asked import (
    SCHEMES,
    has_glance_user,
    with_upload,
)
from clonepolicy.adapters.lint._check import (
    Check,
    Estate,
    Level,
    Need,
    Spot,
    spot,
)

_READ_ONLY = frozenset({"http"})
_CREATES = "Every volume from an image takes minutes"
_QUEUED = "An image stays queued, or the registration is rejected"
_LEFT = "An upload fails, or leaves a volume behind"
_SOME = "Only some volumes take minutes"


def _names(values: Iterable[Any]) -> str:
    return ", ".join(sorted(str(value) for value in values))


def _users(estate: Estate) -> Iterator[CinderConf]:
    return filter(has_glance_user, estate.volume_hosts)


def _no_admin(estate: Estate) -> Iterator[Spot]:
    for conf in _users(estate):
        roles = estate.asked.service_roles()
        if "service" in roles and "admin" not in roles:
            yield spot(conf, conf.value("auth_type", "glance"))


def _no_service(estate: Estate) -> Iterator[Spot]:
    for conf in _users(estate):
        roles = estate.asked.service_roles()
        if "service" not in roles:
            yield spot(conf, conf.value("auth_type", "glance"))


def _store_in_type(estate: Estate) -> Iterator[Spot]:
    named = [t for t in estate.asked.volume_types() if t.store_id]
    for conf in estate.volume_hosts:
        for backend, value in with_upload(conf):
            kinds = _names(kind.name for kind in named)
            if named:
                yield spot(conf, value, backend=backend, types=kinds)


def _type_without_store(estate: Estate) -> Iterator[Spot]:
    for conf in estate.volume_hosts:
        for backend, value in with_upload(conf):
            for glance in estate.glance:
                without = _without_store(estate, conf, backend, glance)
                stores = glance.value("enabled_backends")
                if not glance.multi_store:
                    stores = glance.value("stores", "glance_store")
                if without:
                    kinds = _names(without)
                    yield spot(
                        conf, value, stores, backend=backend, types=kinds
                    )


def _without_store(
    estate: Estate, conf: CinderConf, backend: str, glance: GlanceConf
) -> list[str]:
    """Return the types of a backend that no store of Glance is for."""
    if not glance.cinder_stores:
        return ["all types"]
    if not glance.multi_store or estate.cloud is None:
        return []
    default = conf.value("default_volume_type").value
    stores = {
        str(glance.value("cinder_volume_type", store).value or default)
        for store in glance.cinder_stores
    }
    name = conf.value("volume_backend_name", backend).value or backend
    return [
        str(kind.name)
        for kind in estate.asked.volume_types()
        if kind.volume_backend_name == name and kind.name not in stores
    ]


def _no_owner(estate: Estate) -> Iterator[Spot]:
    owned = [i.id for i in estate.asked.images() if i.owner is None]
    for conf in estate.volume_hosts:
        if owned:
            yield spot(conf, conf.value(SCHEMES), images=_names(owned))


def _wrapped(estate: Estate) -> Iterator[Spot]:
    wrapped = [
        image.id
        for image in estate.asked.images()
        if image.disk_format == "raw"
        and image.container_format not in {None, "bare"}
    ]
    for conf in estate.volume_hosts:
        if wrapped:
            yield spot(conf, conf.value(SCHEMES), images=_names(wrapped))


def _many_pools(estate: Estate) -> Iterator[Spot]:
    for conf in estate.volume_hosts:
        for backend in conf.backends:
            pools = [
                pool
                for pool in estate.asked.pools()
                if pool.host.backend == backend
                and pool.backend.clone_across_pools is not True
            ]
            services = {pool.service for pool in pools}
            if len(pools) > len(services):
                yield spot(
                    conf,
                    conf.value("extra_capabilities", backend),
                    backend=backend,
                    pools=_names(pool.host for pool in pools),
                )


def _unknown_arrays(estate: Estate) -> Iterator[Spot]:
    across = [
        pool
        for pool in estate.asked.pools()
        if pool.backend.clone_across_pools is True
    ]
    if len({pool.service for pool in across}) <= 1:
        return
    for conf in estate.volume_hosts:
        for backend in conf.backends:
            if any(
                pool.host.backend == backend and pool.backend.array_id is None
                for pool in across
            ):
                value = conf.value("extra_capabilities", backend)
                yield spot(conf, value, backend=backend)


def _bad_store_type(estate: Estate) -> Iterator[Spot]:
    cloud = estate.asked
    kinds = {kind.name: kind.id for kind in cloud.volume_types()}
    for glance in estate.glance:
        for store in glance.cinder_stores:
            value = glance.value("cinder_volume_type", store)
            if not value.value:
                continue
            kind = kinds.get(str(value.value))
            if kind is None:
                why = "no type has this name"
            elif kind in cloud.encrypted_types():
                why = "its volumes are encrypted"
            else:
                continue
            yield spot(glance, value, store=store, why=why)


def _bad_store_id(estate: Estate) -> Iterator[Spot]:
    for glance in estate.glance:
        stores = glance.stores if glance.multi_store else {}
        for kind in estate.asked.volume_types():
            if kind.store_id is None:
                continue
            if kind.store_id not in stores:
                why = "which Glance does not have"
            elif stores[kind.store_id] in _READ_ONLY:
                why = "which is read-only"
            else:
                continue
            yield spot(
                glance,
                glance.value("enabled_backends"),
                type=str(kind.name),
                store=kind.store_id,
                why=why,
            )


CHECKS = (
    Check(
        id="X4",
        level=Level.BROKEN,
        needs=(Need.CINDER, Need.ROLES),
        message="The user in [glance] has the role service without admin: "
        "unchanged Cinder cannot create a volume from a private image.",
        remedy="give this user the role admin, too",
        reasons=(Reason.ADMIN_ROLE_MISSING, Reason.LOCATIONS_HIDDEN),
        section=_CREATES,
        find=_no_admin,
    ),
    Check(
        id="X5",
        level=Level.BROKEN,
        needs=(Need.CINDER, Need.ROLES),
        message="The user in [glance] does not have the role service: each "
        "upload that is to be registered fails and leaves a volume behind.",
        remedy="give this user the role service, too",
        reasons=(Reason.SERVICE_ROLE_MISSING,),
        section=_LEFT,
        find=_no_service,
    ),
    Check(
        id="X7",
        level=Level.SLOW,
        needs=(Need.CINDER, Need.TYPES),
        message="The types {types} have image_service:store_id: if Glance "
        "has the locations API, {backend} makes a clone for each upload, "
        "discards it and copies.",
        remedy="remove the extra spec, and set cinder_volume_type of a store",
        reasons=(Reason.STORE_ID_UNSUPPORTED_BY_API,),
        section=_LEFT,
        find=_store_in_type,
    ),
    Check(
        id="X8",
        level=Level.BROKEN,
        needs=(Need.CINDER, Need.GLANCE),
        to_pass=(Need.TYPES,),
        message="{backend} registers uploads, and Glance has no store for "
        "volumes of {types}. Glance rejects them: the data is uploaded "
        "after all, or the image stays queued.",
        remedy="set cinder_volume_type of a cinder store to each of them",
        reasons=(Reason.STORE_UNRESOLVED,),
        section=_QUEUED,
        find=_type_without_store,
    ),
    Check(
        id="X13",
        level=Level.INSECURE,
        needs=(Need.CINDER, Need.IMAGES),
        message="Images without an owner: {images}. Unchanged Cinder "
        "accepts a volume without image_owner as their data, for everybody.",
        remedy="set the owner of these images",
        reasons=(Reason.IMAGE_OWNER_UNKNOWN,),
        section=_CREATES,
        find=_no_owner,
    ),
    Check(
        id="X18",
        level=Level.OFF,
        needs=(Need.CINDER, Need.POOLS),
        message="{backend} has several pools and does not clone across "
        "them ({pools}): an image is cloned only in the pool of its volume.",
        remedy="declare clone_across_pools in extra_capabilities if the "
        "array clones across pools; else enable the image-volume cache",
        reasons=(Reason.DIFFERENT_POOL,),
        section=_SOME,
        find=_many_pools,
    ),
    Check(
        id="X19",
        level=Level.SLOW,
        needs=(Need.CINDER, Need.POOLS),
        message="{backend} is one of several backends that clone across "
        "pools, and nothing says which array it uses: unchanged Cinder tries "
        "clones from other arrays in vain.",
        remedy="set array_id in extra_capabilities of each backend",
        reasons=(Reason.DIFFERENT_ARRAY,),
        section=_SOME,
        find=_unknown_arrays,
    ),
    Check(
        id="X25",
        level=Level.BROKEN,
        needs=(Need.CINDER, Need.IMAGES),
        message="Raw images in a container: {images}. Some drivers clone "
        "the container as if it were the disk.",
        remedy="upload these images with the container format bare",
        reasons=(Reason.CONTAINER_NOT_BARE,),
        section=_CREATES,
        find=_wrapped,
    ),
    Check(
        id="X31",
        level=Level.BROKEN,
        needs=(Need.GLANCE, Need.TYPES),
        message="The store {store} makes volumes of the type {value}, but "
        "{why}.",
        remedy="name a type without encryption that exists",
        section=_QUEUED,
        find=_bad_store_type,
    ),
    Check(
        id="X32",
        level=Level.BROKEN,
        needs=(Need.GLANCE, Need.TYPES),
        message="The type {type} has image_service:store_id {store}, {why}.",
        remedy="name a writable cinder store of enabled_backends, or remove "
        "the extra spec",
        reasons=(Reason.STORE_UNRESOLVED,),
        section=_QUEUED,
        find=_bad_store_id,
    ),
)
