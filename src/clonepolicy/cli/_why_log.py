"""``clonepolicy why --log``: what a line of the drop-in's log says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping

from clonepolicy import POLICIES, Reason
from clonepolicy._terminal.errors import CliError, Exit
from clonepolicy._terminal.render import Json
from clonepolicy._text import shown
from clonepolicy.policy import Policy

_FIELD = re.compile(r'([a-z_]+)=("(?:\\.|[^"\\])*"|[^\s"]*)')
_EXITS = {
    "clone": Exit.DONE,
    "register": Exit.DONE,
    "download": Exit.FAILED,
    "upload": Exit.FAILED,
    "refuse": Exit.REFUSED,
}


def read_line(line: str) -> Mapping[str, str]:
    """Read the fields of a line, whatever stands before them.

    Raises:
        CliError: it is no line about a decision.
    """
    fields = {}
    _, mark, rest = line.partition("clonepolicy ")
    for name, value in _FIELD.findall(rest if mark else line):
        try:
            fields[name] = json.loads(value) if value[:1] == '"' else value
        except ValueError:
            fields[name] = value
    if fields.get("verdict") not in _EXITS:
        raise CliError(
            Exit.USAGE,
            f"{shown(line)!r}: not a line about a decision",
            "quote a whole line that contains clonepolicy operation=…",
        )
    return fields


def explain_line(fields: Mapping[str, str]) -> tuple[Json, list[str], Exit]:
    """Return a line's meaning as JSON, as lines of text, and an exit code."""
    policy = POLICIES.get(fields.get("policy", "").partition("/")[0])
    reasons = [*_told(fields.get("reasons", ""), policy)]
    notes = [*_told(fields.get("notes", ""), policy)]
    verdict = fields["verdict"]
    by = fields.get("policy", "the policy")
    what = f"image {fields.get('image')}, volume {fields.get('volume')}"
    lines = [shown(f"{by}: {verdict} ({what})")]
    if fields.get("decided", verdict) != verdict:
        lines.append(shown(f"the policy itself decided: {fields['decided']}"))
    if "stock" in fields:
        lines.append(shown(f"unchanged Cinder would: {fields['stock']}"))
    for title, found in (("reasons", reasons), ("notes", notes)):
        if found:
            lines += ["", f"{title}:"]
        for each in found:
            lines.append(f"  - {each['reason']}: {each['meaning']}")
            lines += [f"    {remedy}" for remedy in each["remedies"]]
    found_json: Json = {
        "line": dict(fields),
        "reasons": reasons,
        "notes": notes,
    }
    return found_json, lines, _EXITS[verdict]


def _told(codes: str, policy: Policy | None) -> Iterator[Json]:
    known = {str(reason): reason for reason in Reason}
    for code in codes.split(","):
        if code in known:
            yield {
                "reason": code,
                "meaning": known[code].meaning,
                "remedies": [*_remedies(known[code], policy)],
            }


def _remedies(reason: Reason, policy: Policy | None) -> Iterator[str]:
    """Iterate over what may remove a reason, in some case or other."""
    tables = [] if policy is None else [rules for _, rules in policy.tables()]
    found = (
        str(cure)
        for rules in tables
        for rule in rules
        if rule.reason is reason
        for cure in rule.cures
    )
    yield from dict.fromkeys(found)
