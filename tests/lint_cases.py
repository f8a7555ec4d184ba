"""For each check: the smallest files that show it, and the same mended."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
from typing_extensions import override

from clonepolicy import (
    CINDER_29,
    SAFE,
    Backend,
    GiB,
    Host,
    Image,
    LocationsFrom,
    Quota,
    Request,
    Route,
    VolumeType,
)
from clonepolicy.adapters.conf import CinderConf, GlanceConf
from clonepolicy.adapters.lint import CloudView, Estate
from clonepolicy.adapters.lint._asked import (
    clones_while_uploading,
    has_glance_user,
)
from clonepolicy.adapters.records import Pool
from clonepolicy.policy import Policy
from clonepolicy.scenarios import (
    ALICE,
    CLONEABLE,
    IMAGE_ID,
    PLAIN,
    REGISTERABLE,
    with_facts,
)

VOLUME = CLONEABLE[Route.IMAGE_VOLUME]
ARRAY = CLONEABLE[Route.ARRAY_IMAGE]
CACHE = with_facts(CLONEABLE[Route.CACHE_ENTRY], {"cache_entries": ()})
UPLOAD = REGISTERABLE
RBD = "volume_driver = cinder.volume.drivers.rbd.RBDDriver\n"
NFS = "volume_driver = cinder.volume.drivers.nfs.NfsDriver\n"
ON = "enabled_backends = b1\n"
SCHEMES = "allowed_direct_url_schemes = cinder\n"
IDS = (
    "cinder_internal_tenant_project_id = internal\n"
    "cinder_internal_tenant_user_id = cinder\n"
)
REGISTERS = f"{RBD}image_upload_use_cinder_backend = true\n"
USER = "[glance]\nauth_type = password\nusername = cinder\n"
CREDENTIALS = (
    "cinder_store_auth_address = http://keystone\n"
    "cinder_store_user_name = glance\n"
    "cinder_store_password = secret\n"
    "cinder_store_project_name = images\n"
)
STORE = "[DEFAULT]\nenabled_backends = s1:cinder\n"


@attrs.frozen(kw_only=True)
class KnownCloud(CloudView):
    """What a cloud would show, as records."""

    roles: frozenset[str] = frozenset({"service", "admin"})
    projects: Mapping[str, str] = attrs.field(factory=dict)
    types: tuple[VolumeType, ...] = ()
    encrypted: frozenset[str] = frozenset()
    seen_pools: tuple[Pool, ...] = ()
    seen_images: tuple[Image, ...] = ()
    left: Quota = attrs.field(factory=Quota)

    @override
    def service_roles(self) -> frozenset[str]:
        return self.roles

    @override
    def project_id(self, name: str) -> str | None:
        return self.projects.get(name)

    @override
    def volume_types(self) -> tuple[VolumeType, ...]:
        return self.types

    @override
    def encrypted_types(self) -> frozenset[str]:
        return self.encrypted

    @override
    def pools(self) -> tuple[Pool, ...]:
        return self.seen_pools

    @override
    def images(self) -> tuple[Image, ...]:
        return self.seen_images

    @override
    def quota(self, project_id: str) -> Quota:
        assert project_id == "internal"
        return self.left


@attrs.frozen(kw_only=True)
class Side:
    """The files of one side of a case, and what else is known."""

    cinder: tuple[str, ...] = ()
    glance: str | None = None
    cloud: KnownCloud | None = None
    free: int | None = None

    def estate(self, folder: Path) -> Estate:
        """Write the files, and read them."""
        folder.mkdir(exist_ok=True)
        hosts = []
        for at, text in enumerate(self.cinder):
            path = folder / f"node{at}-cinder.conf"
            path.write_text(text)
            hosts.append(CinderConf([path]))
        stores = []
        if self.glance is not None:
            path = folder / "glance-api.conf"
            path.write_text(self.glance)
            stores.append(GlanceConf([path]))
        space = None
        if self.free is not None:
            directory = hosts[0].value("image_conversion_dir").value
            space = {str(directory): self.free}
        return Estate(
            cinder=tuple(hosts),
            glance=tuple(stores),
            cloud=self.cloud,
            space=space,
        )


@attrs.frozen(kw_only=True)
class Case:
    """A misconfiguration, mended, and the requests that it affects."""

    bad: Side
    good: Side
    reason: str | None = None
    """None: no decision shows it."""
    request: Request = VOLUME
    policy: Policy = SAFE
    facts: Mapping[str, Any] = attrs.field(factory=dict)
    """What the request is about, which no file tells."""


def cinder(default: str, backend: str = RBD, rest: str = "") -> str:
    """Return a cinder.conf with one backend."""
    return f"[DEFAULT]\n{ON}{default}[b1]\n{backend}{rest}"


def request_of(case: Case, estate: Estate) -> Request:
    """Return the request of a case, with the facts of an estate."""
    facts = dict(case.facts)
    if estate.cinder:
        conf = estate.cinder[-1]
        facts["config"] = conf.config("b1")
        facts |= _of_drivers(conf)
        if len(estate.cinder) > 1:
            facts |= _of_hosts(estate)
    if estate.glance:
        told = estate.glance[0].facts()
        facts |= {f"glance.{name}": value for name, value in told.items()}
        glance = estate.glance[0]
        if any(map(glance.missing_credentials, glance.cinder_stores)):
            facts["source.project_id"] = ALICE
    facts |= _of_users(estate)
    if isinstance(estate.cloud, KnownCloud):
        facts |= _of_cloud(case, estate.cloud)
    if estate.space is not None:
        (facts["conversion_free"],) = estate.space.values()
    return with_facts(case.request, facts)


def _of_drivers(conf: CinderConf) -> dict[str, Any]:
    told = clones_while_uploading(conf, "b1")
    return {} if told is None else {"backend.clone_while_uploading": told}


def _of_hosts(estate: Estate) -> dict[str, Any]:
    names = [
        conf.value("backend_host", "b1").value or f"node{at}"
        for at, conf in enumerate(estate.cinder)
    ]
    clusters = [conf.value("cluster").value for conf in estate.cinder]
    facts: dict[str, Any] = {
        "source.host": Host.parse(f"{names[0]}@b1#p1"),
        "volume.host": Host.parse(f"{names[1]}@b1#p1"),
    }
    for record, cluster in zip(("source", "volume"), clusters, strict=True):
        if cluster is not None:
            named = Host.parse(f"{cluster}@b1#p1")
            facts[f"{record}.cluster_name"] = named
    return facts


def _of_users(estate: Estate) -> dict[str, Any]:
    if not estate.cinder or has_glance_user(estate.cinder[-1]):
        return {}
    token = estate.cinder[-1].value("send_service_user_token", "service_user")
    facts: dict[str, Any] = {}
    if not token.value:
        facts["glance.service_roles"] = frozenset()
    if estate.glance:
        shows, url = (
            estate.glance[0].value(name).value
            for name in ("show_multiple_locations", "show_image_direct_url")
        )
        source = LocationsFrom.IMAGE if shows else LocationsFrom.HIDDEN
        facts["image.locations_from"] = source
        facts["image.direct_url"] = "cinder://x" if url else None
    return facts


def _of_cloud(case: Case, cloud: KnownCloud) -> dict[str, Any]:
    facts: dict[str, Any] = {"glance.service_roles": cloud.roles}
    if case.request is CACHE:
        facts["cache_quota"] = cloud.left
    if cloud.encrypted:
        facts["volume.encryption_key_id"] = "key"
    if "admin" not in cloud.roles:
        facts["image.locations_from"] = LocationsFrom.FORBIDDEN
    if cloud.types:
        facts["volume.volume_type"] = cloud.types[0]
    for image in cloud.seen_images:
        facts["image.owner"] = image.owner
        facts["image.container_format"] = image.container_format
        facts["image.signed"] = image.signed
    if len(cloud.seen_pools) > 1:
        one, other = cloud.seen_pools
        facts["volume.host"], facts["source.host"] = one.host, other.host
        declared = one.backend
        facts["backend.clone_across_pools"] = declared.clone_across_pools
        facts["backend.array_id"] = declared.array_id
        facts["candidate.backend.array_id"] = other.backend.array_id
    return facts


def pools(*places: str, across: bool | None, array: str | None) -> Any:  # noqa: ANN401 - a tuple
    """Return pools that declare the same."""
    backend = Backend(clone_across_pools=across, array_id=array)
    return tuple(
        Pool(host=Host.parse(place), backend=backend, caches=None)
        for place in places
    )


def image(**fields: Any) -> Image:  # noqa: ANN401 - any field
    """Return an image."""
    made: dict[str, Any] = {
        "id": IMAGE_ID,
        "status": "active",
        "owner": ALICE,
        "disk_format": "raw",
        "container_format": "bare",
        "size": GiB,
    }
    return Image(**{**made, **fields})


def clouds(bad: dict[str, Any], good: dict[str, Any], **files: Any) -> Any:  # noqa: ANN401 - sides
    """Return two sides with the same files and different clouds."""
    return {
        "bad": Side(cloud=KnownCloud(**bad), **files),
        "good": Side(cloud=KnownCloud(**good), **files),
    }


def files(name: str, bad: str, good: str, **more: Any) -> Any:  # noqa: ANN401 - sides
    """Return two sides of which one file differs."""
    texts: dict[str, Any] = {
        side: {name: (text,) if name == "cinder" else text}
        for side, text in (("bad", bad), ("good", good))
    }
    return {side: Side(**text, **more) for side, text in texts.items()}


WITH_USER = cinder(SCHEMES + IDS, REGISTERS, USER)
IN_TENANT = "image_upload_use_internal_tenant = true\n"
CACHES = f"{RBD}image_volume_cache_enabled = true\n"
TWO_STORES = f"{STORE}[s1]\n{CREDENTIALS}cinder_volume_type = fast\n"
FAST = VolumeType(
    id="f", name="fast", volume_backend_name="b1", extra_specs=frozenset()
)
SHOWS = "[DEFAULT]\nshow_multiple_locations = true\n"
HIDES = "[DEFAULT]\nshow_multiple_locations = false\n"
SHOWS_BOTH = f"{SHOWS}show_image_direct_url = true\n"
SAFE_ACTS = (
    "volume_manager = clonepolicy.adapters.cinder.PolicyVolumeManager\n"
)
HOST = cinder(SCHEMES, f"{RBD}rbd_pool = volumes\n")
SHARED = cinder(SCHEMES, f"{RBD}rbd_pool = volumes\nbackend_host = shared\n")

CASES: Mapping[str, Case] = {
    "X1": Case(
        reason="scheme-not-allowed",
        **files("cinder", cinder(""), cinder(SCHEMES)),
    ),
    "X2": Case(
        reason="locations-hidden",
        **files("cinder", cinder(SCHEMES), WITH_USER, glance=""),
    ),
    "X3": Case(
        reason="locations-hidden-no-direct-url",
        policy=CINDER_29,
        **files("glance", SHOWS, SHOWS_BOTH, cinder=(cinder(SCHEMES),)),
    ),
    "X4": Case(
        reason="admin-role-missing",
        request=UPLOAD,
        **clouds({"roles": frozenset({"service"})}, {}, cinder=(WITH_USER,)),
    ),
    "X5": Case(
        reason="service-role-missing",
        request=UPLOAD,
        **clouds({"roles": frozenset({"admin"})}, {}, cinder=(WITH_USER,)),
    ),
    "X6": Case(
        reason="service-role-missing",
        request=UPLOAD,
        **files("cinder", cinder(SCHEMES + IDS, REGISTERS), WITH_USER),
    ),
    "X7": Case(
        reason="store-id-unsupported-by-api",
        request=UPLOAD,
        policy=CINDER_29,
        **clouds(
            {"types": (attrs.evolve(PLAIN, store_id="s1"),)},
            {"types": (PLAIN,)},
            cinder=(WITH_USER,),
        ),
    ),
    "X8": Case(
        reason="store-unresolved",
        request=UPLOAD,
        **clouds(
            {"types": (PLAIN,)},
            {"types": (FAST,)},
            cinder=(WITH_USER,),
            glance=TWO_STORES,
        ),
    ),
    "X9": Case(
        reason="no-internal-tenant",
        request=UPLOAD,
        **files(
            "cinder",
            cinder("", REGISTERS + IN_TENANT),
            cinder(IDS, REGISTERS + IN_TENANT),
        ),
    ),
    "X10": Case(
        **clouds(
            {"projects": {"images": "another"}},
            {"projects": {"images": "internal"}},
            cinder=(cinder(IDS, REGISTERS + IN_TENANT, USER),),
            glance=f"{STORE}[s1]\n{CREDENTIALS}",
        ),
    ),
    "X11": Case(
        reason="tenant-mutable",
        **files("glance", STORE, f"{STORE}[s1]\n{CREDENTIALS}"),
        facts={"source.project_id": "internal"},
    ),
    "X12": Case(
        reason="locations-user-writable", **files("glance", SHOWS, HIDES)
    ),
    "X13": Case(
        reason="image-owner-unknown",
        **clouds(
            {"seen_images": (image(owner=None),)},
            {"seen_images": (image(),)},
            cinder=(cinder(SCHEMES),),
        ),
    ),
    "X14": Case(
        reason="encrypted-source",
        request=UPLOAD,
        **clouds(
            {"types": (PLAIN,), "encrypted": frozenset({"plain"})},
            {"types": (PLAIN,)},
            cinder=(WITH_USER,),
        ),
    ),
    "X15": Case(
        reason="clone-while-uploading-unsupported",
        request=UPLOAD,
        **files(
            "cinder",
            cinder(SCHEMES, NFS + REGISTERS.removeprefix(RBD)),
            cinder(SCHEMES, REGISTERS),
        ),
    ),
    "X16": Case(
        reason="no-internal-tenant",
        request=CACHE,
        **files("cinder", cinder("", CACHES), cinder(IDS, CACHES)),
    ),
    "X17": Case(
        reason="cache-quota",
        request=CACHE,
        **clouds(
            {"left": Quota(volumes=0)},
            {"left": Quota(volumes=1)},
            cinder=(cinder(IDS, CACHES),),
        ),
    ),
    "X18": Case(
        reason="different-pool",
        **clouds(
            {
                "seen_pools": pools(
                    "h1@b1#p1", "h1@b1#p2", across=None, array="a"
                )
            },
            {"seen_pools": pools("h1@b1#p1", across=None, array="a")},
            cinder=(cinder(SCHEMES),),
        ),
    ),
    "X19": Case(
        reason="different-array",
        **clouds(
            {
                "seen_pools": pools(
                    "h1@b1#p1", "h2@b1#p1", across=True, array=None
                )
            },
            {
                "seen_pools": pools(
                    "h1@b1#p1", "h2@b1#p1", across=True, array="a"
                )
            },
            cinder=(cinder(SCHEMES),),
        ),
    ),
    "X20": Case(
        reason="signature-required",
        policy=CINDER_29,
        **files(
            "cinder",
            cinder(f"{SCHEMES}verify_glance_signatures = enabled\n"),
            cinder(f"{SCHEMES}verify_glance_signatures = disabled\n"),
        ),
        facts={"image.signed": True},
    ),
    "X21": Case(**files("glance", "[DEFAULT]\ndo_secure_hash = false\n", "")),
    "X22": Case(
        reason="conversion-space",
        bad=Side(
            cinder=(cinder(SCHEMES),),
            cloud=KnownCloud(seen_images=(image(),)),
            free=GiB - 1,
        ),
        good=Side(
            cinder=(cinder(SCHEMES),),
            cloud=KnownCloud(seen_images=(image(),)),
            free=2 * GiB,
        ),
    ),
    "X23": Case(
        reason="conversion-disabled",
        **files(
            "cinder",
            cinder(f"{SCHEMES}image_conversion_disable = true\n"),
            cinder(SCHEMES),
        ),
        facts={"image.disk_format": "qcow2"},
    ),
    "X24": Case(
        **files(
            "glance",
            f"{STORE}delayed_delete = true\n",
            f"{STORE}delayed_delete = true\n[s1]\n{CREDENTIALS}",
        )
    ),
    "X25": Case(
        reason="container-not-bare",
        request=ARRAY,
        **clouds(
            {"seen_images": (image(container_format="ovf"),)},
            {"seen_images": (image(),)},
            cinder=(cinder(SCHEMES),),
        ),
    ),
    "X26": Case(
        reason="pool-not-allowed",
        request=ARRAY,
        **files(
            "cinder",
            cinder("allowed_direct_url_schemes = cinder,file\n"),
            cinder(
                SCHEMES, RBD, "[clonepolicy]\ntrusted_image_pools = images\n"
            ),
        ),
    ),
    "X27": Case(
        reason="upload-backend-disabled",
        request=UPLOAD,
        **files(
            "cinder",
            cinder("image_upload_use_cinder_backend = true\n"),
            cinder("", REGISTERS),
        ),
    ),
    "X28": Case(
        reason="different-host",
        bad=Side(cinder=(HOST, HOST)),
        good=Side(cinder=(SHARED, SHARED)),
    ),
    "X29": Case(
        reason="scheme-not-allowed",
        **files(
            "cinder",
            cinder("allowed_direct_url_schemes = Cinder\n"),
            cinder(SCHEMES),
        ),
    ),
    "X30": Case(
        **files(
            "cinder",
            cinder(SCHEMES, f"{RBD}rbd_max_clone_depth = 0\n"),
            cinder(SCHEMES, f"{RBD}rbd_max_clone_depth = 1\n"),
        )
    ),
    "X31": Case(
        **clouds(
            {"types": (PLAIN,)},
            {"types": (FAST,)},
            glance=TWO_STORES,
        )
    ),
    "X32": Case(
        reason="store-unresolved",
        request=UPLOAD,
        **clouds(
            {"types": (attrs.evolve(PLAIN, store_id="none"),)},
            {"types": (FAST,)},
            glance=TWO_STORES,
        ),
    ),
    "X33": Case(
        bad=Side(cinder=(cinder(SCHEMES), cinder(""))),
        good=Side(cinder=(cinder(SCHEMES), cinder(SCHEMES))),
    ),
    "X34": Case(
        reason="locations-user-writable",
        **files("glance", SHOWS_BOTH, HIDES, cinder=(WITH_USER,)),
    ),
}
