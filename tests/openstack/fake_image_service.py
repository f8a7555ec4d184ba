"""An image service that stands in for Cinder's client and for Glance."""

from __future__ import annotations

import datetime
import uuid
from typing import Any

import attrs
from cinder import exception

from clonepolicy import (
    AdapterError,
    CinderLocation,
    GlanceConfig,
    NotFoundError,
)

TENANT = "tenant"
GIB = 1 << 30


@attrs.define(slots=False)
class FakeImages:
    """Cinder's image service, and the part of `GlanceImages` for locations.

    ``failing`` maps a method's name to errors, as in `DictDriver`.
    """

    metas: dict[str, dict[str, Any]] = attrs.field(factory=dict)
    data: dict[str, bytes] = attrs.field(factory=dict)
    locations: dict[str, list[str]] = attrs.field(factory=dict)
    failing: dict[str, list[BaseException]] = attrs.field(factory=dict)
    temp_images: Any = None

    def _called(self, name: str) -> None:
        if self.failing.get(name):
            raise self.failing[name].pop(0)

    def add(self, **fields: Any) -> str:
        """Add an active raw image of one GiB, owned by the tenant."""
        image_id = str(uuid.uuid4())
        self.metas[image_id] = {
            "id": image_id,
            "name": "image",
            "owner": TENANT,
            "status": "active",
            "disk_format": "raw",
            "container_format": "bare",
            "size": GIB,
            "virtual_size": None,
            "min_disk": 0,
            "min_ram": 0,
            "visibility": "private",
            "protected": False,
            "checksum": None,
            "os_hash_algo": None,
            "os_hash_value": None,
            "created_at": datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
            "updated_at": datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
            "properties": {},
            **fields,
        }
        self.data[image_id] = b"image data"
        self.locations[image_id] = []
        return image_id

    # -- methods of Cinder's image service ---------------------------------

    def show(self, _context: object, image_id: str) -> dict[str, Any]:
        self._called("show")
        if image_id not in self.metas:
            raise exception.ImageNotFound(image_id=image_id)
        return dict(self.metas[image_id])

    def get_location(self, _context: object, image_id: str) -> Any:
        self._called("get_location")
        urls = self.locations[image_id]
        return None, [{"url": url, "metadata": {}} for url in urls]

    def download(self, _context: object, image_id: str, data: Any) -> None:
        self._called("download")
        data.write(self.data[image_id])

    def update(
        self,
        _context: object,
        image_id: str,
        _meta: object,
        data: Any,
        **_headers: object,
    ) -> None:
        self._called("update")
        self.data[image_id] = data.read()
        self.metas[image_id]["status"] = "active"

    def delete(self, _context: object, image_id: str) -> None:
        del self.metas[image_id]

    # -- methods of GlanceImages -------------------------------------------

    def read(self, image_id: str) -> dict[str, Any]:
        self._called("read")
        return dict(self._find(image_id))

    def get_config(self) -> GlanceConfig:
        self._called("get_config")
        return GlanceConfig(
            has_location_api=True,
            service_roles=frozenset({"service", "admin"}),
        )

    def add_location(self, image_id: str, location: CinderLocation) -> None:
        self._called("add_location")
        meta = self._find(image_id)
        if str(location) not in self.locations[image_id]:
            self.locations[image_id].append(str(location))
            meta["status"] = "active"

    def verify_location(self, image_id: str, location: CinderLocation) -> None:
        self._called("verify_location")
        self._find(image_id)
        if str(location) not in self.locations[image_id]:
            raise AdapterError

    def withdraw_location(
        self, image_id: str, location: CinderLocation
    ) -> None:
        self._called("withdraw_location")
        if str(location) in self.locations.get(image_id, ()):
            raise AdapterError

    def discard(self, image_id: str) -> None:
        self._called("discard")
        if image_id in self.metas and self._find(image_id)["status"] in {
            "queued",
            "saving",
        }:
            del self.metas[image_id]

    def _find(self, image_id: str) -> dict[str, Any]:
        if image_id not in self.metas:
            raise NotFoundError(f"image {image_id}")
        return self.metas[image_id]
