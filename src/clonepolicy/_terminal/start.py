"""Start a program whose libraries are an optional extra."""

from __future__ import annotations

import importlib
import sys


def start(module: str, *, prog_name: str, extra: str) -> None:
    """Import a module that needs ``extra``, and run its ``program``."""
    # imported here, so that a missing extra or Ctrl-C during the import is
    # reported without a traceback
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
