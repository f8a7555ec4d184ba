"""Metrics and spans of the drop-in, and the pages that use their names."""

from __future__ import annotations

import json
import pathlib
import re
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import attrs
import pytest

pytest.importorskip("cinder", reason="needs Cinder: nox -s openstack")
pytest.importorskip("opentelemetry.sdk", reason="needs OpenTelemetry's SDK")

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))

import cinder_cloud
import yaml
from cinder import exception
from cinder_cloud import CinderCloud, Start
from opentelemetry import metrics as metrics_api
from opentelemetry import trace as trace_api
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import (
    InMemorySpanExporter,
)

from clonepolicy.adapters.cinder._drop_in import metrics

start, database = cinder_cloud.start, cinder_cloud.database

CLONE = "create_cloned_volume"
DOCS = pathlib.Path(__file__).parents[2] / "docs"
PAGE = DOCS / "how-to" / "monitoring.md"
ALERTS = DOCS / "monitoring" / "prometheus-alerts.yaml"
DASHBOARD = DOCS / "monitoring" / "grafana-dashboard.json"
GIB = 1 << 30
UNITS = {"s": "_seconds", "By": "_bytes"}
METRICS = tuple(
    metric
    for metric in vars(metrics).values()
    if isinstance(metric, metrics.Metric)
)


@attrs.frozen
class Recorded:
    """What the SDK has recorded in this process."""

    reader: InMemoryMetricReader
    spans: InMemorySpanExporter
    prometheus: Any
    """The reader of the Prometheus exporter; None: it is not installed."""

    def points(self, name: str) -> list[Any]:
        """Return the points of a metric."""
        found = self.reader.get_metrics_data()
        return [
            point
            for resource in (found.resource_metrics if found else ())
            for scope in resource.scope_metrics
            for metric in scope.metrics
            if metric.name == name
            for point in metric.data.data_points
        ]

    def total(self, metric: metrics.Metric, **wanted: str) -> Any:
        """Sum the points of a counter that have these attributes."""
        return sum(
            point.value
            for point in self.points(metric.name)
            if wanted.items()
            <= {
                k.rpartition(".")[2]: v for k, v in point.attributes.items()
            }.items()
        )


def prometheus_reader() -> Any:
    """Make the exporter's reader, if it is installed."""
    try:
        from opentelemetry.exporter import prometheus  # noqa: PLC0415 - the same
    except ImportError:
        return None
    return prometheus.PrometheusMetricReader()


@pytest.fixture(scope="session")
def recorded() -> Recorded:
    """Set up the SDK, which a process does once."""
    reader, exporter = InMemoryMetricReader(), InMemorySpanExporter()
    prometheus = prometheus_reader()
    readers = [reader] if prometheus is None else [reader, prometheus]
    metrics_api.set_meter_provider(MeterProvider(metric_readers=readers))
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace_api.set_tracer_provider(provider)
    return Recorded(reader, exporter, prometheus)


@pytest.fixture
def spans(recorded: Recorded) -> Iterator[InMemorySpanExporter]:
    """Forget the spans of other tests."""
    recorded.spans.clear()
    yield recorded.spans
    recorded.spans.clear()


def fail(*_: object, **_more: object) -> None:
    """Raise what an exporter might raise."""
    raise RuntimeError


# -- what is emitted ----------------------------------------------------------


def test_a_clone_is_counted_with_its_route(
    recorded: Recorded, start: Start
) -> None:
    """As a decision, and by its duration; no data is copied."""
    cloud = start()
    image = cloud.images.add()
    cloud.add_image_volume(image)
    of = {"operation": "create", "route": "image-volume", "policy": "SAFE/2"}
    before = recorded.total(metrics.DECISIONS, verdict="clone", **of)
    copied = recorded.total(metrics.IMAGE_IO)
    cloud.create(image)
    after = recorded.total(metrics.DECISIONS, verdict="clone", **of)
    assert after - before == 1
    assert recorded.total(metrics.IMAGE_IO) == copied
    durations = [
        point
        for point in recorded.points(metrics.DURATION.name)
        if point.attributes.get("clonepolicy.route") == "image-volume"
    ]
    assert {point.attributes["clonepolicy.mode"] for point in durations} == {
        "enforce"
    }
    assert durations[0].explicit_bounds == metrics.DURATION.boundaries


