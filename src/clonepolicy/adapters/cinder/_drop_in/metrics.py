"""Metrics and spans of OpenTelemetry, if the operator has set up its SDK.

Names and units follow OpenTelemetry's semantic conventions.  Without the
package or an SDK nothing is recorded.  No error in this module reaches
Cinder.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import time
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, ParamSpec

import attrs
from oslo_log import log

from clonepolicy import (
    Clone,
    Decision,
    Operation,
    Outcome,
    Refuse,
    Register,
    Route,
)
from clonepolicy.adapters.cinder._errors import traced
from clonepolicy.adapters.conf._own import (
    Settings,
)

LOG = log.getLogger(__name__)
P = ParamSpec("P")
_NAME = "clonepolicy"
_SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)


@attrs.frozen
class Metric:
    """One metric, as OpenTelemetry describes it."""

    name: str
    unit: str
    description: str
    boundaries: tuple[float, ...] = ()
    """The buckets of a histogram; a counter has none."""


DECISIONS = Metric(
    "clonepolicy.decisions", "{decision}", "Decisions of the policy."
)
DIFFERENCES = Metric(
    "clonepolicy.shadow.differences",
    "{difference}",
    "Decisions in shadow mode that differ from what Cinder did.",
)
FALLBACKS = Metric(
    "clonepolicy.fallbacks",
    "{fallback}",
    "Attempts to clone or register that failed, after which the next is made.",
)
UNDECIDED = Metric(
    "clonepolicy.undecided_requests",
    "{request}",
    "Requests whose facts could not be read, so that nothing was decided.",
)
DURATION = Metric(
    "clonepolicy.request.duration",
    "s",
    "Duration of a create from an image, or of an upload, in cinder-volume.",
    _SECONDS,
)
IMAGE_IO = Metric(
    "clonepolicy.image.io",
    "By",
    "Image data that cinder-volume copied from or to Glance.",
)


@functools.cache
def _api(signal: str) -> ModuleType | None:
    try:
        return importlib.import_module(f"opentelemetry.{signal}")
    except ImportError:
        return None


def _recorder(signal: str) -> ModuleType | None:
    """Return the API of a signal; None if nobody records it."""
    api = _api(signal)
    if api is None:
        return None
    metrics = signal == "metrics"
    provider = (
        api.get_meter_provider() if metrics else api.get_tracer_provider()
    )
    # the API's own providers record nothing
    own = type(provider).__module__.startswith(api.__name__)
    return None if own else api


@functools.cache
def _instrument(metric: Metric) -> Any:
    meter = importlib.import_module("opentelemetry.metrics").get_meter(_NAME)
    what = {"unit": metric.unit, "description": metric.description}
    if not metric.boundaries:
        return meter.create_counter(metric.name, **what)
    return meter.create_histogram(
        metric.name,
        **what,
        explicit_bucket_boundaries_advisory=metric.boundaries,
    )


@contextlib.contextmanager
def _guarded(signal: str) -> Iterator[None]:
    """Log what the block raises, so that Cinder goes on."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - an exporter may raise anything
        LOG.debug("clonepolicy cannot emit %s\n%s", signal, traced(error))


def _counted(emit: Callable[P, None]) -> Callable[P, None]:
    """Call a function if metrics are recorded; log what it raises."""

    @functools.wraps(emit)
    def call(*args: P.args, **kwargs: P.kwargs) -> None:
        with _guarded("metrics"):
            if _recorder("metrics") is not None:
                emit(*args, **kwargs)

    return call


def _named(**values: object) -> dict[str, str]:
    """Return attributes without those that do not apply."""
    return {
        f"{_NAME}.{name}": str(value)
        for name, value in values.items()
        if value is not None
    }


def _with_error(error: BaseException) -> dict[str, str]:
    return {"error.type": type(error).__name__}


@_counted
def count_decision(decision: Decision, settings: Settings) -> None:
    """Count a decision by what was decided, and by its nearest reason."""
    _instrument(DECISIONS).add(
        1,
        {
            **_about(decision, settings),
            **_named(
                route=_route(decision),
                reason=_nearest(decision),
                mode=settings.mode,
            ),
        },
    )


@_counted
def count_difference(
    decision: Decision, settings: Settings, stock: str
) -> None:
    """Count a decision in shadow mode that is not what Cinder did."""
    _instrument(DIFFERENCES).add(
        1, {**_about(decision, settings), **_named(stock=stock)}
    )


