"""Fetch the facts of a request through the ports."""

from __future__ import annotations

import attrs

from clonepolicy._errors import AdapterError, UnsupportedError
from clonepolicy._facts.config import Config, GlanceConfig, Quota
from clonepolicy._facts.locations import (
    Location,
    MalformedLocation,
    cinder_volume_id,
    concerns_volumes,
)
from clonepolicy._facts.records import (
    Backend,
    Inspection,
    Missing,
    Volume,
    VolumeType,
)
from clonepolicy._facts.requests import (
    ArrayImage,
    CacheEntry,
    CreateRequest,
    ImageVolume,
    UploadRequest,
)
from clonepolicy.ports._checks import why_missing, why_unread
from clonepolicy.ports._services import Ports


def gather_create(  # noqa: PLR0913 - one for each fact
    image_id: str,
    volume: Volume,
    config: Config,
    ports: Ports,
    *,
    quota: Quota | None = None,
    conversion_free: int | None = None,
) -> CreateRequest:
    """Gather the facts that decide how to fill ``volume`` from an image.

    ``quota`` is what the volume's project has left before the volume is
    counted; None: Cinder has reserved it already.  ``conversion_free`` is
    the free space of ``image_conversion_dir`` in bytes; None: not limited.

    A fact that only cloning needs, and that cannot be read, keeps why: from
    the error that the port raised.  The volume may still be downloaded.

    Raises:
        AdapterError: the image or the backend cannot be read.
    """
    image = ports.images.get_image(image_id)
    try:
        locations = ports.images.get_locations(image_id)
    except AdapterError as error:
        locations = ()
        image = attrs.evolve(image, locations_from=why_unread(error))
    distinct = tuple(dict.fromkeys(locations))
    backend = ports.array.get_backend()
    entries, cache_missing = _cache_entries(image_id, backend, ports)
    return CreateRequest(
        image=image,
        volume=volume,
        backend=backend,
        config=config,
        glance=_glance(ports),
        quota=Quota() if quota is None else quota,
        conversion_free=conversion_free,
        array_images=tuple(
            _array_image(location, backend, ports)
            for location in distinct
            if not concerns_volumes(location)
        ),
        image_volumes=tuple(
            _image_volume(location, backend, ports)
            for location in distinct
            if concerns_volumes(location)
        ),
        cache_entries=entries,
        cache_missing=cache_missing,
        cache_quota=(
            None
            if entries
            else _cache_quota(config, volume.volume_type, ports)
        ),
    )


def _glance(ports: Ports) -> GlanceConfig:
    try:
        return ports.images.get_config()
    except AdapterError as error:
        return GlanceConfig(missing=why_missing(error))


def _cache_entries(
    image_id: str, here: Backend, ports: Ports
) -> tuple[tuple[CacheEntry, ...], Missing | None]:
    try:
        entries = ports.volumes.get_cache_entries(image_id)
    except AdapterError as error:
        return (), why_missing(error)
    found = tuple(
        attrs.evolve(
            entry,
            source=entry.source
            and _as_stored(entry.source, entry.backend, here, ports),
        )
        for entry in entries
    )
    return found, None


def _cache_quota(
    config: Config, kind: VolumeType | None, ports: Ports
) -> Quota | None:
    """Read the quota that the next entry of the cache would be taken from."""
    owner = config.cinder_internal_tenant_project_id
    if owner is None or not config.image_volume_cache_enabled:
        return None
    try:
        return ports.volumes.get_quota(owner, kind)
    except AdapterError as error:
        return Quota(missing=why_missing(error))


def _as_stored(
    volume: Volume, there: Backend, here: Backend, ports: Ports
) -> Volume:
    """Ask the array what it knows of a volume, if it stores the volume."""
    if here.array_id is None or here.array_id != there.array_id:
        return volume
    volume = attrs.evolve(volume, inspection=_inspect(volume.id, ports))
    if volume.clones is not None or here.clone_limit is None:
        return volume
    try:
        found = ports.array.stat(volume.id)
    except AdapterError:
        return volume
    if found is None:
        return volume
    return attrs.evolve(volume, clones=found.clones)


def _inspect(source: str | Location, ports: Ports) -> Inspection:
    try:
        return ports.array.inspect(source)
    except UnsupportedError:
        return Inspection.NOT_INSPECTED
    except AdapterError:
        return Inspection.UNREADABLE


def _array_image(
    location: Location, backend: Backend, ports: Ports
) -> ArrayImage:
    if isinstance(location, MalformedLocation):
        return ArrayImage(location=location, backend=backend)
    try:
        found = ports.array.find_image(location)
    except UnsupportedError:
        looks = backend.finds_images
        missing = Missing.UNSUPPORTED if looks else Missing.ELSEWHERE
    except AdapterError as error:
        missing = why_missing(error)
    else:
        if found is not None:
            inspection = _inspect(location, ports)
            found = attrs.evolve(found, inspection=inspection)
            return ArrayImage(location=location, source=found, backend=backend)
        missing = Missing.ABSENT
    return ArrayImage(location=location, missing=missing, backend=backend)


def _image_volume(
    location: Location, here: Backend, ports: Ports
) -> ImageVolume:
    """Look up the volume that the location names for some policy."""
    volume_id = cinder_volume_id(location)
    if volume_id is None:
        return ImageVolume(location=location)
    try:
        source = ports.volumes.get_volume(volume_id)
    except AdapterError as error:
        return ImageVolume(location=location, missing=why_missing(error))
    try:
        backend = ports.volumes.get_backend(source)
    except AdapterError as error:
        # the volume is there, whatever is not found of its array
        missing = why_missing(error)
        if missing is Missing.ABSENT:
            missing = Missing.FAILED
        return ImageVolume(location=location, missing=missing)
    source = _as_stored(source, backend, here, ports)
    return ImageVolume(location=location, source=source, backend=backend)


def gather_upload(  # noqa: PLR0913 - one for each fact
    volume_id: str,
    image_id: str,
    project_id: str,
    config: Config,
    ports: Ports,
    *,
    force: bool = False,
) -> UploadRequest:
    """Gather the facts that decide how to upload a volume to an image.

    Raises:
        AdapterError: image, volume or backend cannot be read.
    """
    backend = ports.array.get_backend()
    volume = ports.volumes.get_volume(volume_id)
    request = UploadRequest(
        image=ports.images.get_image(image_id),
        volume=_as_stored(volume, backend, backend, ports),
        project_id=project_id,
        force=force,
        backend=backend,
        config=config,
        glance=_glance(ports),
    )
    try:
        quota = ports.volumes.get_quota(
            request.clone_project, request.volume.volume_type
        )
    except AdapterError as error:
        quota = Quota(missing=why_missing(error))
    return attrs.evolve(request, clone_quota=quota)
