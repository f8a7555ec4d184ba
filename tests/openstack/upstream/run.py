"""Run Cinder's own unit tests as they are, and over the drop-in.

With CINDER_29 the same tests have to fail as without the drop-in; with SAFE
those too that `expected_safe.toml` lists, each for the reason it names.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterable, Mapping, Sized
from pathlib import Path
from typing import Any

import attrs
import subunit
import testtools

HERE = Path(__file__).parent
EXPECTED = HERE / "expected_safe.toml"
PREFIX = "cinder.tests.unit."
UNDECIDED = "undecided"
STOCK, SAME, SAFE = "stock", "CINDER_29", "SAFE"
POLICY = "OS_CLONEPOLICY__POLICY"
_FAILED = frozenset({"fail", "uxsuccess", "inprogress", "unknown"})
_FEW = 10
_UNREADABLE = "verdict=- facts unreadable"
_DECISION = re.compile(r"clonepolicy operation=.* reasons=(\S+)")


@attrs.frozen
class Ran:
    """What became of one test, and what was decided in it."""

    failed: bool
    decisions: int = 0
    unreadable: int = 0
    reasons: frozenset[str] = frozenset()


def read_expected() -> dict[str, str]:
    """Give the rule of each test that is to fail with SAFE alone."""
    groups = tomllib.loads(EXPECTED.read_text())["group"]
    return {
        PREFIX + test: group["rule"]
        for group in groups
        for test in group["tests"]
    }


def doubts(
    stock: Mapping[str, Ran], over: Mapping[str, Ran], rules: Mapping[str, str]
) -> list[str]:
    """Name the tests that ended otherwise than they are expected to.

    Args:
        stock: what became of tests as they are.
        over: what became of them over the drop-in.
        rules: the rules of those that are to fail over the drop-in alone.
    """
    return sorted(
        name
        for name in stock.keys() | over.keys() | rules.keys()
        if not _as_expected(stock.get(name), over.get(name), rules.get(name))
    )


def _as_expected(
    stock: Ran | None, over: Ran | None, rule: str | None
) -> bool:
    if stock is None or over is None:
        return False
    if rule is None:
        return stock.failed == over.failed
    given = rule == UNDECIDED or rule in over.reasons
    return over.failed and not stock.failed and given


def run(
    policy: str, filters: Iterable[str] = (), *, concurrency: int = 1
) -> dict[str, Ran]:
    """Run the tests of the scope whose names match, or all of them."""
    env = {
        **os.environ,
        "LANGUAGE": "C",  # gettext looks for files, and tests mock open()
        "PYTHONHASHSEED": "0",  # the same tests share a process, each time
    }
    env.pop(POLICY, None)
    if policy != STOCK:
        env[POLICY] = policy
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "stestr"),
                *("--test-path", str(HERE), "--top-dir", str(HERE)),
                *("run", "--subunit", "--concurrency", str(concurrency)),
                *filters,
            ],
            cwd=folder,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            check=True,
        )
    return _read(done.stdout)


def _read(stream: bytes) -> dict[str, Ran]:
    tests: list[dict[str, Any]] = []
    result = testtools.StreamToDict(tests.append)
    result.startTestRun()
    subunit.ByteStreamToStreamResult(io.BytesIO(stream)).run(result)
    result.stopTestRun()
    return {test["id"]: _told(test) for test in tests}


def _told(test: Mapping[str, Any]) -> Ran:
    log = "".join(
        detail.as_text()
        for detail in test["details"].values()
        if detail.content_type.type == "text"
    )
    return Ran(
        failed=test["status"] in _FAILED,
        decisions=len(_DECISION.findall(log)),
        unreadable=log.count(_UNREADABLE),
        reasons=frozenset(
            reason
            for reasons in _DECISION.findall(log)
            for reason in reasons.split(",")
        ),
    )


def judge(
    policy: str,
    stock: dict[str, Ran],
    over: dict[str, Ran],
    rules: Mapping[str, str],
) -> list[str]:
    """Name what is not as expected, even each in a process of its own."""
    first = doubts(stock, over, rules)
    known = [name for name in first if name in stock and name in over]
    if len(known) <= _FEW:
        for name in known:
            exact = f"^{re.escape(name)}$"
            stock.update(run(STOCK, [exact]))
            over.update(run(policy, [exact]))
    return doubts(stock, over, rules)


def main() -> int:
    """Run thrice and compare; 0 if all is as expected."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("filters", nargs="*", help="patterns of test names")
    parser.add_argument("--concurrency", type=int, default=2)
    parser.add_argument("--json", type=Path, help="where to write it all")
    args = parser.parse_args()
    results: dict[str, dict[str, Ran]] = {}
    seconds: dict[str, float] = {}
    for policy in (STOCK, SAME, SAFE):
        begun = time.monotonic()
        results[policy] = run(
            policy, args.filters, concurrency=args.concurrency
        )
        seconds[policy] = time.monotonic() - begun
    stock = results[STOCK]
    expected = {
        name: rule
        for name, rule in read_expected().items()
        if name in stock or not args.filters
    }
    wrong = {
        policy: judge(policy, stock, results[policy], rules)
        for policy, rules in ((SAME, {}), (SAFE, expected))
    }
    told = [
        _summary(policy, ran, seconds[policy], wrong.get(policy, []))
        for policy, ran in results.items()
    ]
    lines = [
        "".join(f"{cell!s:>12}" for cell in cells)
        for cells in (list(told[0]), *(row.values() for row in told))
    ]
    lines += [
        f"{policy}: not as expected: {name}"
        for policy, names in wrong.items()
        for name in names
    ]
    # without decisions the drop-in was not under them
    decided = all(row["decisions"] for row in told[1:])
    if not decided:
        lines.append("nothing was decided")
    sys.stdout.write("\n".join(lines) + "\n")
    if args.json:
        failed = {
            policy: sorted(n for n, r in ran.items() if r.failed)
            for policy, ran in results.items()
        }
        text = {"runs": told, "failed": failed, "unexpected": wrong}
        args.json.write_text(json.dumps(text, indent=1) + "\n")
    return int(not decided or any(wrong.values()))


def _summary(
    policy: str, ran: Mapping[str, Ran], seconds: float, wrong: Sized
) -> dict[str, Any]:
    return {
        "run": policy,
        "tests": len(ran),
        "failed": sum(test.failed for test in ran.values()),
        "decisions": sum(test.decisions for test in ran.values()),
        "unreadable": sum(test.unreadable for test in ran.values()),
        "seconds": round(seconds),
        "unexpected": len(wrong),
    }


if __name__ == "__main__":
    sys.exit(main())
