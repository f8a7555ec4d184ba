"""Reasons: why a rule fails.

The values are what operators grep for.  They are part of the public
contract: a star in the changelog marks a changed meaning.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Self


class Subject(StrEnum):
    """The thing that a reason is about."""

    REQUEST = "request"
    IMAGE = "image"
    NEW_VOLUME = "new volume"
    SOURCE = "source"
    LOCATION = "location"
    BACKEND = "backend"
    CONFIG = "configuration"
    GLANCE = "image service"


class Reason(StrEnum):
    """Every reason: value, subject, meaning.

    A rule may give another meaning, where it has to say more or less.
    """

    subject: Subject
    meaning: str

    def __new__(cls, value: str, subject: Subject, meaning: str) -> Self:
        """Make the value the text, and the other columns attributes."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.subject = subject
        member.meaning = meaning
        return member

    # fmt: off
    # no route can serve the request
    SIZE_INVALID = ("size-invalid", Subject.NEW_VOLUME,
        "the requested size is less than 1 GiB")
    TYPE_SIZE_LIMIT = ("type-size-limit", Subject.NEW_VOLUME,
        "the requested size is outside what the volume type allows")
    IMAGE_NOT_VISIBLE = ("image-not-visible", Subject.IMAGE,
        "the image is not visible to the requester")
    IMAGE_NOT_ACTIVE = ("image-not-active", Subject.IMAGE,
        "the image is not active")
    DOWNLOAD_FORBIDDEN = ("download-forbidden", Subject.IMAGE,
        "Glance's policy does not let the requester download the image")
    IMAGE_LARGER_THAN_VOLUME = ("image-larger-than-volume", Subject.IMAGE,
        "the image's file is larger than the volume")
    BELOW_MIN_DISK = ("below-min-disk", Subject.IMAGE,
        "the volume is smaller than the image's min_disk")
    VIRTUAL_SIZE_TOO_BIG = ("virtual-size-too-big", Subject.IMAGE,
        "the image's virtual size is larger than the volume")
    MULTIATTACH_ENCRYPTED = ("multiattach-encrypted", Subject.NEW_VOLUME,
        "an encrypted volume cannot be multiattach")
    QUOTA_UNKNOWN = ("quota-unknown", Subject.REQUEST,
        "the quota that the project has left could not be read")
    QUOTA_EXCEEDED = ("quota-exceeded", Subject.REQUEST,
        "the project has no quota left for the volume")
    VOLUME_NOT_UPLOADABLE = ("volume-not-uploadable", Subject.SOURCE,
        "the volume is neither available, nor in use with a forced upload")
    FORCE_DISABLED = ("force-disabled", Subject.CONFIG,
        "the volume is in use and forced uploads are disabled")
    FORMAT_FOR_ENCRYPTED_UPLOAD = ("format-for-encrypted-upload",
        Subject.REQUEST,
        "an encrypted volume can only be uploaded as raw and bare")
    # the ordinary route is closed
    CONVERSION_DISABLED = ("conversion-disabled", Subject.CONFIG,
        "the image is not raw and image conversion is disabled")
    COMPRESSION_DISABLED = ("compression-disabled", Subject.CONFIG,
        "the image is compressed and compression is disabled")
    CONVERSION_SPACE = ("conversion-space", Subject.BACKEND,
        "image_conversion_dir has no room for the image")
    # an efficient route is closed, whatever the source
    SCHEME_NOT_ALLOWED = ("scheme-not-allowed", Subject.CONFIG,
        "allowed_direct_url_schemes does not list cinder")
    LOCATIONS_UNAVAILABLE = ("locations-unavailable", Subject.GLANCE,
        "Glance did not return the image's locations")
    LOCATIONS_HIDDEN = ("locations-hidden", Subject.GLANCE,
        "Glance does not show Cinder where the image lies")
    LOCATIONS_HIDDEN_NO_DIRECT_URL = ("locations-hidden-no-direct-url",
        Subject.GLANCE,
        "Cinder ignores the locations because the direct URL is hidden")
    NO_ARRAY_IMAGE = ("no-array-image", Subject.IMAGE,
        "no location that Glance shows names an image on an array")
    DRIVER_FINDS_IMAGES = ("driver-finds-images", Subject.BACKEND,
        ("the driver looks for images by itself; what it finds is not known "
         "to be the image's own data"))
    NO_LOCATIONS = ("no-locations", Subject.IMAGE,
        "no location that Glance shows names a volume")
    CACHE_UNREADABLE = ("cache-unreadable", Subject.SOURCE,
        "the image-volume cache could not be read")
    CACHE_MISS = ("cache-miss", Subject.SOURCE,
        "the image-volume cache has no entry for the image")
    CACHE_DISABLED = ("cache-disabled", Subject.CONFIG,
        "the image-volume cache is not enabled for the backend")
    CACHE_SIZE_LIMIT = ("cache-size-limit", Subject.CONFIG,
        ("the disk in the image is larger than the image-volume cache may "
         "become, so that no create can fill the cache"))
    CACHE_QUOTA = ("cache-quota", Subject.CONFIG,
        ("the internal tenant has no quota left for an entry of the "
         "image-volume cache, so that no create can fill the cache"))
    NO_INTERNAL_TENANT = ("no-internal-tenant", Subject.CONFIG,
        "the internal tenant is not configured")
    DISK_FORMAT_NOT_RAW = ("disk-format-not-raw", Subject.IMAGE,
        "the image's disk_format is not raw")
    CONTAINER_NOT_BARE = ("container-not-bare", Subject.IMAGE,
        "the image's container_format is not bare")
    IMAGE_OWNER_UNKNOWN = ("image-owner-unknown", Subject.IMAGE,
        "the image has no owner")
    IMAGE_DATA_ENCRYPTED = ("image-data-encrypted", Subject.IMAGE,
        "the image's data is encrypted with a key of its own")
    NEW_VOLUME_ENCRYPTED = ("new-volume-encrypted", Subject.NEW_VOLUME,
        "the new volume is encrypted and the source is not")
    SIGNATURE_REQUIRED = ("signature-required", Subject.IMAGE,
        "the image is signed and only a download verifies signatures")
    SIZE_UNKNOWN = ("size-unknown", Subject.IMAGE,
        "the image's size is not known")
    DRIVER_CANNOT_CLONE = ("driver-cannot-clone", Subject.BACKEND,
        "the array does not declare that it can clone")
    BACKEND_FROZEN = ("backend-frozen", Subject.BACKEND,
        "the backend is frozen")
    # one source cannot be used
    LOCATION_MALFORMED = ("location-malformed", Subject.LOCATION,
        "the location is not a canonical URL")
    SCHEME_UNSUPPORTED = ("scheme-unsupported", Subject.LOCATION,
        "the image lies in a kind of store that the array cannot clone from")
    SOURCE_NOT_FOUND = ("source-not-found", Subject.SOURCE,
        "the source was looked up and does not exist")
    SOURCE_FORBIDDEN = ("source-forbidden", Subject.SOURCE,
        "access to the source is forbidden; the source may exist")
    SOURCE_UNAVAILABLE = ("source-unavailable", Subject.SOURCE,
        "looking the source up failed; the source may exist")
    SOURCE_NOT_LOOKED_UP = ("source-not-looked-up", Subject.SOURCE,
        "the source was not looked up; it may exist")
    SOURCE_ELSEWHERE = ("source-elsewhere", Subject.LOCATION,
        "the image lies where the array does not look for images")
    SOURCE_SIZE_UNKNOWN = ("source-size-unknown", Subject.SOURCE,
        "the array does not report the source's size")
    OWNER_MISMATCH = ("owner-mismatch", Subject.SOURCE,
        ("the image's owner does not own the source, and no trusted "
         "project vouches for that owner"))
    BACKREF_MISMATCH = ("backref-mismatch", Subject.SOURCE,
        "the source's name or metadata does not match the image")
    DIFFERENT_HOST = ("different-host", Subject.SOURCE,
        "the source is not known to be on the new volume's host and backend")
    DIFFERENT_POOL = ("different-pool", Subject.SOURCE,
        "the source is in another pool")
    DIFFERENT_CLUSTER = ("different-cluster", Subject.SOURCE,
        "the source is in another cluster")
    DIFFERENT_ARRAY = ("different-array", Subject.SOURCE,
        "the source is not known to be on the same array")
    DIFFERENT_FSID = ("different-fsid", Subject.LOCATION,
        "the image is not known to lie in the Ceph cluster of the array")
    POOL_NOT_ALLOWED = ("pool-not-allowed", Subject.LOCATION,
        "the location is not in a pool that only Glance writes to")
    SOURCE_STATUS = ("source-status", Subject.SOURCE,
        "the source is neither available nor in use, or is being migrated")
    SOURCE_IN_USE = ("source-in-use", Subject.SOURCE,
        ("the source is in use, and the array is not known to clone a volume "
         "in use"))
    SOURCE_ENCRYPTED = ("source-encrypted", Subject.SOURCE,
        "the source is encrypted and the new volume is not")
    SOURCE_LARGER_THAN_REQUEST = ("source-larger-than-request", Subject.SOURCE,
        "the source is larger than the requested size")
    SOURCE_SMALLER_THAN_IMAGE = ("source-smaller-than-image", Subject.SOURCE,
        "the source is smaller than the disk in the image")
    SOURCE_IS_NEW_VOLUME = ("source-is-new-volume", Subject.SOURCE,
        "the source is the new volume itself")
    EXTEND_UNSUPPORTED = ("extend-unsupported", Subject.BACKEND,
        ("the clone must be extended, and the array does not declare that it "
         "can extend"))
    TYPE_INCOMPATIBLE = ("type-incompatible", Subject.SOURCE,
        "the source's volume type is not known to be compatible")
    SNAPSHOT_LIMIT = ("snapshot-limit", Subject.SOURCE,
        "the source has as many clones as the array allows")
    CLONES_UNKNOWN = ("clones-unknown", Subject.SOURCE,
        ("the array limits the clones of a source, and does not report how "
         "many this one has"))
    CACHE_STALE = ("cache-stale", Subject.SOURCE,
        "the image may have changed since it was cached")
    CONTENT_REFUSED = ("content-refused", Subject.SOURCE,
        "a download of the source's data as a raw image would be refused")
    # the route register is closed
    UPLOAD_BACKEND_DISABLED = ("upload-backend-disabled", Subject.CONFIG,
        "image_upload_use_cinder_backend is not set")
    ENCRYPTED_SOURCE = ("encrypted-source", Subject.SOURCE,
        "the volume is encrypted; its clone would share or lose the key")
    IMAGE_NOT_QUEUED = ("image-not-queued", Subject.IMAGE,
        "the image is not queued: it has data, or receives some, or is gone")
    CLONE_QUOTA_UNKNOWN = ("clone-quota-unknown", Subject.CONFIG,
        "the quota of the image volume's project could not be read")
    CLONE_QUOTA = ("clone-quota", Subject.CONFIG,
        "the project of the image volume has no quota left for it")
    CLONE_WHILE_UPLOADING_UNSUPPORTED = ("clone-while-uploading-unsupported",
        Subject.BACKEND,
        ("the array does not declare that it can clone a volume that is "
         "uploading"))
    GLANCE_UNKNOWN = ("glance-unknown", Subject.GLANCE,
        "what Glance offers could not be read")
    STORE_UNRESOLVED = ("store-unresolved", Subject.GLANCE,
        "no writable store of Glance is known to match the volume's type")
    STORE_ID_UNSUPPORTED_BY_API = ("store-id-unsupported-by-api",
        Subject.GLANCE,
        "Cinder sends the store in a way the locations API rejects")
    LEGACY_WRITE_DISABLED = ("legacy-write-disabled", Subject.GLANCE,
        "Glance is not known to take locations by any API")
    SET_LOCATION_FORBIDDEN = ("set-location-forbidden", Subject.GLANCE,
        ("Glance is not known to have a locations API, and its policy does "
         "not let the requester set locations"))
    SERVICE_ROLE_MISSING = ("service-role-missing", Subject.GLANCE,
        "Cinder's [glance] user lacks the role service")
    ADMIN_ROLE_MISSING = ("admin-role-missing", Subject.GLANCE,
        ("Cinder's [glance] user lacks the role admin, and so cannot see "
         "a private image"))
    # notes: no route is closed
    INTEGRITY_UNVERIFIED = ("integrity-unverified", Subject.IMAGE,
        "a clone does not check the image's hash")
    CONTENT_NOT_INSPECTED = ("content-not-inspected", Subject.SOURCE,
        "the source's data was not inspected; a download inspects it")
    CONTENT_UNREADABLE = ("content-unreadable", Subject.SOURCE,
        "the source's data could not be inspected; a download inspects it")
    TENANT_MUTABLE = ("tenant-mutable", Subject.SOURCE,
        "tenants can change the volume behind the image")
    LOCATIONS_USER_WRITABLE = ("locations-user-writable", Subject.GLANCE,
        "image owners can write locations")
    PARENT_PINNED = ("parent-pinned", Subject.SOURCE,
        "the source cannot be deleted while its clone shares its data")
    EXTEND_REQUIRED = ("extend-required", Subject.NEW_VOLUME,
        "the clone is extended to the requested size")
    NO_HEADER_ROOM = ("no-header-room", Subject.NEW_VOLUME,
        ("the header of an encrypted volume takes room, and the image may "
         "not fit beside it"))
    ASYNC_REGISTRATION = ("async-registration", Subject.GLANCE,
        "Glance accepts the location first and checks it later")
    FALLBACK_INTERNAL_TENANT = ("fallback-internal-tenant", Subject.CONFIG,
        ("the internal tenant is wanted but not configured; Cinder uses "
         "the requester's project"))
    # fmt: on
