"""The options that are shipped as data are those of the services.

Each installed release is held to the table, in the environments of ``nox -s
releases``.
"""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("cinder", reason="needs Cinder: nox -s openstack")
pytest.importorskip("glance", reason="needs Glance: nox -s openstack")

from clonepolicy.adapters.conf import CINDER, GLANCE, RELEASES, Kind, Option

PROGRAM = Path(__file__).with_name("registered_options.py")
KINDS = {
    "BoolOpt": Kind.BOOL,
    "IntOpt": Kind.INT,
    "ListOpt": Kind.LIST,
    "DictOpt": Kind.DICT,
}
"""Any other is a text."""
OF_THE_HOST = {"host", "my_ip"}
"""Their defaults are the host's own name and address."""


@cache
def registered(service: str) -> dict[str, Any]:
    """Return the options of an installed service."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(PROGRAM), service],
        check=True,
        capture_output=True,
        text=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def release_of(service: str) -> str:
    """Return the release of an installed service."""
    major = int(metadata.version(service).partition(".")[0])
    at = ("cinder", "glance").index(service)
    return next(n for n, both in RELEASES.items() if both[at] == major)


@pytest.mark.parametrize(
    ("service", "row"),
    [
        pytest.param(service, row, id=f"{service}-{row.name}")
        for service, rows in (("cinder", CINDER), ("glance", GLANCE))
        for row in rows
    ],
)
def test_an_option_of_the_table_is_the_services_own(
    service: str, row: Option
) -> None:
    """It has its name, type, default and old names from its release on."""
    found = registered(service).get(row.name)
    if release_of(service) < row.since:
        assert found is None
        return
    assert found is not None
    if row.name not in OF_THE_HOST:
        assert found["default"] == json.loads(json.dumps(row.default))
    assert KINDS.get(found["kind"], Kind.STR) == row.kind
    if row.choices:
        assert found["choices"] == [*row.choices]
    # a group of its own is the option's
    assert {name.rpartition(".")[2] for name in found["old_names"]} == {
        name for _, name in row.old_names
    }
