"""The strict grammar of locations, and Cinder's lenient one."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from clonepolicy import (
    CinderLocation,
    FileLocation,
    Image,
    Location,
    MalformedLocation,
    OtherLocation,
    RbdLocation,
    parse_location,
)
from clonepolicy._facts.locations import cinder_volume_id, concerns_volumes
from clonepolicy._text import masked_url

ID = "9a0364b9-e99b-4805-aad4-2a4f57a5a1f5"
CANONICAL: tuple[tuple[str, Location], ...] = (
    (f"cinder://{ID}", CinderLocation(ID)),
    (f"cinder://nvme-1/{ID}", CinderLocation(ID, "nvme-1")),
    (
        f"rbd://fsid/images/{ID}/snap",
        RbdLocation("fsid", "images", ID, "snap"),
    ),
    ("rbd://f/p%2Fq/i%20j/s", RbdLocation("f", "p/q", "i j", "s")),
    (f"file:///images/{ID}", FileLocation(f"/images/{ID}")),
    ("file:///image", FileLocation("/image")),
    ("file:///a.b/..c", FileLocation("/a.b/..c")),
    ("http://images.example/1", OtherLocation("http://images.example/1")),
    ("swift+https://a/b", OtherLocation("swift+https://a/b")),
    ("x:\n", OtherLocation("x:\n")),
)
LENIENT = (
    f"cinder://a/b/c/{ID}",
    f"cinder:///{ID}",
    f"CINDER://{ID}",
    f"cinder:{ID}",
    f" cinder://{ID}",
    f"cinder://{ID}?x=1#y",
    f"cinder://store/{ID}?x",
)
UNREADABLE = (
    f"cinder://{ID}/",
    f"cinder://store/{ID}/",
    f"cinder://store/{ID}/extra",
    f"cinder://user@{ID}",
    f"cinder://{ID}:80",
    f"cinder://{ID.upper()}",
    f"cinder://{ID.replace('-', '')}",
    f"cinder://{{{ID}}}",
    f"cinder://urn:uuid:{ID}",
    "cinder://",
    "cinder://[",
)
MALFORMED = (
    *LENIENT,
    *UNREADABLE,
    f"cinder://store /{ID}",
    f"cinder://{ID}\n",
    "",
    ID,
    "rbd://image",
    "rbd://a/b/c",
    "rbd://a/b/c/d/e",
    "rbd://a//c/d",
    "rbd://a/b c/c/d",
    "rbd://a/b%2f/c/d",
    "rbd:a/b/c/d",
    "file://host/path",
    "file:///a/../b",
    "file:///a/./b",
    "file:///a//b",
    "file:///",
    "file:///a?b",
    "file:///a\x00b",
)


@pytest.mark.parametrize(("url", "location"), CANONICAL)
def test_a_canonical_url_is_read_and_written_to_the_letter(
    url: str, location: Location
) -> None:
    """Locations are read as glance_store writes them."""
    assert location == parse_location(url)
    assert url == str(location)


@pytest.mark.parametrize("url", MALFORMED)
def test_anything_else_is_malformed_and_says_what_was_expected(
    url: str,
) -> None:
    """The URL is kept, but for user, key and query."""
    location = parse_location(url)
    assert isinstance(location, MalformedLocation)
    assert masked_url(url) == str(location)
    assert location.why.startswith("expected ")


ANY_URL = (
    st.text()
    | st.from_regex(r"(cinder|rbd|file)://?.*")
    | st.text("@?#[]/:\n\uff03").map(lambda odd: f"cinder:{odd}{ID}")
    | st.text("@?#[]/:\n\uff03").map(lambda odd: f"cinder://{ID}{odd}")
)


@given(url=ANY_URL)
def test_reading_and_writing_any_text_gives_the_text(url: str) -> None:
    """Only user, key and query are lost; reading again changes nothing."""
    location = parse_location(url)
    assert location == parse_location(str(location))
    if not {"@", "?"}.intersection(url) or isinstance(location, FileLocation):
        assert url == str(location)


@given(url=ANY_URL)
@example(f"cinder://store/{ID}?size=1@")
@example(f"cinder://[user@store/{ID}")
@example(f"CINDER:user@store/{ID}")
def test_cinder_reads_the_same_volume_from_a_masked_location(
    url: str,
) -> None:
    """So that a policy decides what Cinder does with the URL itself."""
    try:
        parts = urlsplit(url)
    except ValueError:
        volume = None
    else:
        last = (parts.path or parts.netloc).split("/")[-1]
        volume = last if (parts.scheme, last) == ("cinder", ID) else None
    found = cinder_volume_id(parse_location(url))
    assert volume == (found if found == ID else None)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("swift+https://a%3Ab:key@host:5000/v3/c/o", "swift+https://***@host"),
        ("SWIFT+HTTP://user:key@host/c/o", "SWIFT+HTTP://***@host/c/o"),
        ("swift:user:key@host/c/o", "swift:***@host/c/o"),
        ("s3+https://user:k/e@y@host/b/o", "s3+https://***@host/b/o"),
        ("https://user:k ey\n@host/o", "https://***@host/o"),
        ("https://user@host/o?X-Amz-Signature=k#f", "https://***@host/o?***"),
        ("https://host/o?", "https://host/o?"),
        ("https://user:k?ey@host/o", "https://***"),
        ("//user:key@host/o", "//***@host/o"),
        ("user@host:80/o", "***@host:80/o"),
        ("rbd://user:key@fsid/p/i/s", "rbd://***@fsid/p/i/s"),
        ("file://user:key@host/a", "file://***@host/a"),
        ("file:///a@b?c@d", "file:///a@b?***"),
        ("file:/a@b/..", "file:/a@b/.."),
        (f"cinder://user:key@{ID}", f"cinder://***@{ID}"),
        (f"cinder://{ID}?key", f"cinder://{ID}?***"),
        (f"cinder://store/{ID}?k@y", f"cinder:***/{ID}"),
        (f"cinder://[user@store/{ID}", "cinder:***"),
    ],
)
def test_no_record_holds_user_key_or_query(url: str, shown: str) -> None:
    """What says where the data lies is kept."""
    location = parse_location(url)
    assert str(location).startswith(shown)
    assert not re.search("user|k ?e|key", str(location))
    image = Image(id="i", status="active", direct_url=url)
    assert str(location) == image.direct_url


def test_what_is_no_text_is_left_to_the_records_to_refuse() -> None:
    """A location by itself takes anything."""
    assert 7 == OtherLocation(7).url  # type: ignore[arg-type] # the case


@given(parts=st.tuples(*[st.text(min_size=1)] * 4))
def test_any_rbd_parts_survive_their_encoding(
    parts: tuple[str, str, str, str],
) -> None:
    """Slashes, spaces and letters of every script are percent-encoded."""
    try:
        url = str(RbdLocation(*parts))
    except UnicodeEncodeError:
        return
    assert RbdLocation(*parts) == parse_location(url)


@pytest.mark.parametrize("url", LENIENT)
def test_cinder_reads_more_than_is_canonical(url: str) -> None:
    """Scheme in any case, any path, query and fragment dropped."""
    assert ID == cinder_volume_id(parse_location(url))


@pytest.mark.parametrize("url", [*UNREADABLE, "", ID, f"rbd://a/b/c/{ID}"])
def test_cinder_does_not_read_everything(url: str) -> None:
    """The last part must be a volume id as Cinder's database writes it."""
    assert cinder_volume_id(parse_location(url)) is None


@pytest.mark.parametrize(
    ("url", "concerns"),
    [
        (f"cinder://{ID}", True),
        (f" CINDER:{ID}", True),
        (f"rbd://a/b/{ID}/d", False),
        (f"http://cinder/{ID}", False),
        ("", False),
    ],
)
def test_a_cinder_url_is_recognised_by_its_scheme(
    url: str,
    concerns: bool,  # noqa: FBT001 - a table
) -> None:
    """Even where it is malformed."""
    assert concerns == concerns_volumes(parse_location(url))


def test_a_location_that_is_no_valid_text_has_a_url() -> None:
    """Writing it does not fail; reading the URL gives no such location."""
    location = RbdLocation("fsid", "pool", "\ud800", "snap")
    assert "rbd://fsid/pool/%ED%A0%80/snap" == str(location)
    assert isinstance(parse_location(str(location)), MalformedLocation)
