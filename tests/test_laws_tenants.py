"""Laws about the text that a tenant reads."""

from __future__ import annotations

import pathlib
import sys
from typing import TypeVar

import attrs
from hypothesis import given

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from clonepolicy import (
    Clone,
    CreateRequest,
    Download,
    Refuse,
    Register,
    Upload,
    UploadRequest,
    decide,
    explain_to_tenant,
)
from clonepolicy.policy import Policy
from clonepolicy.testing import strategies as some
from laws import (
    every_policy,
)

R = TypeVar("R", CreateRequest, UploadRequest)

TENANTS_OWN = {
    *("image", "volume", "project_id", "force"),
    *("config", "glance", "quota", "conversion_free"),
}
"""The parts of a request that its tenant may learn of."""
REMEDY = "Fact: name the new part in _PRIVATE of _explain.py or TENANTS_OWN"


def with_facts_of(other: R, request: R) -> R:
    """Take all that is not the tenant's own from another request."""
    return attrs.evolve(
        request,
        **{
            field.name: getattr(other, field.name)
            for field in attrs.fields(type(request))
            if field.name not in TENANTS_OWN
        },
    )


class TestNonInterfering:
    """A tenant learns nothing about other projects' volumes."""

    @every_policy
    @given(
        one=some.create_requests() | some.near_misses(),
        two=some.create_requests(),
    )
    def test_a_tenant_reads_the_same_whatever_others_own(
        self, policy: Policy, one: CreateRequest, two: CreateRequest
    ) -> None:
        """All but the tenant's own facts change, and the text does not."""
        own, others = (
            explain_to_tenant(decide(request, policy))
            for request in (one, with_facts_of(two, one))
        )
        assert own == others, REMEDY

    @every_policy
    @given(request=some.create_requests() | some.near_misses())
    def test_a_tenant_is_never_promised_what_is_refused(
        self, policy: Policy, request: CreateRequest
    ) -> None:
        """Nor is the path that is taken denied."""
        decision = decide(request, policy)
        text = explain_to_tenant(decision).partition("\n")[0]
        if isinstance(decision, Refuse):
            assert text.startswith("Cannot") or text.endswith("if at all.")
        else:
            assert not text.startswith("Cannot")
        if isinstance(decision, Clone):
            assert not text.endswith("cannot be a clone.")
        if isinstance(decision, Download):
            assert "can only be a clone" not in text

    @every_policy
    @given(request=some.upload_requests())
    def test_an_uploader_is_never_promised_what_is_refused(
        self, policy: Policy, request: UploadRequest
    ) -> None:
        """Nor is the path that is taken denied."""
        decision = decide(request, policy)
        text = explain_to_tenant(decision).partition("\n")[0]
        if isinstance(decision, Refuse):
            assert text.startswith("Cannot") or text.endswith("if at all.")
        else:
            assert not text.startswith("Cannot")
        if isinstance(decision, Register):
            assert not text.endswith("cannot be a clone.")
        if isinstance(decision, Upload):
            assert "can only be a clone" not in text

    @every_policy
    @given(one=some.upload_requests(), two=some.upload_requests())
    def test_an_uploader_reads_the_same_whatever_others_own(
        self, policy: Policy, one: UploadRequest, two: UploadRequest
    ) -> None:
        """All but the tenant's own facts change, and the text does not."""
        own, others = (
            explain_to_tenant(decide(request, policy))
            for request in (one, with_facts_of(two, one))
        )
        assert own == others, REMEDY
