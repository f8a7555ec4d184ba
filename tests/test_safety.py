"""What SAFE promises, whatever else changes: stated without its rules.

Each promise is drawn over requests that clone but for a few facts, and
over any requests at all.
"""

from __future__ import annotations

import attrs
from clonepolicy._plans import (
    AddLocation,
    CloneVolume,
    CreateImageVolume,
    ExtendVolume,
    SetVolumeMetadata,
    VerifyLocation,
)
from clonepolicy.testing.worlds import (
    ALICE,
    BOB,
    INTERNAL,
    REGISTERABLE,
    UPLOAD_AXES,
    put,
)
from hypothesis import assume, given
from hypothesis import strategies as st

from clonepolicy import (
    CINDER_29,
    LIBERTY,
    CacheEntry,
    Clone,
    CreateRequest,
    GiB,
    ImageVolume,
    Reason,
    Register,
    UploadRequest,
    Volume,
    decide_create,
    decide_upload,
)
from clonepolicy.testing import strategies as some

CREATES = some.create_requests() | some.near_misses()


@st.composite
def clones(draw: st.DrawFn) -> Clone:
    """Draw decisions that clone."""
    decision = decide_create(draw(some.near_misses()))
    assume(isinstance(decision, Clone))
    assert isinstance(decision, Clone)
    return decision


@st.composite
def registrations(draw: st.DrawFn) -> Register:
    """Draw decisions that register."""
    paths = draw(
        st.lists(st.sampled_from(sorted(UPLOAD_AXES)), max_size=4, unique=True)
    )
    values = {p: draw(st.sampled_from(UPLOAD_AXES[p])) for p in paths}
    decision = decide_upload(put(REGISTERABLE, values))
    assume(isinstance(decision, Register))
    assert isinstance(decision, Register)
    return decision


def asked(decision: Clone) -> CreateRequest:
    """Give the request of a create decision."""
    assert isinstance(decision.request, CreateRequest)
    return decision.request


class TestOwnership:
    """Nobody gets at a volume that the image's owner does not own."""

    @given(decision=clones())
    def test_an_image_volume_is_the_owners_or_vouched_for(
        self, decision: Clone
    ) -> None:
        """By a project that no tenant can write to."""
        request, candidate = asked(decision), decision.source
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
        """Whether they may have the image is Glance's to say."""
        volume = attrs.evolve(request.volume, project_id=project)
        other = attrs.evolve(request, volume=volume)
        one, two = decide_create(request), decide_create(other)
        assert type(one) is type(two)
        assert one.findings == two.findings

    @given(request=CREATES, owner=st.sampled_from((ALICE, BOB, None)))
    def test_a_tenants_own_metadata_proves_nothing(
        self, request: CreateRequest, owner: str | None
    ) -> None:
        """image_owner counts in trusted projects only."""

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
        assert type(decide_create(request)) is type(decide_create(other))


class TestData:
    """What is cloned is the image, whole, readable, and no larger."""

    @given(decision=clones())
    def test_only_plain_raw_images_are_cloned_from_locations(
        self, decision: Clone
    ) -> None:
        """Raw, bare, without a key or a signature that binds."""
        image = asked(decision).image
        assert image.encryption_key_id is None
        if not isinstance(decision.source, CacheEntry):
            assert ("raw", "bare") == (
                image.disk_format,
                image.container_format,
            )
        assert not image.signed or (
            "disabled" == asked(decision).config.verify_glance_signatures
        )

    @given(decision=clones())
    def test_nothing_shrinks_and_what_must_grow_grows(
        self, decision: Clone
    ) -> None:
        """The source is no larger, and the plan extends to the size."""
        source, size = decision.source.source, asked(decision).volume.size
        assert source is not None
        assert source.size <= size
        steps = decision.plan.attempts[0].steps
        grown = [s.size for s in steps if isinstance(s, ExtendVolume)]
        extended = size if source.size < size else None
        assert extended == decision.extend_to
        assert ([] if extended is None else [extended]) == grown
        assert (asked(decision).image.size or 0) <= size * GiB

    @given(decision=clones())
    def test_no_key_is_shared_and_none_is_lost(self, decision: Clone) -> None:
        """Neither side is encrypted."""
        assert asked(decision).volume.encryption_key_id is None
        assert decision.source.source is not None
        assert decision.source.source.encryption_key_id is None

    @given(decision=clones())
    def test_the_source_is_at_rest_and_the_image_active(
        self, decision: Clone
    ) -> None:
        """And the requester may see and have it."""
        image, source = asked(decision).image, decision.source.source
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
        """And only where the array declares that it can."""
        request, candidate = asked(decision), decision.source
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
        """The operator opens this path, and nobody else."""
        if isinstance(decision.source, ImageVolume):
            schemes = asked(decision).config.allowed_direct_url_schemes
            assert "cinder" in schemes


class TestUpload:
    """What is registered can be had, and what fails leaves nothing."""

    @given(decision=registrations())
    def test_an_encrypted_volume_is_never_registered(
        self, decision: Register
    ) -> None:
        """Its key would be shared, or lost."""
        assert decision.request.volume.encryption_key_id is None

    @given(decision=registrations())
    def test_the_owner_is_named_before_the_location_is(
        self, decision: Register
    ) -> None:
        """Then the location, then its image, and then a look at it."""
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
    def test_no_clone_obstacle_fails_an_upload(
        self, request: UploadRequest
    ) -> None:
        """An upload is refused only for what the bytes cannot do either."""
        decision = decide_upload(request)
        closes_both = {
            Reason.VOLUME_NOT_UPLOADABLE,
            Reason.FORCE_DISABLED,
            Reason.FORMAT_FOR_ENCRYPTED_UPLOAD,
            Reason.COMPRESSION_DISABLED,
            Reason.CONVERSION_DISABLED,
            Reason.IMAGE_NOT_QUEUED,
        }
        reasons = {finding.reason for finding in decision.findings}
        refused = type(decision).__name__ == "Refuse"
        assert refused == bool(reasons & closes_both)


class TestAgainstTheOthers:
    """SAFE clones less than Cinder, and says why."""

    @given(request=some.near_misses())
    def test_what_safe_clones_cinder_or_the_spec_clones_or_is_vouched_for(
        self, request: CreateRequest
    ) -> None:
        """The one addition: trusted projects, arrays that identify."""
        decision = decide_create(request)
        if not isinstance(decision, Clone):
            return
        others = [decide_create(request, p) for p in (LIBERTY, CINDER_29)]
        source, image = decision.source.source, request.image
        # the image is shared, and its own volume never said whose it is
        shared = (
            isinstance(source, Volume)
            and isinstance(decision.source, ImageVolume)
            and request.volume.project_id != image.owner
            and source.project_id == image.owner
            and source.image_owner != image.owner
        )
        # Cinder drops locations without a direct URL, and asks for room to
        # convert before it looks into the cache
        dropped = (
            image.locations_from == "image" and image.direct_url is None
        ) or not (
            request.conversion_free is None
            or request.conversion_free > (image.size or 0)
        )
        # Cinder's cache wants the very pool, and reads no locations
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
    def test_what_cinder_clones_and_safe_does_not_has_a_reason(
        self, request: CreateRequest
    ) -> None:
        """Never a difference without a finding."""
        cinder = decide_create(request, CINDER_29)
        safe = decide_create(request)
        if isinstance(cinder, Clone) and not isinstance(safe, Clone):
            path = str(cinder.mechanism)
            assert any(path in f.blocks for f in safe.findings)
