"""What the drop-in asks more than Cinder's own manager, on a real cloud."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import attrs
import pytest

pytest.importorskip("cinder", reason="run by nox -s openstack")
pytest.importorskip("glance", reason="run by nox -s openstack")

from costs import DROP_IN, STOCK, Cost, Sides, running_sides
from stack_processes import missing_requirements

pytestmark = pytest.mark.deep


@attrs.frozen
class Pair:
    """The same work by both."""

    stock: Cost
    drop_in: Cost

    def more(self) -> Counter[str]:
        """Return how many requests more the drop-in sends, by kind."""
        found = self.drop_in.count()
        found.subtract(self.stock.count())
        return found

    def __str__(self) -> str:
        """List what each of the two asked."""
        return (
            f"stock:\n{self.stock.listed()}\ndrop-in:\n{self.drop_in.listed()}"
        )


@pytest.fixture(scope="module")
def sides(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sides]:
    """Start the cloud; what is kept between requests is filled."""
    if lacks := missing_requirements():
        pytest.skip("the stack needs " + ", ".join(lacks))
    with running_sides(tmp_path_factory.mktemp("sides")) as running:
        for side in (STOCK, DROP_IN):
            running.create(side)
            running.upload(side)
        yield running


def test_a_create_by_clone(sides: Sides) -> None:
    """Glance, keystone and the array are not asked more often."""
    pair = Pair(sides.create(STOCK), sides.create(DROP_IN))
    more = pair.more()
    for kind in ("glance", "keystone", "array", "scheduler"):
        assert more[kind] <= 0, str(pair)
    assert more["database"] <= 4, str(pair)
    assert more["transactions"] <= 2, str(pair)


def test_a_registration(sides: Sides) -> None:
    """Glance is asked more often only while it makes the image active."""
    pair = Pair(sides.upload(STOCK), sides.upload(DROP_IN))
    more = pair.more()
    looks = sum(what.endswith("/tasks") for _, what, _ in pair.drop_in.asked)
    assert more["glance"] - 2 * looks <= 0, str(pair)
    for kind in ("keystone", "array", "scheduler"):
        assert more[kind] <= 0, str(pair)
    assert more["database"] <= 11, str(pair)
    assert more["transactions"] <= 3, str(pair)
