"""Glance's JSON and Cinder's rows become records, or FactErrors."""

from __future__ import annotations

import contextlib
import datetime
import json
from collections.abc import Iterator
from types import MappingProxyType
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clonepolicy import (
    CinderLocation,
    FactError,
    Host,
    Image,
    LocationsFrom,
    MalformedLocation,
    OtherLocation,
    Volume,
    VolumeType,
    parse_location,
)
from clonepolicy.adapters.records import (
    image_from_v2,
    locations_from_v2,
    volume_from_row,
)
from clonepolicy.ports import Inspection
from clonepolicy.testing import strategies

URL = "cinder://1f2e3d4c-0000-4000-8000-000000000003"
BODY: dict[Any, Any] = {
    "id": "i",
    "name": "an image",
    "status": "active",
    "owner": "alice",
    "disk_format": "raw",
    "container_format": "bare",
    "size": 5,
    "virtual_size": None,
    "min_disk": 1,
    "visibility": "public",
    "os_hash_algo": "sha512",
    "os_hash_value": "0f",
    "updated_at": "2026-01-01T00:00:00Z",
}
KIND: dict[str, object] = {
    "id": "t",
    "name": "gold",
    "extra_specs": {},
    "qos_specs_id": None,
}
ROW = {
    "id": "v",
    "project_id": "alice",
    "size": 1,
    "status": "available",
    "previous_status": None,
    "host": "h@b#p",
    "cluster_name": None,
    "encryption_key_id": None,
    "volume_type": KIND,
    "multiattach": False,
    "migration_status": None,
    "created_at": datetime.datetime(2025, 1, 1),  # noqa: DTZ001 - as stored
    "metadata": {},
}
THEN = datetime.datetime(2025, 1, 1, tzinfo=datetime.UTC)
NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)


def volume(**changes: object) -> Volume:
    """Read the usual row with changes."""
    return volume_from_row({**ROW, **changes})


def type_of(**extra_specs: object) -> VolumeType | None:
    """Read a volume type with extra specs."""
    kind = {**KIND, "extra_specs": extra_specs}
    return volume(volume_type=kind).volume_type


@contextlib.contextmanager
def may_raise(*fields: str) -> Iterator[None]:
    """Ignore a `FactError` about one of these fields."""
    try:
        yield
    except FactError as error:
        if not error.field.startswith(fields):
            raise


# -- images -----------------------------------------------------------------


def test_an_image_is_read() -> None:
    """Each field of the body has its field in the record."""
    assert image_from_v2(BODY) == Image(
        id="i",
        status="active",
        owner="alice",
        disk_format="raw",
        container_format="bare",
        size=5,
        min_disk=1,
        visibility="public",
        os_hash_algo="sha512",
        os_hash_value="0f",
        updated_at=NOW,
        locations_from=LocationsFrom.IMAGE,
    )


def test_the_caller_gives_what_the_body_does_not_contain() -> None:
    """Visibility, the right to download, and the interface for locations."""
    image = image_from_v2(
        BODY,
        visible=True,
        downloadable=True,
        locations_from=LocationsFrom.LOCATIONS_API,
    )
    assert image.visible
    assert image.downloadable
    assert image.locations_from is LocationsFrom.LOCATIONS_API


def test_optional_properties_are_read() -> None:
    """A key and a direct URL."""
    image = image_from_v2(
        {**BODY, "cinder_encryption_key_id": "k", "direct_url": URL}
    )
    assert (image.encryption_key_id, image.direct_url) == ("k", URL)


@pytest.mark.parametrize(
    ("name", "signed"),
    [
        ("img_signature", True),
        ("img_signature_key_type", True),
        ("my_img_signature", False),
        ("img_signatur", False),
    ],
)
def test_any_signature_property_means_signed(name: str, signed: bool) -> None:  # noqa: FBT001 - a parameter
    """Its name begins with img_signature."""
    assert image_from_v2({**BODY, name: None}).signed is signed


@pytest.mark.parametrize("name", sorted(set(BODY) - {"name"}))
def test_an_image_without_a_field_is_an_error(name: str) -> None:
    """Glance always returns it."""
    body = {key: value for key, value in BODY.items() if key != name}
    with pytest.raises(FactError, match="a value; it is missing") as caught:
        image_from_v2(body)
    assert caught.value.field == f"Image.{name}"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("id", None),
        ("status", ""),
        ("owner", 1),
        ("size", "5"),
        ("size", True),
        ("size", -1),
        ("size", 5.0),
        ("min_disk", None),
        ("visibility", None),
        ("updated_at", None),
        ("updated_at", "yesterday"),
        ("updated_at", "2026-01-01T00:00:00"),
        ("updated_at", 1735689600),
        ("os_hash_value", b"0f"),
        ("direct_url", ["x"]),
    ],
)
def test_an_image_with_an_invalid_field_is_an_error(
    name: str, value: object
) -> None:
    """The error names the field."""
    with pytest.raises(FactError) as caught:
        image_from_v2({**BODY, name: value})
    assert caught.value.field == f"Image.{name}"


