"""Gathering fetches every fact, and records which could not be fetched."""

from __future__ import annotations

import datetime
import sys
from pathlib import Path
from typing import Any

import attrs
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from clonepolicy import (
    AdapterError,
    Backend,
    CacheEntry,
    CinderLocation,
    Clone,
    CreateRequest,
    Download,
    GlanceConfig,
    Location,
    LocationsFrom,
    NotFoundError,
    Quota,
    RbdLocation,
    Reason,
    UnavailableError,
    Upload,
    UploadRequest,
    Volume,
    VolumeType,
    decide,
    gather_create,
    gather_upload,
    parse_location,
)
from clonepolicy.adapters.memory import (
    ARRAY,
    INTERNAL,
    POOL,
    MemoryCloud,
)
from clonepolicy.ports import Inspection, Missing
from clonepolicy.testing.faults import Fault, Faulty
from memory_support import DATA, TENANT, add_source, store

RBD = RbdLocation("array", "images", "name", "snap")


def create(
    cloud: MemoryCloud, image_id: str, *failing: str, times: int = 99
) -> CreateRequest:
    """Gather a create while some calls fail."""
    volume = cloud.add_volume(TENANT, 5, status="creating")
    faults = [Fault(name, UnavailableError(), times=times) for name in failing]
    ports = Faulty(cloud.ports(TENANT), faults=faults).ports
    return gather_create(image_id, volume, cloud.config, ports)


def upload(
    cloud: MemoryCloud, *failing: str, project_id: str = TENANT
) -> UploadRequest:
    """Gather an upload while some calls fail."""
    volume = cloud.add_volume(TENANT, 5, data=DATA)
    image_id = cloud.add_image(TENANT, None)
    faults = [Fault(name, UnavailableError()) for name in failing]
    ports = Faulty(cloud.ports(project_id), faults=faults).ports
    return gather_upload(volume.id, image_id, TENANT, cloud.config, ports)


def located(cloud: MemoryCloud, *locations: Location) -> str:
    """Add an image with data and locations."""
    return cloud.add_image(TENANT, DATA, locations=locations)


def passed(cloud: MemoryCloud, volume_id: str) -> Volume:
    """Return a volume whose data the array has inspected."""
    return attrs.evolve(cloud.volume(volume_id), inspection=Inspection.PASSED)


def test_every_fact_of_a_create_is_gathered() -> None:
    """Image, volume, backend, options, locations and cache entries."""
    cloud = MemoryCloud()
    location = add_source(cloud)
    store(cloud, RBD)
    image_id = located(cloud, location, RBD)
    moment = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    entry = CacheEntry(
        image_id=image_id,
        image_updated_at=moment,
        source=cloud.volume(location.volume_id),
    )
    cloud.cache.append(entry)
    request = create(cloud, image_id)
    assert cloud.config == request.config
    assert cloud.glance == request.glance
    assert request.backend == ARRAY
    assert request.image.visible
    (image_volume,) = request.image_volumes
    assert passed(cloud, location.volume_id) == image_volume.source
    assert image_volume.backend == ARRAY
    (array_image,) = request.array_images
    found = cloud.arrays[POOL].find_image(RBD)
    assert found is not None
    assert attrs.evolve(found, inspection=Inspection.PASSED) == (
        array_image.source
    )
    entry = attrs.evolve(
        entry, source=passed(cloud, location.volume_id), backend=ARRAY
    )
    assert (entry,) == request.cache_entries


def test_a_create_without_a_quota_has_no_limit() -> None:
    """Cinder has reserved the new volume; a caller may pass a quota."""
    cloud = MemoryCloud()
    image_id = located(cloud)
    assert Quota() == create(cloud, image_id).quota
    volume = cloud.add_volume(TENANT, 5, status="creating")
    ports, quota = cloud.ports(TENANT), Quota(volumes=0)
    request = gather_create(image_id, volume, cloud.config, ports, quota=quota)
    assert quota == request.quota


def cache_quota(cloud: MemoryCloud, *failing: str) -> Quota | None:
    """Gather a create of an image without locations."""
    return create(cloud, located(cloud), *failing).cache_quota


