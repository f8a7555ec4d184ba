"""Records refuse invalid values and name the field, value and reason."""

from __future__ import annotations

import datetime
import sys
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

import clonepolicy
import clonepolicy.policy
from clonepolicy import (
    SAFE,
    Backend,
    CinderLocation,
    Config,
    CreateRequest,
    FactError,
    FileLocation,
    GlanceConfig,
    Host,
    Image,
    ImageVolume,
    Location,
    OtherLocation,
    Quota,
    RbdLocation,
    Reason,
    Route,
    UploadRequest,
    Volume,
    decide,
    parse_location,
    plan,
    ports,
)
from clonepolicy.plan import (
    AddLocation,
    Attempt,
    CreateImageVolume,
    Plan,
    PublishVolume,
    VolumeRef,
)
from clonepolicy.plan._build import plan_create
from clonepolicy.policy import (
    Citation,
    CreateTables,
    Policy,
    Subject,
    nearest_first,
    rule,
)
from clonepolicy.ports import Missing
from clonepolicy.scenarios import CLONEABLE, REGISTERABLE, with_facts
from clonepolicy.testing import strategies as some
from zones import Shifting

RECORDS = tuple(
    kind
    for module in (clonepolicy, clonepolicy.policy, plan, ports)
    for name in module.__all__
    if isinstance(kind := getattr(module, name), type) and attrs.has(kind)
)
ODD_OFFSET = datetime.datetime(
    2026, 1, 1, tzinfo=datetime.timezone(datetime.timedelta(seconds=1))
)
TWICE = datetime.datetime(2026, 1, 1, tzinfo=Shifting())
BAD: tuple[tuple[type, dict[str, Any], str], ...] = (
    (Volume, {"id": "v\ud800"}, "Volume.id: expected non-empty Unicode text"),
    (Volume, {"size": 2**63}, "Volume.size: expected a whole number from"),
    (Volume, {"size": 10**5000}, "got a value of type int"),
    (
        Volume,
        {"created_at": ODD_OFFSET},
        "Volume.created_at: expected a datetime with a time zone",
    ),
    (
        Volume,
        {"created_at": TWICE},
        "Volume.created_at: expected a datetime with a time zone",
    ),
    (
        Volume,
        {"size": -1},
        "Volume.size: expected a whole number from 0 to 2**63 - 1",
    ),
    (
        Volume,
        {"size": True},
        "Volume.size: expected a whole number from 0 to 2**63 - 1",
    ),
    (
        Volume,
        {"size": "1"},
        "Volume.size: expected a whole number from 0 to 2**63 - 1",
    ),
    (Volume, {"id": ""}, "Volume.id: expected non-empty Unicode text, got ''"),
    (Volume, {"host": "h@b#p"}, "Volume.host: expected Host or None"),
    (Volume, {"clones": 1.5}, "Volume.clones: expected a whole number"),
    (Volume, {"multiattach": 1}, "Volume.multiattach: expected True or False"),
    (
        Volume,
        {"created_at": datetime.datetime(2026, 1, 1)},  # noqa: DTZ001
        "Volume.created_at: expected a datetime with a time zone",
    ),
    (
        Image,
        {"owner": ""},
        "Image.owner: expected non-empty Unicode text or None, got ''",
    ),
    (Image, {"locations_from": "image"}, "expected LocationsFrom"),
)


def made(kind: type, **given_: Any) -> Any:  # noqa: ANN401 - any record
    """Make a record from its required fields and those given."""
    needs: dict[type, dict[str, Any]] = {
        Volume: {"id": "v", "project_id": "p", "size": 1, "status": "x"},
        Image: {"id": "i", "status": "active"},
    }
    return kind(**{**needs[kind], **given_})


@pytest.mark.parametrize(("kind", "wrong", "says"), BAD)
def test_an_invalid_value_is_refused_by_name(
    kind: type, wrong: dict[str, Any], says: str
) -> None:
    """The error names the field, the value and what was expected."""
    with pytest.raises(FactError, match="expected") as caught:
        made(kind, **wrong)
    assert says in str(caught.value)


def test_long_values_are_shortened_in_errors() -> None:
    """A long text of a tenant does not fill the log."""
    error = FactError("Image.id", "x" * 10_000, "less")
    assert len(str(error)) < 200


