"""No output shows user, key or query of a URL."""

from __future__ import annotations

import json
import traceback
from collections.abc import Iterator

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clonepolicy import (
    POLICIES,
    ArrayImage,
    CreateRequest,
    FactError,
    ImageVolume,
    NotFoundError,
    Route,
    decide,
    explain,
    explain_to_tenant,
    parse_location,
    tenant_findings,
    what_would_it_take,
    wire,
)
from clonepolicy._facts.locations import concerns_volumes
from clonepolicy._text import log_fields, masked, masked_url, shown
from clonepolicy.adapters.records import image_from_v2, locations_from_v2
from clonepolicy.policy import Policy
from clonepolicy.scenarios import CLONEABLE
from clonepolicy.testing.conformance import ARRAYS, Result, Status

HIDDEN = "s3cr3t"
SCHEMES = (
    *("swift+https://", "s3://", "https://", "HTTP://", "vsphere://"),
    *("rbd://", "file://", "cinder://", "cinder:", "swift:", "s3+http:"),
    *(" \x00https://", "//"),
)
ODD = st.text(
    st.sampled_from("@:/?#%&=+[]'\"\\ \n\x1b\u202e\U0001f600x")
    | st.characters(codec="utf-8"),
    max_size=6,
)
"""What stands around a secret."""


@st.composite
def urls(draw: st.DrawFn) -> str:
    """Draw URLs with a secret before an ``@``, in the query, or in both."""
    scheme, place = draw(st.sampled_from(SCHEMES)), "host:5000/v1/x"
    hidden = f"x{draw(ODD)}{HIDDEN}{draw(ODD)}"
    user, query = draw(
        st.sampled_from(
            [(f"{hidden}@", ""), ("", f"?{hidden}"), (f"{hidden}@", "?a=1")]
        )
    )
    return f"{scheme}{user}{place}{query}"


def request_of(url: str) -> CreateRequest:
    """Make a request about an image that lies at a URL."""
    location = parse_location(url)
    if concerns_volumes(location):
        base = CLONEABLE[Route.IMAGE_VOLUME]
        found = (ImageVolume(location=location),)
        base = attrs.evolve(base, image_volumes=found)
    else:
        base = CLONEABLE[Route.ARRAY_IMAGE]
        base = attrs.evolve(
            base, array_images=(ArrayImage(location=location),)
        )
    return attrs.evolve(base, image=attrs.evolve(base.image, direct_url=url))


def outputs(request: CreateRequest, policy: Policy) -> Iterator[str]:
    """Write a request and its decision in every way."""
    decision = decide(request, policy)
    yield explain(decision)
    yield explain_to_tenant(decision)
    yield wire.dumps(request)
    yield wire.dumps(decision)
    yield wire.dumps(decision.plan)
    for value in (
        request,
        decision,
        decision.candidates,
        decision.findings,
        decision.notes,
        decision.plan,
        tenant_findings(decision),
        what_would_it_take(request, policy),
    ):
        yield repr(value)


every_policy = pytest.mark.parametrize(
    "policy", POLICIES.values(), ids=lambda p: p.name
)


@every_policy
@given(url=urls())
def test_no_output_shows_a_secret(policy: Policy, url: str) -> None:
    """And what is written is read back to the same records."""
    request = request_of(url)
    for text in outputs(request, policy):
        assert HIDDEN not in text
    assert request == wire.loads(CreateRequest, wire.dumps(request))
    decision = decide(request, policy)
    assert decision == wire.loads_decision(wire.dumps(decision))


def in_text(url: str) -> str:
    """Make a URL that can be told from what stands beside it."""
    bare = url.strip(" \x00")
    if bare.startswith(("//", "cinder:")):
        return f"https:{bare.removeprefix('cinder:')}"
    return bare


@given(url=urls().map(in_text))
def test_no_error_shows_a_secret(url: str) -> None:
    """Not in its message, its representation or its traceback."""
    body = {"url": url, "metadata": {}}
    for value in (body, [body], {"locations": [body]}):
        error = FactError("Image.locations[0]", value, "something else")
        assert HIDDEN not in f"{error} {error!r}"
        lines = traceback.format_exception(NotFoundError(error))
        assert HIDDEN not in "".join(lines)
    location = parse_location(url)
    fields = {"source": str(location), "failed": f"there is no {location}"}
    assert HIDDEN not in log_fields(fields)


