"""The promises of SAFE, checked without its rules.

Each property is tested with requests in which only a few facts prevent a
clone, or with any requests.
"""

from __future__ import annotations

import attrs
from hypothesis import assume, given
from hypothesis import strategies as st

from clonepolicy import (
    CINDER_29,
    LIBERTY,
    CacheEntry,
    Clone,
    CreateRequest,
    Decision,
    GiB,
    ImageVolume,
    Reason,
    Register,
    UploadRequest,
    Volume,
    decide,
)
from clonepolicy.plan import (
    AddLocation,
    CloneVolume,
    CreateImageVolume,
    ExtendVolume,
    SetVolumeMetadata,
    VerifyLocation,
)
from clonepolicy.ports import Inspection
from clonepolicy.scenarios import (
    ALICE,
    BOB,
    INTERNAL,
)
from clonepolicy.testing import strategies as some

CREATES = some.create_requests()


@st.composite
def clones(draw: st.DrawFn) -> Clone:
    """Draw decisions to clone."""
    decision = decide(draw(CREATES))
    assume(isinstance(decision, Clone))
    assert isinstance(decision, Clone)
    return decision


@st.composite
def registrations(draw: st.DrawFn) -> Register:
    """Draw decisions to register."""
    decision = decide(draw(some.upload_requests()))
    assume(isinstance(decision, Register))
    assert isinstance(decision, Register)
    return decision


def told(decision: Decision) -> list[tuple[object, ...]]:
    """Return what each finding says."""
    return [
        (f.rule, f.candidate, f.blocks, f.values, *map(str, f.remedies))
        for f in decision.findings
    ]


def request_of(decision: Clone) -> CreateRequest:
    """Return the request of a decision to clone."""
    assert isinstance(decision.request, CreateRequest)
    return decision.request


class TestOwnership:
    """Nobody gets the data of a volume that is not the image owner's."""

    @given(decision=clones())
    def test_an_image_volume_is_the_image_owners_or_a_trusted_projects(
        self, decision: Clone
    ) -> None:
        """A trusted project's volume must name the owner in its metadata."""
        request, candidate = request_of(decision), decision.source
        if isinstance(candidate, ImageVolume):
            source, owner = candidate.source, request.image.owner
            assert source is not None
            assert owner is not None
            assert owner == source.project_id or (
                request.config.trusts(source.project_id)
                and owner == source.image_owner
            )

    @given(request=CREATES, project=st.sampled_from((ALICE, BOB, INTERNAL)))
    def test_the_requesters_project_never_matters(
        self, request: CreateRequest, project: str
    ) -> None:
        """Glance decides whether the requester may use the image."""
        volume = attrs.evolve(request.volume, project_id=project)
        other = attrs.evolve(request, volume=volume)
        one, two = decide(request), decide(other)
        assert type(one) is type(two)
        assert told(one) == told(two)

    @given(request=CREATES, owner=st.sampled_from((ALICE, BOB, None)))
    def test_a_tenants_own_metadata_proves_nothing(
        self, request: CreateRequest, owner: str | None
    ) -> None:
        """``image_owner`` counts only on volumes of trusted projects."""

        def claimed(candidate: ImageVolume) -> ImageVolume:
            source = candidate.source
            if source is None or request.config.trusts(source.project_id):
                return candidate
            return attrs.evolve(
                candidate, source=attrs.evolve(source, image_owner=owner)
            )

        other = attrs.evolve(
            request,
            image_volumes=tuple(map(claimed, request.image_volumes)),
        )
        assert type(decide(request)) is type(decide(other))


class TestData:
    """A clone is the whole image, readable, and large enough."""

    @given(decision=clones())
    def test_only_plain_raw_images_are_cloned_from_locations(
        self, decision: Clone
    ) -> None:
        """Raw and bare, without a key, and without a signature to verify."""
        image = request_of(decision).image
        assert image.encryption_key_id is None
        if not isinstance(decision.source, CacheEntry):
            assert ("raw", "bare") == (
                image.disk_format,
                image.container_format,
            )
        assert not image.signed or (
            "disabled" == request_of(decision).config.verify_glance_signatures
        )

    @given(decision=clones())
    def test_a_clone_never_shrinks_and_grows_to_the_requested_size(
        self, decision: Clone
    ) -> None:
        """If the source is smaller, the plan extends the clone."""
        source, size = decision.source.source, request_of(decision).volume.size
        assert source is not None
        assert source.size is not None
        assert source.size <= size
        steps = decision.plan.attempts[0].steps
        grown = [s.size for s in steps if isinstance(s, ExtendVolume)]
        extended = size if source.size < size else None
        assert extended == decision.extend_to
        assert ([] if extended is None else [extended]) == grown
        assert (request_of(decision).image.size or 0) <= size * GiB

    @given(decision=clones())
    def test_nothing_is_cloned_that_a_download_refuses(
        self, decision: Clone
    ) -> None:
        """If it is not known, the decision says so, except for the cache."""
        assert decision.source.source is not None
        found = decision.source.source.inspection
        assert found is not Inspection.REFUSED
        noted = {note.reason for note in decision.notes}
        unknown = found is Inspection.NOT_INSPECTED
        assert (unknown and not isinstance(decision.source, CacheEntry)) is (
            Reason.CONTENT_NOT_INSPECTED in noted
        )

    @given(decision=clones())
    def test_no_key_is_shared_or_lost(self, decision: Clone) -> None:
        """Neither the volume nor the source is encrypted."""
        assert request_of(decision).volume.encryption_key_id is None
        assert decision.source.source is not None
        assert decision.source.source.encryption_key_id is None

    @given(decision=clones())
    def test_the_source_is_ready_and_the_image_active(
        self, decision: Clone
    ) -> None:
        """The requester may see and download the image."""
        image, source = request_of(decision).image, decision.source.source
        assert "active" == image.status
        assert image.visible
        assert image.downloadable
        assert source is not None
        assert source.status in {"available", "in-use"}


