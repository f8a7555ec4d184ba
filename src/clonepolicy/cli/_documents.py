"""Input files of JSON or, by their names, of YAML (extra ``yaml``)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

import attrs

from clonepolicy import FactError, wire
from clonepolicy._terminal.errors import CliError, Exit
from clonepolicy._terminal.options import read_input

T = TypeVar("T")

YAML = (".yaml", ".yml")


def parse(name: str, text: str) -> Any:
    """Read JSON types from a text; a name that ends in .yaml says YAML.

    Raises:
        FactError: it cannot be read.
        CliError: PyYAML is not installed.
    """
    if not name.endswith(YAML):
        return wire.parse(text)
    from clonepolicy._terminal import yaml

    return yaml.loads(text)


@attrs.frozen
class Document:
    """The content of a file, as JSON types."""

    name: str
    value: Any

    def unwrapped(
        self,
        key: str,
        value: Any = attrs.NOTHING,
    ) -> Any:
        """Return what is below a key that is the only one, as APIs answer."""
        found = self.value if value is attrs.NOTHING else value
        if isinstance(found, Mapping) and key in found:
            inner = found[key]
            links = {f"{key}_links"}
            if not found.keys() - {key} - links and isinstance(
                inner, (Mapping, list)
            ):
                return inner
        return found

    def read(
        self,
        make: Callable[[Any], T],
        value: Any,
    ) -> T:
        """Make a record of a part of the document.

        Raises:
            CliError: a field is not valid; the message names the file.
        """
        try:
            return make(value)
        except FactError as error:
            raise CliError(
                Exit.USAGE,
                f"{self.name}: {error}",
                "give the answer of an API, or a row of a table, as JSON",
            ) from None


def read_document(name: str, what: str) -> Document:
    """Read a file, or standard input for ``-``."""
    remedy = f"give {what} as JSON, or as YAML in a file named *.yaml"
    value = read_input(name, what, partial(parse, name), remedy)
    return Document(name, value)
