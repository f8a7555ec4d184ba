"""Law: agreed. Policies decide as an independent reference does.

``reference.py`` is a second implementation of the three policies, written
from their documentation alone.  Both are asked about every small world and
about random larger ones, and must give the same verdict, the same source,
the same size, and the same reasons for the request and for each candidate.
"""

from __future__ import annotations

import ast
import functools
import itertools
import runpy
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

import attrs
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from clonepolicy import (
    POLICIES,
    ArrayImage,
    Backend,
    CacheEntry,
    Candidate,
    Clone,
    Config,
    CreateRequest,
    Decision,
    GiB,
    GlanceConfig,
    GlanceStore,
    Host,
    Image,
    ImageVolume,
    LocationsFrom,
    Policy,
    Quota,
    StoredImage,
    UploadRequest,
    Volume,
    VolumeType,
    decide_create,
    decide_upload,
    parse_location,
)

Reasons: TypeAlias = frozenset[str]
Against: TypeAlias = frozenset[tuple[str, Candidate, Reasons]]
Created: TypeAlias = tuple[str, str | None, int | None, Reasons, Against]
Uploaded: TypeAlias = tuple[str, Reasons]
Axes: TypeAlias = Mapping[str, tuple[Any, ...]]
World: TypeAlias = Mapping[str, Any]

REFERENCE = Path(__file__).with_name("reference.py")
_REFERENCE = runpy.run_path(str(REFERENCE))
_create: Callable[
    [CreateRequest, str],
    tuple[str, str | None, int | None, Reasons, dict[str, list[Reasons]]],
] = _REFERENCE["create"]
_upload: Callable[[UploadRequest, str], Uploaded] = _REFERENCE["upload"]

every_policy = pytest.mark.parametrize(
    "policy", POLICIES.values(), ids=lambda policy: policy.name
)


# -- both answers, in one form ----------------------------------------------


def _label(candidate: Candidate) -> str:
    if isinstance(candidate, CacheEntry):
        source = candidate.source
        return "cache:?" if source is None else f"cache:{source.id}"
    return str(candidate.location)


def _about_request(decision: Decision) -> Reasons:
    return frozenset(
        finding.reason.value
        for finding in decision.findings
        if finding.candidate is None
    )


def decided_create(request: CreateRequest, policy: Policy) -> Created:
    """Ask the package how to fill a volume."""
    decision = decide_create(request, policy)
    cloned = decision if isinstance(decision, Clone) else None
    against = frozenset(
        (
            considered.mechanism.value,
            considered.candidate,
            frozenset(finding.reason.value for finding in considered.findings),
        )
        for considered in decision.considered
    )
    return (
        type(decision).__name__.lower(),
        None if cloned is None else _label(cloned.source),
        None if cloned is None else cloned.extend_to,
        _about_request(decision),
        against,
    )


def expected_create(request: CreateRequest, policy: Policy) -> Created:
    """Ask the reference how to fill a volume."""
    verdict, label, extend_to, reasons, judged = _create(request, policy.name)
    candidates: dict[str, tuple[Candidate, ...]] = {
        "array-image": request.array_images,
        "image-volume": request.image_volumes,
        "cache-entry": request.cache_entries,
    }
    against = frozenset(
        (mechanism, candidate, found)
        for mechanism, each in judged.items()
        for candidate, found in zip(candidates[mechanism], each, strict=True)
    )
    return verdict, label, extend_to, reasons, against


def decided_upload(request: UploadRequest, policy: Policy) -> Uploaded:
    """Ask the package how to make an image."""
    decision = decide_upload(request, policy)
    return type(decision).__name__.lower(), _about_request(decision)


def expected_upload(request: UploadRequest, policy: Policy) -> Uploaded:
    """Ask the reference how to make an image."""
    return _upload(request, policy.name)


# -- small worlds -----------------------------------------------------------

A, B, INTERNAL = "project-a", "project-b", "internal"
IMAGE_ID = "11111111-1111-4111-8111-111111111111"
OTHER_ID = "22222222-2222-4222-8222-222222222222"
SOURCE_ID = "33333333-3333-4333-8333-333333333333"
THIRD_ID = "44444444-4444-4444-8444-444444444444"
EARLY = datetime(2024, 1, 1, tzinfo=UTC)
LATE = datetime(2025, 1, 1, tzinfo=UTC)
PLACE = "h1@b1#p1"
GOLD = VolumeType(id="gold", name="gold", volume_backend_name="fast")
FAST = VolumeType(id="fast", name="fast", volume_backend_name="fast")
BARE = VolumeType(id="bare", name="bare")
BARE_RENAMED = VolumeType(id="bare", name="other")
PLAIN = VolumeType(id="plain")

