"""`CloneWeigher` in the real scheduler: where it puts volumes, and why."""

from __future__ import annotations

import pathlib
import socket
import sys
from collections.abc import Mapping
from typing import Any

import pytest

pytest.importorskip("cinder", reason="needs Cinder: nox -s openstack")

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

import cinder_cloud
import real_scheduler
from cinder.db import api as db
from cinder.scheduler.weights import stochastic
from cinder_cloud import Start
from real_scheduler import IMAGE, Scheduling

from clonepolicy.adapters import _weigher
from logfmt import parsed

database, start = cinder_cloud.database, cinder_cloud.start
options, scheduling = real_scheduler.options, real_scheduler.scheduling

ABLE: Mapping[str, Any] = {
    "can_clone": True,
    "can_extend": True,
    "clone_in_use": True,
}
FSID = "6e3f1f6e-0000-4000-8000-000000000001"
CEPH: Mapping[str, Any] = {
    **ABLE,
    "storage_protocol": "ceph",
    "location_info": f"ceph:/etc/ceph/ceph.conf:{FSID}:cinder:volumes",
}


def placed(scheduling: Scheduling, **fields: Any) -> str | None:
    """Schedule a create, which must succeed; return where it went."""
    status, host = scheduling.create(**fields)
    assert status == "creating"
    assert host is not None
    return host


def logged(scheduling: Scheduling, *names: str) -> tuple[str | None, ...]:
    """Return fields of the only line of the log about placing."""
    (line,) = scheduling.lines()
    fields = parsed(line)
    return tuple(fields.get(name) for name in names)


# -- what is preferred --------------------------------------------------------


def test_of_two_pools_the_one_with_the_image_is_chosen(
    scheduling: Scheduling,
) -> None:
    """Although the other one has more free space."""
    scheduling.report("one@a", "p", free=900, **ABLE)
    scheduling.report("two@a", "p", free=10, **ABLE)
    scheduling.add_source("two@a#p")
    assert placed(scheduling) == "two@a#p"
    assert ("two@a#p", "-", "1", "different-host:1") == logged(
        scheduling, "clone", "depends", "no", "reasons"
    )


def test_of_twenty_pools_those_of_the_array_with_the_image_are_chosen(
    scheduling: Scheduling,
) -> None:
    """The array clones across pools; among its pools, free space decides."""
    across = {**ABLE, "array_id": "SN-1", "clone_across_pools": True}
    for at in range(4):
        scheduling.report(f"near{at}@a", "p", "q", free=10 + at, **across)
    for at in range(6):
        scheduling.report(f"far{at}@a", "p", "q", free=900 + at, **ABLE)
    scheduling.add_source("near0@a#p")
    host = placed(scheduling)
    assert host in {"near3@a#p", "near3@a#q"}
    names, rest, reasons = logged(scheduling, "clone", "no", "reasons")
    assert names is not None
    near = {f"near{at}@a#{pool}" for at in range(4) for pool in "pq"}
    assert (near, "12") == ({*names.split(",")}, rest)
    assert reasons == "different-host:12"
    read = [path for path in scheduling.glance.asked if path.endswith(IMAGE)]
    assert len(read) == 1


def test_a_pool_of_unknown_abilities_is_between(
    scheduling: Scheduling,
) -> None:
    """It has the image, but its driver was not asked."""
    scheduling.report("no@a", "p", free=900, **ABLE)
    scheduling.report("depends@a", "p", free=10)
    scheduling.add_source("depends@a#p")
    assert placed(scheduling) == "depends@a#p"
    scheduling.report("clone@a", "p", free=10, **ABLE)
    scheduling.add_source("clone@a#p")
    scheduling.log.clear()
    assert placed(scheduling) == "clone@a#p"
    assert ("clone@a#p", "depends@a#p", "1") == logged(
        scheduling, "clone", "depends", "no"
    )


