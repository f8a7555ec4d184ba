"""The strategies draw the records they promise; `from_type` finds them.

The laws of what they reach are derived from the policies' tables.  A new
rule is under them as soon as it stands in a table.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, distribution
from typing import Any

import attrs
import pytest
from hypothesis import HealthCheck, find, given, settings
from hypothesis import strategies as st

import clonepolicy
from clonepolicy import (
    POLICIES,
    SAFE,
    Clone,
    CreateRequest,
    Decision,
    Image,
    Operation,
    Register,
    Request,
    Route,
    UploadRequest,
    Volume,
    decide,
)
from clonepolicy.policy import Policy
from clonepolicy.ports import StoredImage
from clonepolicy.scenarios import AXES, CLONEABLE, UPLOAD_AXES, with_facts
from clonepolicy.testing import _hypothesis
from clonepolicy.testing import strategies as some

RECORDS = (
    clonepolicy.ArrayImage,
    clonepolicy.Backend,
    clonepolicy.CacheEntry,
    clonepolicy.Config,
    clonepolicy.CreateRequest,
    clonepolicy.GlanceConfig,
    clonepolicy.Host,
    clonepolicy.Image,
    clonepolicy.ImageVolume,
    clonepolicy.Quota,
    StoredImage,
    clonepolicy.UploadRequest,
    clonepolicy.Volume,
    clonepolicy.VolumeType,
)


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
@settings(max_examples=5)
@given(data=st.data())
def test_from_type_draws_every_record(kind: type, data: st.DataObject) -> None:
    """After the registration, the type alone is enough."""
    _hypothesis.register()
    assert isinstance(data.draw(st.from_type(kind)), kind)


def test_the_entry_point_is_the_registration() -> None:
    """Hypothesis loads it when the package is installed."""
    try:
        points = distribution("clonepolicy").entry_points
    except PackageNotFoundError:
        pytest.skip("the package clonepolicy is not installed")
    (point,) = points.select(group="hypothesis", name="clonepolicy")
    assert _hypothesis.register is point.load()


@given(
    image=some.images(owner=st.just("alice"), size=st.none()),
    volume=some.volumes(size=st.just(7)),
)
def test_any_field_may_be_given(image: Image, volume: Volume) -> None:
    """The rest is drawn as usual."""
    assert ("alice", None) == (image.owner, image.size)
    assert 7 == volume.size


@settings(max_examples=20)
@given(
    create=some.create_requests(image_volumes=st.just(())),
    upload=some.upload_requests(force=st.just(True)),  # noqa: FBT003 - drawn
)
def test_any_part_of_a_request_may_be_given(
    create: CreateRequest, upload: UploadRequest
) -> None:
    """The rest is drawn as usual."""
    assert () == create.image_volumes
    assert upload.force


STRATEGIES: Mapping[Operation, st.SearchStrategy[Request]] = {
    Operation.CREATE: some.create_requests(),
    Operation.UPLOAD: some.upload_requests(),
}
DRAWS = {Operation.CREATE: 2_000, Operation.UPLOAD: 2_000}
"""Uploads have fewer rules, and reach them sooner."""
OFTEN = 10
"""One draw of so many, at least."""


def draws(strategy: st.SearchStrategy[Request], number: int) -> list[Request]:
    """Draw so many requests, the same each time."""
    found: list[Request] = []

    @settings(
        max_examples=number,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(request=strategy)
    def collect(request: Request) -> None:
        found.append(request)

    collect()
    return found


def outcome(decision: Decision) -> str:
    """Name the route that is taken, or the verdict."""
    if isinstance(decision, Clone):
        return str(decision.route)
    return decision.verdict


def outcomes(policy: Policy, operation: Operation) -> set[str]:
    """Name each route of a policy, and the refusal if it has one."""
    *efficient, ordinary = (tables := policy.tables_for(operation)).routes
    refusal = {"refuse"} if tables.routes[ordinary] else set()
    return {*efficient, ordinary, *refusal}


@pytest.mark.parametrize("operation", Operation)
def test_every_outcome_and_every_reason_is_drawn(operation: Operation) -> None:
    """SAFE's outcomes often; each reason and note of every policy once."""
    requests = draws(STRATEGIES[operation], DRAWS[operation])
    for policy in POLICIES.values():
        decisions = [decide(request, policy) for request in requests]
        counts = Counter(map(outcome, decisions))
        never = outcomes(policy, operation) - {*counts}
        assert not never, f"Values: no draw has {policy}: {sorted(never)}"
        reached = {
            finding.reason
            for decision in decisions
            for finding in (*decision.findings, *decision.notes)
        }
        for name, rules in policy.tables():
            if name.startswith(operation):
                for rule in rules:
                    assert rule.reason in reached, (
                        f"Values: no draw has the reason {rule.reason} of "
                        f"{policy}: give {', '.join(rule.reads)} values "
                        f"with which {rule.name} fails"
                    )
        if policy is SAFE:
            assert len(requests) <= 2 * OFTEN * min(counts.values()), counts
            verdicts = Counter(decision.verdict for decision in decisions)
            assert len(requests) <= OFTEN * min(verdicts.values()), verdicts


def is_efficient(request: Request) -> bool:
    """Ask SAFE."""
    return isinstance(decide(request), Clone | Register)


def is_near(request: Request, axes: Mapping[str, tuple[Any, ...]]) -> bool:
    """Tell whether one other fact would open an efficient route."""
    return not is_efficient(request) and any(
        is_efficient(with_facts(request, {path: value}))
        for path, values in axes.items()
        for value in values
    )


@pytest.mark.parametrize(
    ("strategy", "axes"),
    [
        (some.near_misses(), AXES),
        (some.upload_near_misses(), UPLOAD_AXES),
    ],
)
def test_near_misses_are_one_fact_away_from_an_efficient_route(
    strategy: st.SearchStrategy[Request],
    axes: Mapping[str, tuple[Any, ...]],
) -> None:
    """Often; and others take it, often."""
    requests = draws(strategy, 100)
    near = sum(is_near(request, axes) for request in requests)
    efficient = sum(map(is_efficient, requests))
    assert len(requests) <= OFTEN * min(near, efficient), (near, efficient)


def least(verdict: str) -> CreateRequest:
    """Find the simplest create with this verdict."""
    return find(
        some.create_requests(),
        lambda request: decide(request).verdict == verdict,
        settings=settings(max_examples=500, database=None, derandomize=True),
    )


def test_a_counterexample_shrinks_to_a_scenario_and_what_matters() -> None:
    """All parts but those of one rule are those of the scenario."""
    scenario = CLONEABLE[Route.ARRAY_IMAGE]
    assert scenario == least("clone")
    for verdict in ("download", "refuse"):
        found = attrs.asdict(least(verdict), recurse=False)
        others = attrs.asdict(scenario, recurse=False)
        changed = [part for part in others if found[part] != others[part]]
        assert 1 <= len(changed) <= 2, changed
