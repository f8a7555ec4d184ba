"""Run Cinder's own unit tests without and with the drop-in.

A test that fails with the drop-in must fail without it, too.  The tests in
`expected.toml` must fail with SAFE, or with each policy, for the listed
reason, and pass without the drop-in.
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

from clonepolicy.adapters.cinder._releases import installed_release

HERE = Path(__file__).parent
EXPECTED = HERE / "expected.toml"
PREFIX = "cinder.tests.unit."
UNDECIDED = "undecided"
STOCK, SAME, SAFE = "stock", installed_release().stock_policy, "SAFE"
POLICY = "OS_CLONEPOLICY__POLICY"
CANARIES = tuple(
    f"canary.CanaryTestCase.test_{what}_is_decided"
    for what in ("a_create", "an_upload")
)
"""Tests that fail without the drop-in, and pass with it."""
_FAILED = frozenset({"fail", "uxsuccess", "inprogress", "unknown"})
_FEW = 10
_UNREADABLE = "verdict=- unreadable="
_DECISION = re.compile(r"clonepolicy operation=.* reasons=(\S+)")


@attrs.frozen
class Result:
    """The result of one test, and the decisions in it."""

    failed: bool
    decisions: int = 0
    unreadable: int = 0
    reasons: frozenset[str] = frozenset()


def read_expected(policy: str) -> dict[str, str]:
    """Return the reason of each test that must fail with the drop-in only."""
    groups = tomllib.loads(EXPECTED.read_text())["group"]
    number = installed_release().number
    return {
        PREFIX + test: group["reason"]
        for group in groups
        if number in group.get("releases", [number])
        and (policy == SAFE or group.get("policy") == "any")
        for test in group["tests"]
    }


def unexpected(
    stock: Mapping[str, Result],
    dropped_in: Mapping[str, Result],
    reasons: Mapping[str, str],
) -> list[str]:
    """Return the names of the tests whose result is not the expected one.

    Args:
        stock: the results without the drop-in, of tests that fail with it.
        dropped_in: the results with the drop-in.
        reasons: the reasons of the tests that must fail with it only.
    """
    return sorted(
        name
        for name in dropped_in.keys() | reasons.keys()
        if not _is_expected(
            stock.get(name), dropped_in.get(name), reasons.get(name)
        )
    )


def silent_canaries(
    stock: Mapping[str, Result], dropped_in: Mapping[str, Result]
) -> list[str]:
    """Return the canaries that do not show that the drop-in was installed."""
    return [
        name
        for name in CANARIES
        if name not in stock
        or name not in dropped_in
        or not stock[name].failed
        or dropped_in[name].failed
    ]


def _is_expected(
    stock: Result | None, dropped_in: Result | None, reason: str | None
) -> bool:
    if dropped_in is None or not dropped_in.failed:
        return dropped_in is not None and reason is None
    if stock is None or reason is None:
        return stock is not None and stock.failed
    listed = reason == UNDECIDED or reason in dropped_in.reasons
    return listed and not stock.failed


def run(
    policy: str, filters: Iterable[str] = (), *, concurrency: int = 1
) -> dict[str, Result]:
    """Run the tests whose names match a filter; without one, all tests."""
    env = {
        **os.environ,
        "LANGUAGE": "C",  # gettext looks for files, and tests mock open()
        "PYTHONHASHSEED": "0",  # the same tests share a process in every run
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


def _read(stream: bytes) -> dict[str, Result]:
    tests: list[dict[str, Any]] = []
    result = testtools.StreamToDict(tests.append)
    result.startTestRun()
    subunit.ByteStreamToStreamResult(io.BytesIO(stream)).run(result)
    result.stopTestRun()
    return {test["id"]: _result(test) for test in tests}


def _result(test: Mapping[str, Any]) -> Result:
    log = "".join(
        detail.as_text()
        for detail in test["details"].values()
        if detail.content_type.type == "text"
    )
    return Result(
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
    stock: dict[str, Result],
    dropped_in: dict[str, Result],
    reasons: Mapping[str, str],
) -> list[str]:
    """Return the unexpected tests, after running each in its own process."""
    first = unexpected(stock, dropped_in, reasons)
    known = [name for name in first if name in dropped_in]
    if len(known) <= _FEW:
        for name in known:
            stock.update(run(STOCK, [_exact(name)]))
            dropped_in.update(run(policy, [_exact(name)]))
    return unexpected(stock, dropped_in, reasons)


def _failing(runs: Iterable[Mapping[str, Result]]) -> list[str]:
    """Return the tests that fail with a policy, and the canaries."""
    failed = (name for ran in runs for name in ran if ran[name].failed)
    return sorted({*failed, *CANARIES})


def _exact(name: str) -> str:
    return f"^{re.escape(name)}$"


def main() -> int:
    """Run the tests and compare; return 0 if all is expected."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "filters", nargs="*", help="regular expressions for test names"
    )
    parser.add_argument("--concurrency", type=int, default=2)
    parser.add_argument("--json", type=Path, help="a file for all results")
    args = parser.parse_args()
    filters = [*args.filters, "^canary[.]"] if args.filters else []
    results: dict[str, dict[str, Result]] = {}
    seconds: dict[str, float] = {}
    for policy in (SAME, SAFE, STOCK):
        if policy == STOCK:
            filters = [*map(_exact, _failing(results.values()))]
        begun = time.monotonic()
        results[policy] = run(policy, filters, concurrency=args.concurrency)
        seconds[policy] = time.monotonic() - begun
    stock = results[STOCK]
    silent = {
        policy: silent_canaries(stock, results[policy])
        for policy in (SAME, SAFE)
    }
    for ran in results.values():
        for name in CANARIES:
            ran.pop(name, None)
    wrong = {
        policy: judge(
            policy,
            stock,
            results[policy],
            {
                name: reason
                for name, reason in read_expected(policy).items()
                if name in results[policy] or not args.filters
            },
        )
        for policy in (SAME, SAFE)
    }
    rows = [
        _summary(policy, ran, seconds[policy], wrong.get(policy, []))
        for policy, ran in results.items()
    ]
    lines = [
        "".join(f"{cell!s:>12}" for cell in cells)
        for cells in (list(rows[0]), *(row.values() for row in rows))
    ]
    lines += [
        f"{policy}: unexpected result: {name}"
        for policy, names in wrong.items()
        for name in names
    ]
    lines += [
        f"{policy}: {name} does not show that the drop-in was installed"
        for policy, names in silent.items()
        for name in names
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    if args.json:
        failed = {
            policy: sorted(n for n, r in ran.items() if r.failed)
            for policy, ran in results.items()
        }
        text = {"runs": rows, "failed": failed, "unexpected": wrong}
        text |= {"silent": silent}
        args.json.write_text(json.dumps(text, indent=1) + "\n")
    return int(any((*wrong.values(), *silent.values())))


def _summary(
    policy: str, ran: Mapping[str, Result], seconds: float, wrong: Sized
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
