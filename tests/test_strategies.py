"""The strategies draw the records they promise; `from_type` finds them."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import clonepolicy
from clonepolicy import CreateRequest, Image, UploadRequest, Volume
from clonepolicy.testing import _hypothesis
from clonepolicy.testing import strategies as some

RECORDS = (
    clonepolicy.ArrayImage,
    clonepolicy.Backend,
    clonepolicy.CacheEntry,
    clonepolicy.Config,
    clonepolicy.CreateRequest,
    clonepolicy.GlanceConfig,
    clonepolicy.Host,
    clonepolicy.Image,
    clonepolicy.ImageVolume,
    clonepolicy.Quota,
    clonepolicy.StoredImage,
    clonepolicy.UploadRequest,
    clonepolicy.Volume,
    clonepolicy.VolumeType,
)


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
@settings(max_examples=5)
@given(data=st.data())
def test_from_type_draws_every_record(kind: type, data: st.DataObject) -> None:
    """After the registration, the type alone is enough."""
    _hypothesis.register()
    assert isinstance(data.draw(st.from_type(kind)), kind)


def test_the_entry_point_is_the_registration() -> None:
    """Hypothesis loads it when the package is installed."""
    try:
        points = distribution("clonepolicy").entry_points
    except PackageNotFoundError:
        pytest.skip("the package clonepolicy is not installed")
    (point,) = points.select(group="hypothesis", name="clonepolicy")
    assert _hypothesis.register is point.load()


@given(
    image=some.images(owner=st.just("alice"), size=st.none()),
    volume=some.volumes(size=st.just(7)),
)
def test_any_field_may_be_given(image: Image, volume: Volume) -> None:
    """The rest is drawn as usual."""
    assert ("alice", None) == (image.owner, image.size)
    assert 7 == volume.size


@settings(max_examples=20)
@given(
    create=some.create_requests(image_volumes=st.just(())),
    upload=some.upload_requests(force=st.just(True)),  # noqa: FBT003 - drawn
)
def test_any_part_of_a_request_may_be_given(
    create: CreateRequest, upload: UploadRequest
) -> None:
    """The rest is drawn as usual."""
    assert () == create.image_volumes
    assert upload.force
