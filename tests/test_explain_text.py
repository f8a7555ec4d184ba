"""The texts of `explain` and `explain_to_tenant`, from the first line on."""

from __future__ import annotations

import attrs
import pytest

from clonepolicy import (
    CINDER_29,
    LIBERTY,
    SAFE,
    CinderLocation,
    CreateRequest,
    Finding,
    GlanceStore,
    Reason,
    Route,
    UploadRequest,
    VolumeType,
    decide,
    explain,
    explain_to_tenant,
    tenant_findings,
    what_would_it_take,
)
from clonepolicy.scenarios import (
    CLONEABLE,
    IMAGE_ID,
    NEW_ID,
    OTHER_ID,
    REGISTERABLE,
    SOURCE_ID,
    with_facts,
)

SCENARIO = CLONEABLE[Route.IMAGE_VOLUME]
CREATE = f"volume {NEW_ID} from image {IMAGE_ID}"
UPLOAD = f"image {IMAGE_ID} from volume {SOURCE_ID}"


def lines_of(finding: Finding, values: str) -> str:
    """Write the lines about a finding."""
    head = f"  - {finding.reason}: {finding.meaning}\n    ({values})"
    return "\n".join([head, *(f"    {each}" for each in finding.remedies)])


def with_a_worse_source(values: dict[str, object]) -> CreateRequest:
    """Add a source in error before the good one, and change some facts."""
    worse = with_facts(
        SCENARIO,
        {
            "source.id": OTHER_ID,
            "source.status": "error",
            "source.encryption_key_id": "key",
            "candidate.location": CinderLocation(OTHER_ID),
        },
    )
    changed = with_facts(SCENARIO, values)
    return attrs.evolve(
        changed, image_volumes=worse.image_volumes + changed.image_volumes
    )


def test_a_create_is_explained_to_the_operator_line_by_line() -> None:
    """Verdict, request, each candidate, notes and plan, in this order."""
    waits = "source.status=error, source.migration_status=not set"
    size = "source.size=1 GiB, volume.size=2 GiB"
    trusted = (
        "source.project_id=alice, config.trusted_projects=store, "
        "config.cinder_internal_tenant_project_id=internal"
    )
    cache = (
        "cache_entries=none, cache_missing=not set, "
        "config.image_volume_cache_max_size_gb=0 GiB, cache_quota=not set, "
        "image.size=1073741824 bytes, "
        "image.virtual_size=not set, image.disk_format=raw, "
        "image.container_format=bare"
    )
    decision = decide(with_a_worse_source({"volume.size": 2}))
    found = {f.reason: f for f in (*decision.findings, *decision.notes)}

    def lines(reason: Reason, values: str) -> str:
        return lines_of(found[reason], values)

    expected = f"""\
clone volume {NEW_ID} from cinder://{SOURCE_ID}, extended to 2 GiB (policy \
{SAFE})
the request:
{lines(Reason.CACHE_MISS, cache)}
    closes: cache-entry
  not used here: array-image (no-array-image)
image-volume cinder://{SOURCE_ID}: acceptable
image-volume cinder://{OTHER_ID}: refused
{lines(Reason.SOURCE_STATUS, waits)}
{lines(Reason.SOURCE_ENCRYPTED, "source.encryption_key_id=key")}
notes:
{lines(Reason.PARENT_PINNED, "backend.clone_kind=copy-on-write")}
{lines(Reason.EXTEND_REQUIRED, size)}
{lines(Reason.TENANT_MUTABLE, trusted)}
plan:
  1. clone cinder://{SOURCE_ID}: CloneVolume, ExtendVolume, PublishVolume
  2. download: DownloadImage, PublishVolume
  else FailVolume"""
    assert expected == explain(decision)


def test_a_finding_against_several_paths_lists_them() -> None:
    """In the order in which they are preferred; values by their names."""
    scenario = with_facts(SCENARIO, {"image.status": "queued"})
    everything = "array-image, image-volume, cache-entry, download"
    assert f"    closes: {everything}\n" in explain(decide(scenario))


def test_an_upload_is_explained_to_the_operator_line_by_line() -> None:
    """Without notes where the volume is not registered."""
    scenario = with_facts(REGISTERABLE, {"backend.can_clone": None})
    decision = decide(scenario)
    (cannot,) = decision.findings
    expected = f"""\
upload volume {SOURCE_ID} to image {IMAGE_ID} (policy {SAFE})
the request:
{lines_of(cannot, "backend.can_clone=not set")}
    closes: register
plan:
  1. upload: UploadImage
  else DiscardImage, RestoreVolume"""
    assert expected == explain(decision)


