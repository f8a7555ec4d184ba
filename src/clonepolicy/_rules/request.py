"""Rules about a create request as a whole, whatever the source."""

from __future__ import annotations

from clonepolicy._reasons import Reason
from clonepolicy._records import (
    CloneKind,
    CreateRequest,
    GiB,
    LocationsFrom,
    UploadRequest,
)
from clonepolicy._rules._rule import advisory, cinder, glance, rule, spec

_VALIDATE = cinder("cinder/volume/volume_utils.py check_image_metadata")
_CLONE = cinder("CreateVolumeFromSpecTask._clone_image_volume")
_CREATE = cinder("CreateVolumeFromSpecTask._create_from_image")
_DOWNLOAD = cinder(
    "CreateVolumeFromSpecTask._create_from_image_cache_or_download"
)

# -- refused on both paths --------------------------------------------------


@rule(
    Reason.SIZE_INVALID,
    reads=("volume.size",),
    sources=(cinder("ExtractVolumeRequestTask._extract_size"),),
)
def size_positive(request: CreateRequest) -> bool:
    """The new volume has at least 1 GiB."""
    return request.volume.size >= 1


@rule(
    Reason.TYPE_SIZE_LIMIT,
    reads=("volume.size", "volume.volume_type"),
    sources=(cinder("volume_types.provision_filter_on_size"),),
)
def type_allows_size(request: CreateRequest) -> bool:
    """The size is within the volume type's limits."""
    kind = request.volume.volume_type
    return kind is None or (
        (kind.min_vol_size is None or request.volume.size >= kind.min_vol_size)
        and (
            kind.max_vol_size is None
            or request.volume.size <= kind.max_vol_size
        )
    )


@rule(
    Reason.IMAGE_NOT_VISIBLE,
    reads=("image.visible",),
    sources=(cinder("GlanceImageService.show"),),
)
def image_visible(request: CreateRequest) -> bool:
    """Glance shows the image to the requester."""
    return request.image.visible


@rule(
    Reason.IMAGE_NOT_ACTIVE,
    reads=("image.status",),
    sources=(_VALIDATE, advisory("OSSA-2015-019")),
    differs="Checked in the API only; an image deactivated after that is "
    "still cloned.",
)
def image_active(request: CreateRequest) -> bool:
    """The image is active."""
    return request.image.status == "active"


@rule(
    Reason.DOWNLOAD_FORBIDDEN,
    reads=("image.downloadable",),
    sources=(glance("policy download_image"), advisory("OSSA-2013-027")),
    differs="Clones do not ask Glance's download_image policy.",
)
def image_downloadable(request: CreateRequest) -> bool:
    """The requester may have the image's data."""
    return request.image.downloadable


@rule(
    Reason.IMAGE_LARGER_THAN_VOLUME,
    reads=("image.size", "volume.size"),
    sources=(_VALIDATE,),
)
def image_fits(request: CreateRequest) -> bool:
    """The image's data is no larger than the volume."""
    return (request.image.size or 0) <= request.volume.size * GiB


@rule(
    Reason.BELOW_MIN_DISK,
    reads=("image.min_disk", "volume.size"),
    sources=(_VALIDATE,),
)
def min_disk_met(request: CreateRequest) -> bool:
    """The volume has at least the image's min_disk."""
    return request.volume.size >= request.image.min_disk


@rule(
    Reason.VIRTUAL_SIZE_TOO_BIG,
    reads=("image.virtual_size", "volume.size"),
    sources=(cinder("image_utils.check_virtual_size"),),
)
def virtual_size_fits(request: CreateRequest) -> bool:
    """The image's virtual size is no larger than the volume."""
    return (request.image.virtual_size or 0) <= request.volume.size * GiB


@rule(
    Reason.MULTIATTACH_ENCRYPTED,
    reads=("volume.multiattach", "volume.encryption_key_id"),
    sources=(cinder("ExtractVolumeRequestTask.execute"),),
)
def multiattach_unencrypted(request: CreateRequest) -> bool:
    """The new volume is not both multiattach and encrypted."""
    return not (
        request.volume.multiattach
        and request.volume.encryption_key_id is not None
    )


@rule(
    Reason.QUOTA_EXCEEDED,
    reads=("quota", "volume.size"),
    sources=(cinder("QuotaReserveTask"),),
)
def quota_suffices(request: CreateRequest) -> bool:
    """The project's quota admits the volume."""
    return request.quota.admits(request.volume.size)


