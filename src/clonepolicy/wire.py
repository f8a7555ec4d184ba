"""Requests, decisions and plans as JSON, and back (extra ``json``).

``loads(CreateRequest, dumps(request)) == request``, and the same holds for
`UploadRequest` and `Plan`: a record that could not be written raises
`FactError` when it is made.  A decision is written with the name and the
version of its policy.  `loads_decision` decides again, and raises `FactError`
if the result differs from the text.  A request may leave out fields that have
a default; a plan and a decision are read only as they are written.
"""

from __future__ import annotations

import datetime
import json
import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import (
    Any,
    NoReturn,
    TypeAlias,
    TypeVar,
    get_args,
    get_origin,
)

from cattrs import BaseConverter, Converter
from cattrs.errors import (
    AttributeValidationNote,
    ClassValidationError,
    ForbiddenExtraKeysError,
    IterableValidationError,
    IterableValidationNote,
)
from cattrs.gen import make_dict_structure_fn
from cattrs.strategies import configure_tagged_union

from clonepolicy._decide.decide import decide
from clonepolicy._decide.decision import Clone, Decision, Register
from clonepolicy._decide.explain import headline
from clonepolicy._decide.finding import Finding, Remedy
from clonepolicy._errors import FactError
from clonepolicy._facts.locations import (
    FileLocation,
    Location,
    RbdLocation,
    parse_location,
)
from clonepolicy._facts.records import (
    CloneKind,
    Host,
    Inspection,
    LocationsFrom,
    Missing,
)
from clonepolicy._facts.requests import CreateRequest, Request, UploadRequest
from clonepolicy._text import shown
from clonepolicy.plan._steps import Plan, Step, VolumeId, VolumeRef
from clonepolicy.policy._reason import Reason
from clonepolicy.policy._shipped import POLICIES
from clonepolicy.policy._tables import Policy, Route

__all__ = [
    "dumps",
    "finding_to_dict",
    "from_dict",
    "loads",
    "loads_decision",
    "parse",
    "reason_to_dict",
    "remedy_to_dict",
    "to_dict",
]

T = TypeVar("T")
Json: TypeAlias = dict[str, Any]
REQUESTS: Mapping[str, type[Request]] = {
    kind.operation: kind for kind in (CreateRequest, UploadRequest)
}


def _strict(kind: type[T], expected: str) -> Any:  # noqa: ANN401 - a hook
    def hook(value: object, _: object) -> T:
        if type(value) is not kind:
            raise FactError("", value, expected)
        return value

    return hook


def _moment(value: object, _: object) -> datetime.datetime:
    try:
        return datetime.datetime.fromisoformat(_text(value, str))
    except ValueError:
        raise FactError("", value, "an ISO 8601 date and time") from None


def _enum(value: object, kind: type[StrEnum]) -> StrEnum:
    for member in kind:
        if member == value:
            return member
    raise FactError("", value, "one of " + ", ".join(kind))


def _is_texts(kind: object) -> bool:
    return kind == frozenset[str]


def _texts(value: object, _: object) -> frozenset[str]:
    if not isinstance(value, list):
        raise FactError("", value, "a list of texts")
    return frozenset(_text(item, str) for item in value)


def _is_tuple(kind: object) -> bool:
    return get_origin(kind) is tuple


def _items_of(
    kind: Any,  # noqa: ANN401 - an annotation
    made: BaseConverter,
) -> Callable[[object, object], tuple[object, ...]]:
    """Read a list; cattrs itself would keep every fault, of any number."""
    item = get_args(kind)[0]
    hook = made.get_structure_hook(item)

    def items(value: object, _: object) -> tuple[object, ...]:
        if type(value) is not list:
            raise FactError("", value, "a list")
        read = []
        for at, each in enumerate(value):
            try:
                read.append(hook(each, item))
            except Exception as error:  # noqa: BLE001 - what cattrs met
                error.add_note(IterableValidationNote("", at, item))
                # pyright sees no constructor that takes a message and errors
                raise IterableValidationError("", [error], kind) from None  # pyright: ignore[reportCallIssue]
        return tuple(read)

    return items


def _host(value: object, _: object) -> Host:
    return Host.parse(_text(value, str))


def _location(value: object, _: object) -> Location:
    return parse_location(_text(value, str))


def _clonable(value: object, _: object) -> RbdLocation | FileLocation:
    location = parse_location(_text(value, str))
    if not isinstance(location, (RbdLocation, FileLocation)):
        raise FactError("", value, "an rbd:// or file:// location")
    return location


def _volume_id(value: object, _: object) -> VolumeId:
    if isinstance(value, dict) and set(value) == {"ref"}:
        return VolumeRef(_text(value["ref"], str))
    return str(_text(value, str))


