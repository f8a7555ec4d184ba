"""The options of ``[clonepolicy]`` in cinder.conf."""

from __future__ import annotations

import copy
import pkgutil
from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Any

import attrs
from oslo_config import cfg

from clonepolicy import CINDER_29, LIBERTY, SAFE, FactError, GlanceStore
from clonepolicy.policy import Policy

GROUP = "clonepolicy"
_POLICIES = {"SAFE": SAFE, "LIBERTY": LIBERTY, "CINDER_29": CINDER_29}
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
    """Copy the data instead of cloning."""


@attrs.frozen(kw_only=True)
class Settings:
    """The values of the options of ``[clonepolicy]``, under their names."""

    policy: Policy = SAFE
    mode: Mode = Mode.ENFORCE
    notes: Notes = Notes.LOG
    trusted_projects: frozenset[str] = frozenset()
    trusted_image_pools: frozenset[str] = frozenset()
    download_image_restricted: bool = False
    user_messages: bool = True
    show_multiple_locations: bool = False
    glance_stores: tuple[GlanceStore, ...] = ()


OPTS = [
    cfg.StrOpt(
        "policy",
        default="SAFE",
        help="The policy that decides: SAFE, LIBERTY, CINDER_29, or the "
        "dotted path of a clonepolicy.Policy.",
    ),
    cfg.StrOpt(
        "mode",
        default=str(Mode.ENFORCE),
        choices=[
            (str(Mode.ENFORCE), "Carry out every decision."),
            (str(Mode.SHADOW), "Log every decision, and let Cinder decide."),
        ],
        help="Whether decisions are carried out.",
    ),
    cfg.StrOpt(
        "notes",
        default=str(Notes.LOG),
        choices=[
            (str(Notes.LOG), "Log notes."),
            (str(Notes.IGNORE), "Do not log notes."),
            (str(Notes.DECLINE), "Copy the data instead of cloning."),
        ],
        help="What to do with notes. A note is a warning that does not "
        "change the verdict.",
    ),
    cfg.ListOpt(
        "trusted_projects",
        default=[],
        help="IDs of projects whose volumes no tenant can write: the "
        "projects of Glance's cinder stores. Cinder's internal tenant is "
        "always trusted.",
    ),
    cfg.ListOpt(
        "trusted_image_pools",
        default=[],
        help="RBD pools, or directories, that only Glance writes.",
    ),
    cfg.BoolOpt(
        "download_image_restricted",
        default=False,
        help="Set this to true if Glance's policy download_image is "
        "narrower than its default. Before an image is cloned, Glance is "
        "then asked whether the requester may download it.",
    ),
    cfg.BoolOpt(
        "user_messages",
        default=True,
        help="Write a user message (GET /v3/messages) that says why a "
        "volume or an image was not made by a clone.",
    ),
    cfg.BoolOpt(
        "show_multiple_locations",
        default=False,
        help="The value of this option in glance-api.conf of the glance-api "
        "that users reach.",
    ),
    cfg.ListOpt(
        "glance_stores",
        default=[],
        help="The cinder stores among Glance's enabled_backends, each as "
        "id=volume_type, or id=volume_type:ro if the store is read-only. The "
        "volume type is the store's cinder_volume_type; if that is not set, "
        "Cinder's default type.",
    ),
]


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


def non_empty(values: Iterable[str]) -> frozenset[str]:
    """Return the texts of a list option without the empty ones."""
    return frozenset(filter(None, values))


def _policy(name: str) -> Policy:
    try:
        found = _POLICIES.get(name) or pkgutil.resolve_name(name)
        if isinstance(found, Policy):
            return found
        why = f"{name} is a {type(found).__name__}"
    except Exception as error:  # noqa: BLE001 - importing may raise anything
        why = type(error).__name__
    known = ", ".join(_POLICIES)
    expected = f"{known} or the dotted path of a clonepolicy.Policy ({why})"
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


_CONVERTERS: Mapping[str, Callable[[Any], object]] = {
    "policy": _policy,
    "mode": Mode,
    "notes": Notes,
    "trusted_projects": non_empty,
    "trusted_image_pools": non_empty,
    "glance_stores": _stores,
}
