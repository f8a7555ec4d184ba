"""What every array has to keep, and what each capability promises."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import chain
from threading import Event
from typing import Any, TypeAlias

import attrs

from clonepolicy import (
    AdapterError,
    ArrayBackend,
    Backend,
    CinderLocation,
    CloneKind,
    CloneLimitError,
    ConflictError,
    FileLocation,
    IntegrityError,
    LeftBehindError,
    Location,
    MalformedLocation,
    NotFoundError,
    OtherLocation,
    RbdLocation,
    StoredImage,
    StoredVolume,
    UnsupportedError,
    Volume,
    check_array_kind,
)
from clonepolicy.testing.conformance._bench import ArrayBench
from clonepolicy.testing.conformance._content import Content
from clonepolicy.testing.conformance._killed import Call, can_be_sent, make
from clonepolicy.testing.conformance._row import (
    Level,
    Need,
    Table,
    broken,
    hold,
    refused,
    same,
    told,
)
from clonepolicy.testing.conformance._scene import Scene, any_refusal

_AT_ONCE = 8
_WRITES = 3
_GENERATIONS = 5
_KILLS = 6
_ROUNDS = 5
_SLOWER = 4
"""How many times as long a clone of the larger volume may take; it has
four times the size and sixteen times the data."""
_NOTHING = 0.1
"""The part of the data that a clone may take and still shares it."""
_NOISE = 0.002
"""Seconds of difference that mean nothing."""
_MARK = 512
"""Bytes of a write of which is known when it was made."""
_MOST = 100
"""The largest limit of clones that is tried out."""
_FEW = 4
"""How many clones are counted where the limit is larger."""


def _claims(kind: CloneKind, field: str) -> Callable[[ArrayBench], bool]:
    return lambda bench: getattr(bench.array.get_backend(), field) is kind


def _declares(text: str, field: str) -> Need[ArrayBench]:
    return Need(
        f"not declared: {text} ({field})",
        lambda bench: bool(getattr(bench.array.get_backend(), field)),
    )


CLONES = Need[ArrayBench](
    "not declared: cloning (can_clone, and a clone_limit of 1 or more)",
    lambda bench: _clones(bench.array.get_backend()),
)
EXTENDS = _declares("growing", "can_extend")
LIMITED = _declares("a limit", "clone_limit")
IMAGES = Need[ArrayBench](
    "not declared: stored images (image_schemes)",
    lambda bench: _clones_images(bench.array.get_backend()),
)
COPY_ON_WRITE = Need(
    "not declared: copy-on-write (clone_kind)",
    _claims(CloneKind.COPY_ON_WRITE, "clone_kind"),
)
COPIES = Need[ArrayBench](
    "not declared: full or offloaded copies (clone_kind)",
    lambda bench: (
        bench.array.get_backend().clone_kind
        in {CloneKind.FULL_COPY, CloneKind.OFFLOADED_COPY}
    ),
)
OFFLOADED = Need(
    "not declared: offloaded copies (clone_kind)",
    _claims(CloneKind.OFFLOADED_COPY, "clone_kind"),
)
IMAGES_ON_WRITE = Need(
    "not declared: copy-on-write of images (image_clone_kind)",
    _claims(CloneKind.COPY_ON_WRITE, "image_clone_kind"),
)
IMAGES_OFFLOADED = Need(
    "not declared: offloaded copies of images (image_clone_kind)",
    _claims(CloneKind.OFFLOADED_COPY, "image_clone_kind"),
)
OTHER = Need[ArrayBench](
    "the bench gives no other array (other)",
    lambda bench: bench.other is not None,
)
AGAIN = Need[ArrayBench](
    "the bench cannot open the array again (again)",
    lambda bench: bench.again is not None,
)
PROCESSES = Need[ArrayBench](
    "no other process can open the array (again, if it can be pickled)",
    lambda bench: can_be_sent(bench.again),
)
THREADS = Need[ArrayBench](
    "the bench has no calls from several threads (threads)",
    lambda bench: bench.threads,
)
BREAKING = Need[ArrayBench](
    "the bench cannot make the array fail (breaking)",
    lambda bench: bench.breaking is not None,
)


def _clones(told: Backend) -> bool:
    return told.can_clone is True and told.clone_limit != 0


def _clones_images(told: Backend) -> bool:
    return bool(told.image_schemes) and told.clone_limit != 0


def _can_stat(bench: ArrayBench) -> bool:
    try:
        bench.array.stat(bench.new_volume(1, "creating").id)
    except UnsupportedError:
        return False
    return True


def _level_of(bench: ArrayBench) -> Level:
    told = bench.array.get_backend()
    if not _clones(told):
        return Level.STORES
    if not told.can_extend:
        return Level.CLONES
    kinds = {told.clone_kind}
    if told.image_schemes:
        kinds.add(told.image_clone_kind)
    moves = kinds & {None, CloneKind.FULL_COPY}
    return Level.GROWS if moves else Level.SHARES


ARRAYS: Table[ArrayBench] = Table(_level_of)
"""The rows about arrays."""


# -- what every array does --------------------------------------------------


@ARRAYS.row(
    Level.STORES,
    Need(
        "the array's class is offered by no entry point (no API_VERSION)",
        lambda bench: hasattr(type(bench.array), "API_VERSION"),
    ),
)
def declares_what_it_is(bench: ArrayBench) -> str:
    """Class and array declare the same, for a version that is called here."""
    kind: Any = type(bench.array)
    try:
        warning = check_array_kind(kind)
    except UnsupportedError as error:
        broken(str(error))
    told = attrs.asdict(bench.array.get_backend())
    for name, value in attrs.asdict(kind.CAPABILITIES).items():
        # what the class leaves open is the single array's to say, and
        # whether it is frozen is the operator's
        open_ = value is None or value == frozenset() or name == "frozen"
        hold(
            open_ or told[name] == value,
            f"{name}: the class declares {value!r}, the array {told[name]!r}",
        )
    return warning or f"version {kind.API_VERSION}"


@ARRAYS.row(Level.STORES)
def is_one_array(bench: ArrayBench) -> str:
    """The array has an identity that stays, and that no other has."""
    told = bench.array.get_backend()
    hold(told.array_id is not None, "array_id is None: it never clones")
    hold(told == bench.array.get_backend(), "get_backend varies")
    if bench.other is None:
        return f"{told.array_id}; there is no other array to compare with"
    there = bench.other.get_backend().array_id
    hold(there != told.array_id, f"the other array is {there}, too")
    return f"{told.array_id}, another is {there}"


def _opener(bench: ArrayBench) -> Callable[[], ArrayBackend]:
    if bench.again is None:
        broken("the bench cannot open the array again")
    return bench.again


@ARRAYS.row(Level.STORES, AGAIN)
def is_the_same_array_when_opened_again(bench: ArrayBench) -> None:
    """Another process finds the same array, and the same volumes there."""
    with Scene(bench) as scene:
        volume = scene.volume()
        again = _opener(bench)()
        told, found = scene.backend, again.get_backend()
        hold(told == found, f"declares {told}, and opened again {found}")
        scene.made[volume.id].compare(again.read(volume.id), "read again")
        again.discard(volume.id)
        scene.absent(volume)


@ARRAYS.row(Level.STORES)
def says_how_it_clones(bench: ArrayBench) -> str:
    """Whoever clones says how; nothing is said of what is not done."""
    told = bench.array.get_backend()
    for can, kind, name in (
        (told.can_clone is True, told.clone_kind, "clone_kind"),
        (bool(told.image_schemes), told.image_clone_kind, "image_clone_kind"),
    ):
        hold(not can or kind is not None, f"{name} is None: say how")
        hold(can or kind is None, f"{name} is {kind}, and it does not clone")
    return f"{told.clone_kind}, images {told.image_clone_kind}"


@ARRAYS.row(
    Level.STORES,
    Need(
        "everything is declared",
        lambda bench: (
            not (
                _clones(bench.array.get_backend())
                and bench.array.get_backend().can_extend
                and _clones_images(bench.array.get_backend())
            )
        ),
    ),
)
def does_not_do_what_it_does_not_declare(bench: ArrayBench) -> str:
    """Clones, growth and image clones not declared are refused."""
    refusals = []
    with Scene(bench) as scene:
        source = scene.volume()
        told = scene.backend
        if not _clones(told):
            scene.refused_clone(_unable(told.can_clone), source, "a clone")
            refusals.append("clone_volume")
        if not told.can_extend:
            with refused(UnsupportedError, "growing"):
                scene.array.extend(source.id, 2)
            refusals.append("extend")
        if not _clones_images(told):
            target = scene.target()
            location: RbdLocation | FileLocation = FileLocation("/images/any")
            if bench.add_image is not None:
                location = scene.image(Content(bench.gib))
            with refused(AdapterError, "a clone of an image"):
                scene.array.clone_image(target.id, location)
            scene.absent(target)
            refusals.append("clone_image")
        scene.intact(source)
    return f"refuses {', '.join(refusals)}"


def _unable(can: bool | None) -> type[AdapterError]:  # noqa: FBT001 - a capability
    """Give the error of who cannot clone, or may make no clone."""
    return CloneLimitError if can else UnsupportedError


@ARRAYS.row(Level.STORES)
def gives_back_what_was_written(bench: ArrayBench) -> str:
    """A volume is as large as asked and has the data, then zeros."""
    with Scene(bench) as scene:
        whole = scene.volume(2)
        short = scene.target(2)
        content = Content(bench.gib // 2 + 512)
        content.put(0, b"head")
        content.put(content.size - 4, b"tail")
        scene.write(short.id, 2, content)
        scene.made[short.id] = content.copy(2 * bench.gib)
        scene.intact(whole, short)
    return f"{2 * 2} GiB compared"


@ARRAYS.row(Level.STORES)
def takes_no_more_than_fits(bench: ArrayBench) -> None:
    """Data beyond the volume's end is refused, and can be discarded."""
    with Scene(bench) as scene:
        target = scene.target()
        content = Content(bench.gib + 512)
        content.put(bench.gib, b"x" * 512)
        with refused(IntegrityError, "512 bytes too many"):
            scene.write(target.id, 1, content)
        scene.array.discard(target.id)
        scene.absent(target)
        scene.unchanged()


