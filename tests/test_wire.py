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
from clonepolicy.wire import _no_twice, dumps, loads, loads_decision, to_dict

Json: TypeAlias = dict[str, Any]
REQUEST = CLONEABLE[Route.IMAGE_VOLUME]
every_policy = pytest.mark.parametrize(
    "policy", POLICIES.values(), ids=lambda p: p.name
)


@given(request=some.create_requests())
def test_create_requests_survive(request: CreateRequest) -> None:
    """Written and read, a request is the same."""
    assert request == loads(CreateRequest, dumps(request))


@given(request=some.upload_requests())
def test_upload_requests_survive(request: UploadRequest) -> None:
    """Written and read, a request is the same."""
    assert request == loads(UploadRequest, dumps(request))


@every_policy
@given(request=some.create_requests())
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
    "CreateRequest.image.size: expected a whole number from 0 to": change(
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
    "CreateRequest.volume.host.pool: expected non-empty Unicode text": change(
        "volume.host", "h@b#"
    ),
    "CreateRequest.image_volumes: expected a list, got 3": change(
        "image_volumes", 3
    ),
    "CreateRequest.image_volumes: expected a list, got {}": change(
        "image_volumes", {}
    ),
    "CreateRequest.glance.stores: expected a list, got ''": change(
        "glance.stores", ""
    ),
    "CreateRequest.volume.host: expected at most 255": change(
        "volume.host", "h" * 256
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
        ("evil", None),
        ("policy", {"name": "SAFE", "version": True}),
        ("policy", {"name": "SAFE", "version": 2.0}),
        ("policy", {"name": "SAFE", "version": 2, "more": None}),
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


@pytest.mark.parametrize("field", to_dict(decide(REQUEST)))
def test_a_decision_without_one_of_its_fields_is_refused(field: str) -> None:
    """Also without a field that is null."""
    body = json.loads(dumps(decide(REQUEST)))
    del body[field]
    path = "CreateRequest" if field == "request" else f"decision.{field}"
    with pytest.raises(FactError, match=path):
        loads_decision(json.dumps(body))


EXACT: dict[str, tuple[str, object]] = {
    "decision.candidates[0].acceptable: expected True": (
        "candidates.0.acceptable",
        1,
    ),
    "decision.plan.attempts[0].steps[0].source.multiattach: expected False": (
        "plan.attempts.0.steps.0.source.multiattach",
        0,
    ),
    "decision.plan.attempts[1].steps: expected [": (
        "plan.attempts.1.steps",
        [],
    ),
    "decision.plan.attempts[0].steps[0].evil: expected no field": (
        "plan.attempts.0.steps.0.evil",
        None,
    ),
    "CreateRequest.volume.size: expected a whole number, got 1.0": (
        "request.volume.size",
        1.0,
    ),
    "CreateRequest.image: expected known fields only, got 'evil'": (
        "request.image.evil",
        None,
    ),
    "CreateRequest.image.visible: expected true or false, got 1": (
        "request.image.visible",
        1,
    ),
    "CreateRequest.image.updated_at: expected an ISO 8601 date and": (
        "request.image.updated_at",
        20260101,
    ),
}


@pytest.mark.parametrize("says", EXACT)
def test_a_number_is_neither_true_nor_another_number(says: str) -> None:
    """Nor are unknown fields read over; the error has the path."""
    path, value = EXACT[says]
    body = json.loads(dumps(decide(REQUEST)))
    change(path, value)(body)
    with pytest.raises(FactError) as caught:
        loads_decision(json.dumps(body))
    assert str(caught.value).startswith(says)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("attempts.0.steps.0.evil", None),
        ("attempts.0.evil", None),
        ("evil", None),
    ],
)
def test_a_plan_with_an_unknown_field_is_refused(
    path: str, value: object
) -> None:
    """At any depth, also a null."""
    body = json.loads(json.dumps(PLAN))
    change(path, value)(body)
    with pytest.raises(FactError, match="evil"):
        loads(Plan, json.dumps(body))


@pytest.mark.parametrize("field", PLAN)
def test_a_plan_without_one_of_its_fields_is_refused(field: str) -> None:
    """A plan that lost its end must not be carried out."""
    body = json.loads(json.dumps(PLAN))
    del body[field]
    with pytest.raises(FactError, match=f"Plan.{field}.* missing"):
        loads(Plan, json.dumps(body))


class Counted(str):
    """A text that counts how often it is compared."""

    __slots__ = ()
    compared = 0

    def __eq__(self, other: object) -> bool:
        """Compare, and count."""
        type(self).compared += 1
        return str(self) == other

    __hash__ = str.__hash__


def test_a_repeated_key_is_named_by_its_own_error() -> None:
    """Also inside; its second value is shown."""
    with pytest.raises(FactError) as caught:
        loads(CreateRequest, '{"image": {"id": "a", "id": "b"}}')
    expected = "id: expected one value, not a second one, got 'b'"
    assert expected == str(caught.value)


def test_looking_for_a_repeated_key_takes_linear_time() -> None:
    """As many comparisons more as there are keys more."""
    compared = []
    for count in (500, 1000):
        Counted.compared = 0
        names = [Counted(f"key-{number}") for number in range(count)]
        pairs: list[tuple[str, object]] = [(name, 1) for name in names]
        with pytest.raises(FactError, match=f"key-{count - 1}"):
            _no_twice([*pairs, (Counted(names[-1]), 2)])
        compared.append(Counted.compared)
    assert compared[1] <= 2 * compared[0]


def test_a_number_of_thousands_of_digits_is_refused() -> None:
    """However Python is configured; the error says what is allowed."""
    for digits in (641, 5_000, 1_000_000):
        with pytest.raises(FactError, match="at most 640 digits"):
            loads(CreateRequest, '{"image": ' + "1" * digits + "}")
    body = to_dict(REQUEST)
    body["volume"]["size"] = 10**600
    with pytest.raises(FactError, match=r"2\*\*63 - 1"):
        loads(CreateRequest, json.dumps(body))


@pytest.mark.parametrize("depth", [100, 400, 900, 5_000, 100_000])
def test_an_error_about_deep_nesting_can_be_read(depth: int) -> None:
    """Whether the JSON or the record is where it ends."""
    deep = "[" * depth + "]" * depth
    with pytest.raises(FactError) as caught:
        loads(CreateRequest, f'{{"image": {deep}, "volume": {{}}}}')
    assert len(str(caught.value)) < 1_000


def test_a_policy_of_ones_own_can_be_replayed() -> None:
    """It is passed to `loads_decision` by name, like the shipped ones."""
    mine = attrs.evolve(SAFE, name="MINE")
    decision = decide(REGISTERABLE, mine)
    text = dumps(decision)
    with pytest.raises(FactError, match=f"one of {SAFE}"):
        loads_decision(text)
    assert decision == loads_decision(text, {"MINE": mine})
