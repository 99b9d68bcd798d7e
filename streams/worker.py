"""A Faust worker that commits each chunk in a transaction, and ends at once when it cannot.

Nothing escapes an agent's loop: Faust would take the chunk for done and go on. A chunk either commits, or the
process ends; what starts in its place takes up what was committed.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import faust
from aiokafka.structs import TopicPartition
from faust.types import TP

from ioc import metrics
from ioc.errors import UserError
from ioc.health import Health
from ioc.settings import Settings
from ioc.shutdown import end_after
from streams.chunks import Chunk, chunk_topic, use_chunks
from streams.decoding import RawRecord
from streams.topics import Topic
from streams.transactions import Effects, Lease

log = logging.getLogger(__name__)

#: Exit status of a worker that could not commit: start it again.
EXIT_CRASHED = 70
#: Seconds that a chunk may take before the worker calls itself stalled.
STALLED_SECONDS = 30.0
#: Seconds without a clock record after which a partition is not ready.
CLOCK_SILENT_SECONDS = 15.0


class Processor(Protocol):
    """The work on one partition, between its lease and its transactions."""

    async def work(self, records: Sequence[RawRecord]) -> Effects:
        """What a chunk leads to. May wait (for a configuration), must not raise for what a record holds."""

    def committed(self, records: Sequence[RawRecord]) -> None:
        """The effects are committed: count them."""

    def released(self) -> None:
        """The partition is another worker's from now on, which says how it stands: drop what was said of that."""

    @property
    def clock(self) -> float | None:
        """Event time that the partition has reached, Unix seconds; None before its first clock record."""


#: Makes the processor of a partition from its restored state.
MakeProcessor = Callable[[TopicPartition, Mapping[bytes, bytes]], Processor]


@dataclass
class _Held:
    lease: Lease
    processor: Processor
    clock: float | None
    clock_moved: float


