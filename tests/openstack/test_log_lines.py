"""The drop-in's log lines and messages, when tenants write into them."""

from __future__ import annotations

import logging
import pathlib
import re
import sys
from collections.abc import Callable

import attrs
import pytest

pytest.importorskip("cinder", reason="needs Cinder: nox -s openstack")

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

from clonepolicy import (
    CINDER_29,
    SAFE,
    ArrayImage,
    Clone,
    Failure,
    NotFoundError,
    Outcome,
    Reason,
    Route,
    VolumeType,
    decide,
    parse_location,
)
from clonepolicy.adapters.cinder import Mode, Settings
from clonepolicy.adapters.cinder._drop_in import reports
from clonepolicy.adapters.cinder._drop_in.shadow import (
    Deed,
    Prediction,
    predict,
)
from clonepolicy.plan import CloneVolume
from clonepolicy.scenarios import CLONEABLE, with_facts
from logfmt import parsed

FORGED = (
    "x\nclonepolicy operation=create verdict=clone image=forged\r\x1bc\u2028"
)
EVIL = f"cinder://{FORGED}/"
SCENARIO = CLONEABLE[Route.IMAGE_VOLUME]
(VOLUME,) = SCENARIO.image_volumes
assert VOLUME.source
URL = f"{EVIL}{VOLUME.source.id}"
REQUEST = attrs.evolve(
    with_facts(SCENARIO, {"image.id": FORGED, "volume.id": FORGED}),
    image_volumes=(attrs.evolve(VOLUME, location=parse_location(URL)),),
)


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    """Return what was logged, tracebacks too, without the prefix."""
    caplog.set_level(logging.DEBUG)
    written = logging.Formatter().format
    return lambda: [
        written(record).removeprefix("clonepolicy ")
        for record in caplog.records
    ]


def test_a_location_cannot_forge_a_field_or_a_line(
    lines: Callable[[], list[str]],
) -> None:
    """The line is read back to exactly what was decided."""
    decision = decide(REQUEST, CINDER_29)
    assert isinstance(decision, Clone)
    settings = attrs.evolve(Settings(), policy=CINDER_29, mode=Mode.SHADOW)
    reports.log_decision(
        decision,
        settings,
        decision.verdict,
        predict(decision, {}),
        decision_id="-",
    )
    line, explained = lines()
    assert line.isprintable()
    fields = parsed(line)
    assert ("clone", FORGED, FORGED, URL) == tuple(
        fields[key] for key in ("verdict", "image", "volume", "source")
    )
    assert explained.replace("\n", "").isprintable()
    assert "\nclonepolicy" not in explained


def test_an_error_cannot_forge_a_field_or_a_line(
    lines: Callable[[], list[str]],
) -> None:
    """Neither of an attempt that failed nor of facts that are unreadable."""
    decision = decide(SCENARIO, SAFE)
    (attempt, *_) = decision.plan.attempts
    attempt = attrs.evolve(attempt, source=URL)
    step = attempt.steps[0]
    assert isinstance(step, CloneVolume)
    error = NotFoundError(f"no volume {FORGED}")
    failure = Failure(attempt=attempt, step=step, error=error)
    named = {"operation": "create", "image": FORGED, "volume": FORGED}
    reports.log_failures(
        Outcome(attempt=None, failures=(failure,), settled=True, ids={}),
        named,
    )
    reports.log_undecided(ValueError(FORGED), named)
    failed, cause, unreadable, other_cause = lines()
    for traced in (cause, other_cause):
        head, *rest = traced.split("\n")
        assert "cause" == head
        assert all(text.startswith("  ") for text in rest)
        assert traced.replace("\n", "").isprintable()
    assert {
        **named,
        "attempt": f"clone {URL}",
        "step": "CloneVolume",
        "failed": str(error),
    } == parsed(failed)
    assert {
        **named,
        "verdict": "-",
        "unreadable": FORGED,
    } == parsed(unreadable)
    assert (failed + unreadable).isprintable()


