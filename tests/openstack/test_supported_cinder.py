"""The check of the installed Cinder, when the drop-in starts."""

from __future__ import annotations

import functools
import logging
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("cinder", reason="needs Cinder: nox -s openstack")

import cinder_cloud
from cinder import coordination
from cinder.volume import manager
from cinder_cloud import Start

from clonepolicy import POLICIES
from clonepolicy.adapters.cinder import (
    IncompatibleCinderError,
    PolicyDriverMixin,
)
from clonepolicy.adapters.cinder._drop_in import supported_cinder
from clonepolicy.adapters.cinder._releases import installed, installed_release
from clonepolicy.adapters.cinder._releases.digest import digest
from clonepolicy.adapters.cinder._releases.known import RELEASES
from clonepolicy.adapters.cinder._releases.verified import verified

start, database = cinder_cloud.start, cinder_cloud.database

LOCK = "cinder.coordination.Coordinator.get_lock"


CACHED = (
    supported_cinder._incompatible,
    supported_cinder._unverified,
    installed.installed_version,
    installed.installed_release,
)


@pytest.fixture(scope="module", autouse=True)
def checked_afterwards() -> Iterator[None]:
    """Check the real Cinder before another module's tests change it."""
    yield
    supported_cinder.check_cinder(allow_unverified=False)


@pytest.fixture(autouse=True)
def unchecked() -> Iterator[None]:
    """Have each test check Cinder anew, and the next tests too."""
    forget()
    yield
    forget()


def forget() -> None:
    """Forget what was found of the installed Cinder."""
    for cached in CACHED:
        cached.cache_clear()


def refused(start: Start) -> str:
    """Start the drop-in, and return why it does not start."""
    with pytest.raises(IncompatibleCinderError) as caught:
        start()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def other_lock(self: Any, name: Any) -> Any:
    """Do less than Cinder's own."""
    del self, name


def test_the_installed_cinder_is_verified(
    start: Start, caplog: pytest.LogCaptureFixture
) -> None:
    """The drop-in starts, and logs no warning."""
    start()
    messages = [r.message for r in caplog.records if r.levelno > logging.INFO]
    assert not [text for text in messages if "clonepolicy" in text]


def test_a_stock_policy_describes_the_installed_cinder() -> None:
    """It is one of those that are shipped."""
    assert installed_release().stock in POLICIES.values()


def test_other_parameters_are_refused(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line names the function, and says what to do."""

    def get_lock(self: Any) -> None:
        del self

    monkeypatch.setattr(coordination.Coordinator, "get_lock", get_lock)
    why = refused(start)
    assert f"{LOCK} has the parameters (), not (name)" in why
    assert "remove it from volume_manager and volume_driver" in why


def test_a_missing_function_is_refused(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even an operator who asks for it can run without it."""
    monkeypatch.delattr(manager.VolumeManager, "_check_is_our_resource")
    why = "VolumeManager._check_is_our_resource is missing"
    with pytest.raises(IncompatibleCinderError, match=why):
        start(allow_unverified_cinder=True)


class Replaced:
    """A function that was replaced by an object."""

    def __call__(self, name: str) -> None:
        """Take the parameters of a lock."""


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (Replaced(), f"has other code than every verified .*{LOCK}"),
        (7, f"{LOCK} is no function"),
    ],
    ids=["callable", "number"],
)
def test_what_is_no_function_is_refused(
    start: Start, monkeypatch: pytest.MonkeyPatch, found: object, why: str
) -> None:
    """In one line, as everything else that differs."""
    monkeypatch.setattr(coordination.Coordinator, "get_lock", found)
    assert re.search(why, refused(start))


