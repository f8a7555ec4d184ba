"""``clonepolicy lint --os-cloud``: what a running cloud adds."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("openstack", reason="install clonepolicy[cloud]")
sys.path.insert(0, str(Path(__file__).parent))

from cli_support import run
from cloud_server import ADMINS, IMAGE, image_body, running_cloud

pytestmark = pytest.mark.filterwarnings(
    # openstacksdk warns of what it will remove whenever it is configured
    "ignore:Support for InfluxDB"
)
CINDER = """\
[DEFAULT]
enabled_backends = nvme
allowed_direct_url_schemes = cinder
cinder_internal_tenant_project_id = internal
cinder_internal_tenant_user_id = cinder
[nvme]
volume_driver = cinder.volume.drivers.rbd.RBDDriver
image_upload_use_cinder_backend = true
image_upload_use_internal_tenant = true
image_volume_cache_enabled = true
[glance]
auth_type = password
username = cinder
"""
GLANCE = """\
[DEFAULT]
enabled_backends = volumes:cinder
[volumes]
cinder_volume_type = silver
cinder_store_auth_address = http://keystone
cinder_store_user_name = glance
cinder_store_password = secret
cinder_store_project_name = images
"""
IMAGES = "/v2/images?limit"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Write the files into the current folder."""
    monkeypatch.chdir(tmp_path)
    # openstacksdk looks where it was imported first
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "clouds.yaml"))
    (tmp_path / "cinder.conf").write_text(CINDER)
    (tmp_path / "glance-api.conf").write_text(GLANCE)
    return tmp_path


def lint(folder: Path, **given: Any) -> tuple[dict[str, str], dict[str, str]]:  # noqa: ANN401 - of the cloud
    """Lint with a cloud; return the findings, and what is not checked."""
    with running_cloud(**given) as cloud:
        cloud.clouds_yaml(folder)
        done = run(
            *("lint", "cinder.conf", "glance-api.conf", "--json"),
            *("--os-cloud", "here"),
        )
        assert cloud.verbs() <= {"GET"}
    assert done.stderr == ""
    report = json.loads(done.stdout)
    return (
        {row["id"]: row["message"] for row in report["findings"]},
        {row["id"]: row["why"] for row in report["not_checked"]},
    )


def project(name: str) -> dict[str, Any]:
    """Return keystone's answer about a project."""
    return {"projects": [{"id": name, "name": "images"}]}


def test_a_cloud_answers_what_files_cannot(folder: Path) -> None:
    """Types, images, roles, quotas and projects are then checked."""
    images = {"images": [image_body()]}

    found, left = lint(
        folder,
        replaced={"/v3/projects": project("internal"), IMAGES: images},
    )

    assert ["X31"] == [*found]
    assert "of the type silver, but no type has this name" in found["X31"]
    assert {"X22", "X28", "X33"} == left.keys()


def test_each_answer_can_be_a_finding(folder: Path) -> None:
    """What is wrong stands in the message."""
    wrapped = {**image_body(), "container_format": "ovf", "owner": None}
    nothing_left = {"limit": 1, "in_use": 1, "reserved": 0}
    quota = dict.fromkeys(
        ("volumes", "gigabytes", "per_volume_gigabytes"), nothing_left
    )
    types = [
        {
            "id": name,
            "name": name,
            "extra_specs": {"volume_backend_name": "nvme", **more},
            "qos_specs_id": None,
        }
        for name, more in (
            ("silver", {}),
            ("gold", {"image_service:store_id": "gone"}),
        )
    ]
    pools = [
        {"name": f"node1@nvme#{pool}", "capabilities": {}} for pool in "ab"
    ]
    roles = {"role_assignments": [{"role": {"name": "service"}}]}

    found, _ = lint(
        folder,
        replaced={
            "/v3/projects": project("another"),
            IMAGES: {"images": [wrapped]},
            "os-quota-sets": {"quota_set": quota},
            "/types?": {"volume_types": types},
            "get_pools": {"pools": pools},
            "role_assignments": roles,
        },
        encryption={"encryption_id": "e"},
    )

    assert {
        *("X4", "X7", "X8", "X10", "X13", "X14", "X17", "X18", "X25"),
        *("X31", "X32"),
    } == found.keys()
    assert "volumes of gold" in found["X8"]
    assert IMAGE in found["X13"]
    assert "its volumes are encrypted" in found["X31"]
    assert "node1@nvme#a, node1@nvme#b" in found["X18"]


def test_all_pages_of_images_are_read(folder: Path) -> None:
    """The image that matters may be the last one."""
    last = {**image_body(), "owner": None}

    found, _ = lint(
        folder,
        replaced={
            "/v2/images?marker": {"images": [last]},
            IMAGES: {"images": [image_body()], "next": "/v2/images?marker"},
            "/v3/projects": project("internal"),
        },
    )

    assert "X13" in found


@pytest.mark.parametrize("roles", [frozenset({"reader"}), ADMINS])
def test_what_a_cloud_forbids_is_not_checked(
    folder: Path, roles: frozenset[str]
) -> None:
    """A cloud that does not answer proves nothing either."""
    fails = {"/volume/": 503} if roles is ADMINS else {}

    found, left = lint(
        folder,
        roles=roles,
        fails=fails,
        replaced={IMAGES: {"images": []}},
    )

    asked = {"X17", "X18", "X19"} if fails else {"X4", "X5", "X18", "X19"}
    assert asked <= left.keys()
    assert all("HTTP" in left[name] for name in asked)
    assert not asked & found.keys()


def test_an_unknown_cloud_is_an_error(folder: Path) -> None:
    """The files alone would not be what was asked for."""
    (folder / "clouds.yaml").write_text('{"clouds": {}}')

    done = run("lint", "cinder.conf", "--os-cloud", "nowhere")

    assert done.exit_code == 2
    assert "--os-cloud" in done.stderr