class Worker:
    """One process: a Faust app with an agent for each topic."""

    def __init__(
        self,
        name: str,
        settings: Settings,
        health: Health,
        topics: Iterable[tuple[Topic, Topic]],
        make: MakeProcessor,
    ) -> None:
        """`topics` are pairs of a topic to consume and the topic of its state."""
        self.settings, self.health = settings, health
        self.group = f"{settings.topic_prefix}ioc-{name}"
        self._make = make
        self._state_topics = {topic.name: state.name for topic, state in topics}
        self._held: dict[TP, _Held] = {}
        self._locks: dict[TP, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._working_since: dict[TP, float] = {}
        self._stop = asyncio.Event()
        self._stopping = False
        self.app = self._make_app(name)

    def _make_app(self, name: str) -> faust.App:
        settings = self.settings
        # Faust wants a directory; without tables it stays empty.
        datadir = settings.state_dir / "faust" / name
        datadir.mkdir(parents=True, exist_ok=True)
        app = faust.App(
            self.group,
            broker=[f"kafka://{address}" for address in settings.bootstrap.split(",")],
            datadir=str(datadir),
            consumer_auto_offset_reset="earliest",
            broker_max_poll_records=settings.chunk_records,
            broker_session_timeout=settings.session_timeout,
            broker_heartbeat_interval=settings.session_timeout / 4,
            broker_request_timeout=max(30.0, settings.session_timeout),
            broker_rebalance_timeout=max(10.0, settings.session_timeout),
            broker_max_poll_interval=600.0,
            # Messages are chunks: a few of them in memory are enough.
            stream_buffer_maxsize=4,
            stream_wait_empty=False,
            topic_allow_declare=False,
            topic_disable_leader=True,
            table_standby_replicas=0,
            topic_replication_factor=settings.replication_factor,
            producer_acks=-1,
            web_enabled=False,
            worker_redirect_stdouts=False,
        )
        use_chunks(app)
        for topic in self._state_topics:
            self._add_agent(app, topic)
        app.on_partitions_revoked.connect(self._on_revoked, weak=False)
        return app

    def _add_agent(self, app: faust.App, topic: str) -> None:
        async def agent(stream: Any) -> None:
            async for chunk in stream:
                await self._guarded(chunk)

        app.agent(chunk_topic(app, topic), name=f"{self.group}-{topic}", concurrency=1)(agent)

    async def _guarded(self, chunk: Chunk) -> None:
        try:
            async with self._locks[chunk.tp]:
                if not self._stopping and chunk.generation == self.app.consumer_generation_id:
                    self._working_since[chunk.tp] = time.monotonic()
                    await self._process(chunk)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            self._crash(chunk.tp, error)
        finally:
            self._working_since.pop(chunk.tp, None)

    async def _process(self, chunk: Chunk) -> None:
        started = time.monotonic()
        held = self._held.get(chunk.tp) or await self._take(chunk.tp)
        lease = held.lease
        if chunk.follows is not None and chunk.follows > lease.position:
            raise RuntimeError(
                f"a chunk follows offset {chunk.follows}, but the position is {lease.position}"
            )
        records = [record for record in chunk.records if record.offset >= lease.position]
        if records:
            effects = await held.processor.work(records)
            await lease.commit(effects, chunk.end)
            held.processor.committed(records)
        topic, partition = chunk.tp.topic, str(chunk.tp.partition)
        if held.processor.clock != held.clock:
            held.clock, held.clock_moved = held.processor.clock, time.monotonic()
            metrics.CLOCK_SECONDS.labels(topic, partition).set(held.clock or 0)
            metrics.CLOCK_SEEN.labels(topic, partition).set_to_current_time()
        metrics.LAG.labels(topic, partition).set(max(0, chunk.highwater - lease.position))
        metrics.CHUNKS.labels(topic).observe(time.monotonic() - started)

    async def _take(self, tp: TP) -> _Held:
        partition = TopicPartition(tp.topic, tp.partition)
        lease = await Lease.take(self.settings.bootstrap, self.group, partition, self._state_topics[tp.topic])
        processor = self._make(partition, lease.state)
        lease.state = {}  # the processor has it now
        held = self._held[tp] = _Held(lease, processor, None, time.monotonic())
        return held

    async def _on_revoked(self, app: faust.App, revoked: set[TP], **kwargs: Any) -> None:
        await asyncio.gather(*(self._release(tp) for tp in revoked))

    async def _release(self, tp: TP) -> None:
        async with self._locks[tp]:
            held = self._held.pop(tp, None)
            if held is not None:
                await held.lease.release()
                metrics.forget_partition(tp.topic, tp.partition)
                held.processor.released()

    def _crash(self, tp: TP, error: BaseException) -> None:
        """End the process: what this chunk did is not committed, or not known to be."""
        if isinstance(error, UserError):
            sys.stderr.write(f"ioc: {error}\n")
        else:
            log.critical("%s/%d: cannot go on", tp.topic, tp.partition, exc_info=error)
        logging.shutdown()
        sys.stderr.flush()
        os._exit(2 if isinstance(error, UserError) else EXIT_CRASHED)

    # Life

    async def run(self) -> None:
        """Work until SIGTERM or SIGINT; then let chunks at work commit, and leave the group."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._asked_to_stop)
        self.health.check("partitions", False, "joining the group")
        self.app.finalize()
        self.app.in_worker = True
        await self.app.start()
        watch = asyncio.create_task(self._watch())
        await self._stop.wait()
        self._stopping = True
        self.health.check("running", False, "stopping")
        await asyncio.gather(*(self._release(tp) for tp in list(self._held)))
        await self.app.stop()
        watch.cancel()

    def _asked_to_stop(self) -> None:
        end_after(self.settings.shutdown_grace)
        self._stop.set()

    async def _watch(self) -> None:
        """Keep the health conditions true to what happens."""
        while True:
            self.health.beat()
            now = time.monotonic()
            stalled = [tp for tp, since in self._working_since.items() if now - since > STALLED_SECONDS]
            self.health.check(
                "chunks",
                not stalled,
                "stalled: " + _names(stalled) if stalled else "none is at work for long",
            )
            assigned = self.app.consumer.assignment()
            self.health.check(
                "partitions",
                bool(assigned) and not self.app.rebalancing,
                f"{len(assigned)} assigned"
                if assigned
                else "none is assigned; another worker may have them all",
            )
            silent = [
                tp
                for tp in assigned
                if (held := self._held.get(tp)) is None
                or held.clock is None
                or now - held.clock_moved > CLOCK_SILENT_SECONDS
            ]
            self.health.check(
                "clock",
                not silent,
                "no clock records from " + _names(silent) if silent else "clock records arrive",
            )
            await asyncio.sleep(1.0)


def _names(partitions: Iterable[TP]) -> str:
    return ", ".join(sorted(f"{tp.topic}/{tp.partition}" for tp in partitions))
