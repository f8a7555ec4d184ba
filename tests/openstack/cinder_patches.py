"""Patches that put fakes at the boundaries of a real Cinder."""

from __future__ import annotations

import contextlib
import json
import logging
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

from cinder import utils
from cinder.db import migration
from cinder.image import accelerator, glance, image_utils
from cinder.volume import configuration
from cinder.volume.flows.manager import create_volume
from fake_glance_client import BASE_PROPERTIES, OneImage
from installed import db
from oslo_config import cfg
from oslo_db.sqlalchemy import enginefacade
from oslo_utils import imageutils

from clonepolicy import Image

CONF = cfg.CONF
BACKEND = configuration.SHARED_CONF_GROUP
DEFAULT_TYPE = "__DEFAULT__"
COMMON_OPTIONS = (
    "verify_glance_signatures",
    "cinder_internal_tenant_project_id",
    "cinder_internal_tenant_user_id",
    "image_conversion_disable",
    "allow_compression_on_image_upload",
    "enable_force_upload",
)
BACKEND_OPTIONS = (
    "image_upload_use_cinder_backend",
    "image_upload_use_internal_tenant",
    "image_volume_cache_enabled",
)
OPTIONS = (
    *((name, BACKEND) for name in BACKEND_OPTIONS),
    *((name, None) for name in COMMON_OPTIONS),
    ("allowed_direct_url_schemes", None),
    ("image_conversion_dir", None),
    ("state_path", None),
    ("glance_api_servers", None),
    ("auth_strategy", None),
    ("default_volume_type", None),
)
"""Every option that is set, to be restored at the end."""
DISK = getattr(image_utils, "shutil", None) or image_utils.psutil
"""What tells the free space; psutil until Cinder 25."""


@contextlib.contextmanager
def patched_for(
    images: OneImage, image: Image, free: int | None
) -> Iterator[None]:
    """Patch the boundaries that depend on a request: Glance and the disk.

    ``free`` are the free bytes of image_conversion_dir.
    """
    client = SimpleNamespace(
        images=images,
        schemas=SimpleNamespace(
            get=lambda schema_name: SimpleNamespace(  # noqa: ARG005 - Cinder's
                is_base_property=BASE_PROPERTIES.__contains__
            )
        ),
        http_client=SimpleNamespace(),
    )

    def qemu_img_info(path: str, **_: object) -> Any:
        """Report that the data is what the image's record says."""
        name = Path(path).name
        declared = image_utils.fixup_disk_format(image.disk_format)
        info_json = {
            "format": "raw" if name.startswith("device_") else declared,
            "virtual-size": image.virtual_size or image.size or 0,
            "actual-size": 0,
            "format-specific": {"type": declared, "data": {}},
        }
        info = imageutils.QemuImgInfo(json.dumps(info_json), format="json")
        if declared is None and not name.startswith("vol_upload_"):
            info.file_format = "raw"
        return info

    room = SimpleNamespace(free=1 << 60 if free is None else free)
    with contextlib.ExitStack() as stack:
        for target, name, value in (
            (glance, "_create_glance_client", lambda *_: client),
            (DISK, "disk_usage", lambda _: room),
            (image_utils, "qemu_img_info", qemu_img_info),
        ):
            stack.enter_context(mock.patch.object(target, name, value))
        yield


def _no_lock(*_: object) -> mock.MagicMock:
    lock = mock.MagicMock()
    lock.name = "lock"
    return lock


def _direct(call: Callable[..., Any], *args: object, **kw: object) -> Any:
    return call(*args, **kw)


_NO_POOL = SimpleNamespace(Proxy=lambda target: target, execute=_direct)
_THREADS: tuple[tuple[str, object], ...] = (
    ("cinder.image.image_utils.tpool", _NO_POOL),
    *(
        (("cinder.utils.tpool_wrap", _NO_POOL.Proxy),)
        if hasattr(utils, "tpool_wrap")
        else (
            ("cinder.volume.volume_utils.tpool", _NO_POOL),
            ("cinder.volume.drivers.rbd.tpool", _NO_POOL),
        )
    ),
)
"""What hands work to threads; Cinder 29 has one function for it."""


def _patch_always(stack: contextlib.ExitStack) -> None:
    """Patch the boundaries that no request depends on."""
    worker = "cinder.objects.cleanable.CinderCleanableObject"
    for target, value in (
        ("cinder.rpc.get_client", mock.Mock()),
        ("cinder.rpc.get_notifier", mock.Mock()),
        ("cinder.utils.notifications_enabled", lambda _conf: False),
        ("cinder.coordination.Coordinator.get_lock", _no_lock),
        (f"{worker}.create_worker", lambda *_: None),
        (f"{worker}.set_worker", lambda *_: None),
        (f"{worker}.unset_worker", lambda *_: None),
        ("cinder.utils.api_clean_volume_file_locks", lambda *_: None),
        *_THREADS,
        ("cinder.image.image_utils._convert_image", lambda *_, **__: None),
        (
            "cinder.image.image_utils.signature_utils.get_verifier",
            lambda **_: mock.Mock(),
        ),
        (f"{accelerator.__name__}.ImageAccel", mock.Mock()),
        ("cinder.volume.volume_utils.delete_encryption_key", mock.Mock()),
        (
            f"{create_volume.__name__}.CreateVolumeFromSpecTask._rekey_volume",
            lambda *_: {},
        ),
    ):
        stack.enter_context(mock.patch(target, value))


def _overridden(name: str, group: str | None) -> Any:
    return CONF._get_opt_info(name, group).get("override", ...)


def _restore(name: str, group: str | None, value: object) -> None:
    if value is ...:
        CONF.clear_override(name, group)
    else:
        CONF.set_override(name, value, group)


@contextlib.contextmanager
def prepared_cinder() -> Iterator[None]:
    """Prepare options and database for Cinder; restore them at the end."""
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        stack.callback(logging.disable, logging.root.manager.disable)
        logging.disable()
        try:
            CONF.find_file("cinder.conf")
        except cfg.NotInitializedError:
            CONF([], project="cinder", default_config_files=[])
        for option in OPTIONS:
            stack.callback(_restore, *option, _overridden(*option))
        for name, value in (
            ("image_conversion_dir", f"{folder}/conversion"),
            ("state_path", folder),
            ("glance_api_servers", ["http://glance.example"]),
            ("auth_strategy", "noauth"),
            ("default_volume_type", DEFAULT_TYPE),
        ):
            CONF.set_override(name, value)
        transactions = enginefacade.transaction_context()
        transactions.configure(
            connection="sqlite://", sqlite_fk=False, thread_checkin=False
        )
        stack.callback(db.main_context_manager.patch_factory(transactions))
        migration.db_sync()
        _patch_always(stack)
        yield
