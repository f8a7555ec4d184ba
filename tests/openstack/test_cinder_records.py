# ruff: noqa: E402 - modules of Cinder are imported only if it is there
"""Cinder's dicts, objects, rows and answers become records, or FactErrors."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
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
    Volume,
    VolumeType,
)

WHY = "the packages of `nox -s openstack` are not installed"
pytest.importorskip("cinder", reason=WHY)
# other modules of Cinder name its classes when they are imported
pytest.importorskip("cinder.objects", reason=WHY).register_all()

from cinder import context, objects
from cinder.api.contrib import (
    volume_host_attribute,
    volume_mig_status_attribute,
    volume_tenant_attribute,
)
from cinder.api.openstack import api_version_request, wsgi
from cinder.api.v3.views import volumes as views
from cinder.db import api as db
from cinder.db import migration, models
from cinder.image import glance
from cinder.volume import volume_types
from glanceclient import exc
from glanceclient.v2 import image_schema, schemas
from oslo_db import exception as db_exception
from oslo_db.sqlalchemy import enginefacade

from clonepolicy.adapters.cinder._records import (
    image_from_meta,
    locations_from_tuple,
    volume_from_api,
    volume_from_model,
    volume_from_object,
)

warlock = pytest.importorskip("warlock", reason=WHY)
jsonutils = pytest.importorskip("oslo_serialization.jsonutils", reason=WHY)

IMAGE_ID = "0e5b8f3a-0000-4000-8000-000000000001"
VOLUME_ID = "0e5b8f3a-0000-4000-8000-000000000002"
TYPE_ID = "0e5b8f3a-0000-4000-8000-000000000003"
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
BODY = {
    "id": VOLUME_ID,
    "os-vol-tenant-attr:tenant_id": "alice",
    "os-vol-host-attr:host": "h@b#p",
    "os-vol-mig-status-attr:migstat": None,
    "size": 3,
    "status": "available",
    "cluster_name": None,
    "encrypted": False,
    "volume_type": "gold",
    "volume_type_id": TYPE_ID,
    "multiattach": False,
    "created_at": "2026-01-01T00:00:00.000000",
    "metadata": {"image_owner": "bob"},
}
GOLD = {"id": TYPE_ID, "name": "gold", "extra_specs": {}}
ADMIN = context.RequestContext("u", "p", is_admin=True, auth_token="t")  # noqa: S106 - no secret

anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.floats(allow_nan=False)
    | st.text(max_size=3)
    | st.binary(max_size=2)
    | st.datetimes(),
    lambda more: (
        st.lists(more, max_size=2)
        | st.tuples(more, more)
        | st.dictionaries(st.text(max_size=3) | st.integers(), more)
    ),
    max_leaves=4,
)


class Images:
    """Answers as a glanceclient does, through either of its calls."""

    def __init__(
        self, body: dict[str, Any], locations: list[Any] | Exception
    ) -> None:
        """Take the image, and what the locations API gives or raises."""
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
        """Answer one call."""
        if controller == "schemas":
            return self.schema
        if method == "get":
            return self.image
        if isinstance(self.locations, Exception):
            raise self.locations
        return self.locations


def shown(**more: Any) -> dict[str, Any]:
    """Give what Cinder's own image service makes of an answer."""
    service = glance.GlanceImageService(client=Images({**V2, **more}, []))
    found: dict[str, Any] = service.show(ADMIN, IMAGE_ID)
    return found


def located(
    monkeypatch: pytest.MonkeyPatch,
    told: list[Any] | Exception,
    more: dict[str, Any],
) -> tuple[Any, Any]:
    """Give what Cinder's own image service tells of the locations."""
    images = Images({**V2, **more}, told)
    monkeypatch.setattr(glance, "GlanceClientWrapper", lambda: images)
    pair: tuple[Any, Any] = glance.GlanceImageService().get_location(
        ADMIN, IMAGE_ID
    )
    return pair


