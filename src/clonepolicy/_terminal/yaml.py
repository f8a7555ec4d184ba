"""YAML (extra ``yaml``), read as JSON would be: no tags, dates or aliases.

An alias lets a few lines stand for billions of values.
"""

from __future__ import annotations

import re
from typing import Any

from typing_extensions import override

from clonepolicy import FactError
from clonepolicy._terminal.errors import CliError, Exit

try:
    import yaml
except ModuleNotFoundError:
    raise CliError(
        Exit.USAGE, "PyYAML is not installed", "install clonepolicy[yaml]"
    ) from None

_LONGEST = 1 << 20
"""Characters: PyYAML reads about 100,000 of them in a second."""
_PATTERNS = {
    "null": (r"null|Null|NULL|~|", "nN~\0"),
    "bool": (r"true|True|TRUE|false|False|FALSE", "tTfF"),
    "int": (r"[-+]?[0-9]{1,40}", "-+0123456789"),
    "float": (
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?",
        "-+.0123456789",
    ),
}
"""The plain scalars that are no texts, in YAML 1.2's core schema."""


class _Loader(yaml.SafeLoader):  # type: ignore[misc]  # it has no types
    @override
    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            raise _refused(self.peek_event(), "no alias")
        return super().compose_node(parent, index)

    @override
    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        found = {}
        for key_node, value_node in node.value:
            key = self.construct_object(key_node, deep=True)
            if type(key) is not str or key in found:
                raise _refused(key_node, "a text as a key, and not twice")
            found[key] = self.construct_object(value_node, deep=True)
        return found

    def construct_map(self, node: Any) -> Any:
        return self.construct_mapping(node)

    def construct_number(self, node: Any) -> int:
        return int(node.value)


# PyYAML's own are those of YAML 1.1
_Loader.yaml_implicit_resolvers = {}
for _name, (_pattern, _first) in _PATTERNS.items():
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_name}", re.compile(f"(?:{_pattern})$"), [*_first]
    )
_Loader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile("$"), [""])
_Loader.yaml_constructors = {
    f"tag:yaml.org,2002:{name}": yaml.SafeLoader.yaml_constructors[
        f"tag:yaml.org,2002:{name}"
    ]
    for name in ("null", "bool", "float", "str", "seq")
} | {
    "tag:yaml.org,2002:map": _Loader.construct_map,
    "tag:yaml.org,2002:int": _Loader.construct_number,
    None: yaml.SafeLoader.yaml_constructors[None],
}


def _refused(place: Any, expected: str) -> FactError:
    mark = place.start_mark
    where = f"line {mark.line + 1}, column {mark.column + 1}"
    found = getattr(place, "value", None) or getattr(place, "anchor", None)
    return FactError(where, found, expected)


def loads(text: str) -> Any:
    """Read JSON types from YAML.

    Raises:
        FactError: it is no YAML, too long, or more than JSON can say.
    """
    if len(text) > _LONGEST:
        raise FactError(
            "YAML", f"{len(text)} characters", "at most 1 Mi; use JSON"
        )
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - it makes JSON types only
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = "YAML"
        if mark is not None:
            place = f"line {mark.line + 1}, column {mark.column + 1}"
        what = getattr(error, "problem", None) or str(error)
        raise FactError(place, what, "YAML") from None
    except RecursionError:
        raise FactError("YAML", text, "less nesting") from None


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]  # it has no types
    @override
    def ignore_aliases(self, data: Any) -> bool:
        return True

    def text(self, data: str) -> Any:
        style = "|" if "\n" in data else None
        return self.represent_scalar("tag:yaml.org,2002:str", data, style)


_Dumper.add_representer(str, _Dumper.text)


def dumps(value: object) -> str:
    """Write JSON types as YAML, in ASCII, with the keys in their order."""
    made = yaml.dump(value, Dumper=_Dumper, sort_keys=False, width=79)
    return str(made)
