"""A second, dull implementation of the three policies, to compare with.

It shares no code with the package: it reads the requests' attributes,
parses URLs from their text, and knows reasons by their values.  Letters
and numbers (A8, C9, K13, V2 ...) name the documented behaviour of Cinder
and Glance that a line stands for; B numbers name the known defects that the
safe policy avoids; S and I numbers name invariants.
"""
# Plain ifs, one for each documented line, however many; Any because nothing
# is imported from the package.
# ruff: noqa: ANN401, C901, PLR0911, PLR0912, SIM102, SIM114

from __future__ import annotations

import datetime
import posixpath
import re
import string
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias
from urllib.parse import quote, unquote, urlsplit

Reasons: TypeAlias = frozenset[str]
Created: TypeAlias = tuple[
    str, str | None, int | None, Reasons, dict[str, list[Reasons]]
]
Judge: TypeAlias = Callable[[Any, Any], set[str]]
Rank: TypeAlias = Callable[[Any, Any], Any]

GIGABYTE = 1024 * 1024 * 1024
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)
HEX = "0123456789abcdef"
STORE_LETTERS = string.ascii_letters + string.digits + "._~-"
SCHEME_LETTERS = string.ascii_lowercase + string.digits + "+.-"
UUID_GROUPS = [8, 4, 4, 4, 12]


# ----------------------------------------------------------------- URLs


def is_uuid(text: str) -> bool:
    """Tell a lower-case, hyphenated UUID from all other text."""
    groups = text.split("-")
    if [len(group) for group in groups] != UUID_GROUPS:
        return False
    return all(letter in HEX for group in groups for letter in group)


def parse(url: str) -> dict[str, str]:
    """Read a URL by the canonical grammar (1.6)."""
    malformed = {"kind": "malformed"}
    scheme, colon, rest = url.partition(":")
    if not colon or not rest or not scheme:
        return malformed
    if scheme[0] not in string.ascii_lowercase:
        return malformed
    if any(letter not in SCHEME_LETTERS for letter in scheme):
        return malformed
    if scheme == "cinder":
        return parse_cinder(rest)
    if scheme == "rbd":
        return parse_rbd(rest)
    if scheme == "file":
        return parse_file(rest)
    return {"kind": "other", "scheme": scheme}


def parse_cinder(rest: str) -> dict[str, str]:
    """Read ``//ID`` or ``//STORE/ID`` (1.6, first two rows)."""
    if not rest.startswith("//"):
        return {"kind": "malformed"}
    parts = rest[2:].split("/")
    if len(parts) == 1 and is_uuid(parts[0]):
        return {"kind": "cinder", "scheme": "cinder", "volume": parts[0]}
    if len(parts) == 2 and is_uuid(parts[1]):
        store = parts[0]
        if store and all(letter in STORE_LETTERS for letter in store):
            return {"kind": "cinder", "scheme": "cinder", "volume": parts[1]}
    return {"kind": "malformed"}


def parse_rbd(rest: str) -> dict[str, str]:
    """Read ``//fsid/pool/image/snapshot``, percent-encoded (1.9, RBD)."""
    if not rest.startswith("//"):
        return {"kind": "malformed"}
    parts = rest[2:].split("/")
    if len(parts) != 4:
        return {"kind": "malformed"}
    for part in parts:
        if part == "" or quote(unquote(part), safe="") != part:
            return {"kind": "malformed"}
    return {
        "kind": "rbd",
        "scheme": "rbd",
        "fsid": unquote(parts[0]),
        "pool": unquote(parts[1]),
        "image": unquote(parts[2]),
        "snapshot": unquote(parts[3]),
    }


def parse_file(rest: str) -> dict[str, str]:
    """Read ``///path`` without dots, query, fragment or control letters."""
    if not rest.startswith("///"):
        return {"kind": "malformed"}
    path = rest[2:]
    for letter in path:
        if letter in "?#" or ord(letter) < 32 or ord(letter) == 127:
            return {"kind": "malformed"}
    for part in path[1:].split("/"):
        if part in {"", ".", ".."}:
            return {"kind": "malformed"}
    return {"kind": "file", "scheme": "file", "path": path}