def test_an_image_is_what_cinder_shows_of_it() -> None:
    """All fields are read, and the time that Cinder parsed is kept."""
    assert IMAGE == image_from_meta(shown())


def test_an_image_that_came_by_rpc_is_the_same() -> None:
    """Cinder's RPC writes datetimes without the time zone, which is UTC."""
    meta = jsonutils.loads(jsonutils.dumps(shown()))
    assert not meta["updated_at"].endswith("Z")
    assert IMAGE == image_from_meta(meta)


@pytest.mark.parametrize("name", ["img_signature", "img_signature_key_type"])
def test_a_signature_is_found_among_the_properties(name: str) -> None:
    """Cinder moves it there; who signed an image wants it verified."""
    meta = shown(**{name: "x"})
    assert "x" == meta["properties"][name]
    assert image_from_meta(meta).signed


def test_an_encryption_key_is_found_wherever_it_lies() -> None:
    """Cinder gives it twice; either place is enough."""
    meta = shown(cinder_encryption_key_id="key")
    assert "key" == image_from_meta(meta).encryption_key_id
    del meta["cinder_encryption_key_id"]
    assert "key" == image_from_meta(meta).encryption_key_id
    meta = {**shown(), "cinder_encryption_key_id": "key"}
    assert "key" == image_from_meta(meta).encryption_key_id


@pytest.mark.parametrize(
    "name", ["owner", "size", "virtual_size", "os_hash_value", "status"]
)
def test_a_property_never_stands_for_a_field(name: str) -> None:
    """Tenants write properties; a field that is missing is an error."""
    meta = shown()
    meta["properties"][name] = meta.pop(name) or "x"
    with pytest.raises(FactError, match=rf"Image\.{name}: .* is missing"):
        image_from_meta(meta)


def test_properties_that_are_missing_are_no_unsigned_image() -> None:
    """A dict that is not Cinder's own may hide a signature or a key."""
    meta = shown()
    del meta["properties"]
    with pytest.raises(FactError, match=r"Image\.properties"):
        image_from_meta(meta)


def test_what_the_caller_knows_is_taken_over() -> None:
    """The dict tells neither who may download nor where locations are."""
    image = image_from_meta(
        shown(),
        (None, []),
        visible=False,
        downloadable=True,
        locations_from=LocationsFrom.UNREADABLE,
    )
    assert (False, True) == (image.visible, image.downloadable)
    assert LocationsFrom.UNREADABLE is image.locations_from


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
        LocationsFrom.IMAGE,
        [],
    ),
    "nothing": ([], {}, (None, []), LocationsFrom.IMAGE, []),
}