@pytest.mark.parametrize(
    ("kind", "wrong"),
    [
        (Config, {"allowed_direct_url_schemes": ("cinder",)}),
        (Config, {"trusted_projects": frozenset({1})}),
        (Config, {"enable_force_upload": None}),
        (ImageVolume, {"location": "cinder://x"}),
        (ImageVolume, {"location": parse_location("x"), "source": "v"}),
        (Quota, {"volumes": -1}),
        (Backend, {"can_clone": "yes"}),
        (GlanceConfig, {"stores": ("s1",)}),
        (
            CreateRequest,
            {"image": None, "volume": None},
        ),
        (
            CreateRequest,
            {
                "image": made(Image),
                "volume": made(Volume),
                "image_volumes": [],
            },
        ),
        (UploadRequest, {"image": None, "volume": None, "project_id": 1}),
    ],
)
def test_wrongly_typed_parts_are_refused(
    kind: type, wrong: dict[str, Any]
) -> None:
    """Validators check, nothing converts."""
    with pytest.raises(FactError):
        kind(**wrong)


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
def test_records_are_frozen_and_slotted(kind: type) -> None:
    """A record cannot be changed and takes no unknown attribute."""
    assert "__slots__" in vars(kind)


@given(request=some.create_requests())
def test_requests_are_values(request: CreateRequest) -> None:
    """A copy is equal and has the same hash."""
    copy = attrs.evolve(request)
    assert request == copy
    assert hash(request) == hash(copy)


@given(
    text=st.from_regex(r"[^@#]+(@[^@#]+)?(#[^#]+)?", fullmatch=True),
)
def test_a_host_is_written_as_it_was_read(text: str) -> None:
    """``host@backend#pool``; backend and pool are optional."""
    assert text == str(Host.parse(text))


@pytest.mark.parametrize("text", ["", "@b", "h@", "h#", "h@#p"])
def test_a_host_with_an_empty_part_is_refused(text: str) -> None:
    """A part that is written must not be empty."""
    with pytest.raises(FactError):
        Host.parse(text)


@pytest.mark.parametrize(
    ("quota", "admits"),
    [
        (Quota(), True),
        (Quota(volumes=1, gigabytes=2, per_volume_gigabytes=2), True),
        (Quota(volumes=0), False),
        (Quota(gigabytes=1), False),
        (Quota(per_volume_gigabytes=1), False),
    ],
)
def test_each_limit_of_a_quota_counts(
    quota: Quota,
    admits: bool,  # noqa: FBT001 - a table
) -> None:
    """The number of volumes, the sum of GiB, and the size of one volume."""
    assert admits == quota.admits(2)


def test_the_clone_lies_in_the_internal_tenant_only_if_it_is_complete() -> (
    None
):
    """Project and user are both needed, and the option."""
    request = REGISTERABLE
    internal = request.config.cinder_internal_tenant_project_id
    assert internal == request.clone_project
    for field, value in (
        ("image_upload_use_internal_tenant", False),
        ("cinder_internal_tenant_project_id", None),
        ("cinder_internal_tenant_user_id", None),
    ):
        other = with_facts(request, {f"config.{field}": value})
        assert request.project_id == other.clone_project


class TestRules:
    """A rule cannot be made without what documents it."""

    def test_a_rule_needs_a_requirement(self) -> None:
        """The text that says what must hold is not empty."""
        with pytest.raises(ValueError, match="requirement must not be empty"):

            @rule(
                "",
                Reason.SIZE_INVALID,
                reads=("volume.size",),
                citations=(Citation("here", "there"),),
            )
            def undocumented(_request: CreateRequest) -> bool:
                return True

    @pytest.mark.parametrize("empty", ["reads", "citations"])
    def test_a_rule_needs_reads_and_citations(self, empty: str) -> None:
        """They say which facts the rule uses and where it comes from."""
        some_rule = SAFE.create.refuse[0]
        parts: dict[str, Any] = {empty: ()}
        with pytest.raises(ValueError, match=f"{empty} must not be empty"):
            attrs.evolve(some_rule, **parts)

    def test_a_citation_is_written_in_one_line(self) -> None:
        """Project and place."""
        assert "here: there" == str(Citation("here", "there"))

    def test_a_table_has_any_number_of_rules(self) -> None:
        """Each of a hundred that fail is reported."""
        table = SAFE.create.clone[1]
        never = attrs.evolve(
            table.source_rules[0], holds=lambda _request, _candidate: False
        )
        many = tuple(attrs.evolve(never, name=f"r{n}") for n in range(100))
        mine = attrs.evolve(
            SAFE,
            create=attrs.evolve(
                SAFE.create,
                clone=(attrs.evolve(table, source_rules=many),),
            ),
        )
        decision = decide(CLONEABLE[Route.IMAGE_VOLUME], mine)
        (result,) = decision.candidates
        assert [rule.name for rule in many] == [
            finding.rule for finding in result.findings
        ]

    def test_every_reason_says_what_is_the_case(self) -> None:
        """Every reason has a meaning and a subject."""
        for reason in Reason:
            assert reason.meaning
            assert isinstance(reason.subject, Subject)


