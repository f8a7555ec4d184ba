"""Law: a record is equal after a round trip, or refused when it is made."""

from __future__ import annotations

import datetime
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, get_args

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from clonepolicy import (
    POLICIES,
    CinderLocation,
    FactError,
    FileLocation,
    GlanceStore,
    Host,
    MalformedLocation,
    OtherLocation,
    Quota,
    RbdLocation,
    Request,
    Route,
    decide,
    parse_location,
    wire,
)
from clonepolicy.plan import Attempt, Plan, Step, VolumeRef
from clonepolicy.scenarios import (
    AXES,
    CLONEABLE,
    REGISTERABLE,
    SOURCE_ID,
    UPLOAD_AXES,
    with_facts,
)
from zones import Nowhere, Region, Shifting

T = TypeVar("T")


class Text(str):
    """A text of another class."""

    __slots__ = ()


NOON = datetime.datetime(2026, 10, 25, 2, 30)  # noqa: DTZ001 - without a zone
PART = datetime.timezone(datetime.timedelta(seconds=1, microseconds=5))
EAST = datetime.timezone(datetime.timedelta(hours=14))
TEXTS: list[Any] = [
    *(
        "",
        " ",
        "x",
        "a@b#c",
        "1e5",
        "null",
        "\x00\x1b\u2028\u202e",
        "\U0001f600",
    ),
    *("\ud800", "\ud83d\ude00", "x\udfff", Text("x"), b"x", SOURCE_ID),
]
NUMBERS: list[Any] = [
    *(True, False, -1, 0, 1, 1.0, 2**53 + 1, 2**61 - 1, 2**63 - 1, 2**63),
    *(10**400, 10**5000, float("nan")),
]
MOMENTS: list[Any] = [
    NOON,
    *(NOON.replace(tzinfo=zone) for zone in (Nowhere(), PART, EAST)),
    *(
        NOON.replace(tzinfo=Shifting(), fold=fold, microsecond=7)
        for fold in (0, 1)
    ),
    datetime.datetime.min.replace(tzinfo=EAST),
    datetime.datetime.max.replace(tzinfo=datetime.UTC),
    datetime.date(2026, 1, 1),
]
LOCATIONS: list[Any] = [
    CinderLocation("vol-1"),
    CinderLocation(SOURCE_ID, "a/b"),
    CinderLocation(SOURCE_ID, ""),
    CinderLocation(7),  # type: ignore[arg-type] # the case
    RbdLocation("", "", "", ""),
    RbdLocation("f", "p", "\ud800", "s"),
    RbdLocation("f", 7, "i", "s"),  # type: ignore[arg-type] # the case
    RbdLocation("f", "p/\x00", "ü", "snap"),
    FileLocation("relative"),
    FileLocation("/a/../b"),
    FileLocation("/a\n"),
    FileLocation("/ü"),
    OtherLocation("cinder://x"),
    OtherLocation("no scheme"),
    OtherLocation(7),  # type: ignore[arg-type] # the case
    MalformedLocation(f"cinder://{SOURCE_ID}", "why not"),
    MalformedLocation("cinder://x", "another reason"),
    *map(parse_location, ("", "\ud800", "CINDER://x", "x:\ud800", "rbd://")),
]
SETS: list[Any] = [
    frozenset({""}),
    frozenset({"\ud800"}),
    frozenset({Text("x")}),
    frozenset({"b", "a", "\x00"}),
    {"a"},
    ["a"],
    (),
    None,
]
ODD = [*TEXTS, *NUMBERS, *MOMENTS, *LOCATIONS, *SETS]


def made_or_refused(make: Callable[[], T]) -> T | None:
    """Make a record; None if it is refused, with an error that can be read."""
    refused: FactError
    try:
        return make()
    except FactError as error:
        refused = error
    assert str(refused).isprintable()
    return None


def hosts() -> st.SearchStrategy[Host]:
    """Hosts of any parts that can be made."""
    part = st.sampled_from(("h", "h@b", "h#p", "%", "", None, "\ud800"))
    return (
        st.tuples(part, part, part)
        .map(lambda parts: made_or_refused(lambda: Host(*parts)))  # type: ignore[arg-type] # any
        .filter(lambda host: host is not None)
        .map(lambda host: host or Host("h"))
    )