def test_a_volume_type_is_shown_with_its_size_limits() -> None:
    """The reader learns which size the type allows."""
    big = VolumeType(id="big", min_vol_size=5, max_vol_size=9)
    text = explain(decide(with_facts(SCENARIO, {"volume.volume_type": big})))
    assert "volume.volume_type=big (at least 5 GiB, at most 9 GiB)" in text


def test_a_volume_type_is_shown_with_what_it_promises() -> None:
    """Types that differ in nothing else have their names only."""
    fast = VolumeType(
        id="fast",
        extra_specs=frozenset({"replication_enabled=<is> True"}),
        qos_specs_id="q1",
    )
    text = explain(decide(with_facts(SCENARIO, {"volume.volume_type": fast})))
    shown = (
        "source.volume_type=plain, "
        "volume.volume_type=fast (replication_enabled=<is> True, QoS specs q1)"
    )
    assert shown in text
    assert "the extra specs of the two volume types differ, or are not" in text
    assert "the QoS specs of the two volume types differ" in text


@pytest.mark.parametrize(
    ("request_", "head", "reasons"),
    [
        (
            with_facts(SCENARIO, {"image.container_format": "compressed"}),
            f"Can make {CREATE} only by copy, if at all.",
            [Reason.CONTAINER_NOT_BARE],
        ),
        (
            with_facts(SCENARIO, {"conversion_free": 0}),
            f"Can make {CREATE} by clone or by copy, if at all.",
            [],
        ),
        (
            with_facts(SCENARIO, {"image.container_format": "ovf"}),
            f"Can make {CREATE} only by copy, if at all.",
            [Reason.CONTAINER_NOT_BARE],
        ),
        (
            with_facts(
                SCENARIO, {"image.status": "queued", "conversion_free": 0}
            ),
            f"Cannot make {CREATE}.",
            [Reason.IMAGE_NOT_ACTIVE],
        ),
        (
            with_facts(SCENARIO, {"backend.can_clone": None}),
            f"Can make {CREATE} by clone or by copy, if at all.",
            [],
        ),
        (
            REGISTERABLE,
            f"Can make {UPLOAD} by clone or by copy, if at all.",
            [],
        ),
        (
            with_facts(REGISTERABLE, {"image.container_format": "ovf"}),
            f"Can make {UPLOAD} only by copy, if at all.",
            [Reason.CONTAINER_NOT_BARE],
        ),
        (
            with_facts(REGISTERABLE, {"image.status": "active"}),
            f"Cannot make {UPLOAD}.",
            [Reason.IMAGE_NOT_QUEUED],
        ),
    ],
)
def test_a_tenant_reads_what_closes_a_path_and_no_more(
    request_: CreateRequest | UploadRequest, head: str, reasons: list[Reason]
) -> None:
    """The first line says what remains possible; then why."""
    decision = decide(request_)
    text = explain_to_tenant(decision).splitlines()
    assert head == text[0]
    assert reasons == [f.reason for f in tenant_findings(decision)]
    assert len(reasons) == len(text) - 1


def test_a_tenant_reads_that_the_image_may_not_be_downloaded() -> None:
    """Cinder 29 may still clone it."""
    request = with_facts(SCENARIO, {"image.downloadable": False})
    text = explain_to_tenant(decide(request, CINDER_29)).splitlines()
    assert f"Can make {CREATE} only by clone, if at all." == text[0]
    assert "[download-forbidden]." in text[1]


@pytest.mark.parametrize(
    "values",
    [
        {"image.status": "deactivated"},
        {"image.size": 2**50, "image.min_disk": 40},
        {"image.virtual_size": 2**50},
        {"image.owner": None, "image.disk_format": "qcow2"},
        {"image.encryption_key_id": "key", "image.signed": True},
        {"volume.size": 0, "volume.volume_type": None},
    ],
    ids=list,
)
def test_of_an_invisible_image_a_tenant_reads_only_that(
    values: dict[str, object],
) -> None:
    """Whatever is the case."""
    unseen = {"image.visible": False, "image.downloadable": False}
    decision = decide(with_facts(SCENARIO, {**unseen, **values}))
    reason = Reason.IMAGE_NOT_VISIBLE
    assert (
        f"Cannot make {CREATE}.\n- {reason.meaning} [{reason}]. "
        "Remedy: share the image with the requester's project."
    ) == explain_to_tenant(decision)
    assert [reason] == [f.reason for f in tenant_findings(decision)]
    text = explain_to_tenant(decide(decision.request, LIBERTY))
    assert f"Can make {CREATE} by clone or by copy." == text


