"""What counts as a change of a volume that a plan relies on."""

from __future__ import annotations

import attrs
import pytest

from clonepolicy.ports import Inspection, volume_changed
from clonepolicy.scenarios import REGISTERABLE

VOLUME = attrs.evolve(
    REGISTERABLE.volume, status="available", previous_status=None, clones=0
)


@pytest.mark.parametrize(
    ("relied", "now", "expected"),
    [
        ({}, {}, False),
        ({}, {"status": "in-use"}, False),
        ({"status": "in-use"}, {}, False),
        ({}, {"previous_status": "in-use"}, False),
        ({}, {"clones": 3}, False),
        ({"inspection": Inspection.PASSED}, {}, False),
        ({}, {"status": "error"}, True),
        ({"status": "error"}, {}, True),
        ({"status": "error"}, {"status": "error"}, False),
        ({}, {"size": 2}, True),
        ({}, {"project_id": "bob"}, True),
    ],
)
def test_only_a_change_that_matters_to_a_clone_counts(
    relied: dict[str, object],
    now: dict[str, object],
    expected: bool,  # noqa: FBT001 - a table
) -> None:
    """Attaching, detaching and more clones do not."""
    before, after = (
        attrs.evolve(VOLUME, **facts)  # type: ignore[arg-type]  # any fact
        for facts in (relied, now)
    )
    assert expected == volume_changed(before, after)
