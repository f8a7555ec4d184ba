"""SAFE judges the download by what the image's only data is."""

from __future__ import annotations

import itertools
from typing import Any

import attrs
import pytest

from clonepolicy import (
    CINDER_29,
    LIBERTY,
    CinderLocation,
    Clone,
    CreateRequest,
    Download,
    FileLocation,
    GiB,
    ImageVolume,
    LocationsFrom,
    Reason,
    Refuse,
    Route,
    Volume,
    decide,
    explain_to_tenant,
    parse_location,
)
from clonepolicy.ports import Missing
from clonepolicy.scenarios import (
    ALICE,
    BOB,
    CLONEABLE,
    INTERNAL,
    OTHER_ID,
    SOURCE_ID,
    STORE,
    with_facts,
)

VOLUME = CLONEABLE[Route.IMAGE_VOLUME]
(BACKING,) = VOLUME.image_volumes
DEFECTS: dict[Reason, dict[str, Any]] = {
    Reason.SOURCE_ENCRYPTED: {"encryption_key_id": "key-1"},
    Reason.SOURCE_STATUS: {"status": "error"},
    Reason.OWNER_MISMATCH: {"project_id": BOB},
    Reason.BACKREF_MISMATCH: {"glance_image_id": OTHER_ID},
}


def at(
    volume_id: str,
    **facts: Any,  # noqa: ANN401 - of any field
) -> ImageVolume:
    """Give a location whose volume has other facts than a good one."""
    assert BACKING.source is not None
    return attrs.evolve(
        BACKING,
        location=CinderLocation(volume_id),
        source=attrs.evolve(BACKING.source, id=volume_id, **facts),
    )


def backed_by(*volumes: ImageVolume, **values: object) -> CreateRequest:
    """Ask for a volume of an image with these locations."""
    request = attrs.evolve(VOLUME, image_volumes=volumes)
    return with_facts(request, values) if values else request


def closing(request: CreateRequest) -> set[Reason]:
    """Give the reasons that close the download."""
    return {f.reason for f in decide(request).closing(Route.DOWNLOAD)}


class TestClosed:
    """The only data must not, or cannot, reach the new volume."""

    @pytest.mark.parametrize("reason", DEFECTS)
    def test_what_no_location_can_deliver_is_refused(
        self, reason: Reason
    ) -> None:
        """The reason is that of the volume; the others download or clone."""
        request = backed_by(at(SOURCE_ID, **DEFECTS[reason]))
        decision = decide(request)
        assert isinstance(decision, Refuse)
        assert {reason} == closing(request)
        assert () == decision.plan.attempts
        for other in (CINDER_29, LIBERTY):
            assert not isinstance(decide(request, other), Refuse)

    @pytest.mark.parametrize("pair", [*itertools.combinations(DEFECTS, 2)])
    def test_each_location_may_have_a_reason_of_its_own(
        self, pair: tuple[Reason, Reason]
    ) -> None:
        """All of them are given."""
        one, two = (DEFECTS[reason] for reason in pair)
        request = backed_by(at(SOURCE_ID, **one), at(OTHER_ID, **two))
        assert isinstance(decide(request), Refuse)
        assert {*pair} == closing(request)

    @pytest.mark.parametrize(
        "status",
        [
            *("error", "error_deleting", "error_restoring", "deleting"),
            *("maintenance", "awaiting-transfer"),
        ],
    )
    def test_a_status_that_stays_closes_it(self, status: str) -> None:
        """Cinder attaches no volume in it."""
        request = backed_by(at(SOURCE_ID, status=status))
        assert {Reason.SOURCE_STATUS} == closing(request)

    @pytest.mark.parametrize(
        "url", [f"cinder:///{SOURCE_ID}", f"cinder://a/b/{SOURCE_ID}"]
    )
    def test_another_spelling_of_a_location_changes_nothing(
        self, url: str
    ) -> None:
        """Glance reads these, which are no canonical URLs."""
        volume = attrs.evolve(
            at(SOURCE_ID, project_id=BOB), location=parse_location(url)
        )
        assert isinstance(decide(backed_by(volume)), Refuse)

    def test_a_good_cache_entry_is_cloned_all_the_same(self) -> None:
        """If that fails, the plan does not download."""
        request = attrs.evolve(
            CLONEABLE[Route.CACHE_ENTRY],
            image_volumes=(at(SOURCE_ID, project_id=BOB),),
        )
        decision = decide(request)
        assert isinstance(decision, Clone)
        assert [Route.CACHE_ENTRY] == [
            attempt.route for attempt in decision.plan.attempts
        ]

    def test_the_tenant_is_not_told_whose_volume_it_is(self) -> None:
        """The text is that of a request with nothing wrong."""
        texts = {
            explain_to_tenant(decide(backed_by(at(SOURCE_ID, **facts))))
            for facts in ({}, *DEFECTS.values())
        }
        assert 1 == len(texts)


