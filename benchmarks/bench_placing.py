"""Time the weighing of 50 pools by `CloneWeigher`, in Cinder's own handler.

Glance and the database do not count: their answers are in memory.  It needs
Cinder 29: run it with the Python of the nox session ``openstack``.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import attrs
from _timing import Row, arguments, interleave, report

from clonepolicy import CreateRequest, Host, Route
from clonepolicy.scenarios import CLONEABLE

POOLS = 50
TARGET = 5.0
"""Milliseconds for all pools of a request."""
_CAN = ("can_clone", "can_extend", "clone_in_use", "clone_while_uploading")


def weighing(request: CreateRequest, **capabilities: Any) -> Callable[[], Any]:  # noqa: ANN401 - what comes from Cinder has no types
    """Return what weighs 50 pools, one of which has the source."""
    from cinder import objects  # noqa: PLC0415 - a note says that it is needed

    objects.register_all()
    from cinder.scheduler import host_manager, weights  # noqa: PLC0415 - after the objects

    from clonepolicy.adapters._weigher import CloneWeigher  # noqa: PLC0415 - the same
    from clonepolicy.adapters.cinder import _placing  # noqa: PLC0415 - the same

    vars(_placing)["_gather"] = lambda *_: request
    (candidate,) = request.image_volumes
    assert candidate.source is not None  # noqa: S101 - else it times nonsense
    assert candidate.source.host is not None  # noqa: S101 - the same
    hosts = [candidate.source.host]
    hosts += [Host(f"node{at}", "array", "pool") for at in range(1, POOLS)]
    pools = []
    for host in hosts:
        state = host_manager.PoolState(
            str(attrs.evolve(host, pool=None)), None, {}, host.pool
        )
        state.update_from_volume_capability(
            {"timestamp": datetime.datetime.now(datetime.UTC), **capabilities}
        )
        pools.append(state)
    handler = weights.OrderedHostWeightHandler("cinder.scheduler.weights")
    properties = {
        "context": None,
        "request_spec": {"image_id": "image", "volume_id": "volume"},
    }

    def run() -> Any:  # noqa: ANN401 - what comes from Cinder has no types
        return handler.get_weighed_objects([CloneWeigher], pools, properties)

    best, *others = run()
    assert best.obj.host == str(hosts[0])  # noqa: S101 - else it times nonsense
    assert best.weight > max(other.weight for other in others)  # noqa: S101 - the same
    return run


def main() -> None:
    """Time pools of which all is known, and pools of which nothing is."""
    options = arguments(__doc__).parse_args()
    request = CLONEABLE[Route.IMAGE_VOLUME]
    try:
        cases = {
            "weigh 50 pools": weighing(request, **dict.fromkeys(_CAN, True)),
            "weigh 50 pools, abilities unknown": weighing(request),
        }
    except ImportError as error:
        report([], [f"needs Cinder: {error}"], as_json=options.json)
        return
    rows = [
        Row(
            name=name,
            value=timing.best * 1e3,
            unit="ms",
            target=TARGET,
            note=f"median {timing.median * 1e3:.3g}",
        )
        for name, timing in interleave(cases, rounds=options.rounds).items()
    ]
    report(rows, as_json=options.json)


if __name__ == "__main__":
    main()
