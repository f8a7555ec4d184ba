"""Installed arrays, their versions, and the checks that arrays share."""

from __future__ import annotations

import sys
from pathlib import Path

import attrs
import pytest

from clonepolicy.ports import _installed

sys.path.insert(0, str(Path(__file__).parent))

import array_dists
from array_dists import OFFERED, PROBLEMS
from clonepolicy import (
    Backend,
    ConflictError,
    NotFoundError,
    UnsupportedError,
    Volume,
)
from clonepolicy.adapters.reflink import ReflinkArray
from clonepolicy.ports import (
    InstalledArray,
    check_source,
    check_volume_id,
    installed_arrays,
    load_array,
)

strangers = array_dists.strangers

SOURCE = Volume(
    id="6f2c8a54-9d1e-4b7a-8c3d-2e5f60718293",
    project_id="p",
    size=1,
    status="available",
)


@pytest.fixture
def _newer(monkeypatch: pytest.MonkeyPatch, strangers: Path) -> None:
    """Make version 2 current, and version 1 still supported."""
    del strangers
    monkeypatch.setattr(_installed, "API_VERSION", 2)


# -- what is installed ------------------------------------------------------


def test_the_arrays_of_this_repository_are_offered() -> None:
    """They have the names that configurations use."""
    found = {array.name: array.target for array in installed_arrays()}
    own = {
        "reflink": "clonepolicy.adapters.reflink:ReflinkArray",
        "rbd": "clonepolicy.adapters.rbd:RbdArray",
        "qcow2": "clonepolicy.adapters.qcow2:Qcow2Array",
    }
    assert own == {name: found.get(name) for name in own}
    assert ReflinkArray is load_array("reflink")


@pytest.mark.usefixtures("strangers")
def test_an_installed_array_has_its_class_capabilities() -> None:
    """Name, target, distribution, version and capabilities are listed."""
    (good,) = installed_arrays("good")
    expected = InstalledArray(
        name="good",
        target="stranger:Good",
        distribution="x 1.0",
        api_version=1,
        capabilities=load_array("good").CAPABILITIES,
    )
    assert expected == good


@pytest.mark.usefixtures("strangers")
def test_broken_arrays_hide_no_other_array() -> None:
    """All arrays are listed by name; a broken array has its problem."""
    found = [a for a in installed_arrays() if a.name in OFFERED]
    assert sorted([*OFFERED, "twin", "same"]) == [a.name for a in found]
    broken = {array.name for array in found if array.problem is not None}
    assert set(PROBLEMS) == broken


@pytest.mark.usefixtures("strangers")
@pytest.mark.parametrize("name", PROBLEMS)
def test_a_problem_is_one_line_with_the_remedy(name: str) -> None:
    """Loading the array raises an error with the same message."""
    problem = installed_arrays(name)[0].problem
    assert problem is not None
    assert PROBLEMS[name] in problem
    assert "\n" not in problem
    with pytest.raises(UnsupportedError) as caught:
        load_array(name)
    assert problem == str(caught.value)


@pytest.mark.usefixtures("strangers")
def test_two_distributions_may_offer_the_same_array() -> None:
    """Two entry points with one target are no conflict."""
    assert load_array("good") is load_array("same")
    problems = [array.problem for array in installed_arrays("same")]
    assert [None, None] == problems


@pytest.mark.usefixtures("strangers")
def test_an_unknown_name_lists_the_installed_names() -> None:
    """The error lists each installed name once, sorted."""
    with pytest.raises(NotFoundError) as caught:
        load_array("nope")
    assert "'nope' is installed; there are: ancient, bad, " in str(
        caught.value
    )
    assert 1 == str(caught.value).count("twin")
    assert () == installed_arrays("nope")


@pytest.mark.usefixtures("_newer")
def test_loading_an_array_of_an_older_version_warns() -> None:
    """The array can be loaded until its version is dropped."""
    warning = (
        "written for version 1 of ArrayBackend; version 2 is current, and "
        "1 will be dropped"
    )
    (good,) = installed_arrays("good")
    assert (warning, None) == (good.warning, good.problem)
    with pytest.warns(FutureWarning, match="^stranger:Good: written for"):
        assert "Good" == getattr(load_array("good"), "__name__", None)


@pytest.mark.usefixtures("_newer")
def test_an_array_of_a_dropped_version_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The error names both versions and the remedy."""
    monkeypatch.setattr(_installed, "OLDEST_API_VERSION", 2)
    with pytest.raises(UnsupportedError, match="1, which is older than 2"):
        load_array("good")


# -- what arrays check ------------------------------------------------------


def test_a_volume_id_is_a_uuid_in_cinders_form() -> None:
    """A UUID in lower case with hyphens is accepted."""
    check_volume_id(SOURCE.id)


@pytest.mark.parametrize(
    "volume_id",
    [
        "",
        SOURCE.id.upper(),
        SOURCE.id.replace("-", ""),
        f"{SOURCE.id}\n",
        f" {SOURCE.id}",
        f"../{SOURCE.id}",
        f"{{{SOURCE.id}}}",
        SOURCE.id.replace("6", "\N{ARABIC-INDIC DIGIT SIX}"),
        SOURCE.id.replace("6", "g"),
    ],
)
def test_any_other_volume_id_is_refused(volume_id: str) -> None:
    """No other form of a UUID is accepted, and nothing around it."""
    with pytest.raises(UnsupportedError, match="lower-case, hyphenated UUID"):
        check_volume_id(volume_id)


@pytest.mark.parametrize("status", ["available", "in-use"])
def test_a_source_at_rest_may_be_cloned(status: str) -> None:
    """A source in use can be cloned, because a clone is one instant."""
    check_source(attrs.evolve(SOURCE, status=status), Backend())


def test_an_uploading_source_may_be_cloned_if_declared() -> None:
    """An unknown capability counts as False."""
    uploading = attrs.evolve(SOURCE, status="uploading")
    check_source(uploading, Backend(clone_while_uploading=True))
    for declared in (False, None):
        backend = Backend(clone_while_uploading=declared)
        with pytest.raises(ConflictError, match="is uploading"):
            check_source(uploading, backend)


@pytest.mark.parametrize(
    "status", ["creating", "deleting", "error", "extending", "Available"]
)
def test_a_source_that_is_not_at_rest_is_refused(status: str) -> None:
    """The array's other capabilities do not matter."""
    busy = attrs.evolve(SOURCE, status=status)
    with pytest.raises(ConflictError, match="available or in-use"):
        check_source(busy, Backend(clone_while_uploading=True))
