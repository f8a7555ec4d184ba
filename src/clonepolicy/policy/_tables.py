"""Policies as values: the tables of rules, and which routes they close.

A policy answers four questions with four kinds of table: what is refused
on every route, what closes an efficient route, what closes the ordinary
route, and what deserves a note.  The order of rules in a table has no
meaning.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from functools import cached_property
from itertools import groupby
from operator import attrgetter, itemgetter
from types import MappingProxyType
from typing import Any, ClassVar, Generic, TypeAlias, TypeVar

import attrs

from clonepolicy._facts.records import Volume
from clonepolicy._facts.requests import (
    ArrayImage,
    CacheEntry,
    Candidate,
    ImageVolume,
    Operation,
    Request,
)
from clonepolicy.policy._order import Order, nearest_first
from clonepolicy.policy._rule import CreateRule, Rule, SourceRule, UploadRule

Kind = TypeVar("Kind", ArrayImage, ImageVolume, CacheEntry)

Checks: TypeAlias = tuple[tuple[Callable[..., bool], Rule[Any]], ...]
"""Pairs of a predicate and its rule; a direct call is faster."""


class Route(StrEnum):
    """A way to fill a volume, or to give an image its data."""

    ARRAY_IMAGE = "array-image"
    """Clone an image that the array stores: ``driver.clone_image``."""
    IMAGE_VOLUME = "image-volume"
    """Clone the volume behind a ``cinder://`` location."""
    CACHE_ENTRY = "cache-entry"
    """Clone an entry of the image-volume cache."""
    DOWNLOAD = "download"
    """Write the image's data into the volume."""
    REGISTER = "register"
    """Clone the volume, and register the clone as the image's location."""
    UPLOAD = "upload"
    """Send the volume's data to the image."""


CANDIDATE_FIELDS: Mapping[Route, str] = MappingProxyType(
    {
        Route.ARRAY_IMAGE: ArrayImage.listed_in,
        Route.IMAGE_VOLUME: ImageVolume.listed_in,
        Route.CACHE_ENTRY: CacheEntry.listed_in,
    }
)
"""For each clone route, the field of a request with its candidates."""


def _checks(rules: Iterable[Rule[Any]]) -> Checks:
    return tuple((rule.holds, rule) for rule in rules)


def _source_name(candidate: Candidate) -> str:
    """Return what two candidates for one source have in common."""
    source = candidate.source
    return source.id if isinstance(source, Volume) else candidate.label


@attrs.frozen(kw_only=True)
class CloneTable(Generic[Kind]):
    """One clone route: what must hold, and which candidate is tried first.

    ``preconditions`` are about the request, ``source_rules`` about one
    candidate.  ``tries`` is the number of usable candidates that a plan
    tries; None: all of them.
    """

    route: Route
    preconditions: tuple[CreateRule, ...]
    source_rules: tuple[SourceRule[Kind], ...]
    order: Order = nearest_first
    tries: int | None = None
    notes: tuple[CreateRule, ...] = ()
    source_notes: tuple[SourceRule[Kind], ...] = ()

    @cached_property
    def source_checks(self) -> Checks:
        """The source rules with their predicates."""
        return _checks(self.source_rules)

    @cached_property
    def candidates(self) -> Callable[[Request], tuple[Kind, ...]]:
        """Return the request's candidates for this route."""
        return attrgetter(CANDIDATE_FIELDS[self.route])

    def ranked(
        self, request: Request, usable: list[Candidate]
    ) -> list[Candidate]:
        """Return the candidates to try, best first, each source once."""
        keyed = sorted(
            ((self.order(request, each), each) for each in usable),
            key=itemgetter(0),
        )
        best: dict[str, Candidate] = {}
        for _, group in groupby(keyed, key=itemgetter(0)):
            alike = [candidate for _, candidate in group]
            # two that contradict each other may be equal in the order
            for candidate in sorted(alike, key=repr) if alike[1:] else alike:
                best.setdefault(_source_name(candidate), candidate)
        return list(best.values())[: self.tries]