# -- the ordinary path ------------------------------------------------------


@rule(
    Reason.CONVERSION_DISABLED,
    reads=("image.disk_format", "config.image_conversion_disable"),
    sources=(cinder("image_utils.fetch_to_volume_format"),),
)
def conversion_allowed(request: CreateRequest | UploadRequest) -> bool:
    """The image is raw, or may be converted."""
    return (
        request.image.disk_format == "raw"
        or not request.config.image_conversion_disable
    )


@rule(
    Reason.COMPRESSION_DISABLED,
    reads=(
        "image.container_format",
        "config.allow_compression_on_image_upload",
    ),
    sources=(
        cinder("image_utils.validate_stores_id, fetch_to_volume_format"),
    ),
    differs="An upload is refused only after the image record was made.",
)
def compression_allowed(request: CreateRequest | UploadRequest) -> bool:
    """The image is not compressed, or may be."""
    return (
        request.image.container_format != "compressed"
        or request.config.allow_compression_on_image_upload
    )


@rule(
    Reason.CONVERSION_SPACE,
    reads=("conversion_free", "image.size"),
    sources=(cinder("image_utils.check_available_space"),),
    differs="Asked before the cache is consulted, so that a hit is refused.",
)
def conversion_space(request: CreateRequest) -> bool:
    """There is room in image_conversion_dir for the image."""
    return request.conversion_free is None or request.conversion_free > (
        request.image.size or 0
    )


# -- the efficient path, whatever the source --------------------------------


@rule(
    Reason.NEW_VOLUME_ENCRYPTED,
    reads=("volume.encryption_key_id",),
    sources=(_CLONE, _CREATE),
)
def new_volume_unencrypted(request: CreateRequest) -> bool:
    """The new volume is not encrypted."""
    return request.volume.encryption_key_id is None


@rule(
    Reason.IMAGE_DATA_ENCRYPTED,
    reads=("image.encryption_key_id",),
    sources=(cinder("volume_utils.copy_image_to_volume"),),
    differs="Clones ciphertext into a volume without a key.",
)
def image_unencrypted(request: CreateRequest) -> bool:
    """The image's data is not encrypted with a key of its own."""
    return request.image.encryption_key_id is None


@rule(
    Reason.IMAGE_OWNER_UNKNOWN,
    reads=("image.owner",),
    sources=(spec("Proposed change, 4th condition"), _CLONE),
    differs="An image without owner matches any volume without image_owner.",
)
def image_owned(request: CreateRequest | UploadRequest) -> bool:
    """The image has an owner."""
    return request.image.owner is not None


@rule(
    Reason.DISK_FORMAT_NOT_RAW,
    reads=("image.disk_format",),
    sources=(spec("Proposed change, 1st condition"), _CLONE),
)
def disk_format_raw(request: CreateRequest | UploadRequest) -> bool:
    """The image's disk_format is raw."""
    return request.image.disk_format == "raw"


@rule(
    Reason.CONTAINER_NOT_BARE,
    reads=("image.container_format",),
    sources=(_CLONE,),
    differs="Drivers that clone array images ignore the container.",
)
def container_bare(request: CreateRequest | UploadRequest) -> bool:
    """The image's container_format is bare."""
    return request.image.container_format == "bare"


@rule(
    Reason.SIZE_UNKNOWN,
    reads=("image.size",),
    sources=(_VALIDATE,),
    differs="Fails with a TypeError.",
)
def size_known(request: CreateRequest) -> bool:
    """The image's size is known."""
    return request.image.size is not None


@rule(
    Reason.SIGNATURE_REQUIRED,
    reads=("image.signed", "config.verify_glance_signatures"),
    sources=(_DOWNLOAD,),
    differs="Clones and cache hits skip signature verification.",
)
def signature_not_required(request: CreateRequest) -> bool:
    """The image is not signed, or signatures are not verified."""
    return (
        not request.image.signed
        or request.config.verify_glance_signatures == "disabled"
    )


@rule(
    Reason.DRIVER_CANNOT_CLONE,
    reads=("backend.can_clone",),
    sources=(cinder("driver.create_cloned_volume"),),
    differs="Tries, and falls back on NotImplementedError.",
)
def array_can_clone(request: CreateRequest | UploadRequest) -> bool:
    """The array declares that it can clone."""
    return request.backend.can_clone is True