def test_a_pool_that_cannot_clone_is_not_preferred(
    scheduling: Scheduling,
) -> None:
    """What is known to be missing is not hoped for."""
    scheduling.report("one@a", "p", free=900, **ABLE)
    scheduling.report("two@a", "p", free=10, can_clone=False)
    scheduling.add_source("two@a#p")
    assert placed(scheduling) == "one@a#p"


def test_an_array_of_unknown_identity_is_not_hoped_to_be_the_same(
    scheduling: Scheduling,
) -> None:
    """It clones across pools, but nobody says that it is one array."""
    across = {**ABLE, "clone_across_pools": True}
    scheduling.report("one@a", "p", free=900, **across)
    scheduling.report("two@a", "p", free=10, **across)
    scheduling.add_source("two@a#p")
    assert placed(scheduling) == "two@a#p"
    assert ("two@a#p", "-", "different-array:1") == logged(
        scheduling, "clone", "depends", "reasons"
    )


def test_in_a_cluster_the_cluster_counts(scheduling: Scheduling) -> None:
    """The source is on another host of the same cluster."""
    scheduling.report("one@a", "p", free=900, **ABLE)
    scheduling.report("two@a", "p", free=10, cluster="c@a", **ABLE)
    scheduling.add_source("three@a#p", cluster_name="c@a#p")
    assert placed(scheduling) == "two@a#p"
    assert ("two@a#p", "1") == logged(scheduling, "clone", "no")


def test_a_pool_with_a_cached_image_is_chosen(scheduling: Scheduling) -> None:
    """If its backend uses the cache."""
    for name, uses in (("one", False), ("two", True)):
        scheduling.report(
            f"{name}@a",
            "p",
            free=10 if uses else 900,
            image_volume_cache_enabled=uses,
            **ABLE,
        )
        scheduling.add_cached(f"{name}@a#p")
    assert placed(scheduling) == "two@a#p"
    assert ("two@a#p", "1") == logged(scheduling, "clone", "no")


@pytest.mark.parametrize(
    "options", [{"clonepolicy.trusted_image_pools": ["images"]}]
)
def test_a_ceph_pool_is_preferred_for_an_image_of_its_cluster(
    scheduling: Scheduling,
) -> None:
    """Whether the snapshot is there, the scheduler cannot see."""
    scheduling.report("one@a", "p", free=900, **ABLE)
    scheduling.report("two@ceph", "p", free=10, **CEPH)
    url = f"rbd://{FSID}/images/{IMAGE}/snap"
    scheduling.glance.locations = [{"url": url, "metadata": {}}]
    assert placed(scheduling) == "two@ceph#p"
    assert ("-", "two@ceph#p", "1") == logged(
        scheduling, "clone", "depends", "no"
    )


def test_what_the_drop_in_reports_is_enough(
    scheduling: Scheduling, start: Start
) -> None:
    """Its report has what the driver's code shows."""
    cloud = start()
    cloud.manager.publish_service_capabilities(scheduling.admin)
    found = cloud.manager.last_capabilities
    assert (True, False) == (
        found["can_clone"],
        found["image_volume_cache_enabled"],
    )
    assert "can_clone" not in cloud.driver.get_volume_stats()
    pool = {
        name: value for name, value in found.items() if name.startswith("c")
    }
    scheduling.report("one@a", "p", free=900, **pool)
    scheduling.report("node@array", "pool", free=10, **pool)
    scheduling.add_source("node@array#pool")
    assert placed(scheduling) == "node@array#pool"
    assert ("node@array#pool", "-") == logged(scheduling, "clone", "depends")


