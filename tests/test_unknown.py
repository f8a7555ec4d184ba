"""What could not be read keeps why, and is never told as absent."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import attrs
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from clonepolicy import (
    CINDER_29,
    AdapterError,
    ArrayImage,
    Clone,
    CreateDecision,
    CreateRequest,
    Download,
    FactError,
    ForbiddenError,
    ImageVolume,
    IntegrityError,
    LocationsFrom,
    NotFoundError,
    RbdLocation,
    Reason,
    Register,
    Route,
    UnavailableError,
    UnsupportedError,
    Upload,
    UploadRequest,
    decide,
    explain,
    gather_create,
    gather_upload,
    parse_location,
)
from clonepolicy.adapters.memory import ARRAY, MemoryCloud
from clonepolicy.ports import Inspection, Missing, StoredImage
from clonepolicy.scenarios import CLONEABLE, with_facts
from clonepolicy.testing.faults import Fault, Faulty
from memory_support import DATA, TENANT, add_source

RBD = RbdLocation("array", "images", "name", "snap")
KINDS = {
    NotFoundError: Missing.ABSENT,
    ForbiddenError: Missing.FORBIDDEN,
    UnavailableError: Missing.UNAVAILABLE,
    UnsupportedError: Missing.UNSUPPORTED,
    IntegrityError: Missing.FAILED,
    AdapterError: Missing.FAILED,
}
every_kind = pytest.mark.parametrize(("kind", "why"), KINDS.items())


def create(
    cloud: MemoryCloud, image_id: str, name: str, kind: type[AdapterError]
) -> CreateRequest:
    """Gather a create while one call fails in some way."""
    volume = cloud.add_volume(TENANT, 5, status="creating")
    faults = [Fault(name, kind("no"), times=99)]
    ports = Faulty(cloud.ports(TENANT), faults=faults).ports
    return gather_create(image_id, volume, cloud.config, ports)


def upload(
    cloud: MemoryCloud, name: str, kind: type[AdapterError]
) -> UploadRequest:
    """Gather an upload while one call fails in some way."""
    volume = cloud.add_volume(TENANT, 5, data=DATA)
    image_id = cloud.add_image(TENANT, None)
    ports = Faulty(cloud.ports(TENANT), faults=[Fault(name, kind("no"))]).ports
    return gather_upload(volume.id, image_id, TENANT, cloud.config, ports)


def against(decision: CreateDecision) -> set[Reason]:
    """Return the reasons against the only candidate."""
    (result,) = decision.candidates
    return {finding.reason for finding in result.findings}


class TestGathered:
    """Every port's kind of error reaches the decision."""

    @every_kind
    def test_a_stored_image(
        self, kind: type[AdapterError], why: Missing
    ) -> None:
        """An array that does not look at a location says so itself."""
        cloud = MemoryCloud()
        image_id = cloud.add_image(TENANT, DATA, locations=(RBD,))
        request = create(cloud, image_id, "array.find_image", kind)
        if why is Missing.UNSUPPORTED:
            why = Missing.ELSEWHERE
        expected = ArrayImage(location=RBD, missing=why, backend=ARRAY)
        assert (expected,) == request.array_images

    @every_kind
    def test_an_image_volume(
        self, kind: type[AdapterError], why: Missing
    ) -> None:
        """Only an answer that the volume is not there says that."""
        cloud = MemoryCloud()
        location = add_source(cloud)
        image_id = cloud.add_image(TENANT, DATA, locations=(location,))
        request = create(cloud, image_id, "volumes.get_volume", kind)
        expected = ImageVolume(location=location, missing=why)
        assert (expected,) == request.image_volumes

    @every_kind
    def test_the_array_of_an_image_volume(
        self, kind: type[AdapterError], why: Missing
    ) -> None:
        """The volume is there, whatever is said of its array."""
        cloud = MemoryCloud()
        location = add_source(cloud)
        image_id = cloud.add_image(TENANT, DATA, locations=(location,))
        request = create(cloud, image_id, "volumes.get_backend", kind)
        if why is Missing.ABSENT:
            why = Missing.FAILED
        expected = ImageVolume(location=location, missing=why)
        assert (expected,) == request.image_volumes
        assert Reason.SOURCE_NOT_FOUND not in against(decide(request))

    @every_kind
    def test_the_cache(self, kind: type[AdapterError], why: Missing) -> None:
        """A cache that cannot be read is no cache without an entry."""
        cloud = MemoryCloud()
        image_id = cloud.add_image(TENANT, DATA)
        request = create(cloud, image_id, "volumes.get_cache_entries", kind)
        assert why is request.cache_missing
        reasons = {finding.reason for finding in decide(request).findings}
        assert Reason.CACHE_UNREADABLE in reasons
        assert Reason.CACHE_MISS not in reasons

    @pytest.mark.parametrize(
        ("kind", "shown", "reason"),
        [
            (
                ForbiddenError,
                LocationsFrom.FORBIDDEN,
                Reason.LOCATIONS_HIDDEN,
            ),
            (
                UnavailableError,
                LocationsFrom.UNAVAILABLE,
                Reason.LOCATIONS_UNAVAILABLE,
            ),
            (
                AdapterError,
                LocationsFrom.UNREADABLE,
                Reason.LOCATIONS_UNAVAILABLE,
            ),
        ],
    )
    def test_the_locations(
        self, kind: type[AdapterError], shown: LocationsFrom, reason: Reason
    ) -> None:
        """Nothing is said of where the image does not lie."""
        cloud = MemoryCloud()
        image_id = cloud.add_image(TENANT, DATA, locations=(RBD,))
        request = create(cloud, image_id, "images.get_locations", kind)
        assert shown is request.image.locations_from
        reasons = {finding.reason for finding in decide(request).findings}
        assert reason in reasons
        assert not {Reason.NO_LOCATIONS, Reason.NO_ARRAY_IMAGE} & reasons

    @pytest.mark.parametrize(
        ("kind", "found"),
        [
            (UnsupportedError, Inspection.NOT_INSPECTED),
            (ForbiddenError, Inspection.UNREADABLE),
            (UnavailableError, Inspection.UNREADABLE),
        ],
    )
    def test_the_inspection(
        self, kind: type[AdapterError], found: Inspection
    ) -> None:
        """An array that does not inspect is not one that cannot now."""
        cloud = MemoryCloud()
        location = add_source(cloud)
        image_id = cloud.add_image(TENANT, DATA, locations=(location,))
        request = create(cloud, image_id, "array.inspect", kind)
        (candidate,) = request.image_volumes
        assert candidate.source is not None
        assert found is candidate.source.inspection

    @every_kind
    def test_the_quota_of_an_upload(
        self, kind: type[AdapterError], why: Missing
    ) -> None:
        """An unknown quota is neither used up nor unlimited."""
        request = upload(MemoryCloud(), "volumes.get_quota", kind)
        assert why is request.clone_quota.missing
        assert not request.clone_quota.admits(1)
        decision = decide(request)
        assert isinstance(decision, Upload)
        reasons = {finding.reason for finding in decision.findings}
        assert Reason.CLONE_QUOTA_UNKNOWN in reasons
        assert Reason.CLONE_QUOTA not in reasons

    @every_kind
    def test_what_glance_offers(
        self, kind: type[AdapterError], why: Missing
    ) -> None:
        """No role and no API is called missing."""
        request = upload(MemoryCloud(), "images.get_config", kind)
        assert why is request.glance.missing
        reasons = {finding.reason for finding in decide(request).findings}
        assert Reason.GLANCE_UNKNOWN in reasons
        assert not reasons & {
            Reason.LEGACY_WRITE_DISABLED,
            Reason.ADMIN_ROLE_MISSING,
            Reason.SERVICE_ROLE_MISSING,
        }

    def test_a_malformed_location_is_not_looked_up(self) -> None:
        """It has one reason: nothing could be looked up."""
        cloud = MemoryCloud()
        odd = parse_location("rbd://array/images")
        image_id = cloud.add_image(TENANT, DATA, locations=(odd,))
        request = create(cloud, image_id, "array.find_image", AdapterError)
        (candidate,) = request.array_images
        assert Missing.NOT_ASKED is candidate.missing
        assert {Reason.LOCATION_MALFORMED} == against(decide(request))


