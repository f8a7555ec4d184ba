"""Remedies and settings of the cloud at hand: the local one."""

from __future__ import annotations

import re
import shlex
import sys
from pathlib import Path

import attrs
import click
import pytest

sys.path.insert(0, str(Path(__file__).parent))

import cli_support
from cli_support import assert_error, run, run_json
from clonepolicy import (
    POLICIES,
    Config,
    Reason,
    Route,
    decide,
    explain,
)
from clonepolicy.adapters.local import LocalCloud
from clonepolicy.cli._here import HERE, remedies, reword
from clonepolicy.cli._program import program
from clonepolicy.scenarios import CLONEABLE, with_facts

cloud = cli_support.cloud

ELSEWHERE = re.compile(
    r"cinder\.conf|glance-api|extra_capabilities|backend_host|cluster|driver"
    r"|Ceph|Glance|volume type|the log|the cache|\[glance\]|conversion_dir"
)
"""What a local cloud does not have."""
SAFE_REFUSES = decide(
    with_facts(CLONEABLE[Route.IMAGE_VOLUME], {"volume.size": 0})
)


def test_each_remedy_that_is_reworded_is_one_of_a_policy() -> None:
    """The table has no other text, and no text twice."""
    cures = {
        cure.remedy
        for policy in POLICIES.values()
        for _, rules in policy.tables()
        for rule in rules
        for cure in rule.cures
    }
    assert HERE.keys() <= cures


def test_no_remedy_names_what_a_local_cloud_lacks() -> None:
    """Of no rule; remedies without words for it are left out."""
    found = SAFE_REFUSES.findings[0]
    (usual,) = found.remedies
    (local,) = remedies(found)

    assert "use --size 1 or more" == local.remedy != usual.remedy
    assert reword(attrs.evolve(usual, remedy="thaw the backend")) is None
    assert [] == [text for text in HERE.values() if ELSEWHERE.search(text)]


def _commands(text: str) -> list[str]:
    return re.findall(r"clonepolicy ((?:[a-z]+ )?[a-z]+)\b", text)


def test_remedies_name_commands_and_options_that_exist() -> None:
    """Each command, each --option and each option of the cloud."""
    of_commands = {
        name
        for group in (program.commands["volume"], program.commands["quota"])
        for command in getattr(group, "commands", {}).values()
        for parameter in command.params
        for name in parameter.opts
    }
    for text in HERE.values():
        for words in _commands(text):
            command: click.Command = program
            for word in words.split():
                if isinstance(command, click.Group):
                    command = command.commands[word]
            assert not isinstance(command, click.Group), text
        assert {*re.findall(r"--[a-z-]+", text)} <= of_commands, text
        for name in re.findall(r"option set (\w+)", text):
            assert name in attrs.fields_dict(Config)


@pytest.mark.parametrize(
    ("reason", "option", "value"),
    [
        (Reason.UPLOAD_BACKEND_DISABLED, "image_upload_use_cinder_backend", 0),
        (Reason.SCHEME_NOT_ALLOWED, "allowed_direct_url_schemes", ""),
    ],
)
def test_a_remedy_of_the_local_cloud_works(
    reason: Reason, option: str, value: object, cloud: Path
) -> None:
    """The command that it names, as it stands there, opens the route."""
    root = ("--root", str(cloud))
    run("volume", "create", "--image", "base", "--size", "1", *root)
    run("volume", "upload", "base", "--name", "gold", *root)
    act: tuple[str, ...] = (
        "volume",
        "create",
        "--image",
        "gold",
        "--size",
        "1",
        *root,
    )
    if reason is Reason.UPLOAD_BACKEND_DISABLED:
        act = ("volume", "upload", "base", "--name", "new", *root)
    run("option", "set", option, str(value), *root)
    made = run_json(*act)
    (remedy,) = [r for r in made["remedies"] if r["reason"] == reason]
    assert remedy["remedy"] in run(*act, "--explain").stdout

    words = remedy["remedy"].removeprefix("run clonepolicy ")
    assert run(*shlex.split(words), *root).exit_code == 0
    assert reason not in {
        found["reason"] for found in run_json(*act)["decision"]["findings"]
    }


def test_explanations_say_remedies_as_they_are_told_to() -> None:
    """Other remedies than Cinder's, or none."""
    request = attrs.evolve(
        CLONEABLE[Route.IMAGE_VOLUME], config=Config(), cache_entries=()
    )
    usual = explain(decide(request))
    local = explain(decide(request), reword=reword)

    assert "operator: set image_volume_cache_enabled" in usual
    assert "operator: set" not in local
    assert "run clonepolicy option set allowed_direct_url_schemes" in local


def test_a_refusal_names_the_local_quota(cloud: Path) -> None:
    """With the command that raises it, which then lets the volume be made."""
    root = ("--root", str(cloud))
    create = ("volume", "create", "--image", "base", "--size", "2", *root)
    run("quota", "set", "--gigabytes", "1", "--volumes", "5", *root)

    assert {"volumes": 5, "gigabytes": 1, "per_volume_gigabytes": None} == (
        run_json("quota", "show", *root)["quota_left"]
    )
    refused = run(*create)
    assert refused.exit_code == 3
    assert "clonepolicy quota set" in refused.stdout
    run("quota", "set", *root)
    assert "GiB                -" in run("quota", "show", *root).stdout
    assert run(*create).exit_code == 0


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("image_volume_cache_max_size_gb", "5", 5),
        ("trusted_projects", "b, a,", ["a", "b"]),
        ("trusted_projects", "", []),
        ("enable_force_upload", "yes", True),
        ("cinder_internal_tenant_user_id", "", None),
    ],
)
def test_options_are_read_by_their_type(
    name: str, text: str, value: object, cloud: Path
) -> None:
    """A list has commas, and an empty text unsets an option."""
    root = ("--root", str(cloud))
    made = run_json("option", "set", name, text, *root)

    assert {name: value} == made["options"]
    assert value == run_json("option", "list", *root)["options"][name]
    with LocalCloud(cloud) as opened:
        stored = getattr(opened.config, name)
    assert value == (
        sorted(stored) if isinstance(stored, frozenset) else stored
    )


@pytest.mark.parametrize(
    ("text", "name", "value"),
    [
        ("is not one of allowed_direct_url_schemes", "nope", "1"),
        ("enable_force_upload: 'x'", "enable_force_upload", "x"),
        ("max_size_gb: 'x'", "image_volume_cache_max_size_gb", "x"),
        ("max_size_gb: expected", "image_volume_cache_max_size_gb", "9" * 99),
    ],
)
def test_an_option_takes_valid_values_only(
    text: str, name: str, value: str, cloud: Path
) -> None:
    """The error names the option; nothing changes."""
    before = run_json("option", "list", "--root", str(cloud))

    set_ = ("option", "set", name, value, "--root", str(cloud))
    assert_error(2, text, run(*set_))
    assert before == run_json("option", "list", "--root", str(cloud))
