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

_Validator: TypeAlias = Callable[[Any, "attrs.Attribute[Any]", Any], None]


def checked(
    cls: type, fields: list[attrs.Attribute[Any]]
) -> list[attrs.Attribute[Any]]:
    """Give every field the validator for its annotation.

    A ``field_transformer`` of attrs.  An annotation is ``str``, ``int``,
    ``bool``, ``frozenset[str]``, ``datetime``, a class, a union of classes
    or a tuple of one class; all but the tuple may also allow None.  The
    record's constructor raises `FactError` for any other value.
    """
    hints = get_type_hints(cls)
    return [
        field.evolve(validator=_validator(hints[field.name]))
        for field in fields
    ]


def _validator(annotation: Any) -> _Validator:
    union = get_origin(annotation) in {Union, UnionType}
    kinds = get_args(annotation) if union else (annotation,)
    wanted = tuple(kind for kind in kinds if kind is not NoneType)
    optional = " or None" if len(wanted) < len(kinds) else ""
    if len(wanted) == 1 and wanted[0] in _PLAIN:
        make, expected = _PLAIN[wanted[0]]
        return make(f"{expected}{optional}", None if optional else _NEVER)
    if get_origin(annotation) is tuple:
        return _tuple_of(get_args(annotation)[0])
    names = " or ".join(kind.__name__ for kind in wanted)
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


def _text(expected: str, absent: object) -> _Validator:
    def check(instance: Any, attribute: Any, value: Any) -> None:
        if value is not absent and (type(value) is not str or not value):
            _refuse(instance, attribute, value, expected)

    return check


def _count(expected: str, absent: object) -> _Validator:
    def check(instance: Any, attribute: Any, value: Any) -> None:
        if value is not absent and (type(value) is not int or value < 0):
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
            or not all(type(text) is str and text for text in value)
        ):
            _refuse(instance, attribute, value, expected)

    return check


def _moment(expected: str, absent: object) -> _Validator:
    def check(instance: Any, attribute: Any, value: Any) -> None:
        if value is not absent and (
            not isinstance(value, datetime.datetime) or value.tzinfo is None
        ):
            _refuse(instance, attribute, value, expected)

    return check


_PLAIN: dict[Any, tuple[Callable[[str, object], _Validator], str]] = {
    str: (_text, "non-empty text"),
    int: (_count, "a whole number >= 0"),
    bool: (_flag, "True or False"),
    frozenset[str]: (_texts, "a frozenset of non-empty texts"),
    datetime.datetime: (_moment, "a datetime with a time zone"),
}


def _instance(kinds: tuple[type, ...], expected: str) -> _Validator:
    def check(instance: Any, attribute: Any, value: Any) -> None:
        if not isinstance(value, kinds):
            _refuse(instance, attribute, value, expected)

    return check


def _tuple_of(kind: type) -> _Validator:
    expected = f"a tuple of {kind.__name__}"

    def check(instance: Any, attribute: Any, value: Any) -> None:
        if type(value) is not tuple or not all(
            isinstance(item, kind) for item in value
        ):
            _refuse(instance, attribute, value, expected)

    return check