@pytest.mark.parametrize("form", FORMS)
def test_each_form_of_a_location_is_read(
    monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    """Cinder's pair is what it says, and tells which interface told it."""
    told, more, expected, told_by, urls = FORMS[form]
    pair = located(monkeypatch, told, more)
    assert expected == pair
    image = image_from_meta(shown(), pair)
    assert told_by is image.locations_from
    assert pair[0] == image.direct_url
    assert urls == [str(found) for found in locations_from_tuple(pair)]


def test_a_pair_of_nothings_shows_no_location() -> None:
    """Cinder's own docstring promises it, and no list is an empty list."""
    assert () == locations_from_tuple((None, None))
    told_by = image_from_meta(shown(), (None, None)).locations_from
    assert LocationsFrom.IMAGE is told_by


def test_no_pair_is_unreadable() -> None:
    """Who could not ask for the locations does not know them."""
    assert () == locations_from_tuple(None)
    told_by = image_from_meta(shown()).locations_from
    assert LocationsFrom.UNREADABLE is told_by


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
    """One error names the field."""
    with pytest.raises(FactError, match=r"Image\.(locations|direct_url)"):
        locations_from_tuple(pair)


def refused(meta: dict[str, Any], otherwise: str) -> str:
    """Name the field for which an image is refused, if it is."""
    try:
        image_from_meta(meta)
    except FactError as error:
        return error.field
    return otherwise


@given(st.sampled_from(sorted({*V2, "properties"})), anything)
def test_a_changed_image_is_a_record_or_an_error(
    name: str, value: object
) -> None:
    """Whatever stands in a field, nothing but FactError comes out."""
    assert name in refused({**META, name: value}, otherwise=name)
    less = {key: kept for key, kept in META.items() if key != name}
    assert name in refused(less, otherwise=name)


@given(anything, anything)
def test_any_image_is_a_record_or_an_error(meta: Any, pair: Any) -> None:
    """Not even what is no dict raises anything else."""
    with pytest.raises(FactError):
        image_from_meta(meta, pair)
    for candidate in (pair, (meta, pair), (None, [{"url": pair}])):
        with contextlib.suppress(FactError):
            locations_from_tuple(candidate)
        with contextlib.suppress(FactError):
            image_from_meta(META, candidate)


class Cloud:
    """A database made by Cinder's own migrations, with one volume."""

    def __init__(self, folder: Path) -> None:
        """Make it, and the volume in it."""
        self.manager = connected(f"sqlite:///{folder}/cinder.sqlite")
        self.engine = self.manager.writer.get_engine()
        migration.db_sync(engine=self.engine)
        with self.patched():
            specs = {
                "volume_backend_name": "ceph",
                "provisioning:min_vol_size": "2",
                "provisioning:max_vol_size": "9",
                "image_service:store_id": "s1",
            }
            kind = volume_types.create(ADMIN, "gold", specs)
            self.type_id = kind["id"]
            self.volume_id = self.create(
                metadata={"image_owner": "bob", "glance_image_id": IMAGE_ID}
            )

    def create(self, **more: Any) -> str:
        """Make a volume."""
        fields = {
            "project_id": "alice",
            "size": 3,
            "status": "uploading",
            "previous_status": "in-use",
            "host": "h@b#p",
            "cluster_name": "c@b#p",
            "migration_status": "starting",
            "multiattach": True,
            "volume_type_id": self.type_id,
            **more,
        }
        volume = objects.Volume(context=ADMIN, **fields)
        volume.create()
        made: str = volume.id
        return made

    @contextlib.contextmanager
    def patched(self) -> Iterator[None]:
        """Let Cinder's database code use it, in place of any other."""
        reset = db.main_context_manager.patch_factory(self.manager)
        try:
            yield
        finally:
            reset()


def connected(url: str) -> Any:
    """Make a manager of transactions of its own."""
    manager = enginefacade.transaction_context()
    manager.configure(connection=url, sqlite_fk=True, max_retries=0)
    return manager


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Cloud:
    """Make one database for all tests here."""
    return Cloud(tmp_path_factory.mktemp("cinder"))


@pytest.fixture
def cloud(migrated: Cloud) -> Iterator[Cloud]:
    """Use it for a test."""
    with migrated.patched():
        yield migrated


def expected_of(cloud: Cloud, created_at: Any) -> Volume:
    """Give the record of the volume as it was made."""
    return Volume(
        id=cloud.volume_id,
        project_id="alice",
        size=3,
        status="uploading",
        previous_status="in-use",
        host=Host("h", "b", "p"),
        cluster_name=Host("c", "b", "p"),
        volume_type=VolumeType(
            id=cloud.type_id,
            name="gold",
            volume_backend_name="ceph",
            min_vol_size=2,
            max_vol_size=9,
            store_id="s1",
        ),
        multiattach=True,
        migration_status="starting",
        created_at=created_at,
        image_owner="bob",
        glance_image_id=IMAGE_ID,
    )


def test_an_object_is_read_with_its_type(cloud: Cloud) -> None:
    """All fields are there when Cinder reads a volume by its id."""
    volume = objects.Volume.get_by_id(ADMIN, cloud.volume_id)
    expected = expected_of(cloud, volume.created_at)
    assert expected == volume_from_object(volume)
    assert expected.created_at is not None


def test_fields_that_are_not_there_yet_are_loaded(cloud: Cloud) -> None:
    """Metadata, type and extra specs come out of the database."""
    read = objects.Volume.get_by_id(ADMIN, cloud.volume_id)
    there = {
        name: read[name]
        for name in read.fields
        if name not in read.OPTIONAL_FIELDS
    }
    volume = objects.Volume(context=ADMIN, **there)
    assert not volume.obj_attr_is_set("metadata")
    assert not volume.obj_attr_is_set("volume_type")
    expected = expected_of(cloud, volume.created_at)
    assert expected == volume_from_object(volume)


def test_a_row_is_read_with_its_type(cloud: Cloud) -> None:
    """The attribute metadata of a row is of SQLAlchemy, and is not read."""
    row = db.volume_get(ADMIN, cloud.volume_id)
    created_at = row.created_at.replace(tzinfo=datetime.UTC)
    assert expected_of(cloud, created_at) == volume_from_model(row)


def test_metadata_of_the_image_is_not_metadata(cloud: Cloud) -> None:
    """What Cinder copies from an image says nothing of the volume."""
    volume_id = cloud.create(metadata={})
    db.volume_glance_metadata_create(ADMIN, volume_id, "image_owner", "eve")
    volume = objects.Volume.get_by_id(ADMIN, volume_id)
    assert volume_from_object(volume).image_owner is None
    row = db.volume_get(ADMIN, volume_id)
    assert volume_from_model(row).image_owner is None


def test_an_empty_owner_names_nobody(cloud: Cloud) -> None:
    """Any user may write one, and stops nobody's volume by it."""
    volume_id = cloud.create(metadata={"image_owner": ""})
    volume = objects.Volume.get_by_id(ADMIN, volume_id)
    assert volume_from_object(volume).image_owner is None
    row = db.volume_get(ADMIN, volume_id)
    assert volume_from_model(row).image_owner is None


def test_deleted_metadata_is_gone(cloud: Cloud) -> None:
    """Cinder deletes rows by a mark."""
    volume_id = cloud.create(metadata={"image_owner": "bob"})
    db.volume_metadata_delete(ADMIN, volume_id, "image_owner")
    row = db.volume_get(ADMIN, volume_id)
    assert volume_from_model(row).image_owner is None


def in_memory(**more: Any) -> Any:
    """Make an object that no database knows."""
    fields = {
        "id": VOLUME_ID,
        "project_id": "alice",
        "size": 3,
        "status": "available",
        "previous_status": None,
        "host": "h@b#p",
        "cluster_name": None,
        "encryption_key_id": None,
        "migration_status": None,
        "created_at": None,
        "multiattach": False,
        "metadata": {},
        "volume_type_id": None,
        "volume_type": None,
        **more,
    }
    return objects.Volume(**fields)


def test_a_volume_may_have_no_type_and_no_answer_to_multiattach() -> None:
    """Both columns could be NULL once."""
    volume = volume_from_object(in_memory(multiattach=None))
    assert volume.volume_type is None
    assert volume.multiattach is False


def test_a_type_that_is_named_must_be_there() -> None:
    """A type that cannot be read may set limits."""
    with pytest.raises(FactError, match=rf"volume_type: .* {TYPE_ID}"):
        volume_from_object(in_memory(volume_type_id=TYPE_ID))


@pytest.mark.parametrize("name", ["created_at", "metadata", "volume_type"])
def test_an_object_lacks_a_field_by_name(name: str) -> None:
    """Without a context Cinder loads nothing, and raises its own."""
    volume = in_memory()
    delattr(volume, f"_obj_{name}")
    with pytest.raises(FactError, match=rf"Volume\.{name}: .* is missing"):
        volume_from_object(volume)


def test_a_volume_that_is_gone_cannot_be_loaded(cloud: Cloud) -> None:
    """Between reading the object and reading its type it may be deleted."""
    assert cloud.volume_id
    volume = in_memory(volume_type_id=TYPE_ID)
    del volume._obj_volume_type
    volume._context = ADMIN
    with pytest.raises(FactError, match=r"Volume\.volume_type: .* loaded"):
        volume_from_object(volume)


def test_a_database_that_is_not_there_is_no_fact(tmp_path: Path) -> None:
    """A retry cures it, and Cinder's own error says so."""
    volume = in_memory()
    del volume._obj_metadata
    volume._context = ADMIN
    gone = connected(f"sqlite:///{tmp_path}/none/cinder.sqlite")
    reset = db.main_context_manager.patch_factory(gone)
    try:
        with pytest.raises(db_exception.DBError):
            volume_from_object(volume)
    finally:
        reset()


def test_a_row_without_its_session_lacks_what_was_not_loaded(
    cloud: Cloud,
) -> None:
    """The relations of a detached row cannot be loaded any more."""
    with cloud.manager.reader.using(ADMIN) as session:
        row = session.get(models.Volume, cloud.volume_id)
        session.expunge(row)
    with pytest.raises(
        FactError, match=r"Volume\.volume_metadata: .* missing"
    ):
        volume_from_model(row)


def test_an_unsaved_row_lacks_its_columns() -> None:
    """A column that was never set is None, which most columns cannot be."""
    with pytest.raises(FactError, match=r"Volume\.\w+: expected"):
        volume_from_model(models.Volume(id=VOLUME_ID))


FIELDS = {
    "id": VOLUME_ID,
    "project_id": "alice",
    "size": 3,
    "status": "available",
    "previous_status": None,
    "host": None,
    "cluster_name": None,
    "encryption_key_id": None,
    "migration_status": None,
    "created_at": UPDATED,
    "multiattach": False,
    "volume_type_id": None,
    "volume_type": SimpleNamespace(id="t", name=None, extra_specs=[]),
    "metadata": {"image_owner": "bob"},
    "volume_metadata": [SimpleNamespace(key="image_owner", value="bob")],
}


@given(st.sampled_from(sorted(FIELDS)), anything)
def test_a_changed_object_or_row_is_a_record_or_an_error(
    name: str, value: object
) -> None:
    """Whatever stands in a field, nothing but FactError comes out."""
    for change in ({name: value}, {name: SimpleNamespace(id=value)}):
        source = SimpleNamespace(**{**FIELDS, **change})
        for read in (volume_from_object, volume_from_model):
            with contextlib.suppress(FactError):
                assert isinstance(read(source), Volume)
    rows = [SimpleNamespace(key=value, value=value)]
    specs = SimpleNamespace(id="t", name=None, extra_specs=rows)
    for field, related in (("volume_metadata", rows), ("volume_type", specs)):
        with contextlib.suppress(FactError):
            volume_from_model(SimpleNamespace(**{**FIELDS, field: related}))


def answer(cloud: Cloud, version: str, *, admin: bool) -> dict[str, Any]:
    """Give what Cinder's API answers, with its three extensions for admins."""
    request = wsgi.Request.blank(
        f"/volumes/{cloud.volume_id}", base_url="http://cinder/v3"
    )
    request.environ["cinder.context"] = context.RequestContext(
        "u", "alice", is_admin=admin
    )
    request.api_version_request = api_version_request.APIVersionRequest(
        version
    )
    volume = objects.Volume.get_by_id(ADMIN, cloud.volume_id)
    request.cache_db_volume(volume)
    body = views.ViewBuilder().detail(request, volume)["volume"]
    if admin:
        host = volume_host_attribute.VolumeHostAttributeController()
        host._add_volume_host_attribute(request, body)
        tenant = volume_tenant_attribute.VolumeTenantAttributeController()
        tenant._add_volume_tenant_attribute(request, body)
        status = (
            volume_mig_status_attribute.VolumeMigStatusAttributeController()
        )
        status._add_volume_mig_status_attribute(request, body)
    found: dict[str, Any] = jsonutils.loads(jsonutils.dumps(body))
    return found


def type_of(cloud: Cloud) -> dict[str, Any]:
    """Give the volume's type as the API shows it to admins."""
    kind = volume_types.get_volume_type(ADMIN, cloud.type_id)
    return {name: kind[name] for name in ("id", "name", "extra_specs")}


def test_an_answer_to_an_admin_is_read(cloud: Cloud) -> None:
    """All but the previous status, which no answer tells."""
    volume = volume_from_api(
        answer(cloud, "3.70", admin=True), volume_type=type_of(cloud)
    )
    read = objects.Volume.get_by_id(ADMIN, cloud.volume_id)
    expected = expected_of(cloud, read.created_at)
    assert expected.previous_status is not None
    assert attrs.evolve(expected, previous_status=None) == volume


def test_an_answer_to_a_user_lacks_a_field_by_name(cloud: Cloud) -> None:
    """What was not told is not guessed."""
    with pytest.raises(
        FactError, match=r"Volume\.os-vol-tenant-attr:tenant_id: .* admins"
    ):
        volume_from_api(
            answer(cloud, "3.70", admin=False), volume_type=type_of(cloud)
        )


def test_an_old_answer_lacks_a_field_by_name(cloud: Cloud) -> None:
    """The cluster is told from 3.61 on."""
    with pytest.raises(FactError, match=r"Volume\.cluster_name: .* 3\.64"):
        volume_from_api(
            answer(cloud, "3.60", admin=True), volume_type=type_of(cloud)
        )


def test_an_encrypted_volume_needs_its_key() -> None:
    """Before 3.64 the API says that there is one, and not which."""
    body = {**BODY, "encrypted": True}
    with pytest.raises(FactError, match=r"Volume\.encryption_key_id"):
        volume_from_api(body, volume_type=GOLD)
    body["encryption_key_id"] = "key"
    volume = volume_from_api(body, volume_type=GOLD)
    assert "key" == volume.encryption_key_id
    with pytest.raises(FactError, match=r"Volume\.encrypted"):
        volume_from_api({**body, "encrypted": False}, volume_type=GOLD)


def test_a_type_of_which_only_the_name_is_told_is_asked_for() -> None:
    """Extra specs set limits and name stores; a name sets none."""
    with pytest.raises(FactError, match="volume_type: expected the type 'go"):
        volume_from_api(BODY)
    for other in ({"name": "silver"}, {"id": VOLUME_ID}):
        with pytest.raises(FactError, match="the volume's own type"):
            volume_from_api(BODY, volume_type={**GOLD, **other})
    with pytest.raises(FactError, match=r"VolumeType\.extra_specs"):
        volume_from_api(BODY, volume_type={"id": TYPE_ID, "name": "gold"})
    untyped = {**BODY, "volume_type": None, "volume_type_id": None}
    assert volume_from_api(untyped).volume_type is None


@given(st.sampled_from(sorted(BODY)), anything)
def test_a_changed_answer_is_a_record_or_an_error(
    name: str, value: object
) -> None:
    """Whatever stands in a field, nothing but FactError comes out."""
    with contextlib.suppress(FactError):
        volume_from_api({**BODY, name: value}, volume_type=GOLD)
    with contextlib.suppress(FactError):
        volume_from_api(BODY, volume_type={**GOLD, "extra_specs": value})
    less = {key: kept for key, kept in BODY.items() if key != name}
    if name != "volume_type_id":
        with pytest.raises(FactError, match=name):
            volume_from_api(less, volume_type=GOLD)


@given(anything, anything)
def test_any_answer_is_a_record_or_an_error(body: Any, kind: Any) -> None:
    """Not even what is no dict raises anything else."""
    with pytest.raises(FactError):
        volume_from_api(body)
    with pytest.raises(FactError):
        volume_from_api(BODY, volume_type=kind)


def test_what_a_tenant_writes_of_the_size_is_not_read() -> None:
    """The size is the volume's own."""
    body = {**BODY, "metadata": {"image_size": "1"}}
    assert 3 == volume_from_api(body, volume_type=GOLD).size
    volume = in_memory(metadata={"image_size": "1"})
    assert 3 == volume_from_object(volume).size
