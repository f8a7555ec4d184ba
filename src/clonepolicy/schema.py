"""JSON Schema (2020-12) of the requests that `clonepolicy.wire` reads."""

from __future__ import annotations

import datetime
import types
from enum import StrEnum
from typing import Any, TypeAlias, Union, get_args, get_origin

import attrs

from clonepolicy._facts.checks import MOST
from clonepolicy._facts.locations import Location
from clonepolicy._facts.records import LONGEST_HOST, Host
from clonepolicy._facts.requests import CreateRequest, UploadRequest

__all__ = ["schema"]

Json: TypeAlias = dict[str, Any]

ID = "https://clonepolicy.readthedocs.io/schema/requests-1.json"
"""Names the schema.  A change that a reader has to know raises the number."""

_PLAIN: dict[object, Json] = {
    str: {"type": "string", "minLength": 1},
    int: {"type": "integer", "minimum": 0, "maximum": MOST},
    bool: {"type": "boolean"},
    type(None): {"type": "null"},
    datetime.datetime: {"type": "string", "format": "date-time"},
    Host: {
        "type": "string",
        "minLength": 1,
        "maxLength": LONGEST_HOST,
        "examples": ["host@backend#pool"],
    },
    Location: {
        "type": "string",
        "examples": ["cinder://6f2c8a54-9d1e-4b7a-8c3d-2e5f60718293"],
    },
    frozenset[str]: {
        "type": "array",
        "items": {"type": "string", "minLength": 1},
    },
}


def schema() -> Json:
    """Return the schema of a create request and an upload request."""
    defs: Json = {}
    for kind in (CreateRequest, UploadRequest):
        _describe(kind, defs)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": ID,
        "title": "clonepolicy requests",
        "anyOf": [
            {"$ref": f"#/$defs/{kind.__name__}"}
            for kind in (CreateRequest, UploadRequest)
        ],
        "$defs": defs,
    }


def _describe(kind: Any, defs: Json) -> Json:  # noqa: ANN401 - any annotation
    if kind in _PLAIN:
        return _PLAIN[kind]
    if get_origin(kind) in {Union, types.UnionType}:
        return {"anyOf": [_describe(part, defs) for part in get_args(kind)]}
    if get_origin(kind) is tuple:
        return {"type": "array", "items": _describe(get_args(kind)[0], defs)}
    if issubclass(kind, StrEnum):
        return {"enum": [str(member) for member in kind]}
    if kind.__name__ not in defs:
        defs[kind.__name__] = {}
        fields = attrs.fields(attrs.resolve_types(kind))
        defs[kind.__name__] = {
            "type": "object",
            "description": (kind.__doc__ or "").partition("\n")[0],
            "additionalProperties": False,
            "required": [f.name for f in fields if f.default is attrs.NOTHING],
            "properties": {f.name: _describe(f.type, defs) for f in fields},
        }
    return {"$ref": f"#/$defs/{kind.__name__}"}