@given(url=urls().map(in_text))
def test_a_url_in_a_text_of_somebody_else_is_masked(url: str) -> None:
    """Up to a blank or the end of quotes; the rest is not changed."""
    bare = url.replace(" ", "%20")
    text = f"host@lvm#pool: no {bare} nor https://a:b@c/d, at host@lvm"
    made = masked(text)
    assert HIDDEN not in made
    assert made.startswith("host@lvm#pool: no ")
    assert made.endswith(" nor https://***@c/d, at host@lvm")
    assert made == masked(made)
    for written in (text, f"in {url!r}", json.dumps({"url": url})):
        error = NotFoundError(written)
        assert HIDDEN not in f"{error} {error!r}"
        assert HIDDEN not in shown(written)


@pytest.mark.parametrize(
    "text",
    [
        "cinder://store/9a0364b9 lies on host@lvm#pool",
        "file:///srv/a@b/1 of host@lvm",
        "rbd:volumes/volume-1@snap",
        "node@lvm: see a@b, or ask why? c@d",
        "is it https://host/x?",
        "{'host': 'node:1@lvm', 'host_2': \"a@b\"}",
        "https: a@b",
    ],
)
def test_a_text_without_a_secret_is_not_changed(text: str) -> None:
    """A host of Cinder's is no user of a URL."""
    assert text == masked(text)


def test_a_text_is_cut_after_it_is_masked() -> None:
    """The mark that ends a key may be what is cut off."""
    url = f"https://{HIDDEN}{'x' * 300}@host"
    assert "https://***@host" == shown(url)
    assert HIDDEN not in str(FactError("x", {"url": url}, "y"))


@pytest.mark.parametrize(
    "body",
    [
        {"locations": f"https://{HIDDEN}@host"},
        {"locations": [{"url": [f"https://{HIDDEN} @host"]}]},
        [{"uri": f"https://host?{HIDDEN}"}],
        {"direct_url": [f"s3:a:{HIDDEN}@host"]},
    ],
)
def test_a_body_that_cannot_be_read_is_quoted_without_secrets(
    body: object,
) -> None:
    """It names the field that is wrong."""
    with pytest.raises(FactError, match=r"Image.*expected") as caught:
        locations_from_v2(body)  # type: ignore[arg-type] # the case
    assert HIDDEN not in str(caught.value)


def test_locations_that_differ_in_what_is_masked_are_one() -> None:
    """Nothing else can tell them apart."""
    urls = [f"https://host/x?signature={key}" for key in ("a", "b")]
    found = locations_from_v2([{"url": url} for url in urls])
    assert (parse_location("https://host/x?***"),) == found


def test_an_image_of_glance_is_read_without_its_key() -> None:
    """Where Glance shows the direct URL of a store."""
    fields = (
        *("owner", "disk_format", "container_format", "size", "virtual_size"),
        *("os_hash_algo", "os_hash_value"),
    )
    image = image_from_v2(
        {
            **dict.fromkeys(fields),
            "id": "i",
            "status": "active",
            "min_disk": 0,
            "visibility": "private",
            "updated_at": "2026-01-01T00:00:00Z",
            "direct_url": f"swift+https://a%3Ab:{HIDDEN}@host:5000/v3/c/o",
        }
    )
    assert "swift+https://***@host:5000/v3/c/o" == image.direct_url


def test_a_result_of_the_kit_is_masked() -> None:
    """It quotes whatever an adapter raises."""
    (check, *_) = ARRAYS.checks
    raised = f"raised OSError: https://user:{HIDDEN}@array/x?{HIDDEN}"
    result = Result(check, Status.FAIL, raised, 0.0)
    assert "raised OSError: https://***@array/x?***" == result.detail


def test_a_request_with_a_key_is_read_without_it() -> None:
    """As from JSON that somebody else wrote."""
    body = wire.to_dict(request_of("https://host/x"))
    url = f"https://a:{HIDDEN}@host/x?{HIDDEN}"
    (candidate,) = body["array_images"]
    candidate["location"] = body["image"]["direct_url"] = url
    request = wire.from_dict(CreateRequest, body)
    assert request == request_of(url)
    assert HIDDEN not in wire.dumps(request)


@pytest.mark.parametrize(
    "hostile",
    [
        *("a", "'", "://", "'a://", "https:", "a.", "@?", "'\\", "swift+"),
        *("://@?", ":", "?", "@", "'://\\"),
    ],
)
def test_masking_a_hostile_text_takes_no_longer_than_its_length(
    hostile: str,
) -> None:
    """With backtracking over the text, this would not end."""
    text = hostile * 200_000
    for made in (masked(text), masked_url(text)):
        assert len(made) <= len(text)
