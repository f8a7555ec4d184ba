"""Open the local cloud that a command works on."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import click

from clonepolicy._terminal.options import json_option
from clonepolicy.adapters.local import LocalCloud

F = TypeVar("F", bound=Callable[..., object])

_root = click.option(
    "--root",
    type=click.Path(path_type=Path),
    envvar="CLONEPOLICY_ROOT",
    default=Path(),
    help="The cloud's directory.  [env CLONEPOLICY_ROOT; default: .]",
)
_project = click.option(
    "--project",
    envvar="CLONEPOLICY_PROJECT",
    default="demo",
    help="The project.  [env CLONEPOLICY_PROJECT; default: demo]",
)


def cloud_options(function: F) -> F:
    """Give a command --root, --project and --json."""
    return _root(_project(json_option(function)))


@contextlib.contextmanager
def opened(root: Path) -> Iterator[LocalCloud]:
    """Open a cloud; say so if that cleared up after an interruption."""
    with LocalCloud(root) as cloud:
        if cloud.recovered:
            count = len(cloud.recovered)
            noun = "operation" if count == 1 else "operations"
            note = f"note: cleared up {count} interrupted {noun}"
            click.echo(note, err=True)
        yield cloud
