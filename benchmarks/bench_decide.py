"""Time decisions: one, many candidates, and from the wire.

The floor is `compare`: one function, written by hand, that makes every
comparison that SAFE's rules make for a request with one volume behind a
location, and gives the failures as one number.
"""

from __future__ import annotations

import datetime
import json
import tracemalloc
import uuid
from typing import Any

import attrs
from _timing import Row, Timing, arguments, interleave, report

from clonepolicy import (
    SAFE,
    Backend,
    CinderLocation,
    Clone,
    CreateDecision,
    CreateRequest,
    GiB,
    ImageVolume,
    LocationsFrom,
    Route,
    Volume,
    decide,
)
from clonepolicy.adapters.records import (
    image_from_v2,
    locations_from_v2,
    volume_from_row,
)
from clonepolicy.ports import Inspection, Missing
from clonepolicy.scenarios import CLONEABLE

_READY = frozenset({"available", "in-use"})
_SETTLED = frozenset({None, "none", "success", "error"})
_REFUSED = Inspection.REFUSED
_UNREAD = frozenset({LocationsFrom.UNAVAILABLE, LocationsFrom.UNREADABLE})
_HIDDEN = frozenset({LocationsFrom.HIDDEN, LocationsFrom.FORBIDDEN})
_UNANSWERED = frozenset({Missing.UNAVAILABLE, Missing.FAILED})
_UNASKED = frozenset({Missing.UNSUPPORTED, Missing.NOT_ASKED})
_STUCK = frozenset({"deleting", "maintenance", "awaiting-transfer"})
_MIB = 1 << 20


def compare(request: CreateRequest) -> tuple[int, int]:  # noqa: C901, PLR0912, PLR0915 - the point
    """Compare all that SAFE compares: (about the request, the candidate)."""
    image, volume = request.image, request.volume
    backend, config, quota = request.backend, request.config, request.quota
    size = volume.size
    kind = volume.volume_type
    code = 0
    # what is refused on both paths
    if size < 1:
        code |= 1
    if kind is not None and (
        (kind.min_vol_size is not None and size < kind.min_vol_size)
        or (kind.max_vol_size is not None and size > kind.max_vol_size)
    ):
        code |= 2
    if not image.visible:
        code |= 4
    if image.status != "active":
        code |= 8
    if (image.size or 0) > size * GiB:
        code |= 16
    if size < image.min_disk:
        code |= 32
    if (image.virtual_size or 0) > size * GiB:
        code |= 64
    if volume.multiattach and volume.encryption_key_id is not None:
        code |= 128
    if quota.missing is not None:
        code |= 1 << 31
    elif (
        (quota.volumes is not None and quota.volumes < 1)
        or (quota.type_volumes is not None and quota.type_volumes < 1)
        or (quota.gigabytes is not None and quota.gigabytes < size)
        or (quota.type_gigabytes is not None and quota.type_gigabytes < size)
        or (
            quota.per_volume_gigabytes is not None
            and quota.per_volume_gigabytes < size
        )
    ):
        code |= 256
    if not image.downloadable:
        code |= 512
    # what closes the routes that clone
    if volume.encryption_key_id is not None:
        code |= 1024
    if image.encryption_key_id is not None:
        code |= 2048
    if image.signed and config.verify_glance_signatures != "disabled":
        code |= 4096
    if backend.can_clone is not True:
        code |= 8192
    if backend.frozen:
        code |= 16384
    if image.owner is None:
        code |= 32768
    if image.disk_format != "raw":
        code |= 65536
    if image.container_format != "bare":
        code |= 131072
    if image.size is None:
        code |= 262144
    known = True
    if image.locations_from in _UNREAD:
        code |= 524288
        known = False
    if image.locations_from in _HIDDEN:
        code |= 1 << 32
        known = False
    if backend.finds_images:
        code |= 1 << 33
    if known and not request.array_images:
        code |= 1048576
    if "cinder" not in config.allowed_direct_url_schemes:
        code |= 2097152
    if known and not request.image_volumes:
        code |= 4194304
    if not config.image_volume_cache_enabled:
        code |= 8388608
    if (
        config.cinder_internal_tenant_project_id is None
        or config.cinder_internal_tenant_user_id is None
    ):
        code |= 16777216
    if request.cache_missing is not None:
        code |= 1 << 34
    elif not request.cache_entries:
        code |= _compare_cache(request)
    # what closes the download
    if image.disk_format != "raw" and config.image_conversion_disable:
        code |= 67108864
    if (
        image.container_format == "compressed"
        and not config.allow_compression_on_image_upload
    ):
        code |= 134217728
    free = request.conversion_free
    if free is not None and free <= (image.size or 0):
        code |= 268435456
    if image.encryption_key_id is not None and (
        volume.encryption_key_id is None
    ):
        code |= 1 << 35
    code |= _compare_data(request) << 36
    return code, _compare_source(request, request.image_volumes[0])


