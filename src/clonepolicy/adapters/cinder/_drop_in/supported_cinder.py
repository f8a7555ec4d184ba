"""The methods of Cinder that are called or replaced, and their check."""

from __future__ import annotations

import inspect
import pkgutil
from collections.abc import Callable, Iterator
from typing import Any

from clonepolicy.adapters.cinder._errors import IncompatibleCinderError

_TABLE = """\
cinder.volume.flows.manager.create_volume:CreateVolumeFromSpecTask.
  _create_from_image context volume image_location image_id image_meta \
image_service kwargs
  _prepare_image_cache_entry context volume image_location image_id \
image_meta image_service
  _create_from_image_cache_or_download context volume image_location \
image_id image_meta image_service update_cache
  _create_from_image_cache context internal_context volume image_id image_meta
  _handle_bootable_volume_glance_meta context volume kwargs
  _cleanup_cg_in_volume volume
cinder.volume.manager:VolumeManager.
  copy_volume_to_image context volume_id image_meta
  _clone_image_volume_and_add_location ctx volume image_service image_meta
  _delete_image context image_id image_service
  create_volume context volume request_spec filter_properties allow_reschedule
  do_cleanup context cleanup_request
  update_service_capabilities capabilities
  driver_delete_volume volume
  _check_is_our_resource resource
  _is_our_backend host cluster_name
  _notify_about_volume_usage context volume event_suffix extra_usage_info
  _update_allocated_capacity vol decrement host
cinder.image.glance:GlanceImageService.
  get_location context image_id
  show context image_id
cinder.image.glance:
  get_remote_image_service context image_href
cinder.image.glance:GlanceClientWrapper.
  _create_onetime_client context privileged_user
cinder.image.cache:ImageVolumeCache.
  delete_cached_volume context cache_entry msg
cinder.context:
  get_internal_tenant_context
cinder.coordination:Coordinator.
  get_lock name
cinder.volume.driver:VolumeDriver.
  create_cloned_volume volume src_vref
  clone_image context volume image_location image_meta image_service
  extend_volume volume new_size
  delete_volume volume
  remove_export context volume
  copy_image_to_volume context volume image_service image_id disable_sparse
  copy_volume_to_image context volume image_service image_meta
cinder.db.api:
  image_volume_cache_get_all context filters
  image_volume_cache_get_by_volume_id context volume_id
  message_create context values
  volume_create context values
  volume_destroy context volume_id
  volume_metadata_update context volume_id metadata delete meta_type
  volume_admin_metadata_update context volume_id metadata delete add update
  volume_update_status_based_on_attachment context volume_id
cinder.scheduler.rpcapi:SchedulerAPI.
  get_pools ctxt filters
cinder.volume.configuration:Configuration.
  safe_get value
cinder.quota:QuotaEngine.
  reserve context expire project_id deltas
  commit context reservations project_id
  add_volume_type_opts context opts volume_type_id
  get_project_quotas context project_id quota_class defaults usages
"""
"""By class or module: each method with its parameters, without self."""


def _resolved(table: str) -> Iterator[tuple[Callable[..., Any], str]]:
    owner = ""
    for line in table.splitlines():
        if line.startswith(" "):
            name, _, parameters = line.strip().partition(" ")
            yield pkgutil.resolve_name(owner + name), parameters
        else:
            owner = line


USED_METHODS = tuple(_resolved(_TABLE))


def check_cinder() -> None:
    """Compare the installed Cinder's methods with `USED_METHODS`.

    Raises:
        IncompatibleCinderError: names the first method that differs.
    """
    for method, expected in USED_METHODS:
        names = inspect.signature(method).parameters
        found = " ".join(name for name in names if name != "self")
        if found != expected:
            name = f"{method.__module__}.{method.__qualname__}"
            raise IncompatibleCinderError(
                f"{name} has the parameters ({found}), not ({expected}): this"
                " clonepolicy does not support the installed Cinder. Install"
                " the clonepolicy of this Cinder's release, or remove"
                " volume_manager from cinder.conf"
            )
