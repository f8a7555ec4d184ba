"""A real Cinder in shadow mode, with a driver and a Glance as the facts say.

The driver and the image service record what they were made to do, apart from
what the drop-in watches.
"""

from __future__ import annotations

import contextlib
import logging
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import attrs
import checked  # noqa: F401 - before what is replaced
import conf_files
import glanceclient.exc
from cinder import exception
from cinder_patches import CONF, prepared_cinder
from fake_glance_client import OneImage
from real_cinder import RealCinder
from recording_driver import RecordingDriver

from clonepolicy import (
    Backend,
    CreateRequest,
    GiB,
    GlanceConfig,
    Request,
    UploadRequest,
)
from clonepolicy.adapters.cinder import PolicyVolumeManager, register_opts

sys.path.insert(0, str(Path(__file__).parents[1]))

from cinder.volume import manager

from logfmt import parsed

CLONE, DOWNLOAD = "clone", "download"
_REPORTS = "clonepolicy.adapters.cinder._drop_in.reports"
_REPORTED = "clonepolicy.adapters.cinder._arrays.ReportedArrays.get"
_GLANCE = "clonepolicy.adapters.cinder._images.glance_images"
_DECLARED = ("clone_while_uploading", "clone_in_use", "can_extend")


class FactualDriver(RecordingDriver):
    """A driver that can do what the facts of a request say."""

    def reset(self) -> None:
        """Forget everything."""
        super().reset()
        self.facts = Backend()
        self.fault: type[Exception] | None = None
        self.done: list[tuple[str, str, str | None]] = []

    def _open(self, *args: Any, **more: Any) -> Any:
        image = super()._open(*args, **more)
        image.size.return_value = GiB
        image.read.return_value = b""
        return image

    def _clone(self, volume: Any, *args: str) -> dict[str, Any]:
        update: dict[str, Any] = super()._clone(volume, *args)
        self.done.append((CLONE, volume.id, None))
        return update

    def create_cloned_volume(self, volume: Any, source: Any) -> None:
        """Clone, unless the facts or a fault forbid it."""
        super().create_cloned_volume(volume, source)
        if self.fault is not None:
            raise self.fault
        if (
            source.status == "uploading"
            and not self.facts.clone_while_uploading
        ):
            raise exception.InvalidVolume(reason="its status is uploading")
        self.done.append((CLONE, volume.id, source.id))

    def copy_image_to_volume(
        self, context: Any, volume: Any, *args: Any, **more: Any
    ) -> None:
        """Download."""
        super().copy_image_to_volume(context, volume, *args, **more)
        self.done.append((DOWNLOAD, volume.id, None))

    copy_image_to_encrypted_volume = copy_image_to_volume


class FactualImages(OneImage):
    """A Glance that shows every field, and offers what the facts say."""

    glance = GlanceConfig()

    def get(self, image_id: str) -> Any:
        """Return the image."""
        shown, image = super().get(image_id), self.image
        shown["updated_at"] = shown["updated_at"] or "2026-01-01T00:00:00Z"
        shown["os_hash_algo"] = image.os_hash_algo
        shown["os_hash_value"] = image.os_hash_value
        return shown

    def add_image_location(
        self, image_id: str, url: str, data: Mapping[str, str]
    ) -> dict[str, str]:
        """Add a location by the locations API, if there is one."""
        if self.glance.has_location_api is False:
            raise glanceclient.exc.HTTPNotImplemented
        if "service" not in self.glance.service_roles:
            raise glanceclient.exc.HTTPForbidden
        if data:
            raise glanceclient.exc.HTTPBadRequest
        return super().add_image_location(image_id, url, data)

    def add_location(
        self, image_id: str, url: str, _metadata: object
    ) -> dict[str, str]:
        """Add a location by the image API, if that is allowed."""
        allowed = self.glance.set_image_location is not False
        if not self.glance.show_multiple_locations or not allowed:
            raise glanceclient.exc.HTTPForbidden
        self.added.append(url)
        return {"id": image_id}


class Lines(logging.Handler):
    """The fields of the lines that a request logs."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[dict[str, str]] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Read a line."""
        text = record.getMessage()
        if text.startswith("clonepolicy ") and "\n" not in text:
            self.lines.append(parsed(text.removeprefix("clonepolicy ")))


