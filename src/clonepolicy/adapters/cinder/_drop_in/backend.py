"""One backend of Cinder: its driver, its options, and its decisions."""

from __future__ import annotations

import contextlib
import functools
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

import attrs
from cinder import context as cinder_context
from cinder import exception, objects
from cinder.common import constants
from cinder.volume import volume_utils
from oslo_config import cfg
from oslo_log import log

from clonepolicy import (
    Backend,
    Clone,
    Config,
    Decision,
    Refuse,
    Register,
    Request,
    Route,
    decide,
    explain_to_tenant,
    tenant_findings,
)
from clonepolicy._text import printable
from clonepolicy.adapters.cinder._arrays import (
    ReportedArrays,
    declared_array,
)
from clonepolicy.adapters.cinder._driver import backend_from_driver
from clonepolicy.adapters.cinder._driver_array import CinderArray
from clonepolicy.adapters.cinder._drop_in import metrics, reports
from clonepolicy.adapters.cinder._drop_in.shadow import (
    NOT_PREDICTED,
    UNKNOWN,
    Deed,
    Prediction,
    differ,
    predict,
)
from clonepolicy.adapters.cinder._errors import surviving, translate_errors
from clonepolicy.adapters.cinder._images import CinderImages
from clonepolicy.adapters.cinder._options import config_from
from clonepolicy.adapters.cinder._pools import with_facts
from clonepolicy.adapters.cinder._releases import installed_release
from clonepolicy.adapters.cinder._volumes import RequestVolumes
from clonepolicy.adapters.conf._own import (
    Mode,
    Notes,
    Settings,
)
from clonepolicy.ports import Ports

LOG = log.getLogger(__name__)
Able: TypeAlias = Callable[[Decision], bool]
"""Says whether the drop-in can carry out a decision that is no copy."""


def _declared_items(extra: object) -> Mapping[str, Any]:
    """Take ``extra_capabilities``, of which Cinder accepts any JSON."""
    if isinstance(extra, Mapping):
        return extra
    LOG.warning("clonepolicy ignores extra_capabilities: it is no JSON object")
    return {}