URLS = {
    "file:///var/lib/glance/images/{}": Reason.SCHEME_UNSUPPORTED,
    "swift+config://ref1/glance/{}": Reason.SCHEME_UNSUPPORTED,
    "https://mirror.example.org/{}.raw": Reason.SCHEME_UNSUPPORTED,
    "rbd://another/images/{}/snap": Reason.DIFFERENT_FSID,
    "rbd://array/elsewhere/{}/snap": Reason.SOURCE_ELSEWHERE,
}


@pytest.mark.parametrize(("url", "reason"), URLS.items())
def test_an_image_in_another_place_has_one_reason(
    url: str, reason: Reason
) -> None:
    """Not that it is lost, and no invitation to trust a directory."""
    cloud = MemoryCloud()
    backend = attrs.evolve(ARRAY, image_schemes=frozenset({"rbd"}))
    image_id = cloud.add_image(TENANT, DATA)
    location = parse_location(url.format(image_id))
    cloud.image_row(image_id).locations = (location,)
    request = create(cloud, image_id, "array.find_image", UnsupportedError)
    decision = decide(attrs.evolve(request, backend=backend))
    assert isinstance(decision, Download)
    assert {reason} == against(decision)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_advises_to_remove_what_may_be_there(
    kind: type[AdapterError],
) -> None:
    """Nor to upload it anew: who does that has Glance delete the data."""
    cloud = MemoryCloud()
    image_id = cloud.add_image(TENANT, DATA, locations=(RBD,))
    text = explain(decide(create(cloud, image_id, "array.find_image", kind)))
    assert "remove" not in text
    assert "anew" not in text
    lost = kind is NotFoundError
    assert lost == (Reason.SOURCE_NOT_FOUND in text)