def test_copied_data_is_counted_in_bytes(
    recorded: Recorded, start: Start
) -> None:
    """Of a download the image's size, of an upload the volume's."""
    cloud = start()
    down = recorded.total(metrics.IMAGE_IO, operation="create")
    up = recorded.total(metrics.IMAGE_IO, operation="upload")
    cloud.create(cloud.images.add(disk_format="qcow2", size=12345))
    cloud.upload(cloud.add_volume(size=3), disk_format="qcow2")
    assert 12345 == recorded.total(metrics.IMAGE_IO, operation="create") - down
    assert recorded.total(metrics.IMAGE_IO, operation="upload") - up == 3 * GIB
    reasons = {
        point.attributes.get("clonepolicy.reason")
        for point in recorded.points(metrics.DECISIONS.name)
        if point.attributes["clonepolicy.verdict"] == "download"
    }
    assert cloud.decisions()[0]["reasons"].split(",")[0] in reasons


def test_in_shadow_mode_copied_data_is_counted_too(
    recorded: Recorded, start: Start
) -> None:
    """So that both modes can be compared."""
    cloud = start(mode="shadow")
    of = {"operation": "create", "mode": "shadow"}
    before = recorded.total(metrics.IMAGE_IO, **of)
    cloud.create(cloud.images.add(disk_format="qcow2", size=12345))
    image = cloud.images.add()
    cloud.add_image_volume(image)
    cloud.create(image)
    assert 12345 == recorded.total(metrics.IMAGE_IO, **of) - before


def test_a_registration_is_counted(recorded: Recorded, start: Start) -> None:
    """No data is copied."""
    cloud = start()
    copied = recorded.total(metrics.IMAGE_IO)
    cloud.upload(cloud.add_volume())
    assert recorded.total(metrics.DECISIONS, verdict="register") > 0
    assert recorded.total(metrics.IMAGE_IO) == copied
    routes = {
        point.attributes.get("clonepolicy.route")
        for point in recorded.points(metrics.DURATION.name)
    }
    assert "register" in routes


def test_a_failed_attempt_is_counted_once_by_its_error(
    recorded: Recorded, start: Start
) -> None:
    """The volume is downloaded instead."""
    cloud = start()
    image = cloud.images.add()
    cloud.add_image_volume(image)
    cloud.driver.failing[CLONE] = [NotImplementedError("secret")]
    of = {"operation": "create", "route": "image-volume"}
    before = recorded.total(metrics.FALLBACKS, **of, type="UnsupportedError")
    assert cloud.create(image).status == "available"
    after = recorded.total(metrics.FALLBACKS, **of, type="UnsupportedError")
    assert after - before == 1


def test_a_difference_in_shadow_mode_is_counted(
    recorded: Recorded, start: Start
) -> None:
    """With both verdicts, and only if they differ."""
    cloud = start(mode="shadow")
    of = {"verdict": "refuse", "stock": "clone", "policy": "SAFE/2"}
    before = recorded.total(metrics.DIFFERENCES)
    image = cloud.images.add()
    cloud.add_image_volume(image, project_id="stranger")
    cloud.create(image)
    cloud.create(cloud.images.add(disk_format="qcow2"))
    assert recorded.total(metrics.DIFFERENCES) - before == 1
    assert recorded.total(metrics.DIFFERENCES, **of) >= 1


def test_a_request_of_unreadable_facts_is_counted(
    recorded: Recorded, start: Start
) -> None:
    """By the class of the error."""
    cloud = start()
    image = cloud.images.add(size=1)
    cloud.images.metas[image]["visibility"] = 7
    before = recorded.total(metrics.UNDECIDED, operation="create")
    cloud.create(image)
    after = recorded.total(metrics.UNDECIDED, type="AdapterError")
    assert after - before == 1


