"""CINDER_29 held to the Cinder 29 that is installed."""

from __future__ import annotations

import attrs
import pytest
from clonepolicy.testing.combinations import (
    Difference,
    differences,
    one_fault,
)
from clonepolicy.testing.worlds import REGISTERABLE, UPLOAD_AXES, Request, put
from hypothesis import HealthCheck, event, given, seed, settings
from hypothesis import strategies as st

from clonepolicy import (
    CINDER_29,
    SAFE,
    CreateRequest,
    UploadRequest,
)
from clonepolicy.testing.strategies import (
    cache_entries,
    create_requests,
    image_volumes,
    images,
    near_misses,
    quotas,
    upload_requests,
    volumes,
)

pytest.importorskip("cinder", reason="run nox -s openstack")

from cinder_limits import explained, settle
from cinder_world import CinderWorld, Observed, cinder, expected

__all__ = ["cinder"]

FAULTS = {".".join(key): world for key, world in one_fault(CINDER_29).items()}
CREATES, UPLOADS = 200, 60
DEEP_CREATES, DEEP_UPLOADS, PARTS = 20_000, 1_000, 20


def creates() -> st.SearchStrategy[CreateRequest]:
    """Draw what nearly clones, with rivals, and now and then anything."""

    @st.composite
    def with_rivals(draw: st.DrawFn) -> CreateRequest:
        near = draw(near_misses())
        more = draw(st.lists(image_volumes(), max_size=2))
        entries = draw(st.lists(cache_entries(), max_size=2))
        return attrs.evolve(
            near,
            image_volumes=(*near.image_volumes, *more),
            cache_entries=(*near.cache_entries, *entries),
        )

    anything = create_requests(
        image=images(
            visible=st.sampled_from([True]), status=st.just("active")
        ),
        volume=volumes(size=st.integers(1, 3)),
    )
    return st.one_of(
        near_misses(), with_rivals(), with_rivals(), anything
    ).map(settle)


@st.composite
def uploads(draw: st.DrawFn) -> UploadRequest:
    """Draw what nearly registers, and now and then anything."""
    if draw(st.integers(0, 7)) == 0:
        return draw(upload_requests())
    base = attrs.evolve(REGISTERABLE, clone_quota=draw(quotas()))
    paths = draw(
        st.lists(st.sampled_from(sorted(UPLOAD_AXES)), max_size=4, unique=True)
    )
    values = {path: draw(st.sampled_from(UPLOAD_AXES[path])) for path in paths}
    return put(base, values)


def observe(cinder: CinderWorld, request: Request) -> Observed:
    """Have Cinder do it."""
    if isinstance(request, UploadRequest):
        return cinder.run_upload(request)
    return cinder.run_create(request)


def compared(seen: Observed, request: Request) -> Observed:
    """Leave out what CINDER_29 says nothing about.

    An array that cannot clone fails when it is asked to; none other does.
    """
    able = request.backend.can_clone is True
    cloned = seen.verdict in {"clone", "register"}
    told = seen.error if cloned and able else None
    return attrs.evolve(seen, error=told, asked=())


def agree(cinder: CinderWorld, request: Request) -> str:
    """Assert that both do the same, or that it is known why not."""
    wanted, seen = expected(request), observe(cinder, request)
    if wanted == compared(seen, request):
        return f"{seen.verdict} {seen.mechanism or ''}"
    reasons = explained(request)
    assert reasons, (wanted, seen)
    return f"differs: {', '.join(reasons)}"


@pytest.mark.parametrize("name", sorted(FAULTS))
def test_each_rule_of_cinder_29_alone_decides_as_cinder_does(
    cinder: CinderWorld, name: str
) -> None:
    """Where one rule fails and no other of its table, Cinder does as said."""
    request = FAULTS[name]
    if isinstance(request, CreateRequest):
        request = settle(request)
    agree(cinder, request)


def _title(difference: Difference) -> str:
    return f"{difference.table}.{difference.rule}"


@pytest.mark.parametrize(
    "difference", differences(SAFE, CINDER_29), ids=_title
)
def test_each_difference_that_the_docs_list_is_real(
    cinder: CinderWorld, difference: Difference
) -> None:
    """Cinder does with each witness what policy-diff.md says it does."""
    request = difference.request
    if isinstance(request, CreateRequest):
        request = settle(request)
        verdict = expected(request).verdict
        if verdict != difference.verdict_b:
            pytest.skip("no facts of one cloud: records that contradict")
    seen = compared(observe(cinder, request), request)
    if (seen.verdict, seen.error) != (difference.verdict_b, None):
        reasons = explained(request)
        assert reasons, seen
        pytest.skip(f"known limit: {', '.join(reasons)}")


@settings(max_examples=CREATES)
@given(request=creates())
def test_creates_are_decided_as_cinder_does(
    cinder: CinderWorld, request: CreateRequest
) -> None:
    """Verdict, mechanism and source are those of the real flow."""
    event(agree(cinder, request))


@settings(max_examples=UPLOADS)
@given(request=uploads())
def test_uploads_are_decided_as_cinder_does(
    cinder: CinderWorld, request: UploadRequest
) -> None:
    """Verdict and project are those of the real manager."""
    event(agree(cinder, request))


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
    cinder: CinderWorld, part: int
) -> None:
    """Twenty parts of a thousand creates each."""

    @seed(part)
    @_deep(DEEP_CREATES)
    @given(request=creates())
    def run(request: CreateRequest) -> None:
        event(agree(cinder, request))

    run()


@pytest.mark.deep
@pytest.mark.parametrize("part", range(PARTS))
def test_many_uploads_are_decided_as_cinder_does(
    cinder: CinderWorld, part: int
) -> None:
    """Twenty parts of fifty uploads each."""

    @seed(part)
    @_deep(DEEP_UPLOADS)
    @given(request=uploads())
    def run(request: UploadRequest) -> None:
        event(agree(cinder, request))

    run()
