"""A rule: a one-line predicate, its reason, and what documents it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Generic, TypeAlias, TypeVar

import attrs

from clonepolicy._reasons import Reason
from clonepolicy._records import (
    CreateRequest,
    UploadRequest,
)

Kind = TypeVar("Kind")
Holds = TypeVar("Holds", bound=Callable[..., bool])
Holds_co = TypeVar("Holds_co", bound=Callable[..., bool], covariant=True)


@attrs.frozen
class Source:
    """Where a requirement comes from: a project's release and a place."""

    project: str
    place: str

    def __str__(self) -> str:
        """Give both in one line."""
        return f"{self.project}: {self.place}"


def spec(place: str) -> Source:
    """Cite the Liberty specification."""
    return Source(
        "cinder-specs liberty/clone-image-in-glance-cinder-backend", place
    )


def cinder(place: str) -> Source:
    """Cite Cinder."""
    return Source("cinder 29.0.0", place)


def glance(place: str) -> Source:
    """Cite Glance."""
    return Source("glance 33.0.0", place)


def advisory(place: str) -> Source:
    """Cite a security advisory or note."""
    return Source("OpenStack security", place)


@attrs.frozen(kw_only=True, eq=False)
class Rule(Generic[Holds_co]):
    """What must hold, and the reason to give when it does not.

    ``holds`` takes the request, or the request and one candidate, and
    never raises for well-typed records.  ``reads`` names every fact it
    looks at: paths from the request, or from ``candidate``; ``source`` is
    short for ``candidate.source``.  What is not there (a source that was
    not found) is another rule's business, and holds.

    Raises:
        ValueError: a part that documents the rule is empty.
    """

    name: str
    requirement: str = attrs.field(repr=False)
    holds: Holds_co = attrs.field(repr=False)
    reason: Reason = attrs.field(repr=False)
    reads: tuple[str, ...] = attrs.field(repr=False)
    sources: tuple[Source, ...] = attrs.field(repr=False)
    differs: str = attrs.field(repr=False)

    def __attrs_post_init__(self) -> None:
        """Refuse to exist without documentation."""
        for field in ("name", "requirement", "reads", "sources"):
            if not getattr(self, field):
                message = f"rule {self.name!r}: {field} must not be empty"
                raise ValueError(message)


CreateRule: TypeAlias = Rule[Callable[[CreateRequest], bool]]
UploadRule: TypeAlias = Rule[Callable[[UploadRequest], bool]]
SourceRule: TypeAlias = Rule[Callable[[CreateRequest, Kind], bool]]


def rule(
    reason: Reason,
    *,
    reads: tuple[str, ...],
    sources: tuple[Source, ...],
    differs: str = "",
) -> Callable[[Holds], Rule[Holds]]:
    """Make a rule of a predicate, whose name and docstring become its own.

    Args:
        reason: what to report when the predicate is false.
        reads: every fact the predicate looks at.
        sources: where the requirement comes from.
        differs: what stock Cinder does otherwise, if it does.

    Raises:
        ValueError: the docstring, the reads or the sources are empty.
    """

    def decorate(holds: Holds) -> Rule[Holds]:
        return Rule(
            name=holds.__name__,
            requirement=inspect.getdoc(holds) or "",
            holds=holds,
            reason=reason,
            reads=reads,
            sources=sources,
            differs=differs,
        )

    return decorate
