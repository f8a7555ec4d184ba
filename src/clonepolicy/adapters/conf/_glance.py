"""What the glance-api.conf files of one host say."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

import attrs

from clonepolicy import GlanceConfig, GlanceStore
from clonepolicy.adapters.conf._options import GLANCE
from clonepolicy.adapters.conf._read import ConfFiles, files_of

SINGLE = "glance_store"
"""The group of the only store, without ``enabled_backends``."""
_CINDER = frozenset({"cinder", "glance.store.cinder.Store"})
_READ_ONLY = frozenset({"http", "https"})
_PASSWORD = (
    "cinder_store_user_name",
    "cinder_store_password",
    "cinder_store_project_name",
    "cinder_store_auth_address",
)
_APPLICATION = (
    "cinder_store_application_credential_id",
    "cinder_store_application_credential_secret",
    "cinder_store_auth_address",
)


class GlanceConf(ConfFiles):
    """The glance-api.conf of one host, with the files that come with it."""

    def __init__(self, paths: Iterable[str | os.PathLike[str]]) -> None:
        """Read the files; a later one overrides an earlier one.

        Raises:
            FactError: a file cannot be read.
        """
        super().__init__([*paths], GLANCE)

    @property
    def multi_store(self) -> bool:
        """Whether ``enabled_backends`` is set."""
        return bool(self.value("enabled_backends").value)

    @property
    def stores(self) -> dict[str, str]:
        """Each store's group, and its kind, such as ``cinder``."""
        enabled = self.value("enabled_backends").value
        if isinstance(enabled, dict) and enabled:
            return enabled
        listed = self.value("stores", SINGLE).value
        kinds = listed if isinstance(listed, tuple) else ()
        return {SINGLE: "cinder"} if _CINDER & {*kinds} else {}

    @property
    def cinder_stores(self) -> tuple[str, ...]:
        """The groups of the stores of kind ``cinder``."""
        return tuple(g for g, kind in self.stores.items() if kind == "cinder")

    def missing_credentials(self, store: str) -> tuple[str, ...]:
        """Return the options without which Glance uses a caller's token."""
        pair = _APPLICATION[:2]
        wanted = (
            _APPLICATION
            if all(self.value(name, store).value for name in pair)
            else _PASSWORD
        )
        return tuple(n for n in wanted if not self.value(n, store).value)

    def facts(self) -> dict[str, Any]:
        """Return the fields of `clonepolicy.GlanceConfig` that files tell."""
        stores = tuple(
            GlanceStore(
                id=store,
                cinder_volume_type=_text(
                    self.value("cinder_volume_type", store).value
                ),
            )
            for store in (self.cinder_stores if self.multi_store else ())
        )
        shows = self.value("show_multiple_locations").value
        return {"show_multiple_locations": shows, "stores": stores}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def glance_config_from_file(
    path: str | os.PathLike[str], known: GlanceConfig | None = None
) -> GlanceConfig:
    """Read what Glance offers from a glance-api.conf, as far as it tells.

    Args:
        path: the file, or its folder.  The files of ``glance-api.conf.d``
            next to it are read, too.
        known: what else is known; what no file tells stays as it is there.

    Raises:
        FactError: a file cannot be read, or an option has an invalid value.
    """
    conf = GlanceConf(files_of(path, "glance-api.conf"))
    return attrs.evolve(known or GlanceConfig(), **conf.facts())
