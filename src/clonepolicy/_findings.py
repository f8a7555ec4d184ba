"""What a policy finds in a request: outcomes as codes, findings on demand.

Deciding leaves one small code for the request and one for each candidate.
Findings, notes and the plan are worked out from these when somebody reads
them, and are a function of policy and request.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator
from enum import StrEnum
from functools import cached_property
from typing import Any, TypeAlias

import attrs

from clonepolicy._plans import (
    Plan,
    abandon_create,
    abandon_upload,
    clone_attempt,
    close_upload,
    download_attempt,
    register_attempt,
    upload_attempt,
)
from clonepolicy._policies import Lane, Mechanism, Policy, label
from clonepolicy._reasons import Reason
from clonepolicy._records import (
    Candidate,
    CreateRequest,
    UploadRequest,
    Volume,
)
from clonepolicy._rules._rule import Rule
from clonepolicy._rules.upload import resolve_store


class Path(StrEnum):
    """A way that a finding closes."""

    ARRAY_IMAGE = "array-image"
    IMAGE_VOLUME = "image-volume"
    CACHE_ENTRY = "cache-entry"
    DOWNLOAD = "download"
    REGISTER = "register"
    UPLOAD = "upload"


@attrs.frozen(kw_only=True)
class Finding:
    """One rule that does not hold, and what it compared."""

    reason: Reason
    rule: str
    requirement: str
    blocks: tuple[Path, ...]
    """Empty for a note."""
    candidate: str | None = None
    """The candidate it is about; None: the request as a whole."""
    values: tuple[tuple[str, Any], ...]
    """Each fact that the rule reads, by its path."""


@attrs.frozen(kw_only=True)
class Considered:
    """One candidate and the findings against it; none: acceptable."""

    mechanism: Mechanism
    candidate: Candidate
    findings: tuple[Finding, ...]


def read(
    path: str, request: CreateRequest | UploadRequest, candidate: object = None
) -> object:
    """Read a fact by its path; None where the way there ends early."""
    root, _, rest = path.partition(".")
    value: object
    if root == "candidate":
        value = candidate
    elif root == "source":
        value = getattr(candidate, "source", None)
    else:
        value = getattr(request, root)
    for name in rest.split(".") if rest else ():
        value = getattr(value, name, None)
    return value


def _finding(
    rule: Rule[Any],
    blocks: tuple[Path, ...],
    request: CreateRequest | UploadRequest,
    candidate: Candidate | None = None,
) -> Finding:
    return Finding(
        reason=rule.reason,
        rule=rule.name,
        requirement=rule.requirement,
        blocks=blocks,
        candidate=None if candidate is None else label(candidate),
        values=tuple((p, read(p, request, candidate)) for p in rule.reads),
    )


def _failing(code: int, rules: Iterable[Rule[Any]]) -> Iterator[Rule[Any]]:
    return (rule for at, rule in enumerate(rules) if code >> at & 1)


def _best_first(
    good: list[Candidate], lane: Lane[Any], request: CreateRequest
) -> list[Candidate]:
    """Order candidates as the lane does, each source once."""
    best: dict[str, Candidate] = {}
    for candidate in sorted(good, key=lambda c: lane.order(request, c)):
        source = candidate.source
        name = source.id if isinstance(source, Volume) else label(candidate)
        best.setdefault(name, candidate)
    return list(best.values())


@attrs.frozen(kw_only=True)
class CreateFindings:
    """What a policy finds in a create request."""

    policy: Policy
    request: CreateRequest
    code: int = attrs.field(eq=False, repr=False)
    source_codes: tuple[array[int], ...] = attrs.field(eq=False, repr=False)

    @cached_property
    def considered(self) -> tuple[Considered, ...]:
        """Every candidate once, by mechanism and name."""
        lanes = self.policy.create.lanes
        seen = {
            (at, candidate): code
            for at, (lane, codes) in enumerate(
                zip(lanes, self.source_codes, strict=True)
            )
            for candidate, code in zip(
                lane.candidates(self.request), codes, strict=True
            )
        }
        return tuple(
            Considered(
                mechanism=lanes[at].mechanism,
                candidate=candidate,
                findings=tuple(
                    _finding(
                        rule,
                        (Path(lanes[at].mechanism),),
                        self.request,
                        candidate,
                    )
                    for rule in _failing(code, lanes[at].rules)
                ),
            )
            for (at, candidate), code in sorted(
                seen.items(),
                key=lambda item: (
                    item[0][0],
                    label(item[0][1]),
                    repr(item[0][1]),
                ),
            )
        )

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """Every rule that fails: for the request, then for candidates."""
        about_request = tuple(
            _finding(rule, self._blocks(rule), self.request)
            for rule in _failing(self.code, self.policy.create.request_rules)
        )
        return about_request + tuple(
            finding
            for considered in self.considered
            for finding in considered.findings
        )

    def _blocks(self, rule: Rule[Any]) -> tuple[Path, ...]:
        tables = self.policy.create
        refused = rule in tables.refuse
        lanes = tuple(
            Path(lane.mechanism)
            for lane in tables.lanes
            if refused or rule in lane.gates
        )
        if refused or rule in tables.download:
            return (*lanes, Path.DOWNLOAD)
        return lanes

    @property
    def ordinary(self) -> bool:
        """Whether the image can be downloaded."""
        tables = self.policy.create
        return not self.code & (tables.refuse_mask | tables.download_mask)

    def acceptable(self) -> Iterator[tuple[Lane[Any], Candidate]]:
        """Give the sources to try, each once, best first."""
        tables, request = self.policy.create, self.request
        if self.code & tables.refuse_mask:
            return
        for lane, gates, codes in zip(
            tables.lanes, tables.gate_masks, self.source_codes, strict=True
        ):
            if not codes or self.code & gates:
                continue
            good: list[Candidate] = [
                candidate
                for candidate, code in zip(
                    lane.candidates(request), codes, strict=True
                )
                if not code
            ]
            if len(good) > 1:
                good = _best_first(good, lane, request)
            for candidate in good[: lane.tries]:
                yield lane, candidate

    @cached_property
    def notes(self) -> tuple[Finding, ...]:
        """What speaks against the best source without blocking it."""
        for lane, candidate in self.acceptable():
            return (
                *(
                    _finding(rule, (), self.request)
                    for rule in lane.notes
                    if not rule.holds(self.request)
                ),
                *(
                    _finding(rule, (), self.request, candidate)
                    for rule in lane.source_notes
                    if not rule.holds(self.request, candidate)
                ),
            )
        return ()

    @cached_property
    def plan(self) -> Plan:
        """What to do, in what order, and what to do when that fails."""
        request = self.request
        clones = (
            clone_attempt(request, candidate, label(candidate))
            for _, candidate in self.acceptable()
        )
        download = (download_attempt(request),) if self.ordinary else ()
        return Plan((*clones, *download), abandon_create(request))


@attrs.frozen(kw_only=True)
class UploadFindings:
    """What a policy finds in an upload request."""

    policy: Policy
    request: UploadRequest
    code: int = attrs.field(eq=False, repr=False)

    @property
    def considered(self) -> tuple[Considered, ...]:
        """Nothing: an upload has no candidates."""
        return ()

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """Every rule that fails."""
        return tuple(
            _finding(rule, self._blocks(rule), self.request)
            for rule in _failing(self.code, self.policy.upload.request_rules)
        )

    def _blocks(self, rule: Rule[Any]) -> tuple[Path, ...]:
        tables = self.policy.upload
        refused = rule in tables.refuse
        closed = {
            Path.REGISTER: refused or rule in tables.register,
            Path.UPLOAD: refused or rule in tables.upload,
        }
        return tuple(path for path, shut in closed.items() if shut)

    @property
    def efficient(self) -> bool:
        """Whether the volume's clone can be registered."""
        tables = self.policy.upload
        return not self.code & (tables.refuse_mask | tables.register_mask)

    @property
    def ordinary(self) -> bool:
        """Whether the volume's bytes can be sent."""
        tables = self.policy.upload
        return not self.code & (tables.refuse_mask | tables.upload_mask)

    @cached_property
    def notes(self) -> tuple[Finding, ...]:
        """What speaks against registering without blocking it."""
        if not self.efficient:
            return ()
        return tuple(
            _finding(rule, (), self.request)
            for rule in self.policy.upload.notes
            if not rule.holds(self.request)
        )

    @property
    def store(self) -> str | None:
        """The Glance store a location has to name, where there are several."""
        store = resolve_store(self.request)
        return None if store is None else store.id

    @cached_property
    def plan(self) -> Plan:
        """What to do, in what order, and what to do when that fails."""
        request = self.request
        register = (
            (register_attempt(request, self.store),) if self.efficient else ()
        )
        upload = (upload_attempt(request),) if self.ordinary else ()
        return Plan(
            (*register, *upload),
            abandon_upload(request),
            close_upload(request),
        )


Findings: TypeAlias = CreateFindings | UploadFindings
