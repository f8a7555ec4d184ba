"""Cures: what makes a rule hold, who can do it, and what it costs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any

import attrs


class Responsible(StrEnum):
    """The person who can remedy a reason."""

    REQUESTER = "requester"
    IMAGE_OWNER = "image owner"
    OPERATOR = "operator"
    DRIVER_AUTHOR = "driver author"


class Cost(StrEnum):
    """What a remedy costs; a later one costs more."""

    NOTHING = "nothing"
    RESTART = "a restart"
    """A service reads its configuration anew."""
    DATA = "data to move"
    """The data is copied once more."""


@attrs.frozen
class Cure:
    """One way to make a rule hold.

    ``changes`` takes what the rule's predicate takes.  It returns the facts
    that are different afterwards, by their paths, or None if this cure is
    not one for these facts.
    """

    remedy: str
    responsible: Responsible
    changes: Callable[..., Mapping[str, Any] | None] = attrs.field(repr=False)
    cost: Cost = Cost.NOTHING
    waiting_helps: bool = False
    """The facts may change in this way by themselves."""

    def __str__(self) -> str:
        """Return one line: who can do what, and what it costs."""
        return as_line(
            self.remedy, self.responsible, self.cost, self.waiting_helps
        )


def as_line(
    remedy: str,
    responsible: Responsible,
    cost: Cost,
    waiting_helps: bool,  # noqa: FBT001 - a field
) -> str:
    """Return one line: who can do what, and what it costs."""
    takes = "" if cost is Cost.NOTHING else f"; takes {cost}"
    wait = "; waiting may help" if waiting_helps else ""
    return f"{responsible}: {remedy}{takes}{wait}"


def always(values: Mapping[str, Any]) -> Callable[..., Mapping[str, Any]]:
    """Return changes that are the same for all facts."""
    return lambda *_facts: values