@_counted
def count_fallbacks(outcome: Outcome) -> None:
    """Count each attempt that failed, by the class of its first error."""
    seen = [outcome.attempt, None]
    for failure in outcome.failures:
        attempt = failure.attempt
        if attempt is None or attempt in seen:
            continue
        seen.append(attempt)
        uploads = attempt.route is Route.REGISTER
        operation = Operation.UPLOAD if uploads else Operation.CREATE
        _instrument(FALLBACKS).add(
            1,
            {
                **_named(operation=operation, route=attempt.route),
                **_with_error(failure.error),
            },
        )


@_counted
def count_undecided(operation: str, error: Exception) -> None:
    """Count a request whose facts cannot be read."""
    _instrument(UNDECIDED).add(
        1, {**_named(operation=operation), **_with_error(error)}
    )


def mark_span(decision: Decision, decision_id: str) -> None:
    """Give the current span the id of a decision, and its verdict.

    Exemplars of metrics name the span, and the log line has the same id.
    """
    with _guarded("trace"):
        api = _recorder("trace")
        if api is not None:
            about = {"decision.id": decision_id, "verdict": decision.verdict}
            api.get_current_span().set_attributes(_named(**about))


def _about(decision: Decision, settings: Settings) -> dict[str, str]:
    return _named(
        operation=decision.request.operation,
        verdict=decision.verdict,
        policy=settings.policy,
    )


def _route(decision: Decision) -> str | None:
    if isinstance(decision, Clone):
        return decision.route
    return None if isinstance(decision, Refuse) else decision.verdict


def _nearest(decision: Decision) -> str | None:
    """Return the first reason not to clone; None if a clone is made."""
    if isinstance(decision, Clone | Register):
        return None
    return next((finding.reason for finding in decision.relevant), None)


@attrs.define(kw_only=True)
class Measure:
    """One create or upload, while cinder-volume carries it out."""

    operation: Operation
    settings: Settings
    began: float = attrs.field(factory=time.monotonic)
    route: Route | None = None
    """How it was carried out; None: Cinder carried it out by itself."""
    copied: int | None = None
    """Bytes of the image that were copied; None: none, or unknown."""

    @property
    def attributes(self) -> dict[str, str]:
        """Return the attributes of its metrics and its span."""
        return _named(
            operation=self.operation,
            route=self.route,
            policy=self.settings.policy,
            mode=self.settings.mode,
        )

    def took(self, route: Route, copied: int | None = None) -> None:
        """Remember the route, and what it copied."""
        self.route, self.copied = route, copied


@contextlib.contextmanager
def measured(operation: Operation, settings: Settings) -> Iterator[Measure]:
    """Record the duration of what the block does, and make a span of it."""
    measure = Measure(operation=operation, settings=settings)
    error: BaseException | None = None
    with contextlib.ExitStack() as current:
        span = _begin(measure, current)
        try:
            yield measure
        except BaseException as raised:
            error = raised
            raise
        finally:
            _record(measure, error)
            with _guarded("trace"):
                _end(span, measure, error)


@_counted
def _record(measure: Measure, error: BaseException | None) -> None:
    seconds = time.monotonic() - measure.began
    attributes = measure.attributes
    failed = {} if error is None else _with_error(error)
    _instrument(DURATION).record(seconds, {**attributes, **failed})
    if measure.copied is not None:
        _instrument(IMAGE_IO).add(measure.copied, attributes)


def _begin(measure: Measure, current: contextlib.ExitStack) -> Any:
    """Begin a span, which is current until the stack is left.

    The text of an exception is not recorded: a driver's may contain
    credentials.
    """
    span: Any = None
    with _guarded("trace"):
        api = _recorder("trace")
        if api is not None:
            tracer = api.get_tracer(_NAME)
            span = tracer.start_span(f"{_NAME} {measure.operation}")
            current.enter_context(
                api.use_span(
                    span,
                    record_exception=False,
                    set_status_on_exception=False,
                )
            )
    return span


def _end(span: Any, measure: Measure, error: BaseException | None) -> None:
    if span is None:
        return
    span.set_attributes(measure.attributes)
    if error is not None:
        trace = importlib.import_module("opentelemetry.trace")
        span.set_attributes(_with_error(error))
        span.set_status(trace.StatusCode.ERROR)
    span.end()
