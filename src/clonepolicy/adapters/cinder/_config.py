"""Our own options, and Cinder's, as records."""

from __future__ import annotations

import copy
import os
import pkgutil
from collections.abc import Iterable
from enum import StrEnum
from typing import Any

import attrs
from oslo_config import cfg

from clonepolicy import (
    CINDER_29,
    LIBERTY,
    SAFE,
    Config,
    FactError,
    GlanceStore,
    Policy,
)

GROUP = "clonepolicy"
_POLICIES = {"SAFE": SAFE, "LIBERTY": LIBERTY, "CINDER_29": CINDER_29}
_READ_ONLY = ":ro"
_SHARED = "backend_defaults"
_ENABLED = "enabled_backends"
_INTERNAL_TENANT = (
    "cinder_internal_tenant_project_id",
    "cinder_internal_tenant_user_id",
)


class Mode(StrEnum):
    """Whether a decision is carried out."""

    ENFORCE = "enforce"
    SHADOW = "shadow"
    """Decide, say where Cinder does otherwise, and let Cinder act."""


class Notes(StrEnum):
    """What becomes of a clone or registration that a note warns of."""

    LOG = "log"
    IGNORE = "ignore"
    DECLINE = "decline"
    """It is not taken."""


@attrs.frozen(kw_only=True)
class Settings:
    """The options of ``[clonepolicy]``, each by its name there."""

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
            (str(Mode.ENFORCE), "Decisions are carried out."),
            (
                str(Mode.SHADOW),
                "Decisions are logged, and Cinder acts.",
            ),
        ],
        help="Whether decisions are carried out.",
    ),
    cfg.StrOpt(
        "notes",
        default=str(Notes.LOG),
        choices=[
            (str(Notes.LOG), "Notes are logged."),
            (str(Notes.IGNORE), "Notes are not logged."),
            (
                str(Notes.DECLINE),
                "A clone or a registration with a note is not taken.",
            ),
        ],
        help="What to do with notes, which warn of something that forbids "
        "nothing.",
    ),
    cfg.ListOpt(
        "trusted_projects",
        default=[],
        help="IDs of the projects whose volumes no tenant can write: those "
        "of Glance's cinder stores. Cinder's internal tenant is always one.",
    ),
    cfg.ListOpt(
        "trusted_image_pools",
        default=[],
        help="RBD pools, or directories, that only Glance writes.",
    ),
    cfg.BoolOpt(
        "download_image_restricted",
        default=False,
        help="Set it when Glance's download_image policy is narrower than "
        "its default. Glance is then asked, as the requester, for the first "
        "byte of an image before it is cloned.",
    ),
    cfg.BoolOpt(
        "user_messages",
        default=True,
        help="Tell users by a message (GET /v3/messages) why their volume "
        "or image was not made by a clone.",
    ),
    cfg.BoolOpt(
        "show_multiple_locations",
        default=False,
        help="What glance-api.conf says under this name, for the glance-api "
        "that users reach.",
    ),
    cfg.ListOpt(
        "glance_stores",
        default=[],
        help="The cinder stores of Glance's enabled_backends, each as "
        "id=volume_type, or id=volume_type:ro if it is read-only. The volume "
        "type is the store's cinder_volume_type, or Cinder's default type.",
    ),
]


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """Give the options to oslo-config-generator."""
    return [(GROUP, copy.deepcopy(OPTS))]


def register_opts(conf: cfg.ConfigOpts) -> None:
    """Register the options of ``[clonepolicy]``, as often as one likes."""
    conf.register_opts(OPTS, group=GROUP)


def settings_from(conf: cfg.ConfigOpts) -> Settings:
    """Read ``[clonepolicy]``, registering it if need be.

    Raises:
        FactError: an option is not what it should be, or its policy cannot
            be found.
    """
    register_opts(conf)
    told = {opt.name: _value(conf, GROUP, opt.name) for opt in OPTS}
    return Settings(
        policy=_policy(told["policy"]),
        mode=Mode(told["mode"]),
        notes=Notes(told["notes"]),
        trusted_projects=_texts(told["trusted_projects"]),
        trusted_image_pools=_texts(told["trusted_image_pools"]),
        download_image_restricted=told["download_image_restricted"],
        user_messages=told["user_messages"],
        show_multiple_locations=told["show_multiple_locations"],
        glance_stores=_stores(told["glance_stores"]),
    )


