"""Rules about a request that close efficient routes, and notes."""

from __future__ import annotations

from clonepolicy._facts.records import CloneKind, LocationsFrom
from clonepolicy._facts.requests import CreateRequest, UploadRequest
from clonepolicy.policy._reason import Reason
from clonepolicy.policy._rule import advisory, cinder, glance, rule, spec

_CLONE = cinder("CreateVolumeFromSpecTask._clone_image_volume")
_VALIDATE = cinder("cinder/volume/volume_utils.py check_image_metadata")
_CREATE = cinder("CreateVolumeFromSpecTask._create_from_image")
_DOWNLOAD = cinder(
    "CreateVolumeFromSpecTask._create_from_image_cache_or_download"
)

_UNREAD = frozenset({LocationsFrom.UNAVAILABLE, LocationsFrom.UNREADABLE})
_HIDDEN = frozenset({LocationsFrom.HIDDEN, LocationsFrom.FORBIDDEN})


@rule(
    "The new volume is not encrypted.",
    Reason.NEW_VOLUME_ENCRYPTED,
    reads=("volume.encryption_key_id",),
    citations=(_CLONE, _CREATE),
)
def new_volume_unencrypted(request: CreateRequest) -> bool:
    return request.volume.encryption_key_id is None


@rule(
    "The image's data is not encrypted with a key of its own.",
    Reason.IMAGE_DATA_ENCRYPTED,
    reads=("image.encryption_key_id",),
    citations=(cinder("volume_utils.copy_image_to_volume"),),
    differs="Cinder clones the ciphertext into a volume that has no key.",
)
def image_unencrypted(request: CreateRequest) -> bool:
    return request.image.encryption_key_id is None


@rule(
    "The image has an owner.",
    Reason.IMAGE_OWNER_UNKNOWN,
    reads=("image.owner",),
    citations=(spec("Proposed change, 4th condition"), _CLONE),
    differs="In Cinder, an image without an owner matches every volume "
    "without image_owner.",
)
def image_owned(request: CreateRequest | UploadRequest) -> bool:
    return request.image.owner is not None


@rule(
    "The image's disk_format is raw.",
    Reason.DISK_FORMAT_NOT_RAW,
    reads=("image.disk_format",),
    citations=(spec("Proposed change, 1st condition"), _CLONE),
)
def disk_format_raw(request: CreateRequest | UploadRequest) -> bool:
    return request.image.disk_format == "raw"


@rule(
    "The image's container_format is bare.",
    Reason.CONTAINER_NOT_BARE,
    reads=("image.container_format",),
    citations=(_CLONE,),
    differs="Drivers that clone stored images ignore the container format.",
)
def container_bare(request: CreateRequest | UploadRequest) -> bool:
    return request.image.container_format == "bare"


@rule(
    "The image's size is known.",
    Reason.SIZE_UNKNOWN,
    reads=("image.size",),
    citations=(_VALIDATE,),
    differs="Cinder fails with a TypeError.",
)
def size_known(request: CreateRequest) -> bool:
    return request.image.size is not None


@rule(
    "The image is not signed, or signatures are not verified.",
    Reason.SIGNATURE_REQUIRED,
    reads=("image.signed", "config.verify_glance_signatures"),
    citations=(_DOWNLOAD,),
    differs="Cinder does not verify the signature for a clone or a cache hit.",
)
def signature_not_required(request: CreateRequest) -> bool:
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
)
def array_can_clone(request: CreateRequest | UploadRequest) -> bool:
    return request.backend.can_clone is True


@rule(
    "The backend is not frozen.",
    Reason.BACKEND_FROZEN,
    reads=("backend.frozen",),
    citations=(cinder("VolumeManager freeze_host"),),
    differs="Cinder does not check this.",
)
def backend_thawed(request: CreateRequest | UploadRequest) -> bool:
    return not request.backend.frozen


@rule(
    "Glance returned the image's locations.",
    Reason.LOCATIONS_UNAVAILABLE,
    reads=("image.locations_from",),
    citations=(cinder("GlanceImageService.get_location"),),
    differs="If Cinder cannot read the locations, the create usually fails.",
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
)
def locations_shown(request: CreateRequest) -> bool:
    return request.image.locations_from not in _HIDDEN


@rule(
    "A location names an image that an array stores, or the locations are "
    "not known.",
    Reason.NO_ARRAY_IMAGE,
    reads=("array_images", "image.locations_from"),
    citations=(cinder("driver.clone_image"),),
)
def has_array_image(request: CreateRequest) -> bool:
    return bool(request.array_images) or not _are_known(request)


@rule(
    "A location names a volume, or the locations are not known.",
    Reason.NO_LOCATIONS,
    reads=("image_volumes", "image.locations_from"),
    citations=(spec("Proposed change, 2nd condition"), _CLONE),
)
def has_image_volume(request: CreateRequest) -> bool:
    return bool(request.image_volumes) or not _are_known(request)


def _are_known(request: CreateRequest) -> bool:
    return request.image.locations_from not in _UNREAD | _HIDDEN


@rule(
    "allowed_direct_url_schemes lists cinder.",
    Reason.SCHEME_NOT_ALLOWED,
    reads=("config.allowed_direct_url_schemes",),
    citations=(spec("Proposed change, configuration"), _CREATE),
)
def scheme_allowed(request: CreateRequest | UploadRequest) -> bool:
    return "cinder" in request.config.allowed_direct_url_schemes


@rule(
    "The image-volume cache is enabled for the backend.",
    Reason.CACHE_DISABLED,
    reads=("config.image_volume_cache_enabled",),
    citations=(cinder("VolumeManager.__init__"),),
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
)
def cache_readable(request: CreateRequest) -> bool:
    return request.cache_missing is None


@rule(
    "The cache has an entry for the image, or its entries are not known.",
    Reason.CACHE_MISS,
    reads=("cache_entries", "cache_missing"),
    citations=(cinder("image.cache.ImageVolumeCache.get_entry"),),
)
def has_cache_entry(request: CreateRequest) -> bool:
    return bool(request.cache_entries) or request.cache_missing is not None


@rule(
    "The image has no hash that a clone would leave unchecked.",
    Reason.INTEGRITY_UNVERIFIED,
    reads=("image.os_hash_value",),
    citations=(advisory("OSSN-0090"),),
)
def nothing_to_verify(request: CreateRequest) -> bool:
    return request.image.os_hash_value is None


@rule(
    "The image has a hash.",
    Reason.HASH_PENDING,
    reads=("image.os_hash_value",),
    citations=(glance("option do_secure_hash"),),
)
def hash_present(request: CreateRequest) -> bool:
    return request.image.os_hash_value is not None


@rule(
    "Image owners cannot write locations.",
    Reason.LOCATIONS_USER_WRITABLE,
    reads=("glance.show_multiple_locations",),
    citations=(advisory("OSSN-0065"),),
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
