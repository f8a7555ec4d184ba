"""Laws about what a tenant is told."""

from __future__ import annotations

import pathlib
import sys

import attrs
from hypothesis import given

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from clonepolicy import (
    Clone,
    CreateRequest,
    Download,
    Policy,
    Refuse,
    Register,
    Upload,
    UploadRequest,
    decide_create,
    decide_upload,
    explain_to_tenant,
)
from clonepolicy.testing import strategies as some
from laws import (
    every_policy,
)


class TestNonInterfering:
    """A tenant learns nothing about other projects' volumes."""

    @every_policy
    @given(
        one=some.create_requests() | some.near_misses(),
        two=some.create_requests(),
    )
    def test_tenants_read_the_same_whatever_others_own(
        self, policy: Policy, one: CreateRequest, two: CreateRequest
    ) -> None:
        """Other sources and arrays, and yet the same text."""
        other = attrs.evolve(
            one,
            backend=two.backend,
            array_images=two.array_images,
            image_volumes=two.image_volumes,
            cache_entries=two.cache_entries,
        )
        assert explain_to_tenant(decide_create(one, policy)) == (
            explain_to_tenant(decide_create(other, policy))
        )

    @every_policy
    @given(request=some.create_requests() | some.near_misses())
    def test_a_tenant_is_never_promised_what_is_refused(
        self, policy: Policy, request: CreateRequest
    ) -> None:
        """Nor denied what is done."""
        decision = decide_create(request, policy)
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
        """Nor denied what is done."""
        decision = decide_upload(request, policy)
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
    def test_uploaders_read_the_same_whatever_the_internal_tenant_has(
        self, policy: Policy, one: UploadRequest, two: UploadRequest
    ) -> None:
        """Another quota of another project, and yet the same text."""
        other = attrs.evolve(one, clone_quota=two.clone_quota)
        assert explain_to_tenant(decide_upload(one, policy)) == (
            explain_to_tenant(decide_upload(other, policy))
        )
