"""Cinder's client of Glance as an image service."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Self

import attrs
from cinder import context as cinder_context
from cinder.image import glance
from keystoneauth1 import loading
from keystoneauth1.service_token import ServiceTokenAuthWrapper
from oslo_config import cfg

from clonepolicy import (
    AdapterError,
    CinderLocation,
    ForbiddenError,
    GlanceConfig,
    Image,
    Location,
)
from clonepolicy.adapters.cinder._errors import translate_errors
from clonepolicy.adapters.cinder._records import (
    image_from_meta,
    locations_from_tuple,
)
from clonepolicy.adapters.cinder._releases import installed_release
from clonepolicy.adapters.conf._own import (
    Settings,
)
from clonepolicy.adapters.glance import GlanceImages
from clonepolicy.ports import why_unread

_GROUP = "glance"
_ROLES = frozenset({"service", "admin"})
"""Those that the user of ``[glance]`` needs."""
_ENDPOINTS: set[str] = set()
"""The endpoints of Glance that have had the locations API."""


class ReadLocations(tuple[Any, Any]):  # noqa: SLOT001 - it has attributes
    """What Cinder gets as the locations of an image.

    ``error``: reading them failed, and Cinder takes them for none.
    """

    read_at: float
    """When they were read.  Cinder reads the image directly afterwards."""
    error: AdapterError | None = None

    @classmethod
    def of(cls, pair: Any, read_at: float) -> Self:
        """Take what ``GlanceImageService.get_location`` has returned."""
        made = cls(pair)
        made.read_at = read_at
        return made

    @classmethod
    def unread(cls, error: AdapterError, read_at: float) -> Self:
        """Keep the error for the decision."""
        made = cls.of((None, []), read_at)
        made.error = error
        return made


@attrs.define(kw_only=True, slots=False)
class CinderImages:
    """An `ImageService` that reads images by Cinder's own client.

    `GlanceImages` does what Cinder's client cannot.  It also reads images if
    ``image_service`` is None, with half the requests.  ``image_location`` and
    ``image_meta`` are the locations and the image that Cinder has read, the
    locations as `ReadLocations` if it is known when.  ``fresh`` is for how
    many seconds an image that was read counts as unchanged.  ``config`` is
    what Glance offers, and None asks Glance.
    """

    context: Any
    image_service: Any
    settings: Settings
    image_location: Any = None
    image_meta: Mapping[str, Any] | None = None
    fresh: float = 0.0
    config: GlanceConfig | None = None
    now: Callable[[], float] = time.monotonic
    _read_at: float | None = attrs.field(
        init=False,
        default=attrs.Factory(
            lambda self: getattr(self.image_location, "read_at", None),
            takes_self=True,
        ),
    )

    @functools.cached_property
    def glance(self) -> GlanceImages:
        """The client of Glance, made when it is first needed."""
        with translate_errors("making a client of Glance"):
            return glance_images(self.context, self.settings)

    def get_config(self) -> GlanceConfig:
        """Return what Glance offers."""
        return self.config or self.glance.get_config()

    def get_image(self, image_id: str) -> Image:
        """Read an image with the requester's credentials."""
        error = getattr(self.image_location, "error", None)
        with translate_errors(f"reading image {image_id}"):
            return image_from_meta(
                self._read(image_id),
                self.image_location,
                visible=True,
                downloadable=self._may_download(image_id),
                locations_from=None if error is None else why_unread(error),
            )

    def _read(self, image_id: str) -> Mapping[str, Any]:
        known, read_at, now = self.image_meta, self._read_at, self.now()
        if (
            known is not None
            and read_at is not None
            and now - read_at < self.fresh
            and known.get("id") == image_id
        ):
            return known
        if self.image_service is None:
            read = {**self.glance.read(image_id), "properties": {}}
        else:
            read = self.image_service.show(self.context, image_id)
        self.image_meta, self._read_at = read, now
        return read

    def _may_download(self, image_id: str) -> bool:
        if not self.settings.download_image_restricted:
            return True
        return self.glance.may_download(image_id)

    def get_locations(self, image_id: str) -> tuple[Location, ...]:  # noqa: ARG002 - Cinder has read them
        """Return the locations that Cinder has read."""
        error: AdapterError | None
        error = getattr(self.image_location, "error", None)
        if error is not None:
            raise error
        return locations_from_tuple(self.image_location)

    def add_location(self, image_id: str, location: CinderLocation) -> None:
        """Register a location; do nothing if the image shows it already."""
        self.glance.add_location(image_id, location)

    def withdraw_location(
        self, image_id: str, location: CinderLocation
    ) -> None:
        """Return once the image does not show the location, or raise."""
        self.glance.withdraw_location(image_id, location)

    def verify_location(self, image_id: str, location: CinderLocation) -> None:
        """Return once the image is active and shows the location."""
        self.glance.verify_location(image_id, location)

    def download(self, image_id: str) -> Iterator[bytes]:
        """Yield the image's data, checked against its size and hash."""
        return self.glance.download(image_id)

    def upload(self, image_id: str, data: Iterable[bytes]) -> None:
        """Give a queued image its data, after which it is active."""
        self.glance.upload(image_id, data)

    def discard(self, image_id: str) -> None:
        """Delete an image that has no data; leave any other alone."""
        self.glance.discard(image_id)