def lenient_volume_id(url: str) -> str | None:
    """Read a volume id as Cinder does (C4, 1.6 second column)."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    if parts.scheme != "cinder":
        return None
    last = parts.path.split("/")[-1] if parts.path else parts.netloc
    # 1.6: other spellings of a UUID can equal no stored id
    if not is_uuid(last):
        return None
    return last


# --------------------------------------------------------------- places


def text_of(place: Any) -> str | None:
    """Write a host or cluster, or None where it is not known."""
    if place is None:
        return None
    return str(place) or None


def pool_of(place: Any) -> str | None:
    """Give what follows the hash sign, or None."""
    text = text_of(place)
    if text is None or "#" not in text:
        return None
    return text.split("#", 1)[1]


def service_of(place: Any) -> tuple[str, str] | None:
    """Give the host and backend parts, or None where one is not known."""
    text = text_of(place)
    if text is None:
        return None
    service = text.split("#", 1)[0]
    host, _, backend = service.partition("@")
    return (host, backend)


def is_clustered(volume: Any) -> bool:
    """Say whether a cluster, not a host, runs the volume."""
    return text_of(volume.cluster_name) is not None


def place_of(volume: Any, new: Any) -> Any:
    """Give the place by which a volume is compared with the new one."""
    if is_clustered(new):
        return volume.cluster_name
    return volume.host


def sql_like(pattern: str, value: str) -> bool:
    """Match as SQL's LIKE does, case counting."""
    parts = []
    for letter in pattern:
        if letter == "%":
            parts.append(".*")
        elif letter == "_":
            parts.append(".")
        else:
            parts.append(re.escape(letter))
    return re.fullmatch("".join(parts), value, re.DOTALL) is not None


def database_finds(wanted: Any, stored: Any) -> bool:
    """Filter by host or cluster as Cinder's database layer does (C5)."""
    filter_text = text_of(wanted)
    if filter_text is None:
        return True
    if stored is None:
        return False
    value = str(stored)
    if value == filter_text:
        return True
    if "#" in filter_text:
        return False
    if sql_like(filter_text + "#%", value):
        return True
    if "@" in filter_text:
        return False
    return sql_like(filter_text + "@%", value)


# ------------------------------------------------------- small questions


def gigabytes(size: int) -> int:
    """Round bytes up to GiB (A8)."""
    whole, rest = divmod(size, GIGABYTE)
    if rest:
        return whole + 1
    return whole


def exceeds_quota(quota: Any, size: int) -> bool:
    """Say whether one more volume of that size is too much (A15, P6)."""
    if quota.volumes is not None and quota.volumes < 1:
        return True
    if quota.gigabytes is not None and quota.gigabytes < size:
        return True
    per_volume = quota.per_volume_gigabytes
    return per_volume is not None and per_volume < size


def has_internal_tenant(config: Any) -> bool:
    """Say whether both ids are set (K2, P5)."""
    if config.cinder_internal_tenant_project_id is None:
        return False
    return config.cinder_internal_tenant_user_id is not None


def is_trusted(config: Any, project_id: str) -> bool:
    """Say whether tenants cannot write to that project's volumes (4.3)."""
    if project_id in config.trusted_projects:
        return True
    return bool(project_id == config.cinder_internal_tenant_project_id)


def lacks_space(request: Any) -> bool:
    """Say whether the conversion directory is too full (K1)."""
    if request.conversion_free is None:
        return False
    return not request.conversion_free > (request.image.size or 0)


def at_limit(backend: Any, clones: int | None) -> bool:
    """Say whether the array makes no further clone (K5, 1.9)."""
    if backend.clone_limit is None:
        return False
    if clones is None:
        return True
    return bool(clones >= backend.clone_limit)


