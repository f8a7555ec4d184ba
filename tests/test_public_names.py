"""The public names are these, and each has one path."""

from __future__ import annotations

import importlib
from collections.abc import Mapping

import pytest

MOST = 70
"""The most names that ``clonepolicy`` itself may have."""

CORE: Mapping[str, str] = {
    "clonepolicy": """
        CINDER_27 CINDER_29 LIBERTY POLICIES SAFE AdapterError ArrayImage
        Backend CacheEntry Candidate CandidateResult CinderLocation Clone
        CloneKind CloneLimitError ClonePolicyError Config ConflictError
        CreateDecision CreateRequest Decision Download FactError Failure
        FileLocation Finding ForbiddenError GiB GlanceConfig GlanceStore Host
        Image ImageVolume IntegrityError LeftBehindError Location LocationsFrom
        MalformedLocation NotFoundError Operation OtherLocation Outcome Quota
        QuotaError RbdLocation Reason Refuse Register Remedy Request Route
        StaleError UnavailableError Unblock UnsupportedError Upload
        UploadDecision UploadRequest Volume VolumeType decide execute explain
        explain_to_tenant gather_create gather_upload parse_location recover
        tenant_findings what_would_it_take
    """,
    "clonepolicy.policy": """
        CANDIDATE_FIELDS Citation CloneTable Cost CreateRule CreateTables
        Cure Order Policy Responsible Rule SourceRule Subject UploadRule
        UploadTables Values advisory always changed cinder glance
        last_used_first nearest_first newest_first rule spec
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
        ImageService Inspection InstalledArray Journal JournalEntry Missing
        Observer Phase Ports
        StoredImage StoredVolume VolumeService check_array_kind check_source
        check_volume_id installed_arrays load_array volume_changed
        why_missing why_unread
    """,
    "clonepolicy.scenarios": """
        ALICE ARRAY AXES BOB CLONEABLE HERE IMAGE_ID INTERNAL NEW_ID NOW
        OTHER_ARRAY OTHER_ID PLAIN REGISTERABLE SOURCE_ID STORE THEN
        UPLOAD_AXES Combinations DOWNLOADED Difference Table candidate_of
        combinations differences holds independent_faults one_fault
        scenarios_of variants with_facts
    """,
    "clonepolicy.wire": """
        dumps finding_to_dict from_dict loads loads_decision parse
        reason_to_dict remedy_to_dict to_dict
    """,
    "clonepolicy.schema": "schema",
    "clonepolicy.unknowns": "Answer Judgement Unknown judge",
}
"""What is public for Cinder's code, for builders of policies, and for
authors of adapters."""

OTHERS: Mapping[str, str] = {
    "clonepolicy.adapters.cinder": """
        CinderArray CinderImages CinderVolumes IncompatibleCinderError Mode
        Notes PolicyDriverMixin PolicyVolumeManager Settings
        backend_from_driver config_from image_from_meta
        list_opts locations_from_tuple register_messages register_opts
        settings_from volume_from_model volume_from_object
    """,
    "clonepolicy.adapters.conf": """
        Assignment CINDER CinderConf GLANCE GlanceConf Kind Option RELEASES
        Value config_from_file files_of glance_config_from_file
    """,
    "clonepolicy.adapters.glance": "GlanceImages Patience",
    "clonepolicy.adapters.lint": """
        CHECKS Check CloudView Estate Finding Level Need NotChecked Report
        Spot run
    """,
    "clonepolicy.adapters.lint.running": "RunningCloud",
    "clonepolicy.adapters.local": """
        Created ImageRow LocalCloud Pool Problem Uploaded VolumeRow
    """,
    "clonepolicy.adapters.memory": """
        ARRAY BLOCK_SIZE Block BlockMap CONFIG EVERYTHING GLANCE INTERNAL
        ImageRow MEMORY_GIB MemoryArray MemoryCloud MemoryImages
        MemoryJournal MemoryVolumes POOL Registration VolumeRow leftovers
        named_ids
    """,
    "clonepolicy.adapters.openstack": """
        Assumed BackendFile Case Cloud CloudFacts Gatherer Taken
    """,
    "clonepolicy.adapters.qcow2": "Qcow2Array",
    "clonepolicy.adapters.rbd": "RbdArray",
    "clonepolicy.adapters.records": """
        Pool has_location_api hidden_columns image_from_v2 locations_from_v2
        pool_from_api quota_from_api shows_extra_specs stores_from_v2
        volume_from_api volume_from_row volume_type_from_api
    """,
    "clonepolicy.adapters.reflink": "ReflinkArray",
    "clonepolicy.cli": "main",
    "clonepolicy.testing.array_machine": "ArrayMachine",
    "clonepolicy.testing.conformance": """
        ARRAYS ArrayHarness Check CheckFailedError ConformanceTestCase
        Fixture HarnessError IMAGES ImageHarness Level LocationHarness Need
        Report Result Status Suite VOLUMES VolumeHarness expect_error fail
        load_harness require require_equal require_same run run_check
    """,
    "clonepolicy.testing.faults": "Call Fault Faulty Kill",
    "clonepolicy.testing.machine": "Cloud CloudJournal ExecutorMachine",
    "clonepolicy.testing.memory": "memory_harness",
    "clonepolicy.testing.strategies": """
        array_images backends cache_entries configs create_requests
        glance_configs hosts image_ids image_volumes images locations
        moments near_misses project_ids quotas stored_images
        upload_near_misses upload_requests volume_ids volume_types volumes
    """,
}
"""The other public modules, which need extras."""

MODULES = {**CORE, **OTHERS}


def exported(module: str) -> list[str]:
    """Return the names that a module exports."""
    if module.endswith((".conf", ".lint")):
        pytest.importorskip("oslo_config", reason="install clonepolicy[lint]")
    if module.endswith(".running"):
        pytest.importorskip("openstack", reason="install clonepolicy[cloud]")
    for needed in ("cinder", "glanceclient", "openstack"):
        if module.rpartition(".")[2] == needed.removesuffix("client"):
            pytest.importorskip(needed, reason="run nox -s openstack")
    names: list[str] = importlib.import_module(module).__all__
    return names


@pytest.mark.parametrize("module", MODULES)
def test_a_module_exports_the_names_listed_here(module: str) -> None:
    """A new name is listed on purpose, and none is lost by accident."""
    assert sorted(MODULES[module].split()) == sorted(exported(module))


def test_the_package_itself_has_few_names() -> None:
    """What only builders and authors need is in a module of its own."""
    assert MOST >= len(exported("clonepolicy"))


@pytest.mark.parametrize("module", MODULES)
def test_an_exported_name_has_one_path(module: str) -> None:
    """No other public module exports the same thing."""
    names = set(exported(module))
    for other, theirs in MODULES.items():
        for name in names & set(theirs.split()) if other != module else ():
            value = getattr(importlib.import_module(module), name)
            again = getattr(importlib.import_module(other), name)
            assert value is not again, f"{name} is in {other}, too"
