"""What CINDER_29 does not model: each difference is really there."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import attrs
import pytest
from clonepolicy.testing.combinations import verdict
from clonepolicy.testing.worlds import (
    ARRAY,
    CLONEABLE,
    IMAGE_ID,
    NOW,
    OTHER_ID,
    REGISTERABLE,
    THEN,
    put,
)

from clonepolicy import (
    CINDER_29,
    ArrayImage,
    CreateRequest,
    FileLocation,
    Mechanism,
    Quota,
    StoredImage,
    parse_location,
)

pytest.importorskip("cinder", reason="run nox -s openstack")

import glanceclient.exc
from cinder import exception
from cinder.api.schemas import volume_actions as schema
from cinder.api.validation import validators
from cinder_limits import LIMITS, explained
from cinder_world import CinderWorld, cinder, expected

__all__ = ["cinder"]

DOCS = Path(__file__).parents[2] / "docs" / "cinder-29.md"
STORED = CLONEABLE[Mechanism.ARRAY_IMAGE]
BACKED = CLONEABLE[Mechanism.IMAGE_VOLUME]
CACHED = CLONEABLE[Mechanism.CACHE_ENTRY]
DOWNLOADED = attrs.evolve(CACHED, cache_entries=())


def stored(*locations: str) -> CreateRequest:
    """Ask for a volume of an image that lies at these places of the array."""
    return attrs.evolve(
        STORED,
        array_images=tuple(
            ArrayImage(
                location=parse_location(location), source=StoredImage(size=1)
            )
            for location in locations
        ),
    )


@pytest.mark.parametrize("words", LIMITS)
def test_the_documents_tell_of_each_limit(words: str) -> None:
    """What a difference may be explained with is listed."""
    _, _, section = DOCS.read_text().partition("## What it does not model")
    assert f"- **{words}" in section


def test_the_first_rbd_location_is_cloned_not_the_first_by_name(
    cinder: CinderWorld,
) -> None:
    """Both clone, but not the same stored image."""
    request = stored(f"rbd://{ARRAY}/p/b/snap", f"rbd://{ARRAY}/p/a/snap")
    assert "p/b@snap" == cinder.run_create(request).source
    assert "p/a@snap" == expected(request).source
    assert ["rbd_order"] == explained(request)


def test_an_rbd_location_in_another_spelling_is_cloned(
    cinder: CinderWorld,
) -> None:
    """Cinder decodes before it looks; here only one spelling is right."""
    request = stored(f"rbd://{ARRAY}/p/%61/snap")
    assert "p/a@snap" == cinder.run_create(request).source
    assert "download" == verdict(request, CINDER_29)
    assert ["rbd_spelling"] == explained(request)


@pytest.mark.parametrize(
    ("stale", "seen"), [(1, "clone"), (2, "download")], ids=["one", "two"]
)
def test_two_stale_cache_entries_hide_a_fresh_one(
    cinder: CinderWorld, stale: int, seen: str
) -> None:
    """Cinder evicts one, looks at the next, and leaves it at that."""
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
    assert seen == cinder.run_create(request).verdict
    assert "clone" == verdict(request, CINDER_29)
    assert (["cache_order"] if stale == 2 else []) == explained(request)


def test_a_stale_cache_entry_that_cannot_be_evicted_fails_the_create(
    cinder: CinderWorld,
) -> None:
    """Its volume is in use, and Cinder insists on deleting it first."""
    request = put(
        CACHED,
        {"candidate.image_updated_at": NOW, "source.status": "in-use"},
    )
    assert "InvalidVolume" == cinder.run_create(request).error
    assert "download" == verdict(request, CINDER_29)
    assert ["eviction"] == explained(request)


def test_a_download_fills_the_cache(cinder: CinderWorld) -> None:
    """A download for which the cache is on is asked to leave an entry."""
    assert "download" == cinder.run_create(DOWNLOADED).verdict
    assert cinder.filler._create_image_cache_volume_entry.called


def test_a_moment_that_is_not_known_fails_the_create(
    cinder: CinderWorld,
) -> None:
    """Cinder compares moments and has no word for none."""
    request = put(CACHED, {"candidate.image_updated_at": None})
    assert "AttributeError" == cinder.run_create(request).error
    assert "download" == verdict(request, CINDER_29)
    assert ["unknown_moment"] == explained(request)


def test_an_image_in_a_file_is_not_cloned_by_the_rbd_driver(
    cinder: CinderWorld,
) -> None:
    """The only driver with a clone of its own that is compared is RBD's."""
    request = stored(f"file:///images/{IMAGE_ID}")
    assert "download" == cinder.run_create(request).verdict
    assert "clone" == verdict(request, CINDER_29)
    assert ["file_drivers"] == explained(request)


