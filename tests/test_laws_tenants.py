"""Laws about what a tenant reads."""

from __future__ import annotations

import pathlib
import sys
from typing import Any, TypeAlias

import attrs
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from clonepolicy import (
    Clone,
    Download,
    Image,
    Refuse,
    Register,
    Request,
    Upload,
    Volume,
    decide,
    explain_to_tenant,
    tenant_findings,
)
from clonepolicy.policy import Policy
from clonepolicy.testing import strategies as some
from laws import every_policy

Pair: TypeAlias = tuple[Request, Request]

TENANTS_OWN = {"image", "volume", "project_id", "force", "quota"}
"""The parts of a request that its tenant may learn of."""
OPERATORS = {
    Image: ("locations_from", "direct_url"),
    Volume: (
        *("host", "cluster_name", "migration_status", "clones"),
        "inspection",
    ),
}
"""What only the operator knows of an image and a volume."""
OF_A_TYPE = ("volume_backend_name", "store_id")
"""What only the operator knows of a volume type."""
REMEDY = "Fact: a tenant may not know it, so SHOWN must not list it"


def creates() -> st.SearchStrategy[Request]:
    """Any request to make a volume of an image."""
    return some.create_requests()


def requests() -> st.SearchStrategy[Request]:
    """Any request."""
    return creates() | some.upload_requests()


def pairs() -> st.SearchStrategy[Pair]:
    """Two requests for the same operation."""
    return st.tuples(creates(), some.create_requests()) | st.tuples(
        some.upload_requests(), some.upload_requests()
    )


def merged(kept: Any, other: Any, names: tuple[str, ...]) -> Any:  # noqa: ANN401 - any record
    """Take some fields from another record of the same kind."""
    return attrs.evolve(kept, **{name: getattr(other, name) for name in names})


def with_facts_of(other: Request, request: Request) -> Request:
    """Take all that is not the tenant's own from another request."""
    changed: Request = merged(
        request,
        other,
        tuple(
            field.name
            for field in attrs.fields(type(request))
            if field.name not in TENANTS_OWN
        ),
    )
    image = merged(request.image, other.image, OPERATORS[Image])
    if not image.visible:
        image = attrs.evolve(other.image, id=image.id, visible=False)
    volume = merged(request.volume, other.volume, OPERATORS[Volume])
    mine, theirs = volume.volume_type, other.volume.volume_type
    if mine is not None and theirs is not None:
        kind = merged(mine, theirs, OF_A_TYPE)
        volume = attrs.evolve(volume, volume_type=kind)
    return attrs.evolve(changed, image=image, volume=volume)


class TestNonInterfering:
    """A tenant learns only of what is the tenant's own."""

    @every_policy
    @given(pair=pairs())
    def test_a_tenant_reads_the_same_whatever_else_is_the_case(
        self, policy: Policy, pair: Pair
    ) -> None:
        """Neither others, the configuration, Glance nor the array shows."""
        one, two = pair
        decisions = [
            decide(request, policy)
            for request in (one, with_facts_of(two, one))
        ]
        own, others = map(explain_to_tenant, decisions)
        assert own == others, REMEDY
        mine, theirs = map(tenant_findings, decisions)
        assert mine == theirs, REMEDY

    @every_policy
    @given(request=requests())
    def test_a_tenant_is_never_promised_what_is_refused(
        self, policy: Policy, request: Request
    ) -> None:
        """Nor is the path that is taken denied."""
        decision = decide(request, policy)
        text = explain_to_tenant(decision).partition("\n")[0]
        if isinstance(decision, Refuse):
            assert text.startswith("Cannot") or text.endswith("if at all.")
        else:
            assert not text.startswith("Cannot")
        if isinstance(decision, (Clone, Register)):
            assert "only by copy" not in text
        if isinstance(decision, (Download, Upload)):
            assert "only by clone" not in text
