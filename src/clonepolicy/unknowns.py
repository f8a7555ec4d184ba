"""Decide with facts that are not known: yes, no, or it depends on them.

A request holds of each such fact the value that grants least.  `judge`
decides it so, and with the values that grant most.  If both verdicts are
one, no unknown fact can change it, because granting never turns a clone into
a download, nor a registration into an upload.  A fact whose values have no
such order is decided with each of them.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from enum import StrEnum
from typing import Any, TypeAlias

import attrs

from clonepolicy._decide.decide import decide
from clonepolicy._decide.decision import Clone, Decision, Refuse, Register
from clonepolicy._facts.records import Missing
from clonepolicy._facts.requests import Request
from clonepolicy.policy._shipped import SAFE
from clonepolicy.policy._tables import Policy

__all__ = ["Answer", "Judgement", "Unknown", "judge"]

Change: TypeAlias = Callable[[Any], Any]
"""Takes a request, and returns it with another value of one fact."""


class Answer(StrEnum):
    """Whether a request takes an efficient route."""

    YES = "yes"
    NO = "no"
    REFUSED = "refused"
    """No: neither an efficient route nor the ordinary one."""
    DEPENDS = "depends"
    """It depends on what is not known."""


@attrs.frozen(kw_only=True)
class Unknown:
    """A fact that could not be read."""

    fact: str
    """Its path, as rules read it."""
    missing: Missing
    """Why it is not known."""
    tell: str
    """How to find it out, or how to tell it."""
    granted: Change = attrs.field(eq=False, repr=False)
    """Gives the fact the value that grants most."""
    ordered: bool = True
    """Whether the request holds the value that grants least; if not, each
    value may grant what the other does not."""


@attrs.frozen(kw_only=True)
class Judgement:
    """How a policy decides a request, whatever the unknown facts are."""

    decision: Decision
    """With the least that the unknown facts can grant."""
    at_best: Decision
    """With the most.  What it finds holds whatever the unknown facts are,
    unless the verdict depends on them."""
    answer: Answer
    matters: tuple[Unknown, ...]
    """The unknown facts that can change the verdict; empty unless it
    depends."""

    @property
    def policy(self) -> Policy:
        """The policy that decides."""
        return self.decision.policy


def judge(
    request: Request, unknowns: Sequence[Unknown] = (), policy: Policy = SAFE
) -> Judgement:
    """Decide a request with the least and with the most that is possible.

    The changes are made in the order of ``unknowns``.
    """
    known: dict[frozenset[int], Answer] = {}

    def answer(granted: frozenset[int]) -> Answer:
        if granted not in known:
            known[granted] = _answer(_with(request, unknowns, granted), policy)
        return known[granted]

    loose = [at for at, each in enumerate(unknowns) if not each.ordered]
    rest = [at for at, each in enumerate(unknowns) if each.ordered]
    ends = [
        frozenset({*chosen, *end})
        for chosen in _subsets(loose)
        for end in ((), rest)
    ]
    found = {answer(end) for end in ends}
    decision = decide(request, policy)
    at_best = decide(_with(request, unknowns, rest), policy)
    if len(found) == 1:
        (only,) = found
        return Judgement(
            decision=decision, at_best=at_best, answer=only, matters=()
        )
    walks = [
        frozenset({*chosen, *rest[:count]})
        for chosen in _subsets(loose)
        for count in range(len(rest))
    ]
    turning = {
        at
        for start in dict.fromkeys([*ends, *walks])
        for at in range(len(unknowns))
        if answer(start) is not answer(start ^ {at})
    }
    return Judgement(
        decision=decision,
        at_best=at_best,
        answer=Answer.DEPENDS,
        matters=tuple(unknowns[at] for at in sorted(turning)),
    )


def _answer(request: Request, policy: Policy) -> Answer:
    match decide(request, policy):
        case Clone() | Register():
            return Answer.YES
        case Refuse():
            return Answer.REFUSED
        case _:
            return Answer.NO


def _with(
    request: Request, unknowns: Sequence[Unknown], granted: Iterable[int]
) -> Request:
    for at in sorted(granted):
        request = unknowns[at].granted(request)
    return request


def _subsets(items: Sequence[int]) -> Iterator[tuple[int, ...]]:
    for size in range(len(items) + 1):
        yield from itertools.combinations(items, size)