class TestPlans:
    """A plan that cannot work is refused."""

    def test_a_reference_is_not_used_before_it_is_made(self) -> None:
        """The id of the image volume is known only after it was created."""
        ref = VolumeRef("image-volume")
        add = AddLocation("i", ref, None)
        with pytest.raises(FactError, match="before it is created"):
            Plan((Attempt(Route.REGISTER, None, (add,)),))
        plan = Plan(
            (
                Attempt(
                    Route.REGISTER,
                    None,
                    (CreateImageVolume(ref, "v", "p"), add),
                ),
            )
        )
        assert frozenset({ref}) == plan.refs
        assert "<image-volume>" == str(ref)

    def test_a_volume_with_a_known_id_is_no_reference(self) -> None:
        """The plan does not create that volume under a new id."""
        plan = Plan(
            (
                Attempt(
                    Route.REGISTER, None, (CreateImageVolume("v2", "v", "p"),)
                ),
            )
        )
        assert frozenset() == plan.refs

    def test_an_attempt_without_a_source_has_no_clone_step(self) -> None:
        """Only a policy without SAFE's rules can choose such a candidate."""
        request = CLONEABLE[Route.IMAGE_VOLUME]
        (candidate,) = request.image_volumes
        gone = attrs.evolve(candidate, source=None, missing=Missing.ABSENT)
        plan = plan_create(
            request, [(Route.IMAGE_VOLUME, gone)], download=False
        )
        (attempt,) = plan.attempts
        assert (PublishVolume(request.volume.id),) == attempt.steps

    def test_a_policy_without_rules_still_has_a_plan(self) -> None:
        """It clones every candidate that has a source."""
        routes = tuple(
            attrs.evolve(clone_table, preconditions=(), source_rules=())
            for clone_table in SAFE.create.clone
        )
        careless = Policy(
            name="CARELESS",
            version=1,
            create=CreateTables(clone=routes),
            upload=SAFE.upload,
        )
        scenario = CLONEABLE[Route.CACHE_ENTRY]
        (entry,) = scenario.cache_entries
        odd = attrs.evolve(entry, source=None, missing=Missing.ABSENT)
        request = attrs.evolve(scenario, cache_entries=(entry, odd))
        decision = decide(request, careless)
        assert decision.plan.attempts
        assert "cache:?" == odd.label
        assert nearest_first(request, odd)


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        (("h@b", None, "p"), "Host.host: expected none of @#, got 'h@b'"),
        (("h#p",), "Host.host: expected none of @#, got 'h#p'"),
        (("h", "b#p"), "Host.backend: expected none of #, got 'b#p'"),
        (("h", ""), "Host.backend: expected non-empty Unicode text or None"),
    ],
)
def test_a_host_is_refused_if_parsing_would_part_it_otherwise(
    parts: tuple[str | None, ...], says: str
) -> None:
    """Else two hosts that differ would be written alike."""
    with pytest.raises(FactError) as caught:
        Host(*parts)  # type: ignore[arg-type] # the case
    assert str(caught.value).startswith(says)


@given(text=st.text("hb@#%", min_size=1, max_size=6))
def test_a_host_that_can_be_parsed_is_written_as_it_was(text: str) -> None:
    """Marks of later parts may stand in the pool, and @ in the backend."""
    try:
        host = Host.parse(text)
    except FactError:
        return
    assert text == str(host)


@pytest.mark.parametrize(
    "location",
    [
        CinderLocation("vol-1"),
        CinderLocation(7),  # type: ignore[arg-type] # the case
        RbdLocation("f", 7, "i", "s"),  # type: ignore[arg-type] # the case
        FileLocation("/a/../b"),
        OtherLocation("cinder://x"),
        parse_location("x:\ud800"),
    ],
    ids=repr,
)
def test_a_location_that_is_not_read_back_is_refused(
    location: Location,
) -> None:
    """As a text it would be another location, or none."""
    with pytest.raises(FactError, match="as parse_location makes it"):
        ImageVolume(location=location)
