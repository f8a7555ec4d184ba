"""Build the plan of a decision from its request and the open routes."""

from __future__ import annotations

from collections.abc import Iterable

from clonepolicy._facts.locations import FileLocation, RbdLocation
from clonepolicy._facts.records import Volume
from clonepolicy._facts.requests import (
    ArrayImage,
    Candidate,
    CreateRequest,
    UploadRequest,
)
from clonepolicy.plan._steps import (
    AddLocation,
    Attempt,
    CloneImage,
    CloneVolume,
    CreateImageVolume,
    DiscardImage,
    DownloadImage,
    ExtendVolume,
    FailVolume,
    Plan,
    PublishVolume,
    RestoreVolume,
    SetVolumeMetadata,
    SetVolumeReadonly,
    Step,
    UploadImage,
    VerifyLocation,
    VolumeRef,
)
from clonepolicy.policy._tables import Route


def size_to_extend_to(
    request: CreateRequest, candidate: Candidate
) -> int | None:
    """Return the size in GiB to extend a clone to; None: it fits already."""
    source = candidate.source
    if source is None or source.size >= request.volume.size:
        return None
    return request.volume.size


def plan_create(
    request: CreateRequest,
    sources: Iterable[tuple[Route, Candidate]],
    *,
    download: bool,
) -> Plan:
    """Clone the sources one after the other, then download if that is open."""
    attempts = [_clone(request, route, source) for route, source in sources]
    if download:
        attempts.append(_download(request))
    return Plan(tuple(attempts), abandon=(FailVolume(request.volume.id),))


def _clone(
    request: CreateRequest, route: Route, candidate: Candidate
) -> Attempt:
    volume_id, source = request.volume.id, candidate.source
    steps: list[Step] = []
    if isinstance(source, Volume):
        steps.append(CloneVolume(volume_id, source, request.image))
    elif (
        isinstance(candidate, ArrayImage)
        and candidate.source is not None
        and isinstance(candidate.location, (RbdLocation, FileLocation))
    ):
        steps.append(
            CloneImage(
                volume_id, candidate.location, candidate.source, request.image
            )
        )
    size = size_to_extend_to(request, candidate)
    if size is not None:
        steps.append(ExtendVolume(volume_id, size))
    return Attempt(route, candidate.label, (*steps, PublishVolume(volume_id)))


def _download(request: CreateRequest) -> Attempt:
    volume_id = request.volume.id
    return Attempt(
        Route.DOWNLOAD,
        None,
        (DownloadImage(volume_id, request.image.id), PublishVolume(volume_id)),
    )


_IMAGE_VOLUME = VolumeRef("image-volume")


def plan_upload(
    request: UploadRequest, *, register: bool, upload: bool
) -> Plan:
    """Register a clone if that is open, then upload if that is open."""
    image, volume = request.image, request.volume
    attempts = [_register(request)] if register else []
    if upload:
        step = UploadImage(image.id, volume.id)
        attempts.append(Attempt(Route.UPLOAD, None, (step,)))
    restore = RestoreVolume(volume.id)
    return Plan(
        tuple(attempts),
        abandon=(DiscardImage(image.id), restore),
        closing=(restore,),
    )


def _register(request: UploadRequest) -> Attempt:
    """Clone the volume, then register the clone.

    ``image_owner`` comes before the location: without it, nothing says
    whose image the location is.  ``glance_image_id`` comes after it, and
    verifying last, because Glance may reject the location later.
    """
    image, volume = request.image, request.volume
    store = None if request.store is None else request.store.id
    owner = (
        ()
        if image.owner is None
        else (SetVolumeMetadata(_IMAGE_VOLUME, "image_owner", image.owner),)
    )
    return Attempt(
        Route.REGISTER,
        None,
        (
            CreateImageVolume(_IMAGE_VOLUME, volume.id, request.clone_project),
            CloneVolume(_IMAGE_VOLUME, volume),
            *owner,
            SetVolumeReadonly(_IMAGE_VOLUME),
            PublishVolume(_IMAGE_VOLUME),
            AddLocation(image.id, _IMAGE_VOLUME, store),
            SetVolumeMetadata(_IMAGE_VOLUME, "glance_image_id", image.id),
            VerifyLocation(image.id, _IMAGE_VOLUME, store),
        ),
    )
