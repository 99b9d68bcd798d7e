"""The health server, over real HTTP."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from ioc.errors import UserError
from ioc.health import STALE_SECONDS, Health, HealthServer, serve_health


class Time:
    """A clock that the test sets."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def health(time: Time) -> Health:
    return Health(clock=time)


@pytest.fixture
def server(health: Health) -> Iterator[HealthServer]:
    with serve_health(health, "127.0.0.1", 0) as server:
        yield server


def ask(server: HealthServer, path: str, method: str = "GET") -> tuple[int, str, http.client.HTTPMessage]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=5)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, response.read().decode(), response.headers
    finally:
        connection.close()


def ready_metric(server: HealthServer) -> float:
    families = {family.name: family for family in text_string_to_metric_families(ask(server, "/metrics")[1])}
    return float(families["ioc_ready"].samples[0].value)


def test_ready_only_when_there_are_conditions_and_all_hold(health: Health, server: HealthServer) -> None:
    """503 before the first condition, and while any is broken; the body tells each with its detail."""
    assert ask(server, "/readyz")[:2] == (503, "starting\n")
    health.check("assigned", True, "8 partitions")
    assert ask(server, "/readyz")[0] == 200
    health.check("clock", False, "no clock record\nfor 12 s")
    status, body, _ = ask(server, "/readyz")
    assert status == 503
    assert body.splitlines() == ["ok assigned: 8 partitions", "NOT OK clock: no clock record for 12 s"]
    assert ready_metric(server) == 0
    health.check("clock", True)
    assert ask(server, "/readyz")[0] == 200
    assert ready_metric(server) == 1


def test_alive_until_the_loop_stops_turning(health: Health, server: HealthServer, time: Time) -> None:
    """A process that has not begun to beat is starting, not stuck; one that stopped beating is stuck."""
    time.now += 1000
    assert ask(server, "/healthz")[:2] == (200, "starting\n")
    health.beat()
    time.now += STALE_SECONDS
    assert ask(server, "/healthz")[:2] == (200, "ok\n")
    time.now += 1
    status, body, _ = ask(server, "/healthz")
    assert (status, body) == (503, "the event loop has not turned for 11 s\n")
    health.beat()
    assert ask(server, "/healthz")[0] == 200


def test_only_reading_is_possible_and_no_version_is_told(server: HealthServer) -> None:
    """GET and HEAD; other methods and paths are refused; no banner tells what serves it."""
    assert ask(server, "/metrics", "HEAD")[:2] == (200, "")
    assert ask(server, "/etc/passwd")[0] == 404
    status, _, headers = ask(server, "/readyz", "POST")
    assert status == 501
    assert "Python" not in str(headers)
    assert headers["Server"] == "ioc"


def test_a_silent_client_does_not_stop_the_others(server: HealthServer) -> None:
    """A connection that sends nothing occupies no one else."""
    with socket.create_connection(("127.0.0.1", server.port)):
        assert ask(server, "/healthz")[0] == 200


def test_taken_port_names_the_port_and_the_variable(health: Health, server: HealthServer) -> None:
    """The error says which setting chooses another port."""
    with pytest.raises(UserError) as caught:
        serve_health(health, "127.0.0.1", server.port, "IOC_SENSE_HEALTH_PORT")
    assert str(server.port) in caught.value.what
    assert "IOC_SENSE_HEALTH_PORT=" in caught.value.remedy


def test_close_frees_the_port(health: Health) -> None:
    """A worker that is started again finds its port."""
    first = serve_health(health, "127.0.0.1", 0)
    first.close()
    serve_health(health, "127.0.0.1", first.port).close()
