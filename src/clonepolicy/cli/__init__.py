"""The command line (extra ``cli``): decide, explain, run a local cloud.

With ``--json`` a command writes one JSON document to standard output, or an
error as one JSON line to standard error.  ``clonepolicy --help`` lists the
exit codes.
"""

from __future__ import annotations

from clonepolicy._terminal.start import start

__all__ = ["main"]


def main() -> None:
    """Run the program."""
    start("clonepolicy.cli._program", prog_name="clonepolicy", extra="cli")
