"""Each check finds its misconfiguration, and deciding gives its reason."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import attrs
import pytest

pytest.importorskip("oslo_config", reason="install clonepolicy[lint]")
sys.path.insert(0, str(Path(__file__).parent))

from clonepolicy import ForbiddenError, decide
from clonepolicy.adapters.conf import CinderConf, GlanceConf
from clonepolicy.adapters.lint import CHECKS, Check, Estate, Level, Need, run
from lint_cases import CASES, Case, KnownCloud, Side, cinder, request_of

DOCS = Path(__file__).parents[1] / "docs"
BY_ID = {check.id: check for check in CHECKS}
EACH = pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)


def reasons_of(case: Case, estate: Estate) -> set[str]:
    """Decide the request of a case; return all reasons and notes."""
    decision = decide(request_of(case, estate), case.policy)
    found = (*decision.findings, *decision.notes)
    return {str(finding.reason) for finding in found}


# -- each check ---------------------------------------------------------------


@EACH
def test_the_smallest_files_show_it(check: Check, tmp_path: Path) -> None:
    """The finding is at an option that the files set, or could set."""
    found = run(CASES[check.id].bad.estate(tmp_path), [check])

    assert found.findings
    assert () == found.passed
    for finding in found.findings:
        assert finding.check is check
        assert Path(finding.file).is_file()
        if finding.line is not None:
            line = (
                Path(finding.file).read_text().splitlines()[finding.line - 1]
            )
            assert line.startswith(finding.spot.value.option.name)
        assert not re.search(r"[{}]", finding.message)
        assert finding.message.endswith(".")


@EACH
def test_the_mended_files_pass(check: Check, tmp_path: Path) -> None:
    """They are passed only if all that is needed is there."""
    found = run(CASES[check.id].good.estate(tmp_path), [check])

    assert () == found.findings
    if CASES[check.id].good.cloud is not None or not check.to_pass:
        assert (check,) == found.passed
    else:
        assert () == found.passed


@EACH
def test_deciding_gives_the_reason(check: Check, tmp_path: Path) -> None:
    """The facts of the files have it, and those of the mended files do not."""
    case = CASES[check.id]
    if case.reason is None:
        assert () == check.reasons
        return
    bad, good = (
        reasons_of(case, side.estate(tmp_path / name))
        for name, side in (("bad", case.bad), ("good", case.good))
    )

    assert case.reason in set(map(str, check.reasons))
    assert case.reason in bad
    assert case.reason not in good


@EACH
def test_without_what_it_needs_it_is_not_checked(
    check: Check, tmp_path: Path
) -> None:
    """It is never among those that passed."""
    side = CASES[check.id].bad
    for need in check.needs:
        without: dict[Need, dict[str, Any]] = {
            Need.CINDER: {"cinder": ("[DEFAULT]\n",) * len(side.cinder)},
            Need.HOSTS: {"cinder": side.cinder[:1]},
            Need.GLANCE: {"glance": None},
            Need.SPACE: {"free": None},
        }
        less = without.get(need, {"cloud": None})

        found = run(attrs.evolve(side, **less).estate(tmp_path), [check])

        assert ((), ()) == (found.findings, found.passed)
        (row,) = found.not_checked
        assert f"needs {need}" in row.why or f"and {need}" in row.why


@EACH
def test_its_page_has_it(check: Check) -> None:
    """The number is under the heading that the check names."""
    path, _, anchor = check.page.partition("#")
    text = (DOCS / path).read_text("utf-8")
    heading, _, rest = text.partition(f"\n## {check.section}\n")

    assert heading != text
    assert re.search(rf"\b{check.id}\b", rest.partition("\n## ")[0])
    assert anchor == re.sub("[^a-z0-9 -]", "", check.section.lower()).replace(
        " ", "-"
    )


def test_the_checks_are_all_misconfigurations() -> None:
    """Their numbers are those of the page, each once."""
    text = (DOCS / "how-to" / "misconfiguration.md").read_text("utf-8")
    numbers = sorted({int(n) for n in re.findall(r"\bX(\d+)\b", text)})

    assert [f"X{n}" for n in numbers] == [check.id for check in CHECKS]
    assert [*CASES] == [check.id for check in CHECKS]


def test_a_check_reads_no_more_than_it_says(tmp_path: Path) -> None:
    """Without a cloud no check asks one."""
    for name, case in CASES.items():
        side = attrs.evolve(case.bad, cloud=None)
        report = run(side.estate(tmp_path / name))
        rest = {f.check.id for f in report.findings}
        rest |= {row.check.id for row in report.not_checked}
        rest |= {check.id for check in report.passed}
        assert rest == BY_ID.keys()


# -- reports ------------------------------------------------------------------


class Silent(KnownCloud):
    """A cloud whose user may read nothing."""

    def __getattribute__(self, name: str) -> object:
        """Refuse every question."""
        if name in {"volume_types", "images", "pools", "service_roles"}:
            raise ForbiddenError(f"{name}: HTTP 403")
        return super().__getattribute__(name)


def test_what_the_cloud_forbids_is_not_checked(tmp_path: Path) -> None:
    """The reason is the cloud's answer."""
    side = attrs.evolve(CASES["X8"].bad, cloud=Silent())

    report = run(side.estate(tmp_path))

    why = {row.check.id: row.why for row in report.not_checked}
    assert "volume_types: HTTP 403" in why["X8"]
    assert "images: HTTP 403" in why["X13"]
    assert "X8" not in {check.id for check in report.passed}


