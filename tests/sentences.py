# ruff: noqa: ANN401 - facts have any type
"""What each sentence of a finding claims, of the facts that it shows.

Written from the sentences, not from the rules.  A fact that a finding does
not show may not be claimed: looking it up here fails.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from clonepolicy import (
    CinderLocation,
    FileLocation,
    Host,
    LocationsFrom,
    MalformedLocation,
    Quota,
    RbdLocation,
    parse_location,
)
from clonepolicy.ports import Inspection, Missing

Facts: TypeAlias = Mapping[str, Any]
"""The values of a finding, by their paths."""

GIB = 2**30


def full(quota: Quota, size: int, *, limits_volumes: bool = True) -> bool:
    """Say whether a quota has no room for a volume of some GiB."""
    return (
        quota.volumes == 0
        or quota.type_volumes == 0
        or (quota.gigabytes is not None and quota.gigabytes < size)
        or (quota.type_gigabytes is not None and quota.type_gigabytes < size)
        or (
            limits_volumes
            and quota.per_volume_gigabytes is not None
            and quota.per_volume_gigabytes < size
        )
    )


def disk(facts: Facts) -> int:
    """Return the bytes of the disk in the image; 0 if that is not known."""
    if facts["image.container_format"] != "bare":
        return 0
    sizes = [facts["image.virtual_size"] or 0]
    if facts["image.disk_format"] in {"raw", "iso"}:
        sizes.append(facts["image.size"] or 0)
    return max(sizes)


def in_use(facts: Facts) -> bool:
    """Say whether the volume was in use before it was uploading."""
    if facts["volume.status"] == "uploading":
        return bool(facts["volume.previous_status"] == "in-use")
    return bool(facts["volume.status"] == "in-use")


def promised(kind: Any) -> Any:
    """Return a type's extra specs; no type promises nothing."""
    return frozenset() if kind is None else kind.extra_specs


def same_specs(one: Any, two: Any) -> bool:
    """Say whether two types are one, or are known to promise the same."""
    if one is not None and two is not None and one.id == two.id:
        return True
    return promised(one) is not None and promised(one) == promised(two)


def qos(kind: Any) -> str | None:
    """Return the id of a type's QoS specs."""
    return None if kind is None else str(kind.qos_specs_id or "") or None


def available(facts: Facts) -> bool:
    """Say whether the volume was available before it was uploading."""
    if facts["volume.status"] == "uploading":
        return bool(facts["volume.previous_status"] == "available")
    return bool(facts["volume.status"] == "available")


def same_service(one: Host | None, two: Host | None) -> bool:
    """Say whether two places are known to be of one service."""
    if one is None or two is None:
        return False
    return (one.host, one.backend) == (two.host, two.backend)


def place(facts: Facts, whose: str) -> Host | None:
    """Return the cluster or the host by which a volume is compared."""
    clustered = facts["volume.cluster_name"] is not None
    found: Host | None = facts[
        f"{whose}.cluster_name" if clustered else f"{whose}.host"
    ]
    return found


def trusted(facts: Facts, project: str) -> bool:
    """Say whether no tenant can write to a project's volumes."""
    return project in facts["config.trusted_projects"] or (
        project == facts["config.cinder_internal_tenant_project_id"]
    )


def tenant_set(facts: Facts) -> bool:
    """Say whether both options of the internal tenant are set."""
    return None not in {
        facts["config.cinder_internal_tenant_project_id"],
        facts["config.cinder_internal_tenant_user_id"],
    }


def clones_project(facts: Facts) -> Any:
    """Return the project that would own the clone of an upload."""
    if tenant_set(facts) and facts["config.image_upload_use_internal_tenant"]:
        return facts["config.cinder_internal_tenant_project_id"]
    return facts["project_id"]


def owner_of_source(facts: Facts) -> Any:
    """Return whose the source is; in a trusted project image_owner says it."""
    if trusted(facts, facts["source.project_id"]):
        return facts["source.image_owner"]
    return facts["source.project_id"]