def compatible_types(one: Any, other: Any) -> bool:
    """Compare volume types (V7, B14)."""
    if one is None or other is None:
        return one is None and other is None
    if one.id == other.id:
        return True
    if one.volume_backend_name is None:
        return False
    return bool(one.volume_backend_name == other.volume_backend_name)


def label(candidate: Any) -> str:
    """Name a candidate by its location, or by its volume in the cache."""
    if hasattr(candidate, "location"):
        return str(candidate.location)
    if candidate.source is None:
        return "cache:?"
    return f"cache:{candidate.source.id}"


# ----------------------------------------------- create: on the request


def api_refusals(request: Any) -> set[str]:
    """Collect what Cinder's API refuses (1.1)."""
    image = request.image
    volume = request.volume
    kind = volume.volume_type
    found = set()
    if volume.size < 1:  # A3
        found.add("size-invalid")
    if kind is not None:  # A4
        if kind.min_vol_size is not None and volume.size < kind.min_vol_size:
            found.add("type-size-limit")
        if kind.max_vol_size is not None and volume.size > kind.max_vol_size:
            found.add("type-size-limit")
    if not image.visible:  # A6
        found.add("image-not-visible")
    if image.status != "active":  # A7
        found.add("image-not-active")
    if image.size is not None and gigabytes(image.size) > volume.size:  # A8
        found.add("image-larger-than-volume")
    if volume.size < image.min_disk:  # A9
        found.add("below-min-disk")
    if image.virtual_size and gigabytes(image.virtual_size) > volume.size:
        found.add("virtual-size-too-big")  # A10
    if volume.multiattach and volume.encryption_key_id is not None:  # A14
        found.add("multiattach-encrypted")
    if exceeds_quota(request.quota, volume.size):  # A15
        found.add("quota-exceeded")
    return found


def ordinary_closed(request: Any) -> set[str]:
    """Collect what closes the download (K1, K13, K14)."""
    image = request.image
    config = request.config
    found = set()
    if image.disk_format != "raw" and config.image_conversion_disable:
        found.add("conversion-disabled")  # K13
    if (
        image.container_format == "compressed"
        and not config.allow_compression_on_image_upload
    ):
        found.add("compression-disabled")  # K14
    if lacks_space(request):
        found.add("conversion-space")  # K1
    return found


def safe_shared_gates(request: Any) -> set[str]:
    """Collect what closes every mechanism in SAFE."""
    image = request.image
    found = set()
    if request.volume.encryption_key_id is not None:  # C1, S6
        found.add("new-volume-encrypted")
    if image.encryption_key_id is not None:  # 1.11, S6
        found.add("image-data-encrypted")
    if image.signed and request.config.verify_glance_signatures != "disabled":
        found.add("signature-required")  # K9, S9
    if request.backend.can_clone is not True:
        found.add("driver-cannot-clone")
    if request.backend.frozen:  # C10
        found.add("backend-frozen")
    if image.owner is None:  # B3, S3
        found.add("image-owner-unknown")
    if image.container_format != "bare":  # B15
        found.add("container-not-bare")
    return found


def safe_location_gates(request: Any) -> set[str]:
    """Collect what closes both mechanisms that go by location in SAFE."""
    image = request.image
    found = safe_shared_gates(request)
    if image.disk_format != "raw":  # S4
        found.add("disk-format-not-raw")
    if image.size is None:
        found.add("size-unknown")
    if image.locations_from == "unreadable":  # B21
        found.add("locations-unavailable")
    return found


