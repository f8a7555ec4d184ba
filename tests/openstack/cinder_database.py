"""A database of Cinder with one volume."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cinder import context, objects
from oslo_db.sqlalchemy import enginefacade

objects.register_all()  # the modules below name its classes

from cinder.db import migration  # noqa: E402 - the same
from cinder.volume import volume_types  # noqa: E402 - the same
from installed import db as tables  # noqa: E402 - the same

from clonepolicy import Host, Volume, VolumeType  # noqa: E402 - the same

IMAGE_ID = "0e5b8f3a-0000-4000-8000-000000000001"
VOLUME_ID = "0e5b8f3a-0000-4000-8000-000000000002"
TYPE_ID = "0e5b8f3a-0000-4000-8000-000000000003"
ADMIN = context.RequestContext("u", "p", is_admin=True, auth_token="t")  # noqa: S106 - no secret


class MigratedDatabase:
    """A database made by Cinder's own migrations, with one volume."""

    def __init__(self, folder: Path) -> None:
        """Create the database and the volume."""
        self.manager = connected(f"sqlite:///{folder}/cinder.sqlite")
        self.engine = self.manager.writer.get_engine()
        migration.db_sync(engine=self.engine)
        with self.patched():
            specs = {
                "volume_backend_name": "ceph",
                "provisioning:min_vol_size": "2",
                "provisioning:max_vol_size": "9",
                "image_service:store_id": "s1",
                "replication_enabled": "<is> True",
            }
            kind = volume_types.create(ADMIN, "gold", specs)
            self.type_id = kind["id"]
            self.volume_id = self.create(
                metadata={"image_owner": "bob", "glance_image_id": IMAGE_ID}
            )

    def create(self, **more: Any) -> str:
        """Create a volume; return its id."""
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
        """Make Cinder's database code use this database."""
        reset = tables.main_context_manager.patch_factory(self.manager)
        try:
            yield
        finally:
            reset()


def connected(url: str) -> Any:
    """Return a transaction manager for a database."""
    manager = enginefacade.transaction_context()
    manager.configure(connection=url, sqlite_fk=True, max_retries=0)
    return manager


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> MigratedDatabase:
    """Make one database for all tests of a module."""
    return MigratedDatabase(tmp_path_factory.mktemp("cinder"))


@pytest.fixture
def database(migrated: MigratedDatabase) -> Iterator[MigratedDatabase]:
    """Use that database in a test."""
    with migrated.patched():
        yield migrated


def expected_of(database: MigratedDatabase, created_at: Any) -> Volume:
    """Return the record of the volume that was created."""
    return Volume(
        id=database.volume_id,
        project_id="alice",
        size=3,
        status="uploading",
        previous_status="in-use",
        host=Host("h", "b", "p"),
        cluster_name=Host("c", "b", "p"),
        volume_type=VolumeType(
            id=database.type_id,
            name="gold",
            volume_backend_name="ceph",
            min_vol_size=2,
            max_vol_size=9,
            store_id="s1",
            extra_specs=frozenset({"replication_enabled=<is> True"}),
        ),
        multiattach=True,
        migration_status="starting",
        created_at=created_at,
        image_owner="bob",
        glance_image_id=IMAGE_ID,
    )


def in_memory(**more: Any) -> Any:
    """Make an object that is in no database."""
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
