"""What a process says of itself over HTTP: /metrics, /healthz (it is alive), /readyz (it does its work)."""

from __future__ import annotations

import errno
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import ClassVar, Self

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from ioc.errors import UserError
from ioc.metrics import BEAT, READY
from ioc.ports import port_taken

#: Seconds without a beat after which a process counts as stuck.
STALE_SECONDS = 10.0
#: Seconds that a client may take to send its request; scrapers need milliseconds.
_REQUEST_SECONDS = 5.0

_TEXT = "text/plain; charset=utf-8"


class Health:
    """What a process knows of its own state. Safe to use from several threads.

    Ready means: at least one condition is set and all of them hold. Alive means: `beat` was called within the
    last `STALE_SECONDS`, or never yet (a process that is still starting is not stuck).
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._conditions: dict[str, tuple[bool, str]] = {}
        self._beaten: float | None = None
        READY.set(0)

    def check(self, name: str, ok: bool, detail: str = "") -> None:
        """Set a condition of being ready; `detail` is a line for a person."""
        with self._lock:
            self._conditions[name] = (ok, " ".join(detail.split()))
            READY.set(self._ready())

    def beat(self) -> None:
        """Say that the event loop turns. Call it at least every few seconds."""
        with self._lock:
            self._beaten = self._clock()
        BEAT.set_to_current_time()

    def alive(self) -> tuple[bool, str]:
        """Whether the process lives, and a line that says so."""
        with self._lock:
            if self._beaten is None:
                return True, "starting"
            silent = self._clock() - self._beaten
        if silent > STALE_SECONDS:
            return False, f"the event loop has not turned for {silent:.0f} s"
        return True, "ok"

    def ready(self) -> tuple[bool, str]:
        """Whether the process does its work, and a line for each condition."""
        with self._lock:
            lines = [
                f"{'ok' if ok else 'NOT OK'} {name}{': ' if detail else ''}{detail}"
                for name, (ok, detail) in sorted(self._conditions.items())
            ]
            return self._ready(), "\n".join(lines) or "starting"

    def _ready(self) -> bool:
        return bool(self._conditions) and all(ok for ok, _ in self._conditions.values())


class HealthServer:
    """A running server; `close` ends it. Also a context manager."""

    def __init__(self, server: ThreadingHTTPServer) -> None:
        self._server = server
        self.port: int = server.server_address[1]
        self._thread = threading.Thread(
            target=server.serve_forever, kwargs={"poll_interval": 0.1}, name="ioc-health", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Stop answering and free the port."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def serve_health(
    health: Health, host: str, port: int, variable: str = "its IOC_..._HEALTH_PORT"
) -> HealthServer:
    """Serve a process's health from a thread; port 0 takes a free one.

    `variable` is the setting that chose the port, for the error. Raises `UserError` where the port is taken.
    """
    handler = type("Handler", (_Handler,), {"health": health})
    try:
        return HealthServer(_Server((host, port), handler))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise port_taken(port, variable, "metrics and health") from None
        raise UserError(
            f"cannot listen on {host}:{port}", str(error), "set IOC_HOST to an address of this machine"
        ) from None


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up or sends nonsense is not worth a traceback."""


class _Handler(BaseHTTPRequestHandler):
    health: ClassVar[Health]
    timeout = _REQUEST_SECONDS

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/metrics":
            self._answer(HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest())
        elif path == "/healthz":
            self._state(*self.health.alive())
        elif path == "/readyz":
            self._state(*self.health.ready())
        else:
            self._answer(HTTPStatus.NOT_FOUND, _TEXT, b"see /metrics, /healthz and /readyz\n")

    do_HEAD = do_GET

    def _state(self, ok: bool, text: str) -> None:
        status = HTTPStatus.OK if ok else HTTPStatus.SERVICE_UNAVAILABLE
        self._answer(status, _TEXT, f"{text}\n".encode())

    def _answer(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self.send_response_only(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def version_string(self) -> str:
        return "ioc"  # the errors of the base class carry it; no versions for strangers

    def log_message(self, format: str, *args: object) -> None:
        """Requests are not logged: a scraper makes one every few seconds."""