CLONEABLE: Mapping[str, Any] = {
    "image": Image(
        id=IMAGE_ID,
        status="active",
        owner=A,
        disk_format="raw",
        container_format="bare",
        size=GiB,
        visible=True,
        downloadable=True,
        updated_at=EARLY,
        locations_from=LocationsFrom.LOCATIONS_API,
    ),
    "volume": Volume(
        id=OTHER_ID,
        project_id=A,
        size=1,
        status="creating",
        host=Host.parse(PLACE),
    ),
    "source": Volume(
        id=SOURCE_ID,
        project_id=INTERNAL,
        size=1,
        status="available",
        host=Host.parse(PLACE),
        image_owner=A,
        created_at=EARLY,
    ),
    "backend": Backend(
        array_id="array-1",
        can_clone=True,
        can_extend=True,
        image_schemes=frozenset({"rbd", "file"}),
    ),
    "theirs": Backend(array_id="array-1"),
    "config": Config(
        allowed_direct_url_schemes=frozenset({"cinder"}),
        cinder_internal_tenant_project_id=INTERNAL,
        cinder_internal_tenant_user_id="user",
        image_volume_cache_enabled=True,
        trusted_image_pools=frozenset({"images", "/srv/images"}),
    ),
    "quota": Quota(),
}
REGISTERABLE: Mapping[str, Any] = {
    "image": attrs.evolve(CLONEABLE["image"], status="queued"),
    "volume": attrs.evolve(
        CLONEABLE["source"], status="uploading", previous_status="available"
    ),
    "backend": attrs.evolve(CLONEABLE["backend"], clone_while_uploading=True),
    "config": attrs.evolve(
        CLONEABLE["config"], image_upload_use_cinder_backend=True
    ),
    "glance": GlanceConfig(
        has_location_api=True, service_roles=frozenset({"admin", "service"})
    ),
    "quota": Quota(),
}


def _worlds(axes: Axes) -> Iterator[dict[str, Any]]:
    for values in itertools.product(*axes.values()):
        yield dict(zip(axes, values, strict=True))


def _evolve(record: Any, facts: World) -> Any:  # noqa: ANN401
    return attrs.evolve(record, **facts)


@functools.cache
def _evolved(
    record: attrs.AttrsInstance, facts: tuple[tuple[str, Any], ...]
) -> object:
    return _evolve(record, dict(facts))


def _parts(base: Mapping[str, Any], world: World) -> dict[str, Any]:
    facts: dict[str, list[tuple[str, Any]]] = {name: [] for name in base}
    for path, value in world.items():
        name, dot, field = path.partition(".")
        if dot and name in base:
            facts[name].append((field, value))
    return {name: _evolved(base[name], tuple(facts[name])) for name in base}


def create_request(world: World) -> CreateRequest:
    """Build a world in which one source serves two or three mechanisms."""
    parts = _parts(CLONEABLE, world)
    source = parts["source"] if world.get("found", True) else None
    on_array = world.get("array_location")
    stored = None
    if source is not None:
        stored = StoredImage(
            size=source.size,
            status=source.status,
            encryption_key_id=source.encryption_key_id,
            clones=source.clones,
        )
    array_images = (
        ()
        if on_array is None
        else (
            ArrayImage(
                location=parse_location(on_array),
                source=stored,
                backend=parts["theirs"],
            ),
        )
    )
    location = world.get("location", f"cinder://{SOURCE_ID}")
    image_volumes = (
        ()
        if location is None
        else (
            ImageVolume(
                location=parse_location(location),
                source=source,
                backend=parts["theirs"],
            ),
        )
    )
    entry = CacheEntry(
        image_id=world.get("entry.image_id", IMAGE_ID),
        image_updated_at=world.get("entry.image_updated_at", EARLY),
        source=source,
        backend=parts["theirs"],
    )
    return CreateRequest(
        image=parts["image"],
        volume=parts["volume"],
        backend=parts["backend"],
        config=parts["config"],
        quota=parts["quota"],
        conversion_free=world.get("conversion_free"),
        array_images=array_images,
        image_volumes=image_volumes,
        cache_entries=(entry,) if world.get("cached", True) else (),
    )


def upload_request(world: World) -> UploadRequest:
    """Build a world in which the volume is registered, but for its facts."""
    parts = _parts(REGISTERABLE, world)
    return UploadRequest(
        image=parts["image"],
        volume=parts["volume"],
        project_id=world.get("project_id", A),
        force=world.get("force", False),
        backend=parts["backend"],
        config=parts["config"],
        glance=parts["glance"],
        clone_quota=parts["quota"],
    )


