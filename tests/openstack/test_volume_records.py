# ruff: noqa: E402 - modules of Cinder are imported only if it is there
"""Cinder's volume objects and rows become records, or errors."""

from __future__ import annotations

import contextlib
import datetime
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("cinder", reason="needs Cinder: nox -s openstack")
# other modules of Cinder name its classes when they are imported
pytest.importorskip("cinder.objects").register_all()

from any_value import anything
from cinder import objects
from cinder.db import api as db
from cinder_database import (
    ADMIN,
    TYPE_ID,
    VOLUME_ID,
    MigratedDatabase,
    connected,
    database,
    expected_of,
    in_memory,
    migrated,
)
from installed import db as tables
from installed import models
from oslo_db import exception as db_exception

from clonepolicy import FactError, Volume
from clonepolicy.adapters.cinder import volume_from_model, volume_from_object

__all__ = ["database", "migrated"]

UPDATED = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
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
    "volume_type": SimpleNamespace(
        id="t", name=None, extra_specs=[], qos_specs_id=None
    ),
    "metadata": {"image_owner": "bob"},
    "volume_metadata": [SimpleNamespace(key="image_owner", value="bob")],
}


def test_an_object_is_read_with_its_type(database: MigratedDatabase) -> None:
    """Cinder loads all fields when it reads a volume by its id."""
    volume = objects.Volume.get_by_id(ADMIN, database.volume_id)
    expected = expected_of(database, volume.created_at)
    assert expected == volume_from_object(volume)
    assert expected.created_at is not None


def test_lazy_fields_are_loaded(database: MigratedDatabase) -> None:
    """Metadata, type and extra specs are read from the database."""
    read = objects.Volume.get_by_id(ADMIN, database.volume_id)
    there = {
        name: read[name]
        for name in read.fields
        if name not in read.OPTIONAL_FIELDS
    }
    volume = objects.Volume(context=ADMIN, **there)
    assert not volume.obj_attr_is_set("metadata")
    assert not volume.obj_attr_is_set("volume_type")
    expected = expected_of(database, volume.created_at)
    assert expected == volume_from_object(volume)


def test_a_row_is_read_with_its_type(database: MigratedDatabase) -> None:
    """A row's attribute ``metadata`` is SQLAlchemy's, and is not read."""
    row = db.volume_get(ADMIN, database.volume_id)
    created_at = row.created_at.replace(tzinfo=datetime.UTC)
    assert expected_of(database, created_at) == volume_from_model(row)


def test_image_metadata_is_no_volume_metadata(
    database: MigratedDatabase,
) -> None:
    """Cinder copies it from an image."""
    volume_id = database.create(metadata={})
    db.volume_glance_metadata_create(ADMIN, volume_id, "image_owner", "eve")
    volume = objects.Volume.get_by_id(ADMIN, volume_id)
    assert volume_from_object(volume).image_owner is None
    row = db.volume_get(ADMIN, volume_id)
    assert volume_from_model(row).image_owner is None


def test_an_empty_owner_names_nobody(database: MigratedDatabase) -> None:
    """Any user may write an empty value."""
    volume_id = database.create(metadata={"image_owner": ""})
    volume = objects.Volume.get_by_id(ADMIN, volume_id)
    assert volume_from_object(volume).image_owner is None
    row = db.volume_get(ADMIN, volume_id)
    assert volume_from_model(row).image_owner is None


def test_deleted_metadata_is_not_read(database: MigratedDatabase) -> None:
    """Cinder only marks a row as deleted."""
    volume_id = database.create(metadata={"image_owner": "bob"})
    db.volume_metadata_delete(ADMIN, volume_id, "image_owner")
    row = db.volume_get(ADMIN, volume_id)
    assert volume_from_model(row).image_owner is None


def test_a_volume_may_have_no_type_and_no_multiattach() -> None:
    """Both columns can be NULL in old rows."""
    volume = volume_from_object(in_memory(multiattach=None))
    assert volume.volume_type is None
    assert volume.multiattach is False


def test_a_type_that_cannot_be_read_is_an_error() -> None:
    """It may set limits."""
    with pytest.raises(FactError, match=rf"volume_type: .* {TYPE_ID}"):
        volume_from_object(in_memory(volume_type_id=TYPE_ID))


@pytest.mark.parametrize("name", ["created_at", "metadata", "volume_type"])
def test_a_field_that_cannot_be_loaded_is_named(name: str) -> None:
    """Without a context Cinder loads nothing, and raises its own error."""
    volume = in_memory()
    delattr(volume, f"_obj_{name}")
    with pytest.raises(FactError, match=rf"Volume\.{name}: .* is missing"):
        volume_from_object(volume)


def test_a_deleted_volume_cannot_be_loaded(database: MigratedDatabase) -> None:
    """It may be deleted after the object was read."""
    assert database.volume_id
    volume = in_memory(volume_type_id=TYPE_ID)
    del volume._obj_volume_type
    volume._context = ADMIN
    with pytest.raises(FactError, match=r"Volume\.volume_type: .* loaded"):
        volume_from_object(volume)


def test_a_database_error_is_raised_unchanged(tmp_path: Path) -> None:
    """Another attempt may succeed."""
    volume = in_memory()
    del volume._obj_metadata
    volume._context = ADMIN
    gone = connected(f"sqlite:///{tmp_path}/none/cinder.sqlite")
    reset = tables.main_context_manager.patch_factory(gone)
    try:
        with pytest.raises(db_exception.DBError):
            volume_from_object(volume)
    finally:
        reset()


def test_a_detached_row_lacks_its_unloaded_relations(
    database: MigratedDatabase,
) -> None:
    """They cannot be loaded any more."""
    with database.manager.reader.using(ADMIN) as session:
        row = session.get(models.Volume, database.volume_id)
        session.expunge(row)
    with pytest.raises(
        FactError, match=r"Volume\.volume_metadata: .* missing"
    ):
        volume_from_model(row)


def test_an_unsaved_row_lacks_its_columns() -> None:
    """A column that was never set is None, which most columns cannot be."""
    with pytest.raises(FactError, match=r"Volume\.\w+: expected"):
        volume_from_model(models.Volume(id=VOLUME_ID))


@given(st.sampled_from(sorted(FIELDS)), anything)
def test_a_changed_object_or_row_is_a_record_or_an_error(
    name: str, value: object
) -> None:
    """Any value in a field raises nothing but FactError."""
    for change in ({name: value}, {name: SimpleNamespace(id=value)}):
        source = SimpleNamespace(**{**FIELDS, **change})
        for read in (volume_from_object, volume_from_model):
            with contextlib.suppress(FactError):
                assert isinstance(read(source), Volume)
    rows = [SimpleNamespace(key=value, value=value)]
    specs = SimpleNamespace(
        id="t", name=None, extra_specs=rows, qos_specs_id=None
    )
    for field, related in (("volume_metadata", rows), ("volume_type", specs)):
        with contextlib.suppress(FactError):
            volume_from_model(SimpleNamespace(**{**FIELDS, field: related}))
