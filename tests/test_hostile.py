"""Requests made to take long: the work grows as the request does.

Work is counted in calls, not in time.
"""

from __future__ import annotations

import itertools
import json
import sys
import uuid
from collections.abc import Callable
from functools import partial
from types import FrameType
from typing import TypeAlias

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clonepolicy import (
    CINDER_29,
    POLICIES,
    CinderLocation,
    CreateRequest,
    FactError,
    Host,
    Route,
    decide,
    explain,
    explain_to_tenant,
    parse_location,
    tenant_findings,
    what_would_it_take,
    wire,
)
from clonepolicy.policy import Policy
from clonepolicy.policy._rules.cinder import sql_like
from clonepolicy.scenarios import CLONEABLE, with_facts

SMILE = "\U0001f600"
"""Four bytes, and printable."""
LIMIT = 16 * 1024
Make: TypeAlias = Callable[[int], CreateRequest]


def collide(number: int) -> CreateRequest:
    """Make up to 1,024 candidates of different numbers and the same hash."""
    base = CLONEABLE[Route.IMAGE_VOLUME]
    (one,) = base.image_volumes
    assert one.source
    assert one.source.volume_type
    alike = [1 + times * sys.hash_info.modulus for times in range(4)]
    numbers = itertools.product(alike, repeat=5)
    found = tuple(
        attrs.evolve(
            one,
            source=attrs.evolve(
                one.source,
                size=size,
                clones=clones,
                volume_type=attrs.evolve(
                    one.source.volume_type, min_vol_size=low, max_vol_size=high
                ),
            ),
            backend=attrs.evolve(one.backend, clone_limit=limit),
        )
        for size, clones, low, high, limit in itertools.islice(numbers, number)
    )
    assert 1 == len(set(map(hash, found)))
    return attrs.evolve(base, image_volumes=found)


def all_usable(number: int) -> CreateRequest:
    """Make image volumes that can all be cloned."""
    base = CLONEABLE[Route.IMAGE_VOLUME]
    (one,) = base.image_volumes
    assert one.source
    ids = [str(uuid.UUID(int=at + 1)) for at in range(number)]
    return attrs.evolve(
        base,
        image_volumes=tuple(
            attrs.evolve(
                one,
                location=CinderLocation(id_),
                source=attrs.evolve(one.source, id=id_),
            )
            for id_ in ids
        ),
    )


def malformed(number: int) -> CreateRequest:
    """Make locations that nothing can read, and long texts elsewhere."""
    base = CLONEABLE[Route.IMAGE_VOLUME]
    (one,) = base.image_volumes
    long: dict[str, str] = dict.fromkeys(
        (
            *("image.id", "image.status", "image.disk_format", "image.owner"),
            *("image.container_format", "image.encryption_key_id"),
            *("volume.id", "volume.encryption_key_id", "volume.project_id"),
        ),
        SMILE * 5_000,
    )
    return attrs.evolve(
        with_facts(base, long),
        image_volumes=tuple(
            attrs.evolve(one, location=parse_location(f"cinder://{at}\x1b"))
            for at in range(number)
        ),
    )


def cached(number: int) -> CreateRequest:
    """Make cache entries of one volume in many states."""
    base = CLONEABLE[Route.CACHE_ENTRY]
    (one,) = base.cache_entries
    assert one.source
    return attrs.evolve(
        base,
        cache_entries=tuple(
            attrs.evolve(
                one,
                source=attrs.evolve(
                    one.source, status=f"{at}", host=Host("%", None, f"{at}")
                ),
            )
            for at in range(number)
        ),
    )


every_policy = pytest.mark.parametrize(
    "policy", POLICIES.values(), ids=lambda p: p.name
)
every_request = pytest.mark.parametrize(
    "make", [collide, all_usable, malformed, cached]
)


def calls(what: Callable[[], object]) -> int:
    """Count the functions that are called, those of C too."""
    count = itertools.count()

    def counted(_: FrameType, event: str, __: object) -> None:
        if event in {"call", "c_call"}:
            next(count)

    before = sys.getprofile()
    sys.setprofile(counted)
    try:
        what()
    finally:
        sys.setprofile(before)
    return next(count)


def everything(request: CreateRequest, policy: Policy) -> None:
    """Decide and explain in every way."""
    decision = decide(request, policy)
    explain(decision)
    explain_to_tenant(decision)
    tenant_findings(decision)
    what_would_it_take(request, policy)


@every_policy
@every_request
def test_twice_the_candidates_are_twice_the_work(
    policy: Policy, make: Make
) -> None:
    """Also where the hashes of all candidates are the same."""
    one, two = (
        calls(partial(everything, make(number), policy))
        for number in (300, 600)
    )
    assert two <= 2.1 * one


