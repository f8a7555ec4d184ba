"""Downloading and uploading while Glance, or the way to it, fails."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("cinderclient", reason="run by nox -s openstack")
pytest.importorskip("glance", reason="run by nox -s openstack")

from glance_clients import DATA, SERVICE, filled, privileged, queue, status
from glance_proxy import (
    Ask,
    Fault,
    Proxy,
    answering,
    changing,
    doing,
    lost_answer,
    lost_request,
)

from clonepolicy import (
    AdapterError,
    ForbiddenError,
    IntegrityError,
    NotFoundError,
    QuotaError,
    UnavailableError,
    UnsupportedError,
)

if TYPE_CHECKING:
    from glance_server import Glance

IMAGE = "GET /v2/images/[^/]*"
FILE = f"{IMAGE}/file"
LOCATIONS = f"{IMAGE}/locations"
VERSIONS = "GET /versions"
POST = "POST /v2/images/.*/locations"
PUT = "PUT /v2/images/.*/file"


def edited(**fields: object) -> Fault:
    """Change fields of the image on the way."""

    def edit(body: bytes) -> bytes:
        return json.dumps(json.loads(body) | fields).encode()

    return changing(edit)


class TestCorruptDownload:
    """The data is not what Glance has recorded."""

    @pytest.mark.parametrize(
        ("change", "says"),
        [
            (lambda data: data[::-1], "sha512 differs"),
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
        """It is raised at the end at the latest."""
        proxy.inject(FILE, changing(change))
        with pytest.raises(IntegrityError, match=says):
            list(privileged(proxy).download(filled(glance)))

    def test_without_a_hash_the_size_is_verified(
        self, glance: Glance, proxy: Proxy
    ) -> None:
        """Glance may not hash a registered image."""
        image_id, images = filled(glance), privileged(proxy)
        proxy.always(IMAGE, edited(os_hash_value=None, os_hash_algo=None))
        proxy.inject(
            FILE,
            changing(lambda data: data[::-1]),
            changing(lambda data: data[:-1]),
        )

        assert DATA[::-1] == b"".join(images.download(image_id))
        with pytest.raises(IntegrityError):
            list(images.download(image_id))

    def test_data_with_an_unknown_hash_is_refused(
        self, glance: Glance, proxy: Proxy
    ) -> None:
        """No data is returned that cannot be verified."""
        image_id = filled(glance)
        proxy.always(IMAGE, edited(os_hash_algo="rot13"))
        with pytest.raises(UnsupportedError, match="rot13"):
            next(privileged(proxy).download(image_id))

    def test_a_broken_connection_is_not_the_end_of_the_data(
        self, glance: Glance, proxy: Proxy
    ) -> None:
        """It is another error than data that is too short."""
        cut = changing(lambda data: data[: len(data) // 2], keep_length=True)
        proxy.inject(FILE, cut)
        with pytest.raises(UnavailableError):
            list(privileged(proxy).download(filled(glance)))

    def test_a_slow_download_succeeds(
        self, glance: Glance, proxy: Proxy
    ) -> None:
        """Only the client's own timeout limits it."""

        def slowly(handler: Any, ask: Ask) -> None:
            body = ask().body
            kind = "application/octet-stream"
            handler.answer(200, body[:1], kind, len(body))
            for at in range(1, len(body), 500_000):
                time.sleep(0.05)
                handler.wfile.write(body[at : at + 500_000])

        proxy.inject(FILE, slowly)
        image_id = filled(glance)

        assert DATA == b"".join(privileged(proxy).download(image_id))

    def test_an_image_without_data_is_not_empty(
        self, glance: Glance, proxy: Proxy
    ) -> None:
        """Glance answers 204."""
        proxy.inject(FILE, answering(204))
        with pytest.raises(NotFoundError, match="no data"):
            list(privileged(proxy).download(filled(glance)))

    @pytest.mark.parametrize(
        ("act", "kind"),
        [("deactivate", ForbiddenError), ("delete", NotFoundError)],
    )
    def test_a_change_before_the_download_is_reported(
        self, glance: Glance, proxy: Proxy, act: str, kind: type[AdapterError]
    ) -> None:
        """The image was active when its record was read."""
        image_id = filled(glance)
        admin = glance.client("services", *SERVICE).images
        proxy.inject(FILE, doing(lambda: getattr(admin, act)(image_id)))
        with pytest.raises(kind):
            list(privileged(proxy).download(image_id))

    def test_replaced_data_is_an_integrity_error(
        self, glance: Glance, proxy: Proxy
    ) -> None:
        """The record is read before the data."""
        image_id, other = filled(glance), queue(glance)
        glance.client("alice").images.upload(
            other, io.BytesIO(b"x" * len(DATA))
        )
        instead = glance.client("alice").images.data(other)
        proxy.inject(FILE, changing(lambda _data: b"".join(instead)))
        with pytest.raises(IntegrityError):
            list(privileged(proxy).download(image_id))


class TestLostUpload:
    """The connection is lost while data is uploaded."""

    def test_a_lost_answer_does_not_matter(
        self, glance: Glance, proxy: Proxy
    ) -> None:
        """Glance has done what was requested."""
        image_id, images = queue(glance), privileged(proxy)
        proxy.inject(PUT, lost_answer)
        images.upload(image_id, [DATA])

        assert DATA == b"".join(images.download(image_id))

    def test_a_lost_request_is_not_repeated(
        self, glance: Glance, proxy: Proxy
    ) -> None:
        """The data has been read, and cannot be read again."""
        image_id, images = queue(glance), privileged(proxy)
        proxy.inject(PUT, lost_request)
        with pytest.raises(UnavailableError):
            images.upload(image_id, [DATA])

        assert 1 == sum("PUT" in request for request in proxy.seen)
        assert "queued" == status(glance, image_id)

    def test_an_image_with_part_of_the_data_is_deleted(
        self, glance: Glance, proxy: Proxy
    ) -> None:
        """It would be taken for the whole volume."""
        image_id = queue(glance)

        def taking_less(handler: Any, _ask: Ask) -> None:
            alice = glance.client("alice").images
            alice.upload(image_id, io.BytesIO(DATA[:-1]))
            handler.answer(204, b"", "text/plain")

        proxy.inject(PUT, taking_less)
        with pytest.raises(IntegrityError, match="not all"):
            privileged(proxy).upload(image_id, [DATA])
        with pytest.raises(NotFoundError):
            privileged(proxy).get_image(image_id)

    @pytest.mark.parametrize(
        ("code", "kind"), [(403, ForbiddenError), (413, QuotaError)]
    )
    def test_a_refused_upload_leaves_the_image_queued(
        self, glance: Glance, proxy: Proxy, code: int, kind: type[AdapterError]
    ) -> None:
        """The error has its kind."""
        image_id = queue(glance)
        proxy.inject(PUT, answering(code))
        with pytest.raises(kind):
            privileged(proxy).upload(image_id, [DATA])

        assert "queued" == status(glance, image_id)

    def test_discarding_waits_out_an_outage(
        self, glance: Glance, proxy: Proxy
    ) -> None:
        """The deletion may have succeeded without an answer."""
        image_id = queue(glance)
        proxy.inject("DELETE .*", answering(503), lost_answer)
        privileged(proxy).discard(image_id)
        with pytest.raises(NotFoundError):
            privileged(proxy).get_image(image_id)
