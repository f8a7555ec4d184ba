"""Image locations read three ways: by us, by glance_store, by Cinder."""

from __future__ import annotations

import re
import uuid
from typing import Any

import pytest

pytest.importorskip("cinder", reason="run by nox -s openstack")
pytest.importorskip("cinderclient", reason="run by nox -s openstack")
pytest.importorskip("glance_store", reason="run by nox -s openstack")

import cinder.objects
from clonepolicy._locations import cinder_volume_id
from glance_store import exceptions
from glance_store._drivers.cinder import store as glance_store
from hypothesis import example, given
from hypothesis import strategies as st

from clonepolicy import CinderLocation, MalformedLocation, parse_location

cinder.objects.register_all()

from cinder.volume.flows.manager import (  # noqa: E402 - its objects come first
    create_volume,
)

ID = "9a8b7c6d-1234-4abc-8def-0123456789ab"
_CANONICAL = re.compile(
    "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
)


def as_glance_store(url: str) -> str | None:
    """Read a volume id as glance_store's own driver does."""
    location: Any = glance_store.StoreLocation({}, None)
    try:
        location.parse_uri(url)
    except exceptions.BadStoreUri:
        return None
    return str(location.volume_id)


def as_cinder(url: str) -> str | None:
    """Read a volume id as Cinder's create flow does; what raises is none."""
    task = create_volume.CreateVolumeFromSpecTask
    try:
        found = task._extract_cinder_ids([url])
    except ValueError:
        return None
    return str(found[0]) if found else None


ids = st.uuids().map(str)
stores = st.text("abcXYZ019._~-", min_size=1, max_size=8)
locations = st.builds(CinderLocation, ids, st.none() | stores)
forms = st.uuids().flatmap(
    lambda made: st.sampled_from(
        (str(made), str(made).upper(), made.hex, made.urn, f"{{{made}}}")
    )
)
odd = st.text(max_size=3) | st.sampled_from(
    ("/", "//", "?x", "#y", "user@", ":80", "[", "]", "\n", "\t", "%2f", " ")
)
heads = st.sampled_from(
    ("cinder://", "cinder:", "cinder:///", "CINDER://", " cinder://", "rbd://")
)
urls = st.builds(
    "{}{}{}{}".format,
    st.just("cinder://") | heads | heads | odd,
    st.just("") | stores.map("{}/".format) | odd,
    ids | ids | forms | odd,
    st.just("") | st.just("") | odd,
)


@given(locations)
def test_a_canonical_location_is_read_alike_by_all(
    location: CinderLocation,
) -> None:
    """What we write, glance_store and Cinder read as we do."""
    url = str(location)

    assert location == parse_location(url)
    assert location.volume_id == as_glance_store(url) == as_cinder(url)
    assert location.volume_id == cinder_volume_id(location)


@given(locations)
def test_we_write_what_glance_store_writes(location: CinderLocation) -> None:
    """With a store and without."""
    specs = {"volume_id": location.volume_id}
    written = glance_store.StoreLocation(
        specs, None, backend_group=location.store
    )

    assert written.get_uri() == str(location)


@given(urls)
@example("cinder:///" + ID)
@example("cinder://[" + ID)
def test_whatever_we_read_the_others_read_so_too(url: str) -> None:
    """Ours is the strictest grammar, and loses no character."""
    location = parse_location(url)

    assert url == str(location)
    if isinstance(location, CinderLocation):
        assert location.volume_id == as_glance_store(url) == as_cinder(url)


@given(urls)
@example("cinder://" + ID + "\n")
@example("cinder:" + ID + "?x#y")
def test_the_lenient_reading_is_that_of_cinder(url: str) -> None:
    """But for ids in a form in which no volume's id is ever stored."""
    theirs = as_cinder(url)
    stored = theirs if theirs and _CANONICAL.fullmatch(theirs) else None

    assert stored == cinder_volume_id(parse_location(url))


TABLE = {
    f"cinder://{ID}": (True, ID, ID),
    f"cinder://fast/{ID}": (True, ID, ID),
    f"cinder://a/b/c/{ID}": (False, ID, ID),
    f"cinder:///{ID}": (False, ID, ID),
    f"CINDER://{ID}": (False, None, ID),
    f"cinder:{ID}": (False, None, ID),
    f" cinder://{ID}": (False, None, ID),
    f"cinder://{ID}?x#y": (False, None, ID),
    f"cinder://fast/{ID}?x": (False, None, ID),
    f"cinder://fast/{ID}/": (False, None, None),
    f"cinder://fast/{ID}/extra": (False, None, None),
    f"cinder://user@{ID}": (False, None, None),
    f"cinder://{ID}:80": (False, None, None),
    "": (False, None, None),
    f"rbd://{ID}": (False, None, None),
}


@pytest.mark.parametrize("url", TABLE)
def test_each_form_is_read_as_recorded(url: str) -> None:
    """By us, by glance_store and by Cinder."""
    ours, glances, cinders = TABLE[url]
    location = parse_location(url)

    assert ours == isinstance(location, CinderLocation)
    assert glances == as_glance_store(url)
    assert cinders == as_cinder(url)
    assert cinders == cinder_volume_id(location)


@pytest.mark.parametrize(
    "form",
    [
        uuid.UUID(ID).hex,
        f"{{{ID}}}",
        uuid.UUID(ID).urn,
        ID.upper(),
    ],
)
def test_another_form_of_an_id_names_no_volume(form: str) -> None:
    """Cinder takes it for an id, which then equals none that is stored."""
    location = parse_location(f"cinder://{form}")

    assert isinstance(location, MalformedLocation)
    assert as_cinder(str(location)) in {form, None}
    assert cinder_volume_id(location) is None