@attrs.frozen
class _Tables(ABC):
    """Which routes each rule about the request closes."""

    @property
    @abstractmethod
    def routes(self) -> Mapping[Route, tuple[Rule[Any], ...]]:
        """For each route, the rules about the request that can close it."""

    @property
    def efficient(self) -> tuple[Route, ...]:
        """The efficient routes, in order of preference."""
        return tuple(self.routes)[:-1]

    @property
    def ordinary(self) -> Route:
        """The ordinary route, which moves the data."""
        return tuple(self.routes)[-1]

    @cached_property
    def closes(self) -> Mapping[Rule[Any], tuple[Route, ...]]:
        """For each rule about the request, the routes that it closes."""
        found: dict[Rule[Any], tuple[Route, ...]] = {}
        for route, rules in self.routes.items():
            for rule in dict.fromkeys(rules):
                found[rule] = (*found.get(rule, ()), route)
        return found

    @cached_property
    def checks(self) -> Checks:
        """Every rule about the request once, with its predicate."""
        return _checks(self.closes)


@attrs.frozen(kw_only=True)
class CreateTables(_Tables):
    """The tables for creating a volume from an image."""

    refuse: tuple[CreateRule, ...] = ()
    clone: tuple[CloneTable[Any], ...]
    """In order of preference."""
    download: tuple[CreateRule, ...] = ()
    download_notes: tuple[CreateRule, ...] = ()

    @property
    def routes(self) -> Mapping[Route, tuple[CreateRule, ...]]:
        """The clone routes in order of preference, then the download."""
        routes = {
            t.route: (*self.refuse, *t.preconditions) for t in self.clone
        }
        return {**routes, Route.DOWNLOAD: (*self.refuse, *self.download)}


@attrs.frozen(kw_only=True)
class UploadTables(_Tables):
    """The tables for uploading a volume to an image."""

    clone: ClassVar[tuple[CloneTable[Any], ...]] = ()
    """An upload has no candidates to choose from."""
    refuse: tuple[UploadRule, ...] = ()
    register: tuple[UploadRule, ...]
    upload: tuple[UploadRule, ...] = ()
    notes: tuple[UploadRule, ...] = ()

    @property
    def routes(self) -> Mapping[Route, tuple[UploadRule, ...]]:
        """To register, then to upload."""
        return {
            Route.REGISTER: (*self.refuse, *self.register),
            Route.UPLOAD: (*self.refuse, *self.upload),
        }


@attrs.frozen(kw_only=True)
class Policy:
    """A name, a version, and the tables of both operations."""

    name: str
    version: int
    """Raised whenever some input gets another verdict or other reasons."""
    create: CreateTables = attrs.field(repr=False)
    upload: UploadTables = attrs.field(repr=False)

    def __str__(self) -> str:
        """Return name and version."""
        return f"{self.name}/{self.version}"

    def tables_for(self, operation: Operation) -> CreateTables | UploadTables:
        """Return the tables of one operation."""
        return self.create if operation is Operation.CREATE else self.upload

    def tables(self) -> Iterator[tuple[str, tuple[Rule[Any], ...]]]:
        """Iterate over every table with its name, tables of notes included."""
        yield "create.refuse", self.create.refuse
        for table in self.create.clone:
            yield f"create.{table.route}.preconditions", table.preconditions
            yield f"create.{table.route}.source_rules", table.source_rules
            yield f"create.{table.route}.notes", table.notes
            yield f"create.{table.route}.source_notes", table.source_notes
        yield "create.download", self.create.download
        yield "create.download_notes", self.create.download_notes
        yield "upload.refuse", self.upload.refuse
        yield "upload.register", self.upload.register
        yield "upload.upload", self.upload.upload
        yield "upload.notes", self.upload.notes
