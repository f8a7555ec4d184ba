"""``clonepolicy lint``: the formats, the exit codes, what is chosen."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from jsonschema import Draft7Validator

pytest.importorskip("oslo_config", reason="install clonepolicy[lint]")
sys.path.insert(0, str(Path(__file__).parent))

from cli_support import assert_error, run
from clonepolicy.cli._lint import lint

SCHEMA = Path(__file__).with_name("sarif-2.1.0.schema.json")
"""The copy of SchemaStore, whose licence is Apache-2.0."""
CINDER = """\
[DEFAULT]
enabled_backends = ceph
allowed_direct_url_schemes =
  file

[ceph]
volume_driver = cinder.volume.drivers.rbd.RBDDriver
rbd_max_clone_depth = 0
"""
GLANCE = """\
[DEFAULT]
enabled_backends = v:cinder
[v]
cinder_store_password = geheim
cinder_store_user_name = g
cinder_store_auth_address = http://user:key@keystone/v3?x=y
"""
IDS = ["X11", "X26", "X1", "X2", "X30"]


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write files with five findings into the current folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cinder.conf").write_text(CINDER)
    (tmp_path / "glance-api.conf").write_text(GLANCE)
    return tmp_path


BOTH = ("lint", "cinder.conf", "glance-api.conf")


@pytest.mark.usefixtures("files")
def test_a_finding_has_its_place_value_and_remedy() -> None:
    """The line is where the option is set, and its value may be below."""
    done = run(*BOTH)

    assert done.exit_code == 3
    assert "cinder.conf:3: X26 insecure\n" in done.stdout
    place = "([DEFAULT] cinder.conf:3)"
    assert f"[DEFAULT] allowed_direct_url_schemes = file {place}" in (
        done.stdout
    )
    assert "glance-api.conf: X11 insecure\n" in done.stdout
    assert "[v] cinder_store_project_name: not set (the default)" in (
        done.stdout
    )
    assert "found: 2 insecure, 2 off, 1 slow; passed: " in done.stdout
    assert "not checked: X4 X5: needs --os-cloud: the roles" in done.stdout
    assert done.stdout.count("remedy: ") == 5


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("columns", [40, 80])
def test_the_report_fits_a_terminal(columns: int) -> None:
    """Only a long word is wider."""
    for line in run(*BOTH, columns=columns).stdout.splitlines():
        assert len(line) <= columns or " " not in line.strip()


@pytest.mark.usefixtures("files")
def test_the_json_report_has_everything() -> None:
    """Each check is in it once, as a finding, not checked or passed."""
    done = run(*BOTH, "--json")
    report = json.loads(done.stdout)

    assert done.exit_code == 3
    assert IDS == [row["id"] for row in report["findings"]]
    first = report["findings"][1]
    assert first["file"] == "cinder.conf"
    assert (first["line"], first["group"]) == (3, "DEFAULT")
    assert (first["value"], first["origin"]) == ("file", "[DEFAULT]")
    assert first["reasons"] == ["pool-not-allowed"]
    assert first["page"].endswith("#only-some-volumes-take-minutes")
    listed = [row["id"] for row in report["not_checked"]]
    listed += [row["id"] for row in report["findings"]] + report["passed"]
    assert sorted(listed) == sorted(f"X{n}" for n in range(1, 35))


@pytest.mark.parametrize("given", [BOTH, ("lint", "good.cinder.conf")])
def test_the_sarif_report_is_valid(
    files: Path, given: tuple[str, ...]
) -> None:
    """It has the schema's form, with findings and without."""
    good = "[DEFAULT]\nenabled_backends = b\n"
    (files / "good.cinder.conf").write_text(
        f"{good}allowed_direct_url_schemes = cinder\n"
    )
    report = json.loads(run(*given, "--format", "sarif").stdout)

    Draft7Validator(json.loads(SCHEMA.read_text("utf-8"))).validate(report)
    (result,) = report["runs"]
    found = result["results"]
    assert [row["ruleId"] for row in found] == (IDS if given == BOTH else [])
    rules = result["tool"]["driver"]["rules"]
    assert len(rules) == 34
    for row in found:
        assert rules[row["ruleIndex"]]["id"] == row["ruleId"]


