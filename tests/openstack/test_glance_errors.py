"""The Glance adapter when Glance, or the way to it, fails."""

from __future__ import annotations

import io
import json
import socket
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

import attrs
import pytest

pytest.importorskip("cinderclient", reason="run by nox -s openstack")
pytest.importorskip("glance", reason="run by nox -s openstack")

import glanceclient
from glance_server import (
    Ask,
    Cinder,
    Fault,
    Glance,
    Proxy,
    answering,
    changing,
    cinder,
    doing,
    glance,
    lost_answer,
    lost_request,
    open_glance,
    open_proxy,
    proxy,
)
from keystoneauth1 import exceptions as keystone
from keystoneauth1 import session, token_endpoint

from clonepolicy import (
    AdapterError,
    CinderLocation,
    ConflictError,
    ForbiddenError,
    IntegrityError,
    LocationsFrom,
    NotFoundError,
    QuotaError,
    UnavailableError,
    UnsupportedError,
    gather_create,
)
from clonepolicy.adapters.glance import GlanceImages, Patience
from clonepolicy.adapters.memory import MemoryCloud

__all__ = ["cinder", "glance", "open_glance", "open_proxy", "proxy"]

QUICK = Patience(first=0.02, longest=0.2, total=20, grace=0.3)
SERVICE = ("service", "admin", "member", "reader")
SECRET = "s3cr3t"  # noqa: S105 - looked for, not used
IMAGE = "GET /v2/images/[^/]*"
FILE = f"{IMAGE}/file"
LOCATIONS = f"{IMAGE}/locations"
VERSIONS = "GET /versions"
POST = "POST /v2/images/.*/locations"
PUT = "PUT /v2/images/.*/file"
DATA = bytes(range(256)) * 8192


def privileged(proxy: Proxy, **changes: Any) -> GlanceImages:
    """Act for alice, both users through the proxy."""
    return GlanceImages(
        proxy.client("alice"),
        service_client=proxy.client("services", *SERVICE),
        patience=attrs.evolve(QUICK, **changes),
    )


def queue(of: Glance) -> str:
    """Make an image of alice's, still without data."""
    images = of.client("alice").images
    made = images.create(
        name="image", disk_format="raw", container_format="bare"
    )
    return str(made.id)


def filled(of: Glance) -> str:
    """Make an image of alice's that has data."""
    image_id = queue(of)
    of.client("alice").images.upload(image_id, io.BytesIO(DATA))
    return image_id


def status(of: Glance, image_id: str) -> str:
    """Read an image's status past the proxy."""
    return str(of.client("alice").images.get(image_id)["status"])


def edited(**fields: object) -> Fault:
    """Pass an image on with other fields."""

    def edit(body: bytes) -> bytes:
        return json.dumps(json.loads(body) | fields).encode()

    return changing(edit)


def told(error: BaseException) -> str:
    """Write down everything that a log could hold of an error."""
    return "".join((repr(error), *traceback.format_exception(error)))


class TestKinds:
    """Every failure has its kind, and tells nothing secret."""

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
        """504 and others glanceclient does not tell apart."""
        proxy.always(IMAGE, answering(code, SECRET.encode()))
        with pytest.raises(AdapterError) as raised:
            privileged(proxy).get_image("image")

        assert kind is type(raised.value)
        assert "image" in str(raised.value)
        for secret in (SECRET, "alice=member", proxy.url, "http://"):
            assert secret not in told(raised.value)

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
    def test_an_unintelligible_answer_is_an_adapter_error(
        self, glance: Glance, proxy: Proxy, field: str, fault: Fault
    ) -> None:
        """Which names the field, and not its value."""
        proxy.always(IMAGE, fault)
        proxy.always(LOCATIONS, answering(403))
        images, image_id = privileged(proxy), queue(glance)
        read = images.get_locations if field == "url" else images.get_image
        with pytest.raises(AdapterError) as raised:
            read(image_id)

        assert SECRET not in told(raised.value)

    def test_where_nobody_listens_it_is_unavailable(
        self, glance: Glance
    ) -> None:
        """As with a lost connection."""
        with socket.create_server(("127.0.0.1", 0)) as closed:
            port = closed.getsockname()[1]
        url = f"http://127.0.0.1:{port}"
        images = GlanceImages(glance.client("alice", url=url), patience=QUICK)
        with pytest.raises(UnavailableError) as raised:
            images.get_config()

        assert url not in told(raised.value)

    def test_a_keystone_session_serves_as_well(
        self, glance: Glance, proxy: Proxy
    ) -> None:
        """Its own errors have kinds too."""
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
        """Where the token itself cannot be had."""

        class Client:
            @property
            def http_client(self) -> object:
                raise error

        with pytest.raises(AdapterError) as raised:
            GlanceImages(Client(), patience=QUICK).get_config()

        assert kind is type(raised.value)
        assert SECRET not in told(raised.value)

    def test_clients_are_not_shown(self, glance: Glance) -> None:
        """They hold tokens."""
        images = GlanceImages(glance.client("alice"))

        assert "lient" not in repr(images).replace("GlanceImages", "")


