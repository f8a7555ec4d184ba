"""Rules about what the image's data is: they bear on the download.

A download is closed only if every location of the image is known, and each
is a volume whose data must not or cannot reach the new volume.  A location
outside of Cinder, a volume that was not found and a list of locations that
may be incomplete keep it open.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from clonepolicy._facts.locations import cinder_volume_id
from clonepolicy._facts.records import GOING, GiB, LocationsFrom, Volume
from clonepolicy._facts.requests import CreateRequest, ImageVolume
from clonepolicy.policy._cure import Cost, Cure, Responsible
from clonepolicy.policy._reason import Reason
from clonepolicy.policy._rule import cinder, glance, rule
from clonepolicy.policy._rules.new_source import gib, image_volume

_READ = glance("glance_store cinder Store.get")
_ATTACH = cinder("volume.api.API.attachment_create, _attachment_reserve")
_COPY = cinder("volume_utils.copy_image_to_volume")
_STUCK = frozenset({"deleting", "maintenance", "awaiting-transfer"})
"""Each status without ``error`` in its name that does not pass by itself,
and in which Cinder attaches no volume."""
_LUKS_HEADER = 16 * 2**20
"""Bytes: the header of LUKS2; that of LUKS1 takes 2 MiB."""
_NONE: frozenset[Reason] = frozenset()
_TRUSTED = (
    "config.trusted_projects",
    "config.cinder_internal_tenant_project_id",
)
_DATA = (
    "image_volumes",
    "array_images",
    "image.locations_from",
    "glance.show_multiple_locations",
    "image.id",
    "image.owner",
    "image.encryption_key_id",
    "volume.encryption_key_id",
    *_TRUSTED,
)


def _keeps_key(request: CreateRequest) -> bool:
    """Return whether Cinder gives the new volume the image's own key."""
    return (
        request.image.encryption_key_id is not None
        and request.volume.encryption_key_id is not None
    )


def _ciphertext(request: CreateRequest, source: Volume) -> bool:
    return source.encryption_key_id is not None and not _keeps_key(request)


def _stuck(_request: CreateRequest, source: Volume) -> bool:
    return "error" in source.status or source.status in _STUCK


def _foreign(request: CreateRequest, source: Volume) -> bool:
    owner, project = request.image.owner, source.project_id
    owned = owner is None or owner == project
    return not owned and not request.config.trusts(project)


def _of_another_image(request: CreateRequest, source: Volume) -> bool:
    image_id = source.glance_image_id
    return image_id is not None and image_id != request.image.id


_BARS: Mapping[Reason, Callable[[CreateRequest, Volume], bool]] = {
    Reason.SOURCE_ENCRYPTED: _ciphertext,
    Reason.SOURCE_STATUS: _stuck,
    Reason.OWNER_MISMATCH: _foreign,
    Reason.BACKREF_MISMATCH: _of_another_image,
}
"""Why the data of a volume must not or cannot be downloaded."""


def _barred(request: CreateRequest, candidate: ImageVolume) -> set[Reason]:
    source = candidate.source
    if source is None or cinder_volume_id(candidate.location) != source.id:
        return set()
    return {why for why, bars in _BARS.items() if bars(request, source)}


def barring(request: CreateRequest) -> set[Reason] | frozenset[Reason]:
    """Return why no location can deliver; empty if one may."""
    source = request.image.locations_from
    complete = source is LocationsFrom.LOCATIONS_API or (
        source is LocationsFrom.IMAGE
        and request.glance.show_multiple_locations
    )
    if request.array_images or not complete:
        return _NONE
    found: set[Reason] = set()
    for candidate in request.image_volumes:
        barred = _barred(request, candidate)
        if not barred:
            return _NONE
        found |= barred
    return found


def _is_no_bar(reason: Reason, request: CreateRequest) -> bool:
    """Return whether a location may deliver, or none is barred for this."""
    bars = _BARS[reason]
    for each in request.image_volumes:
        if each.source is not None and bars(request, each.source):
            return reason not in barring(request)
    return True  # most often: none of the four rules has to ask for more