@attrs.define(kw_only=True, slots=False)
class ServiceImages(CinderImages):
    """Images as the user of ``[glance]`` sees them, when no user asks.

    Raises:
        ForbiddenError: that user has not the role admin, without which
            Glance hides private images: a hidden image looks deleted.
    """

    @functools.cached_property
    def glance(self) -> GlanceImages:
        """The client of Glance, with the credentials of ``[glance]``."""
        with translate_errors("making a client of Glance"):
            found = glance_images(_service_context(), self.settings)
        if "admin" not in found.get_config().service_roles:
            raise ForbiddenError("give the user of [glance] the role admin")
        return found


def glance_user(conf: cfg.ConfigOpts) -> bool:
    """Return whether ``[glance]`` has credentials; register its options.

    Where Cinder does not read them, this package does.  Without keystone
    they count for nothing, as in Cinder.
    """
    release = installed_release()
    if not release.glance_user:
        loading.register_auth_conf_options(conf, _GROUP)
        loading.register_session_conf_options(conf, _GROUP)
    if not release.glance_region:
        conf.register_opt(cfg.StrOpt("region_name"), group=_GROUP)
    return conf.auth_strategy == "keystone" and bool(conf.glance.auth_type)


def _service_context() -> Any:
    """Make a context whose requests have the credentials of ``[glance]``."""
    conf = cfg.CONF
    if not glance_user(conf):
        return cinder_context.get_admin_context()
    auth, catalog = _service_auth(), []
    if conf.glance_api_servers is None:
        kind, _, interface = conf.glance_catalog_info.split(":")
        region = conf.glance.region_name
        url = auth.get_endpoint(
            loading.load_session_from_conf_options(conf, _GROUP, auth=auth),
            service_type=kind,
            interface=interface.removesuffix("URL"),
            region_name=region,
        )
        endpoint = {interface: url, "region": region}
        catalog.append({"type": kind, "endpoints": [endpoint]})
    return cinder_context.RequestContext(
        is_admin=True,
        overwrite=False,
        service_catalog=catalog,
        user_auth_plugin=auth,
    )


@functools.cache
def _service_auth() -> Any:
    """Load the credentials of ``[glance]``, which keep their token.

    Cinder's own client loads them for each request, and so fetches a token
    for each.
    """
    return loading.load_auth_from_conf_options(cfg.CONF, _GROUP)


def glance_clients(context: Any) -> tuple[Any, Any]:
    """Make clients of Glance for the requester and for ``[glance]``.

    The second is None if ``[glance]`` has no credentials.
    """
    clients = glance.GlanceClientWrapper()
    service = None
    if glance_user(cfg.CONF):
        service = (
            clients._create_onetime_client(context, privileged_user=True)
            if installed_release().glance_user
            else clients._create_onetime_client(_service_context())
        )
        http, auth = service.http_client, _service_auth()
        if isinstance(http.auth, ServiceTokenAuthWrapper):
            http.auth.user_auth = auth
        else:
            http.auth = auth
    return clients._create_onetime_client(context), service


def _service_roles(session: Any) -> list[str]:
    """Return the roles of the user of ``[glance]``.

    A token that was kept does not show a role that was given since.
    """
    auth = _service_auth()
    kept: Any = getattr(auth, "auth_ref", None)
    access = auth.get_access(session)
    if access is kept and not _ROLES.issubset(access.role_names):
        auth.invalidate()
        access = auth.get_access(session)
    roles: list[str] = access.role_names
    return roles


def glance_images(context: Any, settings: Settings) -> GlanceImages:
    """Make an image service for the requester and for ``[glance]``."""
    requester, service = glance_clients(context)
    roles = context.roles
    if service is not None:
        roles = _service_roles(service.http_client.session)
    return GlanceImages(
        requester,
        service_client=service,
        service_roles=frozenset(roles or ()),
        stores=settings.glance_stores,
        show_multiple_locations=settings.show_multiple_locations,
        set_image_location=(
            False if settings.set_image_location_restricted else None
        ),
        asks_download=settings.download_image_restricted,
        endpoints=_ENDPOINTS,
    )
