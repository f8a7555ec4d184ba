"""The table of driver families agrees with the source of Cinder's drivers."""

from __future__ import annotations

import ast
import functools
import importlib.util
import pathlib
import re
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("cinder", reason="needs Cinder: nox -s openstack")

from cinder import exception, objects

objects.register_all()  # the drivers name its classes

from cinder.volume.drivers import lightos, lvm, nfs  # noqa: E402 - the same
from installed import RELEASE  # noqa: E402 - the same

from clonepolicy.adapters._drivers import INHERITING  # noqa: E402 - the same
from clonepolicy.adapters._families import (  # noqa: E402 - the same
    DELEGATING,
    FAMILIES,
    NO_IMAGES,
    OWN_IMAGES,
    PACKAGE,
    Family,
    family_of,
)
from clonepolicy.adapters.cinder import (  # noqa: E402 - the same
    backend_from_driver,
)
from clonepolicy.adapters.cinder._releases.known import (  # noqa: E402 - the same
    RELEASES,
)

_SPEC = importlib.util.find_spec("cinder.volume.drivers")
assert _SPEC is not None
assert _SPEC.submodule_search_locations is not None
DRIVERS = pathlib.Path(_SPEC.submodule_search_locations[0])
_CHECKS = re.compile(r"(?:\.|')(status|attach_status|volume_attachment)\b")
LOOKS = {
    "dell_emc.unity.adapter.CommonAdapter.create_cloned_volume": (
        "copies by another way if attached"
    ),
    "dell_emc.powerstore.nfs.PowerStoreNFSDriver._create_cloned_volume": (
        "passes it on in a copy of the source"
    ),
    "hpe.hpe_3par_common.HPE3PARCommon.create_cloned_volume": (
        "copies by another way if the source is being backed up"
    ),
    "hedvig.rest_client.RestClient.clone_vdisk": "the answer's status",
    "ibm.ibm_storage.ds8k_proxy.DS8KProxy._clone_lun": "the clone's status",
    "kioxia.kumoscale.KumoScaleBaseVolumeDriver.create_cloned_volume": (
        "the answer's status"
    ),
    "prophetstor.dplcommon.DPLCOMMONDriver.create_cloned_volume": (
        "the clone's status"
    ),
}
"""Methods that read some status, and whose or what for."""