class TestRepeating:
    """What may be repeated is, a few times."""

    def test_a_short_outage_is_not_noticed(
        self, glance: Glance, proxy: Proxy
    ) -> None:
        """Whether Glance says so or the connection is lost."""
        image_id = filled(glance)
        proxy.break_(IMAGE, answering(503), lost_request)
        proxy.break_(FILE, lost_request, answering(503))
        images = privileged(proxy)

        assert image_id == images.get_image(image_id).id
        assert DATA == b"".join(images.download(image_id))

    def test_repeating_is_bounded(self, proxy: Proxy) -> None:
        """By the number of attempts."""
        proxy.always(IMAGE, answering(503))
        with pytest.raises(UnavailableError):
            privileged(proxy, attempts=4).get_image("image")

        assert 4 == len(proxy.seen)

    def test_what_waiting_does_not_cure_is_not_repeated(
        self, proxy: Proxy
    ) -> None:
        """One answer is enough."""
        proxy.always(IMAGE, answering(403))
        with pytest.raises(ForbiddenError):
            privileged(proxy).get_image("image")

        assert 1 == len(proxy.seen)


@pytest.mark.parametrize(
    "fault",
    [answering(400), answering(404), answering(500), lost_request],
    ids=["400", "404", "500", "lost"],
)
class TestUnreadableLocations:
    """The locations API fails, in ways that do not say that it is closed."""

    def test_what_the_image_shows_counts(
        self,
        open_glance: Glance,
        open_proxy: Proxy,
        cinder: Cinder,
        fault: Fault,
    ) -> None:
        """So that the image can still be cloned."""
        image_id = queue(open_glance)
        location = CinderLocation(cinder.add_volume(), "fast")
        images = privileged(open_proxy)
        images.add_location(image_id, location)
        images.verify_location(image_id, location)
        open_proxy.always(LOCATIONS, fault)

        assert (location,) == images.get_locations(image_id)
        told = images.get_image(image_id).locations_from
        assert LocationsFrom.IMAGE is told

    def test_not_to_know_is_a_fact_of_the_image(
        self, glance: Glance, proxy: Proxy, fault: Fault
    ) -> None:
        """Which does not keep a volume from being created."""
        image_id = filled(glance)
        proxy.always(LOCATIONS, fault)
        cloud = MemoryCloud()
        ports = attrs.evolve(cloud.ports("alice"), images=privileged(proxy))
        with pytest.raises(AdapterError):
            ports.images.get_locations(image_id)
        told = ports.images.get_image(image_id).locations_from
        assert LocationsFrom.UNREADABLE is told
        volume = cloud.add_volume("alice", 1, status="creating")
        request = gather_create(image_id, volume, cloud.config, ports)
        assert LocationsFrom.UNREADABLE is request.image.locations_from
        assert () == request.image_volumes


def test_an_old_glance_is_served_by_the_image(
    open_glance: Glance, open_proxy: Proxy, cinder: Cinder
) -> None:
    """Reading and registering, where v2.17 is not among the versions."""
    image_id = queue(open_glance)
    location = CinderLocation(cinder.add_volume(), "fast")
    open_proxy.always(
        VERSIONS,
        changing(lambda body: body.replace(b"v2.17", b"v2.99")),
    )
    images = privileged(open_proxy)
    images.add_location(image_id, location)
    images.verify_location(image_id, location)

    with pytest.raises(ConflictError, match="only a queued"):
        images.add_location(image_id, CinderLocation(cinder.add_volume()))

    assert images.get_config().has_location_api is False
    assert LocationsFrom.IMAGE is images.get_image(image_id).locations_from
    assert (location,) == images.get_locations(image_id)
    assert not any(seen.endswith("/locations") for seen in open_proxy.seen)


