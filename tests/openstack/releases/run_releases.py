"""Test the drop-in on releases of Cinder, each in its own environment.

A file named after the release, as ``24.txt``, pins the packages of its
OpenStack release; one without a file is the release of the dependency group
``openstack``.  The last lines are one table.  With ``--json`` it has what is
in the file from earlier runs, too.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import time
import tomllib
import venv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias
from xml.etree import ElementTree as ET

import attrs

HERE = Path(__file__).parent
TESTS = HERE.parent
ROOT = TESTS.parents[1]
ENVIRONMENTS = ROOT / ".nox" / "releases"
RELEASES = (24, 25, 26, 27, 28, 29)
OURS = "error:::clonepolicy"
DROP_IN = (
    *("test_manager_*.py", "test_mixin.py", "test_supported_cinder.py"),
    *("test_threads.py", "test_volume_api_records.py"),
    *("test_backend.py", "test_cinder_recovery.py", "test_cinder_killed.py"),
    *("test_cinder_options.py", "test_options.py", "test_volume_records.py"),
    *("test_image_records.py", "test_log_lines.py", "test_families.py"),
)
PARTS = {
    "test_differential": "differential",
    "test_conformance_openstack": "conformance",
}
"""The other tests, by their module, which the same pytest runs."""
DRAWS = {"few": (40, 60), "deep": (2_000, 200)}
"""Creates and uploads that a hypothesis profile draws."""
QUICK = (
    *("--concurrency", "1"),  # each process migrates a database
    *("test_create_volume_flow.CreateVolumeFlowManager", "volume.test_image"),
)
"""Cinder's own tests in the quick form: those in which a policy decides."""
WRONG = ("failed", "unexpected")
Counts: TypeAlias = dict[str, int]


