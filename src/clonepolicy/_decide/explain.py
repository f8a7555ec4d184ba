"""Explain a decision to an operator: verdict, findings, notes and plan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import starmap
from typing import Any, TypeAlias

import attrs

from clonepolicy import plan as plans
from clonepolicy._decide.decision import (
    Clone,
    Decision,
    Download,
    Register,
    Upload,
)
from clonepolicy._decide.evaluation import Evaluation
from clonepolicy._decide.fact_text import format_value
from clonepolicy._decide.finding import CandidateResult, Finding, Remedy
from clonepolicy._decide.relevance import nearest, unused
from clonepolicy._facts.requests import Operation
from clonepolicy._text import shown

Reword: TypeAlias = Callable[[Remedy], Remedy | None]

_ROOM = 14_000
"""The most bytes of an explanation, without the lines that count the rest."""
_ROOM_OF_PART = 2_500
"""The most bytes of the notes, and of the attempts of the plan."""


def headline(decision: Decision) -> str:
    """Return one line: the verdict, and the image and volume concerned."""
    request = decision.request
    image = f"image {shown(request.image.id)}"
    volume = f"volume {shown(request.volume.id)}"
    match decision:
        case Clone(source=source, extend_to=size):
            grow = "" if size is None else f", extended to {size} GiB"
            return f"clone {volume} from {shown(source.label)}{grow}"
        case Download():
            return f"download {image} into {volume}"
        case Register(project_id=project):
            return (
                f"register a clone of {volume} in {shown(project)} as {image}"
            )
        case Upload():
            return f"upload {volume} to {image}"
        case _:
            if request.operation is Operation.CREATE:
                return f"refuse to make {volume} from {image}"
            return f"refuse to upload {volume} to {image}"


def explain(decision: Decision, *, reword: Reword | None = None) -> str:
    """Tell an operator everything: verdict, findings, notes and plan.

    The text is printable and shorter than 16 KiB.  If not everything fits,
    it says how much is left out.  ``reword`` says a remedy in the words of
    the cloud at hand; None leaves the remedy out.
    """
    writer = _Writer(reword)
    head = [f"{headline(decision)} (policy {decision.policy})"]
    notes = _listing(map(writer.finding, decision.notes), len(decision.notes))
    plan = [*_plan_lines(decision.plan)]
    room = _ROOM - sum(map(_bytes, (head, notes, plan)))
    found = [f for f in decision.relevant if f.candidate is None]
    request = [
        *_listing(map(writer.about_request, found), len(found), room),
        *_unused_lines(decision.evaluation),
    ]
    candidates = _candidate_lines(
        writer, nearest(decision.candidates), room - _bytes(request)
    )
    return "\n".join(
        [
            *head,
            *(["the request:"] if request else []),
            *request,
            *candidates,
            *(["notes:"] if notes else []),
            *notes,
            "plan:",
            *plan,
        ]
    )


def _bytes(lines: Iterable[str]) -> int:
    return sum(len(line.encode()) + 1 for line in lines)


def _fitting(
    blocks: Iterable[Iterable[str]], room: int
) -> Iterator[list[str]]:
    """Yield the first blocks of lines, as many as fit into ``room`` bytes."""
    for block in blocks:
        lines = [*block]
        room -= _bytes(lines)
        if room < 0:
            return
        yield lines


def _listing(
    blocks: Iterable[Iterable[str]], count: int, room: int = _ROOM_OF_PART
) -> list[str]:
    """Return the lines that fit, and one that counts the blocks left out."""
    listed = [*_fitting(blocks, room)]
    left = count - len(listed)
    more = [f"  and {left:,} more"] if left else []
    return [line for block in listed for line in block] + more


def _fact(path: str, value: object) -> str:
    return f"{path}={format_value(path, value)}"


@attrs.frozen
class _Writer:
    """Writes findings, and their remedies in the words of a cloud."""

    reword: Reword | None

    def finding(self, finding: Finding) -> Iterator[str]:
        facts = starmap(_fact, finding.values)
        yield f"  - {finding.reason}: {finding.meaning}"
        yield f"    ({', '.join(facts)})"
        for remedy in finding.remedies:
            words = self.reword(remedy) if self.reword else remedy
            if words is not None:
                yield f"    {words}"

    def about_request(self, finding: Finding) -> Iterator[str]:
        yield from self.finding(finding)
        yield f"    closes: {', '.join(finding.blocks)}"

    def result(self, result: CandidateResult) -> Iterator[str]:
        state = "refused" if result.findings else "acceptable"
        yield f"{result.route} {shown(result.candidate.label)}: {state}"
        for finding in result.findings:
            yield from self.finding(finding)


def _unused_lines(evaluation: Evaluation[Any]) -> Iterator[str]:
    for route in unused(evaluation):
        found = evaluation.about_request
        reasons = [f.reason for f in found if {*f.blocks} == {route}]
        why = ", ".join(dict.fromkeys(reasons))
        yield f"  not used here: {route} ({why})"


def _candidate_lines(
    writer: _Writer, results: list[CandidateResult], room: int
) -> Iterator[str]:
    listed = [*_fitting(map(writer.result, results), room)]
    for block in listed:
        yield from block
    rest = results[len(listed) :]
    if not rest:
        return
    refused = sum(bool(result.findings) for result in rest)
    yield f"and {len(rest):,} more candidates, {refused:,} of them refused:"
    reasons = Counter(f.reason for result in rest for f in result.findings)
    yield "  " + ", ".join(
        f"{reason} {count:,}" for reason, count in reasons.most_common()
    )


def _plan_lines(plan: plans.Plan) -> Iterator[str]:
    numbered = [*enumerate(plan.attempts, 1)]
    lines = ([_attempt_line(*each)] for each in numbered[:-1])
    yield from _listing(lines, len(numbered[:-1]))
    for each in numbered[-1:]:
        yield _attempt_line(*each)
    yield f"  else {_names(plan.abandon)}"


def _attempt_line(number: int, attempt: plans.Attempt) -> str:
    return f"  {number}. {shown(str(attempt))}: {_names(attempt.steps)}"


def _names(steps: Iterable[plans.Step]) -> str:
    return ", ".join(type(step).__name__ for step in steps)
