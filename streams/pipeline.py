"""The chunks of one partition, one after the other: the work on them goes on while what it led to is being committed.

Two tasks. One takes up chunks in their order and does the work, in memory. The other commits: one transaction for
all that was worked on while the transaction before was under way. So a transaction is a chunk where records come
slowly, and a few of them where there is a backlog. The state in memory may run ahead of what is committed: where a
commit fails the process ends, and the next lease restores what was committed.

Nothing escapes either task: it is told to whoever made the pipeline, who must end the process.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from faust.types import TP

from ioc import metrics
from streams.chunks import Chunk
from streams.decoding import RawRecord
from streams.transactions import Effects, Lease


@dataclass(frozen=True, slots=True)
class Done:
    """What the work on a chunk led to."""

    effects: Effects
    #: To be called once they are committed: it counts them.
    committed: Callable[[], None]


class Processor(Protocol):
    """The work on one partition, between its lease and its transactions."""

    async def prepare(self, records: Sequence[RawRecord]) -> None:
        """Wait for what the work on these records needs, such as a configuration."""

    def work(self, records: Sequence[RawRecord]) -> Done:
        """What a chunk leads to. Must not raise for what a record holds."""

    def released(self) -> None:
        """The partition is another worker's from now on, which says how it stands: drop what was said of that."""

    @property
    def clock(self) -> float | None:
        """Event time that the partition has reached, Unix seconds; None before its first clock record."""


#: Takes the lease on a partition and makes the processor from its restored state.
Take = Callable[[TP], Awaitable[tuple[Lease, Processor]]]


class Room(Protocol):
    """Who stops and goes on handing over a partition's chunks: Faust's consumer."""

    def on_buffer_full(self, tp: TP) -> None: ...
    def on_buffer_drop(self, tp: TP) -> None: ...


@dataclass(frozen=True, slots=True)
class _Worked:
    """A chunk whose effects are not committed."""

    chunk: Chunk
    started: float
    clock: float | None
    #: None where the whole chunk was behind the position.
    done: Done | None


