"""Profiles for hypothesis, and the examples in the documents as tests."""

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser, SkipParser

settings.register_profile(
    "default",
    max_examples=100,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile(
    "deep", settings.get_profile("default"), max_examples=1000
)
settings.register_profile(
    "few", settings.get_profile("default"), max_examples=20
)
settings.load_profile(os.environ.get("CLONEPOLICY_PROFILE", "default"))

ARRAYS = Path(__file__).parent / "tests" / "arrays"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave the tests with real arrays to their own session, visibly."""
    if os.environ.get("CLONEPOLICY_ARRAYS"):
        return
    elsewhere = pytest.mark.skip(reason="nox -s arrays runs these")
    for item in items:
        if ARRAYS in item.path.parents:
            item.add_marker(elsewhere)


pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser(), SkipParser()],
    patterns=["README.md", "docs/*.md", "docs/*/*.md"],
).pytest()
