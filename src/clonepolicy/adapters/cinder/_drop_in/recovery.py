"""End the work that a dead cinder-volume left."""

from __future__ import annotations

from typing import Any

import attrs
from cinder import context as cinder_context
from cinder import objects
from oslo_log import log

from clonepolicy import (
    AdapterError,
    GlanceConfig,
    Image,
    Route,
    UploadRequest,
    recover,
)
from clonepolicy._text import log_fields
from clonepolicy.adapters.cinder._drop_in.journal import Work
from clonepolicy.adapters.cinder._drop_in.note import REGISTERING
from clonepolicy.adapters.cinder._drop_in.reports import log_failures
from clonepolicy.adapters.cinder._drop_in.upload import ManagerArray
from clonepolicy.adapters.cinder._errors import surviving
from clonepolicy.adapters.cinder._images import ServiceImages
from clonepolicy.adapters.cinder._volumes import (
    IN_CREATION,
    CinderVolumes,
    is_image_volume,
)
from clonepolicy.adapters.conf._own import (
    Settings,
)
from clonepolicy.plan import (
    AddLocation,
    Attempt,
    CloneVolume,
    CreateImageVolume,
    DiscardImage,
    DiscardVolume,
    FailVolume,
    Plan,
    PublishVolume,
    SetVolumeMetadata,
    VerifyLocation,
    VolumeRef,
)
from clonepolicy.ports import Phase

LOG = log.getLogger(__name__)
_UNREAD = "could not read its notes"


def recover_work(manager: Any, service_id: int) -> None:
    """End what dead processes of a service left; log errors, and go on.

    What cannot be ended stays noted: `recover_again` tries it, and the next
    start.
    """
    with surviving(LOG, _UNREAD):
        host = _dead_host(manager, service_id)
        if host is not None:
            _recover_all(manager, host)
        manager.journal.remove_stale_locks()


def recover_again(manager: Any) -> None:
    """Try once more what could not be ended; log errors, and go on."""
    if manager.journal.unended:
        with surviving(LOG, _UNREAD):
            _recover_all(manager, None)


def _recover_all(manager: Any, host: str | None) -> None:
    for work in manager.journal.interrupted(host):
        if _recover(manager, work):
            manager.journal.unended.discard(work.row)
        else:
            manager.journal.unended.add(work.row)


def _dead_host(manager: Any, service_id: int) -> str | None:
    """Return the host of a service that starts or is down, or else None."""
    if service_id == manager.service_id:
        return str(manager.host)
    admin = cinder_context.get_admin_context()
    service = objects.Service.get_by_id(admin, service_id)
    return None if service.is_up else str(service.host)


def _recover(manager: Any, work: Work) -> bool:
    """End work, and log it; return whether nothing is left."""
    done = False
    with surviving(LOG, f"could not recover volume {work.volume_id}"):
        done = _end(manager, work)
    fields = {
        "recovered": "create" if work.is_create else "upload",
        "volume": work.volume_id,
        "image": work.image_id,
        "image_volume": work.note.image_volume or "-",
        "done": "yes" if done else "no",
    }
    (LOG.info if done else LOG.warning)("clonepolicy %s", log_fields(fields))
    return done


def _end(manager: Any, work: Work) -> bool:
    images = ServiceImages(
        context=cinder_context.get_admin_context(),
        image_service=None,
        settings=manager.backend.settings,
    )
    if work.is_create:
        source = work.note.source
        sources = {} if source is None else {work.volume_id: source}
        ports = manager.backend.ports(images, sources=sources)
        plan = _create_plan(manager, work)
    else:
        image_volume = work.note.image_volume
        ports = manager.backend.ports(
            images, ManagerArray, manager=manager, created={image_volume}
        )
        # this does not depend on Glance; a later upload has its own note
        if work.is_newest:
            ports.volumes.restore(work.volume_id)
        plan = _upload_plan(work, images.settings)
        if image_volume is not None and work.note.phase is Phase.UNDOING:
            ports.volumes.retry_deletion(image_volume)
    (outcome,) = recover(work.resume(plan), ports)
    log_failures(
        outcome,
        {
            "operation": "recover",
            "image": work.image_id,
            "volume": work.volume_id,
        },
    )
    return work.close()


def _create_plan(manager: Any, work: Work) -> Plan:
    """Discard the data, if the volume is still in creation here."""
    volume = _volumes().find_object(work.volume_id)
    if (
        volume is None
        or volume.status not in IN_CREATION
        or not manager._is_our_backend(volume.host, volume.cluster_name)
    ):
        return Plan(())
    volume_id = work.volume_id
    return Plan((), abandon=(DiscardVolume(volume_id), FailVolume(volume_id)))


def _upload_plan(work: Work, settings: Settings) -> Plan:
    """Make the plan again, because a note has only its ids.

    Raises:
        AdapterError: the note names a volume that is no image volume.
    """
    abandon = (DiscardImage(work.image_id),)
    image_volume = work.note.image_volume
    if image_volume is None:
        return Plan((), abandon=abandon)
    found = _volumes().find_object(image_volume)
    if found is None:
        # it was not created yet, or has been deleted: do not register it
        return Plan((), abandon=abandon)
    if not is_image_volume(found, work.volume_id, work.image_id):
        message = f"volume {image_volume} is no image volume: it stays"
        raise AdapterError(message)
    if "glance_image_id" in found.metadata:
        # Cinder may write an old note again with other admin metadata
        work.note = attrs.evolve(work.note, step=REGISTERING)
    # the source may have been deleted meanwhile
    source = _volumes(read_deleted="yes").get_volume(work.volume_id)
    request = UploadRequest(
        image=Image(id=work.image_id, status="queued"),
        volume=source,
        project_id=source.project_id,
        glance=GlanceConfig(stores=settings.glance_stores),
    )
    made, store = VolumeRef("image-volume"), request.store_id
    # what comes before the location is at most undone
    steps = (
        CreateImageVolume(made, source.id, source.project_id),
        CloneVolume(made, source),
        PublishVolume(made),
        AddLocation(work.image_id, made, store),
        SetVolumeMetadata(made, "glance_image_id", work.image_id),
        VerifyLocation(work.image_id, made, store),
    )
    return Plan((Attempt(Route.REGISTER, None, steps),), abandon=abandon)


def _volumes(read_deleted: str = "no") -> CinderVolumes:
    return CinderVolumes(
        context=cinder_context.get_admin_context(read_deleted=read_deleted)
    )
