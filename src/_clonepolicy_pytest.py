"""The plugin's door: pytest loads it for everybody, so it loads nothing.

It lies outside the package, so that pytest does not import that before
those who measure its coverage have begun.
"""

from __future__ import annotations

import typing

if typing.TYPE_CHECKING:
    import pytest

KINDS = ("array", "image-service", "volume-service")
"""The kinds of bench, each with an option."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("clonepolicy", "certify adapters")
    for kind in KINDS:
        group.addoption(
            f"--clonepolicy-{kind}",
            action="append",
            default=[],
            metavar="PACKAGE.MODULE:FUNCTION",
            help=f"run the rows about {kind.replace('-', ' ')}s on the "
            "bench that the function makes; may be repeated",
        )


def pytest_configure(config: pytest.Config) -> None:
    """Load the rest, if it was asked for."""
    asked = [
        (kind, spec)
        for kind in KINDS
        for spec in config.getoption(f"--clonepolicy-{kind}")
    ]
    if asked:
        from clonepolicy.testing.conformance._pytest_plugin import (  # noqa: PLC0415 - see above
            Rows,
        )

        config.pluginmanager.register(Rows(config, asked), "clonepolicy-rows")