def _hosts(*texts: str | None) -> tuple[Host | None, ...]:
    return tuple(None if text is None else Host.parse(text) for text in texts)


BOTH = (False, True)
THREE = (None, False, True)
KEYS = (None, "key")
STATUSES = ("available", "in-use", "creating", "deleting", "error")
SCHEMES = tuple(
    frozenset(schemes)
    for schemes in ((), ("cinder",), ("file",), ("cinder", "file"))
)
ARRAYS: Axes = {
    "backend.clone_across_pools": THREE,
    "backend.array_id": (None, "array-1"),
    "theirs.array_id": (None, "array-1", "array-2"),
}
OWNERS: Axes = {
    "image.owner": (A, B, None),
    "volume.project_id": (A, B),
    "source.project_id": (A, B, INTERNAL),
    "source.image_owner": (A, B, None),
}
CREATE_TABLES: Mapping[str, Axes] = {
    "owners": {
        **OWNERS,
        "source.status": STATUSES,
        "source.glance_image_id": (None, IMAGE_ID, OTHER_ID),
        "config.cinder_internal_tenant_project_id": (None, INTERNAL),
        "config.trusted_projects": (frozenset(), frozenset({B})),
    },
    "statuses": {
        "source.status": STATUSES,
        "source.migration_status": (
            *(None, "none", "success", "error"),
            *("migrating", "starting", "completing"),
        ),
        "array_location": (None, f"rbd://array-1/images/{IMAGE_ID}/snap"),
        "found": BOTH,
    },
    "hosts": {
        "volume.host": _hosts(
            *(None, "h1", "h1@b1", "h1@b1#p1", "h1#p1"),
            *("h_@b1", "h%@b1", "H1@b1#p1", "h1@b_#p1"),
        ),
        "source.host": _hosts(
            *(None, "h1", "h1@b1", "h1@b1#p1", "h1@b1#p2"),
            *("h1@b2#p1", "h2@b1#p1", "h1#p1", "H1@b1#p1"),
        ),
        "source.cluster_name": _hosts(None, "h1@b1#p1"),
        **ARRAYS,
    },
    "clusters": {
        "volume.cluster_name": _hosts("c1", "c1@b1", "c1@b1#p1", "c_@b1"),
        "source.cluster_name": _hosts(
            *(None, "c1", "c1@b1", "c1@b1#p1", "c1@b1#p2"),
            *("c1@b2#p1", "c2@b1#p1"),
        ),
        "source.host": _hosts(None, "h1@b1#p1", "h2@b1#p1"),
        **ARRAYS,
    },
    "sizes": {
        "volume.size": (0, 1, 2, 3),
        "source.size": (0, 1, 2, 3),
        "image.size": (None, 0, 1, GiB, GiB + 1, 3 * GiB),
        "image.min_disk": (0, 1, 3),
        "image.virtual_size": (None, 0, 2 * GiB),
        "backend.can_extend": THREE,
    },
    "limits": {
        "volume.size": (0, 1, 2),
        "volume.volume_type": (
            None,
            *(
                VolumeType(id="t", min_vol_size=low, max_vol_size=high)
                for low in (None, 0, 2)
                for high in (None, 0, 1)
            ),
        ),
        "quota.volumes": (None, 0, 1),
        "quota.gigabytes": (None, 0, 1),
        "quota.per_volume_gigabytes": (None, 1, 2),
        "found": BOTH,
    },
    "types": {
        "volume.volume_type": (None, GOLD, FAST, BARE, BARE_RENAMED, PLAIN),
        "source.volume_type": (None, GOLD, FAST, BARE, BARE_RENAMED, PLAIN),
    },
    "encryption": {
        "image.encryption_key_id": KEYS,
        "volume.encryption_key_id": KEYS,
        "source.encryption_key_id": KEYS,
        "volume.multiattach": BOTH,
        "image.signed": BOTH,
        "config.verify_glance_signatures": ("enabled", "disabled"),
        "backend.can_clone": THREE,
        "backend.frozen": BOTH,
        "array_location": (None, f"rbd://array-1/images/{IMAGE_ID}/snap"),
    },
    "clones": {
        "backend.clone_limit": (None, 0, 1, 2),
        "source.clones": (None, 0, 1, 2),
        "array_location": (None, f"rbd://array-1/images/{IMAGE_ID}/snap"),
        "found": BOTH,
    },
    "images": {
        "image.status": ("active", "queued", "deactivated"),
        "image.visible": BOTH,
        "image.downloadable": BOTH,
        "image.owner": (A, None),
        "image.locations_from": tuple(LocationsFrom),
        "image.direct_url": (None, "cinder://x"),
        "config.allowed_direct_url_schemes": SCHEMES,
        "location": (None, f"cinder://{SOURCE_ID}"),
        "array_location": (None, f"rbd://array-1/images/{IMAGE_ID}/snap"),
    },
    "formats": {
        "image.disk_format": ("raw", "qcow2", "iso", None),
        "image.container_format": ("bare", "ovf", "compressed", None),
        "config.image_conversion_disable": BOTH,
        "config.allow_compression_on_image_upload": BOTH,
        "conversion_free": (None, 0, GiB, GiB + 1),
        "image.size": (None, 0, GiB),
        "cached": BOTH,
        "array_location": (None, f"rbd://array-1/images/{IMAGE_ID}/snap"),
    },
    "cache": {
        "cached": BOTH,
        "found": BOTH,
        "location": (None, f"cinder://{SOURCE_ID}"),
        "image.updated_at": (None, EARLY, LATE),
        "entry.image_updated_at": (None, EARLY, LATE),
        "entry.image_id": (IMAGE_ID, OTHER_ID),
        "source.project_id": (A, INTERNAL),
        "config.image_volume_cache_enabled": BOTH,
        "config.cinder_internal_tenant_project_id": (None, INTERNAL),
        "config.cinder_internal_tenant_user_id": (None, "user"),
    },
    "array images": {
        "array_location": (
            f"rbd://array-1/images/{IMAGE_ID}/snap",
            f"rbd://array-2/images/{IMAGE_ID}/snap",
            f"rbd://array-1/volumes/{IMAGE_ID}/snap",
            f"rbd://array-1/images/{OTHER_ID}/snap",
            f"file:///srv/images/{IMAGE_ID}",
            f"file:///srv/images/{OTHER_ID}",
            f"file:///srv/images/deeper/{IMAGE_ID}",
            f"cinder://{SOURCE_ID}",
            "http://example.org/image",
            "rbd://array-1/images/short",
            "file:///srv/../images",
        ),
        "backend.image_schemes": (
            *map(frozenset, ((), ("rbd",), ("file",), ("rbd", "http"))),
        ),
        "backend.array_id": (None, "array-1", "array-2"),
        "theirs.array_id": (None, "array-1", "array-2"),
        "config.trusted_image_pools": (
            *map(frozenset, ((), ("images",), ("/srv/images",))),
        ),
        "found": BOTH,
    },
}
UPLOAD_TABLES: Mapping[str, Axes] = {
    "statuses": {
        "volume.status": (*STATUSES, "uploading"),
        "volume.previous_status": (None, *STATUSES),
        "force": BOTH,
        "config.enable_force_upload": BOTH,
        "config.image_upload_use_cinder_backend": BOTH,
        "image.status": ("queued", "active"),
    },
    "formats": {
        "image.disk_format": ("raw", "qcow2", "iso", None),
        "image.container_format": ("bare", "ovf", "compressed", None),
        "volume.encryption_key_id": KEYS,
        "config.image_conversion_disable": BOTH,
        "config.allow_compression_on_image_upload": BOTH,
        "config.image_upload_use_cinder_backend": BOTH,
        "quota.volumes": (None, 0),
    },
    "owners": {
        "image.owner": (A, B, INTERNAL, None),
        "project_id": (A, B, INTERNAL),
        "config.image_upload_use_internal_tenant": BOTH,
        "config.cinder_internal_tenant_project_id": (None, INTERNAL),
        "config.cinder_internal_tenant_user_id": (None, "user"),
        "image.visibility": ("private", "shared", "community", "public"),
    },
    "backends": {
        "backend.can_clone": THREE,
        "backend.frozen": BOTH,
        "backend.clone_while_uploading": THREE,
        "backend.clone_limit": (None, 0, 1),
        "volume.clones": (None, 0, 1),
        "volume.size": (0, 1, 2),
        "quota.gigabytes": (None, 1),
        "quota.per_volume_gigabytes": (None, 1),
    },
    "glance": {
        "glance.has_location_api": THREE,
        "glance.show_multiple_locations": BOTH,
        "glance.service_roles": (
            *map(frozenset, ((), ("admin",), ("service",))),
            frozenset({"admin", "service"}),
        ),
        "image.visibility": ("private", "shared", "community", "public"),
    },
    "stores": {
        "volume.volume_type": (
            *(None, GOLD, PLAIN),
            VolumeType(id="t", name="gold", store_id="s1"),
            VolumeType(id="t", name="gold", store_id="s9"),
        ),
        "glance.stores": tuple(
            tuple(
                GlanceStore(
                    id=f"s{at}", cinder_volume_type=name, read_only=read_only
                )
                for at, (name, read_only) in enumerate(stores)
            )
            for size in range(4)
            for stores in itertools.product(
                itertools.product((None, "gold"), BOTH), repeat=size
            )
        ),
    },
}


