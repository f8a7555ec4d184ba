"""Rules about what the image's data is: they bear on the download.

A download is closed only if every location of the image is known, and each
is a volume whose data must not or cannot reach the new volume.  A location
outside of Cinder, a volume that was not found and a list of locations that
may be incomplete keep it open.
"""

from __future__ import annotations

from clonepolicy._facts.locations import cinder_volume_id
from clonepolicy._facts.records import GiB, LocationsFrom
from clonepolicy._facts.requests import CreateRequest, ImageVolume
from clonepolicy.policy._reason import Reason
from clonepolicy.policy._rule import cinder, glance, rule

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


def _barred(request: CreateRequest, candidate: ImageVolume) -> set[Reason]:
    """Return why the data of a volume must not or cannot be downloaded."""
    source, owner = candidate.source, request.image.owner
    found: set[Reason] = set()
    if source is None or cinder_volume_id(candidate.location) != source.id:
        return found
    if source.encryption_key_id is not None and not _keeps_key(request):
        found.add(Reason.SOURCE_ENCRYPTED)
    if "error" in source.status or source.status in _STUCK:
        found.add(Reason.SOURCE_STATUS)
    if owner not in {None, source.project_id} and not request.config.trusts(
        source.project_id
    ):
        found.add(Reason.OWNER_MISMATCH)
    if source.glance_image_id not in {None, request.image.id}:
        found.add(Reason.BACKREF_MISMATCH)
    return found


def _barring(request: CreateRequest) -> set[Reason] | frozenset[Reason]:
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


@rule(
    "Some data of the image can be downloaded, or none of it is an encrypted "
    "volume whose key the new volume lacks.",
    Reason.SOURCE_ENCRYPTED,
    reads=_DATA,
    citations=(_READ, _COPY),
    differs="Cinder writes the ciphertext into the new volume.",
)
def data_not_ciphertext(request: CreateRequest) -> bool:
    return Reason.SOURCE_ENCRYPTED not in _barring(request)


@rule(
    "Some data of the image can be downloaded, or none of it is a volume that "
    "Glance cannot attach.",
    Reason.SOURCE_STATUS,
    reads=_DATA,
    citations=(_READ, _ATTACH),
    differs="Cinder asks Glance for the data, which fails each time.",
)
def data_attachable(request: CreateRequest) -> bool:
    return Reason.SOURCE_STATUS not in _barring(request)


@rule(
    "Some data of the image can be downloaded, or none of it is a volume of "
    "a project that is neither the image's owner nor trusted.",
    Reason.OWNER_MISMATCH,
    reads=_DATA,
    citations=(_READ,),
    differs="Cinder downloads any volume that Glance can read.",
)
def data_owned(request: CreateRequest) -> bool:
    return Reason.OWNER_MISMATCH not in _barring(request)


@rule(
    "Some data of the image can be downloaded, or none of it is a volume "
    "whose glance_image_id names another image.",
    Reason.BACKREF_MISMATCH,
    reads=_DATA,
    citations=(_READ,),
    differs="Cinder downloads any volume that Glance can read.",
)
def data_of_image(request: CreateRequest) -> bool:
    return Reason.BACKREF_MISMATCH not in _barring(request)


@rule(
    "If the image's data is encrypted with a key of its own, the new volume "
    "is encrypted, and so gets that key.",
    Reason.IMAGE_DATA_ENCRYPTED,
    reads=("image.encryption_key_id", "volume.encryption_key_id"),
    citations=(_COPY,),
    differs="Cinder writes the ciphertext into the new volume.",
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
)
def header_fits(request: CreateRequest) -> bool:
    image, volume = request.image, request.volume
    if volume.encryption_key_id is None or image.encryption_key_id is not None:
        return True
    disk = image.size if image.disk_format == "raw" else image.virtual_size
    return disk is None or disk + _LUKS_HEADER <= volume.size * GiB
