"""The example in "To add a rule" of CONTRIBUTING.md is tested by doing it.

The blocks of the page are inserted into a copy of the checkout.  With all
steps the tests that name the steps pass; without one of them a test fails
and names it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import textwrap
from collections.abc import Iterable
from pathlib import Path

import attrs
import pytest

pytestmark = pytest.mark.skipif(
    sys.version_info >= (3, 12), reason="on Python 3.11 only: it takes long"
)

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "CONTRIBUTING.md").read_text()
TESTS = (
    "tests/test_steps.py",
    "tests/test_agreed.py::test_every_rule_is_in_the_reference",
    "tests/test_agreed.py::test_every_value_counts_as_in_the_reference",
)
_RECIPE = PAGE.partition("## To add a rule\n")[2].partition("\n## ")[0]
_STEP = re.compile(
    r"^\d\. \*\*(\w+)\*\*(.*?)(?=^\d\. |\Z|^\S)", re.MULTILINE | re.DOTALL
)
_EDIT = re.compile(
    r"(?:In `(?P<file>[^`]+)`, |and )before `(?P<anchor>[^`]+)`:\n\n"
    r" +```text\n(?P<code>.*?) +```",
    re.DOTALL,
)


@attrs.frozen
class Edit:
    """A block of code, and the text before which it is inserted."""

    file: str
    anchor: str
    code: str

    def make(self, root: Path) -> None:
        """Insert the code above the first line that has the anchor."""
        path = root / self.file
        lines = path.read_text().splitlines(keepends=True)
        at = next(n for n, line in enumerate(lines) if self.anchor in line)
        indent = re.match(" *", lines[at])
        assert indent
        lines.insert(at, textwrap.indent(self.code, indent[0]))
        path.write_text("".join(lines))


def edits(step: str) -> list[Edit]:
    """Read the edits of a step; one without a file is to the same file."""
    found: list[Edit] = []
    for match in _EDIT.finditer(step):
        file = match["file"] or found[-1].file
        code = textwrap.dedent(match["code"])
        found.append(Edit(file, match["anchor"], code))
    return found


STEPS = {match[1]: edits(match[2]) for match in _STEP.finditer(_RECIPE)}


def copied(folder: Path, steps: Iterable[str]) -> Path:
    """Copy the checkout and make the edits of some steps."""
    ignored = shutil.ignore_patterns("__pycache__", "arrays", "openstack")
    for name in ("src", "tests"):
        shutil.copytree(ROOT / name, folder / name, ignore=ignored)
    for name in ("conftest.py", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
    for step in steps:
        for edit in STEPS[step]:
            edit.make(folder)
    return folder


def outcome(root: Path) -> tuple[int, str]:
    """Run the tests on a copy; give the exit code and the output."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-x", "-q", "--tb=short"),
            *("-p", "no:cacheprovider", *TESTS),
        ],
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root / "src")},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_the_recipe_edits_seven_files() -> None:
    """One for each step."""
    files = [{edit.file for edit in made} for made in STEPS.values()]
    assert [
        "Reason",
        "Fact",
        "Rule",
        "Table",
        "Values",
        "Reference",
        "Sentence",
    ] == list(STEPS)
    assert [1] * 7 == [len(each) for each in files]
    assert 7 == len(set.union(*files))


def test_all_steps_together_are_enough(tmp_path: Path) -> None:
    """The new rule is under test, and every test passes."""
    code, output = outcome(copied(tmp_path, STEPS))
    assert 0 == code, output


@pytest.mark.parametrize("left_out", STEPS)
def test_a_step_that_is_left_out_is_named(
    left_out: str, tmp_path: Path
) -> None:
    """By a test, or by Python where the package cannot be imported."""
    others = [step for step in STEPS if step != left_out]
    code, output = outcome(copied(tmp_path, others))
    made = "".join(edit.code for edit in STEPS[left_out])
    missing = re.findall(r"AttributeError: .*?(\w+)'?$", output, re.MULTILINE)
    assert 0 != code
    assert f"{left_out}: " in output or (
        missing and re.search(rf"^(def )?{missing[-1]}\b", made, re.MULTILINE)
    ), output
