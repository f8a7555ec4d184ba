"""Rules about a request that close every route, or the ordinary one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from clonepolicy._facts.config import Quota
from clonepolicy._facts.records import GiB
from clonepolicy._facts.requests import (
    CreateRequest,
    Operation,
    UploadRequest,
)
from clonepolicy.policy._cure import Cost, Cure, Responsible, always
from clonepolicy.policy._reason import Reason
from clonepolicy.policy._rule import advisory, cinder, glance, rule
from clonepolicy.policy._rules.new_source import gib

_VALIDATE = cinder("cinder/volume/volume_utils.py check_image_metadata")


def without_key(request: CreateRequest) -> Mapping[str, Any] | None:
    """Return the change to a plain volume; None: the image's data needs a key.

    A volume without the image's own key would hold ciphertext.
    """
    if request.image.encryption_key_id is not None:
        return None
    return {"volume.encryption_key_id": None}


def _if_created(values: Mapping[str, Any]) -> Callable[..., Any]:
    return lambda request: (
        values if request.operation is Operation.CREATE else None
    )


def _if_uploaded(values: Mapping[str, Any]) -> Callable[..., Any]:
    return lambda request: (
        values if request.operation is Operation.UPLOAD else None
    )


def _too_large(request: CreateRequest) -> bool:
    limit = request.quota.per_volume_gigabytes
    return limit is not None and limit < request.volume.size


_RECEIVING = frozenset({"queued", "saving", "uploading", "importing"})
"""Each ``status`` of an image whose data is still to come."""


def _active_if(statuses: frozenset[str]) -> Callable[..., Any]:
    return lambda request: (
        {"image.status": "active"}
        if request.image.status in statuses
        else None
    )


def _more_quota(request: CreateRequest) -> Mapping[str, Any] | None:
    return None if _too_large(request) else {"quota": Quota()}


def _larger_volumes(request: CreateRequest) -> Mapping[str, Any] | None:
    return {"quota": Quota()} if _too_large(request) else None


def _within_limits(request: CreateRequest) -> Mapping[str, Any] | None:
    kind, size = request.volume.volume_type, request.volume.size
    low = 0 if kind is None else kind.min_vol_size or 0
    high = None if kind is None else kind.max_vol_size
    if high is not None and high < low:
        return None
    return {"volume.size": low if size < low else high}


def _without_limits(request: CreateRequest) -> Mapping[str, Any]:
    kind = request.volume.volume_type
    return {
        "volume.volume_type": kind
        and attrs.evolve(kind, min_vol_size=None, max_vol_size=None)
    }


@rule(
    "The new volume has at least 1 GiB.",
    Reason.SIZE_INVALID,
    reads=("volume.size",),
    citations=(cinder("ExtractVolumeRequestTask._extract_size"),),
    cures=(
        Cure(
            "ask for a size of 1 GiB or more",
            Responsible.REQUESTER,
            always({"volume.size": 1}),
        ),
    ),
)
def size_positive(request: CreateRequest) -> bool:
    return request.volume.size >= 1


@rule(
    "The new volume's size is within the limits of its volume type.",
    Reason.TYPE_SIZE_LIMIT,
    reads=("volume.size", "volume.volume_type"),
    citations=(cinder("volume_types.provision_filter_on_size"),),
    cures=(
        Cure(
            "ask for a size within the type's limits",
            Responsible.REQUESTER,
            _within_limits,
        ),
        Cure(
            "change the limits of the volume type",
            Responsible.OPERATOR,
            _without_limits,
        ),
    ),
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
    cures=(
        Cure(
            "share the image with the requester's project",
            Responsible.IMAGE_OWNER,
            always({"image.visible": True}),
        ),
    ),
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
    cures=(
        Cure(
            "finish the image's upload",
            Responsible.IMAGE_OWNER,
            _active_if(_RECEIVING),
            waiting_helps=True,
        ),
        Cure(
            "reactivate the image, if its data is to be used again",
            Responsible.IMAGE_OWNER,
            _active_if(frozenset({"deactivated"})),
        ),
    ),
)
def image_active(request: CreateRequest) -> bool:
    return request.image.status == "active"


@rule(
    "Glance's policy lets the requester download the image.",
    Reason.DOWNLOAD_FORBIDDEN,
    reads=("image.downloadable",),
    citations=(glance("policy download_image"), advisory("OSSA-2013-027")),
    differs="Cinder clones without asking Glance's download_image policy.",
    cures=(
        Cure(
            "change Glance's policy download_image, so that the requester may "
            "download the image",
            Responsible.OPERATOR,
            always({"image.downloadable": True}),
        ),
    ),
)
def image_downloadable(request: CreateRequest) -> bool:
    return request.image.downloadable


@rule(
    "The image's file is no larger than the volume.",
    Reason.IMAGE_LARGER_THAN_VOLUME,
    reads=("image.size", "volume.size"),
    citations=(_VALIDATE,),
    cures=(
        Cure(
            "ask for a volume at least as large as the image's file",
            Responsible.REQUESTER,
            lambda request: {"volume.size": gib(request.image.size)},
        ),
    ),
)
def image_fits(request: CreateRequest) -> bool:
    return (request.image.size or 0) <= request.volume.size * GiB


@rule(
    "The volume has at least the image's min_disk.",
    Reason.BELOW_MIN_DISK,
    reads=("image.min_disk", "volume.size"),
    citations=(_VALIDATE,),
    cures=(
        Cure(
            "ask for a volume of at least min_disk GiB",
            Responsible.REQUESTER,
            lambda request: {"volume.size": request.image.min_disk},
        ),
    ),
)
def min_disk_met(request: CreateRequest) -> bool:
    return request.volume.size >= request.image.min_disk


@rule(
    "The image's virtual size is no larger than the volume.",
    Reason.VIRTUAL_SIZE_TOO_BIG,
    reads=("image.virtual_size", "volume.size"),
    citations=(cinder("image_utils.check_virtual_size"),),
    cures=(
        Cure(
            "ask for a volume at least as large as the virtual size",
            Responsible.REQUESTER,
            lambda request: {"volume.size": gib(request.image.virtual_size)},
        ),
    ),
)
def virtual_size_fits(request: CreateRequest) -> bool:
    return (request.image.virtual_size or 0) <= request.volume.size * GiB


@rule(
    "The new volume is not both multiattach and encrypted.",
    Reason.MULTIATTACH_ENCRYPTED,
    reads=("volume.multiattach", "volume.encryption_key_id"),
    citations=(cinder("ExtractVolumeRequestTask.execute"),),
    cures=(
        Cure(
            "choose a volume type that is not encrypted",
            Responsible.REQUESTER,
            without_key,
        ),
        Cure(
            "choose a volume type that is not multiattach",
            Responsible.REQUESTER,
            always({"volume.multiattach": False}),
        ),
    ),
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
    cures=(
        Cure(
            "find in the log why the quota cannot be read, and fix it",
            Responsible.OPERATOR,
            always({"quota": Quota()}),
            waiting_helps=True,
        ),
    ),
)
def quota_known(request: CreateRequest) -> bool:
    return request.quota.missing is None


@rule(
    "The project has quota left for the volume, as far as that is known.",
    Reason.QUOTA_EXCEEDED,
    reads=("quota", "volume.size"),
    citations=(cinder("QuotaReserveTask"),),
    cures=(
        Cure(
            "delete volumes, or have the quota raised",
            Responsible.REQUESTER,
            _more_quota,
            waiting_helps=True,
        ),
        Cure(
            "have the quota raised, above all the size of one volume",
            Responsible.REQUESTER,
            _larger_volumes,
        ),
    ),
)
def quota_suffices(request: CreateRequest) -> bool:
    quota = request.quota
    return quota.missing is not None or quota.admits(request.volume.size)


@rule(
    "The image is raw, or image conversion is enabled.",
    Reason.CONVERSION_DISABLED,
    reads=("image.disk_format", "config.image_conversion_disable"),
    citations=(cinder("image_utils.fetch_to_volume_format"),),
    cures=(
        Cure(
            "choose the format raw",
            Responsible.REQUESTER,
            _if_uploaded({"image.disk_format": "raw"}),
            Cost.DATA,
        ),
        Cure(
            "convert the image to raw",
            Responsible.IMAGE_OWNER,
            _if_created({"image.disk_format": "raw"}),
            Cost.DATA,
        ),
        Cure(
            "unset image_conversion_disable",
            Responsible.OPERATOR,
            always({"config.image_conversion_disable": False}),
            Cost.RESTART,
        ),
    ),
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
    cures=(
        Cure(
            "choose a container_format other than compressed",
            Responsible.REQUESTER,
            _if_uploaded({"image.container_format": "bare"}),
            Cost.DATA,
        ),
        Cure(
            "offer the image with a container_format other than compressed",
            Responsible.IMAGE_OWNER,
            _if_created({"image.container_format": "bare"}),
            Cost.DATA,
        ),
        Cure(
            "set allow_compression_on_image_upload",
            Responsible.OPERATOR,
            always({"config.allow_compression_on_image_upload": True}),
            Cost.RESTART,
        ),
    ),
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
    cures=(
        Cure(
            "make room in image_conversion_dir",
            Responsible.OPERATOR,
            always({"conversion_free": None}),
            waiting_helps=True,
        ),
    ),
)
def conversion_space(request: CreateRequest) -> bool:
    return request.conversion_free is None or request.conversion_free > (
        request.image.size or 0
    )
