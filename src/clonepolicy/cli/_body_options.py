"""The options that take answers of APIs and rows of databases."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from typing import Any

import click

from clonepolicy._lazy import TYPE_CHECKING
from clonepolicy.cli._cloud import F

if TYPE_CHECKING:
    from clonepolicy import Request
    from clonepolicy.cli._bodies import Bodies

_FILES = {
    "image": "Glance's answer about the image, or its row.",
    "locations": "Glance's answer with the image's locations.",
    "volume": "Cinder's answer about the volume, or its row.",
    "quota": "Cinder's answer about the quota, with usage=true.",
    "stores": "Glance's answer about its stores, in detail.",
}
_LISTS = {
    "source": "Cinder's answer about a volume that a location names, or its "
    "row; repeat it for several.",
    "type": "Cinder's answer about a volume type, or its row; repeat it.",
    "pool": "Cinder's answer about its pools, in detail; repeat it.",
}


def _facts(
    _context: click.Context,
    _parameter: click.Parameter,
    values: tuple[str, ...],
) -> tuple[tuple[str, str], ...]:
    facts = []
    for value in values:
        path, equals, text = value.partition("=")
        if not path or not equals:
            raise click.BadParameter(f"{value!r} is not FACT=VALUE")
        facts.append((path, text))
    return tuple(facts)


def body_options(function: Callable[..., object]) -> Callable[..., object]:
    """Add the options to a command, which gets them as ``bodies``."""

    @wraps(function)
    def command(**values: Any) -> object:  # noqa: ANN401 - click's values
        given = {
            name: values.pop(name)
            for name in (*_FILES, *_LISTS, "size", "project", "assumed")
        }
        return function(**values, bodies=given)

    wrapped: Callable[..., object] = command
    for option in reversed(_options()):
        wrapped = option(wrapped)
    return wrapped


def _options() -> list[Callable[[F], F]]:
    return [
        *(
            click.option(f"--{name}", metavar="FILE", help=text)
            for name, text in _FILES.items()
        ),
        *(
            click.option(f"--{name}", metavar="FILE", multiple=True, help=text)
            for name, text in _LISTS.items()
        ),
        click.option(
            "--size",
            type=click.IntRange(min=0),
            metavar="GIB",
            help="Size of a new volume without --volume.",
        ),
        click.option(
            "--project",
            metavar="ID",
            help="Project of the request.  [default: the volume's]",
        ),
        click.option(
            "--assume",
            "assumed",
            metavar="FACT=VALUE",
            multiple=True,
            callback=_facts,
            help="A fact by its path, as in findings; repeat it.",
        ),
    ]


def read_bodies(values: Mapping[str, Any]) -> Bodies:
    """Read every file that an option names."""
    from clonepolicy.cli._bodies import Bodies
    from clonepolicy.cli._documents import read_document

    what = "the answer of an API, or a row of a table"

    def read(name: str | None) -> Any:  # noqa: ANN401 - a document
        return None if name is None else read_document(name, what)

    files: dict[str, Any] = {name: read(values[name]) for name in _FILES}
    lists: dict[str, Any] = {
        f"{name}s": [*map(read, values[name])] for name in _LISTS
    }
    return Bodies(
        **files,
        **lists,
        size=values["size"],
        project=values["project"],
        assumed=values["assumed"],
    )


def is_given(values: Mapping[str, Any]) -> bool:
    """Return whether any of the options is given."""
    return any(value not in (None, ()) for value in values.values())


def request_of(
    kind: str, name: str | None, values: Mapping[str, Any]
) -> Request:
    """Make a request of a file, of bodies, or of both.

    Raises:
        CliError: a file cannot be read, or a fact is missing.
    """
    from clonepolicy import FactError, wire
    from clonepolicy._terminal.errors import CliError, Exit
    from clonepolicy._terminal.options import read_input
    from clonepolicy.cli._bodies import make_request
    from clonepolicy.cli._documents import parse

    record = wire.REQUESTS[kind]
    what = f"{'an' if kind == 'upload' else 'a'} {kind} request"
    base = None
    if name is not None:
        base = read_input(
            name,
            what,
            lambda text: wire.from_dict(record, parse(name, text)),
            "run clonepolicy schema for the schema of requests",
        )
    if base is not None and not is_given(values):
        return base
    try:
        request, notes = make_request(record, base, read_bodies(values))
    except FactError as error:
        see = f"see clonepolicy decide {kind} --help"
        raise CliError(Exit.USAGE, str(error), see) from None
    for note in notes:
        click.echo(f"note: {note}; --assume tells otherwise", err=True)
    return request
