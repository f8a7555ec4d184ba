"""The kit runs the same checks by its program, by pytest and by unittest."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import json
import os
import pty
import re
import signal
import subprocess
import sys
import time
import unittest
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from clonepolicy.adapters.memory import MemoryArray
from clonepolicy.testing.conformance import (
    ARRAYS,
    IMAGES,
    VOLUMES,
    ConformanceTestCase,
    HarnessError,
    Status,
    load_harness,
    run,
)
from clonepolicy.testing.conformance._program import program
from clonepolicy.testing.memory import memory_harness

SHARES = next(
    check
    for check in ARRAYS.checks
    if check.id == "shares-data-between-clone-and-source"
)

PATIENCE = 120
"""Seconds that a loaded machine is given before a test fails."""

HARNESSES = r'''
import pathlib
import time

import attrs

from clonepolicy import (Backend)
from clonepolicy.testing.conformance import ConformanceTestCase
from clonepolicy.adapters.memory import MemoryArray
from clonepolicy.testing.memory import memory_harness

HARNESS = memory_harness()
NUMBER = 7


class Cuts(MemoryArray):
    """Loses the first block of every clone."""

    def cloned(self, held, parent):
        made = super().cloned(held, parent)
        made.blocks.pop(0, None)
        return made


class Slow(MemoryArray):
    def discard(self, volume_id):
        pathlib.Path("begun").touch()
        time.sleep(0.2)
        super().discard(volume_id)


def mark(text):
    with open("marks", "a") as file:
        file.write(text)


def good():
    mark("o")
    return attrs.evolve(memory_harness(), close=lambda: mark("c"))


def broken():
    return attrs.evolve(
        memory_harness(Cuts()),
        xfail={
            "clones-every-byte-of-a-volume": "the first \x00 \ud800 block",
            "clones-a-clone-of-a-clone": "the same",
            "has-a-stable-and-unique-identity": "it is one",
        },
    )


def cloneless():
    return memory_harness(MemoryArray(Backend()))


def slow():
    return attrs.evolve(memory_harness(Slow()), close=lambda: mark("c"))


def raises():
    mark("r")
    raise OSError(5, "the array\nis off")


def needs(place):
    return memory_harness()


def wrong():
    return {"a": "harness"}


def silent():
    harness = memory_harness()
    harness.array.get_backend = lambda: 1 / 0
    return attrs.evolve(harness, close=lambda: mark("c"))


def mistyped():
    return attrs.evolve(memory_harness(), xfail={"clones-a-clone": "no"})


class Good(ConformanceTestCase):
    make_harness = good


class Broken(ConformanceTestCase):
    make_harness = staticmethod(broken)


class Cloneless(ConformanceTestCase):
    @classmethod
    def make_harness(cls):
        return cloneless()
'''

BAD = {
    "harnesses": "expected package.module:function, got 'harnesses'; name",
    "author:": "expected package.module:function, got 'author:'",
    "author:broke": "got nothing of that name; did you mean broken",
    "author:zzz": "expected zzz in author, got nothing of that name; define",
    "nowhere:harness": "ModuleNotFoundError: No module named 'nowhere'; make",
    "author_raises:harness": "ZeroDivisionError: division by zero; make",
    "author_exits:harness": "got SystemExit: 3; make python -c",
    "author:NUMBER": "or a function, got int 7; name a function",
    "author:raises": "got OSError: [Errno 5] the array is off; make this",
    "author:needs": "missing 1 required positional argument: 'place'; make",
    "author:wrong": "got dict {'a': 'harness'}; let the function return one",
    "author:silent": "that declares what it can do, got ZeroDivisionError",
    "author:mistyped": "checks in xfail, got 'clones-a-clone'; did you mean",
}
"""What is wrong with each harness that cannot be opened."""


@pytest.fixture(scope="module")
def author(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the directory of an author, with harnesses in it."""
    place = tmp_path_factory.mktemp("author")
    (place / "author.py").write_text(HARNESSES)
    (place / "author_raises.py").write_text("1 / 0")
    (place / "author_exits.py").write_text("import sys; sys.exit(3)")
    (place / "pytest.toml").write_text(
        '[pytest]\nstrict = true\nfilterwarnings = ["error"]\n'
    )
    return place


