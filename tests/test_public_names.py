"""The public names are these, and each has one path."""

from __future__ import annotations

import importlib
from collections.abc import Mapping

import pytest

MOST = 70
"""The most names that ``clonepolicy`` itself may have."""

CORE: Mapping[str, str] = {
    "clonepolicy": """
        CINDER_29 LIBERTY POLICIES SAFE AdapterError ArrayImage Backend
        CacheEntry Candidate CandidateResult CinderLocation Clone CloneKind
        CloneLimitError ClonePolicyError Config ConflictError CreateDecision
        CreateRequest Decision Download FactError Failure FileLocation Finding
        ForbiddenError GiB GlanceConfig GlanceStore Host Image ImageVolume
        IntegrityError LeftBehindError Location LocationsFrom
        MalformedLocation NotFoundError Operation OtherLocation Outcome Quota
        QuotaError RbdLocation Reason Refuse Register Remedy Request Route
        StaleError StoredImage UnavailableError Unblock UnsupportedError
        Upload UploadDecision UploadRequest Volume VolumeType decide execute
        explain explain_to_tenant gather_create gather_upload parse_location
        recover tenant_findings what_would_it_take
    """,
    "clonepolicy.policy": """
        CANDIDATE_FIELDS Citation CloneTable CreateRule CreateTables Order
        Policy Responsible Rule SourceRule Subject UploadRule UploadTables
        advisory cinder glance last_used_first nearest_first newest_first rule
        spec
    """,
    "clonepolicy.plan": """
        AddLocation Attempt CloneImage CloneVolume CreateImageVolume
        DeleteImageVolume DiscardImage DiscardVolume DownloadImage
        ExtendVolume FailVolume Plan PublishVolume RestoreVolume
        SetVolumeMetadata SetVolumeReadonly Step UnpublishVolume UploadImage
        VerifyLocation VolumeId VolumeRef WithdrawLocation
    """,
    "clonepolicy.ports": """
        API_VERSION ARRAY_BACKENDS OLDEST_API_VERSION ArrayBackend ArrayKind
        ImageService InstalledArray Journal JournalEntry Observer Phase Ports
        StoredVolume VolumeService check_array_kind check_source
        check_volume_id installed_arrays load_array volume_changed
    """,
    "clonepolicy.scenarios": """
        ALICE ARRAY AXES BOB CLONEABLE HERE IMAGE_ID INTERNAL NEW_ID NOW
        OTHER_ARRAY OTHER_ID PLAIN REGISTERABLE SOURCE_ID STORE THEN
        UPLOAD_AXES Combinations Difference Table Values candidate_of
        combinations differences holds independent_faults one_fault
        scenarios_of variants with_facts
    """,
    "clonepolicy.wire": """
        dumps finding_to_dict from_dict loads loads_decision reason_to_dict
        to_dict
    """,
    "clonepolicy.schema": "schema",
}
"""What is public for Cinder's code, for builders of policies, and for
authors of adapters."""

OTHERS = (
    *("adapters.cinder", "adapters.glance", "adapters.local"),
    *("adapters.memory", "adapters.qcow2", "adapters.rbd"),
    *("adapters.records", "adapters.reflink", "testing.array_machine"),
    *("testing.conformance", "testing.faults", "testing.machine"),
    *("testing.memory", "testing.strategies"),
)
"""The other public modules, which need extras."""


def exported(module: str) -> list[str]:
    """Return the names that a module exports."""
    if module.endswith(("adapters.cinder", "adapters.glance")):
        pytest.importorskip(
            module.rpartition(".")[2].replace("glance", "glanceclient"),
            reason="run nox -s openstack",
        )
    names: list[str] = importlib.import_module(module).__all__
    return names


@pytest.mark.parametrize("module", CORE)
def test_a_module_exports_the_names_listed_here(module: str) -> None:
    """A new name is listed on purpose, and none is lost by accident."""
    assert sorted(CORE[module].split()) == sorted(exported(module))


def test_the_package_itself_has_few_names() -> None:
    """What only builders and authors need is in a module of its own."""
    assert MOST >= len(exported("clonepolicy"))


@pytest.mark.parametrize(
    "module", [*CORE, *(f"clonepolicy.{name}" for name in OTHERS)]
)
def test_every_exported_name_is_there_once(module: str) -> None:
    """And no other public module exports the same thing."""
    names = exported(module)
    assert len(set(names)) == len(names)
    for name in names:
        value = getattr(importlib.import_module(module), name)
        for other in CORE:
            if other != module and name in CORE[other].split():
                again = getattr(importlib.import_module(other), name)
                assert value is not again, f"{name} is in {other}, too"
