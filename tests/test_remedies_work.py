"""Remedies that are given only where they work, and destroy nothing."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import attrs
import pytest

from clonepolicy import (
    CINDER_29,
    LIBERTY,
    SAFE,
    Clone,
    CreateRequest,
    Download,
    GiB,
    GlanceStore,
    LocationsFrom,
    Quota,
    RbdLocation,
    Reason,
    Refuse,
    Register,
    Request,
    Route,
    Upload,
    VolumeType,
    decide,
    explain,
    tenant_findings,
    what_would_it_take,
)
from clonepolicy.policy import Policy, changed
from clonepolicy.ports import Inspection, Missing
from clonepolicy.scenarios import (
    ALICE,
    BOB,
    CLONEABLE,
    REGISTERABLE,
    with_facts,
)

VOLUME = CLONEABLE[Route.IMAGE_VOLUME]
CACHE = CLONEABLE[Route.CACHE_ENTRY]
STORED = CLONEABLE[Route.ARRAY_IMAGE]
EMPTY = attrs.evolve(CACHE, cache_entries=())

every_policy = pytest.mark.parametrize(
    "policy", [SAFE, LIBERTY, CINDER_29], ids=str
)


def remedies(
    request: Request, reason: Reason, policy: Policy = SAFE
) -> list[str]:
    """Give the remedies of a reason, notes included."""
    decision = decide(request, policy)
    return [
        remedy.remedy
        for finding in (*decision.findings, *decision.notes)
        if finding.reason is reason
        for remedy in finding.remedies
    ]


class TestTotal:
    """Explaining never fails, whatever an image or a directory is called."""

    @every_policy
    @pytest.mark.parametrize("image_id", ["a?b", "..", "#", "x\n"])
    def test_an_image_that_no_store_could_name(
        self, policy: Policy, image_id: str
    ) -> None:
        """No remedy has it stored on the array."""
        image = attrs.evolve(VOLUME.image, id=image_id)
        request = with_facts(
            attrs.evolve(VOLUME, image=image),
            {
                "source.project_id": BOB,
                "backend.image_schemes": frozenset({"file"}),
            },
        )
        assert explain(decide(request, policy))
        ways = what_would_it_take(request, policy)
        assert Route.ARRAY_IMAGE not in {way.route for way in ways}

    @every_policy
    @pytest.mark.parametrize("folder", ["/a/", "/", "//", "/a/../b", "/a?"])
    def test_a_trusted_directory_of_any_spelling(
        self, policy: Policy, folder: str
    ) -> None:
        """It is an option, and no fault of the request."""
        request = with_facts(
            VOLUME,
            {
                "source.project_id": BOB,
                "backend.image_schemes": frozenset({"file"}),
                "config.trusted_image_pools": frozenset({folder}),
            },
        )
        assert explain(decide(request, policy))
        assert what_would_it_take(request, policy) is not None

    @every_policy
    def test_the_largest_image(self, policy: Policy) -> None:
        """No number of free bytes is larger."""
        request = with_facts(
            CACHE,
            {
                "conversion_free": 0,
                "image.size": 2**63 - 1,
                "volume.size": 2**33,
            },
        )
        assert what_would_it_take(request, policy) is not None


class TestCache:
    """Only a download fills the cache."""

    @pytest.mark.parametrize("policy", [SAFE, CINDER_29], ids=str)
    def test_no_create_fills_it_where_no_create_downloads(
        self, policy: Policy
    ) -> None:
        """The way is not listed."""
        request = with_facts(
            EMPTY,
            {
                "image.disk_format": "qcow2",
                "config.image_conversion_disable": True,
            },
        )
        assert isinstance(decide(request, policy), Refuse)
        ways = {way.route for way in what_would_it_take(request, policy)}
        assert Route.CACHE_ENTRY not in ways

    @pytest.mark.parametrize(
        "facts",
        [{"source.status": "error"}, {"candidate.missing": Missing.ABSENT}],
        ids=["in-error", "gone"],
    )
    def test_the_only_good_copy_is_not_deleted(
        self, facts: dict[str, Any]
    ) -> None:
        """The image was given away, and its image volume is no use."""
        request = attrs.evolve(
            with_facts(CACHE, {"source.image_owner": BOB}),
            image_volumes=with_facts(VOLUME, facts).image_volumes,
        )
        given = remedies(request, Reason.OWNER_MISMATCH)
        assert given
        assert not any("delete" in remedy for remedy in given)

    def test_a_copy_that_can_be_made_anew_may_be_deleted(self) -> None:
        """The image's data is elsewhere, too."""
        request = with_facts(CACHE, {"source.image_owner": BOB})
        assert isinstance(decide(request), Download)
        given = remedies(request, Reason.OWNER_MISMATCH)
        assert any("delete" in remedy for remedy in given)


