"""A network between a worker and the broker that can be cut, slowed and turned into a black hole.

A proxy of TCP on loopback, in a thread of its own. Kafka tells each worker the address of its own link, so all that
it says goes through it.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import Literal

from ioc.ports import LOOPBACK, free_port

#: open: as it should be. cut: connections are reset, new ones too. hole: nothing arrives any more, and nobody is
#: told. slow: everything arrives late, a piece at a time.
State = Literal["open", "cut", "hole", "slow"]

#: How late each piece of up to 64 KiB arrives on a slow link, seconds, in each direction.
SLOW_SECONDS = 0.3
_PIECE = 64 * 1024


class Link:
    """One link, to a port that is told once it is known. `set` changes its state at once, for old connections too."""

    def __init__(self) -> None:
        self.port = free_port()
        self.state: State = "open"
        self.carried = 0
        self._to = 0
        self._ready = threading.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        self._loop = asyncio.new_event_loop()
        self._passing = asyncio.Event()
        self._passing.set()
        self._stopped = self._loop.create_future()
        self._thread = threading.Thread(target=self._run, name=f"link-{self.port}", daemon=True)

    @property
    def address(self) -> str:
        return f"{LOOPBACK}:{self.port}"

    def open(self, to: int) -> None:
        """Begin to carry to a port of loopback."""
        self._to = to
        self._thread.start()
        assert self._ready.wait(10), "the link does not open"

    def set(self, state: State) -> None:
        self._call(lambda: self._set(state))

    def close(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop)
            self._thread.join(10)

    def _stop(self) -> None:
        if not self._stopped.done():
            self._stopped.set_result(None)

    def _call(self, what: Callable[[], None]) -> None:
        done = threading.Event()

        def work() -> None:
            what()
            done.set()

        self._loop.call_soon_threadsafe(work)
        assert done.wait(10), "the link does not answer"

    def _set(self, state: State) -> None:
        self.state = state
        if state == "hole":
            self._passing.clear()
        else:
            self._passing.set()
        if state == "cut":
            for writer in self._writers:
                writer.transport.abort()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._connect, LOOPBACK, self.port)
        self._ready.set()
        await self._stopped
        server.close()
        self._set("cut")
        await asyncio.sleep(0)

    async def _connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.state == "cut":
            writer.transport.abort()
            return
        self._writers.add(writer)
        there: asyncio.StreamWriter | None = None
        try:
            await self._passing.wait()
            back, there = await asyncio.open_connection(LOOPBACK, self._to)
            self._writers.add(there)
            await asyncio.wait(
                {
                    asyncio.ensure_future(self._carry(reader, there)),
                    asyncio.ensure_future(self._carry(back, writer)),
                },
                return_when=asyncio.FIRST_COMPLETED,
            )
        except OSError:
            pass  # the broker is away, and the worker is told by the end of its own connection
        finally:
            for one in (writer, there):
                if one is not None:
                    self._writers.discard(one)
                    one.transport.abort()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(_PIECE):
                await self._passing.wait()
                if self.state == "slow":
                    await asyncio.sleep(SLOW_SECONDS)
                writer.write(piece)
                self.carried += len(piece)
                await writer.drain()
