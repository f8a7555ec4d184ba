"""Creates of volumes: the model's images and volumes, a real array."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, cast

import attrs

from clonepolicy import (
    CinderLocation,
    Clone,
    GiB,
    Location,
    Volume,
    decide,
    execute,
    gather_create,
)
from clonepolicy.adapters.memory import (
    CONFIG,
    INTERNAL,
    POOL,
    MemoryArray,
    MemoryCloud,
)
from clonepolicy.ports import ArrayBackend, ImageService, Ports, VolumeService

_TENANT = "tenant"


@attrs.frozen
class _Locked:
    """Lets one thread at a time into the model, which knows of none."""

    port: object
    lock: threading.RLock

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self.port, name)

        def call(*args: object, **more: object) -> object:
            with self.lock:
                return method(*args, **more)

        return call


class Requests:
    """A cloud whose services answer at once, around a real array."""

    def __init__(
        self,
        array: ArrayBackend,
        images: str,
        size: int,
        *,
        in_threads: bool = False,
    ) -> None:
        """Begin with nothing; images lie in a pool, so many GiB large.

        What keeps threads apart takes time, and is left out for one.
        """
        self._size = size
        self._cloud = MemoryCloud(
            arrays={POOL: MemoryArray(array.get_backend())},
            config=attrs.evolve(
                CONFIG, trusted_image_pools=frozenset({images})
            ),
        )
        self._lock = threading.RLock()
        ports = self._cloud.ports(_TENANT)
        self._ports = attrs.evolve(ports, array=array)
        if in_threads:
            self._ports = Ports(
                images=cast("ImageService", self._locked(ports.images)),
                volumes=cast("VolumeService", self._locked(ports.volumes)),
                array=array,
            )

    def _locked(self, port: object) -> _Locked:
        return _Locked(port, self._lock)

    def image(self, location: Location) -> str:
        """Add an image that has a location; give its id."""
        image_id = self._cloud.add_image(_TENANT, None, locations=(location,))
        if not isinstance(location, CinderLocation):
            # what lies on an array bears the image's id
            held = self._cloud.images.pop(image_id)
            *_, image_id = str(location).removesuffix("/snap").split("/")
            self._cloud.images[image_id] = held
        self._cloud.set_image(image_id, id=image_id, size=self._size * GiB)
        return image_id

    def source(self) -> tuple[Volume, str]:
        """Add an image that is a volume; give the volume, and its id."""
        volume = self._cloud.add_volume(INTERNAL, self._size)
        held = self._cloud.volumes[volume.id]
        held.for_image, held.metadata["image_owner"] = True, _TENANT
        return volume, self.image(CinderLocation(volume.id))

    def volume(self) -> Volume:
        """Add a volume that is to be filled."""
        with self._lock:
            return self._cloud.add_volume(
                _TENANT, self._size, status="creating"
            )

    def fill(self, volume: Volume, image_id: str) -> None:
        """Have clonepolicy fill it: gather, decide and execute."""
        decision = decide(
            gather_create(image_id, volume, self._cloud.config, self._ports)
        )
        outcome = execute(decision.plan, self._ports)
        # else it times nonsense
        assert isinstance(decision, Clone), decision.findings  # noqa: S101
        assert not outcome.failures, outcome.failures  # noqa: S101 - the same

    def remove(self, volume: Volume) -> None:
        """Remove a volume, whoever filled it."""
        self._ports.array.discard(volume.id)
        with self._lock:
            self._cloud.delete_volume(volume.id)