def safe_gates(request: Any) -> dict[str, set[str]]:
    """Collect, for each mechanism, what closes it in SAFE."""
    array = safe_location_gates(request)
    if not request.array_images:
        array.add("no-array-image")
    volumes = safe_location_gates(request)
    if "cinder" not in request.config.allowed_direct_url_schemes:  # D2, S11
        volumes.add("scheme-not-allowed")
    if not request.image_volumes:
        volumes.add("no-locations")
    cache = safe_shared_gates(request)
    if not request.config.image_volume_cache_enabled:  # V1
        cache.add("cache-disabled")
    if not has_internal_tenant(request.config):  # K2
        cache.add("no-internal-tenant")
    if not request.cache_entries:
        cache.add("cache-miss")
    return {
        "array-image": array,
        "image-volume": volumes,
        "cache-entry": cache,
    }


# ----------------------------------------------- create: on a candidate


def safe_source(request: Any, source: Any) -> set[str]:
    """Collect what SAFE holds against any source that is there."""
    found = set()
    if source.status not in {"available", "in-use"}:  # B4, S7
        found.add("source-status")
    if source.encryption_key_id is not None:  # B5, S6
        found.add("source-encrypted")
    if source.size > request.volume.size:  # B6, S5
        found.add("source-larger-than-request")
    if source.size < request.volume.size:
        if request.backend.can_extend is not True:
            found.add("extend-unsupported")
    if at_limit(request.backend, source.clones):
        found.add("snapshot-limit")
    needs = request.image.size or 0
    if request.image.virtual_size is not None:
        needs = max(needs, request.image.virtual_size)
    if source.size * 1024**3 < needs:  # B19
        found.add("source-smaller-than-image")
    return found


def safe_volume(request: Any, candidate: Any) -> set[str]:
    """Collect what SAFE holds against a volume that is there."""
    new = request.volume
    source = candidate.source
    across = request.backend.clone_across_pools is True
    found = safe_source(request, source)
    if source.id == new.id:
        found.add("source-is-new-volume")
    if source.glance_image_id is not None:  # 5.3, 3
        if source.glance_image_id != request.image.id:
            found.add("backref-mismatch")
    if source.migration_status not in {None, "none", "success", "error"}:
        found.add("source-status")  # C10
    if not compatible_types(new.volume_type, source.volume_type):  # V7
        found.add("type-incompatible")
    mine = place_of(new, new)
    theirs = place_of(source, new)
    if not across:  # C5, S10
        same = service_of(mine) == service_of(theirs)
        if service_of(mine) is None or not same:
            if is_clustered(new):
                found.add("different-cluster")
            else:
                found.add("different-host")
        if text_of(mine) is not None and text_of(theirs) is not None:
            if pool_of(mine) != pool_of(theirs):  # S10: unknown is no yes
                found.add("different-pool")
    my_array = request.backend.array_id
    their_array = candidate.backend.array_id
    if my_array is not None and their_array is not None:  # C6, X19
        if my_array != their_array:
            found.add("different-array")
    elif text_of(mine) is None or text_of(mine) != text_of(theirs):
        found.add("different-array")
    return found


def safe_array_image(request: Any, candidate: Any) -> set[str]:
    """Judge an image on an array in SAFE."""
    image = request.image
    backend = request.backend
    pools = request.config.trusted_image_pools
    location = parse(str(candidate.location))
    kind = location["kind"]
    found = set()
    if candidate.source is None:
        found.add("source-not-found")
    else:
        found |= safe_source(request, candidate.source)
    if kind == "malformed":
        found.add("location-malformed")
    elif kind not in {"rbd", "file"} or kind not in backend.image_schemes:
        found.add("scheme-unsupported")
    if kind == "rbd":
        if location["fsid"] != backend.array_id:  # 1.9, RBD
            found.add("different-fsid")
        if location["pool"] not in pools:  # B16
            found.add("pool-not-allowed")
        if location["image"] != image.id:  # 5.3, 3
            found.add("backref-mismatch")
        if location["snapshot"] != "snap":  # B16
            found.add("backref-mismatch")
    if kind == "file":
        mine = backend.array_id
        if mine is None or mine != candidate.backend.array_id:
            found.add("different-array")
        if posixpath.dirname(location["path"]) not in pools:  # B16
            found.add("pool-not-allowed")
        if posixpath.basename(location["path"]) != image.id:  # 5.3, 3
            found.add("backref-mismatch")
    return found


