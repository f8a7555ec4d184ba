"""Cinder's client of Glance as an image service."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator
from typing import Any, Self

import attrs
from cinder import context as cinder_context
from cinder.image import glance
from keystoneauth1 import loading
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
from clonepolicy.adapters.cinder._options import Settings
from clonepolicy.adapters.cinder._records import (
    image_from_meta,
    locations_from_tuple,
)
from clonepolicy.adapters.glance import GlanceImages
from clonepolicy.ports import why_unread


class UnreadLocations(tuple[None, list[str]]):  # noqa: SLOT001 - it has an error
    """What Cinder gets, and takes for none, if reading them failed."""

    error: AdapterError

    @classmethod
    def because(cls, error: AdapterError) -> Self:
        """Keep the error for the decision."""
        made = cls((None, []))
        made.error = error
        return made


@attrs.define(kw_only=True, slots=False)
class CinderImages:
    """An `ImageService` that reads images by Cinder's own client.

    `GlanceImages` does what Cinder's client cannot.  ``image_location`` are
    the locations that Cinder has read, or `UnreadLocations`; ``config`` is
    what Glance offers, and None asks Glance.
    """

    context: Any
    image_service: Any
    settings: Settings
    image_location: Any = None
    config: GlanceConfig | None = None

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
        locations = self.image_location
        unread = isinstance(locations, UnreadLocations)
        with translate_errors(f"reading image {image_id}"):
            return image_from_meta(
                self.image_service.show(self.context, image_id),
                locations,
                visible=True,
                downloadable=self._may_download(image_id),
                locations_from=why_unread(locations.error) if unread else None,
            )

    def _may_download(self, image_id: str) -> bool:
        if not self.settings.download_image_restricted:
            return True
        return self.glance.get_image(image_id).downloadable

    def get_locations(self, image_id: str) -> tuple[Location, ...]:  # noqa: ARG002 - Cinder has read them
        """Return the locations that Cinder has read."""
        if isinstance(self.image_location, UnreadLocations):
            raise self.image_location.error
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


def _service_context() -> Any:
    """Make a context whose requests have the credentials of ``[glance]``."""
    conf = cfg.CONF
    if not conf.glance.auth_type:
        return cinder_context.get_admin_context()
    auth: Any = loading.load_auth_from_conf_options(conf, "glance")
    catalog = []
    if conf.glance_api_servers is None:
        kind, _, interface = conf.glance_catalog_info.split(":")
        region = conf.glance.region_name
        url = auth.get_endpoint(
            loading.load_session_from_conf_options(conf, "glance", auth=auth),
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


def glance_clients(context: Any) -> tuple[Any, Any]:
    """Make clients of Glance for the requester and for ``[glance]``.

    The second is None if ``[glance]`` has no credentials.
    """
    clients = glance.GlanceClientWrapper()
    service = None
    if cfg.CONF.glance.auth_type:
        service = clients._create_onetime_client(context, privileged_user=True)
    return clients._create_onetime_client(context), service


def glance_images(context: Any, settings: Settings) -> GlanceImages:
    """Make an image service for the requester and for ``[glance]``."""
    requester, service = glance_clients(context)
    roles = context.roles
    if service is not None:
        auth: Any = loading.load_auth_from_conf_options(cfg.CONF, "glance")
        roles = auth.get_access(service.http_client.session).role_names
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
    )
