"""Policies read locations and choose sources as the reference does."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import attrs
import pytest

sys.path.insert(0, str(Path(__file__).parent))

import reference
from agreement import agree, every_policy, with_every_source
from clonepolicy import (
    POLICIES,
    CreateRequest,
    Host,
    ImageVolume,
    Route,
    Volume,
    parse_location,
)
from clonepolicy.policy import Policy
from clonepolicy.scenarios import (
    ALICE,
    BOB,
    CLONEABLE,
    IMAGE_ID,
    INTERNAL,
    NEW_ID,
    NOW,
    OTHER_ID,
    SOURCE_ID,
)

# -- locations --------------------------------------------------------------

CANONICAL = (f"cinder://{SOURCE_ID}", f"cinder://store/{SOURCE_ID}")
LENIENT = (
    f"cinder://a/b/c/{SOURCE_ID}",
    f"cinder:///{SOURCE_ID}",
    f"CINDER://{SOURCE_ID}",
    f"cinder:{SOURCE_ID}",
    f" cinder://{SOURCE_ID}",
    f"cinder://{SOURCE_ID}?x#y",
    f"cinder://store/{SOURCE_ID}?x",
    f"cinder://{SOURCE_ID}\n",
)
UNUSABLE = (
    f"cinder://store/{SOURCE_ID}/",
    f"cinder://store/{SOURCE_ID}/extra",
    f"cinder://{SOURCE_ID.replace('-', '')}",
    f"cinder://{{{SOURCE_ID}}}",
    f"cinder://urn:uuid:{SOURCE_ID}",
    f"cinder://user@{SOURCE_ID}",
    f"cinder://{SOURCE_ID}:80",
    f"cinder://sto re/{SOURCE_ID[:-1]}",
    "cinder://[broken",
    "cinder://",
    "cinder:",
    "",
    "nonsense",
    "http://example.org/image",
    f"https://example.org/{SOURCE_ID}",
    "swift+https://account/container/object",
    f"rbd://array-1/images/{SOURCE_ID}",
    f"rbd://array-1/images/{SOURCE_ID}/snap/more",
    f"rbd://array-1//{SOURCE_ID}/snap",
    f"rbd:array-1/images/{SOURCE_ID}/snap",
    f"rbd://array-1/images/{SOURCE_ID}/sn ap",
    f"RBD://array-1/images/{SOURCE_ID}/snap",
    f"rbd://array-1/ima%67es/{SOURCE_ID}/snap",
    f"rbd://array-1/im%2Fages/{IMAGE_ID}/snap",
    f"rbd://array-1/images/{IMAGE_ID}/snap",
    f"file:///images/{IMAGE_ID}",
    f"file://images/{IMAGE_ID}",
    f"file:///images//{IMAGE_ID}",
    f"file:///images/{IMAGE_ID}?x",
    f"file:///images/./{IMAGE_ID}",
    "file:///images/",
    "file:///",
)


@every_policy
@pytest.mark.parametrize("url", [*CANONICAL, *LENIENT, *UNUSABLE])
def test_every_url_is_read_as_in_the_reference(
    url: str, policy: Policy
) -> None:
    """As the location of an image on an array, and of an image volume."""
    location = {"candidate.location": parse_location(url)}
    agree(with_every_source(location), policy)
    agree(with_every_source({"array_images": (), **location}), policy)


@pytest.mark.parametrize(
    ("url", "readers"),
    [
        *((url, set(POLICIES)) for url in CANONICAL),
        *((url, {*POLICIES} - {"SAFE", "LIBERTY"}) for url in LENIENT),
        *((url, set[str]()) for url in UNUSABLE),
    ],
)
def test_the_reference_reads_urls_as_documented(
    url: str, readers: set[str]
) -> None:
    """Cinder takes more forms of a cinder URL than are written."""
    request = with_every_source({"candidate.location": parse_location(url)})
    accepting = set()
    for name in POLICIES:
        (found,) = reference.create(request, name)[4]["image-volume"]
        if "location-malformed" not in found:
            accepting.add(name)
    assert readers == accepting


# -- ownership --------------------------------------------------------------


@pytest.mark.parametrize(
    ("accepts", "refuses", "cases"),
    [
        ("CINDER_29", "LIBERTY", 22),
        ("CINDER_29", "SAFE", 18),
        ("SAFE", "CINDER_29", 4),
        ("SAFE", "LIBERTY", 4),
    ],
)
def test_the_policies_disagree_about_owners_as_documented(
    accepts: str, refuses: str, cases: int
) -> None:
    """Of 54 cases of ownership, one accepts so many that another refuses."""

    def owned(request: CreateRequest, name: str) -> bool:
        *_, reasons, against = reference.create(request, name)
        (found,) = against["image-volume"]
        return (
            "owner-mismatch" not in found
            and "image-owner-unknown" not in reasons
        )

    requests = [
        with_every_source(
            {
                "image.owner": owner,
                "volume.project_id": new,
                "source.project_id": project,
                "source.image_owner": recorded,
            }
        )
        for owner, new, project, recorded in itertools.product(
            (ALICE, BOB, None),
            (ALICE, BOB),
            (ALICE, BOB, INTERNAL),
            (ALICE, BOB, None),
        )
    ]
    only_one_accepts = [
        request
        for request in requests
        if owned(request, accepts) and not owned(request, refuses)
    ]
    assert (54, cases) == (len(requests), len(only_one_accepts))


# -- the choice among candidates --------------------------------------------

_BASE = CLONEABLE[Route.IMAGE_VOLUME]
_SOURCE = _BASE.image_volumes[0].source
assert _SOURCE is not None
_CHOICES: tuple[tuple[str, Volume | None], ...] = (
    (f"cinder://{SOURCE_ID}", _SOURCE),
    (f"cinder://store/{SOURCE_ID}", _SOURCE),
    (f"cinder:///{SOURCE_ID}", _SOURCE),
    (
        f"cinder://{OTHER_ID}",
        attrs.evolve(_SOURCE, id=OTHER_ID, created_at=NOW),
    ),
    (
        f"cinder://{NEW_ID[:-1]}9",
        attrs.evolve(
            _SOURCE, id=f"{NEW_ID[:-1]}9", host=Host.parse("h1@b1#p2")
        ),
    ),
    (
        f"cinder://{IMAGE_ID}",
        attrs.evolve(_SOURCE, id=IMAGE_ID, host=Host.parse("h2@b1#p1")),
    ),
    (
        f"cinder://{NEW_ID[:-1]}9",
        attrs.evolve(
            _SOURCE, id=f"{NEW_ID[:-1]}9", host=None, created_at=None
        ),
    ),
    (f"cinder://{OTHER_ID}", attrs.evolve(_SOURCE, id=OTHER_ID, size=3)),
    (f"cinder://{OTHER_ID}", None),
)


@every_policy
@pytest.mark.parametrize("across", [False, True])
@pytest.mark.parametrize("cluster", [None, "c1@b1#p1"])
def test_every_choice_is_made_as_in_the_reference(
    policy: Policy, cluster: str | None, *, across: bool
) -> None:
    """Of up to three candidates in any order both choose the same one."""
    base = attrs.evolve(
        _BASE,
        volume=attrs.evolve(
            _BASE.volume,
            size=2,
            cluster_name=None if cluster is None else Host.parse(cluster),
        ),
        backend=attrs.evolve(_BASE.backend, clone_across_pools=across),
    )
    offered = [
        ImageVolume(
            location=parse_location(url),
            source=source
            and attrs.evolve(
                source,
                cluster_name=source.host
                and Host.parse(str(source.host).replace("h", "c")),
            ),
            backend=_BASE.backend,
        )
        for url, source in _CHOICES
    ]
    for size in range(4):
        for chosen in itertools.product(offered, repeat=size):
            agree(attrs.evolve(base, image_volumes=chosen), policy)