@every_policy
@pytest.mark.parametrize("table", CREATE_TABLES)
def test_every_small_create_is_decided_as_the_reference_does(
    table: str, policy: Policy
) -> None:
    """No combination of a table's facts divides the two."""
    for world in _worlds(CREATE_TABLES[table]):
        request = create_request(world)

        expected = expected_create(request, policy)
        actual = decided_create(request, policy)

        assert expected == actual, world


@every_policy
@pytest.mark.parametrize("table", UPLOAD_TABLES)
def test_every_small_upload_is_decided_as_the_reference_does(
    table: str, policy: Policy
) -> None:
    """No combination of a table's facts divides the two."""
    for world in _worlds(UPLOAD_TABLES[table]):
        request = upload_request(world)

        expected = expected_upload(request, policy)
        actual = decided_upload(request, policy)

        assert expected == actual, world


# -- URLs -------------------------------------------------------------------

CANONICAL = (f"cinder://{SOURCE_ID}", f"cinder://store/{SOURCE_ID}")
LENIENT = (
    f"cinder://a/b/c/{SOURCE_ID}",
    f"cinder:///{SOURCE_ID}",
    f"CINDER://{SOURCE_ID}",
    f"cinder:{SOURCE_ID}",
    f" cinder://{SOURCE_ID}",
    f"cinder://{SOURCE_ID}?x#y",
    f"cinder://store/{SOURCE_ID}?x",
    f"cinder://{SOURCE_ID}\n",
)
UNUSABLE = (
    f"cinder://store/{SOURCE_ID}/",
    f"cinder://store/{SOURCE_ID}/extra",
    f"cinder://{SOURCE_ID.replace('-', '')}",
    f"cinder://{{{SOURCE_ID}}}",
    f"cinder://urn:uuid:{SOURCE_ID}",
    f"cinder://user@{SOURCE_ID}",
    f"cinder://{SOURCE_ID}:80",
    f"cinder://sto re/{SOURCE_ID[:-1]}",
    "cinder://[broken",
    "cinder://",
    "cinder:",
    "",
    "nonsense",
    "http://example.org/image",
    f"https://example.org/{SOURCE_ID}",
    "swift+https://account/container/object",
    f"rbd://array-1/images/{SOURCE_ID}",
    f"rbd://array-1/images/{SOURCE_ID}/snap/more",
    f"rbd://array-1//{SOURCE_ID}/snap",
    f"rbd:array-1/images/{SOURCE_ID}/snap",
    f"rbd://array-1/images/{SOURCE_ID}/sn ap",
    f"RBD://array-1/images/{SOURCE_ID}/snap",
    f"rbd://array-1/ima%67es/{SOURCE_ID}/snap",
    f"rbd://array-1/im%2Fages/{IMAGE_ID}/snap",
    f"rbd://array-1/images/{IMAGE_ID}/snap",
    f"file:///srv/images/{IMAGE_ID}",
    f"file://srv/images/{IMAGE_ID}",
    f"file:///srv//images/{IMAGE_ID}",
    f"file:///srv/images/{IMAGE_ID}?x",
    f"file:///srv/./images/{IMAGE_ID}",
    "file:///srv/images/",
    "file:///",
)
URLS = (*CANONICAL, *LENIENT, *UNUSABLE)


