"""`clonepolicy decide` and `explain` on answers of APIs and on rows."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

import cli_support
from cli_support import assert_error, run

if TYPE_CHECKING:
    from click.testing import Result

request_file = cli_support.request_file

SOURCE_ID = "6f2c8a54-9d1e-4b7a-8c3d-2e5f60718293"
IMAGE: dict[str, Any] = {
    "id": "0e5b8f3a-0000-4000-8000-000000000001",
    "name": "debian-13",
    "status": "active",
    "visibility": "public",
    "protected": False,
    "os_hidden": False,
    "owner": "alice",
    "checksum": "d41d8cd98f00b204e9800998ecf8427e",
    "disk_format": "raw",
    "container_format": "bare",
    "size": 1 << 30,
    "virtual_size": None,
    "min_disk": 0,
    "min_ram": 0,
    "os_hash_algo": None,
    "os_hash_value": None,
    "created_at": "2026-01-01T00:00:00Z",
    "updated_at": "2026-01-01T00:00:00Z",
    "tags": [],
    "hw_disk_bus": "scsi",
    "locations": [{"url": f"cinder://ceph/{SOURCE_ID}", "metadata": {}}],
    "file": "/v2/images/0e5b8f3a/file",
    "schema": "/v2/schemas/image",
}
"""As glance 33.0.0 answers, with a property of a user's."""
SOURCE: dict[str, Any] = {
    "id": SOURCE_ID,
    "status": "available",
    "size": 1,
    "availability_zone": "nova",
    "attachments": [],
    "created_at": "2026-01-01T00:00:00.000000",
    "updated_at": None,
    "name": "image-0e5b8f3a",
    "volume_type": "gold",
    "volume_type_id": "type-1",
    "metadata": {"image_owner": "alice"},
    "encrypted": False,
    "multiattach": False,
    "os-vol-tenant-attr:tenant_id": "images",
    "os-vol-host-attr:host": "n1@nvme#p1",
    "os-vol-mig-status-attr:migstat": None,
    "cluster_name": None,
    "consumes_quota": True,
}
"""As cinder 29.0.0 answers an admin."""
ROW: dict[str, Any] = {
    "id": "new",
    "project_id": "bob",
    "size": 2,
    "status": "creating",
    "previous_status": None,
    "host": "n1@nvme#p1",
    "cluster_name": None,
    "encryption_key_id": None,
    "volume_type_id": "type-1",
    "multiattach": 0,
    "migration_status": None,
    "created_at": "2026-01-01 00:00:00",
    "volume_metadata": [],
    "deleted": 0,
    "use_quota": 1,
}
"""As MariaDB writes a row of the table volumes."""
TYPE = {
    "id": "type-1",
    "name": "gold",
    "is_public": True,
    "description": None,
    "extra_specs": {"volume_backend_name": "nvme"},
    "qos_specs_id": None,
}
POOL = {
    "name": "n1@nvme#p1",
    "capabilities": {
        "can_clone": True,
        "can_extend": True,
        "storage_protocol": "NVMe-oF",
        "volume_backend_name": "nvme",
    },
}
CONFIG = (
    *("--assume", "config.allowed_direct_url_schemes=cinder"),
    *("--assume", "config.trusted_projects=images"),
)


def write(path: Path, value: object) -> str:
    """Write JSON; return the name of the file."""
    path.write_text(json.dumps(value))
    return str(path)


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """A file for each option, wrapped as the APIs wrap their answers."""
    values = {
        "--image": IMAGE,
        "--volume": ROW,
        "--source": {"volume": SOURCE},
        "--type": {"volume_types": [TYPE]},
        "--pool": {"pools": [POOL]},
    }
    return {
        option: write(tmp_path / f"{option[2:]}.json", value)
        for option, value in values.items()
    }


def decide(
    files: dict[str, str], *more: str, operation: str = "create"
) -> Result:
    """Decide what the files say."""
    given = (word for each in files.items() for word in each)
    return run("decide", operation, *given, *more)


def test_bodies_and_rows_are_decided(files: dict[str, str]) -> None:
    """What each of them says is in the request; the rest is not known."""
    result = decide(files, *CONFIG, "--json")

    assert result.exit_code == 0, result.stderr
    made = json.loads(result.stdout)
    request = made["request"]
    assert ("clone", f"cinder://ceph/{SOURCE_ID}", 2) == (
        made["decision"],
        made["source"],
        made["extend_to"],
    )
    assert "gold" == request["volume"]["volume_type"]["name"]
    assert request["backend"] == request["image_volumes"][0]["backend"]
    assert "is assumed" in result.stderr
    replayed = run("explain", "-", stdin=result.stdout)
    assert (0, decide(files, *CONFIG).stdout) == (
        replayed.exit_code,
        replayed.stdout,
    )