class _StreamError(OSError):
    """What somebody else's iterator raises: a lost connection, say."""


def _break_off(content: Content, *, late: bool) -> Iterator[bytes]:
    pieces = content.pieces()
    yield next(pieces)
    if late:
        yield from pieces
    raise _StreamError


@ARRAYS.row(Level.STORES)
def lets_a_broken_stream_through(bench: ArrayBench) -> None:
    """What the data's iterator raises comes out; the rest is discarded.

    The volume can be filled thereafter.
    """
    with Scene(bench) as scene:
        target = scene.target()
        content = Content.make(bench.gib, scene.data, target.id)
        for late in (False, True):
            data = _break_off(content, late=late)
            try:
                scene.write(target.id, 1, content, data)
            except _StreamError:
                pass
            else:
                broken("a volume was made of data that broke off")
            scene.array.discard(target.id)
            scene.absent(target)
            scene.unchanged()
        scene.write(target.id, 1, content)
        scene.made[target.id] = content
        scene.intact(target)


@ARRAYS.row(Level.STORES)
def takes_no_data_for_what_it_is_not(bench: ArrayBench) -> None:
    """What is not of its format, or in a container, fills no volume."""
    with Scene(bench) as scene:
        content = Content.make(bench.gib, scene.data, "no such format")
        for formats in (("qcow2", "bare"), ("none", "bare"), ("raw", "ova")):
            target = scene.target()
            with refused(AdapterError, f"data of {formats}"):
                scene.write(target.id, 1, content, formats=formats)
            scene.array.discard(target.id)
            scene.absent(target)
        scene.unchanged()


@ARRAYS.row(Level.STORES)
def reads_several_in_turns(bench: ArrayBench) -> None:
    """Readings that are under way keep apart, of one volume too."""
    with Scene(bench) as scene:
        one, other = scene.volume(), scene.volume()
        readings = [
            (scene.array.read(volume.id), scene.made[volume.id])
            for volume in (one, one, other)
        ]
        heads = [next(reading) for reading, _ in readings]
        for head, (rest, content) in zip(heads, readings, strict=True):
            content.compare(chain((head,), rest), "read in turns")


@ARRAYS.row(Level.STORES, THREADS)
def fills_many_at_once(bench: ArrayBench) -> str:
    """Volumes that are written at the same time have each its own bytes."""
    with Scene(bench) as scene, ThreadPoolExecutor(_WRITES) as pool:
        volumes = list(pool.map(lambda _: scene.volume(), range(_WRITES)))
        scene.intact(*volumes)
    return f"{_WRITES} at once"


