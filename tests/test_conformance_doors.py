"""The kit's three doors: a program, pytest and unittest; one set of rows."""

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
    BenchError,
    ConformanceTestCase,
    Status,
    load_bench,
    run,
)
from clonepolicy.testing.conformance._program import program
from clonepolicy.testing.memory import memory_harness

SHARES = next(row for row in ARRAYS.rows if row.id == "shares-its-data")

PATIENCE = 120
"""Seconds that a loaded machine is given before a test fails."""

BENCHES = r'''
import pathlib
import time

import attrs

from clonepolicy import Backend
from clonepolicy.testing.conformance import ConformanceTestCase
from clonepolicy.adapters.memory import MemoryArray
from clonepolicy.testing.memory import memory_harness

BENCH = memory_harness()
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
            "clones-every-byte": "the first \x00 \ud800 block",
            "clones-clones": "the same",
            "is-one-array": "it is one",
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
    return {"a": "bench"}


def silent():
    bench = memory_harness()
    bench.array.get_backend = lambda: 1 / 0
    return attrs.evolve(bench, close=lambda: mark("c"))


def mistyped():
    return attrs.evolve(memory_harness(), xfail={"clone-every-byte": "no"})


class Good(ConformanceTestCase):
    make_bench = good


class Broken(ConformanceTestCase):
    make_bench = staticmethod(broken)


class Cloneless(ConformanceTestCase):
    @classmethod
    def make_bench(cls):
        return cloneless()
'''

BAD = {
    "benches": "expected package.module:function, got 'benches'; name a",
    "doors:": "expected package.module:function, got 'doors:'",
    "doors:broke": "got nothing of that name; did you mean broken",
    "doors:zzz": "expected zzz in doors, got nothing of that name; define",
    "nowhere:bench": "ModuleNotFoundError: No module named 'nowhere'; make",
    "doors_raises:bench": "ZeroDivisionError: division by zero; make python",
    "doors_exits:bench": "got SystemExit: 3; make python -c",
    "doors:NUMBER": "or a function, got int 7; name a function",
    "doors:raises": "got OSError: [Errno 5] the array is off; see that",
    "doors:needs": "missing 1 required positional argument: 'place'; see",
    "doors:wrong": "got dict {'a': 'bench'}; let the function return one",
    "doors:silent": "that tells what it can do, got ZeroDivisionError",
    "doors:mistyped": "in xfail, got 'clone-every-byte'; did you mean clon",
}
"""What is wrong with each bench that cannot be opened."""


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of an author, with benches in it."""
    place = tmp_path_factory.mktemp("author")
    (place / "doors.py").write_text(BENCHES)
    (place / "doors_raises.py").write_text("1 / 0")
    (place / "doors_exits.py").write_text("import sys; sys.exit(3)")
    (place / "pytest.toml").write_text(
        '[pytest]\nstrict = true\nfilterwarnings = ["error"]\n'
    )
    return place


@pytest.fixture(autouse=True)
def _there(doors: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand in that directory, where nothing was done yet."""
    monkeypatch.chdir(doors)
    monkeypatch.syspath_prepend(doors)
    monkeypatch.delenv("COLUMNS", raising=False)
    for name in ("marks", "begun"):
        Path(name).unlink(missing_ok=True)


def marks() -> str:
    """Read what benches left: o when opened, c when closed, r if neither."""
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


# -- the doors agree --------------------------------------------------------


def statuses_by_program(name: str) -> tuple[int, dict[str, str]]:
    """Take them from the JSON."""
    result = by_program(f"doors:{name}", "--json")
    (bench,) = json.loads(result.stdout)["benches"]
    return result.exit_code, {r["row"]: r["status"] for r in bench["rows"]}


@functools.cache
def whole_run(name: str) -> tuple[subprocess.CompletedProcess[str], str]:
    """Run pytest with one bench; give the XML, too."""
    spec = f"doors:{name}"
    run_it = by_pytest_in_full if name == "good" else by_pytest
    done = run_it("-v", "--clonepolicy-array", spec, "--junitxml=run.xml")
    return done, Path("run.xml").read_text()


def statuses_by_pytest(name: str) -> tuple[int, dict[str, str]]:
    """Take them from JUnit's XML."""
    done, written = whole_run(name)
    words = {"pytest.skip": "SKIP", "pytest.xfail": "XFAIL", None: "FAIL"}
    found = {}
    for case in ET.fromstring(written).iter("testcase"):  # noqa: S314 - ours
        assert f"doors:{name}" == case.get("classname")
        (status,) = [
            words[child.get("type")]
            for child in case
            if child.tag != "properties"
        ] or ["PASS"]
        found[case.attrib["name"]] = status
    return done.returncode, found