def test_explain_takes_the_same_options(files: dict[str, str]) -> None:
    """And says what it would take."""
    del files["--source"]
    given = [word for each in files.items() for word in each]
    shown = run("explain", *given, "--what-would-it-take")

    assert shown.stdout.startswith("download image")
    assert "source-not-looked-up" in shown.stdout
    assert "what it would take:" in shown.stdout


def test_what_no_body_says_is_not_known(files: dict[str, str]) -> None:
    """No pool, no configuration: nothing is taken for a yes."""
    del files["--pool"]
    made = json.loads(decide(files, "--json").stdout)

    reasons = {found["reason"] for found in made["findings"]}
    assert "download" == made["decision"]
    assert {"driver-cannot-clone", "scheme-not-allowed"} <= reasons


@pytest.mark.parametrize(
    ("change", "verdict"),
    [
        ({}, "clone"),
        ({"visibility": "private", "owner": "bob"}, "clone"),
        ({"visibility": "private"}, "refuse"),
        ({"visibility": "shared"}, "refuse"),
    ],
)
def test_an_image_is_visible_by_its_owner_or_to_all(
    change: dict[str, str], verdict: str, files: dict[str, str], tmp_path: Path
) -> None:
    """Members of an image are not in its body: they are not assumed."""
    files["--image"] = write(tmp_path / "i", {**IMAGE, **change})
    owner = ("--assume", "image_volumes.0.source.image_owner=bob")
    more: tuple[str, ...] = owner if change.get("owner") else ()
    made = json.loads(decide(files, *CONFIG, *more, "--json").stdout)

    assert verdict == made["decision"]
    if verdict == "refuse":
        told = ("image.visible=true", "image.downloadable=true")
        more = tuple(word for each in told for word in ("--assume", each))
        made = json.loads(decide(files, *CONFIG, *more, "--json").stdout)
        assert "clone" == made["decision"]


def test_rows_of_glance_are_read(
    files: dict[str, str], tmp_path: Path
) -> None:
    """Properties and locations are rows of other tables."""
    row = {k: v for k, v in IMAGE.items() if k not in {"locations", "tags"}}
    row |= {
        "updated_at": "2026-01-01 00:00:00",
        "properties": [{"name": "img_signature", "value": "x", "deleted": 0}],
        "locations": [{"value": IMAGE["locations"][0]["url"], "id": 7}],
    }
    files["--image"] = write(tmp_path / "row", row)
    made = json.loads(decide(files, *CONFIG, "--json").stdout)

    assert made["request"]["image"]["signed"]
    assert 1 == len(made["request"]["image_volumes"])


def test_what_the_client_shows_is_read(
    files: dict[str, str], tmp_path: Path
) -> None:
    """It calls metadata and extra specs properties."""
    volume = {k: v for k, v in SOURCE.items() if k != "metadata"}
    volume["properties"] = SOURCE["metadata"]
    volume["type"] = volume.pop("volume_type")
    kind = {k: v for k, v in TYPE.items() if k != "extra_specs"}
    kind["properties"] = TYPE["extra_specs"]
    hidden = ("os_hash_algo", "os_hash_value", "locations", "os_hidden")
    image = {k: v for k, v in IMAGE.items() if k not in hidden}
    image["properties"] = {k: IMAGE[k] for k in hidden}
    usual = json.loads(decide(files, *CONFIG, "--json").stdout)
    files |= {
        "--source": write(tmp_path / "v", volume),
        "--type": write(tmp_path / "t", kind),
        "--image": write(tmp_path / "i", image),
    }

    assert usual == json.loads(decide(files, *CONFIG, "--json").stdout)


def test_locations_come_from_their_own_answer(
    files: dict[str, str], tmp_path: Path
) -> None:
    """Of a Glance that does not show them in the image."""
    image = {k: v for k, v in IMAGE.items() if k != "locations"}
    files["--image"] = write(tmp_path / "i", image)
    source = files.pop("--source")
    hidden = json.loads(decide(files, *CONFIG, "--json").stdout)
    files["--locations"] = write(tmp_path / "l", IMAGE["locations"])
    files["--source"] = source
    made = json.loads(decide(files, *CONFIG, "--json").stdout)

    assert "hidden" == hidden["request"]["image"]["locations_from"]
    assert "locations-api" == made["request"]["image"]["locations_from"]
    assert "clone" == made["decision"]


