"""Clones on a real cloud: services are processes, requests use HTTP.

The tests share one cloud if one process runs them all: with ``-n`` add
``--dist loadfile``.
"""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

pytest.importorskip("cinder", reason="run by nox -s openstack")
pytest.importorskip("glance", reason="run by nox -s openstack")

from keystoneauth1.exceptions import NotFound
from stack import INTERNAL, STOCK, Stack, stack
from stack_kills import Files, Lab
from stack_processes import StackError, missing_requirements, wait_for
from stack_services import LEGACY_GLANCE

__all__ = ["stack"]

OURS = "clonepolicy.adapters.cinder.PolicyVolumeManager"
STEPPING = {
    STOCK: "stack_steps.StockManager",
    OURS: "stack_steps.PolicyManager",
}


@attrs.frozen
class Story:
    """Images and volumes that were made from each other, in this order."""

    cloud: Stack
    data: bytes
    log: str
    image: str
    """An image in a file; `first` was created from it."""
    first: str
    golden: str
    """The image that `first` was uploaded to; `second` was created from it."""
    second: str

    @property
    def backing(self) -> str:
        """The volume behind the uploaded image."""
        return backing_of(self.cloud, self.golden)


def backing_of(cloud: Stack, image: str) -> str:
    """Return the volume behind an image of Glance's cinder store."""
    (url,) = cloud.locations(image)
    return url.removeprefix("cinder://volumes/")


@pytest.fixture(scope="module", params=[STOCK, OURS])
def story(stack: Stack, request: pytest.FixtureRequest) -> Story:
    """Create the images and volumes with one of the volume managers."""
    stack.use_manager(request.param)
    data = os.urandom(3 << 20)
    image = stack.upload_image(data)
    first = stack.create_volume(image)
    golden = stack.upload_volume(first, visibility="community")
    # Glance attaches it to hash the image, which is active before
    stack.wait_for_volume(backing_of(stack, golden))
    second = stack.create_volume(golden, size=2)
    return Story(stack, data, stack.log(), image, first, golden, second)


def decisions(log: str, image: str) -> list[dict[str, str]]:
    """Return the logged decisions about an image."""
    lines = [
        line.partition("clonepolicy operation=")[2]
        for line in log.splitlines()
        if f"image={image}" in line
    ]
    fields = [f"operation={line}".split() for line in lines if line]
    return [dict(field.split("=", 1) for field in line) for line in fields]


class TestBothManagers:
    """Cinder's own manager and the drop-in."""

    def test_an_image_in_a_file_is_downloaded(self, story: Story) -> None:
        """The volume has the same data."""
        cloud, size = story.cloud, len(story.data)
        digest = hashlib.md5(story.data, usedforsecurity=False).hexdigest()

        assert digest == cloud.md5(story.first, size)
        assert 1 << 30 == cloud.file(story.first).stat().st_size

    def test_an_upload_registers_a_clone_of_the_volume(
        self, story: Story
    ) -> None:
        """Glance has found its store, and shows it."""
        cloud = story.cloud
        image, backing = cloud.image(story.golden), story.backing

        assert ("active", 1 << 30) == (image["status"], image["size"])
        assert cloud.extents(story.first) == cloud.extents(backing)
        size = len(story.data)
        assert cloud.md5(story.first, size) == cloud.md5(backing, size)

    def test_the_image_volume_is_the_internal_tenants(
        self, story: Story
    ) -> None:
        """Its metadata names the image's owner."""
        volume = story.cloud.volume(story.backing)
        projects = story.cloud.projects

        assert projects[INTERNAL].id == volume["os-vol-tenant-attr:tenant_id"]
        assert projects["alice"].id == volume["metadata"]["image_owner"]
        assert story.golden == volume["metadata"]["glance_image_id"]

    def test_a_create_from_the_image_volume_clones_and_extends(
        self, story: Story
    ) -> None:
        """The new volume shares the image volume's blocks."""
        cloud, size = story.cloud, len(story.data)

        assert cloud.extents(story.backing) == cloud.extents(story.second)
        assert 2 << 30 == cloud.file(story.second).stat().st_size
        digests = {
            cloud.md5(volume, size) for volume in (story.first, story.second)
        }
        assert len(digests) == 1

    def test_a_create_by_another_project_clones_too(
        self, story: Story
    ) -> None:
        """The owner of the image counts, not the owner of the volume."""
        cloud = story.cloud
        volume = cloud.create_volume(story.golden, "bob")

        assert cloud.extents(story.backing) == cloud.extents(volume)
        owner = cloud.volume(volume)["os-vol-tenant-attr:tenant_id"]
        assert cloud.projects["bob"].id == owner

    def test_a_driver_that_cannot_clone_an_uploading_volume_uploads_data(
        self, story: Story
    ) -> None:
        """Cinder's NFS driver refuses it."""
        cloud = story.cloud
        volume = cloud.create_volume(story.image, volume_type="plain")
        before = {each["id"] for each in cloud.volumes()}
        image = cloud.upload_volume(volume)

        (url,) = cloud.locations(image)
        assert url.startswith("file://")
        assert {each["id"] for each in cloud.volumes()} == before


