"""The options of a running Cinder that affect cloning."""

from __future__ import annotations

from typing import Any

import attrs
from oslo_config import cfg  # noqa: TC002 - no import is hidden

from clonepolicy import Config
from clonepolicy.adapters.conf._own import (
    GROUP,
    INTO_CONFIG,
    non_empty,
    read_option,
    register_opts,
)

_INTERNAL_TENANT = (
    "cinder_internal_tenant_project_id",
    "cinder_internal_tenant_user_id",
)


def config_from(conf: cfg.ConfigOpts, configuration: Any) -> Config:
    """Read the options that affect cloning, and register them if needed.

    Args:
        conf: the options of cinder.conf and of ``[clonepolicy]``.
        configuration: the backend's configuration, as a driver has it.

    Raises:
        FactError: an option has an invalid value.
    """
    register_opts(conf)
    default, backend = _known_options()
    conf.register_opts(default)
    values = {opt.name: read_option(conf, None, opt.name) for opt in default}
    values |= {name: read_option(conf, GROUP, name) for name in INTO_CONFIG}
    for name in ("allowed_direct_url_schemes", *INTO_CONFIG):
        values[name] = non_empty(values[name])
    for name in _INTERNAL_TENANT:
        values[name] = values[name] or None  # as Cinder reads an empty one
    for opt in backend:
        # None: the driver does not know the option; the default is off
        value = configuration.safe_get(opt.name)
        values[opt.name] = opt.default if value is None else value
    return Config(**values)


def _known_options() -> tuple[list[cfg.Opt], list[cfg.Opt]]:
    """Return Cinder's options in ``[DEFAULT]`` and in a backend's group.

    These are the fields of `Config`.
    """
    from cinder import objects  # noqa: PLC0415 - list_opts needs no Cinder

    objects.register_all()  # before the modules that name its classes
    from cinder import context  # noqa: PLC0415 - the same
    from cinder.common import config  # noqa: PLC0415 - the same
    from cinder.image import glance, image_utils  # noqa: PLC0415 - the same
    from cinder.volume import api, driver  # noqa: PLC0415 - the same

    fields = attrs.fields_dict(Config)
    default = (
        *context.context_opts,
        *glance.image_opts,
        *image_utils.image_opts,
        *config.compression_opts,
        api.allow_force_upload_opt,
    )
    return (
        [opt for opt in default if opt.name in fields],
        [opt for opt in driver.image_opts if opt.name in fields],
    )
