"""Cinder's own options, as a `Config`."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import attrs
from oslo_config import cfg

from clonepolicy import Config, FactError
from clonepolicy.adapters.cinder._options import (
    GROUP,
    non_empty,
    read_option,
    register_opts,
)

_ALL_BACKENDS = "backend_defaults"
_ENABLED = "enabled_backends"
_OWN = ("trusted_projects", "trusted_image_pools")
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
    values |= {name: read_option(conf, GROUP, name) for name in _OWN}
    for name in ("allowed_direct_url_schemes", *_OWN):
        values[name] = non_empty(values[name])
    for name in _INTERNAL_TENANT:
        values[name] = values[name] or None  # as Cinder reads an empty one
    for opt in backend:
        # None: the driver does not know the option, which Cinder reads as no
        value = configuration.safe_get(opt.name)
        values[opt.name] = False if value is None else value
    return Config(**values)


def config_from_files(
    paths: Iterable[str | os.PathLike[str]], backend: str
) -> Config:
    """Read a backend's options from cinder.conf files.

    The options of the running process are neither read nor changed.

    Args:
        paths: the files; a later file overrides an earlier one.
        backend: one of ``enabled_backends``.  Its group overrides
            ``[backend_defaults]``.

    Raises:
        FactError: a file cannot be read, the backend is not enabled, or an
            option has an invalid value.
    """
    conf = cfg.ConfigOpts()
    files = [os.fspath(path) for path in paths]
    try:
        conf(
            [],
            default_config_files=files,
            default_config_dirs=[],
            use_env=False,
        )
    except (OSError, UnicodeError, cfg.Error) as error:
        expected = f"cinder.conf files that can be read ({error})"
        raise FactError("paths", files, expected) from error
    _, opts = _known_options()
    conf.register_opt(cfg.ListOpt(_ENABLED))
    enabled = read_option(conf, None, _ENABLED) or []
    if backend not in enabled:
        expected = f"one of enabled_backends, {', '.join(enabled) or 'none'}"
        raise FactError("backend", backend, expected)
    return config_from(conf, _BackendGroup(conf, backend, opts))


class _BackendGroup:
    """A backend's options, as `cinder.volume.configuration` reads them."""

    def __init__(
        self, conf: cfg.ConfigOpts, group: str, opts: list[cfg.Opt]
    ) -> None:
        self._conf = conf
        self._group = group
        for each in (_ALL_BACKENDS, group):
            conf.register_opts(opts, group=each)
        for opt in opts:
            # None then means that the group does not set the option
            conf.set_default(opt.name, None, group=group)

    def safe_get(self, name: str) -> Any:
        value = read_option(self._conf, self._group, name)
        if value is None:
            value = read_option(self._conf, _ALL_BACKENDS, name)
        return value


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
