"""The chunks of one lane, one after the other: the work on them goes on while what it led to is being committed.

A lane is the partitions of one number of all topics that a worker consumes. A transaction costs some milliseconds
however little it holds, so where events come at a steady rate the number of transactions decides how late they are:
one for the lane, not one for each topic.

Two tasks. One takes up chunks in their order and does the work, in memory. The other commits: one transaction for
all that was worked on while the transaction before was under way. Where the lane is behind it waits for more: the
state of a source is written once for a transaction, which is a third of the work where each event is of another
source. The state in memory may run ahead of what is committed: where a commit fails the process ends, and the next
lease restores what was committed.

Nothing escapes either task: it is told to whoever made the pipeline, who must end the process.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any, Protocol

from aiokafka.structs import TopicPartition
from faust.types import TP

from ioc import metrics
from streams.chunks import Chunk
from streams.decoding import RawRecord
from streams.pace import Pace
from streams.transactions import Effects, Lease

#: Seconds in which a lane begins to work on further chunks in one turn. Each turn costs some steps of the event loop,
#: which at a steady rate are most of what events wait for.
TURN_SECONDS = 0.005

#: Steps of the event loop between two turns: to fetch and to commit takes some dozen, and each would wait for a turn.
STEPS_BETWEEN = 4

#: Seconds that a transaction waits for its fill, where more than that is known to come: the broker may fall silent.
FILL_SECONDS = 0.5

#: Offsets that markers of transactions may take between two records as a rule. What is more is looked into: retention
#: may have deleted what was not read.
MARKERS = 3


@dataclass(frozen=True, slots=True)
class Done:
    """What the work on a chunk led to."""

    effects: Effects
    #: To be called once they are committed: it counts them.
    committed: Callable[[], None]


class Processor(Protocol):
    """The work on one partition, between its lease and its transactions."""

    def ready(self, records: Sequence[RawRecord]) -> bool:
        """Whether the work on these records can be done without `prepare`."""

    async def prepare(self, records: Sequence[RawRecord]) -> None:
        """Wait for what the work on these records needs, such as a configuration."""

    def work(self, records: Sequence[RawRecord]) -> Done:
        """What a chunk leads to, but for the state. Must not raise for what a record holds."""

    def write_state(self, effects: Effects) -> None:
        """Add what has changed of the state since the last call, after the chunks that were worked on."""

    def released(self) -> None:
        """The partition is another worker's from now on, which says how it stands: drop what was said of that."""

    @property
    def clock(self) -> float | None:
        """Event time that the partition has reached, Unix seconds; None before its first clock record."""


#: Takes the lease on the lane of a number, and makes the processor of each of its partitions from the restored state.
Take = Callable[[int], Awaitable[tuple[Lease, Mapping[TP, Processor]]]]


@dataclass(frozen=True, slots=True)
class _Worked:
    """A chunk whose effects are not committed. Its records are gone: what they led to is enough in memory."""

    tp: TP
    end: int
    highwater: int
    started: float
    #: Event time that its partition has reached by it.
    clock: float | None
    #: None where the whole chunk was behind the position.
    done: Done | None