def test_other_code_with_the_same_parameters_is_refused(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line names every function that differs, and the option."""
    monkeypatch.setattr(coordination.Coordinator, "get_lock", other_lock)
    why = refused(start)
    assert "other code than every verified" in why
    assert why.count("cinder.") == 1
    assert LOCK in why
    assert "allow_unverified_cinder = True" in why


def test_a_wrapper_that_is_not_cinders_is_other_code(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It shows the parameters and the source of what it wraps."""

    @functools.wraps(coordination.Coordinator.get_lock)
    def wrapped(self: Any, name: Any) -> Any:
        del self, name

    monkeypatch.setattr(coordination.Coordinator, "get_lock", wrapped)
    why = refused(start)
    assert "other code than every verified" in why
    assert LOCK in why


def test_an_operator_can_allow_other_code(
    start: Start,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Each start logs a warning that names what differs."""
    monkeypatch.setattr(coordination.Coordinator, "get_lock", other_lock)
    for _ in range(2):
        caplog.clear()
        start(allow_unverified_cinder=True)
        (warning,) = [
            record.message
            for record in caplog.records
            if record.levelno == logging.WARNING
            and "clonepolicy" in record.message
        ]
        assert LOCK in warning


def test_the_mixin_checks_too(
    database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It refuses before it sets up the driver."""
    del database
    monkeypatch.setattr(coordination.Coordinator, "get_lock", other_lock)
    with pytest.raises(IncompatibleCinderError, match="get_lock"):
        PolicyDriverMixin().do_setup(None)


def install(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    """Pretend that Cinder has another version."""
    for place in (installed, supported_cinder):
        monkeypatch.setattr(place, "installed_version", lambda: version)
    installed.installed_release.cache_clear()


@pytest.mark.parametrize("version", ["1.0.0", "99.0.0"])
def test_an_unknown_release_is_refused(
    start: Start, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    """It is compared with the nearest release that is known."""
    known = (installed_release(),)
    for place in (installed, supported_cinder):
        monkeypatch.setattr(place, "RELEASES", known)
    install(monkeypatch, version)
    why = refused(start)
    assert f"Cinder {version} is not one of the supported releases" in why
    assert f"compared with {known[0].number}, nothing that" in why
    start(allow_unverified_cinder=True)


def test_only_the_first_number_of_a_version_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A release candidate belongs to its release."""
    number = installed_release().number
    for more in (".1.0.dev7", ".0.0.0rc1"):
        install(monkeypatch, f"{number}{more}")
        assert installed_release().number == number
        assert installed.is_known()


# -- digests ------------------------------------------------------------------


def test_every_function_of_every_release_was_verified() -> None:
    """The table has a digest for each."""
    for release in RELEASES:
        for name in names(release):
            numbers = {n for each in verified()[name].values() for n in each}
            assert release.number in numbers, (name, release.number)


def names(release: Any) -> list[str]:
    """Return the names of a release's functions."""
    return [name for name, _, _ in supported_cinder.functions_of(release)]


def compiled(source: str, tmp_path: Any) -> Callable[..., Any]:
    """Return the function ``f`` of a source text."""
    path = tmp_path / "source.py"
    path.write_text(source)
    found: dict[str, Any] = {}
    exec(compile(source, str(path), "exec"), found)  # noqa: S102 - the test's
    made: Callable[..., Any] = found["f"]
    return made


BASE = "def f(a, b=1):\n    if a:\n        return b\n    return 'x'\n"


SAME = """
def f(a: int, b: int = 1) -> str:
  '''Says nothing.'''
  if (a): return b

  # why
  return "x"
"""


def test_layout_and_annotations_do_not_count(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """A distribution may have formatted its package anew."""
    folders = [tmp_path_factory.mktemp("source") for _ in range(2)]
    assert digest(compiled(BASE, folders[0])) == digest(
        compiled(SAME, folders[1])
    )


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("b=1", "b=2"),
        ("if a", "if not a"),
        ("'x'", "'y'"),
        ("def f", "import functools\n@functools.cache\ndef f"),
        ("return b", "return a"),
    ],
)
def test_every_change_of_code_counts(
    tmp_path_factory: pytest.TempPathFactory, old: str, new: str
) -> None:
    """So does a decorator."""
    folders = [tmp_path_factory.mktemp("source") for _ in range(2)]
    changed = compiled(BASE.replace(old, new), folders[1])
    assert digest(compiled(BASE, folders[0])) != digest(changed)


def test_the_running_python_does_not_count(
    tmp_path: Any,
) -> None:
    """The digest of a method is the same in every Python."""
    source = (
        "class C:\n"
        "    @staticmethod\n"
        "    def f(a, *b, c: int = 2, **d):\n"
        "        '''Doc.'''\n"
        "        x: int = f'{a!r:>{c}} {b}' 'z'\n"
        "        with open(a) as g, open(b): pass\n"
        "        return [y for y in x if y is not None] or (lambda q: ...)\n"
        "f = C.f\n"
    )
    assert digest(compiled(source, tmp_path)) == "ff5578fffb80231c"
