"""Test the drop-in on releases of Cinder, each in its own environment.

A file named after the release, as ``24.txt``, pins the packages of its
OpenStack release; one without a file is the release of the dependency group
``openstack``.  The last lines are one table.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
import tomllib
import venv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
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
CONFORMANCE = ("test_conformance_openstack.py",)
DIFFERENTIAL = ("test_differential.py",)
QUICK = ("test_create_volume_flow", "volume.test_image")
"""Which of Cinder's own tests the quick form runs."""


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

    def pytest(
        self, files: Sequence[str], *more: str, **env: str
    ) -> dict[str, int]:
        """Run tests; return how many passed, failed and were skipped."""
        report = self.folder / "report.xml"
        report.unlink(missing_ok=True)
        paths = [str(path) for name in files for path in TESTS.glob(name)]
        subprocess.run(
            [
                *(self.python, "-m", "pytest", "-q", "-n", "auto"),
                *("--dist", "loadfile", "-p", "no:cacheprovider"),
                *("-o", "filterwarnings=default", "-W", OURS),
                *(f"--junitxml={report}", *more, *sorted(paths)),
            ],
            cwd=ROOT,
            env={**os.environ, **env},
            check=False,
        )
        return _counts(report)

    def upstream(self, filters: Sequence[str]) -> dict[str, int]:
        """Compare Cinder's own tests without and with the drop-in."""
        report = self.folder / "upstream.json"
        report.unlink(missing_ok=True)
        subprocess.run(
            [
                *(self.python, str(TESTS / "upstream" / "run.py")),
                *("--json", str(report), *filters),
            ],
            cwd=ROOT,
            check=False,
        )
        if not report.exists():
            return {"failed": 1}
        found = json.loads(report.read_text())
        wrong = (*found["unexpected"].values(), *found["silent"].values())
        return {
            "passed": found["runs"][0]["tests"],
            "decisions": found["runs"][-1]["decisions"],
            "failed": sum(map(len, wrong)),
        }


def _counts(report: Path) -> dict[str, int]:
    if not report.exists():
        return {"failed": 1}
    found = {"passed": 0, "failed": 0, "skipped": 0}
    for suite in ET.parse(report).getroot().iter("testsuite"):  # noqa: S314 - pytest wrote it
        count = {
            name: int(suite.get(name, "0"))
            for name in ("tests", "failures", "errors", "skipped")
        }
        failed = count["failures"] + count["errors"]
        found["failed"] += failed
        found["skipped"] += count["skipped"]
        found["passed"] += count["tests"] - failed - count["skipped"]
    return found


def parts(
    environment: Environment, *, quick: bool
) -> Iterator[tuple[str, dict[str, int]]]:
    """Run the parts of one release; yield the counts of each."""
    yield "drop-in", environment.pytest(DROP_IN)
    profile = {} if quick else {"CLONEPOLICY_PROFILE": "deep"}
    compared = environment.pytest(DIFFERENTIAL, **profile)
    creates, uploads = (200, 60) if quick else (2_000, 200)
    compared |= {"creates": creates, "uploads": uploads}
    yield "differential", compared
    yield "upstream", environment.upstream(QUICK if quick else ())
    yield "conformance", environment.pytest(CONFORMANCE)


def main() -> int:
    """Return 0 if nothing failed and every difference is explained."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("releases", nargs="*", type=int, default=RELEASES)
    parser.add_argument("--wheel", required=True, help="clonepolicy's wheel")
    parser.add_argument(
        "--quick", action="store_true", help="fewer draws, fewer tests"
    )
    args = parser.parse_args()
    rows: list[dict[str, Any]] = []
    failed = 0
    for release in args.releases:
        environment = Environment(release)
        environment.install(args.wheel)
        row: dict[str, Any] = {
            "cinder": environment.version("cinder"),
            "glance": environment.version("glance"),
        }
        begun = time.monotonic()
        for name, counts in parts(environment, quick=args.quick):
            failed += counts["failed"]
            row[name] = ", ".join(
                f"{count} {what}" for what, count in counts.items()
            )
        row["seconds"] = round(time.monotonic() - begun)
        rows.append(row)
    sys.stdout.write(table(rows))
    return int(failed > 0)


def table(rows: Sequence[dict[str, Any]]) -> str:
    """Return rows as a table in Markdown."""
    lines = [list(rows[0]), ["---"] * len(rows[0])]
    lines += [[str(cell) for cell in row.values()] for row in rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


if __name__ == "__main__":
    sys.exit(main())
