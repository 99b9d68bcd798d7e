"""The raw topics as the writers of clock records see them: the clock process and the replayer.

What they write goes out in transactions that reach every raw partition, so that all partitions agree on the
time, and a reader of the last clock record knows exactly what was written and what was not.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import TypeVar

from aiokafka.errors import KafkaError as AsyncKafkaError
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import InvalidProducerEpochError, KafkaError, ProducerFencedError

from ioc.settings import Settings
from streams.clients import client_arguments
from streams.decoding import clock_of
from streams.schemas import CLOCK_KEY, Clock
from streams.topics import Topics

#: Seconds that the broker may take for one call before it counts as lost.
ANSWER_SECONDS = 15.0
#: Seconds to go on knocking where nobody listens, before that counts as lost.
BOOTSTRAP_SECONDS = 3.0
#: Seconds that a call under way may still take once the process is asked to stop.
STOP_SECONDS = 1.2
#: How long the broker waits for a silent writer before it aborts its transaction, milliseconds. Readers of
#: committed records wait as long, unless a new writer of the same name ends it first.
TRANSACTION_TIMEOUT_MS = 20_000

#: Topic, partition, key and value.
Record = tuple[str, int, bytes, bytes]

_T = TypeVar("_T")
_FENCED = (ProducerFencedError, InvalidProducerEpochError)


class Fenced(Exception):
    """Another writer took over the name, or this one was paused for longer than a transaction may last."""


class Unanswered(Exception):
    """The broker failed or did not answer. Whether it committed is unknown: open anew and look."""


class RawLog:
    """A transactional writer to the raw partitions. After `Unanswered`, `open` makes it usable again.

    `kafka-python` waits for ever in a commit, so every call runs in a thread that is left behind when the
    broker does not answer in time or `stop` is set; what such a thread still does is fenced by the next
    `open`.
    """

    def __init__(self, settings: Settings, name: str, stop: threading.Event) -> None:
        """`name` becomes the transactional id, after the installation's prefix."""
        topics = Topics.of(settings).raw.values()
        self.partitions = tuple(
            (topic.name, number) for topic in topics for number in range(topic.partitions)
        )
        self._settings = settings
        self._id = f"{settings.topic_prefix}{name}"
        self._stop = stop
        self._producer: KafkaProducer | None = None

    def open(self) -> None:
        """Fence any other writer of the same name, and end what it or this one left open.

        Raises `Unanswered`.
        """
        self.close()
        self._producer = self.within(self._connect)

    def write(self, records: Iterable[Record]) -> None:
        """Write the records in one transaction. Raises `Fenced` and `Unanswered`."""
        if self._producer is None:
            raise Unanswered("not connected")
        self.within(partial(_transaction, self._producer, records))

    def last_clock(self) -> Clock | None:
        """The latest committed clock record of all raw partitions; None where there is none.

        Raises `Unanswered`.
        """
        found = [clock for clock in self.last_clocks().values() if clock is not None]
        return max(found, key=lambda clock: clock.clock, default=None)

    def last_clocks(self) -> dict[tuple[str, int], Clock | None]:
        """The last committed clock record of each raw partition. Raises `Unanswered`."""
        return self.within(self._read_last_clocks)

    def close(self) -> None:
        """Give up the connection. A transaction that is open is left to the next `open`."""
        producer, self._producer = self._producer, None
        if producer is not None:
            with contextlib.suppress(Unanswered):
                self.within(partial(producer.close, timeout=STOP_SECONDS / 2))

    def _connect(self) -> KafkaProducer:
        producer = KafkaProducer(
            **client_arguments(self._settings),
            client_id=self._id,
            transactional_id=self._id,
            transaction_timeout_ms=TRANSACTION_TIMEOUT_MS,
            acks="all",
            # In pure Python the checksum of a batch costs more than compressing it first.
            compression_type="gzip",
            batch_size=256 * 1024,
            linger_ms=5,
            # A commit's markers take a few ms; the next transaction asks again after this long.
            retry_backoff_ms=5,
            reconnect_backoff_max_ms=1000,
            max_block_ms=int(1000 * ANSWER_SECONDS),
            bootstrap_timeout_ms=int(1000 * BOOTSTRAP_SECONDS),
            metrics_enabled=False,
        )
        try:
            producer.init_transactions()
        except BaseException:
            producer.close(timeout=0)
            raise
        return producer

    def _read_last_clocks(self) -> dict[tuple[str, int], Clock | None]:
        consumer = KafkaConsumer(
            **client_arguments(self._settings),
            isolation_level="read_committed",
            enable_auto_commit=False,
            bootstrap_timeout_ms=int(1000 * BOOTSTRAP_SECONDS),
            fetch_max_wait_ms=50,
        )
        try:
            found = _last_clocks(consumer, [TopicPartition(*partition) for partition in self.partitions])
            return {(tp.topic, tp.partition): clock for tp, clock in found.items()}
        finally:
            consumer.close()

    def within(self, call: Callable[[], _T]) -> _T:
        """What `call`, which may ask the broker, returns or raises.

        Raises `Unanswered` where it takes too long or the broker fails, and `Fenced`.
        """
        outcome: list[_T] = []
        failure: list[BaseException] = []
        done = threading.Event()

        def work() -> None:
            try:
                outcome.append(call())
            except BaseException as error:
                failure.append(error)
            finally:
                done.set()

        threading.Thread(target=work, name=self._id, daemon=True).start()
        until = time.monotonic() + ANSWER_SECONDS
        # In slices, for `stop` may be set meanwhile; the end of the call is seen at once.
        while not done.wait(0.1):
            if self._stop.is_set():
                until = min(until, time.monotonic() + STOP_SECONDS)
            if time.monotonic() >= until:
                raise Unanswered(f"no answer from {self._settings.bootstrap} within the time allowed")
        if not failure:
            return outcome[0]
        error = failure[0]
        if isinstance(error, KafkaError | AsyncKafkaError | OSError):
            # Once it has failed, kafka-python repeats the first error as text only.
            if isinstance(error, _FENCED) or any(kind.__name__ in str(error) for kind in _FENCED):
                raise Fenced(self._id) from None
            raise Unanswered(f"{type(error).__name__}: {error}") from error
        raise error


