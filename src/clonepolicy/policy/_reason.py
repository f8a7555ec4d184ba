"""Reasons: why a rule fails, who can change that, and how.

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


class Responsible(StrEnum):
    """The person who can remedy a reason."""

    REQUESTER = "requester"
    IMAGE_OWNER = "image owner"
    OPERATOR = "operator"
    DRIVER_AUTHOR = "driver author"


class Reason(StrEnum):
    """Every reason: value, subject, who can remedy it, meaning, remedy.

    True in the last column: waiting may help.
    """

    subject: Subject
    meaning: str
    responsible: Responsible
    remedy: str
    waiting_helps: bool

    def __new__(  # noqa: PLR0913, PLR0917 - the columns of the table below
        cls,
        value: str,
        subject: Subject,
        responsible: Responsible,
        meaning: str,
        remedy: str,
        waiting_helps: bool = False,  # noqa: FBT001, FBT002 - the last column
    ) -> Self:
        """Make the value the text, and the other columns attributes."""
        member = str.__new__(cls, value)
        member._value_ = value
        member.subject = subject
        member.meaning = meaning
        member.responsible = responsible
        member.remedy = remedy
        member.waiting_helps = waiting_helps
        return member

    # fmt: off
    # no route can serve the request
    SIZE_INVALID = ("size-invalid", Subject.NEW_VOLUME, Responsible.REQUESTER,
        "the requested size is less than 1 GiB",
        "ask for a size of 1 GiB or more")
    TYPE_SIZE_LIMIT = ("type-size-limit",
        Subject.NEW_VOLUME, Responsible.REQUESTER,
        "the requested size is outside what the volume type allows",
        "ask for a size within the type's limits, or for another type")
    IMAGE_NOT_VISIBLE = ("image-not-visible",
        Subject.IMAGE, Responsible.IMAGE_OWNER,
        "the image is not visible to the requester",
        "share the image with the requester's project")
    IMAGE_NOT_ACTIVE = ("image-not-active",
        Subject.IMAGE, Responsible.IMAGE_OWNER,
        "the image is not active",
        "finish the image's upload, or have it reactivated", True)
    DOWNLOAD_FORBIDDEN = ("download-forbidden",
        Subject.IMAGE, Responsible.OPERATOR,
        "Glance's policy does not let the requester download the image",
        "let the requester pass Glance's download_image policy")
    IMAGE_LARGER_THAN_VOLUME = ("image-larger-than-volume",
        Subject.IMAGE, Responsible.REQUESTER,
        "the image is larger than the volume",
        "ask for a volume at least as large as the image")
    BELOW_MIN_DISK = ("below-min-disk", Subject.IMAGE, Responsible.REQUESTER,
        "the volume is smaller than the image's min_disk",
        "ask for a volume of at least min_disk GiB")
    VIRTUAL_SIZE_TOO_BIG = ("virtual-size-too-big",
        Subject.IMAGE, Responsible.REQUESTER,
        "the image's virtual size is larger than the volume",
        "ask for a volume at least as large as the virtual size")
    MULTIATTACH_ENCRYPTED = ("multiattach-encrypted",
        Subject.NEW_VOLUME, Responsible.REQUESTER,
        "an encrypted volume cannot be multiattach",
        "choose a volume type that is multiattach or encrypted, not both")
    QUOTA_UNKNOWN = ("quota-unknown", Subject.REQUEST, Responsible.OPERATOR,
        "the quota that the project has left could not be read",
        "see the log for the error", True)
    QUOTA_EXCEEDED = ("quota-exceeded", Subject.REQUEST, Responsible.REQUESTER,
        "the project has no quota left for the volume",
        "delete volumes, or have the quota raised", True)
    VOLUME_NOT_UPLOADABLE = ("volume-not-uploadable",
        Subject.SOURCE, Responsible.REQUESTER,
        "the volume is neither available, nor in use with a forced upload",
        "detach the volume, or wait until it is available", True)
    FORCE_DISABLED = ("force-disabled", Subject.CONFIG, Responsible.OPERATOR,
        "the volume is in use and forced uploads are disabled",
        "set enable_force_upload, or have the volume detached")
    FORMAT_FOR_ENCRYPTED_UPLOAD = ("format-for-encrypted-upload",
        Subject.REQUEST, Responsible.REQUESTER,
        "an encrypted volume can only be uploaded as raw and bare",
        "ask for disk_format raw and container_format bare")
    # the ordinary route is closed
    CONVERSION_DISABLED = ("conversion-disabled",
        Subject.CONFIG, Responsible.IMAGE_OWNER,
        "the image is not raw and image conversion is disabled",
        "offer the image as raw, or have image_conversion_disable unset")
    COMPRESSION_DISABLED = ("compression-disabled",
        Subject.CONFIG, Responsible.OPERATOR,
        "the image is compressed and compression is disabled",
        "set allow_compression_on_image_upload")
    CONVERSION_SPACE = ("conversion-space",
        Subject.BACKEND, Responsible.OPERATOR,
        "image_conversion_dir has no room for the image",
        "make room in image_conversion_dir", True)
    # an efficient route is closed, whatever the source
    SCHEME_NOT_ALLOWED = ("scheme-not-allowed",
        Subject.CONFIG, Responsible.OPERATOR,
        "allowed_direct_url_schemes does not list cinder",
        "add cinder to allowed_direct_url_schemes")
    LOCATIONS_UNAVAILABLE = ("locations-unavailable",
        Subject.GLANCE, Responsible.OPERATOR,
        "Glance did not return the image's locations",
        "give Cinder's [glance] user the roles service and admin", True)
    LOCATIONS_HIDDEN = ("locations-hidden",
        Subject.GLANCE, Responsible.OPERATOR,
        "Glance does not show Cinder where the image lies",
        ("give Cinder's [glance] user the roles service and admin, or set "
         "show_multiple_locations"))
    LOCATIONS_HIDDEN_NO_DIRECT_URL = ("locations-hidden-no-direct-url",
        Subject.GLANCE, Responsible.OPERATOR,
        "Cinder ignores the locations because the direct URL is hidden",
        "give Cinder access to Glance's locations API")
    NO_ARRAY_IMAGE = ("no-array-image", Subject.IMAGE, Responsible.OPERATOR,
        "no location names an image that an array stores",
        "have Glance store the image on the array")
    NO_LOCATIONS = ("no-locations", Subject.IMAGE, Responsible.OPERATOR,
        "no location names a volume",
        "upload the image from a volume with image_upload_use_cinder_backend")
    CACHE_UNREADABLE = ("cache-unreadable",
        Subject.SOURCE, Responsible.OPERATOR,
        "the image-volume cache could not be read",
        "see the log for the error", True)
    CACHE_MISS = ("cache-miss", Subject.SOURCE, Responsible.OPERATOR,
        "the image-volume cache has no entry for the image",
        "create one volume to fill the cache", True)
    CACHE_DISABLED = ("cache-disabled", Subject.CONFIG, Responsible.OPERATOR,
        "the image-volume cache is not enabled for the backend",
        "set image_volume_cache_enabled")
    NO_INTERNAL_TENANT = ("no-internal-tenant",
        Subject.CONFIG, Responsible.OPERATOR,
        "the internal tenant is not configured",
        ("set cinder_internal_tenant_project_id and "
         "cinder_internal_tenant_user_id"))
    DISK_FORMAT_NOT_RAW = ("disk-format-not-raw",
        Subject.IMAGE, Responsible.IMAGE_OWNER,
        "the image's disk_format is not raw",
        "convert the image to raw")
    CONTAINER_NOT_BARE = ("container-not-bare",
        Subject.IMAGE, Responsible.IMAGE_OWNER,
        "the image's container_format is not bare",
        "offer the image with container_format bare")
    IMAGE_OWNER_UNKNOWN = ("image-owner-unknown",
        Subject.IMAGE, Responsible.OPERATOR,
        "the image has no owner",
        "give the image an owner")
    IMAGE_DATA_ENCRYPTED = ("image-data-encrypted",
        Subject.IMAGE, Responsible.IMAGE_OWNER,
        "the image's data is encrypted with a key of its own",
        "offer an image that is not encrypted")
    NEW_VOLUME_ENCRYPTED = ("new-volume-encrypted",
        Subject.NEW_VOLUME, Responsible.REQUESTER,
        "the new volume is encrypted and the source is not",
        "choose a volume type without encryption")
    SIGNATURE_REQUIRED = ("signature-required",
        Subject.IMAGE, Responsible.OPERATOR,
        "the image is signed and only a download verifies signatures",
        "accept the download, or set verify_glance_signatures to disabled")
    SIZE_UNKNOWN = ("size-unknown", Subject.IMAGE, Responsible.IMAGE_OWNER,
        "the image's size is not known",
        "upload the image anew so that Glance records its size")
    DRIVER_CANNOT_CLONE = ("driver-cannot-clone",
        Subject.BACKEND, Responsible.DRIVER_AUTHOR,
        "the array does not declare that it can clone",
        "implement and declare cloning in the driver")
    BACKEND_FROZEN = ("backend-frozen", Subject.BACKEND, Responsible.OPERATOR,
        "the backend is frozen",
        "thaw the backend", True)
    # one source cannot be used
    LOCATION_MALFORMED = ("location-malformed",
        Subject.LOCATION, Responsible.OPERATOR,
        "the location is not a canonical URL",
        "register the location as cinder://[store/]volume-id")
    SCHEME_UNSUPPORTED = ("scheme-unsupported",
        Subject.LOCATION, Responsible.OPERATOR,
        "the image lies in a kind of store that the array cannot clone from",
        "have Glance store the image on the array")
    SOURCE_NOT_FOUND = ("source-not-found",
        Subject.SOURCE, Responsible.OPERATOR,
        "the source was looked up, and is not there",
        "find out whether another cloud has it, before anything is removed")
    SOURCE_FORBIDDEN = ("source-forbidden",
        Subject.SOURCE, Responsible.OPERATOR,
        "Cinder is not allowed to look the source up",
        ("let Cinder's user read it: the capabilities of the Ceph user, the "
         "mode of the directory, the roles of the account"))
    SOURCE_UNAVAILABLE = ("source-unavailable",
        Subject.SOURCE, Responsible.OPERATOR,
        "looking the source up failed, so whether it exists is not known",
        "see the log for the error, and bring the service back", True)
    SOURCE_NOT_LOOKED_UP = ("source-not-looked-up",
        Subject.SOURCE, Responsible.DRIVER_AUTHOR,
        "nothing looked the source up, so whether it exists is not known",
        "implement the look-up in the driver")
    SOURCE_ELSEWHERE = ("source-elsewhere",
        Subject.LOCATION, Responsible.OPERATOR,
        "the image lies where the array does not look for images",
        "have Glance store the image on the array")
    SOURCE_SIZE_UNKNOWN = ("source-size-unknown",
        Subject.SOURCE, Responsible.DRIVER_AUTHOR,
        "the array does not tell the source's size",
        "report the size in the driver")
    OWNER_MISMATCH = ("owner-mismatch", Subject.SOURCE, Responsible.OPERATOR,
        ("the image's owner does not own the source, and no trusted project "
         "vouches for that owner"),
        "put image volumes in the internal tenant")
    BACKREF_MISMATCH = ("backref-mismatch",
        Subject.SOURCE, Responsible.OPERATOR,
        "the source's name or metadata does not match the image",
        "upload the image anew")
    DIFFERENT_HOST = ("different-host", Subject.SOURCE, Responsible.OPERATOR,
        "the source is on another host or backend",
        "keep an image volume on each backend")
    DIFFERENT_POOL = ("different-pool", Subject.SOURCE, Responsible.OPERATOR,
        "the source is in another pool",
        ("keep an image volume in each pool, or use an array that clones "
         "across pools"))
    DIFFERENT_CLUSTER = ("different-cluster",
        Subject.SOURCE, Responsible.OPERATOR,
        "the source is in another cluster",
        "keep an image volume in each cluster")
    DIFFERENT_ARRAY = ("different-array",
        Subject.SOURCE, Responsible.DRIVER_AUTHOR,
        "the source is not known to be on the same array",
        "have the driver report the array's identity")
    DIFFERENT_FSID = ("different-fsid", Subject.LOCATION, Responsible.OPERATOR,
        "the image is not known to lie in the array's Ceph cluster",
        "copy the image to a store in the volume's cluster")
    POOL_NOT_ALLOWED = ("pool-not-allowed",
        Subject.LOCATION, Responsible.OPERATOR,
        "the location is not in a pool that only Glance writes to",
        "list the image store's pool in trusted_image_pools")
    SOURCE_STATUS = ("source-status", Subject.SOURCE, Responsible.OPERATOR,
        "the source is neither available nor in use, or is being migrated",
        "bring the source back to available", True)
    SOURCE_ENCRYPTED = ("source-encrypted",
        Subject.SOURCE, Responsible.IMAGE_OWNER,
        "the source is encrypted and the new volume is not",
        "upload the image from a volume that is not encrypted")
    SOURCE_LARGER_THAN_REQUEST = ("source-larger-than-request",
        Subject.SOURCE, Responsible.REQUESTER,
        "the source is larger than the requested size",
        "ask for a volume at least as large as the source")
    SOURCE_SMALLER_THAN_IMAGE = ("source-smaller-than-image",
        Subject.SOURCE, Responsible.IMAGE_OWNER,
        "the source is too small to hold the image",
        "upload the image anew")
    SOURCE_IS_NEW_VOLUME = ("source-is-new-volume",
        Subject.SOURCE, Responsible.OPERATOR,
        "the source is the new volume itself",
        "remove the location from the image")
    EXTEND_UNSUPPORTED = ("extend-unsupported",
        Subject.BACKEND, Responsible.REQUESTER,
        "the clone must be extended and the array cannot extend",
        "ask for a volume of the source's size")
    TYPE_INCOMPATIBLE = ("type-incompatible",
        Subject.SOURCE, Responsible.REQUESTER,
        "the source's volume type is not known to be compatible",
        ("choose the source's volume type, or one with the same "
         "volume_backend_name"))
    SNAPSHOT_LIMIT = ("snapshot-limit", Subject.SOURCE, Responsible.OPERATOR,
        "the source has as many clones as the array allows",
        "add another image volume, or delete clones", True)
    CLONES_UNKNOWN = ("clones-unknown",
        Subject.SOURCE, Responsible.DRIVER_AUTHOR,
        ("the array limits the clones of a source, and does not tell how many "
         "this one has"),
        "count clones in the driver", True)
    CACHE_STALE = ("cache-stale", Subject.SOURCE, Responsible.OPERATOR,
        "the image may have changed since it was cached",
        "create one volume to refresh the cache", True)
    CONTENT_REFUSED = ("content-refused",
        Subject.SOURCE, Responsible.IMAGE_OWNER,
        "a download of the source's data as a raw image would be refused",
        "replace the source's data by a raw disk")
    # the route register is closed
    UPLOAD_BACKEND_DISABLED = ("upload-backend-disabled",
        Subject.CONFIG, Responsible.OPERATOR,
        "image_upload_use_cinder_backend is not set",
        "set image_upload_use_cinder_backend for the backend")
    ENCRYPTED_SOURCE = ("encrypted-source",
        Subject.SOURCE, Responsible.REQUESTER,
        "the volume is encrypted; its clone would share or lose the key",
        "upload from a volume that is not encrypted")
    IMAGE_NOT_QUEUED = ("image-not-queued",
        Subject.IMAGE, Responsible.REQUESTER,
        "the image already has data or is receiving some",
        "upload to a new image")
    CLONE_QUOTA_UNKNOWN = ("clone-quota-unknown",
        Subject.CONFIG, Responsible.OPERATOR,
        "the quota of the image volume's project could not be read",
        "see the log for the error", True)
    CLONE_QUOTA = ("clone-quota", Subject.CONFIG, Responsible.OPERATOR,
        "the project of the image volume has no quota left for it",
        "raise the quota of that project", True)
    CLONE_WHILE_UPLOADING_UNSUPPORTED = ("clone-while-uploading-unsupported",
        Subject.BACKEND, Responsible.DRIVER_AUTHOR,
        ("the array does not declare that it can clone a volume that is "
         "uploading"),
        "implement and declare cloning while uploading in the driver")
    GLANCE_UNKNOWN = ("glance-unknown", Subject.GLANCE, Responsible.OPERATOR,
        "what Glance offers could not be read",
        "see the log for the error", True)
    STORE_UNRESOLVED = ("store-unresolved",
        Subject.GLANCE, Responsible.OPERATOR,
        "no single writable Glance store matches the volume's type",
        ("set image_service:store_id on the type, or cinder_volume_type on "
         "one store"))
    STORE_ID_UNSUPPORTED_BY_API = ("store-id-unsupported-by-api",
        Subject.GLANCE, Responsible.OPERATOR,
        "Cinder sends the store in a way the locations API rejects",
        "remove image_service:store_id from the type")
    LEGACY_WRITE_DISABLED = ("legacy-write-disabled",
        Subject.GLANCE, Responsible.OPERATOR,
        "Glance is not known to have an API that takes locations",
        "run Glance 2024.2 or later")
    SERVICE_ROLE_MISSING = ("service-role-missing",
        Subject.GLANCE, Responsible.OPERATOR,
        "Cinder's [glance] user lacks the role service",
        "grant the [glance] user the role service")
    ADMIN_ROLE_MISSING = ("admin-role-missing",
        Subject.GLANCE, Responsible.OPERATOR,
        ("Cinder's [glance] user lacks the role admin, and so cannot see a "
         "private image"),
        "grant the [glance] user the role admin")
    # notes: no route is closed
    INTEGRITY_UNVERIFIED = ("integrity-unverified",
        Subject.IMAGE, Responsible.OPERATOR,
        "a clone does not check the image's hash",
        "if this matters, download the image once and compare the hash")
    HASH_PENDING = ("hash-pending", Subject.IMAGE, Responsible.OPERATOR,
        "the image has no hash",
        "set do_secure_hash in Glance", True)
    CONTENT_NOT_INSPECTED = ("content-not-inspected",
        Subject.SOURCE, Responsible.DRIVER_AUTHOR,
        "the source's data was not inspected; a download inspects it",
        "implement inspection for the array")
    CONTENT_UNREADABLE = ("content-unreadable",
        Subject.SOURCE, Responsible.OPERATOR,
        "the source's data could not be inspected; a download inspects it",
        "see the log for the error", True)
    TENANT_MUTABLE = ("tenant-mutable", Subject.SOURCE, Responsible.OPERATOR,
        "tenants can change the volume behind the image",
        "set image_upload_use_internal_tenant")
    LOCATIONS_USER_WRITABLE = ("locations-user-writable",
        Subject.GLANCE, Responsible.OPERATOR,
        "image owners can write locations",
        "unset show_multiple_locations")
    PARENT_PINNED = ("parent-pinned", Subject.SOURCE, Responsible.OPERATOR,
        "the source cannot be deleted while its clone shares its data",
        "flatten the clone before deleting the source")
    EXTEND_REQUIRED = ("extend-required",
        Subject.NEW_VOLUME, Responsible.REQUESTER,
        "the clone is extended to the requested size",
        "ask for the source's size to avoid the extension")
    ASYNC_REGISTRATION = ("async-registration",
        Subject.GLANCE, Responsible.OPERATOR,
        "Glance accepts the location first and checks it later",
        "nothing: the plan waits until the image is active", True)
    FALLBACK_INTERNAL_TENANT = ("fallback-internal-tenant",
        Subject.CONFIG, Responsible.OPERATOR,
        ("the internal tenant is wanted but not configured; Cinder uses the "
         "requester's project"),
        ("set cinder_internal_tenant_project_id and "
         "cinder_internal_tenant_user_id"))
    # fmt: on
