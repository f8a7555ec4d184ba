"""Decisions are values: they can be copied, pickled and compared."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from collections.abc import Callable

import attrs
import pytest

from clonepolicy import (
    POLICIES,
    SAFE,
    Decision,
    Finding,
    Request,
    Route,
    decide,
)
from clonepolicy._decide import finding as findings_module
from clonepolicy.policy import Policy
from clonepolicy.scenarios import CLONEABLE, REGISTERABLE, with_facts

REQUESTS: tuple[Request, ...] = (
    *CLONEABLE.values(),
    with_facts(CLONEABLE[Route.IMAGE_VOLUME], {"source.status": "error"}),
    with_facts(CLONEABLE[Route.IMAGE_VOLUME], {"image.status": "queued"}),
    REGISTERABLE,
    with_facts(REGISTERABLE, {"image.disk_format": "qcow2"}),
)


def pickled(decision: Decision) -> Decision:
    """Return what unpickling a pickled decision gives."""
    again: Decision = pickle.loads(pickle.dumps(decision))  # noqa: S301 - just written
    return again


@pytest.mark.parametrize("policy", POLICIES.values(), ids=str)
@pytest.mark.parametrize("request_", REQUESTS)
@pytest.mark.parametrize("again", [pickled, copy.copy, copy.deepcopy])
def test_a_copy_of_a_decision_is_equal_to_it(
    again: Callable[[Decision], Decision], request_: Request, policy: Policy
) -> None:
    """Its findings and its plan are equal, too, read before or after."""
    decision = decide(request_, policy)
    early = again(decision)
    findings, plan = decision.findings, decision.plan
    for made in (early, again(decision)):
        assert decision == made
        assert hash(decision) == hash(made)
        assert findings == made.findings
        assert plan == made.plan


@pytest.mark.parametrize("again", [pickled, copy.deepcopy])
def test_a_copied_decision_has_the_rules_themselves(
    again: Callable[[Decision], Decision],
) -> None:
    """A rule is its module's, and is compared by identity."""
    request = with_facts(REGISTERABLE, {"image.disk_format": "qcow2"})
    decision = decide(request)
    assert decision.evaluation.failing
    for one, other in zip(
        decision.evaluation.failing,
        again(decision).evaluation.failing,
        strict=True,
    ):
        assert one is other


def test_a_decision_with_a_rule_of_a_function_can_be_copied() -> None:
    """Pickle could not find such a rule again."""
    seen = attrs.evolve(SAFE.upload.refuse[0], name="of_this_function")
    mine = attrs.evolve(SAFE, upload=attrs.evolve(SAFE.upload, refuse=(seen,)))
    decision = decide(REGISTERABLE, mine)
    assert decision == copy.deepcopy(decision)


def test_decisions_on_different_facts_differ() -> None:
    """So do those of different policies."""
    request = REGISTERABLE
    assert decide(request) == decide(request)
    assert decide(request) != decide(attrs.evolve(request, force=True))
    assert decide(request) != decide(
        request, attrs.evolve(SAFE, version=SAFE.version + 1)
    )


@pytest.mark.parametrize("options", [(), ("-O",), ("-OO",)], ids=str)
def test_the_package_works_without_docstrings(
    options: tuple[str, ...],
) -> None:
    """Rules do not read their own docstrings."""
    program = (
        "from clonepolicy import decide, explain;"
        "from clonepolicy.scenarios import REGISTERABLE;"
        "print(explain(decide(REGISTERABLE)))"
    )
    ran = subprocess.run(
        [sys.executable, *options, "-c", program],
        check=True,
        capture_output=True,
        text=True,
    )
    assert ran.stdout.startswith("register a clone of volume")


def found() -> Finding:
    """Return a finding whose remedies nobody has read."""
    request = with_facts(
        CLONEABLE[Route.IMAGE_VOLUME], {"source.status": "error"}
    )
    return decide(request).findings[0]


def test_remedies_are_made_when_they_are_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And then once."""
    made = []
    make = findings_module._remedies

    def counted(*about: object) -> object:
        made.append(about)
        return make(*about)  # type: ignore[arg-type] # as they came

    monkeypatch.setattr(findings_module, "_remedies", counted)
    finding = found()
    assert made == []
    assert finding.remedies
    assert finding.remedies is finding.remedies
    assert len(made) == 1


@pytest.mark.parametrize(
    "again",
    [
        lambda finding: finding,
        lambda finding: pickle.loads(pickle.dumps(finding)),  # noqa: S301 - just written
        copy.copy,
        copy.deepcopy,
        lambda finding: attrs.evolve(finding, rule=finding.rule),
    ],
    ids=["itself", "pickled", "copied", "deep", "evolved"],
)
def test_a_finding_is_the_same_before_and_after_its_remedies_are_read(
    again: Callable[[Finding], Finding],
) -> None:
    """Equality, hash and text take the remedies into account."""
    unread, read = again(found()), found()
    assert read.remedies
    assert (unread, hash(unread)) == (read, hash(read))
    assert repr(again(found())) == repr(read)
    assert unread != attrs.evolve(read, remedies=())
    assert unread.remedies == read.remedies
