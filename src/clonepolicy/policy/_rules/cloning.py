"""Rules about a request that close efficient routes, and notes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from clonepolicy._facts.records import CloneKind, GiB, LocationsFrom
from clonepolicy._facts.requests import (
    CreateRequest,
    Operation,
    UploadRequest,
)
from clonepolicy.policy._cure import Cost, Cure, Responsible, always
from clonepolicy.policy._reason import Reason
from clonepolicy.policy._rule import advisory, cinder, glance, rule, spec
from clonepolicy.policy._rules.cache import (
    FILLABLE,
    can_be_filled,
    fillable,
    sure_to_fill,
)
from clonepolicy.policy._rules.cures import (
    INTERNAL_TENANT_SET,
    by_store,
    by_upload,
    declared,
)
from clonepolicy.policy._rules.new_source import (
    NEW_OWNER,
    SHOWN_DIRECTLY,
    array_image,
    cache_entry,
    image_volume,
)
from clonepolicy.policy._rules.request import without_key

_CLONE = cinder("CreateVolumeFromSpecTask._clone_image_volume")
_VALIDATE = cinder("cinder/volume/volume_utils.py check_image_metadata")
_CREATE = cinder("CreateVolumeFromSpecTask._create_from_image")
_DOWNLOAD = cinder(
    "CreateVolumeFromSpecTask._create_from_image_cache_or_download"
)


def _read_if(
    why: LocationsFrom,
) -> Callable[[CreateRequest], Mapping[str, Any] | None]:
    shown = {"image.locations_from": LocationsFrom.LOCATIONS_API}
    return lambda request: (
        shown if request.image.locations_from is why else None
    )


def given_roles(request: CreateRequest) -> Mapping[str, Any] | None:
    """Return what changes if the roles are what keeps the locations hidden."""
    glance_ = request.glance
    if glance_.has_location_api is False or glance_.service_roles >= _ROLES:
        return None
    return {"image.locations_from": LocationsFrom.LOCATIONS_API}


SHOW_DIRECT_URL = Cure(
    "set show_image_direct_url in glance-api.conf, if every user may see "
    "where images lie",
    Responsible.OPERATOR,
    always(SHOWN_DIRECTLY),
    Cost.RESTART,
)
SHOW_LOCATIONS = (
    Cure(
        "give Cinder's [glance] user the roles service and admin",
        Responsible.OPERATOR,
        given_roles,
    ),
    SHOW_DIRECT_URL,
)
_ROLES = frozenset({"service", "admin"})
_UNREAD = frozenset({LocationsFrom.UNAVAILABLE, LocationsFrom.UNREADABLE})
_HIDDEN = frozenset({LocationsFrom.HIDDEN, LocationsFrom.FORBIDDEN})
_UNKNOWN = _UNREAD | _HIDDEN


def _owned(request: CreateRequest | UploadRequest) -> Mapping[str, Any]:
    """Return the change to the owner of the data, as far as it is known."""
    if request.operation is Operation.UPLOAD:
        return {"image.owner": request.project_id}
    found = [each.source for each in request.image_volumes]
    trusts = request.config.trusts
    owners = [
        (trusts(each.project_id) and each.image_owner) or each.project_id
        for each in found
        if each is not None
    ]
    return {"image.owner": (*owners, NEW_OWNER)[0]}


def _with_volume(request: CreateRequest) -> Mapping[str, Any]:
    return {"image_volumes": (image_volume(request),)}


def _stored_on_array(request: CreateRequest) -> Mapping[str, Any] | None:
    image = array_image(request)
    return None if image is None else {"array_images": (image,)}


def _filled(request: CreateRequest) -> Mapping[str, Any] | None:
    if not can_be_filled(request) or not sure_to_fill(request):
        return None
    return {"cache_entries": (cache_entry(request),)}


def _perhaps_filled(request: CreateRequest) -> Mapping[str, Any] | None:
    if not can_be_filled(request) or sure_to_fill(request):
        return None
    return {"cache_entries": (cache_entry(request),)}


def _with_cinder(request: CreateRequest | UploadRequest) -> Mapping[str, Any]:
    schemes = request.config.allowed_direct_url_schemes
    return {"config.allowed_direct_url_schemes": schemes | {"cinder"}}


@rule(
    "The new volume is not encrypted.",
    Reason.NEW_VOLUME_ENCRYPTED,
    meaning="the new volume is encrypted, and a clone would not be",
    reads=("volume.encryption_key_id",),
    citations=(_CLONE, _CREATE),
    cures=(
        Cure(
            "choose a volume type without encryption",
            Responsible.REQUESTER,
            without_key,
        ),
    ),
)
def new_volume_unencrypted(request: CreateRequest) -> bool:
    return request.volume.encryption_key_id is None


@rule(
    "The image's data is not encrypted with a key of its own.",
    Reason.IMAGE_DATA_ENCRYPTED,
    reads=("image.encryption_key_id",),
    citations=(cinder("volume_utils.copy_image_to_volume"),),
    differs="Cinder clones the ciphertext into a volume that has no key.",
    cures=(
        Cure(
            "offer an image that is not encrypted",
            Responsible.IMAGE_OWNER,
            always({"image.encryption_key_id": None}),
            Cost.DATA,
        ),
    ),
)
def image_unencrypted(request: CreateRequest | UploadRequest) -> bool:
    return request.image.encryption_key_id is None


@rule(
    "The image has an owner.",
    Reason.IMAGE_OWNER_UNKNOWN,
    reads=("image.owner",),
    citations=(spec("Proposed change, 4th condition"), _CLONE),
    differs="In Cinder, an image without an owner matches every volume "
    "without image_owner.",
    upload_differs="Cinder does not check this.",
    cures=(
        Cure(
            "give the image an owner",
            Responsible.OPERATOR,
            _owned,
        ),
    ),
)
def image_owned(request: CreateRequest | UploadRequest) -> bool:
    return request.image.owner is not None


@rule(
    "The image's disk_format is raw.",
    Reason.DISK_FORMAT_NOT_RAW,
    reads=("image.disk_format",),
    citations=(spec("Proposed change, 1st condition"), _CLONE),
    cures=(
        Cure(
            "convert the image to raw",
            Responsible.IMAGE_OWNER,
            always({"image.disk_format": "raw"}),
            Cost.DATA,
        ),
    ),
)
def disk_format_raw(request: CreateRequest | UploadRequest) -> bool:
    return request.image.disk_format == "raw"


@rule(
    "The image's container_format is bare.",
    Reason.CONTAINER_NOT_BARE,
    reads=("image.container_format",),
    citations=(_CLONE,),
    differs="Drivers that clone stored images ignore the container format.",
    cures=(
        Cure(
            "offer the image with container_format bare",
            Responsible.IMAGE_OWNER,
            always({"image.container_format": "bare"}),
            Cost.DATA,
        ),
    ),
)
def container_bare(request: CreateRequest | UploadRequest) -> bool:
    return request.image.container_format == "bare"


@rule(
    "The image's size is known.",
    Reason.SIZE_UNKNOWN,
    reads=("image.size",),
    citations=(_VALIDATE,),
    differs="Cinder fails with a TypeError.",
    cures=(
        Cure(
            "upload the image's data through Glance, which records its size",
            Responsible.IMAGE_OWNER,
            lambda request: {"image.size": request.image.virtual_size or GiB},
            Cost.DATA,
        ),
    ),
)
def size_known(request: CreateRequest) -> bool:
    return request.image.size is not None


@rule(
    "The image is not signed, or signatures are not verified.",
    Reason.SIGNATURE_REQUIRED,
    reads=("image.signed", "config.verify_glance_signatures"),
    citations=(_DOWNLOAD,),
    differs="Cinder does not verify the signature for a clone or a cache hit.",
    cures=(
        Cure(
            "set verify_glance_signatures to disabled, if you trust the "
            "source",
            Responsible.OPERATOR,
            always({"config.verify_glance_signatures": "disabled"}),
            Cost.RESTART,
        ),
    ),
)
def signature_not_required(request: CreateRequest | UploadRequest) -> bool:
    return (
        not request.image.signed
        or request.config.verify_glance_signatures == "disabled"
    )


@rule(
    "The array declares that it can clone.",
    Reason.DRIVER_CANNOT_CLONE,
    reads=("backend.can_clone",),
    citations=(cinder("driver.create_cloned_volume"),),
    differs="Cinder tries to clone, and moves the data if that fails.",
    upload_differs="Cinder tries to clone. If the driver has no cloning, the "
    "upload fails, and an image volume stays behind.",
    cures=(
        Cure(
            "declare can_clone in extra_capabilities, if the driver clones",
            Responsible.OPERATOR,
            declared("can_clone"),
            Cost.RESTART,
        ),
        Cure(
            "implement cloning in the driver, and declare it",
            Responsible.DRIVER_AUTHOR,
            always({"backend.can_clone": True}),
        ),
    ),
)
def array_can_clone(request: CreateRequest | UploadRequest) -> bool:
    return request.backend.can_clone is True


@rule(
    "The backend is not frozen.",
    Reason.BACKEND_FROZEN,
    reads=("backend.frozen",),
    citations=(cinder("VolumeManager freeze_host"),),
    differs="Cinder does not check this.",
    cures=(
        Cure(
            "thaw the backend",
            Responsible.OPERATOR,
            always({"backend.frozen": False}),
            waiting_helps=True,
        ),
    ),
)
def backend_thawed(request: CreateRequest | UploadRequest) -> bool:
    return not request.backend.frozen


@rule(
    "Glance returned the image's locations.",
    Reason.LOCATIONS_UNAVAILABLE,
    reads=("image.locations_from",),
    citations=(cinder("GlanceImageService.get_location"),),
    differs="If Cinder cannot read the locations, the create usually fails.",
    cures=(
        Cure(
            "bring Glance back",
            Responsible.OPERATOR,
            _read_if(LocationsFrom.UNAVAILABLE),
            waiting_helps=True,
        ),
        Cure(
            "find in the log why the locations cannot be read, and fix it",
            Responsible.OPERATOR,
            _read_if(LocationsFrom.UNREADABLE),
            waiting_helps=True,
        ),
    ),
)
def locations_readable(request: CreateRequest) -> bool:
    return request.image.locations_from not in _UNREAD


@rule(
    "Glance shows the image's locations.",
    Reason.LOCATIONS_HIDDEN,
    reads=("image.locations_from",),
    citations=(
        cinder("GlanceImageService.get_location"),
        glance("policy get_image_location"),
    ),
    cures=SHOW_LOCATIONS,
)
def locations_shown(request: CreateRequest) -> bool:
    return request.image.locations_from not in _HIDDEN


@rule(
    "A location names an image that an array stores, or the locations are "
    "not known.",
    Reason.NO_ARRAY_IMAGE,
    reads=("array_images", "image.locations_from"),
    citations=(cinder("driver.clone_image"),),
    cures=(
        Cure(
            "have Glance store the image on the array",
            Responsible.OPERATOR,
            _stored_on_array,
            Cost.DATA,
        ),
    ),
    switch=True,
)
def has_array_image(request: CreateRequest) -> bool:
    return bool(request.array_images) or not _are_known(request)


FINDS_NO_IMAGES = Cure(
    "declare finds_images as false in extra_capabilities, if the driver finds "
    "no images here",
    Responsible.OPERATOR,
    always({"backend.finds_images": False}),
    Cost.RESTART,
)


@rule(
    "The driver does not look for images by itself.",
    Reason.DRIVER_FINDS_IMAGES,
    reads=("backend.finds_images",),
    citations=(
        cinder("driver.clone_image"),
        cinder("NetAppNfsDriver.clone_image"),
    ),
    differs="Cinder asks the driver first, and takes what it finds.",
    meaning="the driver looks for images by itself; it is not asked, because "
    "what it finds is not known to be the image's own data",
    cures=(FINDS_NO_IMAGES,),
)
def driver_goes_by_locations(request: CreateRequest) -> bool:
    return not request.backend.finds_images


@rule(
    "A location names a volume, or the locations are not known.",
    Reason.NO_LOCATIONS,
    reads=("image_volumes", "image.locations_from"),
    citations=(spec("Proposed change, 2nd condition"), _CLONE),
    cures=(
        Cure(
            "upload the image from a volume with "
            "image_upload_use_cinder_backend",
            Responsible.OPERATOR,
            by_upload(_with_volume),
            Cost.DATA,
        ),
        Cure(
            "keep the image in a cinder store of Glance, in a trusted project",
            Responsible.OPERATOR,
            by_store(_with_volume),
            Cost.DATA,
        ),
    ),
)
def has_image_volume(request: CreateRequest) -> bool:
    return bool(request.image_volumes) or not _are_known(request)


def _are_known(request: CreateRequest) -> bool:
    return request.image.locations_from not in _UNKNOWN


@rule(
    "allowed_direct_url_schemes lists cinder.",
    Reason.SCHEME_NOT_ALLOWED,
    reads=("config.allowed_direct_url_schemes",),
    citations=(spec("Proposed change, configuration"), _CREATE),
    cures=(
        Cure(
            "add cinder to allowed_direct_url_schemes",
            Responsible.OPERATOR,
            _with_cinder,
            Cost.RESTART,
        ),
    ),
    switch=True,
)
def scheme_allowed(request: CreateRequest | UploadRequest) -> bool:
    return "cinder" in request.config.allowed_direct_url_schemes


@rule(
    "The image-volume cache is enabled for the backend.",
    Reason.CACHE_DISABLED,
    reads=("config.image_volume_cache_enabled",),
    citations=(cinder("VolumeManager.__init__"),),
    cures=(
        Cure(
            "set image_volume_cache_enabled",
            Responsible.OPERATOR,
            always({"config.image_volume_cache_enabled": True}),
            Cost.RESTART,
        ),
    ),
    switch=True,
)
def cache_enabled(request: CreateRequest) -> bool:
    return request.config.image_volume_cache_enabled


@rule(
    "The internal tenant's project and user are configured.",
    Reason.NO_INTERNAL_TENANT,
    reads=(
        "config.cinder_internal_tenant_project_id",
        "config.cinder_internal_tenant_user_id",
    ),
    citations=(cinder("context.get_internal_tenant_context"),),
    cures=(INTERNAL_TENANT_SET,),
)
def internal_tenant_set(request: CreateRequest) -> bool:
    return (
        request.config.cinder_internal_tenant_project_id is not None
        and request.config.cinder_internal_tenant_user_id is not None
    )


@rule(
    "The entries of the cache were read.",
    Reason.CACHE_UNREADABLE,
    reads=("cache_missing",),
    citations=(cinder("image.cache.ImageVolumeCache.get_entry"),),
    differs="Cinder fails the create.",
    cures=(
        Cure(
            "find in the log why the cache cannot be read, and fix it",
            Responsible.OPERATOR,
            always({"cache_missing": None}),
            waiting_helps=True,
        ),
    ),
)
def cache_readable(request: CreateRequest) -> bool:
    return request.cache_missing is None


@rule(
    "The cache has an entry for the image, its entries are not known, or it "
    "is known why it gets none.",
    Reason.CACHE_MISS,
    reads=("cache_entries", "cache_missing", *FILLABLE),
    citations=(cinder("image.cache.ImageVolumeCache.get_entry"),),
    cures=(
        Cure(
            "create one volume from the image, which fills the cache",
            Responsible.OPERATOR,
            _filled,
            Cost.DATA,
            waiting_helps=True,
        ),
        Cure(
            "create one volume from the image, which fills the cache if its "
            "limit and the quota of the internal tenant have room",
            Responsible.OPERATOR,
            _perhaps_filled,
            Cost.DATA,
            waiting_helps=True,
        ),
    ),
)
def has_cache_entry(request: CreateRequest) -> bool:
    return (
        bool(request.cache_entries)
        or request.cache_missing is not None
        or not fillable(request)
    )


@rule(
    "The image has no hash that a clone would leave unchecked.",
    Reason.INTEGRITY_UNVERIFIED,
    reads=("image.os_hash_value",),
    citations=(advisory("OSSN-0090"),),
)
def nothing_to_verify(request: CreateRequest) -> bool:
    return request.image.os_hash_value is None


@rule(
    "Image owners cannot write locations.",
    Reason.LOCATIONS_USER_WRITABLE,
    meaning="image owners can write locations, unless a policy of "
    "Glance forbids it",
    reads=("glance.show_multiple_locations",),
    citations=(advisory("OSSN-0065"),),
    cures=(
        Cure(
            "unset show_multiple_locations",
            Responsible.OPERATOR,
            always({"glance.show_multiple_locations": False}),
            Cost.RESTART,
        ),
    ),
)
def locations_protected(request: CreateRequest) -> bool:
    return not request.glance.show_multiple_locations


@rule(
    "The array is not known to clone in a way that needs the source.",
    Reason.PARENT_PINNED,
    reads=("backend.clone_kind",),
    citations=(glance("glance_store rbd driver: image in use by clones"),),
)
def parent_free(request: CreateRequest | UploadRequest) -> bool:
    return request.backend.clone_kind is not CloneKind.COPY_ON_WRITE


@rule(
    "The array is not known to clone a stored image in a way that needs it.",
    Reason.PARENT_PINNED,
    reads=("backend.image_clone_kind",),
    citations=(glance("glance_store rbd driver: image in use by clones"),),
)
def image_parent_free(request: CreateRequest) -> bool:
    return request.backend.image_clone_kind is not CloneKind.COPY_ON_WRITE
