"""Commands of operators into the log, and what became of them out of it.

A command goes to ioc.signals, into the partition of its alert's province, as a plain record that the broker has
acknowledged: from then on it stands in the order of all that changes the alert. Correlate tells the outcome in
ioc.audit. Whoever may write to the broker is trusted with the operator's name; the wall checks it by signing in.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import msgspec
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError as AsyncKafkaError
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.consumer.fetcher import ConsumerRecord
from kafka.errors import KafkaError

from alerts.alert import Alert
from alerts.commands import Command, CommandOutcome
from alerts.model import Where
from alerts.signals import Passed
from ioc.errors import UserError
from ioc.settings import Settings
from ioc.undecodable import UNDECODABLE
from streams.atlas import Atlas
from streams.clients import client_arguments
from streams.reaching import unreachable
from streams.topics import Topics

log = logging.getLogger(__name__)

#: Seconds to go on knocking at a broker where nobody listens.
BOOTSTRAP_SECONDS = 3.0
#: Seconds that the broker may take for a record of the wall.
ANSWER_SECONDS = 5.0
#: Seconds for a producer of the wall to stop in order.
STOP_SECONDS = 1.0
#: Records of ioc.signals that are read for the present time: enough to hear every raw partition.
SIGNALS_TAIL = 2_000

_decode_outcome = msgspec.json.Decoder(CommandOutcome).decode
_decode_alert = msgspec.json.Decoder(Alert).decode
_decode_passed = msgspec.json.Decoder(Passed).decode


def new_command_id() -> str:
    """An id for a command, never given before."""
    return f"command-{secrets.token_hex(12)}"


def where_of(atlas: Atlas, lon: float, lat: float, time: datetime) -> Where:
    """The place of a point, in the map that holds at that time."""
    [place] = atlas.places([(time, lon, lat)])
    return Where(
        lon=lon,
        lat=lat,
        commune=place.commune or None,
        commune_name=place.commune_name or None,
        province=place.province or None,
        boundaries=place.boundaries,
        approximate=place.approximate,
    )


def record_of(topics: Topics, command: Command, partition: int) -> tuple[str, bytes, bytes]:
    """Topic, key and value of a command for the province of this partition."""
    return topics.signals.name, topics.provinces[partition].encode(), msgspec.json.encode(command)


# For a person at the command line: one command, its outcome awaited


@dataclass(frozen=True)
class Found:
    """An alert as it stands, and the partition that commands about it go to."""

    alert: Alert
    partition: int


def find_alert(settings: Settings, wanted: str) -> Found:
    """The alert of that id, or the only one whose id begins so.

    Raises `UserError` where there is none or more than one, or the broker does not answer.
    """
    found: dict[str, Found] = {}
    topic = Topics.of(settings).alerts
    with _consumer(settings) as consumer:
        for record in _all_of(
            consumer, [TopicPartition(topic.name, number) for number in range(topic.partitions)]
        ):
            id_ = (record.key or b"").decode(errors="replace")
            if not id_.startswith(wanted):
                continue
            found.pop(id_, None)
            if record.value is not None:
                with contextlib.suppress(*UNDECODABLE):
                    found[id_] = Found(_decode_alert(record.value), record.partition)
    if wanted in found:
        return found[wanted]
    if len(found) == 1:
        return next(iter(found.values()))
    if found:
        raise UserError(
            f"several alerts begin with {wanted}", ", ".join(sorted(found)), "write more of the id"
        )
    raise UserError(
        f"no alert {wanted} is open, nor has it just ended",
        topic.name,
        "see the wall for ids, and IOC_TOPIC_PREFIX",
    )


def present(settings: Settings, partition: int) -> datetime:
    """The time up to which a province is judged: what all raw partitions have passed, event time.

    Raises `UserError` where no time is known yet, or the broker does not answer.
    """
    tp = TopicPartition(Topics.of(settings).signals.name, partition)
    passed: dict[str, Passed] = {}
    run = ""
    with _consumer(settings) as consumer:
        for record in _all_of(consumer, [tp], tail=SIGNALS_TAIL):
            with contextlib.suppress(*UNDECODABLE):
                message = _decode_passed(record.value or b"")
                passed[message.source] = message
                run = message.run
    times = [message.time for message in passed.values() if message.run == run]
    if not times:
        raise UserError(
            "what time it is in the log is not known",
            "ioc.signals says no time",
            "start ioc clock and ioc sense",
        )
    return min(times)


def send(settings: Settings, command: Command, partition: int) -> None:
    """Put a command into the log. Raises `UserError` where the broker has not acknowledged it."""
    topic, key, value = record_of(Topics.of(settings), command, partition)
    with _reachable(settings):
        producer = KafkaProducer(
            **client_arguments(settings),
            acks="all",
            bootstrap_timeout_ms=int(1000 * BOOTSTRAP_SECONDS),
            metrics_enabled=False,
        )
        try:
            producer.send(topic, key=key, value=value, partition=partition).get(timeout=30)
        finally:
            producer.close(timeout=STOP_SECONDS)


def send_and_wait(
    settings: Settings, command: Command, partition: int, timeout: float = 10.0
) -> CommandOutcome:
    """Put a command into the log and wait for what becomes of it, `timeout` seconds at most.

    Raises `UserError` where the broker does not answer, or no outcome came in time; the command may still be
    carried out after that.
    """
    tp = TopicPartition(Topics.of(settings).audit.name, partition)
    with _consumer(settings) as consumer:
        end = consumer.end_offsets([tp])[tp]
        consumer.assign([tp])
        consumer.seek(tp, end)
        send(settings, command, partition)
        until = time.monotonic() + timeout
        while time.monotonic() < until:
            for record in consumer.poll(timeout_ms=200).get(tp, ()):
                with contextlib.suppress(*UNDECODABLE):
                    outcome = _decode_outcome(record.value or b"")
                    if outcome.command.id == command.id:
                        return outcome
    raise UserError(
        f"no outcome of command {command.id} within {timeout:g} s",
        "it stands in the log and will be judged once correlate gets there",
        f"see that ioc correlate and a clock run; then look into {tp.topic}",
    )


@contextmanager
def _reachable(settings: Settings) -> Iterator[None]:
    try:
        yield
    except (KafkaError, OSError) as error:
        raise unreachable(settings, error) from None


@contextmanager
def _consumer(settings: Settings) -> Iterator[KafkaConsumer]:
    """A reader of committed records. Raises `UserError` where the broker does not answer."""
    with _reachable(settings):
        consumer = KafkaConsumer(
            **client_arguments(settings),
            isolation_level="read_committed",
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            bootstrap_timeout_ms=int(1000 * BOOTSTRAP_SECONDS),
            fetch_max_wait_ms=50,
        )
        try:
            yield consumer
        finally:
            consumer.close()


def _all_of(
    consumer: KafkaConsumer, partitions: list[TopicPartition], tail: int | None = None
) -> Iterator[ConsumerRecord]:
    """The records of some partitions up to their end now; of each at most the last `tail` offsets."""
    firsts, ends = consumer.beginning_offsets(partitions), consumer.end_offsets(partitions)
    consumer.assign(partitions)
    for tp in partitions:
        consumer.seek(tp, firsts[tp] if tail is None else max(firsts[tp], ends[tp] - tail))
    # The last offsets may be markers of transactions, which nobody is given: the position passes them.
    while any(consumer.position(tp) < ends[tp] for tp in partitions):
        for records in consumer.poll(timeout_ms=200).values():
            yield from records


# For the wall: many commands, their outcomes followed elsewhere


class NotSent(Exception):
    """The broker cannot be reached: the command is not in the log."""


class Unconfirmed(Exception):
    """The broker did not acknowledge the command in time: whether it is in the log is not known."""


class Sender(Protocol):
    """Puts commands into the log. Raises `NotSent` and `Unconfirmed`."""

    async def send(self, command: Command, partition: int) -> None: ...


class CommandWriter:
    """A `Sender` to a broker. It connects with the first command, and again after a failure."""

    def __init__(self, settings: Settings) -> None:
        self._settings, self._topics = settings, Topics.of(settings)
        self._producer: AIOKafkaProducer | None = None
        self._connecting = asyncio.Lock()

    async def send(self, command: Command, partition: int) -> None:
        """Return once all copies of the broker have the command. Raises `NotSent` and `Unconfirmed`."""
        producer = await self._connected()
        topic, key, value = record_of(self._topics, command, partition)
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await producer.send_and_wait(topic, value, key, partition=partition)
        except (AsyncKafkaError, OSError, TimeoutError) as error:
            log.warning("command %s was not acknowledged: %s", command.id, error or type(error).__name__)
            if self._producer is producer:
                self._producer = None
            await _stop(producer)
            raise Unconfirmed(str(error) or type(error).__name__) from None

    async def _connected(self) -> AIOKafkaProducer:
        async with self._connecting:
            if self._producer is None:
                producer = AIOKafkaProducer(
                    **client_arguments(self._settings),
                    client_id="ioc-wall-commands",
                    acks="all",
                    enable_idempotence=True,
                    request_timeout_ms=int(1000 * ANSWER_SECONDS),
                )
                try:
                    async with asyncio.timeout(ANSWER_SECONDS):
                        await producer.start()
                except (AsyncKafkaError, OSError, TimeoutError) as error:
                    await _stop(producer)
                    raise NotSent(str(error) or type(error).__name__) from None
                self._producer = producer
            return self._producer

    async def close(self) -> None:
        """Give up the connection."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await _stop(producer)


async def _stop(producer: AIOKafkaProducer) -> None:
    """Stop a producer, or leave it to itself: without a broker aiokafka may wait for ever."""
    stopping = asyncio.ensure_future(producer.stop())
    stopping.add_done_callback(lambda task: task.cancelled() or task.exception())
    await asyncio.wait({stopping}, timeout=STOP_SECONDS)
    stopping.cancel()
