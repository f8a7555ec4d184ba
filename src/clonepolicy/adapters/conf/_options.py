"""The options of Cinder and Glance that decide about clones, as data.

The table needs neither service.  A test holds it to the options that the
installed services register.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum

import attrs

DEFAULT = "DEFAULT"
BACKEND = "<backend>"
"""Stands for the group of each of Cinder's ``enabled_backends``."""
STORE = "<store>"
"""Stands for the group of each of Glance's ``enabled_backends``."""

RELEASES: Mapping[str, tuple[int, int]] = {
    "2024.1": (24, 28),
    "2024.2": (25, 29),
    "2025.1": (26, 30),
    "2025.2": (27, 31),
    "2026.1": (28, 32),
    "2026.2": (29, 33),
}
"""Each supported release, with its versions of Cinder and of Glance."""


class Kind(StrEnum):
    """How the text of an option is read."""

    BOOL = "bool"
    INT = "int"
    STR = "str"
    LIST = "list"
    DICT = "dict"


@attrs.frozen
class Option:
    """An option of one service."""

    group: str
    name: str
    kind: Kind = Kind.STR
    default: bool | int | str | tuple[str, ...] | None = None
    since: str = attrs.field(default="2024.1", kw_only=True)
    """The first supported release that has it."""
    secret: bool = attrs.field(default=False, kw_only=True)
    """Its value is never shown."""
    inherits: bool = attrs.field(default=True, kw_only=True)
    """A backend that does not set it has that of ``[backend_defaults]``."""
    old_names: tuple[tuple[str, str], ...] = attrs.field(
        default=(), kw_only=True
    )
    """Deprecated groups and names that are read, too."""
    choices: tuple[str, ...] = attrs.field(default=(), kw_only=True)
    """The only texts that it takes; empty: any."""
    address: bool = attrs.field(default=False, kw_only=True)
    """It says which array a backend uses."""


def _all(group: str, *rows: Option) -> Iterator[Option]:
    return (attrs.evolve(row, group=group) for row in rows)


def _flag(name: str, *, default: bool = False) -> Option:
    return Option("", name, Kind.BOOL, default)


def _text(name: str, default: str | None = None) -> Option:
    return Option("", name, Kind.STR, default)


def _number(name: str, default: int | None) -> Option:
    return Option("", name, Kind.INT, default)


def _list(name: str, default: tuple[str, ...] | None = ()) -> Option:
    return Option("", name, Kind.LIST, default)


def _address(name: str, default: str | None = None) -> Option:
    return attrs.evolve(_text(name, default), address=True)


CINDER: tuple[Option, ...] = (
    *_all(
        DEFAULT,
        _list("allowed_direct_url_schemes"),
        _flag("allow_compression_on_image_upload"),
        _text("cinder_internal_tenant_project_id"),
        _text("cinder_internal_tenant_user_id"),
        _text("cluster"),
        _text("default_volume_type", "__DEFAULT__"),
        _list("enabled_backends", None),
        _flag("enable_force_upload"),
        _list("glance_api_servers", None),
        _text("glance_catalog_info", "image:glance:publicURL"),
        _number("glance_num_retries", 3),
        _number("glance_request_timeout", None),
        _text("host"),
        _text("image_conversion_dir", "$state_path/conversion"),
        _flag("image_conversion_disable"),
        _text("my_ip"),
        _list("scheduler_default_weighers", ("CapacityWeigher",)),
        _text("state_path", "/var/lib/cinder"),
        attrs.evolve(
            _text("verify_glance_signatures", "enabled"),
            choices=("disabled", "enabled"),
        ),
        _text("volume_manager", "cinder.volume.manager.VolumeManager"),
    ),
    Option(
        "glance",
        "auth_type",
        since="2025.2",
        old_names=(("glance", "auth_plugin"),),
    ),
    Option(
        "glance",
        "username",
        since="2025.2",
        old_names=(("glance", "user-name"), ("glance", "user_name")),
    ),
    Option(
        "key_manager",
        "backend",
        default="barbican",
        old_names=(("key_manager", "api_class"),),
    ),
    Option(
        "key_manager",
        "fixed_key",
        secret=True,
        old_names=(("keymgr", "fixed_key"),),
    ),
    Option(
        "service_user", "send_service_user_token", Kind.BOOL, default=False
    ),
    *_all(
        BACKEND,
        attrs.evolve(_text("backend_host"), inherits=False),
        _text("extra_capabilities", "{}"),
        _flag("image_upload_use_cinder_backend"),
        _flag("image_upload_use_internal_tenant"),
        _flag("image_volume_cache_enabled"),
        _number("image_volume_cache_max_count", 0),
        _number("image_volume_cache_max_size_gb", 0),
        _text("volume_backend_name"),
        _text("volume_driver", "cinder.volume.drivers.lvm.LVMVolumeDriver"),
        _number("rbd_max_clone_depth", 5),
        _flag("rbd_flatten_volume_from_snapshot"),
        _text("rbd_user"),
        _text("gpfs_images_dir"),
        _text("gpfs_images_share_mode"),
        _flag("datera_enable_image_cache"),
        attrs.evolve(
            _number("powerflex_max_image_cache_vtree_size", 0),
            since="2026.1",
        ),
        _number("xtremio_volumes_per_glance_cache", 100),
        _address("rbd_ceph_conf", ""),
        _address("rbd_cluster_name", "ceph"),
        _address("rbd_pool", "rbd"),
        _address("gpfs_mount_point_base"),
        _address("hpe3par_api_url", ""),
        _address("nas_host", ""),
        _address("nas_share_path", ""),
        _address("netapp_server_hostname"),
        _address("netapp_vserver"),
        _address("nexenta_rest_address", ""),
        _address("nfs_shares_config", "/etc/cinder/nfs_shares"),
        _address("quobyte_volume_url"),
        _address("san_clustername", ""),
        _address("san_ip", ""),
        _address("storpool_template"),
        _address("vmware_host_ip"),
    ),
)
"""Options of cinder.conf, without those of ``[clonepolicy]``."""

GLANCE: tuple[Option, ...] = (
    *_all(
        DEFAULT,
        _flag("delayed_delete"),
        attrs.evolve(_flag("do_secure_hash", default=True), since="2024.2"),
        Option("", "enabled_backends", Kind.DICT),
        _text("public_endpoint"),
        _flag("show_image_direct_url"),
        _flag("show_multiple_locations"),
    ),
    *_all(
        "glance_store",
        _text("default_backend"),
        _text("default_store", "file"),
        _list("stores", ("file", "http")),
    ),
    *_all(
        STORE,
        _text("cinder_store_auth_address"),
        _text("cinder_store_user_name"),
        attrs.evolve(_text("cinder_store_password"), secret=True),
        _text("cinder_store_project_name"),
        attrs.evolve(
            _text("cinder_store_application_credential_id"), since="2026.1"
        ),
        attrs.evolve(
            _text("cinder_store_application_credential_secret"),
            secret=True,
            since="2026.1",
        ),
        _text("cinder_volume_type"),
    ),
)
"""Options of glance-api.conf.  Without ``enabled_backends`` Glance reads
those of a store in ``[glance_store]``."""
