"""Time imports and the start of the program, against importing attrs.

Each case is a process of its own.  The CPU time of a process that does
nothing is subtracted from all of them.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from functools import partial

from _timing import Row, Timing, arguments, interleave, ratio, report

IMPORTS = {
    "nothing": "pass",
    "attrs": "import attrs",
    "click": "import click",
    "package": "import clonepolicy",
    "decide": "from clonepolicy import decide, explain",
    "all": "from clonepolicy import *",
}
COMMANDS = ("--help", "decide create --help", "image list --help", "rules")
COMPLETION = {
    "_CLONEPOLICY_COMPLETE": "bash_complete",
    "COMP_WORDS": "clonepolicy ",
    "COMP_CWORD": "1",
}


def _run(*args: str, **env: str) -> None:
    # the first run writes bytecode, and the best of all runs is taken
    given = {k: v for k, v in os.environ.items() if "BYTECODE" not in k}
    subprocess.run(  # noqa: S603 - this script's own commands
        [sys.executable, *args],
        env={**given, **env},
        stdout=subprocess.DEVNULL,
        check=True,
    )


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Time the cases and print the rows."""
    options = arguments(__doc__).parse_args()
    program = ("-m", "clonepolicy.cli")
    timed = interleave(
        {
            **{name: partial(_run, "-c", c) for name, c in IMPORTS.items()},
            **{c: partial(_run, *program, *c.split()) for c in COMMANDS},
            "completion": partial(_run, *program, **COMPLETION),
        },
        rounds=options.rounds,
        seconds=0,
        clock=_children,
    )
    nothing = timed.pop("nothing").best
    net = {
        name: Timing(tuple(each - nothing for each in timing.rounds))
        for name, timing in timed.items()
    }
    report(
        [
            Row(name="import attrs", value=net["attrs"].best * 1e3, unit="ms"),
            ratio("import clonepolicy", net["package"], net["attrs"], 2),
            ratio("to decide and explain", net["decide"], net["attrs"]),
            ratio("all names", net["all"], net["attrs"]),
            *(
                Row(
                    name=f"clonepolicy {name}",
                    value=(net[name].best + nothing) * 1e3,
                    unit="ms",
                    target=None if name == "rules" else 333,
                    note=f"import click {net['click'].best * 1e3:.0f} ms",
                )
                for name in (*COMMANDS, "completion")
            ),
        ],
        as_json=options.json,
    )


if __name__ == "__main__":
    main()
