"""Requests made of what APIs answer, and of rows of databases.

What a body does not say stays unknown, unless the user tells it.
"""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

import attrs

import clonepolicy
from clonepolicy import FactError, wire
from clonepolicy.adapters import records
from clonepolicy.cli._documents import Document
from clonepolicy.cli._fact_values import path_of, value_of

R = TypeVar("R", bound=clonepolicy.Request)

_PUBLIC = ("public", "community")
_IN_LISTS = ("image", "volume", "volume_type", "pool", "location")
_WITHOUT_DATA = ("queued", "saving", "uploading", "importing")
"""Each status of an image that has no data yet, and so no location."""
_NEW = "new-volume"
_HOW = {
    "image": "--image",
    "volume": "--volume, or --size and --project for a new volume",
    "project_id": "--project",
}
"""How to give each fact that a request needs."""


@attrs.frozen(kw_only=True)
class Bodies:
    """What the user gives: documents, and what no document says."""

    image: Document | None = None
    locations: Document | None = None
    volume: Document | None = None
    sources: Sequence[Document] = ()
    types: Sequence[Document] = ()
    pools: Sequence[Document] = ()
    quota: Document | None = None
    stores: Document | None = None
    size: int | None = None
    """GiB, of a new volume without a body."""
    project: str | None = None
    """The requester's; None: the project of the volume."""
    assumed: Sequence[tuple[str, str]] = ()
    """Paths of facts, and their values."""

    def __bool__(self) -> bool:
        """Return whether there is anything."""
        return self != Bodies()


def make_request(
    kind: type[R], base: R | None, given: Bodies
) -> tuple[R, list[str]]:
    """Make a request of bodies, and of another request for all else.

    Returns also what it assumes: facts that no API tells.

    Raises:
        FactError: a body or a value is not valid, or one is missing.
    """
    creates = kind.operation is clonepolicy.Operation.CREATE
    made = _Maker(base, given, creates=creates)
    fields = made.fields()
    missing = [
        field.name
        for field in attrs.fields(kind)
        if field.default is attrs.NOTHING and field.name not in fields
    ]
    if missing:
        how = f"{_HOW[missing[0]]}, or a request that has it"
        raise FactError(f"{kind.__name__}.{missing[0]}", None, how)
    request = kind(**fields)
    return _assume(request, given.assumed), made.notes