@every_policy
@pytest.mark.parametrize("url", URLS)
def test_every_url_is_read_as_the_reference_does(
    url: str, policy: Policy
) -> None:
    """A location's form divides the two for neither kind of candidate."""
    request = create_request({"location": url, "array_location": url})

    expected = expected_create(request, policy)
    actual = decided_create(request, policy)

    assert expected == actual


@pytest.mark.parametrize(
    ("url", "readers"),
    [
        *((url, set(POLICIES)) for url in CANONICAL),
        *((url, {"CINDER_29"}) for url in LENIENT),
        *((url, set[str]()) for url in UNUSABLE),
    ],
)
def test_the_reference_reads_urls_as_documented(
    url: str, readers: set[str]
) -> None:
    """Cinder takes more forms of a cinder URL than are written."""
    request = create_request({"location": url})
    accepting = set()
    for name in POLICIES:
        (found,) = _create(request, name)[4]["image-volume"]
        if "location-malformed" not in found:
            accepting.add(name)

    assert readers == accepting


# -- ownership, as it is documented -----------------------------------------


@pytest.mark.parametrize(
    ("accepts", "refuses", "cases"),
    [
        ("CINDER_29", "LIBERTY", 22),
        ("CINDER_29", "SAFE", 18),
        ("SAFE", "CINDER_29", 4),
        ("SAFE", "LIBERTY", 4),
    ],
)
def test_the_reference_tells_owners_apart_as_documented(
    accepts: str, refuses: str, cases: int
) -> None:
    """Of 54 cases of ownership the policies part on the counted ones."""

    def owned(request: CreateRequest, name: str) -> bool:
        *_, reasons, against = _create(request, name)
        (found,) = against["image-volume"]
        return (
            "owner-mismatch" not in found
            and "image-owner-unknown" not in reasons
        )

    requests = [create_request(world) for world in _worlds(OWNERS)]
    parted = [
        request
        for request in requests
        if owned(request, accepts) and not owned(request, refuses)
    ]

    assert (54, cases) == (len(requests), len(parted))


