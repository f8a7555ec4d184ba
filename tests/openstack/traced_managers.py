"""Cinder's volume manager and the drop-in, with their requests counted.

cinder-volume imports this module by the option ``volume_manager``.  Each
create and each upload appends one line of JSON to `TRACES`.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import attrs
from cinder import objects
from oslo_config import cfg
from tracing import Trace, traced, watch, watch_driver

objects.register_all()  # the modules below name its classes

from cinder.volume import manager  # noqa: E402 - the same

from clonepolicy.adapters.cinder import (  # noqa: E402 - the same
    PolicyVolumeManager,
)

TRACES = "traces"
"""The file below ``state_path``."""


def _write(trace: Trace) -> None:
    shown = {
        field.name: getattr(trace, field.name)
        for field in attrs.fields(Trace)
        if field.init
    }
    with Path(cfg.CONF.state_path, TRACES).open("a") as file:
        file.write(json.dumps(shown) + "\n")


class _Traced:
    """Traces what RPC asks of a manager; it is its first base class."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        watch()
        this: Any = self
        watch_driver(this.driver)

    def create_volume(self, context: Any, volume: Any, **more: Any) -> Any:
        with traced("create", volume.id, _write):
            this: Any = super()
            return this.create_volume(context, volume, **more)

    def copy_volume_to_image(
        self, context: Any, volume_id: str, image_meta: dict[str, Any]
    ) -> None:
        with traced("upload", volume_id, _write):
            this: Any = super()
            this.copy_volume_to_image(context, volume_id, image_meta)


class Stock(_Traced, manager.VolumeManager):  # type: ignore[misc] # untyped
    """Cinder's own manager."""


class DropIn(_Traced, PolicyVolumeManager):
    """The drop-in."""