# -- what cures -------------------------------------------------------------


def _evolved(
    request: CreateRequest, change: Callable[[Volume], Volume]
) -> Mapping[str, Any]:
    """Return the image volumes with other facts about each volume."""
    return {
        "image_volumes": tuple(
            each
            if each.source is None
            else attrs.evolve(each, source=change(each.source))
            for each in request.image_volumes
        )
    }


def _key_given(request: CreateRequest) -> Mapping[str, Any] | None:
    if request.image.encryption_key_id is None:
        return None
    return {"volume.encryption_key_id": "a copy of the image's key"}


def _plain_copy(request: CreateRequest) -> Mapping[str, Any]:
    plain = image_volume(request)
    return {"image_volumes": (*request.image_volumes, plain)}


def _recovered(request: CreateRequest) -> Mapping[str, Any] | None:
    sources = [each.source for each in request.image_volumes]
    if any(source and source.status in GOING for source in sources):
        return None

    def available(volume: Volume) -> Volume:
        if not _stuck(request, volume):
            return volume
        return attrs.evolve(volume, status="available")

    return _evolved(request, available)


def _projects_listed(request: CreateRequest) -> Mapping[str, Any]:
    sources = [each.source for each in request.image_volumes]
    projects = {
        source.project_id
        for source in sources
        if source and source.project_id != request.image.owner
    }
    return {
        "config.trusted_projects": request.config.trusted_projects | projects
    }


def _transferred(request: CreateRequest) -> Mapping[str, Any] | None:
    owner = request.image.owner
    if owner is None:
        return None

    def transferred(volume: Volume) -> Volume:
        kept = request.config.trusts(volume.project_id)
        return volume if kept else attrs.evolve(volume, project_id=owner)

    return _evolved(request, transferred)


def _named(request: CreateRequest) -> Mapping[str, Any]:
    image_id = request.image.id
    return _evolved(
        request, lambda volume: attrs.evolve(volume, glance_image_id=image_id)
    )


def _vouched(request: CreateRequest) -> Mapping[str, Any]:
    owner = request.image.owner

    def vouched(volume: Volume) -> Volume:
        trusted = request.config.trusts(volume.project_id)
        return attrs.evolve(volume, image_owner=owner) if trusted else volume

    return _evolved(request, vouched)


def _with_header(request: CreateRequest) -> Mapping[str, Any]:
    image = request.image
    disk = max(image.size or 0, image.virtual_size or 0)
    return {"volume.size": gib(disk + _LUKS_HEADER)}


_ENCRYPTED_TYPE = Cure(
    "choose a volume type with encryption",
    Responsible.REQUESTER,
    _key_given,
)

# -- what closes the download ------------------------------------------------


@rule(
    "Some data of the image can be downloaded, or none of it is an encrypted "
    "volume whose key the new volume lacks.",
    Reason.SOURCE_ENCRYPTED,
    reads=_DATA,
    citations=(_READ, _COPY),
    differs="Cinder writes the ciphertext into the new volume.",
    meaning="no location of the image can be used; one is an encrypted "
    "volume whose key the new volume does not get",
    cures=(
        _ENCRYPTED_TYPE,
        Cure(
            "offer the data from a volume that is not encrypted",
            Responsible.IMAGE_OWNER,
            _plain_copy,
            Cost.DATA,
        ),
    ),
)
def data_not_ciphertext(request: CreateRequest) -> bool:
    return _is_no_bar(Reason.SOURCE_ENCRYPTED, request)


@rule(
    "Some data of the image can be downloaded, or none of it is a volume that "
    "Glance cannot attach.",
    Reason.SOURCE_STATUS,
    reads=_DATA,
    citations=(_READ, _ATTACH),
    differs="Cinder asks Glance for the data, which fails each time.",
    meaning="no location of the image can be used; one is a volume whose "
    "status does not let it be attached",
    cures=(
        Cure(
            "bring the image volume back to available",
            Responsible.OPERATOR,
            _recovered,
        ),
    ),
)
def data_attachable(request: CreateRequest) -> bool:
    return _is_no_bar(Reason.SOURCE_STATUS, request)


