"""What the policy of this Cinder does not model: each difference exists."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import attrs
import pytest

from clonepolicy import (
    ArrayImage,
    CreateRequest,
    FileLocation,
    Host,
    ImageVolume,
    LocationsFrom,
    Quota,
    Route,
    decide,
    parse_location,
)
from clonepolicy.ports import Missing, StoredImage
from clonepolicy.scenarios import (
    ARRAY,
    CLONEABLE,
    IMAGE_ID,
    NOW,
    OTHER_ID,
    REGISTERABLE,
    SOURCE_ID,
    THEN,
    with_facts,
)

pytest.importorskip("cinder", reason="run nox -s openstack")

import glanceclient.exc
import sqlalchemy
from cinder import exception
from cinder.api.schemas import volume_actions as schema
from cinder.api.validation import validators
from cinder_limits import LIMITS, explained
from installed import MAJOR, POLICY, models
from installed import db as db_api
from observed import expected
from oslo_db import exception as db_exception
from real_cinder import RealCinder, real_cinder

__all__ = ["real_cinder"]

DOCS = Path(__file__).parents[2] / "docs" / "explanation" / "stock-cinder.md"


def shown(request: CreateRequest) -> CreateRequest:
    """Have the image show its locations, which every release reads."""
    located: tuple[ArrayImage | ImageVolume, ...]
    located = (*request.array_images, *request.image_volumes)
    shows = {
        "image.locations_from": LocationsFrom.IMAGE,
        "image.direct_url": str(located[0].location),
    }
    return with_facts(request, shows)


STORED = shown(CLONEABLE[Route.ARRAY_IMAGE])
BACKED = shown(CLONEABLE[Route.IMAGE_VOLUME])
CACHED = CLONEABLE[Route.CACHE_ENTRY]
DOWNLOADED = attrs.evolve(CACHED, cache_entries=())


def stored(*locations: str) -> CreateRequest:
    """Return a request for an image that is stored at these locations."""
    images = tuple(
        ArrayImage(
            location=parse_location(location), source=StoredImage(size=1)
        )
        for location in locations
    )
    return shown(attrs.evolve(STORED, array_images=images))


@pytest.mark.parametrize("words", LIMITS)
def test_the_documentation_lists_each_limit(words: str) -> None:
    """A difference is explained only by a listed limit."""
    _, _, section = DOCS.read_text().partition("## What they do not model")
    assert f"- **{words}" in section


def test_cinder_clones_the_first_rbd_location_of_the_list(
    real_cinder: RealCinder,
) -> None:
    """POLICY clones the first by URL."""
    request = stored(f"rbd://{ARRAY}/p/b/snap", f"rbd://{ARRAY}/p/a/snap")
    assert "p/b@snap" == real_cinder.run_create(request).source
    assert "p/a@snap" == expected(request).source
    assert ["rbd_order"] == explained(request)


@pytest.mark.skipif(MAJOR > 27, reason="Cinder 28 sorts image volumes")
def test_until_27_no_query_sorts_image_volumes(
    real_cinder: RealCinder,
) -> None:
    """Their age changes what the policy clones, and not what Cinder does."""
    (backing,) = BACKED.image_volumes
    assert backing.source is not None
    requests = [
        attrs.evolve(
            BACKED,
            image_volumes=tuple(
                attrs.evolve(
                    backing,
                    location=parse_location(f"cinder://{volume_id}"),
                    source=attrs.evolve(
                        backing.source, id=volume_id, created_at=created
                    ),
                )
                for volume_id, created in zip(
                    (SOURCE_ID, OTHER_ID), moments, strict=True
                )
            ),
        )
        for moments in ((THEN, NOW), (NOW, THEN))
    ]
    seen = {real_cinder.run_create(request).source for request in requests}
    assert 1 == len(seen)
    assert {SOURCE_ID, OTHER_ID} == {expected(r).source for r in requests}
    assert all(["database_order"] == explained(r) for r in requests)


def test_cinder_fails_if_its_database_cannot_read_the_cache(
    real_cinder: RealCinder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """POLICY only closes the route of the cache."""

    def fail(*_args: object, **_more: object) -> None:
        raise db_exception.DBError

    monkeypatch.setattr(
        db_api, "image_volume_cache_get_and_update_last_used", fail
    )
    request = attrs.evolve(DOWNLOADED, cache_missing=Missing.UNAVAILABLE)
    assert "refuse" == real_cinder.run_create(request).verdict
    assert "download" == expected(request).verdict
    assert ["unanswered"] == explained(request)


def test_cinder_clones_an_rbd_url_that_is_not_canonical(
    real_cinder: RealCinder,
) -> None:
    """It decodes the URL before it looks for the image."""
    request = stored(f"rbd://{ARRAY}/p/%61/snap")
    assert "p/a@snap" == real_cinder.run_create(request).source
    assert "download" == decide(request, POLICY).verdict
    assert ["rbd_spelling"] == explained(request)


@pytest.mark.parametrize(
    ("stale", "seen"), [(1, "clone"), (2, "download")], ids=["one", "two"]
)
def test_two_stale_cache_entries_hide_a_fresh_one(
    real_cinder: RealCinder, stale: int, seen: str
) -> None:
    """Cinder evicts one entry, and looks at one more."""
    (fresh,) = CACHED.cache_entries
    assert fresh.source is not None
    evicted = tuple(
        attrs.evolve(
            fresh,
            image_updated_at=NOW,
            last_used=THEN + datetime.timedelta(days=at),
            source=attrs.evolve(fresh.source, id=f"{OTHER_ID[:-1]}{at}"),
        )
        for at in range(5, 5 + stale)
    )
    request = attrs.evolve(CACHED, cache_entries=(fresh, *evicted))
    assert seen == real_cinder.run_create(request).verdict
    assert "clone" == decide(request, POLICY).verdict
    assert (["cache_order"] if stale == 2 else []) == explained(request)


def test_a_stale_cache_entry_that_cannot_be_evicted_fails_the_create(
    real_cinder: RealCinder,
) -> None:
    """Its volume is in use, and Cinder deletes it first."""
    request = with_facts(
        CACHED,
        {"candidate.image_updated_at": NOW, "source.status": "in-use"},
    )
    assert "InvalidVolume" == real_cinder.run_create(request).error
    assert "download" == decide(request, POLICY).verdict
    assert ["eviction"] == explained(request)


def test_a_download_fills_the_cache(real_cinder: RealCinder) -> None:
    """Cinder is asked to add an entry."""
    assert "download" == real_cinder.run_create(DOWNLOADED).verdict
    assert real_cinder.filler._create_image_cache_volume_entry.called


def test_an_unknown_time_fails_the_create(
    real_cinder: RealCinder,
) -> None:
    """Cinder compares times, and does not expect None."""
    request = with_facts(CACHED, {"candidate.image_updated_at": None})
    assert "AttributeError" == real_cinder.run_create(request).error
    assert "download" == decide(request, POLICY).verdict
    assert ["unknown_moment"] == explained(request)


def test_an_image_in_a_file_is_not_cloned_by_the_rbd_driver(
    real_cinder: RealCinder,
) -> None:
    """Of the drivers with their own clone, only RBD's is compared."""
    request = stored(f"file:///images/{IMAGE_ID}")
    assert "download" == real_cinder.run_create(request).verdict
    assert "clone" == decide(request, POLICY).verdict
    assert ["file_drivers"] == explained(request)