def test_a_report_that_cannot_be_completed_goes_out(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scheduler gets what the driver reports."""
    cloud = start()

    def fail(*_: object, **_more: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(
        "clonepolicy.adapters.cinder._drop_in.backend.with_facts", fail
    )
    cloud.manager.update_service_capabilities({"driver_version": "1"})
    assert cloud.manager.last_capabilities == {"driver_version": "1"}
    assert "cannot add to the report" in cloud.log.text


# -- what does not count ------------------------------------------------------


@pytest.mark.parametrize("options", [{"clonepolicy.mode": "shadow"}])
def test_in_shadow_mode_only_the_log_tells(scheduling: Scheduling) -> None:
    """Free space decides."""
    scheduling.report("one@a", "p", free=900, **ABLE)
    scheduling.report("two@a", "p", free=10, **ABLE)
    scheduling.add_source("two@a#p")
    assert placed(scheduling) == "one@a#p"
    assert ("shadow", "two@a#p") == logged(scheduling, "mode", "clone")


@pytest.mark.parametrize(
    ("options", "host"),
    [
        ({"clonepolicy.clone_weight_multiplier": 0.5}, "one@a#p"),
        ({"clonepolicy.clone_weight_multiplier": 1.5}, "two@a#p"),
    ],
)
def test_the_multiplier_is_weighed_against_that_of_free_space(
    scheduling: Scheduling, host: str
) -> None:
    """That one's default is 1."""
    scheduling.report("one@a", "p", free=900, **ABLE)
    scheduling.report("two@a", "p", free=10, **ABLE)
    scheduling.add_source("two@a#p")
    assert placed(scheduling) == host


def test_a_volume_without_an_image_is_not_weighed(
    scheduling: Scheduling,
) -> None:
    """Nothing is asked, and nothing is logged."""
    scheduling.report("one@a", "p", **ABLE)
    assert placed(scheduling, image_id=None) == "one@a#p"
    assert (scheduling.lines(), scheduling.glance.asked) == ([], [])


# -- what fails ---------------------------------------------------------------


def assert_weighed_without(scheduling: Scheduling, remedy: str) -> None:
    """A create must succeed, by free space, with one line and a remedy."""
    scheduling.report("one@a", "p", free=900, **ABLE)
    scheduling.report("two@a", "p", free=10, **ABLE)
    scheduling.add_source("two@a#p")
    assert placed(scheduling) == "one@a#p"
    told, error = logged(scheduling, "remedy", "unreadable")
    assert told is not None
    assert remedy in told
    assert error


def closed_port() -> int:
    """Return a port on which nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


@pytest.mark.parametrize(
    "options",
    [{"glance_api_servers": [f"http://127.0.0.1:{closed_port()}"]}],
)
def test_a_glance_that_is_down_stops_no_create(
    scheduling: Scheduling,
) -> None:
    """It is asked once, and free space decides."""
    assert_weighed_without(scheduling, "what Glance and the database answer")


@pytest.mark.parametrize(
    "options",
    [{"glance_api_servers": [f"http://127.0.0.1:{closed_port()}"]}],
)
def test_errors_suit_the_stochastic_handler(
    scheduling: Scheduling, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It adds weights without normalizing them."""
    handler = stochastic.StochasticHostWeightHandler(
        "cinder.scheduler.weights"
    )
    hosts = scheduling.manager.driver.host_manager
    monkeypatch.setattr(hosts, "weight_handler", handler)
    scheduling.report("one@a", "p", **ABLE)
    assert placed(scheduling) == "one@a#p"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"{",
        b"7",
        b"\xff",
        b'{"id": "x"}',
        b'{"status": 1}',
        b'{"id": 1, "status": "active", "size": "many"}',
        b"[" * 100_000,
    ],
    ids=lambda body: repr(body[:40]),
)
def test_an_odd_image_stops_no_create(
    scheduling: Scheduling, body: bytes
) -> None:
    """Whatever the body is."""
    scheduling.glance.raw = body
    assert_weighed_without(scheduling, "what Glance and the database answer")