@attrs.frozen
class Environment:
    """The environment of one release."""

    release: int

    @property
    def folder(self) -> Path:
        """Where it is."""
        return ENVIRONMENTS / str(self.release)

    @property
    def python(self) -> str:
        """Its Python."""
        return str(self.folder / "bin" / "python")

    def install(self, wheel: str) -> None:
        """Make it, or bring it up to date."""
        if not Path(self.python).exists():
            venv.create(self.folder, with_pip=True, symlinks=True)
        pins = HERE / f"{self.release}.txt"
        pip = (self.python, "-m", "pip", "install", "--quiet")
        bound = ("--constraint", str(pins)) if pins.exists() else ()
        groups = tomllib.loads((ROOT / "pyproject.toml").read_text())
        groups = groups["dependency-groups"]
        names = groups["openstack"]
        if bound:
            names = [re.split("[<>=]", name)[0] for name in names]
        subprocess.run(
            [
                *(*pip, *bound, f"{wheel}[testing,cinder]"),
                *(*groups["tests"], *names),
            ],
            check=True,
        )
        # the version is the same, but the content may not be
        subprocess.run(
            [*pip, "--no-deps", "--force-reinstall", wheel], check=True
        )

    def version(self, package: str) -> str:
        """Return the version of a package in it."""
        asked = (
            f"import importlib.metadata as m; print(m.version({package!r}))"
        )
        done = subprocess.run(
            [self.python, "-c", asked],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def pytest(self, profile: str) -> dict[str, Counts]:
        """Run our tests; return what passed, failed and was skipped."""
        report = self.folder / "report.xml"
        report.unlink(missing_ok=True)
        names = (*DROP_IN, *(f"{name}.py" for name in PARTS))
        paths = [str(path) for name in names for path in TESTS.glob(name)]
        done = subprocess.run(
            [
                *(self.python, "-m", "pytest", "-q", "-n", "auto"),
                *("--dist", "loadfile", "-p", "no:cacheprovider"),
                *("--disable-warnings", "-o", "filterwarnings=default"),
                *("-W", OURS, f"--junitxml={report}", *sorted(paths)),
            ],
            cwd=ROOT,
            env={**os.environ, "CLONEPOLICY_PROFILE": profile},
            check=False,
        )
        found = _counts(report)
        if done.returncode:
            found["drop-in"]["failed"] = found["drop-in"]["failed"] or 1
        return found

    def upstream(self, options: Sequence[str]) -> Counts:
        """Compare Cinder's own tests without and with the drop-in."""
        report = self.folder / "upstream.json"
        report.unlink(missing_ok=True)
        subprocess.run(
            [
                *(self.python, str(TESTS / "upstream" / "run.py")),
                *("--json", str(report), *options),
            ],
            cwd=ROOT,
            check=False,
        )
        if not report.exists():
            return {"unexpected": 1}
        found = json.loads(report.read_text())
        runs = {run["run"]: run for run in found["runs"]}
        failed = {f"failed with {k}": run["failed"] for k, run in runs.items()}
        wrong = (*found["unexpected"].values(), *found["silent"].values())
        return {
            "tests": runs["SAFE"]["tests"],
            **failed,
            "decisions": runs["SAFE"]["decisions"],
            "unexpected": sum(map(len, wrong)),
        }


def _counts(report: Path) -> dict[str, Counts]:
    found = {
        name: dict.fromkeys(("passed", "failed", "skipped"), 0)
        for name in ("drop-in", *PARTS.values())
    }
    cases = ET.parse(report).iter("testcase") if report.exists() else ()  # noqa: S314 - pytest wrote it
    for case in cases:
        module = str(case.get("classname")).rpartition(".")[2]
        ends = {each.tag for each in case}
        result = "skipped" if "skipped" in ends else "passed"
        if ends & {"failure", "error"}:
            result = "failed"
        found[PARTS.get(module, "drop-in")][result] += 1
    return found


def parts(environment: Environment, *, quick: bool) -> dict[str, Counts]:
    """Run the parts of one release; return the counts of each."""
    profile = "few" if quick else "deep"
    found = environment.pytest(profile)
    creates, uploads = DRAWS[profile]
    found["differential"] |= {"creates": creates, "uploads": uploads}
    found["upstream"] = environment.upstream(QUICK if quick else ())
    return found


def main() -> int:
    """Return 0 if nothing failed and every difference is explained."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("releases", nargs="*", type=int, default=RELEASES)
    parser.add_argument("--wheel", required=True, help="clonepolicy's wheel")
    parser.add_argument(
        "--quick", action="store_true", help="fewer draws, fewer tests"
    )
    parser.add_argument("--json", type=Path, help="a file for all results")
    args = parser.parse_args()
    rows: dict[str, Any] = {}
    if args.json and args.json.exists():
        rows = json.loads(args.json.read_text())
    for release in args.releases:
        environment = Environment(release)
        environment.install(args.wheel)
        rows[str(release)] = row(environment, quick=args.quick)
        if args.json:
            args.json.write_text(json.dumps(rows, indent=1) + "\n")
    sys.stdout.write(table([rows[number] for number in sorted(rows)]))
    ran = [rows[str(release)] for release in args.releases]
    return int(any(map(_is_wrong, ran)))


def row(environment: Environment, *, quick: bool) -> dict[str, Any]:
    """Test a release; return what its row in the table says."""
    begun, cpu = time.monotonic(), _cpu()
    return {
        "cinder": environment.version("cinder"),
        "glance": environment.version("glance"),
        "form": "quick" if quick else "full",
        **parts(environment, quick=quick),
        "seconds": round(time.monotonic() - begun),
        "seconds of CPU": round(_cpu() - cpu),
    }


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _is_wrong(row: Mapping[str, Any]) -> bool:
    return any(
        counts.get(name, 0)
        for counts in row.values()
        if isinstance(counts, dict)
        for name in WRONG
    )


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return rows as a table in Markdown."""
    lines = [list(rows[0]), ["---"] * len(rows[0])]
    lines += [[_text(cell) for cell in row.values()] for row in rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def _text(cell: object) -> str:
    if isinstance(cell, dict):
        return ", ".join(f"{count} {what}" for what, count in cell.items())
    return str(cell)


if __name__ == "__main__":
    sys.exit(main())