class TestLostRegistration:
    """The connection is lost while a location is registered."""

    @pytest.mark.parametrize("fault", [lost_request, answering(503)])
    def test_a_request_that_did_not_arrive_is_undone(
        self, glance: Glance, proxy: Proxy, cinder: Cinder, fault: Fault
    ) -> None:
        """It is not sent again, and the image can take something else."""
        location = CinderLocation(cinder.add_volume())
        image_id, images = queue(glance), privileged(proxy)
        proxy.break_(POST, fault)
        with pytest.raises(UnavailableError):
            images.add_location(image_id, location)
        begun = time.monotonic()
        images.withdraw_location(image_id, location)

        assert time.monotonic() - begun >= QUICK.grace
        assert 1 == sum("POST" in request for request in proxy.seen)
        assert "queued" == status(glance, image_id)

    def test_a_lost_answer_does_not_matter(
        self, glance: Glance, proxy: Proxy, cinder: Cinder
    ) -> None:
        """Glance has the request, and shows so."""
        location = CinderLocation(cinder.add_volume())
        image_id, images = queue(glance), privileged(proxy)
        proxy.break_(POST, lost_answer)
        images.add_location(image_id, location)
        images.verify_location(image_id, location)

        assert (location,) == images.get_locations(image_id)

    def test_a_request_that_arrives_late_is_noticed(
        self, glance: Glance, proxy: Proxy, cinder: Cinder
    ) -> None:
        """Within the grace: then the location is there, and stays."""
        location = CinderLocation(cinder.add_volume())
        image_id = queue(glance)
        images = privileged(proxy, grace=15)
        late = GlanceImages(glance.client("services", *SERVICE))

        def arriving(handler: Any, _ask: Ask) -> None:
            later = threading.Timer(
                0.5, late.add_location, (image_id, location)
            )
            later.start()
            handler.hang_up()

        proxy.break_(POST, arriving)
        with pytest.raises(UnavailableError):
            images.add_location(image_id, location)
        with pytest.raises(ConflictError, match="or may"):
            images.withdraw_location(image_id, location)

        assert "active" == status(glance, image_id)
        assert location.volume_id not in cinder.deleted

    def test_nothing_is_withdrawn_while_glance_is_away(
        self, glance: Glance, proxy: Proxy, cinder: Cinder
    ) -> None:
        """Waiting for it is bounded."""
        location = CinderLocation(cinder.add_volume())
        image_id, images = queue(glance), privileged(proxy, total=0.5)
        proxy.always(".*", lost_request)
        for settle in (images.withdraw_location, images.verify_location):
            with pytest.raises(UnavailableError):
                settle(image_id, location)

    def test_an_outage_while_waiting_is_waited_out(
        self, glance: Glance, proxy: Proxy, cinder: Cinder
    ) -> None:
        """Longer than one request would be repeated."""
        location = CinderLocation(cinder.add_volume())
        image_id, images = queue(glance), privileged(proxy, attempts=1)
        images.add_location(image_id, location)
        proxy.break_(f"{IMAGE}/tasks", *[answering(503)] * 4)
        proxy.break_(LOCATIONS, *[lost_request] * 4)
        images.verify_location(image_id, location)

    def test_unreadable_tasks_leave_it_open(
        self, glance: Glance, proxy: Proxy, cinder: Cinder
    ) -> None:
        """Whether Glance still has a request cannot be told then."""
        location = CinderLocation(cinder.add_volume())
        image_id, images = queue(glance), privileged(proxy)
        proxy.always(f"{IMAGE}/tasks", answering(403))
        with pytest.raises(ForbiddenError):
            images.withdraw_location(image_id, location)