class _Maker:
    def __init__(
        self,
        base: clonepolicy.Request | None,
        given: Bodies,
        *,
        creates: bool,
    ) -> None:
        self._creates = creates
        self._given = given
        self._base = {} if base is None else _shallow(base)
        self._types = [
            (document, _api_names(body, {"properties": "extra_specs"}))
            for document, body in _each(given.types)
        ]
        self._pools = [
            document.read(records.pool_from_api, body)
            for document, body in _each(given.pools)
        ]
        self.notes: list[str] = []

    def fields(self) -> dict[str, Any]:
        """Return every field that is known."""
        given, fields = self._given, dict(self._base)
        volume = self._volume()
        if volume is not None:
            fields["volume"] = volume
            backend = self._backend(volume)
            if backend is not None:
                fields["backend"] = backend
        volume = fields.get("volume")
        project = given.project
        if project is None and volume is not None:
            project = volume.project_id
        if not self._creates and project is not None:
            fields["project_id"] = project
        if given.image is not None:
            body = given.image.unwrapped("image")
            fields["image"] = self._image(given.image, body, project)
            if self._creates:
                told = given.locations
                shown = (
                    (given.image, _image_body(body))
                    if told is None
                    else (told, told.unwrapped("locations"))
                )
                volume = fields.get("volume")
                fields.update(self._candidates(*shown, volume))
        elif given.locations is not None or given.sources:
            expected = "the image that they belong to: --image"
            raise FactError("locations or sources", None, expected)
        if given.quota is not None:
            name = "quota" if self._creates else "clone_quota"
            kind = None if volume is None else volume.volume_type
            fields[name] = given.quota.read(
                lambda body: records.quota_from_api(body, kind),
                given.quota.unwrapped("quota_set"),
            )
        if given.stores is not None:
            stores = given.stores.read(
                records.stores_from_v2, given.stores.value
            )
            glance = fields.get("glance", clonepolicy.GlanceConfig())
            fields["glance"] = attrs.evolve(glance, stores=stores)
        return fields

    def _volume(self) -> clonepolicy.Volume | None:
        given = self._given
        if given.volume is not None:
            return self._read_volume(
                given.volume, given.volume.unwrapped("volume")
            )
        if given.size is None or given.project is None:
            return None
        kind = None
        if len(self._types) == 1:
            ((document, body),) = self._types
            kind = document.read(records.volume_type_from_api, body)
        host = self._pools[0].host if len(self._pools) == 1 else None
        return clonepolicy.Volume(
            id=_NEW,
            project_id=given.project,
            size=given.size,
            status="creating",
            host=host,
            volume_type=kind,
        )

    def _read_volume(
        self,
        document: Document,
        body: Any,
    ) -> clonepolicy.Volume:
        names = {"properties": "metadata", "type": "volume_type"}
        body = _api_names(body, names)
        kind = self._type_of(body)
        if isinstance(body, Mapping) and "encrypted" in body:
            return document.read(
                lambda each: records.volume_from_api(each, volume_type=kind),
                body,
            )
        return document.read(
            lambda each: records.volume_from_row(_row(each, kind)), body
        )

    def _type_of(self, body: Any) -> Any:
        """Return the body of the type that a body of a volume names."""
        if not isinstance(body, Mapping):
            return None
        names = {body.get("volume_type_id")}
        if isinstance(body.get("volume_type"), str):
            names.add(body["volume_type"])
        for _, each in self._types:
            if isinstance(each, Mapping) and (
                {each.get("id"), each.get("name")} & (names - {None})
            ):
                return each
        return None

    def _image(
        self,
        document: Document,
        body: Any,
        project: str | None,
    ) -> clonepolicy.Image:
        body = _image_body(body)
        visible = isinstance(body, Mapping) and (
            body.get("visibility") in _PUBLIC
            or (project is not None and body.get("owner") == project)
        )
        if visible:
            self.notes.append(
                "image.downloadable=true is assumed, as Glance's default "
                "policy has it"
            )
        return document.read(
            lambda each: records.image_from_v2(
                each,
                visible=visible,
                downloadable=visible,
                locations_from=self._locations_from(each),
            ),
            body,
        )

    def _locations_from(self, body: Any) -> clonepolicy.LocationsFrom:
        if not isinstance(body, Mapping):
            return clonepolicy.LocationsFrom.UNREADABLE
        if self._given.locations is not None:
            return clonepolicy.LocationsFrom.LOCATIONS_API
        shown = body.get("locations") or body.get("direct_url")
        if shown or body.get("status") in _WITHOUT_DATA:
            return clonepolicy.LocationsFrom.IMAGE
        return clonepolicy.LocationsFrom.HIDDEN

    def _candidates(
        self,
        document: Document,
        body: Any,
        volume: clonepolicy.Volume | None,
    ) -> dict[str, Any]:
        locations = document.read(records.locations_from_v2, body)
        sources: dict[str, clonepolicy.Volume] = {}
        for holder, each in _each(self._given.sources):
            made = self._read_volume(holder, each)
            sources[made.id] = made
        volumes, stored = [], []
        for location in locations:
            if isinstance(location, clonepolicy.CinderLocation):
                source = sources.pop(location.volume_id, None)
                volumes.append(self._image_volume(location, source, volume))
            elif str(location).startswith("cinder:"):
                volumes.append(clonepolicy.ImageVolume(location=location))
            else:
                stored.append(clonepolicy.ArrayImage(location=location))
        if sources:
            expected = "the id in a cinder:// location of the image"
            raise FactError("source", next(iter(sources)), expected)
        return {
            "image_volumes": tuple(volumes),
            "array_images": tuple(stored),
        }

    def _image_volume(
        self,
        location: clonepolicy.Location,
        source: clonepolicy.Volume | None,
        volume: clonepolicy.Volume | None,
    ) -> clonepolicy.ImageVolume:
        if source is None:
            return clonepolicy.ImageVolume(location=location)
        backend = self._backend(source)
        here = None if volume is None else _service(volume)
        if backend is None and here is not None and here == _service(source):
            # one service has one array
            backend = self._base.get("backend")
            backend = self._backend(volume) or backend
        return clonepolicy.ImageVolume(
            location=location,
            source=source,
            backend=backend or clonepolicy.Backend(),
        )

    def _backend(
        self, volume: clonepolicy.Volume | None
    ) -> clonepolicy.Backend | None:
        """Return what the pool of a volume declares, if it is given."""
        host = None if volume is None else volume.host
        found = [p.backend for p in self._pools if p.host == host]
        if not found and host is not None:
            service = str(attrs.evolve(host, pool=None))
            found = [p.backend for p in self._pools if p.service == service]
        return found[0] if found else None