def test_a_refused_request_has_the_class_of_its_error(
    recorded: Recorded, start: Start
) -> None:
    """Its duration has; its decision has no route."""
    cloud = start()
    key = {"cinder_encryption_key_id": "a-key"}
    with pytest.raises(exception.ImageUnacceptable):
        cloud.create(cloud.images.add(properties=key))
    types = {
        point.attributes.get("error.type")
        for point in recorded.points(metrics.DURATION.name)
    }
    assert "ImageUnacceptable" in types
    for point in recorded.points(metrics.DECISIONS.name):
        refused = point.attributes["clonepolicy.verdict"] == "refuse"
        assert refused is ("clonepolicy.route" not in point.attributes)


def test_the_id_of_a_decision_is_in_its_line_and_its_span(
    recorded: Recorded, start: Start, spans: InMemorySpanExporter
) -> None:
    """An exemplar names the span; no metric has the id."""
    cloud = start()
    cloud.create(cloud.images.add(disk_format="qcow2"))
    (line,) = cloud.decisions()
    (span,) = spans.get_finished_spans()
    assert span.name == "clonepolicy create"
    assert span.attributes is not None
    assert span.attributes["clonepolicy.decision.id"] == line["decision"]
    traces = {
        exemplar.trace_id
        for point in recorded.points(metrics.DURATION.name)
        for exemplar in point.exemplars
    }
    assert span.context is not None
    assert span.context.trace_id in traces
    assert line["decision"] not in exported(recorded)


def test_a_span_has_no_text_of_an_error(
    start: Start, spans: InMemorySpanExporter
) -> None:
    """A driver's may contain credentials."""
    cloud = start()
    failing = RuntimeError("https://admin:secret@array")
    cloud.driver.failing["copy_image_to_volume"] = [failing] * 9
    with pytest.raises(exception.CinderException):
        cloud.create(cloud.images.add(disk_format="qcow2"))
    (span,) = spans.get_finished_spans()
    assert "secret" not in span.to_json()
    assert span.status.status_code is trace_api.StatusCode.ERROR
    assert span.attributes is not None
    assert span.attributes["error.type"]


def exported(recorded: Recorded) -> str:
    """Return everything that metrics have recorded."""
    found = recorded.reader.get_metrics_data()
    assert found is not None
    return str(found.to_json())


# -- what it costs ------------------------------------------------------------


