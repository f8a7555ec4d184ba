"""Cinder's own manager and the drop-in side by side in one cloud.

Each is a cinder-volume of its own, with the same database and file system,
in an availability zone of its own.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs
from stack import Stack, configure_cinder, running_stack
from stack_processes import Process, wait_for

SIDES = {"stack": "traced_managers.Stock", "drop-in": "traced_managers.DropIn"}
"""The manager of each cinder-volume, by its option ``host``."""
_ZONES = {"stack": "nova", "drop-in": "drop-in"}
STOCK, DROP_IN = SIDES
_REGISTERED = ("POST", "/locations")


@attrs.frozen(kw_only=True)
class Cost:
    """One create or one upload, as its cinder-volume saw it."""

    side: str
    operation: str
    seconds: float
    waited: float = 0.0
    """Seconds that Glance took to make the image active, for an upload."""
    asked: list[tuple[str, str, float]]
    """Kind, what was asked, and when it was answered."""

    @property
    def own(self) -> float:
        """The seconds without those in which the drop-in waits for Glance."""
        waits = self.side == DROP_IN
        return self.seconds - self.waited if waits else self.seconds

    def count(self) -> Counter[str]:
        """Count the requests by kind, and the transactions."""
        return counted(self.asked)

    def listed(self) -> str:
        """Write one line for each request."""
        return "\n".join(
            f"{at * 1e3:8.1f} ms  {kind:9} {what[:120]}"
            for kind, what, at in self.asked
        )


def counted(asked: list[tuple[str, str, float]]) -> Counter[str]:
    """Count requests by kind; a commit is a transaction."""
    return Counter(
        "transactions" if what == "COMMIT" else kind for kind, what, _ in asked
    )


@attrs.frozen
class Sides:
    """A cloud with both, and an image of each whose data is a volume."""

    cloud: Stack
    golden: dict[str, str] = attrs.field(factory=dict)
    sources: dict[str, str] = attrs.field(factory=dict)

    def prepare(self, side: str, image: str) -> None:
        """Make a volume of an image, and an image of that volume."""
        volume = self._create(side, image)
        self.sources[side] = volume
        self.golden[side] = self.cloud.upload_volume(volume)
        self._trace({"operation": "upload", "subject": volume})

    def create(self, side: str) -> Cost:
        """Create a volume by clone."""
        volume = self._create(side, self.golden[side])
        return self._cost(side, "create", volume)

    def _create(self, side: str, image: str) -> str:
        zone = _ZONES[side]
        return self.cloud.create_volume(image, availability_zone=zone)

    def upload(self, side: str) -> Cost:
        """Register a clone of a volume."""
        volume = self.sources[side]
        image = self.cloud.ask_upload(volume)
        while self.cloud.image(image)["status"] != "active":
            time.sleep(0.01)
        active = time.time()
        self.cloud.wait_for_volume(volume)
        return self._cost(side, "upload", volume, active)

    def _cost(
        self, side: str, operation: str, volume: str, active: float = 0.0
    ) -> Cost:
        trace = self._trace({"operation": operation, "subject": volume})
        answered = [
            trace["began"] + at
            for _, what, at in trace["asked"]
            if what.startswith(_REGISTERED[0])
            and what.endswith(_REGISTERED[1])
        ]
        return Cost(
            side=side,
            operation=operation,
            seconds=trace["seconds"],
            waited=max(0.0, active - answered[0]) if answered else 0.0,
            asked=[tuple(each) for each in trace["asked"]],
        )

    def _trace(self, of: dict[str, str]) -> dict[str, Any]:
        """Return the last trace; it is written after the volume's status."""
        folder = self.cloud.services.namespace.folder
        traces = folder / "cinder" / "traces"
        found: list[dict[str, Any]] = []

        def written() -> bool:
            lines = traces.read_text().splitlines()
            found[:] = [
                trace
                for trace in map(json.loads, lines)
                if all(trace[name] == value for name, value in of.items())
            ]
            return bool(found)

        wait_for("the trace", written)
        traces.unlink()
        return found[-1]


@contextlib.contextmanager
def running_sides(folder: Path) -> Iterator[Sides]:
    """Start the cloud with both, and make an image on each."""
    with running_stack(folder, SIDES[STOCK]) as cloud:
        _start(cloud)
        sides = Sides(cloud)
        image = cloud.upload_image(os.urandom(1 << 20))
        for side in SIDES:
            sides.prepare(side, image)
        yield sides


def _start(cloud: Stack) -> Process:
    known = cloud.services
    configure_cinder(known, cloud.projects, SIDES[DROP_IN])
    conf = known.namespace.folder / "cinder.conf"
    own = known.namespace.folder / "drop-in.conf"
    zone = f"storage_availability_zone = {_ZONES[DROP_IN]}"
    own.write_text(
        conf.read_text().replace("host = stack", f"host = {DROP_IN}\n{zone}")
    )
    process = known.namespace.start(
        *("cinder-volume-drop-in", "cinder-volume"),
        *("--config-file", str(own)),
    )
    admin = cloud.projects["service"].volume
    path = "/scheduler-stats/get_pools"
    wait_for(
        "the drop-in's pools",
        lambda: DROP_IN in str(admin.get(path).json()["pools"]),
        process,
    )
    return process