class TestLocality:
    """A clone stays on its array."""

    @given(decision=clones())
    def test_pools_are_crossed_only_within_a_known_array(
        self, decision: Clone
    ) -> None:
        """The array must also declare that it clones across pools."""
        request, candidate = request_of(decision), decision.source
        source = candidate.source
        if not isinstance(source, Volume):
            return
        volume = request.volume
        if volume.cluster_name is None:
            same = volume.host is not None and volume.host == source.host
        else:
            same = volume.cluster_name == source.cluster_name
        assert same or (
            request.backend.clone_across_pools is True
            and request.backend.array_id is not None
            and request.backend.array_id == candidate.backend.array_id
        )

    @given(decision=clones())
    def test_cinder_locations_need_the_scheme(self, decision: Clone) -> None:
        """Only the operator can allow this route."""
        if isinstance(decision.source, ImageVolume):
            schemes = request_of(decision).config.allowed_direct_url_schemes
            assert "cinder" in schemes


class TestUpload:
    """A registration is safe, and a refused one still allows an upload."""

    @given(decision=registrations())
    def test_an_encrypted_volume_is_never_registered(
        self, decision: Register
    ) -> None:
        """Its key would be shared or lost."""
        assert decision.request.volume.encryption_key_id is None

    @given(decision=registrations())
    def test_nothing_is_registered_that_a_download_refuses(
        self, decision: Register
    ) -> None:
        """If it is not known, the decision says so."""
        found = decision.request.volume.inspection
        assert found is not Inspection.REFUSED
        noted = {note.reason for note in decision.notes}
        assert (found is Inspection.NOT_INSPECTED) is (
            Reason.CONTENT_NOT_INSPECTED in noted
        )

    @given(decision=registrations())
    def test_the_owner_is_written_before_the_location(
        self, decision: Register
    ) -> None:
        """Then come the location, the image's id, and the verification."""
        steps = [
            step.key if isinstance(step, SetVolumeMetadata) else type(step)
            for step in decision.plan.attempts[0].steps
        ]
        wanted = [
            CreateImageVolume,
            CloneVolume,
            "image_owner",
            AddLocation,
            "glance_image_id",
            VerifyLocation,
        ]
        assert wanted == [step for step in steps if step in wanted]

    @given(request=some.upload_requests())
    def test_a_reason_not_to_clone_does_not_refuse_an_upload(
        self, request: UploadRequest
    ) -> None:
        """Only a reason that also prevents the upload of bytes refuses it."""
        decision = decide(request)
        prevents_both = {
            Reason.VOLUME_NOT_UPLOADABLE,
            Reason.FORCE_DISABLED,
            Reason.FORMAT_FOR_ENCRYPTED_UPLOAD,
            Reason.COMPRESSION_DISABLED,
            Reason.CONVERSION_DISABLED,
            Reason.IMAGE_NOT_QUEUED,
        }
        reasons = {finding.reason for finding in decision.findings}
        refused = type(decision).__name__ == "Refuse"
        assert refused == bool(reasons & prevents_both)


class TestAgainstTheOthers:
    """SAFE clones less often than Cinder, and says why."""

    @given(request=some.near_misses())
    def test_other_policies_clone_what_safe_clones_with_four_exceptions(
        self, request: CreateRequest
    ) -> None:
        """Shared images, dropped locations, room to convert, cache entries."""
        decision = decide(request)
        if not isinstance(decision, Clone):
            return
        others = [decide(request, p) for p in (LIBERTY, CINDER_29)]
        source, image = decision.source.source, request.image
        # the image is shared, and its volume has no image_owner
        shared = (
            isinstance(source, Volume)
            and isinstance(decision.source, ImageVolume)
            and request.volume.project_id != image.owner
            and source.project_id == image.owner
            and source.image_owner != image.owner
        )
        # Cinder drops locations without a direct URL, and requires room to
        # convert before it reads the cache
        dropped = (
            image.locations_from == "image" and image.direct_url is None
        ) or not (
            request.conversion_free is None
            or request.conversion_free > (image.size or 0)
        )
        # Cinder's cache accepts only entries of the same pool, and reads no
        # locations
        cached = isinstance(decision.source, CacheEntry) and (
            image.size is None or image.locations_from == "unreadable"
        )
        assert (
            any(isinstance(other, Clone) for other in others)
            or shared
            or dropped
            or cached
        )

    @given(request=some.near_misses())
    def test_safe_gives_a_reason_if_only_cinder_clones(
        self, request: CreateRequest
    ) -> None:
        """Each difference has a finding."""
        cinder = decide(request, CINDER_29)
        safe = decide(request)
        if isinstance(cinder, Clone) and not isinstance(safe, Clone):
            path = str(cinder.route)
            assert any(path in f.blocks for f in safe.findings)
