"""Cinder's database with the facts of one request in it."""

from __future__ import annotations

import datetime
import uuid
from typing import Any

from cinder.volume import volume_types
from installed import db, models

from clonepolicy import CreateRequest, Host, Quota, Volume, VolumeType

UNLIMITED = -1
EMPTIED = (
    models.Encryption,
    models.ImageVolumeCacheEntry,
    models.Message,
    models.QuotaUsage,
    models.Quota,
    models.Reservation,
    models.VolumeAdminMetadata,
    models.VolumeGlanceMetadata,
    models.VolumeMetadata,
    models.Volume,
    models.VolumeTypeExtraSpecs,
)
NEVER = datetime.datetime.fromtimestamp(0, datetime.UTC)


class CinderDatabase:
    """The tables that a request writes its facts into."""

    def __init__(self) -> None:
        """Connect to the database that is in use."""
        self.connection = db.get_engine().connect()
        self.known: set[str] = set()
        default = volume_types.get_default_volume_type()
        self.default_type = str(default["id"])
        self.default_name = str(default["name"])

    def empty(self) -> None:
        """Delete all rows but the default volume type."""
        for model in EMPTIED:
            self.execute(model.__table__.delete())
        kinds = models.VolumeType.__table__
        self.execute(kinds.delete().where(kinds.c.id != self.default_type))
        self.known.clear()

    def commit(self) -> None:
        """Commit; SQLAlchemy before 2.0 has done so after each statement."""
        if hasattr(self.connection, "commit"):
            self.connection.commit()

    def execute(self, statement: Any) -> Any:
        """Execute a statement."""
        return self.connection.execute(statement)

    def insert(self, model: Any, **values: object) -> None:
        """Insert a row."""
        self.execute(model.__table__.insert().values(deleted=False, **values))

    def put_type(self, kind: VolumeType | None) -> str:
        """Insert a volume type once; return its id."""
        if kind is None:
            return self.default_type
        # Cinder takes an id that is no UUID for a name
        type_id = str(uuid.uuid5(uuid.NAMESPACE_OID, kind.id))
        if type_id in self.known:
            return type_id
        self.known.add(type_id)
        name = kind.name or kind.id
        self.insert(models.VolumeType, id=type_id, name=name, is_public=True)
        specs: dict[str, object] = {
            "provisioning:min_vol_size": kind.min_vol_size,
            "provisioning:max_vol_size": kind.max_vol_size,
            "volume_backend_name": kind.volume_backend_name,
            "image_service:store_id": kind.store_id,
        }
        for spec in sorted(kind.extra_specs or ()):
            key, _, text = spec.partition("=")
            specs[key] = text
        for key, value in specs.items():
            if value is not None:
                self.put_extra_spec(type_id, key, str(value))
        return type_id

    def put_extra_spec(self, type_id: str, key: str, value: str) -> None:
        """Insert an extra spec of a volume type."""
        self.insert(
            models.VolumeTypeExtraSpecs,
            volume_type_id=type_id,
            key=key,
            value=value,
        )

    def put_volume(self, volume: Volume) -> None:
        """Insert a volume once, with its type and its metadata."""
        if volume.id in self.known:
            return
        self.known.add(volume.id)
        self.insert(
            models.Volume,
            id=volume.id,
            project_id=volume.project_id,
            user_id="user",
            size=volume.size,
            status=volume.status,
            previous_status=volume.previous_status,
            attach_status="detached",
            host=_text(volume.host),
            cluster_name=_text(volume.cluster_name),
            encryption_key_id=volume.encryption_key_id,
            volume_type_id=self.put_type(volume.volume_type),
            multiattach=volume.multiattach,
            migration_status=volume.migration_status,
            created_at=_naive(volume.created_at),
            use_quota=True,
            bootable=False,
            replication_status="not-capable",
        )
        for key, value in (
            ("image_owner", volume.image_owner),
            ("glance_image_id", volume.glance_image_id),
        ):
            if value is not None:
                self.insert(
                    models.VolumeMetadata,
                    volume_id=volume.id,
                    key=key,
                    value=value,
                )

    def put_quota(
        self, project_id: str, quota: Quota, kind: VolumeType | None
    ) -> None:
        """Insert the quota of a project, of which nothing is used."""
        name = self.default_name if kind is None else kind.name or kind.id
        limits = {
            "volumes": quota.volumes,
            "gigabytes": quota.gigabytes,
            "per_volume_gigabytes": quota.per_volume_gigabytes,
            f"volumes_{name}": quota.type_volumes,
            f"gigabytes_{name}": quota.type_gigabytes,
        }
        for resource, left in limits.items():
            self.insert(
                models.Quota,
                project_id=project_id,
                resource=resource,
                hard_limit=UNLIMITED if left is None else left,
            )
        for resource in ("volumes", "gigabytes"):
            self.insert(
                models.QuotaUsage,
                project_id=project_id,
                resource=resource,
                in_use=0,
                reserved=0,
            )

    def put_cache_entries(self, request: CreateRequest) -> None:
        """Insert the entries of the image-volume cache."""
        for at, entry in enumerate(request.cache_entries):
            source = request.volume if entry.source is None else entry.source
            missing = f"00000000-0000-4000-8000-{at:012}"
            self.execute(
                models.ImageVolumeCacheEntry.__table__.insert().values(
                    host=_text(source.host) or "",
                    cluster_name=_text(source.cluster_name),
                    image_id=entry.image_id,
                    image_updated_at=_naive(entry.image_updated_at),
                    volume_id=missing if entry.source is None else source.id,
                    size=source.size,
                    last_used=_naive(entry.last_used or NEVER),
                )
            )


def _naive(moment: datetime.datetime | None) -> datetime.datetime | None:
    if moment is None:
        return None
    return moment.astimezone(datetime.UTC).replace(tzinfo=None)


def _text(host: Host | None) -> str | None:
    return None if host is None else str(host)