def test_a_driver_that_finds_images_is_not_compared(
    real_cinder: RealCinder,
) -> None:
    """The RBD driver is asked about the same facts, and clones."""
    request = with_facts(STORED, {"backend.finds_images": True})
    assert real_cinder.run_create(request).verdict == "clone"
    assert decide(request, POLICY).verdict == "download"
    assert ["finding_drivers"] == explained(request)


def test_a_local_file_is_read_although_the_download_is_forbidden(
    real_cinder: RealCinder, tmp_path: Path
) -> None:
    """With file among the schemes, Glance is not asked for the data."""
    image = tmp_path / "image"
    image.write_bytes(b"data")
    request = with_facts(
        shown(
            attrs.evolve(
                DOWNLOADED,
                array_images=(ArrayImage(location=FileLocation(str(image))),),
            )
        ),
        {
            "image.downloadable": False,
            "config.allowed_direct_url_schemes": frozenset({"file"}),
        },
    )
    assert "download" == real_cinder.run_create(request).verdict
    assert "refuse" == decide(request, POLICY).verdict
    assert ["local_file"] == explained(request)


def test_a_location_that_is_no_url_fails_the_create(
    real_cinder: RealCinder,
) -> None:
    """Cinder splits every location, and catches no error."""
    request = attrs.evolve(
        BACKED,
        array_images=(ArrayImage(location=parse_location("http://[")),),
    )
    assert "ValueError" == real_cinder.run_create(request).error
    assert "clone" == decide(request, POLICY).verdict
    assert ["unreadable_url"] == explained(request)


