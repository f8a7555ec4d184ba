"""Deciding with unknown facts: yes, no, or it depends."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import attrs
import pytest

from clonepolicy import (
    POLICIES,
    SAFE,
    Clone,
    CreateRequest,
    Quota,
    Refuse,
    Route,
    decide,
)
from clonepolicy.adapters._families import facts_of_driver
from clonepolicy.policy import Policy
from clonepolicy.ports import Missing
from clonepolicy.scenarios import CLONEABLE, one_fault
from clonepolicy.unknowns import Answer, Change, Unknown, judge

CLONED = CLONEABLE[Route.IMAGE_VOLUME]


def fact(record: str, name: str, value: object) -> Change:
    """Return the change of one field of one record."""

    def change(request: CreateRequest) -> CreateRequest:
        changed = attrs.evolve(getattr(request, record), **{name: value})
        return attrs.evolve(request, **{record: changed})

    return change


def unknown(
    record: str, name: str, most: object, *, ordered: bool = True
) -> Unknown:
    """Return a fact that nobody could read."""
    return Unknown(
        fact=f"{record}.{name}",
        missing=Missing.FORBIDDEN,
        tell="ask",
        granted=fact(record, name, most),
        ordered=ordered,
    )


FACTS: tuple[tuple[Unknown, object], ...] = (
    (unknown("backend", "can_clone", most=True), None),
    (unknown("backend", "can_extend", most=True), None),
    (unknown("backend", "frozen", most=False), True),
    (
        unknown("config", "allowed_direct_url_schemes", frozenset({"cinder"})),
        frozenset(),
    ),
    (unknown("image", "downloadable", most=True), False),
    (unknown("image", "visible", most=True), False),
    (
        unknown("volume", "encryption_key_id", "a key", ordered=False),
        None,
    ),
)
"""Facts, each with the value that grants least."""


def without(
    request: CreateRequest, chosen: Sequence[tuple[Unknown, object]]
) -> CreateRequest:
    """Take facts away from a request."""
    for each, least in chosen:
        record, _, name = each.fact.partition(".")
        request = fact(record, name, least)(request)
    return request


def answer(request: CreateRequest, policy: Policy) -> Answer:
    """Decide with all facts."""
    decision = decide(request, policy)
    if isinstance(decision, Clone):
        return Answer.YES
    return Answer.REFUSED if isinstance(decision, Refuse) else Answer.NO


def worlds(
    request: CreateRequest, unknowns: Sequence[Unknown]
) -> Iterator[CreateRequest]:
    """Iterate over the request with each combination of its facts."""
    for granted in itertools.product((False, True), repeat=len(unknowns)):
        other = request
        for each, given in zip(unknowns, granted, strict=True):
            other = each.granted(other) if given else other
        yield other


def test_without_unknown_facts_the_answer_is_the_decision() -> None:
    """It has no doubt."""
    found = judge(CLONED)

    assert (Answer.YES, ()) == (found.answer, found.matters)
    assert decide(CLONED) == found.decision == found.at_best


def test_an_unknown_fact_that_decides_makes_the_answer_depend() -> None:
    """And only it matters."""
    chosen = [FACTS[0], FACTS[5]]
    request = attrs.evolve(without(CLONED, chosen[:1]), quota=Quota())

    found = judge(request, [each for each, _ in chosen])

    assert Answer.DEPENDS is found.answer
    assert {Answer.YES, Answer.NO} == found.possible
    assert (FACTS[0][0],) == found.matters


def test_an_unknown_fact_that_decides_nothing_is_not_told() -> None:
    """The image is queued: it is refused in any case."""
    queued = fact("image", "status", "queued")(without(CLONED, FACTS))

    found = judge(queued, [each for each, _ in FACTS])

    assert (Answer.REFUSED, ()) == (found.answer, found.matters)
    reasons = {each.reason for each in found.at_best.findings}
    assert "image-not-active" in reasons
    assert "array-cannot-clone" not in reasons


REQUESTS = {
    **{str(route): request for route, request in CLONEABLE.items()},
    **{
        " ".join(rule): request
        for rule, request in one_fault(SAFE).items()
        if isinstance(request, CreateRequest)
    },
}


@pytest.mark.parametrize("name", REQUESTS)
def test_every_value_of_the_unknown_facts_gives_a_possible_answer(
    name: str,
) -> None:
    """The least and the most are enough to know what is possible."""
    triples = itertools.combinations(FACTS, 3)
    # a few of them, and each of the facts in several
    some = [*itertools.islice(triples, 0, None, 5), FACTS[-4:]]
    for policy in (SAFE, POLICIES["CINDER_29"]):
        for chosen in some:
            request = without(REQUESTS[name], chosen)
            unknowns = [each for each, _ in chosen]
            found = judge(request, unknowns, policy)
            really = {
                answer(world, policy) for world in worlds(request, unknowns)
            }

            assert found.possible <= really
            assert really == found.possible or len(found.possible) > 1
            assert bool(found.matters) is (len(found.possible) > 1)


def test_the_code_of_a_driver_shows_what_it_can() -> None:
    """By the option ``volume_driver`` alone; others' drivers show nothing."""
    nfs = facts_of_driver("cinder.volume.drivers.nfs.NfsDriver")
    lvm = facts_of_driver("cinder.volume.drivers.lvm.LVMVolumeDriver")

    assert (True, False) == (nfs["can_clone"], nfs["clone_while_uploading"])
    assert (True, True) == (lvm["can_extend"], lvm["clone_while_uploading"])
    assert {} == facts_of_driver("vendor.driver.Driver")
    assert {} == facts_of_driver("cinder.volume.drivers.no.SuchDriver")
