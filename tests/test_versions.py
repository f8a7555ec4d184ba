"""A policy that decides otherwise than it did has another version.

``versions.toml`` has, for each policy, its version and a digest of what that
version decides.  After a change run ``python tests/test_versions.py``.
"""

from __future__ import annotations

import hashlib
import pathlib
import sys
import tomllib
from collections.abc import Iterator
from itertools import pairwise

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from clonepolicy import Request, decide
from clonepolicy.policy import Policy
from clonepolicy.scenarios import differences
from laws import EVERY, every_policy, one_fault

pytestmark = pytest.mark.one_python

RECORD = pathlib.Path(__file__).parent / "versions.toml"


def requests() -> Iterator[tuple[str, Request]]:
    """Give requests that fail one rule alone, and that divide policies."""
    for policy in EVERY:
        for (table, rule), request in one_fault(policy).items():
            yield f"{policy.name} {table} {rule}", request
    for a, b in pairwise(EVERY):
        for each in differences(a, b):
            yield f"{a.name} {b.name} {each.table} {each.rule}", each.request


def decided(policy: Policy) -> str:
    """Sum up what a policy decides: verdicts, reasons and notes."""
    digest = hashlib.sha256()
    for name, request in requests():
        decision = decide(request, policy)
        findings = sorted(f"{f.reason} {f.blocks}" for f in decision.findings)
        notes = sorted(note.reason for note in decision.notes)
        line = (name, decision.verdict, findings, notes)
        digest.update(repr(line).encode())
    return digest.hexdigest()[:16]


@every_policy
def test_what_a_version_decides_is_recorded(policy: Policy) -> None:
    """Who changes it raises the version, and records it anew."""
    recorded = tomllib.loads(RECORD.read_text())[policy.name]
    assert recorded == {
        "version": policy.version,
        "decides": decided(policy),
    }, (
        f"Table: {policy} decides otherwise than recorded: raise its version "
        "once for each release, then run python tests/test_versions.py"
    )


def main() -> None:
    """Record what each policy decides now."""
    lines = (
        f"[{policy.name}]\nversion = {policy.version}\n"
        f'decides = "{decided(policy)}"\n'
        for policy in EVERY
    )
    RECORD.write_text("\n".join(lines))


if __name__ == "__main__":
    main()
