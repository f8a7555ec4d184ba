"""Gather the facts of a request from a running cloud, and what is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

import attrs

from clonepolicy import (
    AdapterError,
    Backend,
    CinderLocation,
    CloneKind,
    Config,
    FactError,
    GlanceConfig,
    Host,
    Image,
    Location,
    LocationsFrom,
    NotFoundError,
    Operation,
    Quota,
    RbdLocation,
    Request,
    UploadRequest,
    Volume,
    VolumeType,
    gather_create,
    parse_location,
)
from clonepolicy.adapters._families import facts_of_driver
from clonepolicy.adapters.openstack import _unknown as unknown
from clonepolicy.adapters.openstack._facts import Body, CloudFacts, KnownType
from clonepolicy.adapters.openstack._services import (
    CloudVolumes,
    PoolArray,
    ReadImages,
)
from clonepolicy.adapters.records import (
    Pool,
    image_from_v2,
    locations_from_v2,
)
from clonepolicy.ports import Missing, Ports, why_missing
from clonepolicy.unknowns import Unknown

T = TypeVar("T")
_RBD = "cinder.volume.drivers.rbd.RBDDriver"
_NEW = "00000000-0000-4000-8000-000000000001"
"""The id of what does not exist yet."""
_EVERYBODY = ("public", "community")
_CEPH = ("fsid", "pool")
_CREATING = ("can_clone", "can_extend", "clone_in_use")
_UPLOADING = ("can_clone", "clone_while_uploading", "clone_in_use")


@attrs.frozen(kw_only=True)
class Case:
    """A question as it is put for one pool."""

    pool: str | None
    """``host@backend#pool``; None: no pool is known."""
    request: Request
    """It holds the least that the unknown facts can grant."""
    unknowns: tuple[Unknown, ...]


@attrs.frozen(kw_only=True)
class Taken:
    """A fact that no API shows, and that is taken for granted."""

    fact: str
    value: str
    why: str


@attrs.frozen(kw_only=True)
class BackendFile:
    """What a cinder.conf says of one backend."""

    config: Config
    driver: str
    """``volume_driver``."""


@attrs.frozen(kw_only=True)
class Assumed:
    """What the operator tells, in place of what the cloud could tell."""

    change: Callable[[Any], Any] = lambda request: request
    """Returns a request with the facts that are assumed."""
    facts: frozenset[str] = frozenset()
    """Their paths."""
    locations: tuple[Location, ...] | None = None
    service_roles: frozenset[str] | None = None


_TAKEN = (
    Taken(
        fact="image.downloadable",
        value="true",
        why="the default of Glance's policy download_image",
    ),
    Taken(
        fact="conversion_free",
        value="enough",
        why="image_conversion_dir has room for the image",
    ),
    Taken(
        fact="source",
        value="intact",
        why="the data of a source is there, and is what its image says",
    ),
)


_DERIVED = Taken(
    fact="image.locations",
    value="as its stores imply",
    why="only a user with the role service may read them",
)


