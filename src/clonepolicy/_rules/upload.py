"""Rules about an upload: a volume on its way to an image."""

from __future__ import annotations

from clonepolicy._reasons import Reason
from clonepolicy._records import GlanceStore, UploadRequest
from clonepolicy._rules._rule import cinder, glance, rule, spec
from clonepolicy._rules.candidate import SETTLED

_API = cinder("volume.api.API.copy_volume_to_image")
_REGISTER = cinder("VolumeManager._clone_image_volume_and_add_location")
_STATUS = ("volume.status", "volume.previous_status")


def status_before(request: UploadRequest) -> str | None:
    """The volume's status before the upload took hold of it."""
    volume = request.volume
    if volume.status == "uploading":
        return volume.previous_status
    return volume.status


# -- refused on both paths --------------------------------------------------


@rule(
    Reason.VOLUME_NOT_UPLOADABLE,
    reads=(*_STATUS, "force"),
    sources=(_API,),
)
def volume_uploadable(request: UploadRequest) -> bool:
    """The volume is available, or in use and the upload is forced."""
    status = status_before(request)
    return status == "available" or (status == "in-use" and request.force)


@rule(
    Reason.FORCE_DISABLED,
    reads=(*_STATUS, "force", "config.enable_force_upload"),
    sources=(_API,),
    differs="Silently treats the upload as not forced.",
)
def force_enabled(request: UploadRequest) -> bool:
    """An upload of a volume in use is not forced, or may be."""
    return (
        status_before(request) != "in-use"
        or not request.force
        or request.config.enable_force_upload
    )


@rule(
    Reason.FORMAT_FOR_ENCRYPTED_UPLOAD,
    reads=(
        "volume.encryption_key_id",
        "image.disk_format",
        "image.container_format",
    ),
    sources=(cinder("VolumeActionsController._volume_upload_image"),),
)
def encrypted_as_it_is(request: UploadRequest) -> bool:
    """An encrypted volume is uploaded as raw and bare."""
    return request.volume.encryption_key_id is None or (
        request.image.disk_format == "raw"
        and request.image.container_format == "bare"
    )


# -- the efficient path -----------------------------------------------------


@rule(
    Reason.UPLOAD_BACKEND_DISABLED,
    reads=("config.image_upload_use_cinder_backend",),
    sources=(spec("Proposed change, upload"), _REGISTER),
)
def upload_backend_enabled(request: UploadRequest) -> bool:
    """image_upload_use_cinder_backend is set."""
    return request.config.image_upload_use_cinder_backend


@rule(
    Reason.ENCRYPTED_SOURCE,
    reads=("volume.encryption_key_id",),
    sources=(cinder("VolumeManager._clone_image_volume"),),
    differs="Clones it; the clone shares the key, or the key is lost.",
)
def uploaded_unencrypted(request: UploadRequest) -> bool:
    """The volume is not encrypted."""
    return request.volume.encryption_key_id is None


@rule(
    Reason.IMAGE_NOT_QUEUED,
    reads=("image.status",),
    sources=(glance("ImagesController.add_location"),),
    differs="Clones first and learns it from Glance.",
)
def image_queued(request: UploadRequest) -> bool:
    """The image is queued: it has no data yet."""
    return request.image.status == "queued"


@rule(
    Reason.SOURCE_STATUS,
    reads=("volume.migration_status",),
    sources=(_REGISTER,),
    differs="Not looked at.",
)
def uploaded_settled(request: UploadRequest) -> bool:
    """The volume is not being migrated."""
    return request.volume.migration_status in SETTLED


@rule(
    Reason.OWNER_MISMATCH,
    reads=(
        "image.owner",
        "project_id",
        "config.image_upload_use_internal_tenant",
        "config.cinder_internal_tenant_project_id",
        "config.cinder_internal_tenant_user_id",
    ),
    sources=(_REGISTER,),
    differs="Not looked at.",
)
def clone_in_owners_project(request: UploadRequest) -> bool:
    """The clone lies in the image owner's project or the internal one."""
    return (
        request.image.owner is None
        or request.clone_project == request.image.owner
        or request.clone_project != request.project_id
    )


@rule(
    Reason.NO_INTERNAL_TENANT,
    reads=(
        "config.image_upload_use_internal_tenant",
        "config.cinder_internal_tenant_project_id",
        "config.cinder_internal_tenant_user_id",
    ),
    sources=(spec("Proposed change, internal tenant"), _REGISTER),
    differs="Silently uses the requester's project.",
)
def wanted_tenant_set(request: UploadRequest) -> bool:
    """The internal tenant is configured if the clone shall lie there."""
    config = request.config
    return not config.image_upload_use_internal_tenant or (
        config.cinder_internal_tenant_project_id is not None
        and config.cinder_internal_tenant_user_id is not None
    )


