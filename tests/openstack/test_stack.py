"""What clones on a real cloud: services as processes, requests by HTTP.

The tests share one cloud if one process runs them all, which is what
``--dist loadfile`` makes of ``-n``.
"""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import attrs
import pytest

pytest.importorskip("cinder", reason="run by nox -s openstack")
pytest.importorskip("glance", reason="run by nox -s openstack")

from stack import INTERNAL, STOCK, Stack, stack
from stack_ground import missing, wait_for

__all__ = ["stack"]

OURS = "clonepolicy.adapters.cinder.PolicyVolumeManager"


@attrs.frozen
class Story:
    """A tenant uploads bytes, makes a volume of them, and so on."""

    cloud: Stack
    data: bytes
    log: str
    image: str
    """Made of bytes; `first` is made from it."""
    first: str
    golden: str
    """The image that `first` was uploaded to; `second` is made from it."""
    second: str

    @property
    def backing(self) -> str:
        """The volume behind the uploaded image."""
        (url,) = self.cloud.locations(self.golden)
        return url.removeprefix("cinder://volumes/")


@pytest.fixture(scope="module", params=[STOCK, OURS])
def story(stack: Stack, request: pytest.FixtureRequest) -> Story:
    """Live through it with a volume manager."""
    stack.use_manager(request.param)
    data = os.urandom(3 << 20)
    image = stack.upload_image(data)
    first = stack.create_volume(image)
    golden = stack.upload_volume(first, visibility="community")
    second = stack.create_volume(golden, size=2)
    return Story(stack, data, stack.log(), image, first, golden, second)


def decisions(log: str, image: str) -> list[dict[str, str]]:
    """Read what was decided about an image."""
    told = [
        line.partition("clonepolicy operation=")[2]
        for line in log.splitlines()
        if f"image={image}" in line
    ]
    fields = [f"operation={line}".split() for line in told if line]
    return [dict(field.split("=", 1) for field in line) for line in fields]


class TestEveryManager:
    """What holds with Cinder's own manager and with the drop-in."""

    def test_bytes_become_a_volume(self, story: Story) -> None:
        """An image that is no volume is downloaded."""
        cloud, size = story.cloud, len(story.data)
        digest = hashlib.md5(story.data, usedforsecurity=False).hexdigest()

        assert digest == cloud.md5(story.first, size)
        assert 1 << 30 == cloud.file(story.first).stat().st_size

    def test_an_upload_registers_a_clone_of_the_volume(
        self, story: Story
    ) -> None:
        """Glance itself resolved it to its store, and shows it."""
        cloud = story.cloud
        image, backing = cloud.image(story.golden), story.backing

        assert ("active", 1 << 30) == (image["status"], image["size"])
        assert cloud.extents(story.first) == cloud.extents(backing)
        size = len(story.data)
        assert cloud.md5(story.first, size) == cloud.md5(backing, size)

    def test_the_image_volume_is_out_of_the_tenants_reach(
        self, story: Story
    ) -> None:
        """It lies in the internal tenant, and names the image's owner."""
        volume = story.cloud.volume(story.backing)
        projects = story.cloud.projects

        assert projects[INTERNAL].id == volume["os-vol-tenant-attr:tenant_id"]
        assert projects["alice"].id == volume["metadata"]["image_owner"]
        assert story.golden == volume["metadata"]["glance_image_id"]

    def test_a_create_from_it_clones_and_extends(self, story: Story) -> None:
        """The new volume shares its blocks with the image's."""
        cloud, size = story.cloud, len(story.data)

        assert cloud.extents(story.backing) == cloud.extents(story.second)
        assert 2 << 30 == cloud.file(story.second).stat().st_size
        digests = {
            cloud.md5(volume, size) for volume in (story.first, story.second)
        }
        assert len(digests) == 1

    def test_another_projects_create_from_it_clones_too(
        self, story: Story
    ) -> None:
        """Whose the image is counts, not who makes a volume of it."""
        cloud = story.cloud
        volume = cloud.create_volume(story.golden, "bob")

        assert cloud.extents(story.backing) == cloud.extents(volume)
        owner = cloud.volume(volume)["os-vol-tenant-attr:tenant_id"]
        assert cloud.projects["bob"].id == owner

    def test_a_driver_that_cannot_clone_meanwhile_uploads_bytes(
        self, story: Story
    ) -> None:
        """Cinder's NFS driver refuses a volume that is being uploaded."""
        cloud = story.cloud
        volume = cloud.create_volume(story.image, volume_type="plain")
        before = {each["id"] for each in cloud.volumes()}
        image = cloud.upload_volume(volume)

        (url,) = cloud.locations(image)
        assert url.startswith("file://")
        assert {each["id"] for each in cloud.volumes()} == before


@pytest.mark.parametrize("story", [OURS], indirect=True)
class TestTheDropIn:
    """What it adds, with the one line in cinder.conf."""

    def test_each_decision_is_a_line_in_the_log(self, story: Story) -> None:
        """It names operation, verdict, policy and reasons."""
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

    def test_nothing_went_wrong_on_the_way(self, story: Story) -> None:
        """Cinder's own clone of image volumes was not asked."""
        assert "Traceback" not in story.log
        assert "Will clone a volume from the image" not in story.log

    def test_users_are_told_why_theirs_is_no_clone(self, story: Story) -> None:
        """By cinder-api, which knows the text."""
        cloud = story.cloud
        image = cloud.upload_image(story.data, container_format="ovf")
        volume = cloud.create_volume(image)
        told = {
            message["resource_uuid"]: message["user_message"]
            for message in cloud.messages()
        }

        assert "[container-not-bare]" in told[volume]
        assert "Made by clone or by copy" in told[story.second]


@pytest.mark.parametrize("story", [STOCK], indirect=True)
def test_cinder_says_that_it_clones(story: Story) -> None:
    """Cinder's own manager, in its own words."""
    said = f"Will clone a volume from the image volume {story.backing}"

    assert said in story.log


def test_what_a_machine_lacks_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """So that a skip tells what to install."""
    monkeypatch.setenv("PATH", str(tmp_path))

    assert "rabbitmq-server (Debian package)" in missing()
    assert "xfsprogs (Debian package)" in missing()


_LEFT_ALONE = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from stack_ground import ground
with ground(Path(sys.argv[2]), {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}) as g:
    g.run("mount", "mount", "-t", "tmpfs", "none", "/mnt")
    g.start("sleep", "setsid", "--fork", "sleep", "600")
    print(g.first, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def abandoned(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Start a process that opens a namespace, and waits there."""
    if lacks := missing():
        pytest.skip("the stack needs " + ", ".join(lacks))
    here = str(Path(__file__).parent)
    with subprocess.Popen(
        [sys.executable, "-c", _LEFT_ALONE, here, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        process.kill()


def test_a_killed_test_process_leaves_nothing_behind(
    abandoned: subprocess.Popen[str],
) -> None:
    """Neither processes nor mounts, even of what left its group."""
    assert abandoned.stdout
    first = Path("/proc", abandoned.stdout.readline().strip())
    assert first.exists()
    assert not Path("/mnt").is_mount()
    abandoned.send_signal(signal.SIGKILL)

    wait_for("the namespace's end", lambda: not first.exists())
