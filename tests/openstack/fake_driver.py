"""A volume driver that keeps the data of volumes in a dictionary."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any

from cinder import objects
from cinder.volume import driver as base

objects.register_all()  # Cinder's manager names its classes

from clonepolicy.adapters.cinder import (  # noqa: E402 - the same
    PolicyDriverMixin,
)


class DictDriver(base.VolumeDriver):  # type: ignore[misc] # untyped
    """Keeps the data of volumes in a dictionary, and records calls.

    ``failing`` maps a method's name to errors; each call raises the next
    one, and the calls after the last one succeed.  ``before`` maps a
    method's name to a function that its next call runs first.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.set_initialized()
        self.held: dict[str, tuple[str, int]] = {}
        self.calls: list[tuple[str, ...]] = []
        self.failing: dict[str, list[Exception]] = {}
        self.before: dict[str, Callable[[], None]] = {}

    def _called(self, name: str, *ids: str) -> None:
        self.calls.append((name, *ids))
        if name in self.before:
            self.before.pop(name)()
        if self.failing.get(name):
            raise self.failing[name].pop(0)

    def check_for_setup_error(self) -> None:
        pass

    def _update_volume_stats(self) -> None:
        self._stats = {"volume_backend_name": "array"}

    def create_volume(self, volume: Any) -> None:
        self._called("create_volume", volume.id)
        self.held[volume.id] = ("", volume.size)

    def delete_volume(self, volume: Any) -> None:
        self._called("delete_volume", volume.id)
        self.held.pop(volume.id, None)

    def create_cloned_volume(self, volume: Any, src_vref: Any) -> Any:
        self._called("create_cloned_volume", volume.id, src_vref.id)
        self.held[volume.id] = (self.held[src_vref.id][0], volume.size)
        return {"provider_location": f"clone-of-{src_vref.id}"}

    def extend_volume(self, volume: Any, new_size: int) -> None:
        self._called("extend_volume", volume.id)
        self.held[volume.id] = (self.held[volume.id][0], new_size)

    def clone_image(
        self,
        context: Any,
        volume: Any,
        image_location: Any,
        image_meta: Any,
        image_service: Any,
    ) -> tuple[dict[str, Any], bool]:
        self._called("clone_image", volume.id)
        return {}, False

    def copy_image_to_volume(
        self,
        context: Any,
        volume: Any,
        image_service: Any,
        image_id: str,
        disable_sparse: bool = False,  # noqa: FBT001, FBT002 - Cinder's
    ) -> None:
        self._called("copy_image_to_volume", volume.id)
        data = io.BytesIO()
        image_service.download(context, image_id, data)
        self.held[volume.id] = (data.getvalue().decode(), volume.size)

    def copy_volume_to_image(
        self,
        context: Any,
        volume: Any,
        image_service: Any,
        image_meta: Any,
    ) -> None:
        self._called("copy_volume_to_image", volume.id)
        data = io.BytesIO(self.held[volume.id][0].encode())
        image_service.update(context, image_meta["id"], {}, data)

    def remove_export(self, context: Any, volume: Any) -> None:
        pass

    def names(self) -> list[str]:
        """Return the names of the calls, in order."""
        return [name for name, *_ in self.calls]


class MixedDriver(PolicyDriverMixin, DictDriver):
    """A `DictDriver` that decides about its creates."""