def test_a_volume_without_a_host_fails_the_create(
    real_cinder: RealCinder,
) -> None:
    """The scheduler sets a host before the manager is called."""
    request = with_facts(DOWNLOADED, {"volume.host": None})
    assert "InvalidVolume" == real_cinder.run_create(request).error
    assert "download" == decide(request, POLICY).verdict
    assert ["unplaced"] == explained(request)


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (NotImplementedError(), None),
        (exception.VolumeBackendAPIException(data="none"), None),
        (exception.SnapshotLimitReached(set_limit=1), "SnapshotLimitReached"),
        (OSError(), "OSError"),
    ],
    ids=["not-implemented", "driver", "limit", "other"],
)
def test_errors_of_the_driver_are_no_facts(
    real_cinder: RealCinder, failure: Exception, error: str | None
) -> None:
    """The verdict is the same; Cinder downloads after some errors only."""

    def fail(changed: RealCinder) -> None:
        changed.driver.failure = failure

    seen = real_cinder.run_create(CACHED, before=fail)
    assert (decide(CACHED, POLICY).verdict, error) == (
        seen.verdict,
        seen.error,
    )
    assert (error is None) == ("copy_image_to_volume" in seen.asked)


@pytest.mark.parametrize(
    ("failure", "error"),
    [
        (exception.VolumeBackendAPIException(data="none"), None),
        (exception.SnapshotLimitReached(set_limit=1), None),
        (NotImplementedError(), "NotImplementedError"),
        (OSError(), "OSError"),
    ],
    ids=["driver", "limit", "not-implemented", "other"],
)
def test_a_clone_that_fails_in_an_upload_is_not_always_followed_by_bytes(
    real_cinder: RealCinder, failure: Exception, error: str | None
) -> None:
    """policy-diff.md says so: other errors leave an image volume."""

    def fail(changed: RealCinder) -> None:
        changed.driver.failure = failure

    seen = real_cinder.run_upload(REGISTERABLE, before=fail)
    assert ("register", error) == (seen.verdict, seen.error)
    assert (error is None) == ("copy_volume_to_image" in seen.asked)
    rows = models.Volume.__table__
    (deleted,) = real_cinder.database.execute(
        sqlalchemy.select(rows.c.deleted).where(
            rows.c.display_name == f"image-{REGISTERABLE.image.id}"
        )
    ).fetchone()
    assert not (error and deleted)


def test_hosts_are_compared_as_the_database_does(
    real_cinder: RealCinder,
) -> None:
    """SQLite's LIKE ignores the case of ASCII letters; here case counts."""
    request = with_facts(
        BACKED,
        {
            "volume.host": Host.parse("H1@b1"),
            "source.host": Host.parse("h1@b1#p1"),
        },
    )
    assert "clone" == real_cinder.run_create(request).verdict
    assert "download" == decide(request, POLICY).verdict
    assert ["letter_case"] == explained(request)