@pytest.mark.parametrize("target", ["_instrument", "_named", "_recorder"])
def test_an_error_in_emitting_stops_nothing(
    start: Start, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    """Neither a create nor an upload."""
    cloud = start()
    monkeypatch.setattr(metrics, target, fail)
    assert cloud.create(cloud.images.add()).status == "available"
    volume = cloud.add_volume()
    image = cloud.upload(volume)
    assert cloud.images.metas[image]["status"] == "active"


def test_an_error_of_a_span_processor_stops_nothing(
    recorded: Recorded, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither when the span starts nor when it ends."""
    assert recorded.spans is not None
    cloud = start()
    for name in ("on_start", "on_end"):
        with monkeypatch.context() as patch:
            patch.setattr(SimpleSpanProcessor, name, fail)
            assert cloud.create(cloud.images.add()).status == "available"


@pytest.mark.parametrize("installed", [True, False])
def test_without_an_sdk_nothing_is_computed(
    start: Start, monkeypatch: pytest.MonkeyPatch, *, installed: bool
) -> None:
    """No instrument and no attribute is made."""
    if installed:
        none = metrics_api.NoOpMeterProvider()
        monkeypatch.setattr(metrics_api, "get_meter_provider", lambda: none)
        tracers = trace_api.NoOpTracerProvider()
        monkeypatch.setattr(trace_api, "get_tracer_provider", lambda: tracers)
    else:
        monkeypatch.setattr(metrics, "_api", lambda _signal: None)
    for name in ("_instrument", "_named", "_nearest"):
        monkeypatch.setattr(metrics, name, pytest.fail)
    made = metrics._recorder("metrics"), metrics._recorder("trace")
    assert made == (None, None)
    cloud = start()
    assert cloud.create(cloud.images.add()).status == "available"


def test_a_missing_package_is_looked_for_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Looking for it takes longer than everything else here."""
    monkeypatch.setitem(sys.modules, "opentelemetry.metrics", None)
    metrics._api.cache_clear()
    assert metrics._api("metrics") is None
    monkeypatch.undo()
    assert metrics._api("metrics") is None
    metrics._api.cache_clear()


# -- what uses the names ------------------------------------------------------


def emit_everything(start: Start) -> CinderCloud:
    """Emit each metric with each of its attributes."""
    cloud = start(mode="shadow")
    image = cloud.images.add()
    cloud.add_image_volume(image, project_id="stranger")
    cloud.create(image)
    cloud = start(mode="enforce")
    image = cloud.images.add()
    cloud.add_image_volume(image)
    cloud.driver.failing[CLONE] = [NotImplementedError()]
    cloud.create(image)
    image = cloud.images.add(size=1)
    cloud.images.metas[image]["visibility"] = 7
    cloud.create(image)
    key = {"cinder_encryption_key_id": "a-key"}
    with pytest.raises(exception.ImageUnacceptable):
        cloud.create(cloud.images.add(properties=key))
    return cloud


@pytest.fixture
def emitted(recorded: Recorded, start: Start) -> Mapping[str, set[str]]:
    """Return the attributes of each metric that the drop-in emits."""
    emit_everything(start)
    return {
        metric.name: {
            name
            for point in recorded.points(metric.name)
            for name in point.attributes
        }
        for metric in METRICS
    }


def translated(metric: metrics.Metric) -> str:
    """Translate a name as Prometheus and its exporters do."""
    name = metric.name.replace(".", "_") + UNITS.get(metric.unit, "")
    return name if metric.boundaries else f"{name}_total"


def series(emitted: Mapping[str, set[str]]) -> dict[str, set[str]]:
    """Return the labels of each series in Prometheus."""
    found = {}
    for metric in METRICS:
        labels = {name.replace(".", "_") for name in emitted[metric.name]}
        name = translated(metric)
        if metric.boundaries:
            found[f"{name}_bucket"] = {*labels, "le"}
            found[f"{name}_sum"] = found[f"{name}_count"] = labels
        else:
            found[name] = labels
    return found


def used(expression: str) -> tuple[set[str], set[str]]:
    """Return the metrics and the labels of an expression in PromQL."""
    names = set(re.findall(r"\bclonepolicy_\w+(?=[{\[])", expression))
    labels = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"", expression))
    for group in re.findall(r"\bby\s*\(([^)]*)\)", expression):
        labels |= {label.strip() for label in group.split(",")}
    return names, labels


def expressions() -> dict[str, str]:
    """Return the expressions of the dashboard and the alerts."""
    dashboard = json.loads(DASHBOARD.read_text())
    found = {
        f"{panel['title']} {target['refId']}": target["expr"]
        for panel in dashboard["panels"]
        for target in panel["targets"]
    }
    for group in yaml.safe_load(ALERTS.read_text())["groups"]:
        found |= {rule["alert"]: rule["expr"] for rule in group["rules"]}
    return found


def test_dashboard_and_alerts_use_what_is_emitted(
    emitted: Mapping[str, set[str]],
) -> None:
    """Each metric, and each label of it; every metric is shown somewhere."""
    known = series(emitted)
    shown = set()
    for where, expression in expressions().items():
        names, labels = used(expression)
        assert names, where
        assert names <= known.keys(), where
        shared = set.union(*(known[name] for name in names))
        assert labels <= shared, where
        shown |= names
    for metric in METRICS:
        assert any(name.startswith(translated(metric)) for name in shown)


def test_the_exporter_translates_so(
    recorded: Recorded, emitted: Mapping[str, set[str]]
) -> None:
    """Names and labels are those that Prometheus reads from it."""
    client = pytest.importorskip("prometheus_client")
    parser = pytest.importorskip("prometheus_client.parser")
    if recorded.prometheus is None:
        pytest.skip("needs opentelemetry-exporter-prometheus")
    text = client.generate_latest().decode()
    found: dict[str, set[str]] = {}
    for family in parser.text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name.startswith("clonepolicy_"):
                labels = {
                    label
                    for label in sample.labels
                    if not label.startswith("otel_scope_")
                }
                found.setdefault(sample.name, set()).update(labels)
    assert found == series(emitted)