_text = _strict(str, "text")


def _converter() -> Converter:
    made = Converter(forbid_extra_keys=True)
    made.register_structure_hook(str, _text)
    made.register_structure_hook(int, _strict(int, "a whole number"))
    made.register_structure_hook(bool, _strict(bool, "true or false"))
    for kind in (LocationsFrom, CloneKind, Inspection, Missing, Route):
        made.register_structure_hook(kind, _enum)
        made.register_unstructure_hook(kind, str)
    made.register_structure_hook_func(_is_texts, _texts)
    made.register_structure_hook_factory(_is_tuple, _items_of)
    made.register_structure_hook(datetime.datetime, _moment)
    made.register_unstructure_hook(
        datetime.datetime, datetime.datetime.isoformat
    )
    made.register_structure_hook(Host, _host)
    made.register_unstructure_hook(Host, str)
    made.register_structure_hook(Location, _location)
    made.register_structure_hook(RbdLocation | FileLocation, _clonable)
    for location in get_args(Location):
        made.register_unstructure_hook(location, str)
    made.register_unstructure_hook_func(
        lambda kind: kind == Location or kind == (RbdLocation | FileLocation),
        str,
    )
    made.register_structure_hook(str | VolumeRef, _volume_id)
    made.register_unstructure_hook(
        str | VolumeRef,
        lambda value: value if isinstance(value, str) else {"ref": value.name},
    )
    made.register_unstructure_hook(frozenset, sorted)
    made.register_unstructure_hook_func(_is_texts, sorted)
    for step in get_args(Step):
        # the tag is an extra key to the class itself
        made.register_structure_hook(
            step,
            make_dict_structure_fn(
                step, made, _cattrs_forbid_extra_keys=False
            ),
        )
    configure_tagged_union(Step, made, tag_name="step")
    return made


_CONVERTER = _converter()


def dumps(value: Request | Plan | Decision) -> str:
    """Return a request, a plan or a decision as JSON text."""
    text = json.dumps(to_dict(value), ensure_ascii=False, indent=2)
    return _UNPRINTABLE.sub(_escape, text)


_UNPRINTABLE = re.compile(r"[^\n -~]")
"""What may have to be escaped; in JSON, all of it is within strings."""


def _escape(found: re.Match[str]) -> str:
    letter = found[0]
    return letter if letter.isprintable() else json.dumps(letter)[1:-1]


def to_dict(value: Request | Plan | Decision) -> Json:
    """Return a request, a plan or a decision as JSON types."""
    if isinstance(value, (CreateRequest, UploadRequest, Plan)):
        return dict(_CONVERTER.unstructure(value))
    written: Json = {
        "decision": value.verdict,
        "summary": headline(value),
        "policy": {"name": value.policy.name, "version": value.policy.version},
        "findings": [finding_to_dict(f) for f in value.findings],
        "notes": [finding_to_dict(f) for f in value.notes],
        "candidates": [
            {
                "route": str(result.route),
                "candidate": result.candidate.label,
                "acceptable": not result.findings,
            }
            for result in value.candidates
        ],
        "plan": to_dict(value.plan),
        "operation": str(value.request.operation),
        "request": to_dict(value.request),
    }
    match value:
        case Clone():
            written["route"] = str(value.route)
            written["source"] = value.source.label
            written["extend_to"] = value.extend_to
        case Register():
            written["project_id"] = value.project_id
            written["store"] = value.store
        case _:
            pass
    return written


def finding_to_dict(finding: Finding) -> Json:
    """Return a finding as JSON types, with what it means and its remedies."""
    return {
        **reason_to_dict(finding.reason),
        "meaning": finding.meaning,
        "remedies": [remedy_to_dict(each) for each in finding.remedies],
        "rule": finding.rule,
        "requirement": finding.requirement,
        "blocks": [str(route) for route in finding.blocks],
        "candidate": finding.candidate,
        "values": {
            path: _CONVERTER.unstructure(value)
            for path, value in finding.values
        },
    }


def remedy_to_dict(remedy: Remedy) -> Json:
    """Return a remedy as JSON types, without the facts that it changes."""
    return {
        "reason": str(remedy.reason),
        "remedy": remedy.remedy,
        "responsible": str(remedy.responsible),
        "cost": str(remedy.cost),
        "waiting_helps": remedy.waiting_helps,
    }


def reason_to_dict(reason: Reason) -> Json:
    """Return a reason as JSON types."""
    return {
        "reason": str(reason),
        "subject": str(reason.subject),
        "meaning": reason.meaning,
    }


def loads(kind: type[T], text: str) -> T:
    """Read a `CreateRequest`, an `UploadRequest` or a `Plan`.

    Raises:
        FactError: the text is not JSON, or a field is missing, unknown or
            invalid; names the field, its value and what it expects.
    """
    return from_dict(kind, parse(text))


