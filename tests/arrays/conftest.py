"""What the tests with real arrays share: they take a session of their own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave them out, visibly, where nobody installed what they take."""
    if os.environ.get("CLONEPOLICY_ARRAYS"):
        return
    elsewhere = pytest.mark.skip(reason="nox -s arrays runs these")
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(elsewhere)