def _service(volume: clonepolicy.Volume) -> clonepolicy.Host | None:
    host = volume.host
    return None if host is None else attrs.evolve(host, pool=None)


def _shallow(request: attrs.AttrsInstance) -> dict[str, Any]:
    return attrs.asdict(request, recurse=False)


def _each(documents: Sequence[Document]) -> Iterator[tuple[Document, Any]]:
    """Yield each body: a document may be a list, or an answer with one."""
    for document in documents:
        value = document.value
        for name in _IN_LISTS:
            value = document.unwrapped(name, value)
            value = document.unwrapped(f"{name}s", value)
        bodies = value if isinstance(value, list) else [value]
        for body in bodies:
            for name in _IN_LISTS:
                body = document.unwrapped(name, body)  # noqa: PLW2901
            yield document, body


def _api_names(body: Any, names: Mapping[str, str]) -> Any:
    """Name fields as the API does, where the client names them otherwise."""
    if not isinstance(body, Mapping):
        return body
    other = {k: name for k, name in names.items() if name not in body}
    return {other.get(k, k): value for k, value in body.items()}


def _image_body(body: Any) -> Any:
    """Spread the properties of an image, as the client and tables have them.

    The API has all in one object; the client and the table of properties do
    not.  A row's locations are in ``value``, and its times have no zone.
    """
    if not isinstance(body, Mapping):
        return body
    spread = {**_properties(body.get("properties")), **body}
    spread.setdefault("virtual_size", None)
    locations = spread.get("locations")
    if isinstance(locations, list):
        spread["locations"] = [_as_url(each) for each in locations]
    moment = _moment(spread.get("updated_at"))
    if moment is not None and moment.tzinfo is None:
        spread["updated_at"] = f"{moment.isoformat()}Z"
    return spread


def _moment(text: object) -> datetime.datetime | None:
    try:
        return datetime.datetime.fromisoformat(str(text))
    except ValueError:
        return None


def _properties(found: object) -> dict[str, Any]:
    if isinstance(found, Mapping):
        return dict(found)
    rows = found if isinstance(found, list) else []
    return {
        row["name"]: row["value"]
        for row in rows
        if isinstance(row, Mapping) and {"name", "value"} <= row.keys()
    }


def _as_url(location: object) -> object:
    if isinstance(location, Mapping) and "url" not in location:
        return {"url": location.get("value")}
    return location


def _row(row: Any, kind: Any) -> Any:
    """Read texts and numbers of a row as what they are in the database."""
    if not isinstance(row, Mapping):
        return row
    made = dict(row)
    if not isinstance(made.get("volume_type"), Mapping):
        made["volume_type"] = kind
        if kind is None and made.get("volume_type_id") is not None:
            expected = f"the type {made['volume_type_id']}: --type"
            raise FactError("Volume.volume_type", None, expected)
    if "metadata" not in made and "volume_metadata" in made:
        made["metadata"] = made["volume_metadata"]
    if made.get("multiattach") in (0, 1):
        made["multiattach"] = bool(made["multiattach"])
    moment = _moment(made.get("created_at"))
    if moment is not None:
        made["created_at"] = moment
    return made


def _assume(request: R, facts: Sequence[tuple[str, str]]) -> R:
    """Set facts by their paths; a number in a path counts candidates."""
    if not facts:
        return request
    written = wire.to_dict(request)
    for told, text in facts:
        path = path_of(told) or told
        *parents, name = path.split(".")
        record: Any = written
        for parent in parents:
            if isinstance(record, list) and parent.isdecimal():
                at = int(parent)
                record = record[at] if at < len(record) else None
            else:
                record = record.get(parent) if isinstance(record, dict) else 0
        if not isinstance(record, dict) or name not in record:
            raise FactError("--assume", told, "the path of a known fact")
        record[name] = value_of(text, record[name])
    return wire.from_dict(type(request), written)
