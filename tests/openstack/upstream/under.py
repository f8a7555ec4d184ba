"""The drop-in, put under Cinder's own unit tests.

Those tests are not touched.  Where their stand-ins lack what the real ones
always have, it is made up as the drop-in reads it: else there would hardly
be facts to decide on.
"""

from __future__ import annotations

import datetime
import functools
from collections.abc import Callable
from typing import Any
from unittest import mock

from cinder import objects
from cinder.tests.unit import fake_constants as fakes
from cinder.volume import manager
from oslo_config import cfg

from clonepolicy import Config, FactError
from clonepolicy.adapters.cinder import (
    CinderVolumes,
    PolicyVolumeManager,
    _backend,
    _images,
    _manager,
    _records,
    _service,
    config_from,
    register_opts,
    settings_from,
)
from clonepolicy.adapters.cinder._flow import Run
from clonepolicy.adapters.cinder._service import Service

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
_TOLD: dict[str, Any] = {}
_VOLUME = {"project_id": fakes.PROJECT_ID, "created_at": _MOMENT}


def put_drop_in() -> None:
    """Have every manager decide, and every task that has none of them."""
    register_opts(cfg.CONF)
    manager.VolumeManager.__new__ = staticmethod(_new)
    own = _manager.service_of
    _manager.service_of = lambda task: own(task) or _service_of(task)
    _service._is_frozen = lambda host: False  # noqa: ARG005 - its name
    _manager._decide_in_flow()
    _complete_facts()


def _new(kind: type[Any], *_args: object, **_kwargs: object) -> Any:
    """Make the drop-in where Cinder's manager is asked for by name."""
    stock = kind is manager.VolumeManager
    return object.__new__(PolicyVolumeManager if stock else kind)


def _service_of(task: Any) -> Service:
    """Make what a manager would have made, for the task's driver."""
    mocked = isinstance(task.driver, mock.Mock)
    return (_MockedService if mocked else Service)(
        driver=task.driver,
        settings=settings_from(cfg.CONF),
        extra={"can_clone": True, "can_extend": True} if mocked else {},
    )


class _MockedService(Service):
    """A service of a driver that is a mock, and so can do anything."""

    def config(self) -> Config:
        unset = mock.Mock()
        unset.safe_get.return_value = None
        return config_from(cfg.CONF, unset)


class _ToldRun(Run):
    """A run whose image is what the flow was told, whatever is shown."""

    def create(self) -> dict[str, Any] | None:
        told: object = self.image_meta
        with mock.patch.dict(_TOLD, told if isinstance(told, dict) else {}):
            return super().create()


def _complete_facts() -> None:
    for place, name, completed in (
        (_records, "_read", _read),
        (_records, "_type_of", _type_of),
        (_records, "_location_pair", _location_pair),
        (_images, "image_from_meta", _image),
        (_backend, "_family", _family),
        (CinderVolumes, "get_object", _get_object),
    ):
        _put(place, name, completed)
    vars(_manager)["Run"] = _ToldRun


def _put(place: object, name: str, completed: Callable[..., Any]) -> None:
    stock = getattr(place, name)

    @functools.wraps(stock)
    def put(*args: Any, **kwargs: Any) -> Any:
        return completed(stock, *args, **kwargs)

    setattr(place, name, put)


def _read(stock: Any, record: str, source: Any, name: str) -> Any:
    value = stock(record, source, name)
    made_up = record == "Volume" and value is None
    return _VOLUME.get(name) if made_up else value


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
    made = dict(_IMAGE)
    for told in (meta if isinstance(meta, dict) else {}, _TOLD):
        made.update({n: v for n, v in told.items() if v is not None})
    for name in ("size", "virtual_size"):  # texts, in some tests
        made[name] = made[name] and int(made[name])
    return stock(made, *args, **kwargs)


def _family(stock: Any, driver: Any) -> Any:
    try:
        return stock(driver)
    except AttributeError:  # it was not set up
        return {}


def _get_object(stock: Any, volumes: CinderVolumes, volume_id: str) -> Any:
    asked = objects.Volume.get_by_id
    if isinstance(asked, mock.Mock) and asked.side_effect is None:
        return asked.return_value  # what is counted is Cinder's own
    return stock(volumes, volume_id)
