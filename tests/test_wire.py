"""Requests, plans and decisions survive JSON; errors name the field."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, TypeAlias

import attrs
import jsonschema
import pytest
from hypothesis import given

from clonepolicy import (
    POLICIES,
    SAFE,
    CreateRequest,
    FactError,
    Route,
    UploadRequest,
    decide,
)
from clonepolicy.plan import Plan
from clonepolicy.policy import Policy
from clonepolicy.scenarios import CLONEABLE, REGISTERABLE
from clonepolicy.schema import schema
from clonepolicy.testing import strategies as some
from clonepolicy.wire import dumps, loads, loads_decision, to_dict

Json: TypeAlias = dict[str, Any]
REQUEST = CLONEABLE[Route.IMAGE_VOLUME]
every_policy = pytest.mark.parametrize(
    "policy", POLICIES.values(), ids=lambda p: p.name
)


@given(request=some.create_requests() | some.near_misses())
def test_create_requests_survive(request: CreateRequest) -> None:
    """Written and read, a request is the same."""
    assert request == loads(CreateRequest, dumps(request))


@given(request=some.upload_requests())
def test_upload_requests_survive(request: UploadRequest) -> None:
    """Written and read, a request is the same."""
    assert request == loads(UploadRequest, dumps(request))


@every_policy
@given(request=some.create_requests() | some.near_misses())
def test_create_decisions_and_plans_survive(
    policy: Policy, request: CreateRequest
) -> None:
    """A decision is decided anew on reading; a plan is read back equal."""
    decision = decide(request, policy)
    assert decision == loads_decision(dumps(decision))
    assert decision.plan == loads(Plan, dumps(decision.plan))


@every_policy
@given(request=some.upload_requests())
def test_upload_decisions_and_plans_survive(
    policy: Policy, request: UploadRequest
) -> None:
    """A decision is decided anew on reading; a plan is read back equal."""
    decision = decide(request, policy)
    assert decision == loads_decision(dumps(decision))
    assert decision.plan == loads(Plan, dumps(decision.plan))


@given(create=some.create_requests(), upload=some.upload_requests())
def test_the_schema_describes_what_is_written(
    create: CreateRequest, upload: UploadRequest
) -> None:
    """Every request that is written validates."""
    validator = jsonschema.Draft202012Validator(schema())
    for request in (create, upload):
        validator.validate(json.loads(dumps(request)))


def test_the_schema_is_a_schema() -> None:
    """It is valid against its meta-schema."""
    jsonschema.Draft202012Validator.check_schema(schema())


def change(path: str, value: object) -> Callable[[Json], None]:
    """Set a field of a written request."""

    def changed(body: Json) -> None:
        *above, last = path.split(".")
        place: Any = body
        for name in above:
            place = place[int(name)] if name.isdigit() else place[name]
        place[last] = value

    return changed


def drop(path: str) -> Callable[[Json], None]:
    """Remove a field of a written request."""

    def changed(body: Json) -> None:
        *above, last = path.split(".")
        for name in above:
            body = body[name]
        del body[last]

    return changed


WRONG: dict[str, Callable[[Json], None]] = {
    "CreateRequest.volume.size: expected a whole number, got '2'": change(
        "volume.size", "2"
    ),
    "CreateRequest.volume.size: expected a whole number, got True": change(
        "volume.size",
        True,  # noqa: FBT003 - a value, not a switch
    ),
    "CreateRequest.image.size: expected a whole number from 0 to 2**63 - 1 or N": change(
        "image.size", -1
    ),
    "CreateRequest.image: expected known fields only, got 'sise'": change(
        "image.sise", 1
    ),
    "CreateRequest.image.id: expected a value; it is missing": drop(
        "image.id"
    ),
    "CreateRequest.image.updated_at: expected an ISO 8601": change(
        "image.updated_at", "yesterday"
    ),
    "CreateRequest.image.updated_at: expected a datetime with": change(
        "image.updated_at", "2026-01-01T00:00:00"
    ),
    "CreateRequest.image.locations_from: expected one of": change(
        "image.locations_from", "hearsay"
    ),
    "CreateRequest.volume.host: expected text, got 3": change(
        "volume.host", 3
    ),
    "CreateRequest.volume.host.pool: expected non-empty Unicode text or None": change(
        "volume.host", "h@b#"
    ),
    "CreateRequest.image_volumes: expected an object or list": change(
        "image_volumes", 3
    ),
    "CreateRequest.image_volumes[0].source.size: expected": change(
        "image_volumes.0.source.size", None
    ),
    "CreateRequest.image_volumes[0].location: expected text": change(
        "image_volumes.0.location", ["x"]
    ),
    "CreateRequest.image: expected an object or list": change("image", None),
    "CreateRequest.config.allowed_direct_url_schemes: expected a": change(
        "config.allowed_direct_url_schemes", "cinder"
    ),
    "CreateRequest.config.trusted_projects: expected text, got 1": change(
        "config.trusted_projects", [1]
    ),
}


@pytest.mark.parametrize("says", WRONG)
def test_an_error_names_the_place_the_value_and_what_was_expected(
    says: str,
) -> None:
    """In one error, on one line."""
    body = to_dict(REQUEST)
    body = json.loads(json.dumps(body))
    WRONG[says](body)
    with pytest.raises(FactError) as caught:
        loads(CreateRequest, json.dumps(body))
    assert str(caught.value).startswith(says)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "7",
        "null",
        "[]",
        '"request"',
        "NaN",
        '{"image": NaN}',
        '{"image": 1, "image": 1}',
        "[" * 100_000,
        "1" * 5_000,
        "\x00",
    ],
    ids=lambda text: text[:12] or "nothing",
)
def test_text_that_is_not_a_request_raises_one_kind_of_error(
    text: str,
) -> None:
    """Reading it raises `FactError`, and nothing else."""
    for kind in (CreateRequest, UploadRequest, Plan):
        with pytest.raises(FactError):
            loads(kind, text)
    with pytest.raises(FactError):
        loads_decision(text)


PLAN = {
    "attempts": [
        {
            "route": "download",
            "source": None,
            "steps": [{"step": "PublishVolume", "volume_id": "v"}],
        }
    ],
    "abandon": [],
    "closing": [],
}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("step", "Reformat"),
        ("volume_id", 3),
        ("volume_id", {"ref": 3}),
        ("volume_id", {"reference": "x"}),
        ("volume_id", {"ref": "image-volume"}),
    ],
)
def test_an_invalid_plan_is_refused(field: str, value: object) -> None:
    """Steps are unknown, or refer to a volume that no step creates."""
    body = json.loads(json.dumps(PLAN))
    assert loads(Plan, json.dumps(body)).attempts
    body["attempts"][0]["steps"][0][field] = value
    with pytest.raises(FactError):
        loads(Plan, json.dumps(body))


def test_only_array_locations_can_be_cloned_by_a_plan() -> None:
    """The location of a `CloneImage` has the scheme rbd or file."""
    decision = decide(CLONEABLE[Route.ARRAY_IMAGE])
    body = json.loads(dumps(decision.plan))
    body["attempts"][0]["steps"][0]["location"] = "http://elsewhere/"
    with pytest.raises(FactError, match="rbd:// or file://"):
        loads(Plan, json.dumps(body))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("decision", "download"),
        ("policy", {"name": "SAFE", "version": 99}),
        ("policy", {"name": [], "version": {}}),
        ("policy", "SAFE"),
        ("operation", "delete"),
        ("findings", []),
        ("plan", {}),
        ("extend_to", 7),
        ("signed", "yes"),
    ],
)
def test_a_decision_that_comes_out_differently_is_refused(
    field: str, value: object
) -> None:
    """The error names the field that differs from the policy's decision."""
    body = json.loads(dumps(decide(REQUEST)))
    body[field] = value
    with pytest.raises(FactError, match=f"decision.{field}"):
        loads_decision(json.dumps(body))


def test_a_policy_of_ones_own_can_be_replayed() -> None:
    """It is passed to `loads_decision` by name, like the shipped ones."""
    mine = attrs.evolve(SAFE, name="MINE")
    decision = decide(REGISTERABLE, mine)
    text = dumps(decision)
    with pytest.raises(FactError, match=f"one of {SAFE}"):
        loads_decision(text)
    assert decision == loads_decision(text, {"MINE": mine})