def test_the_quota_of_the_caches_owner_is_asked_if_it_counts() -> None:
    """The next create would add an entry."""
    cloud = MemoryCloud()
    tenant = cloud.config.cinder_internal_tenant_project_id
    assert tenant is not None
    for limit in (Quota(volumes=0), Quota(type_volumes=0)):
        cloud.limits[tenant] = limit
        volume = attrs.evolve(
            cloud.add_volume(TENANT, 5), volume_type=VolumeType(id="t")
        )
        request = gather_create(
            located(cloud), volume, cloud.config, cloud.ports(TENANT)
        )
        assert limit == request.cache_quota
    unknown = Quota(missing=Missing.UNAVAILABLE)
    assert unknown == cache_quota(cloud, "volumes.get_quota")


@pytest.mark.parametrize(
    "option",
    [
        {"image_volume_cache_enabled": False},
        {"cinder_internal_tenant_project_id": None},
    ],
    ids=list,
)
def test_the_quota_of_no_cache_is_not_asked(option: dict[str, Any]) -> None:
    """Its rules would not depend on it."""
    cloud = MemoryCloud()
    cloud.config = attrs.evolve(cloud.config, **option)
    assert cache_quota(cloud) is None


def test_the_quota_of_a_cache_with_an_entry_is_not_asked() -> None:
    """Nothing would be added."""
    cloud = MemoryCloud()
    image_id = located(cloud)
    source = cloud.volume(add_source(cloud).volume_id)
    cloud.cache.append(CacheEntry(image_id=image_id, source=source))
    assert create(cloud, image_id).cache_quota is None


def test_a_create_records_that_locations_cannot_be_read() -> None:
    """The image is downloaded."""
    cloud = MemoryCloud()
    image_id = located(cloud, add_source(cloud))
    request = create(cloud, image_id, "images.get_locations")
    assert request.image.locations_from is LocationsFrom.UNAVAILABLE
    assert not request.image_volumes
    assert isinstance(decide(request), Download)


def test_a_create_records_that_glance_hides_locations() -> None:
    """Glance has neither interface; the image is downloaded."""
    cloud = MemoryCloud(glance=GlanceConfig())
    request = create(cloud, located(cloud, add_source(cloud)))
    assert request.image.locations_from is LocationsFrom.HIDDEN
    decision = decide(request)
    assert isinstance(decision, Download)
    reasons = {finding.reason for finding in decision.findings}
    assert Reason.LOCATIONS_HIDDEN in reasons
    assert not {Reason.NO_LOCATIONS, Reason.NO_ARRAY_IMAGE} & reasons


def test_a_missing_volume_is_a_candidate_without_a_source() -> None:
    """A dangling location does not make gathering fail."""
    cloud = MemoryCloud()
    location = CinderLocation(cloud.new_id())
    request = create(cloud, located(cloud, location))
    (found,) = request.image_volumes
    assert location == found.location
    assert found.source is None
    assert Backend() == found.backend


@pytest.mark.parametrize(
    "failing", ["volumes.get_volume", "volumes.get_backend"]
)
def test_a_source_that_cannot_be_looked_up_is_skipped(failing: str) -> None:
    """The next source is cloned."""
    cloud = MemoryCloud()
    one, two = add_source(cloud), add_source(cloud)
    image_id = located(cloud, one, two)
    request = create(cloud, image_id, failing, times=1)
    sources = [found.source for found in request.image_volumes]
    expected = [None, passed(cloud, two.volume_id)]
    assert expected == sources
    assert isinstance(decide(request), Clone)


def test_an_array_image_that_cannot_be_looked_up_is_skipped() -> None:
    """The array does not answer; the candidate has no source."""
    cloud = MemoryCloud()
    store(cloud, RBD)
    request = create(cloud, located(cloud, RBD), "array.find_image")
    (found,) = request.array_images
    assert found.source is None


@pytest.mark.parametrize(
    "failing", ["images.get_config", "volumes.get_cache_entries"]
)
def test_a_call_that_only_clones_need_may_fail(failing: str) -> None:
    """Without Glance's options or the cache, the image is downloaded."""
    cloud = MemoryCloud()
    request = create(cloud, located(cloud), failing)
    assert isinstance(decide(request), Download)


