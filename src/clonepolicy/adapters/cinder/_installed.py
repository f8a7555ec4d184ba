"""What of Cinder is touched, and whether it is what it was."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from cinder import context, coordination, quota
from cinder.db import api as db
from cinder.image import cache, glance
from cinder.volume import driver, manager
from cinder.volume.flows.manager import create_volume

from clonepolicy.adapters.cinder._errors import IncompatibleCinderError

_TASK = create_volume.CreateVolumeFromSpecTask
_MANAGER = manager.VolumeManager
_GLANCE = glance.GlanceImageService
_CLIENTS = glance.GlanceClientWrapper
_DRIVER = driver.VolumeDriver
_QUOTAS = quota.QuotaEngine
_LOCKS = coordination.Coordinator

_CREATE = (
    "self context volume image_location image_id image_meta image_service"
)

TOUCHED: tuple[tuple[Callable[..., Any], str], ...] = (
    (_TASK._create_from_image, f"{_CREATE} kwargs"),
    (_TASK._prepare_image_cache_entry, _CREATE),
    (_TASK._create_from_image_cache_or_download, f"{_CREATE} update_cache"),
    (
        _TASK._create_from_image_cache,
        "self context internal_context volume image_id image_meta",
    ),
    (
        _TASK._handle_bootable_volume_glance_meta,
        "self context volume kwargs",
    ),
    (_TASK._cleanup_cg_in_volume, "self volume"),
    (_MANAGER.copy_volume_to_image, "self context volume_id image_meta"),
    (
        _MANAGER._clone_image_volume_and_add_location,
        "self ctx volume image_service image_meta",
    ),
    (_MANAGER._delete_image, "self context image_id image_service"),
    (
        _MANAGER.create_volume,
        "self context volume request_spec filter_properties allow_reschedule",
    ),
    (
        _MANAGER.delete_volume,
        "self context volume unmanage_only cascade",
    ),
    (_GLANCE.get_location, "self context image_id"),
    (_GLANCE.show, "self context image_id"),
    (glance.get_remote_image_service, "context image_href"),
    (_CLIENTS._create_onetime_client, "self context privileged_user"),
    (
        cache.ImageVolumeCache.delete_cached_volume,
        "self context cache_entry msg",
    ),
    (context.get_internal_tenant_context, ""),
    (_LOCKS.get_lock, "self name"),
    (_DRIVER.create_cloned_volume, "self volume src_vref"),
    (
        _DRIVER.clone_image,
        "self context volume image_location image_meta image_service",
    ),
    (_DRIVER.extend_volume, "self volume new_size"),
    (_DRIVER.delete_volume, "self volume"),
    (
        _DRIVER.copy_image_to_volume,
        "self context volume image_service image_id disable_sparse",
    ),
    (
        _DRIVER.copy_volume_to_image,
        "self context volume image_service image_meta",
    ),
    (db.image_volume_cache_get_all, "context filters"),
    (db.image_volume_cache_get_by_volume_id, "context volume_id"),
    (db.message_create, "context values"),
    (db.volume_create, "context values"),
    (
        db.volume_metadata_update,
        "context volume_id metadata delete meta_type",
    ),
    (
        db.volume_admin_metadata_update,
        "context volume_id metadata delete add update",
    ),
    (db.volume_update_status_based_on_attachment, "context volume_id"),
    (_QUOTAS.reserve, "self context expire project_id deltas"),
    (_QUOTAS.commit, "self context reservations project_id"),
    (_QUOTAS.rollback, "self context reservations project_id"),
    (_QUOTAS.add_volume_type_opts, "self context opts volume_type_id"),
    (
        _QUOTAS.get_project_quotas,
        "self context project_id quota_class defaults usages",
    ),
)
"""What of Cinder's own is called or replaced, with its parameters."""


def check_installed_cinder() -> None:
    """Refuse a Cinder whose methods are not those that this was made for.

    Raises:
        IncompatibleCinderError: names the first that differs.
    """
    for method, expected in TOUCHED:
        found = " ".join(inspect.signature(method).parameters)
        if found != expected:
            name = f"{method.__module__}.{method.__qualname__}"
            message = (
                f"{name} has the parameters ({found}), not ({expected}):"
                " this Cinder is not the one that clonepolicy was made for;"
                " remove volume_manager from cinder.conf, or install the"
                " clonepolicy of this Cinder's release"
            )
            raise IncompatibleCinderError(message)