def test_no_line_shows_a_users_key(lines: Callable[[], list[str]]) -> None:
    """Neither that of a location nor that of an error of a store."""
    store, key = "swift+https://a%3Ab:s3cr3t@host:5000/v3/c/o", "s3cr3t"
    assert VOLUME.source
    url = f"cinder://a:{key}@store/{VOLUME.source.id}?{key}"
    clones = attrs.evolve(VOLUME, location=parse_location(url))
    shadow = attrs.evolve(Settings(), policy=CINDER_29, mode=Mode.SHADOW)
    request = attrs.evolve(
        with_facts(SCENARIO, {"image.direct_url": store}),
        image_volumes=(clones,),
        array_images=(ArrayImage(location=parse_location(store)),),
    )
    decision = decide(request, CINDER_29)
    reports.log_decision(decision, shadow, decision.verdict, decision_id="-")
    (attempt, *_) = decision.plan.attempts
    error = NotFoundError(f"no {clones.location}")
    error.__cause__ = OSError(store)
    failure = Failure(attempt=attempt, step=attempt.steps[0], error=error)
    reports.log_failures(
        Outcome(attempt=None, failures=(failure,), settled=True, ids={}), {}
    )
    reports.log_undecided(ValueError(f"cannot read {store}"), {})
    written = lines()
    assert key not in "".join(written)
    shown = f"cinder://***@store/{VOLUME.source.id}?***"
    assert shown == parsed(written[0])["source"]
    assert "swift+https://***@host:5000/v3/c/o" in written[1]


def test_a_message_gives_a_reason_that_reads_a_volume_type() -> None:
    """A tenant reads the type's id instead of the type."""
    kind = VolumeType(id="gold", max_vol_size=1)
    values = {"volume.size": 2, "volume.volume_type": kind}
    decision = decide(with_facts(SCENARIO, values), SAFE)
    assert Reason.TYPE_SIZE_LIMIT is reports._first_reason(decision)


PAGE = pathlib.Path(__file__).parents[2] / "docs/how-to/enable.md"
IN_PAGE = PAGE.read_text("utf-8")


def documented(first: str) -> list[list[str]]:
    """Return the keys of each example that begins as a pattern says."""
    begins = re.compile(f"clonepolicy {first}=")
    return [
        re.findall(r"([a-z_]+)=(?:\S)", line)
        for line in IN_PAGE.splitlines()
        if begins.match(line)
    ]


def in_order(some: list[str], keys: list[str]) -> bool:
    """Say whether all of some keys are there, in that order."""
    left = iter(keys)
    return all(key in left for key in some)


def check_documented(keys: list[str], examples: list[list[str]]) -> None:
    """Assert that the page has each key, and no other in an example."""
    shown = {key for example in examples for key in example}
    assert examples
    assert all(in_order(example, keys) for example in examples)
    missing = [
        key for key in keys if key not in shown and f"`{key}`" not in IN_PAGE
    ]
    assert [] == missing


def test_the_page_shows_the_line_of_a_decision(
    lines: Callable[[], list[str]],
) -> None:
    """Also the keys of shadow mode, and of what is not carried out."""
    decision = decide(SCENARIO, SAFE)
    settings = attrs.evolve(Settings(), mode=Mode.SHADOW)
    unsure = Prediction("unknown", (Reason.SOURCE_IN_USE,))
    reports.log_decision(
        decision, settings, "download", unsure, decision_id="-"
    )
    keys = list(parsed(lines()[0]))
    assert {"decided", "stock", "differs", "unsure", "route"} <= {*keys}
    check_documented(keys, documented("operation=(?:create|upload) verdict"))


def test_the_page_shows_the_line_of_what_cinder_did(
    lines: Callable[[], list[str]],
) -> None:
    """With every key that it may have."""
    deed = Deed("download", "source", "InvalidVolume")
    names = {"operation": "create", "image": "i", "volume": "v"}
    reports.log_deed(deed, Prediction("clone"), "clone", names)
    (line,) = lines()
    fields = parsed(line)
    assert ("no", "yes") == (fields["matches"], fields["differs"])
    check_documented(list(fields), documented("predicted"))