def statuses_by_unittest(name: str) -> tuple[int, dict[str, str]]:
    """Take them from what it writes with -v."""
    done = by_unittest(f"doors.{name.capitalize()}")
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
    statuses = {row.replace("_", "-"): words[word] for row, word in found}
    assert "PASS" == statuses.pop("some-clone-row-applies")
    return done.returncode, statuses


@pytest.mark.parametrize(("name", "code"), [("good", 0), ("broken", 1)])
def test_the_doors_agree(name: str, code: int) -> None:
    """Every row has one status, whoever asks, and so has the run."""
    table, bench = load_bench(f"doors:{name}")
    expected = {r.row.id: str(r.status) for r in run(table, bench).results}
    assert [row.id for row in ARRAYS.rows] == list(expected)

    assert (code, expected) == statuses_by_program(name)
    assert (code, expected) == statuses_by_pytest(name)
    assert (code, expected) == statuses_by_unittest(name)


def test_the_broken_bench_has_every_status() -> None:
    """Else that the doors agree would say little."""
    _, statuses = statuses_by_program("broken")

    assert {str(status) for status in Status} == set(statuses.values())
    assert "XFAIL" == statuses["clones-every-byte"]
    assert "FAIL" == statuses["is-one-array"]


# -- the program ------------------------------------------------------------


def test_the_program_shows_rows_and_the_level() -> None:
    """A line for each row, counts, the level in words, and the verdict."""
    result = by_program("doors:good")

    assert (0, "", "oc") == (result.exit_code, result.stderr, marks())
    lines = result.stdout.splitlines()
    # whose it is stands behind it where a wheel is installed
    assert lines[0].startswith(
        "doors:good: clonepolicy.adapters.memory._array.MemoryArray"
    )
    row = next(line for line in lines if "clones-clones" in line)
    assert re.fullmatch(r"PASS +clones-clones +[\d.]+ ms +5 generations", row)
    skip = next(line for line in lines if "tells-its-limit" in line)
    assert skip.startswith("SKIP ")
    assert skip.endswith("not declared: a limit (clone_limit)")
    count = len(ARRAYS.rows)
    assert (
        f"{count} of {count} rows: {count - 10} PASS, 10 SKIP, " in lines[-3]
    )
    assert ["level: shares (declared: shares)", "certificate"] == lines[-2:]


def test_a_broken_promise_is_told_with_what_is_wrong() -> None:
    """The promise stands under the detail; the level falls."""
    result = by_program("doors:broken")

    assert 1 == result.exit_code
    promise = "What is written to a clone shows neither in the image nor"
    assert promise in result.stdout
    assert "A grown volume has its data" not in result.stdout
    assert "passes, but is listed as failing: it is one" in result.stdout
    assert r"the first \x00 \ud800 block (volume " in result.stdout
    assert "level: none (declared: shares)" in result.stdout
    assert re.search("no certificate: .* rows failed", result.stdout)


def test_long_tells_every_promise() -> None:
    """Those that are kept, too."""
    shown = by_program("doors:good", "--long").stdout
    assert [] == [r.id for r in ARRAYS.rows if r.promise not in shown]


def test_json_has_all_that_is_known() -> None:
    """One document, with what a certificate has to say."""
    told = json.loads(by_program("doors:good", "--json").stdout)

    assert {"clonepolicy", "benches"} == set(told)
    (bench,) = told["benches"]
    assert {
        "bench": "doors:good",
        "kind": "array",
        "adapter": "clonepolicy.adapters.memory._array.MemoryArray",
        "level_declared": "shares",
        "level_held": "shares",
        "problem": None,
    }.items() <= bench.items()
    assert "copy-on-write" == bench["declares"]["clone_kind"]
    assert {"PASS", "SKIP", "XFAIL", "FAIL"} == set(bench["counts"])
    row = bench["rows"][0]
    assert {
        "row": "declares-what-it-is",
        "status": "PASS",
        "detail": "version 1",
        "promise": ARRAYS.rows[0].promise,
        "level": "stores",
    }.items() <= row.items()
    assert 0 < row["seconds"] < PATIENCE


def test_several_benches_are_run_one_after_the_other() -> None:
    """Each has its summary; one that fails makes the program fail."""
    result = by_program("doors:good", "doors:cloneless", "doors:good")

    assert (1, "ococ") == (result.exit_code, marks())
    assert 2 == result.stdout.count("\ncertificate\n")
    problem = "no certificate: no row with a clone was executed and passed\n"
    assert 1 == result.stdout.count(problem)


