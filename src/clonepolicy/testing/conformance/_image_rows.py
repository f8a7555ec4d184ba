"""What every image service has to keep, and what locations promise."""

from __future__ import annotations

import hashlib
import random
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import attrs

from clonepolicy import (
    AdapterError,
    CinderLocation,
    ConflictError,
    GiB,
    ImageService,
    IntegrityError,
    Location,
    NotFoundError,
)
from clonepolicy.testing.conformance._array_rows import HOSTILE
from clonepolicy.testing.conformance._row import (
    Level,
    Need,
    Table,
    broken,
    hold,
    refused,
    told,
)
from clonepolicy.testing.conformance._scene import any_refusal

_DATA = random.Random(0).randbytes((1 << 20) + 1)  # noqa: S311 - any bytes will do
"""More than fits into one piece of what usual clients give."""


def _nothing() -> None:
    """Clean nothing up."""


@attrs.frozen(kw_only=True)
class LocationBench:
    """How to look at locations, and at the volumes behind them."""

    add_volume: Callable[[], CinderLocation]
    """Make a volume of 1 GiB that can become an image's data."""
    has_volume: Callable[[CinderLocation], bool]
    """Say whether the volume behind a location is still there."""
    of: Callable[[str], Sequence[Location]]
    """Read an image's locations in their order, by the service's own means,
    not through the adapter."""
    add_image: Callable[[], str] | None = None
    """Make an image with several locations, where there can be one."""
    data_of: Callable[[CinderLocation], Iterable[bytes]] | None = None
    """Read a volume by the array's own tools; for services that give its
    data where an image is made of it."""


@attrs.frozen(kw_only=True)
class ImageBench:
    """An image service under test, and its author's means to look at it.

    All images are raw and bare.
    """

    images: ImageService
    """On behalf of the requester."""
    queued: Callable[[], str]
    """Make an image of the requester's that has no data yet."""
    active: Callable[[bytes], str]
    """Make one that has data."""
    unseen: Callable[[], str]
    """Make one with data that the requester must not see."""
    statuses: Callable[[], Mapping[str, str]]
    """Give every image's status, by the service's own means."""
    data_of: Callable[[str], bytes]
    """Read an image's data, by the service's own means."""
    corrupt: Callable[[str], object] | None = None
    """Change the data of an image that the service has a hash of."""
    locations: LocationBench | None = None
    """Needed by whoever offers locations."""
    gib: int = GiB
    """Bytes of data that the service counts as a GiB; models take fewer."""
    xfail: Mapping[str, str] = attrs.field(factory=dict)
    """Rows that are known to fail, each with the reason."""
    close: Callable[[], None] = _nothing
    """Take everything down, with what the rows made."""


def _offers_locations(bench: ImageBench) -> bool:
    offered = bench.images.get_config()
    return bool(offered.has_location_api or offered.show_multiple_locations)


def _level_of(bench: ImageBench) -> Level:
    return Level.CLONES if _offers_locations(bench) else Level.STORES


def _locations(bench: ImageBench) -> LocationBench:
    if bench.locations is None:
        broken("locations are offered; give the bench locations")
    return bench.locations


LOCATIONS = Need(
    "not offered: locations (has_location_api, show_multiple_locations)",
    _offers_locations,
)
SEVERAL = Need[ImageBench](
    "the bench makes no image with several locations (locations.add_image)",
    lambda bench: bench.locations is None or bool(bench.locations.add_image),
)
READING = Need[ImageBench](
    "the bench cannot read volumes (locations.data_of)",
    lambda bench: bench.locations is None or bool(bench.locations.data_of),
)
CORRUPTING = Need[ImageBench](
    "the bench cannot change data (corrupt)",
    lambda bench: bench.corrupt is not None,
)

IMAGES: Table[ImageBench] = Table(_level_of)
"""The rows about image services."""


def agree(
    expected: Mapping[str, str], found: Mapping[str, str], what: str
) -> None:
    """See that there is what there should be, each in its status."""
    for name in sorted(expected.keys() | found.keys()):
        should, has = expected.get(name), found.get(name)
        hold(has == should, f"{what}: {name} is {has} instead of {should}")