def test_an_invalid_key_is_named_as_in_the_record() -> None:
    """The body has another name for it."""
    with pytest.raises(FactError) as caught:
        image_from_v2({**BODY, "cinder_encryption_key_id": 1})
    assert caught.value.field == "Image.encryption_key_id"


@pytest.mark.parametrize(
    "body",
    [None, [], "{}", {**BODY, 1: 2}],
    ids=["none", "list", "text", "key"],
)
def test_a_body_that_is_no_image_is_an_error(body: Any) -> None:  # noqa: ANN401 - anything
    """It is no mapping, or its keys are no texts."""
    with pytest.raises(FactError, match=r"^Image: expected"):
        image_from_v2(body)


@given(image=strategies.images())
def test_an_image_survives_a_round_trip_through_json(image: Image) -> None:
    """Only its time is set."""
    body: dict[str, Any] = dict(BODY)
    body.update(attrs.asdict(image))
    body["updated_at"] = "2026-01-01T00:00:00Z"
    body["cinder_encryption_key_id"] = image.encryption_key_id
    if image.signed:
        body["img_signature"] = "s"
    if image.direct_url is None:
        del body["direct_url"]
    found = image_from_v2(
        json.loads(json.dumps(body)),
        visible=image.visible,
        downloadable=image.downloadable,
        locations_from=image.locations_from,
    )
    assert found == attrs.evolve(image, updated_at=NOW)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda x: st.lists(x) | st.dictionaries(st.text(), x),
    max_leaves=5,
)


@given(name=st.sampled_from([*BODY, "direct_url", "locations"]), value=JSON)
def test_any_json_value_is_an_image_or_a_fact_error(
    name: str, value: object
) -> None:
    """No other error is raised."""
    body = {**BODY, name: value}
    field = f"Image.{name}"
    with may_raise(field):
        assert isinstance(image_from_v2(body), Image)
    with may_raise(field):
        assert isinstance(locations_from_v2(body), tuple)


# -- locations --------------------------------------------------------------


def test_locations_of_the_api_are_read_without_duplicates() -> None:
    """In the order of the answer."""
    found = locations_from_v2(
        [
            {"url": URL, "metadata": {"store": "s"}},
            {"url": "http://x", "metadata": {}},
            {"url": URL, "metadata": {}},
        ]
    )
    assert found == (parse_location(URL), OtherLocation("http://x"))


def test_locations_of_an_image_are_read() -> None:
    """The direct URL comes last."""
    body = {**BODY, "locations": [{"url": "http://x"}], "direct_url": URL}
    found = locations_from_v2(body)
    assert found == (OtherLocation("http://x"), parse_location(URL))
    assert isinstance(found[1], CinderLocation)


def test_a_direct_url_among_the_locations_is_no_duplicate() -> None:
    """It is the same location."""
    body = {"locations": [{"url": URL}], "direct_url": URL}
    assert locations_from_v2(body) == (parse_location(URL),)


def test_an_image_may_show_no_locations() -> None:
    """The result is empty."""
    assert locations_from_v2(BODY) == ()
    assert locations_from_v2({**BODY, "direct_url": None}) == ()


def test_a_malformed_location_is_no_error() -> None:
    """It is a `MalformedLocation`."""
    (found,) = locations_from_v2([{"url": "CINDER://x"}])
    assert isinstance(found, MalformedLocation)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (None, "Image.locations"),
        ("cinder://x", "Image.locations"),
        ({"locations": None}, "Image.locations"),
        ({"locations": {"url": URL}}, "Image.locations"),
        ({"direct_url": 1}, "Image.direct_url"),
        ([URL], "Image.locations[0]"),
        ([{"url": URL}, {}], "Image.locations[1]"),
        ([{"url": None}], "Image.locations[0]"),
    ],
)
def test_invalid_locations_are_an_error(body: Any, field: str) -> None:  # noqa: ANN401 - anything
    """The error names the field."""
    with pytest.raises(FactError) as caught:
        locations_from_v2(body)
    assert caught.value.field == field


