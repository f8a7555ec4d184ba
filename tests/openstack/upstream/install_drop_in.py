"""Install the drop-in under Cinder's own unit tests.

The tests are not changed.  Where their mocks lack what real objects always
have, the drop-in reads a default value; otherwise there would be no facts to
decide on.
"""

from __future__ import annotations

import datetime
import functools
from collections.abc import Callable
from typing import Any
from unittest import mock

from cinder import objects
from cinder.image import glance
from cinder.tests.unit import fake_constants as fakes
from cinder.volume import manager
from oslo_config import cfg

from clonepolicy import Config, FactError
from clonepolicy.adapters.cinder import (
    CinderImages,
    CinderVolumes,
    PolicyVolumeManager,
    _driver,
    _images,
    _records,
    config_from,
    register_opts,
    settings_from,
)
from clonepolicy.adapters.cinder._drop_in import backend, entry_points
from clonepolicy.adapters.cinder._drop_in.backend import DriverBackend
from clonepolicy.adapters.cinder._drop_in.create import CreateTask
from clonepolicy.adapters.cinder._drop_in.supported_cinder import check_cinder

_MOMENT = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
_IMAGE: dict[str, Any] = {
    "id": fakes.IMAGE_ID,
    "status": "active",
    "owner": fakes.PROJECT_ID,
    "disk_format": "raw",
    "container_format": "bare",
    "size": 1,
    "virtual_size": None,
    "min_disk": 0,
    "visibility": "private",
    "os_hash_algo": None,
    "os_hash_value": None,
    "updated_at": _MOMENT,
    "properties": {},
}
_FLOW_IMAGE: dict[str, Any] = {}
"""The image that Cinder's flow has, during a create."""
_VOLUME = {"project_id": fakes.PROJECT_ID, "created_at": _MOMENT}


def install() -> None:
    """Make every volume manager and every task of a create decide."""
    # what it finds is kept, so that it does not see the tests' mocks
    check_cinder(allow_unverified=False)
    register_opts(cfg.CONF)
    manager.VolumeManager.__new__ = staticmethod(_new)
    own = entry_points.backend_of
    entry_points.backend_of = lambda task: own(task) or _backend_of(task)
    backend._is_frozen = lambda host: False  # noqa: ARG005 - its name
    entry_points._decide_in_flow()
    _add_defaults()


def _new(kind: type[Any], *_args: object, **_kwargs: object) -> Any:
    """Make the drop-in in place of Cinder's manager."""
    stock = kind is manager.VolumeManager
    return object.__new__(PolicyVolumeManager if stock else kind)


def _backend_of(task: Any) -> DriverBackend:
    """Make the backend of a task that has no volume manager."""
    mocked = isinstance(task.driver, mock.Mock)
    return (_MockedBackend if mocked else DriverBackend)(
        driver=task.driver,
        settings=settings_from(cfg.CONF),
        extra={"can_clone": True, "can_extend": True} if mocked else {},
    )


class _MockedBackend(DriverBackend):
    """The backend of a mocked driver, which can do everything."""

    def config(self) -> Config:
        unset = mock.Mock()
        unset.safe_get.return_value = None
        return config_from(cfg.CONF, unset)


class _TaskWithImage(CreateTask):
    """A create whose image is the one that Cinder's flow has."""

    def run(self) -> dict[str, Any] | None:
        meta: object = self.call.image_meta
        known = meta if isinstance(meta, dict) else {}
        with mock.patch.dict(_FLOW_IMAGE, known):
            return super().run()


def _add_defaults() -> None:
    for place, name, completed in (
        (_records, "_read", _read),
        (_records, "_type_of", _type_of),
        (_records, "_location_pair", _location_pair),
        (_images, "image_from_meta", _image),
        (CinderImages, "__init__", _init_images),
        (CinderImages, "_read", _read_image),
        (_driver, "_family", _family),
        (CinderVolumes, "get_object", _get_object),
    ):
        _replace(place, name, completed)
    vars(entry_points)["CreateTask"] = _TaskWithImage


def _replace(place: object, name: str, completed: Callable[..., Any]) -> None:
    stock = getattr(place, name)

    @functools.wraps(stock)
    def replaced(*args: Any, **kwargs: Any) -> Any:
        return completed(stock, *args, **kwargs)

    setattr(place, name, replaced)


def _read(stock: Any, record: str, source: Any, name: str) -> Any:
    value = stock(record, source, name)
    return _VOLUME.get(name) if record == "Volume" and value is None else value


def _type_of(stock: Any, source: Any) -> Any:
    try:
        return stock(source)
    except FactError:
        return None


def _location_pair(stock: Any, location: Any) -> Any:
    if isinstance(location, mock.Mock):
        return stock(None)
    return stock((location, None) if isinstance(location, str) else location)


def _image(stock: Any, meta: object, *args: Any, **kwargs: Any) -> Any:
    completed = dict(_IMAGE)
    for known in (meta if isinstance(meta, dict) else {}, _FLOW_IMAGE):
        completed.update({n: v for n, v in known.items() if v is not None})
    for name in ("size", "virtual_size"):  # texts, in some tests
        completed[name] = completed[name] and int(completed[name])
    return stock(completed, *args, **kwargs)


def _init_images(stock: Any, *args: Any, **kwargs: Any) -> None:
    location = kwargs.get("image_location")
    known = (None, None) if isinstance(location, mock.Mock) else location
    stock(*args, **{**kwargs, "image_location": known})


def _read_image(stock: Any, images: CinderImages, image_id: str) -> Any:
    """Read from the image service, which the tests replace."""
    if images.image_service is None:
        service, _ = glance.get_remote_image_service(images.context, image_id)
        meta = service.show(images.context, image_id)
    else:
        meta = stock(images, image_id)
    return {} if isinstance(meta, mock.Mock) else meta


def _family(stock: Any, driver: Any) -> Any:
    try:
        return stock(driver)
    except AttributeError:  # the driver was not set up
        return {}


def _get_object(stock: Any, volumes: CinderVolumes, volume_id: str) -> Any:
    mocked = objects.Volume.get_by_id
    if isinstance(mocked, mock.Mock) and mocked.side_effect is None:
        return mocked.return_value  # some tests count the calls of the mock
    return stock(volumes, volume_id)