@rule(
    Reason.CLONE_QUOTA,
    reads=("clone_quota", "volume.size"),
    sources=(cinder("VolumeManager._clone_image_volume"),),
    differs="Fails the upload.",
)
def clone_quota_suffices(request: UploadRequest) -> bool:
    """The quota of the clone's project admits it."""
    return request.clone_quota.admits(request.volume.size)


@rule(
    Reason.CLONE_WHILE_UPLOADING_UNSUPPORTED,
    reads=("backend.clone_while_uploading",),
    sources=(cinder("RemoteFSSnapDriver._create_cloned_volume"),),
    differs="Tries, and falls back.",
)
def clones_while_uploading(request: UploadRequest) -> bool:
    """The array declares that it clones a volume that is uploading."""
    return request.backend.clone_while_uploading is True


@rule(
    Reason.SNAPSHOT_LIMIT,
    reads=("volume.clones", "backend.clone_limit"),
    sources=(cinder("exception.SnapshotLimitReached"),),
    differs="Found out by trying.",
)
def uploaded_below_limit(request: UploadRequest) -> bool:
    """The array has a clone of this volume to give."""
    clones, limit = request.volume.clones, request.backend.clone_limit
    return limit is None or (clones is not None and clones < limit)


def resolve_store(request: UploadRequest) -> GlanceStore | None:
    """Find the one Glance store that the clone's location is to name.

    The volume type's ``image_service:store_id`` names it; otherwise the
    only store whose ``cinder_volume_type`` is the volume's type (glance
    33.0.0 ``store_utils.update_cinder_location``).
    """
    kind, stores = request.volume.volume_type, request.glance.stores
    if kind is not None and kind.store_id is not None:
        found = [s for s in stores if s.id == kind.store_id]
    else:
        name = None if kind is None else kind.name
        found = [s for s in stores if s.cinder_volume_type == name]
    return found[0] if len(found) == 1 else None


@rule(
    Reason.STORE_UNRESOLVED,
    reads=("glance.stores", "volume.volume_type"),
    sources=(glance("store_utils.update_cinder_location"),),
    differs="Finds out after the clone, or never.",
)
def store_resolved(request: UploadRequest) -> bool:
    """Glance has one single store, or one writable match for the type."""
    if not request.glance.stores:
        return True
    store = resolve_store(request)
    return store is not None and not store.read_only


@rule(
    Reason.LEGACY_WRITE_DISABLED,
    reads=("glance.has_location_api", "glance.show_multiple_locations"),
    sources=(glance("ImagesController._do_add_locations"),),
    differs="Finds out after the clone.",
)
def location_writable(request: UploadRequest) -> bool:
    """Glance has the locations API, or its legacy one is open."""
    return (
        request.glance.has_location_api is True
        or request.glance.show_multiple_locations
    )


@rule(
    Reason.SERVICE_ROLE_MISSING,
    reads=("glance.has_location_api", "glance.service_roles"),
    sources=(glance("policy add_image_location"),),
    differs="Fails the upload and leaves the clone behind.",
)
def has_service_role(request: UploadRequest) -> bool:
    """Cinder's user has the role service, where the locations API asks it."""
    return (
        request.glance.has_location_api is not True
        or "service" in request.glance.service_roles
    )


@rule(
    Reason.ADMIN_ROLE_MISSING,
    reads=("image.visibility", "glance.service_roles"),
    sources=(glance("glance/db/utils.py is_image_visible"),),
    differs="Fails later creates from the image.",
)
def sees_private_images(request: UploadRequest) -> bool:
    """Cinder's user can see the image to verify its registration."""
    return (
        request.image.visibility in {"public", "community"}
        or "admin" in request.glance.service_roles
    )


# -- notes ------------------------------------------------------------------


@rule(
    Reason.ASYNC_REGISTRATION,
    reads=("glance.has_location_api",),
    sources=(glance("async_/flows/location_import.py"),),
    differs="Takes acceptance for success.",
)
def registered_at_once(request: UploadRequest) -> bool:
    """Glance judges the location before it answers."""
    return request.glance.has_location_api is not True


@rule(
    Reason.TENANT_MUTABLE,
    reads=(
        "project_id",
        "config.trusted_projects",
        "config.image_upload_use_internal_tenant",
        "config.cinder_internal_tenant_project_id",
        "config.cinder_internal_tenant_user_id",
    ),
    sources=(cinder("VolumeManager._clone_image_volume"),),
)
def clone_immutable(request: UploadRequest) -> bool:
    """The clone lies where no tenant can write to it."""
    return request.config.trusts(request.clone_project)