def test_single_rows_are_no_certificate() -> None:
    """They may pass, and the level is not known."""
    result = by_program("doors:good", "--only", "clones-every-*", "--json")
    (bench,) = json.loads(result.stdout)["benches"]
    rows = [row["row"] for row in bench["rows"]]
    assert ["clones-every-byte", "clones-every-byte-of-an-image"] == rows
    assert (0, None) == (result.exit_code, bench["level_held"])

    only = ("--only", "never-shrinks", "--only", "clones-clones")
    shown = by_program("doors:good", *only).stdout.splitlines()
    count = len(ARRAYS.rows)
    verdict = f"no certificate: only 2 of {count} rows were run"
    assert ["level: unknown", verdict] == shown[-2:]


def test_single_rows_without_a_clone_say_nothing() -> None:
    """That fails, as a whole run without a clone does."""
    result = by_program("doors:good", "--only", "never-shrinks")
    assert 1 == result.exit_code


def test_the_rows_are_listed_without_a_bench() -> None:
    """With promise, level, and what leaves them out."""
    result = by_program("--rows")
    assert 0 == result.exit_code
    for table in (ARRAYS, IMAGES, VOLUMES):
        for row in table.rows:
            assert row.id in result.stdout
            assert row.promise in result.stdout

    told = json.loads(
        by_program("--rows", "--only", "shares*", "--json").stdout
    )
    assert {
        "array": [
            {
                "row": "shares-its-data",
                "promise": SHARES.promise,
                "level": "shares",
                "clones": True,
                "left_out_if": [need.missing for need in SHARES.needs],
            }
        ],
        "image-service": [],
        "volume-service": [],
    } == told


def test_junit_holds_what_xml_can_hold() -> None:
    """Counts, times and texts; what is no XML is written as an escape."""
    result = by_program("doors:broken", "--junit", "kit.xml")

    assert 1 == result.exit_code
    (suite,) = ET.parse("kit.xml").getroot()  # noqa: S314 - ours
    cases = {case.get("name"): case for case in suite}
    assert [row.id for row in ARRAYS.rows] == list(cases)
    for count, tag in (("failures", "failure"), ("skipped", "skipped")):
        found = [case for case in suite if case.find(tag) is not None]
        assert suite.get(count) == str(len(found))
    assert suite.get("tests") == str(len(ARRAYS.rows))
    known = cases["clones-every-byte"].find("skipped")
    assert known is not None
    message = known.get("message", "")
    assert message.startswith(r"the first \x00 \ud800 block (volume ")
    assert all(float(case.get("time", "")) >= 0 for case in suite)


@pytest.mark.parametrize("spec", BAD)
def test_a_bad_bench_is_one_line(spec: str) -> None:
    """It says what was given, what was expected, and what to do."""
    result = by_program(spec)

    assert (2, "") == (result.exit_code, result.stdout)
    assert result.stderr.startswith(f"error: bench {spec}: expected ")
    assert BAD[spec] in result.stderr
    assert 1 == result.stderr.count("\n")


@pytest.mark.parametrize(
    ("args", "text"),
    [
        ((), "name a function that makes a bench; see kit --help"),
        (("doors:good", "--only", "never-shrink"), "mean never-shrinks?"),
        (("doors:good", "--only", "zzz*"), "'zzz*'; --rows lists them"),
        (("doors:good", "--junit", "no/file.xml"), "No such file"),
        (("doors:good", "doors:goods"), "did you mean good"),
    ],
)
def test_bad_usage_is_one_line(args: tuple[str, ...], text: str) -> None:
    """And nothing is opened."""
    result = by_program(*args)

    assert (2, "", "") == (result.exit_code, result.stdout, marks())
    assert text in result.stderr
    assert 1 == result.stderr.count("\n")


def test_errors_are_json_where_that_is_asked_for() -> None:
    """One document on standard error."""
    result = by_program("doors:wrong", "--json")

    assert (2, "") == (result.exit_code, result.stdout)
    assert "usage" == json.loads(result.stderr)["error"]["kind"]


def test_a_bench_object_serves_as_well() -> None:
    """A module may hold a bench and no function."""
    table, bench = load_bench("doors:BENCH")
    assert ARRAYS is table
    assert bench is importlib.import_module("doors").BENCH


def test_a_bench_that_is_refused_is_closed_again() -> None:
    """It was opened, after all."""
    with pytest.raises(BenchError, match="tells what it can do"):
        load_bench("doors:silent")
    assert "c" == marks()


