"""Requests to the Image API, with the credentials of one client."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import attrs

from clonepolicy import FactError, UnsupportedError
from clonepolicy.adapters.glance._errors import translate_errors
from clonepolicy.adapters.glance._image_data import UploadStream
from clonepolicy.adapters.glance._patience import Patience

_LOCATION_API = "v2.17"
_AVAILABLE = {"CURRENT", "SUPPORTED", "EXPERIMENTAL"}
_PATCH = "application/openstack-images-v2.1-json-patch"


def _path(image_id: str, below: str = "") -> str:
    return f"/v2/images/{quote(image_id, safe='', errors='replace')}{below}"


@attrs.frozen
class GlanceApi:
    """The Image API as one glanceclient reaches it.

    The methods use the client's ``http_client``.  glanceclient's own methods
    send several requests each, and do not report which one failed.  GET
    requests are repeated as `Patience` allows; all errors are
    `AdapterError`.
    """

    _client: Any = attrs.field(repr=False)
    _patience: Patience

    def _get(self, action: str, path: str) -> tuple[Any, Any]:
        def call() -> tuple[Any, Any]:
            with translate_errors(action):
                response, body = self._client.http_client.get(path)
                return response, body

        return self._patience.repeat(call)

    def has_location_api(self) -> bool:
        """Return whether Glance has POST and GET ``…/locations``."""
        action = "reading Glance's versions"
        _, body = self._get(action, "/versions")
        with translate_errors(action):
            return any(
                version["id"] == _LOCATION_API
                and version["status"] in _AVAILABLE
                for version in body["versions"]
            )

    def _require_location_api(self) -> None:
        if not self.has_location_api():
            message = f"Glance does not have API version {_LOCATION_API}"
            raise UnsupportedError(message)

    def image(self, image_id: str) -> Mapping[str, Any]:
        """Read an image; ``status`` is the only field that is checked."""
        action = f"reading image {image_id}"
        _, body = self._get(action, _path(image_id))
        with translate_errors(action):
            if not isinstance(body, Mapping):
                raise FactError("Image", body, "a mapping of fields")
            if not isinstance(body.get("status"), str):
                raise FactError("Image.status", body.get("status"), "text")
        return body

    def status(self, image_id: str) -> str:
        """Read an image's status."""
        return str(self.image(image_id)["status"])

    def locations(self, image_id: str) -> Sequence[Mapping[str, Any]]:
        """Read an image's locations by the locations API."""
        self._require_location_api()
        _, body = self._get(
            f"reading locations of image {image_id}",
            _path(image_id, "/locations"),
        )
        locations: Sequence[Mapping[str, Any]] = body
        return locations

    def import_tasks(self, image_id: str) -> list[tuple[str, str]]:
        """Read Glance's tasks that register a location: URL and status."""
        action = f"reading tasks of image {image_id}"
        _, body = self._get(action, _path(image_id, "/tasks"))
        with translate_errors(action):
            return [
                (str(task["input"]["loc_url"]), str(task["status"]))
                for task in body["tasks"]
                if task["type"] == "location_import"
            ]

    def post_location(self, image_id: str, url: str) -> None:
        """Have Glance register a location in a background task.

        No validation data is sent.  Glance would either trust it without a
        check, or hash the image before the image becomes active.
        """
        self._require_location_api()
        with translate_errors(f"registering {url} on image {image_id}"):
            self._client.http_client.post(
                _path(image_id, "/locations"), data={"url": url}
            )

    def patch_location(self, image_id: str, url: str) -> None:
        """Have Glance register a location at once.

        Glance allows this with ``show_multiple_locations`` only.
        """
        value = {"url": url, "metadata": {}}
        change = [{"op": "add", "path": "/locations/-", "value": value}]
        with translate_errors(f"registering {url} on image {image_id}"):
            self._client.http_client.patch(
                _path(image_id),
                headers={"Content-Type": _PATCH},
                data=json.dumps(change),
            )

    def open_data(self, image_id: str) -> Any:  # noqa: ANN401 - requests carries no types here
        """Start to download an image's data; return the open response."""
        response, _ = self._get(
            f"opening the data of image {image_id}", _path(image_id, "/file")
        )
        return response

    def put_data(self, image_id: str, data: UploadStream) -> None:
        """Upload an image's data."""
        with translate_errors(f"uploading to image {image_id}"):
            self._client.http_client.put(
                _path(image_id, "/file"),
                headers={"Content-Type": "application/octet-stream"},
                data=data,
            )

    def delete(self, image_id: str) -> None:
        """Delete an image and all its data."""
        with translate_errors(f"deleting image {image_id}"):
            self._client.http_client.delete(_path(image_id))