class TestGoing:
    """Nothing brings back what is being deleted."""

    @pytest.mark.parametrize("status", ["deleting", "error_deleting"])
    def test_a_volume_that_is_being_deleted(self, status: str) -> None:
        """It may be gone in part: its status says nothing of its data."""
        request = with_facts(VOLUME, {"source.status": status})
        assert isinstance(decide(request), Refuse)
        given = remedies(request, Reason.SOURCE_STATUS)
        assert given == [
            "keep the image in another source: this one is being deleted"
        ]

    @pytest.mark.parametrize(
        ("status", "helps"), [("error", False), ("backing-up", True)]
    )
    def test_waiting_helps_only_what_passes(
        self, status: str, *, helps: bool
    ) -> None:
        """An error does not pass."""
        decision = decide(with_facts(VOLUME, {"source.status": status}))
        (result,) = decision.candidates
        (finding,) = result.findings
        assert [each.waiting_helps for each in finding.remedies] == [helps]


class TestKeys:
    """An image with a key of its own needs a volume with that key."""

    def test_a_plain_volume_would_hold_ciphertext(self) -> None:
        """The volume is encrypted already, and the download keeps the key."""
        request = with_facts(
            VOLUME,
            {
                "image.encryption_key_id": "key-1",
                "volume.encryption_key_id": "key-2",
            },
        )
        assert isinstance(decide(request), Download)
        assert not remedies(request, Reason.NEW_VOLUME_ENCRYPTED)

    def test_multiattach_is_what_to_give_up(self) -> None:
        """And not the encryption."""
        request = with_facts(
            VOLUME,
            {
                "image.encryption_key_id": "key-1",
                "volume.encryption_key_id": "key-2",
                "volume.multiattach": True,
            },
        )
        assert remedies(request, Reason.MULTIATTACH_ENCRYPTED) == [
            "choose a volume type that is not multiattach"
        ]


class TestSizes:
    """A size that Cinder would refuse is no remedy."""

    @pytest.mark.parametrize(
        ("facts", "reason"),
        [
            ({}, Reason.EXTEND_REQUIRED),
            ({"backend.can_extend": False}, Reason.EXTEND_UNSUPPORTED),
        ],
    )
    @pytest.mark.parametrize(("least", "given"), [(0, True), (4, False)])
    def test_the_source_is_smaller_than_min_disk(
        self, facts: dict[str, Any], reason: Reason, least: int, *, given: bool
    ) -> None:
        """So is a volume of its size."""
        request = with_facts(
            VOLUME, {"volume.size": 5, "image.min_disk": least, **facts}
        )
        texts = remedies(request, reason)
        assert ("ask for a volume of the source's size" in texts) is given, (
            texts
        )

    @pytest.mark.parametrize(
        ("low", "high", "given"),
        [
            (5, 9, ["ask for a size within the type's limits"]),
            (9, 5, []),
        ],
    )
    def test_a_type_whose_limits_exclude_every_size_is_changed(
        self, low: int, high: int, given: list[str]
    ) -> None:
        """Nothing else helps."""
        kind = VolumeType(id="t", min_vol_size=low, max_vol_size=high)
        request = with_facts(
            VOLUME, {"volume.volume_type": kind, "volume.size": 2}
        )
        assert remedies(request, Reason.TYPE_SIZE_LIMIT) == [
            *given,
            "change the limits of the volume type",
        ]


class TestLocations:
    """Where an image lies, and who may know."""

    @pytest.mark.parametrize("policy", [SAFE, CINDER_29], ids=str)
    @pytest.mark.parametrize(
        "glance",
        [
            {"glance.has_location_api": False},
            {"glance.service_roles": frozenset({"admin", "service"})},
        ],
        ids=["no-api", "has-roles"],
    )
    def test_roles_show_nothing_without_the_interface(
        self, policy: Policy, glance: dict[str, Any]
    ) -> None:
        """Nor does giving what is given already."""
        hidden = {"image.locations_from": LocationsFrom.HIDDEN}
        request = with_facts(VOLUME, {**hidden, **glance})
        given = remedies(request, Reason.LOCATIONS_HIDDEN, policy)
        assert given
        assert not any("roles" in remedy for remedy in given)

    def test_an_array_of_unknown_cluster(self) -> None:
        """Its identity is missing; the image may well be there."""
        request = with_facts(
            STORED,
            {"backend.array_id": None, "candidate.backend.array_id": None},
        )
        (candidate,) = request.array_images
        assert isinstance(candidate.location, RbdLocation)
        decision = decide(request)
        (result,) = decision.candidates
        (finding,) = result.findings
        assert finding.reason is Reason.DIFFERENT_FSID
        (remedy,) = finding.remedies
        assert "array_id" in remedy.remedy
        then, _ = changed(request, dict(remedy.changes), candidate)
        assert isinstance(decide(then), Clone)