class TestSizes:
    """A stored image of unknown size never fits."""

    def test_an_array_may_not_know_the_size(self) -> None:
        """Neither is it called too small, nor too large."""
        request = with_facts(
            CLONEABLE[Route.ARRAY_IMAGE], {"source.size": None}
        )
        decision = decide(request)
        assert isinstance(decision, Download)
        assert {Reason.SOURCE_SIZE_UNKNOWN} == against(decision)

    def test_cinder_clones_it_and_the_plan_extends_it(self) -> None:
        """Extending what is large enough changes nothing."""
        request = with_facts(
            CLONEABLE[Route.ARRAY_IMAGE], {"source.size": None}
        )
        decision = decide(request, CINDER_29)
        assert isinstance(decision, Clone)
        assert request.volume.size == decision.extend_to

    def test_it_is_still_checked_when_it_is_known(self) -> None:
        """None is no size of a volume."""
        assert StoredImage().size is None
        with pytest.raises(FactError, match="size: expected a whole number"):
            StoredImage(size=-1)


@pytest.mark.parametrize("route", CLONEABLE)
@pytest.mark.parametrize("missing", Missing)
def test_a_candidate_without_a_source_is_never_cloned(
    route: Route, missing: Missing
) -> None:
    """Whatever the policy, and whatever the reason."""
    request = with_facts(CLONEABLE[route], {"candidate.missing": missing})
    for policy in (CINDER_29, None):
        decision = decide(request, policy) if policy else decide(request)
        assert isinstance(decision, Download)
        assert 1 == len(against(decision))


@pytest.mark.parametrize(
    "fields",
    [
        {"source": StoredImage(size=1), "missing": Missing.ABSENT},
        {"missing": None},
    ],
)
def test_a_source_and_why_it_is_missing_exclude_each_other(
    fields: dict[str, Any],
) -> None:
    """One of the two is always given; without either nobody asked."""
    assert Missing.NOT_ASKED is ArrayImage(location=RBD).missing
    with pytest.raises(FactError, match="missing: expected None"):
        ArrayImage(location=RBD, **fields)


def test_a_quota_that_is_not_known_closes_the_registration_only() -> None:
    """With a known one, the same upload is registered."""
    cloud = MemoryCloud()
    known = upload(cloud, "images.get_locations", AdapterError)
    assert isinstance(decide(known), Register)
