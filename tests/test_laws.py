"""Laws that every decision keeps, whatever the request."""

from __future__ import annotations

import pathlib
import random
import sys
from typing import Any, TypeVar

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from clonepolicy import (
    Clone,
    CreateRequest,
    Download,
    Refuse,
    Register,
    Route,
    Upload,
    UploadRequest,
    decide,
    explain,
    explain_to_tenant,
    what_would_it_take,
)
from clonepolicy.policy import Policy
from clonepolicy.testing import strategies as some
from laws import (
    closed,
    every_policy,
    failing_rules,
    reported,
)

T = TypeVar("T")


class TestTotal:
    """Every request has a decision, and every decision an explanation."""

    @every_policy
    @given(request=some.create_requests())
    def test_every_create_request_is_decided_and_explained(
        self, policy: Policy, request: CreateRequest
    ) -> None:
        """Deciding, explaining and planning never raise."""
        decision = decide(request, policy)
        assert isinstance(decision, (Clone, Download, Refuse))
        assert explain(decision)
        assert explain_to_tenant(decision)
        assert isinstance(what_would_it_take(request, policy), tuple)

    @every_policy
    @given(request=some.upload_requests())
    def test_every_upload_request_is_decided_and_explained(
        self, policy: Policy, request: UploadRequest
    ) -> None:
        """Deciding, explaining and planning never raise."""
        decision = decide(request, policy)
        assert isinstance(decision, (Register, Upload, Refuse))
        assert explain(decision)
        assert explain_to_tenant(decision)
        assert isinstance(what_would_it_take(request, policy), tuple)


class TestExplained:
    """Every path that is not taken has a finding that says why."""

    @every_policy
    @given(request=some.create_requests())
    def test_what_is_not_cloned_has_a_reason_for_each_mechanism(
        self, policy: Policy, request: CreateRequest
    ) -> None:
        """Every route is closed by some finding."""
        decision = decide(request, policy)
        if not isinstance(decision, Clone):
            assert {
                clone_table.route for clone_table in policy.create.clone
            } <= (closed(decision))
        if isinstance(decision, Refuse):
            assert any(Route.DOWNLOAD in f.blocks for f in decision.findings)

    @every_policy
    @given(request=some.create_requests())
    def test_a_chosen_source_has_no_finding_against_it(
        self, policy: Policy, request: CreateRequest
    ) -> None:
        """The source that is cloned is acceptable, and its path is open."""
        decision = decide(request, policy)
        if isinstance(decision, Clone):
            path = Route(decision.route)
            chosen = [
                c
                for c in decision.candidates
                if c.candidate == decision.source and c.route is decision.route
            ]
            assert len(chosen) == 1
            assert not chosen[0].findings
            assert not any(
                path in f.blocks
                for f in decision.findings
                if f.candidate is None
            )

    @every_policy
    @given(request=some.upload_requests())
    def test_what_is_not_registered_has_a_reason(
        self, policy: Policy, request: UploadRequest
    ) -> None:
        """An upload of data says why; a refusal closes both paths."""
        decision = decide(request, policy)
        shut = closed(decision)
        assert isinstance(decision, Register) == (Route.REGISTER not in shut)
        if isinstance(decision, Refuse):
            assert Route.UPLOAD in shut


class TestHonest:
    """A finding is reported if and only if its rule fails."""

    @every_policy
    @given(request=some.create_requests())
    def test_create_findings_are_the_failing_rules(
        self, policy: Policy, request: CreateRequest
    ) -> None:
        """Evaluating each rule by itself gives what the decision reports."""
        decision = decide(request, policy)
        assert failing_rules(request, policy) == reported(decision)

    @every_policy
    @given(request=some.upload_requests())
    def test_upload_findings_are_the_failing_rules(
        self, policy: Policy, request: UploadRequest
    ) -> None:
        """Evaluating each rule by itself gives what the decision reports."""
        decision = decide(request, policy)
        assert failing_rules(request, policy) == reported(decision)


class TestOrdered:
    """The order and the repetition of candidates never matter."""

    @every_policy
    @given(request=some.create_requests(), seed=st.integers(0, 999))
    def test_shuffled_and_repeated_candidates_change_nothing(
        self, policy: Policy, request: CreateRequest, seed: int
    ) -> None:
        """Verdict, source, findings, notes and plan stay as they are."""
        chance = random.Random(seed)  # noqa: S311 - no secret depends on it

        def mixed(values: tuple[Any, ...]) -> tuple[Any, ...]:
            if not values:
                return ()
            more = chance.choices(values, k=chance.randrange(4))
            return tuple(
                chance.sample([*values, *more], len(values) + len(more))
            )

        other = attrs.evolve(
            request,
            array_images=mixed(request.array_images),
            image_volumes=mixed(request.image_volumes),
            cache_entries=mixed(request.cache_entries),
        )
        one, two = (decide(r, policy) for r in (request, other))
        assert type(one) is type(two)
        assert one.plan == two.plan
        # a note about all candidates shows them in the order of the request
        assert [n.rule for n in one.notes] == [n.rule for n in two.notes]
        assert one.candidates == two.candidates
        assert {f.rule for f in one.findings} == {f.rule for f in two.findings}
        if isinstance(one, Clone) and isinstance(two, Clone):
            assert one.source == two.source


class TestEnding:
    """A plan ends: each source once, then the ordinary path."""

    @every_policy
    @given(request=some.create_requests())
    def test_a_plan_tries_each_source_once_and_then_downloads(
        self, policy: Policy, request: CreateRequest
    ) -> None:
        """The names of a plan's attempts are distinct, and download last."""
        decision = decide(request, policy)
        names = [str(attempt) for attempt in decision.plan.attempts]
        assert len(set(names)) == len(names)
        assert "download" not in names[:-1]
        assert isinstance(decision, Refuse) == (not names)
        first = names[0] if names else ""
        assert isinstance(decision, Clone) == first.startswith("clone")

    @every_policy
    @given(request=some.upload_requests())
    def test_an_upload_registers_if_it_may_and_sends_the_bytes_if_it_can(
        self, policy: Policy, request: UploadRequest
    ) -> None:
        """In this order; a refusal has no attempt."""
        decision = decide(request, policy)
        names = [str(attempt) for attempt in decision.plan.attempts]
        wanted = [
            path.value
            for path in (Route.REGISTER, Route.UPLOAD)
            if path not in closed(decision)
        ]
        assert wanted == names
        assert isinstance(decision, Refuse) == (not names)

    @given(request=some.create_requests())
    def test_leaving_out_the_source_that_failed_comes_to_an_end(
        self, request: CreateRequest
    ) -> None:
        """Fewer sources each time, and no clone when none are left."""
        for _ in range(10):
            decision = decide(request)
            if not isinstance(decision, Clone):
                return
            failed = decision.source

            def rest(
                candidates: tuple[T, ...], gone: object = failed
            ) -> tuple[T, ...]:
                return tuple(c for c in candidates if c != gone)

            request = attrs.evolve(
                request,
                array_images=rest(request.array_images),
                image_volumes=rest(request.image_volumes),
                cache_entries=rest(request.cache_entries),
            )
        pytest.fail("ten sources failed and there is still one more")