def test_the_worst_comes_first(tmp_path: Path) -> None:
    """A reader who stops early has read what matters most."""
    text = cinder(
        "allowed_direct_url_schemes = file\nimage_conversion_disable = 1\n",
        "volume_driver = x.RBDDriver\nrbd_max_clone_depth = 0\n",
    )

    found = run(Side(cinder=(text,)).estate(tmp_path)).findings

    assert [*Level] == [finding.check.level for finding in found]
    assert ["X26", "X23", "X1", "X30"] == [f.check.id for f in found]


def test_each_host_has_its_own_findings(tmp_path: Path) -> None:
    """They name the file of the host."""
    bad, good = CASES["X1"].bad.cinder, CASES["X1"].good.cinder
    estate = Side(cinder=(*good, *bad)).estate(tmp_path)

    (found,) = run(estate, [BY_ID["X1"]]).findings

    assert found.file.endswith("node1-cinder.conf")


def test_an_option_that_changes_nothing_is_not_reported(
    tmp_path: Path,
) -> None:
    """In [DEFAULT] it is ignored, but the backend has the same value."""
    text = cinder(
        "image_volume_cache_enabled = true\n",
        "image_volume_cache_enabled = true\n",
    )

    assert (
        ()
        == run(Side(cinder=(text,)).estate(tmp_path), [BY_ID["X27"]]).findings
    )


@pytest.mark.parametrize(
    ("one", "other", "apart"),
    [
        ("", "", True),
        ("host = a\n", "host = a\n", False),
        ("host = a\n", "host = b\n", True),
        ("cluster = c\n", "cluster = c\n", False),
        ("cluster = c\n", "", True),
    ],
)
def test_two_services_of_one_array_share_a_name(
    tmp_path: Path, one: str, other: str, *, apart: bool
) -> None:
    """A host or a cluster makes them share image volumes."""
    backend = "volume_driver = x.RBDDriver\nrbd_pool = volumes\n"
    side = Side(cinder=(cinder(one, backend), cinder(other, backend)))

    found = run(side.estate(tmp_path), [BY_ID["X28"]]).findings

    assert apart is bool(found)


@pytest.mark.parametrize(
    "backend",
    [
        "volume_driver = x.RBDDriver\nrbd_pool = other\n",
        "volume_driver = x.Other\nrbd_pool = volumes\n",
        "volume_driver = cinder.volume.drivers.lvm.LVMVolumeDriver\n",
    ],
)
def test_services_of_different_arrays_are_apart(
    tmp_path: Path, backend: str
) -> None:
    """A local disk is an array of its own."""
    first = cinder("", "volume_driver = x.RBDDriver\nrbd_pool = volumes\n")
    side = Side(cinder=(first, cinder("", backend)))

    assert () == run(side.estate(tmp_path), [BY_ID["X28"]]).findings


def test_declared_arrays_count_more_than_addresses(tmp_path: Path) -> None:
    """Two addresses can lead to one array."""
    texts = (
        cinder(
            "", f'san_ip = {ip}\nextra_capabilities = {{"array_id": "a"}}\n'
        )
        for ip in ("10.0.0.1", "10.0.0.2")
    )

    assert run(
        Side(cinder=tuple(texts)).estate(tmp_path), [BY_ID["X28"]]
    ).findings


# -- documents ----------------------------------------------------------------


def snippets(name: str) -> list[str]:
    """Return the snippets of the page that enables cloning."""
    text = (DOCS / "how-to" / "enable.md").read_text("utf-8")
    fence = re.compile(r"(?ms)^```ini\n# (\S+)\n(.*?)^```$")
    return [found for file, found in fence.findall(text) if file == name]


@pytest.mark.parametrize("count", [1, None])
def test_the_page_that_enables_cloning_is_clean(
    tmp_path: Path, count: int | None
) -> None:
    """Its first example is, and so are all of them together."""
    text = "\n".join(snippets("cinder.conf")[:count])
    if count is None:
        legacy = "show_multiple_locations = True\nnotes = decline\n"
        assert legacy in text
    path, glance = tmp_path / "cinder.conf", tmp_path / "glance-api.conf"
    path.write_text(text)
    (example,) = snippets("glance-api.conf")
    glance.write_text(example)

    report = run(
        Estate(cinder=(CinderConf([path]),), glance=(GlanceConf([glance]),))
    )

    assert [] == [(f.check.id, f.line, f.message) for f in report.findings]
    assert len(report.passed) > 15


SAMPLES = Path(__file__).with_name("lint_samples")
"""Files as deployment tools write them: their options, not their texts."""
EXPLAINED = tomllib.loads((SAMPLES / "explained.toml").read_text("utf-8"))


@pytest.mark.parametrize("tool", sorted(EXPLAINED))
def test_each_finding_in_a_sample_is_explained(tool: str) -> None:
    """And each explanation is of a finding."""
    folder = SAMPLES / tool
    hosts = [CinderConf([p]) for p in sorted(folder.glob("*cinder.conf"))]
    glance = GlanceConf([folder / "glance-api.conf"])

    report = run(Estate(cinder=tuple(hosts), glance=(glance,)))

    found = {
        f"{each.check.id} {Path(each.file).name}:"
        f"[{each.spot.value.group}] {each.spot.value.option.name}"
        for each in report.findings
    }
    assert {row["find"] for row in EXPLAINED[tool]} == found
    assert all(row["why"].endswith(".") for row in EXPLAINED[tool])


def test_each_tool_has_an_explanation() -> None:
    """None is forgotten."""
    tools = {path.name for path in SAMPLES.iterdir() if path.is_dir()}

    assert tools == EXPLAINED.keys()
