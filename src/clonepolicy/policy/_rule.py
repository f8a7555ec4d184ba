"""A rule: a short predicate, its reason, and its documentation."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, Generic, TypeAlias, TypeVar

import attrs

from clonepolicy._facts.requests import CreateRequest, UploadRequest
from clonepolicy.policy._cure import Cure
from clonepolicy.policy._reason import Reason

Kind = TypeVar("Kind")
Holds = TypeVar("Holds", bound=Callable[..., bool])
Holds_co = TypeVar("Holds_co", bound=Callable[..., bool], covariant=True)


@attrs.frozen
class Citation:
    """Where a requirement comes from: a release and a place in it."""

    project: str
    place: str

    def __str__(self) -> str:
        """Return both in one line."""
        return f"{self.project}: {self.place}"


def spec(place: str) -> Citation:
    """Cite the Liberty specification."""
    return Citation(
        "cinder-specs liberty/clone-image-in-glance-cinder-backend", place
    )


def cinder(place: str) -> Citation:
    """Cite Cinder."""
    return Citation("cinder 29.0.0", place)


def glance(place: str) -> Citation:
    """Cite Glance."""
    return Citation("glance 33.0.0", place)


def advisory(place: str) -> Citation:
    """Cite a security advisory or note."""
    return Citation("OpenStack security", place)


@attrs.frozen(kw_only=True, eq=False)
class Rule(Generic[Holds_co]):
    """One requirement, and the reason to give when it is not met.

    ``holds`` takes the request, or the request and one candidate, and
    returns True when the requirement is met.  It must not raise for
    well-typed records, must treat None as "not satisfied" unless another
    rule reports it, and must return True when the source is missing, which
    another rule reports.

    ``reads`` names every fact that ``holds`` looks at, as a path from the
    request or from ``candidate``; ``source`` is short for
    ``candidate.source``.

    Rules are compared by identity.  Copying or unpickling a rule returns
    the rule of the same name in the same module.

    Raises:
        ValueError: a part that documents the rule is empty.
    """

    name: str
    requirement: str = attrs.field(repr=False)
    holds: Holds_co = attrs.field(repr=False)
    reason: Reason = attrs.field(repr=False)
    reads: tuple[str, ...] = attrs.field(repr=False)
    citations: tuple[Citation, ...] = attrs.field(repr=False)
    differs: str = attrs.field(repr=False)
    upload_differs: str = attrs.field(repr=False)
    """The same for a table of uploads, if something else is true of them."""
    meaning: str = attrs.field(repr=False)
    """What is the case if the requirement is not met."""
    cures: tuple[Cure, ...] = attrs.field(repr=False)
    switch: bool = attrs.field(repr=False)
    """If it fails, this cloud does not use the routes that it closes."""

    def __attrs_post_init__(self) -> None:
        """Reject a rule without documentation."""
        for field in ("name", "requirement", "reads", "citations"):
            if not getattr(self, field):
                message = f"rule {self.name!r}: {field} must not be empty"
                raise ValueError(message)

    def __deepcopy__(self, _memo: object) -> Rule[Holds_co]:
        """Return the rule itself."""
        return self

    def __reduce__(self) -> tuple[Callable[..., Rule[Any]], tuple[str, str]]:
        """Pickle the rule by its module and name."""
        return _load, (self.holds.__module__, self.name)


def _load(module: str, name: str) -> Rule[Any]:
    found: Rule[Any] = getattr(importlib.import_module(module), name)
    return found


CreateRule: TypeAlias = Rule[Callable[[CreateRequest], bool]]
UploadRule: TypeAlias = Rule[Callable[[UploadRequest], bool]]
SourceRule: TypeAlias = Rule[Callable[[CreateRequest, Kind], bool]]


def rule(  # noqa: PLR0913 - one for each part of a rule
    requirement: str,
    reason: Reason,
    *,
    reads: tuple[str, ...],
    citations: tuple[Citation, ...],
    differs: str = "",
    upload_differs: str = "",
    meaning: str = "",
    cures: tuple[Cure, ...] = (),
    switch: bool = False,
) -> Callable[[Holds], Rule[Holds]]:
    """Turn a predicate into a rule of the same name.

    Args:
        requirement: what must hold, in one sentence.
        reason: the reason to give when the predicate returns False.
        reads: every fact that the predicate looks at.
        citations: where the requirement comes from.
        differs: what Cinder 29 does instead, if it differs.
        upload_differs: what it does for an upload, if that is not the same.
        meaning: what is the case if the predicate returns False; empty: the
            reason's own meaning.
        cures: what makes the predicate return True, the best first.
        switch: if the predicate returns False, the cloud does not use the
            routes that the rule closes.

    Raises:
        ValueError: the requirement, the reads or the citations are empty.
    """

    def decorate(holds: Holds) -> Rule[Holds]:
        return Rule(
            name=holds.__name__,
            requirement=requirement,
            holds=holds,
            reason=reason,
            reads=reads,
            citations=citations,
            differs=differs,
            upload_differs=upload_differs,
            meaning=meaning or reason.meaning,
            cures=cures,
            switch=switch,
        )

    return decorate
