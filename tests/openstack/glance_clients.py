"""Users of a real Glance, and images of the user alice."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import attrs

from clonepolicy.adapters.glance import GlanceImages, Patience

if TYPE_CHECKING:
    from glance_proxy import Proxy
    from glance_server import Glance

QUICK = Patience(first=0.02, longest=0.2, total=20, grace=0.3)
SERVICE = ("service", "admin", "member", "reader")
DATA = bytes(range(256)) * 8192


def privileged(of: Glance | Proxy, **patience: Any) -> GlanceImages:
    """Act for alice, with a service user that has both roles."""
    return GlanceImages(
        of.client("alice"),
        service_client=of.client("services", *SERVICE),
        service_roles=frozenset({"service", "admin"}),
        patience=attrs.evolve(QUICK, **patience),
    )


def plain(of: Glance | Proxy) -> GlanceImages:
    """Act for alice with her own credentials only."""
    return GlanceImages(of.client("alice"), patience=QUICK)


def queue(of: Glance, **fields: Any) -> str:
    """Create an image of alice without data; return its id."""
    body = {"disk_format": "raw", "container_format": "bare"} | fields
    return str(of.client("alice").images.create(name="image", **body).id)


def fill(of: Glance, image_id: str, data: bytes = DATA) -> None:
    """Upload data to an image, without the adapter."""
    of.client("alice").images.upload(image_id, io.BytesIO(data))


def filled(of: Glance) -> str:
    """Create an image of alice with `DATA`; return its id."""
    image_id = queue(of)
    fill(of, image_id)
    return image_id


def status(of: Glance, image_id: str) -> str:
    """Read an image's status, without the adapter."""
    return str(of.client("alice").images.get(image_id)["status"])