@functools.cache
def module(name: str) -> ast.Module:
    """Parse a module of drivers."""
    path = DRIVERS.joinpath(*name.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    if not file.exists():
        pytest.skip(f"Cinder {RELEASE} has no {name}")
    return ast.parse(file.read_text("utf-8"))


def class_of(path: str) -> ast.ClassDef:
    """Find a class by ``module.Class``."""
    name, _, wanted = path.rpartition(".")
    for node in module(name).body:
        if isinstance(node, ast.ClassDef) and node.name == wanted:
            return node
    pytest.skip(f"Cinder {RELEASE} has no {path}")


def methods(kind: ast.ClassDef) -> dict[str, ast.FunctionDef]:
    """Return the methods that a class itself defines."""
    return {
        node.name: node
        for node in kind.body
        if isinstance(node, ast.FunctionDef)
    }


def read_in(family: Family) -> Iterator[tuple[str, ast.FunctionDef]]:
    """Find each method of a row in Cinder's source."""
    for path in (f"{family.definer}.{family.method}", *family.methods):
        owner, _, name = path.rpartition(".")
        yield path, methods(class_of(owner))[name]


@pytest.mark.parametrize("family", FAMILIES, ids=lambda row: row.definer)
def test_a_driver_that_checks_nothing_reads_no_status(family: Family) -> None:
    """A row that declares no check is one of code without any."""
    seen = {
        path
        for path, method in read_in(family)
        if path not in LOOKS and _CHECKS.search(ast.unparse(method))
    }
    refuses = family.clone_while_uploading is not True
    assert refuses == bool(seen), seen


@pytest.mark.parametrize("path", LOOKS)
def test_each_excuse_is_needed(path: str) -> None:
    """A method that reads no status needs none."""
    owner, _, name = path.rpartition(".")
    assert _CHECKS.search(ast.unparse(methods(class_of(owner))[name]))


def imported(name: str) -> dict[str, str]:
    """Return what a module's imported names stand for."""
    found = {}
    for node in ast.walk(module(name)):
        if isinstance(node, ast.ImportFrom) and node.module:
            for each in node.names:
                at = f"{node.module}.{each.name}"
                found[each.asname or each.name] = at
        elif isinstance(node, ast.Import):
            for each in node.names:
                whole = each.asname is not None
                first = each.name.partition(".")[0]
                found[each.asname or first] = each.name if whole else first
    return found


def definer_of(path: str, method: str) -> str | None:
    """Follow the bases of a class to the one that defines a method."""
    kind, name = class_of(path), path.rpartition(".")[0]
    if method in methods(kind):
        return path
    for base in kind.bases:
        head, dot, rest = ast.unparse(base).partition(".")
        at = imported(name).get(head, f"{PACKAGE}{name}.{head}") + dot + rest
        if at.startswith(PACKAGE) and not at.endswith(".object"):
            found = definer_of(at.removeprefix(PACKAGE), method)
            if found is not None:
                return found
    return None


UNREAD = {
    "dell_emc.powerflex.driver.PowerFlexDriver",
    "ibm.flashsystem_common.FlashSystemDriver",
    "windows.iscsi.WindowsISCSIDriver",
}
"""What only older releases have; nothing is known of these drivers."""


def drivers() -> Iterator[str]:
    """Find every class that Cinder lists as a driver."""
    for file in sorted(DRIVERS.rglob("*.py")):
        parts = file.relative_to(DRIVERS).with_suffix("").parts
        name = ".".join(part for part in parts if part != "__init__")
        for node in module(name).body if name else ():
            if isinstance(node, ast.ClassDef) and any(
                "volumedriver" in ast.unparse(each)
                for each in node.decorator_list
            ):
                yield f"{name}.{node.name}"


def test_every_driver_of_cinder_is_in_the_table() -> None:
    """By the class that defines how it clones."""
    rows = {family.definer for family in FAMILIES}
    found = set()
    for path in drivers():
        definer = definer_of(path, "create_cloned_volume")
        if definer in DELEGATING:
            definer = definer_of(path, "_create_cloned_volume")
        found.add(definer)
    if RELEASE != RELEASES[-1]:
        assert found - rows <= UNREAD
        return
    # a base class without drivers of its own
    assert rows - found == {"dell_emc.powermax.nvme.PowerMaxNVMEBaseDriver"}
    assert found <= rows


def test_every_driver_leads_to_the_class_by_which_it_clones() -> None:
    """By its path alone; and it extends volumes."""
    if RELEASE != RELEASES[-1]:
        pytest.skip("the table is that of the newest Cinder")
    found = {}
    for path in drivers():
        definer = definer_of(path, "create_cloned_volume")
        if definer in DELEGATING:
            definer = definer_of(path, "_create_cloned_volume")
        if definer != path:
            found[path] = definer
        assert definer_of(path, "extend_volume"), path
    assert found == INHERITING


def test_every_clone_image_of_cinder_is_in_the_table() -> None:
    """And no class is named that does not define one."""
    found = {definer_of(path, "clone_image") for path in drivers()} - {None}
    assert found == {*OWN_IMAGES, *NO_IMAGES, "rbd.RBDDriver"}


class Silent(nfs.NfsDriver):  # type: ignore[misc] # untyped
    """Overrides a method on which its family's row relies."""

    def _create_cloned_volume(self, *args: object) -> None:
        del args


class Other(lvm.LVMVolumeDriver):  # type: ignore[misc] # untyped
    """Clones in a way of its own."""

    def create_cloned_volume(self, volume: object, src_vref: object) -> None:
        del volume, src_vref


class Snapshots(lightos.LightOSVolumeDriver):  # type: ignore[misc] # untyped
    """Makes the snapshots that it clones in a way of its own."""

    def _create_snapshot(self, *args: object) -> None:
        del args


@pytest.mark.parametrize("kind", [Silent, Other, Snapshots])
def test_nothing_is_known_of_a_driver_that_overrides_a_method(
    kind: type,
) -> None:
    """It is not of the family of its base class."""
    driver: Any = object.__new__(kind)
    driver.capabilities = {}
    assert family_of(driver) is None
    backend = backend_from_driver(driver)
    assert backend.clone_while_uploading is None
    assert backend.clone_in_use is None


def test_the_remotefs_family_refuses_what_is_in_use() -> None:
    """Its own check raises for that status."""
    driver = object.__new__(nfs.NfsDriver)
    driver.capabilities = {}
    backend = backend_from_driver(driver)
    assert backend.clone_while_uploading is False
    assert backend.clone_in_use is False
    new = SimpleNamespace(id="new", size=1)
    source = SimpleNamespace(id="source", size=1, status="in-use")
    with pytest.raises(exception.InvalidVolume):
        driver._create_cloned_volume(new, source, None)