@pytest.fixture(autouse=True)
def _there(author: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Change into that directory, and remove what earlier tests left."""
    monkeypatch.chdir(author)
    monkeypatch.syspath_prepend(author)
    monkeypatch.delenv("COLUMNS", raising=False)
    for name in ("marks", "begun"):
        Path(name).unlink(missing_ok=True)


def marks() -> str:
    """Read the marks: o if opened, c if closed, r if opening raised."""
    return Path("marks").read_text() if Path("marks").exists() else ""


def process(
    *args: str, env: Mapping[str, str] = os.environ
) -> subprocess.CompletedProcess[str]:
    """Run Python in a process of its own."""
    return subprocess.run(
        [sys.executable, *args],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
        env=env,
    )


def by_program(*args: str) -> Result:
    """Run the program in this process."""
    return CliRunner().invoke(program, args, prog_name="kit")


def by_pytest(*args: str) -> subprocess.CompletedProcess[str]:
    """Run pytest with no other plugins, most of which take their time."""
    alone = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return process("-m", "pytest", "-p", "clonepolicy", *args, env=alone)


def by_pytest_in_full(*args: str) -> subprocess.CompletedProcess[str]:
    """Run pytest as an author does."""
    return process("-m", "pytest", *args)


def by_unittest(name: str) -> subprocess.CompletedProcess[str]:
    """Run unittest as an author does."""
    return process("-m", "unittest", "-v", name)


# -- all three agree --------------------------------------------------------


def statuses_by_program(name: str) -> tuple[int, dict[str, str]]:
    """Read exit code and statuses from the JSON."""
    result = by_program(f"author:{name}", "--json")
    (ran,) = json.loads(result.stdout)["harnesses"]
    found = {check["check"]: check["status"] for check in ran["checks"]}
    return result.exit_code, found


@functools.cache
def whole_run(name: str) -> tuple[subprocess.CompletedProcess[str], str]:
    """Run pytest with one harness; return the XML, too."""
    spec = f"author:{name}"
    run_it = by_pytest_in_full if name == "good" else by_pytest
    done = run_it("-v", "--clonepolicy-array", spec, "--junitxml=run.xml")
    return done, Path("run.xml").read_text()


def statuses_by_pytest(name: str) -> tuple[int, dict[str, str]]:
    """Read exit code and statuses from JUnit's XML."""
    done, written = whole_run(name)
    words = {"pytest.skip": "SKIP", "pytest.xfail": "XFAIL", None: "FAIL"}
    found = {}
    for case in ET.fromstring(written).iter("testcase"):  # noqa: S314 - ours
        assert f"author:{name}" == case.get("classname")
        (status,) = [
            words[child.get("type")]
            for child in case
            if child.tag != "properties"
        ] or ["PASS"]
        found[case.attrib["name"]] = status
    return done.returncode, found


def statuses_by_unittest(name: str) -> tuple[int, dict[str, str]]:
    """Read exit code and statuses from the output of -v."""
    done = by_unittest(f"author.{name.capitalize()}")
    words = {
        "ok": "PASS",
        "skipped": "SKIP",
        "expected failure": "XFAIL",
        "unexpected success": "FAIL",
        "FAIL": "FAIL",
    }
    found = re.findall(
        rf"^test_(\w+) .*\n.* \.\.\. ({'|'.join(words)})",
        done.stderr,
        re.MULTILINE,
    )
    statuses = {name.replace("_", "-"): words[word] for name, word in found}
    assert "PASS" == statuses.pop("some-clone-check-applies")
    return done.returncode, statuses


@pytest.mark.parametrize(("name", "code"), [("good", 0), ("broken", 1)])
def test_program_pytest_and_unittest_agree(name: str, code: int) -> None:
    """Every check has one status, and the run one exit code."""
    suite, harness = load_harness(f"author:{name}")
    results = run(suite, harness).results
    expected = {r.check.id: str(r.status) for r in results}
    assert [check.id for check in ARRAYS.checks] == list(expected)

    assert (code, expected) == statuses_by_program(name)
    assert (code, expected) == statuses_by_pytest(name)
    assert (code, expected) == statuses_by_unittest(name)


def test_the_broken_harness_has_every_status() -> None:
    """So the test above compares every status."""
    _, statuses = statuses_by_program("broken")

    assert {str(status) for status in Status} == set(statuses.values())
    assert "XFAIL" == statuses["clones-every-byte-of-a-volume"]
    assert "FAIL" == statuses["has-a-stable-and-unique-identity"]


# -- the program ------------------------------------------------------------


def test_the_program_shows_checks_and_the_level() -> None:
    """A line for each check, then counts, level and verdict."""
    result = by_program("author:good")

    assert (0, "", "oc") == (result.exit_code, result.stderr, marks())
    lines = result.stdout.splitlines()
    # if a wheel is installed, its name and version follow
    assert lines[0].startswith(
        "author:good: clonepolicy.adapters.memory._array.MemoryArray"
    )
    shown = next(line for line in lines if "clones-a-clone" in line)
    pattern = r"PASS +clones-a-clone-of-a-clone +[\d.]+ ms +5 generations"
    assert re.fullmatch(pattern, shown)
    skip = next(line for line in lines if "of-a-volume-up-to" in line)
    assert skip.startswith("SKIP ")
    assert skip.endswith("not declared: a limit (clone_limit)")
    count = len(ARRAYS.checks)
    assert (
        f"{count} of {count} checks: {count - 10} PASS, 10 SKIP, " in lines[-3]
    )
    assert ["level: shares (declared: shares)", "certificate"] == lines[-2:]


def test_a_failed_check_is_shown_with_its_promise() -> None:
    """The promise follows the detail; the level falls."""
    result = by_program("author:broken")

    assert 1 == result.exit_code
    promise = "Writes to a clone reach neither its image nor other clones."
    assert promise in map(str.strip, result.stdout.splitlines())
    assert "An extended volume has its data" not in result.stdout
    assert "passes, but xfail lists it: it is one" in result.stdout
    assert r"the first \x00 \ud800 block (volume " in result.stdout
    assert "level: none (declared: shares)" in result.stdout
    assert re.search("no certificate: .* checks failed", result.stdout)


def test_long_shows_every_promise() -> None:
    """The promises of passed checks, too."""
    shown = by_program("author:good", "--long").stdout
    assert [] == [c.id for c in ARRAYS.checks if c.promise not in shown]


def test_json_has_the_whole_report() -> None:
    """It is one document, with adapter, level and checks."""
    written = json.loads(by_program("author:good", "--json").stdout)

    assert {"clonepolicy", "harnesses"} == set(written)
    (ran,) = written["harnesses"]
    assert {
        "harness": "author:good",
        "kind": "array",
        "adapter": "clonepolicy.adapters.memory._array.MemoryArray",
        "level_declared": "shares",
        "level_held": "shares",
        "problem": None,
    }.items() <= ran.items()
    assert "copy-on-write" == ran["declares"]["clone_kind"]
    assert {"PASS", "SKIP", "XFAIL", "FAIL"} == set(ran["counts"])
    check = ran["checks"][0]
    assert {
        "check": "declares-what-its-class-declares",
        "status": "PASS",
        "detail": "version 1",
        "promise": ARRAYS.checks[0].promise,
        "level": "stores",
    }.items() <= check.items()
    assert 0 < check["seconds"] < PATIENCE


def test_several_harnesses_run_one_after_the_other() -> None:
    """Each has its summary; if one fails, the program fails."""
    result = by_program("author:good", "author:cloneless", "author:good")

    assert (1, "ococ") == (result.exit_code, marks())
    assert 2 == result.stdout.count("\ncertificate\n")
    problem = "no certificate: no check that makes a clone ran and passed\n"
    assert 1 == result.stdout.count(problem)


def test_some_checks_are_no_certificate() -> None:
    """They may pass, but the level is unknown."""
    result = by_program("author:good", "--only", "clones-every-*", "--json")
    (ran,) = json.loads(result.stdout)["harnesses"]
    assert [
        "clones-every-byte-of-a-volume",
        "clones-every-byte-of-an-image",
    ] == [check["check"] for check in ran["checks"]]
    assert (0, None) == (result.exit_code, ran["level_held"])

    only = ("--only", "refuses-to-shrink-*", "--only", "clones-a-clone-*")
    shown = by_program("author:good", *only).stdout.splitlines()
    count = len(ARRAYS.checks)
    verdict = f"no certificate: only 2 of {count} checks ran"
    assert ["level: unknown", verdict] == shown[-2:]


def test_some_checks_without_a_clone_fail() -> None:
    """A complete run without a clone fails, too."""
    result = by_program("author:good", "--only", "refuses-to-shrink-*")
    assert 1 == result.exit_code


def test_the_checks_are_listed_without_a_harness() -> None:
    """With promise, level, and when they are skipped."""
    result = by_program("--checks")
    assert 0 == result.exit_code
    for suite in (ARRAYS, IMAGES, VOLUMES):
        for check in suite.checks:
            assert check.id in result.stdout
            assert check.promise in result.stdout

    listed = json.loads(
        by_program("--checks", "--only", "shares*", "--json").stdout
    )
    assert {
        "array": [
            {
                "check": "shares-data-between-clone-and-source",
                "promise": SHARES.promise,
                "level": "shares",
                "clones": True,
                "skipped_if": [need.reason for need in SHARES.needs],
            }
        ],
        "image-service": [],
        "volume-service": [],
    } == listed


def test_junit_escapes_what_xml_cannot_hold() -> None:
    """The file has counts, times and texts."""
    result = by_program("author:broken", "--junit", "kit.xml")

    assert 1 == result.exit_code
    (suite,) = ET.parse("kit.xml").getroot()  # noqa: S314 - ours
    cases = {case.get("name"): case for case in suite}
    assert [check.id for check in ARRAYS.checks] == list(cases)
    for count, tag in (("failures", "failure"), ("skipped", "skipped")):
        found = [case for case in suite if case.find(tag) is not None]
        assert suite.get(count) == str(len(found))
    assert suite.get("tests") == str(len(ARRAYS.checks))
    known = cases["clones-every-byte-of-a-volume"].find("skipped")
    assert known is not None
    message = known.get("message", "")
    assert message.startswith(r"the first \x00 \ud800 block (volume ")
    assert all(float(case.get("time", "")) >= 0 for case in suite)


@pytest.mark.parametrize("spec", BAD)
def test_a_bad_harness_is_one_line(spec: str) -> None:
    """It says what was given, what was expected, and what to do."""
    result = by_program(spec)

    assert (2, "") == (result.exit_code, result.stdout)
    assert result.stderr.startswith(f"error: harness {spec}: expected ")
    assert BAD[spec] in result.stderr
    assert 1 == result.stderr.count("\n")


@pytest.mark.parametrize(
    ("args", "text"),
    [
        ((), "name a function that returns a harness; see kit --help"),
        (
            ("author:good", "--only", "refuses-to-shrink"),
            "did you mean refuses",
        ),
        (("author:good", "--only", "zzz*"), "'zzz*'; --checks lists them"),
        (("author:good", "--junit", "no/file.xml"), "No such file"),
        (("author:good", "author:goods"), "did you mean good"),
    ],
)
def test_bad_usage_is_one_line(args: tuple[str, ...], text: str) -> None:
    """Nothing is opened."""
    result = by_program(*args)

    assert (2, "", "") == (result.exit_code, result.stdout, marks())
    assert text in result.stderr
    assert 1 == result.stderr.count("\n")


def test_errors_are_json_if_json_is_asked_for() -> None:
    """They are one document on standard error."""
    result = by_program("author:wrong", "--json")

    assert (2, "") == (result.exit_code, result.stdout)
    assert "usage" == json.loads(result.stderr)["error"]["kind"]


def test_a_harness_need_not_be_a_function() -> None:
    """A module may hold the harness itself."""
    suite, harness = load_harness("author:HARNESS")
    assert ARRAYS is suite
    assert harness is importlib.import_module("author").HARNESS


def test_a_refused_harness_is_closed() -> None:
    """Its function has opened it."""
    with pytest.raises(HarnessError, match="declares what it can do"):
        load_harness("author:silent")
    assert "c" == marks()


def test_an_interrupted_run_closes_its_harness() -> None:
    """The process dies of SIGINT, and there is no traceback."""
    # a process in the background may have inherited to ignore it
    ours = signal.signal(signal.SIGINT, signal.default_int_handler)
    running = subprocess.Popen(
        [sys.executable, "-m", "clonepolicy.testing", "author:slow"],
        stderr=subprocess.PIPE,
        text=True,
    )
    signal.signal(signal.SIGINT, ours)
    deadline = time.monotonic() + PATIENCE
    while not Path("begun").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    running.send_signal(signal.SIGINT)
    _, stderr = running.communicate(timeout=PATIENCE)

    assert (-signal.SIGINT, "c") == (running.returncode, marks())
    assert "" == stderr.strip()


def test_a_terminal_shows_which_check_is_running() -> None:
    """On standard error; standard output has only the report."""
    ours, theirs = pty.openpty()
    program = (sys.executable, "-m", "clonepolicy.testing")
    running = subprocess.Popen(
        [
            *program,
            "author:good",
            "--only",
            "clones-every-byte-of-a*",
            "--json",
        ],
        stdout=subprocess.PIPE,
        stderr=theirs,
        env={**os.environ, "TERM": "xterm"},
    )
    os.close(theirs)
    seen = b""
    while True:
        try:
            seen += os.read(ours, 4096)
        except OSError:  # the other side is closed
            break
    os.close(ours)
    stdout, _ = running.communicate(timeout=PATIENCE)

    assert b"author:good: clones-every-byte-of-a-volume" in seen
    assert 1 == len(json.loads(stdout)["harnesses"])


def test_a_missing_extra_is_named() -> None:
    """Without click, one line says what to install."""
    code = (
        "import runpy, sys; sys.modules['click'] = None; "
        "runpy.run_module('clonepolicy.testing', run_name='__main__')"
    )
    done = process("-c", code)

    line = "error: there is no module click; install clonepolicy[testing]\n"
    assert (2, line) == (done.returncode, done.stderr)


# -- pytest -----------------------------------------------------------------


def test_pytest_needs_no_file_and_shows_the_level() -> None:
    """The checks are collected, and the summary has the level."""
    done, _ = whole_run("good")

    assert 0 == done.returncode
    count = len(ARRAYS.checks)
    assert f"collected {count} items" in done.stdout
    assert "author:good::clones-every-byte-of-a-volume PASSED" in done.stdout
    assert (
        "author:good::copies-data-if-it-declares-copies SKIPPED (not "
        in done.stdout
    )
    assert "level: shares (declared: shares)\ncertificate" in done.stdout


def test_pytest_shows_no_frames_of_the_kit() -> None:
    """A failure is its detail and the promise."""
    done, _ = whole_run("broken")

    assert 1 == done.returncode
    assert (
        "author:broken::clones-every-byte-of-a-volume XFAIL (the first"
        in done.stdout
    )
    assert re.search(
        r"__ clones-every-byte-of-an-image \(author:broken\) _+\n"
        r"volume .*: wrong bytes from offset 0\n"
        r"A clone has the image's bytes, .*\n___",
        done.stdout,
    )


def test_pytest_selects_and_stops() -> None:
    """Its own options work."""
    done = by_pytest(
        *("-q", "-x", "-k", "unique-identity or declares-what"),
        *("--clonepolicy-array", "author:broken"),
        *("--clonepolicy-array", "author:good"),
    )

    assert (1, "") == (done.returncode, marks())
    assert "1 failed, 1 passed" in done.stdout
    assert "stopping after 1 failures" in done.stdout


def test_pytest_runs_known_failures_with_runxfail() -> None:
    """They fail, as with pytest's own marks."""
    done = by_pytest(
        *("--runxfail", "-k", "clones-a-clone-of-a-clone"),
        *("--clonepolicy-array", "author:broken"),
    )
    assert 1 == done.returncode
    assert "the same (volume " in done.stdout


def test_pytest_distributes_checks_over_workers() -> None:
    """Each worker opens a harness; the controller has the summary."""
    done = by_pytest(
        "-p", "xdist", "-n2", "--clonepolicy-array", "author:good"
    )

    assert (0, "ccoo") == (done.returncode, "".join(sorted(marks())))
    assert "level: shares (declared: shares)\ncertificate" in done.stdout


@pytest.mark.parametrize(
    "args",
    [
        ("author:cloneless",),
        ("author:good", "-k", "no_such_check", "-p", "xdist", "-n1"),
    ],
    ids=" ".join,
)
def test_pytest_fails_if_no_clone_was_made(args: tuple[str, ...]) -> None:
    """Whether checks are skipped or deselected, with workers or without."""
    done = by_pytest("--clonepolicy-array", *args)

    assert 1 == done.returncode
    problem = "no certificate: no check that makes a clone ran and passed"
    assert problem in done.stdout


def test_pytest_only_collecting_is_no_failure() -> None:
    """Nothing is opened, and there is no summary."""
    done = by_pytest("--co", "-q", "--clonepolicy-array", "author:good")

    assert (0, "") == (done.returncode, marks())
    assert "author:good::clones-every-byte-of-a-volume\n" in done.stdout
    assert "certificate" not in done.stdout


def test_a_bad_name_is_bad_usage_of_pytest() -> None:
    """One line, before any check runs."""
    done = by_pytest("--clonepolicy-array", "author:broke")

    assert (4, "") == (done.returncode, done.stdout)
    line = (
        "ERROR: harness author:broke: expected broke in author, got nothing "
    )
    assert done.stderr.startswith(line)
    assert 1 == done.stderr.strip().count("\n") + 1


def test_a_harness_that_does_not_open_fails_every_check() -> None:
    """With one line each; opening is tried once."""
    done = by_pytest("-q", "--clonepolicy-array", "author:raises")

    assert (1, "r") == (done.returncode, marks())
    line = "\nharness author:raises: expected a harness from a call"
    assert len(ARRAYS.checks) == done.stdout.count(line)
    assert "Traceback" not in done.stdout


def test_pytest_names_the_option_for_another_kind_of_harness() -> None:
    """An array is no image service."""
    done = by_pytest("-x", "--clonepolicy-image-service", "author:good")

    assert (1, "oc") == (done.returncode, marks())
    assert "got ArrayHarness; use --clonepolicy-array\n" in done.stdout


def test_pytest_does_without_the_plugin() -> None:
    """The plugin can be blocked by its name."""
    done = by_pytest_in_full(
        "-p", "no:clonepolicy", "--clonepolicy-array", "author:good"
    )
    assert 4 == done.returncode
    assert "unrecognized arguments: --clonepolicy-array" in done.stderr


def test_pytest_loads_the_kit_only_if_an_option_is_used() -> None:
    """The plugin is installed in every environment that has the package."""
    Path("test_unloaded.py").write_text(
        "import sys\n"
        "def test():\n"
        "    assert '_clonepolicy_pytest' in sys.modules\n"
        "    assert 'clonepolicy' not in sys.modules\n"
    )
    try:
        done = by_pytest_in_full("-q", "test_unloaded.py")
    finally:
        Path("test_unloaded.py").unlink()
    assert 0 == done.returncode, done.stdout
    assert "certificate" not in done.stdout


# -- unittest ---------------------------------------------------------------


def test_unittest_shows_no_frames_of_the_kit() -> None:
    """A failure is its detail and the promise."""
    done = by_unittest(
        "author.Broken.test_clones_one_source_several_times_at_once"
    )

    assert 1 == done.returncode
    assert re.search(
        r"\nAssertionError: volume .*: wrong bytes from offset 0\n"
        r"Clones of one source that are made at the same time .*\n\n",
        done.stderr,
    )
    assert "Traceback" not in done.stderr


def test_unittest_fails_if_no_clone_can_be_made() -> None:
    """A test of its own fails, so that the others can run elsewhere."""
    done = by_unittest("author.Cloneless")

    assert 1 == done.returncode
    failed = re.findall(r"^FAIL: (\w+)", done.stderr, re.MULTILINE)
    assert ["test_some_clone_check_applies"] == failed
    assert "no check that makes a clone applies: see" in done.stderr


def outcome(case: type[ConformanceTestCase]) -> unittest.TestResult:
    """Run a class of tests in this process."""
    tests = unittest.defaultTestLoader.loadTestsFromTestCase(case)
    result = unittest.TestResult()
    tests.run(result)
    return result


def test_the_class_itself_has_no_tests() -> None:
    """A module that imports it gets no tests from it."""
    assert 0 == outcome(ConformanceTestCase).testsRun


def test_a_class_has_the_tests_of_its_suite() -> None:
    """They are named as the checks, and known before anything is opened."""

    class Volumes(ConformanceTestCase):
        suite = VOLUMES
        make_harness = staticmethod(memory_harness)

    names = unittest.defaultTestLoader.getTestCaseNames(Volumes)
    checks = {f"test_{c.id.replace('-', '_')}" for c in VOLUMES.checks}
    assert {*checks, "test_some_clone_check_applies"} == set(names)

    ((_, error),) = outcome(Volumes).errors
    assert "set suite to that of arrays" in error


def test_known_failures_are_known_to_one_class_only() -> None:
    """One harness's list does not change the tests of another class."""

    class Known(ConformanceTestCase):
        @classmethod
        def make_harness(cls) -> Any:  # noqa: ANN401 - of any kind
            _, harness = load_harness("author:broken")
            return harness

    class Model(Known):
        @classmethod
        def make_harness(cls) -> Any:  # noqa: ANN401 - of any kind
            return memory_harness(MemoryArray())

    known, model = outcome(Known), outcome(Model)
    assert 2 == len(known.expectedFailures)
    assert 1 == len(known.unexpectedSuccesses)
    assert (True, []) == (model.wasSuccessful(), model.expectedFailures)


@pytest.mark.skipif(
    importlib.util.find_spec("stestr") is None,
    reason="stestr is not installed",
)
def test_stestr_distributes_the_tests_over_workers() -> None:
    """Each worker opens a harness of its own."""
    Path(".stestr.conf").write_text("[DEFAULT]\ntest_path=.\n")
    Path("test_author.py").write_text("from author import Good\n")
    try:
        done = process("-m", "stestr", "run", "--concurrency", "2")
    finally:
        Path("test_author.py").unlink()
    assert 0 == done.returncode, done.stdout
    assert f"Ran: {len(ARRAYS.checks) + 1} tests" in done.stdout