def safe_image_volume(request: Any, candidate: Any) -> set[str]:
    """Judge the volume behind a location in SAFE."""
    image = request.image
    source = candidate.source
    found = set()
    if parse(str(candidate.location))["kind"] != "cinder":  # 1.6
        found.add("location-malformed")
    if source is None:
        found.add("source-not-found")
        return found
    if parse(str(candidate.location))["kind"] == "cinder":
        if parse(str(candidate.location))["volume"] != source.id:  # B19
            found.add("source-not-found")
    found |= safe_volume(request, candidate)
    if image.owner is not None and source.project_id != image.owner:  # 4.3
        if not is_trusted(request.config, source.project_id):
            found.add("owner-mismatch")
        elif source.image_owner != image.owner:
            found.add("owner-mismatch")
    return found


def safe_cache_entry(request: Any, candidate: Any) -> set[str]:
    """Judge an entry of the cache in SAFE."""
    image = request.image
    source = candidate.source
    if source is None:
        found = {"source-not-found"}
    else:
        found = safe_volume(request, candidate)
        if not is_trusted(request.config, source.project_id):  # V5
            found.add("owner-mismatch")
        if image.owner is not None and source.image_owner is not None:
            if source.image_owner != image.owner:
                found.add("owner-mismatch")
    if candidate.image_id != image.id:
        found.add("backref-mismatch")
    if image.updated_at is None:  # V3
        found.add("cache-stale")
    elif candidate.image_updated_at != image.updated_at:
        found.add("cache-stale")
    return found


# ---------------------------------------------------- create: the order


def seconds(moment: datetime.datetime | None) -> datetime.timedelta:
    """Count from the epoch; what is unknown counts as the epoch."""
    if moment is None:
        return datetime.timedelta(0)
    return moment - EPOCH


def safe_rank(request: Any, candidate: Any) -> Any:
    """Prefer the same place, then the same backend, newest, by id (I3)."""
    new = request.volume
    source = candidate.source
    mine = place_of(new, new)
    theirs = place_of(source, new)
    distance = 2
    if service_of(mine) is not None:
        if service_of(mine) == service_of(theirs):
            distance = 1
    if text_of(mine) is not None and text_of(mine) == text_of(theirs):
        distance = 0
    age = -seconds(source.created_at)
    return (distance, age, source.id, label(candidate))


def label_rank(_request: Any, candidate: Any) -> Any:
    """Order by the location's text."""
    return label(candidate)


def cinder_volume_rank(_request: Any, candidate: Any) -> Any:
    """Prefer the newest, then the greatest id (C8)."""
    source = candidate.source
    backwards = (*(-ord(letter) for letter in source.id), 1)
    return (-seconds(source.created_at), backwards, label(candidate))


def cinder_cache_rank(_request: Any, candidate: Any) -> Any:
    """Prefer the entry used last (V2)."""
    return (-seconds(candidate.last_used), label(candidate))


# ------------------------------------------- create: LIBERTY, CINDER_29


def liberty_gates(request: Any) -> dict[str, set[str]]:
    """Collect what the first specification asks of the request."""
    found = set()
    if request.image.disk_format != "raw":
        found.add("disk-format-not-raw")
    if "cinder" not in request.config.allowed_direct_url_schemes:
        found.add("scheme-not-allowed")
    if not request.image_volumes:
        found.add("no-locations")
    return {"image-volume": found}


def liberty_image_volume(request: Any, candidate: Any) -> set[str]:
    """Judge a candidate as the first specification does."""
    source = candidate.source
    found = set()
    if parse(str(candidate.location))["kind"] != "cinder":
        found.add("location-malformed")
    if source is None:
        found.add("source-not-found")
        return found
    mine = text_of(request.volume.host)
    if mine is None or mine != text_of(source.host):
        found.add("different-host")
    if source.project_id != request.image.owner:
        found.add("owner-mismatch")
    return found


