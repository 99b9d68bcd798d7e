"""What anybody may send to the wall's port: bytes, requests, and the bodies of those who are signed in.

A real server answers on loopback. Whatever came, nothing is raised in it, no answer says that the server failed, and
it answers the next who asks.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import logging
import os
import socket
import tempfile
import threading
from functools import cache
from pathlib import Path

import msgspec

from alerts.rules.policy import Subscription
from ioc.settings import load_settings
from maps.feeds import Channel, Feeds
from tests import pastkit
from tests import wallkit as kit
from tests.fuzz.target import Target

#: Stands in a request for the session's cookie, which differs from run to run.
SESSION = b"SESSION"
#: Seconds for an answer.
SECONDS = 5.0
#: Seconds to wait for one before the request's end is shown: it may lack something.
PATIENCE = 0.03


class _Failures(logging.Handler):
    """Keeps what the server logs as an error."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.found: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        why = record.exc_info[1] if record.exc_info else None
        self.found.append(f"{record.getMessage()}: {why!r}")


class _Past:
    """Two hours with a few alerts."""

    def __init__(self) -> None:
        past = pastkit.past()
        self.history, self._located = past.history, past.located

    async def located(self, appended_ms: int) -> list[bytes]:
        return self._located


class _Wall:
    """A wall with alerts, a past, an agency's feed, and a supervisor who is signed in."""

    def __init__(self, *, proxied: bool) -> None:
        """`proxied`: whoever asks from this machine is a proxy."""
        self._folder = tempfile.TemporaryDirectory()
        self.failures = _Failures()
        for name in ("aiohttp", "asyncio"):
            logging.getLogger(name).addHandler(self.failures)
        # Nobody answers where the feeds look for a broker: that is no news for who runs the tests.
        logging.getLogger("aiokafka").addHandler(logging.NullHandler())
        agency = Subscription(agency="fire", name={"vi": "Cứu hỏa", "en": "Fire"})
        feeds = Feeds(load_settings(bootstrap_servers="127.0.0.1:1"), lambda: [agency])
        feeds.channels["fire"] = Channel()
        operators = kit.operators_file(Path(self._folder.name))
        self._wall = kit.WallThread(kit.small_shell(), operators, feeds)
        self._wall.past = _Past()
        # The wall in its thread reads the settings once, when it starts.
        os.environ |= {"IOC_WALL_PROXIES": '["127.0.0.1"]' if proxied else ""}
        self._wall.start()
        del os.environ["IOC_WALL_PROXIES"]
        atexit.register(self.close)
        self._wall.feed(lambda picture: picture.apply_alert(kit.alert_record(), "a1"))
        self._wall.feed(lambda picture: picture.apply_located(kit.located_record()))
        entry = operators.find("supervisor")
        assert entry is not None
        self._cookie = self._sign_in()

    def close(self) -> None:
        self._wall.stop()
        self._folder.cleanup()

    def _sign_in(self) -> bytes:
        body = json.dumps({"id": "supervisor", "password": kit.PASSWORD}).encode()
        answer = self.ask(request("POST", "/api/sign-in", body), SECONDS)
        line = next(line for line in answer.split(b"\r\n") if line.startswith(b"Set-Cookie: "))
        return line.removeprefix(b"Set-Cookie: ").partition(b";")[0]

    @staticmethod
    def _part(connection: socket.socket) -> bytes:
        """More of an answer; empty at its end. A server that waits for more is shown that none will come."""
        with contextlib.suppress(TimeoutError):
            return connection.recv(1 << 16)
        connection.settimeout(SECONDS)
        connection.shutdown(socket.SHUT_WR)
        return connection.recv(1 << 16)

    def ask(self, data: bytes, patience: float = PATIENCE) -> bytes:
        """All that the server answers to these bytes."""
        if SESSION in data:
            data = data.replace(SESSION, self._cookie)
        answer = b""
        with socket.create_connection(("127.0.0.1", self._wall.port), timeout=SECONDS) as connection:
            connection.settimeout(patience)
            with contextlib.suppress(ConnectionResetError, BrokenPipeError):  # it has heard enough
                connection.sendall(data)
                while part := self._part(connection):
                    answer += part
                    if b"text/event-stream" in answer[:4000]:
                        break  # it never ends
        return answer

    def check(self, data: bytes) -> None:
        answer = self.ask(data)
        assert not answer or answer.startswith(b"HTTP/"), answer[:100]
        assert not answer.startswith(
            tuple(b"HTTP/%s 500" % version for version in (b"1.1", b"1.0", b"0.9"))
        ), answer[:200]
        found, self.failures.found = self.failures.found, []
        assert not found, found[0]
        assert threading.active_count() < 50


