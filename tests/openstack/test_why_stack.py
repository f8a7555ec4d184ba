"""`clonepolicy why` against real services, and what they then do.

Each question is put as three users before the request is made.  A user who
sees everything gets the answer; the others get the same, or that it depends.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest

pytest.importorskip("cinder", reason="run by nox -s openstack")
pytest.importorskip("glance", reason="run by nox -s openstack")
pytest.importorskip("openstack", reason="needs clonepolicy[cloud]")
sys.path.insert(0, str(Path(__file__).parents[1]))

from keystoneauth1.exceptions import ClientException
from stack import STOCK, Created, Identity, Stack, stack
from stack_processes import StackError, wait_for

from cli_support import run

__all__ = ["stack"]

OURS = "clonepolicy.adapters.cinder.PolicyVolumeManager"
POLICIES = {STOCK: "CINDER_29", OURS: "SAFE"}
USERS = ("operator", "admin", "reader", "member")
"""The first has the roles admin and service, the second admin only."""
MOST_REQUESTS = 15


@attrs.frozen
class Asked:
    """A cloud with a volume manager, and images of several kinds."""

    cloud: Stack
    policy: str
    golden: str
    """An image whose data is a volume of the backend ``reflink``."""
    plain: str
    """A raw image in a file."""
    qcow2: str
    volume: str
    """A volume of ``reflink``, which `golden` was made of."""

    def why(self, user: str, *question: str) -> dict[str, Any]:
        """Ask as a user; return the JSON, or the error."""
        conf = self.cloud.services.namespace.folder / "cinder.conf"
        result = run(
            *("why", *question, "--os-cloud", user, "--json"),
            *("--cinder-conf", str(conf), "--policy", self.policy),
        )
        answer: dict[str, Any] = json.loads(result.stdout or result.stderr)
        return {**answer, "exit": int(result.exit_code)}

    def answers(self, *question: str) -> dict[str, str]:
        """Ask as each user; return the answers."""
        found = {user: self.why(user, *question) for user in USERS}
        return {
            user: each.get("answer") or f"exit {each['exit']}"
            for user, each in found.items()
        }


def write_clouds(cloud: Stack, path: Path) -> None:
    """Write a clouds.yaml with the users."""
    alice = Created("alice", cloud.projects["alice"].id)
    Identity.of(cloud.services).add_user("rita", alice, "reader")
    users = {
        "operator": ("cinder", "service"),
        "admin": ("admin", "admin"),
        "reader": ("rita", "alice"),
        "member": ("alice", "alice"),
    }
    clouds = {
        name: {
            "auth": {
                "auth_url": cloud.services.url("keystone") + "/v3",
                "username": user,
                "password": cloud.services.password,
                "project_name": project,
                "user_domain_id": "default",
                "project_domain_id": "default",
            }
        }
        for name, (user, project) in users.items()
    }
    path.write_text(json.dumps({"clouds": clouds}))


@pytest.fixture(scope="module")
def clouds(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the path of the clouds.yaml."""
    path = tmp_path_factory.mktemp("clouds") / "clouds.yaml"
    write_clouds(stack, path)
    return path


def as_qcow2(data: bytes, folder: Path) -> bytes:
    """Convert the bytes of a disk."""
    raw, made = folder / "disk.raw", folder / "disk.qcow2"
    raw.write_bytes(data)
    subprocess.run(
        ("qemu-img", "convert", "-O", "qcow2", str(raw), str(made)),  # noqa: S607 - Debian's
        check=True,
    )
    return made.read_bytes()


