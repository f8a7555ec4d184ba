"""The entry point of the pytest plugin; loads the kit only if it is used.

Pytest imports this module in every session.  It lies outside the package, so
that the package is not imported before a coverage measurement begins.
"""

from __future__ import annotations

import typing

if typing.TYPE_CHECKING:
    import pytest

KINDS = ("array", "image-service", "volume-service")
"""The kinds of adapters, each with an option."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options."""
    group = parser.getgroup("clonepolicy", "certify adapters")
    for kind in KINDS:
        group.addoption(
            f"--clonepolicy-{kind}",
            action="append",
            default=[],
            metavar="PACKAGE.MODULE:FUNCTION",
            help=f"run the checks of {kind.replace('-', ' ')}s against the "
            "harness that the function returns; may be repeated",
        )


def pytest_configure(config: pytest.Config) -> None:
    """Load the kit if one of the options is used."""
    asked = [
        (kind, spec)
        for kind in KINDS
        for spec in config.getoption(f"--clonepolicy-{kind}") or ()
    ]
    if asked:
        from clonepolicy.testing.conformance._pytest_plugin import Checks  # noqa: PLC0415 - see above

        plugin = Checks(config, asked)
        config.pluginmanager.register(plugin, "clonepolicy-checks")
