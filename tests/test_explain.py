"""What an operator and a tenant read about a decision."""

from __future__ import annotations

import pytest

from clonepolicy import (
    LIBERTY,
    SAFE,
    Backend,
    GiB,
    GlanceStore,
    Host,
    Quota,
    Reason,
    Route,
    VolumeType,
    decide,
    explain,
    explain_to_tenant,
    tenant_findings,
    what_would_it_take,
)
from clonepolicy._decide.explain import headline
from clonepolicy._decide.fact_text import UNITS, format_fact
from clonepolicy.policy import Responsible
from clonepolicy.ports import Missing
from clonepolicy.scenarios import (
    AXES,
    CLONEABLE,
    IMAGE_ID,
    NEW_ID,
    NOW,
    REGISTERABLE,
    SOURCE_ID,
    with_facts,
)

SCENARIO = CLONEABLE[Route.IMAGE_VOLUME]
CLONES = f"clone volume {NEW_ID} from cinder://{SOURCE_ID}"
REGISTERS = (
    f"register a clone of volume {SOURCE_ID} in internal as image {IMAGE_ID}"
)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({}, CLONES),
        (
            {"volume.size": 3},
            f"{CLONES}, extended to 3 GiB",
        ),
        (
            {"source.size": 2},
            f"download image {IMAGE_ID} into volume {NEW_ID}",
        ),
        (
            {"image.status": "queued"},
            f"refuse to make volume {NEW_ID} from image {IMAGE_ID}",
        ),
    ],
)
def test_a_create_is_summed_up_in_one_line(
    values: dict[str, object], says: str
) -> None:
    """The verdict, and what it is about."""
    decision = decide(with_facts(SCENARIO, values))
    assert says == headline(decision)
    assert decision.verdict == says.partition(" ")[0]
    assert explain(decision).startswith(f"{says} (policy {SAFE})")


@pytest.mark.parametrize(
    ("values", "says"),
    [
        (
            {},
            REGISTERS,
        ),
        (
            {"backend.can_clone": None},
            f"upload volume {SOURCE_ID} to image {IMAGE_ID}",
        ),
        (
            {"volume.status": "error"},
            f"refuse to upload volume {SOURCE_ID} to image {IMAGE_ID}",
        ),
    ],
)
def test_an_upload_is_summed_up_in_one_line(
    values: dict[str, object], says: str
) -> None:
    """The verdict, and what it is about."""
    assert says == headline(decide(with_facts(REGISTERABLE, values)))


def test_the_operator_reads_reason_values_remedy_and_plan() -> None:
    """Also who can remedy it, and the plan that follows."""
    text = explain(decide(with_facts(SCENARIO, {"source.project_id": "bob"})))
    for part in (
        "owner-mismatch: the source is not known to be the image owner's",
        "owner-mismatch: no location of the image can be used",
        "image.owner=alice",
        "source.project_id=bob",
        "operator: upload the image anew with ",
        f"image-volume cinder://{SOURCE_ID}: refused",
        "plan:\n  else FailVolume",
    ):
        assert part in text
    text = explain(decide(with_facts(SCENARIO, {"source.size": 2})))
    assert "1. download: DownloadImage, PublishVolume" in text


def test_facts_of_the_source_and_of_the_volume_have_different_names() -> None:
    """Each value follows its own path."""
    text = explain(decide(with_facts(SCENARIO, {"source.size": 3})))
    assert "(source.size=3 GiB, volume.size=1 GiB)" in text
    text = explain(decide(with_facts(SCENARIO, {"volume.size": 0})))
    assert "(volume.size=0 GiB)" in text


def test_the_operator_reads_notes_and_whether_waiting_may_help() -> None:
    """Notes do not block the clone."""
    text = explain(decide(with_facts(SCENARIO, {"volume.size": 2})))
    assert "notes:" in text
    assert "extend-required" in text
    assert f"image-volume cinder://{SOURCE_ID}: acceptable" in text
    assert "waiting may help" in text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "not set"),
        (True, "True"),
        ((), "none"),
        ((1, 2), "2 of them"),
        (frozenset(), "none"),
        (frozenset({"b", "a"}), "a, b"),
        (NOW, "2026-01-01T00:00:00+00:00"),
        (Host("h", "b", "p"), "h@b#p"),
        (VolumeType(id="gold"), "gold"),
        (VolumeType(id="1", name="gold"), "gold"),
        (
            (
                GlanceStore(id="s", cinder_volume_type="gold"),
                GlanceStore(id="t", read_only=True),
            ),
            "s (gold), t (no type, read-only)",
        ),
        (Quota(), "no limit"),
        (
            Quota(volumes=2, gigabytes=0, type_gigabytes=7),
            "2 volumes and 0 GiB in all and 7 GiB of the type",
        ),
        (Quota(missing=Missing.UNAVAILABLE), "not known (unavailable)"),
        (Backend(), str(Backend())),
    ],
)
def test_values_are_shown_as_operators_write_them(
    value: object, text: str
) -> None:
    """In the notation of Cinder and Glance."""
    assert text == format_fact(value)


