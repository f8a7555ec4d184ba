"""The laws of deciding, each over every rule of every table.

A rule is under test the moment it stands in a table: nothing here names
one.
"""

from __future__ import annotations

import functools
import itertools
import random
from typing import Any, TypeAlias, TypeVar

import attrs
import pytest
from clonepolicy._findings import read
from clonepolicy.testing.worlds import (
    AXES,
    CLONEABLE,
    NEW_ID,
    REGISTERABLE,
    SOURCE_ID,
    UPLOAD_AXES,
    Request,
    candidate_of,
    put,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from clonepolicy import (
    POLICIES,
    SAFE,
    CinderLocation,
    Clone,
    CreateRequest,
    Decision,
    Download,
    GiB,
    ImageVolume,
    Lane,
    LocationsFrom,
    Mechanism,
    Path,
    Policy,
    Reason,
    Refuse,
    Register,
    Rule,
    Upload,
    UploadRequest,
    decide_create,
    decide_upload,
    explain,
    explain_to_tenant,
    tables,
    what_would_it_take,
)
from clonepolicy.testing import combinations as combos
from clonepolicy.testing import strategies as some

T = TypeVar("T")
EVERY = tuple(POLICIES.values())
every_policy = pytest.mark.parametrize("policy", EVERY, ids=lambda p: p.name)

Row: TypeAlias = tuple[Policy, combos.Table, Rule[Any]]
ROWS: list[Row] = [
    (policy, table, rule)
    for policy in EVERY
    for table in combos.worlds_of(policy)
    for rule in table.rules
]
RULES: dict[Rule[Any], list[Request]] = {}
for _, in_table, its_rule in ROWS:
    RULES.setdefault(its_rule, []).append(in_table.base)


one_fault = functools.cache(combos.one_fault)


def over(rows: list[Row]) -> pytest.MarkDecorator:
    """Run a test for each of some rows, named after it."""
    return pytest.mark.parametrize(
        ("policy", "table", "rule"),
        rows,
        ids=[f"{p.name}-{t.name}-{r.name}" for p, t, r in rows],
    )


every_row = over(ROWS)
every_verdict_row = over(
    [row for row in ROWS if not row[1].name.endswith("notes")]
)


def decide(request: Request, policy: Policy) -> Decision:
    """Ask the question that the request is."""
    if isinstance(request, CreateRequest):
        return decide_create(request, policy)
    return decide_upload(request, policy)


def failing_rules(request: Request, policy: Policy) -> set[tuple[str, str]]:
    """Evaluate every rule by itself: names, and what they are about."""
    if isinstance(request, UploadRequest):
        return {
            (rule.name, "")
            for rule in policy.upload.request_rules
            if not rule.holds(request)
        }
    failing = {
        (rule.name, "")
        for rule in policy.create.request_rules
        if not rule.holds(request)
    }
    for lane in policy.create.lanes:
        for candidate in lane.candidates(request):
            failing |= {
                (rule.name, str(candidate))
                for rule in lane.rules
                if not rule.holds(request, candidate)
            }
    return failing


def reported(decision: Decision) -> set[tuple[str, str]]:
    """Collect what a decision reports, in the shape of `failing_rules`."""
    about_request = {
        (f.rule, "") for f in decision.findings if f.candidate is None
    }
    about_sources = {
        (finding.rule, str(considered.candidate))
        for considered in decision.considered
        for finding in considered.findings
    }
    return about_request | about_sources


class TestTotal:
    """Every request has a decision, and every decision an explanation."""

    @every_policy
    @given(request=some.create_requests())
    def test_every_create_request_is_decided_and_explained(
        self, policy: Policy, request: CreateRequest
    ) -> None:
        """Deciding, explaining and planning never raise."""
        decision = decide_create(request, policy)
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
        decision = decide_upload(request, policy)
        assert isinstance(decision, (Register, Upload, Refuse))
        assert explain(decision)
        assert explain_to_tenant(decision)
        assert isinstance(what_would_it_take(request, policy), tuple)


class TestExplained:
    """A path that is not taken is closed by a finding that says why."""

    @every_policy
    @given(request=some.create_requests() | some.near_misses())
    def test_what_is_not_cloned_has_a_reason_for_each_mechanism(
        self, policy: Policy, request: CreateRequest
    ) -> None:
        """No mechanism is passed over in silence."""
        decision = decide_create(request, policy)
        if not isinstance(decision, Clone):
            closed = {p for f in decision.findings for p in f.blocks}
            for lane in policy.create.lanes:
                assert Path(lane.mechanism) in closed
        if isinstance(decision, Refuse):
            assert any(Path.DOWNLOAD in f.blocks for f in decision.findings)

    @every_policy
    @given(request=some.create_requests() | some.near_misses())
    def test_a_chosen_source_has_no_finding_against_it(
        self, policy: Policy, request: CreateRequest
    ) -> None:
        """What is cloned is acceptable, and its path open."""
        decision = decide_create(request, policy)
        if isinstance(decision, Clone):
            path = Path(decision.mechanism)
            chosen = [
                c
                for c in decision.considered
                if c.candidate == decision.source
                and c.mechanism is decision.mechanism
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
        """An upload of bytes says why, and a refusal closes both paths."""
        decision = decide_upload(request, policy)
        closed = {p for f in decision.findings for p in f.blocks}
        assert isinstance(decision, Register) == (Path.REGISTER not in closed)
        if isinstance(decision, Refuse):
            assert Path.UPLOAD in closed


class TestHonest:
    """A finding is reported if and only if its rule fails."""

    @every_policy
    @given(request=some.create_requests() | some.near_misses())
    def test_create_findings_are_the_failing_rules(
        self, policy: Policy, request: CreateRequest
    ) -> None:
        """Each rule, asked by itself, says what the decision reports."""
        decision = decide_create(request, policy)
        assert failing_rules(request, policy) == reported(decision)

    @every_policy
    @given(request=some.upload_requests())
    def test_upload_findings_are_the_failing_rules(
        self, policy: Policy, request: UploadRequest
    ) -> None:
        """Each rule, asked by itself, says what the decision reports."""
        decision = decide_upload(request, policy)
        assert failing_rules(request, policy) == reported(decision)

    @every_policy
    @given(request=some.create_requests() | some.near_misses())
    def test_findings_carry_the_values_they_compared(
        self, policy: Policy, request: CreateRequest
    ) -> None:
        """The values are those of the request, by the paths of the rule."""
        decision = decide_create(request, policy)
        for finding in decision.findings:
            if finding.candidate is None:
                expected = [(p, read(p, request)) for p, _ in finding.values]
                assert expected == list(finding.values)


class TestAlone:
    """Every rule has a world in which it is its table's only failing one."""

    @every_verdict_row
    def test_a_rule_can_fail_alone(
        self, policy: Policy, table: combos.Table, rule: Rule[Any]
    ) -> None:
        """No rule is implied by its neighbours."""
        world = one_fault(policy)[table.name, rule.name]
        failing = [r for r in table.rules if not combos.holds(r, world)]
        assert [rule] == failing

    def test_every_reason_is_given_by_some_shipped_rule(self) -> None:
        """No reason is dead."""
        given_ = {
            rule.reason
            for policy in EVERY
            for _, rules in tables(policy)
            for rule in rules
        }
        assert set(Reason) == given_


class TestFramed:
    """A rule depends on the facts that it names, on all, and on no other."""

    @every_row
    @settings(max_examples=settings().max_examples // 4)
    @given(rng=st.randoms(use_true_random=False, note_method_calls=False))
    def test_a_rule_depends_on_its_reads_only(
        self,
        policy: Policy,
        table: combos.Table,
        rule: Rule[Any],
        rng: random.Random,
    ) -> None:
        """Two worlds that agree on the reads agree on the outcome."""
        axes = UPLOAD_AXES if isinstance(table.base, UploadRequest) else AXES
        one, two = (
            put(
                table.base,
                {path: rng.choice(pool) for path, pool in axes.items()},
            )
            for _ in range(2)
        )
        assert rule in dict(tables(policy))[table.name]
        shared = {
            path: read(path, one, candidate_of(one))
            for path in rule.reads
            if path in axes
        }
        assert combos.holds(rule, one) == combos.holds(rule, put(two, shared))

    @pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
    def test_a_rule_uses_every_fact_that_it_names(
        self, rule: Rule[Any]
    ) -> None:
        """For each fact, two worlds that differ in it alone differ."""
        used = {
            path
            for base in RULES[rule]
            for path in rule.reads
            if depends(rule, path, base)
        }
        assert set(rule.reads) == used


def depends(rule: Rule[Any], path: str, base: Request) -> bool:
    """Look for two worlds that differ in one fact and in the outcome."""
    outcomes: dict[str, set[bool]] = {}
    for values, world in combos.variants(base, frozenset(rule.reads)):
        rest = repr([values.get(p) for p in rule.reads if p != path])
        outcomes.setdefault(rest, set()).add(combos.holds(rule, world))
    return any(len(held) > 1 for held in outcomes.values())


def without(policy: Policy, table: str, rule: Rule[Any]) -> Policy:
    """Drop one row of one table."""
    operation, _, place = table.partition(".")
    part = getattr(policy, operation)
    lane_name, _, field = place.partition(".")
    if field:
        part = attrs.evolve(
            part,
            lanes=tuple(
                attrs.evolve(
                    lane,
                    **{
                        field: tuple(
                            r for r in getattr(lane, field) if r is not rule
                        )
                    },
                )
                if lane.mechanism == lane_name
                else lane
                for lane in part.lanes
            ),
        )
    else:
        rest = tuple(r for r in getattr(part, place) if r is not rule)
        part = attrs.evolve(part, **{place: rest})
    return attrs.evolve(policy, **{operation: part})


class TestNeeded:
    """Drop a row, and some decision changes."""

    @every_verdict_row
    def test_dropping_a_row_changes_what_is_reported(
        self, policy: Policy, table: combos.Table, rule: Rule[Any]
    ) -> None:
        """In the world where it fails alone, the row is missed."""
        world = one_fault(policy)[table.name, rule.name]
        fewer = without(policy, table.name, rule)
        has, lacks = decide(world, policy), decide(world, fewer)

        def blocks(decision: Decision) -> set[tuple[str, Path]]:
            return {
                (f.rule, path) for f in decision.findings for path in f.blocks
            }

        assert blocks(lacks) < blocks(has)


class TestOrdered:
    """The order and the repetition of candidates never matter."""

    @every_policy
    @given(request=some.create_requests() | some.near_misses(), data=st.data())
    def test_shuffled_and_repeated_candidates_change_nothing(
        self, policy: Policy, request: CreateRequest, data: st.DataObject
    ) -> None:
        """Verdict, source, findings, notes and plan stay as they are."""

        def mixed(values: tuple[Any, ...]) -> tuple[Any, ...]:
            if not values:
                return ()
            more = data.draw(st.lists(st.sampled_from(values), max_size=3))
            return tuple(data.draw(st.permutations([*values, *more])))

        other = attrs.evolve(
            request,
            array_images=mixed(request.array_images),
            image_volumes=mixed(request.image_volumes),
            cache_entries=mixed(request.cache_entries),
        )
        one, two = (decide_create(r, policy) for r in (request, other))
        assert type(one) is type(two)
        assert one.plan == two.plan
        assert one.notes == two.notes
        assert one.considered == two.considered
        assert {f.rule for f in one.findings} == {f.rule for f in two.findings}
        if isinstance(one, Clone) and isinstance(two, Clone):
            assert one.source == two.source


class TestRepairable:
    """Mend exactly what is listed, and the verdict flips; less does not."""

    @given(request=some.near_misses().filter(candidate_of))
    def test_mending_what_a_way_lists_opens_the_way(
        self, request: CreateRequest
    ) -> None:
        """With the listed rules' facts mended, the source is cloned."""
        lane = next(x for x in SAFE.create.lanes if x.candidates(request))
        path, base = Path(lane.mechanism), CLONEABLE[lane.mechanism]
        asked: dict[str, Rule[Any]] = {
            rule.name: rule
            for table in (SAFE.create.refuse, lane.gates, lane.rules)
            for rule in table
        }
        for _ in range(4):
            ways = {w.path: w for w in what_would_it_take(request)}
            decision = decide_create(request)
            if isinstance(decision, Clone):
                assert not ways
                return
            listed = [f for f in decision.findings if path in f.blocks]
            assert [f.reason for f in listed] == [
                change.reason for change in ways[path].changes
            ]
            facts = {p for f in listed for p in asked[f.rule].reads}
            request = put(
                request,
                {
                    p: read(p, base, candidate_of(base))
                    for p in facts & set(AXES)
                },
            )
        pytest.fail(f"still closed: {[f.rule for f in listed]}")

    @pytest.mark.parametrize(
        "lane", SAFE.create.lanes, ids=lambda x: x.mechanism
    )
    @given(data=st.data())
    def test_mending_a_part_of_what_is_listed_is_not_enough(
        self,
        lane: Lane[Any],
        data: st.DataObject,
    ) -> None:
        """Independent faults each keep the way closed until all are mended."""
        base = CLONEABLE[lane.mechanism]
        faults = combos.independent_faults(
            base, (*lane.gates, *lane.rules), keeping=SAFE.create.refuse
        )
        chosen = data.draw(
            st.lists(
                st.sampled_from(range(len(faults))),
                min_size=1,
                max_size=5,
                unique=True,
            )
        )
        for keep in range(len(chosen) + 1):
            for kept in itertools.combinations(chosen, keep):
                values: dict[str, Any] = {}
                for index in kept:
                    values.update(faults[index][1])
                decision = decide_create(put(base, values))
                assert isinstance(decision, Clone) == (not kept)
                listed = {
                    f.rule
                    for f in decision.findings
                    if Path(lane.mechanism) in f.blocks
                }
                assert {faults[index][0] for index in kept} == listed


GRANTS: tuple[tuple[str, Any], ...] = (
    ("config.allowed_direct_url_schemes", frozenset({"cinder", "file"})),
    ("config.verify_glance_signatures", "disabled"),
    ("config.image_volume_cache_enabled", True),
    ("config.image_conversion_disable", False),
    ("config.allow_compression_on_image_upload", True),
    ("backend.can_clone", True),
    ("backend.can_extend", True),
    ("backend.clone_across_pools", True),
    ("backend.clone_limit", None),
    ("backend.frozen", False),
    ("image.visible", True),
    ("image.downloadable", True),
    ("image.signed", False),
    ("image.virtual_size", None),
    ("image.min_disk", 0),
    ("volume.multiattach", False),
    ("volume.encryption_key_id", None),
    ("source.status", "available"),
    ("source.migration_status", None),
    ("source.encryption_key_id", None),
    ("source.clones", 0),
)


class TestMonotone:
    """Granting more never turns a clone into a download."""

    @pytest.mark.parametrize(
        ("path", "value"), GRANTS, ids=[path for path, _ in GRANTS]
    )
    @given(request=some.near_misses())
    def test_a_grant_never_loses_a_clone(
        self, path: str, value: object, request: CreateRequest
    ) -> None:
        """What is cloned without the grant is cloned with it."""
        if isinstance(decide_create(request), Clone):
            assert isinstance(
                decide_create(put(request, {path: value})), Clone
            )

    @given(request=some.near_misses(), more=some.image_volumes())
    def test_one_more_candidate_never_loses_a_clone(
        self,
        request: CreateRequest,
        more: Any,  # noqa: ANN401 - a candidate
    ) -> None:
        """A bad candidate cannot mask a good one."""
        if isinstance(decide_create(request), Clone):
            wider = attrs.evolve(
                request, image_volumes=(*request.image_volumes, more)
            )
            assert isinstance(decide_create(wider), Clone)

    @given(request=some.near_misses())
    def test_a_larger_request_never_loses_a_clone_for_its_size(
        self, request: CreateRequest
    ) -> None:
        """Where the array extends and quota and type allow it."""
        free = put(
            request,
            {
                "backend.can_extend": True,
                "volume.volume_type": request.volume.volume_type
                and attrs.evolve(
                    request.volume.volume_type,
                    min_vol_size=None,
                    max_vol_size=None,
                ),
                "quota": type(request.quota)(),
            },
        )
        if isinstance(decide_create(free), Clone):
            larger = put(free, {"volume.size": free.volume.size + 1})
            assert isinstance(decide_create(larger), Clone)


class TestEnding:
    """A plan ends: each source once, then the ordinary path."""

    @every_policy
    @given(request=some.create_requests() | some.near_misses())
    def test_a_plan_tries_each_source_once_and_then_downloads(
        self, policy: Policy, request: CreateRequest
    ) -> None:
        """The names of a plan's attempts are distinct, and download last."""
        decision = decide_create(request, policy)
        names = [attempt.name for attempt in decision.plan.attempts]
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
        """In this order; a refusal has no attempt at all."""
        decision = decide_upload(request, policy)
        names = [attempt.name for attempt in decision.plan.attempts]
        closed = {p for f in decision.findings for p in f.blocks}
        wanted = [
            path.value
            for path in (Path.REGISTER, Path.UPLOAD)
            if path not in closed
        ]
        assert wanted == names
        assert isinstance(decision, Refuse) == (not names)

    @given(request=some.create_requests() | some.near_misses())
    def test_leaving_out_the_source_that_failed_comes_to_an_end(
        self, request: CreateRequest
    ) -> None:
        """Fewer sources each time, and no clone when none are left."""
        for _ in range(10):
            decision = decide_create(request)
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


class TestNonInterfering:
    """A tenant learns nothing about other projects' volumes."""

    @every_policy
    @given(
        one=some.create_requests() | some.near_misses(),
        two=some.create_requests(),
    )
    def test_tenants_read_the_same_whatever_others_own(
        self, policy: Policy, one: CreateRequest, two: CreateRequest
    ) -> None:
        """Other sources and arrays, and yet the same text."""
        other = attrs.evolve(
            one,
            backend=two.backend,
            array_images=two.array_images,
            image_volumes=two.image_volumes,
            cache_entries=two.cache_entries,
        )
        assert explain_to_tenant(decide_create(one, policy)) == (
            explain_to_tenant(decide_create(other, policy))
        )

    @every_policy
    @given(request=some.create_requests() | some.near_misses())
    def test_a_tenant_is_never_promised_what_is_refused(
        self, policy: Policy, request: CreateRequest
    ) -> None:
        """Nor denied what is done."""
        decision = decide_create(request, policy)
        text = explain_to_tenant(decision).partition("\n")[0]
        if isinstance(decision, Refuse):
            assert text.startswith("Cannot") or text.endswith("if at all.")
        else:
            assert not text.startswith("Cannot")
        if isinstance(decision, Clone):
            assert not text.endswith("cannot be a clone.")
        if isinstance(decision, Download):
            assert "can only be a clone" not in text

    @every_policy
    @given(request=some.upload_requests())
    def test_an_uploader_is_never_promised_what_is_refused(
        self, policy: Policy, request: UploadRequest
    ) -> None:
        """Nor denied what is done."""
        decision = decide_upload(request, policy)
        text = explain_to_tenant(decision).partition("\n")[0]
        if isinstance(decision, Refuse):
            assert text.startswith("Cannot") or text.endswith("if at all.")
        else:
            assert not text.startswith("Cannot")
        if isinstance(decision, Register):
            assert not text.endswith("cannot be a clone.")
        if isinstance(decision, Upload):
            assert "can only be a clone" not in text

    @every_policy
    @given(one=some.upload_requests(), two=some.upload_requests())
    def test_uploaders_read_the_same_whatever_the_internal_tenant_has(
        self, policy: Policy, one: UploadRequest, two: UploadRequest
    ) -> None:
        """Another quota of another project, and yet the same text."""
        other = attrs.evolve(one, clone_quota=two.clone_quota)
        assert explain_to_tenant(decide_upload(one, policy)) == (
            explain_to_tenant(decide_upload(other, policy))
        )


def create_from(upload: Register) -> CreateRequest:
    """Ask for a volume of the image that an upload registered."""
    request = upload.request
    assert isinstance(request, UploadRequest)
    image, volume = request.image, request.volume
    clone = attrs.evolve(
        volume,
        id=SOURCE_ID,
        project_id=upload.project_id,
        status="available",
        previous_status=None,
        clones=0,
        image_owner=image.owner,
        glance_image_id=image.id,
    )
    return attrs.evolve(
        CLONEABLE[Mechanism.IMAGE_VOLUME],
        image=attrs.evolve(
            image,
            status="active",
            size=volume.size * GiB,
            locations_from=LocationsFrom.LOCATIONS_API,
        ),
        volume=attrs.evolve(volume, id=NEW_ID, status="creating"),
        backend=request.backend,
        config=request.config,
        glance=request.glance,
        image_volumes=(
            ImageVolume(
                location=CinderLocation(SOURCE_ID, upload.store),
                source=clone,
                backend=request.backend,
            ),
        ),
    )


class TestRoundTrip:
    """What an upload registers, a create can clone."""

    @given(data=st.data())
    def test_a_registered_image_is_cloned_by_the_next_create(
        self, data: st.DataObject
    ) -> None:
        """Under SAFE, on the same backend, unless a note said otherwise."""
        values = {
            path: data.draw(st.sampled_from(pool))
            for path, pool in UPLOAD_AXES.items()
            if data.draw(st.booleans())
        }
        request = put(REGISTERABLE, values)
        upload = decide_upload(request)
        if not isinstance(upload, Register):
            return
        create = create_from(upload)
        closed = {n.reason for n in upload.notes} & {Reason.SCHEME_NOT_ALLOWED}
        assert isinstance(decide_create(create), Clone) == (not closed)
