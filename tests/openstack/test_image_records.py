# ruff: noqa: E402 - modules of Cinder are imported only if it is there
"""Cinder's image dicts and location pairs become records, or errors."""

from __future__ import annotations

import contextlib
import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("cinder", reason="needs Cinder: nox -s openstack")
# other modules of Cinder name its classes when they are imported
pytest.importorskip("cinder.objects").register_all()

from any_value import anything
from cinder import context
from cinder.image import glance
from glanceclient import exc
from glanceclient.v2 import image_schema, schemas
from installed import RELEASE

from clonepolicy import CinderLocation, FactError, Image, LocationsFrom
from clonepolicy.adapters.cinder import image_from_meta, locations_from_tuple

warlock = pytest.importorskip("warlock")
jsonutils = pytest.importorskip("oslo_serialization.jsonutils")

IMAGE_ID = "0e5b8f3a-0000-4000-8000-000000000001"
VOLUME_ID = "0e5b8f3a-0000-4000-8000-000000000002"
URL, OTHER = f"cinder://{VOLUME_ID}", "rbd://fsid/images/i/snap"
V2 = {
    "id": IMAGE_ID,
    "name": "debian",
    "status": "active",
    "owner": "alice",
    "disk_format": "raw",
    "container_format": "bare",
    "size": 2**30,
    "virtual_size": None,
    "min_disk": 1,
    "min_ram": 0,
    "visibility": "shared",
    "protected": False,
    "os_hidden": False,
    "checksum": "c",
    "os_hash_algo": "sha512",
    "os_hash_value": "h",
    "created_at": "2026-01-01T00:00:00Z",
    "updated_at": "2026-01-02T03:04:05Z",
    "tags": [],
    "schema": "/v2/schemas/image",
}
UPDATED = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
IMAGE = Image(
    id=IMAGE_ID,
    status="active",
    owner="alice",
    disk_format="raw",
    container_format="bare",
    size=2**30,
    min_disk=1,
    visibility="shared",
    visible=True,
    os_hash_algo="sha512",
    os_hash_value="h",
    updated_at=UPDATED,
)
META = {**V2, "properties": {}, "updated_at": UPDATED}
ADMIN = context.RequestContext("u", "p", is_admin=True, auth_token="t")  # noqa: S106 - no secret

BOTH = [{"url": URL, "metadata": {}}, {"url": OTHER, "metadata": {}}]
FORMS: dict[str, tuple[Any, dict[str, Any], Any, LocationsFrom, list[str]]] = {
    "new API": (
        BOTH,
        {},
        (None, BOTH),
        LocationsFrom.LOCATIONS_API,
        [URL, OTHER],
    ),
    "image with both": (
        exc.HTTPNotImplemented(),
        {"direct_url": URL, "locations": BOTH},
        (URL, BOTH),
        LocationsFrom.IMAGE,
        [URL, OTHER],
    ),
    "image with direct_url": (
        exc.HTTPForbidden(),
        {"direct_url": URL},
        (URL, []),
        LocationsFrom.IMAGE,
        [URL],
    ),
    "image with locations": (
        exc.HTTPForbidden(),
        {"locations": BOTH},
        (None, []),
        LocationsFrom.HIDDEN,
        [],
    ),
    "nothing": ([], {}, (None, []), LocationsFrom.HIDDEN, []),
}


class FakeClient:
    """Answers as a glanceclient does, by either of its calls."""

    def __init__(
        self, body: dict[str, Any], locations: list[Any] | Exception
    ) -> None:
        """Take the image, and the result or the error of the locations API."""
        schema = schemas.Schema(image_schema._BASE_SCHEMA)
        kind = warlock.model_factory(schema.raw(), schemas.SchemaBasedModel)
        kind.validate = lambda *_: None
        self.schema, self.image, self.locations = schema, kind(body), locations

    def call(
        self,
        _context: object,
        method: str,
        *_: object,
        controller: str = "images",
        **_more: object,
    ) -> Any:
        """Answer a call."""
        if controller == "schemas":
            return self.schema
        if method == "get":
            return self.image
        if isinstance(self.locations, Exception):
            raise self.locations
        return self.locations


def image_meta(**more: Any) -> dict[str, Any]:
    """Return what Cinder's own image service makes of an answer."""
    service = glance.GlanceImageService(client=FakeClient({**V2, **more}, []))
    found: dict[str, Any] = service.show(ADMIN, IMAGE_ID)
    return found


def image_location(
    monkeypatch: pytest.MonkeyPatch,
    answer: list[Any] | Exception,
    more: dict[str, Any],
) -> tuple[Any, Any]:
    """Return what Cinder's own image service makes of the locations."""
    images = FakeClient({**V2, **more}, answer)
    monkeypatch.setattr(glance, "GlanceClientWrapper", lambda: images)
    pair: tuple[Any, Any] = glance.GlanceImageService().get_location(
        ADMIN, IMAGE_ID
    )
    return pair


def test_an_image_is_read_from_cinders_dict() -> None:
    """All fields are read, also the time that Cinder has parsed."""
    assert IMAGE == image_from_meta(image_meta())


def test_an_image_that_came_by_rpc_is_equal() -> None:
    """Cinder's RPC writes times without the time zone, which is UTC."""
    meta = jsonutils.loads(jsonutils.dumps(image_meta()))
    assert not meta["updated_at"].endswith("Z")
    assert IMAGE == image_from_meta(meta)


