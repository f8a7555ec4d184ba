"""Laws about what a change of the request changes."""

from __future__ import annotations

import itertools
import pathlib
import sys
from collections.abc import Mapping
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(pathlib.Path(__file__).parent))


from clonepolicy import (
    SAFE,
    Candidate,
    CinderLocation,
    Clone,
    CreateRequest,
    GiB,
    ImageVolume,
    LocationsFrom,
    Reason,
    Register,
    Route,
    UploadRequest,
    decide,
    scenarios,
)
from clonepolicy.policy import CloneTable, Rule
from clonepolicy.scenarios import (
    AXES,
    CLONEABLE,
    NEW_ID,
    REGISTERABLE,
    SOURCE_ID,
    UPLOAD_AXES,
    candidate_of,
    with_facts,
)
from clonepolicy.testing import strategies as some


def value_in(scenario: CreateRequest, path: str) -> object:
    """Look a fact up by its path; None if this kind of source has none."""
    value: object = scenario
    if path.startswith(("source.", "candidate.")):
        value = candidate_of(scenario)
        path = path.removeprefix("candidate.")
    for name in path.split("."):
        value = getattr(value, name, None)
    return value


def all_of(request: CreateRequest) -> tuple[Candidate, ...]:
    """Give every candidate."""
    return (
        *request.array_images,
        *request.image_volumes,
        *request.cache_entries,
    )


class TestRepairable:
    """Changing what is listed opens the path; changing less does not."""

    @given(request=some.near_misses().filter(lambda r: len(all_of(r)) == 1))
    def test_changing_what_is_listed_opens_the_path(
        self, request: CreateRequest
    ) -> None:
        """With the facts of the listed rules corrected, it is cloned."""
        clone_table = next(
            x for x in SAFE.create.clone if x.candidates(request)
        )
        path, base = clone_table.route, CLONEABLE[clone_table.route]
        asked: dict[str, Rule[Any]] = {
            rule.name: rule
            for table in (
                SAFE.create.refuse,
                clone_table.preconditions,
                clone_table.source_rules,
            )
            for rule in table
        }
        for _ in range(8):
            decision = decide(request)
            if isinstance(decision, Clone):
                return
            listed = [f for f in decision.findings if path in f.blocks]
            facts = {p for f in listed for p in asked[f.rule].reads}
            values = {p: value_in(base, p) for p in facts & set(AXES)}
            if "candidate.missing" in values:
                values["source"] = value_in(base, "candidate.source")
            request = with_facts(request, values)
        pytest.fail(f"still closed: {[f.rule for f in listed]}")

    @pytest.mark.parametrize(
        "clone_table", SAFE.create.clone, ids=lambda x: x.route
    )
    @given(data=st.data())
    def test_changing_a_part_of_what_is_listed_is_not_enough(
        self,
        clone_table: CloneTable[Any],
        data: st.DataObject,
    ) -> None:
        """Each independent fault keeps the path closed by itself."""
        base = CLONEABLE[clone_table.route]
        faults = scenarios.independent_faults(
            base,
            (*clone_table.preconditions, *clone_table.source_rules),
            keeping=SAFE.create.refuse,
        )
        chosen = data.draw(
            st.lists(
                st.sampled_from(range(len(faults))),
                min_size=1,
                max_size=5,
                unique=True,
            )
        )
        for keep in range(len(chosen) + 1):
            for kept in itertools.combinations(chosen, keep):
                values: dict[str, Any] = {}
                for index in kept:
                    values.update(faults[index][1])
                decision = decide(with_facts(base, values))
                assert isinstance(decision, Clone) == (not kept)
                listed = {
                    f.rule
                    for f in decision.findings
                    if clone_table.route in f.blocks
                }
                assert {faults[index][0] for index in kept} == listed


GRANTS: tuple[tuple[str, Any], ...] = (
    ("config.allowed_direct_url_schemes", frozenset({"cinder", "file"})),
    ("config.verify_glance_signatures", "disabled"),
    ("config.image_volume_cache_enabled", True),
    ("config.image_conversion_disable", False),
    ("config.allow_compression_on_image_upload", True),
    ("backend.can_clone", True),
    ("backend.can_extend", True),
    ("backend.clone_across_pools", True),
    ("backend.clone_limit", None),
    ("backend.frozen", False),
    ("image.visible", True),
    ("image.downloadable", True),
    ("image.signed", False),
    ("image.virtual_size", None),
    ("image.min_disk", 0),
    ("volume.multiattach", False),
    ("volume.encryption_key_id", None),
    ("source.status", "available"),
    ("source.migration_status", None),
    ("source.encryption_key_id", None),
    ("source.clones", 0),
)


