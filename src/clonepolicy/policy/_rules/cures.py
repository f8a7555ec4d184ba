"""Cures, and changes of facts, that several files of rules give."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from clonepolicy._facts.requests import (
    ArrayImage,
    CacheEntry,
    Candidate,
    CreateRequest,
    ImageVolume,
    Request,
)
from clonepolicy.policy._cure import Cost, Cure, Responsible
from clonepolicy.policy._rules.cache import can_be_filled
from clonepolicy.policy._rules.new_source import (
    NEW_TENANT,
    replaced,
    trusted_project,
)

Changes: TypeAlias = Callable[..., Mapping[str, Any] | None]


def declared(capability: str) -> Callable[..., Mapping[str, Any] | None]:
    """Return the changes that declare a capability, if it is not known."""

    def changes(request: Request, *_: object) -> Mapping[str, Any] | None:
        unknown = getattr(request.backend, capability) is None
        return {f"backend.{capability}": True} if unknown else None

    return changes


def with_internal_tenant(request: Request) -> Mapping[str, Any]:
    """Return the changes that set the internal tenant and its use."""
    config = request.config
    return {
        "config.cinder_internal_tenant_project_id": (
            config.cinder_internal_tenant_project_id or NEW_TENANT
        ),
        "config.cinder_internal_tenant_user_id": (
            config.cinder_internal_tenant_user_id or "cinder"
        ),
        "config.image_upload_use_internal_tenant": True,
    }


def by_upload(changes: Callable[..., Any]) -> Callable[..., Any]:
    """Return what an upload changes; None: the driver keeps it from cloning.

    Where the driver clones no volume that is uploading, an upload only sends
    the data.
    """
    return lambda request, *candidate: (
        None
        if request.backend.clone_while_uploading is False
        else changes(request, *candidate)
    )


def by_store(changes: Callable[..., Any]) -> Callable[..., Any]:
    """Return the same changes for such a driver: Glance makes the volume.

    None: no project of Glance's store is known to be trusted.
    """
    return lambda request, *candidate: (
        changes(request, *candidate)
        if request.backend.clone_while_uploading is False
        and trusted_project(request) is not None
        else None
    )


def _replaced_if(kind: type[Candidate]) -> Changes:
    return lambda request, candidate: (
        replaced(request, candidate) if isinstance(candidate, kind) else None
    )


def _filled_anew(
    request: CreateRequest, candidate: Candidate
) -> Mapping[str, Any] | None:
    cached = isinstance(candidate, CacheEntry) and can_be_filled(request)
    return replaced(request, candidate) if cached else None


STORED_ON_ARRAY = Cure(
    "have Glance store the image on the array",
    Responsible.OPERATOR,
    _replaced_if(ArrayImage),
    Cost.DATA,
)
UPLOADED = Cure(
    "upload the image from a volume with image_upload_use_cinder_backend",
    Responsible.OPERATOR,
    by_upload(_replaced_if(ImageVolume)),
    Cost.DATA,
)
KEPT_IN_STORE = Cure(
    "keep the image in a cinder store of Glance, in a trusted project",
    Responsible.OPERATOR,
    by_store(_replaced_if(ImageVolume)),
    Cost.DATA,
)
CACHED = Cure(
    "create one volume from the image, which fills the cache",
    Responsible.OPERATOR,
    _filled_anew,
    Cost.DATA,
)
INTERNAL_TENANT_SET = Cure(
    "set cinder_internal_tenant_project_id and cinder_internal_tenant_user_id",
    Responsible.OPERATOR,
    with_internal_tenant,
    Cost.RESTART,
)
