"""The pages of what each policy decides: one fault, census, differences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import pairwise

from _pages.markdown import EVERY, table, to_reason, to_rule
from clonepolicy import (
    CINDER_29,
    LIBERTY,
    POLICIES,
    SAFE,
    Reason,
    Request,
    decide,
)
from clonepolicy.policy import Policy
from clonepolicy.scenarios import (
    Difference,
    Table,
    combinations,
    differences,
    one_fault,
    scenarios_of,
)

MOST = 5_000
"""Of more combinations of a table, this many are decided at most."""
RELEASES = [p for p in EVERY if p.name.startswith("CINDER_")]
IMAGE_VOLUME_TABLES = (
    "create.image-volume.preconditions",
    "create.image-volume.source_rules",
)


def faults() -> Iterator[str]:
    """Write what each policy decides when just one rule of a table fails."""
    yield "# One fault at a time"
    yield (
        "Each row is a request in which one rule fails and all other rules "
        "of the same table hold, with the verdict of each policy. In the "
        "request of the row *none*, all rules of the table hold. Each "
        "request has candidates for one route only, so SAFE always gives "
        "reasons that close the other routes. The last column lists the "
        "reasons that SAFE does not give in the row *none*. Notes are in "
        "italics."
    )
    heads = ("rule that fails", *POLICIES, "reasons given by SAFE")
    for policy in EVERY:
        found = one_fault(policy)
        yield f"## Rules of {policy.name}"
        for part in scenarios_of(policy):
            if part.rules:
                yield f"### {policy.name} {part.name}"
                yield table(heads, _fault_rows(part, found))


def _fault_rows(
    part: Table, found: Mapping[tuple[str, str], Request]
) -> Iterator[tuple[str, ...]]:
    usual = _reasons(part.base)
    yield ("*none*", *(decide(part.base, p).verdict for p in EVERY), "")
    for rule in part.rules:
        request = found[part.name, rule.name]
        verdicts = (decide(request, policy).verdict for policy in EVERY)
        new = (t for r, t in _reasons(request).items() if r not in usual)
        yield (to_rule(rule.name), *verdicts, ", ".join(new))


def _reasons(request: Request) -> dict[Reason, str]:
    decision = decide(request, SAFE)
    return {
        **{note.reason: f"*{note.reason}*" for note in decision.notes},
        **{found.reason: str(found.reason) for found in decision.findings},
    }


def census() -> Iterator[str]:
    """Count the combinations of rule outcomes, and the verdicts."""
    yield "# Census"
    yield (
        "How many combinations of rule outcomes can occur in each table. "
        "Rules that share no fact fail independently of each other; rules "
        "that share a fact do not. Empty tables and tables of notes are left "
        "out."
    )
    total = 0
    for policy in EVERY:
        rows = [
            (p.name, len(p.rules), len(combinations(p.base, p.rules)))
            for p in scenarios_of(policy)
            if p.rules and not p.name.endswith("notes")
        ]
        every = sum(count for _, _, count in rows)
        rows.append(("all", sum(size for _, size, _ in rows), every))
        total += every
        yield f"## {policy.name}"
        yield table(("table", "rules", "combinations"), rows)
    yield f"All policies: {total} combinations."
    yield "## Verdicts"
    yield (
        f"Combinations of SAFE's two tables for image volumes, up to {MOST:,} "
        "of each table, evenly spread, decided by each policy. Some facts "
        "make a rule of these tables and a rule of another table fail "
        "together; this is why some verdicts are `refuse`."
    )
    for part in scenarios_of(SAFE):
        if part.name in IMAGE_VOLUME_TABLES:
            yield f"### {part.name}"
            found = combinations(part.base, part.rules)
            step = 1 + len(found) // MOST
            requests = [request for _, request in found.every(step)]
            names = ("clone", "download", "refuse")
            counts = (
                (
                    policy.name,
                    Counter(decide(r, policy).verdict for r in requests),
                )
                for policy in EVERY
            )
            yield table(
                ("policy", *names),
                ((policy, *(c[n] for n in names)) for policy, c in counts),
            )


def _verdicts_first(a: Policy, b: Policy) -> list[Difference]:
    return sorted(differences(a, b), key=lambda d: not d.changes_verdict)


def differ() -> Iterator[str]:
    """Write each rule that only one of two policies has."""
    yield "# Where the policies differ"
    yield (
        "Each rule that is in a table of one policy and not in the same "
        "table of the other. The verdicts are those of both policies on a "
        "request for which the rule fails. If there is such a request to "
        "which the policies give different verdicts, it is one of these. The "
        "last column says which policy requires what and, if the other "
        "policy describes Cinder, what Cinder does instead. Rules that change "
        "a verdict come first."
    )
    for a, b in (
        (SAFE, CINDER_29),
        (SAFE, LIBERTY),
        (LIBERTY, CINDER_29),
        *pairwise(RELEASES),
    ):
        yield f"## {a.name} and {b.name}"
        yield table(
            ("rule", "table", "only in", "reason", a.name, b.name, "why"),
            (
                (
                    to_rule(d.rule),
                    f"`{d.table}`",
                    d.only_in,
                    to_reason(d.reason),
                    d.verdict_a,
                    d.verdict_b,
                    d.why,
                )
                for d in _verdicts_first(a, b)
            ),
        )