def cinder_gates(request: Any) -> dict[str, set[str]]:
    """Collect what closes each of Cinder 29's mechanisms."""
    image = request.image
    array = set()
    volumes = set()
    cache = set()
    if request.volume.encryption_key_id is not None:  # D1, C1, V9
        array.add("new-volume-encrypted")
        volumes.add("new-volume-encrypted")
        cache.add("new-volume-encrypted")
    if image.disk_format != "raw":  # 1.9 RBD, C2
        array.add("disk-format-not-raw")
        volumes.add("disk-format-not-raw")
    if image.container_format != "bare":  # C2
        volumes.add("container-not-bare")
    if "cinder" not in request.config.allowed_direct_url_schemes:  # D2
        volumes.add("scheme-not-allowed")
    if image.locations_from == "image" and image.direct_url is None:  # L4
        array.add("locations-hidden-no-direct-url")
        volumes.add("locations-hidden-no-direct-url")
    if not request.array_images:
        array.add("no-array-image")
    if not request.image_volumes:
        volumes.add("no-locations")
    if not request.config.image_volume_cache_enabled:  # V1
        cache.add("cache-disabled")
    if not has_internal_tenant(request.config):  # K2
        cache.add("no-internal-tenant")
    if lacks_space(request):  # K1
        cache.add("conversion-space")
    if not request.cache_entries:
        cache.add("cache-miss")
    return {
        "array-image": array,
        "image-volume": volumes,
        "cache-entry": cache,
    }


def cinder_array_image(request: Any, candidate: Any) -> set[str]:
    """Judge an image on an array as the RBD driver does (1.9)."""
    location = parse(str(candidate.location))
    kind = location["kind"]
    schemes = request.backend.image_schemes
    found = set()
    if candidate.source is None:
        found.add("source-not-found")
    if kind == "malformed":
        found.add("location-malformed")
    elif kind == "other" or location["scheme"] not in schemes:
        found.add("scheme-unsupported")
    if kind == "rbd" and location["fsid"] != request.backend.array_id:
        found.add("different-fsid")
    return found


def cinder_image_volume(request: Any, candidate: Any) -> set[str]:
    """Judge the volume behind a location as Cinder 29 does (1.5)."""
    new = request.volume
    source = candidate.source
    owner = request.image.owner
    found = set()
    if lenient_volume_id(str(candidate.location)) is None:  # C4
        found.add("location-malformed")
    if source is None:
        found.add("source-not-found")
        return found
    if request.backend.clone_across_pools is not True:  # C5, C6
        if is_clustered(new):
            if not database_finds(new.cluster_name, source.cluster_name):
                found.add("different-cluster")
        elif not database_finds(new.host, source.host):
            found.add("different-host")
    if owner not in (new.project_id, source.image_owner):  # C9
        found.add("owner-mismatch")
    return found


def cinder_cache_entry(request: Any, candidate: Any) -> set[str]:
    """Judge an entry of the cache as Cinder 29 does (1.8)."""
    image = request.image
    new = request.volume
    source = candidate.source
    found = set()
    if candidate.image_id != image.id:  # V2
        found.add("backref-mismatch")
    if image.updated_at is None:  # V3
        found.add("cache-stale")
    elif candidate.image_updated_at != image.updated_at:
        found.add("cache-stale")
    if source is None:
        found.add("source-not-found")
    elif is_clustered(new):  # V2
        if text_of(new.cluster_name) != text_of(source.cluster_name):
            found.add("different-host")
    elif request.backend.clone_across_pools is not True:
        if text_of(new.host) != text_of(source.host):
            found.add("different-host")
    return found


# --------------------------------------------------- create: the verdict