class Pipeline:
    """One lane of a worker. `give` it the chunks of each partition in their order; `close` it when the lane goes."""

    def __init__(
        self,
        number: int,
        topics: Iterable[str],
        take: Take,
        pace: Pace,
        turn: asyncio.Lock,
        failed: Callable[[str, BaseException], None],
        *,
        together: int,
        limit: Callable[[], int],
        fill: Callable[[], int],
    ) -> None:
        """A pipeline whose tasks run at once.

        `together` is the number of records up to which waiting chunks become one. `limit` says how many records may
        wait for the work; `fill` for how many, worked on, a transaction waits where the lane is behind, and at which
        the work waits for the commit before theirs. A chunk more of each may be in memory. `pace` and `turn` are
        shared by the pipelines of a process.
        """
        self.number = number
        self.tps = tuple(TP(topic, number) for topic in topics)
        #: Event time of each partition as of the last commit, Unix seconds, and when it last changed (monotonic).
        self.clocks: dict[TP, tuple[float | None, float]] = {}
        self._take, self._pace, self._turn, self._failed = take, pace, turn, failed
        self._together, self._limit, self._fill = together, limit, fill
        self._chunks: deque[Chunk] = deque()
        self._waiting = 0
        self._full = self._closing = self._work_ended = False
        self._working_since: float | None = None
        self._preparing: asyncio.Task[None] | None = None
        self._worked: list[_Worked] = []
        #: Records that are worked on and wait for the transaction before theirs.
        self._ahead = 0
        #: Of each partition, the records that the broker had behind the newest chunk.
        self._left: dict[TP, int] = {}
        self._committing: list[_Worked] = []
        self._changed = asyncio.Event()
        self._lease: Lease | None = None
        self._processors: Mapping[TP, Processor] = {}
        #: The next offset to work on; the lease's is the next one to commit.
        self._positions: dict[TP, int] = {}
        #: Questions about gaps that are under way.
        self._looking: set[asyncio.Task[None]] = set()
        self._tasks = [asyncio.create_task(self._guarded(part())) for part in (self._work, self._commit)]

    def give(self, chunk: Chunk) -> None:
        """Take a chunk into memory. Void once the pipeline is being closed: the next lease begins before it."""
        if self._closing:
            return
        self._chunks.append(chunk)
        self._waiting += len(chunk.records)
        self._left[chunk.tp] = chunk.highwater - chunk.end
        if not self._full and self._waiting >= self._limit():
            self._full = True
            for tp in self.tps:
                self._pace.on_buffer_full(tp)
        self._changed.set()

    @property
    def since(self) -> float | None:
        """When the oldest chunk that is not committed was taken up (monotonic); None where there is none."""
        for worked in (*self._committing[:1], *self._worked[:1]):
            return worked.started
        return self._working_since

    def waits(self, tp: TP, now: float) -> None:
        """A partition waits for others, as the pace wants it: that its clock stands is no silence."""
        if tp in self.clocks:
            self.clocks[tp] = self.clocks[tp][0], now
            metrics.CLOCK_SEEN.labels(tp.topic, str(tp.partition)).set_to_current_time()

    async def close(self) -> None:
        """Finish and commit what is at work, drop what is not, and give up the lease."""
        self._closing = True
        for tp in self.tps:
            self._pace.forget(tp)
        self._changed.set()
        if self._preparing is not None:
            self._preparing.cancel()  # it may wait for something that never comes, and nothing is worked on yet
        await asyncio.gather(*self._tasks)
        if self._lease is not None:
            await self._lease.release()
            for tp, processor in self._processors.items():
                metrics.forget_partition(tp.topic, tp.partition)
                processor.released()

    async def _guarded(self, part: Coroutine[Any, Any, None]) -> None:
        try:
            await part
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            self._failed(f"lane {self.number}", error)

    async def _until(self, condition: Callable[[], object]) -> None:
        while not condition():
            self._changed.clear()
            await self._changed.wait()

    # The work

    async def _work(self) -> None:
        try:
            while True:
                await self._until(lambda: self._closing or (self._chunks and self._ahead < self._fill()))
                if self._closing:
                    return
                self._working_since = time.monotonic()
                if self._lease is None and not await self._unless_closed(self._take_lease()):
                    return
                if not await self._prepared(self._next()):
                    return
                # Some chunks, then what came from the network, then another lane's: commits do not wait for the work
                # on all lanes.
                async with self._turn:
                    for _ in range(STEPS_BETWEEN):
                        await asyncio.sleep(0)
                    self._take_turn()
                self._working_since = None
                self._changed.set()
        finally:
            self._work_ended = True
            self._changed.set()

    def _next(self) -> Chunk:
        """The longest waiting chunk, which becomes one with what waits of the same partition behind it.

        Work has a price for each chunk: where it is behind, it takes more at once.
        """
        chunk = self._chunks[0]
        if len(self._chunks) == 1 or len(chunk.records) >= self._together:
            return chunk
        records, last, others = list(chunk.records), chunk, deque[Chunk]()
        for other in self._chunks:
            fits = len(records) + len(other.records) <= self._together
            if other.tp == chunk.tp and other.follows == last.end and fits:
                records += other.records
                last = other
            elif other is not chunk:
                others.append(other)
        if last is not chunk:
            chunk = replace(chunk, records=records, highwater=last.highwater)
            others.appendleft(chunk)
            self._chunks = others
        return chunk

    async def _prepared(self, chunk: Chunk) -> bool:
        """Wait until a chunk can be worked on; False where the pipeline is closed before that."""
        processor, records = self._processors[chunk.tp], self._new(chunk)
        if not records or processor.ready(records):
            return True
        return await self._unless_closed(processor.prepare(records))

    async def _take_lease(self) -> None:
        self._lease, self._processors = await self._take(self.number)
        self._positions = {TP(*tp): position for tp, position in self._lease.positions.items()}

    async def _unless_closed(self, waiting: Coroutine[Any, Any, None]) -> bool:
        """Wait for something that may never come; False where the pipeline is closed before that."""
        self._preparing = asyncio.create_task(waiting)
        try:
            await self._preparing
        except asyncio.CancelledError:
            if not self._closing:
                raise
            return False
        finally:
            self._preparing = None
        return True

    def _new(self, chunk: Chunk) -> Sequence[RawRecord]:
        """The records of a chunk that are not behind the position."""
        position = self._positions[chunk.tp]
        if chunk.records[0].offset >= position:
            return chunk.records
        return [record for record in chunk.records if record.offset >= position]

    def _take_turn(self) -> None:
        """Work on the first chunk, which is prepared, and on more that need no preparing while the turn is short."""
        started = time.monotonic()
        while True:
            self._work_on(self._chunks.popleft(), started)
            if not self._chunks or self._closing or time.monotonic() - started > TURN_SECONDS:
                return
            chunk = self._next()
            if not self._processors[chunk.tp].ready(self._new(chunk)):
                return

    def _work_on(self, chunk: Chunk, started: float) -> None:
        self._waiting -= len(chunk.records)
        if self._full and self._waiting <= self._limit() // 2:
            self._full = False
            for tp in self.tps:
                self._pace.on_buffer_drop(tp)
        tp, processor, position = chunk.tp, self._processors[chunk.tp], self._positions[chunk.tp]
        if chunk.follows is not None and chunk.follows > position:
            raise RuntimeError(
                f"{tp.topic}/{tp.partition}: a chunk follows offset {chunk.follows}, but the position is {position}"
            )
        if chunk.records[0].offset - position > MARKERS:
            self._look_into_gap(tp, position)
        records, done = self._new(chunk), None
        if records:
            done = processor.work(records)
            self._positions[tp] = chunk.end
            if not self._closing:
                self._pace.reached(tp, processor.clock, time.monotonic())
        self._worked.append(_Worked(tp, chunk.end, chunk.highwater, started, processor.clock, done))
        self._ahead += len(chunk.records)

    def _look_into_gap(self, tp: TP, position: int) -> None:
        assert self._lease is not None, "what is worked on has a lease"
        looking = asyncio.create_task(self._lease.look_into_gap(TopicPartition(*tp), position))
        self._looking.add(looking)
        looking.add_done_callback(self._looking.discard)

    # The commits

    async def _commit(self) -> None:
        while True:
            await self._until(lambda: self._worked or self._work_ended)
            if not self._worked:
                return
            if self._is_behind:
                await self._until_filled()
            self._committing, self._worked, self._ahead = self._worked, [], 0
            self._changed.set()
            await self._commit_together(self._committing)
            self._committing = []

    @property
    def _is_behind(self) -> bool:
        """Whether the broker has a transaction's fill of a partition that is not yet handed over."""
        return max(self._left.values()) > self._fill()

    async def _until_filled(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(FILL_SECONDS):
                await self._until(
                    lambda: self._ahead >= self._fill() or not self._is_behind or self._work_ended
                )

    async def _commit_together(self, several: list[_Worked]) -> None:
        lease = self._lease
        assert lease is not None, "what was worked on had a lease"
        new = [(worked, worked.done) for worked in several if worked.done is not None]
        if new:
            # Of several chunks of a partition the last one's end is what stays, and the state after it.
            ends = {TopicPartition(*worked.tp): worked.end for worked, _ in new}
            effects = new[0][1].effects
            for _, done in new[1:]:
                effects.extend(done.effects)
            # Nothing was awaited since these chunks were taken: the states are those after them.
            for tp in ends:
                self._processors[TP(*tp)].write_state(effects)
            await lease.commit(effects, ends)
            for _, done in new:
                done.committed()
        now = time.monotonic()
        for worked in several:
            metrics.CHUNKS.labels(worked.tp.topic).observe(now - worked.started)
        for tp, last in {worked.tp: worked for worked in several}.items():
            self._tell(tp, last, lease.positions[TopicPartition(*tp)], now)

    def _tell(self, tp: TP, last: _Worked, position: int, now: float) -> None:
        """How far a partition is, after the commit of its chunk `last`."""
        labels = tp.topic, str(tp.partition)
        if tp not in self.clocks or last.clock != self.clocks[tp][0]:
            self.clocks[tp] = last.clock, now
            metrics.CLOCK_SECONDS.labels(*labels).set(last.clock or 0)
            metrics.CLOCK_SEEN.labels(*labels).set_to_current_time()
        metrics.LAG.labels(*labels).set(max(0, last.highwater - position))
