"""Failures of the services that cinder-volume uses."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

import attrs
from glance_proxy import Ask, Proxy, answering, lost_answer
from keystoneauth1.exceptions import ClientException
from stack_processes import HOST, wait_for

if TYPE_CHECKING:
    from http_server import QuietHandler
    from stack import Stack
    from stack_services import Services


@attrs.frozen
class Faults:
    """Each fault lasts as long as the block."""

    cloud: Stack
    glance: Proxy
    """The proxy through which cinder-volume asks Glance."""

    @property
    def services(self) -> Services:
        """The services of the cloud."""
        return self.cloud.services

    @contextlib.contextmanager
    def postgresql_stops(self) -> Iterator[None]:
        """Stop the database at once; its data stays."""
        self.services.process("postgres").end(signal.SIGQUIT)
        try:
            yield
        finally:
            self.services.start_postgresql()

    @contextlib.contextmanager
    def database_refuses(self) -> Iterator[None]:
        """Close Cinder's database, and not those of other services."""
        port = str(self.services.ports["postgresql"])
        psql = f"psql -h {HOST} -p {port} -U stack -d postgres -q -c".split()
        allow = "ALTER DATABASE cinder ALLOW_CONNECTIONS "
        end = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = 'cinder'"
        )
        run = self.services.namespace.run
        run("psql", *psql, allow + "false")
        run("psql", *psql, end)
        try:
            yield
        finally:
            run("psql", *psql, allow + "true")

    @contextlib.contextmanager
    def rabbitmq_stops(self) -> Iterator[None]:
        """Kill RabbitMQ."""
        self.services.process("rabbitmq").kill()
        try:
            yield
        finally:
            started = self.services.rabbitmq()
            self.services.wait_for_port(started, "rabbitmq")
            wait_for("the scheduler", self._scheduler_answers)

    def _scheduler_answers(self) -> bool:
        volume = self.cloud.projects["service"].volume
        with contextlib.suppress(ClientException):
            return bool(volume.get("/scheduler-stats/get_pools").ok)
        return False

    @contextlib.contextmanager
    def glance_stops(self) -> Iterator[None]:
        """Kill Glance."""
        self.services.process("glance-api").kill()
        try:
            yield
        finally:
            self.services.api("glance", "/healthcheck")

    @contextlib.contextmanager
    def glance_answers_500(self) -> Iterator[None]:
        """Answer each request with an error, and pass none on."""
        with self.glance.disturbed(answering(500)):
            yield

    @contextlib.contextmanager
    def glance_is_silent(self) -> Iterator[None]:
        """Answer no request, and pass none on."""
        over = threading.Event()

        def silent(handler: QuietHandler, _ask: Ask) -> None:
            over.wait()
            handler.hang_up()

        with self.glance.disturbed(silent):
            try:
                yield
            finally:
                over.set()

    @contextlib.contextmanager
    def answers_of_glance_are_lost(self) -> Iterator[None]:
        """Pass each request on, and hang up instead of answering."""
        with self.glance.disturbed(lost_answer):
            yield