@pytest.mark.usefixtures("files")
def test_sarif_names_files_by_uri(files: Path) -> None:
    """A relative path stays relative, so that a forge finds the file."""
    odd = files / "a b%.cinder.conf"
    odd.write_text(CINDER)

    def uris(*given: str) -> set[str]:
        report = json.loads(run("lint", *given, "--format", "sarif").stdout)
        return {
            place["physicalLocation"]["artifactLocation"]["uri"]
            for row in report["runs"][0]["results"]
            for place in row["locations"]
        }

    assert {"cinder.conf"} == uris("cinder.conf")
    assert {"a%20b%25.cinder.conf"} == uris(odd.name)
    assert {odd.as_uri()} == uris(str(odd))


@pytest.mark.usefixtures("files")
def test_the_junit_report_counts_each_check_once() -> None:
    """A check that was not run is skipped."""
    suite = ET.fromstring(run(*BOTH, "--format", "junit").stdout)  # noqa: S314 - our own

    cases = suite.findall("testcase")
    failed = [
        case.get("name") for case in cases if case.find("failure") is not None
    ]
    skipped = [case for case in cases if case.find("skipped") is not None]
    assert {*IDS} == {*failed}
    assert (len(cases), len(failed), len(skipped)) == tuple(
        int(suite.get(name, "")) for name in ("tests", "failures", "skipped")
    )
    assert len(cases) == 34


@pytest.mark.usefixtures("files")
def test_github_is_told_in_its_commands() -> None:
    """Each is one line, with the file and the line."""
    lines = run(*BOTH, "--format", "github").stdout.splitlines()

    assert len(IDS) == len(lines)
    assert lines[1].startswith("::error file=cinder.conf,title=X26,line=3::")
    assert lines[0].startswith("::error file=glance-api.conf,title=X11::")
    assert lines[-1].startswith("::notice file=cinder.conf,title=X30,line=8")


@pytest.mark.parametrize("form", ["text", "json", "sarif", "junit", "github"])
def test_no_format_shows_a_secret(files: Path, form: str) -> None:
    """Neither passwords nor keys in URLs, nor control characters."""
    (files / "cinder.conf").write_text(
        CINDER.replace("file", "Cinder,\x1b[31m,https://me:key@host")
    )

    shown = run(*BOTH, "--format", form).stdout

    assert "geheim" not in shown
    assert "me:key" not in shown
    assert "\x1b" not in shown
    assert "X29" in shown


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(
    ("options", "code", "left"),
    [
        (("--select", "x30"), 3, ["X30"]),
        (("--select", "insecure"), 3, ["X11", "X26"]),
        (("--select", "X30,off"), 3, ["X1", "X2", "X30"]),
        (("--ignore", "insecure, X1"), 3, ["X2", "X30"]),
        (("--select", "X30", "--ignore", "slow"), 0, []),
        (("--select", "X30", "--fail-level", "off"), 0, ["X30"]),
        (("--select", "X1", "--fail-level", "off"), 3, ["X1"]),
        (("--select", "X1", "--fail-level", "insecure"), 0, ["X1"]),
    ],
)
def test_checks_are_chosen_by_number_and_level(
    options: tuple[str, ...], code: int, left: list[str]
) -> None:
    """The mildest level that fails is another choice."""
    done = run(*BOTH, *options, "--json")

    assert code == done.exit_code
    assert left == [row["id"] for row in json.loads(done.stdout)["findings"]]


def test_a_baseline_leaves_out_what_was_there(files: Path) -> None:
    """Lines may have moved; another option is a new finding."""
    (files / "old.json").write_text(run(*BOTH, "--json").stdout)
    path = files / "cinder.conf"
    path.write_text(
        "# new\n" + CINDER + "image_upload_use_cinder_backend = true\n"
    )

    done = run(*BOTH, "--baseline", "old.json", "--json")

    assert done.exit_code == 3
    assert ["X6"] == [row["id"] for row in json.loads(done.stdout)["findings"]]
    path.write_text("# new\n" + CINDER)
    assert run(*BOTH, "--baseline", "old.json").exit_code == 0


