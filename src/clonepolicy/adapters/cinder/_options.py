"""The options in cinder.conf: ``[clonepolicy]`` and Cinder's own."""

from __future__ import annotations

import copy
import math
import os
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from types import SimpleNamespace
from typing import Any

import attrs
from oslo_config import cfg

from clonepolicy import POLICIES, SAFE, Config, FactError, GlanceStore
from clonepolicy.policy import Policy

GROUP = "clonepolicy"
_READ_ONLY = ":ro"
_ALL_BACKENDS = "backend_defaults"
_ENABLED = "enabled_backends"
_OWN = ("trusted_projects", "trusted_image_pools")
_INTERNAL_TENANT = (
    "cinder_internal_tenant_project_id",
    "cinder_internal_tenant_user_id",
)


class Mode(StrEnum):
    """Whether decisions are carried out."""

    ENFORCE = "enforce"
    """Carry out every decision."""
    SHADOW = "shadow"
    """Log every decision, and let Cinder decide."""


class Notes(StrEnum):
    """What to do with the notes of a clone or a registration."""

    LOG = "log"
    IGNORE = "ignore"
    DECLINE = "decline"
    """Log the notes, and copy the data instead."""


@attrs.frozen(kw_only=True)
class Settings:
    """The values of the options of ``[clonepolicy]``, under their names."""

    policy: Policy = SAFE
    mode: Mode = Mode.ENFORCE
    notes: Notes = Notes.LOG
    trusted_projects: frozenset[str] = frozenset()
    trusted_image_pools: frozenset[str] = frozenset()
    download_image_restricted: bool = False
    user_messages: bool = False
    show_multiple_locations: bool = False
    set_image_location_restricted: bool = False
    glance_stores: tuple[GlanceStore, ...] = ()
    allow_unverified_cinder: bool = False
    clone_weight_multiplier: float = 2.0


_HELP = {
    "policy": f"The policy that decides: {', '.join(POLICIES)}, or the "
    "dotted path of a clonepolicy.policy.Policy.",
    "mode": "Whether decisions are carried out.",
    "notes": "What to do with the notes of a clone or a registration. A note "
    "is a warning that does not change the policy's decision.",
    "trusted_projects": "IDs of projects in which no user has a role, such as "
    "the projects of Glance's cinder stores. A volume in such a project is "
    "cloned if its metadata image_owner names the image's owner. Cinder's "
    "internal tenant is always trusted.",
    "trusted_image_pools": "RBD pools, or directories, to which only Glance "
    "writes.",
    "download_image_restricted": "Set this to true if Glance's policy "
    "download_image is narrower than its default. Before an image is cloned, "
    "Glance is then asked whether the requester may download it.",
    "user_messages": "Write a user message (GET /v3/messages) that says why "
    "a volume or an image was not made. Set this to true only if "
    "osapi_volume_extension of every cinder-api also has the value "
    "clonepolicy.adapters.cinder.register_messages: without it users read "
    "that an unknown error occurred.",
    "show_multiple_locations": "Set this to true if a glance-api that Cinder "
    "or users reach has show_multiple_locations = True in its "
    "glance-api.conf.",
    "set_image_location_restricted": "Set this to true if Glance's policy "
    "set_image_location is narrower than its default. If Glance has no "
    "locations API, no image volume is then registered.",
    "glance_stores": "The cinder stores among Glance's enabled_backends, each "
    "as id=volume_type, or id=volume_type:ro if the store is read-only. The "
    "volume type is the store's cinder_volume_type; if that is not set, "
    "Cinder's default type.",
    "allow_unverified_cinder": "Start although the code of the installed "
    "Cinder differs from every version that this package was verified with. "
    "What differs is logged as a warning at each start.",
    "clone_weight_multiplier": "Multiplier for the weight that CloneWeigher "
    "gives to pools where the policy would clone. It has an effect only if "
    "scheduler_default_weighers contains CloneWeigher. The multiplier of "
    "free space is capacity_weight_multiplier.",
}


_CHOICES: Mapping[StrEnum, str] = {
    Mode.ENFORCE: "Carry out every decision.",
    Mode.SHADOW: "Log every decision, and let Cinder decide.",
    Notes.LOG: "Log notes.",
    Notes.IGNORE: "Do not log notes.",
    Notes.DECLINE: "Log notes, and copy the data instead.",
}


