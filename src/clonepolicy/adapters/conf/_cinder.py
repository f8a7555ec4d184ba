"""What the cinder.conf files of one host say."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import attrs
from oslo_config import cfg

from clonepolicy import Config, FactError
from clonepolicy.adapters.conf._options import (
    BACKEND,
    CINDER,
    Kind,
    Option,
)
from clonepolicy.adapters.conf._own import GROUP, INTO_CONFIG, OPTS, non_empty
from clonepolicy.adapters.conf._read import ConfFiles, files_of

_TENANT = (
    "cinder_internal_tenant_project_id",
    "cinder_internal_tenant_user_id",
)
_KINDS = {cfg.BoolOpt: Kind.BOOL, cfg.ListOpt: Kind.LIST}


def _own(opt: cfg.Opt) -> Option:
    """Make a row of an option of ``[clonepolicy]``."""
    default = opt.default
    if isinstance(default, list):
        default = tuple(default)
    return Option(GROUP, opt.name, _KINDS.get(type(opt), Kind.STR), default)


_TABLE = (*CINDER, *map(_own, OPTS))


class CinderConf(ConfFiles):
    """The cinder.conf of one host, with the files that come with it."""

    def __init__(self, paths: Iterable[str | os.PathLike[str]]) -> None:
        """Read the files; a later one overrides an earlier one.

        Raises:
            FactError: a file cannot be read.
        """
        super().__init__([*paths], _TABLE)

    @property
    def backends(self) -> tuple[str, ...]:
        """The ``enabled_backends``, each once."""
        enabled = self.value("enabled_backends").value
        names = enabled if isinstance(enabled, tuple) else ()
        return tuple(dict.fromkeys(filter(None, names)))

    def config(self, backend: str) -> Config:
        """Return what decides about one backend.

        Raises:
            FactError: the backend is not enabled, or an option has an
                invalid value.
        """
        if backend not in self.backends:
            known = ", ".join(self.backends) or "none"
            expected = f"one of enabled_backends, {known}"
            raise FactError("backend", backend, expected)
        fields = attrs.fields_dict(Config)
        values: dict[str, Any] = {}
        for row in _TABLE:
            if row.name in fields:
                group = backend if row.group == BACKEND else row.group
                values[row.name] = self.value(row.name, group).value
        for name in ("allowed_direct_url_schemes", *INTO_CONFIG):
            values[name] = non_empty(values[name])
        for name in _TENANT:
            values[name] = values[name] or None  # as Cinder reads an empty one
        return Config(**values)


def config_from_file(path: str | os.PathLike[str], backend: str) -> Config:
    """Read a backend's options from a cinder.conf.

    Args:
        path: the file, or its folder.  The files of ``cinder.conf.d`` next
            to it are read, too.
        backend: one of ``enabled_backends``.  Its group overrides
            ``[backend_defaults]``.

    Raises:
        FactError: a file cannot be read, the backend is not enabled, or an
            option has an invalid value.
    """
    return CinderConf(files_of(path, "cinder.conf")).config(backend)