@every_policy
@every_request
@pytest.mark.parametrize("number", [1, 1_000])
def test_an_explanation_is_short_and_ends_with_the_plan(
    policy: Policy, make: Make, number: int
) -> None:
    """What has no room is counted."""
    decision = decide(make(number), policy)
    text = explain(decision)
    assert len(text.encode()) < LIMIT
    assert len(explain_to_tenant(decision).encode()) < LIMIT
    assert "  else FailVolume" == text.splitlines()[-1]


def test_reading_ends_at_the_first_fault() -> None:
    """An error for each of a million faults would take gigabytes."""
    body = wire.to_dict(CLONEABLE[Route.IMAGE_VOLUME])

    def read(number: int) -> None:
        body["image_volumes"] = [None] * number
        with pytest.raises(FactError, match=r"image_volumes\[0\]"):
            wire.loads(CreateRequest, json.dumps(body))

    read(1)
    assert calls(partial(read, 10_000)) == calls(partial(read, 100))


def test_a_host_has_at_most_the_length_that_cinder_stores() -> None:
    """Each candidate's is compared with the volume's, letter by letter."""
    longest = f"{'h' * 251}@b#p"
    assert longest == str(Host.parse(longest))
    for too_long in ("h" * 256, f"{'h' * 252}@b#p"):
        with pytest.raises(FactError, match="at most 255 characters"):
            Host.parse(too_long)


def test_candidates_that_are_not_listed_are_counted() -> None:
    """With the number refused, and the reasons by frequency."""
    lines = explain(decide(malformed(1_000), CINDER_29)).splitlines()
    listed = sum(line.startswith("image-volume ") for line in lines)
    at = next(n for n, line in enumerate(lines) if line.startswith("and "))
    rest = 1_000 - listed
    assert [
        f"and {rest:,} more candidates, {rest:,} of them refused:",
        f"  location-malformed {rest:,}",
    ] == lines[at : at + 2]
    assert "plan:" in lines[at:]


def test_attempts_that_are_not_listed_are_counted() -> None:
    """The last attempt, which is the ordinary one, is always listed."""
    lines = explain(decide(all_usable(1_000))).splitlines()
    plan = lines[lines.index("plan:") + 1 :]
    listed = len(plan) - 3
    assert plan[0].startswith("  1. clone cinder://")
    assert [
        f"  and {1_000 - listed:,} more",
        "  1001. download: DownloadImage, PublishVolume",
        "  else FailVolume",
    ] == plan[-3:]


def test_findings_that_have_no_room_are_counted() -> None:
    """A policy of one's own may have any number of rules."""
    tables = CINDER_29.create
    rules = tuple(
        attrs.evolve(rule, name=f"{rule.name}_{at}", holds=lambda _: False)
        for at in range(10)
        for rule in tables.refuse
    )
    mine = attrs.evolve(CINDER_29, create=attrs.evolve(tables, refuse=rules))
    decision = decide(malformed(3), mine)
    text = explain(decision)
    assert len(text.encode()) < LIMIT
    about_request = [f for f in decision.relevant if f.candidate is None]
    listed = sum(line.startswith("    closes:") for line in text.splitlines())
    assert f"\n  and {len(about_request) - listed:,} more\n" in text


def like(pattern: str, text: str) -> bool:
    """Match as LIKE does, a letter at a time, for each end so far."""
    ends = {0}
    for letter in pattern:
        if letter == "%":
            ends = set(range(min(ends), len(text) + 1)) if ends else ends
        else:
            ends = {
                end + 1
                for end in ends
                if end < len(text) and letter in {"_", text[end]}
            }
    return len(text) in ends


@given(
    pattern=st.text("ab_%\n.*", max_size=8),
    text=st.text("ab\n.*", max_size=8),
)
def test_hosts_are_matched_as_like_does(pattern: str, text: str) -> None:
    """With ``%`` for any text and ``_`` for any letter."""
    assert like(f"{pattern}%", text) is sql_like(f"{pattern}%", text)
    assert like(f"%{pattern}a", text) is sql_like(f"%{pattern}a", text)


@pytest.mark.parametrize("wild", ["%a", "%_", "_%a", "%aa%_a"])
def test_a_host_of_wild_cards_is_matched_without_trying_all_ways(
    wild: str,
) -> None:
    """With backtracking, this would not end."""
    volume = Host(wild * 40)
    request = with_facts(
        CLONEABLE[Route.IMAGE_VOLUME],
        {"volume.host": volume, "source.host": Host("a" * 255)},
    )
    decision = decide(request, CINDER_29)
    found = {finding.rule for finding in decision.findings}
    assert "cinder_same_host" in found