@pytest.mark.parametrize("status", [401, 403, 404, 500, 503])
def test_an_error_of_glance_stops_no_create(
    scheduling: Scheduling, status: int
) -> None:
    """It is not asked again."""
    scheduling.glance.status = status
    assert_weighed_without(scheduling, "what Glance and the database answer")
    assert len(scheduling.glance.asked) == 1


@pytest.mark.parametrize(
    "locations",
    [None, 7, [7], [{}], [{"url": 7}], [{"url": "cinder://"}], {"a": "b"}],
    ids=repr,
)
def test_odd_locations_stop_no_create(
    scheduling: Scheduling, locations: Any
) -> None:
    """No pool is then preferred."""
    scheduling.report("one@a", "p", free=900, **ABLE)
    scheduling.report("two@a", "p", free=10, **ABLE)
    scheduling.glance.locations = locations
    assert placed(scheduling) == "one@a#p"
    assert ("-", "2") == logged(scheduling, "clone", "no")


def test_a_location_of_no_volume_stops_no_create(
    scheduling: Scheduling,
) -> None:
    """The other location is used."""
    scheduling.report("one@a", "p", free=900, **ABLE)
    scheduling.report("two@a", "p", free=10, **ABLE)
    url = "cinder://0e5b8f3a-0000-4000-8000-00000000dead"
    scheduling.glance.locations = [{"url": url, "metadata": {}}]
    scheduling.add_source("two@a#p")
    assert placed(scheduling) == "two@a#p"


@pytest.mark.parametrize(
    "capabilities",
    [{"can_clone": "yes"}, {"clone_kind": []}, {"clone_limit": -1}],
    ids=repr,
)
def test_an_odd_report_concerns_its_pool_only(
    scheduling: Scheduling, capabilities: Mapping[str, Any]
) -> None:
    """That pool is not preferred, and the line names it."""
    scheduling.report("one@a", "p", free=900, **{**ABLE, **capabilities})
    scheduling.report("two@a", "p", free=10, **ABLE)
    for host in ("one@a#p", "two@a#p"):
        scheduling.add_source(host)
    assert placed(scheduling) == "two@a#p"
    name, *_ = capabilities
    clone, unreadable = logged(scheduling, "clone", "unreadable")
    assert clone == "two@a#p"
    assert unreadable is not None
    assert unreadable.startswith(f"one@a#p: Backend.{name}")


def test_every_odd_report_is_named(scheduling: Scheduling) -> None:
    """Not the last one only."""
    scheduling.report("one@a", "p", **{**ABLE, "can_clone": "yes"})
    scheduling.report("two@a", "p", **{**ABLE, "clone_kind": []})
    placed(scheduling)
    (unreadable,) = logged(scheduling, "unreadable")
    assert unreadable is not None
    assert "one@a#p: Backend.can_clone" in unreadable
    assert "two@a#p: Backend.clone_kind" in unreadable


@pytest.mark.parametrize("options", [{"clonepolicy.policy": "LAX"}])
def test_an_invalid_option_stops_no_create(scheduling: Scheduling) -> None:
    """The line names it, and its valid values."""
    assert_weighed_without(scheduling, "correct the value in cinder.conf")
    (line,) = scheduling.lines()
    assert "[clonepolicy] policy: expected SAFE" in line


def test_a_package_that_cannot_be_imported_stops_no_create(
    scheduling: Scheduling, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with a release of Cinder that is not supported."""
    monkeypatch.setitem(sys.modules, _weigher._DECIDES, None)
    assert_weighed_without(scheduling, "or remove CloneWeigher from")


def test_a_database_that_fails_stops_no_create(
    scheduling: Scheduling, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sources and cache entries then count as not known."""

    def fail(*_: object, **_more: object) -> None:
        raise OSError

    monkeypatch.setattr(db, "image_volume_cache_get_all", fail)
    scheduling.report("one@a", "p", free=900, **ABLE)
    scheduling.report("two@a", "p", free=10, **ABLE)
    scheduling.add_source("two@a#p")
    assert placed(scheduling) == "two@a#p"
