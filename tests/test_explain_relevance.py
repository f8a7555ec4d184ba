"""What matters comes first, and routes that are not used take one line."""

from __future__ import annotations

from typing import Any

import attrs
from hypothesis import given

from clonepolicy import (
    LIBERTY,
    SAFE,
    CinderLocation,
    Clone,
    Reason,
    Register,
    Request,
    Route,
    decide,
    explain,
    what_would_it_take,
)
from clonepolicy.policy import Cure, Policy, Responsible, Rule, always
from clonepolicy.scenarios import (
    CLONEABLE,
    IMAGE_ID,
    OTHER_ID,
    REGISTERABLE,
    with_facts,
)
from clonepolicy.testing import strategies as some

SCENARIO = CLONEABLE[Route.IMAGE_VOLUME]


def test_routes_that_are_not_used_take_one_line_each() -> None:
    """Without remedies, which nobody there wants."""
    text = explain(
        decide(
            with_facts(
                SCENARIO,
                {
                    "source.status": "error",
                    "config.image_volume_cache_enabled": False,
                },
            )
        )
    )
    assert "  not used here: array-image (no-array-image)\n" in text
    assert (
        "  not used here: cache-entry (cache-disabled, cache-miss)\n" in text
    )
    assert "set image_volume_cache_enabled" not in text
    assert "bring the source back to available" in text


def test_if_no_route_is_used_each_is_explained() -> None:
    """Somebody who asks why wants to know what to set."""
    scenario = with_facts(
        SCENARIO,
        {
            "image_volumes": (),
            "config.allowed_direct_url_schemes": frozenset(),
            "config.image_volume_cache_enabled": False,
        },
    )
    text = explain(decide(scenario))
    assert "not used here" not in text
    assert "set image_volume_cache_enabled" in text
    assert "add cinder to allowed_direct_url_schemes" in text


def test_the_reasons_start_with_the_nearest_route() -> None:
    """A source with one finding is nearer than a miss in the cache."""
    scenario = with_facts(
        SCENARIO,
        {
            "source.size": 2,
            "config.cinder_internal_tenant_user_id": None,
        },
    )
    relevant = [finding.reason for finding in decide(scenario).relevant]
    assert [
        Reason.SOURCE_LARGER_THAN_REQUEST,
        Reason.NO_INTERNAL_TENANT,
        Reason.CACHE_MISS,
    ] == relevant


def test_what_refuses_a_request_comes_first() -> None:
    """Before what closes single routes."""
    scenario = with_facts(
        SCENARIO, {"source.status": "error", "volume.size": 0}
    )
    relevant = [finding.reason for finding in decide(scenario).relevant]
    assert Reason.SIZE_INVALID is relevant[0]
    assert Reason.SOURCE_STATUS in relevant


def test_the_nearest_candidate_is_explained_first() -> None:
    """Whatever its label."""
    near = with_facts(SCENARIO, {"source.status": "error"})
    far = with_facts(
        SCENARIO,
        {
            "candidate.location": CinderLocation(OTHER_ID),
            "source.id": OTHER_ID,
            "source.status": "error",
            "source.encryption_key_id": "key",
        },
    )
    both = attrs.evolve(
        near, image_volumes=far.image_volumes + near.image_volumes
    )
    first, second = explain(decide(both)).split("refused")[1:3]
    assert "source-encrypted" not in first
    assert "source-encrypted" in second


@given(request=some.near_misses() | some.upload_requests())
def test_what_is_relevant_are_findings(request: Request) -> None:
    """Each once; nothing is left out but routes that are not used."""
    decision = decide(request)
    assert {f.rule for f in decision.relevant} <= {
        f.rule for f in decision.findings
    }
    if not isinstance(decision, Clone | Register):
        assert decision.relevant


def test_a_way_that_does_not_open_is_not_listed() -> None:
    """An array that clones no stored images is not told to store some."""
    scenario = with_facts(
        SCENARIO,
        {
            "backend.image_schemes": frozenset(),
            "image_volumes": (),
        },
    )
    ways = [way.route for way in what_would_it_take(scenario)]
    assert [Route.IMAGE_VOLUME, Route.CACHE_ENTRY] == ways


def test_a_policy_is_held_to_its_own_rules() -> None:
    """LIBERTY wants the owner's volume, which a new upload may not be."""
    scenario = with_facts(SCENARIO, {"image_volumes": ()})
    (way,) = what_would_it_take(scenario, LIBERTY)
    assert [Reason.NO_LOCATIONS, Reason.OWNER_MISMATCH] == [
        remedy.reason for remedy in way.remedies
    ]


def test_no_way_is_listed_where_nothing_opens_the_route() -> None:
    """An upload whose volume has a limit of no clones."""
    scenario = with_facts(REGISTERABLE, {"backend.clone_limit": 0})
    assert not what_would_it_take(scenario)


def with_refuse(rule: Rule[Any]) -> Policy:
    """Give SAFE one more rule about every create."""
    tables = attrs.evolve(SAFE.create, refuse=(*SAFE.create.refuse, rule))
    return attrs.evolve(SAFE, create=tables)


def test_a_remedy_that_changes_nothing_opens_nothing() -> None:
    """It is tried a few times, and given up."""
    cure = Cure("pray", Responsible.OPERATOR, always({}))
    rule = attrs.evolve(
        SAFE.create.refuse[0], holds=lambda _: False, cures=(cure,)
    )
    assert "operator: pray" == str(cure)
    decision = decide(SCENARIO, with_refuse(rule))
    assert "operator: pray" in explain(decision)
    assert not what_would_it_take(SCENARIO, decision.policy)


def test_a_record_that_a_rule_reads_is_shown_by_its_id() -> None:
    """A whole image would not fit into a line."""
    rule = attrs.evolve(
        SAFE.create.refuse[0], holds=lambda _: False, reads=("image",)
    )
    text = explain(decide(SCENARIO, with_refuse(rule)))
    assert f"(image={IMAGE_ID})" in text