@ARRAYS.row(Level.STORES, BREAKING)
def fails_to_write_without_harm(bench: ArrayBench) -> None:
    """What a failing array left is discarded, and writing works later."""
    with Scene(bench) as scene:
        other, target = scene.volume(), scene.target()
        content = Content.make(bench.gib, scene.data, target.id)
        with _breaking(bench):
            with any_refusal("writing"):
                scene.write(target.id, 1, content)
            with any_refusal("discarding"):
                scene.array.discard(target.id)
        scene.array.discard(target.id)
        scene.absent(target)
        scene.write(target.id, 1, content)
        scene.made[target.id] = content
        scene.intact(target, other)


@ARRAYS.row(Level.STORES)
def writes_over_nothing(bench: ArrayBench) -> None:
    """A volume that has data is not filled again."""
    with Scene(bench) as scene:
        volume = scene.volume()
        content = Content.make(bench.gib, scene.data, "another")
        with refused(ConflictError, "writing again"):
            scene.write(volume.id, 1, content)
        scene.intact(volume)


@ARRAYS.row(Level.STORES)
def knows_nothing_of_a_missing_volume(bench: ArrayBench) -> None:
    """What is not there has no size, no data, and nothing to remove."""
    with Scene(bench) as scene:
        absent = scene.record()
        with refused(NotFoundError, "reading"):
            for _ in scene.array.read(absent.id):
                pass
        with contextlib.suppress(UnsupportedError):
            found = scene.array.stat(absent.id)
            hold(found is None, f"stat gives {found}")
        scene.array.discard(absent.id)
        scene.unchanged()


