# ruff: noqa: ANN401 - a validator accepts any value
"""Validators for the fields of records, derived from their annotations."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from types import NoneType, UnionType
from typing import Any, NoReturn, TypeAlias, Union, get_args, get_origin

import attrs  # noqa: TC002 - the module has no other use of it
from typing_extensions import get_type_hints

from clonepolicy._errors import FactError
from clonepolicy._facts.locations import Location, parse_location

_Validator: TypeAlias = Callable[[Any, "attrs.Attribute[Any]", Any], None]


def checked(
    cls: type, fields: list[attrs.Attribute[Any]]
) -> list[attrs.Attribute[Any]]:
    """Give every field the validator for its annotation.

    A ``field_transformer`` of attrs.  An annotation is ``str``, ``int``,
    ``bool``, ``frozenset[str]``, ``datetime``, a class, a union of classes
    or a tuple of one class; all but the tuple may also allow None.  The
    record's constructor raises `FactError` for any other value, and for a
    value that would change if it were written as JSON and read back.
    """
    hints = get_type_hints(cls)
    return [
        field.evolve(validator=_validator(hints[field.name]), repr=_repr)
        for field in fields
    ]


def _repr(value: object) -> str:
    """Return a text that stays the same if the value passes through JSON."""
    if isinstance(value, frozenset):
        return f"frozenset({sorted(value)})"
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    return repr(value)


def _validator(annotation: Any) -> _Validator:
    union = get_origin(annotation) in {Union, UnionType}
    kinds = get_args(annotation) if union else (annotation,)
    wanted = tuple(kind for kind in kinds if kind is not NoneType)
    optional = " or None" if len(wanted) < len(kinds) else ""
    if len(wanted) == 1 and wanted[0] in _PLAIN:
        make, expected = _PLAIN[wanted[0]]
        return make(f"{expected}{optional}", None if optional else _NEVER)
    if get_origin(annotation) is tuple:
        item = get_args(annotation)[0]
        return _tuple_of(get_args(item) or (item,))
    names = " or ".join(kind.__name__ for kind in wanted)
    if set(wanted) <= {*get_args(Location)}:
        return _location(kinds, f"{names}, as parse_location makes it")
    return _instance(kinds, f"{names}{optional}")


def _refuse(
    instance: object,
    attribute: attrs.Attribute[Any],
    value: object,
    expected: str,
) -> NoReturn:
    field = f"{type(instance).__name__}.{attribute.name}"
    raise FactError(field, value, expected)


# Thousands of records are constructed: each check is one flat function.
# ``absent`` is None if None is valid, else what no field can be.

_NEVER = object()

MOST = 2**63 - 1
"""The largest whole number, as in the databases of Cinder and Glance."""


def is_text(value: object) -> bool:
    """Return whether a value is text that UTF-8 can encode."""
    if type(value) is not str:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _text(expected: str, absent: object) -> _Validator:
    def check(instance: Any, attribute: Any, value: Any) -> None:
        if value is not absent and (
            type(value) is not str
            or not value
            or not (value.isascii() or is_text(value))
        ):
            _refuse(instance, attribute, value, expected)

    return check


def _count(expected: str, absent: object) -> _Validator:
    def check(instance: Any, attribute: Any, value: Any) -> None:
        if value is not absent and (
            type(value) is not int or not 0 <= value <= MOST
        ):
            _refuse(instance, attribute, value, expected)

    return check


def _flag(expected: str, absent: object) -> _Validator:
    def check(instance: Any, attribute: Any, value: Any) -> None:
        if value is not True and value is not False and value is not absent:
            _refuse(instance, attribute, value, expected)

    return check


def _texts(expected: str, absent: object) -> _Validator:
    def check(instance: Any, attribute: Any, value: Any) -> None:
        if value is not absent and (
            type(value) is not frozenset
            or not all(text and is_text(text) for text in value)
        ):
            _refuse(instance, attribute, value, expected)

    return check


def _moment(expected: str, absent: object) -> _Validator:
    def check(instance: Any, attribute: Any, value: Any) -> None:
        if value is not absent and (
            not isinstance(value, datetime.datetime) or not _is_moment(value)
        ):
            _refuse(instance, attribute, value, expected)

    return check


def _is_moment(value: datetime.datetime) -> bool:
    """Return whether a datetime stays the same if it is written and read.

    A local time that occurs twice or never, because clocks are changed,
    does not: it equals no other datetime.
    """
    if value.tzinfo is datetime.UTC:
        return True
    offset = value.utcoffset()
    return (
        offset is not None
        and not offset % datetime.timedelta(minutes=1)
        and datetime.datetime.fromisoformat(value.isoformat()) == value
    )


_PLAIN: dict[Any, tuple[Callable[[str, object], _Validator], str]] = {
    str: (_text, "non-empty Unicode text"),
    int: (_count, "a whole number from 0 to 2**63 - 1"),
    bool: (_flag, "True or False"),
    frozenset[str]: (_texts, "a frozenset of non-empty Unicode texts"),
    datetime.datetime: (
        _moment,
        "a datetime with a time zone, whole minutes from UTC, not ambiguous",
    ),
}


def _instance(kinds: tuple[type, ...], expected: str) -> _Validator:
    def check(instance: Any, attribute: Any, value: Any) -> None:
        if not isinstance(value, kinds) or (
            str in kinds and isinstance(value, str) and not is_text(value)
        ):
            _refuse(instance, attribute, value, expected)

    return check


def _location(kinds: tuple[type, ...], expected: str) -> _Validator:
    def check(instance: Any, attribute: Any, value: Any) -> None:
        if not isinstance(value, kinds) or not _can_be_parsed(value):
            _refuse(instance, attribute, value, expected)

    return check


def _can_be_parsed(location: object) -> bool:
    try:
        url = str(location)
    except TypeError:  # a part is not text
        return False
    return is_text(url) and parse_location(url) == location


def _tuple_of(kinds: tuple[type, ...]) -> _Validator:
    names = " or ".join(kind.__name__ for kind in kinds)
    expected = f"a tuple of {names}"

    def check(instance: Any, attribute: Any, value: Any) -> None:
        if type(value) is not tuple or not all(
            isinstance(item, kinds) for item in value
        ):
            _refuse(instance, attribute, value, expected)

    return check
