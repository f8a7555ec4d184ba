"""The digests of the code that was verified, by function and release.

``tests/openstack/releases/verify.py`` writes the table.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping


@functools.cache
def verified() -> Mapping[str, Mapping[str, frozenset[int]]]:
    """Return by function, and then by digest, the releases that have it."""
    found: dict[str, dict[str, frozenset[int]]] = {}
    name = ""
    for line in TABLE.splitlines():
        if line.startswith(" "):
            numbers, digest = line.split()
            found[name][digest] = frozenset(_numbers(numbers))
        else:
            name = line
            found[name] = {}
    return found


def _numbers(ranges: str) -> list[int]:
    """Read ``24-25,27`` as 24, 25 and 27."""
    found: list[int] = []
    for run in ranges.split(","):
        first, _, last = run.partition("-")
        found += range(int(first), int(last or first) + 1)
    return found


TABLE = """\
cinder.context.get_internal_tenant_context
  24-29 d89baeaa0d423712
cinder.coordination.Coordinator.get_lock
  24-29 adbda1596ca3f1a1
cinder.db.api.image_volume_cache_get_all
  29 8f9f1d54b49e0980
cinder.db.api.image_volume_cache_get_by_volume_id
  29 ea099b19eb35be92
cinder.db.api.message_create
  29 e313ece88c8f55e0
cinder.db.api.volume_admin_metadata_update
  29 997002e9dcc69efe
cinder.db.api.volume_create
  29 8f65abbd7fcacf3d
cinder.db.api.volume_destroy
  29 86a84b8cf24c686f
cinder.db.api.volume_metadata_update
  29 6b87b4e90b06cfb5
cinder.db.api.volume_update_status_based_on_attachment
  29 01b6a90a95543e85
cinder.db.sqlalchemy.api.image_volume_cache_get_all
  24-28 8f9f1d54b49e0980
cinder.db.sqlalchemy.api.image_volume_cache_get_by_volume_id
  24-28 ea099b19eb35be92
cinder.db.sqlalchemy.api.message_create
  24-28 e313ece88c8f55e0
cinder.db.sqlalchemy.api.volume_admin_metadata_update
  24-28 997002e9dcc69efe
cinder.db.sqlalchemy.api.volume_create
  24-28 8f65abbd7fcacf3d
cinder.db.sqlalchemy.api.volume_destroy
  24-28 86a84b8cf24c686f
cinder.db.sqlalchemy.api.volume_metadata_update
  24-28 6b87b4e90b06cfb5
cinder.db.sqlalchemy.api.volume_update_status_based_on_attachment
  24-28 01b6a90a95543e85
cinder.image.cache.ImageVolumeCache._delete_image_volume
  24-26 750a09ab4a908b9f
cinder.image.cache.ImageVolumeCache.delete_cached_volume
  27-29 e020e26392405dba
cinder.image.glance.GlanceClientWrapper._create_onetime_client
  24-26 4911343acd1fb1ca
  27-29 1a03ca0f57b6ece9
cinder.image.glance.GlanceImageService.get_location
  24-26 699bc4c3c80f0159
  27-29 2eb1a32aa3d895fd
cinder.image.glance.GlanceImageService.show
  24-29 d6e3db588c69b5d0
cinder.image.glance.get_remote_image_service
  24-29 4eb888950add0696
cinder.quota.QuotaEngine.add_volume_type_opts
  24-29 b4b3c77a978b3f77
cinder.quota.QuotaEngine.commit
  24-29 b564e45e340b2bc8
cinder.quota.QuotaEngine.get_project_quotas
  24-29 5540ef9a388b061f
cinder.quota.QuotaEngine.reserve
  24-29 3b79f27426bd10fb
cinder.scheduler.rpcapi.SchedulerAPI.get_pools
  24-29 715201f8009779b3
cinder.volume.configuration.Configuration.safe_get
  24-29 ea9c465cf1f131f8
cinder.volume.driver.VolumeDriver.clone_image
  24-29 b4b3e499c3131d25
cinder.volume.driver.VolumeDriver.copy_image_to_volume
  24-29 093392dd89e08b98
cinder.volume.driver.VolumeDriver.copy_volume_to_image
  24-29 9dee9d36cabaa894
cinder.volume.driver.VolumeDriver.create_cloned_volume
  24-29 5b3ab6953b6b6ef1
cinder.volume.driver.VolumeDriver.delete_volume
  24-29 65c3df1464b4b5d5
cinder.volume.driver.VolumeDriver.extend_volume
  24-29 c827c006579cfacc
cinder.volume.driver.VolumeDriver.remove_export
  24-29 bee58e19c86208c8
cinder.volume.flows.manager.create_volume.CreateVolumeFromSpecTask._cleanup_cg_in_volume
  24-29 3575c5742f93771e
cinder.volume.flows.manager.create_volume.CreateVolumeFromSpecTask._clone_image_volume
  24 8088509dc452ec58
  25-26 4daab206e81f1a8c
  27 cd0a3b483280eba0
  28 f0576ddc7842a09f
  29 be137c02b41820eb
cinder.volume.flows.manager.create_volume.CreateVolumeFromSpecTask._create_from_image
  24-27 16668b2c11ca0be6
  28-29 bf8555bcd20e2cd3
cinder.volume.flows.manager.create_volume.CreateVolumeFromSpecTask._create_from_image_cache
  24-26 e6f04178d148efe3
  27-28 c78800c1024b4748
  29 447e47cdc5e1e5ae
cinder.volume.flows.manager.create_volume.CreateVolumeFromSpecTask._create_from_image_cache_or_download
  24-28 3c09f35d9df5b3df
  29 07b20e219148d110
cinder.volume.flows.manager.create_volume.CreateVolumeFromSpecTask._create_from_image_download
  24-29 c4362786e11fd3fd
cinder.volume.flows.manager.create_volume.CreateVolumeFromSpecTask._handle_bootable_volume_glance_meta
  24-29 24b53c72628ef07d
cinder.volume.flows.manager.create_volume.CreateVolumeFromSpecTask._prepare_image_cache_entry
  24-28 180578e76ed6ee50
  29 39b7ce4b97cb2a2b
cinder.volume.flows.manager.create_volume.CreateVolumeFromSpecTask.execute
  24-29 f77a871e8f4c0947
cinder.volume.manager.VolumeManager._check_is_our_resource
  24-29 0c0005235c4d8146
cinder.volume.manager.VolumeManager._clone_image_volume
  24-27 53976a9f7c6f5d2e
  28-29 e914578e2c2656bc
cinder.volume.manager.VolumeManager._clone_image_volume_and_add_location
  24-29 b213a319a57caad3
cinder.volume.manager.VolumeManager._delete_image
  24-29 f1cb39460c09eefb
cinder.volume.manager.VolumeManager._is_our_backend
  24-29 6911fbcc92cf54c3
cinder.volume.manager.VolumeManager._notify_about_volume_usage
  24-29 7923b38478515385
cinder.volume.manager.VolumeManager._update_allocated_capacity
  24-29 5ac28103d7c8c89e
cinder.volume.manager.VolumeManager.copy_volume_to_image
  24-29 d0e095aa376e560b
cinder.volume.manager.VolumeManager.create_volume
  24-29 fcc56dcfd9a1fe87
cinder.volume.manager.VolumeManager.do_cleanup
  24-29 145822a410717a06
cinder.volume.manager.VolumeManager.driver_delete_volume
  24-29 e00a39c9688ca999
cinder.volume.manager.VolumeManager.update_service_capabilities
  24-29 86fa07c7ffef28f1
"""