class TestMonotone:
    """A capability or permission more never turns a clone into a download."""

    @pytest.mark.parametrize(
        ("path", "value"), GRANTS, ids=[path for path, _ in GRANTS]
    )
    @given(request=some.near_misses())
    def test_a_grant_never_loses_a_clone(
        self, path: str, value: object, request: CreateRequest
    ) -> None:
        """A request that is cloned without it is cloned with it."""
        if isinstance(decide(request), Clone):
            assert isinstance(
                decide(with_facts(request, {path: value})), Clone
            )

    @given(request=some.near_misses(), more=some.image_volumes())
    def test_one_more_candidate_never_loses_a_clone(
        self,
        request: CreateRequest,
        more: Any,  # noqa: ANN401 - a candidate
    ) -> None:
        """A bad candidate cannot mask a good one."""
        if isinstance(decide(request), Clone):
            wider = attrs.evolve(
                request, image_volumes=(*request.image_volumes, more)
            )
            assert isinstance(decide(wider), Clone)

    @given(request=some.near_misses())
    def test_a_larger_request_never_loses_a_clone_for_its_size(
        self, request: CreateRequest
    ) -> None:
        """Where the array extends and quota and type allow it."""
        free = with_facts(
            request,
            {
                "backend.can_extend": True,
                "volume.volume_type": request.volume.volume_type
                and attrs.evolve(
                    request.volume.volume_type,
                    min_vol_size=None,
                    max_vol_size=None,
                ),
                "quota": type(request.quota)(),
            },
        )
        if isinstance(decide(free), Clone):
            larger = with_facts(free, {"volume.size": free.volume.size + 1})
            assert isinstance(decide(larger), Clone)


def create_from(upload: Register) -> CreateRequest:
    """Ask for a volume of the image that an upload registered.

    The image's owner asks, on the same backend, with the same configuration,
    for a size and a type that Cinder's API accepts.
    """
    request = upload.request
    assert isinstance(request, UploadRequest)
    image, volume = request.image, request.volume
    assert image.owner is not None
    clone = attrs.evolve(
        volume,
        id=SOURCE_ID,
        project_id=upload.project_id,
        status="available",
        previous_status=None,
        migration_status=None,
        clones=0,
        image_owner=image.owner,
        glance_image_id=image.id,
    )
    kind = volume.volume_type
    new = attrs.evolve(
        volume,
        id=NEW_ID,
        project_id=image.owner,
        status="creating",
        size=max(volume.size, image.min_disk),
        volume_type=kind
        and attrs.evolve(kind, min_vol_size=None, max_vol_size=None),
    )
    return attrs.evolve(
        CLONEABLE[Route.IMAGE_VOLUME],
        image=attrs.evolve(
            image,
            status="active",
            size=image.size or volume.size * GiB,
            visible=True,
            downloadable=True,
            locations_from=LocationsFrom.LOCATIONS_API,
        ),
        volume=new,
        backend=request.backend,
        config=request.config,
        glance=request.glance,
        image_volumes=(
            ImageVolume(
                location=CinderLocation(SOURCE_ID, upload.store),
                source=clone,
                backend=request.backend,
            ),
        ),
    )


def of_volume(path: str) -> bool:
    """Return whether a fact of a create is one of the uploaded volume."""
    return path.startswith("source.") and path not in {
        "source.id",
        "source.glance_image_id",
    }


FACTS: Mapping[str, tuple[Any, ...]] = {
    **{
        path.replace("source.", "volume."): pool
        for path, pool in AXES.items()
        if path.startswith(("image.", "backend.", "config.", "glance."))
        or of_volume(path)
    },
    **UPLOAD_AXES,
}
"""Values for every fact of an upload, whether a rule reads it or not."""


@st.composite
def nearly_registered(draw: st.DrawFn) -> UploadRequest:
    """Requests that are a few facts away from a registration."""
    paths = draw(st.lists(st.sampled_from(sorted(FACTS)), max_size=6))
    values = {path: draw(st.sampled_from(FACTS[path])) for path in paths}
    return with_facts(REGISTERABLE, values)


class TestRoundTrip:
    """What an upload registers, a create can clone."""

    @settings(max_examples=5 * settings().max_examples)
    @given(request=nearly_registered() | some.upload_requests())
    def test_a_registered_image_is_cloned_by_the_next_create(
        self, request: UploadRequest
    ) -> None:
        """Under SAFE, on the same backend, unless a note warned of it.

        Cinder has no volume of less than 1 GiB.
        """
        upload = decide(request)
        if not isinstance(upload, Register) or not request.volume.size:
            return
        create = create_from(upload)
        closed = {n.reason for n in upload.notes} & {Reason.SCHEME_NOT_ALLOWED}
        assert isinstance(decide(create), Clone) == (not closed)