# -- the choice among candidates --------------------------------------------

_SOURCE = CLONEABLE["source"]
_CHOICES: tuple[tuple[str, Volume | None], ...] = (
    (f"cinder://{SOURCE_ID}", _SOURCE),
    (f"cinder://store/{SOURCE_ID}", _SOURCE),
    (f"cinder:///{SOURCE_ID}", _SOURCE),
    (
        f"cinder://{OTHER_ID}",
        attrs.evolve(_SOURCE, id=OTHER_ID, created_at=LATE),
    ),
    (
        f"cinder://{THIRD_ID}",
        attrs.evolve(_SOURCE, id=THIRD_ID, host=Host.parse("h1@b1#p2")),
    ),
    (
        f"cinder://{IMAGE_ID}",
        attrs.evolve(_SOURCE, id=IMAGE_ID, host=Host.parse("h2@b1#p1")),
    ),
    (
        f"cinder://{THIRD_ID}",
        attrs.evolve(_SOURCE, id=THIRD_ID, host=None, created_at=None),
    ),
    (f"cinder://{OTHER_ID}", attrs.evolve(_SOURCE, id=OTHER_ID, size=3)),
    (f"cinder://{OTHER_ID}", None),
)


@every_policy
@pytest.mark.parametrize("across", BOTH)
@pytest.mark.parametrize("cluster", [None, "c1@b1#p1"])
def test_every_choice_is_made_as_the_reference_makes_it(
    policy: Policy, cluster: str | None, *, across: bool
) -> None:
    """Of up to three candidates in any order both choose the same one."""
    base = create_request(
        {
            "volume.size": 2,
            "volume.cluster_name": None
            if cluster is None
            else Host.parse(cluster),
            "backend.clone_across_pools": across,
        }
    )
    lists = itertools.chain.from_iterable(
        itertools.product(_CHOICES, repeat=size) for size in range(4)
    )
    for chosen in lists:
        request = attrs.evolve(
            base,
            image_volumes=tuple(
                ImageVolume(
                    location=parse_location(url),
                    source=source
                    if source is None
                    else attrs.evolve(
                        source,
                        cluster_name=source.host
                        and Host.parse(str(source.host).replace("h", "c")),
                    ),
                    backend=CLONEABLE["theirs"],
                )
                for url, source in chosen
            ),
        )

        expected = expected_create(request, policy)
        actual = decided_create(request, policy)

        assert expected == actual


# -- random worlds ----------------------------------------------------------

