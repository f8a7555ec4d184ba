"""Distributions that offer arrays, working and broken ones."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from clonepolicy.ports import ARRAY_BACKENDS

MODULES = {
    "stranger": """
from clonepolicy import (Backend, CloneKind)

API_VERSION = 1
CAPABILITIES = Backend()


class Good:
    API_VERSION = 1
    CAPABILITIES = Backend(
        can_clone=True,
        clone_kind=CloneKind.COPY_ON_WRITE,
        clone_limit=255,
        image_schemes=frozenset({"rbd", "file"}),
    )


class Bad(Good):
    CAPABILITIES = Backend(can_clone=False, can_extend=True)


class Newer(Good):
    API_VERSION = 99


class Ancient(Good):
    API_VERSION = 0


class Flag(Good):
    API_VERSION = True


class Silent:
    API_VERSION = 1
""",
    "stranger_raises": "raise RuntimeError('no\\nlibrary')",
    "stranger_exits": "import sys; sys.exit(3)",
}

OFFERED = {
    "good": "stranger:Good",
    "bad": "stranger:Bad",
    "newer": "stranger:Newer",
    "ancient": "stranger:Ancient",
    "flag": "stranger:Flag",
    "silent": "stranger:Silent",
    "module": "stranger",
    "missing": "stranger:Missing",
    "raises": "stranger_raises:Good",
    "exits": "stranger_exits:Good",
    "twin": "stranger:Good",
    "same": "stranger:Good",
}

PROBLEMS = {
    "newer": "Newer is 99, which is newer than 1, the newest supported; "
    "upgrade clonepolicy",
    "ancient": "Ancient is 0, which is older than 1, the oldest "
    "supported; upgrade the adapter",
    "flag": "API_VERSION of Flag: expected a whole number, got True",
    "silent": "CAPABILITIES of Silent: expected a Backend, got None",
    "module": "expected a class of arrays; name one in the entry point",
    "missing": "stranger:Missing cannot be loaded: AttributeError: ",
    "raises": "cannot be loaded: RuntimeError: no library",
    "exits": "cannot be loaded: SystemExit: 3",
    "twin": "several distributions offer an array backend 'twin': "
    "stranger:Bad, stranger:Good; uninstall all but one",
}
"""The problem of each array that cannot be used."""


def _distribution(place: Path, name: str, points: Mapping[str, str]) -> None:
    """Install a distribution, as pip does."""
    info = place / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
    )
    lines = [f"{point} = {target}" for point, target in points.items()]
    (info / "entry_points.txt").write_text(
        "\n".join([f"[{ARRAY_BACKENDS}]", *lines, ""])
    )


@pytest.fixture
def strangers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install two distributions that offer all of these arrays."""
    for name, text in MODULES.items():
        (tmp_path / f"{name}.py").write_text(text)
    _distribution(tmp_path, "x", OFFERED)
    _distribution(
        tmp_path, "y", {"twin": "stranger:Bad", "same": "stranger:Good"}
    )
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path
