"""The options of ``[clonepolicy]`` in cinder.conf."""

from __future__ import annotations

import copy
import math
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Any

import attrs
from oslo_config import cfg

from clonepolicy import POLICIES, SAFE, FactError, GlanceStore
from clonepolicy.policy import Policy

GROUP = "clonepolicy"
INTO_CONFIG = ("trusted_projects", "trusted_image_pools")
"""Those that are fields of `clonepolicy.Config`."""
_READ_ONLY = ":ro"


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
