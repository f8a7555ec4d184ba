"""``clonepolicy lint``: what is wrong in cinder.conf and glance-api.conf."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from clonepolicy import FactError
from clonepolicy._terminal.errors import Exit, exit_codes
from clonepolicy._terminal.options import (
    examples,
    flag,
    json_option,
    read_input,
)

if TYPE_CHECKING:
    from clonepolicy.adapters.conf import CinderConf
    from clonepolicy.adapters.lint import Check, CloudView, Estate, Report

_FORMATS = ("text", "json", "sarif", "junit", "github")
_LEVELS = ("insecure", "broken", "off", "slow")
_CINDER, _GLANCE = "cinder.conf", "glance-api.conf"
_CODES = (
    (Exit.DONE, "no finding of the level, or of a worse one"),
    (Exit.USAGE, "wrong usage, or a file that cannot be read"),
    (Exit.REFUSED, "findings of the level, or of a worse one"),
)


@click.command(
    "lint",
    epilog=examples(
        "clonepolicy lint cinder.conf glance-api.conf",
        "clonepolicy lint node1/cinder.conf node2/cinder.conf",
        "clonepolicy lint /etc --os-cloud admin --this-host",
        "clonepolicy lint cinder.conf --format sarif > lint.sarif",
        "clonepolicy lint --list",
    )
    + exit_codes(_CODES),
)
@click.argument("paths", metavar="[PATH]...", nargs=-1)
@click.option(
    "--cinder-conf",
    "cinder",
    metavar="PATH",
    multiple=True,
    help="A cinder.conf of any name; may be repeated.",
)
@click.option(
    "--glance-conf",
    "glance",
    metavar="PATH",
    multiple=True,
    help="A glance-api.conf of any name; may be repeated.",
)
@click.option(
    "--os-cloud",
    metavar="NAME",
    help="Also ask this cloud of clouds.yaml, by GET only.",
)
@flag(
    "--this-host",
    help="The files are this host's: also look at its free space.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(_FORMATS),
    default="text",
    show_default=True,
    help="The format of the report.",
)
@click.option(
    "--fail-level",
    type=click.Choice(_LEVELS),
    default="slow",
    show_default=True,
    help="The mildest level of findings with which to exit with 3.",
)
@click.option(
    "--select",
    metavar="ID|LEVEL,...",
    help="Run only these checks.",
)
@click.option(
    "--ignore",
    metavar="ID|LEVEL,...",
    help="Leave these checks out.",
)
@click.option(
    "--baseline",
    metavar="FILE",
    help="Report nothing that is in this earlier report, written with "
    "--format json.",
)
@flag("--list", "list_checks", help="List the checks instead.")
@json_option
@click.pass_context
def lint(  # noqa: PLR0913 - one for each option
    context: click.Context,
    *,
    paths: Sequence[str],
    cinder: Sequence[str],
    glance: Sequence[str],
    os_cloud: str | None,
    this_host: bool,
    form: str,
    fail_level: str,
    select: str | None,
    ignore: str | None,
    baseline: str | None,
    list_checks: bool,
    as_json: bool,
) -> None:
    """Name what keeps Cinder from cloning, or makes it unsafe.

    PATH is a cinder.conf or a glance-api.conf, or a folder with them; without
    a PATH it is /etc. Each cinder.conf is that of another host. A folder
    cinder.conf.d beside a file is read, too. A check that lacks what it needs
    is reported as not checked.
    """
    from clonepolicy.adapters import lint as checks
    from clonepolicy.cli import _lint_formats as formats

    form = "json" if as_json else form
    chosen = _chosen(checks.CHECKS, select, ignore)
    if list_checks:
        formats.list_checks(chosen, as_json=form == "json")
        return
    estate = _estate(paths, cinder, glance)
    estate = _with_more(estate, os_cloud, this_host=this_host)
    report = checks.run(estate, chosen)
    if baseline is not None:
        report = _without(report, _known(baseline))
    limit = checks.Level(fail_level).rank
    fails = any(f.check.level.rank <= limit for f in report.findings)
    formats.write(report, form)
    if fails:
        context.exit(Exit.REFUSED)


def _chosen(
    checks: Iterable[Check], select: str | None, ignore: str | None
) -> tuple[Check, ...]:
    found = tuple(checks)
    known = {check.id.lower() for check in found} | {*_LEVELS}

    def names(option: str, given: str) -> set[str]:
        wanted = {
            name.strip().lower() for name in given.split(",") if name.strip()
        }
        if unknown := wanted - known:
            raise click.BadParameter(
                f"{min(unknown)!r} is neither the id of a check nor a level; "
                "clonepolicy lint --list has them",
                param_hint=option,
            )
        return wanted

    wanted = known if select is None else names("--select", select)
    left_out = set() if ignore is None else names("--ignore", ignore)

    def among(check: Check, listed: set[str]) -> bool:
        return bool(listed & {check.id.lower(), str(check.level)})

    return tuple(
        check
        for check in found
        if among(check, wanted) and not among(check, left_out)
    )


def _estate(
    paths: Sequence[str], cinder: Sequence[str], glance: Sequence[str]
) -> Estate:
    from clonepolicy.adapters.conf import CinderConf, GlanceConf, files_of
    from clonepolicy.adapters.lint import Estate

    of_cinder, of_glance = list(cinder), list(glance)
    if not (paths or cinder or glance):
        paths = ("/etc",)
    for path in paths:
        files = _files_at(path)
        of_cinder += files[_CINDER]
        of_glance += files[_GLANCE]
    return Estate(
        cinder=tuple(
            CinderConf(files_of(path, _CINDER))
            for path in dict.fromkeys(of_cinder)
        ),
        glance=tuple(
            GlanceConf(files_of(path, _GLANCE))
            for path in dict.fromkeys(of_glance)
        ),
    )


def _files_at(path: str) -> dict[str, list[str]]:
    """Return the files of each service that a path names."""
    found: dict[str, list[str]] = {_CINDER: [], _GLANCE: []}
    here = Path(path)
    if here.is_dir():
        for name, service in ((_CINDER, "cinder"), (_GLANCE, "glance")):
            for file in (here / name, here / service / name):
                if file.is_file():
                    found[name].append(str(file))
        if not any(found.values()):
            expected = f"a folder with {_CINDER} or {_GLANCE}"
            raise FactError("PATH", path, expected)
        return found
    name = here.name.lower()
    services = [n for n in ("cinder", "glance") if n in name]
    if len(services) != 1:
        raise click.UsageError(
            f"{path}: the name does not say whose file it is; use "
            "--cinder-conf or --glance-conf"
        )
    found[_CINDER if services == ["cinder"] else _GLANCE].append(path)
    return found


def _with_more(
    estate: Estate, os_cloud: str | None, *, this_host: bool
) -> Estate:
    """Add what is not in files."""
    import attrs

    if this_host:
        estate = attrs.evolve(estate, space=_space(estate.cinder))
    if os_cloud is not None:
        estate = attrs.evolve(estate, cloud=_cloud(estate, os_cloud))
    return estate


def _space(hosts: Iterable[CinderConf]) -> dict[str, int]:
    folders = (str(c.value("image_conversion_dir").value) for c in hosts)
    return {
        folder: shutil.disk_usage(folder).free
        for folder in folders
        if Path(folder).is_dir()
    }


def _cloud(estate: Estate, name: str) -> CloudView:
    from clonepolicy.adapters.lint import RunningCloud
    from clonepolicy.adapters.openstack import Cloud, CloudFacts

    users = (c.value("username", "glance").value for c in estate.cinder)
    tell: Callable[[str], Any] = lambda _text: None  # noqa: E731 - a default
    if sys.stderr.isatty():
        tell = lambda text: click.echo(text, err=True)  # noqa: E731 - the same
    facts = CloudFacts(Cloud.open(name, tell))
    return RunningCloud(facts, next((str(u) for u in users if u), None))


def _known(name: str) -> frozenset[str]:
    """Read the keys of the findings of an earlier report."""

    def parse(text: str) -> frozenset[str]:
        found = json.loads(text)
        try:
            return frozenset(row["key"] for row in found["findings"])
        except (KeyError, TypeError):
            raise ValueError("not a report of clonepolicy lint") from None

    remedy = "use a file that clonepolicy lint --format json wrote"
    return read_input(name, "an earlier report", parse, remedy)


def _without(report: Report, known: frozenset[str]) -> Report:
    import attrs

    return attrs.evolve(
        report,
        findings=tuple(f for f in report.findings if f.key not in known),
    )