def test_bodies_replace_what_a_request_says(
    request_file: Path, files: dict[str, str]
) -> None:
    """Its configuration stays."""
    before = json.loads(request_file.read_text())
    result = run(
        *("decide", "create", str(request_file), "--image", files["--image"]),
        "--json",
    )
    request = json.loads(result.stdout)["request"]

    assert IMAGE["id"] == request["image"]["id"]
    assert before["volume"] == request["volume"]
    assert before["config"] == request["config"]


def test_a_new_volume_needs_no_body(files: dict[str, str]) -> None:
    """Its size, its project, the only type and the only pool are enough."""
    del files["--volume"]
    new = ("--size", "3", "--project", "bob")
    made = json.loads(decide(files, *new, *CONFIG, "--json").stdout)

    volume = made["request"]["volume"]
    assert ("clone", 3) == (made["decision"], made["extend_to"])
    assert ("n1@nvme#p1", "gold", "bob") == (
        volume["host"],
        volume["volume_type"]["name"],
        volume["project_id"],
    )


def test_an_upload_takes_quota_and_stores(
    files: dict[str, str], tmp_path: Path
) -> None:
    """As Cinder and Glance answer them."""
    limit = {"limit": 3, "in_use": 3, "reserved": 0}
    quota = dict.fromkeys(("volumes", "gigabytes"), limit)
    quota["per_volume_gigabytes"] = {"limit": -1, "in_use": 0, "reserved": 0}
    stores = [
        {"id": "s", "type": "cinder", "properties": {"volume_type": "gold"}}
    ]
    files |= {
        "--volume": write(tmp_path / "v", SOURCE),
        "--image": write(tmp_path / "i", {**IMAGE, "status": "queued"}),
        "--quota": write(tmp_path / "q", {"quota_set": quota}),
        "--stores": write(tmp_path / "s", {"stores": stores}),
    }
    del files["--source"]
    result = decide(files, "--json", operation="upload")
    request = json.loads(result.stdout)["request"]

    assert "images" == request["project_id"]
    assert (0, None) == (
        request["clone_quota"]["volumes"],
        request["clone_quota"]["per_volume_gigabytes"],
    )
    assert ["s"] == [store["id"] for store in request["glance"]["stores"]]


@pytest.mark.parametrize(
    ("text", "option", "value"),
    [
        ("Image.size", "--image", {**IMAGE, "size": "big"}),
        ("Image.owner", "--image", {"id": "x", "status": "active"}),
        ("Image: expected a mapping", "--image", ["no"]),
        ("--type", "--volume", {**ROW, "volume_type_id": "other"}),
        ("Volume.created_at", "--volume", {**ROW, "created_at": "soon"}),
        ("shows it to admins", "--source", {"id": "x", "encrypted": False}),
        ("cinder:// location", "--source", {**SOURCE, "id": "another"}),
        ("Pool.capabilities", "--pool", {"name": "a@b#c"}),
        ("Quota.volumes", "--quota", {"quota_set": {"volumes": 1}}),
        ("GlanceConfig.stores", "--stores", {}),
    ],
)
def test_a_bad_body_is_one_line_that_names_field_and_value(
    text: str,
    option: str,
    value: object,
    files: dict[str, str],
    tmp_path: Path,
) -> None:
    """Wherever it comes from."""
    files[option] = write(tmp_path / "bad.json", value)

    assert_error(2, text, decide(files))


@pytest.mark.parametrize(
    ("text", "args"),
    [
        ("--size and --project", ("--image",)),
        ("--image", ("--volume", "--type")),
        ("the image that they belong to", ("--volume", "--type", "--source")),
    ],
)
def test_a_missing_body_is_named_by_its_option(
    text: str, args: tuple[str, ...], files: dict[str, str]
) -> None:
    """The error says how to give it."""
    assert_error(2, text, decide({name: files[name] for name in args}))


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ("is not FACT=VALUE", "backend.can_clone"),
        ("the path of a known fact", "backend.nope=1"),
        ("the path of a known fact", "image_volumes.7.missing=absent"),
        ("the path of a known fact", "image.size.x=1"),
        ("CreateRequest.backend.can_clone", "backend.can_clone=maybe"),
    ],
)
def test_a_bad_assumption_is_one_line(
    text: str, fact: str, files: dict[str, str]
) -> None:
    """It names the fact."""
    assert_error(2, text, decide(files, "--assume", fact))


def test_nothing_to_decide_is_wrong_usage() -> None:
    """For both commands."""
    assert_error(2, "--image and --volume", run("decide", "create"))
    assert_error(2, "--image and --volume", run("explain"))
    both = run("explain", "cache-miss", "--size", "1")
    assert_error(2, "name one thing", both)