@pytest.mark.parametrize("story", [OURS], indirect=True)
class TestDropIn:
    """What the drop-in adds."""

    def test_each_decision_has_a_log_line(self, story: Story) -> None:
        """It has operation, verdict, policy and reasons."""
        (download,) = decisions(story.log, story.image)
        register, clone = decisions(story.log, story.golden)

        assert ("create", "download") == (
            download["operation"],
            download["verdict"],
        )
        assert download["reasons"] != "-"
        assert ("upload", "register", "-") == (
            register["operation"],
            register["verdict"],
            register["reasons"],
        )
        assert ("create", "clone", "-") == (
            clone["operation"],
            clone["verdict"],
            clone["reasons"],
        )
        assert f"cinder://volumes/{story.backing}" == clone["source"]
        for line in (download, register, clone):
            assert line["policy"].startswith("SAFE/")
            assert "enforce" == line["mode"]

    def test_the_log_has_no_traceback(self, story: Story) -> None:
        """Cinder's own clone of image volumes was not called."""
        assert "Traceback" not in story.log
        assert "Will clone a volume from the image" not in story.log

    def test_a_user_message_tells_what_is_not_made(self, story: Story) -> None:
        """cinder-api knows the text; nothing is told of what is made."""
        cloud = story.cloud
        key = str(uuid.uuid4())
        image = cloud.upload_image(story.data, cinder_encryption_key_id=key)
        with pytest.raises(StackError):
            cloud.create_volume(image)
        (message,) = cloud.messages()

        assert "[image-data-encrypted]" in message["user_message"]
        assert message["resource_uuid"] not in {story.first, story.second}

    def test_a_line_says_what_is_on(self, story: Story) -> None:
        """The service itself writes it when the backend is initialized."""
        lines = [x for x in story.log.splitlines() if "started=" in x]

        assert lines
        assert all(" policy=SAFE/" in line for line in lines)
        assert all("trusted_projects," in line for line in lines)


def test_a_killed_upload_is_ended_at_the_next_start(stack: Stack) -> None:
    """The image is whole or gone, and so is the image volume."""
    stack.use_manager(OURS)
    volume = stack.create_volume(stack.upload_image(os.urandom(1 << 20)))
    before = {each["id"] for each in stack.volumes()}

    def made() -> set[str]:
        return {each["id"] for each in stack.volumes()} - before

    image = stack.ask_upload(volume)
    wait_for("an image volume", made)
    stack.kill_volume_service()
    wait_for("the recovery", lambda: "recovered=upload" in stack.log())

    assert "done=yes" in stack.log()
    assert "available" == stack.volume(volume)["status"]
    if left := made():
        assert "active" == stack.image(image)["status"]
        assert [f"cinder://volumes/{each}" for each in left] == (
            stack.locations(image)
        )
    else:
        with pytest.raises(NotFound):
            stack.image(image)


@pytest.fixture(scope="module", params=[STOCK, OURS])
def lab(stack: Stack, request: pytest.FixtureRequest) -> Lab:
    """Return a lab in which the volume service can be killed at a step."""
    running = Lab(stack, Files.of(stack))
    running.use(STEPPING[request.param])
    return running


LOCATION = (
    "Glance PATCH v2/images/…"
    if LEGACY_GLANCE
    else "Glance POST v2/images/…/locations"
)


@pytest.mark.parametrize(
    ("lab", "kind", "step", "left"),
    [
        (
            STOCK,
            "upload",
            LOCATION,
            [
                "image `queued`",
                "image volume `available`",
                "volume `uploading`",
            ],
        ),
        (OURS, "upload", LOCATION, []),
        (OURS, "upload", "array truncate", []),
        (OURS, "create", "array truncate", []),
    ],
    indirect=["lab"],
)
def test_a_kill_at_a_step_leaves(
    lab: Lab, kind: str, step: str, left: list[str]
) -> None:
    """The tables of docs/explanation/kills.md have every step."""
    found = lab.killed(kind, step)
    assert found is not None
    assert (step, left) == found


@pytest.mark.parametrize("story", [STOCK], indirect=True)
def test_cinders_own_manager_logs_its_clone(story: Story) -> None:
    """The log line is Cinder's."""
    line = f"Will clone a volume from the image volume {story.backing}"

    assert line in story.log


def test_missing_requirements_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A skipped test says what to install."""
    monkeypatch.setenv("PATH", str(tmp_path))

    assert "rabbitmq-server (Debian package)" in missing_requirements()
    assert "xfsprogs (Debian package)" in missing_requirements()


_OPEN_AND_WAIT = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from stack_processes import open_namespace
path = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
with open_namespace(Path(sys.argv[2]), path) as namespace:
    namespace.run("mount", "mount", "-t", "tmpfs", "none", "/mnt")
    namespace.start("sleep", "setsid", "--fork", "sleep", "600")
    print(namespace.first, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def abandoned(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Start a process that opens a namespace and waits."""
    if lacks := missing_requirements():
        pytest.skip("the stack needs " + ", ".join(lacks))
    here = str(Path(__file__).parent)
    with subprocess.Popen(
        [sys.executable, "-c", _OPEN_AND_WAIT, here, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        process.kill()


def test_a_killed_test_process_leaves_nothing_behind(
    abandoned: subprocess.Popen[str],
) -> None:
    """Processes and mounts are gone, also of programs in other groups."""
    assert abandoned.stdout
    first = Path("/proc", abandoned.stdout.readline().strip())
    assert first.exists()
    assert not Path("/mnt").is_mount()
    abandoned.send_signal(signal.SIGKILL)

    wait_for("the namespace's end", lambda: not first.exists())
