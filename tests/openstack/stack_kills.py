"""Kill a real cinder-volume at a chosen step, and see what is left.

The worker process of cinder-volume dies by SIGKILL directly before a step of
`stack_steps`.  Its parent starts another one, as after a kill by the kernel.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import attrs
import psycopg2
from keystoneauth1.exceptions import NotFound
from stack import INTERNAL, Stack
from stack_processes import HOST, Process, wait_for
from stack_services import LEGACY_GLANCE

STOCK, OURS = "stack_steps.StockManager", "stack_steps.PolicyManager"
_READY = "Driver post RPC initialization completed successfully."
_SNAPSHOT = re.compile(r"volume-[^@]*@(volume-.*)\.clone_snap")
_CONF = """\
[DEFAULT]
volume_manager = {manager}
enabled_backends = {backend}
glance_request_timeout = 5
{more}{sections}
"""
_OUTAGE = 15
"""Seconds after which a part that failed is started again at the latest."""
_COUNTED = {
    "quota reserved": "reservations WHERE NOT deleted",
    "a note": "volume_admin_metadata WHERE key LIKE 'clonepolicy:%'",
    "a worker row": "workers WHERE resource_id IS NOT NULL",
}


class Array(Protocol):
    """Where the volumes are."""

    @property
    def backend(self) -> str:
        """The backend's name, which is its volume type's too."""

    @property
    def conf(self) -> str:
        """The sections of cinder.conf that it takes."""

    def stored(self) -> set[str]:
        """Name what is stored: ``volume-…`` and ``volume-…@…``."""


@attrs.frozen
class Files:
    """The backend that clones files on XFS."""

    folder: Path
    backend: str = "reflink"
    # several hosts have it
    conf: str = '[reflink]\nextra_capabilities = {"array_id": "files"}\n'

    @classmethod
    def of(cls, cloud: Stack) -> Files:
        """Find the files of a cloud."""
        under = cloud.services.namespace
        return cls(under.visible_path(under.folder / "xfs" / "reflink"))

    def stored(self) -> set[str]:
        """Name the files of volumes."""
        return {path.name for path in self.folder.glob("volume-*")}


@attrs.frozen
class Work:
    """What cinder-volume was asked to do."""

    kind: str
    """``create`` by clone, ``upload`` by registration, or ``copy``."""
    volume: str
    image: str


@attrs.frozen
class Stop:
    """A process that waits for an order, directly before a step."""

    pid: int
    step: str


@attrs.frozen
class Seen:
    """What is there at one moment, as far as work can leave it."""

    volumes: dict[str, tuple[str, str]]
    """By id: the project and the status."""
    rows: Counter[str]
    uncounted: dict[tuple[str, str], int]
    """By project and resource: how much quota is used by nothing."""
    stored: set[str]


@attrs.define
class Lab:
    """A cloud whose cinder-volume stops at a step, to be killed there."""

    cloud: Stack
    array: Array
    _golden: str = ""

    @property
    def _process(self) -> Process:
        """The process of cinder-volume."""
        return self.cloud._volume_process

    @property
    def _folder(self) -> Path:
        return self.cloud.services.namespace.folder

    @property
    def _steps(self) -> Path:
        return self._folder / "steps"

    # -- the service --------------------------------------------------------

    def use(self, manager: str, **options: str) -> None:
        """Start cinder-volume with a manager and options of ``[DEFAULT]``."""
        self._process.end()
        with self._database() as query:
            # nobody waits until Cinder believes that other hosts are down
            query(
                "UPDATE services SET "
                "created_at = created_at - interval '1 hour', "
                "updated_at = updated_at - interval '1 hour' "
                "WHERE topic = 'cinder-volume' RETURNING id"
            )
        shutil.rmtree(self._steps, ignore_errors=True)
        self._steps.mkdir()
        more = "".join(f"{name} = {text}\n" for name, text in options.items())
        conf = self._folder / "kills.conf"
        conf.write_text(
            _CONF.format(
                manager=manager,
                backend=self.array.backend,
                more=more,
                sections=self.array.conf,
            )
        )
        self.cloud.manager = manager
        self.cloud._volume_process = self.cloud.services.namespace.start(
            *("cinder-volume", "cinder-volume"),
            *("--config-file", str(self._folder / "cinder.conf")),
            *("--config-file", str(conf)),
        )
        wait_for("cinder-volume", self.starts, self._process)
        host = options.get("cluster", "stack")
        self.cloud.wait_for_pools(f"{host}@{self.array.backend}")

    def log(self) -> str:
        """Read the log of cinder-volume since `use`."""
        return self._process.log.read_text(errors="replace")

    def starts(self) -> int:
        """Count how often the service has started."""
        return self.log().count(_READY)

    # -- work ---------------------------------------------------------------

    def create(self, **fields: str) -> str:
        """Ask for a volume of one GiB; return its id."""
        body = {"size": 1, "volume_type": self.array.backend, **fields}
        answer = self.cloud.projects["alice"].volume.post(
            "/volumes", json={"volume": body}
        )
        return str(answer.json()["volume"]["id"])

    def source(self) -> str:
        """Create an empty volume; return its id."""
        volume = self.create()
        self.cloud.wait_for_volume(volume)
        return volume

    def golden(self) -> str:
        """Return an image whose data is a volume."""
        if not self._golden:
            image = self.cloud.upload_volume(self.source())
            (url,) = self.cloud.locations(image)
            # Glance attaches the volume to compute a hash
            if not LEGACY_GLANCE:
                wait_for(
                    "the hash",
                    lambda: self.cloud.image(image)["os_hash_value"],
                )
            self.cloud.wait_for_volume(url.removeprefix("cinder://volumes/"))
            self._golden = image
        return self._golden

    def prepare(self, kind: str) -> Callable[[], Work]:
        """Prepare work; return a function that asks for it."""
        if kind == "create":
            image = self.golden()
            return lambda: Work(kind, self.create(imageRef=image), image)
        source, ask = self.source(), self.cloud.ask_upload
        # Cinder registers nothing in another container
        more = {"container_format": "ovf"} if kind == "copy" else {}
        return lambda: Work(kind, source, ask(source, **more))

    def run(
        self, kind: str, step: int | str
    ) -> tuple[Seen, Work, Stop | None]:
        """Have work done until a step; return what was there before it.

        A step is given by its number or its name.  Without a stop the work
        has no such step, and has ended.
        """
        ask, counted = self.prepare(kind), _counted(kind)
        before = self.see()
        for name in ("ended", "steps"):
            (self._steps / name).unlink(missing_ok=True)
        self._stop_at(counted, step)
        work = ask()
        wait_for(
            f"the {kind}",
            lambda: self._stopped() or self._ended(counted),
            self._process,
        )
        return before, work, self._stopped()

    def steps(self, kind: str) -> list[str]:
        """Return the names of the steps of work, when it was done last."""
        names: list[str] = []
        for line in (self._steps / "steps").read_text().splitlines():
            done, number, name = line.split(" ", 2)
            if done == _counted(kind):
                names[int(number) :] = [name]
        return names

    def _stop_at(self, counted: str, step: int | str | None) -> None:
        asked = self._steps / "asked"
        if step is None:
            asked.unlink(missing_ok=True)
        else:
            _write(asked, json.dumps([counted, step]))

    def _stopped(self) -> Stop | None:
        with contextlib.suppress(FileNotFoundError):
            return Stop(*json.loads((self._steps / "stopped").read_text()))
        return None

    def _ended(self, counted: str) -> str:
        """Return the id of the process in which work has ended."""
        with contextlib.suppress(FileNotFoundError):
            for line in (self._steps / "ended").read_text().splitlines():
                work, pid = line.split()
                if work == counted:
                    return pid
        return ""

    def order(self, stop: Stop, order: str, then: int | None = None) -> None:
        """Have a process go on or die; its next start stops at a step."""
        self._stop_at("start", then)
        (self._steps / "stopped").unlink()
        _write(self._steps / f"order-{stop.pid}", order)

    def kill(self, stop: Stop, then: int | None = None) -> Stop | None:
        """Kill a process, and wait until the next one is up, or stops."""
        number = self.starts()
        self.order(stop, "die", then)
        wait_for(
            "cinder-volume",
            lambda: self._stopped() or self.starts() > number,
            self._process,
        )
        return self._stopped()

    # -- what is left -------------------------------------------------------

    def killed(
        self, kind: str, step: int | str, then: int | None = None
    ) -> tuple[str, list[str]] | None:
        """Kill work at a step, perhaps also the start that follows it.

        Returns:
            The name of the last step at which it was killed, and what is
            left after the next start; None if there is no such step.
        """
        before, work, stop = self.run(kind, step)
        if stop is None:
            return None
        again = self.kill(stop, then)
        if then is not None:
            if again is None:
                return None
            stop = again
            self.kill(again)
        return stop.step, self.left(before, work)

    def disturbed(
        self,
        kind: str,
        step: int | str,
        fault: Callable[[], contextlib.AbstractContextManager[object]],
    ) -> tuple[str, list[str]] | None:
        """Have another part fail at a step, and the service start later."""
        before, work, stop = self.run(kind, step)
        if stop is None:
            return None
        counted = _counted(kind)
        with fault():
            self.order(stop, "go")
            end = time.monotonic() + _OUTAGE
            while not self._ended(counted) and time.monotonic() < end:
                time.sleep(0.1)
        wait_for(f"the {kind}", lambda: self._ended(counted), self._process)
        number = self.starts()
        self.cloud.services.namespace.run(
            "kill", "kill", "-KILL", self._ended(counted)
        )
        wait_for("a start", lambda: self.starts() > number, self._process)
        return stop.step, self.left(before, work)

    def taken_over(
        self, manager: str, kind: str, step: int
    ) -> tuple[str, list[str]] | None:
        """Kill a host of a cluster at a step; another one cleans up."""
        self.use(manager, **self.clustered("one"))
        before, work, stop = self.run(kind, step)
        if stop is None:
            return None
        self._process.kill()
        self.use(manager, **self.clustered("two"))
        done = "cleanup completed"
        number = self.log().count(done)
        self.cloud.projects["service"].volume.post(
            "/workers/cleanup",
            json={"host": f"one@{self.array.backend}"},
            headers={"OpenStack-API-Version": "volume 3.70"},
        )
        wait_for("a cleanup", lambda: self.log().count(done) > number)
        return stop.step, self.left(before, work)

    def clustered(self, host: str) -> dict[str, str]:
        """Return the options of a host of a cluster."""
        state = self._folder / f"state-{host}"
        return {"cluster": "both", "host": host, "state_path": str(state)}

    def see(self) -> Seen:
        """Look into the database and the array."""
        with self._database() as query:
            volumes = query(
                "SELECT id, project_id, status, size FROM volumes "
                "WHERE NOT deleted"
            )
            used = query(
                "SELECT project_id, resource, in_use FROM quota_usages WHERE "
                "NOT deleted AND resource IN ('volumes', 'gigabytes')"
            )
            rows = {
                name: query(f"SELECT count(*) FROM {what}")[0][0]  # noqa: S608 - all are ours
                for name, what in _COUNTED.items()
            }
        held: Counter[tuple[str, str]] = Counter()
        for _, project, _, size in volumes:
            held[project, "volumes"] += 1
            held[project, "gigabytes"] += size
        return Seen(
            {row[0]: (row[1], row[2]) for row in volumes},
            Counter(rows),
            {row[:2]: row[2] - held[row[:2]] for row in used},
            self.array.stored(),
        )

    @contextlib.contextmanager
    def _database(self) -> Iterator[Callable[[str], list[Any]]]:
        port = self.cloud.services.ports["postgresql"]
        where = {"host": HOST, "port": port, "user": "stack"}
        with (
            contextlib.closing(
                psycopg2.connect(**where, dbname="cinder")
            ) as connection,
            connection,
            connection.cursor() as cursor,
        ):

            def query(statement: str) -> list[Any]:
                cursor.execute(statement)
                return list(cursor.fetchall())

            yield query

    def _image(self, image_id: str) -> tuple[str, list[str]]:
        """Return an image's status and locations, once Glance is at rest."""
        try:
            urls = self.cloud.locations(image_id)
            if urls:
                wait_for(
                    f"image {image_id}",
                    lambda: self.cloud.image(image_id)["status"] == "active",
                )
            return self.cloud.image(image_id)["status"], urls
        except NotFound:
            return "", []

    def left(self, before: Seen, work: Work) -> list[str]:
        """Return what work has left, sorted; [] is nothing."""
        status, urls = self._image(work.image)
        after = self.see()
        volumes, found = after.volumes, set()
        if status not in {"", "active"}:
            found.add(f"image `{status}`")
        internal = self.cloud.projects[INTERNAL].id
        for volume, (project, state) in volumes.items():
            new = volume not in before.volumes
            if project == internal and new:
                if not any(url.endswith(volume) for url in urls):
                    found.add(f"image volume `{state}`")
            elif volume == work.volume and state not in {"available", "error"}:
                found.add(f"volume `{state}`")
        found |= {name for name, _ in (after.rows - before.rows).items()}
        if Counter(after.uncounted) != Counter(before.uncounted):
            found.add("quota counted wrongly")
        found |= {*_data_left(before, after)}
        if work.kind == "copy":
            # it takes real space
            with contextlib.suppress(NotFound):
                self.cloud.projects["service"].image.delete(
                    f"/v2/images/{work.image}"
                )
        return sorted(found)


def _data_left(before: Seen, after: Seen) -> Iterator[str]:
    for name in after.stored - before.stored:
        snapshot = _SNAPSHOT.fullmatch(name)
        volume = name.removeprefix("volume-")
        _, state = after.volumes.get(volume, ("", ""))
        if snapshot:
            if snapshot[1] not in after.stored:
                yield "snapshot of the source"
        elif not state:
            yield "data of no volume"
        elif state == "error":
            yield "data of the volume in `error`"


def _counted(kind: str) -> str:
    return "create" if kind == "create" else "upload"


def _write(path: Path, text: str) -> None:
    """Write a file that another process must not see half."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.rename(path)