CREATE_BASES: list[Request] = list(CLONEABLE.values())
CHANGES: list[tuple[Request, list[str]]] = [
    *((base, sorted(AXES)) for base in CREATE_BASES),
    (REGISTERABLE, sorted(UPLOAD_AXES)),
]


@given(data=st.data(), base=st.sampled_from(CHANGES))
def test_a_request_is_equal_after_a_round_trip_or_refused_when_made(
    data: st.DataObject, base: tuple[Request, list[str]]
) -> None:
    """With any odd value in any field; the verdict is the same, too."""
    request, paths = base
    changed = data.draw(
        st.dictionaries(
            st.sampled_from(paths),
            st.sampled_from(ODD) | hosts(),
            min_size=1,
            max_size=2,
        )
    )
    made = made_or_refused(lambda: with_facts(request, changed))
    if made is None:
        return
    text = wire.dumps(made)
    assert text.encode()
    read = wire.loads(type(made), text)
    assert made == read
    assert hash(made) == hash(read)
    for policy in POLICIES.values():
        one, other = decide(made, policy), decide(read, policy)
        assert type(one) is type(other)
        assert wire.dumps(one) == wire.dumps(other)
        assert one == wire.loads_decision(wire.dumps(one))


def valid(kind: type[Step]) -> Step:
    """Make a step of a kind."""
    base = CLONEABLE[Route.ARRAY_IMAGE]
    (stored,) = base.array_images
    clones_image = kind.__name__ == "CloneImage"
    values: dict[str, Any] = {
        "source": stored.source if clones_image else base.volume,
        "location": stored.location,
        "image": base.image,
        "size": 3,
        "store": None,
    }
    names = [field.name for field in attrs.fields(kind)]
    return kind(**{name: values.get(name, "text") for name in names})


@pytest.mark.parametrize(
    "kind", get_args(Step), ids=lambda kind: kind.__name__
)
def test_a_plan_of_any_step_can_be_read(kind: type[Step]) -> None:
    """The law below is not about refusals alone."""
    plan = Plan((), abandon=(valid(kind),))
    assert plan == wire.loads(Plan, wire.dumps(plan))


@given(
    data=st.data(),
    step=st.sampled_from(get_args(Step)).map(valid),
    name=st.sampled_from(["name", *TEXTS]),
)
def test_a_plan_is_equal_after_a_round_trip_or_refused_when_made(
    data: st.DataObject, step: Step, name: str
) -> None:
    """With an odd value in any field of any step."""
    field = data.draw(st.sampled_from(attrs.fields(type(step)))).name
    odd = data.draw(st.sampled_from([VolumeRef("ref"), *ODD]))
    changed = made_or_refused(lambda: attrs.evolve(step, **{field: odd}))
    attempt = made_or_refused(lambda: Attempt(Route.DOWNLOAD, name, ()))
    if changed is None or attempt is None:
        return
    try:
        plan = Plan((attrs.evolve(attempt, steps=(changed,)),))
    except ValueError as error:
        assert "before it is created" in str(error)  # noqa: PT017 - others may not
        return
    assert plan == wire.loads(Plan, wire.dumps(plan))


@attrs.frozen(kw_only=True)
class Tagged(Quota):
    """A quota of another class."""

    tag: int = 0


@attrs.frozen(kw_only=True)
class TaggedStore(GlanceStore):
    """A store of another class."""

    tag: int = 0


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("clone_quota", Tagged()),
        ("glance.stores", (TaggedStore(id="s"),)),
    ],
)
def test_a_record_of_another_class_is_refused_when_it_is_put_in_one(
    path: str, value: object
) -> None:
    """It would be read as one of the class itself, which differs."""
    with pytest.raises(FactError, match=r"expected (a tuple of )?[GQ]"):
        with_facts(REGISTERABLE, {path: value})


def test_a_zone_of_a_region_is_read_as_its_offset() -> None:
    """It is another zone, and the same moment."""
    moment = datetime.datetime(2026, 7, 1, tzinfo=Region())
    request = with_facts(
        CLONEABLE[Route.CACHE_ENTRY], {"image.updated_at": moment}
    )
    assert request == wire.loads(type(request), wire.dumps(request))
