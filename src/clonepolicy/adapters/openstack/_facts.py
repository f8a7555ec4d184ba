"""What one cloud tells: each fact is asked for once, and fails by itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import attrs

from clonepolicy import (
    AdapterError,
    FactError,
    ForbiddenError,
    GlanceStore,
    Host,
    Location,
    NotFoundError,
    Quota,
    Volume,
    VolumeType,
)
from clonepolicy.adapters.openstack._cloud import Cloud
from clonepolicy.adapters.records import (
    Pool,
    has_location_api,
    hidden_columns,
    image_from_v2,
    locations_from_v2,
    pool_from_api,
    quota_from_api,
    shows_extra_specs,
    stores_from_v2,
    volume_from_api,
    volume_type_from_api,
)

T = TypeVar("T")
Body = Mapping[str, Any]
_VOLUMES = "block-storage"


@attrs.frozen(kw_only=True)
class KnownType:
    """A volume type, and whether all that it promises is shown."""

    record: VolumeType
    shown: bool


@attrs.frozen(kw_only=True)
class KnownVolume:
    """A volume, and the columns that the cloud does not show."""

    record: Volume
    hidden: tuple[str, ...]
    body: Body
    type_shown: bool


@attrs.define
class CloudFacts:
    """The facts that a cloud shows to one user."""

    cloud: Cloud
    _known: dict[tuple[str, ...], Any] = attrs.field(factory=dict, init=False)
    _shown: dict[str, Body] = attrs.field(factory=dict, init=False)
    """Volumes that a list has shown, by their ids."""

    def _once(self, key: tuple[str, ...], read: Callable[[], T]) -> T:
        """Read something, or raise again what reading it raised before."""
        if key not in self._known:
            try:
                self._known[key] = read()
            except FactError as error:
                what = " ".join(key)
                self._known[key] = AdapterError(f"{what}: {error}")
            except AdapterError as error:
                self._known[key] = error
            except (AttributeError, KeyError, TypeError):
                what = " ".join(key)
                message = f"{what}: the answer is not as documented"
                self._known[key] = AdapterError(message)
        found = self._known[key]
        if isinstance(found, AdapterError):
            raise found
        result: T = found
        return result

    def image(self, wanted: str) -> Body:
        """Read an image by its id, or else by its name.

        Raises:
            NotFoundError: no image, or more than one, has this name.
        """

        def find() -> Body:
            try:
                return self.cloud.get("image", "v2", "images", wanted)
            except NotFoundError:
                body = self.cloud.get("image", "v2", "images", name=wanted)
            return _only(body.get("images"), f"image {wanted}")

        def read() -> Body:
            body = find()
            image_from_v2(body)  # later readers rely on its fields
            return body

        return self._once(("image", wanted), read)

    def has_location_api(self) -> bool:
        """Return whether Glance has the locations API."""
        return self._once(
            ("versions",),
            lambda: has_location_api(self.cloud.get("image", "versions")),
        )

    def locations(self, image_id: str) -> tuple[Location, ...]:
        """Read an image's locations by the locations API."""

        def read() -> tuple[Location, ...]:
            path = ("v2", "images", image_id, "locations")
            return locations_from_v2(self.cloud.get_list("image", *path))

        return self._once(("locations", image_id), read)

    def is_member(self, image_id: str, project_id: str) -> bool:
        """Return whether an image is shared with a project."""

        def read() -> bool:
            path = ("v2", "images", image_id, "members")
            members = self.cloud.get("image", *path)["members"]
            return any(each["member_id"] == project_id for each in members)

        return self._once(("members", image_id, project_id), read)

    def store_details(self) -> tuple[Body, ...]:
        """Read Glance's stores; none if it has one without a name."""

        def read() -> tuple[Body, ...]:
            path = ("v2", "info", "stores", "detail")
            try:
                return tuple(self.cloud.get("image", *path)["stores"])
            except NotFoundError:
                return ()

        return self._once(("stores",), read)

    def stores(self) -> tuple[GlanceStore, ...]:
        """Read Glance's cinder stores."""
        return self._once(
            ("cinder stores",),
            lambda: stores_from_v2({"stores": self.store_details()}),
        )

    def volumes_of_image(self, image_id: str) -> tuple[str, ...]:
        """Return the ids of the volumes whose metadata names an image.

        Those who may write the metadata of a volume can name any image.
        """

        def read() -> tuple[str, ...]:
            query = {
                "all_tenants": "1",
                "metadata": str({"glance_image_id": image_id}),
            }
            found = self.cloud.get(_VOLUMES, "volumes", "detail", **query)
            bodies = {str(body["id"]): body for body in found["volumes"]}
            for volume_id, body in bodies.items():
                self._shown[volume_id] = body
            return tuple(bodies)

        return self._once(("volumes of image", image_id), read)

    def volume_type(self, wanted: str | None) -> KnownType:
        """Read a type by its id or name; None: Cinder's default type.

        Raises:
            NotFoundError: there is none.
        """

        def all_types() -> list[Body]:
            body = self.cloud.get(_VOLUMES, "types", is_public="None")
            return list(body.get("volume_types") or ())

        def default() -> Body:
            body = self.cloud.get(_VOLUMES, "types", "default")
            return dict(body.get("volume_type") or {})

        if wanted is None:
            body = self._once(("types", "default"), default)
        else:
            listed = self._once(("types",), all_types)
            named = [
                t for t in listed if wanted in (t.get("id"), t.get("name"))
            ]
            body = _only(named, f"volume type {wanted}")
        key = ("type", str(body.get("id")))
        return self._once(
            key,
            lambda: KnownType(
                record=volume_type_from_api(body),
                shown=shows_extra_specs(body),
            ),
        )

    def is_encrypted(self, type_id: str) -> bool:
        """Return whether volumes of a type are encrypted."""

        def read() -> bool:
            path = ("types", type_id, "encryption")
            return bool(self.cloud.get(_VOLUMES, *path).get("encryption_id"))

        return self._once(("encryption", type_id), read)

    def volume(self, volume_id: str) -> KnownVolume:
        """Read a volume.

        Raises:
            NotFoundError: there is none.
            ForbiddenError: it is not shown, and may be another project's.
        """

        def show() -> Body:
            try:
                answer = self.cloud.get(_VOLUMES, "volumes", volume_id)
            except NotFoundError:
                if self.cloud.is_admin:
                    raise
                message = f"volume {volume_id} is not shown to this user"
                raise ForbiddenError(message) from None
            return dict(answer["volume"])

        def read() -> KnownVolume:
            body = self._shown.get(volume_id) or show()
            kind = self.volume_type(
                body.get("volume_type_id") or body.get("volume_type")
            )
            hidden = hidden_columns(body)
            unknown: dict[str, Any] = dict.fromkeys(hidden)
            if "project_id" in unknown:
                unknown["project_id"] = self.cloud.project_id
            return KnownVolume(
                record=volume_from_api(
                    body, volume_type=kind.record, hidden=unknown
                ),
                hidden=hidden,
                body=body,
                type_shown=kind.shown,
            )

        return self._once(("volume", volume_id), read)

    def quota(self, project_id: str, kind: VolumeType | None) -> Quota:
        """Read what a project has left."""

        def read() -> Body:
            path = ("os-quota-sets", project_id)
            body = self.cloud.get(_VOLUMES, *path, usage="true")
            return dict(body.get("quota_set") or {})

        body = self._once(("quota", project_id), read)
        of_type = "" if kind is None else kind.id
        return self._once(
            ("quota", project_id, of_type), lambda: quota_from_api(body, kind)
        )

    def pools(self) -> tuple[Pool, ...]:
        """Read all pools; their clusters are those of their services."""

        def read() -> tuple[Pool, ...]:
            path = ("scheduler-stats", "get_pools")
            body = self.cloud.get(_VOLUMES, *path, detail="true")
            return tuple(map(self._pool, body.get("pools") or ()))

        return self._once(("pools",), read)

    def _pool(self, body: Body) -> Pool:
        """Make a pool; of an unknown service it is not known to be thawed."""
        pool = pool_from_api(body)
        try:
            service = self.services().get(pool.service, {"frozen": True})
        except AdapterError:
            service = {"frozen": True}
        cluster, backend = service.get("cluster"), pool.backend
        place = f"#{pool.host.pool}" if pool.host.pool else ""
        return attrs.evolve(
            pool,
            cluster_name=Host.parse(f"{cluster}{place}") if cluster else None,
            backend=attrs.evolve(backend, frozen=bool(service["frozen"])),
        )

    def services(self) -> Mapping[str, Body]:
        """Read the services cinder-volume, by their ``host@backend``."""

        def read() -> Mapping[str, Body]:
            query = {"binary": "cinder-volume"}
            body = self.cloud.get(_VOLUMES, "os-services", **query)
            return {each["host"]: each for each in body.get("services") or ()}

        return self._once(("services",), read)

    def roles_of(self, user_name: str) -> frozenset[str]:
        """Read the roles that a user of this name has anywhere."""

        def read() -> frozenset[str]:
            users = self.cloud.get("identity", "v3", "users", name=user_name)
            user = _only(users.get("users"), f"user {user_name}")
            query = {
                "user.id": str(user["id"]),
                "effective": "true",  # those of its groups, too
                "include_names": "true",
            }
            found = self.cloud.get(
                "identity", "v3", "role_assignments", **query
            )
            return frozenset(
                str(each["role"]["name"])
                for each in found.get("role_assignments") or ()
            )

        return self._once(("roles", user_name), read)


def _only(found: object, what: str) -> Body:
    """Return the only object of a list.

    Raises:
        NotFoundError: there is none, or more than one.
    """
    listed = found if isinstance(found, list) else []
    if len(listed) == 1 and isinstance(listed[0], dict):
        return listed[0]
    count = f"{len(listed)} of them" if listed else "there is none"
    raise NotFoundError(f"{what}: {count}")
