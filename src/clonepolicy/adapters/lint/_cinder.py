"""The checks that cinder.conf alone answers, or starts."""

from __future__ import annotations

from collections.abc import Iterator

from clonepolicy import AdapterError, Reason
from clonepolicy.adapters.conf import CINDER
from clonepolicy.adapters.lint._asked import (
    SCHEMES,
    TENANT,
    UPLOAD,
    clones_while_uploading,
    driver,
    has_glance_user,
    has_tenant,
    safe_decides,
    schemes,
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

_CREATES = "Every volume from an image takes minutes"
_CACHE = "The image-volume cache is never used"
_FAILS = "Creating a volume fails"
_UPLOADS = "Uploads are copied, and no image is registered"
_LEFT = "An upload fails, or leaves a volume behind"
_UNSAFE = "Images are cloned, but the result is not safe"
_SOME = "Only some volumes take minutes"
_KEYS = frozenset({"key_manager", "barbican", "vault"})
_CINDER = "cinder"
_BACKEND_OPTIONS = {
    row.name: row for row in CINDER if row.group == "<backend>"
}


def _no_scheme(estate: Estate) -> Iterator[Spot]:
    # where neither Cinder nor Glance makes a cinder:// location, none is used
    unused = bool(estate.glance) and not any(
        glance.cinder_stores for glance in estate.glance
    )
    for conf in estate.volume_hosts:
        if unused and not any(with_upload(conf)):
            continue
        if not any(scheme.lower() == _CINDER for scheme in schemes(conf)):
            yield spot(conf, conf.value(SCHEMES))


def _upper_case(estate: Estate) -> Iterator[Spot]:
    for conf in estate.volume_hosts:
        found = [s for s in schemes(conf) if s.lower() == _CINDER]
        if found and _CINDER not in found:
            yield spot(conf, conf.value(SCHEMES), scheme=found[0])


def _file_scheme(estate: Estate) -> Iterator[Spot]:
    for conf in estate.volume_hosts:
        if "file" in schemes(conf):
            yield spot(conf, conf.value(SCHEMES))


def _no_glance_user(estate: Estate) -> Iterator[Spot]:
    for conf in estate.volume_hosts:
        token = conf.value("send_service_user_token", "service_user")
        if has_glance_user(conf) or token.value:
            continue
        for backend, value in with_upload(conf):
            auth = conf.value("auth_type", "glance")
            yield spot(conf, auth, value, token, backend=backend)


def _tenant_without_ids(estate: Estate) -> Iterator[Spot]:
    for conf in estate.volume_hosts:
        for backend, upload in with_upload(conf):
            value = conf.value("image_upload_use_internal_tenant", backend)
            if value.value and not has_tenant(conf):
                ids = (conf.value(name) for name in TENANT)
                missing = [found for found in ids if not found.value]
                names = ", ".join(found.option.name for found in missing)
                yield spot(
                    conf, value, upload, *missing, backend=backend, ids=names
                )


def _encrypted_uploads(estate: Estate) -> Iterator[Spot]:
    types: frozenset[str] | None = None
    if estate.cloud is not None:
        types = estate.cloud.encrypted_types()
    for conf in estate.volume_hosts:
        signs = conf.groups() & _KEYS if types is None else types
        if not signs or safe_decides(conf):
            continue
        for backend, value in with_upload(conf):
            sign = (
                f"[{min(signs)}] is set up"
                if types is None
                else f"{len(signs)} volume types are encrypted"
            )
            yield spot(conf, value, backend=backend, sign=sign)


def _refused_uploads(estate: Estate) -> Iterator[Spot]:
    for conf in estate.volume_hosts:
        for backend, value in with_upload(conf):
            if clones_while_uploading(conf, backend) is False:
                name = conf.value("volume_driver", backend)
                yield spot(conf, value, name, backend=backend)


def _cache_without_tenant(estate: Estate) -> Iterator[Spot]:
    for conf in estate.volume_hosts:
        for backend in conf.backends:
            value = conf.value("image_volume_cache_enabled", backend)
            if value.value and not has_tenant(conf):
                ids = [conf.value(name) for name in TENANT]
                yield spot(conf, value, *ids, backend=backend)


def _cache_quota(estate: Estate) -> Iterator[Spot]:
    for conf in estate.volume_hosts:
        tenant = conf.value(TENANT[0])
        for backend in conf.backends:
            value = conf.value("image_volume_cache_enabled", backend)
            if not value.value or not has_tenant(conf):
                continue
            left = estate.asked.quota(str(tenant.value))
            if not left.admits(1):
                yield spot(conf, value, tenant, backend=backend)


def _unverified(estate: Estate) -> Iterator[Spot]:
    for conf in estate.volume_hosts:
        value = conf.value("verify_glance_signatures")
        if value.value != "enabled" or safe_decides(conf):
            continue
        if _CINDER not in schemes(conf):
            continue
        if estate.cloud is None:
            wanted = value.assignment is not None
        else:
            wanted = any(image.signed for image in estate.cloud.images())
        if wanted:
            yield spot(conf, value, conf.value(SCHEMES))


def _little_space(estate: Estate) -> Iterator[Spot]:
    sizes = [image.size or 0 for image in estate.asked.images()]
    for conf in estate.volume_hosts:
        value = conf.value("image_conversion_dir")
        free = (estate.space or {}).get(str(value.value))
        if free is None:
            raise AdapterError(f"{value.value} is not on this host")
        if free <= max(sizes, default=0):
            yield spot(
                conf,
                value,
                free=f"{free / 1024**3:.1f}",
                size=f"{max(sizes) / 1024**3:.1f}",
            )


def _no_conversion(estate: Estate) -> Iterator[Spot]:
    for conf in estate.volume_hosts:
        value = conf.value("image_conversion_disable")
        if value.value:
            yield spot(conf, value)


def _ignored(estate: Estate) -> Iterator[Spot]:
    for conf in estate.volume_hosts:
        for name, option in _BACKEND_OPTIONS.items():
            groups = ["DEFAULT"]
            if not option.inherits:
                groups.append("backend_defaults")
            for group in groups:
                told = conf.set_in(name, group)
                without = [
                    backend
                    for backend in conf.backends
                    if told is not None
                    and conf.value(name, backend).value != told.value
                ]
                if told is not None and without:
                    names = ", ".join(without)
                    yield spot(conf, told, group=group, backends=names)


def _full_copies(estate: Estate) -> Iterator[Spot]:
    for conf in estate.volume_hosts:
        for backend in conf.backends:
            value = conf.value("rbd_max_clone_depth", backend)
            rbd = driver(conf, backend).endswith(".RBDDriver")
            if rbd and isinstance(value.value, int) and value.value <= 0:
                yield spot(conf, value, backend=backend)


CHECKS = (
    Check(
        id="X1",
        level=Level.OFF,
        needs=(Need.CINDER,),
        message="Cinder clones no volume of an image: {option} does not "
        "contain `cinder`.",
        remedy="add `cinder` to allowed_direct_url_schemes",
        reasons=(Reason.SCHEME_NOT_ALLOWED,),
        section=_CREATES,
        find=_no_scheme,
    ),
    Check(
        id="X6",
        level=Level.BROKEN,
        needs=(Need.CINDER,),
        message="The backend {backend} registers uploads, and Cinder has no "
        "user in [glance] and sends no service token. If Glance has the "
        "locations API, each upload fails and leaves a volume behind.",
        remedy="set auth_type and the user in [glance], with the roles "
        "service and admin",
        reasons=(Reason.SERVICE_ROLE_MISSING,),
        section=_LEFT,
        find=_no_glance_user,
    ),
    Check(
        id="X9",
        level=Level.INSECURE,
        needs=(Need.CINDER,),
        message="Uploads from {backend} are to belong to the internal "
        "tenant, but not set: {ids}. Unchanged Cinder puts the image "
        "volumes into the user's project, where the user can change them.",
        remedy="set both ids of the internal tenant",
        reasons=(Reason.NO_INTERNAL_TENANT,),
        section=_UPLOADS,
        find=_tenant_without_ids,
    ),
    Check(
        id="X14",
        level=Level.BROKEN,
        needs=(Need.CINDER,),
        to_pass=(Need.TYPES,),
        message="The backend {backend} registers uploads, and {sign}. "
        "Unchanged Cinder registers a clone of an encrypted volume too, and "
        "the key is shared or lost.",
        remedy="let SAFE decide, or unset image_upload_use_cinder_backend "
        "for backends with encrypted volumes",
        reasons=(Reason.ENCRYPTED_SOURCE,),
        section=_UPLOADS,
        find=_encrypted_uploads,
    ),
    Check(
        id="X15",
        level=Level.OFF,
        needs=(Need.CINDER,),
        message="The driver of {backend} does not clone a volume that is "
        "being uploaded: each upload tries a clone in vain, and copies.",
        remedy=f"unset {UPLOAD} for this backend",
        reasons=(Reason.CLONE_WHILE_UPLOADING_UNSUPPORTED,),
        section=_UPLOADS,
        find=_refused_uploads,
    ),
    Check(
        id="X16",
        level=Level.OFF,
        needs=(Need.CINDER,),
        message="The image-volume cache of {backend} is enabled and never "
        "used: Cinder has no internal tenant.",
        remedy="set both ids of the internal tenant",
        reasons=(Reason.NO_INTERNAL_TENANT,),
        section=_CACHE,
        find=_cache_without_tenant,
    ),
    Check(
        id="X17",
        level=Level.OFF,
        needs=(Need.CINDER, Need.QUOTAS),
        message="The image-volume cache of {backend} takes no new image: "
        "the quota of the internal tenant is used up.",
        remedy="raise the quota of the internal tenant",
        reasons=(Reason.CACHE_QUOTA,),
        section=_CACHE,
        find=_cache_quota,
    ),
    Check(
        id="X20",
        level=Level.INSECURE,
        needs=(Need.CINDER,),
        to_pass=(Need.IMAGES,),
        message="Signatures of images are to be verified, but unchanged "
        "Cinder clones signed images without verifying them.",
        remedy="let SAFE decide, which downloads signed images",
        reasons=(Reason.SIGNATURE_REQUIRED,),
        section=_CREATES,
        find=_unverified,
    ),
    Check(
        id="X22",
        level=Level.BROKEN,
        needs=(Need.CINDER, Need.SPACE, Need.IMAGES),
        message="{option} has {free} GiB free, and the largest image has "
        "{size} GiB. Unchanged Cinder refuses even a cache hit.",
        remedy="free space there, or name a larger directory",
        reasons=(Reason.CONVERSION_SPACE,),
        section=_CACHE,
        find=_little_space,
    ),
    Check(
        id="X23",
        level=Level.BROKEN,
        needs=(Need.CINDER,),
        message="Creating a volume from an image that is not raw fails. A "
        "driver that converts by itself may still convert.",
        remedy="provide images as raw, or unset image_conversion_disable",
        reasons=(Reason.CONVERSION_DISABLED,),
        section=_FAILS,
        find=_no_conversion,
    ),
    Check(
        id="X26",
        level=Level.INSECURE,
        needs=(Need.CINDER,),
        message="{option} contains `file`: unchanged Cinder reads an image "
        "from any local path that its location names.",
        remedy="remove `file`, and list the directories that only Glance "
        "writes to in trusted_image_pools",
        reasons=(Reason.POOL_NOT_ALLOWED,),
        section=_SOME,
        find=_file_scheme,
    ),
    Check(
        id="X27",
        level=Level.OFF,
        needs=(Need.CINDER,),
        message="{option} in [{group}] has no effect on {backends}: Cinder "
        "does not read it there.",
        remedy="move it into the group of the backend or, except for "
        "backend_host, into [backend_defaults]",
        reasons=(Reason.UPLOAD_BACKEND_DISABLED,),
        section=_UPLOADS,
        find=_ignored,
    ),
    Check(
        id="X29",
        level=Level.OFF,
        needs=(Need.CINDER,),
        message="Cinder clones no volume of an image: `{scheme}` in "
        "{option} is not `cinder`.",
        remedy="write `cinder` in lower case",
        reasons=(Reason.SCHEME_NOT_ALLOWED,),
        section=_CREATES,
        find=_upper_case,
    ),
    Check(
        id="X30",
        level=Level.SLOW,
        needs=(Need.CINDER,),
        message="Each clone of {backend} is a full copy: {option} is {value}.",
        remedy="set rbd_max_clone_depth to 1 or more; its default is 5",
        section=_CREATES,
        find=_full_copies,
    ),
)
