"""The options of the commands that work on a local cloud."""

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
    help="Directory of the cloud.  [env CLONEPOLICY_ROOT; default: .]",
)
_project = click.option(
    "--project",
    envvar="CLONEPOLICY_PROJECT",
    default="demo",
    help="Project of the request.  [env CLONEPOLICY_PROJECT; default: demo]",
)
all_option = click.option(
    "--all", "everything", is_flag=True, help="List those of all projects."
)
visibility_option = click.option(
    "--visibility",
    type=click.Choice(("private", "shared", "community", "public")),
    default="private",
    show_default=True,
    help="Projects that can use the image.",
)


def cloud_options(function: F) -> F:
    """Add ``--root``, ``--project`` and ``--json`` to a command."""
    return _root(_project(json_option(function)))


@contextlib.contextmanager
def opened(root: Path) -> Iterator[LocalCloud]:
    """Open a cloud, and report what it recovered after an interruption."""
    with LocalCloud(root) as cloud:
        if cloud.recovered:
            count = len(cloud.recovered)
            noun = "operation" if count == 1 else "operations"
            note = f"note: cleaned up {count} interrupted {noun}"
            click.echo(note, err=True)
        yield cloud