@rule(
    "Some data of the image can be downloaded, or none of it is a volume of "
    "a project that is neither the image's owner nor trusted.",
    Reason.OWNER_MISMATCH,
    reads=_DATA,
    citations=(_READ,),
    differs="Cinder downloads any volume that Glance can read.",
    meaning="no location of the image can be used; one is a volume of a "
    "project that is neither the image's owner nor trusted",
    cures=(
        Cure(
            "transfer the volume to the image's owner, if its data is this "
            "image's",
            Responsible.OPERATOR,
            _transferred,
        ),
        Cure(
            "list the volume's project in trusted_projects, if it is that of "
            "a Glance store and has no users",
            Responsible.OPERATOR,
            _projects_listed,
            Cost.RESTART,
        ),
    ),
)
def data_owned(request: CreateRequest) -> bool:
    return _is_no_bar(Reason.OWNER_MISMATCH, request)


@rule(
    "Some data of the image can be downloaded, or none of it is a volume "
    "whose glance_image_id names another image.",
    Reason.BACKREF_MISMATCH,
    reads=_DATA,
    citations=(_READ,),
    differs="Cinder downloads any volume that Glance can read.",
    meaning="no location of the image can be used; one is a volume whose "
    "glance_image_id names another image",
    cures=(
        Cure(
            "correct the glance_image_id of the volume, if it is this image's",
            Responsible.OPERATOR,
            _named,
        ),
    ),
)
def data_of_image(request: CreateRequest) -> bool:
    return _is_no_bar(Reason.BACKREF_MISMATCH, request)


@rule(
    "If the image's data is encrypted with a key of its own, the new volume "
    "is encrypted, and so gets that key.",
    Reason.IMAGE_DATA_ENCRYPTED,
    reads=("image.encryption_key_id", "volume.encryption_key_id"),
    citations=(_COPY,),
    differs="Cinder writes the ciphertext into the new volume.",
    meaning="the image's data is encrypted with a key of its own, and the "
    "new volume gets no key",
    cures=(_ENCRYPTED_TYPE,),
)
def key_taken_over(request: CreateRequest) -> bool:
    return request.image.encryption_key_id is None or _keeps_key(request)


# -- notes ------------------------------------------------------------------


@rule(
    "image_owner of each trusted project's volume behind the image is the "
    "image's owner.",
    Reason.OWNER_MISMATCH,
    reads=("image_volumes", "image.owner", *_TRUSTED),
    citations=(_READ,),
    meaning="a volume of a trusted project holds the image's data, and its "
    "image_owner is not the image's owner; perhaps the image was given away",
    cures=(
        Cure(
            "correct the image_owner of the image volume, if its data is this "
            "image's",
            Responsible.OPERATOR,
            _vouched,
        ),
    ),
)
def data_vouched(request: CreateRequest) -> bool:
    owner = request.image.owner
    return owner is None or all(
        source is None
        or source.image_owner == owner
        or not request.config.trusts(source.project_id)
        for source in (each.source for each in request.image_volumes)
    )


@rule(
    "An encrypted volume has room for the image and 16 MiB for the header of "
    "the encryption.",
    Reason.NO_HEADER_ROOM,
    reads=(
        "volume.encryption_key_id",
        "volume.size",
        "image.encryption_key_id",
        "image.disk_format",
        "image.size",
        "image.virtual_size",
    ),
    citations=(_COPY, cinder("RBDDriver._encrypt_image")),
    cures=(
        Cure("ask for a larger volume", Responsible.REQUESTER, _with_header),
    ),
)
def header_fits(request: CreateRequest) -> bool:
    image, volume = request.image, request.volume
    if volume.encryption_key_id is None or image.encryption_key_id is not None:
        return True
    disk = image.size if image.disk_format == "raw" else image.virtual_size
    return disk is None or disk + _LUKS_HEADER <= volume.size * GiB