SAFE_JUDGES: Mapping[str, tuple[Judge, Rank]] = {
    "array-image": (safe_array_image, label_rank),
    "image-volume": (safe_image_volume, safe_rank),
    "cache-entry": (safe_cache_entry, safe_rank),
}
LIBERTY_JUDGES: Mapping[str, tuple[Judge, Rank]] = {
    "image-volume": (liberty_image_volume, safe_rank),
}
CINDER_JUDGES: Mapping[str, tuple[Judge, Rank]] = {
    "array-image": (cinder_array_image, label_rank),
    "image-volume": (cinder_image_volume, cinder_volume_rank),
    "cache-entry": (cinder_cache_entry, cinder_cache_rank),
}


def create(request: Any, policy_name: str) -> Created:
    """Decide how to fill a volume from an image."""
    refusals: set[str]
    closed: set[str]
    if policy_name == "SAFE":
        refusals = api_refusals(request)
        if not request.image.downloadable:  # B22, S8
            refusals.add("download-forbidden")
        closed = ordinary_closed(request)
        gates = safe_gates(request)
        judges = SAFE_JUDGES
    elif policy_name == "LIBERTY":
        refusals = set()
        closed = set()
        gates = liberty_gates(request)
        judges = LIBERTY_JUDGES
    elif policy_name == "CINDER_29":
        refusals = api_refusals(request)
        if request.image.size is None:  # A8
            refusals.add("size-unknown")
        if request.image.locations_from == "unreadable":  # L2, M2
            refusals.add("locations-unavailable")
        closed = ordinary_closed(request)
        if not request.image.downloadable:
            closed.add("download-forbidden")
        gates = cinder_gates(request)
        judges = CINDER_JUDGES
    else:
        raise ValueError(policy_name)
    candidates: dict[str, Sequence[Any]] = {
        "array-image": request.array_images,
        "image-volume": request.image_volumes,
        "cache-entry": request.cache_entries,
    }
    against: dict[str, list[Reasons]] = {}
    chosen = None
    for mechanism, (judge, rank) in judges.items():
        acceptable = []
        against[mechanism] = []
        for candidate in candidates[mechanism]:
            reasons = judge(request, candidate)
            against[mechanism].append(frozenset(reasons))
            if not reasons:
                acceptable.append(candidate)
        if chosen is None and acceptable and not gates[mechanism]:
            chosen = acceptable[0]
            for candidate in acceptable:
                if rank(request, candidate) < rank(request, chosen):
                    chosen = candidate
    everything = frozenset(refusals.union(closed, *gates.values()))
    if refusals:  # S14
        return ("refuse", None, None, everything, against)
    if chosen is not None:
        extend_to = None
        if chosen.source.size < request.volume.size:
            extend_to = request.volume.size
        return ("clone", label(chosen), extend_to, everything, against)
    if closed:
        return ("refuse", None, None, everything, against)
    return ("download", None, None, everything, against)


# --------------------------------------------------------------- upload


def upload_refusals(request: Any) -> set[str]:
    """Collect what Cinder's API refuses (2.1)."""
    image = request.image
    volume = request.volume
    found = set()
    status = volume.status
    if status == "uploading":  # U7
        status = volume.previous_status
    if status == "in-use" and request.force:  # U6
        if not request.config.enable_force_upload:
            found.add("force-disabled")
    elif status != "available":
        found.add("volume-not-uploadable")
    if volume.encryption_key_id is not None:  # U3
        raw = image.disk_format == "raw"
        bare = image.container_format == "bare"
        if not (raw and bare):
            found.add("format-for-encrypted-upload")
    if (
        image.container_format == "compressed"
        and not request.config.allow_compression_on_image_upload
    ):
        found.add("compression-disabled")  # U11
    return found


def store_is_unresolved(request: Any) -> bool:
    """Say whether no one store takes the volume (G9, X8)."""
    stores = request.glance.stores
    if not stores:
        return False
    kind = request.volume.volume_type
    matches = []
    for store in stores:
        if kind is not None and kind.store_id is not None:  # P12
            if store.id == kind.store_id:
                matches.append(store)
        elif kind is None:
            if store.cinder_volume_type is None:
                matches.append(store)
        elif store.cinder_volume_type == kind.name:
            matches.append(store)
    return len(matches) != 1 or matches[0].read_only


