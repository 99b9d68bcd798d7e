"""What one client may take from the wall: how long it may say nothing, how many may follow, how large a request is.

The wall answers everybody in one process, so whoever is slow or asks without end must cost the others nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Container, Iterable, Iterator
from typing import Self

from aiohttp import web

from maps.signin import refuse

log = logging.getLogger(__name__)

#: Addresses of this machine, whose own affair it is.
LOCAL = ("127.0.0.1", "::1")
#: Bytes of a request's body: the longest is a command with a text.
REQUEST_MAX = 16 * 1024
#: Seconds in which the body of a request must be there.
BODY_SECONDS = 10.0
#: Seconds in which a new connection must have made a whole request.
FIRST_REQUEST_SECONDS = 10.0
#: Seconds that a connection may stay open between requests.
IDLE_SECONDS = 75.0
#: Connections at once from one address beyond this machine: a browser has six, and a control room one address.
PER_ADDRESS_MAX = 200
#: Seconds for the rest of a request that has been answered.
LINGER_SECONDS = 1.0
#: Streams of changes at once: a browser has one. More are told to come again.
VIEWERS_MAX = 500
SWEEP_SECONDS = 1.0

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Connections:
    """Which connections have made a request. One that is open for long and never did is cut off, and those of one
    address that are too many.
    """

    def __init__(
        self,
        seconds: float = FIRST_REQUEST_SECONDS,
        per_address: int = PER_ADDRESS_MAX,
    ) -> None:
        self._seconds, self._per_address = seconds, per_address
        self._exempt: Container[str] = ()
        self._since: dict[object, float] = {}
        self._spoken: set[object] = set()

    def exempting(self, addresses: Container[str]) -> Self:
        """These may have as many as they want: through a proxy everybody comes from its address."""
        self._exempt = addresses
        return self

    def spoke(self, request: web.Request) -> None:
        """A connection has made a whole request."""
        self._spoken.add(request.protocol)

    async def watch(self, server: web.Server, sweep_seconds: float = SWEEP_SECONDS) -> None:
        """Look at the server's connections now and then, until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            now = loop.time()
            present = server.connections
            self._since = {one: self._since.get(one, now) for one in present}
            self._spoken &= set(present)
            for one in present:
                if one not in self._spoken and now - self._since[one] >= self._seconds:
                    one.force_close()
            for one in self._too_many(present):
                one.force_close()
            await asyncio.sleep(sweep_seconds)

    def _too_many(self, present: Iterable[web.RequestHandler]) -> Iterator[web.RequestHandler]:
        """Of each address the newest beyond what one may have."""
        of_address: dict[str, list[web.RequestHandler]] = {}
        for one in present:
            name = one.transport.get_extra_info("peername") if one.transport else None
            if name and name[0] not in LOCAL and name[0] not in self._exempt:
                of_address.setdefault(name[0], []).append(one)
        for address, connections in of_address.items():
            if len(connections) > self._per_address:
                log.warning("%s has %d connections: the newest are cut off", address, len(connections))
                connections.sort(key=lambda one: self._since[one])
                yield from connections[self._per_address :]


CONNECTIONS: web.AppKey[Connections] = web.AppKey("connections", Connections)


@contextlib.asynccontextmanager
async def watched(connections: Connections, server: web.Server | None) -> AsyncIterator[None]:
    """Cut off who asks for nothing, inside this context."""
    if server is None:
        raise RuntimeError("the server has not been set up")
    task = asyncio.create_task(connections.watch(server))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@web.middleware
async def limit(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Take the body of a request at once: whoever sends it too slowly, or too much, gets no further."""
    request.app[CONNECTIONS].spoke(request)
    if request.body_exists:
        try:
            async with asyncio.timeout(BODY_SECONDS):
                await request.read()
        except web.HTTPRequestEntityTooLarge:
            return _last(refuse(413, "too-long"))
        except TimeoutError:
            return _last(refuse(408, "too-slow"))
        except (ConnectionError, web.RequestPayloadError):
            # It hung up in the middle, or its parts are none: nobody reads this.
            return _last(refuse(400, "not-understood"))
    return await handler(request)


def _last(response: web.Response) -> web.Response:
    # What is left of the body is not waited for.
    response.force_close()
    return response