class TestPlaces:
    """One array, or two."""

    @pytest.mark.parametrize(
        ("facts", "given"),
        [
            ({"backend.clone_across_pools": None}, True),
            ({"backend.clone_across_pools": False}, False),
            (
                {
                    "backend.clone_across_pools": None,
                    "candidate.backend.array_id": "another",
                },
                False,
            ),
        ],
        ids=["unknown", "known-not-to", "two-arrays"],
    )
    def test_across_pools_is_declared_only_where_it_may_be_true(
        self, facts: dict[str, Any], *, given: bool
    ) -> None:
        """Not of a driver that is known not to, nor of two arrays."""
        assert VOLUME.volume.host is not None
        other = attrs.evolve(VOLUME.volume.host, pool="other")
        request = with_facts(VOLUME, {"source.host": other, **facts})
        texts = remedies(request, Reason.DIFFERENT_POOL)
        assert texts
        assert any("clone_across_pools" in text for text in texts) is given


class TestStores:
    """Glance's store is found as Glance finds it."""

    @pytest.mark.parametrize("has_api", [False, True])
    def test_only_an_old_glance_takes_the_store_that_the_type_names(
        self, *, has_api: bool
    ) -> None:
        """If no store is for the volume's type, which each takes first."""
        kind = VolumeType(id="t", name="gold", store_id="none")
        store = GlanceStore(id="one", cinder_volume_type="silver")
        request = with_facts(
            REGISTERABLE,
            {
                "glance.has_location_api": has_api,
                "glance.show_multiple_locations": True,
                "glance.stores": (store,),
                "volume.volume_type": kind,
            },
        )
        assert isinstance(decide(request), Upload)
        texts = remedies(request, Reason.STORE_UNRESOLVED)
        named = any("image_service:store_id" in text for text in texts)
        assert named is not has_api
        of_type = attrs.evolve(store, cinder_volume_type="gold")
        request = with_facts(request, {"glance.stores": (of_type,)})
        assert isinstance(decide(request), Register)

    @pytest.mark.parametrize(
        ("status", "responsible"),
        [
            ("attaching", ["requester"]),
            ("error", ["operator"]),
            ("error_deleting", []),
            ("deleting", []),
        ],
    )
    def test_an_upload_waits_only_for_what_passes(
        self, status: str, responsible: list[str]
    ) -> None:
        """Neither an error nor a deletion ends in available."""
        request = with_facts(REGISTERABLE, {"volume.status": status})
        (finding,) = decide(request).findings
        assert [each.responsible for each in finding.remedies] == responsible

    @pytest.mark.parametrize(
        "facts",
        [
            {"source.encryption_key_id": "key-1"},
            {"source.inspection": Inspection.REFUSED},
            {"source.size": 1, "image.size": 2 * GiB, "volume.size": 2},
        ],
        ids=["encrypted", "refused", "small"],
    )
    def test_only_a_create_makes_an_entry_of_the_cache(
        self, facts: dict[str, Any]
    ) -> None:
        """The image's owner cannot."""
        (result,) = decide(with_facts(CACHE, facts)).candidates
        (finding,) = result.findings
        (remedy,) = finding.remedies
        assert remedy.responsible == "operator"
        assert remedy.remedy.startswith("delete the entry, if the image can")


class TestOwners:
    """Who an image may be given to."""

    def test_a_tenant_does_not_name_the_owner(self) -> None:
        """Outside of trusted projects, anybody can write image_owner."""
        request = with_facts(
            VOLUME,
            {
                "image.owner": None,
                "source.project_id": ALICE,
                "source.image_owner": BOB,
            },
        )
        decision = decide(request)
        (finding,) = (
            each
            for each in decision.findings
            if each.reason is Reason.IMAGE_OWNER_UNKNOWN
        )
        (remedy,) = finding.remedies
        assert dict(remedy.changes) == {"image.owner": ALICE}
        then, _ = changed(request, dict(remedy.changes))
        assert isinstance(decide(then), Clone)


class TestUploads:
    """What an upload makes, and where it only sends the data."""

    @pytest.mark.parametrize(
        ("known", "given"),
        [
            (None, "upload the image from a volume with "),
            (False, "keep the image in a cinder store of Glance, in a "),
        ],
    )
    def test_an_upload_makes_no_image_volume_on_such_a_driver(
        self, *, known: bool | None, given: str
    ) -> None:
        """Glance's own store does."""
        request = with_facts(
            attrs.evolve(VOLUME, image_volumes=()),
            {"backend.clone_while_uploading": known},
        )
        (remedy,) = remedies(request, Reason.NO_LOCATIONS)
        assert remedy.startswith(given)
        ways = {way.route for way in what_would_it_take(request)}
        assert Route.IMAGE_VOLUME in ways

    def test_an_upload_makes_no_entry_of_the_cache(self) -> None:
        """A create does."""
        request = with_facts(CACHE, {"source.glance_image_id": "another"})
        assert remedies(request, Reason.BACKREF_MISMATCH) == [
            "create one volume from the image, which fills the cache"
        ]


