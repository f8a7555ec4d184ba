"""Image locations as read by clonepolicy, by glance_store and by Cinder."""

from __future__ import annotations

import re
import uuid
from typing import Any

import pytest

pytest.importorskip("cinder", reason="run by nox -s openstack")
pytest.importorskip("cinderclient", reason="run by nox -s openstack")
pytest.importorskip("glance_store", reason="run by nox -s openstack")

import cinder.objects
from glance_store import exceptions
from glance_store._drivers.cinder import store as glance_store
from hypothesis import example, given
from hypothesis import strategies as st

from clonepolicy import CinderLocation, MalformedLocation, parse_location
from clonepolicy._facts.locations import cinder_volume_id

cinder.objects.register_all()

from cinder.volume.flows.manager import (  # noqa: E402 - its objects come first
    create_volume,
)

ID = "9a8b7c6d-1234-4abc-8def-0123456789ab"
_CANONICAL = re.compile(
    "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
)


def read_by_glance_store(url: str) -> str | None:
    """Return the volume id that glance_store's driver reads."""
    location: Any = glance_store.StoreLocation({}, None)
    try:
        location.parse_uri(url)
    except exceptions.BadStoreUri:
        return None
    return str(location.volume_id)


def read_by_cinder(url: str) -> str | None:
    """Return the volume id that Cinder's create flow reads, or None."""
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
def test_all_read_a_canonical_location_in_the_same_way(
    location: CinderLocation,
) -> None:
    """A URL that clonepolicy writes, glance_store and Cinder read too."""
    url = str(location)

    assert location == parse_location(url)
    assert (
        location.volume_id == read_by_glance_store(url) == read_by_cinder(url)
    )
    assert location.volume_id == cinder_volume_id(location)


@given(locations)
def test_clonepolicy_writes_urls_as_glance_store_does(
    location: CinderLocation,
) -> None:
    """With a store and without."""
    specs = {"volume_id": location.volume_id}
    written = glance_store.StoreLocation(
        specs, None, backend_group=location.store
    )

    assert written.get_uri() == str(location)


@given(urls)
@example("cinder:///" + ID)
@example("cinder://[" + ID)
def test_the_others_accept_every_url_that_clonepolicy_accepts(
    url: str,
) -> None:
    """Its grammar is the strictest, and keeps every character."""
    location = parse_location(url)

    if isinstance(location, CinderLocation):
        assert url == str(location)
        assert (
            location.volume_id
            == read_by_glance_store(url)
            == read_by_cinder(url)
        )


@given(urls)
@example("cinder://" + ID + "\n")
@example("cinder:" + ID + "?x#y")
def test_the_lenient_reading_equals_cinders(url: str) -> None:
    """Except for ids in a form that Cinder never stores."""
    found = read_by_cinder(url)
    stored = found if found and _CANONICAL.fullmatch(found) else None

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
def test_each_form_is_read_as_listed(url: str) -> None:
    """By clonepolicy, by glance_store and by Cinder."""
    accepted, by_glance_store, by_cinder = TABLE[url]
    location = parse_location(url)

    assert accepted == isinstance(location, CinderLocation)
    assert by_glance_store == read_by_glance_store(url)
    assert by_cinder == read_by_cinder(url)
    assert by_cinder == cinder_volume_id(location)


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
    """Cinder reads it as an id, which equals no stored one."""
    location = parse_location(f"cinder://{form}")

    assert isinstance(location, MalformedLocation)
    assert read_by_cinder(str(location)) in {form, None}
    assert cinder_volume_id(location) is None
