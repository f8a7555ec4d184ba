"""The releases of Cinder that are supported, the oldest first."""

from __future__ import annotations

import attrs

from clonepolicy.adapters.cinder._releases.release import CinderRelease

_ALWAYS = """\
cinder.volume.flows.manager.create_volume:CreateVolumeFromSpecTask.
  execute context volume volume_spec
  _create_from_image context volume image_location image_id image_meta \
image_service kwargs
  _prepare_image_cache_entry context volume image_location image_id \
image_meta image_service
  _create_from_image_cache_or_download context volume image_location \
image_id image_meta image_service update_cache
  _create_from_image_download context volume image_location image_meta \
image_service
  _create_from_image_cache context internal_context volume image_id image_meta
  _clone_image_volume context volume image_location image_meta
  _handle_bootable_volume_glance_meta context volume kwargs
  _cleanup_cg_in_volume volume
cinder.volume.manager:VolumeManager.
  copy_volume_to_image context volume_id image_meta
  _clone_image_volume_and_add_location ctx volume image_service image_meta
  _clone_image_volume ctx volume image_meta
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
{database}:
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
"""By class or module: each function with its parameters, without self."""
_UNTIL_26 = """\
cinder.image.glance:GlanceClientWrapper.
  _create_onetime_client context
cinder.image.cache:ImageVolumeCache.
  _delete_image_volume context cache_entry
"""
_SINCE_27 = """\
cinder.image.glance:GlanceClientWrapper.
  _create_onetime_client context privileged_user
cinder.image.cache:ImageVolumeCache.
  delete_cached_volume context cache_entry msg
"""

_24 = CinderRelease(
    number=24,
    cycle="2024.1",
    stock_policy="CINDER_26",
    database="cinder.db.sqlalchemy.api",
    models="cinder.db.sqlalchemy.models",
    evict="_delete_image_volume",
    evict_reason=(),
    asks_locations_api=False,
    glance_user=False,
    glance_region=False,
    clones_across_pools=False,
    rbd_in_eventlet=True,
    functions=_ALWAYS + _UNTIL_26,
)
_25 = attrs.evolve(_24, number=25, cycle="2024.2", clones_across_pools=True)
_26 = attrs.evolve(_25, number=26, cycle="2025.1")
_27 = attrs.evolve(
    _26,
    number=27,
    cycle="2025.2",
    stock_policy="CINDER_27",
    evict="delete_cached_volume",
    evict_reason=("Cache entry has no clones left",),
    asks_locations_api=True,
    glance_user=True,
    functions=_ALWAYS + _SINCE_27,
)
_28 = attrs.evolve(
    _27,
    number=28,
    cycle="2026.1",
    stock_policy="CINDER_28",
    glance_region=True,
)
_29 = attrs.evolve(
    _28,
    number=29,
    cycle="2026.2",
    stock_policy="CINDER_29",
    database="cinder.db.api",
    models="cinder.db.models",
    rbd_in_eventlet=False,
)

RELEASES = (_24, _25, _26, _27, _28, _29)