@pytest.mark.parametrize("name", ["img_signature", "img_signature_key_type"])
def test_a_signature_is_found_among_the_properties(name: str) -> None:
    """Cinder moves it there."""
    meta = image_meta(**{name: "x"})
    assert "x" == meta["properties"][name]
    assert image_from_meta(meta).signed


def test_an_encryption_key_is_found_in_either_place() -> None:
    """Cinder returns it twice."""
    meta = image_meta(cinder_encryption_key_id="key")
    assert "key" == image_from_meta(meta).encryption_key_id
    del meta["cinder_encryption_key_id"]
    assert "key" == image_from_meta(meta).encryption_key_id
    meta = {**image_meta(), "cinder_encryption_key_id": "key"}
    assert "key" == image_from_meta(meta).encryption_key_id


@pytest.mark.parametrize(
    "name", ["owner", "size", "virtual_size", "os_hash_value", "status"]
)
def test_a_property_never_replaces_a_field(name: str) -> None:
    """Tenants write properties; a missing field is an error."""
    meta = image_meta()
    meta["properties"][name] = meta.pop(name) or "x"
    with pytest.raises(FactError, match=rf"Image\.{name}: .* is missing"):
        image_from_meta(meta)


def test_a_dict_without_properties_is_refused() -> None:
    """A signature or a key could be missing."""
    meta = image_meta()
    del meta["properties"]
    with pytest.raises(FactError, match=r"Image\.properties"):
        image_from_meta(meta)


def test_the_caller_gives_what_the_dict_does_not_contain() -> None:
    """Visibility, the right to download, and the interface for locations."""
    image = image_from_meta(
        image_meta(),
        (None, []),
        visible=False,
        downloadable=True,
        locations_from=LocationsFrom.UNREADABLE,
    )
    assert (False, True) == (image.visible, image.downloadable)
    assert LocationsFrom.UNREADABLE is image.locations_from


def _without_locations_api(
    more: dict[str, Any],
) -> tuple[Any, LocationsFrom, list[str]]:
    """Return what becomes of a form where Cinder asks the image only."""
    direct_url, locations = more.get("direct_url"), more.get("locations")
    shown = bool(direct_url or locations)
    urls = [direct_url] if direct_url else []
    urls += [each["url"] for each in locations or []]
    return (
        (direct_url, locations),
        LocationsFrom.IMAGE if shown else LocationsFrom.HIDDEN,
        list(dict.fromkeys(urls)),
    )


@pytest.mark.parametrize("form", FORMS)
def test_each_form_of_locations_is_read(
    monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    """Cinder's pair shows which interface returned the locations."""
    answer, more, expected, interface, urls = FORMS[form]
    if not RELEASE.asks_locations_api:
        expected, interface, urls = _without_locations_api(more)
    pair = image_location(monkeypatch, answer, more)
    assert expected == pair
    image = image_from_meta(image_meta(), pair)
    assert interface is image.locations_from
    assert pair[0] == image.direct_url
    assert urls == [str(found) for found in locations_from_tuple(pair)]


def test_a_pair_of_none_is_no_location() -> None:
    """Cinder's docstring allows it."""
    assert () == locations_from_tuple((None, None))
    interface = image_from_meta(image_meta(), (None, None)).locations_from
    assert LocationsFrom.HIDDEN is interface


def test_an_image_without_data_hides_no_location() -> None:
    """It has none yet."""
    meta = {**image_meta(), "status": "queued"}
    interface = image_from_meta(meta, (None, [])).locations_from
    assert LocationsFrom.IMAGE is interface


def test_a_missing_pair_means_unreadable_locations() -> None:
    """None stands for a failed request."""
    assert () == locations_from_tuple(None)
    interface = image_from_meta(image_meta()).locations_from
    assert LocationsFrom.UNREADABLE is interface


def test_a_location_is_parsed_once() -> None:
    """The direct URL is usually among the locations."""
    found = locations_from_tuple((URL, [{"url": URL, "metadata": None}]))
    assert (CinderLocation(VOLUME_ID),) == found


@pytest.mark.parametrize(
    "pair",
    [
        URL,
        (URL,),
        (URL, [], []),
        (1, []),
        (None, URL),
        (None, [URL]),
        (None, [{"metadata": {}}]),
        (None, [{"url": None}]),
    ],
)
def test_what_is_no_pair_is_refused(pair: Any) -> None:
    """The error names the field."""
    with pytest.raises(FactError, match=r"Image\.(locations|direct_url)"):
        locations_from_tuple(pair)


def field_of_error(meta: dict[str, Any], otherwise: str) -> str:
    """Return the field for which an image is refused, or a default."""
    try:
        image_from_meta(meta)
    except FactError as error:
        return error.field
    return otherwise


@given(st.sampled_from(sorted({*V2, "properties"})), anything)
def test_a_changed_image_is_a_record_or_an_error(
    name: str, value: object
) -> None:
    """Any value in a field raises nothing but FactError."""
    assert name in field_of_error({**META, name: value}, otherwise=name)
    less = {key: kept for key, kept in META.items() if key != name}
    assert name in field_of_error(less, otherwise=name)


@given(anything, anything)
def test_any_input_is_a_record_or_an_error(meta: Any, pair: Any) -> None:
    """What is no dict raises nothing but FactError."""
    with pytest.raises(FactError):
        image_from_meta(meta, pair)
    for candidate in (pair, (meta, pair), (None, [{"url": pair}])):
        with contextlib.suppress(FactError):
            locations_from_tuple(candidate)
        with contextlib.suppress(FactError):
            image_from_meta(META, candidate)
