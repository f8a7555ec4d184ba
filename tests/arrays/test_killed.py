"""Processes are killed while they execute plans on real arrays."""

from __future__ import annotations

import itertools
import os
import random
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))
sys.path.insert(0, str(Path(__file__).parent))

import executing
import stage as stages
from deaths import AtCall, Death, Inside, Late
from executing import Action, Process
from saved_cloud_audit import audit
from stage import Stage

from clonepolicy import recover
from clonepolicy.adapters.memory import Registration

xfs, btrfs, ceph = stages.xfs, stages.btrfs, stages.ceph
rbd, stage = stages.rbd, stages.stage

_POINTS = 200 if os.environ.get("CLONEPOLICY_PROFILE") == "deep" else 8
"""At how many points of the array's own code a process is killed."""

_SOURCES = 5
"""Few processes share a source, which a killed one may leave locked."""


def _clone(stage: Stage) -> Action:
    image_id = stage.cloud.add_image(stage.add_source())
    return partial(executing.create, image_id=image_id, size=2)


def _clone_stored(stage: Stage) -> Action:
    image_id = stage.cloud.add_image(stage.add_stored())
    return partial(executing.create, image_id=image_id, size=2)


def _download(stage: Stage) -> Action:
    image_id = stage.cloud.add_image()
    return partial(executing.create, image_id=image_id)


def _register(stage: Stage) -> Action:
    work = stage.cloud.add_volume()
    stage.clone_once(work.id)
    return partial(executing.upload, volume_id=work.id)


def _rejected(stage: Stage) -> Action:
    with stage.cloud.records() as records:
        records.registration = Registration.REJECTED
    return _register(stage)


PLANS: dict[str, tuple[Callable[[Stage], Action], int]] = {
    "clone": (_clone, 16),
    "clone stored": (_clone_stored, 16),
    "download": (_download, 15),
    "register": (_register, 28),
    "rejected": (_rejected, 38),
}
"""Each action, and the fewest kills that the test must reach."""


def _deaths(stage: Stage, action: Action) -> Iterator[Iterator[Death]]:
    """Yield series of deaths, each from early to too late."""
    yield map(AtCall, itertools.count())
    # this process survives, and counts the points and the time
    assert not stage.dies(action, Inside(0))
    with stage.cloud.records() as records:
        events, ms = records.tally["events"], records.tally["ms"]
    yield map(Inside, range(1, events, max(1, events // _POINTS)))
    yield (Late(at / 1000) for at in range(0, ms, max(1, ms // _POINTS)))


def _deaths_of_recovery() -> Iterator[Death]:
    for number in itertools.count():
        yield AtCall(4 * number)
        yield Inside(1 + 61 * number)
        yield Late(0.02 * number)


@pytest.mark.parametrize("plan", PLANS)
def test_a_kill_at_any_step_leaves_nothing_half_made(
    stage: Stage,
    plan: str,
    record_property: Callable[[str, object], None],
) -> None:
    """Kills hit every call, the array's code, and the recoveries.

    In the array's code they hit some points; in the deep profile, many.
    """
    prepare, least = PLANS[plan]
    actions = [prepare(stage) for _ in range(_SOURCES)]
    with stage.all_whole():
        turns = itertools.cycle(actions)
        kills = sum(
            stage.count_kills(turns, deaths)
            for deaths in _deaths(stage, actions[0])
        )
        again = 0
        for death in itertools.islice(_deaths_of_recovery(), 1000):
            if stage.has_empty_journal():
                break
            again += stage.dies(executing.recover_all, death)
    record_property("kills", kills)
    record_property("kills in recovery", again)
    assert least <= kills
    assert 5 <= again


@pytest.mark.parametrize(("count", "killed"), [(2, 0), (4, 4)])
def test_killed_processes_that_race_for_a_source_leave_nothing_half_made(
    stage: Stage,
    count: int,
    killed: int,
    record_property: Callable[[str, object], None],
) -> None:
    """Some clone the source while others delete it; kills stop all of them.

    Until then they raise nothing but `AdapterError`.
    """
    work = stage.cloud.add_volume()
    stage.execute(stage.cloud.decide_upload(work.id))
    chance = random.Random(count)  # noqa: S311 - no secret
    seeds = itertools.count()
    wanted = {"create by clone", "upload by register"}

    def start() -> Process:
        action = partial(executing.race, seed=next(seeds))
        return stage.start(action, None)

    racers = [start() for _ in range(count)]
    try:
        for _ in range(killed):
            time.sleep(stage.pace * chance.uniform(0.5, 1.5))
            victim = racers.pop(0)
            victim.process.kill()
            assert victim.died()
            racers.append(start())
        for at in range(100):
            time.sleep(stage.pace)
            with stage.cloud.records() as records:
                tally = records.tally
            if at > 2 and wanted <= tally.keys():
                break
    finally:
        for racer in racers:
            racer.process.kill()
    assert all(racer.died() for racer in racers)
    time.sleep(stage.linger)
    for _ in range(10):
        recover(stage.cloud.journal, stage.cloud.ports)
    executing.restart(stage.cloud)
    assert [] == audit(stage.cloud, stage.harness)
    record_property("tally", tally)
    assert wanted <= tally.keys()
