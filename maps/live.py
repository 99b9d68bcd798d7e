"""What is shown now, and the viewers that follow it: each change is encoded once for all of them."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Literal

import msgspec

from ioc.metrics import VIEWERS, WALL_DELAY, WALL_UPDATES
from maps.picture import Picture
from maps.sensors import Listed

#: Seconds between two batches of changes: an operator sees no difference, a browser does less work.
BATCH_SECONDS = 0.2
BEAT_SECONDS = 1.0
#: Sources that a browser can be told anew about in a second: ten thousand are told once a second, a few hundred with
#: the next batch. Each time the whole map is drawn, whoever spoke.
SOURCES_PER_SECOND = 10_000
#: Seconds for which newcomers get the same snapshot, and all that was sent since: when a wall comes back its browsers
#: do too, all at once, and to encode ten thousand sources for each of two hundred would take longer than they wait.
SHARED_SECONDS = 2.0
#: Messages that may wait for one viewer: some ten seconds of changes and beats. Beyond that it starts afresh.
QUEUE_MAX = 64

#: restoring: the log is being read; live: it is followed; lost: the broker does not answer.
State = Literal["restoring", "live", "lost"]


def sse(event: str, data: bytes) -> bytes:
    """One server-sent event. `data` is JSON, which has no line breaks of its own."""
    return b"event: %s\ndata: %s\n\n" % (event.encode(), data)


RESYNC = sse("resync", b"{}")


class Viewer:
    """One browser's queue. When it is too slow its queue is given up and it is told to start afresh."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue(QUEUE_MAX)
        self.ended = False

    def put(self, message: bytes) -> bool:
        """Queue a message; False where the viewer was too slow and has been dropped."""
        if self.ended:
            return False
        try:
            self._queue.put_nowait(message)
        except asyncio.QueueFull:
            self.end(RESYNC)
            return False
        return True

    def end(self, last: bytes | None = None) -> None:
        """Let nothing follow but `last`."""
        self.ended = True
        while not self._queue.empty():
            self._queue.get_nowait()
        if last is not None:
            self._queue.put_nowait(last)
        self._queue.put_nowait(None)

    async def take(self) -> bytes | None:
        """The next message; None at the end."""
        return await self._queue.get()


class Live:
    """The present picture and who watches it. Everything happens on one event loop."""

    def __init__(self, page_tag: str) -> None:
        self.picture = Picture()
        self.state: State = "restoring"
        self._page_tag = page_tag
        self._viewers: set[Viewer] = set()
        self._touched = asyncio.Event()
        self._pending_ms: list[int] = []
        self._closed = False
        self._inventory: tuple[Listed, ...] = ()
        #: Before this moment of the loop's clock no further readings are sent.
        self._readings_at = 0.0
        #: What newcomers get: a snapshot and what was sent since; and until when.
        self._opening: list[bytes] = []
        self._opening_until = 0.0

    # From the feed

    def know(self, inventory: tuple[Listed, ...]) -> None:
        """The inventory that is in force: of this picture, and of those that replace it."""
        if inventory is self._inventory:
            return
        self._inventory = inventory
        self.picture.know(inventory)
        self._touched.set()

    def replace(self, picture: Picture) -> None:
        """Show another picture from now on, to everybody and as a whole."""
        picture.know(self._inventory)
        picture.take_changes()
        picture.take_readings()
        self.picture = picture
        self._send("snapshot", self._snapshot())

    def set_state(self, state: State) -> None:
        """Tell viewers how we stand with the broker; at once where it changes."""
        if state != self.state:
            self.state = state
            self._beat()

    def touch(self, appended_ms: list[int]) -> None:
        """The picture has changed by records that the broker appended at these times, ms since 1970."""
        self._pending_ms.extend(appended_ms)
        self._touched.set()

    def past(self, picture: Picture) -> dict[str, Any]:
        """The whole of another picture, as `snapshot` has the present one; without what is only true now."""
        picture.know(self._inventory)
        return {**picture.snapshot(), "page": self._page_tag}

    # To the viewers

    def snapshot(self) -> bytes:
        """The whole picture as JSON."""
        return msgspec.json.encode(self._snapshot())

    def _snapshot(self) -> dict[str, Any]:
        return {**self.picture.snapshot(), **self._clock(), "page": self._page_tag}

    def _clock(self) -> dict[str, Any]:
        now_ms = time.time_ns() // 1_000_000
        silence = self.picture.silence(now_ms)
        return {
            "server_ms": now_ms,
            "event_ms": self.picture.event_ms,
            "silence_s": None if silence is None else round(silence, 1),
            "state": self.state,
        }

    def join(self) -> Viewer:
        """A new viewer, with the whole picture waiting for it."""
        viewer = Viewer()
        if self._closed:
            viewer.end()
            return viewer
        now = time.monotonic()
        if now >= self._opening_until or not self._viewers:
            self._opening = [sse("snapshot", self.snapshot())]
            self._opening_until = now + SHARED_SECONDS
        for message in self._opening:
            viewer.put(message)
        viewer.put(sse("beat", msgspec.json.encode(self._clock())))
        self._viewers.add(viewer)
        VIEWERS.set(len(self._viewers))
        return viewer

    def leave(self, viewer: Viewer) -> None:
        self._viewers.discard(viewer)
        VIEWERS.set(len(self._viewers))

    @property
    def viewers(self) -> int:
        return len(self._viewers)

    def _send(self, event: str, data: dict[str, Any]) -> None:
        if not self._viewers:
            return
        message = sse(event, msgspec.json.encode(data))
        self._remember(event, message)
        for viewer in list(self._viewers):
            if not viewer.put(message):
                self.leave(viewer)

    def _remember(self, event: str, message: bytes) -> None:
        now = time.monotonic()
        if event == "snapshot":
            self._opening, self._opening_until = [message], now + SHARED_SECONDS
        elif now < self._opening_until:
            if event != "beat":  # a newcomer gets one of its own
                self._opening.append(message)
        else:
            self._opening = []

    def _beat(self) -> None:
        self._send("beat", self._clock())

    def _flush(self) -> None:
        changes = self.picture.take_changes()
        if changes is not None:
            event, data = changes
            self._send(event, self._snapshot() if event == "snapshot" else data)
        now, pending = time.monotonic(), self.picture.pending_readings
        if pending and now >= self._readings_at:
            self._send("readings", self.picture.take_readings())
            self._readings_at = now + min(1.0, len(self.picture.sensors) / SOURCES_PER_SECOND)
        if changes is None and not pending:
            return
        WALL_UPDATES.inc(len(self._pending_ms))
        now_ms = time.time_ns() // 1_000_000
        for appended_ms in self._pending_ms:
            WALL_DELAY.observe(max(0, now_ms - appended_ms) / 1000)
        self._pending_ms.clear()

    async def run(self) -> None:
        """Push changes and beats until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._push())
            tasks.create_task(self._beats())

    async def _push(self) -> None:
        while True:
            await self._touched.wait()
            self._touched.clear()
            self._flush()
            await asyncio.sleep(BATCH_SECONDS)
            if self.picture.pending_readings:
                self._touched.set()

    async def _beats(self) -> None:
        while True:
            self._beat()
            await asyncio.sleep(BEAT_SECONDS)

    def close(self) -> None:
        """End every stream; nobody can join any more."""
        self._closed = True
        for viewer in list(self._viewers):
            viewer.end()
            self.leave(viewer)
