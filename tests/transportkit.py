"""A worker whose work shows at once what was lost, doubled or put in another order: it numbers records.

Each record of the flood topic is written on to ioc.located, behind the number that it has among its source's records.
The numbers are the state. So a record that is lost leaves a gap or is not there, one that is worked on twice takes a
number too many, and a state that was not restored begins again with 1. Run with `python -m tests.transportkit`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import IllegalStateError
from aiokafka.structs import TopicPartition
from kafka import KafkaAdminClient, KafkaProducer
from kafka.errors import CoordinatorLoadInProgressError, CoordinatorNotAvailableError, NotCoordinatorError

from ioc.health import Health, serve_health
from ioc.logs import configure_logs
from ioc.settings import Settings, load_settings
from ioc.shutdown import child_setup
from streams import chunks, transactions, worker
from streams.decoding import RawRecord
from streams.pipeline import Done
from streams.topics import Topics
from streams.transactions import Effects
from tests.system import environment, read_all

log = logging.getLogger(__name__)

#: A record that is worked on only once the process has had SIGUSR1; it logs WAITS before.
WAIT = b"wait"
WAITS = "waits for SIGUSR1"
#: Seconds within which a worker must have ended after SIGTERM.
END_SECONDS = 10.0
#: Seconds that the work on a chunk takes at least.
SLOW = "IOC_TEST_SLOW"
#: Set: a lease is taken only once the process has had SIGUSR1; it logs RESTORES before.
SLOW_RESTORE = "IOC_TEST_SLOW_RESTORE"
RESTORES = "restores until SIGUSR1"
#: Set: the work on a record of this value raises, as a mistake in a program does.
RAISES = "IOC_TEST_RAISES"
RAISE = b"raise"
#: Seconds after which the worker calls a chunk stalled, instead of the product's.
STALLED = "IOC_TEST_STALLED"
#: Set: the first time that a worker goes back to what is committed, the assignment has just changed.
SEEK_RACES = "IOC_TEST_SEEK_RACES"
RACED = "a seek under which the assignment changes"
#: Set: Faust's fetcher fails once there are records.
FETCHER_FAILS = "IOC_TEST_FETCHER_FAILS"


class Numbering:
    """Numbers the records of each source of one partition."""

    clock: float | None = None

    def __init__(
        self, tp: TopicPartition, topics: Topics, restored: Mapping[bytes, bytes], gate: asyncio.Event
    ) -> None:
        self._tp, self._topics, self._gate = tp, topics, gate
        self._numbers = {source: int(value) for source, value in restored.items()}
        self._touched: set[bytes] = set()

    def ready(self, records: Sequence[RawRecord]) -> bool:
        return all(record.value != WAIT for record in records)

    async def prepare(self, records: Sequence[RawRecord]) -> None:
        if any(record.value == WAIT for record in records):
            log.info(WAITS)
            await self._gate.wait()

    def work(self, records: Sequence[RawRecord]) -> Done:
        time.sleep(float(os.environ.get(SLOW, "0")))
        effects = Effects()
        self._touched |= {record.key or b"" for record in records}
        for record in records:
            source, value = record.key or b"", record.value or b""
            if value == RAISE and os.environ.get(RAISES):
                raise ValueError("a mistake")
            number = self._numbers[source] = self._numbers.get(source, 0) + 1
            effects.add(self._topics.located.name, self._tp.partition, source, b"%d %s" % (number, value))
        return Done(effects, lambda: None)

    def write_state(self, effects: Effects) -> None:
        for source in self._touched:
            effects.add(
                self._topics.raw_state["flood"].name,
                self._tp.partition,
                source,
                b"%d" % self._numbers[source],
            )
        self._touched = set()

    def released(self) -> None:
        pass


class Workers:
    """Processes that number records. Each has its output in a file of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, settings: Settings, slow: float = 0.0, **more: str) -> subprocess.Popen[bytes]:
        """Start one. `slow`: seconds that each chunk takes at least; `more` goes into its environment."""
        with (self.directory / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", "tests.transportkit"],
                env={**environment(settings), SLOW: str(slow), **more},
                stdout=log,
                stderr=log,
                preexec_fn=child_setup(),
            )
        return self.processes[name]

    def end(self, name: str) -> None:
        """SIGTERM: it must end by itself, in time, and say that it did."""
        self.processes[name].terminate()
        assert self.processes[name].wait(END_SECONDS) == 0, self.log(name)

    def waits(self, name: str) -> bool:
        return WAITS in self.log(name)

    def log(self, name: str) -> str:
        return (self.directory / f"{name}.log").read_text(errors="replace")

    def logs(self) -> str:
        return "\n".join(f"--- {name}\n{self.log(name)[-2000:]}" for name in self.processes)

    def kill(self) -> None:
        """End all that runs, paused or not."""
        for process in self.processes.values():
            if process.poll() is None:
                process.kill()
                process.wait(10)


