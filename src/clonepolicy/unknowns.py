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
from functools import cached_property
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

    policy: Policy
    request: Request
    unknowns: tuple[Unknown, ...]
    decision: Decision
    """With the least that the unknown facts can grant."""
    possible: frozenset[Answer]
    """The answers that the unknown facts leave open; DEPENDS is none."""

    @property
    def answer(self) -> Answer:
        """The only possible answer, or that it depends."""
        if len(self.possible) > 1:
            return Answer.DEPENDS
        return next(iter(self.possible))

    @property
    def at_best(self) -> Decision:
        """The decision with the most that the unknown facts can grant.

        What it finds holds whatever they are, unless the verdict depends.
        """
        ordered, _ = _parted(self.unknowns)
        return decide(_with(self.request, self.unknowns, ordered), self.policy)

    @cached_property
    def matters(self) -> tuple[Unknown, ...]:
        """The unknown facts that can change the verdict."""
        if len(self.possible) == 1:
            return ()
        known: dict[frozenset[int], Answer] = {}

        def answer(granted: frozenset[int]) -> Answer:
            if granted not in known:
                request = _with(self.request, self.unknowns, granted)
                known[granted] = _answer(decide(request, self.policy))
            return known[granted]

        # from the least to the most, one fact after the other
        ordered, loose = _parted(self.unknowns)
        walks = [
            frozenset({*chosen, *ordered[:count]})
            for chosen in _subsets(loose)
            for count in range(len(ordered) + 1)
        ]
        turning = {
            at
            for start in walks
            for at in range(len(self.unknowns))
            if answer(start) is not answer(start ^ {at})
        }
        return tuple(self.unknowns[at] for at in sorted(turning))


def judge(
    request: Request, unknowns: Sequence[Unknown] = (), policy: Policy = SAFE
) -> Judgement:
    """Decide a request with the least and with the most that is possible.

    The changes are made in the order of ``unknowns``.
    """
    ordered, loose = _parted(unknowns)
    possible = {
        _answer(decide(_with(request, unknowns, [*chosen, *end]), policy))
        for chosen in _subsets(loose)
        for end in ((), ordered)
    }
    return Judgement(
        policy=policy,
        request=request,
        unknowns=tuple(unknowns),
        decision=decide(request, policy),
        possible=frozenset(possible),
    )


def _parted(unknowns: Sequence[Unknown]) -> tuple[list[int], list[int]]:
    """Return the places of the facts with an order, and of the others."""
    places = range(len(unknowns))
    ordered = [at for at in places if unknowns[at].ordered]
    return ordered, [at for at in places if not unknowns[at].ordered]


def _answer(decision: Decision) -> Answer:
    match decision:
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
