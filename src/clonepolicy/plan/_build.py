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
    size_to_extend_to,
)
from clonepolicy.plan import _steps as steps
from clonepolicy.plan._steps import Attempt, Plan, Step, VolumeRef
from clonepolicy.policy._tables import Route


def plan_create(
    request: CreateRequest,
    sources: Iterable[tuple[Route, Candidate]],
    *,
    download: bool,
) -> Plan:
    """Try each source in order, then download if that route is open."""
    attempts = [_clone(request, route, source) for route, source in sources]
    if download:
        attempts.append(_download(request))
    return Plan(
        tuple(attempts), abandon=(steps.FailVolume(request.volume.id),)
    )


def _clone(
    request: CreateRequest, route: Route, candidate: Candidate
) -> Attempt:
    volume_id, source = request.volume.id, candidate.source
    taken: list[Step] = []
    if isinstance(source, Volume):
        taken.append(steps.CloneVolume(volume_id, source, request.image))
    elif (
        isinstance(candidate, ArrayImage)
        and candidate.source is not None
        and isinstance(candidate.location, (RbdLocation, FileLocation))
    ):
        taken.append(
            steps.CloneImage(
                volume_id, candidate.location, candidate.source, request.image
            )
        )
    size = size_to_extend_to(request, candidate)
    if size is not None:
        taken.append(steps.ExtendVolume(volume_id, size))
    return Attempt(
        route, candidate.label, (*taken, steps.PublishVolume(volume_id))
    )


def _download(request: CreateRequest) -> Attempt:
    volume_id = request.volume.id
    return Attempt(
        Route.DOWNLOAD,
        None,
        (
            steps.DownloadImage(volume_id, request.image.id),
            steps.PublishVolume(volume_id),
        ),
    )


_IMAGE_VOLUME = VolumeRef("image-volume")


def plan_upload(
    request: UploadRequest, *, register: bool, upload: bool
) -> Plan:
    """Try to register a clone, then to upload, if each route is open."""
    image, volume = request.image, request.volume
    attempts = [_register(request)] if register else []
    if upload:
        step = steps.UploadImage(image.id, volume.id)
        attempts.append(Attempt(Route.UPLOAD, None, (step,)))
    restore = steps.RestoreVolume(volume.id)
    return Plan(
        tuple(attempts),
        abandon=(steps.DiscardImage(image.id), restore),
        closing=(restore,),
    )


def _register(request: UploadRequest) -> Attempt:
    """Clone the volume, then register the clone.

    ``image_owner`` comes before the location: without it, nothing says
    whose image the location is.  ``glance_image_id`` comes after it, and
    verifying last, because Glance may reject the location later.
    """
    image, volume = request.image, request.volume
    store = request.store_id
    owner = (
        ()
        if image.owner is None
        else (
            steps.SetVolumeMetadata(_IMAGE_VOLUME, "image_owner", image.owner),
        )
    )
    return Attempt(
        Route.REGISTER,
        None,
        (
            steps.CreateImageVolume(
                _IMAGE_VOLUME, volume.id, request.clone_project
            ),
            steps.CloneVolume(_IMAGE_VOLUME, volume),
            *owner,
            steps.SetVolumeReadonly(_IMAGE_VOLUME),
            steps.PublishVolume(_IMAGE_VOLUME),
            steps.AddLocation(image.id, _IMAGE_VOLUME, store),
            steps.SetVolumeMetadata(
                _IMAGE_VOLUME, "glance_image_id", image.id
            ),
            steps.VerifyLocation(image.id, _IMAGE_VOLUME, store),
        ),
    )