def safe_register_gates(request: Any) -> set[str]:
    """Collect what closes the registration in SAFE."""
    image = request.image
    volume = request.volume
    config = request.config
    glance = request.glance
    found = set()
    if image.disk_format != "raw":  # P3
        found.add("disk-format-not-raw")
    if image.container_format != "bare":  # P3
        found.add("container-not-bare")
    if image.owner is None:  # B3
        found.add("image-owner-unknown")
    if request.backend.can_clone is not True:
        found.add("driver-cannot-clone")
    if request.backend.frozen:
        found.add("backend-frozen")
    if not config.image_upload_use_cinder_backend:  # P2
        found.add("upload-backend-disabled")
    if volume.encryption_key_id is not None:  # B1
        found.add("encrypted-source")
    if volume.migration_status not in {None, "none", "success", "error"}:
        found.add("source-status")  # P4
    project = request.project_id
    if config.image_upload_use_internal_tenant:  # P5, X9
        if has_internal_tenant(config):
            project = config.cinder_internal_tenant_project_id
        else:
            found.add("no-internal-tenant")
    if project == request.project_id:  # U10
        if image.owner is not None and image.owner != project:
            found.add("owner-mismatch")
    if exceeds_quota(request.clone_quota, volume.size):  # P6, B10
        found.add("clone-quota")
    if request.backend.clone_while_uploading is not True:  # P9, B20
        found.add("clone-while-uploading-unsupported")
    if at_limit(request.backend, volume.clones):
        found.add("snapshot-limit")
    if store_is_unresolved(request):
        found.add("store-unresolved")
    if glance.has_location_api is not True:  # G1
        if not glance.show_multiple_locations:
            found.add("legacy-write-disabled")
    if glance.has_location_api is True:  # G5, X5
        if "service" not in glance.service_roles:
            found.add("service-role-missing")
    if image.visibility not in {"public", "community"}:  # L6, X4
        if "admin" not in glance.service_roles:
            found.add("admin-role-missing")
    return found


def upload(request: Any, policy_name: str) -> tuple[str, Reasons]:
    """Decide how to make an image of a volume."""
    image = request.image
    config = request.config
    refusals: set[str] = set()
    closed: set[str] = set()
    gates: set[str] = set()
    converts = image.disk_format != "raw" and config.image_conversion_disable
    if policy_name == "SAFE":
        refusals = upload_refusals(request)
        if converts:  # U13
            refusals.add("conversion-disabled")
        if image.status != "queued":  # G5, L5
            refusals.add("image-not-queued")
        gates = safe_register_gates(request)
    elif policy_name == "LIBERTY":
        if image.disk_format != "raw":
            gates.add("disk-format-not-raw")
        if not config.image_upload_use_cinder_backend:
            gates.add("upload-backend-disabled")
    elif policy_name == "CINDER_29":
        refusals = upload_refusals(request)
        if image.disk_format != "raw":  # P3
            gates.add("disk-format-not-raw")
        if image.container_format != "bare":  # P3
            gates.add("container-not-bare")
        if not config.image_upload_use_cinder_backend:  # P2
            gates.add("upload-backend-disabled")
        if not gates:  # P6
            quota, size = request.clone_quota, request.volume.size
            if quota.volumes is not None and quota.volumes < 1:
                refusals.add("clone-quota")
            if quota.gigabytes is not None and quota.gigabytes < size:
                refusals.add("clone-quota")
        if converts:  # U13, P16
            closed.add("conversion-disabled")
    else:
        raise ValueError(policy_name)
    everything = frozenset(refusals | closed | gates)
    if refusals:
        return ("refuse", everything)
    if not gates:
        return ("register", everything)
    if closed:
        return ("refuse", everything)
    return ("upload", everything)
