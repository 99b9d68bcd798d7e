"""A Faust worker that commits each chunk in a transaction, and ends at once when it cannot.

The agents only hand chunks on, each to the pipeline of its lane, so lanes do not wait for each other. A chunk
either commits, or the process ends; what starts in its place takes up what was committed.
"""

from __future__ import annotations

import asyncio
import logging
import math
import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Any

import faust
from aiokafka.structs import TopicPartition
from faust.types import TP

from ioc import metrics
from ioc.errors import UserError
from ioc.health import Health
from ioc.settings import Settings
from ioc.shutdown import when_asked_to_end
from streams.chunks import Chunk, chunk_topic, use_transport
from streams.clients import faust_credentials
from streams.pace import AHEAD_SECONDS, Pace
from streams.pipeline import Pipeline, Processor
from streams.topics import Topic
from streams.transactions import Lease, PositionLost, standings

log = logging.getLogger(__name__)

#: Exit status of a worker that could not commit: start it again.
EXIT_CRASHED = 70
#: Seconds that a chunk may take before the worker calls itself stalled.
STALLED_SECONDS = 30.0
#: Records that may wait in a process for the work on them, and again for the commit after it, over all its lanes.
BACKLOG_RECORDS = 32_000
#: Records that a transaction of a lane waits for where it is behind, if all lanes' backlog leaves room for them.
FILL_RECORDS = 8_000
#: Seconds between looks at whether a lost state was made anew.
LOST_LOOK_SECONDS = 3.0
#: Milliseconds after which a consumer asks anew which topics and partitions there are. For aiokafka's 300,000 a group
#: would stand still that met when a broker had come back, but did not know of its topics yet.
METADATA_MS = 10_000
#: Seconds without a clock record after which a partition is not ready.
CLOCK_SILENT_SECONDS = 15.0


#: Makes the processor of a partition from its restored state.
MakeProcessor = Callable[[TopicPartition, Mapping[bytes, bytes]], Processor]


