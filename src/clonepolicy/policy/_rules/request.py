"""Rules about a request that close every route, or the ordinary one."""

from __future__ import annotations

from clonepolicy._facts.records import GiB
from clonepolicy._facts.requests import CreateRequest, UploadRequest
from clonepolicy.policy._reason import Reason
from clonepolicy.policy._rule import advisory, cinder, glance, rule

_VALIDATE = cinder("cinder/volume/volume_utils.py check_image_metadata")


@rule(
    "The new volume has at least 1 GiB.",
    Reason.SIZE_INVALID,
    reads=("volume.size",),
    citations=(cinder("ExtractVolumeRequestTask._extract_size"),),
)
def size_positive(request: CreateRequest) -> bool:
    return request.volume.size >= 1


@rule(
    "The new volume's size is within the limits of its volume type.",
    Reason.TYPE_SIZE_LIMIT,
    reads=("volume.size", "volume.volume_type"),
    citations=(cinder("volume_types.provision_filter_on_size"),),
)
def type_allows_size(request: CreateRequest) -> bool:
    kind = request.volume.volume_type
    return kind is None or (
        (kind.min_vol_size is None or request.volume.size >= kind.min_vol_size)
        and (
            kind.max_vol_size is None
            or request.volume.size <= kind.max_vol_size
        )
    )


@rule(
    "Glance shows the image to the requester.",
    Reason.IMAGE_NOT_VISIBLE,
    reads=("image.visible",),
    citations=(cinder("GlanceImageService.show"),),
)
def image_visible(request: CreateRequest) -> bool:
    return request.image.visible


@rule(
    "The image is active.",
    Reason.IMAGE_NOT_ACTIVE,
    reads=("image.status",),
    citations=(_VALIDATE, advisory("OSSA-2015-019")),
    differs="Cinder checks this in the API only: it clones an image that is "
    "deactivated later.",
)
def image_active(request: CreateRequest) -> bool:
    return request.image.status == "active"


@rule(
    "Glance's policy lets the requester download the image.",
    Reason.DOWNLOAD_FORBIDDEN,
    reads=("image.downloadable",),
    citations=(glance("policy download_image"), advisory("OSSA-2013-027")),
    differs="Cinder clones without asking Glance's download_image policy.",
)
def image_downloadable(request: CreateRequest) -> bool:
    return request.image.downloadable


@rule(
    "The image is no larger than the volume.",
    Reason.IMAGE_LARGER_THAN_VOLUME,
    reads=("image.size", "volume.size"),
    citations=(_VALIDATE,),
)
def image_fits(request: CreateRequest) -> bool:
    return (request.image.size or 0) <= request.volume.size * GiB


@rule(
    "The volume has at least the image's min_disk.",
    Reason.BELOW_MIN_DISK,
    reads=("image.min_disk", "volume.size"),
    citations=(_VALIDATE,),
)
def min_disk_met(request: CreateRequest) -> bool:
    return request.volume.size >= request.image.min_disk


@rule(
    "The image's virtual size is no larger than the volume.",
    Reason.VIRTUAL_SIZE_TOO_BIG,
    reads=("image.virtual_size", "volume.size"),
    citations=(cinder("image_utils.check_virtual_size"),),
)
def virtual_size_fits(request: CreateRequest) -> bool:
    return (request.image.virtual_size or 0) <= request.volume.size * GiB


@rule(
    "The new volume is not both multiattach and encrypted.",
    Reason.MULTIATTACH_ENCRYPTED,
    reads=("volume.multiattach", "volume.encryption_key_id"),
    citations=(cinder("ExtractVolumeRequestTask.execute"),),
)
def multiattach_unencrypted(request: CreateRequest) -> bool:
    return not (
        request.volume.multiattach
        and request.volume.encryption_key_id is not None
    )


@rule(
    "The quota that the project has left is known.",
    Reason.QUOTA_UNKNOWN,
    reads=("quota",),
    citations=(cinder("QuotaReserveTask"),),
)
def quota_known(request: CreateRequest) -> bool:
    return request.quota.missing is None


@rule(
    "The project has quota left for the volume, as far as that is known.",
    Reason.QUOTA_EXCEEDED,
    reads=("quota", "volume.size"),
    citations=(cinder("QuotaReserveTask"),),
)
def quota_suffices(request: CreateRequest) -> bool:
    quota = request.quota
    return quota.missing is not None or quota.admits(request.volume.size)


@rule(
    "The image is raw, or image conversion is enabled.",
    Reason.CONVERSION_DISABLED,
    reads=("image.disk_format", "config.image_conversion_disable"),
    citations=(cinder("image_utils.fetch_to_volume_format"),),
)
def conversion_allowed(request: CreateRequest | UploadRequest) -> bool:
    return (
        request.image.disk_format == "raw"
        or not request.config.image_conversion_disable
    )


@rule(
    "The image is not compressed, or compression is enabled.",
    Reason.COMPRESSION_DISABLED,
    reads=(
        "image.container_format",
        "config.allow_compression_on_image_upload",
    ),
    citations=(
        cinder("image_utils.validate_stores_id, fetch_to_volume_format"),
    ),
    differs="Cinder refuses an upload only after it has created the image.",
)
def compression_allowed(request: CreateRequest | UploadRequest) -> bool:
    return (
        request.image.container_format != "compressed"
        or request.config.allow_compression_on_image_upload
    )


@rule(
    "image_conversion_dir has room for the image.",
    Reason.CONVERSION_SPACE,
    reads=("conversion_free", "image.size"),
    citations=(cinder("image_utils.check_available_space"),),
    differs="Cinder checks this before it looks into the cache, and refuses "
    "even a cache hit.",
)
def conversion_space(request: CreateRequest) -> bool:
    return request.conversion_free is None or request.conversion_free > (
        request.image.size or 0
    )
