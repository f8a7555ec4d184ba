"""What the checks ask of a running cloud (extra ``cloud``)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from typing_extensions import override

from clonepolicy import AdapterError, FactError, Image, Quota, VolumeType
from clonepolicy.adapters.lint._check import CloudView
from clonepolicy.adapters.openstack import CloudFacts
from clonepolicy.adapters.records import (
    Pool,
    image_from_v2,
    volume_type_from_api,
)

_PAGE = 1000
"""Images in one answer, as many as Glance gives at most by default."""


class RunningCloud(CloudView):
    """A cloud, read by GET; what was read once is not read again."""

    def __init__(self, facts: CloudFacts, user_name: str | None) -> None:
        """Ask as the user of ``facts``.

        Args:
            facts: the cloud.
            user_name: the ``username`` in ``[glance]`` of cinder.conf.
        """
        self._facts = facts
        self._user_name = user_name

    @override
    def service_roles(self) -> frozenset[str]:
        if self._user_name is None:
            raise AdapterError("no username is set in [glance]")
        return self._facts.roles_of(self._user_name)

    @override
    def project_id(self, name: str) -> str | None:
        body = self._facts.cloud.get("identity", "v3", "projects", name=name)
        found = _listed(body, "projects")
        return str(found[0].get("id")) if len(found) == 1 else None

    @override
    def volume_types(self) -> tuple[VolumeType, ...]:
        return self._types

    @cached_property
    def _types(self) -> tuple[VolumeType, ...]:
        body = self._facts.cloud.get(
            "block-storage", "types", is_public="None"
        )
        try:
            kinds = _listed(body, "volume_types")
            return tuple(map(volume_type_from_api, kinds))
        except FactError as error:
            raise AdapterError(f"volume types: {error}") from error

    @override
    def encrypted_types(self) -> frozenset[str]:
        return self._encrypted

    @cached_property
    def _encrypted(self) -> frozenset[str]:
        return frozenset(
            kind.id
            for kind in self._types
            if self._facts.is_encrypted(kind.id)
        )

    @override
    def pools(self) -> tuple[Pool, ...]:
        return self._facts.pools()

    @override
    def images(self) -> tuple[Image, ...]:
        return self._images

    @cached_property
    def _images(self) -> tuple[Image, ...]:
        found: list[Image] = []
        query: dict[str, object] = {"limit": _PAGE}
        while True:
            body = self._facts.cloud.get("image", "v2", "images", **query)
            page = _listed(body, "images")
            try:
                found += (image_from_v2(row, visible=True) for row in page)
            except FactError as error:
                raise AdapterError(f"images: {error}") from error
            if not page or body.get("next") is None:
                return tuple(found)
            query["marker"] = page[-1].get("id")

    @override
    def quota(self, project_id: str) -> Quota:
        return self._facts.quota(project_id, None)


def _listed(body: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    found = body.get(name)
    if not isinstance(found, list) or not all(
        isinstance(row, Mapping) for row in found
    ):
        raise AdapterError(f"{name}: the answer is not as documented")
    return found