def _compare_data(request: CreateRequest) -> int:
    """Compare whether the data of any volume can be downloaded."""
    image, config = request.image, request.config
    if request.array_images or not (
        image.locations_from is LocationsFrom.LOCATIONS_API
        or (
            image.locations_from is LocationsFrom.IMAGE
            and request.glance.show_multiple_locations
        )
    ):
        return 0
    code = 0
    for candidate in request.image_volumes:
        source, location, found = candidate.source, candidate.location, 0
        if (
            source is None
            or not isinstance(location, CinderLocation)
            or location.volume_id != source.id
        ):
            return 0
        if source.encryption_key_id is not None and (
            image.encryption_key_id is None
            or request.volume.encryption_key_id is None
        ):
            found |= 1
        if "error" in source.status or source.status in _STUCK:
            found |= 2
        if (
            image.owner is not None
            and image.owner != source.project_id
            and not config.trusts(source.project_id)
        ):
            found |= 4
        if (
            source.glance_image_id is not None
            and source.glance_image_id != image.id
        ):
            found |= 8
        if not found:
            return 0
        code |= found
    return code


def _compare_cache(request: CreateRequest) -> int:
    image, quota = request.image, request.cache_quota
    limit, code = request.config.image_volume_cache_max_size_gb, 0
    if limit or quota is not None:
        file = image.size if image.disk_format in {"raw", "iso"} else 0
        disk = max(file or 0, image.virtual_size or 0)
        size = -(-disk // GiB) if image.container_format == "bare" else 0
        if limit and size > limit:
            code |= 536870912
        if quota is not None and (
            0 in {quota.volumes, quota.type_volumes}
            or (quota.gigabytes is not None and quota.gigabytes < (size or 1))
            or (
                quota.type_gigabytes is not None
                and quota.type_gigabytes < (size or 1)
            )
        ):
            code |= 1073741824
    return code or 33554432


def _compare_source(  # noqa: C901, PLR0911, PLR0912, PLR0915 - the point
    request: CreateRequest, candidate: ImageVolume
) -> int:
    source, location = candidate.source, candidate.location
    missing = candidate.missing
    if missing is Missing.ABSENT:
        return 1
    if missing is Missing.FORBIDDEN:
        return 1 << 18
    if missing in _UNANSWERED:
        return 1 << 19
    if missing in _UNASKED:
        return 1 << 20
    if missing is Missing.ELSEWHERE:
        return 1 << 21
    if source is None:
        return 0
    image, volume = request.image, request.volume
    backend, config = request.backend, request.config
    owner, size = image.owner, volume.size
    code = 0
    if source.status not in _READY or source.migration_status not in _SETTLED:
        code |= 2
    if source.encryption_key_id is not None:
        code |= 4
    if source.size > size:
        code |= 8
    if source.size < size and backend.can_extend is not True:
        code |= 16
    limit = backend.clone_limit
    if limit is not None and source.clones is None:
        code |= 1 << 22
    elif limit is not None and (source.clones or 0) >= limit:
        code |= 32
    if source.status == "in-use" and backend.clone_in_use is not True:
        code |= 1 << 23
    has, wanted = source.volume_type, volume.volume_type
    if has is None or wanted is None or has.id != wanted.id:
        promised = wanted.extra_specs if wanted is not None else frozenset()
        kept = has.extra_specs if has is not None else frozenset()
        if promised is None or promised != kept:
            code |= 64
    if (has and has.qos_specs_id) != (wanted and wanted.qos_specs_id):
        code |= 1 << 24
    across = backend.clone_across_pools is True
    clustered = volume.cluster_name is not None
    here = volume.cluster_name if clustered else volume.host
    there = source.cluster_name if clustered else source.host
    apart = (
        here is None
        or there is None
        or (here.host, here.backend) != (there.host, there.backend)
    )
    if not clustered and not across and apart:
        code |= 128
    if clustered and not across and apart:
        code |= 256
    if (
        not across
        and here is not None
        and there is not None
        and here.pool != there.pool
    ):
        code |= 512
    mine, theirs = backend.array_id, candidate.backend.array_id
    if mine is not None and theirs is not None:
        if mine != theirs:
            code |= 1024
    elif here is None or here != there:
        code |= 1024
    if not isinstance(location, CinderLocation):
        code |= 2048
    elif source.id != location.volume_id:
        code |= 4096
    if (
        owner is not None
        and source.project_id != owner
        and (
            source.image_owner != owner
            or (
                source.project_id != config.cinder_internal_tenant_project_id
                and source.project_id not in config.trusted_projects
            )
        )
    ):
        code |= 8192
    if (
        source.glance_image_id is not None
        and source.glance_image_id != image.id
    ):
        code |= 16384
    file = image.size if image.disk_format in {"raw", "iso"} else 0
    if image.container_format == "bare" and source.size * GiB < max(
        file or 0, image.virtual_size or 0
    ):
        code |= 32768
    if source.id == volume.id:
        code |= 65536
    if source.inspection is _REFUSED:
        code |= 131072
    return code


def with_candidates(number: int) -> CreateRequest:
    """Make a request of which only the last candidate is acceptable."""
    base = CLONEABLE[Route.IMAGE_VOLUME]
    (good,) = base.image_volumes
    source = good.source
    assert source is not None  # noqa: S101 - by its making
    bad = []
    for at in range(number - 1):
        volume_id = str(uuid.UUID(int=at + 1))
        bad.append(
            ImageVolume(
                location=CinderLocation(volume_id),
                source=attrs.evolve(source, id=volume_id, status="error"),
                backend=good.backend,
            )
        )
    return attrs.evolve(base, image_volumes=(*bad, good))


def _row(volume: Volume) -> dict[str, Any]:
    kind = volume.volume_type
    assert kind is not None  # noqa: S101 - by its making
    assert volume.created_at is not None  # noqa: S101 - by its making
    return {
        "id": volume.id,
        "project_id": volume.project_id,
        "user_id": "u",
        "size": volume.size,
        "status": volume.status,
        "previous_status": volume.previous_status,
        "host": str(volume.host),
        "cluster_name": None,
        "encryption_key_id": None,
        "volume_type": {
            "id": kind.id,
            "name": kind.name,
            "extra_specs": {"volume_backend_name": kind.volume_backend_name},
            "qos_specs_id": None,
        },
        "multiattach": False,
        "migration_status": None,
        "created_at": datetime.datetime(2025, 1, 1),  # noqa: DTZ001 - as Cinder stores it
        "metadata": {
            key: value
            for key, value in (
                ("image_owner", volume.image_owner),
                ("glance_image_id", volume.glance_image_id),
            )
            if value is not None
        },
    }


def wire(request: CreateRequest) -> tuple[str, dict[str, dict[str, Any]]]:
    """Write a request as Glance's text, and Cinder's rows by id."""
    image = request.image
    urls = [str(candidate.location) for candidate in request.image_volumes]
    body = {
        "name": "an image",
        "id": image.id,
        "status": image.status,
        "owner": image.owner,
        "disk_format": image.disk_format,
        "container_format": image.container_format,
        "size": image.size,
        "virtual_size": image.virtual_size,
        "min_disk": image.min_disk,
        "min_ram": 0,
        "visibility": image.visibility,
        "protected": False,
        "os_hidden": False,
        "checksum": None,
        "os_hash_algo": None,
        "os_hash_value": None,
        "created_at": "2025-01-01T00:00:00Z",
        "updated_at": "2025-01-01T00:00:00Z",
        "tags": [],
        "self": f"/v2/images/{image.id}",
        "file": f"/v2/images/{image.id}/file",
        "schema": "/v2/schemas/image",
        "locations": [{"url": url, "metadata": {}} for url in urls],
        "direct_url": urls[0],
    }
    volumes = [request.volume, *(c.source for c in request.image_volumes)]
    rows = {volume.id: _row(volume) for volume in volumes if volume}
    return json.dumps(body), rows


def from_wire(
    text: str,
    rows: dict[str, dict[str, Any]],
    volume_id: str,
    ready: CreateRequest,
) -> CreateDecision:
    """Read what came over the wire, and decide.

    Configuration and backends are read once and stay, as in a service.
    """
    return decide(read(text, rows, volume_id, ready))


def read(
    text: str,
    rows: dict[str, dict[str, Any]],
    volume_id: str,
    ready: CreateRequest,
) -> CreateRequest:
    """Make records of what came over the wire."""
    body = json.loads(text)
    backend: Backend = ready.backend
    candidates = []
    for location in locations_from_v2(body):
        source = None
        if isinstance(location, CinderLocation):
            source = volume_from_row(rows[location.volume_id])
        candidates.append(
            ImageVolume(location=location, source=source, backend=backend)
        )
    return CreateRequest(
        image=image_from_v2(body, visible=True, downloadable=True),
        volume=volume_from_row(rows[volume_id]),
        backend=backend,
        config=ready.config,
        glance=ready.glance,
        quota=ready.quota,
        image_volumes=tuple(candidates),
    )


def _check(request: CreateRequest) -> None:
    """Let the floor be no faster for comparing something else."""
    decision = decide(request)
    assert isinstance(decision, Clone)  # noqa: S101 - else it times nonsense
    code, source_code = compare(request)
    failing = len(decision.evaluation.failing)
    assert code.bit_count() == failing  # noqa: S101 - the same
    assert source_code == 0  # noqa: S101 - the same
    rules = len(SAFE.create.checks)
    tables = {table.route: table for table in SAFE.create.clone}
    here = len(tables[Route.IMAGE_VOLUME].source_rules)
    assert (rules, here) == (29, 18)  # noqa: S101 - `compare` has as many


def _us(name: str, timing: Timing) -> Row:
    return Row(
        name=name,
        value=timing.best * 1e6,
        unit="us",
        note=f"median {timing.median * 1e6:.4g}",
    )


def _ratio(
    name: str, above: Timing, below: Timing, target: float | None = None
) -> Row:
    return Row(
        name=name,
        value=above.best / below.best,
        unit="x",
        target=target,
        note=f"by medians {above.median / below.median:.3g}",
    )


def _peak(request: CreateRequest) -> float:
    tracemalloc.start()
    try:
        decision = decide(request)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert isinstance(decision, Clone)  # noqa: S101 - else it times nonsense
    return peak / _MIB


def main() -> None:
    """Time everything and print it."""
    parser = arguments(__doc__)
    parser.add_argument(
        "--many", type=int, default=100_000, help="most candidates"
    )
    options = parser.parse_args()
    one, thousand = with_candidates(1), with_candidates(1000)
    many = with_candidates(options.many)
    _check(one)
    text, rows = wire(one)
    new_id = one.volume.id
    assert isinstance(from_wire(text, rows, new_id, one), Clone)  # noqa: S101 - else it times nonsense
    refused = attrs.evolve(
        one,
        image=attrs.evolve(
            one.image, disk_format="qcow2", container_format="ovf", signed=True
        ),
    )
    small = interleave(
        {
            "compare": lambda: compare(one),
            "decide": lambda: decide(one),
            "decide and findings": lambda: decide(one).findings,
            "decide, closed": lambda: decide(refused),
            "closed and findings": lambda: decide(refused).findings,
            "decide and plan": lambda: decide(one).plan,
            "json": lambda: json.loads(text),
            "records": lambda: read(text, rows, new_id, one),
            "wire": lambda: from_wire(text, rows, new_id, one),
            "1000": lambda: decide(thousand),
        },
        rounds=options.rounds,
    )
    large = interleave(
        {
            "decide": lambda: decide(one),
            "many": lambda: decide(many),
        },
        rounds=max(3, options.rounds // 5),
    )
    each = Timing(tuple(t / options.many for t in large["many"].rounds))
    number = f"{options.many:,}"
    report(
        [
            _us("bare comparisons", small["compare"]),
            _us("decision", small["decide"]),
            _ratio(
                "decision / bare comparisons",
                small["decide"],
                small["compare"],
                7,
            ),
            _ratio(
                "decision + findings / decision",
                small["decide and findings"],
                small["decide"],
            ),
            _ratio(
                "download + findings / download",
                small["closed and findings"],
                small["decide, closed"],
            ),
            _ratio(
                "decision + plan / decision",
                small["decide and plan"],
                small["decide"],
            ),
            _us("1,000 candidates", small["1000"]),
            _ratio(
                "1,000 candidates / 1", small["1000"], small["decide"], 250
            ),
            _ratio(
                f"each of {number} candidates / 1", each, large["decide"], 3
            ),
            Row(
                name=f"peak memory, {number} candidates",
                value=_peak(many),
                unit="MiB",
                target=16,
            ),
            _us("from the wire", small["wire"]),
            _ratio("from the wire / ready", small["wire"], small["decide"], 4),
            _ratio("of which JSON", small["json"], small["decide"]),
            _ratio("JSON and records", small["records"], small["decide"]),
        ],
        as_json=options.json,
    )


if __name__ == "__main__":
    main()
