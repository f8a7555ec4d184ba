"""Fixtures for the tests with OpenStack's own packages.

The nox session ``openstack`` installs the packages of the dependency group
``openstack``.  Without them every module here is skipped, and says so.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from glance_proxy import open_proxy, proxy
from glance_server import cinder, glance, open_glance

__all__ = ["cinder", "glance", "open_glance", "open_proxy", "proxy"]


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str], Path]:
    """Return a function that writes a configuration file."""

    def write(text: str) -> Path:
        path = tmp_path / "cinder.conf"
        path.write_text(text)
        return path

    return write
