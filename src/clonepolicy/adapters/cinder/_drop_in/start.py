"""The log line that a backend writes when it starts: what is in force."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterable, Iterator, Mapping

from cinder import version
from oslo_config import cfg
from oslo_log import log

from clonepolicy import FactError
from clonepolicy._text import log_fields
from clonepolicy.adapters.cinder._driver import (
    backend_from_driver,
    told_by,
)
from clonepolicy.adapters.cinder._drop_in.backend import DriverBackend
from clonepolicy.adapters.cinder._errors import surviving
from clonepolicy.adapters.conf._own import (
    OPTS,
    is_set,
)

LOG = log.getLogger(__name__)


def log_start(backend: DriverBackend) -> None:
    """Write one line: what is in force, and where each value is from."""
    with surviving(LOG, "could not log its start"):
        fields = {**dict(_fields(backend)), **_capabilities(backend)}
        LOG.info("clonepolicy %s", log_fields(fields))


def _fields(backend: DriverBackend) -> Iterator[tuple[str, str]]:
    settings, conf = backend.settings, cfg.CONF
    yield "started", backend.driver.host
    yield "driver", type(backend.driver).__name__
    yield "clonepolicy", importlib.metadata.version("clonepolicy")
    yield "cinder", version.version_string()
    yield "policy", str(settings.policy)
    yield "mode", settings.mode
    yield "notes", settings.notes
    yield "trusted_projects", _listed(sorted(settings.trusted_projects))
    tenant = conf.cinder_internal_tenant_project_id
    yield "internal_tenant", tenant or "-"
    yield "trusted_image_pools", _listed(sorted(settings.trusted_image_pools))
    yield (
        "glance_stores",
        _listed(store.id for store in settings.glance_stores),
    )
    for key, wanted in (("set", True), ("default", False)):
        names = (opt.name for opt in OPTS if is_set(conf, opt.name) is wanted)
        yield key, _listed(names)


def _capabilities(backend: DriverBackend) -> Mapping[str, str]:
    """Return what is known of the driver, by its origin."""
    try:
        told = told_by(backend.driver, backend.extra)
        backend_from_driver(backend.driver, extra=backend.extra)
    except FactError as error:  # until it is corrected, nothing is decided
        return {"unreadable": str(error)}
    except Exception as error:  # noqa: BLE001 - a driver may raise anything
        return {"unreadable": type(error).__name__}
    return {
        source: _listed(f"{name}:{value}" for name, value in facts.items())
        for source, facts in told.items()
    }


def _listed(items: Iterable[str]) -> str:
    return ",".join(items) or "-"