@rule(
    Reason.BACKEND_FROZEN,
    reads=("backend.frozen",),
    sources=(cinder("VolumeManager freeze_host"),),
    differs="Not looked at.",
)
def backend_thawed(request: CreateRequest | UploadRequest) -> bool:
    """The backend is not frozen."""
    return not request.backend.frozen


@rule(
    Reason.LOCATIONS_UNAVAILABLE,
    reads=("image.locations_from",),
    sources=(cinder("GlanceImageService.get_location"),),
    differs="Most errors in reading locations fail the whole create.",
)
def locations_readable(request: CreateRequest) -> bool:
    """Glance told the image's locations."""
    return request.image.locations_from is not LocationsFrom.UNREADABLE


@rule(
    Reason.NO_ARRAY_IMAGE,
    reads=("array_images",),
    sources=(cinder("driver.clone_image"),),
)
def has_array_image(request: CreateRequest) -> bool:
    """Some location names an image that lies on an array."""
    return bool(request.array_images)


@rule(
    Reason.NO_LOCATIONS,
    reads=("image_volumes",),
    sources=(spec("Proposed change, 2nd condition"), _CLONE),
)
def has_image_volume(request: CreateRequest) -> bool:
    """Some location names a volume."""
    return bool(request.image_volumes)


@rule(
    Reason.SCHEME_NOT_ALLOWED,
    reads=("config.allowed_direct_url_schemes",),
    sources=(spec("Proposed change, configuration"), _CREATE),
)
def scheme_allowed(request: CreateRequest | UploadRequest) -> bool:
    """allowed_direct_url_schemes lists cinder."""
    return "cinder" in request.config.allowed_direct_url_schemes


@rule(
    Reason.CACHE_DISABLED,
    reads=("config.image_volume_cache_enabled",),
    sources=(cinder("VolumeManager.__init__"),),
)
def cache_enabled(request: CreateRequest) -> bool:
    """The backend's image-volume cache is on."""
    return request.config.image_volume_cache_enabled


@rule(
    Reason.NO_INTERNAL_TENANT,
    reads=(
        "config.cinder_internal_tenant_project_id",
        "config.cinder_internal_tenant_user_id",
    ),
    sources=(cinder("context.get_internal_tenant_context"),),
)
def internal_tenant_set(request: CreateRequest) -> bool:
    """The internal tenant's project and user are configured."""
    return (
        request.config.cinder_internal_tenant_project_id is not None
        and request.config.cinder_internal_tenant_user_id is not None
    )


@rule(
    Reason.CACHE_MISS,
    reads=("cache_entries",),
    sources=(cinder("image.cache.ImageVolumeCache.get_entry"),),
)
def has_cache_entry(request: CreateRequest) -> bool:
    """The cache has an entry for the image."""
    return bool(request.cache_entries)


# -- notes ------------------------------------------------------------------


@rule(
    Reason.INTEGRITY_UNVERIFIED,
    reads=("image.os_hash_value",),
    sources=(advisory("OSSN-0090"),),
)
def nothing_to_verify(request: CreateRequest) -> bool:
    """The image carries no hash that a clone would leave unchecked."""
    return request.image.os_hash_value is None


@rule(
    Reason.HASH_PENDING,
    reads=("image.os_hash_value",),
    sources=(glance("option do_secure_hash"),),
)
def hash_present(request: CreateRequest) -> bool:
    """The image carries a hash."""
    return request.image.os_hash_value is not None


@rule(
    Reason.LOCATIONS_USER_WRITABLE,
    reads=("glance.show_multiple_locations",),
    sources=(advisory("OSSN-0065"),),
)
def locations_protected(request: CreateRequest) -> bool:
    """Image owners cannot write locations."""
    return not request.glance.show_multiple_locations


@rule(
    Reason.PARENT_PINNED,
    reads=("backend.clone_kind",),
    sources=(glance("glance_store rbd driver: image in use by clones"),),
)
def parent_free(request: CreateRequest | UploadRequest) -> bool:
    """A clone shares nothing with its source."""
    kind = request.backend.clone_kind
    return kind is not None and kind is not CloneKind.COPY_ON_WRITE


@rule(
    Reason.PARENT_PINNED,
    reads=("backend.image_clone_kind",),
    sources=(glance("glance_store rbd driver: image in use by clones"),),
)
def image_parent_free(request: CreateRequest) -> bool:
    """A clone of a stored image shares nothing with it."""
    kind = request.backend.image_clone_kind
    return kind is not None and kind is not CloneKind.COPY_ON_WRITE