@pytest.mark.parametrize("failing", ["images.get_image", "array.get_backend"])
def test_a_call_that_every_create_needs_may_not_fail(failing: str) -> None:
    """Without the image or the array there is nothing to decide."""
    cloud = MemoryCloud()
    with pytest.raises(UnavailableError):
        create(cloud, located(cloud), failing)


@pytest.mark.parametrize(
    "text",
    [
        "CINDER://{}",
        "cinder://a/b/{}",
        "cinder:{}",
        "cinder:///{}",
        "cinder://{}?x=1",
        "cinder://{}#x",
    ],
)
def test_a_location_is_looked_up_as_leniently_as_cinder_reads_it(
    text: str,
) -> None:
    """Other policies may accept the volume; SAFE does not."""
    cloud = MemoryCloud()
    volume_id = add_source(cloud).volume_id
    location = parse_location(text.format(volume_id))
    request = create(cloud, located(cloud, location))
    (found,) = request.image_volumes
    assert location == found.location
    assert passed(cloud, volume_id) == found.source
    assert isinstance(decide(request), Download)


@pytest.mark.parametrize(
    "text", ["cinder://", "cinder://not-a-volume", "cinder://[x"]
)
def test_a_location_that_names_no_volume_is_kept(text: str) -> None:
    """It cannot be looked up; the request names it without a source."""
    cloud = MemoryCloud()
    request = create(cloud, located(cloud, parse_location(text)))
    (found,) = request.image_volumes
    assert text == str(found.location)
    assert found.source is None


def test_only_locations_that_say_cinder_are_image_volumes() -> None:
    """All other locations, even malformed ones, are array images."""
    cloud = MemoryCloud()
    texts = ["https://example.org/x", "file:///a/../b", " cinder:x", "rbd://x"]
    image_id = located(cloud, *map(parse_location, texts))
    request = create(cloud, image_id)
    volumes = [str(found.location) for found in request.image_volumes]
    assert texts[2:3] == volumes
    images = [str(found.location) for found in request.array_images]
    assert [*texts[:2], texts[3]] == images


def test_duplicates_are_looked_up_once() -> None:
    """A location that Glance shows twice is one candidate."""
    cloud = MemoryCloud()
    one, two = add_source(cloud), add_source(cloud)
    image_id = located(cloud, one, two, one)
    volume = cloud.add_volume(TENANT, 5, status="creating")
    faulty = Faulty(cloud.ports(TENANT))
    request = gather_create(image_id, volume, cloud.config, faulty.ports)
    found = [candidate.location for candidate in request.image_volumes]
    assert [one, two] == found
    read = [
        call.arguments[0]
        for call in faulty.calls
        if call.name == "volumes.get_volume"
    ]
    assert [one.volume_id, two.volume_id] == read


def test_every_fact_of_an_upload_is_gathered() -> None:
    """Image, volume, backend, options and the clone project's quota."""
    cloud = MemoryCloud(limits={INTERNAL: Quota(volumes=3, gigabytes=20)})
    add_source(cloud)
    request = upload(cloud)
    expected = Quota(volumes=2, gigabytes=15)
    assert expected == request.clone_quota
    assert request.image.status == "queued"
    assert request.volume.status == "available"
    assert request.backend == ARRAY
    assert cloud.glance == request.glance
    assert not request.force


@pytest.mark.parametrize(
    "failing",
    [
        "images.get_image",
        "volumes.get_volume",
        "array.get_backend",
    ],
)
def test_a_call_that_every_upload_needs_may_not_fail(failing: str) -> None:
    """Without one of these facts there is nothing to decide."""
    with pytest.raises(UnavailableError):
        upload(MemoryCloud(), failing)


def test_an_upload_goes_on_without_glances_options() -> None:
    """Only registering needs them; the bytes are uploaded."""
    request = upload(MemoryCloud(), "images.get_config")
    assert isinstance(decide(request), Upload)


def test_an_image_that_the_requester_does_not_see_is_not_gathered() -> None:
    """Its owner has not shared it."""
    cloud = MemoryCloud()
    image_id = cloud.add_image("stranger", DATA)
    with pytest.raises(NotFoundError):
        create(cloud, image_id)
    with pytest.raises(AdapterError):
        upload(cloud, project_id="stranger")