def fill_records(lanes: int) -> int:
    """How many records of a lane make up a transaction where it is behind, in a process with so many lanes."""
    return min(FILL_RECORDS, BACKLOG_RECORDS // max(1, lanes))


class Worker:
    """One process: a Faust app with an agent for each topic."""

    def __init__(
        self,
        name: str,
        settings: Settings,
        health: Health,
        topics: Iterable[tuple[Topic, Topic]],
        make: MakeProcessor,
        *,
        in_step: bool,
    ) -> None:
        """`topics` are pairs of a topic to consume and the topic of its state.

        `in_step` says that partitions that are far ahead in event time wait for the others of the process.
        """
        self.settings, self.health = settings, health
        self.group = f"{settings.topic_prefix}ioc-{name}"
        self._make = make
        self._state_topics = {topic.name: state.name for topic, state in topics}
        #: By the number of the lane.
        self._pipelines: dict[int, Pipeline] = {}
        self._turn = asyncio.Lock()
        self._in_step = in_step
        self._stop = asyncio.Event()
        self._stopping = False
        self.app = self._make_app(name)

    @cached_property
    def _pace(self) -> Pace:
        return Pace(self.app.consumer, ahead=AHEAD_SECONDS if self._in_step else math.inf)

    def _make_app(self, name: str) -> faust.App:
        settings = self.settings
        # Faust wants a directory; without tables it stays empty.
        datadir = settings.state_dir / "faust" / name
        datadir.mkdir(parents=True, exist_ok=True)
        app = faust.App(
            self.group,
            broker=[f"kafka://{address}" for address in settings.bootstrap.split(",")],
            broker_credentials=faust_credentials(settings),
            datadir=str(datadir),
            consumer_auto_offset_reset="earliest",
            broker_max_poll_records=settings.chunk_records,
            broker_session_timeout=settings.session_timeout,
            broker_heartbeat_interval=settings.session_timeout / 4,
            broker_request_timeout=max(30.0, settings.session_timeout),
            broker_rebalance_timeout=max(10.0, settings.session_timeout),
            broker_max_poll_interval=600.0,
            consumer_metadata_max_age_ms=METADATA_MS,
            # An agent hands on at once what it gets; how much is in memory is the pipelines' to say.
            stream_wait_empty=False,
            topic_allow_declare=False,
            topic_disable_leader=True,
            table_standby_replicas=0,
            topic_replication_factor=settings.replication_factor,
            producer_acks=-1,
            web_enabled=False,
            worker_redirect_stdouts=False,
        )
        use_transport(app, settings.transport)
        for topic in self._state_topics:
            self._add_agent(app, topic)
        app.on_partitions_revoked.connect(self._on_revoked, weak=False)
        return app

    def _add_agent(self, app: faust.App, topic: str) -> None:
        async def agent(stream: Any) -> None:
            async for chunk in stream:
                self._give(chunk)

        app.agent(chunk_topic(app, topic), name=f"{self.group}-{topic}", concurrency=1)(agent)

    def _give(self, chunk: Chunk) -> None:
        """Hand a chunk to its lane's pipeline. One of a former assignment is void: it will be read again."""
        if self._stopping or self.app.rebalancing or chunk.generation != self.app.consumer_generation_id:
            return
        number = chunk.tp.partition
        pipeline = self._pipelines.get(number)
        if pipeline is None:
            pipeline = self._pipelines[number] = Pipeline(
                number,
                self._state_topics,
                self._take,
                self._pace,
                self._turn,
                self._crash,
                together=1 if self.settings.transport == "records" else self.settings.chunk_records,
                limit=self._share,
                fill=lambda: fill_records(len(self._pipelines)),
            )
        pipeline.give(chunk)

    def _share(self) -> int:
        """How many of the records that a process may have in memory a lane may have; of lanes that close only the
        others count."""
        return min(self.settings.chunk_records, BACKLOG_RECORDS // max(1, len(self._pipelines)))

    async def _take(self, number: int) -> tuple[Lease, Mapping[TP, Processor]]:
        while True:
            try:
                lease = await Lease.take(self.settings, self.group, number, self._state_topics)
                break
            except PositionLost as lost:
                await self._until_whole(number, str(lost))
        processors = {TP(*tp): self._make(tp, state) for tp, state in lease.states.items()}
        lease.states = {}  # the processors have it now
        return lease, processors

    async def _until_whole(self, number: int, lost: str) -> None:
        """Wait while a state or a log of a lane is lost. It must be made anew, which nobody but a person decides."""
        condition = f"state of lane {number}"
        log.error("%s. Nothing of lane %d is judged. Make it anew: ioc rebuild", lost, number)
        try:
            while lost:
                self.health.check(condition, False, f"{lost}. Make it anew: ioc rebuild")
                await asyncio.sleep(LOST_LOOK_SECONDS)
                # Without the lease: whoever makes it anew has that.
                stands = await standings(self.settings, self.group, number, self._state_topics)
                lost = "; ".join(one.lost for one in stands if one.lost)
        finally:
            self.health.check(condition, True, "whole, or another worker's")

    async def _on_revoked(self, app: faust.App, revoked: set[TP], **kwargs: Any) -> None:
        await self._release({tp.partition for tp in revoked})

    async def _release(self, lanes: Iterable[int]) -> None:
        """Commit what is at work on these lanes and give them up."""
        closing = [pipeline for lane in lanes if (pipeline := self._pipelines.pop(lane, None)) is not None]
        await asyncio.gather(*(pipeline.close() for pipeline in closing))

    def _crash(self, where: str, error: BaseException) -> None:
        """End the process: what this chunk did is not committed, or not known to be."""
        if isinstance(error, UserError):
            sys.stderr.write(f"ioc: {error}\n")
        else:
            log.critical("%s: cannot go on", where, exc_info=error)
        logging.shutdown()
        sys.stderr.flush()
        os._exit(2 if isinstance(error, UserError) else EXIT_CRASHED)

    # Life

    async def run(self) -> None:
        """Work until SIGTERM or SIGINT; then let chunks at work commit, and leave the group."""
        when_asked_to_end(self.settings.shutdown_grace, self._stop.set)
        self.health.check("partitions", False, "joining the group")
        self.app.finalize()
        self.app.in_worker = True
        await self.app.start()
        watch = asyncio.create_task(self._watch())
        await self._stop.wait()
        self._stopping = True
        self.health.check("running", False, "stopping")
        await self._release(list(self._pipelines))
        await self.app.stop()
        watch.cancel()

    async def _watch(self) -> None:
        """Keep the health conditions true to what happens."""
        while True:
            self.health.beat()
            if self.app.crashed and not self._stopping:
                # Faust would stay in the group, with partitions that nobody reads.
                self._crash("Faust", self.app.crash_reason or RuntimeError("it has crashed"))
            now = time.monotonic()
            self._pace.look(now)
            for tp in self._pace.waiting:
                if (waiting := self._pipelines.get(tp.partition)) is not None:
                    waiting.waits(tp, now)
            ages = {
                pipeline: now - since
                for pipeline in self._pipelines.values()
                if (since := pipeline.since) is not None
            }
            metrics.OLDEST_CHUNK.set(max(ages.values(), default=0.0))
            stalled = [tp for pipeline, age in ages.items() for tp in pipeline.tps if age > STALLED_SECONDS]
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
                if (pipeline := self._pipelines.get(tp.partition)) is None
                or (seen := pipeline.clocks.get(TP(*tp))) is None
                or seen[0] is None
                or now - seen[1] > CLOCK_SILENT_SECONDS
            ]
            self.health.check(
                "clock",
                not silent,
                "no clock records from " + _names(silent) if silent else "clock records arrive",
            )
            await asyncio.sleep(1.0)


def _names(partitions: Iterable[TP]) -> str:
    return ", ".join(sorted(f"{tp.topic}/{tp.partition}" for tp in partitions))
