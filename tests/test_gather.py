"""Facts are fetched as they are, and what cannot be fetched is a fact."""

from __future__ import annotations

import datetime

import attrs
import pytest

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
    UnavailableError,
    Upload,
    UploadRequest,
    decide_create,
    decide_upload,
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
from clonepolicy.testing.faults import Fault, Faulty

DATA = b"bytes of an image"


def create(
    cloud: MemoryCloud, image_id: str, *failing: str, times: int = 99
) -> CreateRequest:
    """Gather a create of which some calls fail."""
    volume = cloud.add_volume("tenant", 5, status="creating")
    faults = [Fault(name, UnavailableError(), times=times) for name in failing]
    ports = Faulty(cloud.ports("tenant"), faults=faults).ports
    return gather_create(image_id, volume, cloud.config, ports)


def upload(
    cloud: MemoryCloud, *failing: str, project_id: str = "tenant"
) -> UploadRequest:
    """Gather an upload of which some calls fail."""
    volume = cloud.add_volume("tenant", 5, data=DATA)
    image_id = cloud.add_image("tenant", None)
    faults = [Fault(name, UnavailableError()) for name in failing]
    ports = Faulty(cloud.ports(project_id), faults=faults).ports
    return gather_upload(volume.id, image_id, "tenant", cloud.config, ports)


def located(cloud: MemoryCloud, *locations: Location) -> str:
    """Add an image with data and locations."""
    return cloud.add_image("tenant", DATA, locations=locations)


def backing(cloud: MemoryCloud) -> str:
    """Add a volume that may be an image's data."""
    volume = cloud.add_volume(INTERNAL, 5, data=DATA)
    cloud.volumes[volume.id].metadata["image_owner"] = "tenant"
    return volume.id


def test_every_fact_of_a_create_is_gathered() -> None:
    """Image, volume, backend, options, locations and cache come together."""
    cloud = MemoryCloud()
    volume_id = backing(cloud)
    rbd = RbdLocation("array", "images", "name", "snap")
    cloud.stored[rbd] = DATA
    image_id = located(cloud, CinderLocation(volume_id), rbd)
    moment = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    entry = CacheEntry(
        image_id=image_id,
        image_updated_at=moment,
        source=cloud.volume(volume_id),
    )
    cloud.cache.append(entry)
    request = create(cloud, image_id)
    assert cloud.config == request.config
    assert cloud.glance == request.glance
    assert request.backend == ARRAY
    assert request.image.visible
    (image_volume,) = request.image_volumes
    assert cloud.volume(volume_id) == image_volume.source
    assert image_volume.backend == ARRAY
    (array_image,) = request.array_images
    assert cloud.find_stored(rbd) == array_image.source
    assert (attrs.evolve(entry, backend=ARRAY),) == request.cache_entries


def test_a_quota_that_is_not_given_is_without_limit() -> None:
    """The new volume is counted already, unless somebody says otherwise."""
    cloud = MemoryCloud()
    image_id = located(cloud)
    assert Quota() == create(cloud, image_id).quota
    volume = cloud.add_volume("tenant", 5, status="creating")
    ports, quota = cloud.ports("tenant"), Quota(volumes=0)
    request = gather_create(image_id, volume, cloud.config, ports, quota=quota)
    assert quota == request.quota


def test_locations_that_cannot_be_read_are_a_fact() -> None:
    """The create goes on without them, and knows that it does."""
    cloud = MemoryCloud()
    image_id = located(cloud, CinderLocation(backing(cloud)))
    request = create(cloud, image_id, "images.get_locations")
    assert request.image.locations_from is LocationsFrom.UNREADABLE
    assert not request.image_volumes
    assert isinstance(decide_create(request), Download)


def test_locations_that_glance_hides_are_a_fact() -> None:
    """A Glance without either interface leaves the download."""
    cloud = MemoryCloud(glance=GlanceConfig())
    request = create(cloud, located(cloud, CinderLocation(backing(cloud))))
    assert request.image.locations_from is LocationsFrom.UNREADABLE
    assert isinstance(decide_create(request), Download)


