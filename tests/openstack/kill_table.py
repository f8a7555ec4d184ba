"""Kill cinder-volume at every step, and write the page of what is left.

It exits with 1 if the drop-in leaves something, or if the page is stale.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import attrs

_HERE = Path(__file__).parent

if TYPE_CHECKING:
    from stack import Stack
    from stack_kills import Lab

PAGE = _HERE.parents[1] / "docs" / "explanation" / "kills.md"
REMEDY = "nox -s kills -- --write"
NOTHING = "nothing"
UNWRITTEN = "before anything is written"
MANAGERS = ("Cinder's own manager", "the drop-in")
KINDS = {
    "upload": "upload by registration",
    "copy": "upload of data",
    "create": "create by clone",
}
_CLONES = ("upload", "create")
PHASES: Mapping[str, Sequence[str]] = {
    "upload": (
        UNWRITTEN,
        "before the array clones",
        "while the array clones",
        "before Glance gets the location",
        "after Glance has got the location",
    ),
    "copy": (UNWRITTEN, "after that"),
    "create": (
        UNWRITTEN,
        "before the array clones",
        "while the array clones",
        "after the array has cloned",
    ),
}
FAULTS: Mapping[str, tuple[str, Mapping[str, Sequence[int]]]] = {
    "postgresql_stops": (
        "PostgreSQL stops",
        {"upload": (1, 3), "create": (1, 3)},
    ),
    "database_refuses": (
        "Cinder's database accepts no connection",
        {"upload": (1, 3, 4), "create": (1, 3)},
    ),
    "rabbitmq_stops": ("RabbitMQ stops", {"upload": (1,)}),
    "glance_stops": ("Glance stops", {"upload": (3, 4)}),
    "glance_answers_500": ("Glance answers 500", {"upload": (3, 4)}),
    "glance_is_silent": ("Glance does not answer", {"upload": (3, 4)}),
    "answers_of_glance_are_lost": (
        "Glance's answers are lost",
        {"upload": (3, 4)},
    ),
}
"""By method of `Faults`: its title, and in which of `PHASES` it begins."""
_BEGIN = f"<!-- Generated: do not edit what follows; run {REMEDY} -->"
XFS, CEPH, CLUSTER, FAILURES = PARTS = (
    "Killed on XFS",
    "Killed on Ceph",
    "A host of a cluster is killed, and another one cleans up",
    "Another service fails",
)
_ABOUT = {
    CLUSTER: "The host is killed at the last step of a phase. An administrator"
    " asks for the cleanup (`cinder work-cleanup`). The files are on XFS.",
    FAILURES: "The service fails at the first step of a phase, and is started"
    " again when the work has ended, after 15 s at the latest. Then"
    " cinder-volume is started again. The files are on XFS.",
}
_KILLED = "the start after a killed {}"
_COUNT = re.compile(r" \(\d+\)")


@attrs.define
class Row:
    """What is left after kills of one kind."""

    left: dict[str, list[list[str]]] = attrs.field(factory=dict)
    """By manager: what each kill left."""

    def cell(self, manager: str) -> str:
        """Say it in words."""
        found = self.left.get(manager)
        if not found:
            return "no such step"
        told = sorted({", ".join(each) or NOTHING for each in found})
        return f"{'; or '.join(told)} ({len(found)})"


Table = dict[str, Row]


def titles() -> Mapping[str, Sequence[str]]:
    """Return the title of each row, by part."""
    every = {
        kind: [f"{KINDS[kind]}, {phase}" for phase in PHASES[kind]]
        for kind in KINDS
    }
    written = [title for kind in _CLONES for title in every[kind][1:]]
    return {
        part: tuple(
            title
            for kind in kinds
            for title in (*every[kind], _KILLED.format(KINDS[kind]))
        )
        for part, kinds in {XFS: tuple(KINDS), CEPH: _CLONES}.items()
    } | {
        CLUSTER: tuple(written),
        FAILURES: tuple(
            f"{fault}, {every[kind][phase]}"
            for fault, kinds in FAULTS.values()
            for kind, phases in kinds.items()
            for phase in phases
        ),
    }


def phase_of(kind: str, steps: Sequence[str], step: int) -> int:
    """Return in which phase a kill directly before a step is.

    Args:
        kind: a key of `PHASES`.
        steps: the names of all steps, as `stack_steps` gives them.
        step: the number of the step.
    """
    ends = _places("commit |Glance ", steps)[:1]
    if kind != "copy":
        array = _places("array ", steps)
        ends += [array[0], array[-1]]
    if kind == "upload":
        ends += _places("Glance (POST|PATCH) ", steps)[:1]
    return sum(end < step for end in ends)


def _places(pattern: str, steps: Sequence[str]) -> list[int]:
    return [at for at, name in enumerate(steps) if re.match(pattern, name)]


def _phases(lab: Lab, kind: str) -> list[int]:
    """Do work once; return the phase of each of its steps."""
    lab.run(kind, sys.maxsize)
    steps = lab.steps(kind)
    _say("\n".join(f"    {at} {name}" for at, name in enumerate(steps)))
    return [phase_of(kind, steps, at) for at in range(len(steps))]


def kill_everywhere(
    lab: Lab, manager: str, kinds: Sequence[str], table: Table
) -> None:
    """Kill each kind of work at each step, and the start that follows."""
    for kind in kinds:
        phases = _phases(lab, kind)
        for step, phase in enumerate(phases):
            title = f"{KINDS[kind]}, {PHASES[kind][phase]}"
            _add(table, title, manager, lab.killed(kind, step))
        # the last step of a phase has the most to end
        for phase in sorted({*phases} - {0}):
            step = len(phases) - 1 - phases[::-1].index(phase)
            title = _KILLED.format(KINDS[kind])
            for then in itertools.count():
                found = lab.killed(kind, step, then)
                if found is None:
                    break
                _add(table, title, manager, found)


def disturb_everywhere(lab: Lab, manager: str, table: Table) -> None:
    """Have each service fail at the first step of each phase."""
    from glance_proxy import proxied  # noqa: PLC0415 - needs OpenStack
    from stack_faults import Faults  # noqa: PLC0415 - the same

    with proxied(lab.cloud.services.url("glance")) as proxy:
        lab.use(_CLASSES[manager], glance_api_servers=proxy.url)
        faults = Faults(lab.cloud, proxy)
        known = {kind: _phases(lab, kind) for kind in _CLONES}
        for name, (title, kinds) in FAULTS.items():
            for kind, begins in kinds.items():
                for phase in begins:
                    found = lab.disturbed(
                        kind, known[kind].index(phase), getattr(faults, name)
                    )
                    about = f"{title}, {KINDS[kind]}, {PHASES[kind][phase]}"
                    _add(table, about, manager, found)


def _add(
    table: Table,
    title: str,
    manager: str,
    found: tuple[str, list[str]] | None,
) -> None:
    if found is not None:
        step, left = found
        _say(f"{title} | {manager} | {step} | {left}")
        table.setdefault(title, Row()).left.setdefault(manager, []).append(
            left
        )


_START = time.monotonic()


def _say(text: str) -> None:
    passed = time.monotonic() - _START
    sys.stderr.write(f"{passed:6.0f} s {text}\n")


_CLASSES = {
    MANAGERS[0]: "stack_steps.StockManager",
    MANAGERS[1]: "stack_steps.PolicyManager",
}


@contextlib.contextmanager
def _cloud() -> Iterator[Stack]:
    from stack import running_stack  # noqa: PLC0415 - needs OpenStack

    with (
        tempfile.TemporaryDirectory(prefix="kills-") as folder,
        running_stack(Path(folder)) as cloud,
    ):
        yield cloud


def take_over(lab: Lab, manager: str, table: Table) -> None:
    """Kill a host of a cluster in each phase; another one cleans up."""
    lab.use(_CLASSES[manager], **lab.clustered("one"))
    for kind in _CLONES:
        phases = _phases(lab, kind)
        for phase in sorted({*phases} - {0}):
            last = len(phases) - 1 - phases[::-1].index(phase)
            # not every work has as many steps as the first
            tried = (
                lab.taken_over(_CLASSES[manager], kind, step)
                for step in range(last, phases.index(phase) - 1, -1)
            )
            found = next(filter(None, tried), None)
            _add(
                table, f"{KINDS[kind]}, {PHASES[kind][phase]}", manager, found
            )


def measure(parts: Sequence[str]) -> dict[str, Table]:
    """Kill on each array; return the tables by title."""
    sys.path.append(str(_HERE.parent / "arrays"))
    from ceph import missing_ceph, started  # noqa: PLC0415 - needs OpenStack
    from stack_ceph import Pool  # noqa: PLC0415 - the same
    from stack_kills import Files, Lab  # noqa: PLC0415 - the same
    from stack_processes import missing_requirements  # noqa: PLC0415 - the same

    if lacks := [*missing_requirements(), *filter(None, [missing_ceph()])]:
        sys.exit("this needs " + ", ".join(lacks))
    tables: dict[str, Table] = {part: {} for part in parts}
    with contextlib.ExitStack() as stack:
        cloud = stack.enter_context(_cloud())

        for manager, name in _CLASSES.items():
            lab = Lab(cloud, Files.of(cloud))
            if XFS in parts:
                lab.use(name)
                kill_everywhere(lab, manager, tuple(KINDS), tables[XFS])
            if FAILURES in parts:
                disturb_everywhere(lab, manager, tables[FAILURES])
            if CLUSTER in parts:
                # an image of another cluster is not cloned
                lab = Lab(cloud, Files.of(cloud))
                take_over(lab, manager, tables[CLUSTER])
        if CEPH in parts:
            pool = Pool.of(cloud, stack.enter_context(started()))
            for manager, name in _CLASSES.items():
                lab = Lab(cloud, pool)
                lab.use(name)
                kill_everywhere(lab, manager, _CLONES, tables[CEPH])
    return tables


def page(tables: Mapping[str, Table]) -> str:
    """Return the page with other tables after its text."""
    text, _, _ = PAGE.read_text("utf-8").partition(_BEGIN)
    lines = [text + _BEGIN, ""]
    for title, table in tables.items():
        lines += [f"## {title}", ""]
        if title in _ABOUT:
            lines += [_ABOUT[title], ""]
        lines += [
            f"| {' | '.join(cells)} |"
            for cells in _cells(titles()[title], table)
        ]
        lines.append("")
    return "\n".join(lines)


def _cells(known: Sequence[str], table: Table) -> Iterator[Sequence[str]]:
    yield ("when", *MANAGERS)
    yield ("---",) * 3
    for title in known:
        yield title, *map(table.get(title, Row()).cell, MANAGERS)


def complaints(text: str, tables: Mapping[str, Table]) -> Iterator[str]:
    """Say what the drop-in leaves, and whether the page is stale."""
    for part, table in tables.items():
        for title, row in table.items():
            if any(row.left.get(MANAGERS[1], [])) and UNWRITTEN not in title:
                yield f"{part}, {title}: {row.cell(MANAGERS[1])}"
    # how often a process asks Glance depends on the time it takes
    if _COUNT.sub("", text) != _COUNT.sub("", page(tables)):
        yield f"{PAGE} is stale; run: {REMEDY}"


def main() -> int:
    """Measure, and write or check the page; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--write", action="store_true", help="write the page")
    mode.add_argument(
        "--only", choices=PARTS, help="print one table, and check nothing"
    )
    options = parser.parse_args()
    tables = measure([options.only] if options.only else PARTS)
    if options.write:
        PAGE.write_text(page(tables), "utf-8")
    if options.only:
        sys.stdout.write(page(tables))
        return 0
    wrong = [*complaints(PAGE.read_text("utf-8"), tables)]
    _say("\n".join(wrong) or "the drop-in leaves nothing")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