def parse(text: str) -> object:
    """Read JSON types: no value twice, no NaN, no number of great length.

    Raises:
        FactError: the text is not JSON, or nested too deeply; names the place.
    """
    try:
        return json.loads(
            text,
            object_pairs_hook=_no_twice,
            parse_constant=_no_constant,
            parse_int=_integer,
        )
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise FactError(place, error.msg, "JSON") from None
    except RecursionError:
        raise FactError("JSON", text, "less nesting") from None


_MOST_DIGITS = 640
"""Python reads that many digits, however it is configured."""


def _no_twice(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for name, value in pairs:
        if name in found:
            raise FactError(name, value, "one value, not a second one")
        found[name] = value
    return found


def _no_constant(name: str) -> NoReturn:
    raise FactError("JSON", name, "a number")


def _integer(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        expected = f"a number of at most {_MOST_DIGITS} digits"
        raise FactError("JSON", digits, expected)
    return int(digits)


def from_dict(kind: type[T], value: object) -> T:
    """Read a record from JSON types.

    Raises:
        FactError: a field is missing, unknown or invalid.
    """
    try:
        read = _CONVERTER.structure(value, kind)
    except Exception as error:  # noqa: BLE001 - cattrs raises what it met
        raise _first(error, kind.__name__, value) from None
    if isinstance(read, Plan):
        _check_same(kind.__name__, value, to_dict(read), "as it is written")
    return read


def _check_same(path: str, found: Any, wanted: Any, why: str) -> None:  # noqa: ANN401 - JSON types
    """Refuse JSON types that differ: 1 is neither true nor 1.0.

    Raises:
        FactError: names the path of the first difference.
    """
    if isinstance(wanted, dict) and isinstance(found, dict):
        for name in {**wanted, **found}:
            below = f"{path}.{name}"
            if name not in found:
                raise FactError(below, None, "a value; it is missing")
            if name not in wanted:
                raise FactError(below, found[name], "no field of this name")
            _check_same(below, found[name], wanted[name], why)
    elif (
        isinstance(wanted, list)
        and isinstance(found, list)
        and len(found) == len(wanted)
    ):
        for at, (one, other) in enumerate(zip(found, wanted, strict=True)):
            _check_same(f"{path}[{at}]", one, other, why)
    elif type(found) is not type(wanted) or found != wanted:
        raise FactError(path, found, f"{shown(repr(wanted))}, {why}")


def _first(error: BaseException, path: str, value: object) -> FactError:
    """Find the first fault in cattrs' tree of faults, and its path."""
    if isinstance(error, (ClassValidationError, IterableValidationError)):
        inner, others = error.group_exceptions()
        if inner:
            cause, note = inner[0]
            if isinstance(note, AttributeValidationNote):
                place: Any = note.name
                below = f"{path}.{place}"
            else:
                place = note.index
                below = f"{path}[{place}]"
            try:
                found = value[place]  # type: ignore[index]
            except (KeyError, IndexError, TypeError):
                found = None
            return _first(cause, below, found)
        return _first(others[0], path, value)
    match error:
        case FactError():
            field = error.field.partition(".")[2]
            where = f"{path}.{field}" if field else path
            return FactError(where, error.value, error.expected)
        case ForbiddenExtraKeysError():
            names = ", ".join(sorted(map(str, error.extra_fields)))
            return FactError(path, names, "known fields only")
        case KeyError():
            return FactError(path, None, "a value; it is missing")
        case _:
            return FactError(path, value, "an object or list of fields")


def loads_decision(
    text: str, policies: Mapping[str, Policy] = POLICIES
) -> Decision:
    """Read a decision: decide again, under the policy that it names.

    Raises:
        FactError: the text is not a decision, the policy or its version is
            not among ``policies``, or deciding again gives another result
            than the text.
    """
    written = parse(text)
    if not isinstance(written, dict):
        raise FactError("decision", written, "an object")
    policy = written.get("policy")
    known = {(known.name, known.version): known for known in policies.values()}
    match policy:
        case {"name": str(name), "version": int(version)} if (
            type(version) is int
        ):
            key = (name, version)
        case _:
            key = ("", 0)
    if key not in known:
        names = ", ".join(str(p) for p in policies.values())
        raise FactError("decision.policy", policy, f"one of {names}")
    operation = written.get("operation")
    if not isinstance(operation, str) or operation not in REQUESTS:
        raise FactError("decision.operation", operation, "create or upload")
    request = from_dict(REQUESTS[operation], written.get("request"))
    decision = decide(request, known[key])
    anew = json.loads(dumps(decision))
    _check_same("decision", written, anew, f"as {decision.policy} decides")
    return decision
