"""Print, as JSON, the options that a service's modules define.

A program of its own: Cinder and Glance register options of the same names.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from typing import Any

from oslo_config import cfg

MODULES = {
    "cinder": (
        *("common.config", "context", "cmd.volume", "image.glance"),
        *("image.image_utils", "keymgr.conf_key_mgr", "service_auth"),
        *("scheduler.host_manager", "volume.api", "volume.driver"),
        "volume.manager",
        *(
            f"volume.drivers.{name}"
            for name in (
                *("datera.datera_iscsi", "dell_emc.powerflex.options"),
                *("dell_emc.xtremio", "hpe.hpe_3par_common", "ibm.gpfs"),
                *("netapp.options", "nexenta.options", "nfs", "quobyte"),
                *("rbd", "remotefs", "san.san", "storpool", "vmware.vmdk"),
            )
        ),
    ),
    "glance": ("api.versions", "common.config", "common.wsgi", "scrubber"),
    "glance_store": ("backend", "multi_backend", "_drivers.cinder.store"),
}


def options_of(service: str) -> Iterator[cfg.Opt]:
    """Iterate over the options that the modules of a service define."""
    for name in MODULES[service]:
        module = importlib.import_module(f"{service}.{name}")
        for value in list(vars(module).values()):
            for each in value if isinstance(value, (list, tuple)) else [value]:
                if isinstance(each, cfg.Opt):
                    yield each


def facts(opt: cfg.Opt) -> dict[str, Any]:
    """Return what the table has of an option."""
    return {
        "kind": type(opt).__name__,
        "default": opt.default,
        "choices": sorted(map(str, getattr(opt.type, "choices", None) or ())),
        "old_names": sorted(
            f"{old.group or ''}.{old.name or opt.dest}"
            for old in opt.deprecated_opts
        ),
    }


def main(service: str) -> None:
    """Print the options of a service by their names."""
    found: list[cfg.Opt] = []
    if service == "cinder":
        importlib.import_module("cinder.objects").register_all()
        found += castellan()
        found += options_of("cinder")
        # a library registers it, where Cinder asks for it
        if "auth_type" in getattr(cfg.CONF, "glance", ()):
            found.append(cfg.CONF.glance._group._opts["auth_type"]["opt"])
            from keystoneauth1 import loading  # noqa: PLC0415 - Cinder's only

            found += loading.get_auth_plugin_conf_options("password")
    else:
        found += options_of("glance_store")
        found += options_of("glance")
    options = {opt.dest: facts(opt) for opt in found}
    print(json.dumps(options, default=str))  # noqa: T201 - its output


def castellan() -> Iterator[cfg.Opt]:
    """Iterate over the option that says where keys are."""
    manager = importlib.import_module("castellan.key_manager")
    yield from manager.key_manager_opts


if __name__ == "__main__":
    main(sys.argv[1])
