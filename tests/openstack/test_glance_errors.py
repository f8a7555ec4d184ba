"""Every failure of Glance becomes an AdapterError of the right kind."""

from __future__ import annotations

import json
import socket
import traceback

import pytest

pytest.importorskip("cinderclient", reason="run by nox -s openstack")
pytest.importorskip("glance", reason="run by nox -s openstack")

from typing import TYPE_CHECKING

import glanceclient
from glance_clients import DATA, QUICK, filled, privileged, queue
from glance_proxy import Fault, Proxy, answering, changing, lost_request
from keystoneauth1 import exceptions as keystone
from keystoneauth1 import session, token_endpoint

from clonepolicy import (
    AdapterError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    QuotaError,
    UnavailableError,
    UnsupportedError,
)
from clonepolicy.adapters.glance import GlanceImages

if TYPE_CHECKING:
    from glance_server import Glance

SECRET = "s3cr3t"  # noqa: S105 - not used as one
IMAGE = "GET /v2/images/[^/]*"
FILE = f"{IMAGE}/file"
LOCATIONS = f"{IMAGE}/locations"


def edited(**fields: object) -> Fault:
    """Change fields of the image on the way."""

    def edit(body: bytes) -> bytes:
        return json.dumps(json.loads(body) | fields).encode()

    return changing(edit)


def logged(error: BaseException) -> str:
    """Return all that a log could contain about an error."""
    return "".join((repr(error), *traceback.format_exception(error)))


class TestKinds:
    """Every failure has its kind, and no message contains a secret."""

    @pytest.mark.parametrize(
        ("code", "kind"),
        [
            (300, AdapterError),
            (400, AdapterError),
            (401, ForbiddenError),
            (403, ForbiddenError),
            (404, NotFoundError),
            (405, UnsupportedError),
            (409, ConflictError),
            (410, AdapterError),
            (413, QuotaError),
            (429, AdapterError),
            (500, UnavailableError),
            (501, UnsupportedError),
            (502, UnavailableError),
            (503, UnavailableError),
            (504, AdapterError),
        ],
    )
    def test_a_status_has_a_kind(
        self, proxy: Proxy, code: int, kind: type[AdapterError]
    ) -> None:
        """Glanceclient does not tell 504 and others apart."""
        proxy.always(IMAGE, answering(code, SECRET.encode()))
        with pytest.raises(AdapterError) as raised:
            privileged(proxy).get_image("image")

        assert kind is type(raised.value)
        assert "image" in str(raised.value)
        for secret in (SECRET, "alice=member", proxy.url, "http://"):
            assert secret not in logged(raised.value)

    @pytest.mark.parametrize(
        ("field", "fault"),
        [
            ("html", answering(200, b"<html>")),
            ("list", answering(200, b"[1]")),
            ("bare", answering(200, b'{"id": 1}')),
            ("few", answering(200, b'{"status": "active"}')),
            ("min_disk", edited(min_disk=SECRET)),
            ("status", edited(status=None)),
            ("url", edited(direct_url=[SECRET])),
        ],
        ids=["html", "list", "bare", "few", "min_disk", "status", "url"],
    )
    def test_an_invalid_answer_is_an_adapter_error(
        self, glance: Glance, proxy: Proxy, field: str, fault: Fault
    ) -> None:
        """The message names the field, not its value."""
        proxy.always(IMAGE, fault)
        proxy.always(LOCATIONS, answering(403))
        images, image_id = privileged(proxy), queue(glance)
        read = images.get_locations if field == "url" else images.get_image
        with pytest.raises(AdapterError) as raised:
            read(image_id)

        assert SECRET not in logged(raised.value)

    def test_a_refused_connection_is_unavailable(self, glance: Glance) -> None:
        """The kind is that of a lost connection."""
        with socket.create_server(("127.0.0.1", 0)) as closed:
            port = closed.getsockname()[1]
        url = f"http://127.0.0.1:{port}"
        images = GlanceImages(glance.client("alice", url=url), patience=QUICK)
        with pytest.raises(UnavailableError) as raised:
            images.get_config()

        assert url not in logged(raised.value)

    def test_a_client_with_a_keystone_session_works(
        self, glance: Glance, proxy: Proxy
    ) -> None:
        """Its errors have kinds too."""
        image_id = filled(glance)
        token = "alice=member+reader"  # noqa: S105 - no secret here
        for url in (glance.url, proxy.url):
            made = session.Session(token_endpoint.Token(url, token))
            client = glanceclient.Client("2", session=made)
            images = GlanceImages(client, patience=QUICK)
            assert DATA == b"".join(images.download(image_id))
        proxy.always(IMAGE, lost_request)
        with pytest.raises(UnavailableError):
            images.get_image(image_id)

    @pytest.mark.parametrize(
        ("error", "kind"),
        [
            (keystone.http.Unauthorized(SECRET), ForbiddenError),
            (keystone.http.ServiceUnavailable(SECRET), UnavailableError),
            (keystone.EndpointNotFound(SECRET), AdapterError),
            (keystone.ConnectFailure(SECRET), UnavailableError),
        ],
    )
    def test_keystones_errors_have_kinds(
        self, error: Exception, kind: type[AdapterError]
    ) -> None:
        """They occur when the token itself cannot be obtained."""

        class Client:
            @property
            def http_client(self) -> object:
                raise error

        with pytest.raises(AdapterError) as raised:
            GlanceImages(Client(), patience=QUICK).get_config()

        assert kind is type(raised.value)
        assert SECRET not in logged(raised.value)

    def test_repr_shows_no_client(self, glance: Glance) -> None:
        """Clients contain tokens."""
        images = GlanceImages(glance.client("alice"))

        assert "lient" not in repr(images).replace("GlanceImages", "")


class TestRepeating:
    """Requests that may be repeated are repeated a few times."""

    def test_a_short_outage_does_not_matter(
        self, glance: Glance, proxy: Proxy
    ) -> None:
        """Glance answers 503, or the connection is lost."""
        image_id = filled(glance)
        proxy.inject(IMAGE, answering(503), lost_request)
        proxy.inject(FILE, lost_request, answering(503))
        images = privileged(proxy)

        assert image_id == images.get_image(image_id).id
        assert DATA == b"".join(images.download(image_id))

    def test_repeating_is_bounded(self, proxy: Proxy) -> None:
        """The number of attempts limits it."""
        proxy.always(IMAGE, answering(503))
        with pytest.raises(UnavailableError):
            privileged(proxy, attempts=4).get_image("image")

        assert 4 == len(proxy.seen)

    def test_a_permanent_error_is_not_repeated(self, proxy: Proxy) -> None:
        """One request is sent."""
        proxy.always(IMAGE, answering(403))
        with pytest.raises(ForbiddenError):
            privileged(proxy).get_image("image")

        assert 1 == len(proxy.seen)
