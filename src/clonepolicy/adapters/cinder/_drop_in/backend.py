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
from clonepolicy.adapters.cinder._driver import (
    CinderArray,
    backend_from_driver,
)
from clonepolicy.adapters.cinder._drop_in import metrics, reports
from clonepolicy.adapters.cinder._drop_in.shadow import (
    NOT_PREDICTED,
    UNKNOWN,
    Deed,
    Prediction,
    differ,
    predict,
)
from clonepolicy.adapters.cinder._errors import traced, translate_errors
from clonepolicy.adapters.cinder._images import CinderImages
from clonepolicy.adapters.cinder._options import (
    Mode,
    Notes,
    Settings,
    config_from,
)
from clonepolicy.adapters.cinder._pools import with_facts
from clonepolicy.adapters.cinder._releases import installed_release
from clonepolicy.adapters.cinder._volumes import RequestVolumes
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
        array_id = self._array_id
        cluster = self.driver.cluster_name or self.driver.host
        volumes = RequestVolumes(
            context=images.context,
            array_ids={self.driver.host: array_id, cluster: array_id},
            find_array=self._find_array,
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

    @property
    def _array_id(self) -> str:
        """The array's id; if unknown, the service counts as one array."""
        return self._declared.array_id or f"service:{self.driver.host}"

    @functools.cached_property
    def _reported(self) -> ReportedArrays:
        return ReportedArrays()

    def _find_array(self, service: str) -> str | None:
        """Return the array of another service, from cinder.conf or reports.

        If this service's own array has no id, no other can be the same.  The
        scheduler is asked only if a clone of another service's volume may be
        made at all: if the array clones across pools.
        """
        here = self._declared
        if here.array_id is None:
            return None
        declared = declared_array(service)
        if declared is None and here.clone_across_pools:
            return self._reported.get(service)
        return declared

    def reported(self, capabilities: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the report for the scheduler, with the backend's facts."""
        try:
            return with_facts(
                capabilities,
                backend_from_driver(self.driver, extra=self.extra),
                caches=self.config().image_volume_cache_enabled,
            )
        except Exception as error:  # noqa: BLE001 - the report goes out
            LOG.warning(
                "clonepolicy cannot add to the report for the scheduler\n%s",
                traced(error),
            )
            return capabilities

    def decide(
        self, operation: str, gather: Callable[[], Request]
    ) -> Decision | None:
        """Decide; None if the facts cannot be read, which is logged."""
        try:
            return decide(gather(), self.settings.policy)
        except Exception as error:  # noqa: BLE001 - Cinder can copy the data
            reports.log_undecided(operation, error)
            metrics.count_undecided(operation, error)
            return None

    def report(self, context: Any, decision: Decision, verdict: str) -> None:
        """Log and count a decision, and write a user message if refused.

        ``verdict`` is what is to be done; if Cinder itself acts, what the
        policy would do.
        """
        decision_id = str(uuid.uuid4())
        metrics.mark_span(decision, decision_id)
        metrics.count_decision(decision, self.settings)
        try:
            reports.log_decision(
                decision,
                self.settings,
                verdict,
                self._predict(decision) if self._shadows else None,
                decision_id=decision_id,
            )
            self._tell(context, decision)
        except Exception as error:  # noqa: BLE001 - it is made all the same
            LOG.warning(
                "clonepolicy could not report a decision\n%s", traced(error)
            )

    @property
    def _shadows(self) -> bool:
        """Whether Cinder itself decides, also under its own policy."""
        return not self.enforces

    def _predict(self, decision: Decision) -> Prediction:
        capabilities = getattr(self.driver, "capabilities", None) or {}
        return predict(decision, capabilities)

    @contextlib.contextmanager
    def watch(
        self, decision: Decision | None, able: Able, **request: str
    ) -> Iterator[Deed]:
        """Let Cinder act in the block; log what it did if it decides itself.

        The block records what Cinder does in the `Deed` that is yielded.
        ``request`` are the fields of the log line that name the request.
        """
        deed = Deed()
        try:
            yield deed
        except BaseException as error:
            deed.fail(error)
            raise
        finally:
            if self._shadows:
                self._log_deed(deed, decision, able, request)

    def _log_deed(
        self,
        deed: Deed,
        decision: Decision | None,
        able: Able,
        request: dict[str, str],
    ) -> None:
        try:
            prediction, verdict = NOT_PREDICTED, UNKNOWN
            if decision is not None:
                prediction = self._predict(decision)
                verdict = self._done(decision, able)
            reports.log_deed(deed, prediction, verdict, request)
            if decision is not None and differ(verdict, deed.did) == "yes":
                metrics.count_difference(decision, self.settings, deed.did)
        except Exception as error:  # noqa: BLE001 - Cinder has acted
            LOG.warning(
                "clonepolicy could not report what Cinder did\n%s",
                traced(error),
            )

    def report_not_made(self, context: Any, decision: Decision) -> None:
        """Write a user message: there was neither a clone nor a copy."""
        try:
            self._tell(context, decision, not_made=True)
        except Exception as error:  # noqa: BLE001 - the create fails anyway
            LOG.warning(
                "clonepolicy could not write a user message\n%s", traced(error)
            )

    def _tell(
        self, context: Any, decision: Decision, *, not_made: bool = False
    ) -> None:
        """Write a user message if nothing is made, and only then."""
        if self.enforces and (not_made or isinstance(decision, Refuse)):
            reports.write_message(
                context, decision, own_texts=self.settings.user_messages
            )

    def enforce(
        self,
        operation: str,
        context: Any,
        gather: Callable[[], Request],
        able: Able,
    ) -> Decision | None:
        """Decide and report; None if the facts cannot be read.

        Raises:
            cinder.exception.ImageUnacceptable: the decision is to refuse,
                and decisions are carried out here.
        """
        decision = self.decide(operation, gather)
        if decision is None:
            return None
        self.report(context, decision, self._done(decision, able))
        if self.enforces and isinstance(decision, Refuse):
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