def test_a_missing_volume_is_a_candidate_without_a_source() -> None:
    """A dangling location is seen, and is no reason to fail."""
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
def test_a_source_that_cannot_be_looked_up_is_passed_over(
    failing: str,
) -> None:
    """One that fails does not hide the next one."""
    cloud = MemoryCloud()
    one, two = backing(cloud), backing(cloud)
    image_id = located(cloud, CinderLocation(one), CinderLocation(two))
    request = create(cloud, image_id, failing, times=1)
    sources = [found.source for found in request.image_volumes]
    expected = [None, cloud.volume(two)]
    assert expected == sources
    assert isinstance(decide_create(request), Clone)


def test_an_array_image_that_cannot_be_looked_up_is_passed_over() -> None:
    """An array that does not answer leaves the download."""
    cloud = MemoryCloud()
    rbd = RbdLocation("array", "images", "name", "snap")
    cloud.stored[rbd] = DATA
    request = create(cloud, located(cloud, rbd), "array.find_image")
    (found,) = request.array_images
    assert found.source is None


@pytest.mark.parametrize(
    "failing", ["images.get_config", "volumes.get_cache_entries"]
)
def test_what_only_a_clone_needs_does_not_stop_a_create(failing: str) -> None:
    """Without Glance's options or the cache, a download is still open."""
    cloud = MemoryCloud()
    request = create(cloud, located(cloud), failing)
    assert isinstance(decide_create(request), Download)


@pytest.mark.parametrize("failing", ["images.get_image", "array.get_backend"])
def test_what_every_create_needs_is_raised(failing: str) -> None:
    """Without image or array there is nothing to decide."""
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
def test_a_lenient_location_is_looked_up_for_policies_that_take_it(
    text: str,
) -> None:
    """What Cinder reads out of a location is found; SAFE refuses it."""
    cloud = MemoryCloud()
    volume_id = backing(cloud)
    location = parse_location(text.format(volume_id))
    request = create(cloud, located(cloud, location))
    (found,) = request.image_volumes
    assert location == found.location
    assert cloud.volume(volume_id) == found.source
    assert isinstance(decide_create(request), Download)


@pytest.mark.parametrize(
    "text", ["cinder://", "cinder://not-a-volume", "cinder://[x"]
)
def test_a_location_that_names_no_volume_is_kept(text: str) -> None:
    """Nobody can look it up; the decision names it nevertheless."""
    cloud = MemoryCloud()
    request = create(cloud, located(cloud, parse_location(text)))
    (found,) = request.image_volumes
    assert text == str(found.location)
    assert found.source is None


def test_locations_are_told_apart_by_what_they_mean_to_name() -> None:
    """Text that says cinder is about volumes; all else is about arrays."""
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
    one, two = CinderLocation(backing(cloud)), CinderLocation(backing(cloud))
    image_id = located(cloud, one, two, one)
    volume = cloud.add_volume("tenant", 5, status="creating")
    faulty = Faulty(cloud.ports("tenant"))
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
    backing(cloud)
    request = upload(cloud)
    expected = Quota(volumes=2, gigabytes=15)
    assert expected == request.clone_quota
    assert request.image.status == "queued"
    assert request.volume.status == "available"
    assert request.backend == cloud.arrays[POOL]
    assert cloud.glance == request.glance
    assert not request.force


@pytest.mark.parametrize(
    "failing",
    [
        "images.get_image",
        "volumes.get_volume",
        "array.get_backend",
        "volumes.get_quota",
    ],
)
def test_what_every_upload_needs_is_raised(failing: str) -> None:
    """Without one of these there is nothing to decide."""
    with pytest.raises(UnavailableError):
        upload(MemoryCloud(), failing)


def test_an_upload_goes_on_without_glances_options() -> None:
    """What Glance offers is needed to register, not to send bytes."""
    request = upload(MemoryCloud(), "images.get_config")
    assert isinstance(decide_upload(request), Upload)


def test_an_image_that_is_not_shown_is_not_gathered() -> None:
    """The requester's own eyes count."""
    cloud = MemoryCloud()
    image_id = cloud.add_image("stranger", DATA)
    with pytest.raises(NotFoundError):
        create(cloud, image_id)
    with pytest.raises(AdapterError):
        upload(cloud, project_id="stranger")
