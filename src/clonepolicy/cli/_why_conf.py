"""``--cinder-conf``: what a file tells that no API does."""

from __future__ import annotations

from pathlib import Path

from clonepolicy.adapters.conf import CinderConf, files_of
from clonepolicy.adapters.openstack import BackendFile, Gatherer

_NAME = "cinder.conf"


def use_file(gatherer: Gatherer, text: str) -> None:
    """Have a gatherer read ``FILE`` or ``FILE:BACKEND``.

    Raises:
        FactError: the file cannot be read, the backend is not enabled in it,
            or an option has an invalid value.
    """
    path, colon, backend = text.rpartition(":")
    if not colon or Path(text).exists():
        path, backend = text, ""
    conf = CinderConf(files_of(path, _NAME))
    known = {
        name: BackendFile(
            config=conf.config(name),
            driver=str(conf.value("volume_driver", name).value),
        )
        for name in ([backend] if backend else conf.backends)
    }
    only = next(iter(known.values())) if len(known) == 1 else None

    def of_backend(name: str | None) -> BackendFile | None:
        if backend or name is None:
            return only
        return known.get(name)

    gatherer.file = of_backend
    in_glance = {
        each.name: each.text
        for each in conf.assignments
        if each.group.lower() == "glance"
    }
    if "auth_type" not in in_glance and "auth_plugin" not in in_glance:
        gatherer.glance_user = ""
    else:
        gatherer.glance_user = in_glance.get("username")
