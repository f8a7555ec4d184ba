"""Write docs/reference from the rules and from what the policies decide.

``--write`` writes the files; ``--check`` exits with 1 if one is stale.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from clonepolicy import (
    CINDER_29,
    LIBERTY,
    POLICIES,
    SAFE,
    CreateRequest,
    Reason,
    Rule,
    Subject,
    decide_create,
    decide_upload,
    tables,
)
from clonepolicy.testing.combinations import (
    Table,
    combinations,
    differences,
    one_fault,
    verdict,
    worlds_of,
)
from clonepolicy.testing.conformance import (
    ARRAYS,
    IMAGES,
    VOLUMES,
    Status,
    run,
)
from clonepolicy.testing.worlds import Request

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from broken_adapters import BROKEN_ADAPTERS, BrokenAdapter

KITS = (
    ("Arrays", ARRAYS),
    ("Image services", IMAGES),
    ("Volume services", VOLUMES),
)

REFERENCE = Path(__file__).parent / "reference"
REMEDY = "python docs/generate.py --write"
GENERATED = f"<!-- Generated: edit the rules, then run {REMEDY} -->"
EVERY = tuple(POLICIES.values())


def table(heads: Sequence[str], rows: Iterable[Iterable[object]]) -> str:
    """Write a Markdown table."""
    lines = []
    for row in (heads, ["---"] * len(heads), *rows):
        cells = (str(cell).replace("|", "\\|") for cell in row)
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def to_rule(name: str) -> str:
    """Link to a rule."""
    return f"[{name}](rules.md#{name})"


def to_reason(reason: Reason) -> str:
    """Link to a reason."""
    return f"[{reason}](reasons.md#{reason})"


def code(texts: Iterable[object]) -> str:
    """List texts as code."""
    return ", ".join(f"`{text}`" for text in texts)


def homes() -> dict[Rule[Any], str]:
    """Give every rule with the tables that it stands in."""
    found: dict[Rule[Any], dict[str, list[str]]] = {}
    for policy in EVERY:
        for name, members in tables(policy):
            for rule in members:
                places = found.setdefault(rule, {})
                places.setdefault(policy.name, []).append(name)
    return {
        rule: "; ".join(f"{policy}: {code(n)}" for policy, n in places.items())
        for rule, places in found.items()
    }


def rules() -> Iterator[str]:
    """Write every table of every policy, then every rule once."""
    yield "# Rules"
    yield (
        "A table closes its path if any of its rules fails. The tables of "
        "each policy come first, then every rule once with all that "
        "documents it. What stands in a table of notes blocks nothing."
    )
    for policy in EVERY:
        yield f"## {policy.name}"
        for name, members in tables(policy):
            yield f"### {policy.name} {name}"
            rows = (
                (to_rule(r.name), r.requirement, to_reason(r.reason))
                for r in members
            )
            heads = ("rule", "what must hold", "reason if not")
            yield table(heads, rows) if members else "No rule."
    yield "## Every rule"
    for rule, places in homes().items():
        about = rule.reason.about
        yield f"### {rule.name}"
        yield rule.requirement
        lines = [
            f"- reason: {to_reason(rule.reason)}",
            f"- reads: {code(rule.reads)}",
            f"- sources: {'; '.join(map(str, rule.sources))}",
            f"- Cinder differs: {rule.differs}",
            f"- remedy ({about.who}): {about.remedy}",
            f"- stands in {places}",
        ]
        yield "\n".join(line for line in lines if not line.endswith(": "))


def reasons() -> Iterator[str]:
    """Write every reason, by what it is about."""
    yield "# Reasons"
    yield (
        "Every reason there is, by what it is about. The values are part of "
        "the public contract. A reason that is only given by tables of notes "
        "blocks nothing."
    )
    for subject in Subject:
        yield f"## About the {subject}"
        for reason in (r for r in Reason if r.about.subject is subject):
            about = reason.about
            yield f"### {reason}"
            yield f"{about.meaning[0].upper()}{about.meaning[1:]}."
            wait = "yes" if about.waiting_helps else "no"
            lines = [
                f"- who can remedy it: {about.who}",
                f"- remedy: {about.remedy}",
                f"- waiting may help: {wait}",
            ]
            lines += (
                f"- given by {to_rule(rule.name)} in {places}"
                for rule, places in homes().items()
                if rule.reason is reason
            )
            yield "\n".join(lines)


def given(world: Request) -> dict[Reason, str]:
    """Give SAFE's reasons for a world; notes are in italics."""
    decision = (
        decide_create(world)
        if isinstance(world, CreateRequest)
        else decide_upload(world)
    )
    return {
        **{note.reason: f"*{note.reason}*" for note in decision.notes},
        **{found.reason: str(found.reason) for found in decision.findings},
    }


def fault_rows(
    part: Table, found: Mapping[tuple[str, str], Request]
) -> Iterator[tuple[str, ...]]:
    """Give a row for each rule of a table."""
    usual = given(part.base)
    yield ("*none*", *(verdict(part.base, p) for p in EVERY), "")
    for rule in part.rules:
        world = found[part.name, rule.name]
        verdicts = (verdict(world, policy) for policy in EVERY)
        new = (said for r, said in given(world).items() if r not in usual)
        yield (to_rule(rule.name), *verdicts, ", ".join(new))


