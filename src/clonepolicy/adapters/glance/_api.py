"""The requests to Glance, with the credentials of one client."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import attrs

from clonepolicy import FactError, UnsupportedError
from clonepolicy.adapters.glance._data import Source
from clonepolicy.adapters.glance._errors import told_as_adapter_error
from clonepolicy.adapters.glance._patience import Patience

_LOCATION_API = "v2.17"
_OFFERED = {"CURRENT", "SUPPORTED", "EXPERIMENTAL"}
_PATCH = "application/openstack-images-v2.1-json-patch"


def _path(image_id: str, below: str = "") -> str:
    return f"/v2/images/{quote(image_id, safe='', errors='replace')}{below}"


@attrs.frozen
class Api:
    """One client of Glance.

    Requests are sent without glanceclient's methods for each: those hide
    which of several requests failed, and whether it was sent.  What may be
    repeated is; every error is an `AdapterError`.
    """

    _client: Any = attrs.field(repr=False)
    _patience: Patience

    def _get(self, what: str, path: str) -> Any:  # noqa: ANN401 - JSON
        def call() -> Any:  # noqa: ANN401 - JSON
            with told_as_adapter_error(what):
                return self._client.http_client.get(path)[1]

        return self._patience.repeat(call)

    def has_location_api(self) -> bool:
        """Say whether Glance offers POST and GET …/locations."""
        what = "reading Glance's versions"
        body = self._get(what, "/versions")
        with told_as_adapter_error(what):
            return any(
                version["id"] == _LOCATION_API
                and version["status"] in _OFFERED
                for version in body["versions"]
            )

    def _require_location_api(self) -> None:
        if not self.has_location_api():
            message = f"Glance does not offer {_LOCATION_API}"
            raise UnsupportedError(message)

    def image(self, image_id: str) -> Mapping[str, Any]:
        """Read an image, which has a status if nothing else."""
        what = f"reading image {image_id}"
        body = self._get(what, _path(image_id))
        with told_as_adapter_error(what):
            if not isinstance(body, Mapping):
                raise FactError("Image", body, "a mapping of fields")
            if not isinstance(body.get("status"), str):
                raise FactError("Image.status", body.get("status"), "text")
        return body

    def status(self, image_id: str) -> str:
        """Read an image's status."""
        return str(self.image(image_id)["status"])

    def locations(self, image_id: str) -> Sequence[Mapping[str, Any]]:
        """Read an image's locations, for which there is a policy."""
        self._require_location_api()
        what = f"reading locations of image {image_id}"
        found: Sequence[Mapping[str, Any]] = self._get(
            what, _path(image_id, "/locations")
        )
        return found

    def imports(self, image_id: str) -> list[tuple[str, str]]:
        """Read Glance's tasks that take a location: URL and status."""
        what = f"reading tasks of image {image_id}"
        body = self._get(what, _path(image_id, "/tasks"))
        with told_as_adapter_error(what):
            return [
                (str(task["input"]["loc_url"]), str(task["status"]))
                for task in body["tasks"]
                if task["type"] == "location_import"
            ]

    def post_location(self, image_id: str, url: str) -> None:
        """Ask Glance to take a location, which it does later.

        No validation data: Glance would take what it says on trust, or
        hash the image before it is active.
        """
        self._require_location_api()
        with told_as_adapter_error(f"registering {url} on image {image_id}"):
            self._client.http_client.post(
                _path(image_id, "/locations"), data={"url": url}
            )

    def patch_location(self, image_id: str, url: str) -> None:
        """Have Glance take a location at once: show_multiple_locations."""
        value = {"url": url, "metadata": {}}
        change = [{"op": "add", "path": "/locations/-", "value": value}]
        with told_as_adapter_error(f"registering {url} on image {image_id}"):
            self._client.http_client.patch(
                _path(image_id),
                headers={"Content-Type": _PATCH},
                data=json.dumps(change),
            )

    def open_data(self, image_id: str) -> Any:  # noqa: ANN401 - requests carries no types here
        """Begin to read an image's data; give the open response."""
        what = f"opening the data of image {image_id}"

        def call() -> Any:  # noqa: ANN401 - the same
            with told_as_adapter_error(what):
                path = _path(image_id, "/file")
                return self._client.http_client.get(path)[0]

        return self._patience.repeat(call)

    def put_data(self, image_id: str, source: Source) -> None:
        """Send an image's data."""
        with told_as_adapter_error(f"uploading to image {image_id}"):
            self._client.http_client.put(
                _path(image_id, "/file"),
                headers={"Content-Type": "application/octet-stream"},
                data=source,
            )

    def delete(self, image_id: str) -> None:
        """Delete an image and all its data."""
        with told_as_adapter_error(f"deleting image {image_id}"):
            self._client.http_client.delete(_path(image_id))