@cache
def wall(*, proxied: bool = False) -> _Wall:
    return _Wall(proxied=proxied)


def request(method: str, path: str, body: bytes = b"", *headers: str) -> bytes:
    """A request of the wall's own page."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1:8090", "Connection: close", *headers]
    if body:
        lines += [
            "Sec-Fetch-Site: same-origin",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
        ]
    return "\r\n".join([*lines, "", ""]).encode() + body


GETS = (
    "/",
    "/api/snapshot", "/api/source?id=gauge-1", "/api/alert?id=a1", "/api/me",
    "/api/history?from=0&to=1793183400000",
    "/api/history/at?t=1793183400000", "/api/history/alert?t=1793183400000&id=open", "/assets/wall.js", "/events",
    "/agencies/fire/feed.atom", "/agencies/fire/cap/x.xml", "/licences", "/boundaries.geojson",
)  # fmt: skip
BODIES = (
    {"action": "acknowledge", "alert": "a1", "sequence": 1},
    {"action": "shelve", "alert": "a1", "until": "2026-10-28T18:00:00+07:00", "minutes": 30},
    {"action": "comment", "alert": "a1", "text": "Đã gọi", "to": "an"},
    {"action": "open", "opening": {"hazard": "flood", "title": {"vi": "Ngập", "en": "Flood"}, "severity": "minor",
                                   "lon": 105.55, "lat": 9.95}},
)  # fmt: skip


def _command(body: bytes) -> None:
    wall().check(request("POST", "/api/commands", body, f"Cookie: {SESSION.decode()}"))


def _sign_in(body: bytes) -> None:
    wall().check(request("POST", "/api/sign-in", body or b" "))


def targets() -> list[Target]:
    """The targets of this file."""
    gets = [request("GET", path, b"", "Accept-Encoding: gzip") for path in GETS]
    gets += [
        request(
            "GET",
            "/",
            b"",
            'If-None-Match: "x", W/"y", *',
            "If-Modified-Since: Wed, 28 Oct 2026 10:30:00 GMT",
        ),
        request("GET", "/assets/wall.js", b"", "Range: bytes=0-10", "Cookie: SESSION; a=b"),
    ]
    bodies = [msgspec.json.encode(body) for body in BODIES]
    posts = [
        request("POST", "/api/commands", bodies[0], "Cookie: SESSION", "Origin: http://127.0.0.1:8090"),
        request("POST", "/api/sign-out", b"{}", "Origin: http://[::1]"),
        b"POST /api/commands HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nSec-Fetch-Site: same-origin\r\n"
        b"Content-Type: application/json\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    ]
    through = [
        request("GET", path, b"", "X-Forwarded-For: 10.0.0.1, 192.0.2.7", "X-Forwarded-Host: wall.example:443",
                "X-Forwarded-Proto: https", "Cookie: SESSION; x=viewer~1790000000~c2ln")
        for path in ("/", "/api/me", "/api/alert?id=a1")
    ]  # fmt: skip
    through.append(
        request("POST", "/api/sign-out", b"{}", "X-Forwarded-Host: [::1]:8090", "Origin: http://[::1]:8090")
    )
    return [
        Target("http-proxied", through, lambda data: wall(proxied=True).check(data), share=0.2),
        Target("http", [*gets, *posts], lambda data: wall().check(data), share=0.3),
        Target("http-command", bodies, _command, share=0.3),
        Target("http-sign-in", [b'{"id":"nobody","password":"x"}'], _sign_in, share=0.02),
    ]