def _transaction(producer: KafkaProducer, records: Iterable[Record]) -> None:
    producer.begin_transaction()
    sent = [producer.send(topic, value, key, partition=number) for topic, number, key, value in records]
    producer.commit_transaction()
    # Where the broker refuses a batch for its sequence or epoch, and nobody else has taken the name, kafka-python
    # takes the next epoch. By that the broker aborts what was sent; the commit, now of nothing, succeeds.
    for future in sent:
        if not future.succeeded():
            raise Unanswered(f"a record was not taken: {type(future.exception).__name__}")


def _last_clocks(
    consumer: KafkaConsumer, partitions: list[TopicPartition]
) -> dict[TopicPartition, Clock | None]:
    beginnings, ends = consumer.beginning_offsets(partitions), consumer.end_offsets(partitions)
    last: dict[TopicPartition, Clock | None] = dict.fromkeys(partitions)
    looking = [tp for tp in partitions if ends[tp] > beginnings[tp]]
    span = 64
    while looking:
        starts = {tp: max(beginnings[tp], ends[tp] - span) for tp in looking}
        last |= _clocks(consumer, starts, ends)
        # Between two clock records of a partition there may be many events: look further back.
        looking = [tp for tp in looking if last[tp] is None and starts[tp] > beginnings[tp]]
        span *= 16
    return last


def _clocks(
    consumer: KafkaConsumer, starts: dict[TopicPartition, int], ends: dict[TopicPartition, int]
) -> dict[TopicPartition, Clock | None]:
    """The last clock record of each partition at or after its start."""
    consumer.assign(list(starts))
    for tp, start in starts.items():
        consumer.seek(tp, start)
    found: dict[TopicPartition, Clock | None] = dict.fromkeys(starts)
    # The last offsets may be markers of transactions, which nobody is given: the position passes them.
    while any(consumer.position(tp) < ends[tp] for tp in starts):
        for tp, records in consumer.poll(timeout_ms=200).items():
            for record in records:
                if record.key == CLOCK_KEY and (clock := clock_of(record.value)) is not None:
                    found[tp] = clock
    return found