def gets_key(facts: Facts) -> bool:
    """Say whether the new volume gets the image's key."""
    return (
        facts["image.encryption_key_id"] is not None
        and facts["volume.encryption_key_id"] is not None
    )


def locations_known(facts: Facts) -> bool:
    """Say whether an interface of Glance has shown the locations."""
    return facts["image.locations_from"] in {
        LocationsFrom.LOCATIONS_API,
        LocationsFrom.IMAGE,
    }


def matches(facts: Facts, store: Any) -> bool:
    """Say whether a store is for a type, which an old Glance may name."""
    kind = facts["volume.volume_type"]
    old = facts["glance.has_location_api"] is False
    return bool(
        kind.name in {store.cinder_volume_type} - {None}
        or (old and store.id == kind.store_id)
    )


DEFECTS: Mapping[str, Callable[[Facts, Any], bool]] = {
    "encrypted": lambda f, volume: (
        volume.encryption_key_id is not None and not gets_key(f)
    ),
    "stuck": lambda _, volume: (
        volume.status in {"deleting", "error", "maintenance"}
    ),
    "a stranger's": lambda f, volume: (
        volume.project_id != f["image.owner"]
        and not trusted(f, volume.project_id)
    ),
    "another image's": lambda f, volume: (
        volume.glance_image_id not in {None, f["image.id"]}
    ),
}


def unusable(defect: str) -> Callable[[Facts], bool]:
    """Claim that every location has some defect, and one has this one."""

    def claims(facts: Facts) -> bool:
        volumes = [each.source for each in facts["image_volumes"]]
        return (
            facts["array_images"] == ()
            and None not in volumes
            and any(DEFECTS[defect](facts, each) for each in volumes)
            and all(
                any(has(facts, each) for has in DEFECTS.values())
                for each in volumes
            )
        )

    return claims


def canonical(location: object) -> bool:
    """Say whether a location reads the same after it is parsed."""
    return not isinstance(parse_location(str(location)), MalformedLocation)


