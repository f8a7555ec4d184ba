"""The command line: decide, explain, and run a local cloud (extra ``cli``).

Every command takes ``--json`` and then writes one JSON document to standard
output, and errors as one JSON line to standard error.  Exit codes:

* 0: done
* 1: the operation failed: every attempt that was open did
* 2: bad usage, or input that cannot be read
* 3: refused by the policy, or forbidden to the project
* 4: no such thing
* 5: a conflict: the thing's state, or a name that is not unique
* 130: interrupted; nothing is left half made
"""

from __future__ import annotations

from clonepolicy._terminal.start import start

__all__ = ["main"]


def main() -> None:
    """Run the program."""
    start("clonepolicy.cli._main", prog_name="clonepolicy", extra="cli")