def test_an_empty_image_owner_is_not_a_missing_one(
    real_cinder: RealCinder,
) -> None:
    """To Cinder; no record can tell them apart."""
    request = with_facts(
        BACKED, {"image.owner": None, "source.image_owner": None}
    )

    def empty(changed: RealCinder) -> None:
        changed.database.insert(
            models.VolumeMetadata,
            volume_id=SOURCE_ID,
            key="image_owner",
            value="",
        )

    assert "clone" == decide(request, POLICY).verdict
    assert "clone" == real_cinder.run_create(request).verdict
    assert "download" == real_cinder.run_create(request, before=empty).verdict


def test_only_the_download_verifies_a_signature(
    real_cinder: RealCinder,
) -> None:
    """Before that, nothing shows whether it is complete and right."""

    def tear(changed: RealCinder) -> None:
        changed.images.partly_signed = True

    request = with_facts(DOWNLOADED, {"image.signed": True})
    assert "download" == decide(request, POLICY).verdict
    assert "download" == real_cinder.run_create(request).verdict
    seen = real_cinder.run_create(request, before=tear)
    assert ("refuse", "InvalidSignatureImage") == (seen.verdict, seen.error)


@pytest.mark.parametrize(
    ("refusal", "error", "bytes_sent"),
    [
        (glanceclient.exc.HTTPBadRequest(), None, True),
        (glanceclient.exc.HTTPForbidden(), "ImageNotAuthorized", False),
        (glanceclient.exc.HTTPConflict(), "HTTPConflict", False),
    ],
    ids=["store-id", "role", "status"],
)
def test_glance_refuses_a_location_after_the_clone_was_made(
    real_cinder: RealCinder,
    refusal: Exception,
    error: str | None,
    bytes_sent: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """After one refusal Cinder uploads the data; after others it fails."""

    def refuse(changed: RealCinder) -> None:
        changed.images.refused_location = refusal

    seen = real_cinder.run_upload(REGISTERABLE, before=refuse)
    assert (decide(REGISTERABLE, POLICY).verdict, error) == (
        seen.verdict,
        seen.error,
    )
    assert bytes_sent == ("copy_volume_to_image" in seen.asked)


def test_an_accepted_location_counts_as_registered(
    real_cinder: RealCinder,
) -> None:
    """Cinder finishes while the image is still queued."""
    seen = real_cinder.run_upload(REGISTERABLE)
    assert ("register", None) == (seen.verdict, seen.error)
    assert 1 == len(real_cinder.images.added)
    assert "queued" == real_cinder.images.image.status


def test_the_api_rejects_some_requests_that_are_decided() -> None:
    """A request with such facts cannot reach the manager."""
    request = with_facts(REGISTERABLE, {"image.disk_format": "iso"})
    assert "upload" == decide(request, POLICY).verdict
    body: dict[str, Any] = {"image_name": "i", "disk_format": "iso"}
    with pytest.raises(exception.ValidationError, match="iso"):
        validators._SchemaValidator(schema.volume_upload_image).validate(
            {"os-volume_upload_image": body}
        )


def test_a_volume_without_a_host_is_uploaded(real_cinder: RealCinder) -> None:
    """Cinder cannot clone it; the policy does not look at the host."""
    request = with_facts(REGISTERABLE, {"volume.host": None})
    assert ["unplaced"] == explained(request)
    assert "upload" == real_cinder.run_upload(request).verdict
    assert "register" == decide(request, POLICY).verdict


def test_the_quota_per_volume_does_not_limit_a_clone(
    real_cinder: RealCinder,
) -> None:
    """The manager reserves volumes and gigabytes only."""
    request = with_facts(
        REGISTERABLE, {"clone_quota": Quota(per_volume_gigabytes=0)}
    )
    seen = real_cinder.run_upload(request)
    assert ("register", None) == (seen.verdict, seen.error)
    assert "register" == decide(request, POLICY).verdict