def group(settings: Settings) -> str:
    """The consumer group of these workers."""
    return f"{settings.topic_prefix}ioc-numbering"


def committed(settings: Settings, admin: KafkaAdminClient) -> dict[int, int]:
    """The group's committed offset in each partition of the flood topic, as anybody can see it."""
    name = group(settings)
    try:
        offsets = admin.list_group_offsets({name: None})[name]
    except (CoordinatorNotAvailableError, CoordinatorLoadInProgressError, NotCoordinatorError):
        return {}  # the first group that a new broker has
    return {tp.partition: entry.offset for tp, entry in offsets.items() if entry.offset >= 0}


def send(producer: KafkaProducer, settings: Settings, source: str, value: bytes, partition: int) -> None:
    topic = Topics.of(settings).raw["flood"].name
    producer.send(topic, key=source.encode(), value=value, partition=partition)


def numbered(settings: Settings) -> dict[str, list[tuple[int, str]]]:
    """Number and value of each record that readers of committed records see, by source, in the log's order."""
    found: dict[str, list[tuple[int, str]]] = {}
    for record in read_all(settings, Topics.of(settings).located.name):
        number, _, value = record.value.decode().partition(" ")
        found.setdefault(record.key.decode(), []).append((int(number), value))
    return found


async def main() -> None:
    settings = load_settings()
    topics = Topics.of(settings)
    pairs = [(topics.raw["flood"], topics.raw_state["flood"])]
    gate = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, gate.set)
    if os.environ.get(SLOW_RESTORE):
        _restore_at(gate)
    if os.environ.get(SEEK_RACES):
        _race_the_first_seek()
    if os.environ.get(FETCHER_FAILS):
        _fail_with_the_first_chunk()
    worker.STALLED_SECONDS = float(os.environ.get(STALLED, worker.STALLED_SECONDS))
    health = Health()
    with serve_health(health, settings.host, settings.sense_health_port):
        await worker.Worker(
            "numbering",
            settings,
            health,
            pairs,
            lambda tp, state: Numbering(tp, topics, state, gate),
            in_step=True,
        ).run()


def _restore_at(gate: asyncio.Event) -> None:
    """Let every lease wait for the gate, as one with a very long state would take its time."""
    whole = transactions.standings

    async def slowly(*args: Any) -> list[transactions.Standing]:
        log.info(RESTORES)
        await gate.wait()
        return await whole(*args)

    transactions.standings = slowly


def _race_the_first_seek() -> None:
    """Let aiokafka answer the first seek as it does when the assignment changes under it."""
    seek = AIOKafkaConsumer.seek_to_committed
    raced = False

    async def raise_once(consumer: AIOKafkaConsumer, *partitions: TopicPartition) -> Any:
        nonlocal raced
        found = await seek(consumer, *partitions)
        if not raced:
            raced = True
            log.info(RACED)
            raise IllegalStateError("No current assignment for partition")
        return found

    AIOKafkaConsumer.seek_to_committed = raise_once


def _fail_with_the_first_chunk() -> None:
    """Let the hand-over raise, outside of any agent."""

    def chunk(*_: Any) -> Any:
        raise ValueError("the fetcher fails")

    chunks.ChunkConsumer._chunk = chunk  # type: ignore[method-assign]


if __name__ == "__main__":
    configure_logs()
    asyncio.run(main())