def faults() -> Iterator[str]:
    """Write what each policy says of each rule's one-fault world."""
    yield "# One fault at a time"
    yield (
        "Each row is a request in which one rule fails and no other of its "
        "table, decided by every policy. The row *none* is the request in "
        "which all of the table's rules hold; reasons that SAFE gives there "
        "already (it has candidates of one mechanism only) are not repeated. "
        "Notes are in italics."
    )
    heads = ("rule that fails", *POLICIES, "what SAFE says")
    for policy in EVERY:
        found = one_fault(policy)
        yield f"## Rules of {policy.name}"
        for part in worlds_of(policy):
            if part.rules:
                yield f"### {policy.name} {part.name}"
                yield table(heads, fault_rows(part, found))


def census() -> Iterator[str]:
    """Write how many combinations of outcomes there are, and verdicts."""
    yield "# Census"
    yield (
        "How many combinations of rule outcomes are realisable in each table: "
        "rules that share no fact fail independently of each other, rules "
        "that share one do not. Tables of notes and empty ones are left out."
    )
    total = 0
    for policy in EVERY:
        rows = [
            (p.name, len(p.rules), len(combinations(p.base, p.rules)))
            for p in worlds_of(policy)
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
        "Every combination of SAFE's two tables for image volumes, decided "
        "by each policy. Some facts that make one of these rules fail make "
        "rules of other tables fail too, so that there are refusals."
    )
    for part in worlds_of(SAFE):
        if part.name.endswith(("image-volume.gates", "image-volume.rules")):
            yield f"### {part.name}"
            worlds = [w for _, w in combinations(part.base, part.rules)]
            names = ("clone", "download", "refuse")
            rows_of = (
                (policy.name, Counter(verdict(w, policy) for w in worlds))
                for policy in EVERY
            )
            yield table(
                ("policy", *names),
                ((name, *(c[n] for n in names)) for name, c in rows_of),
            )


def diff() -> Iterator[str]:
    """Write where the policies ask differently."""
    yield "# Where the policies differ"
    yield (
        "Every rule that stands in a table of one policy only, with the "
        "verdicts of both on a request for which it fails: one that tells "
        "the policies apart, if such a request was found."
    )
    for a, b in ((SAFE, CINDER_29), (SAFE, LIBERTY), (LIBERTY, CINDER_29)):
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
                for d in differences(a, b)
            ),
        )


def conformance() -> Iterator[str]:
    """Write the kit's checks, and which broken adapters each catches."""
    yield "# The kit's checks"
    yield (
        "The checks of each kind of adapter, and the broken adapters with "
        "which they are tested. Every check catches at least one broken "
        "adapter. When this page was generated, every check that it names "
        "for a broken adapter failed."
    )
    for title, suite in KITS:
        yield f"## {title}"
        broken = [b for b in BROKEN_ADAPTERS if b.suite is suite]
        yield table(
            ("check", "promise", "level", "skipped if", "catches"),
            (
                (
                    f"`{check.id}`",
                    check.promise,
                    check.level.label,
                    "; ".join(need.reason for need in check.needs) or "-",
                    code(b.name for b in broken if check.id in caught(b)),
                )
                for check in suite.checks
            ),
        )
        yield f"### {title}: broken adapters"
        yield table(
            ("broken adapter", "defect", "caught by"),
            ((b.name, b.defect, code(caught(b))) for b in broken),
        )


@cache
def caught(broken: BrokenAdapter) -> tuple[str, ...]:
    """Run the checks that must catch a broken adapter.

    Raises:
        AssertionError: One of them passes.
    """
    harness = broken.make()
    checks = [c for c in broken.suite.checks if c.id in broken.caught_by]
    for result in run(broken.suite, harness, checks=checks).results:
        if result.status is not Status.FAIL:
            message = f"{broken.name} passes {result.check.id}"
            raise AssertionError(message)
    harness.close()
    return tuple(check.id for check in checks)


@cache
def pages() -> Mapping[str, str]:
    """Give every page by its file's name."""
    blocks = {
        "rules.md": rules(),
        "reasons.md": reasons(),
        "one-fault.md": faults(),
        "census.md": census(),
        "policy-diff.md": diff(),
        "conformance.md": conformance(),
    }
    return {
        name: "\n\n".join((GENERATED, *page)) + "\n"
        for name, page in blocks.items()
    }


def main(
    arguments: Sequence[str] | None = None, folder: Path = REFERENCE
) -> int:
    """Write the files, or check them; give the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    mode = parser.add_mutually_exclusive_group(required=True)
    mode.add_argument("--check", action="store_true")
    mode.add_argument("--write", action="store_true")
    check = parser.parse_args(arguments).check
    status = 0
    for name, text in pages().items():
        path = folder / name
        if path.is_file() and path.read_text(encoding="utf-8") == text:
            continue
        if check:
            print(f"{path} is stale; run: {REMEDY}", file=sys.stderr)
            status = 1
        else:
            path.write_text(text, encoding="utf-8")
    return status


if __name__ == "__main__":
    sys.exit(main())
