"""The image volumes of the drop-in compared with those of Cinder's own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

pytest.importorskip("cinder", reason="needs Cinder: nox -s openstack")

import cinder_cloud
import sqlalchemy
from cinder.db import api as db
from cinder.db import models
from cinder.volume import manager
from cinder_cloud import CinderCloud, Start
from fake_image_service import TENANT

start, database = cinder_cloud.start, cinder_cloud.database

ITS_OWN = {
    "id": "each volume has its own",
    "display_name": "it has the id of the image",
    "created_at": "a moment",
    "updated_at": "a moment",
    "launched_at": "a moment",
}
"""The columns that differ between any two image volumes."""
NOT_COPIED = {
    "display_description": "a tenant wrote it",
    "previous_status": "that of the source says nothing of the clone",
    "provider_id": "the driver writes that of the clone",
    "provider_auth": "the driver writes that of the clone; it is a secret",
    "provider_geometry": "the driver writes that of the clone",
    "replication_status": "the driver writes that of the clone",
    "replication_driver_data": "the driver writes that of the clone",
}
"""The columns that Cinder copies from the source, and the drop-in does not."""
SOURCE = {
    "size": 2,
    "display_name": "a tenant's",
    "display_description": "a tenant's",
    "metadata": {"image_size": "1", "image_owner": "other"},
    "bootable": True,
    "availability_zone": "zone",
    "provider_id": "provider",
    "provider_auth": "CHAP user password",
    "provider_geometry": "512",
    "replication_status": "disabled",
    "replication_driver_data": "driver's",
    "multiattach": True,
}


def row(cloud: CinderCloud, volume_id: str) -> Mapping[str, Any]:
    """Read all columns of a volume's row."""
    table = models.Volume.__table__
    admin = cloud.context.elevated()
    with db.main_context_manager.reader.using(admin):
        found = admin.session.execute(
            sqlalchemy.select(table).where(table.c.id == volume_id)
        )
        return dict(found.mappings().one())


def uploaded(cloud: CinderCloud, source: Any) -> tuple[str, Any]:
    """Upload a volume; return the image and the image volume."""
    before = cloud.volume_ids()
    image = cloud.upload(cloud.read(source.id))
    (made,) = cloud.volume_ids() - before
    return image, cloud.read(made)


@pytest.mark.parametrize("tenant", [True, False], ids=["internal", "own"])
def test_an_image_volume_is_like_cinders(
    start: Start,
    monkeypatch: pytest.MonkeyPatch,
    tenant: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """Each column is Cinder's, but for those that are listed here."""
    option = "backend_defaults.image_upload_use_internal_tenant"
    stock = start(kind=manager.VolumeManager, options={option: tenant})
    source = stock.add_volume(**SOURCE)
    with monkeypatch.context() as patch:
        patch.setattr(stock.images, "add_location", lambda *_: True)
        image, volume = uploaded(stock, source)
    ours = start(options={option: tenant})
    ours.driver.held = stock.driver.held
    our_image, our_volume = uploaded(ours, source)
    theirs, made = row(stock, volume.id), row(ours, our_volume.id)
    assert theirs["display_name"] == f"image-{image}"
    assert made["display_name"] == f"image-{our_image}"
    differing = {name for name in theirs if theirs[name] != made[name]}
    assert differing == {*ITS_OWN, *NOT_COPIED}
    assert {name: made[name] for name in NOT_COPIED} == dict.fromkeys(
        NOT_COPIED
    )
    assert volume.metadata == {"image_size": "1", **named(image)}
    assert our_volume.metadata == named(our_image)
    assert volume.admin_metadata == our_volume.admin_metadata
    assert volume.glance_metadata == our_volume.glance_metadata


def named(image: str) -> dict[str, str]:
    """Return the metadata that both write; Cinder copies all other, too."""
    return {"image_owner": TENANT, "glance_image_id": image}