def config_from(
    conf: cfg.ConfigOpts,
    configuration: Any,
) -> Config:
    """Read what bears on cloning, registering the options if need be.

    Args:
        conf: the options of cinder.conf and of ``[clonepolicy]``.
        configuration: the backend's, as a driver has it.

    Raises:
        FactError: an option is not what it should be.
    """
    register_opts(conf)
    opts = _cinder_opts()
    conf.register_opts(opts.default)
    told = {opt.name: _value(conf, None, opt.name) for opt in opts.default}
    schemes = told.pop("allowed_direct_url_schemes")
    for opt in opts.backend:
        # None is of a driver that does not know it, which Cinder takes for no
        value = configuration.safe_get(opt.name)
        told[opt.name] = False if value is None else value
    for name in _INTERNAL_TENANT:
        told[name] = told[name] or None  # as Cinder takes an empty one
    return Config(
        **told,
        allowed_direct_url_schemes=_texts(schemes),
        trusted_projects=_texts(_value(conf, GROUP, "trusted_projects")),
        trusted_image_pools=_texts(_value(conf, GROUP, "trusted_image_pools")),
    )


def config_from_files(
    paths: Iterable[str | os.PathLike[str]], backend: str
) -> Config:
    """Read cinder.conf files, later ones over earlier ones, for a backend.

    The options of a running service are neither read nor touched.

    Args:
        paths: the files; directories are not looked for.
        backend: one of ``enabled_backends``, whose group counts over
            ``[backend_defaults]``.

    Raises:
        FactError: a file cannot be read, the backend is not enabled, or an
            option is not what it should be.
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
    conf.register_opts(_cinder_opts().enabled_backends)
    enabled = _value(conf, None, _ENABLED) or []
    if backend not in enabled:
        expected = f"one of enabled_backends, {', '.join(enabled) or 'none'}"
        raise FactError("backend", backend, expected)
    return config_from(conf, _Backend(conf, backend))


class _Backend:
    """What `cinder.volume.configuration` does, on options of our own."""

    def __init__(self, conf: cfg.ConfigOpts, group: str) -> None:
        self._conf = conf
        self._group = group
        opts = _cinder_opts().backend
        for each in (_SHARED, group):
            conf.register_opts(opts, group=each)
        for opt in opts:
            # so that what is not set there can be told
            conf.set_default(opt.name, None, group=group)

    def safe_get(self, name: str) -> Any:
        value = _value(self._conf, self._group, name)
        return _value(self._conf, _SHARED, name) if value is None else value


@attrs.frozen
class _CinderOpts:
    """Cinder's own options, as far as they bear on cloning."""

    default: list[cfg.Opt]
    backend: list[cfg.Opt]
    enabled_backends: list[cfg.Opt]


def _cinder_opts() -> _CinderOpts:
    from cinder import objects  # noqa: PLC0415 - to list our own options needs none of it

    objects.register_all()  # before the API below, which names its classes
    from cinder import context  # noqa: PLC0415 - the same
    from cinder.common import config  # noqa: PLC0415 - the same
    from cinder.image import glance, image_utils  # noqa: PLC0415 - the same
    from cinder.volume import api, driver  # noqa: PLC0415 - the same

    known = (
        *context.context_opts,
        *glance.image_opts,
        *image_utils.image_opts,
        *config.compression_opts,
        api.allow_force_upload_opt,
    )
    fields = attrs.fields_dict(Config)
    return _CinderOpts(
        default=[opt for opt in known if opt.name in fields],
        backend=[opt for opt in driver.image_opts if opt.name in fields],
        enabled_backends=[
            opt for opt in config.global_opts if opt.name == _ENABLED
        ],
    )


def _value(conf: cfg.ConfigOpts, group: str | None, name: str) -> Any:
    try:
        return conf[name] if group is None else conf[group][name]
    except (cfg.Error, ValueError) as error:
        # the context tells the value, or the option that it refers to
        why = str(error.__context__ or error)
        field = f"[{group or 'DEFAULT'}] {name}"
        raise FactError(field, why, "a valid value") from error


def _texts(values: Iterable[str]) -> frozenset[str]:
    return frozenset(filter(None, values))


def _policy(name: str) -> Policy:
    try:
        found = _POLICIES.get(name) or pkgutil.resolve_name(name)
    except Exception as error:
        raise _no_policy(name, type(error).__name__) from error
    if not isinstance(found, Policy):
        raise _no_policy(name, f"a {type(found).__name__} is there")
    return found


def _no_policy(name: str, why: str) -> FactError:
    known = ", ".join(_POLICIES)
    expected = f"{known} or the dotted path of a clonepolicy.Policy ({why})"
    return FactError(f"[{GROUP}] policy", name, expected)


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