@attrs.frozen
class Seen:
    """What the log says of a request, and what was really done."""

    decided: dict[str, str]
    """The line about the decision."""
    deed: dict[str, str]
    """The line about what Cinder did."""
    did: str
    source: str | None


class ShadowedCinder(RealCinder):
    """A `RealCinder` whose manager and task are those of the drop-in."""

    def __init__(self, lines: Lines) -> None:
        """Build the drop-in over a driver that follows the facts."""
        super().__init__()
        self.lines = lines
        self.driver = FactualDriver(self.driver.configuration)
        with mock.patch.object(
            manager.importutils, "import_object", return_value=self.driver
        ):
            self.manager = PolicyVolumeManager(volume_driver="recording")
        self.manager.stats = {"pools": {}}
        self.manager._create_image_cache_volume_entry = mock.Mock()

    def see(
        self, request: Request, fault: type[Exception] | None
    ) -> Seen | None:
        """Have Cinder carry out a request; None: cinder-api refuses it.

        Args:
            request: the facts.
            fault: what the driver raises instead of cloning a volume.
        """
        self.lines.lines.clear()

        def follow_facts(_: RealCinder) -> None:
            self._follow(request, fault)

        glance = SimpleNamespace(
            get_config=lambda: request.glance,
            # the images are another object once the request has begun
            read=lambda image_id: self.images.get(image_id),  # noqa: PLW0108 - see above
        )
        with mock.patch(_GLANCE, return_value=glance):
            if isinstance(request, UploadRequest):
                observed = self.run_upload(request, before=follow_facts)
            else:
                observed = self.run_create(request, before=follow_facts)
        return self._seen(request, observed.error)

    def _follow(self, request: Request, fault: type[Exception] | None) -> None:
        facts, driver = request.backend, self.driver
        driver.facts, driver.fault = facts, fault
        extra: dict[str, Any] = {
            name: getattr(facts, name)
            for name in _DECLARED
            if getattr(facts, name) is not None
        }
        extra["can_clone"] = facts.can_clone is True
        self.manager.backend = attrs.evolve(self.manager.backend, extra=extra)
        plain = self.images
        self.images = FactualImages(plain.image, plain.locations)
        self.images.show_multiple_locations = plain.show_multiple_locations
        self.images.glance = request.glance

    def _manager_create(self, context: Any, request: CreateRequest) -> Any:
        """Run the create in the flow's task, under the drop-in."""
        with mock.patch.object(self, "filler", self.manager):
            return super()._manager_create(context, request)

    def _seen(self, request: Request, error: str | None) -> Seen | None:
        lines = self.lines.lines
        deeds = [line for line in lines if "predicted" in line]
        if not deeds:
            return None  # cinder-api has refused it
        (deed,) = deeds
        decided = next((each for each in lines if "policy" in each), None)
        assert decided is not None, lines
        did, source = self._did(request) if error is None else ("failed", None)
        return Seen(decided, deed, did, source)

    def _did(self, request: Request) -> tuple[str, str | None]:
        if isinstance(request, UploadRequest):
            sent = self.images.uploaded == [request.image.id]
            assert sent is not bool(self.images.added)
            return ("upload" if sent else "register"), None
        kinds = [
            (kind, source)
            for kind, volume_id, source in self.driver.done
            if volume_id == request.volume.id
        ]
        return kinds[-1] if kinds else ("nothing", None)


@contextlib.contextmanager
def shadowed_cinder() -> Iterator[ShadowedCinder]:
    """Prepare a Cinder in shadow mode, and read what it logs."""
    log, lines = logging.getLogger(_REPORTS), Lines()
    register_opts(CONF)
    with contextlib.ExitStack() as stack:
        stack.enter_context(prepared_cinder())
        logging.disable(logging.NOTSET)
        log.setLevel(logging.INFO)
        log.addHandler(lines)
        stack.callback(log.removeHandler, lines)
        CONF.set_override("mode", "shadow", "clonepolicy")
        stack.callback(conf_files.clear, "mode", "clonepolicy")
        # no other service reports its array
        stack.enter_context(mock.patch(_REPORTED, return_value=None))
        cinder = ShadowedCinder(lines)
        yield cinder
        cinder.database.connection.close()
