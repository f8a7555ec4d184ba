"""The kit's checks of services, run against a real Glance and Cinder."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

import attrs
import pytest

pytest.importorskip("cinder", reason="run by nox -s openstack")
pytest.importorskip("glance", reason="run by nox -s openstack")

from cinder import context, objects
from cinder.db import api as db
from cinder_cloud import HOST, USER, database, empty_database
from fake_image_service import TENANT
from glance_server import Glance, cinder, glance, open_glance

from clonepolicy import (
    CinderLocation,
    FileLocation,
    Location,
    Quota,
    Volume,
    parse_location,
)
from clonepolicy.adapters.cinder import CinderVolumes
from clonepolicy.adapters.glance import GlanceImages, Patience
from clonepolicy.testing.conformance import (
    IMAGES,
    VOLUMES,
    ImageHarness,
    Level,
    LocationHarness,
    Status,
    VolumeHarness,
    run,
)

__all__ = ["cinder", "database", "glance", "open_glance"]

PATIENCE = Patience(first=0.02, longest=0.2, total=5, grace=0.3)
SERVICE = ("service", "admin", "member", "reader")
UNLIMITED = -1
ARRAY = "array-1"
LOCATIONS_API = int(version("glance").partition(".")[0]) > 28
"""Whether this Glance has it."""


# -- Glance -----------------------------------------------------------------


def privileged(of: Glance) -> GlanceImages:
    """Act for alice, with a service user that has both roles."""
    return GlanceImages(
        of.client("alice"),
        service_client=of.client("services", *SERVICE),
        service_roles=frozenset({"service", "admin"}),
        patience=PATIENCE,
    )


def plain(of: Glance) -> GlanceImages:
    """Act for alice with her own credentials only."""
    return GlanceImages(
        of.client("alice"), show_multiple_locations=True, patience=PATIENCE
    )


def image_harness(
    of: Glance, images: GlanceImages, *, opened: bool
) -> ImageHarness:
    """Make the harness of a running Glance, inspected by its admin."""
    admin = of.client("services", *SERVICE)

    def queue(project: str = "alice") -> str:
        made = of.client(project).images.create(
            name="image",
            disk_format="raw",
            container_format="bare",
            visibility="private",
        )
        return str(made.id)

    def fill(data: bytes, project: str = "alice") -> str:
        image_id = queue(project)
        of.client(project).images.upload(image_id, io.BytesIO(data))
        return image_id

    def locations(image_id: str) -> tuple[Location, ...]:
        image = f"/v2/images/{image_id}"
        if LOCATIONS_API:
            body = admin.http_client.get(f"{image}/locations")[1]
        else:
            body = admin.http_client.get(image)[1]["locations"]
        return tuple(parse_location(shown["url"]) for shown in body)

    def corrupt(image_id: str) -> None:
        (location,) = locations(image_id)
        assert isinstance(location, FileLocation)
        Path(location.path).write_bytes(b"other one")

    def add_volume() -> CinderLocation:
        return CinderLocation(of.cinder.add_volume())

    def has_volume(location: CinderLocation) -> bool:
        return location.volume_id not in of.cinder.deleted

    def add_image() -> str:
        image_id = queue()
        for _ in range(2):
            url = str(add_volume())
            of.client("alice").images.add_location(image_id, url, {})
        return image_id

    return ImageHarness(
        images=images,
        queued=queue,
        active=fill,
        unseen=lambda: fill(b"bob's data", "bob"),
        statuses=lambda: {
            image["id"]: image["status"]
            for image in admin.images.list(filters={"visibility": "all"})
        },
        data_of=lambda image_id: b"".join(admin.images.data(image_id)),
        corrupt=corrupt,
        locations=LocationHarness(
            add_volume=add_volume,
            has_volume=has_volume,
            locations_of=locations,
            add_image=add_image if opened else None,
        ),
    )


@pytest.mark.parametrize(
    ("name", "act_for"),
    [
        ("glance", privileged),
        ("open_glance", privileged),
        ("open_glance", plain),
    ],
)
def test_a_real_glance_is_certified(
    request: pytest.FixtureRequest,
    name: str,
    act_for: Callable[[Glance], GlanceImages],
) -> None:
    """By either API; only checks that read volumes are skipped."""
    if act_for is privileged and not LOCATIONS_API:
        pytest.skip("this Glance has no locations API")
    of: Glance = request.getfixturevalue(name)
    opened = name == "open_glance"
    report = run(IMAGES, image_harness(of, act_for(of), opened=opened))
    assert {} == report.details(Status.FAIL)
    assert (None, Level.CLONES) == (report.problem, report.declared)
    several = set() if opened else {"returns-locations-in-order"}
    assert {
        "downloads-the-data-of-a-registered-volume",
        *several,
    } == report.details(Status.SKIP).keys()


# -- Cinder -----------------------------------------------------------------


@pytest.fixture
def volumes(database: Path) -> Iterator[CinderVolumes]:
    """Return the volumes of a real Cinder, as a tenant's request sees them."""
    assert database.is_dir()
    request = context.RequestContext(
        user_id=USER, project_id=TENANT, is_admin=False
    )
    yield CinderVolumes(
        context=request,
        array_ids={"node@array": ARRAY},
        image_id="an-image",
    )
    empty_database()


def volume_harness(volumes: CinderVolumes) -> VolumeHarness:
    """Make the harness of a Cinder, inspected in its database."""
    admin = context.get_admin_context()
    kind = db.volume_type_get_by_name(admin, "__DEFAULT__")["id"]

    def new_volume(size: int, status: str, previous: str | None) -> Volume:
        made = objects.Volume(
            context=admin,
            project_id=TENANT,
            user_id=USER,
            size=size,
            status=status,
            previous_status=previous,
            host=HOST,
            volume_type_id=kind,
        )
        made.create()
        if previous == "in-use":
            db.volume_attach(
                admin, {"volume_id": made.id, "attach_status": "attached"}
            )
        return volumes.get_volume(made.id)

    def is_readonly(volume_id: str) -> bool:
        found = db.volume_admin_metadata_get(admin, volume_id)
        return bool(found.get("readonly") == "True")

    def cache(image_id: str, volume_id: str) -> None:
        db.image_volume_cache_create(
            admin, HOST, None, image_id, None, volume_id, 1
        )

    def set_quota(project_id: str, quota: Quota) -> None:
        db.quota_destroy_by_project(admin, project_id)
        for name, limit in attrs.asdict(quota).items():
            db.quota_create(
                admin, project_id, name, UNLIMITED if limit is None else limit
            )

    return VolumeHarness(
        volumes=volumes,
        new_volume=new_volume,
        statuses=lambda: {
            volume.id: volume.status
            for volume in objects.VolumeList.get_all(admin)
        },
        is_readonly=is_readonly,
        array_id=ARRAY,
        cache=cache,
        set_quota=set_quota,
    )


def test_a_real_cinder_is_certified(volumes: CinderVolumes) -> None:
    """Only the check for data is skipped: Cinder's driver has the data."""
    report = run(VOLUMES, volume_harness(volumes))
    assert {} == report.details(Status.FAIL)
    assert (None, Level.CLONES) == (report.problem, report.declared)
    assert {"refuses-to-delete-a-volume-with-data"} == report.details(
        Status.SKIP
    ).keys()