@given(urls=st.lists(st.sampled_from([URL, "http://x", "rbd://x"])))
def test_locations_keep_their_order_without_duplicates(
    urls: list[str],
) -> None:
    """The first of equal ones stays."""
    found = locations_from_v2([{"url": url} for url in urls])
    assert list(map(str, found)) == list(dict.fromkeys(urls))


# -- volumes ----------------------------------------------------------------


def test_a_volume_is_read() -> None:
    """Each column has its field in the record."""
    assert volume_from_row(ROW) == Volume(
        id="v",
        project_id="alice",
        size=1,
        status="available",
        host=Host("h", "b", "p"),
        volume_type=VolumeType(id="t", name="gold", extra_specs=frozenset()),
        created_at=THEN,
    )


def test_any_mapping_is_accepted() -> None:
    """It need not be a dict."""
    assert volume_from_row(MappingProxyType(ROW)) == volume()
    assert image_from_v2(MappingProxyType(BODY)) == image_from_v2(BODY)


def test_a_cluster_is_read_and_a_type_is_optional() -> None:
    """A host is optional too."""
    found = volume(cluster_name="c@b", host=None, volume_type=None)
    assert found.cluster_name == Host("c", "b")
    assert (found.host, found.volume_type) == (None, None)


@pytest.mark.parametrize(
    "metadata",
    [
        {"image_owner": "alice", "glance_image_id": "i", "image_size": "9"},
        [
            {"key": "image_owner", "value": "alice"},
            {"key": "glance_image_id", "value": "i", "volume_id": "v"},
            {"key": "image_size", "value": "nonsense"},
        ],
    ],
)
def test_metadata_is_read_in_both_forms(metadata: object) -> None:
    """As a mapping, and as rows."""
    found = volume(metadata=metadata)
    assert (found.image_owner, found.glance_image_id) == ("alice", "i")
    assert found.size == 1


def test_what_a_tenant_can_write_is_not_read() -> None:
    """Only two items of the metadata are read."""

    class Watched(dict[str, str]):
        read: set[str] = set()  # noqa: RUF012 - one for this test

        def get(self, key: str, default: Any = None) -> Any:  # noqa: ANN401 - as dict
            self.read.add(key)
            return super().get(key, default)

    volume(metadata=Watched(image_size="0"))
    assert Watched.read == {"image_owner", "glance_image_id"}


def test_extra_specs_are_read() -> None:
    """As a mapping, and as rows."""
    specs = {
        "volume_backend_name": "b1",
        "provisioning:min_vol_size": "2",
        "provisioning:max_vol_size": "10",
        "image_service:store_id": "s",
        "RESKEY:availability_zones": "az1",
        "replication_enabled": "<is> True",
    }
    expected = VolumeType(
        id="t",
        name="gold",
        volume_backend_name="b1",
        min_vol_size=2,
        max_vol_size=10,
        store_id="s",
        extra_specs=frozenset({"replication_enabled=<is> True"}),
        qos_specs_id=None,
    )
    assert type_of(**specs) == expected
    rows = [{"key": key, "value": value} for key, value in specs.items()]
    kind = {**KIND, "extra_specs": rows}
    assert volume(volume_type=kind).volume_type == expected


def test_empty_metadata_names_nobody() -> None:
    """Any user may write an empty value."""
    found = volume(metadata={"image_owner": "", "glance_image_id": ""})
    assert (found.image_owner, found.glance_image_id) == (None, None)


def test_equal_types_are_one_record() -> None:
    """Many volumes share a type."""
    assert type_of() is type_of()


def test_a_time_zone_is_kept() -> None:
    """The time stays the same moment."""
    zone = datetime.timezone(datetime.timedelta(hours=2))
    there = datetime.datetime(2025, 1, 1, 2, tzinfo=zone)
    assert volume(created_at=there).created_at == THEN
    assert volume(created_at=None).created_at is None


def test_a_time_without_a_zone_is_utc() -> None:
    """Every part of it is kept."""
    stored = datetime.datetime(2025, 2, 3, 4, 5, 6, 7)  # noqa: DTZ001 - as stored
    found = volume(created_at=stored).created_at
    assert found == stored.replace(tzinfo=datetime.UTC)


@pytest.mark.parametrize("name", sorted(ROW))
def test_a_row_without_a_column_is_an_error(name: str) -> None:
    """The error names the column."""
    row = {key: value for key, value in ROW.items() if key != name}
    with pytest.raises(FactError, match="a value; it is missing") as caught:
        volume_from_row(row)
    assert caught.value.field == f"Volume.{name}"