@attrs.frozen(kw_only=True, slots=False)
class DriverBackend:
    """A driver with the options of its backend.

    ``extra`` is the backend's ``extra_capabilities``.
    """

    driver: Any
    settings: Settings
    extra: Mapping[str, Any] = attrs.field(converter=_declared_items)

    @property
    def enforces(self) -> bool:
        """Whether decisions are carried out here.

        Cinder itself carries out the policy that describes it.
        """
        return (
            self.settings.mode is Mode.ENFORCE
            and self.settings.policy is not installed_release().stock
        )

    def config(self) -> Config:
        """Read the current options of cinder.conf."""
        return config_from(cfg.CONF, self.driver.configuration)

    def ports(
        self,
        images: CinderImages,
        kind: type[CinderArray] = CinderArray,
        *,
        image_id: str | None = None,
        **more: Any,
    ) -> Ports:
        """Return the ports of a request; ``more`` are fields of ``kind``.

        ``image_id`` is the image of an upload.

        The volume service knows the array of this backend, and those of
        others as `_find_array` does.
        """
        here = self._declared
        # if unknown, the service counts as one array
        array_id = here.array_id or f"service:{self.driver.host}"
        cluster = self.driver.cluster_name or self.driver.host
        volumes = RequestVolumes(
            context=images.context,
            array_ids={self.driver.host: array_id, cluster: array_id},
            find_array=functools.partial(self._find_array, here),
            internal_user_id=image_id and self._image_volume_user(),
            image_id=image_id,
        )
        array = kind(
            driver=self.driver,
            volumes=volumes,
            extra={"array_id": array_id, **self.extra},
            frozen=_is_frozen(self.driver.host),
            **more,
        )
        return Ports(images=images, volumes=volumes, array=array)

    def _image_volume_user(self) -> str | None:
        """Return the user of image volumes, as Cinder; None: the requester."""
        tenant = None
        if self.driver.configuration.image_upload_use_internal_tenant:
            tenant = cinder_context.get_internal_tenant_context()
        return None if tenant is None else str(tenant.user_id)

    @property
    def _declared(self) -> Backend:
        with translate_errors("reading the driver's capabilities"):
            return backend_from_driver(self.driver, extra=self.extra)

    @functools.cached_property
    def _reported(self) -> ReportedArrays:
        return ReportedArrays()

    def _find_array(self, here: Backend, service: str) -> str | None:
        """Return the array of another service, from cinder.conf or reports.

        If this service's own array has no id, no other can be the same.  The
        scheduler is asked only if a clone of another service's volume may be
        made at all: if the array clones across pools.
        """
        if here.array_id is None:
            return None
        declared = declared_array(service)
        if declared is None and here.clone_across_pools:
            return self._reported.get(service)
        return declared

    def reported(self, capabilities: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the report for the scheduler, with the backend's facts."""
        with surviving(LOG, "cannot add to the report for the scheduler"):
            return with_facts(
                capabilities,
                self._declared,
                caches=self.config().image_volume_cache_enabled,
            )
        return capabilities

    def decide(
        self, gather: Callable[[], Request], named: Mapping[str, str]
    ) -> Decision | None:
        """Decide; None if the facts cannot be read, which is logged.

        ``named`` are the fields of a log line that name the request:
        operation, image and volume.
        """
        try:
            return decide(gather(), self.settings.policy)
        except Exception as error:  # noqa: BLE001 - Cinder can copy the data
            metrics.count_undecided(named["operation"], error)
            with surviving(LOG, "could not report an error"):
                reports.log_undecided(error, named)
            return None

    def _report(
        self,
        decision: Decision,
        verdict: str,
        prediction: Prediction | None = None,
    ) -> None:
        """Log and count a decision.

        ``verdict`` is what is to be done; if Cinder itself acts, what the
        policy would do, and the prediction what Cinder does.
        """
        decision_id = str(uuid.uuid4())
        metrics.mark_span(decision, decision_id)
        metrics.count_decision(decision, self.settings)
        with surviving(LOG, "could not report a decision"):
            reports.log_decision(
                decision,
                self.settings,
                verdict,
                prediction,
                decision_id=decision_id,
            )

    @contextlib.contextmanager
    def watch(
        self, decision: Decision | None, able: Able, named: Mapping[str, str]
    ) -> Iterator[Deed]:
        """Let Cinder act in the block; if it decides itself, report both.

        The block records what Cinder does in the `Deed` that is yielded.
        ``named`` is as in `decide`.
        """
        deed, prediction, verdict = Deed(), NOT_PREDICTED, UNKNOWN
        if self.enforces:
            yield deed
            return
        if decision is not None:
            verdict = self._done(decision, able)
            with surviving(LOG, "could not predict what Cinder does"):
                capabilities = getattr(self.driver, "capabilities", None)
                prediction = predict(decision, capabilities or {})
            self._report(decision, verdict, prediction)
        try:
            yield deed
        except BaseException as error:
            deed.fail(error)
            raise
        finally:
            with surviving(LOG, "could not report what Cinder did"):
                reports.log_deed(deed, prediction, verdict, named)
                if decision is not None and differ(verdict, deed.did) == "yes":
                    metrics.count_difference(decision, self.settings, deed.did)

    def tell_not_made(self, context: Any, decision: Decision) -> None:
        """Write a user message: there is neither a clone nor a copy."""
        with surviving(LOG, "could not write a user message"):
            reports.write_message(
                context, decision, own_texts=self.settings.user_messages
            )

    def enforce(
        self,
        context: Any,
        gather: Callable[[], Request],
        able: Able,
        named: Mapping[str, str],
    ) -> Decision | None:
        """Decide, as `decide` does, for a request to carry out.

        The decision is reported if it is carried out here; `watch` reports
        any other.

        Raises:
            cinder.exception.ImageUnacceptable: the decision is to refuse,
                and decisions are carried out here.
        """
        decision = self.decide(gather, named)
        if decision is None or not self.enforces:
            return decision
        self._report(decision, self._done(decision, able))
        if isinstance(decision, Refuse):
            self.tell_not_made(context, decision)
            raise refused(decision)
        return decision

    def _done(self, decision: Decision, able: Able) -> str:
        """Return the verdict that is carried out, if no step fails."""
        if (
            self.settings.policy is installed_release().stock
            or not isinstance(decision, Clone | Register)
            or (able(decision) and not self.declines(decision))
        ):
            return decision.verdict
        if isinstance(decision, Register):
            return "upload"  # Cinder then uploads without a decision
        routes = {attempt.route for attempt in decision.plan.attempts}
        return "download" if Route.DOWNLOAD in routes else "refuse"

    def declines(self, decision: Decision) -> bool:
        """Return whether to copy the data because of the notes."""
        return bool(decision.notes) and self.settings.notes is Notes.DECLINE


def refused(decision: Decision) -> exception.ImageUnacceptable:
    """Return the error of a request that is not carried out.

    Cinder does not send such a request to another host.
    """
    told = bool(tenant_findings(decision))
    return exception.ImageUnacceptable(
        image_id=printable(decision.request.image.id),
        reason=explain_to_tenant(decision) if told else reports.NOT_MADE,
    )


def _is_frozen(host: str) -> bool:
    try:
        service = objects.Service.get_by_args(
            cinder_context.get_admin_context(),
            volume_utils.extract_host(host, "backend"),
            constants.VOLUME_BINARY,
        )
    except exception.ServiceNotFound:
        return False
    return bool(service.frozen)
