"""What tenants write is shown as one harmless line, and can be read back."""

from __future__ import annotations

import pathlib
import sys
from collections.abc import Callable

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from clonepolicy import (
    POLICIES,
    FactError,
    MalformedLocation,
    NotFoundError,
    Route,
    decide,
    explain,
    explain_to_tenant,
    parse_location,
    wire,
)
from clonepolicy._text import (
    log_fields,
    masked,
    printable,
    printable_lines,
    shown,
)
from clonepolicy.policy import Policy
from clonepolicy.scenarios import CLONEABLE, REGISTERABLE, with_facts
from logfmt import parsed

HOSTILE = (
    "\x00\x07\x08\x1b[2J\x1b]0;title\x07\x7f\x85\x9b31m\r\n\u2028\u2029"
    "\u200e\u202e\u2066\ufeff\U000e0001"
)
"""C0, DEL, C1, line ends, marks of direction, and what has no look."""
ANY_TEXT = st.text(st.characters(exclude_categories=()), max_size=20)

every_policy = pytest.mark.parametrize(
    "policy", POLICIES.values(), ids=lambda p: p.name
)


@given(text=ANY_TEXT)
def test_any_text_becomes_one_printable_line(text: str) -> None:
    """Printable characters stay, also those of other scripts."""
    assert printable(text).isprintable()
    assert printable(text) == masked("".join(map(printable, text)))
    assert "Bücher 書" == printable("Bücher 書")
    assert r"\x1b[2J\u202e\ud800" == printable("\x1b[2J\u202e\ud800")


def test_our_own_line_breaks_are_kept_where_lines_are_written() -> None:
    """Only those."""
    assert "a\\r\n\\x1b" == printable_lines("a\r\n\x1b")


@given(text=ANY_TEXT, longest=st.integers(1, 30))
def test_a_long_text_is_cut_after_it_is_escaped(
    text: str, longest: int
) -> None:
    """An ellipsis says so."""
    escaped = printable(text)
    if len(escaped) <= longest:
        assert escaped == shown(text, longest)
    else:
        assert f"{escaped[:longest]}…" == shown(text, longest)


@given(
    fields=st.dictionaries(
        st.sampled_from(("image", "source", "reasons")),
        ANY_TEXT
        | st.text('"=\\ au', max_size=8)
        | st.sampled_from((HOSTILE, "\U0001f600", "a b=c", "-")),
    )
)
def test_a_log_line_can_be_parsed_back(fields: dict[str, str]) -> None:
    """The values come out, URLs masked; the line is one printable line."""
    line = log_fields(fields)
    assert line.isprintable()
    assert {key: masked(text) for key, text in fields.items()} == parsed(line)


def test_an_ordinary_value_is_not_quoted() -> None:
    """So that lines can be searched for it."""
    line = "source=cinder://store/1f2e reasons=a,b image=\u66f8"
    fields = {"source": "cinder://store/1f2e", "reasons": "a,b"}
    assert line == log_fields({**fields, "image": "\u66f8"})


@every_policy
@pytest.mark.parametrize("route", CLONEABLE)
def test_an_explanation_of_hostile_facts_is_printable(
    policy: Policy, route: Route
) -> None:
    """For the operator, for the tenant, and as JSON."""
    changed = {
        "image.id": HOSTILE,
        "image.status": HOSTILE,
        "volume.id": HOSTILE,
        "volume.project_id": HOSTILE,
        "source.status": HOSTILE,
        "candidate.location": parse_location(f"cinder://{HOSTILE}"),
        "candidate.image_id": HOSTILE,
    }
    base = CLONEABLE[route]
    every = with_facts(
        base,
        {
            path: value
            for path, value in changed.items()
            if not path.startswith("candidate.")
            or (path == "candidate.image_id") == (route is Route.CACHE_ENTRY)
        },
    )
    ids = ("image.id", "volume.id", "volume.project_id")
    clones = with_facts(base, dict.fromkeys(ids, HOSTILE))
    for request in (every, clones):
        decision = decide(request, policy)
        for text in (
            explain(decision),
            explain_to_tenant(decision),
            wire.dumps(decision),
        ):
            assert text.replace("\n", "").isprintable()
        assert decision == wire.loads_decision(wire.dumps(decision))


@every_policy
def test_an_upload_of_hostile_facts_is_printable(policy: Policy) -> None:
    """The project that is to own the clone is named, too."""
    decision = decide(
        with_facts(
            REGISTERABLE,
            {
                "image.id": HOSTILE,
                "volume.id": HOSTILE,
                "project_id": HOSTILE,
                "image.owner": HOSTILE,
                "config.image_upload_use_internal_tenant": False,
            },
        ),
        policy,
    )
    for text in (explain(decision), explain_to_tenant(decision)):
        assert text.replace("\n", "").isprintable()


def nested(depth: int) -> list[object]:
    """Make a list in a list in a list."""
    made: list[object] = []
    for _ in range(depth):
        made = [made]
    return made


@pytest.mark.parametrize(
    "value",
    [HOSTILE, 10**5000, nested(100_000), MalformedLocation(HOSTILE, HOSTILE)],
    ids=["text", "number", "list", "location"],
)
def test_every_error_has_one_printable_line(value: object) -> None:
    """Also about a value that cannot be written in full."""
    for error in (
        FactError(HOSTILE, value, HOSTILE),
        NotFoundError(f"no image {HOSTILE}"),
        NotFoundError(HOSTILE, "a second argument"),
    ):
        assert str(error).isprintable()
        assert f"{type(error).__name__}({str(error)!r})" == repr(error)
        assert len(str(error)) < 1_000


@attrs.frozen
class Unwritable:
    """A value whose text fails."""

    how: Callable[[], str]

    def __repr__(self) -> str:
        """Fail."""
        return self.how()


def test_a_value_that_cannot_be_written_is_named_by_its_type() -> None:
    """The error is about the field, not about the value's text."""

    def fails() -> str:
        raise ValueError

    error = FactError("Volume.size", Unwritable(fails), "a number")
    expected = "Volume.size: expected a number, got a value of type Unwritable"
    assert expected == str(error)
