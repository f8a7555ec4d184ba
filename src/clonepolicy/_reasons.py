"""Why a request is refused, a source passed over, or a path not taken.

The values are what operators grep for; they are part of the public
contract, and a change of meaning is marked with a star in the changelog.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

import attrs


class Subject(StrEnum):
    """What a reason is about."""

    REQUEST = "request"
    IMAGE = "image"
    NEW_VOLUME = "new volume"
    SOURCE = "source"
    LOCATION = "location"
    BACKEND = "backend"
    CONFIG = "configuration"
    GLANCE = "image service"


class Who(StrEnum):
    """Who can remedy a reason."""

    REQUESTER = "requester"
    IMAGE_OWNER = "image owner"
    OPERATOR = "operator"
    DRIVER_AUTHOR = "driver author"


@attrs.frozen
class About:
    """What a reason means, who can remedy it and how, and if time may."""

    subject: Subject
    meaning: str
    who: Who
    remedy: str
    waiting_helps: bool = False


class Reason(StrEnum):
    """Every reason there is; closed."""

    # the request cannot be served on either path
    SIZE_INVALID = "size-invalid"
    TYPE_SIZE_LIMIT = "type-size-limit"
    IMAGE_NOT_VISIBLE = "image-not-visible"
    IMAGE_NOT_ACTIVE = "image-not-active"
    DOWNLOAD_FORBIDDEN = "download-forbidden"
    IMAGE_LARGER_THAN_VOLUME = "image-larger-than-volume"
    BELOW_MIN_DISK = "below-min-disk"
    VIRTUAL_SIZE_TOO_BIG = "virtual-size-too-big"
    MULTIATTACH_ENCRYPTED = "multiattach-encrypted"
    QUOTA_EXCEEDED = "quota-exceeded"
    VOLUME_NOT_UPLOADABLE = "volume-not-uploadable"
    FORCE_DISABLED = "force-disabled"
    FORMAT_FOR_ENCRYPTED_UPLOAD = "format-for-encrypted-upload"
    # the ordinary path is closed
    CONVERSION_DISABLED = "conversion-disabled"
    COMPRESSION_DISABLED = "compression-disabled"
    CONVERSION_SPACE = "conversion-space"
    # the efficient path is closed, whatever the source
    SCHEME_NOT_ALLOWED = "scheme-not-allowed"
    LOCATIONS_UNAVAILABLE = "locations-unavailable"
    LOCATIONS_HIDDEN_NO_DIRECT_URL = "locations-hidden-no-direct-url"
    NO_ARRAY_IMAGE = "no-array-image"
    NO_LOCATIONS = "no-locations"
    CACHE_MISS = "cache-miss"
    CACHE_DISABLED = "cache-disabled"
    NO_INTERNAL_TENANT = "no-internal-tenant"
    DISK_FORMAT_NOT_RAW = "disk-format-not-raw"
    CONTAINER_NOT_BARE = "container-not-bare"
    IMAGE_OWNER_UNKNOWN = "image-owner-unknown"
    IMAGE_DATA_ENCRYPTED = "image-data-encrypted"
    NEW_VOLUME_ENCRYPTED = "new-volume-encrypted"
    SIGNATURE_REQUIRED = "signature-required"
    SIZE_UNKNOWN = "size-unknown"
    DRIVER_CANNOT_CLONE = "driver-cannot-clone"
    BACKEND_FROZEN = "backend-frozen"
    # one source cannot be used
    LOCATION_MALFORMED = "location-malformed"
    SCHEME_UNSUPPORTED = "scheme-unsupported"
    SOURCE_NOT_FOUND = "source-not-found"
    OWNER_MISMATCH = "owner-mismatch"
    BACKREF_MISMATCH = "backref-mismatch"
    DIFFERENT_HOST = "different-host"
    DIFFERENT_POOL = "different-pool"
    DIFFERENT_CLUSTER = "different-cluster"
    DIFFERENT_ARRAY = "different-array"
    DIFFERENT_FSID = "different-fsid"
    POOL_NOT_ALLOWED = "pool-not-allowed"
    SOURCE_STATUS = "source-status"
    SOURCE_ENCRYPTED = "source-encrypted"
    SOURCE_LARGER_THAN_REQUEST = "source-larger-than-request"
    SOURCE_SMALLER_THAN_IMAGE = "source-smaller-than-image"
    SOURCE_IS_NEW_VOLUME = "source-is-new-volume"
    EXTEND_UNSUPPORTED = "extend-unsupported"
    TYPE_INCOMPATIBLE = "type-incompatible"
    SNAPSHOT_LIMIT = "snapshot-limit"
    CACHE_STALE = "cache-stale"
    # the upload cannot be a registration
    UPLOAD_BACKEND_DISABLED = "upload-backend-disabled"
    ENCRYPTED_SOURCE = "encrypted-source"
    IMAGE_NOT_QUEUED = "image-not-queued"
    CLONE_QUOTA = "clone-quota"
    CLONE_WHILE_UPLOADING_UNSUPPORTED = "clone-while-uploading-unsupported"
    STORE_UNRESOLVED = "store-unresolved"
    STORE_ID_UNSUPPORTED_BY_API = "store-id-unsupported-by-api"
    LEGACY_WRITE_DISABLED = "legacy-write-disabled"
    SERVICE_ROLE_MISSING = "service-role-missing"
    ADMIN_ROLE_MISSING = "admin-role-missing"
    # worth a note; nothing is blocked
    INTEGRITY_UNVERIFIED = "integrity-unverified"
    HASH_PENDING = "hash-pending"
    TENANT_MUTABLE = "tenant-mutable"
    LOCATIONS_USER_WRITABLE = "locations-user-writable"
    PARENT_PINNED = "parent-pinned"
    EXTEND_REQUIRED = "extend-required"
    ASYNC_REGISTRATION = "async-registration"
    FALLBACK_INTERNAL_TENANT = "fallback-internal-tenant"

    @property
    def about(self) -> About:
        """What it means and what can be done."""
        return _ABOUT[self]


_ABOUT: Mapping[Reason, About] = MappingProxyType(
    {
        Reason.SIZE_INVALID: About(
            Subject.NEW_VOLUME,
            "the requested size is not at least 1 GiB",
            Who.REQUESTER,
            "ask for a size of 1 GiB or more",
        ),
        Reason.TYPE_SIZE_LIMIT: About(
            Subject.NEW_VOLUME,
            "the requested size is outside what the volume type allows",
            Who.REQUESTER,
            "ask for a size within the type's limits, or for another type",
        ),
        Reason.IMAGE_NOT_VISIBLE: About(
            Subject.IMAGE,
            "the image is not visible to the requester",
            Who.IMAGE_OWNER,
            "share the image with the requester's project",
        ),
        Reason.IMAGE_NOT_ACTIVE: About(
            Subject.IMAGE,
            "the image is not active",
            Who.IMAGE_OWNER,
            "finish the image's upload, or have it reactivated",
            waiting_helps=True,
        ),
        Reason.DOWNLOAD_FORBIDDEN: About(
            Subject.IMAGE,
            "the requester may not have the image's data",
            Who.OPERATOR,
            "let the requester pass Glance's download_image policy",
        ),
        Reason.IMAGE_LARGER_THAN_VOLUME: About(
            Subject.IMAGE,
            "the image's data is larger than the volume",
            Who.REQUESTER,
            "ask for a volume at least as large as the image",
        ),
        Reason.BELOW_MIN_DISK: About(
            Subject.IMAGE,
            "the volume is smaller than the image's min_disk",
            Who.REQUESTER,
            "ask for a volume of at least min_disk GiB",
        ),
        Reason.VIRTUAL_SIZE_TOO_BIG: About(
            Subject.IMAGE,
            "the image's virtual size is larger than the volume",
            Who.REQUESTER,
            "ask for a volume at least as large as the virtual size",
        ),
        Reason.MULTIATTACH_ENCRYPTED: About(
            Subject.NEW_VOLUME,
            "an encrypted volume cannot be multiattach",
            Who.REQUESTER,
            "choose a volume type that is not both",
        ),
        Reason.QUOTA_EXCEEDED: About(
            Subject.REQUEST,
            "the project has no quota left for the volume",
            Who.REQUESTER,
            "delete volumes, or have the quota raised",
            waiting_helps=True,
        ),
        Reason.VOLUME_NOT_UPLOADABLE: About(
            Subject.SOURCE,
            "the volume is not available, nor in use and forced",
            Who.REQUESTER,
            "detach the volume, or wait until it is available",
            waiting_helps=True,
        ),
        Reason.FORCE_DISABLED: About(
            Subject.CONFIG,
            "the volume is in use and forced uploads are switched off",
            Who.OPERATOR,
            "set enable_force_upload, or have the volume detached",
        ),
        Reason.FORMAT_FOR_ENCRYPTED_UPLOAD: About(
            Subject.REQUEST,
            "an encrypted volume can only be uploaded as raw and bare",
            Who.REQUESTER,
            "ask for disk_format raw and container_format bare",
        ),
        Reason.CONVERSION_DISABLED: About(
            Subject.CONFIG,
            "the image is not raw and image conversion is switched off",
            Who.IMAGE_OWNER,
            "offer the image as raw, or have image_conversion_disable unset",
        ),
        Reason.COMPRESSION_DISABLED: About(
            Subject.CONFIG,
            "the image is compressed and compression is switched off",
            Who.OPERATOR,
            "set allow_compression_on_image_upload",
        ),
        Reason.CONVERSION_SPACE: About(
            Subject.BACKEND,
            "image_conversion_dir has no room for the image",
            Who.OPERATOR,
            "make room in image_conversion_dir",
            waiting_helps=True,
        ),
        Reason.SCHEME_NOT_ALLOWED: About(
            Subject.CONFIG,
            "allowed_direct_url_schemes does not list cinder",
            Who.OPERATOR,
            "add cinder to allowed_direct_url_schemes",
        ),
        Reason.LOCATIONS_UNAVAILABLE: About(
            Subject.GLANCE,
            "Glance did not tell the image's locations",
            Who.OPERATOR,
            "give Cinder's [glance] user the roles service and admin",
            waiting_helps=True,
        ),
        Reason.LOCATIONS_HIDDEN_NO_DIRECT_URL: About(
            Subject.GLANCE,
            "the locations are ignored because the direct URL is hidden",
            Who.OPERATOR,
            "give Cinder access to Glance's locations API",
        ),
        Reason.NO_ARRAY_IMAGE: About(
            Subject.IMAGE,
            "no location names an image that lies on an array",
            Who.OPERATOR,
            "have Glance keep the image on the array",
        ),
        Reason.NO_LOCATIONS: About(
            Subject.IMAGE,
            "no location names a volume",
            Who.OPERATOR,
            "upload the image from a volume with "
            "image_upload_use_cinder_backend",
        ),
        Reason.CACHE_MISS: About(
            Subject.SOURCE,
            "the image-volume cache has no entry for the image",
            Who.OPERATOR,
            "let one create fill the cache",
            waiting_helps=True,
        ),
        Reason.CACHE_DISABLED: About(
            Subject.CONFIG,
            "the image-volume cache is switched off for the backend",
            Who.OPERATOR,
            "set image_volume_cache_enabled",
        ),
        Reason.NO_INTERNAL_TENANT: About(
            Subject.CONFIG,
            "the internal tenant is not configured",
            Who.OPERATOR,
            "set cinder_internal_tenant_project_id and "
            "cinder_internal_tenant_user_id",
        ),
        Reason.DISK_FORMAT_NOT_RAW: About(
            Subject.IMAGE,
            "the image's disk_format is not raw",
            Who.IMAGE_OWNER,
            "convert the image to raw",
        ),
        Reason.CONTAINER_NOT_BARE: About(
            Subject.IMAGE,
            "the image's container_format is not bare",
            Who.IMAGE_OWNER,
            "offer the image with container_format bare",
        ),
        Reason.IMAGE_OWNER_UNKNOWN: About(
            Subject.IMAGE,
            "the image has no owner who could own its backing volume",
            Who.OPERATOR,
            "give the image an owner",
        ),
        Reason.IMAGE_DATA_ENCRYPTED: About(
            Subject.IMAGE,
            "the image's data is encrypted with a key of its own",
            Who.IMAGE_OWNER,
            "offer an image that is not encrypted",
        ),
        Reason.NEW_VOLUME_ENCRYPTED: About(
            Subject.NEW_VOLUME,
            "the new volume is to be encrypted and the source is not",
            Who.REQUESTER,
            "choose a volume type without encryption",
        ),
        Reason.SIGNATURE_REQUIRED: About(
            Subject.IMAGE,
            "the image is signed and only a download verifies signatures",
            Who.OPERATOR,
            "accept the download, or set verify_glance_signatures to disabled",
        ),
        Reason.SIZE_UNKNOWN: About(
            Subject.IMAGE,
            "the image's size is not known",
            Who.IMAGE_OWNER,
            "upload the image anew so that Glance records its size",
        ),
        Reason.DRIVER_CANNOT_CLONE: About(
            Subject.BACKEND,
            "the array does not declare that it can clone",
            Who.DRIVER_AUTHOR,
            "implement and declare cloning in the driver",
        ),
        Reason.BACKEND_FROZEN: About(
            Subject.BACKEND,
            "the backend is frozen",
            Who.OPERATOR,
            "thaw the backend",
            waiting_helps=True,
        ),
        Reason.LOCATION_MALFORMED: About(
            Subject.LOCATION,
            "the location is not a canonical URL",
            Who.OPERATOR,
            "register the location as cinder://[store/]volume-id",
        ),
        Reason.SCHEME_UNSUPPORTED: About(
            Subject.LOCATION,
            "the array cannot clone from a location of this scheme",
            Who.OPERATOR,
            "keep the image in a store the array can clone from",
        ),
        Reason.SOURCE_NOT_FOUND: About(
            Subject.SOURCE,
            "what the location names is not there",
            Who.OPERATOR,
            "remove the dangling location, or upload the image anew",
        ),
        Reason.OWNER_MISMATCH: About(
            Subject.SOURCE,
            "the source is not the image owner's, and nobody trusted "
            "vouches for it",
            Who.OPERATOR,
            "put image volumes in the internal tenant",
        ),
        Reason.BACKREF_MISMATCH: About(
            Subject.SOURCE,
            "the source says that it belongs to another image",
            Who.OPERATOR,
            "upload the image anew",
        ),
        Reason.DIFFERENT_HOST: About(
            Subject.SOURCE,
            "the source is on another host or backend",
            Who.OPERATOR,
            "keep an image volume on each backend",
        ),
        Reason.DIFFERENT_POOL: About(
            Subject.SOURCE,
            "the source is in another pool",
            Who.OPERATOR,
            "keep an image volume in each pool, or use an array that "
            "clones across pools",
        ),
        Reason.DIFFERENT_CLUSTER: About(
            Subject.SOURCE,
            "the source is in another cluster",
            Who.OPERATOR,
            "keep an image volume in each cluster",
        ),
        Reason.DIFFERENT_ARRAY: About(
            Subject.SOURCE,
            "the source is not known to be on the same array",
            Who.DRIVER_AUTHOR,
            "have the driver report the array's identity",
        ),
        Reason.DIFFERENT_FSID: About(
            Subject.LOCATION,
            "the location is in another Ceph cluster",
            Who.OPERATOR,
            "copy the image to a store in the volume's cluster",
        ),
        Reason.POOL_NOT_ALLOWED: About(
            Subject.LOCATION,
            "the location is not in a pool that only Glance writes",
            Who.OPERATOR,
            "list the image store's pool in trusted_image_pools",
        ),
        Reason.SOURCE_STATUS: About(
            Subject.SOURCE,
            "the source is not available or in use, or is being migrated",
            Who.OPERATOR,
            "bring the source back to available",
            waiting_helps=True,
        ),
        Reason.SOURCE_ENCRYPTED: About(
            Subject.SOURCE,
            "the source is encrypted and the new volume is not",
            Who.IMAGE_OWNER,
            "upload the image from a volume that is not encrypted",
        ),
        Reason.SOURCE_LARGER_THAN_REQUEST: About(
            Subject.SOURCE,
            "the source is larger than the requested size",
            Who.REQUESTER,
            "ask for a volume at least as large as the source",
        ),
        Reason.SOURCE_SMALLER_THAN_IMAGE: About(
            Subject.SOURCE,
            "the source is too small to hold the image",
            Who.IMAGE_OWNER,
            "upload the image anew",
        ),
        Reason.SOURCE_IS_NEW_VOLUME: About(
            Subject.SOURCE,
            "the source is the very volume that is to be filled",
            Who.OPERATOR,
            "remove the location from the image",
        ),
        Reason.EXTEND_UNSUPPORTED: About(
            Subject.BACKEND,
            "the clone would have to grow and the array cannot extend",
            Who.REQUESTER,
            "ask for a volume of the source's size",
        ),
        Reason.TYPE_INCOMPATIBLE: About(
            Subject.SOURCE,
            "the source's volume type is not known to be compatible",
            Who.REQUESTER,
            "choose the source's volume type, or one with the same "
            "volume_backend_name",
        ),
        Reason.SNAPSHOT_LIMIT: About(
            Subject.SOURCE,
            "the array makes no more clones of the source",
            Who.OPERATOR,
            "add another image volume, or delete clones",
            waiting_helps=True,
        ),
        Reason.CACHE_STALE: About(
            Subject.SOURCE,
            "the image has changed since it was cached",
            Who.OPERATOR,
            "let the next create refresh the cache",
            waiting_helps=True,
        ),
        Reason.UPLOAD_BACKEND_DISABLED: About(
            Subject.CONFIG,
            "image_upload_use_cinder_backend is not set",
            Who.OPERATOR,
            "set image_upload_use_cinder_backend for the backend",
        ),
        Reason.ENCRYPTED_SOURCE: About(
            Subject.SOURCE,
            "the volume is encrypted; its clone would share or lose the key",
            Who.REQUESTER,
            "upload from a volume that is not encrypted",
        ),
        Reason.IMAGE_NOT_QUEUED: About(
            Subject.IMAGE,
            "the image already has data or is receiving some",
            Who.REQUESTER,
            "upload to a new image",
        ),
        Reason.CLONE_QUOTA: About(
            Subject.CONFIG,
            "the project of the image volume has no quota left for it",
            Who.OPERATOR,
            "raise the quota of that project",
            waiting_helps=True,
        ),
        Reason.CLONE_WHILE_UPLOADING_UNSUPPORTED: About(
            Subject.BACKEND,
            "the array does not declare that it clones a volume while "
            "that is uploading",
            Who.DRIVER_AUTHOR,
            "allow and declare it in the driver",
        ),
        Reason.STORE_UNRESOLVED: About(
            Subject.GLANCE,
            "no single writable Glance store matches the volume's type",
            Who.OPERATOR,
            "set image_service:store_id on the type, or "
            "cinder_volume_type on one store",
        ),
        Reason.STORE_ID_UNSUPPORTED_BY_API: About(
            Subject.GLANCE,
            "Cinder sends the store in a way the locations API rejects",
            Who.OPERATOR,
            "remove image_service:store_id from the type",
        ),
        Reason.LEGACY_WRITE_DISABLED: About(
            Subject.GLANCE,
            "Glance has no locations API, and its legacy one is closed",
            Who.OPERATOR,
            "run Glance 2024.2 or later",
        ),
        Reason.SERVICE_ROLE_MISSING: About(
            Subject.GLANCE,
            "Cinder's [glance] user lacks the role service",
            Who.OPERATOR,
            "grant it the role service",
        ),
        Reason.ADMIN_ROLE_MISSING: About(
            Subject.GLANCE,
            "Cinder's [glance] user cannot see a private image, lacking "
            "the role admin",
            Who.OPERATOR,
            "grant it the role admin",
        ),
        Reason.INTEGRITY_UNVERIFIED: About(
            Subject.IMAGE,
            "the image's hash is not checked by a clone",
            Who.OPERATOR,
            "download once and compare, if that matters",
        ),
        Reason.HASH_PENDING: About(
            Subject.IMAGE,
            "the image has no hash",
            Who.OPERATOR,
            "set do_secure_hash in Glance",
            waiting_helps=True,
        ),
        Reason.TENANT_MUTABLE: About(
            Subject.SOURCE,
            "tenants can change the volume behind the image",
            Who.OPERATOR,
            "set image_upload_use_internal_tenant",
        ),
        Reason.LOCATIONS_USER_WRITABLE: About(
            Subject.GLANCE,
            "image owners can write locations",
            Who.OPERATOR,
            "unset show_multiple_locations",
        ),
        Reason.PARENT_PINNED: About(
            Subject.SOURCE,
            "the source cannot go away while its clone shares its data",
            Who.OPERATOR,
            "flatten the clone before deleting the source",
        ),
        Reason.EXTEND_REQUIRED: About(
            Subject.NEW_VOLUME,
            "the clone is extended to the requested size",
            Who.REQUESTER,
            "ask for the source's size to save the extension",
        ),
        Reason.ASYNC_REGISTRATION: About(
            Subject.GLANCE,
            "Glance accepts the location first and judges it later",
            Who.OPERATOR,
            "nothing: the plan waits until the image is active",
            waiting_helps=True,
        ),
        Reason.FALLBACK_INTERNAL_TENANT: About(
            Subject.CONFIG,
            "the internal tenant is wanted but not configured; the "
            "requester's project is used",
            Who.OPERATOR,
            "set cinder_internal_tenant_project_id and "
            "cinder_internal_tenant_user_id",
        ),
    }
)