def _missing() -> str:
    return str(uuid.uuid4())


def _missing_volume() -> CinderLocation:
    return CinderLocation(str(uuid.uuid4()))


def _has_data(bench: ImageBench, image_id: str, data: bytes) -> None:
    found = bench.data_of(image_id)
    hold(
        found == data,
        f"image {image_id} has {len(found)} bytes that are not the "
        f"{len(data)} that it should have",
    )


# -- what every service does ------------------------------------------------


@IMAGES.row(Level.STORES)
def tells_what_it_offers(bench: ImageBench) -> str:
    """What the service offers is the same at each asking."""
    offered = bench.images.get_config()
    hold(offered == bench.images.get_config(), "get_config varies")
    return (
        f"has_location_api {offered.has_location_api}, "
        f"show_multiple_locations {offered.show_multiple_locations}"
    )


@IMAGES.row(Level.STORES)
def reads_an_image(bench: ImageBench) -> None:
    """An image is read with its status, and its size in bytes."""
    data = b"some data"
    for image_id, status, size in (
        (bench.queued(), "queued", None),
        (bench.active(data), "active", len(data) * GiB // bench.gib),
    ):
        image = bench.images.get_image(image_id)
        found = (image.id, image.status, image.size, image.visible)
        expected = (image_id, status, size, True)
        hold(found == expected, f"found {found} instead of {expected}")


@IMAGES.row(Level.STORES)
def finds_no_missing_image(bench: ImageBench) -> None:
    """An image that is not there is not found, and does not come to be."""
    missing, before = _missing(), bench.statuses()
    with refused(NotFoundError, "reading"):
        bench.images.get_image(missing)
    with refused(NotFoundError, "downloading"):
        list(bench.images.download(missing))
    with refused(NotFoundError, "uploading"):
        bench.images.upload(missing, iter([b"data"]))
    agree(before, bench.statuses(), "after asking for a missing image")


@IMAGES.row(Level.STORES)
def hides_what_is_not_for_the_requester(bench: ImageBench) -> None:
    """An image that the requester does not see is as good as missing."""
    unseen = bench.unseen()
    with refused(NotFoundError, "reading"):
        bench.images.get_image(unseen)
    with refused(NotFoundError, "downloading"):
        list(bench.images.download(unseen))


@IMAGES.row(Level.STORES)
def gives_exactly_the_bytes(bench: ImageBench) -> str:
    """What is downloaded are the image's bytes, all of them, in order."""
    for data in (b"x", _DATA):
        image_id = bench.active(data)
        found = b"".join(bench.images.download(image_id))
        hold(
            found == data,
            f"gave {len(found)} bytes that are not the {len(data)} of it",
        )
    return f"{len(_DATA)} bytes compared"


@IMAGES.row(Level.STORES, CORRUPTING)
def notices_other_data(bench: ImageBench) -> None:
    """Data that is not what was uploaded is not given for it."""
    if bench.corrupt is None:
        broken("the bench cannot change data")
    image_id = bench.active(b"some data")
    bench.corrupt(image_id)
    with refused(IntegrityError, "other data"):
        list(bench.images.download(image_id))


@IMAGES.row(Level.STORES)
def gives_nothing_where_there_is_no_data(bench: ImageBench) -> None:
    """An image without data is refused, and not given as an empty one."""
    with refused(ConflictError, "a queued image"):
        list(bench.images.download(bench.queued()))


@IMAGES.row(Level.STORES)
def takes_all_of_an_upload(bench: ImageBench) -> str:
    """A queued image becomes active with all the data, however it comes."""
    image_id, before = bench.queued(), bench.statuses()
    pieces = (_DATA[:1], b"", _DATA[1:5000], _DATA[5000:])
    bench.images.upload(image_id, iter(pieces))
    agree({**before, image_id: "active"}, bench.statuses(), "after uploading")
    _has_data(bench, image_id, _DATA)
    return f"{len(_DATA)} bytes compared"


@IMAGES.row(Level.STORES)
def uploads_over_nothing(bench: ImageBench) -> None:
    """An image that has data takes no other, and keeps its own."""
    image_id = bench.active(b"some data")
    before = bench.statuses()
    with refused(ConflictError, "uploading again"):
        bench.images.upload(image_id, iter([b"other data"]))
    agree(before, bench.statuses(), "after uploading again")
    _has_data(bench, image_id, b"some data")


class _StreamError(Exception):
    """What somebody else's iterator raises."""


def _break_off(error: Exception) -> Iterator[bytes]:
    yield _DATA
    raise error


@IMAGES.row(Level.STORES)
def lets_a_broken_stream_through(bench: ImageBench) -> None:
    """What the data's iterator raises comes out, and makes no image."""
    for error in (_StreamError("torn"), IntegrityError("other bytes")):
        image_id, raised = bench.queued(), "nothing"
        before = bench.statuses()
        try:
            bench.images.upload(image_id, _break_off(error))
        except Exception as found:  # noqa: BLE001 - it is compared
            raised = told(found)
        hold(
            raised == told(error),
            f"raised {raised} instead of {told(error)}",
        )
        status = bench.statuses().get(image_id)
        hold(status != "active", "an image was made of half of its data")
        bench.images.discard(image_id)
        rest = {name: before[name] for name in before if name != image_id}
        agree(rest, bench.statuses(), "after discarding the half")


@IMAGES.row(Level.STORES)
def discards_what_has_no_data(bench: ImageBench) -> None:
    """An image without data goes; where there is none, nothing is to do."""
    before = bench.statuses()
    image_id = bench.queued()
    for _ in range(2):
        bench.images.discard(image_id)
        agree(before, bench.statuses(), "after discarding")
    bench.images.discard(_missing())
    agree(before, bench.statuses(), "after discarding what is missing")


@IMAGES.row(Level.STORES)
def discards_no_data(bench: ImageBench) -> None:
    """An image that has data is left alone."""
    image_id = bench.active(b"some data")
    before = bench.statuses()
    bench.images.discard(image_id)
    agree(before, bench.statuses(), "after discarding one that has data")
    _has_data(bench, image_id, b"some data")


@IMAGES.row(Level.STORES)
def verifies_nothing_unregistered(bench: ImageBench) -> None:
    """A location that no image was given is verified of none."""
    active, queued = bench.active(b"some data"), bench.queued()
    before = bench.statuses()
    for image_id in (active, queued, _missing()):
        what = f"verifying on image {image_id}"
        with refused(AdapterError, what):
            bench.images.verify_location(image_id, _missing_volume())
    agree(before, bench.statuses(), "after verifying")


@IMAGES.row(Level.STORES)
def withdraws_nothing_where_there_is_none(bench: ImageBench) -> None:
    """Where nothing was registered, withdrawing has nothing to do."""
    active, queued = bench.active(b"some data"), bench.queued()
    location, before = _missing_volume(), bench.statuses()
    for image_id in (queued, queued, _missing()):
        bench.images.withdraw_location(image_id, location)
    # who cannot see the locations of an active image may not return
    with any_refusal("an active image"):
        bench.images.withdraw_location(active, location)
    agree(before, bench.statuses(), "after withdrawing")
    _has_data(bench, active, b"some data")


@IMAGES.row(Level.STORES)
def makes_no_image_of_a_missing_volume(bench: ImageBench) -> None:
    """The location of no volume is no data; the bytes are still taken."""
    image_id, location = bench.queued(), _missing_volume()
    before = bench.statuses()
    # some answer first, and judge later
    with any_refusal("registering"):
        bench.images.add_location(image_id, location)
    with refused(AdapterError, "verifying"):
        bench.images.verify_location(image_id, location)
    bench.images.withdraw_location(image_id, location)
    agree(before, bench.statuses(), "after withdrawing")
    bench.images.upload(image_id, iter([b"some data"]))
    _has_data(bench, image_id, b"some data")


@IMAGES.row(Level.STORES)
def takes_nothing_else_for_an_image(bench: ImageBench) -> str:
    """Whatever stands for an id: an `AdapterError`, and nothing changes."""
    active, queued = bench.active(b"some data"), bench.queued()
    before, images = bench.statuses(), bench.images
    location = _missing_volume()
    names = (
        *HOSTILE,
        *(f"../images/{queued}", f"../{queued}", f"{queued}/../{active}"),
        *(f"{active}/file", f"{queued}?", f"{queued}#"),
    )
    for name in names:
        what = f"id {name[:40]!r}"
        with refused(AdapterError, f"{what}: get_image"):
            images.get_image(name)
        with refused(AdapterError, f"{what}: get_locations"):
            images.get_locations(name)
        with refused(AdapterError, f"{what}: download"):
            list(images.download(name))
        with refused(AdapterError, f"{what}: upload"):
            images.upload(name, iter([b"other data"]))
        with refused(AdapterError, f"{what}: add_location"):
            images.add_location(name, location)
        with refused(AdapterError, f"{what}: verify_location"):
            images.verify_location(name, location)
        with any_refusal(f"{what}: withdraw_location"):
            images.withdraw_location(name, location)
        with any_refusal(f"{what}: discard"):
            images.discard(name)
        agree(before, bench.statuses(), what)
    _has_data(bench, active, b"some data")
    return f"{len(names)} ids refused"


# -- locations --------------------------------------------------------------


def _shows(bench: ImageBench, image_id: str, location: CinderLocation) -> bool:
    """Compare volumes only: a service may write its store's name in."""
    return location.volume_id in [
        shown.volume_id
        for shown in _locations(bench).of(image_id)
        if isinstance(shown, CinderLocation)
    ]


def _registered(bench: ImageBench) -> tuple[str, CinderLocation]:
    image_id, location = bench.queued(), _locations(bench).add_volume()
    bench.images.add_location(image_id, location)
    bench.images.verify_location(image_id, location)
    return image_id, location


def _keeps(bench: ImageBench, location: CinderLocation) -> None:
    there = _locations(bench).has_volume(location)
    hold(there, f"the volume behind {location} is gone")


@IMAGES.row(Level.CLONES, LOCATIONS, clones=True)
def registers_a_volume(bench: ImageBench) -> None:
    """Once verified, an image is active and shows the volume."""
    image_id, location = bench.queued(), _locations(bench).add_volume()
    before = bench.statuses()
    bench.images.add_location(image_id, location)
    bench.images.verify_location(image_id, location)
    agree({**before, image_id: "active"}, bench.statuses(), "once verified")
    hold(_shows(bench, image_id, location), f"{location} is not shown")
    _keeps(bench, location)


@IMAGES.row(Level.CLONES, LOCATIONS, clones=True)
def registers_once_and_again(bench: ImageBench) -> None:
    """A location is registered twice without harm, and shown once."""
    image_id, location = bench.queued(), _locations(bench).add_volume()
    for _ in range(2):
        bench.images.add_location(image_id, location)
    for _ in range(2):
        bench.images.verify_location(image_id, location)
        bench.images.add_location(image_id, location)
    shown = _locations(bench).of(image_id)
    hold(len(shown) == 1, f"shows {[*map(str, shown)]} instead of one")


@IMAGES.row(Level.CLONES, LOCATIONS, clones=True)
def registers_over_nothing(bench: ImageBench) -> None:
    """An image that has data, of whatever kind, takes no location."""
    full = bench.active(b"some data")
    made, _ = _registered(bench)
    other = _locations(bench).add_volume()
    before = bench.statuses()
    for image_id in (full, made):
        shown = tuple(_locations(bench).of(image_id))
        with refused(ConflictError, "registering over data"):
            bench.images.add_location(image_id, other)
        now = tuple(_locations(bench).of(image_id))
        hold(now == shown, f"shows {now} instead of {shown}")
    agree(before, bench.statuses(), "after registering over data")
    _has_data(bench, full, b"some data")
    _keeps(bench, other)


@IMAGES.row(Level.CLONES, LOCATIONS, clones=True)
def withdraws_from_sight_or_refuses(bench: ImageBench) -> str:
    """A location is shown no more, or withdrawing fails; its volume stays."""
    image_id, location = _registered(bench)
    before = bench.statuses()
    try:
        bench.images.withdraw_location(image_id, location)
    except AdapterError:
        hold(_shows(bench, image_id, location), f"{location} is gone")
        agree(before, bench.statuses(), "after refusing")
        result = "what is shown stays"
    else:
        hold(not _shows(bench, image_id, location), f"{location} is shown")
        status = bench.statuses().get(image_id)
        hold(status != "active", "the image is active and has no data")
        bench.images.withdraw_location(image_id, location)
        result = "what is shown is withdrawn"
    _keeps(bench, location)
    return result


@IMAGES.row(Level.CLONES, LOCATIONS, clones=True)
def shows_nothing_after_it_was_withdrawn(bench: ImageBench) -> str:
    """What was withdrawn does not show later, whenever it is judged."""
    image_id, location = bench.queued(), _locations(bench).add_volume()
    bench.images.add_location(image_id, location)
    try:
        bench.images.withdraw_location(image_id, location)
    except AdapterError:
        bench.images.verify_location(image_id, location)
        return "what is being registered stays"
    with refused(AdapterError, "verifying what was withdrawn"):
        bench.images.verify_location(image_id, location)
    hold(not _shows(bench, image_id, location), f"{location} is shown")
    _keeps(bench, location)
    return "what is being registered is withdrawn"


@IMAGES.row(Level.CLONES, LOCATIONS, clones=True)
def discards_no_volume(bench: ImageBench) -> None:
    """An image that is given a volume is not discarded, not even at once."""
    image_id, location = bench.queued(), _locations(bench).add_volume()
    bench.images.add_location(image_id, location)
    with any_refusal("discarding at once"):
        bench.images.discard(image_id)
    bench.images.verify_location(image_id, location)
    before = bench.statuses()
    bench.images.discard(image_id)
    agree(before, bench.statuses(), "after discarding")
    hold(_shows(bench, image_id, location), f"{location} is not shown")
    _keeps(bench, location)


@IMAGES.row(Level.CLONES, LOCATIONS, clones=True)
def tells_where_the_data_lies(bench: ImageBench) -> None:
    """An image's locations are told as they are; without data it has none."""
    queued, active = bench.queued(), bench.active(b"some data")
    for image_id in (queued, active, _registered(bench)[0]):
        _tells(bench, image_id)
    found = bench.images.get_locations(queued)
    hold(found == (), f"a queued image lies at {found}")


def _tells(bench: ImageBench, image_id: str) -> int:
    found = bench.images.get_locations(image_id)
    expected = tuple(_locations(bench).of(image_id))
    hold(found == expected, f"tells {found} instead of {expected}")
    return len(found)


@IMAGES.row(Level.CLONES, LOCATIONS, SEVERAL)
def tells_locations_in_order(bench: ImageBench) -> str:
    """Several locations are told in the service's order."""
    make = _locations(bench).add_image
    if make is None:
        broken("the bench makes no image with several locations")
    count = _tells(bench, make())
    hold(count > 1, f"the image has {count} locations, and not several")
    return f"{count} locations"


@IMAGES.row(Level.CLONES, LOCATIONS)
def hides_locations_from_whoever_sees_no_image(bench: ImageBench) -> None:
    """Where an image is hidden, so is where its data lies."""
    with refused(NotFoundError, "reading locations"):
        bench.images.get_locations(bench.unseen())


@IMAGES.row(Level.CLONES, LOCATIONS, READING, clones=True)
def gives_the_bytes_of_a_volume(bench: ImageBench) -> str:
    """An image that is made of a volume has that volume's bytes."""
    read = _locations(bench).data_of
    if read is None:
        broken("the bench cannot read volumes")
    image_id, location = _registered(bench)
    found = _digest(bench.images.download(image_id))
    expected = _digest(read(location))
    hold(found == expected, f"gave {found} instead of {expected}")
    return f"{found[0]} bytes compared"


def _digest(pieces: Iterable[bytes]) -> tuple[int, str]:
    size, seen = 0, hashlib.sha256()
    for piece in pieces:
        size += len(piece)
        seen.update(piece)
    return size, seen.hexdigest()