def test_the_page_documents_what_is_emitted(
    emitted: Mapping[str, set[str]],
) -> None:
    """Each metric with its unit and its attributes, and each attribute."""
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in PAGE.read_text().splitlines()
        if line.startswith("| `")
    ]
    found = {
        (row[0].strip("`"), row[1].strip("`"), row[2].strip("`")): {
            name if name == "error.type" else f"clonepolicy.{name}"
            for name in re.findall(r"`([^`]+)`", row[3])
        }
        for row in rows
        if row[0].startswith("`clonepolicy.")
    }
    assert found == {
        (metric.name, translated(metric), metric.unit): emitted[metric.name]
        for metric in METRICS
    }
    every = set.union(*emitted.values())
    named = {row[0].strip("`") for row in rows}
    assert {name.removeprefix("clonepolicy.") for name in every} <= named
    alerts = yaml.safe_load(ALERTS.read_text())["groups"]
    assert {rule["alert"] for group in alerts for rule in group["rules"]} == {
        name for name in named if name.startswith("Clonepolicy")
    }


ALERT_SCHEMA = {
    "type": "object",
    "required": ["groups"],
    "additionalProperties": False,
    "properties": {
        "groups": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name", "rules"],
                "additionalProperties": False,
                "properties": {
                    "name": {"type": "string"},
                    "interval": {"$ref": "#/$defs/duration"},
                    "rules": {
                        "type": "array",
                        "minItems": 3,
                        "items": {"$ref": "#/$defs/rule"},
                    },
                },
            },
        }
    },
    "$defs": {
        "duration": {"type": "string", "pattern": r"^([0-9]+(ms|[smhdwy]))+$"},
        "texts": {
            "type": "object",
            "additionalProperties": {"type": "string"},
            "propertyNames": {"pattern": "^[a-zA-Z_][a-zA-Z0-9_]*$"},
        },
        "rule": {
            "type": "object",
            "required": ["alert", "expr", "for", "labels", "annotations"],
            "additionalProperties": False,
            "properties": {
                "alert": {"type": "string", "pattern": "^[A-Z][A-Za-z]+$"},
                "expr": {"type": "string", "minLength": 1},
                "for": {"$ref": "#/$defs/duration"},
                "labels": {
                    "$ref": "#/$defs/texts",
                    "required": ["severity"],
                },
                "annotations": {
                    "$ref": "#/$defs/texts",
                    "required": ["summary", "description"],
                },
            },
        },
    },
}
"""What Prometheus requires of a file of alerting rules, and these add."""


def test_the_alerts_have_the_structure_that_prometheus_reads() -> None:
    """Labels that an alert's text uses are those of its expression."""
    jsonschema = pytest.importorskip("jsonschema")
    alerts = yaml.safe_load(ALERTS.read_text())
    jsonschema.validate(alerts, ALERT_SCHEMA)
    for group in alerts["groups"]:
        for rule in group["rules"]:
            _, labels = used(rule["expr"])
            for text in rule["annotations"].values():
                assert {*re.findall(r"\$labels\.(\w+)", text)} <= labels
            assert rule["expr"].count("(") == rule["expr"].count(")")


def test_the_dashboard_can_be_imported() -> None:
    """It names no data source of its own; its panels do not overlap."""
    dashboard = json.loads(DASHBOARD.read_text())
    source = {"type": "prometheus", "uid": "${datasource}"}
    variables = {v["name"]: v for v in dashboard["templating"]["list"]}
    assert ("datasource", "prometheus") == tuple(
        variables["datasource"][key] for key in ("type", "query")
    )
    assert dashboard["schemaVersion"] >= 36
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        assert panel["datasource"] == source
        at = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & taken
        assert max(x for x, _ in cells) < 24
        taken |= cells
        for target in panel["targets"]:
            assert target["datasource"] == source
            used_variables = set(re.findall(r"\$(\w+)", target["expr"]))
            assert used_variables <= {*variables, "__range", "__rate_interval"}
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len({*ids}) == len(ids)
