"""Time cases against each other, and say which targets are met.

All cases of one call are timed in turns, round by round, so that whatever
else the machine does falls on all of them alike.  Ratios are of minima;
the medians stand beside them.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs

Case = Callable[[], object]


@attrs.frozen
class Timing:
    """Seconds of one case, one value for each round."""

    rounds: tuple[float, ...]

    @property
    def best(self) -> float:
        """The least that was seen."""
        return min(self.rounds)

    @property
    def median(self) -> float:
        """The middle of what was seen."""
        return statistics.median(self.rounds)


@attrs.frozen(kw_only=True)
class Row:
    """One line of a table: a value, and its target if it has one."""

    name: str
    value: float
    unit: str
    target: float | None = None
    at_least: bool = False
    note: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None: there is none."""
        if self.target is None:
            return None
        if self.at_least:
            return self.value >= self.target
        return self.value <= self.target


def interleave(
    cases: Mapping[str, Case],
    *,
    rounds: int,
    seconds: float = 0.02,
    clock: Callable[[], float] = time.thread_time,
) -> dict[str, Timing]:
    """Time each case once a round, as often as ``seconds`` allow."""
    numbers = {name: _number(case, seconds) for name, case in cases.items()}
    found: dict[str, list[float]] = {name: [] for name in cases}
    gc.collect()
    gc.disable()
    try:
        for _ in range(rounds):
            for name, case in cases.items():
                found[name].append(_time(case, numbers[name], clock))
    finally:
        gc.enable()
    return {name: Timing(tuple(times)) for name, times in found.items()}


def _number(case: Case, seconds: float) -> int:
    number = 1
    while True:
        took = _time(case, number, time.perf_counter) * number
        if took >= seconds / 4:
            return max(1, round(number * seconds / took))
        number *= 4


def _time(case: Case, number: int, clock: Callable[[], float]) -> float:
    begin = clock()
    for _ in range(number):
        case()
    return (clock() - begin) / number


def ratio(
    name: str, above: Timing, below: Timing, target: float | None = None
) -> Row:
    """Compare two cases of one run."""
    return Row(
        name=name,
        value=above.best / below.best,
        unit="x",
        target=target,
        note=f"by medians {above.median / below.median:.3g}",
    )


def arguments(description: str | None) -> argparse.ArgumentParser:
    """Give the parser with the options that every script has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument(
        "--rounds", type=int, default=25, help="rounds of each case"
    )
    return parser


def machine() -> str:
    """Describe the machine in one line."""
    model = "unknown CPU"
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() in {"model name", "cpu family", "model"}:
            model = f"{model}, {name.strip()} {value.strip()}"
    parts = dict.fromkeys(model.removeprefix("unknown CPU, ").split(", "))
    return (
        f"{os.cpu_count()} cores, {', '.join(parts)}, "
        f"Linux {platform.release()}, Python {platform.python_version()}, "
        f"load {os.getloadavg()[0]:.1f}"
    )


def report(
    rows: Sequence[Row], notes: Sequence[str] = (), *, as_json: bool
) -> None:
    """Print a table, or JSON."""
    if as_json:
        found: dict[str, Any] = {
            "machine": machine(),
            "rows": [{**attrs.asdict(row), "met": row.met} for row in rows],
            "notes": list(notes),
        }
        print(json.dumps(found, indent=2))
        return
    print(machine())
    for note in notes:
        print(f"note: {note}")
    width = max((len(row.name) for row in rows), default=0)
    for row in rows:
        verdict = ""
        if row.target is not None:
            sign = ">=" if row.at_least else "<="
            verdict = f"{sign} {row.target:g} {'met' if row.met else 'missed'}"
        value = f"{row.value:.4g} {row.unit}"
        line = f"{row.name:{width}}  {value:>16}  {verdict:16} {row.note}"
        print(line.rstrip())