@pytest.fixture(
    scope="module",
    # each takes minutes: whoever asks for more than CI has both
    params=[STOCK, pytest.param(OURS, marks=pytest.mark.deep)],
)
def asked(
    stack: Stack,
    clouds: Path,
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> Asked:
    """Make the images with one of the volume managers."""
    assert clouds.exists()
    stack.use_manager(request.param)
    data = os.urandom(1 << 20)
    plain = stack.upload_image(data, visibility="community")
    volume = stack.create_volume(plain)
    golden = stack.upload_volume(volume, visibility="community")
    (url,) = stack.locations(golden)
    stack.wait_for_volume(url.rpartition("/")[2])
    folder = tmp_path_factory.mktemp("disk")
    qcow2 = stack.upload_image(as_qcow2(data, folder), disk_format="qcow2")
    policy = POLICIES[request.param]
    return Asked(stack, policy, golden, plain, qcow2, volume)


@pytest.fixture(autouse=True)
def _as_every_client(clouds: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(clouds))


def did_create(
    cloud: Stack, image: str, project: str = "alice", **fields: Any
) -> str:
    """Create a volume, and tell what Cinder did."""
    before = {each["id"] for each in cloud.volumes()}
    try:
        volume = cloud.create_volume(image, project, **fields)
    except (ClientException, StackError):  # by the API, or by the manager
        return "refused"
    assert volume not in before
    urls = cloud.locations(image)
    backing = [
        url.rpartition("/")[2] for url in urls if url.startswith("cinder://")
    ]
    shared = any(cloud.extents(b) & cloud.extents(volume) for b in backing)
    return "yes" if shared else "no"


def did_upload(cloud: Stack, volume: str, **fields: str) -> str:
    """Upload a volume, and tell what Cinder did."""
    (url,) = cloud.locations(cloud.upload_volume(volume, **fields))
    return "yes" if url.startswith("cinder://") else "no"


def check(answers: dict[str, str], did: str) -> None:
    """Compare the answers with what was done."""
    assert did == answers["operator"] == answers["admin"], answers
    # 404 hides what is not a user's own: the answer then is that it is not
    # there, to that user
    assert {*answers.values()} <= {did, "depends", "exit 4"}, answers


Scenario = Callable[[Asked], tuple[tuple[str, ...], Callable[[], str]]]


def creates(
    image: str, size: int = 1, project: str = "alice", kind: str = "reflink"
) -> Scenario:
    """Ask about a create, and make it."""

    def scenario(asked: Asked) -> tuple[tuple[str, ...], Callable[[], str]]:
        cloud, wanted = asked.cloud, getattr(asked, image)
        owner = cloud.projects[project].id
        question = ("create", wanted, "--size", str(size), "--type", kind)
        return (*question, "--project", owner), lambda: did_create(
            cloud, wanted, project, size=size, volume_type=kind
        )

    return scenario


SCENARIOS: dict[str, Scenario] = {
    "an image in a file": creates("plain"),
    "an image in a file, on the other backend": creates("plain", kind="plain"),
    "an image volume": creates("golden"),
    "an image volume, into a larger one": creates("golden", size=2),
    "an image volume, on another backend": creates("golden", kind="plain"),
    "an image volume, for another project": creates("golden", project="bob"),
    "a qcow2 image": creates("qcow2"),
    "a qcow2 image, on the other backend": creates("qcow2", kind="plain"),
    "a private image, for another project": creates("qcow2", project="bob"),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_create_is_as_why_said_before(asked: Asked, name: str) -> None:
    """For each user, with unchanged Cinder and with the drop-in."""
    question, do = SCENARIOS[name](asked)
    answers = asked.answers(*question)

    check(answers, do())


@pytest.mark.parametrize("disk_format", ["raw", "qcow2"])
def test_an_upload_is_as_why_said_before(
    asked: Asked, disk_format: str
) -> None:
    """By the project of the volume."""
    question = ("upload", asked.volume, "--disk-format", disk_format)
    answers = asked.answers(*question)

    check(
        answers, did_upload(asked.cloud, asked.volume, disk_format=disk_format)
    )


def test_an_existing_volume_would_be_made_in_the_same_way(
    asked: Asked,
) -> None:
    """Its image, its type and its pool are those that it has."""
    cloud = asked.cloud
    volume = cloud.create_volume(asked.golden, volume_type="reflink")

    check(asked.answers("volume", volume), "yes")


def test_a_small_volume_is_refused_as_why_said(asked: Asked) -> None:
    """The API refuses it."""
    cloud = asked.cloud
    image = cloud.upload_image(os.urandom(1 << 16), min_disk=2)  # type: ignore[arg-type] # Glance takes a number
    answers = asked.answers("create", image, "--size", "1")

    check(answers, did_create(cloud, image))


def test_a_deactivated_image_is_refused_as_why_said(asked: Asked) -> None:
    """Also to those who may see it."""
    cloud = asked.cloud
    image = cloud.upload_image(os.urandom(1 << 16))
    path = f"/v2/images/{image}/actions/deactivate"
    cloud.projects["service"].image.post(path)
    answers = asked.answers("create", image, "--size", "1")

    check(answers, did_create(cloud, image))


def test_a_quota_that_is_used_up_refuses_as_why_said(asked: Asked) -> None:
    """It is that of the requester's project."""
    cloud, bob = asked.cloud, asked.cloud.projects["bob"].id
    volume = cloud.projects["service"].volume

    def limit(volumes: int) -> None:
        quota = {"quota_set": {"volumes": volumes}}
        volume.put(f"/os-quota-sets/{bob}", json=quota)

    used = sum(
        each["os-vol-tenant-attr:tenant_id"] == bob for each in cloud.volumes()
    )
    limit(used)
    try:
        question = ("create", asked.plain, "--size", "1", "--project", bob)
        check(asked.answers(*question), did_create(cloud, asked.plain, "bob"))
    finally:
        limit(-1)


def test_an_image_volume_in_error_is_treated_as_why_said(
    asked: Asked,
) -> None:
    """Unchanged Cinder clones it all the same."""
    cloud = asked.cloud
    (url,) = cloud.locations(asked.golden)
    backing = url.rpartition("/")[2]

    def reset(status: str) -> None:
        action = {"os-reset_status": {"status": status}}
        path = f"/volumes/{backing}/action"
        cloud.projects["service"].volume.post(path, json=action)

    reset("error")
    try:
        answers = asked.answers("create", asked.golden, "--size", "1")
        check(answers, did_create(cloud, asked.golden))
    finally:
        reset("available")


def test_the_api_is_only_read(asked: Asked) -> None:
    """The services' own logs have no other verb from it."""
    before = {each["id"] for each in asked.cloud.volumes()}
    asked.answers("create", asked.golden, "--size", "1")

    assert {each["id"] for each in asked.cloud.volumes()} == before
    wait_for("the volume", lambda: asked.cloud.volume(asked.volume))