@ARRAYS.row(
    Level.STORES,
    Need("the array cannot tell, and says so (stat)", _can_stat),
)
def stat_agrees_with_the_arrays_own_tools(bench: ArrayBench) -> str:
    """Written, grown, cloned and discarded: always the same answer."""
    with Scene(bench) as scene:
        volume = scene.volume(2)
        scene.sized(volume.id, 2 * bench.gib)
        if scene.backend.can_extend:
            scene.array.extend(volume.id, 3)
            scene.made[volume.id].size = 3 * bench.gib
            scene.sized(volume.id, 3 * bench.gib)
        if _clones(scene.backend):
            size = scene.made[volume.id].size
            grown = attrs.evolve(volume, size=size // bench.gib)
            clone = scene.clone(grown)
            scene.sized(clone.id, size)
            scene.array.discard(clone.id)
        scene.array.discard(volume.id)
        found = scene.array.stat(volume.id)
        hold(found is None, f"stat gives {found} after discard")
        scene.absent(volume)
    return "sizes agree"


@ARRAYS.row(Level.STORES)
def discards_once_and_again(bench: ArrayBench) -> None:
    """Discarding removes all of one volume, and nothing of any other."""
    with Scene(bench) as scene:
        other = scene.volume()
        held = frozenset(bench.holds())
        volume = scene.volume()
        for _ in range(2):
            scene.array.discard(volume.id)
            scene.absent(volume)
            same(held, bench.holds(), "after discard")
        scene.intact(other)


HOSTILE = (
    *("", " ", ".", "..", "../escape", "a/b", "/absolute", "-rf", "--help"),
    *("*", "%", "a,b", "a:b", "a@b", "a\nb", "a\0b", "$(id)", "' OR '1'='1"),
    *("ü" * 85, "\ud800", "x" * 255, "x" * 5000, "\u202e", "con", "{}"),
)
"""Ids that are no UUIDs: each is refused, or kept apart from all others."""


@ARRAYS.row(Level.STORES)
def keeps_any_id_apart(bench: ArrayBench) -> str:
    """Whatever the id, no other volume changes and nothing stays behind."""
    refusals = 0
    with Scene(bench) as scene:
        volume = scene.volume()
        held = frozenset(bench.holds())
        content = Content(bench.gib)
        twins = (volume.id.upper(), f"{volume.id} ", f"../{volume.id}")
        names = [n for n in (*HOSTILE, *twins) if n != volume.id]
        for name in names:
            what = f"id {name[:40]!r}"
            with any_refusal(what):
                found = scene.array.stat(name)
                hold(found is None, f"{what}: finds {found}")
            refusals += 1
            with any_refusal(what):
                scene.write(name, 1, content)
                refusals -= 1
                content.compare(scene.array.read(name), what)
            with any_refusal(what):
                scene.array.discard(name)
            with any_refusal(what):
                scene.array.extend(name, 2)
            with any_refusal(what):
                for _ in scene.array.read(name):
                    pass
            for clone, source in (
                (name, volume),
                (scene.target().id, _named(volume, name)),
            ):
                if source is None:
                    continue
                with any_refusal(what):
                    scene.array.clone_volume(clone, source)
                with any_refusal(what):
                    scene.array.discard(clone)
            same(held, bench.holds(), what)
        scene.intact(volume)
    return f"{refusals} of {len(names)} ids refused"


def _named(volume: Volume, name: str) -> Volume | None:
    """Give a record by another id; None: there is no such record."""
    return attrs.evolve(volume, id=name) if name else None


_FOREIGN: tuple[Location, ...] = (
    CinderLocation("6f2c8a54-9d1e-4b7a-8c3d-2e5f60718293"),
    OtherLocation("https://example.org/image"),
    MalformedLocation("rbd://", "too short"),
    RbdLocation("another", "images", "image", "snap"),
    RbdLocation("", "", "", ""),
    RbdLocation("x" * 300, "../..", "a\0b", "ü"),
    FileLocation("/etc/passwd"),
    FileLocation("/proc/self/environ"),
    FileLocation("/nowhere/\0"),
    FileLocation("/nowhere/" + "x" * 5000),
    FileLocation("relative"),
)


@ARRAYS.row(Level.STORES)
def finds_no_image_elsewhere(bench: ArrayBench) -> None:
    """Foreign, hostile and malformed locations are nothing, not an error."""
    for location in _FOREIGN:
        found = bench.array.find_image(location)
        hold(found is None, f"{location!r:.60}: finds {found}")


# -- growing ----------------------------------------------------------------


@ARRAYS.row(Level.GROWS, EXTENDS)
def grows_and_keeps(bench: ArrayBench) -> None:
    """A grown volume has its data, then zeros; it may be grown again."""
    with Scene(bench) as scene:
        volume = scene.volume()
        for size in (3, 3, 4):
            scene.array.extend(volume.id, size)
            scene.made[volume.id].size = size * bench.gib
            scene.intact(volume)


@ARRAYS.row(Level.GROWS, EXTENDS)
def never_shrinks(bench: ArrayBench) -> None:
    """A smaller size is refused, and nothing is cut off."""
    with Scene(bench) as scene:
        volume = scene.volume(2)
        for size in (1, 0):
            with refused(ConflictError, f"from 2 to {size} GiB"):
                scene.array.extend(volume.id, size)
            scene.intact(volume)


@ARRAYS.row(Level.GROWS, EXTENDS)
def grows_nothing_out_of_nothing(bench: ArrayBench) -> None:
    """A volume without data does not come to be by growing."""
    with Scene(bench) as scene:
        absent = scene.record()
        with refused(NotFoundError, "growing"):
            scene.array.extend(absent.id, 2)
        scene.absent(absent)
        scene.unchanged()


@ARRAYS.row(Level.GROWS, EXTENDS, BREAKING)
def fails_to_grow_without_harm(bench: ArrayBench) -> None:
    """Growth that fails leaves the volume's data, and can be repeated."""
    with Scene(bench) as scene:
        volume = scene.volume()
        with _breaking(bench), refused(AdapterError, "growing"):
            scene.array.extend(volume.id, 2)
        has = bench.size_of(volume.id)
        known = (bench.gib, 2 * bench.gib)
        hold(has in known, f"has {has} bytes, which nobody asked for")
        scene.array.extend(volume.id, 2)
        scene.made[volume.id].size = 2 * bench.gib
        scene.intact(volume)


def _breaking(bench: ArrayBench) -> contextlib.AbstractContextManager[object]:
    if bench.breaking is None:
        broken("the bench cannot make the array fail")
    return bench.breaking()


# -- clones -----------------------------------------------------------------


@ARRAYS.row(Level.CLONES, CLONES, clones=True)
def clones_every_byte(bench: ArrayBench) -> None:
    """A clone has its source's bytes and size; the source stays as it is."""
    with Scene(bench) as scene:
        source = scene.volume(2)
        clone = scene.clone(source)
        scene.intact(source, clone)


@ARRAYS.row(Level.CLONES, CLONES, clones=True)
def keeps_writes_apart(bench: ArrayBench) -> None:
    """What is written to either side later shows on that side alone."""
    with Scene(bench) as scene:
        source = scene.volume()
        early = scene.clone(source)
        for seed, offset in enumerate((0, 8192, bench.gib - 1024)):
            scene.overwrite(source, offset, 2 * seed)
            scene.overwrite(early, offset, 2 * seed + 1)
        scene.intact(source, early)
        scene.array.discard(early.id)
        late = scene.clone(source)
        scene.overwrite(late, bench.gib // 4, 99)
        scene.intact(source, late)


@ARRAYS.row(Level.GROWS, CLONES, EXTENDS, clones=True)
def grows_a_clone(bench: ArrayBench) -> None:
    """A clone grows by zeros alone, whatever its source goes through."""
    with Scene(bench) as scene:
        source = scene.volume()
        clone = scene.clone(source)
        scene.array.extend(clone.id, 3)
        scene.made[clone.id].size = 3 * bench.gib
        scene.array.extend(source.id, 2)
        scene.made[source.id].size = 2 * bench.gib
        scene.overwrite(source, bench.gib + 512, 7)
        scene.overwrite(clone, 2 * bench.gib, 8)
        scene.intact(source, clone)


@ARRAYS.row(Level.GROWS, CLONES, EXTENDS, clones=True)
def clones_what_grew(bench: ArrayBench) -> None:
    """A grown volume is cloned as it is then, and its clone is cloned too."""
    with Scene(bench) as scene:
        source = scene.volume()
        scene.array.extend(source.id, 2)
        scene.made[source.id].size = 2 * bench.gib
        scene.overwrite(source, bench.gib + 512, 5)
        clone = scene.clone(attrs.evolve(source, size=2))
        # what the source gets later is never seen in a clone that grows
        scene.overwrite(source, 2 * bench.gib - 1024, 6)
        scene.array.extend(source.id, 3)
        scene.made[source.id].size = 3 * bench.gib
        scene.overwrite(source, 2 * bench.gib + 512, 7)
        scene.array.extend(clone.id, 3)
        scene.made[clone.id].size = 3 * bench.gib
        scene.intact(source, scene.clone(attrs.evolve(clone, size=3)), clone)


@ARRAYS.row(Level.CLONES, CLONES, clones=True)
def clones_over_nothing(bench: ArrayBench) -> None:
    """A volume that has data does not become a clone."""
    with Scene(bench) as scene:
        source, full = scene.volume(), scene.volume()
        clone = scene.clone(source)
        # of another source, which no limit keeps from being cloned
        for target in (source, clone):
            with refused(ConflictError, "cloning into data"):
                scene.array.clone_volume(target.id, full)
        scene.intact(source, full, clone)


@ARRAYS.row(Level.CLONES, CLONES)
def clones_no_missing_source(bench: ArrayBench) -> None:
    """Of a source that is not there nothing is made."""
    with Scene(bench) as scene:
        gone = scene.volume()
        scene.array.discard(gone.id)
        for source in (scene.record(), gone):
            scene.refused_clone(NotFoundError, source, "a missing source")
        scene.unchanged()


_BUSY = (
    *("attaching", "awaiting-transfer", "backing-up", "creating", "deleting"),
    *("detaching", "downloading", "error", "error_backing-up"),
    *("error_deleting", "error_extending", "error_managing"),
    *("error_restoring", "extending", "maintenance", "managing", "reserved"),
    *("restoring-backup", "retyping", "reverting"),
)
"""Cinder's statuses of volumes that are not at rest."""


@ARRAYS.row(Level.CLONES, CLONES)
def clones_no_busy_source(bench: ArrayBench) -> None:
    """A source that is being made, deleted or is broken is refused."""
    states = list(_BUSY)
    with Scene(bench) as scene:
        source = scene.volume()
        if not scene.backend.clone_while_uploading:
            states.append("uploading")
        for status in states:
            busy = scene.published(source, status)
            scene.refused_clone(ConflictError, busy, f"a source in {status}")
        scene.intact(source)


@ARRAYS.row(Level.CLONES, CLONES)
def clones_a_source_in_use_or_refuses_it(bench: ArrayBench) -> str:
    """A source in use is cloned whole, or refused without a trace."""
    with Scene(bench) as scene:
        source = scene.published(scene.volume(), "in-use")
        target = scene.target()
        held = frozenset(bench.holds())
        try:
            scene.array.clone_volume(target.id, source)
        except ConflictError:
            scene.absent(target)
            same(held, bench.holds(), "a source in use")
            scene.intact(source)
            return "refused"
        scene.made[target.id] = scene.made[source.id].copy()
        scene.intact(source, target)
    return "cloned"


@ARRAYS.row(Level.CLONES, CLONES, THREADS)
def clones_a_source_in_use_at_one_instant(bench: ArrayBench) -> str:
    """A clone has no write of a guest's without all that went before it."""
    with Scene(bench) as scene:
        source = scene.published(scene.volume(), "in-use")
        target, begun, ended = scene.target(), Event(), Event()
        ends = (0, bench.gib - _MARK)

        def run() -> int:
            number = 0
            try:
                with scene.guest(source) as write:
                    while not ended.is_set():
                        number += 1
                        for offset in ends:
                            write(offset, number.to_bytes(_MARK, "little"))
                        begun.set()
            finally:
                # one that cannot write is not waited for
                begun.set()
            return number

        with ThreadPoolExecutor(1) as pool:
            guest = pool.submit(run)
            begun.wait()
            try:
                scene.array.clone_volume(target.id, source)
            except ConflictError:
                scene.absent(target)
                return "refused"
            finally:
                ended.set()
        written = guest.result()
        first, last = _marks(scene.array.read(target.id), ends)
    hold(
        0 <= first - last <= 1,
        f"has write {first} at the beginning, and {last} at the end",
    )
    return f"write {first} of {written}"


def _marks(pieces: Iterator[bytes], offsets: Iterable[int]) -> list[int]:
    """Read the numbers of the writes that are at some places."""
    found = dict.fromkeys(offsets, b"")
    at = 0
    for piece in pieces:
        for offset in found:
            first = max(0, offset - at)
            last = max(0, offset + _MARK - at)
            found[offset] += piece[first:last]
        at += len(piece)
    return [int.from_bytes(mark, "little") for mark in found.values()]


@ARRAYS.row(
    Level.CLONES,
    CLONES,
    _declares("cloning while uploading", "clone_while_uploading"),
    clones=True,
)
def clones_while_uploading(bench: ArrayBench) -> None:
    """A source that is being uploaded is cloned like any other."""
    with Scene(bench) as scene:
        source = scene.volume()
        uploading = attrs.evolve(
            scene.published(source, "uploading"), previous_status="available"
        )
        clone = scene.clone(uploading)
        scene.intact(source, clone)


@ARRAYS.row(Level.CLONES, CLONES)
def clones_no_source_of_another_size(bench: ArrayBench) -> None:
    """Where record and data differ in size, nothing is cut or filled up."""
    with Scene(bench) as scene:
        source = scene.volume(2)
        for size in (1, 3):
            wrong = attrs.evolve(source, size=size)
            what = f"a source of 2 GiB recorded as {size}"
            scene.refused_clone(IntegrityError, wrong, what)
        scene.intact(source)


@ARRAYS.row(Level.CLONES, CLONES, OTHER)
def clones_nothing_from_another_array(bench: ArrayBench) -> None:
    """A source on another array is not found, and nothing is left."""
    if bench.other is None:
        broken("the bench gives no other array")
    elsewhere = attrs.evolve(bench, array=bench.other)
    with Scene(bench) as scene, Scene(elsewhere) as there:
        source = there.volume()
        scene.refused_clone(NotFoundError, source, "a source elsewhere")
        content = there.made[source.id]
        content.compare(bench.other.read(source.id), "the source")


@ARRAYS.row(Level.CLONES, CLONES, clones=True)
def clones_anew_after_discard(bench: ArrayBench) -> None:
    """A clone that was discarded leaves nothing, and can be made again."""
    with Scene(bench) as scene:
        source = scene.volume()
        target = scene.target()
        held = frozenset(bench.holds())
        for _ in range(3):
            scene.array.clone_volume(target.id, source)
            scene.made[target.id] = scene.made[source.id].copy()
            scene.intact(source, target)
            scene.array.discard(target.id)
            same(held, bench.holds(), "after discarding the clone")
        scene.intact(source)


@ARRAYS.row(Level.CLONES, CLONES, clones=True)
def clones_clones(bench: ArrayBench) -> str:
    """Each generation has its own bytes, however long the line."""
    with Scene(bench) as scene:
        line = [scene.volume()]
        for seed in range(_GENERATIONS):
            clone = scene.clone(line[-1])
            scene.overwrite(clone, bench.gib // 8 * (seed + 1), seed)
            line.append(clone)
        scene.intact(*line)
    return f"{_GENERATIONS} generations"


@ARRAYS.row(Level.CLONES, CLONES, THREADS, clones=True)
def clones_many_at_once(bench: ArrayBench) -> str:
    """Clones of one source made at the same time are all whole."""
    with Scene(bench) as scene:
        source = scene.volume()
        targets = [scene.target() for _ in range(scene.most(_AT_ONCE))]
        for target in targets:
            scene.made[target.id] = scene.made[source.id].copy()

        def clone(target: Volume) -> None:
            scene.array.clone_volume(target.id, source)

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(clone, targets))
        scene.intact(source, *targets)
    return f"{len(targets)} at once"


@ARRAYS.row(Level.CLONES, CLONES, AGAIN, THREADS, clones=True)
def clones_at_once_as_several_processes(bench: ArrayBench) -> str:
    """Who opened the array again clones the same source at the same time."""
    with Scene(bench) as scene:
        source = scene.volume()
        openings = (bench.array, _opener(bench)())
        targets = [scene.target() for _ in range(scene.most(_AT_ONCE))]
        for target in targets:
            scene.made[target.id] = scene.made[source.id].copy()

        def clone(at: int) -> None:
            openings[at % 2].clone_volume(targets[at].id, source)

        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(clone, range(len(targets))))
        scene.intact(source, *targets)
        for at, target in enumerate(targets):
            # by the other one than it was made by
            openings[(at + 1) % 2].discard(target.id)
            scene.absent(target)
    return f"{len(targets)} at once"


@ARRAYS.row(Level.CLONES, CLONES, clones=True)
def discards_no_data_of_clones(bench: ArrayBench) -> str:
    """A source goes without harm to its clones, or stays until they go."""
    with Scene(bench) as scene:
        source = scene.volume()
        clones = [scene.clone(source) for _ in range(scene.most(2))]
        grandchild = scene.clone(clones[0])
        kept = False
        with contextlib.suppress(ConflictError):
            scene.array.discard(clones[0].id)
            clones.pop(0)
        scene.intact(source, *clones, grandchild)
        scene.array.discard(grandchild.id)
        try:
            scene.array.discard(source.id)
        except ConflictError:
            kept = True
            scene.intact(source)
        else:
            scene.absent(source)
        scene.intact(*clones)
        for clone in clones:
            scene.array.discard(clone.id)
        scene.array.discard(source.id)
        scene.absent(source, *clones)
        scene.unchanged()
    return "a source stays while it has clones" if kept else "sources may go"


def _fail(scene: Scene, target: Volume, call: Callable[[], None]) -> None:
    """See that a clone fails, and leaves nothing but what it says."""
    held = frozenset(scene.bench.holds())
    left = False
    with _breaking(scene.bench):
        try:
            call()
        except AdapterError as error:
            left = isinstance(error, LeftBehindError)
        except Exception as error:  # noqa: BLE001 - any other is wrong
            broken(f"a failing clone raised {told(error)}")
        else:
            broken("a failing clone raised nothing")
    if left:
        there = frozenset(scene.bench.holds())
        hold(there != held, "LeftBehindError, and nothing is left")
        scene.array.discard(target.id)
    scene.absent(target)
    same(held, scene.bench.holds(), "after the failure")


@ARRAYS.row(Level.CLONES, CLONES, BREAKING, clones=True)
def fails_to_clone_without_trace(bench: ArrayBench) -> None:
    """A clone that fails in the middle leaves nothing, and works later."""
    with Scene(bench) as scene:
        source = scene.volume()
        target = scene.target()
        _fail(
            scene,
            target,
            lambda: scene.array.clone_volume(target.id, source),
        )
        scene.intact(source)
        scene.intact(source, scene.clone(source))


@ARRAYS.row(Level.CLONES, CLONES, LIMITED, clones=True)
def tells_its_limit_before_it_is_hit(bench: ArrayBench) -> str:
    """Stat counts the clones of a source; at the limit none is made."""
    with Scene(bench) as scene:
        source = scene.volume()
        return _reach_limit(
            scene,
            lambda: scene.array.stat(source.id),
            lambda: scene.clone(source),
        )


def _reach_limit(
    scene: Scene,
    look: Callable[[], StoredVolume | StoredImage | None],
    clone: Callable[[], Volume],
) -> str:
    """Clone as often as may be, count, and try it once more."""
    limit = scene.backend.clone_limit or 0
    clones: list[Volume] = []
    tried = limit if limit <= _MOST else _FEW
    while True:
        found = look()
        says = None if found is None else found.clones
        hold(
            says == len(clones),
            f"{says} clones are counted instead of {len(clones)}",
        )
        if len(clones) == tried:
            break
        clones.append(clone())
    if tried < limit:
        return f"{tried} clones counted, of {limit}"
    held = frozenset(scene.bench.holds())
    with refused(CloneLimitError, "one clone too many"):
        clone()
    same(held, scene.bench.holds(), "one clone too many")
    if clones:
        scene.array.discard(clones.pop().id)
        scene.intact(clone(), *clones)
    return f"{limit} clones"


# -- kills ------------------------------------------------------------------


@ARRAYS.row(Level.STORES, PROCESSES)
def leaves_nothing_of_a_killed_write(bench: ArrayBench) -> str:
    """What a killed process had written of a volume is discarded."""
    again = _opener(bench)
    with Scene(bench) as scene:
        content = Content.make(bench.gib, scene.data, "killed")
        image = scene.stored(content)

        def write() -> tuple[str, Call]:
            target = scene.target()
            scene.made[target.id] = content
            arguments = (target.id, 1, image)
            return target.id, Call(again, "write", arguments, content)

        return _kill(scene, write)


@ARRAYS.row(Level.CLONES, CLONES, PROCESSES, clones=True)
def leaves_nothing_of_a_killed_clone(bench: ArrayBench) -> str:
    """What a killed process had cloned is discarded; the source stays."""
    again = _opener(bench)
    with Scene(bench) as scene:

        def clone() -> tuple[str, Call]:
            source, target = scene.volume(), scene.target()
            scene.made[target.id] = scene.made[source.id].copy()
            arguments = (target.id, source)
            return target.id, Call(again, "clone_volume", arguments)

        return _kill(scene, clone)


@ARRAYS.row(Level.CLONES, IMAGES, PROCESSES, clones=True)
def leaves_nothing_of_a_killed_clone_of_an_image(bench: ArrayBench) -> str:
    """What a killed process had cloned is discarded; the image stays."""
    again = _opener(bench)
    with Scene(bench) as scene:
        content = Content.make(bench.gib, scene.data, "killed")
        location = scene.image(content)

        def clone() -> tuple[str, Call]:
            target = scene.target()
            scene.made[target.id] = content.copy()
            arguments = (target.id, location)
            return target.id, Call(again, "clone_image", arguments)

        return _kill(scene, clone)


@ARRAYS.row(Level.GROWS, EXTENDS, PROCESSES)
def grows_again_after_a_kill(bench: ArrayBench) -> str:
    """A volume whose growth was killed has its data, and grows again."""
    again = _opener(bench)
    with Scene(bench) as scene:

        def extend(volume: Volume) -> Call:
            return Call(again, "extend", (volume.id, 2))

        first = scene.volume()
        passed = _make_whole(extend(first))
        scene.made[first.id].size = 2 * bench.gib
        volumes = [scene.volume() for _ in _points(passed)]
        killed = [
            make(extend(volume), die_at=at) is None
            for volume, at in zip(volumes, _points(passed), strict=True)
        ]
        hold(any(killed), f"of {passed} calls and returns none is come to")
        for volume in volumes:
            has = bench.size_of(volume.id)
            known = (bench.gib, 2 * bench.gib)
            hold(has in known, f"has {has} bytes, which nobody asked for")
            scene.array.extend(volume.id, 2)
            scene.made[volume.id].size = 2 * bench.gib
        scene.intact(first, *volumes)
    return f"{sum(killed)} killed"


def _kill(scene: Scene, prepare: Callable[[], tuple[str, Call]]) -> str:
    """Kill those who make volumes; see that these go, and can be made."""
    _, call = prepare()
    passed = _make_whole(call)
    killed: dict[str, Call] = {}
    for at in _points(passed):
        volume_id, call = prepare()
        if make(call, die_at=at) is None:
            killed[volume_id] = call
        else:
            scene.array.discard(volume_id)
            del scene.made[volume_id]
    hold(killed != {}, f"of {passed} calls and returns none is come to")
    for volume_id in killed:
        for _ in range(2):
            scene.array.discard(volume_id)
            has = scene.bench.size_of(volume_id)
            hold(has is None, f"volume {volume_id} has {has} bytes left")
    told = f"{len(killed)} killed"
    _, call = killed.popitem()
    _make_whole(call)
    for volume_id in killed:
        del scene.made[volume_id]
    scene.all_intact()
    for volume_id in reversed(scene.made):
        scene.array.discard(volume_id)
    scene.unchanged(f"after {told}")
    return told


def _make_whole(call: Call) -> int:
    """Have a process make a call to its end; give the points it passed."""
    passed = make(call)
    if passed is None:
        broken("another process was killed, and not by the kit")
    return passed


def _points(passed: int) -> list[int]:
    """Choose points to die at, from the first on."""
    return sorted({1 + passed * at // _KILLS for at in range(_KILLS)})


# -- how a clone is made ----------------------------------------------------


def _exclusive(bench: ArrayBench) -> Callable[[str], int]:
    if bench.exclusive is None:
        broken("a kind of clone is claimed; give the bench exclusive")
    return bench.exclusive


@ARRAYS.row(Level.CLONES, CLONES)
def measures_what_is_written(bench: ArrayBench) -> str:
    """The bench's measure of space counts data that was really written."""
    exclusive = _exclusive(bench)
    with Scene(bench) as scene:
        found = exclusive(scene.volume().id)
        hold(
            found >= 0.9 * scene.data,
            f"{found} bytes for {scene.data} that were written",
        )
    return f"{found} bytes for {scene.data} written"


def _spaces(bench: ArrayBench) -> tuple[list[int], list[int]]:
    """Give the data of two sources, and what a clone of each takes."""
    exclusive = _exclusive(bench)
    with Scene(bench) as scene:
        written = [scene.data, scene.data * 4]
        taken = [
            exclusive(scene.clone(scene.volume(size, data)).id)
            for size, data in zip((1, 4), written, strict=True)
        ]
    return written, taken


@ARRAYS.row(Level.SHARES, CLONES, COPY_ON_WRITE, clones=True)
def shares_its_data(bench: ArrayBench) -> str:
    """A copy-on-write clone takes next to no space, however large it is."""
    written, taken = _spaces(bench)
    # what every clone takes, however large, is not a copy of its data
    more = (taken[1] - taken[0]) / (written[1] - written[0])
    hold(
        more <= _NOTHING,
        f"clones of {written} bytes take {taken}: they are copies",
    )
    return f"clones of {written} bytes take {taken}"


@ARRAYS.row(Level.SHARES, CLONES, COPY_ON_WRITE, clones=True)
def takes_no_longer_for_more(bench: ArrayBench) -> str:
    """A copy-on-write clone takes as long for sixteen times the data."""
    with Scene(bench) as scene:
        part = scene.data // 4
        sources = (scene.volume(1, part), scene.volume(4, 16 * part))
        return _compare_times(
            scene,
            *(
                (source.size, partial(_clone_to, scene.array, source))
                for source in sources
            ),
        )


def _clone_to(array: ArrayBackend, source: Volume, volume_id: str) -> None:
    array.clone_volume(volume_id, source)


_Timed: TypeAlias = tuple[int, Callable[[str], None]]
"""The size of a volume to be, and what clones to its id."""


def _compare_times(scene: Scene, small: _Timed, large: _Timed) -> str:
    """Time clones of little and of sixteen times as much, in turns."""
    times: tuple[list[float], list[float]] = ([], [])
    for _ in range(_ROUNDS):
        for (size, clone), found in zip((small, large), times, strict=True):
            target = scene.target(size)
            begin = time.perf_counter()
            clone(target.id)
            found.append(time.perf_counter() - begin)
            scene.array.discard(target.id)
    little, much = map(min, times)
    ratio = much / little
    hold(
        ratio <= _SLOWER or much - little <= _NOISE,
        f"{ratio:.1f} times as long for 16 times the data: it is a copy",
    )
    return f"{ratio:.2f} times as long ({little * 1e3:.1f} ms) for 16 x data"


@ARRAYS.row(Level.CLONES, CLONES, COPIES, clones=True)
def copies_if_it_says_so(bench: ArrayBench) -> str:
    """Who claims to copy does, and does not share after all."""
    written, taken = _spaces(bench)
    more = (taken[1] - taken[0]) / (written[1] - written[0])
    hold(
        more >= 1 - _NOTHING,
        f"copies of {written} bytes take {taken}: declare copy-on-write",
    )
    return f"copies of {written} bytes take {taken}"


@ARRAYS.row(Level.SHARES, CLONES, OFFLOADED, clones=True)
def moves_no_bytes_through_the_client(bench: ArrayBench) -> str:
    """An offloaded copy is the array's work, not this machine's."""
    with Scene(bench) as scene:
        source = scene.volume()
        return _count_moved(scene, lambda: scene.clone(source))


def _count_moved(scene: Scene, clone: Callable[[], Volume]) -> str:
    """See that a clone moves next to none of the data."""
    if scene.bench.transferred is None:
        broken("offloading is claimed; give the bench transferred")
    before = scene.bench.transferred()
    clone()
    moved = scene.bench.transferred() - before
    told = f"{moved} bytes moved for {scene.data} of data"
    hold(moved <= _NOTHING * scene.data, told)
    return told


# -- stored images ----------------------------------------------------------


@ARRAYS.row(Level.CLONES, IMAGES)
def finds_its_images(bench: ArrayBench) -> str:
    """A stored image is found with its size, until it is gone."""
    with Scene(bench) as scene:
        for size, expected in ((bench.gib, 1), (bench.gib + 512, 2)):
            location = scene.image(Content(size))
            found = scene.array.find_image(location)
            has = None if found is None else found.size
            hold(has == expected, f"{size} bytes: found {has} GiB")
            scheme = str(location).partition(":")[0]
            hold(
                scheme in scene.backend.image_schemes,
                f"image_schemes does not name {scheme}",
            )
        for wrong in _misnamed(location):
            found = scene.array.find_image(wrong)
            hold(found is None, f"{wrong!r}: finds {found}")
        if bench.remove_image is None:
            return "images are not removed by the bench"
        bench.remove_image(location)
        found = scene.array.find_image(location)
        hold(found is None, f"finds {found} after it was removed")
        target = scene.target(2)
        with refused(NotFoundError, "a clone of what was removed"):
            scene.array.clone_image(target.id, location)
        scene.absent(target)
    return "sizes rounded up"


def _misnamed(
    location: RbdLocation | FileLocation,
) -> tuple[RbdLocation | FileLocation, ...]:
    """Give locations that differ from one in a single part."""
    if isinstance(location, FileLocation):
        path = location.path
        folder, _, name = path.rpartition("/")
        wrong = (f"{folder}/x/{name}", f"{path}x", f"{path}/x", f"{path}\0")
        return tuple(map(FileLocation, wrong))
    return tuple(
        attrs.evolve(location, **{part: f"{getattr(location, part)}x"})
        for part in ("fsid", "pool", "image", "snapshot")
    )


def _image_clone(scene: Scene, location: Any, content: Content) -> Volume:  # noqa: ANN401 - rbd or file
    size = -(-content.size // scene.bench.gib)
    target = scene.target(size)
    scene.array.clone_image(target.id, location)
    scene.made[target.id] = content.copy(size * scene.bench.gib)
    return scene.published(target)


@ARRAYS.row(Level.CLONES, IMAGES, clones=True)
def clones_every_byte_of_an_image(bench: ArrayBench) -> None:
    """A clone has the image's bytes, and zeros up to the whole GiB."""
    with Scene(bench) as scene:
        for size in (bench.gib, bench.gib + 512):
            content = Content.make(size, scene.data, f"image {size}")
            location = scene.image(content)
            scene.intact(_image_clone(scene, location, content))


@ARRAYS.row(Level.GROWS, IMAGES, CLONES, EXTENDS, clones=True)
def clones_and_grows_clones_of_images(bench: ArrayBench) -> None:
    """The clone of an image is a volume like any other."""
    with Scene(bench) as scene:
        content = Content.make(bench.gib, scene.data, "image")
        clone = _image_clone(scene, scene.image(content), content)
        scene.array.extend(clone.id, 2)
        scene.made[clone.id].size = 2 * bench.gib
        scene.overwrite(clone, bench.gib, 3)
        scene.intact(clone, scene.clone(attrs.evolve(clone, size=2)))


@ARRAYS.row(Level.CLONES, IMAGES, clones=True)
def never_writes_to_an_image(bench: ArrayBench) -> None:
    """What is written to a clone shows neither in the image nor elsewhere."""
    with Scene(bench) as scene:
        content = Content.make(bench.gib, scene.data, "image")
        location = scene.image(content)
        first = _image_clone(scene, location, content)
        scene.overwrite(first, 0, 1)
        scene.overwrite(first, bench.gib // 2, 2)
        scene.intact(first)
        scene.array.discard(first.id)
        scene.intact(_image_clone(scene, location, content))


@ARRAYS.row(Level.CLONES, IMAGES, clones=True)
def clones_images_over_nothing(bench: ArrayBench) -> None:
    """A volume that has data does not become an image's clone."""
    with Scene(bench) as scene:
        location = scene.image(Content(bench.gib))
        full = scene.volume()
        with refused(ConflictError, "cloning into data"):
            scene.array.clone_image(full.id, location)
        scene.intact(full)


@ARRAYS.row(Level.CLONES, IMAGES)
def clones_no_missing_image(bench: ArrayBench) -> None:
    """Of an image that is not there, or not its own, nothing is made."""
    with Scene(bench) as scene:
        for location in _FOREIGN:
            if not isinstance(location, (RbdLocation, FileLocation)):
                continue
            target = scene.target()
            with refused(NotFoundError, f"{location!r:.60}"):
                scene.array.clone_image(target.id, location)
            scene.absent(target)
        scene.unchanged()


@ARRAYS.row(Level.CLONES, IMAGES, BREAKING, clones=True)
def fails_to_clone_an_image_without_trace(bench: ArrayBench) -> None:
    """A clone that fails in the middle leaves nothing, and works later."""
    with Scene(bench) as scene:
        content = Content.make(bench.gib, scene.data, "image")
        location = scene.image(content)
        target = scene.target()
        _fail(
            scene,
            target,
            lambda: scene.array.clone_image(target.id, location),
        )
        scene.intact(_image_clone(scene, location, content))


@ARRAYS.row(Level.SHARES, IMAGES, clones=True)
def clones_images_as_it_says(bench: ArrayBench) -> str:
    """A copy-on-write clone of an image shares, and a copy does not."""
    exclusive = _exclusive(bench)
    with Scene(bench) as scene:
        written, taken = [scene.data // 2, scene.data * 2], []
        for data in written:
            content = Content.make(bench.gib, data, f"image of {data}")
            clone = _image_clone(scene, scene.image(content), content)
            taken.append(exclusive(clone.id))
        kind = scene.backend.image_clone_kind
        more = (taken[1] - taken[0]) / (written[1] - written[0])
        hold(
            (more <= _NOTHING) == (kind is CloneKind.COPY_ON_WRITE),
            f"declared {kind}: clones of {written} bytes take {taken}",
        )
    return f"{kind}: clones of {written} bytes take {taken}"


@ARRAYS.row(Level.SHARES, IMAGES, IMAGES_ON_WRITE, clones=True)
def takes_no_longer_for_a_larger_image(bench: ArrayBench) -> str:
    """A copy-on-write clone takes as long for sixteen times the data."""
    with Scene(bench) as scene:
        part = scene.data // 4
        timed = [
            (
                size,
                partial(
                    _clone_image_to,
                    scene.array,
                    scene.image(
                        Content.make(size * bench.gib, data, f"of {data}")
                    ),
                ),
            )
            for size, data in ((1, part), (4, 16 * part))
        ]
        return _compare_times(scene, *timed)


def _clone_image_to(
    array: ArrayBackend,
    location: RbdLocation | FileLocation,
    volume_id: str,
) -> None:
    array.clone_image(volume_id, location)


@ARRAYS.row(Level.SHARES, IMAGES, IMAGES_OFFLOADED, clones=True)
def moves_no_bytes_of_images_through_the_client(bench: ArrayBench) -> str:
    """An offloaded copy is the array's work, not this machine's."""
    with Scene(bench) as scene:
        content = Content.make(bench.gib, scene.data, "image")
        location = scene.image(content)
        return _count_moved(
            scene, lambda: _image_clone(scene, location, content)
        )


@ARRAYS.row(Level.CLONES, IMAGES, LIMITED, clones=True)
def tells_the_limit_of_an_image_before_it_is_hit(bench: ArrayBench) -> str:
    """The clones of an image are counted; at the limit none is made."""
    with Scene(bench) as scene:
        content = Content.make(bench.gib, scene.data, "image")
        location = scene.image(content)
        return _reach_limit(
            scene,
            lambda: scene.array.find_image(location),
            lambda: _image_clone(scene, location, content),
        )