_IDS = ("v1", "v10", "v2", IMAGE_ID, OTHER_ID, SOURCE_ID, THIRD_ID)
_MOMENTS = (None, EARLY, LATE, datetime(1960, 1, 1, tzinfo=UTC))
_PROJECTS = (A, B, INTERNAL)
_COUNTS = (None, 0, 1, 2, 3)
_BYTES = (None, 0, 1, GiB, GiB + 1, 2 * GiB)
_FORMATS = ("raw", "qcow2", "iso", "RAW", None)
_CONTAINERS = ("bare", "ovf", "compressed", None)
_VISIBILITIES = ("private", "shared", "community", "public")
_PLACES = _hosts(
    *(None, PLACE, "h1@b1#p2", "h1@b2#p1", "h2@b1#p1", "h1", "h1@b1"),
    *("h_@b1", "h%", "%", "_1@b1#p1", "h1#p1", "H1@b1"),
    *("h1#p1@b1", "h1@b1#p1#p2"),
)
_TYPES = (
    *(None, GOLD, FAST, BARE, BARE_RENAMED, PLAIN),
    VolumeType(id="t", name="gold", store_id="s1", min_vol_size=1),
    VolumeType(id="t", name="gold", max_vol_size=1),
)
_VOLUME: Axes = {
    "id": _IDS,
    "project_id": _PROJECTS,
    "size": (0, 1, 2, 3),
    "status": (*STATUSES, "uploading"),
    "previous_status": (None, *STATUSES),
    "host": _PLACES,
    "cluster_name": _PLACES,
    "encryption_key_id": KEYS,
    "volume_type": _TYPES,
    "multiattach": BOTH,
    "migration_status": (None, "none", "success", "error", "migrating"),
    "created_at": _MOMENTS,
    "clones": _COUNTS,
    "image_owner": (None, *_PROJECTS),
    "glance_image_id": (None, IMAGE_ID, OTHER_ID),
}
_IMAGE: Axes = {
    "id": (IMAGE_ID, OTHER_ID),
    "status": ("active", "queued", "deactivated"),
    "owner": (None, *_PROJECTS),
    "disk_format": _FORMATS,
    "container_format": _CONTAINERS,
    "size": _BYTES,
    "virtual_size": _BYTES,
    "min_disk": (0, 1, 2),
    "visibility": _VISIBILITIES,
    "visible": BOTH,
    "downloadable": BOTH,
    "encryption_key_id": KEYS,
    "signed": BOTH,
    "updated_at": _MOMENTS,
    "locations_from": tuple(LocationsFrom),
    "direct_url": (None, "cinder://x"),
}
_BACKEND: Axes = {
    "array_id": (None, "array-1", "array-2"),
    "can_clone": THREE,
    "clone_across_pools": THREE,
    "can_extend": THREE,
    "clone_while_uploading": THREE,
    "clone_limit": _COUNTS,
    "frozen": BOTH,
    "image_schemes": tuple(
        map(frozenset, ((), ("rbd",), ("cinder", "file"), ("rbd", "http")))
    ),
}
_CONFIG: Axes = {
    "allowed_direct_url_schemes": SCHEMES,
    "verify_glance_signatures": ("enabled", "disabled"),
    "cinder_internal_tenant_project_id": (None, INTERNAL, B),
    "cinder_internal_tenant_user_id": (None, "user"),
    "image_upload_use_cinder_backend": BOTH,
    "image_upload_use_internal_tenant": BOTH,
    "image_volume_cache_enabled": BOTH,
    "image_conversion_disable": BOTH,
    "allow_compression_on_image_upload": BOTH,
    "enable_force_upload": BOTH,
    "trusted_projects": (*map(frozenset, ((), (A,), (B,), (A, B))),),
    "trusted_image_pools": (
        *map(frozenset, ((), ("im/ages",), ("/srv/images", "/"))),
    ),
}
_QUOTA: Axes = {
    "volumes": _COUNTS,
    "gigabytes": _COUNTS,
    "per_volume_gigabytes": _COUNTS,
}
_STORES = tuple(
    GlanceStore(id=name, cinder_volume_type=kind, read_only=read_only)
    for name in ("s1", "s2")
    for kind in (None, "gold", "fast")
    for read_only in BOTH
)
_GLANCE: Axes = {
    "has_location_api": THREE,
    "show_multiple_locations": BOTH,
    "service_roles": (
        *map(frozenset, ((), ("admin",), ("service",))),
        frozenset({"admin", "service"}),
    ),
    "stores": tuple(
        stores
        for size in range(3)
        for stores in itertools.product(_STORES, repeat=size)
    ),
}
_STORED: Axes = {
    "size": (0, 1, 2),
    "status": STATUSES,
    "encryption_key_id": KEYS,
    "clones": _COUNTS,
}
_AT_ARRAY = tuple(map(parse_location, (*URLS, f"file:///{IMAGE_ID}")))
_AT_VOLUME = tuple(
    map(parse_location, (*URLS, *(f"cinder://{name}" for name in _IDS[3:])))
)


def altered(
    record: attrs.AttrsInstance, axes: Axes, most: int = 3
) -> st.SearchStrategy[Any]:
    """Give the record with up to so many of its fields changed."""
    changes = [
        (field, value) for field, values in axes.items() for value in values
    ]
    return st.lists(st.sampled_from(changes), max_size=most).map(
        lambda chosen: _evolve(record, dict(chosen))
    )


