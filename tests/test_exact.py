"""Where one value is accepted, the values next to it are not.

The values "!" and "~" sort before and after every word.
"""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from clonepolicy import SAFE, Clone, Register, Route, decide
from clonepolicy.scenarios import CLONEABLE, REGISTERABLE, with_facts

BELOW, ABOVE = "!", "~"
CREATES = [
    (Route.IMAGE_VOLUME, "image.status"),
    (Route.IMAGE_VOLUME, "image.disk_format"),
    (Route.IMAGE_VOLUME, "image.container_format"),
    (Route.IMAGE_VOLUME, "image.owner"),
    (Route.IMAGE_VOLUME, "source.status"),
    (Route.IMAGE_VOLUME, "source.migration_status"),
    (Route.IMAGE_VOLUME, "source.glance_image_id"),
    (Route.IMAGE_VOLUME, "source.id"),
    (Route.CACHE_ENTRY, "source.image_owner"),
    (Route.CACHE_ENTRY, "candidate.image_id"),
    (Route.CACHE_ENTRY, "source.project_id"),
    (Route.ARRAY_IMAGE, "image.id"),
    (Route.ARRAY_IMAGE, "backend.array_id"),
    (Route.ARRAY_IMAGE, "source.status"),
]
UPLOADS = [
    "image.status",
    "image.disk_format",
    "image.container_format",
    "volume.previous_status",
    "volume.migration_status",
]


@pytest.mark.parametrize("value", [BELOW, ABOVE])
@pytest.mark.parametrize(("route", "path"), CREATES)
def test_no_other_value_is_cloned(route: Route, path: str, value: str) -> None:
    """Neither a value that sorts before the right one nor one after it."""
    scenario = CLONEABLE[route]
    assert isinstance(decide(scenario), Clone)
    assert not isinstance(decide(with_facts(scenario, {path: value})), Clone)


@pytest.mark.parametrize("value", [BELOW, ABOVE])
@pytest.mark.parametrize("path", UPLOADS)
def test_no_other_value_is_registered(path: str, value: str) -> None:
    """Neither a value that sorts before the right one nor one after it."""
    assert isinstance(decide(REGISTERABLE), Register)
    scenario = with_facts(REGISTERABLE, {path: value})
    assert not isinstance(decide(scenario), Register)


@pytest.mark.parametrize("value", [BELOW, ABOVE])
def test_only_disabled_disables_signatures(value: str) -> None:
    """With any other word a signed image is verified, so it is downloaded."""
    scenario = with_facts(
        CLONEABLE[Route.IMAGE_VOLUME], {"image.signed": True}
    )
    option = "config.verify_glance_signatures"
    assert isinstance(
        decide(with_facts(scenario, {option: "disabled"})), Clone
    )
    assert not isinstance(decide(with_facts(scenario, {option: value})), Clone)


@pytest.mark.parametrize("part", ["name", "requirement", "reads", "citations"])
def test_a_rule_without_a_part_of_its_documentation_is_refused(
    part: str,
) -> None:
    """The error names the part."""
    documented = SAFE.create.refuse[0]
    missing: dict[str, Any] = {part: ()}
    with pytest.raises(ValueError, match=f"{part} must not be empty"):
        attrs.evolve(documented, **missing)