def test_an_interrupted_run_closes_its_bench() -> None:
    """It ends with 130 and without a traceback."""
    # what runs in the background may have inherited to ignore it
    ours = signal.signal(signal.SIGINT, signal.default_int_handler)
    running = subprocess.Popen(
        [sys.executable, "-m", "clonepolicy.testing", "doors:slow"],
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

    assert (130, "c") == (running.returncode, marks())
    assert "" == stderr.strip()


def test_a_terminal_sees_which_row_is_run() -> None:
    """On standard error; standard output has the result alone."""
    ours, theirs = pty.openpty()
    program = (sys.executable, "-m", "clonepolicy.testing")
    running = subprocess.Popen(
        [*program, "doors:good", "--only", "clones-every-byte", "--json"],
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

    assert b"doors:good: clones-every-byte" in seen
    assert 1 == len(json.loads(stdout)["benches"])


def test_a_missing_extra_is_named() -> None:
    """Without click there is one line, which says what to install."""
    code = (
        "import runpy, sys; sys.modules['click'] = None; "
        "runpy.run_module('clonepolicy.testing', run_name='__main__')"
    )
    done = process("-c", code)

    told = "error: there is no module click; install clonepolicy[testing]\n"
    assert (2, told) == (done.returncode, done.stderr)


# -- pytest -----------------------------------------------------------------


def test_pytest_needs_no_file_and_tells_the_level() -> None:
    """The rows are what there is, and the summary says what they come to."""
    done, _ = whole_run("good")

    assert 0 == done.returncode
    count = len(ARRAYS.rows)
    assert f"collected {count} items" in done.stdout
    assert "doors:good::clones-every-byte PASSED" in done.stdout
    assert "doors:good::copies-if-it-says-so SKIPPED (not " in done.stdout
    assert "level: shares (declared: shares)\ncertificate" in done.stdout


def test_pytest_tells_what_is_wrong_without_the_kit() -> None:
    """Failures read as what is wrong and the promise."""
    done, _ = whole_run("broken")

    assert 1 == done.returncode
    assert "doors:broken::clones-every-byte XFAIL (the first" in done.stdout
    assert re.search(
        r"__ clones-every-byte-of-an-image \(doors:broken\) _+\n"
        r"volume .*: other bytes from offset 0\n"
        r"A clone has the image's bytes, .*\n___",
        done.stdout,
    )


def test_pytest_selects_and_stops() -> None:
    """With its own options, and closes the bench."""
    done = by_pytest(
        *("-q", "-x", "-k", "is-one or declares-what"),
        *("--clonepolicy-array", "doors:broken"),
        *("--clonepolicy-array", "doors:good"),
    )

    assert (1, "") == (done.returncode, marks())
    assert "1 failed, 1 passed" in done.stdout
    assert "stopping after 1 failures" in done.stdout


def test_pytest_has_known_failures_run_if_that_is_asked_for() -> None:
    """As with pytest's own marks."""
    done = by_pytest(
        *("--runxfail", "-k", "clones-clones"),
        *("--clonepolicy-array", "doors:broken"),
    )
    assert 1 == done.returncode
    assert "the same (volume " in done.stdout


def test_pytest_spreads_rows_over_workers() -> None:
    """Each has a bench of its own, and the controller sums up."""
    done = by_pytest("-p", "xdist", "-n2", "--clonepolicy-array", "doors:good")

    assert (0, "ccoo") == (done.returncode, "".join(sorted(marks())))
    assert "level: shares (declared: shares)\ncertificate" in done.stdout


@pytest.mark.parametrize(
    "args",
    [
        ("doors:cloneless",),
        ("doors:good", "-k", "no_such_row", "-p", "xdist", "-n1"),
    ],
    ids=" ".join,
)
def test_pytest_fails_where_no_clone_was_made(args: tuple[str, ...]) -> None:
    """Whether rows are skipped or deselected, and whoever executes them."""
    done = by_pytest("--clonepolicy-array", *args)

    assert 1 == done.returncode
    problem = "no certificate: no row with a clone was executed and passed"
    assert problem in done.stdout


def test_pytest_only_collecting_is_no_failure() -> None:
    """Nothing is opened, and nothing said."""
    done = by_pytest("--co", "-q", "--clonepolicy-array", "doors:good")

    assert (0, "") == (done.returncode, marks())
    assert "doors:good::clones-every-byte\n" in done.stdout
    assert "certificate" not in done.stdout


def test_a_bad_name_is_bad_usage_of_pytest() -> None:
    """One line, before anything is run."""
    done = by_pytest("--clonepolicy-array", "doors:broke")

    assert (4, "") == (done.returncode, done.stdout)
    line = "ERROR: bench doors:broke: expected broke in doors, got nothing "
    assert done.stderr.startswith(line)
    assert 1 == done.stderr.strip().count("\n") + 1


def test_a_bench_that_does_not_open_fails_every_row_in_pytest() -> None:
    """With one line each; that it opens is tried once."""
    done = by_pytest("-q", "--clonepolicy-array", "doors:raises")

    assert (1, "r") == (done.returncode, marks())
    line = "\nbench doors:raises: expected a bench from a call"
    assert len(ARRAYS.rows) == done.stdout.count(line)
    assert "Traceback" not in done.stdout


def test_pytest_names_the_option_for_another_kind_of_bench() -> None:
    """An array is no image service."""
    done = by_pytest("-x", "--clonepolicy-image-service", "doors:good")

    assert (1, "oc") == (done.returncode, marks())
    assert "got ArrayBench; use --clonepolicy-array\n" in done.stdout


def test_pytest_does_without_the_plugin() -> None:
    """It can be blocked by its name, and the option is gone then."""
    done = by_pytest_in_full(
        "-p", "no:clonepolicy", "--clonepolicy-array", "doors:good"
    )
    assert 4 == done.returncode
    assert "unrecognized arguments: --clonepolicy-array" in done.stderr


def test_nothing_is_loaded_unless_it_is_asked_for() -> None:
    """Whoever has this package installed does not wait for it in pytest."""
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


def test_unittest_tells_promises_and_no_frames_of_the_kit() -> None:
    """What is wrong stands alone."""
    done = by_unittest("doors.Broken.test_clones_many_at_once")

    assert 1 == done.returncode
    assert re.search(
        r"\nAssertionError: volume .*: other bytes from offset 0\n"
        r"Clones of one source made at the same time are all whole.\n\n",
        done.stderr,
    )
    assert "Traceback" not in done.stderr


def test_unittest_fails_where_no_clone_can_be_made() -> None:
    """By a test of its own, so that it does not matter who runs the rest."""
    done = by_unittest("doors.Cloneless")

    assert 1 == done.returncode
    failed = re.findall(r"^FAIL: (\w+)", done.stderr, re.MULTILINE)
    assert ["test_some_clone_row_applies"] == failed
    assert "no row with a clone applies: see what is skipped" in done.stderr


def outcome(case: type[ConformanceTestCase]) -> unittest.TestResult:
    """Run a class of tests in this process."""
    tests = unittest.defaultTestLoader.loadTestsFromTestCase(case)
    result = unittest.TestResult()
    tests.run(result)
    return result


def test_the_class_itself_has_no_tests() -> None:
    """Modules that import it are not tested for that."""
    assert 0 == outcome(ConformanceTestCase).testsRun


def test_a_class_has_the_tests_of_its_table() -> None:
    """Named as the rows, known before anything is opened."""

    class Volumes(ConformanceTestCase):
        table = VOLUMES
        make_bench = staticmethod(memory_harness)

    names = unittest.defaultTestLoader.getTestCaseNames(Volumes)
    rows = {f"test_{row.id.replace('-', '_')}" for row in VOLUMES.rows}
    assert {*rows, "test_some_clone_row_applies"} == set(names)

    ((_, error),) = outcome(Volumes).errors
    assert "let the class have the table of arrays" in error


def test_known_failures_are_known_to_one_class_only() -> None:
    """What one bench lists says nothing about another's rows."""

    class Known(ConformanceTestCase):
        @classmethod
        def make_bench(cls) -> Any:  # noqa: ANN401 - of any kind
            _, bench = load_bench("doors:broken")
            return bench

    class Model(Known):
        @classmethod
        def make_bench(cls) -> Any:  # noqa: ANN401 - of any kind
            return memory_harness(MemoryArray())

    known, model = outcome(Known), outcome(Model)
    assert 2 == len(known.expectedFailures)
    assert 1 == len(known.unexpectedSuccesses)
    assert (True, []) == (model.wasSuccessful(), model.expectedFailures)


@pytest.mark.skipif(
    importlib.util.find_spec("stestr") is None,
    reason="stestr is not installed",
)
def test_stestr_spreads_the_tests_over_workers() -> None:
    """Each worker opens a bench of its own."""
    Path(".stestr.conf").write_text("[DEFAULT]\ntest_path=.\n")
    Path("test_doors.py").write_text("from doors import Good\n")
    try:
        done = process("-m", "stestr", "run", "--concurrency", "2")
    finally:
        Path("test_doors.py").unlink()
    assert 0 == done.returncode, done.stdout
    assert f"Ran: {len(ARRAYS.rows) + 1} tests" in done.stdout
