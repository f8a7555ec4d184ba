"""What shadow mode logs of random requests is what a real Cinder did."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, event, given, seed, settings
from hypothesis import strategies as st

from clonepolicy import Request
from clonepolicy.testing.strategies import create_requests, upload_requests

pytest.importorskip("cinder", reason="run nox -s openstack")

from cinder import exception
from cinder_limits import consistent, explained
from shadowed_cinder import Seen, ShadowedCinder, shadowed_cinder

CREATES, UPLOADS = 60, 40
DEEP_CREATES, DEEP_UPLOADS, PARTS = 700, 300, 10


@pytest.fixture(scope="module")
def cinder() -> Iterator[ShadowedCinder]:
    """Return a Cinder in shadow mode for the tests of this module."""
    with shadowed_cinder() as made:
        yield made


def requests(*, upload: bool) -> st.SearchStrategy[Request]:
    """Draw requests whose records do not contradict each other."""
    return upload_requests() if upload else create_requests().map(consistent)


class DriverError(exception.CinderException):  # type: ignore[misc] # untyped
    """An array is down."""


def faults() -> st.SearchStrategy[type[Exception] | None]:
    """Draw what a driver raises instead of cloning; seldom anything."""
    return st.sampled_from((None, None, None, DriverError, ValueError))


def check(
    cinder: ShadowedCinder, request: Request, fault: type[Exception] | None
) -> Seen | None:
    """Assert that no line is false."""
    seen = cinder.see(request, fault)
    if seen is None:
        return None
    deed = seen.deed
    assert seen.did == deed["did"], seen
    assert seen.source == deed.get("source"), seen
    assert seen.decided["stock"] == deed["predicted"]
    assert seen.decided["verdict"] == deed["verdict"]
    if fault is None and not explained(request):
        assert deed["matches"] != "no", seen
    event(f"{deed['predicted']} {deed['did']}")
    return seen


@settings(max_examples=CREATES)
@given(request=requests(upload=False), fault=faults())
def test_no_line_about_a_create_is_false(
    cinder: ShadowedCinder, request: Request, fault: type[Exception] | None
) -> None:
    """The driver has done what the line says."""
    check(cinder, request, fault)


@settings(max_examples=UPLOADS)
@given(request=requests(upload=True), fault=faults())
def test_no_line_about_an_upload_is_false(
    cinder: ShadowedCinder, request: Request, fault: type[Exception] | None
) -> None:
    """The image service got what the line says."""
    check(cinder, request, fault)


@pytest.mark.deep
@pytest.mark.parametrize("upload", [False, True], ids=["create", "upload"])
def test_a_thousand_lines_are_true(
    cinder: ShadowedCinder,
    upload: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    """Most requests are predicted, and each kind of deed is among them."""
    told: list[Seen] = []

    @seed(12)
    @settings(
        max_examples=DEEP_UPLOADS if upload else DEEP_CREATES,
        derandomize=False,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(request=requests(upload=upload), fault=faults())
    def run(request: Request, fault: type[Exception] | None) -> None:
        seen = check(cinder, request, fault)
        if seen is not None:
            told.append(seen)

    run()
    predicted = [seen for seen in told if seen.deed["matches"] != "unknown"]
    assert len(predicted) > len(told) / 2
    made = {"register", "upload"} if upload else {"clone", "download"}
    assert made <= {seen.did for seen in predicted}