class TestRequests:
    """What a requester can do."""

    def test_fewer_volumes_make_no_room_for_a_large_one(self) -> None:
        """The limit is on the size of one volume."""
        request = with_facts(VOLUME, {"quota": Quota(per_volume_gigabytes=0)})
        (remedy,) = remedies(request, Reason.QUOTA_EXCEEDED)
        assert "delete" not in remedy

    def test_a_type_that_does_not_allow_the_size(self) -> None:
        """Choosing it is refused."""
        kind = VolumeType(
            id="small", max_vol_size=1, extra_specs=frozenset({"a=1"})
        )
        request = with_facts(
            VOLUME, {"volume.size": 2, "source.volume_type": kind}
        )
        assert isinstance(decide(request), Download)
        assert not remedies(request, Reason.TYPE_INCOMPATIBLE)

    @pytest.mark.parametrize(
        ("base", "given"),
        [
            (VOLUME, "convert the image to raw"),
            (REGISTERABLE, "choose the format raw"),
        ],
        ids=["create", "upload"],
    )
    def test_the_format_is_chosen_for_an_upload_only(
        self, base: Request, given: str
    ) -> None:
        """An image that there is has to be converted."""
        request = with_facts(
            base,
            {
                "image.disk_format": "qcow2",
                "config.image_conversion_disable": True,
            },
        )
        assert given in remedies(request, Reason.CONVERSION_DISABLED)

    @pytest.mark.parametrize(
        ("status", "given"),
        [
            ("queued", ["finish the image's upload"]),
            (
                "deactivated",
                ["reactivate the image, if its data is to be used again"],
            ),
            ("deleted", []),
            ("killed", []),
        ],
    )
    def test_nothing_activates_an_image_that_is_gone(
        self, status: str, given: list[str]
    ) -> None:
        """Nor does waiting reactivate one."""
        request = with_facts(VOLUME, {"image.status": status})
        assert remedies(request, Reason.IMAGE_NOT_ACTIVE) == given


class TestTenants:
    """What a remedy changes may be more than a tenant may know."""

    def test_a_volume_type_is_its_id(self) -> None:
        """Its extra specs and QoS specs are the operator's."""
        kind = VolumeType(
            id="t", max_vol_size=1, extra_specs=frozenset({"secret=1"})
        )
        request = with_facts(
            VOLUME, {"volume.volume_type": kind, "volume.size": 2}
        )
        findings = tenant_findings(decide(request))
        assert {f.reason for f in findings} == {Reason.TYPE_SIZE_LIMIT}
        assert "secret" not in repr(
            [remedy.changes for f in findings for remedy in f.remedies]
        )


class TestAsked:
    """Each cure can be asked for facts that are not known."""

    @every_policy
    @pytest.mark.parametrize("given", [VOLUME, CACHE, STORED])
    def test_for_a_candidate_without_a_source(
        self, policy: Policy, given: CreateRequest
    ) -> None:
        """Whether the image has an owner or not."""
        unknown = {"source": None, "missing": Missing.ABSENT}
        request = with_facts(
            given,
            {
                name: tuple(
                    attrs.evolve(each, **unknown)
                    for each in getattr(given, name)
                )
                for name in ("array_images", "image_volumes", "cache_entries")
            },
        )
        ask_every_cure(policy, request)
        ask_every_cure(policy, with_facts(request, {"image.owner": None}))

    @every_policy
    def test_for_an_entry_that_goes_and_cannot_be_filled_anew(
        self, policy: Policy
    ) -> None:
        """Then nothing takes its place."""
        facts = {
            "source.status": "deleting",
            "config.image_conversion_disable": True,
            "image.disk_format": "qcow2",
        }
        ask_every_cure(policy, with_facts(CACHE, facts))


def ask_every_cure(policy: Policy, request: CreateRequest) -> None:
    """Ask each cure of creates, with each candidate where it takes one."""
    for _, each_rule in policy.create.checks:
        for cure in each_rule.cures:
            ask(cure.changes, request)
    for table in policy.create.clone:
        for rule in table.source_rules:
            for cure, each in itertools.product(
                rule.cures, table.candidates(request)
            ):
                ask(cure.changes, request, each)


def ask(changes: Callable[..., Any], *facts: Any) -> None:  # noqa: ANN401 - a request, or a candidate too
    """Assert that there is an answer."""
    answer = changes(*facts)
    assert answer is None or all(map(str, answer))
