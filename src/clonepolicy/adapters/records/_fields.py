"""What the readers share: missing fields, and moments."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

from clonepolicy import FactError


def fields_of(record: str, body: object) -> Mapping[str, Any]:
    """Return a body that is a mapping.

    Raises:
        FactError: it is none.
    """
    if not isinstance(body, Mapping):
        raise FactError(record, body, "a mapping of fields")
    return body


def missing_field(record: str, error: KeyError) -> FactError:
    return FactError(
        f"{record}.{error.args[0]}", None, "a value; it is missing"
    )


def parse_moment(
    field: str,
    value: Any,  # noqa: ANN401 - fromisoformat checks it
    example: str = "2026-01-01T00:00:00Z",
) -> datetime.datetime:
    """Read a text in ISO format."""
    try:
        return datetime.datetime.fromisoformat(value)
    except (TypeError, ValueError):
        raise FactError(field, value, f"text like {example}") from None


def stored_moment(field: str, value: object) -> datetime.datetime | None:
    """Read a column; without a time zone it is UTC."""
    if value is None:
        return None
    if not isinstance(value, datetime.datetime):
        raise FactError(field, value, "a datetime or None")
    if value.tzinfo is not None:
        return value
    # replace() does the same and takes several times as long
    return datetime.datetime.combine(value, value.time(), datetime.UTC)
