"""Clone or download, register or upload: decide, explain, carry out.

Typed facts go in.  A closed verdict comes out, with every reason for and
against it, and with a plan.  Deciding is pure and total; ports carry the
plan out.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from clonepolicy._decide.decide import decide
    from clonepolicy._decide.decision import (
        Clone,
        CreateDecision,
        Decision,
        Download,
        Refuse,
        Register,
        Upload,
        UploadDecision,
    )
    from clonepolicy._decide.explain import explain
    from clonepolicy._decide.finding import CandidateResult, Finding, Remedy
    from clonepolicy._decide.to_tenant import (
        explain_to_tenant,
        tenant_findings,
    )
    from clonepolicy._decide.unblock import Unblock, what_would_it_take
    from clonepolicy._errors import (
        AdapterError,
        CloneLimitError,
        ClonePolicyError,
        ConflictError,
        FactError,
        ForbiddenError,
        IntegrityError,
        LeftBehindError,
        NotFoundError,
        QuotaError,
        StaleError,
        UnavailableError,
        UnsupportedError,
    )
    from clonepolicy._execute.outcome import Failure, Outcome
    from clonepolicy._execute.run import execute, recover
    from clonepolicy._facts.config import (
        Config,
        GlanceConfig,
        GlanceStore,
        Quota,
    )
    from clonepolicy._facts.locations import (
        CinderLocation,
        FileLocation,
        Location,
        MalformedLocation,
        OtherLocation,
        RbdLocation,
        parse_location,
    )
    from clonepolicy._facts.records import (
        Backend,
        CloneKind,
        GiB,
        Host,
        Image,
        LocationsFrom,
        Volume,
        VolumeType,
    )
    from clonepolicy._facts.requests import (
        ArrayImage,
        CacheEntry,
        Candidate,
        CreateRequest,
        ImageVolume,
        Operation,
        Request,
        UploadRequest,
    )
    from clonepolicy._gather import gather_create, gather_upload
    from clonepolicy.policy._reason import Reason
    from clonepolicy.policy._shipped import (
        CINDER_27,
        CINDER_29,
        LIBERTY,
        POLICIES,
        SAFE,
    )
    from clonepolicy.policy._tables import Route
else:

    def __getattr__(name: str) -> object:
        # nothing is imported while a program starts: a Ctrl-C during an
        # import would end it with a traceback
        from clonepolicy._lazy import on_first_use  # noqa: PLC0415

        find, _ = on_first_use(
            __name__,
            "_errors",
            "_facts.locations",
            "_facts.records",
            "_facts.config",
            "_facts.requests",
            "policy._reason",
            "policy._tables",
            "policy._shipped",
            "_decide.finding",
            "_decide.decision",
            "_decide.unblock",
            "_decide.explain",
            "_decide.to_tenant",
            "_decide.decide",
            "_execute.outcome",
            "_execute.run",
            "_gather",
        )
        return find(name)

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})


__all__ = [
    "CINDER_27",
    "CINDER_29",
    "LIBERTY",
    "POLICIES",
    "SAFE",
    "AdapterError",
    "ArrayImage",
    "Backend",
    "CacheEntry",
    "Candidate",
    "CandidateResult",
    "CinderLocation",
    "Clone",
    "CloneKind",
    "CloneLimitError",
    "ClonePolicyError",
    "Config",
    "ConflictError",
    "CreateDecision",
    "CreateRequest",
    "Decision",
    "Download",
    "FactError",
    "Failure",
    "FileLocation",
    "Finding",
    "ForbiddenError",
    "GiB",
    "GlanceConfig",
    "GlanceStore",
    "Host",
    "Image",
    "ImageVolume",
    "IntegrityError",
    "LeftBehindError",
    "Location",
    "LocationsFrom",
    "MalformedLocation",
    "NotFoundError",
    "Operation",
    "OtherLocation",
    "Outcome",
    "Quota",
    "QuotaError",
    "RbdLocation",
    "Reason",
    "Refuse",
    "Register",
    "Remedy",
    "Request",
    "Route",
    "StaleError",
    "UnavailableError",
    "Unblock",
    "UnsupportedError",
    "Upload",
    "UploadDecision",
    "UploadRequest",
    "Volume",
    "VolumeType",
    "decide",
    "execute",
    "explain",
    "explain_to_tenant",
    "gather_create",
    "gather_upload",
    "parse_location",
    "recover",
    "tenant_findings",
    "what_would_it_take",
]
