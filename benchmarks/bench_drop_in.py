"""Time Cinder's own manager and the drop-in side by side in one cloud.

The cloud is that of `tests/openstack/stack.py`: real keystone, Glance,
Cinder, PostgreSQL and RabbitMQ, as root.  It takes the packages of the nox
session ``openstack``, which `nox -s bench_openstack` installs.
"""

from __future__ import annotations

import importlib.util
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from _timing import Row, arguments, report

if TYPE_CHECKING:
    Cost = Any

_TESTS = Path(__file__).parents[1] / "tests" / "openstack"
_TARGET = 1.05
_STOCK, _DROP_IN = "stack", "drop-in"
"""The two services, by their hosts."""
_OPERATIONS = {"create": "create by clone", "upload": "registration"}
_KINDS = ("keystone", "glance", "database", "transactions", "array")


def measure(turns: int) -> list[Cost]:
    """Let both create and register in turns; the first turn warms up."""
    sys.path.insert(0, str(_TESTS))
    import costs  # noqa: PLC0415 - needs the packages of OpenStack

    found = []
    with (
        tempfile.TemporaryDirectory() as folder,
        costs.running_sides(Path(folder)) as sides,
    ):
        for turn in range(turns + 1):
            # neither of the two always comes first
            order = list(costs.SIDES)[:: 1 if turn % 2 else -1]
            made = [
                act(side)
                for act in (sides.create, sides.upload)
                for side in order
            ]
            found += made if turn else []
    return found


def rows(costs: Sequence[Cost]) -> Iterator[Row]:
    """Compare the two: in time, and in what they asked."""
    for operation, words in _OPERATIONS.items():
        of = {
            side: [
                cost
                for cost in costs
                if (cost.side, cost.operation) == (side, operation)
            ]
            for side in (_STOCK, _DROP_IN)
        }
        yield _seconds(f"{words}, stock", [c.seconds for c in of[_STOCK]])
        yield _seconds(f"{words}, drop-in", [c.seconds for c in of[_DROP_IN]])
        waited = [cost.waited for cost in of[_DROP_IN]]
        if any(waited):
            yield _seconds(f"{words}, Glance makes the image active", waited)
        yield _ratio(
            f"{words}, drop-in without Glance's time / stock",
            [
                ours.own / theirs.own
                for ours, theirs in zip(of[_DROP_IN], of[_STOCK], strict=True)
            ],
        )
        for kind in _KINDS:
            counts = {
                side: statistics.median(c.count()[kind] for c in made)
                for side, made in of.items()
            }
            yield Row(
                name=f"{words}, {kind}: drop-in",
                value=counts[_DROP_IN],
                unit="",
                note=f"stock {counts[_STOCK]:g}",
            )


def _seconds(name: str, times: Sequence[float]) -> Row:
    low, middle, high = statistics.quantiles(times, n=4)
    return Row(
        name=name,
        value=middle * 1e3,
        unit="ms",
        note=f"quartiles {low * 1e3:.0f} to {high * 1e3:.0f}",
    )


def _ratio(name: str, ratios: Sequence[float]) -> Row:
    """Give the median of the ratios of each turn, with their quartiles."""
    low, middle, high = statistics.quantiles(ratios, n=4)
    return Row(
        name=name,
        value=middle,
        unit="x",
        target=_TARGET,
        note=f"quartiles {low:.2f} to {high:.2f}, {len(ratios)} turns",
    )


def main() -> None:
    """Print the table, or why there is none."""
    parser = arguments(__doc__)
    parser.add_argument(
        "--turns", type=int, default=20, help="creates and uploads of each"
    )
    asked = parser.parse_args()
    if importlib.util.find_spec("cinder") is None:
        print("NOT TIMED: it takes Cinder; run nox -s bench_openstack")
        return
    sys.path.insert(0, str(_TESTS))
    from stack_processes import (  # noqa: PLC0415 - the same
        missing_requirements,
    )

    if lacks := missing_requirements():
        print("NOT TIMED: the cloud needs " + ", ".join(lacks))
        return
    report(list(rows(measure(asked.turns))), as_json=asked.json)


if __name__ == "__main__":
    main()