@pytest.mark.parametrize(
    "values",
    [
        {"glance.service_roles": frozenset()},
        {"glance.has_location_api": False},
        {"glance.stores": (GlanceStore(id="s", cinder_volume_type="x"),)},
        {"config.image_upload_use_cinder_backend": False},
        {"config.image_conversion_disable": True},
        {"config.image_upload_use_internal_tenant": False},
    ],
    ids=list,
)
def test_an_uploader_reads_nothing_of_the_cloud(
    values: dict[str, object],
) -> None:
    """No roles, no options, no stores, and no projects."""
    decision = decide(with_facts(REGISTERABLE, values))
    expected = f"Can make {UPLOAD} by clone or by copy, if at all."
    assert expected == explain_to_tenant(decision)
    assert () == tenant_findings(decision)


def test_a_tenants_finding_shows_a_volume_type_by_its_id() -> None:
    """Its extra specs name backends and stores."""
    kind = VolumeType(id="gold", volume_backend_name="b1", max_vol_size=1)
    values = {"volume.size": 2, "volume.volume_type": kind}
    (finding,) = tenant_findings(decide(with_facts(SCENARIO, values)))
    expected = (("volume.size", 2), ("volume.volume_type", "gold"))
    assert expected == finding.values


def test_a_tenant_is_promised_nothing_that_others_facts_may_refuse() -> None:
    """Cinder 29 refuses an upload for the internal tenant's quota."""
    decision = decide(REGISTERABLE, CINDER_29)
    expected = f"Can make {UPLOAD} by clone or by copy, if at all."
    assert expected == explain_to_tenant(decision)


@pytest.mark.parametrize("table", ["refuse", "download"])
def test_a_tenant_is_promised_nothing_that_the_array_may_refuse(
    table: str,
) -> None:
    """Also where a policy of one's own asks the array for the download."""
    thawed = next(
        rule
        for rule in SAFE.create.clone[0].preconditions
        if rule.reason is Reason.BACKEND_FROZEN
    )
    tables = {table: (*getattr(SAFE.create, table), thawed)}
    mine = attrs.evolve(SAFE, create=attrs.evolve(SAFE.create, **tables))
    for frozen in (False, True):
        decision = decide(
            with_facts(SCENARIO, {"backend.frozen": frozen}), mine
        )
        expected = f"Can make {CREATE} by clone or by copy, if at all."
        assert expected == explain_to_tenant(decision)


def test_each_way_takes_the_source_with_the_fewest_changes() -> None:
    """Only what closes that path is listed, the shortest way first."""
    request = with_a_worse_source(
        {
            "source.status": "backing-up",
            "config.image_volume_cache_enabled": False,
        }
    )
    ways = [
        (way.route, way.candidate, [change.reason for change in way.remedies])
        for way in what_would_it_take(request)
    ]
    assert [
        (
            Route.IMAGE_VOLUME,
            f"cinder://{SOURCE_ID}",
            [Reason.SOURCE_STATUS],
        ),
        (Route.ARRAY_IMAGE, None, [Reason.NO_ARRAY_IMAGE]),
        (Route.CACHE_ENTRY, None, [Reason.CACHE_DISABLED, Reason.CACHE_MISS]),
    ] == ways


def test_a_longer_way_comes_later_whatever_the_mechanism() -> None:
    """Also where the policy prefers its route."""
    array = with_facts(
        CLONEABLE[Route.ARRAY_IMAGE],
        {"source.status": "error", "source.encryption_key_id": "key"},
    )
    entry = with_facts(
        CLONEABLE[Route.CACHE_ENTRY],
        {"source.encryption_key_id": "key"},
    )
    request = attrs.evolve(array, cache_entries=entry.cache_entries)
    expected = [
        (Route.CACHE_ENTRY, 1),
        (Route.IMAGE_VOLUME, 1),
        (Route.ARRAY_IMAGE, 2),
    ]
    ways = what_would_it_take(request)
    assert Route.ARRAY_IMAGE is ways[-1].route
    assert sorted(expected) == sorted(
        (way.route, len(way.remedies)) for way in ways
    )


def test_what_closes_only_the_upload_is_no_change_for_registering() -> None:
    """Cinder 29 needs no conversion to register a volume."""
    scenario = with_facts(
        REGISTERABLE,
        {
            "image.disk_format": "qcow2",
            "config.image_conversion_disable": True,
        },
    )
    (way,) = what_would_it_take(scenario, CINDER_29)
    assert [Reason.DISK_FORMAT_NOT_RAW] == [c.reason for c in way.remedies]
