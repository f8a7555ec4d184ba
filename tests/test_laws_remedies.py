"""Laws about remedies: they are claims, and each is tried.

curable: a remedy that a finding gives names a change of facts; with the
change, and under the same policy, the finding is gone.

true: the sentence of a finding is true of the facts that it shows.
"""

from __future__ import annotations

import pathlib
import sys
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from clonepolicy import (
    Candidate,
    Clone,
    Finding,
    GlanceStore,
    Quota,
    Register,
    Request,
    Route,
    VolumeType,
    decide,
    scenarios,
    what_would_it_take,
)
from clonepolicy._decide.finding import make_finding
from clonepolicy.policy import CANDIDATE_FIELDS, Policy, Rule, Values
from clonepolicy.policy._change import changed
from clonepolicy.ports import Missing
from clonepolicy.scenarios import candidate_of, with_facts
from clonepolicy.testing import strategies as some
from laws import EVERY, ROWS, every_policy, over, some_variants
from sentences import SENTENCES, Facts

pytestmark = pytest.mark.one_python


NO_ROLES: Values = {"glance.service_roles": frozenset()}
SENDS_ONLY: Values = {"backend.clone_while_uploading": False}
ALSO: Mapping[str, Values] = {
    "locations_shown": NO_ROLES,
    "cinder_locations_read": NO_ROLES,
    "cinder_sees_locations": NO_ROLES,
    "cinder_locations_shown": NO_ROLES,
    "has_image_volume": SENDS_ONLY,
    "quota_suffices": {"quota": Quota(per_volume_gigabytes=0)},
    "source_found": SENDS_ONLY,
    "source_here": SENDS_ONLY,
    "backref_matches": SENDS_ONLY,
    "cinder_names_volume": SENDS_ONLY,
    "store_resolved": {
        "glance.has_location_api": False,
        "glance.stores": (GlanceStore(id="another"),),
        "volume.volume_type": VolumeType(id="t", name="t", store_id="none"),
    },
}
"""What some cures look at, besides the facts that their rule reads."""


def finding_of(
    rule: Rule[Any], request: Request, candidate: Candidate | None
) -> Finding:
    """Make the finding of a rule that fails."""
    return make_finding(rule, (), request, candidate)


def fails(
    rule: Rule[Any], request: Request, candidate: Candidate | None
) -> bool:
    """Evaluate one rule."""
    given_ = (request,) if candidate is None else (request, candidate)
    return not rule.holds(*given_)


def candidate_on(route: Route, request: Request) -> Candidate | None:
    """Return the source that a remedy has made on a route."""
    field = CANDIDATE_FIELDS.get(route, "")
    found: Candidate
    for found in getattr(request, field, ()):
        return found
    return None


def claims_safely(claims: Callable[[Facts], bool], facts: Facts) -> bool:
    """Ask for a claim about facts that a rule is content with.

    A sentence may be about something that there is not then.
    """
    try:
        return claims(facts)
    except (AttributeError, TypeError):
        return False


class TestCurable:
    """Each remedy, applied, removes the finding that gives it."""

    @over(ROWS)
    def test_a_remedy_removes_its_finding(
        self, policy: Policy, table: scenarios.Table, rule: Rule[Any]
    ) -> None:
        """In every combination of the facts that the rule reads."""
        del policy
        about_source = "source_" in table.name
        for _, scenario in some_variants(rule, table.base):
            source = candidate_of(scenario) if about_source else None
            if about_source and source is None:
                continue
            if not fails(rule, scenario, source):
                continue
            for remedy in finding_of(rule, scenario, source).remedies:
                then, other = changed(scenario, dict(remedy.changes), source)
                assert not fails(rule, then, other), (
                    f"{rule.name}: {remedy}, applied: {remedy.changes}"
                )

    @over(ROWS)
    def test_a_cure_can_be_asked_for_any_facts(
        self, policy: Policy, table: scenarios.Table, rule: Rule[Any]
    ) -> None:
        """Also where the rule holds, or there is no source."""
        del policy
        about_source = "source_" in table.name
        for values, scenario in some_variants(rule, table.base):
            gone = with_facts(scenario, {"candidate.missing": Missing.ABSENT})
            for other in (scenario, gone):
                source = candidate_of(other) if about_source else None
                if not about_source or source is not None:
                    assert finding_of(rule, other, source).rule, values

    @pytest.mark.parametrize(
        "rule",
        {rule.name: rule for _, _, rule in ROWS}.values(),
        ids=lambda rule: rule.name,
    )
    def test_every_cure_is_one_for_some_facts(self, rule: Rule[Any]) -> None:
        """A cure that never applies would never be tried."""
        given_ = set()
        for _, table, other in ROWS:
            if other is not rule:
                continue
            about_source = "source_" in table.name
            others = [
                with_facts(variant, also)
                for _, variant in some_variants(rule, table.base)
                for also in ({}, ALSO.get(rule.name, {}))
            ]
            for scenario in others:
                source = candidate_of(scenario) if about_source else None
                if about_source and source is None:
                    continue
                if fails(rule, scenario, source):
                    found = finding_of(rule, scenario, source)
                    given_ |= {remedy.remedy for remedy in found.remedies}
        assert {cure.remedy for cure in rule.cures} == given_


class TestTrue:
    """A finding's sentence is true of the facts that it shows."""

    @over(ROWS)
    def test_a_sentence_is_true_whenever_it_is_said(
        self, policy: Policy, table: scenarios.Table, rule: Rule[Any]
    ) -> None:
        """And false of some facts of which it is not said."""
        del policy
        claims = SENTENCES[rule.meaning]
        about_source = "source_" in table.name
        says_something = False
        for _, scenario in some_variants(rule, table.base):
            source = candidate_of(scenario) if about_source else None
            if about_source and source is None:
                continue
            facts = dict(finding_of(rule, scenario, source).values)
            if fails(rule, scenario, source):
                assert claims(facts), f"{rule.meaning}: {facts}"
            elif not says_something:
                says_something = not claims_safely(claims, facts)
        assert says_something, f"it says nothing: {rule.meaning}"

    def test_no_sentence_is_left_over(self) -> None:
        """Each is one of a rule."""
        said = {rule.meaning for _, _, rule in ROWS}
        assert said == set(SENTENCES)


class TestWays:
    """What it would take is tried: applied together, it opens the route."""

    @every_policy
    @given(data=st.data())
    def test_each_way_opens_its_route(
        self, policy: Policy, data: st.DataObject
    ) -> None:
        """By applying the remedies that it lists, and nothing else."""
        request: Request = data.draw(
            some.near_misses() | some.upload_requests()
        )
        for way in what_would_it_take(request, policy):
            source = next(
                (
                    result.candidate
                    for result in decide(request, policy).candidates
                    if (result.route, result.candidate.label)
                    == (way.route, way.candidate)
                ),
                None,
            )
            then = request
            for remedy in way.remedies:
                then, source = changed(then, dict(remedy.changes), source)
                source = source or candidate_on(way.route, then)
            assert isinstance(decide(then, policy), Clone | Register)
            assert not what_would_it_take(then, policy)

    def test_every_policy_is_held_to_these_laws(self) -> None:
        """The rows are those of all shipped policies."""
        assert {policy.name for policy, _, _ in ROWS} == {
            policy.name for policy in EVERY
        }
