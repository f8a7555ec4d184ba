"""``clonepolicy why``: ask a running cloud what it would do, and why."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import click

from clonepolicy import (
    AdapterError,
    FactError,
    NotFoundError,
)
from clonepolicy import policy as policies
from clonepolicy._lazy import TYPE_CHECKING
from clonepolicy._terminal.errors import CliError, Exit, exit_codes
from clonepolicy._terminal.options import (
    examples,
    flag,
    json_option,
    policy_option,
)
from clonepolicy._terminal.render import console, emit, say

if TYPE_CHECKING:
    from clonepolicy.adapters.openstack import Case, Gatherer

F = TypeVar("F", bound=Callable[..., object])
_CODES = (
    (Exit.DONE, "it clones, or registers, in every pool"),
    (Exit.FAILED, "it downloads, or uploads, in every pool"),
    (Exit.USAGE, "wrong usage, or input that cannot be read"),
    (Exit.REFUSED, "it is refused"),
    (Exit.NOT_FOUND, "there is no such image, volume, type or pool"),
    (Exit.DEPENDS, "it depends on the pool, or on what is not known"),
    (Exit.UNANSWERED, "the cloud does not answer, or forbids it"),
)


def _asking(function: F) -> F:
    """Add the options that all questions share."""
    options = (
        click.option(
            "--os-cloud",
            metavar="NAME",
            envvar="OS_CLOUD",
            help="The cloud of clouds.yaml to ask.  [env OS_CLOUD]",
        ),
        click.option(
            "--as-cloud",
            metavar="NAME",
            help="The cloud of clouds.yaml with the requester's credentials.",
        ),
        click.option(
            "--project",
            metavar="ID",
            help="Project of the request. [default: that of the credentials, "
            "or of the volume]",
        ),
        click.option(
            "--cinder-conf",
            "conf",
            metavar="FILE[:BACKEND]",
            help="A cinder.conf, whose options no API shows.",
        ),
        click.option(
            "--assume",
            "assumptions",
            metavar="FACT=VALUE",
            multiple=True,
            help="A fact that the cloud does not tell; may be repeated.",
        ),
        policy_option,
        click.option(
            "--save",
            metavar="FILE",
            help="Also write the request, which clonepolicy decide reads.",
        ),
        json_option,
    )
    for option in reversed(options):
        function = option(function)
    return function


@click.group(
    "why",
    invoke_without_command=True,
    epilog=examples(
        "clonepolicy why create debian-13 --type gold --size 10",
        "clonepolicy why volume 6f2c8a54-9d1e-4b7a-8c3d-2e5f60718293",
        "clonepolicy why --log 'clonepolicy operation=create "
        "verdict=download reasons=no-locations'",
    )
    + exit_codes(_CODES),
)
@click.option(
    "--log",
    "line",
    metavar="LINE",
    help="Explain a line of the drop-in's log.",
)
@json_option
@click.pass_context
def why(context: click.Context, line: str | None, *, as_json: bool) -> None:
    """Ask a running cloud what it would do, and why.

    Facts are read from the APIs of the cloud, by GET only. What cannot be
    read is shown if the verdict depends on it: then the answer is neither
    yes nor no.
    """
    if context.invoked_subcommand is not None:
        if line is not None or as_json:
            raise click.UsageError(
                f"write the options after {context.invoked_subcommand}"
            )
        return
    if line is None:
        raise click.UsageError("ask create, upload or volume, or use --log")
    from clonepolicy.cli._why_log import explain_line, read_line

    fields, lines, code = explain_line(read_line(line))
    if as_json:
        emit(fields)
    else:
        say("\n".join(lines))
    context.exit(code)


@why.command(
    "create",
    epilog=examples(
        "clonepolicy why create debian-13 --type gold --size 10",
        "clonepolicy why create debian-13 --size 10 --os-cloud admin "
        "--cinder-conf cinder.conf",
        "clonepolicy why create debian-13 --size 10 "
        "--assume allowed_direct_url_schemes=cinder --json",
    )
    + exit_codes(_CODES),
)
@click.argument("image")
@click.option(
    "--type",
    "volume_type",
    metavar="TYPE",
    help="Volume type. [default: as Cinder chooses it]",
)
@click.option(
    "--size",
    type=click.IntRange(1),
    required=True,
    metavar="GIB",
    help="Size of the volume.",
)
@click.option(
    "--pool", metavar="H@B#P", help="Only this pool. [default: each]"
)
@_asking
def create(
    image: str,
    volume_type: str | None,
    size: int,
    pool: str | None,
    **common: Any,  # noqa: ANN401 - the shared options
) -> None:
    """Ask how a new volume would be created from IMAGE, an id or a name."""
    _answer(
        lambda gatherer: gatherer.create(
            image,
            size=size,
            volume_type=volume_type,
            project=common["project"],
            pool=pool,
        ),
        **common,
    )


@why.command(
    "upload",
    epilog=examples(
        "clonepolicy why upload 6f2c8a54-9d1e-4b7a-8c3d-2e5f60718293",
        "clonepolicy why upload 6f2c8a54-9d1e-4b7a-8c3d-2e5f60718293 "
        "--disk-format qcow2 --json",
    )
    + exit_codes(_CODES),
)
@click.argument("volume")
@click.option(
    "--disk-format",
    default="raw",
    show_default=True,
    help="Disk format of the image.",
)
@click.option(
    "--container-format",
    default="bare",
    show_default=True,
    help="Container format of the image.",
)
@flag("--force", help="Upload the volume even if it is in use.")
@_asking
def upload(
    volume: str,
    disk_format: str,
    container_format: str,
    *,
    force: bool,
    **common: Any,  # noqa: ANN401 - the shared options
) -> None:
    """Ask how an image would be made of VOLUME, an id."""
    _answer(
        lambda gatherer: gatherer.upload(
            volume,
            project=common["project"],
            disk_format=disk_format,
            container_format=container_format,
            force=force,
        ),
        **common,
    )


@why.command(
    "volume",
    epilog=examples(
        "clonepolicy why volume 6f2c8a54-9d1e-4b7a-8c3d-2e5f60718293"
    )
    + exit_codes(_CODES),
)
@click.argument("volume")
@_asking
def volume_command(volume: str, **common: Any) -> None:  # noqa: ANN401 - the shared options
    """Ask how VOLUME would be created today: from its image, in its pool."""
    _answer(lambda gatherer: gatherer.existing(volume), **common)


def _answer(  # noqa: PLR0913 - one for each option
    ask: Callable[[Gatherer], tuple[Case, ...]],
    *,
    os_cloud: str | None,
    as_cloud: str | None,
    project: str | None,
    conf: str | None,
    assumptions: tuple[str, ...],
    policy: policies.Policy,
    save: str | None,
    as_json: bool,
) -> None:
    del project  # the question has it
    from clonepolicy.adapters.openstack import Cloud, CloudFacts, Gatherer
    from clonepolicy.cli._assume import read_assumptions
    from clonepolicy.cli._why_answer import (
        answer_for,
        exit_code,
        show_answer,
        to_json,
    )

    assumed = read_assumptions(assumptions)
    with _progress() as tell, _cloud_errors():
        gatherer = Gatherer(
            facts=CloudFacts(Cloud.open(os_cloud, tell)),
            tenant=(
                None
                if as_cloud is None
                else CloudFacts(Cloud.open(as_cloud, tell))
            ),
            assumed=assumed,
        )
        if conf is not None:
            from clonepolicy.cli._why_conf import use_file

            use_file(gatherer, conf)
        cases = ask(gatherer)
    if save is not None:
        _save(cases, save)
    found = [answer_for(case, policy) for case in cases]
    taken = gatherer.taken(cases[0].request)
    if as_json:
        emit(to_json(found, taken))
    else:
        show_answer(found, taken)
    click.get_current_context().exit(exit_code(found))


def _save(cases: Sequence[Case], path: str) -> None:
    from pathlib import Path

    from clonepolicy import wire

    if len(cases) > 1:
        pools = ", ".join(str(case.pool) for case in cases)
        raise CliError(
            Exit.USAGE,
            f"--save: there is a request for each of {pools}",
            "choose one with --pool",
        )
    case = cases[0]
    Path(path).write_text(wire.dumps(case.request) + "\n", "utf-8")


@contextlib.contextmanager
def _progress() -> Iterator[Callable[[str], object]]:
    """Show on a terminal what is being read."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    with console(sys.stderr).status("reading") as status:
        yield status.update


@contextlib.contextmanager
def _cloud_errors() -> Iterator[None]:
    """End with 7 if the cloud does not tell what cannot be done without."""
    try:
        yield
    except (NotFoundError, FactError):
        raise
    except AdapterError as error:
        raise CliError(
            Exit.UNANSWERED, str(error), "check the credentials and endpoints"
        ) from None
