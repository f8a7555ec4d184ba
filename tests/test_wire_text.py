"""The JSON of a decision, field by field."""

from __future__ import annotations

import attrs

from clonepolicy import SAFE, CinderLocation, Route, decide
from clonepolicy.scenarios import (
    CLONEABLE,
    IMAGE_ID,
    NEW_ID,
    OTHER_ID,
    REGISTERABLE,
    SOURCE_ID,
    with_facts,
)
from clonepolicy.wire import dumps, to_dict

SCENARIO = CLONEABLE[Route.IMAGE_VOLUME]
POLICY = {"name": SAFE.name, "version": SAFE.version}


def test_a_finding_is_written_with_its_reason_and_its_values() -> None:
    """Values are JSON's own types: a location is a text."""
    scenario = with_facts(
        SCENARIO, {"candidate.location": CinderLocation(OTHER_ID)}
    )
    written = to_dict(decide(scenario))
    (finding,) = (f for f in written["findings"] if f["candidate"])
    assert {
        "reason": "source-not-found",
        "rule": "source_is_named",
        "requirement": "The source is the volume that the location names.",
        "meaning": "the location names another volume",
        "remedies": [],
        "subject": "source",
        "blocks": ["image-volume"],
        "candidate": f"cinder://{OTHER_ID}",
        "values": {
            "candidate.location": f"cinder://{OTHER_ID}",
            "source.id": SOURCE_ID,
        },
    } == finding
    assert [
        {
            "route": "image-volume",
            "candidate": f"cinder://{OTHER_ID}",
            "acceptable": False,
        }
    ] == written["candidates"]


def test_a_clone_is_written_with_its_source() -> None:
    """And with the size to extend it to."""
    written = to_dict(decide(with_facts(SCENARIO, {"volume.size": 2})))
    candidate = {
        "route": "image-volume",
        "candidate": f"cinder://{SOURCE_ID}",
        "acceptable": True,
    }
    reasons = [finding["reason"] for finding in written.pop("findings")]
    notes = [note["reason"] for note in written.pop("notes")]
    request, plan = written.pop("request"), written.pop("plan")
    assert {
        "decision": "clone",
        "summary": f"clone volume {NEW_ID} from cinder://{SOURCE_ID}, "
        "extended to 2 GiB",
        "policy": POLICY,
        "candidates": [candidate],
        "operation": "create",
        "route": "image-volume",
        "source": f"cinder://{SOURCE_ID}",
        "extend_to": 2,
    } == written
    assert ["no-array-image", "cache-miss"] == reasons
    assert {
        "parent-pinned",
        *("extend-required", "tenant-mutable"),
    } == set(notes)
    assert IMAGE_ID == request["image"]["id"]
    assert ["CloneVolume", "ExtendVolume", "PublishVolume"] == [
        step["step"] for step in plan["attempts"][0]["steps"]
    ]


def test_a_registration_is_written_with_its_project_and_store() -> None:
    """The store is null where there is only one."""
    written = to_dict(decide(REGISTERABLE))
    assert ("register", "upload", "internal", None) == tuple(
        written[field]
        for field in ("decision", "operation", "project_id", "store")
    )
    assert [] == written["candidates"]
    create = written["plan"]["attempts"][0]["steps"][0]
    assert {
        "step": "CreateImageVolume",
        "volume_id": {"ref": "image-volume"},
        "source_id": SOURCE_ID,
        "project_id": "internal",
    } == create


def test_text_is_indented_and_written_as_it_is() -> None:
    """Two blanks a level, and no escapes for letters of any script."""
    scenario = attrs.evolve(
        SCENARIO, volume=attrs.evolve(SCENARIO.volume, project_id="Bücher")
    )
    lines = dumps(scenario).splitlines()
    assert "{" == lines[0]
    assert '    "project_id": "Bücher",' in lines
