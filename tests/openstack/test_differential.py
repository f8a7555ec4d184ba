"""The installed Cinder compared with the policy that describes it."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import HealthCheck, event, given, seed, settings
from hypothesis import strategies as st

from clonepolicy import SAFE, CreateRequest, Request, UploadRequest
from clonepolicy.scenarios import Difference, differences, one_fault
from clonepolicy.testing.strategies import create_requests, upload_requests

pytest.importorskip("cinder", reason="run nox -s openstack")

from cinder_limits import consistent, explained
from installed import OTHERS, POLICY
from observed import Observed, expected
from real_cinder import RealCinder, real_cinder

__all__ = ["real_cinder"]

FAULTS = {
    ".".join(key): scenario for key, scenario in one_fault(POLICY).items()
}
EXAMPLES = settings().max_examples
CREATES, UPLOADS = 2 * EXAMPLES, max(60, EXAMPLES // 5)
"""200 and 60; 2,000 and 200 with the profile ``deep``."""
DEEP_CREATES, DEEP_UPLOADS, PARTS = 20_000, 1_000, 20


def creates() -> st.SearchStrategy[CreateRequest]:
    """Draw requests whose records do not contradict each other."""
    return create_requests().map(consistent)


def observe(real_cinder: RealCinder, request: Request) -> Observed:
    """Have Cinder carry out a request."""
    if isinstance(request, UploadRequest):
        return real_cinder.run_upload(request)
    return real_cinder.run_create(request)


def comparable(seen: Observed, request: Request) -> Observed:
    """Remove what the policy does not predict.

    An error counts only if the array can clone: Cinder asks others too, which
    then fail.
    """
    able = request.backend.can_clone is True
    cloned = seen.verdict in {"clone", "register"}
    error = seen.error if cloned and able else None
    return attrs.evolve(seen, error=error, asked=())


def assert_agreement(real_cinder: RealCinder, request: Request) -> str:
    """Assert that both do the same, or that a known limit explains it."""
    wanted, seen = expected(request), observe(real_cinder, request)
    if wanted == comparable(seen, request):
        return f"{seen.verdict} {seen.route or ''}"
    reasons = explained(request)
    assert reasons, (wanted, seen)
    return f"differs: {', '.join(reasons)}"


@pytest.mark.parametrize("name", sorted(FAULTS))
def test_each_rule_decides_as_cinder_does(
    real_cinder: RealCinder, name: str
) -> None:
    """Each request fails one rule of a table only."""
    request = FAULTS[name]
    if isinstance(request, CreateRequest):
        request = consistent(request)
    assert_agreement(real_cinder, request)


def _title(difference: Difference) -> str:
    return f"{difference.table}.{difference.rule}"


@pytest.mark.parametrize("difference", differences(SAFE, POLICY), ids=_title)
def test_each_documented_difference_exists(
    real_cinder: RealCinder, difference: Difference
) -> None:
    """Cinder does with each example what policy-diff.md says."""
    request = difference.request
    if isinstance(request, CreateRequest):
        request = consistent(request)
        verdict = expected(request).verdict
        if verdict != difference.verdict_b:
            pytest.skip("the records contradict each other")
    seen = comparable(observe(real_cinder, request), request)
    if (seen.verdict, seen.error) != (difference.verdict_b, None):
        reasons = explained(request)
        assert reasons, seen
        pytest.skip(f"known limit: {', '.join(reasons)}")


BETWEEN = {
    f"{other.name}-{each.only_in}-{_title(each)}": each.request
    for other in OTHERS
    for each in differences(POLICY, other)
}


@pytest.mark.parametrize("name", BETWEEN)
def test_each_difference_from_another_release_exists(
    real_cinder: RealCinder, name: str
) -> None:
    """This Cinder does with each example what its own policy says."""
    request = BETWEEN[name]
    if isinstance(request, CreateRequest):
        request = consistent(request)
    assert_agreement(real_cinder, request)


@settings(max_examples=CREATES)
@given(request=creates())
def test_creates_are_decided_as_cinder_does(
    real_cinder: RealCinder, request: CreateRequest
) -> None:
    """Verdict, route and source are those of the real flow."""
    event(assert_agreement(real_cinder, request))


@settings(max_examples=UPLOADS)
@given(request=upload_requests())
def test_uploads_are_decided_as_cinder_does(
    real_cinder: RealCinder, request: UploadRequest
) -> None:
    """Verdict and project are those of the real manager."""
    event(assert_agreement(real_cinder, request))


def _deep(examples: int) -> settings:
    return settings(
        max_examples=examples // PARTS,
        derandomize=False,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )


@pytest.mark.deep
@pytest.mark.parametrize("part", range(PARTS))
def test_many_creates_are_decided_as_cinder_does(
    real_cinder: RealCinder, part: int
) -> None:
    """A thousand creates in each of twenty parts."""

    @seed(part)
    @_deep(DEEP_CREATES)
    @given(request=creates())
    def run(request: CreateRequest) -> None:
        event(assert_agreement(real_cinder, request))

    run()


@pytest.mark.deep
@pytest.mark.parametrize("part", range(PARTS))
def test_many_uploads_are_decided_as_cinder_does(
    real_cinder: RealCinder, part: int
) -> None:
    """Fifty uploads in each of twenty parts."""

    @seed(part)
    @_deep(DEEP_UPLOADS)
    @given(request=upload_requests())
    def run(request: UploadRequest) -> None:
        event(assert_agreement(real_cinder, request))

    run()