class TestLyingDownload:
    """What comes is not what Glance has recorded."""

    @pytest.mark.parametrize(
        ("change", "says"),
        [
            (lambda data: data[::-1], "sha512 is another"),
            (lambda data: data[:-1], f"{len(DATA) - 1} of the {len(DATA)}"),
            (lambda _data: b"", f"0 of the {len(DATA)}"),
            (lambda data: data + b"x", f"more than the {len(DATA)}"),
        ],
        ids=["wrong", "short", "empty", "long"],
    )
    def test_other_data_is_an_integrity_error(
        self,
        glance: Glance,
        proxy: Proxy,
        change: Callable[[bytes], bytes],
        says: str,
    ) -> None:
        """At the end at the latest."""
        proxy.break_(FILE, changing(change))
        with pytest.raises(IntegrityError, match=says):
            list(privileged(proxy).download(filled(glance)))

    def test_without_a_hash_the_size_counts(
        self, glance: Glance, proxy: Proxy
    ) -> None:
        """Glance has none of a registered image that it does not hash."""
        image_id, images = filled(glance), privileged(proxy)
        proxy.always(IMAGE, edited(os_hash_value=None, os_hash_algo=None))
        proxy.break_(
            FILE,
            changing(lambda data: data[::-1]),
            changing(lambda data: data[:-1]),
        )

        assert DATA[::-1] == b"".join(images.download(image_id))
        with pytest.raises(IntegrityError):
            list(images.download(image_id))

    def test_an_unknown_hash_is_not_passed_over(
        self, glance: Glance, proxy: Proxy
    ) -> None:
        """Nothing is given of what cannot be verified."""
        image_id = filled(glance)
        proxy.always(IMAGE, edited(os_hash_algo="rot13"))
        with pytest.raises(UnsupportedError, match="rot13"):
            next(privileged(proxy).download(image_id))

    def test_a_cut_connection_is_no_end(
        self, glance: Glance, proxy: Proxy
    ) -> None:
        """It is told apart from data that is too short."""
        cut = changing(lambda data: data[: len(data) // 2], keep_length=True)
        proxy.break_(FILE, cut)
        with pytest.raises(UnavailableError):
            list(privileged(proxy).download(filled(glance)))

    def test_a_slow_body_is_waited_for(
        self, glance: Glance, proxy: Proxy
    ) -> None:
        """As long as the client's own timeout allows."""

        def slowly(handler: Any, ask: Ask) -> None:
            body = ask().body
            kind = "application/octet-stream"
            handler.answer(200, body[:1], kind, len(body))
            for at in range(1, len(body), 500_000):
                time.sleep(0.05)
                handler.wfile.write(body[at : at + 500_000])

        proxy.break_(FILE, slowly)
        image_id = filled(glance)

        assert DATA == b"".join(privileged(proxy).download(image_id))

    def test_an_image_whose_data_is_gone_is_not_empty(
        self, glance: Glance, proxy: Proxy
    ) -> None:
        """Glance says so by 204."""
        proxy.break_(FILE, answering(204))
        with pytest.raises(NotFoundError, match="no data"):
            list(privileged(proxy).download(filled(glance)))

    @pytest.mark.parametrize(
        ("act", "kind"),
        [("deactivate", ForbiddenError), ("delete", NotFoundError)],
    )
    def test_what_happens_before_the_data_is_told(
        self, glance: Glance, proxy: Proxy, act: str, kind: type[AdapterError]
    ) -> None:
        """The image was active when it was looked at."""
        image_id = filled(glance)
        admin = glance.client("services", *SERVICE).images
        proxy.break_(FILE, doing(lambda: getattr(admin, act)(image_id)))
        with pytest.raises(kind):
            list(privileged(proxy).download(image_id))

    def test_other_data_under_the_same_id_is_noticed(
        self, glance: Glance, proxy: Proxy
    ) -> None:
        """The record is read before the data."""
        image_id, other = filled(glance), queue(glance)
        glance.client("alice").images.upload(
            other, io.BytesIO(b"x" * len(DATA))
        )
        instead = glance.client("alice").images.data(other)
        proxy.break_(FILE, changing(lambda _data: b"".join(instead)))
        with pytest.raises(IntegrityError):
            list(privileged(proxy).download(image_id))


class TestLostUpload:
    """The connection is lost while data is sent."""

    def test_a_lost_answer_does_not_matter(
        self, glance: Glance, proxy: Proxy
    ) -> None:
        """If all the data was sent and the image has it."""
        image_id, images = queue(glance), privileged(proxy)
        proxy.break_(PUT, lost_answer)
        images.upload(image_id, [DATA])

        assert DATA == b"".join(images.download(image_id))

    def test_a_lost_request_is_not_repeated(
        self, glance: Glance, proxy: Proxy
    ) -> None:
        """The data has been read, and cannot be read again."""
        image_id, images = queue(glance), privileged(proxy)
        proxy.break_(PUT, lost_request)
        with pytest.raises(UnavailableError):
            images.upload(image_id, [DATA])

        assert 1 == sum("PUT" in request for request in proxy.seen)
        assert "queued" == status(glance, image_id)

    def test_an_image_that_took_less_is_deleted(
        self, glance: Glance, proxy: Proxy
    ) -> None:
        """It would pass for the volume's data."""
        image_id = queue(glance)

        def taking_less(handler: Any, _ask: Ask) -> None:
            alice = glance.client("alice").images
            alice.upload(image_id, io.BytesIO(DATA[:-1]))
            handler.answer(204, b"", "text/plain")

        proxy.break_(PUT, taking_less)
        with pytest.raises(IntegrityError, match="not all"):
            privileged(proxy).upload(image_id, [DATA])
        with pytest.raises(NotFoundError):
            privileged(proxy).get_image(image_id)

    @pytest.mark.parametrize(
        ("code", "kind"), [(403, ForbiddenError), (413, QuotaError)]
    )
    def test_a_refusal_is_told(
        self, glance: Glance, proxy: Proxy, code: int, kind: type[AdapterError]
    ) -> None:
        """And the image stays without data."""
        image_id = queue(glance)
        proxy.break_(PUT, answering(code))
        with pytest.raises(kind):
            privileged(proxy).upload(image_id, [DATA])

        assert "queued" == status(glance, image_id)

    def test_discarding_bridges_an_outage(
        self, glance: Glance, proxy: Proxy
    ) -> None:
        """Also where only the answer was lost."""
        image_id = queue(glance)
        proxy.break_("DELETE .*", answering(503), lost_answer)
        privileged(proxy).discard(image_id)
        with pytest.raises(NotFoundError):
            privileged(proxy).get_image(image_id)