def test_every_size_is_shown_with_its_unit() -> None:
    """Every number that a rule reads is a size, or counts something."""
    numbers = {
        path
        for path, values in AXES.items()
        if any(type(value) is int for value in values)
    }
    assert {path for path in numbers if "clone" not in path} == {*UNITS}
    text = explain(decide(with_facts(SCENARIO, {"image.size": 2 * GiB})))
    assert f"(image.size={2 * GiB} bytes, volume.size=1 GiB)" in text


def test_a_tenant_reads_a_refusal_and_its_remedy() -> None:
    """The tenant may see these facts and can act on them."""
    scenario = with_facts(SCENARIO, {"image.size": 2 * GiB})
    expected = (
        f"Cannot make volume {NEW_ID} from image {IMAGE_ID}.\n"
        "- the image's file is larger than the volume "
        "[image-larger-than-volume]. "
        "Remedy: ask for a volume at least as large as the image's file."
    )
    assert expected == explain_to_tenant(decide(scenario))


def test_a_tenant_reads_no_remedy_that_is_the_operators() -> None:
    """A remedy for the operator is left out."""
    scenario = with_facts(SCENARIO, {"image.downloadable": False})
    text = explain_to_tenant(decide(scenario))
    assert "[download-forbidden]." in text
    assert "Remedy" not in text


def test_a_tenant_reads_why_there_can_be_no_clone() -> None:
    """When the tenant's own facts alone rule it out."""
    scenario = with_facts(SCENARIO, {"image.disk_format": "qcow2"})
    text = explain_to_tenant(decide(scenario, LIBERTY))
    assert "only by copy" in text
    assert "Remedy: convert the image to raw." in text
    busy = with_facts(REGISTERABLE, {"volume.encryption_key_id": "key-1"})
    assert "only by copy" in explain_to_tenant(decide(busy))
    wait = with_facts(REGISTERABLE, {"volume.status": "attaching"})
    assert "Waiting may help." in explain_to_tenant(decide(wait))


def test_facts_of_others_do_not_show_whether_it_is_a_clone_or_a_copy() -> None:
    """The text is the same for both."""
    expected = (
        f"Can make volume {NEW_ID} from image {IMAGE_ID} by clone or by copy, "
        "if at all."
    )
    for status in ("available", "error"):
        decision = decide(with_facts(SCENARIO, {"source.status": status}))
        assert expected == explain_to_tenant(decision)


class TestWhatWouldItTake:
    """The smallest changes that open a path, and who can make them."""

    def test_nothing_is_listed_when_the_path_is_open(self) -> None:
        """A clone and a registration need no change."""
        assert () == what_would_it_take(SCENARIO)
        assert () == what_would_it_take(REGISTERABLE)

    def test_the_path_with_the_fewest_changes_comes_first(self) -> None:
        """Each route is listed with its best source."""
        ways = what_would_it_take(
            with_facts(SCENARIO, {"source.status": "backing-up"})
        )
        counts = [len(way.remedies) for way in ways]
        assert sorted(counts) == counts
        way = next(way for way in ways if way.route is Route.IMAGE_VOLUME)
        assert f"cinder://{SOURCE_ID}" == way.candidate
        (change,) = way.remedies
        assert Reason.SOURCE_STATUS is change.reason
        assert Responsible.OPERATOR is change.responsible
        assert change.waiting_helps
        assert len(SAFE.create.clone) == len(ways)

    def test_without_a_candidate_the_gates_are_what_it_takes(self) -> None:
        """No source is named."""
        ways = what_would_it_take(with_facts(SCENARIO, {"image_volumes": ()}))
        assert {None} == {way.candidate for way in ways}

    def test_an_upload_has_one_efficient_path(self) -> None:
        """It can only be registered."""
        scenario = with_facts(
            REGISTERABLE, {"volume.encryption_key_id": "key-1"}
        )
        (way,) = what_would_it_take(scenario)
        assert Route.REGISTER is way.route
        assert [Reason.ENCRYPTED_SOURCE] == [c.reason for c in way.remedies]


def test_a_tenants_findings_are_those_in_the_text() -> None:
    """The operator's other findings are not among them."""
    stranger = with_facts(SCENARIO, {"source.project_id": "stranger"})
    scenario = with_facts(stranger, {"image.container_format": "ovf"})
    decision = decide(scenario)
    reasons = [finding.reason for finding in tenant_findings(decision)]
    assert reasons == [Reason.CONTAINER_NOT_BARE]
    assert str(reasons[0]) in explain_to_tenant(decision)
    assert len(decision.findings) > 1


def test_a_tenant_is_not_told_who_owns_the_data() -> None:
    """Not by what a remedy would change, either."""
    scenario = with_facts(
        SCENARIO, {"image.owner": None, "source.project_id": "stranger"}
    )
    (finding,) = tenant_findings(decide(scenario))
    assert Reason.IMAGE_OWNER_UNKNOWN is finding.reason
    assert [()] == [remedy.changes for remedy in finding.remedies]
