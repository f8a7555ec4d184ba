"""Report an operation on a local cloud: its decision, outcome and cost."""

from __future__ import annotations

import click

from clonepolicy import Decision, Outcome, Reason, Refuse, explain, wire
from clonepolicy._terminal.errors import CliError, Exit
from clonepolicy._terminal.render import (
    Json,
    emit,
    pairs,
    say,
    seconds,
    show,
    size,
)
from clonepolicy.adapters.local import Created, Uploaded
from clonepolicy.cli._progress import Meter
from clonepolicy.plan import Attempt

_RECOVERY = "the next command that opens this cloud cleans up"


def reasons(decision: Decision) -> tuple[Reason, ...]:
    """Give the reasons that closed the efficient path, or for a refusal."""
    refused = isinstance(decision, Refuse)
    routes = (decision.ordinary,) if refused else ()
    found = decision.closing(*routes)
    return tuple(dict.fromkeys(finding.reason for finding in found))


def reason_lines(decision: Decision) -> list[str]:
    """Give each of the reasons with its meaning, in a line."""
    return [f"{reason}: {reason.meaning}" for reason in reasons(decision)]


def report(  # noqa: PLR0913 - the parts of one report
    noun: str,
    made: Created | Uploaded,
    shown: Json | None,
    meter: Meter,
    *,
    in_full: bool,
    as_json: bool,
) -> None:
    """Report how a volume or an image was made; ``shown`` is its fields.

    If the policy refused, exit with 3.

    Raises:
        CliError: every attempt failed.
    """
    outcome = made.outcome
    if as_json:
        emit({**_to_dict(made, meter), noun: shown})
    else:
        _show(made, meter, in_full=in_full)
        if shown is not None:
            say()
            show(pairs(shown.items()))
    if outcome is None:
        click.get_current_context().exit(Exit.REFUSED)
    if outcome.attempt is None:
        raise _failed(f"the {noun} could not be made", outcome)
    if not outcome.settled:
        click.echo(f"note: {_RECOVERY}", err=True)


def _to_dict(made: Created | Uploaded, meter: Meter) -> Json:
    outcome: Json | None = None
    if made.outcome is not None:
        outcome = {
            "attempt": _attempt_to_dict(made.outcome.attempt),
            "settled": made.outcome.settled,
            "failures": [
                {
                    "attempt": _attempt_to_dict(failure.attempt),
                    "step": type(failure.step).__name__,
                    "error": type(failure.error).__name__,
                    "message": str(failure.error),
                }
                for failure in made.outcome.failures
            ],
        }
    return {
        "decision": wire.to_dict(made.decision),
        "outcome": outcome,
        "seconds": meter.seconds,
        "bytes_moved": meter.bytes_moved,
    }


def _attempt_to_dict(attempt: Attempt | None) -> Json | None:
    if attempt is None:
        return None
    return {"route": str(attempt.route), "source": attempt.source}


def _show(made: Created | Uploaded, meter: Meter, *, in_full: bool) -> None:
    decision, outcome = made.decision, made.outcome
    if in_full:
        say(explain(decision))
    else:
        say(explain(decision).splitlines()[0])
        for reason in reasons(decision):
            say(f"  - {reason}: {reason.meaning}")
            if isinstance(decision, Refuse):
                say(f"    {reason.responsible}: {reason.remedy}")
    if outcome is None:
        return
    for failure in outcome.failures:
        step = type(failure.step).__name__
        say(
            f"  ! {failure.attempt or 'abandon'}: {step} failed: {failure.error}"
        )
    if outcome.attempt is not None:
        took, moved = seconds(meter.seconds), size(meter.bytes_moved)
        say(f"done by {outcome.attempt}: {took}, {moved} moved")


def _failed(what: str, outcome: Outcome) -> CliError:
    why = "no route is open"
    if outcome.failures:
        why = str(outcome.failures[0].error)
    # the error's own message says what to do about the error
    remedy = "" if outcome.settled else _RECOVERY
    return CliError(Exit.FAILED, f"{what}: {why}", remedy)