def _repeated(found: list[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    if not found:
        return st.just(())
    return st.lists(
        st.sampled_from(found), min_size=1, max_size=len(found) + 1
    ).map(tuple)


def candidates(
    candidate: attrs.AttrsInstance,
    axes: Axes,
    sources: st.SearchStrategy[Any],
) -> st.SearchStrategy[tuple[Any, ...]]:
    """Give a few candidates in any order, some of them twice."""
    backend = altered(CLONEABLE["theirs"], _BACKEND, 1)
    one = st.builds(
        lambda record, source, backend: attrs.evolve(
            record, source=source, backend=backend
        ),
        altered(candidate, axes, 1),
        st.one_of(sources, sources, sources, st.none()),
        backend,
    )
    return st.lists(one, max_size=3).flatmap(_repeated)


_EXAMPLES = 3 * settings().max_examples
_STORED_IMAGE = ArrayImage(
    location=parse_location(f"rbd://array-1/images/{IMAGE_ID}/snap")
)
_IMAGE_VOLUME = ImageVolume(location=parse_location(f"cinder://{SOURCE_ID}"))
_CACHE_ENTRY = CacheEntry(image_id=IMAGE_ID, image_updated_at=EARLY)
_ENTRY: Axes = {
    "image_id": (IMAGE_ID, OTHER_ID),
    "image_updated_at": _MOMENTS,
    "last_used": _MOMENTS,
}


def create_requests() -> st.SearchStrategy[CreateRequest]:
    """Give requests that are a few changes away from a clone."""
    backing = CLONEABLE["source"]
    sources = st.one_of(
        altered(backing, _VOLUME),
        altered(attrs.evolve(backing, project_id=A), _VOLUME),
    )
    return st.builds(
        CreateRequest,
        image=altered(CLONEABLE["image"], _IMAGE, 2),
        volume=altered(CLONEABLE["volume"], _VOLUME),
        backend=altered(CLONEABLE["backend"], _BACKEND, 2),
        config=altered(CLONEABLE["config"], _CONFIG, 2),
        quota=altered(CLONEABLE["quota"], _QUOTA, 1),
        conversion_free=st.sampled_from((*_BYTES, None, None)),
        array_images=candidates(
            _STORED_IMAGE,
            {"location": _AT_ARRAY},
            altered(StoredImage(size=1), _STORED, 1),
        ),
        image_volumes=candidates(
            _IMAGE_VOLUME, {"location": _AT_VOLUME}, sources
        ),
        cache_entries=candidates(_CACHE_ENTRY, _ENTRY, sources),
    )


def upload_requests() -> st.SearchStrategy[UploadRequest]:
    """Give requests that are a few changes away from a registration."""
    return st.builds(
        UploadRequest,
        image=altered(REGISTERABLE["image"], _IMAGE, 2),
        volume=altered(REGISTERABLE["volume"], _VOLUME),
        project_id=st.sampled_from((A, *_PROJECTS)),
        force=st.booleans(),
        backend=altered(REGISTERABLE["backend"], _BACKEND, 2),
        config=altered(REGISTERABLE["config"], _CONFIG, 2),
        glance=altered(REGISTERABLE["glance"], _GLANCE, 2),
        clone_quota=altered(REGISTERABLE["quota"], _QUOTA, 1),
    )


@settings(max_examples=_EXAMPLES)
@given(request=create_requests())
def test_any_create_is_decided_as_the_reference_does(
    request: CreateRequest,
) -> None:
    """However large and odd the world, the two answer alike."""
    expected = [expected_create(request, p) for p in POLICIES.values()]
    actual = [decided_create(request, p) for p in POLICIES.values()]

    event(", ".join(answer[0] for answer in expected))
    assert expected == actual


@settings(max_examples=_EXAMPLES)
@given(request=upload_requests())
def test_any_upload_is_decided_as_the_reference_does(
    request: UploadRequest,
) -> None:
    """However large and odd the world, the two answer alike."""
    expected = [expected_upload(request, p) for p in POLICIES.values()]
    actual = [decided_upload(request, p) for p in POLICIES.values()]

    event(", ".join(answer[0] for answer in expected))
    assert expected == actual


# -- independence -----------------------------------------------------------


def test_the_reference_shares_nothing_with_the_package() -> None:
    """What it imports is the standard library, and not this package."""
    roots = set()
    for node in ast.walk(ast.parse(REFERENCE.read_text())):
        if isinstance(node, ast.Import):
            roots |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            roots.add((node.module or ".").partition(".")[0])

    assert {
        *("__future__", "collections", "datetime", "posixpath", "re"),
        *("string", "typing", "urllib"),
    } == roots