def _option(field: attrs.Attribute[Any]) -> cfg.Opt:
    """Make the option of a field of `Settings`."""
    name, value, text = field.name, field.default, _HELP[field.name]
    if isinstance(value, bool):
        return cfg.BoolOpt(name, default=value, help=text)
    if isinstance(value, float):
        return cfg.FloatOpt(name, default=value, help=text)
    if isinstance(value, (frozenset, tuple)):
        return cfg.ListOpt(name, default=list(value), help=text)
    choices = None
    if isinstance(value, StrEnum):
        choices = [(str(each), _CHOICES[each]) for each in type(value)]
    default = value.name if isinstance(value, Policy) else str(value)
    return cfg.StrOpt(name, default=default, choices=choices, help=text)


OPTS = [_option(field) for field in attrs.fields(Settings)]


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """Return the options to oslo-config-generator."""
    return [(GROUP, copy.deepcopy(OPTS))]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register the options of ``[clonepolicy]``; may be repeated."""
    conf.register_opts(OPTS, group=GROUP)


def settings_from(conf: cfg.ConfigOpts) -> Settings:
    """Read ``[clonepolicy]``, and register its options if needed.

    Raises:
        FactError: an option has an invalid value, or its policy cannot be
            imported.
    """
    register_opts(conf)
    values = {opt.name: read_option(conf, GROUP, opt.name) for opt in OPTS}
    for name, convert in _CONVERTERS.items():
        values[name] = convert(values[name])
    return Settings(**values)


def read_option(conf: cfg.ConfigOpts, group: str | None, name: str) -> Any:
    """Read an option; group None is ``[DEFAULT]``.

    Raises:
        FactError: its value is invalid.
    """
    try:
        return conf[name] if group is None else conf[group][name]
    except (cfg.Error, ValueError) as error:
        # the context contains the value, or the option that it refers to
        why = str(error.__context__ or error)
        field = f"[{group or 'DEFAULT'}] {name}"
        raise FactError(field, why, "a valid value") from error


def is_set(conf: cfg.ConfigOpts, name: str) -> bool:
    """Return whether an option of ``[clonepolicy]`` is set anywhere."""
    found = conf.get_location(name, GROUP)
    return (
        found is not None and found.location is not cfg.Locations.opt_default
    )


def non_empty(values: Iterable[str]) -> frozenset[str]:
    """Return the texts of a list option without the empty ones.

    A slash at the end of a path is removed, because locations name
    directories without it.
    """
    return frozenset(
        (value.rstrip("/") or "/") if value.startswith("/") else value
        for value in values
        if value
    )


def _policy(name: str) -> Policy:
    try:
        found = POLICIES.get(name) or pkgutil.resolve_name(name)
        if isinstance(found, Policy):
            return found
        why = f"{name} is a {type(found).__name__}"
    except Exception as error:  # noqa: BLE001 - importing may raise anything
        why = type(error).__name__
    known = ", ".join(POLICIES)
    kind = "clonepolicy.policy.Policy"
    expected = f"{known} or the dotted path of a {kind} ({why})"
    raise FactError(f"[{GROUP}] policy", name, expected)


def _stores(entries: Iterable[str]) -> tuple[GlanceStore, ...]:
    stores: dict[str, GlanceStore] = {}
    for entry in entries:
        store_id, _, kind = entry.partition("=")
        volume_type = kind.removesuffix(_READ_ONLY)
        if not store_id or not volume_type or store_id in stores:
            expected = "id=volume_type or id=volume_type:ro, each id once"
            raise FactError(f"[{GROUP}] glance_stores", entry, expected)
        stores[store_id] = GlanceStore(
            id=store_id,
            cinder_volume_type=volume_type,
            read_only=kind.endswith(_READ_ONLY),
        )
    return tuple(stores.values())


def _finite(value: float) -> float:
    if not math.isfinite(value):
        field = f"[{GROUP}] clone_weight_multiplier"
        raise FactError(field, value, "a finite number")
    return value


_CONVERTERS: Mapping[str, Callable[[Any], object]] = {
    "policy": _policy,
    "mode": Mode,
    "notes": Notes,
    "trusted_projects": non_empty,
    "trusted_image_pools": non_empty,
    "glance_stores": _stores,
    "clone_weight_multiplier": _finite,
}


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
        # None: the driver does not know the option; the default is off
        value = configuration.safe_get(opt.name)
        values[opt.name] = opt.default if value is None else value
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
    for group in (_ALL_BACKENDS, backend):
        conf.register_opts(opts, group=group)
    for opt in opts:
        # None then means that the group does not set the option
        conf.set_default(opt.name, None, group=backend)

    def safe_get(name: str) -> Any:
        value = read_option(conf, backend, name)
        inherits = value is None
        return read_option(conf, _ALL_BACKENDS, name) if inherits else value

    return config_from(conf, SimpleNamespace(safe_get=safe_get))


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
