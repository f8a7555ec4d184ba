"""Which findings matter, and which are about routes that are not used."""

from __future__ import annotations

from typing import Any

from clonepolicy._decide.evaluation import Evaluation
from clonepolicy._decide.finding import CandidateResult, Finding
from clonepolicy.policy._tables import Route


def unused(evaluation: Evaluation[Any]) -> tuple[Route, ...]:
    """Return the efficient routes that this cloud does not use.

    If it uses none, all of them are of interest, and the result is empty.
    """
    tables = evaluation.tables
    off = {
        route
        for rule in evaluation.failing
        if rule.switch
        for route in tables.closes[rule]
    }
    found = tuple(route for route in tables.efficient if route in off)
    return () if found == tables.efficient else found


def relevant(evaluation: Evaluation[Any]) -> tuple[Finding, ...]:
    """Return the findings about the routes that are used, the nearest first.

    Findings that refuse the request come first, then those that close most
    routes, then those against the route with the fewest findings.
    """
    off, tables = {*unused(evaluation)}, evaluation.tables
    findings = [f for f in evaluation.findings if not {*f.blocks} <= off]
    against = {
        route: sum(route in f.blocks for f in findings)
        for route in tables.efficient
    }

    def nearness(finding: Finding) -> tuple[bool, int, int]:
        routes = [r for r in finding.blocks if r in against and r not in off]
        return (
            tables.ordinary not in finding.blocks,
            -len(routes),
            min((against[route] for route in routes), default=0),
        )

    return tuple(sorted(findings, key=nearness))


def nearest(results: tuple[CandidateResult, ...]) -> list[CandidateResult]:
    """Sort candidates by the number of their findings."""
    return sorted(results, key=lambda result: len(result.findings))
