"""Cinder's RBD driver and its create task, recording what they do."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any
from unittest import mock

from cinder.image import image_utils
from cinder.volume import driver as volume_driver
from cinder.volume import volume_utils
from cinder.volume.drivers import rbd
from cinder.volume.flows.manager import create_volume
from installed import db

from clonepolicy import Route


class _RbdError(Exception):
    """The error of a fake librbd."""


class RecordingDriver(rbd.RBDDriver):  # type: ignore[misc] # untyped
    """Cinder's RBD driver with a set of names in place of Ceph.

    Cinder's own code decides which stored image it clones.
    """

    def __init__(self, settings: Any) -> None:
        """Do not call the real one, which needs librbd."""
        self.configuration = settings
        self.db = db
        self.host, self.cluster_name = "h1@b1", None
        self._initialized = True
        self.rbd = SimpleNamespace(Image=self._open, Error=_RbdError)
        self.reset()

    def reset(self) -> None:
        """Forget all calls and settings."""
        self.capabilities: dict[str, object] = {}
        self.fsid = "not known"
        self.clones_images = True
        self.failure: Exception | None = None
        self.stored: set[tuple[str, str, str]] = set()
        self.asked: list[tuple[str, str, str]] = []

    def _ask(self, call: str, volume: Any, source: str = "") -> None:
        self.asked.append((call, volume.id, source))

    def _open(
        self, ioctx: str, name: str, *, snapshot: str, read_only: bool
    ) -> Any:
        assert read_only
        if (ioctx, name, snapshot) not in self.stored:
            raise _RbdError
        return mock.Mock()

    def _connect_to_rados(
        self, pool: str | None = None, *_: object
    ) -> tuple[Any, str]:
        cluster = SimpleNamespace(
            get_fsid=lambda: self.fsid, conf_get=lambda _name: "1"
        )
        return cluster, pool or "volumes"

    def _disconnect_from_rados(self, *_: object) -> None:
        pass

    def clone_image(
        self,
        context: object,
        volume: object,
        image_location: object,
        image_meta: object,
        image_service: object,
    ) -> Any:
        """Clone as RBD does, or decline as most drivers do."""
        args = (context, volume, image_location, image_meta, image_service)
        if not self.clones_images:
            return volume_driver.VolumeDriver.clone_image(self, *args)
        return super().clone_image(*args)

    def _clone(
        self, volume: object, pool: str, image: str, snapshot: str
    ) -> dict[str, Any]:
        self._ask("clone_image", volume, f"{pool}/{image}@{snapshot}")
        return {}

    def _resize(self, volume: object, **_: object) -> None:
        self._ask("resize", volume)

    def create_cloned_volume(self, volume: object, source: Any) -> None:
        """Record a clone, or fail."""
        self._ask("create_cloned_volume", volume, source.id)
        if self.failure is not None:
            raise self.failure

    def create_volume(self, volume: object) -> None:
        """Record an empty volume."""
        self._ask("create_volume", volume)

    def delete_volume(self, volume: object) -> None:
        """Record a deletion."""
        self._ask("delete_volume", volume)

    def extend_volume(self, volume: object, _size: int) -> None:
        """Record an extension."""
        self._ask("extend_volume", volume)

    def copy_image_to_volume(
        self,
        context: Any,
        volume: Any,
        image_service: object,
        image_id: str,
        *,
        disable_sparse: bool = False,
    ) -> None:
        """Download the image as drivers do."""
        with tempfile.NamedTemporaryFile() as device:
            image_utils.fetch_to_raw(
                context,
                image_service,
                image_id,
                device.name,
                "1M",
                size=volume.size,
                disable_sparse=disable_sparse,
            )
        self._ask("copy_image_to_volume", volume)

    copy_image_to_encrypted_volume = copy_image_to_volume

    def copy_volume_to_image(
        self,
        context: object,
        volume: object,
        image_service: object,
        image_meta: object,
    ) -> None:
        """Upload the volume as drivers do."""
        with tempfile.NamedTemporaryFile(prefix="device_") as device:
            volume_utils.upload_volume(
                context, image_service, image_meta, device.name, volume
            )
        self._ask("copy_volume_to_image", volume)


class RecordingTask(create_volume.CreateVolumeFromSpecTask):  # type: ignore[misc] # untyped
    """The flow's task, which records the route of each call of the driver."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.routes: dict[int, Route] = {}

    def _record(
        self, route: Route, call: Callable[..., Any], *args: object
    ) -> Any:
        self.routes[len(self.driver.asked)] = route
        return call(*args)

    def _clone_image_volume(self, *args: object) -> Any:
        return self._record(
            Route.IMAGE_VOLUME, super()._clone_image_volume, *args
        )

    def _create_from_source_volume(self, *args: object) -> Any:
        return self._record(
            Route.CACHE_ENTRY, super()._create_from_source_volume, *args
        )
