"""Start a program whose libraries are an extra."""

from __future__ import annotations

import importlib
import sys


def start(module: str, *, prog_name: str, extra: str) -> None:
    """Run the program of a module, which needs an extra."""
    # imported here, so that neither a missing extra nor Ctrl-C while the
    # libraries are loaded ends in a traceback
    try:
        program = importlib.import_module(module).program
    except KeyboardInterrupt:
        sys.exit(130)
    except ModuleNotFoundError as error:
        sys.stderr.write(
            f"error: there is no module {error.name}; "
            f"install clonepolicy[{extra}]\n"
        )
        sys.exit(2)
    program(prog_name=prog_name)
