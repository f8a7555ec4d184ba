"""The arrays of other services: declared in cinder.conf, or reported."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from concurrent import futures
from typing import Any

import pytest

pytest.importorskip("cinder", reason="needs Cinder: nox -s openstack")

import conf_files
from cinder import objects
from oslo_config import cfg

objects.register_all()  # the manager names its classes

from cinder.volume import manager  # noqa: E402 - the same

from clonepolicy.adapters.cinder._arrays import (  # noqa: E402 - the same
    KEPT,
    ReportedArrays,
    declared_array,
)

CONF = cfg.CONF
FSID = "6e3f1f6e-0000-4000-8000-000000000001"
assert manager  # registers the options of cinder-volume


@pytest.fixture
def conf(
    request: pytest.FixtureRequest,
) -> Iterator[Mapping[str, str]]:
    """Set options of ``[DEFAULT]``, ``[one]`` and ``[two]``."""
    values: Mapping[str, str] = request.param
    for group in ("one", "two"):  # registers the options of both
        declared_array(f"{CONF.host}@{group}")
    for name, value in values.items():
        group, _, option = name.rpartition(".")
        CONF.set_override(option, value, group or None)
    yield values
    for name in values:
        group, _, option = name.rpartition(".")
        conf_files.clear(option, group or None)


BOTH = {"host": "node", "enabled_backends": ["one", "two"]}
SN_1 = '{"array_id": "SN-1"}'


@pytest.mark.parametrize(
    ("conf", "service", "found"),
    [
        ({**BOTH, "two.extra_capabilities": SN_1}, "node@two", "SN-1"),
        ({**BOTH, "two.extra_capabilities": SN_1}, "node@one", None),
        (
            {**BOTH, "backend_defaults.extra_capabilities": SN_1},
            *("node@one", "SN-1"),
        ),
        (
            {
                **BOTH,
                "backend_defaults.extra_capabilities": SN_1,
                "two.extra_capabilities": '{"array_id": "SN-2"}',
            },
            *("node@two", "SN-2"),
        ),
        ({**BOTH, "two.extra_capabilities": SN_1}, "other@two", None),
        (
            {
                **BOTH,
                "two.extra_capabilities": SN_1,
                "two.backend_host": "shared",
            },
            *("shared@two", "SN-1"),
        ),
        (
            {
                **BOTH,
                "two.extra_capabilities": SN_1,
                "two.backend_host": "shared",
            },
            *("node@two", None),
        ),
        (
            {
                **BOTH,
                "enabled_backends": ["one"],
                "two.extra_capabilities": SN_1,
            },
            *("node@two", None),
        ),
        ({**BOTH, "two.extra_capabilities": "{"}, "node@two", None),
        ({**BOTH, "two.extra_capabilities": "[]"}, "node@two", None),
        (
            {**BOTH, "two.extra_capabilities": '{"array_id": 1}'},
            *("node@two", None),
        ),
        ({**BOTH, "backend_defaults.extra_capabilities": SN_1}, "node", None),
    ],
    indirect=["conf"],
)
def test_what_cinder_conf_declares_counts_for_its_own_services(
    conf: Mapping[str, str], service: str, found: str | None
) -> None:
    """Not for those of other hosts, nor for backends that are not enabled."""
    del conf
    assert found == declared_array(service)


def pool(name: str, **capabilities: Any) -> dict[str, Any]:
    """Make a pool as the scheduler returns it."""
    return {"name": name, "capabilities": capabilities}


CEPH = {
    "storage_protocol": "ceph",
    "location_info": f"ceph:/etc/ceph/ceph.conf:{FSID}:cinder:volumes",
}


@pytest.mark.parametrize(
    ("pools", "found"),
    [
        ([pool("n@b#p", array_id="SN-1")], "SN-1"),
        (
            [pool("n@b#p", array_id="SN-1"), pool("n@b#q", array_id="SN-1")],
            "SN-1",
        ),
        (
            [pool("n@b#p", array_id="SN-1"), pool("n@b#q", array_id="SN-2")],
            None,
        ),
        ([pool("n@b#p", array_id="SN-1"), pool("n@b#q")], None),
        ([pool("n@b#p", **CEPH)], FSID),
        ([pool("n@b#p", array_id="mine", **CEPH)], FSID),
        ([pool("n@b#p", **{**CEPH, "location_info": None})], None),
        ([pool("n@b#p", location_info=CEPH["location_info"])], None),
        ([pool("n@b#p", array_id=1)], None),
        ([pool("n@other#p", array_id="SN-1")], None),
        ([{"name": "n@b#p", "capabilities": None}], None),
        ([], None),
    ],
)
def test_what_services_report_is_known_if_it_is_one_array(
    pools: list[dict[str, Any]], found: str | None
) -> None:
    """An RBD driver reports its cluster, which its operator cannot change."""
    assert found == ReportedArrays(ask=lambda: pools).get("n@b")


def test_the_scheduler_is_asked_once_in_a_while() -> None:
    """Its answer is kept, also if it has none."""
    time, asked = [0.0], []

    def ask() -> list[Mapping[str, Any]]:
        asked.append(time[0])
        if len(asked) == 1:
            raise TimeoutError
        return [pool("n@b#p", array_id="SN-1")]

    reported = ReportedArrays(ask=ask, now=lambda: time[0])
    assert reported.get("n@b") is None
    time[0] = KEPT - 1
    assert reported.get("n@b") is None
    time[0] = KEPT
    assert reported.get("n@b") == "SN-1"
    assert reported.get("n@c") is None
    assert asked == [0.0, KEPT]


def test_requests_that_come_together_ask_the_scheduler_once() -> None:
    """They wait for its answer, which may take as long as its timeout."""
    asked, together = [], threading.Barrier(5)

    def ask() -> list[Mapping[str, Any]]:
        asked.append(1)
        time.sleep(0.1)
        return [pool("n@b#p", array_id="SN-1")]

    reported = ReportedArrays(ask=ask)

    def get(_: int) -> str | None:
        together.wait()
        return reported.get("n@b")

    with futures.ThreadPoolExecutor(5) as threads:
        assert {"SN-1"} == {*threads.map(get, range(5))}
    assert asked == [1]
