"""Rules about an upload of a volume to an image."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from clonepolicy._facts.config import GlanceStore, Quota
from clonepolicy._facts.records import GOING, NOT_MIGRATING, GiB, Inspection
from clonepolicy._facts.requests import UploadRequest
from clonepolicy.policy._cure import Cost, Cure, Responsible, always
from clonepolicy.policy._reason import Reason
from clonepolicy.policy._rule import advisory, cinder, glance, rule, spec
from clonepolicy.policy._rules.cures import (
    INTERNAL_TENANT_SET,
    declared,
    with_internal_tenant,
)
from clonepolicy.policy._rules.source import CLONES_IN_USE

_API = cinder("volume.api.API.copy_volume_to_image")
_REGISTER = cinder("VolumeManager._clone_image_volume_and_add_location")
_TRIES = (
    "Cinder tries to clone, and uploads after an error of Cinder's own. Any "
    "other error fails the upload and leaves an image volume behind."
)
_STATUS = ("volume.status", "volume.previous_status")
_TENANT = (
    "config.image_upload_use_internal_tenant",
    "config.cinder_internal_tenant_project_id",
    "config.cinder_internal_tenant_user_id",
)


def _at_rest_later(request: UploadRequest) -> Mapping[str, Any] | None:
    status = request.status_before or ""
    passes = "error" not in status and status not in GOING
    return {"volume.status": "available"} if passes else None


def _mended(request: UploadRequest) -> Mapping[str, Any] | None:
    status = request.status_before or ""
    failed = "error" in status and status not in GOING
    return {"volume.status": "available"} if failed else None


def _forced(request: UploadRequest) -> Mapping[str, Any] | None:
    return {"force": True} if request.status_before == "in-use" else None


def _fewer_clones(request: UploadRequest) -> Mapping[str, Any] | None:
    limit = request.backend.clone_limit
    return {"volume.clones": limit - 1} if limit else None


def _one_store(request: UploadRequest) -> Mapping[str, Any] | None:
    kind = request.volume.volume_type
    if kind is None or kind.name is None:
        return None
    store_id = kind.store_id or "cinder"
    store = GlanceStore(id=store_id, cinder_volume_type=kind.name)
    return {"glance.stores": (store,)}


def _writable_named(request: UploadRequest) -> Mapping[str, Any] | None:
    kind = request.volume.volume_type
    store = next((s for s in request.glance.stores if not s.read_only), None)
    if (
        kind is None
        or store is None
        or request.glance.has_location_api is not False
    ):
        return None
    return {"volume.volume_type": attrs.evolve(kind, store_id=store.id)}


def _with_role(role: str) -> Callable[[UploadRequest], Mapping[str, Any]]:
    return lambda request: {
        "glance.service_roles": request.glance.service_roles | {role}
    }


def _with_locations_api(*, known: bool) -> Callable[..., Any]:
    return lambda request: (
        {"glance.has_location_api": True}
        if known is (request.glance.has_location_api is False)
        else None
    )


_WITH_LOCATIONS_API = (
    Cure(
        "run Glance 2024.2 or later",
        Responsible.OPERATOR,
        _with_locations_api(known=True),
        Cost.RESTART,
    ),
    Cure(
        "record whether Glance has the locations API, which 2024.2 brought",
        Responsible.OPERATOR,
        _with_locations_api(known=False),
    ),
)


# -- whether the volume can be uploaded -------------------------------------


@rule(
    "The volume is available, or in use and the upload is forced.",
    Reason.VOLUME_NOT_UPLOADABLE,
    reads=(*_STATUS, "force"),
    citations=(_API,),
    cures=(
        Cure(
            "detach the volume, or wait until it is available",
            Responsible.REQUESTER,
            _at_rest_later,
            waiting_helps=True,
        ),
        Cure(
            "mend the volume, and bring it back to available",
            Responsible.OPERATOR,
            _mended,
        ),
        Cure("force the upload", Responsible.REQUESTER, _forced),
    ),
)
def volume_uploadable(request: UploadRequest) -> bool:
    status = request.status_before
    return status == "available" or (status == "in-use" and request.force)


@rule(
    "If an upload of a volume in use is forced, enable_force_upload is set.",
    Reason.FORCE_DISABLED,
    reads=(*_STATUS, "force", "config.enable_force_upload"),
    citations=(_API,),
    differs="Cinder treats the upload as not forced, without an error.",
    cures=(
        Cure(
            "have the volume detached",
            Responsible.REQUESTER,
            always({"volume.status": "available"}),
            waiting_helps=True,
        ),
        Cure(
            "set enable_force_upload",
            Responsible.OPERATOR,
            always({"config.enable_force_upload": True}),
            Cost.RESTART,
        ),
    ),
)
def force_enabled(request: UploadRequest) -> bool:
    return (
        request.status_before != "in-use"
        or not request.force
        or request.config.enable_force_upload
    )


@rule(
    "If the volume is encrypted, the image is raw and bare.",
    Reason.FORMAT_FOR_ENCRYPTED_UPLOAD,
    reads=(
        "volume.encryption_key_id",
        "image.disk_format",
        "image.container_format",
    ),
    citations=(cinder("VolumeActionsController._volume_upload_image"),),
    cures=(
        Cure(
            "ask for disk_format raw and container_format bare",
            Responsible.REQUESTER,
            always(
                {"image.disk_format": "raw", "image.container_format": "bare"}
            ),
        ),
    ),
)
def encrypted_as_it_is(request: UploadRequest) -> bool:
    return request.volume.encryption_key_id is None or (
        request.image.disk_format == "raw"
        and request.image.container_format == "bare"
    )


# -- whether a clone can be registered --------------------------------------


@rule(
    "image_upload_use_cinder_backend is set.",
    Reason.UPLOAD_BACKEND_DISABLED,
    reads=("config.image_upload_use_cinder_backend",),
    citations=(spec("Proposed change, upload"), _REGISTER),
    cures=(
        Cure(
            "set image_upload_use_cinder_backend for the backend",
            Responsible.OPERATOR,
            always({"config.image_upload_use_cinder_backend": True}),
            Cost.RESTART,
        ),
    ),
    switch=True,
)
def upload_backend_enabled(request: UploadRequest) -> bool:
    return request.config.image_upload_use_cinder_backend


@rule(
    "The volume is not encrypted.",
    Reason.ENCRYPTED_SOURCE,
    reads=("volume.encryption_key_id",),
    citations=(cinder("VolumeManager._clone_image_volume"),),
    differs="Cinder clones it; the clone shares the key, or the key is lost.",
    cures=(
        Cure(
            "upload from a volume that is not encrypted",
            Responsible.REQUESTER,
            always({"volume.encryption_key_id": None}),
            Cost.DATA,
        ),
    ),
)
def uploaded_unencrypted(request: UploadRequest) -> bool:
    return request.volume.encryption_key_id is None


@rule(
    "The image is queued: it has no data yet.",
    Reason.IMAGE_NOT_QUEUED,
    reads=("image.status",),
    citations=(glance("ImagesController.add_location"),),
    differs="Cinder clones first; then Glance refuses the location.",
    cures=(
        Cure(
            "upload to a new image",
            Responsible.REQUESTER,
            always({"image.status": "queued"}),
        ),
    ),
)
def image_queued(request: UploadRequest) -> bool:
    return request.image.status == "queued"


@rule(
    "The volume is not being migrated.",
    Reason.SOURCE_STATUS,
    meaning="the volume is being migrated",
    reads=("volume.migration_status",),
    citations=(_REGISTER,),
    differs="Cinder does not check this.",
    cures=(
        Cure(
            "wait until the migration is finished",
            Responsible.OPERATOR,
            always({"volume.migration_status": None}),
            waiting_helps=True,
        ),
    ),
)
def uploaded_settled(request: UploadRequest) -> bool:
    return request.volume.migration_status in NOT_MIGRATING


@rule(
    "The requester's project owns the volume and the image.",
    Reason.OWNER_MISMATCH,
    reads=("image.owner", "volume.project_id", "project_id"),
    citations=(_API, _REGISTER),
    differs="Cinder does not check this.",
    meaning="the volume, the image and the requester do not belong to one "
    "project",
    cures=(
        Cure(
            "upload as a user of the volume's project, to an image of that "
            "project",
            Responsible.REQUESTER,
            lambda request: {
                "project_id": request.volume.project_id,
                "image.owner": request.volume.project_id,
            },
        ),
    ),
)
def one_project(request: UploadRequest) -> bool:
    project = request.project_id
    return project == request.volume.project_id and request.image.owner in {
        None,
        project,
    }


@rule(
    "The host or the cluster of the volume is known.",
    Reason.DIFFERENT_HOST,
    reads=("volume.host", "volume.cluster_name"),
    citations=(_REGISTER,),
    differs="Cinder does not check this.",
    meaning="it is not known where the volume is",
)
def uploaded_placed(request: UploadRequest) -> bool:
    volume = request.volume
    return volume.host is not None or volume.cluster_name is not None


@rule(
    "The volume is no smaller than the image's size and virtual size.",
    Reason.SOURCE_SMALLER_THAN_IMAGE,
    reads=("volume.size", "image.size", "image.virtual_size"),
    citations=(cinder("image_utils.check_virtual_size"),),
    differs="Cinder does not check this.",
    meaning="the volume is smaller than the image's size or virtual size",
)
def uploaded_holds_image(request: UploadRequest) -> bool:
    image = request.image
    return request.volume.size * GiB >= max(
        image.size or 0, image.virtual_size or 0
    )


@rule(
    "The volume has at least the image's min_disk.",
    Reason.BELOW_MIN_DISK,
    reads=("volume.size", "image.min_disk"),
    citations=(cinder("cinder/volume/volume_utils.py check_image_metadata"),),
    differs="Cinder does not check this.",
    cures=(
        Cure(
            "lower the image's min_disk",
            Responsible.IMAGE_OWNER,
            lambda request: {"image.min_disk": request.volume.size},
        ),
    ),
)
def uploaded_has_min_disk(request: UploadRequest) -> bool:
    return request.volume.size >= request.image.min_disk


@rule(
    "If the internal tenant is to own the clone, it is configured.",
    Reason.NO_INTERNAL_TENANT,
    reads=_TENANT,
    citations=(spec("Proposed change, internal tenant"), _REGISTER),
    differs="Cinder uses the requester's project, without an error.",
    cures=(INTERNAL_TENANT_SET,),
)
def wanted_tenant_set(request: UploadRequest) -> bool:
    config = request.config
    return not config.image_upload_use_internal_tenant or (
        config.cinder_internal_tenant_project_id is not None
        and config.cinder_internal_tenant_user_id is not None
    )


@rule(
    "The quota of the clone's project is known.",
    Reason.CLONE_QUOTA_UNKNOWN,
    reads=("clone_quota",),
    citations=(cinder("VolumeManager._clone_image_volume"),),
    differs="Cinder fails the upload.",
    cures=(
        Cure(
            "find in the log why the quota cannot be read, and fix it",
            Responsible.OPERATOR,
            always({"clone_quota": Quota()}),
            waiting_helps=True,
        ),
    ),
)
def clone_quota_known(request: UploadRequest) -> bool:
    return request.clone_quota.missing is None


@rule(
    "The clone's project has quota left for it, as far as that is known.",
    Reason.CLONE_QUOTA,
    reads=("clone_quota", "volume.size"),
    citations=(cinder("VolumeManager._clone_image_volume"),),
    differs="Cinder fails the upload.",
    cures=(
        Cure(
            "raise the quota of the image volume's project",
            Responsible.OPERATOR,
            always({"clone_quota": Quota()}),
            waiting_helps=True,
        ),
    ),
)
def clone_quota_suffices(request: UploadRequest) -> bool:
    quota = request.clone_quota
    return quota.missing is not None or quota.admits(request.volume.size)


@rule(
    "The array declares that it can clone a volume that is uploading.",
    Reason.CLONE_WHILE_UPLOADING_UNSUPPORTED,
    reads=("backend.clone_while_uploading",),
    citations=(cinder("RemoteFSSnapDriverBase._create_cloned_volume"),),
    differs=_TRIES,
    cures=(
        Cure(
            "declare clone_while_uploading in extra_capabilities, if the "
            "driver does not check the status",
            Responsible.OPERATOR,
            declared("clone_while_uploading"),
            Cost.RESTART,
        ),
        Cure(
            "use a driver that clones a volume while it is uploaded",
            Responsible.OPERATOR,
            always({"backend.clone_while_uploading": True}),
            Cost.DATA,
        ),
    ),
)
def clones_while_uploading(request: UploadRequest) -> bool:
    return request.backend.clone_while_uploading is True


@rule(
    "The volume is not in use, or the array declares that it clones a volume "
    "in use.",
    Reason.SOURCE_IN_USE,
    reads=(*_STATUS, "backend.clone_in_use"),
    citations=(cinder("RemoteFSSnapDriverBase._create_cloned_volume"),),
    differs=_TRIES,
    meaning="the volume is in use, and the array is not known to clone a "
    "volume in use",
    cures=(
        Cure(
            "detach the volume, and upload it again",
            Responsible.REQUESTER,
            lambda request: {
                "volume.previous_status"
                if request.volume.status == "uploading"
                else "volume.status": "available"
            },
        ),
        CLONES_IN_USE,
    ),
)
def uploaded_in_use_cloned(request: UploadRequest) -> bool:
    return (
        request.status_before != "in-use"
        or request.backend.clone_in_use is True
    )


@rule(
    "The number of the volume's clones is known, if the array limits it.",
    Reason.CLONES_UNKNOWN,
    reads=("volume.clones", "backend.clone_limit"),
    citations=(cinder("exception.SnapshotLimitReached"),),
    differs=_TRIES,
    cures=(
        Cure(
            "make the driver report the number of clones",
            Responsible.DRIVER_AUTHOR,
            always({"volume.clones": 0}),
            waiting_helps=True,
        ),
    ),
)
def uploaded_clones_known(request: UploadRequest) -> bool:
    return (
        request.backend.clone_limit is None
        or request.volume.clones is not None
    )


@rule(
    "The volume has fewer clones than the array allows, as far as their "
    "number is known.",
    Reason.SNAPSHOT_LIMIT,
    reads=("volume.clones", "backend.clone_limit"),
    citations=(cinder("exception.SnapshotLimitReached"),),
    differs=_TRIES,
    cures=(
        Cure(
            "delete clones of the volume",
            Responsible.OPERATOR,
            _fewer_clones,
            waiting_helps=True,
        ),
    ),
)
def uploaded_below_limit(request: UploadRequest) -> bool:
    clones, limit = request.volume.clones, request.backend.clone_limit
    return limit is None or clones is None or clones < limit


@rule(
    "No inspection refuses the volume's data.",
    Reason.CONTENT_REFUSED,
    reads=("volume.inspection",),
    citations=(
        advisory("OSSA-2024-001"),
        glance("option require_image_format_match"),
    ),
    differs="Cinder does not inspect what it clones; Glance inspects what is "
    "uploaded.",
    cures=(
        Cure(
            "replace the volume's data by a raw disk",
            Responsible.REQUESTER,
            always({"volume.inspection": Inspection.PASSED}),
            Cost.DATA,
        ),
    ),
)
def uploaded_not_refused(request: UploadRequest) -> bool:
    return request.volume.inspection is not Inspection.REFUSED


@rule(
    "What Glance offers is known.",
    Reason.GLANCE_UNKNOWN,
    reads=("glance.missing",),
    citations=(glance("GET /versions"),),
    differs="Cinder notices this after cloning.",
    cures=(
        Cure(
            "find in the log why Glance cannot be asked, and fix it",
            Responsible.OPERATOR,
            always({"glance.missing": None}),
            waiting_helps=True,
        ),
    ),
)
def glance_known(request: UploadRequest) -> bool:
    return request.glance.missing is None


@rule(
    "Glance has one store without a name, and the volume's type names none, "
    "or a writable store matches the volume's type.",
    Reason.STORE_UNRESOLVED,
    reads=("glance.stores", "glance.has_location_api", "volume.volume_type"),
    citations=(
        glance("store_utils._update_cinder_location_and_store_id"),
        glance("glance_store cinder Store.is_image_associated_with_store"),
    ),
    differs="Cinder notices this after cloning, or never.",
    cures=(
        Cure(
            "set cinder_volume_type of a writable store to the volume's type, "
            "and list the store in glance_stores",
            Responsible.OPERATOR,
            _one_store,
            Cost.RESTART,
        ),
        Cure(
            "set image_service:store_id of the volume type to a writable "
            "cinder store",
            Responsible.OPERATOR,
            _writable_named,
        ),
    ),
)
def store_resolved(request: UploadRequest) -> bool:
    kind = request.volume.volume_type
    named = kind is not None and kind.store_id is not None
    unnamed = not request.glance.stores and not named
    return unnamed or request.store_id is not None


@rule(
    "Glance has the locations API, or its image API accepts locations.",
    Reason.LEGACY_WRITE_DISABLED,
    reads=(
        "glance.has_location_api",
        "glance.show_multiple_locations",
        "glance.missing",
    ),
    citations=(glance("ImagesController._do_add_locations"),),
    differs="Cinder notices this after cloning.",
    cures=_WITH_LOCATIONS_API,
)
def location_writable(request: UploadRequest) -> bool:
    return (
        request.glance.missing is not None
        or request.glance.has_location_api is True
        or request.glance.show_multiple_locations
    )


@rule(
    "Glance has the locations API, or its policy set_image_location is not "
    "known to keep the requester from setting locations.",
    Reason.SET_LOCATION_FORBIDDEN,
    reads=("glance.has_location_api", "glance.set_image_location"),
    citations=(glance("policy set_image_location"),),
    differs="Cinder notices this after cloning.",
    cures=_WITH_LOCATIONS_API,
)
def location_settable(request: UploadRequest) -> bool:
    return (
        request.glance.has_location_api is True
        or request.glance.set_image_location is not False
    )


@rule(
    "If Glance has the locations API, Cinder's user has the role service.",
    Reason.SERVICE_ROLE_MISSING,
    reads=("glance.has_location_api", "glance.service_roles"),
    citations=(glance("policy add_image_location"),),
    differs="Cinder fails the upload and leaves the clone behind.",
    cures=(
        Cure(
            "grant Cinder's [glance] user the role service",
            Responsible.OPERATOR,
            _with_role("service"),
        ),
    ),
)
def has_service_role(request: UploadRequest) -> bool:
    return (
        request.glance.has_location_api is not True
        or "service" in request.glance.service_roles
    )


@rule(
    "Cinder's user can see the image, unless Glance is known to have no "
    "locations API: then the requester's token suffices.",
    Reason.ADMIN_ROLE_MISSING,
    reads=(
        "image.visibility",
        "glance.has_location_api",
        "glance.service_roles",
        "glance.missing",
    ),
    citations=(
        glance("glance/db/utils.py is_image_visible"),
        cinder("GlanceImageService.add_location, get_location"),
    ),
    differs="Later, Cinder fails to create volumes from the image.",
    cures=(
        Cure(
            "grant Cinder's [glance] user the role admin",
            Responsible.OPERATOR,
            _with_role("admin"),
        ),
    ),
)
def sees_private_images(request: UploadRequest) -> bool:
    return (
        request.glance.missing is not None
        or request.image.visibility in {"public", "community"}
        or request.glance.has_location_api is False
        or "admin" in request.glance.service_roles
    )


# -- notes ------------------------------------------------------------------


@rule(
    "Glance checks a location before it answers.",
    Reason.ASYNC_REGISTRATION,
    reads=("glance.has_location_api",),
    citations=(glance("async_/flows/location_import.py"),),
    differs="Cinder treats an accepted request as success.",
)
def registered_at_once(request: UploadRequest) -> bool:
    return request.glance.has_location_api is not True


@rule(
    "The volume's data has been inspected.",
    Reason.CONTENT_NOT_INSPECTED,
    reads=("volume.inspection",),
    citations=(advisory("OSSA-2024-001"),),
    cures=(
        Cure(
            "implement inspection for the array",
            Responsible.DRIVER_AUTHOR,
            always({"volume.inspection": Inspection.PASSED}),
        ),
    ),
)
def uploaded_inspected(request: UploadRequest) -> bool:
    return request.volume.inspection is not Inspection.NOT_INSPECTED


@rule(
    "The volume's data could be read, if the array was asked to inspect it.",
    Reason.CONTENT_UNREADABLE,
    reads=("volume.inspection",),
    citations=(advisory("OSSA-2024-001"),),
    cures=(
        Cure(
            "find in the log why the volume cannot be read, and fix it",
            Responsible.OPERATOR,
            always({"volume.inspection": Inspection.PASSED}),
            waiting_helps=True,
        ),
    ),
)
def uploaded_readable(request: UploadRequest) -> bool:
    return request.volume.inspection is not Inspection.UNREADABLE


@rule(
    "No tenant can write to the clone.",
    Reason.TENANT_MUTABLE,
    reads=("project_id", "config.trusted_projects", *_TENANT),
    citations=(cinder("VolumeManager._clone_image_volume"),),
    cures=(
        Cure(
            "set image_upload_use_internal_tenant",
            Responsible.OPERATOR,
            with_internal_tenant,
            Cost.RESTART,
        ),
    ),
)
def clone_immutable(request: UploadRequest) -> bool:
    return request.config.trusts(request.clone_project)