@attrs.define(kw_only=True)
class Gatherer:
    """Reads the facts of one question."""

    facts: CloudFacts
    tenant: CloudFacts | None = None
    """The requester's own view of the cloud; None: that of `facts`."""
    file: Callable[[str | None], BackendFile | None] = lambda _: None
    """Returns what a cinder.conf says of a backend, by its name there."""
    glance_user: str | None = None
    """The user in ``[glance]`` of cinder.conf; "": there is none, so that
    the token of the requester counts; None: not known."""
    assumed: Assumed = Assumed()
    derives_locations: bool = attrs.field(default=False, init=False)
    """Whether the locations are those that the image's stores imply."""

    def create(
        self,
        image: str,
        *,
        size: int,
        volume_type: str | None = None,
        project: str | None = None,
        pool: str | None = None,
    ) -> tuple[Case, ...]:
        """Gather what decides how a new volume would be filled.

        Args:
            image: its id or name.
            size: GiB.
            volume_type: the id or name; None: as Cinder chooses it.
            project: the id of the requester's project; None: that of the
                token.
            pool: ``host@backend#pool``; None: each pool of the type.

        Raises:
            FactError: no project is known, or a value is invalid.
            NotFoundError: there is no such image, type or pool.
            AdapterError: the image or the type cannot be read.
        """
        requester = self.tenant or self.facts
        body = requester.image(image)
        owner = project or requester.cloud.project_id
        if owner is None:
            raise FactError("--project", owner, "the id of a project")
        wanted = volume_type or body.get("cinder_img_volume_type")
        kind = self.facts.volume_type(wanted)
        volume = Volume(
            id=_NEW,
            project_id=owner,
            size=size,
            status="creating",
            volume_type=kind.record,
        )
        unknowns = [*self._of_type(kind)]
        try:
            if self.facts.is_encrypted(kind.record.id):
                key = unknown.NEW_KEY
                volume = attrs.evolve(volume, encryption_key_id=key)
        except AdapterError as error:
            unknowns.append(unknown.of_encryption(why_missing(error)))
        try:
            quota = self.facts.quota(owner, kind.record)
        except AdapterError as error:
            quota = Quota(missing=why_missing(error))
            unknowns.append(unknown.of_quota("quota", why_missing(error)))
        return self._cases(body, volume, quota, unknowns, pool)

    def existing(self, volume_id: str) -> tuple[Case, ...]:
        """Gather what would decide if a volume were created again now.

        Raises:
            NotFoundError: there is no such volume, it was not created from
                an image, or the image is gone.
            AdapterError: the volume or the image cannot be read.
        """
        known = self.facts.volume(volume_id)
        metadata = known.body.get("volume_image_metadata") or {}
        image = metadata.get("image_id")
        if not isinstance(image, str):
            message = f"volume {volume_id} was not created from an image"
            raise NotFoundError(message)
        found = known.record
        volume = attrs.evolve(
            found, status="creating", image_owner=None, glance_image_id=None
        )
        kind = KnownType(
            record=found.volume_type or VolumeType(id="none"),
            shown=known.type_shown,
        )
        return self._cases(
            (self.tenant or self.facts).image(image),
            volume,
            Quota(),  # the volume has been counted
            [*self._of_type(kind)],
            None if found.host is None else str(found.host),
        )

    def upload(
        self,
        volume_id: str,
        *,
        project: str | None = None,
        disk_format: str = "raw",
        container_format: str = "bare",
        force: bool = False,
    ) -> tuple[Case, ...]:
        """Gather what decides how an image would be made of a volume.

        Raises:
            NotFoundError: there is no such volume.
            AdapterError: it cannot be read.
        """
        known = self.facts.volume(volume_id)
        volume = known.record
        owner = project or volume.project_id
        image = Image(
            id=_NEW,
            owner=owner,
            status="queued",
            disk_format=disk_format,
            container_format=container_format,
            visible=True,
            locations_from=LocationsFrom.IMAGE,
        )
        glance, unknowns = self._glance({})
        kind = volume.volume_type
        try:
            glance = attrs.evolve(glance, stores=self.facts.stores())
        except AdapterError as error:
            name = None if kind is None else kind.name
            unknowns.append(unknown.of_stores(name, why_missing(error)))
        roles, missing = self._roles()
        if roles is None:
            unknowns.append(unknown.of_roles(LocationsFrom.IMAGE, missing))
        if "host" in known.hidden:
            unknowns.append(unknown.of_own_place(Missing.FORBIDDEN))
        host = volume.host
        file = self.file(None if host is None else host.backend)
        backend, of_backend = self._backend(host, file, _UPLOADING)
        request = UploadRequest(
            image=image,
            volume=volume,
            project_id=owner,
            force=force,
            backend=backend,
            config=self._config(file),
            glance=glance,
        )
        request = self.assumed.change(request)
        unknowns += of_backend
        if file is None:
            unknowns += unknown.of_config(request)
        quota = self._clone_quota(request, file)
        request = attrs.evolve(request, clone_quota=quota)
        if quota.missing is not None:
            unknowns.append(unknown.of_quota("clone_quota", quota.missing))
        place = None if host is None else str(host)
        return (self._case(place, request, unknowns),)

    def _clone_quota(
        self, request: UploadRequest, file: BackendFile | None
    ) -> Quota:
        """Read the quota of the project that would own the clone."""
        option = "config.image_upload_use_internal_tenant"
        if file is None and option not in self.assumed.facts:
            return Quota(missing=Missing.NOT_ASKED)
        kind = request.volume.volume_type
        try:
            return self.facts.quota(request.clone_project, kind)
        except AdapterError as error:
            return Quota(missing=why_missing(error))

    def taken(self, request: Request) -> tuple[Taken, ...]:
        """Return what is taken for granted, unless it is assumed."""
        told = self.assumed.facts
        if request.operation is Operation.UPLOAD:
            return ()
        derived = (_DERIVED,) if self.derives_locations else ()
        return tuple(t for t in (*_TAKEN, *derived) if t.fact not in told)

    def _case(
        self, pool: str | None, request: Request, found: Iterable[Unknown]
    ) -> Case:
        told = self.assumed.facts
        left = tuple(each for each in found if each.fact not in told)
        return Case(pool=pool, request=request, unknowns=left)

    def _config(self, file: BackendFile | None) -> Config:
        return Config() if file is None else file.config

    def _ports(self, images: ReadImages, backend: Backend) -> Any:  # noqa: ANN401 - they only read
        there: dict[str, Any] = {
            "images": images,
            "volumes": CloudVolumes(self.facts, self._known_backend),
            "array": PoolArray(backend, images.image),
        }
        return Ports(**there)

    def _known_backend(self, host: Host | None) -> Backend:
        file = self.file(None if host is None else host.backend)
        return self._backend(host, file, ())[0]

    def _roles(self) -> tuple[frozenset[str] | None, Missing]:
        """Return the roles of the ``[glance]`` user, or why not."""
        if self.assumed.service_roles is not None:
            return self.assumed.service_roles, Missing.NOT_ASKED
        if not self.glance_user:
            none = None if self.glance_user is None else frozenset[str]()
            return none, Missing.NOT_ASKED
        try:
            return self.facts.roles_of(self.glance_user), Missing.NOT_ASKED
        except AdapterError as error:
            return None, why_missing(error)

    def _of_type(self, kind: KnownType) -> Iterator[Unknown]:
        if not kind.shown:
            yield unknown.of_type(Missing.FORBIDDEN)

    def _cases(
        self,
        body: Body,
        volume: Volume,
        quota: Quota,
        unknowns: list[Unknown],
        pool: str | None,
    ) -> tuple[Case, ...]:
        """Return a case for each pool to which the new volume may go."""
        glance, of_glance = self._glance(body)
        locations, of_locations = self._locations(body)
        image, of_image = self._image(body, volume, glance)
        shared = [*unknowns, *of_glance, *of_image]
        read = ReadImages(image, locations, glance)
        places, of_place = self._places(volume.volume_type, pool)
        return tuple(
            self._placed(
                images=read,
                volume=volume,
                place=place,
                quota=quota,
                shared=[*shared, *of_place],
                of_locations=of_locations,
            )
            for place in places
        )

    def _placed(  # noqa: PLR0913 - one for each group of facts
        self,
        *,
        images: ReadImages,
        volume: Volume,
        place: Pool | None,
        quota: Quota,
        shared: list[Unknown],
        of_locations: list[Unknown],
    ) -> Case:
        host = volume.host if place is None else place.host
        cluster = volume.cluster_name if place is None else place.cluster_name
        volume = attrs.evolve(volume, host=host, cluster_name=cluster)
        file = self.file(None if host is None else host.backend)
        backend, of_backend = self._backend(host, file, _CREATING)
        config = self._config(file)
        caches = None if place is None else place.caches
        if file is None and caches is not None:
            config = attrs.evolve(config, image_volume_cache_enabled=caches)
        request = gather_create(
            images.image.id,
            volume,
            config,
            self._ports(images, backend),
            quota=quota,
        )
        request = self.assumed.change(request)
        found = [*shared, *of_backend]
        if file is None:
            found += unknown.of_config(request)
            option = "config.image_volume_cache_enabled"
            if caches is None and option not in self.assumed.facts:
                found.append(unknown.of_cache_option())
        found += of_locations
        found += unknown.of_sources(request)
        found.append(unknown.of_entries())
        return self._case(None if host is None else str(host), request, found)

    def _glance(self, body: Body) -> tuple[GlanceConfig, list[Unknown]]:
        """Return what Glance offers; a body that shows locations says it."""
        roles = self._roles()[0] or frozenset()
        shows = "locations" in body
        try:
            has = self.facts.has_location_api()
        except AdapterError as error:
            missing = why_missing(error)
            return (
                GlanceConfig(
                    show_multiple_locations=shows,
                    service_roles=roles,
                    missing=missing,
                ),
                [unknown.of_glance(missing)],
            )
        return (
            GlanceConfig(
                has_location_api=has,
                show_multiple_locations=shows,
                service_roles=roles,
            ),
            [],
        )

    def _locations(
        self, body: Body
    ) -> tuple[tuple[Location, ...], list[Unknown]]:
        """Return the locations of an image, whoever may read them."""
        if self.assumed.locations is not None:
            return self.assumed.locations, []
        try:
            return self.facts.locations(str(body["id"])), []
        except AdapterError as error:
            missing = why_missing(error)
        with_locations = "locations" in body or body.get("direct_url")
        found = locations_from_v2(body) if with_locations else ()
        complete = "locations" in body or body.get("status") == "queued"
        if complete:
            return found, []
        derived = None if found else self._derived(body)
        if derived is not None:
            self.derives_locations = True
            return derived, []
        if missing is Missing.ABSENT:  # an older Glance, or not its project
            missing = Missing.UNSUPPORTED
        return found, [unknown.of_locations(missing)]

    def _derived(self, body: Body) -> tuple[Location, ...] | None:
        """Derive the locations from the image's stores; None: impossible.

        A store of Ceph names images by their ids.  The volume of a cinder
        store has the image's id in its metadata.
        """
        names = body.get("stores")
        if not isinstance(names, str) or not self.facts.cloud.is_admin:
            return None
        found: list[Location] = []
        image_id = str(body["id"])
        try:
            stores = {str(s["id"]): s for s in self.facts.store_details()}
            for name in names.split(","):
                store = stores[name]
                if store["type"] == "cinder":
                    (volume,) = self.facts.volumes_of_image(image_id)
                    found.append(CinderLocation(volume, name))
                elif store["type"] == "rbd":
                    fsid, pool = map(store["properties"].get, _CEPH)
                    found.append(RbdLocation(fsid, pool, image_id, "snap"))
        except (AdapterError, KeyError, TypeError, ValueError):
            return None
        return tuple(map(parse_location, map(str, found)))

    def _image(
        self, body: Body, volume: Volume, glance: GlanceConfig
    ) -> tuple[Image, list[Unknown]]:
        """Make the image as the requester and Cinder see it."""
        unknowns = []
        visible = True
        owner, project = body.get("owner"), volume.project_id
        asking = (self.tenant or self.facts).cloud.project_id
        private = body.get("visibility") not in _EVERYBODY
        if private and project not in {owner, asking}:
            try:
                visible = self.facts.is_member(str(body["id"]), project)
            except AdapterError as error:
                visible = False
                unknowns.append(unknown.of_visible(why_missing(error)))
        shown = "locations" in body or body.get("direct_url") is not None
        otherwise = LocationsFrom.IMAGE if shown else LocationsFrom.HIDDEN
        by_api = LocationsFrom.LOCATIONS_API
        roles, missing = self._roles()
        if glance.has_location_api is False or body.get("status") == "queued":
            seen = otherwise
        elif roles is None:
            seen = otherwise
            unknowns.append(unknown.of_roles(by_api, missing))
        elif "service" not in roles:
            seen = otherwise
        elif "admin" in roles or body.get("visibility") in _EVERYBODY:
            seen = by_api
        else:
            seen = LocationsFrom.IMAGE if shown else LocationsFrom.FORBIDDEN
        image = image_from_v2(
            body, visible=visible, downloadable=True, locations_from=seen
        )
        return image, unknowns

    def _places(
        self, kind: VolumeType | None, wanted: str | None
    ) -> tuple[list[Pool | None], list[Unknown]]:
        """Return the pools of a type, or the one that is wanted."""
        try:
            pools = self.facts.pools()
        except AdapterError as error:
            if wanted is None:
                return [None], [unknown.of_place(why_missing(error))]
            backend = Backend(frozen=True)
            place = Pool(host=Host.parse(wanted), backend=backend, caches=None)
            return [place], []
        if wanted is not None:
            chosen = [each for each in pools if str(each.host) == wanted]
            if not chosen:
                known = ", ".join(str(each.host) for each in pools) or "none"
                message = f"pool {wanted}: there is none; known are {known}"
                raise NotFoundError(message)
            return [*chosen], []
        name = None if kind is None else kind.volume_backend_name
        found = [p for p in pools if name is None or p.backend_name == name]
        if not found:
            of_type = "" if name is None else f" with the name {name}"
            raise NotFoundError(f"there is no pool{of_type}")
        return [*found], []

    def _backend(
        self,
        host: Host | None,
        file: BackendFile | None,
        abilities: tuple[str, ...],
    ) -> tuple[Backend, list[Unknown]]:
        """Return what pool, driver and file declare of a backend."""
        unknowns = []
        try:
            pools = self.facts.pools()
        except AdapterError as error:
            pool = None
            unknowns.append(unknown.of_frozen(why_missing(error)))
        else:
            pool = next((p for p in pools if p.host == host), None)
            try:
                self.facts.services()
            except AdapterError as error:
                unknowns.append(unknown.of_frozen(why_missing(error)))
        found = Backend(frozen=True) if pool is None else pool.backend
        driver = "" if file is None else file.driver
        if pool is not None and pool.is_ceph:
            driver = _RBD
        facts = facts_of_driver(driver)
        if driver == _RBD:
            facts["image_clone_kind"] = CloneKind.COPY_ON_WRITE
            found = attrs.evolve(found, image_schemes=frozenset({"rbd"}))
        known = {k: v for k, v in facts.items() if getattr(found, k) is None}
        found = attrs.evolve(found, **known)
        unknowns += unknown.of_backend(found, abilities)
        return found, unknowns