def test_a_folder_has_the_files_of_both_services(
    files: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As /etc has them, or as a container has them."""
    for name, service in (
        ("cinder.conf", "cinder"),
        ("glance-api.conf", "glance"),
    ):
        (files / "etc" / service).mkdir(parents=True)
        (files / name).rename(files / "etc" / service / name)
    (files / "etc" / "cinder" / "cinder.conf.d").mkdir()
    more = files / "etc" / "cinder" / "cinder.conf.d" / "1.conf"
    more.write_text("[ceph]\nrbd_max_clone_depth = 5\n")
    monkeypatch.chdir(files / "etc")

    found = json.loads(run("lint", ".", "--json").stdout)["findings"]

    assert IDS[:-1] == [row["id"] for row in found]
    inside = json.loads(run("lint", "cinder", "--json").stdout)["findings"]
    assert {"X26", "X1"} == {row["id"] for row in inside}


@pytest.mark.usefixtures("files")
def test_a_file_of_any_name_is_read_by_an_option(files: Path) -> None:
    """Its own name then says nothing."""
    (files / "cinder.conf").rename(files / "glance-like.txt")

    done = run("lint", "--cinder-conf", "glance-like.txt", "--json")

    found = json.loads(done.stdout)["findings"]
    assert ["X26", "X1", "X30"] == [row["id"] for row in found]


def test_free_space_is_that_of_this_host(files: Path) -> None:
    """The check still needs to know the images."""
    (files / "cinder.conf").write_text(
        CINDER.replace("[ceph]", f"image_conversion_dir = {files}\n[ceph]")
    )

    shown = [
        run("lint", "cinder.conf", "--select", "X22", *more).stdout
        for more in ([], ["--this-host"])
    ]

    assert "X22: needs --this-host: the free space" in shown[0]
    assert "X22: needs --os-cloud: the images" in shown[1]


@pytest.mark.usefixtures("files")
@pytest.mark.parametrize(
    ("args", "text"),
    [
        (("nothing.conf",), "nothing.conf: the name does not say"),
        (("cinder-none.conf",), "cinder-none.conf"),
        (("cinder.conf", "--select", "X99"), "'x99' is neither the id"),
        (("cinder.conf", "--ignore", "bad"), "'bad' is neither the id"),
        (("cinder.conf", "--baseline", "cinder.conf"), "cinder.conf:"),
        (("cinder.conf", "--baseline", "list.json"), "not a report of"),
        (("empty",), "a folder with cinder.conf or glance-api.conf"),
    ],
)
def test_wrong_usage_is_one_error(
    files: Path, args: tuple[str, ...], text: str
) -> None:
    """It says what was expected."""
    (files / "list.json").write_text("[]")
    (files / "empty").mkdir()

    assert_error(2, text, run("lint", *args))


def test_the_examples_of_the_help_run(files: Path) -> None:
    """Those that ask no cloud; clean files have no finding."""
    clean = "[DEFAULT]\nenabled_backends = b\n"
    for name in ("cinder.conf", "node1/cinder.conf", "node2/cinder.conf"):
        (files / name).parent.mkdir(exist_ok=True)
        (files / name).write_text(
            f"{clean}allowed_direct_url_schemes = cinder\n"
            "[glance]\nauth_type = password\n"
        )
    (files / "glance-api.conf").write_text("[DEFAULT]\n")
    lines = re.findall("(?m)^  clonepolicy (lint .*)$", lint.epilog or "")

    assert len(lines) > 3
    for line in lines:
        if "--os-cloud" not in line:
            assert run(*line.partition(" > ")[0].split()).exit_code == 0


def test_an_invalid_file_is_an_error_with_its_line(files: Path) -> None:
    """No service would start with it."""
    path = files / "cinder.conf"
    path.write_text(CINDER.replace("depth = 0", "depth = many"))

    assert_error(2, "cinder.conf:8: [ceph] rbd_max_clone_depth: ", run(*BOTH))


def test_the_checks_are_listed() -> None:
    """With what each needs."""
    rows = json.loads(run("lint", "--list", "--json").stdout)["checks"]

    assert len(rows) == 34
    assert "X28" in run("lint", "--list", "--select", "X28").stdout
    assert "X27" not in run("lint", "--list", "--select", "X28").stdout
