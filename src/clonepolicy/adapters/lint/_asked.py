"""What several checks ask of a file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from clonepolicy.adapters._families import facts_of_driver
from clonepolicy.adapters.conf import CinderConf, Value

UPLOAD = "image_upload_use_cinder_backend"
SCHEMES = "allowed_direct_url_schemes"
TENANT = (
    "cinder_internal_tenant_project_id",
    "cinder_internal_tenant_user_id",
)
_DROP_IN = "clonepolicy.adapters.cinder.PolicyVolumeManager"


def has_tenant(conf: CinderConf) -> bool:
    """Return whether Cinder has an internal tenant."""
    return all(conf.value(name).value for name in TENANT)


def has_glance_user(conf: CinderConf) -> bool:
    """Return whether Cinder asks Glance as a user of its own."""
    return bool(conf.value("auth_type", "glance").value)


def schemes(conf: CinderConf) -> tuple[str, ...]:
    """Return the schemes of the locations that Cinder may use."""
    found = conf.value(SCHEMES).value
    return found if isinstance(found, tuple) else ()


def with_upload(conf: CinderConf) -> Iterator[tuple[str, Value]]:
    """Iterate over the backends that register uploads."""
    for backend in conf.backends:
        value = conf.value(UPLOAD, backend)
        if value.value:
            yield backend, value


def safe_decides(conf: CinderConf) -> bool:
    """Return whether the drop-in carries out what SAFE decides."""
    wanted = {"mode": "enforce", "policy": "SAFE"}
    return conf.value("volume_manager").value == _DROP_IN and all(
        conf.value(name, "clonepolicy").value == text
        for name, text in wanted.items()
    )


def declared(conf: CinderConf, backend: str) -> Mapping[str, Any]:
    """Return the ``extra_capabilities`` of a backend; none if garbled."""
    try:
        found = json.loads(
            str(conf.value("extra_capabilities", backend).value)
        )
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def driver(conf: CinderConf, backend: str) -> str:
    """Return the class of a backend's driver."""
    return str(conf.value("volume_driver", backend).value)


def clones_while_uploading(conf: CinderConf, backend: str) -> bool | None:
    """Return whether a backend clones a volume that is uploaded."""
    told = declared(conf, backend).get("clone_while_uploading")
    if isinstance(told, bool):
        return told
    facts = facts_of_driver(driver(conf, backend))
    known = facts.get("clone_while_uploading")
    return known if isinstance(known, bool) else None