class Pipeline:
    """One partition of a worker. `give` it chunks in their order; `close` it when the partition goes."""

    def __init__(
        self,
        tp: TP,
        take: Take,
        room: Room,
        turn: asyncio.Lock,
        failed: Callable[[TP, BaseException], None],
        *,
        limit: int,
    ) -> None:
        """`limit` is the number of records of a chunk. So many worked ones may wait for the commit before them, and
        twice as many in memory for the work. `turn` is shared by the pipelines of a process."""
        self.tp = tp
        #: Event time as of the last commit, Unix seconds, and when it last changed (monotonic).
        self.clock: float | None = None
        self.clock_moved = time.monotonic()
        self._take, self._room, self._turn, self._failed, self._limit = take, room, turn, failed, limit
        self._chunks: deque[Chunk] = deque()
        self._waiting = 0
        self._full = self._closing = self._work_ended = False
        self._working_since: float | None = None
        self._preparing: asyncio.Task[None] | None = None
        self._worked: list[_Worked] = []
        #: Records that are worked on and wait for the transaction before theirs.
        self._ahead = 0
        self._committing: list[_Worked] = []
        self._changed = asyncio.Event()
        self._lease: Lease | None = None
        self._processor: Processor | None = None
        #: The next offset to work on; the lease's is the next one to commit.
        self._position = 0
        self._tasks = [asyncio.create_task(self._guarded(part())) for part in (self._work, self._commit)]

    def give(self, chunk: Chunk) -> None:
        """Take a chunk into memory. Void once the pipeline is being closed: the next lease begins before it."""
        if self._closing:
            return
        self._chunks.append(chunk)
        self._waiting += len(chunk.records)
        if not self._full and self._waiting >= 2 * self._limit:
            self._full = True
            self._room.on_buffer_full(self.tp)
        self._changed.set()

    @property
    def since(self) -> float | None:
        """When the oldest chunk that is not committed was taken up (monotonic); None where there is none."""
        for worked in (*self._committing[:1], *self._worked[:1]):
            return worked.started
        return self._working_since

    async def close(self) -> None:
        """Finish and commit what is at work, drop what is not, and give up the lease."""
        self._closing = True
        self._changed.set()
        if self._preparing is not None:
            self._preparing.cancel()  # it may wait for something that never comes, and nothing is worked on yet
        await asyncio.gather(*self._tasks)
        if self._lease is not None and self._processor is not None:
            await self._lease.release()
            metrics.forget_partition(self.tp.topic, self.tp.partition)
            self._processor.released()

    async def _guarded(self, part: Coroutine[Any, Any, None]) -> None:
        try:
            await part
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            self._failed(self.tp, error)

    async def _until(self, condition: Callable[[], object]) -> None:
        while not condition():
            self._changed.clear()
            await self._changed.wait()

    # The work

    async def _work(self) -> None:
        try:
            while True:
                await self._until(lambda: self._closing or (self._chunks and self._ahead < self._limit))
                if self._closing:
                    return
                await self._work_on(self._next())
        finally:
            self._work_ended = True
            self._changed.set()

    def _next(self) -> Chunk:
        chunk = self._chunks.popleft()
        self._waiting -= len(chunk.records)
        if self._full and self._waiting < self._limit:
            self._full = False
            self._room.on_buffer_drop(self.tp)
        return chunk

    async def _work_on(self, chunk: Chunk) -> None:
        self._working_since = started = time.monotonic()
        if self._processor is None:
            self._lease, self._processor = await self._take(self.tp)
            self._position = self._lease.position
        if chunk.follows is not None and chunk.follows > self._position:
            raise RuntimeError(
                f"a chunk follows offset {chunk.follows}, but the position is {self._position}"
            )
        records, done = chunk.records, None
        if records[0].offset < self._position:
            records = [record for record in records if record.offset >= self._position]
        if records:
            if not await self._prepared(self._processor, records):
                return
            # One chunk of the process, then what came from the network, then the next: commits do not wait for the
            # work on all partitions.
            async with self._turn:
                await asyncio.sleep(0)
                done = self._processor.work(records)
            self._position = chunk.end
        self._worked.append(_Worked(chunk, started, self._processor.clock, done))
        self._ahead += len(chunk.records)
        self._working_since = None
        self._changed.set()

    async def _prepared(self, processor: Processor, records: Sequence[RawRecord]) -> bool:
        """Wait until the work can be done; False where the pipeline is closed before that."""
        self._preparing = asyncio.create_task(processor.prepare(records))
        try:
            await self._preparing
        except asyncio.CancelledError:
            if not self._closing:
                raise
            return False
        finally:
            self._preparing = None
        return True

    # The commits

    async def _commit(self) -> None:
        while True:
            await self._until(lambda: self._worked or self._work_ended)
            if not self._worked:
                return
            self._committing, self._worked, self._ahead = self._worked, [], 0
            self._changed.set()
            await self._commit_together(self._committing)
            self._committing = []

    async def _commit_together(self, several: list[_Worked]) -> None:
        lease = self._lease
        assert lease is not None, "what was worked on had a lease"
        new = [(worked.done, worked.chunk.end) for worked in several if worked.done is not None]
        if new:
            effects = new[0][0].effects
            for done, _ in new[1:]:
                effects.extend(done.effects)
            await lease.commit(effects, new[-1][1])
            for done, _ in new:
                done.committed()
        now, (topic, partition) = time.monotonic(), (self.tp.topic, str(self.tp.partition))
        for worked in several:
            metrics.CHUNKS.labels(topic).observe(now - worked.started)
        last = several[-1]
        if last.clock != self.clock:
            self.clock, self.clock_moved = last.clock, now
            metrics.CLOCK_SECONDS.labels(topic, partition).set(last.clock or 0)
            metrics.CLOCK_SEEN.labels(topic, partition).set_to_current_time()
        metrics.LAG.labels(topic, partition).set(max(0, last.chunk.highwater - lease.position))
