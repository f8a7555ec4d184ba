"""The page of the conformance kit."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from broken_adapters import BROKEN_ADAPTERS
from clonepolicy.testing.conformance._saboteur import Saboteur
from clonepolicy.testing.conformance._service_saboteurs import (
    SERVICE_SABOTEURS,
)

from _pages.markdown import code, table
from clonepolicy.testing.conformance import (
    ARRAYS,
    IMAGES,
    VOLUMES,
    Status,
    run,
)

KITS = (
    ("Arrays", ARRAYS, ARRAY_SABOTEURS),
    *(
        (title, rows, [s for s in SERVICE_SABOTEURS if s.table is rows])
        for title, rows in (
            ("Image services", IMAGES),
            ("Volume services", VOLUMES),
        )
    ),
)


def conformance() -> Iterator[str]:
    """Write the kit's rows, and which wrong adapter each of them catches."""
    yield "# The kit's rows"
    yield (
        "What the kit holds adapters to, by what they are, and the wrong "
        "adapters that it is tried on. Every row catches at least one; each "
        "was caught when this page was written by the rows that it names."
    )
    for title, rows, saboteurs in KITS:
        yield f"## {title}"
        catches: dict[str, list[str]] = {row.id: [] for row in rows.rows}
        for saboteur in saboteurs:
            for name in caught(saboteur):
                catches[name].append(saboteur.name)
        heads = ("row", "promise", "level", "left out if", "catches")
        yield table(
            heads,
            (
                (
                    f"`{row.id}`",
                    row.promise,
                    row.level.name.lower(),
                    "; ".join(need.missing for need in row.needs) or "-",
                    code(catches[row.id]),
                )
                for row in rows.rows
            ),
        )
        yield f"### {title}: wrong on purpose"
        yield table(
            ("saboteur", "sin", "caught by"),
            ((s.name, s.sin, code(caught(s))) for s in saboteurs),
        )


@cache
def caught(saboteur: Saboteur) -> tuple[str, ...]:
    """Run the rows that must catch somebody; fail if one does not."""
    bench = saboteur.make()
    rows = [r for r in saboteur.table.rows if r.id in saboteur.caught_by]
    for result in run(saboteur.table, bench, rows=rows).results:
        if result.status is not Status.FAIL:
            message = f"{saboteur.name} passes {result.row.id}"
            raise AssertionError(message)
    return tuple(row.id for row in rows)