class TestOpen:
    """What is not known, and any good location, keeps the download open."""

    @pytest.mark.parametrize("facts", DEFECTS.values(), ids=str)
    @pytest.mark.parametrize(
        "values",
        [
            {"image.locations_from": LocationsFrom.UNREADABLE},
            {"image.locations_from": LocationsFrom.IMAGE},
            {
                "array_images": (
                    attrs.evolve(
                        CLONEABLE[Route.ARRAY_IMAGE].array_images[0],
                        location=FileLocation("/images/copy"),
                        source=None,
                        missing=Missing.ELSEWHERE,
                    ),
                )
            },
        ],
        ids=["unreadable", "perhaps not all", "a file"],
    )
    def test_another_location_may_deliver(
        self, values: dict[str, Any], facts: dict[str, Any]
    ) -> None:
        """The image is downloaded."""
        request = backed_by(at(SOURCE_ID, **facts))
        assert isinstance(decide(with_facts(request, values)), Download)

    @pytest.mark.parametrize("facts", DEFECTS.values(), ids=str)
    def test_an_image_that_shows_all_its_locations_is_judged(
        self, facts: dict[str, Any]
    ) -> None:
        """Without the locations API, as the operator says."""
        request = with_facts(
            backed_by(at(SOURCE_ID, **facts)),
            {
                "image.locations_from": LocationsFrom.IMAGE,
                "glance.show_multiple_locations": True,
            },
        )
        assert isinstance(decide(request), Refuse)

    @pytest.mark.parametrize("facts", DEFECTS.values(), ids=str)
    def test_one_good_volume_is_enough(self, facts: dict[str, Any]) -> None:
        """Also a volume that cannot be cloned here, or was not found."""
        bad = at(SOURCE_ID, **facts)
        far = at(OTHER_ID, size=2)
        lost = attrs.evolve(at(OTHER_ID), source=None, missing=Missing.ABSENT)
        wrong = attrs.evolve(bad, location=CinderLocation(OTHER_ID))
        for other in (far, lost, wrong):
            assert isinstance(decide(backed_by(bad, other)), Download)

    @pytest.mark.parametrize("status", ["in-use", "backing-up", "creating"])
    def test_a_status_that_passes_keeps_it_open(self, status: str) -> None:
        """Glance tries several times to attach the volume."""
        request = with_facts(
            backed_by(at(SOURCE_ID, status=status)),
            {"backend.can_clone": False},
        )
        assert isinstance(decide(request), Download)

    def test_an_image_without_an_owner_has_no_strangers(self) -> None:
        """Nobody's image is downloaded from any project's volume."""
        request = backed_by(at(SOURCE_ID, project_id=BOB))
        ownerless = with_facts(request, {"image.owner": None})
        assert isinstance(decide(ownerless), Download)

    @pytest.mark.parametrize("project", [STORE, INTERNAL])
    @pytest.mark.parametrize("image_owner", [BOB, None])
    def test_an_image_that_was_given_away_is_served_with_a_note(
        self, project: str, image_owner: str | None
    ) -> None:
        """It is not cloned, because image_owner does not name its owner."""
        request = backed_by(
            at(SOURCE_ID, project_id=project, image_owner=image_owner)
        )
        decision = decide(request)
        assert isinstance(decision, Download)
        assert [Reason.OWNER_MISMATCH] == [n.reason for n in decision.notes]

    def test_the_owner_may_be_the_trusted_project_itself(self) -> None:
        """There, too, image_owner decides whether to clone."""
        own = {"project_id": STORE, "image_owner": STORE}
        for facts, verdict in (
            (own, Clone),
            ({**own, "image_owner": ALICE}, Download),
            ({**own, "image_owner": None}, Download),
        ):
            request = with_facts(
                backed_by(at(SOURCE_ID, **facts)), {"image.owner": STORE}
            )
            assert isinstance(decide(request), verdict)


class TestKeys:
    """Ciphertext goes only where its key goes."""

    @pytest.mark.parametrize(
        ("image", "source", "new", "verdict"),
        [
            (None, None, None, Clone),
            (None, None, "key", Download),
            (None, "key", None, Refuse),
            (None, "key", "key", Refuse),
            ("key", None, None, Refuse),
            ("key", None, "key", Download),
            ("key", "key", None, Refuse),
            ("key", "key", "key", Download),
        ],
    )
    def test_a_key_of_the_image_reaches_an_encrypted_volume_only(
        self,
        image: str | None,
        source: str | None,
        new: str | None,
        verdict: type,
    ) -> None:
        """Cinder copies the image's key for an encrypted new volume."""
        request = with_facts(
            VOLUME,
            {
                "image.encryption_key_id": image,
                "source.encryption_key_id": source,
                "volume.encryption_key_id": new,
            },
        )
        assert isinstance(decide(request), verdict)

    @pytest.mark.parametrize(
        ("values", "noted"),
        [
            ({}, True),
            ({"image.size": GiB - 16 * 2**20}, False),
            ({"image.size": GiB - 16 * 2**20 + 1}, True),
            ({"volume.size": 2}, False),
            ({"image.disk_format": "qcow2"}, False),
            (
                {"image.disk_format": "qcow2", "image.virtual_size": GiB},
                True,
            ),
            ({"image.encryption_key_id": "key-2"}, False),
            ({"image.size": None}, False),
        ],
    )
    def test_the_header_of_an_encrypted_volume_takes_room(
        self, values: dict[str, Any], *, noted: bool
    ) -> None:
        """A note says so if the image fills the volume."""
        key = {"volume.encryption_key_id": "key-1"}
        decision = decide(with_facts(VOLUME, {**key, **values}))
        assert isinstance(decision, Download)
        reasons = {note.reason for note in decision.notes}
        assert noted == (Reason.NO_HEADER_ROOM in reasons)


def test_a_volume_without_encryption_needs_no_room_for_a_header() -> None:
    """Where nothing else is wrong, a download has no note."""
    decision = decide(with_facts(VOLUME, {"backend.can_clone": False}))
    assert isinstance(decision, Download)
    assert isinstance(BACKING.source, Volume)
    assert () == decision.notes
