"""Fetch the facts of a request through the ports."""

from __future__ import annotations

import attrs

from clonepolicy._errors import AdapterError
from clonepolicy._locations import (
    Location,
    cinder_volume_id,
    concerns_volumes,
)
from clonepolicy._protocols import Ports
from clonepolicy._records import (
    ArrayImage,
    Backend,
    CacheEntry,
    Config,
    CreateRequest,
    GlanceConfig,
    ImageVolume,
    LocationsFrom,
    Quota,
    UploadRequest,
    Volume,
)


def gather_create(  # noqa: PLR0913 - what a create is made of
    image_id: str,
    volume: Volume,
    config: Config,
    ports: Ports,
    *,
    quota: Quota | None = None,
    conversion_free: int | None = None,
) -> CreateRequest:
    """Gather what bears on filling ``volume`` from an image.

    ``quota`` is what is left to the volume's project without the volume;
    None: it is counted there already.  ``conversion_free`` is the room in
    ``image_conversion_dir`` in bytes; None: it is not limited.

    What only cloning needs is a fact too where it cannot be fetched: it
    does not stop a create that may still download.

    Raises:
        AdapterError: the image itself, or the backend, cannot be read.
    """
    image = ports.images.get_image(image_id)
    try:
        locations = ports.images.get_locations(image_id)
    except AdapterError:
        locations = ()
        image = attrs.evolve(image, locations_from=LocationsFrom.UNREADABLE)
    distinct = tuple(dict.fromkeys(locations))
    backend = ports.array.get_backend()
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
        cache_entries=_cache_entries(image_id, backend, ports),
    )


def _glance(ports: Ports) -> GlanceConfig:
    try:
        return ports.images.get_config()
    except AdapterError:
        return GlanceConfig()


def _cache_entries(
    image_id: str, here: Backend, ports: Ports
) -> tuple[CacheEntry, ...]:
    try:
        entries = ports.volumes.get_cache_entries(image_id)
    except AdapterError:
        return ()
    return tuple(
        attrs.evolve(
            entry,
            source=entry.source
            and _counted(entry.source, entry.backend, here, ports),
        )
        for entry in entries
    )


def _counted(
    volume: Volume, there: Backend, here: Backend, ports: Ports
) -> Volume:
    """Ask the array for a volume's clones, where it limits them."""
    if (
        volume.clones is not None
        or here.clone_limit is None
        or here.array_id is None
        or here.array_id != there.array_id
    ):
        return volume
    try:
        found = ports.array.stat(volume.id)
    except AdapterError:
        return volume
    if found is None:
        return volume
    return attrs.evolve(volume, clones=found.clones)


def _array_image(
    location: Location, backend: Backend, ports: Ports
) -> ArrayImage:
    try:
        found = ports.array.find_image(location)
    except AdapterError:
        found = None
    return ArrayImage(location=location, source=found, backend=backend)


def _image_volume(
    location: Location, here: Backend, ports: Ports
) -> ImageVolume:
    """Look up the volume that any policy may read out of the location."""
    volume_id = cinder_volume_id(location)
    if volume_id is None:
        return ImageVolume(location=location)
    try:
        source = ports.volumes.get_volume(volume_id)
        backend = ports.volumes.get_backend(source)
    except AdapterError:
        return ImageVolume(location=location)
    source = _counted(source, backend, here, ports)
    return ImageVolume(location=location, source=source, backend=backend)


def gather_upload(  # noqa: PLR0913 - what an upload is made of
    volume_id: str,
    image_id: str,
    project_id: str,
    config: Config,
    ports: Ports,
    *,
    force: bool = False,
) -> UploadRequest:
    """Gather what bears on uploading a volume to a queued image.

    Raises:
        AdapterError: image, volume, backend or quota cannot be read.
    """
    backend = ports.array.get_backend()
    volume = ports.volumes.get_volume(volume_id)
    request = UploadRequest(
        image=ports.images.get_image(image_id),
        volume=_counted(volume, backend, backend, ports),
        project_id=project_id,
        force=force,
        backend=backend,
        config=config,
        glance=_glance(ports),
    )
    quota = ports.volumes.get_quota(request.clone_project)
    return attrs.evolve(request, clone_quota=quota)
