"""What drivers, services and volume types can do decides what is told."""

from __future__ import annotations

from typing import Any

import attrs
import pytest

from clonepolicy import (
    CINDER_29,
    CloneKind,
    Download,
    Host,
    Quota,
    Route,
    Upload,
    VolumeType,
    decide,
    explain,
    what_would_it_take,
)
from clonepolicy.scenarios import CLONEABLE, REGISTERABLE, with_facts
from clonepolicy.scenarios._requests import OTHER_ARRAY

SCENARIO = CLONEABLE[Route.IMAGE_VOLUME]
KIND = SCENARIO.volume.volume_type


@pytest.mark.parametrize("route", [Route.IMAGE_VOLUME, Route.CACHE_ENTRY])
@pytest.mark.parametrize(
    ("declared", "verdict"),
    [(True, "clone"), (False, "download"), (None, "download")],
)
def test_a_source_in_use_is_cloned_only_if_that_is_declared(
    route: Route, declared: object, verdict: str
) -> None:
    """Glance attaches an image volume to compute its hash."""
    values = {"source.status": "in-use", "backend.clone_in_use": declared}
    assert decide(with_facts(CLONEABLE[route], values)).verdict == verdict


def test_what_is_known_to_refuse_is_not_to_be_declared() -> None:
    """An operator may declare only what is not known."""
    values = {"source.status": "in-use", "backend.clone_in_use": False}
    for known, told in ((False, False), (None, True)):
        values["backend.clone_in_use"] = known
        text = explain(decide(with_facts(SCENARIO, values)))
        assert ("declare clone_in_use in extra_capabilities" in text) is told
        assert "detach the source" in text


@pytest.mark.parametrize("status", ["uploading", "in-use"])
def test_a_forced_upload_of_a_volume_in_use_needs_the_same(
    status: str,
) -> None:
    """It is attached while it is uploaded, too."""
    values = {
        "volume.status": status,
        "volume.previous_status": "in-use",
        "force": True,
        "config.enable_force_upload": True,
    }
    request = with_facts(REGISTERABLE, values)
    assert decide(request).verdict == "register"
    request = with_facts(request, {"backend.clone_in_use": None})
    decision = decide(request)
    assert isinstance(decision, Upload)
    assert [finding.reason for finding in decision.findings] == [
        "source-in-use"
    ]


def test_an_upload_is_not_cloned_by_a_driver_that_is_known_to_refuse() -> None:
    """The remedy is another driver, and no declaration."""
    for known, told in ((False, False), (None, True)):
        request = with_facts(
            REGISTERABLE, {"backend.clone_while_uploading": known}
        )
        (way,) = what_would_it_take(request)
        text = " ".join(str(remedy) for remedy in way.remedies)
        assert ("extra_capabilities" in text) is told


ONE_HOST = "the same backend_host, or put them in one cluster"


@pytest.mark.parametrize(
    ("source", "array_id", "told"),
    [
        ("ctrl1@rbd-1#rbd-1", None, True),
        ("ctrl1@rbd-2#rbd-1", None, False),
        ("ctrl1@rbd-1#rbd-1", OTHER_ARRAY, False),
    ],
)
def test_services_over_one_array_are_told_to_have_one_host(
    source: str, array_id: str | None, *, told: bool
) -> None:
    """If their backends have one name; else the hosts differ all the same."""
    values: dict[str, object] = {
        "volume.host": Host.parse("ctrl2@rbd-1#rbd-1"),
        "source.host": Host.parse(source),
    }
    if array_id is not None:
        values["candidate.backend.array_id"] = array_id
    decision = decide(with_facts(SCENARIO, values))
    assert isinstance(decision, Download)
    assert (ONE_HOST in explain(decision)) is told


def test_services_over_one_array_are_told_to_be_in_one_cluster() -> None:
    """If the new volume is in a cluster already."""
    values = {
        "volume.cluster_name": Host.parse("c2@b1#p1"),
        "source.host": Host.parse("ctrl1@b1#p1"),
    }
    text = explain(decide(with_facts(SCENARIO, values)))
    assert "put both services in one cluster: both are on one array" in text


def test_a_driver_that_looks_for_images_is_not_asked() -> None:
    """The array's schemes are not to blame, and Cinder does ask."""
    base = CLONEABLE[Route.ARRAY_IMAGE]
    values = {
        "backend.finds_images": True,
        "backend.image_schemes": frozenset[str](),
    }
    decision = decide(with_facts(base, values))
    text = explain(decision)
    assert "driver-finds-images" in text
    assert "it is not asked" in text
    assert "scheme" not in text.replace("allowed_direct_url_schemes", "")
    stock = explain(decide(with_facts(base, values), CINDER_29))
    assert "Cinder asks it first" in stock
    assert "not asked" not in stock


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({"id": "other", "name": "other"}, "clone"),
        ({"id": "other", "volume_backend_name": "b2"}, "clone"),
        ({"id": "other", "volume_backend_name": None}, "clone"),
        ({"id": "other", "max_vol_size": 5, "store_id": "s"}, "clone"),
        ({"id": "other", "qos_specs_id": "q"}, "download"),
        ({"id": "other", "extra_specs": frozenset({"a=b"})}, "download"),
        ({"id": "other", "extra_specs": None}, "download"),
        ({"extra_specs": None}, "clone"),
    ],
)
def test_another_type_is_clonable_if_it_promises_the_same(
    changes: dict[str, Any], verdict: str
) -> None:
    """Source and volume are in one pool of one array."""
    assert KIND is not None
    kind = attrs.evolve(KIND, **changes)
    request = with_facts(SCENARIO, {"source.volume_type": kind})
    assert decide(request).verdict == verdict


@pytest.mark.parametrize(
    ("kind", "verdict"),
    [
        (VolumeType(id="t", extra_specs=frozenset()), "clone"),
        (VolumeType(id="t"), "download"),
        (
            VolumeType(id="t", extra_specs=frozenset(), qos_specs_id="q"),
            "download",
        ),
        (None, "clone"),
    ],
)
def test_a_volume_without_a_type_is_promised_nothing(
    kind: VolumeType | None, verdict: str
) -> None:
    """Unknown extra specs may promise something."""
    values = {"source.volume_type": None, "volume.volume_type": kind}
    assert decide(with_facts(SCENARIO, values)).verdict == verdict


@pytest.mark.parametrize(
    "quota", [Quota(type_volumes=0), Quota(type_gigabytes=0)]
)
def test_the_quota_of_a_type_counts(quota: Quota) -> None:
    """For creates and for image volumes."""
    created = decide(with_facts(SCENARIO, {"quota": quota}))
    assert created.verdict == "refuse"
    assert "quota-exceeded" in [f.reason for f in created.findings]
    uploaded = decide(with_facts(REGISTERABLE, {"clone_quota": quota}))
    assert [f.reason for f in uploaded.findings] == ["clone-quota"]


def test_a_thin_copy_pins_nothing() -> None:
    """Unlike a copy-on-write clone."""
    reasons = {
        kind: {
            note.reason
            for note in decide(
                with_facts(REGISTERABLE, {"backend.clone_kind": kind})
            ).notes
        }
        for kind in (CloneKind.THIN_COPY, CloneKind.COPY_ON_WRITE)
    }
    assert "parent-pinned" not in reasons[CloneKind.THIN_COPY]
    assert "parent-pinned" in reasons[CloneKind.COPY_ON_WRITE]
