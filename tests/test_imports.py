"""What is imported, and when: nothing before it is used."""

from __future__ import annotations

import ast
import importlib
import inspect
import os
import pkgutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import clonepolicy
from cli_support import run_program

PACKAGES = (
    "clonepolicy",
    "clonepolicy.adapters._formats",
    "clonepolicy.adapters.local",
    "clonepolicy.plan",
    "clonepolicy.policy",
    "clonepolicy.ports",
)
"""The packages that import a module when a name of it is first used."""

COSTLY = {
    *("attrs", "cattrs", "cryptography", "hypothesis", "oslo_utils", "rich"),
    *("sqlite3", "tempfile", "importlib.metadata"),
    *("keystoneauth1", "openstack", "oslo_config"),
}


def imported_by(code: str, **env: str) -> set[str]:
    """Run code in another process; return what it imported."""
    report = r"import sys; sys.stderr.write('\n' + ' '.join(sys.modules))"
    code = f"try:\n  {code}\nfinally:\n  {report}"
    command = [sys.executable, "-c", code]
    done = run_program(command, env={**os.environ, **env})
    return {*done.stderr.splitlines()[-1].split()}


def command(*args: str) -> str:
    """Return code that runs a command."""
    return (
        f"import sys; sys.argv[1:] = {args}; "
        "from clonepolicy.cli import main; main()"
    )


def homes(package: str) -> Iterator[tuple[str, str]]:
    """Iterate over the names that type checkers see, and their modules."""
    source = inspect.getsource(importlib.import_module(package))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield str(node.module), alias.name


@pytest.mark.parametrize("package", PACKAGES)
def test_a_name_is_what_type_checkers_take_it_for(package: str) -> None:
    """It is found in the module that the package names for it, or above."""
    found = importlib.import_module(package)
    listed = {(home, name) for home, name in homes(package)}

    assert {*found.__all__} <= {name for _, name in listed}
    for home, name in listed:
        if name in found.__all__:
            defined = getattr(importlib.import_module(home), name)
            assert defined is getattr(found, name), name


def test_no_name_of_a_package_is_one_of_its_modules() -> None:
    """Importing the module would replace what the package exports."""
    for path in Path(clonepolicy.__file__).parent.rglob("__init__.py"):
        modules = {found.name for found in pkgutil.iter_modules([path.parent])}
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.Assign):
                (target,) = node.targets
                if ast.unparse(target) == "__all__":
                    names = {*ast.literal_eval(node.value)}
                    assert set() == names & modules, path


@pytest.mark.parametrize("package", PACKAGES)
def test_another_name_is_an_attribute_error(package: str) -> None:
    """As of any module."""
    found = importlib.import_module(package)

    with pytest.raises(AttributeError, match=f"'{package}' has no .* 'nope'"):
        getattr(found, "nope")  # noqa: B009 - type checkers know it is not


@pytest.mark.parametrize("package", PACKAGES)
def test_names_are_listed_before_they_are_imported(package: str) -> None:
    """Interactive shells and the API's pages read the list."""
    code = f"import {package} as p; assert {{*p.__all__}} <= {{*dir(p)}}"

    done = run_program([sys.executable, "-c", code])

    assert (done.returncode, done.stderr) == (0, "")


def test_importing_the_package_imports_nothing_else() -> None:
    """Not even attrs: whoever imports it pays for what is used."""
    alone = imported_by("pass")

    assert {"clonepolicy"} == imported_by("import clonepolicy") - alone


def test_deciding_imports_no_port_and_no_metadata() -> None:
    """Nothing that carries a decision out, and nothing that does I/O."""
    loaded = imported_by("from clonepolicy import decide, explain")

    unused = {
        *("clonepolicy.ports", "clonepolicy._execute"),
        *(
            "clonepolicy.plan._steps",
            "json",
            "socket",
            "typing_extensions",
            "urllib.parse",
        ),
    }
    assert set() == loaded & (unused | (COSTLY - {"attrs"}))


def test_ports_import_no_metadata() -> None:
    """Only whoever asks for the installed arrays reads it."""
    loaded = imported_by("from clonepolicy import execute, gather_create")

    assert "clonepolicy.ports._services" in loaded
    assert "importlib.metadata" not in loaded


@pytest.mark.parametrize(
    "args",
    [
        ("--help",),
        ("arrays", "--help"),
        ("decide", "--help"),
        ("demo", "--help"),
        ("explain", "--help"),
        ("image", "add", "--help"),
        ("image", "list", "--help"),
        ("init", "--help"),
        ("lint", "--help"),
        ("schema", "--help"),
        ("volume", "--help"),
        ("why", "--help"),
    ],
)
def test_help_imports_nothing_that_a_command_needs(
    args: tuple[str, ...],
) -> None:
    """Each command imports what it needs when it is called."""
    assert set() == imported_by(command(*args)) & COSTLY


@pytest.mark.parametrize("words", ["clonepolicy ", "clonepolicy image l"])
def test_completion_imports_nothing_that_a_command_needs(words: str) -> None:
    """The shell waits for it."""
    loaded = imported_by(
        command(),
        _CLONEPOLICY_COMPLETE="bash_complete",
        COMP_WORDS=words,
        COMP_CWORD=str(words.count(" ")),
    )

    assert "click" in loaded
    assert set() == loaded & COSTLY


@pytest.mark.parametrize(
    ("args", "unused"),
    [
        (("rules",), {"cattrs", "sqlite3", "oslo_utils"}),
        (("explain", "cache-miss"), {"cattrs", "sqlite3", "oslo_utils"}),
        (("volume", "list", "--root", "nope"), {"rich", "hypothesis"}),
    ],
)
def test_a_command_imports_what_it_needs(
    args: tuple[str, ...], unused: set[str]
) -> None:
    """Reading rules needs no cloud, and finding no cloud draws no table."""
    assert set() == imported_by(command(*args)) & unused
