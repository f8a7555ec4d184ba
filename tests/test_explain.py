"""What is told to whom, in words."""

from __future__ import annotations

import pytest
from clonepolicy._explain import headline, shown, verb
from clonepolicy._records import GiB, Host, VolumeType
from clonepolicy.testing.worlds import (
    CLONEABLE,
    IMAGE_ID,
    NEW_ID,
    NOW,
    REGISTERABLE,
    SOURCE_ID,
    put,
)

from clonepolicy import (
    LIBERTY,
    SAFE,
    Mechanism,
    Path,
    Reason,
    Who,
    decide_create,
    decide_upload,
    explain,
    explain_to_tenant,
    tenant_findings,
    what_would_it_take,
)

WORLD = CLONEABLE[Mechanism.IMAGE_VOLUME]
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
            {"source.status": "error"},
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
    decision = decide_create(put(WORLD, values))
    assert says == headline(decision)
    assert verb(decision) == says.partition(" ")[0]
    assert explain(decision).startswith(f"{says} (policy SAFE/1)")


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
    assert says == headline(decide_upload(put(REGISTERABLE, values)))


def test_the_operator_reads_reason_values_remedy_and_plan() -> None:
    """Everything that led there."""
    text = explain(decide_create(put(WORLD, {"source.project_id": "bob"})))
    for part in (
        "owner-mismatch: the source is not the image owner's",
        "image.owner=alice",
        "source.project_id=bob",
        "operator: put image volumes in the internal tenant",
        f"image-volume cinder://{SOURCE_ID}: refused",
        "1. download: DownloadImage, PublishVolume",
        "else FailVolume",
    ):
        assert part in text


def test_facts_of_the_source_and_of_the_volume_are_told_apart() -> None:
    """Each value stands behind its own path."""
    text = explain(decide_create(put(WORLD, {"source.size": 3})))
    assert "(source.size=3, volume.size=1)" in text
    text = explain(decide_create(put(WORLD, {"volume.size": 0})))
    assert "(volume.size=0)" in text


def test_the_operator_reads_notes_and_what_waiting_may_cure() -> None:
    """A clone has its price too."""
    text = explain(decide_create(put(WORLD, {"volume.size": 2})))
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
        (WORLD.quota, str(WORLD.quota)),
    ],
)
def test_values_are_shown_as_operators_write_them(
    value: object, text: str
) -> None:
    """In the notation of Cinder and Glance."""
    assert text == shown(value)


def test_a_tenant_reads_a_refusal_and_its_remedy() -> None:
    """What is theirs to see, and what they can do."""
    world = put(WORLD, {"image.size": 2 * GiB})
    expected = (
        f"Cannot make volume {NEW_ID} from image {IMAGE_ID}.\n"
        "- the image's data is larger than the volume "
        "[image-larger-than-volume]. "
        "Remedy: ask for a volume at least as large as the image."
    )
    assert expected == explain_to_tenant(decide_create(world))


def test_a_tenant_reads_no_remedy_that_is_the_operators() -> None:
    """Only what waiting may do about it."""
    world = put(WORLD, {"image.downloadable": False})
    text = explain_to_tenant(decide_create(world))
    assert "[download-forbidden]." in text
    assert "Remedy" not in text


def test_a_tenant_reads_why_there_can_be_no_clone() -> None:
    """If their own facts alone rule it out."""
    world = put(WORLD, {"image.disk_format": "qcow2"})
    text = explain_to_tenant(decide_create(world, LIBERTY))
    assert "cannot be a clone" in text
    assert "Remedy: convert the image to raw." in text
    busy = put(REGISTERABLE, {"volume.encryption_key_id": "key-1"})
    assert "cannot be a clone" in explain_to_tenant(decide_upload(busy))
    wait = put(REGISTERABLE, {"volume.status": "error"})
    assert "Waiting may help." in explain_to_tenant(decide_upload(wait))


def test_a_tenant_cannot_tell_clone_from_copy_by_others_facts() -> None:
    """The same words for both."""
    expected = (
        f"Making volume {NEW_ID} from image {IMAGE_ID}, by clone or by copy."
    )
    for status in ("available", "error"):
        decision = decide_create(put(WORLD, {"source.status": status}))
        assert expected == explain_to_tenant(decision)


class TestWhatWouldItTake:
    """The smallest changes, and whose they are to make."""

    def test_nothing_where_the_way_is_open(self) -> None:
        """A clone and a registration need no change."""
        assert () == what_would_it_take(WORLD)
        assert () == what_would_it_take(REGISTERABLE)

    def test_the_way_with_the_fewest_changes_comes_first(self) -> None:
        """Of each mechanism, the best source."""
        ways = what_would_it_take(put(WORLD, {"source.status": "error"}))
        counts = [len(way.changes) for way in ways]
        assert sorted(counts) == counts
        way = next(way for way in ways if way.path is Path.IMAGE_VOLUME)
        assert f"cinder://{SOURCE_ID}" == way.candidate
        (change,) = way.changes
        assert Reason.SOURCE_STATUS is change.reason
        assert Who.OPERATOR is change.who
        assert change.waiting_helps
        assert len(SAFE.create.lanes) == len(ways)

    def test_without_a_candidate_the_gates_are_what_it_takes(self) -> None:
        """There is no source to name."""
        ways = what_would_it_take(put(WORLD, {"image_volumes": ()}))
        assert {None} == {way.candidate for way in ways}

    def test_an_upload_has_one_way(self) -> None:
        """Register, or not."""
        world = put(REGISTERABLE, {"volume.encryption_key_id": "key-1"})
        (way,) = what_would_it_take(world)
        assert Path.REGISTER is way.path
        assert [Reason.ENCRYPTED_SOURCE] == [c.reason for c in way.changes]


def test_a_tenants_findings_are_those_that_the_text_tells() -> None:
    """The operator's other findings are not among them."""
    stranger = put(WORLD, {"source.project_id": "stranger"})
    world = put(stranger, {"image.container_format": "ovf"})
    decision = decide_create(world)
    told = [finding.reason for finding in tenant_findings(decision)]
    assert told == [Reason.CONTAINER_NOT_BARE]
    assert str(told[0]) in explain_to_tenant(decision)
    assert len(decision.findings) > 1