@pytest.mark.parametrize("name", ["id", "name", "extra_specs", "qos_specs_id"])
def test_a_type_without_a_column_is_an_error(name: str) -> None:
    """The error names the column."""
    kind = {**KIND}
    del kind[name]
    with pytest.raises(FactError) as caught:
        volume(volume_type=kind)
    assert caught.value.field == f"VolumeType.{name}"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("id", 1),
        ("project_id", ""),
        ("size", "1"),
        ("size", None),
        ("status", None),
        ("host", ""),
        ("host", "h@"),
        ("host", 1),
        ("cluster_name", "c#"),
        ("encryption_key_id", ""),
        ("volume_type", "gold"),
        ("multiattach", 0),
        ("multiattach", None),
        ("created_at", "2025-01-01T00:00:00"),
        ("metadata", None),
        ("metadata", "image_owner"),
    ],
)
def test_a_row_with_an_invalid_column_is_an_error(
    name: str, value: object
) -> None:
    """The error names the column and its value."""
    with pytest.raises(FactError) as caught:
        volume(**{name: value})
    assert caught.value.field == f"Volume.{name}"
    assert caught.value.value == value


@pytest.mark.parametrize(
    "row",
    [
        "image_owner",
        {"key": "image_owner"},
        {"value": "alice"},
        {"key": 1, "value": "alice"},
        {"key": "twice", "value": "bob"},
    ],
)
def test_invalid_rows_of_metadata_are_an_error(row: object) -> None:
    """A row is a key, which occurs once, and a value."""
    rows = [{"key": "twice", "value": "alice"}, row]
    with pytest.raises(FactError) as caught:
        volume(metadata=rows)
    assert caught.value.field == "Volume.metadata[1]"


@pytest.mark.parametrize(
    "value", [2, "", "two", "-1", "1.5", "²", [], {}, "9" * 5000]
)
def test_an_invalid_limit_of_a_type_is_an_error(value: object) -> None:
    """A limit is a whole number, as text."""
    with pytest.raises(FactError) as caught:
        type_of(**{"provisioning:min_vol_size": value})
    assert caught.value.field == "VolumeType.provisioning:min_vol_size"


@pytest.mark.parametrize("value", [1, True, [], ""])
def test_an_invalid_backend_name_is_an_error(value: object) -> None:
    """It is a text that is not empty."""
    with pytest.raises(FactError) as caught:
        type_of(volume_backend_name=value)
    assert caught.value.field == "VolumeType.volume_backend_name"


@pytest.mark.parametrize("row", [None, [], "v"])
def test_an_input_that_is_no_row_is_an_error(row: Any) -> None:  # noqa: ANN401 - anything
    """It is no mapping."""
    with pytest.raises(FactError, match=r"^Volume: expected"):
        volume_from_row(row)


@given(record=strategies.volumes())
def test_a_volume_survives_a_round_trip_through_its_row(
    record: Volume,
) -> None:
    """The row does not contain what only the array knows."""
    kind = record.volume_type
    row = {
        **attrs.asdict(record, recurse=False),
        "host": None if record.host is None else str(record.host),
        "cluster_name": (
            None if record.cluster_name is None else str(record.cluster_name)
        ),
        "volume_type": None if kind is None else _type_row(kind),
        "metadata": {
            key: getattr(record, key)
            for key in ("image_owner", "glance_image_id")
            if getattr(record, key) is not None
        },
        "created_at": (
            None
            if record.created_at is None
            else record.created_at.replace(tzinfo=None)
        ),
    }
    # a row has its type's extra specs, if only none
    known = kind and attrs.evolve(
        kind, extra_specs=kind.extra_specs or frozenset()
    )
    assert volume_from_row(row) == attrs.evolve(
        record,
        volume_type=known,
        clones=None,
        inspection=Inspection.NOT_INSPECTED,
    )


def _type_row(kind: VolumeType) -> dict[str, Any]:
    """Write a type as its row."""
    specs = {
        "volume_backend_name": kind.volume_backend_name,
        "provisioning:min_vol_size": kind.min_vol_size,
        "provisioning:max_vol_size": kind.max_vol_size,
        "image_service:store_id": kind.store_id,
    }
    return {
        "id": kind.id,
        "name": kind.name,
        "extra_specs": {
            key: str(value)
            for key, value in specs.items()
            if value is not None
        }
        | dict(spec.split("=", 1) for spec in kind.extra_specs or ()),
        "qos_specs_id": kind.qos_specs_id,
    }


@given(name=st.sampled_from(sorted(ROW)), value=JSON)
def test_any_json_value_is_a_volume_or_a_fact_error(
    name: str, value: object
) -> None:
    """No other error is raised."""
    with may_raise("Volume.", "VolumeType."):
        assert isinstance(volume(**{name: value}), Volume)