def test_a_local_file_is_read_where_the_download_is_forbidden(
    cinder: CinderWorld, tmp_path: Path
) -> None:
    """With file among the schemes the bytes do not come from Glance."""
    image = tmp_path / "image"
    image.write_bytes(b"data")
    request = attrs.evolve(
        put(
            DOWNLOADED,
            {
                "image.downloadable": False,
                "config.allowed_direct_url_schemes": frozenset({"file"}),
            },
        ),
        array_images=(ArrayImage(location=FileLocation(str(image))),),
    )
    assert "download" == cinder.run_create(request).verdict
    assert "refuse" == verdict(request, CINDER_29)
    assert ["local_file"] == explained(request)


def test_a_location_that_is_no_url_fails_the_create(
    cinder: CinderWorld,
) -> None:
    """Cinder splits every location that it is told, and catches nothing."""
    request = attrs.evolve(
        BACKED,
        array_images=(ArrayImage(location=parse_location("http://[")),),
    )
    assert "ValueError" == cinder.run_create(request).error
    assert "clone" == verdict(request, CINDER_29)
    assert ["unreadable_url"] == explained(request)


def test_a_volume_without_host_is_not_downloaded_to(
    cinder: CinderWorld,
) -> None:
    """The scheduler has given one before the manager is asked."""
    request = put(DOWNLOADED, {"volume.host": None})
    assert "InvalidVolume" == cinder.run_create(request).error
    assert "download" == verdict(request, CINDER_29)
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
def test_what_the_array_learns_by_trying_is_no_fact(
    cinder: CinderWorld, failure: Exception, error: str | None
) -> None:
    """The verdict is the same, but only some failures fall back."""

    def fail(world: CinderWorld) -> None:
        world.driver.failure = failure

    seen = cinder.run_create(CACHED, before=fail)
    assert (verdict(CACHED, CINDER_29), error) == (seen.verdict, seen.error)
    assert (error is None) == ("copy_image_to_volume" in seen.asked)


def test_a_signature_is_looked_at_by_the_download_only(
    cinder: CinderWorld,
) -> None:
    """Whether it is whole, and right, is not known before."""

    def tear(world: CinderWorld) -> None:
        world.images.partly_signed = True

    request = put(DOWNLOADED, {"image.signed": True})
    assert "download" == verdict(request, CINDER_29)
    assert "download" == cinder.run_create(request).verdict
    seen = cinder.run_create(request, before=tear)
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
def test_a_location_is_refused_only_when_the_clone_is_made(
    cinder: CinderWorld,
    refusal: Exception,
    error: str | None,
    bytes_sent: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """Cinder uploads the bytes after one refusal, and fails after others."""

    def refuse(world: CinderWorld) -> None:
        world.images.refused_location = refusal

    seen = cinder.run_upload(REGISTERABLE, before=refuse)
    assert (verdict(REGISTERABLE, CINDER_29), error) == (
        seen.verdict,
        seen.error,
    )
    assert bytes_sent == ("copy_volume_to_image" in seen.asked)


def test_an_accepted_location_counts_as_registered(
    cinder: CinderWorld,
) -> None:
    """Cinder is done while the image is still queued."""
    seen = cinder.run_upload(REGISTERABLE)
    assert ("register", None) == (seen.verdict, seen.error)
    assert 1 == len(cinder.images.added)
    assert "queued" == cinder.images.image.status


def test_the_api_checks_its_input_first() -> None:
    """What no request can say is decided all the same."""
    request = put(REGISTERABLE, {"image.disk_format": "iso"})
    assert "upload" == verdict(request, CINDER_29)
    body: dict[str, Any] = {"image_name": "i", "disk_format": "iso"}
    with pytest.raises(exception.ValidationError, match="iso"):
        validators._SchemaValidator(schema.volume_upload_image).validate(
            {"os-volume_upload_image": body}
        )


def test_no_quota_of_a_single_volume_stands_against_a_clone(
    cinder: CinderWorld,
) -> None:
    """The manager reserves volumes and gigabytes, and nothing else."""
    request = put(REGISTERABLE, {"clone_quota": Quota(per_volume_gigabytes=0)})
    seen = cinder.run_upload(request)
    assert ("register", None) == (seen.verdict, seen.error)
    assert "register" == verdict(request, CINDER_29)
