"""Records of the configuration and quotas of Cinder and Glance."""

from __future__ import annotations

import attrs

from clonepolicy._facts.checks import checked
from clonepolicy._facts.records import Missing


@attrs.frozen(kw_only=True, field_transformer=checked)
class Config:
    """Options of cinder.conf, and two ``trusted_*`` that Cinder lacks."""

    allowed_direct_url_schemes: frozenset[str] = frozenset()
    verify_glance_signatures: str = "enabled"
    cinder_internal_tenant_project_id: str | None = None
    cinder_internal_tenant_user_id: str | None = None
    image_upload_use_cinder_backend: bool = False
    image_upload_use_internal_tenant: bool = False
    image_volume_cache_enabled: bool = False
    image_volume_cache_max_size_gb: int = 0
    """GiB; 0: no limit."""
    image_conversion_disable: bool = False
    allow_compression_on_image_upload: bool = False
    enable_force_upload: bool = False
    trusted_projects: frozenset[str] = frozenset()
    """The projects of Glance's cinder stores.  No tenant can write to their
    volumes, nor to those of the internal tenant."""
    trusted_image_pools: frozenset[str] = frozenset()
    """RBD pools and directories that only Glance writes to; a directory has
    no slash at its end."""

    def trusts(self, project_id: str) -> bool:
        """Return whether no tenant can write to the volumes of a project."""
        return (
            project_id == self.cinder_internal_tenant_project_id
            or project_id in self.trusted_projects
        )


@attrs.frozen(kw_only=True, field_transformer=checked)
class GlanceStore:
    """A cinder store among Glance's ``enabled_backends``."""

    id: str
    cinder_volume_type: str | None = None
    read_only: bool = False


@attrs.frozen(kw_only=True, field_transformer=checked)
class GlanceConfig:
    """What Glance offers, and what Cinder's ``[glance]`` user may do."""

    has_location_api: bool | None = None
    """API 2.17, GET and POST /v2/images/{id}/locations; None: not known."""
    show_multiple_locations: bool = False
    set_image_location: bool | None = None
    """Glance's policy ``set_image_location`` lets requesters set locations
    of their images by the image API; None: not known."""
    service_roles: frozenset[str] = frozenset()
    """Roles of the ``[glance]`` user of cinder.conf."""
    stores: tuple[GlanceStore, ...] = ()
    """The cinder stores; empty: Glance has one store, without a name."""
    missing: Missing | None = None
    """Why what Glance offers is not known; None: it was read."""


@attrs.frozen(kw_only=True, field_transformer=checked)
class Quota:
    """The quota that a project has left; None: no limit.

    If ``missing`` is set, the limits are not known.
    """

    volumes: int | None = None
    gigabytes: int | None = None
    """GiB."""
    per_volume_gigabytes: int | None = None
    """GiB."""
    type_volumes: int | None = None
    """``volumes_<type>`` of the volume's type."""
    type_gigabytes: int | None = None
    """``gigabytes_<type>`` of the volume's type, GiB."""
    missing: Missing | None = None
    """Why the quota is not known; None: it was read."""

    def admits(self, size: int) -> bool:
        """Return whether the quota has room for a volume of ``size`` GiB.

        A quota that is not known admits none.
        """
        if self.missing is not None:
            return False
        for left in (self.volumes, self.type_volumes):
            if left is not None and left < 1:
                return False
        for left in (
            self.gigabytes,
            self.type_gigabytes,
            self.per_volume_gigabytes,
        ):
            if left is not None and left < size:
                return False
        return True
