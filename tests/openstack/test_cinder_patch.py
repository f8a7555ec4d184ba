"""The patches in docs/how-to/cinder-developers.md, in a real Cinder 29."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("cinder", reason="needs Cinder: nox -s openstack")

import cinder

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "how-to" / "cinder-developers.md"
PATCHES = re.findall(
    r"^```diff\n(.*?)^```$", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE
)
CALL_SITES = (
    Path("cinder/volume/flows/manager/create_volume.py"),
    Path("cinder/volume/manager.py"),
)
MODULES = (
    "cinder.volume.flows.manager.create_volume",
    "cinder.volume.manager",
)


def link(package: Path, target: Path, copied: set[Path]) -> None:
    """Link to the files of a package; copy those that are patched."""
    target.mkdir()
    for found in package.iterdir():
        if found in copied:
            shutil.copy(found, target)
        elif any(found in path.parents for path in copied):
            link(found, target / found.name, copied)
        elif found.name != "__pycache__":
            (target / found.name).symlink_to(found)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a folder with the installed Cinder, to be patched."""
    made = tmp_path_factory.mktemp("patched")
    installed = Path(cinder.__file__).parent
    copied = {installed.parent / path for path in CALL_SITES}
    link(installed, made / "cinder", copied)
    return made


@pytest.fixture(scope="module")
def patched(folder: Path) -> list[str]:
    """Apply the page's patches without fuzz; return patch's output."""
    return [
        subprocess.run(
            ["patch", "-p1", "--batch", "--fuzz=0"],  # noqa: S607 - its folder differs
            cwd=folder,
            input=patch,
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for patch in PATCHES
    ]


def run(
    *args: str, folder: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a new interpreter, which searches a folder first for modules."""
    searched = os.environ.get("PYTHONPATH", "")
    path = {}
    if folder is not None:
        path["PYTHONPATH"] = os.pathsep.join(
            filter(None, (str(folder), searched))
        )
    return subprocess.run(
        [sys.executable, *args],
        check=False,
        capture_output=True,
        text=True,
        env=os.environ | path,
    )


def test_the_patches_apply_to_the_installed_cinder(
    patched: list[str],
) -> None:
    """There is one for each call site, and patch moves no hunk."""
    assert patched == [f"patching file {path}\n" for path in CALL_SITES]


@pytest.mark.usefixtures("patched")
@pytest.mark.parametrize("module", MODULES)
def test_either_patched_module_can_be_imported_first(
    folder: Path, module: str
) -> None:
    """Their imports contain no cycle."""
    code = f"import cinder.objects as o; o.register_all(); import {module}"
    done = run("-c", code, folder=folder)
    assert done.returncode == 0, done.stderr


@pytest.mark.usefixtures("patched")
def test_a_patched_cinder_passes_its_tests(
    folder: Path,
) -> None:
    """The tests are those of `patched_cinder`."""
    done = run(
        *("-m", "pytest", "-q", "-p", "no:cacheprovider"),
        *("-o", "filterwarnings=default", "-W", "error:::clonepolicy"),
        str(HERE / "patched_cinder.py"),
        folder=folder,
    )
    assert done.returncode == 0, done.stdout


def test_the_adapters_import_neither_the_manager_nor_its_flows() -> None:
    """So both can import the adapters."""
    code = (
        "import sys, clonepolicy.adapters.cinder;"
        f"print(sorted(set({MODULES}) & set(sys.modules)))"
    )
    done = run("-c", code)
    assert (done.stdout, done.returncode) == ("[]\n", 0), done.stderr