SENTENCES: Mapping[str, Callable[[Facts], bool]] = {
    # about the request
    "the requested size is less than 1 GiB": lambda f: f["volume.size"] < 1,
    "the requested size is outside what the volume type allows": lambda f: (
        f["volume.size"] < (f["volume.volume_type"].min_vol_size or 0)
        or f["volume.size"] > (f["volume.volume_type"].max_vol_size or 2**63)
    ),
    "the image is not visible to the requester": lambda f: (
        not f["image.visible"]
    ),
    "the image is not active": lambda f: f["image.status"] != "active",
    "Glance's policy does not let the requester download the image": (
        lambda f: not f["image.downloadable"]
    ),
    "the image's file is larger than the volume": lambda f: (
        f["image.size"] > f["volume.size"] * GIB
    ),
    "the volume is smaller than the image's min_disk": lambda f: (
        f["volume.size"] < f["image.min_disk"]
    ),
    "the image's virtual size is larger than the volume": lambda f: (
        f["image.virtual_size"] > f["volume.size"] * GIB
    ),
    "an encrypted volume cannot be multiattach": lambda f: (
        f["volume.multiattach"] and f["volume.encryption_key_id"] is not None
    ),
    "the project has no quota left for the volume": lambda f: full(
        f["quota"], f["volume.size"]
    ),
    "the new volume is encrypted, and a clone would not be": lambda f: (
        f["volume.encryption_key_id"] is not None
    ),
    "the image's data is encrypted with a key of its own": lambda f: (
        f["image.encryption_key_id"] is not None
    ),
    "the image is signed and only a download verifies signatures": (
        lambda f: (
            f["image.signed"]
            and f["config.verify_glance_signatures"] != "disabled"
        )
    ),
    "the array does not declare that it can clone": lambda f: (
        f["backend.can_clone"] is not True
    ),
    "the backend is frozen": lambda f: f["backend.frozen"],
    "the image has no owner": lambda f: f["image.owner"] is None,
    "the image's container_format is not bare": lambda f: (
        f["image.container_format"] != "bare"
    ),
    "the image's disk_format is not raw": lambda f: (
        f["image.disk_format"] != "raw"
    ),
    "the image's size is not known": lambda f: f["image.size"] is None,
    "the image is not raw and image conversion is disabled": lambda f: (
        f["image.disk_format"] != "raw"
        and f["config.image_conversion_disable"]
    ),
    "the image is compressed and compression is disabled": lambda f: (
        f["image.container_format"] == "compressed"
        and not f["config.allow_compression_on_image_upload"]
    ),
    "image_conversion_dir has no room for the image": lambda f: (
        f["conversion_free"] <= (f["image.size"] or 0)
    ),
    # about Glance and the configuration
    "Glance did not return the image's locations": lambda f: (
        f["image.locations_from"]
        not in {
            LocationsFrom.LOCATIONS_API,
            LocationsFrom.IMAGE,
            LocationsFrom.HIDDEN,
        }
    ),
    "Glance does not show Cinder where the image lies": lambda f: (
        f["image.locations_from"]
        in {LocationsFrom.HIDDEN, LocationsFrom.FORBIDDEN}
    ),
    "the image itself is not known to show where it lies, and Cinder asks "
    "nothing else": lambda f: (
        f["image.locations_from"]
        in {LocationsFrom.HIDDEN, LocationsFrom.LOCATIONS_API}
    ),
    "the quota that the project has left could not be read": lambda f: (
        f["quota"].missing is not None
    ),
    "the quota of the image volume's project could not be read": lambda f: (
        f["clone_quota"].missing is not None
    ),
    "the image-volume cache could not be read": lambda f: (
        f["cache_missing"] is not None
    ),
    "what Glance offers could not be read": lambda f: (
        f["glance.missing"] is not None
    ),
    "Cinder ignores the locations because the direct URL is hidden": (
        lambda f: (
            f["image.locations_from"] is LocationsFrom.IMAGE
            and f["image.direct_url"] is None
        )
    ),
    "no location that Glance shows names an image on an array": lambda f: (
        f["array_images"] == () and locations_known(f)
    ),
    "no location that Glance shows names a volume": lambda f: (
        f["image_volumes"] == () and locations_known(f)
    ),
    "the image-volume cache has no entry for the image": lambda f: (
        f["cache_entries"] == () and f["cache_missing"] is None
    ),
    "the disk in the image is larger than the image-volume cache may become, "
    "so that no create can fill the cache": lambda f: (
        disk(f) > f["config.image_volume_cache_max_size_gb"] * GIB
    ),
    "the internal tenant has no quota left for an entry of the image-volume "
    "cache, so that no create can fill the cache": lambda f: full(
        f["cache_quota"], -(-disk(f) // GIB) or 1, limits_volumes=False
    ),
    "allowed_direct_url_schemes does not list cinder": lambda f: (
        "cinder" not in f["config.allowed_direct_url_schemes"]
    ),
    "the image-volume cache is not enabled for the backend": lambda f: (
        not f["config.image_volume_cache_enabled"]
    ),
    "the internal tenant is not configured": lambda f: not tenant_set(f),
    "image owners can write locations, unless a policy of Glance forbids it": (
        lambda f: f["glance.show_multiple_locations"]
    ),
    # about the location
    "the location is not a canonical URL": lambda f: (
        not canonical(f["candidate.location"])
    ),
    "the location is not cinder://[store/]volume-id, as Glance writes it": (
        lambda f: not isinstance(f["candidate.location"], CinderLocation)
    ),
    "the location is not a cinder: URL that ends in a volume id": lambda f: (
        not re.search(
            r"(?i)^cinder:.*[/:][0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
            r"([?#]|$)",
            str(f["candidate.location"]),
        )
    ),
    "the location names another volume": lambda f: (
        f["candidate.location"].volume_id != f["source.id"]
    ),
    "the image lies in a kind of store that the array cannot clone from": (
        lambda f: (
            str(f["candidate.location"]).split(":")[0]
            not in f["backend.image_schemes"]
        )
    ),
    "the location is not known to be in the array's Ceph cluster": (
        lambda f: f["candidate.location"].fsid != f["backend.array_id"]
    ),
    "the location is not in a pool that only Glance writes to": lambda f: (
        not {
            getattr(f["candidate.location"], "pool", None),
            getattr(f["candidate.location"], "path", "").rpartition("/")[0],
        }
        & f["config.trusted_image_pools"]
    ),
    "the stored image does not have the name that Glance gives to this "
    "image": (
        lambda f: (
            not (
                f["candidate.location"]
                == RbdLocation(
                    f["candidate.location"].fsid,
                    f["candidate.location"].pool,
                    f["image.id"],
                    "snap",
                )
                if isinstance(f["candidate.location"], RbdLocation)
                else isinstance(f["candidate.location"], FileLocation)
                and f["candidate.location"].path.endswith("/" + f["image.id"])
            )
        )
    ),
    # about the source
    "the source was looked up and does not exist": lambda f: (
        f["candidate.missing"] is Missing.ABSENT
    ),
    "access to the source is forbidden; the source may exist": lambda f: (
        f["candidate.missing"] is Missing.FORBIDDEN
    ),
    "looking the source up failed; the source may exist": lambda f: (
        f["candidate.missing"] in {Missing.UNAVAILABLE, Missing.FAILED}
    ),
    "the source was not looked up; it may exist": lambda f: (
        f["candidate.missing"] in {Missing.UNSUPPORTED, Missing.NOT_ASKED}
    ),
    "the image lies where the array does not look for images": lambda f: (
        f["candidate.missing"] is Missing.ELSEWHERE
    ),
    "the array does not report the source's size": lambda f: (
        f["source.size"] is None
    ),
    "the array limits the clones of a source, and does not report how many "
    "this one has": lambda f: (
        f["backend.clone_limit"] is not None
        and f.get("source.clones", f.get("volume.clones")) is None
    ),
    "the source's data could not be inspected; a download inspects it": (
        lambda f: (
            f.get("source.inspection", f.get("volume.inspection"))
            is Inspection.UNREADABLE
        )
    ),
    "the source is neither available nor in use, or is being migrated": (
        lambda f: (
            f["source.status"] not in {"available", "in-use"}
            or f["source.migration_status"] == "migrating"
        )
    ),
    "the source is encrypted": lambda f: (
        f["source.encryption_key_id"] is not None
    ),
    "the source is larger than the requested size": lambda f: (
        f["source.size"] > f["volume.size"]
    ),
    "the source is smaller than the disk in the image": lambda f: (
        f["source.size"] * GIB < disk(f)
    ),
    "the clone must be extended, and the array does not declare that it can "
    "extend": lambda f: (
        f["source.size"] < f["volume.size"]
        and f["backend.can_extend"] is not True
    ),
    "the clone is extended to the requested size": lambda f: (
        f["source.size"] < f["volume.size"]
    ),
    "the source has as many clones as the array allows": lambda f: (
        f.get("source.clones", f.get("volume.clones"))
        >= f["backend.clone_limit"]
    ),
    "a download of the source's data as a raw image would be refused": (
        lambda f: (
            f.get("source.inspection", f.get("volume.inspection"))
            is Inspection.REFUSED
        )
    ),
    "the source's data was not inspected; a download inspects it": (
        lambda f: (
            f.get("source.inspection", f.get("volume.inspection"))
            is Inspection.NOT_INSPECTED
        )
    ),
    "the source is the new volume itself": lambda f: (
        f["source.id"] == f["volume.id"]
    ),
    "the source's glance_image_id names another image": lambda f: (
        f["source.glance_image_id"] not in {None, f["image.id"]}
    ),
    "the cache entry is for another image": lambda f: (
        f["candidate.image_id"] != f["image.id"]
    ),
    "the image may have changed since it was cached": lambda f: (
        f["image.updated_at"] is None
        or f["candidate.image_updated_at"] != f["image.updated_at"]
    ),
    "the extra specs of the two volume types differ, or are not "
    "known": lambda f: (
        not same_specs(f["source.volume_type"], f["volume.volume_type"])
    ),
    "the QoS specs of the two volume types differ": lambda f: (
        qos(f["source.volume_type"]) != qos(f["volume.volume_type"])
    ),
    "the source is in use, and the array is not known to clone a volume in "
    "use": lambda f: (
        f["source.status"] == "in-use"
        and f["backend.clone_in_use"] is not True
    ),
    "the volume is in use, and the array is not known to clone a volume in "
    "use": lambda f: in_use(f) and f["backend.clone_in_use"] is not True,
    "the driver looks for images by itself; it is not asked, because what it "
    "finds is not known to be the image's own data": lambda f: f[
        "backend.finds_images"
    ],
    "the driver looks for images by itself, and Cinder asks it first; what "
    "it finds is not known": lambda f: f["backend.finds_images"],
    "the source is not known to be the image owner's: its project or, if "
    "that is trusted, its image_owner is another": lambda f: (
        owner_of_source(f) != f["image.owner"]
    ),
    # about the image's data
    "no location of the image can be used; one is an encrypted volume "
    "whose key the new volume does not get": unusable("encrypted"),
    "no location of the image can be used; one is a volume whose status "
    "does not let it be attached": unusable("stuck"),
    "no location of the image can be used; one is a volume of a project "
    "that is neither the image's owner nor trusted": unusable("a stranger's"),
    "no location of the image can be used; one is a volume whose "
    "glance_image_id names another image": unusable("another image's"),
    "the image's data is encrypted with a key of its own, and the new volume "
    "gets no key": lambda f: (
        f["image.encryption_key_id"] is not None and not gets_key(f)
    ),
    "a volume of a trusted project holds the image's data, and its "
    "image_owner is not the image's owner; perhaps the image was given "
    "away": lambda f: any(
        trusted(f, each.source.project_id)
        and each.source.image_owner != f["image.owner"]
        for each in f["image_volumes"]
        if each.source is not None
    ),
    "the header of an encrypted volume takes room, and the image may not fit "
    "beside it": lambda f: (
        f["volume.encryption_key_id"] is not None
        and max(f["image.size"] or 0, f["image.virtual_size"] or 0)
        > (f["volume.size"] * 1024 - 16) * 2**20
    ),
    "no trusted project owns the cached volume, or its image_owner names "
    "another owner": lambda f: (
        not trusted(f, f["source.project_id"])
        or f["source.image_owner"] not in {None, f["image.owner"]}
    ),
    "tenants can change the volume behind the image": lambda f: (
        not trusted(f, f.get("source.project_id") or clones_project(f))
    ),
    "a clone does not check the image's hash": lambda f: (
        f["image.os_hash_value"] is not None
    ),
    "the source cannot be deleted while its clone shares its data": (
        lambda f: (
            "copy-on-write"
            in {
                f.get("backend.clone_kind"),
                f.get("backend.image_clone_kind"),
            }
        )
    ),
    # about places
    "the source is not known to be on the new volume's host and backend": (
        lambda f: not same_service(f["volume.host"], f["source.host"])
    ),
    "the source is not known to be in the new volume's cluster": lambda f: (
        not same_service(f["volume.cluster_name"], f["source.cluster_name"])
    ),
    "the source and the new volume are not known to be in one pool": (
        lambda f: place(f, "volume") != place(f, "source")
    ),
    "the source is not known to be on the same array": lambda f: (
        f["backend.array_id"] is None
        or f["backend.array_id"] != f["candidate.backend.array_id"]
    ),
    "the source is not known to be in the new volume's pool": lambda f: (
        f["volume.host"] is None or f["volume.host"] != f["source.host"]
    ),
    "the source's host does not match the new volume's": lambda f: (
        f["volume.host"] != f["source.host"]
    ),
    "the source's cluster does not match the new volume's": lambda f: (
        f["volume.cluster_name"] != f["source.cluster_name"]
    ),
    "the cached volume is not on the new volume's host, or not in its "
    "cluster": lambda f: place(f, "volume") != place(f, "source"),
    "the image's owner does not own the source": lambda f: (
        f["source.project_id"] != f["image.owner"]
    ),
    "the image's owner is neither the new volume's project nor the "
    "image_owner of the source": lambda f: (
        f["image.owner"]
        not in {f["volume.project_id"], f["source.image_owner"]}
    ),
    # about uploads
    "the volume is neither available, nor in use with a forced upload": (
        lambda f: not available(f) and not (in_use(f) and f["force"])
    ),
    "the volume is in use and forced uploads are disabled": lambda f: (
        in_use(f) and not f["config.enable_force_upload"]
    ),
    "an encrypted volume can only be uploaded as raw and bare": lambda f: (
        f["volume.encryption_key_id"] is not None
        and (f["image.disk_format"], f["image.container_format"])
        != ("raw", "bare")
    ),
    "the image is not queued: it has data, or receives some, or is gone": (
        lambda f: f["image.status"] != "queued"
    ),
    "image_upload_use_cinder_backend is not set": lambda f: (
        not f["config.image_upload_use_cinder_backend"]
    ),
    "the volume is encrypted; its clone would share or lose the key": (
        lambda f: f["volume.encryption_key_id"] is not None
    ),
    "the volume is being migrated": lambda f: (
        f["volume.migration_status"] == "migrating"
    ),
    "the internal tenant is wanted but not configured; Cinder uses the "
    "requester's project": lambda f: (
        f["config.image_upload_use_internal_tenant"] and not tenant_set(f)
    ),
    "the project of the image volume has no quota left for it": lambda f: full(
        f["clone_quota"], f["volume.size"]
    ),
    "the array does not declare that it can clone a volume that is "
    "uploading": (lambda f: f["backend.clone_while_uploading"] is not True),
    "no writable store of Glance is known to match the volume's type": (
        lambda f: (
            not any(
                f["volume.volume_type"] is not None and matches(f, store)
                for store in f["glance.stores"]
                if not store.read_only
            )
        )
    ),
    "Glance is not known to have a locations API, and its policy does not let "
    "the requester set locations": lambda f: (
        f["glance.has_location_api"] is not True
        and f["glance.set_image_location"] is False
    ),
    "Glance is not known to take locations by any API": (
        lambda f: (
            f["glance.has_location_api"] is not True
            and not f["glance.show_multiple_locations"]
        )
    ),
    "Cinder's [glance] user lacks the role service": lambda f: (
        "service" not in f["glance.service_roles"]
    ),
    "Cinder's [glance] user lacks the role admin, and so cannot see a private "
    "image": lambda f: (
        "admin" not in f["glance.service_roles"]
        and f["image.visibility"] not in {"public", "community"}
    ),
    "Glance accepts the location first and checks it later": lambda f: (
        f["glance.has_location_api"] is True
    ),
    "Glance's image API does not accept locations, and this Cinder has no "
    "user of its own for the locations API": lambda f: (
        not f["glance.show_multiple_locations"] and f["glance.missing"] is None
    ),
    "Cinder sends the store in a way the locations API rejects": lambda f: (
        f["glance.has_location_api"] is True
        and f["volume.volume_type"].store_id is not None
    ),
    "the volume, the image and the requester do not belong to one project": (
        lambda f: (
            1
            < len(
                {
                    f["project_id"],
                    f["volume.project_id"],
                    f["image.owner"] or f["project_id"],
                }
            )
        )
    ),
    "it is not known where the volume is": lambda f: (
        f["volume.host"] is None and f["volume.cluster_name"] is None
    ),
    "the volume is smaller than the image's size or virtual size": lambda f: (
        max(f["image.size"] or 0, f["image.virtual_size"] or 0)
        > f["volume.size"] * GIB
    ),
}
