"""What a name stands for: a reason, a rule, a misconfiguration, an option."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache
from typing import Any, TypeAlias

import attrs

import clonepolicy
from clonepolicy import policy as policies
from clonepolicy.adapters import conf
from clonepolicy.cli._misconfigurations import (
    Misconfiguration,
    misconfigurations,
)

_OPTIONS_OF = {
    "config": clonepolicy.Config,
    "glance": clonepolicy.GlanceConfig,
}
"""The records of options, by the first word of the facts in them."""


@attrs.frozen
class Place:
    """A rule in a table of a policy."""

    policy: str
    table: str
    rule: policies.Rule[Any]


@attrs.frozen
class RuleName:
    """A rule, in every policy that has one of this name."""

    name: str
    places: tuple[Place, ...]


@attrs.frozen
class Number:
    """Every row of the page of misconfigurations with one number."""

    name: str
    rows: tuple[Misconfiguration, ...]


@attrs.frozen
class Fact:
    """An option or another fact, with what reads it and what names it."""

    name: str
    facts: tuple[str, ...]
    """The facts of its name, by their paths; an option need not be one."""
    places: tuple[Place, ...]
    """The rules that read it."""
    rows: tuple[Misconfiguration, ...]
    """The misconfigurations that name it."""
    options: tuple[tuple[str, conf.Option], ...]
    """The options of its name, each with its file."""

    @property
    def kind(self) -> str:
        """Say whether somebody configures it."""
        roots = {fact.partition(".")[0] for fact in self.facts}
        is_option = (
            self.options or not roots or roots & {*_OPTIONS_OF, "backend"}
        )
        return "option" if is_option else "fact"


Subject: TypeAlias = clonepolicy.Reason | RuleName | Number | Fact


@cache
def places() -> tuple[Place, ...]:
    """Return every rule in every table of every policy."""
    return tuple(
        Place(policy.name, table, rule)
        for policy in clonepolicy.POLICIES.values()
        for table, rules in policy.tables()
        for rule in rules
    )


def find_subject(text: str) -> Subject | None:
    """Find what a name stands for, whatever its case.

    A reason is also found by its name in `clonepolicy.Reason`, and an option
    by the path of its fact: ``config.trusted_projects``.
    """
    reason = text.lower().replace("_", "-")
    for each in clonepolicy.Reason:
        if each == reason:
            return each
    name = text.lower()
    if named := tuple(p for p in places() if p.rule.name == name):
        return RuleName(name, named)
    if rows := _rows_of(text.upper()):
        return Number(text.upper(), rows)
    return _fact(name)


def _rows_of(number: str) -> tuple[Misconfiguration, ...]:
    return tuple(m for m in misconfigurations() if number in m.numbers)


def _fact(text: str) -> Fact | None:
    name = text.rpartition(".")[2]
    read = [p for p in places() if any(_is(f, text) for f in p.rule.reads)]
    facts = {f for p in read for f in p.rule.reads if _is(f, text)}
    facts |= {f for f in _option_facts() if _is(f, text)}
    rows = tuple(
        row
        for row in misconfigurations()
        if any(fnmatchcase(name, option) for option in row.options)
    )
    options = tuple(each for each in _options() if each[1].name == name)
    if not facts and (name != text or not (rows or options)):
        return None
    return Fact(name, tuple(sorted(facts)), tuple(read), rows, options)


def _options() -> Iterator[tuple[str, conf.Option]]:
    yield from (("cinder.conf", option) for option in conf.CINDER)
    yield from (("glance-api.conf", option) for option in conf.GLANCE)


def _option_facts() -> Iterator[str]:
    for root, record in _OPTIONS_OF.items():
        yield from (f"{root}.{name}" for name in attrs.fields_dict(record))


def _is(fact: str, text: str) -> bool:
    """Return whether a text is the path of a fact, or its last word."""
    return text in {fact, fact.rpartition(".")[2]}


def names() -> Iterator[str]:
    """Yield the name of everything that `find_subject` finds."""
    yield from clonepolicy.Reason
    yield from dict.fromkeys(place.rule.name for place in places())
    rows = misconfigurations()
    yield from dict.fromkeys(number for m in rows for number in m.numbers)
    options = {
        option for m in rows for option in m.options if "*" not in option
    }
    options.update(fact.rpartition(".")[2] for fact in _option_facts())
    options.update(option.name for _, option in _options())
    yield from sorted(options)


def close_names(text: str) -> list[str]:
    """Return the name that is closest to a misspelt one, if one is close."""
    return difflib.get_close_matches(text.lower(), [*names()], 1)
