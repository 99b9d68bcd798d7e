"""Record the raw topics: what was committed there, as a recording that a replay or a backtest takes.

The judged alert changes of a recording are those of the log that it was made from. A citizen's identity is not in
it: of a report it has the fields that are judged and shown, and of a report that could not be decoded nothing.
"""

from __future__ import annotations

import asyncio
import gzip
import logging
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO, TypeVar

import msgspec
from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError, OffsetOutOfRangeError
from aiokafka.structs import TopicPartition

from ioc.errors import UserError
from ioc.settings import Settings
from ioc.wholefile import whole_file
from streams.clients import client_arguments
from streams.cuts import Merge, Step
from streams.decoding import RawDecoder, RawRecord
from streams.recording import clock_text, event_text, is_nested_deeply, raw_text
from streams.recording_index import (
    Configurations,
    Held,
    Index,
    Member,
    configurations_path,
    fingerprint,
    index_path,
    write_json,
)
from streams.schemas import CLOCK_KEY, Clock, DeadLetter
from streams.seeking import offsets_before
from streams.stopping import stop
from streams.topics import STREAMS, Topics
from streams.transactions import read_latest, reader

log = logging.getLogger(__name__)

P = TypeVar("P")

#: Event time that a gzip member covers, seconds: what is read in vain where a time is sought.
MEMBER_SECONDS = 600
#: Seconds without a record after which a broker that should have some counts as lost.
PATIENCE = 30.0

#: Called now and then with the time that was reached, and with how many of how many records of the log.
Progress = Callable[[datetime | None, int, int], None]


@dataclass(frozen=True)
class Wanted:
    """What is to be recorded."""

    #: The first clock at or after it begins the recording; None: as far back as the log goes.
    since: datetime | None = None
    #: The last clock at or before it ends the recording; None: what is there now, or with `follow` no end.
    until: datetime | None = None
    #: Go on with what comes in.
    follow: bool = False
    streams: tuple[str, ...] = STREAMS


def record(
    settings: Settings,
    path: Path,
    wanted: Wanted,
    *,
    stop: threading.Event | None = None,
    progress: Progress | None = None,
) -> Index:
    """Record into `path` until the end of what is `wanted`, or until `stop` is set; returns the index.

    The file appears whole at the end, its configurations and its index beside it. Not to be called on a running
    event loop.

    Raises `UserError` where nothing of that time is there, the file cannot be written, the log is trimmed
    meanwhile, or Kafka does not answer.
    """
    run = _Run(settings, wanted, stop or threading.Event(), progress)
    try:
        with whole_file(path) as file:
            writer = Writer(file)
            asyncio.run(run.into(writer))
            writer.end()
        size, hash_ = fingerprint(path)
        if run.configurations:
            write_json(configurations_path(path), Configurations(run.configurations))
        index = writer.index(size, hash_)
        write_json(index_path(path), index)
    except OffsetOutOfRangeError:
        raise UserError(
            "retention deleted records while they were being recorded",
            f"the beginning of {', '.join(wanted.streams)}",
            "begin later with --from, or raise the topics' retention",
        ) from None
    except KafkaError as error:
        raise UserError(
            f"Kafka at {settings.bootstrap} does not answer", str(error), "see that it runs, and record again"
        ) from None
    except OSError as error:
        raise UserError(
            "the recording cannot be written", f"{path}: {error}", "choose a directory with room that you own"
        ) from None
    return index


class Writer:
    """Writes the steps of a recording as gzip members."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._member: gzip.GzipFile | None = None
        self.members: list[Member] = []
        self.held: list[Held] = []
        self.last: datetime | None = None
        self.records: Counter[str] = Counter()
        self.left_out = self.clocks_lacking = 0

    def write(self, step: Step[str]) -> None:
        """Write a step: what stands before its clock, then the clock."""
        clock = step.clock
        for stream, lines in step.lines:
            assert self._member is not None, "the first step has no lines"
            self.records[stream] += lines.number
            self.left_out += lines.left_out
            for piece in lines.take():
                self._member.write(piece)
        self.clocks_lacking += step.lacking
        if self._member is None or _slot(clock.clock) != _slot(self.members[-1].clock):
            self.end()
            self.members.append(Member(clock.clock, self._file.tell()))
            # No name and no time in the header: the same log gives the same bytes.
            self._member = gzip.GzipFile("", "wb", fileobj=self._file, mtime=0)
        self._member.write(clock_text(clock.clock, clock.run))
        self.last = clock.clock
        if not self.held or self.held[-1].config != clock.config:
            self.held.append(Held(clock.clock, clock.config))

    def end(self) -> None:
        """End the present member."""
        if self._member is not None:
            self._member.close()
            self._member = None

    def index(self, size: int, hash_: str) -> Index:
        """The index of what was written, once all of it was."""
        assert self.last is not None
        return Index(
            size=size,
            hash=hash_,
            first=self.members[0].clock,
            last=self.last,
            members=self.members,
            configurations=self.held,
            records=dict(sorted(self.records.items())),
            left_out=self.left_out,
            clocks_lacking=self.clocks_lacking,
        )


def _slot(clock: datetime) -> int:
    return int(clock.timestamp() // MEMBER_SECONDS)


class Encoder:
    """Makes lines of the records of one raw partition."""

    def __init__(self, stream: str, topic: str, partition: int) -> None:
        self.stream = stream
        # It is never told the time: what is late or too early is for the judgement to say.
        self._decoder = RawDecoder(stream, topic, partition, future_tolerance=timedelta(0))

    def clock(self, record: RawRecord) -> Clock | None:
        """The clock record that this is; None where it is something else."""
        return self._decoder.clock(record)

    def line(self, record: RawRecord) -> bytes | None:
        """The line of a record that is no clock record; None where it is left out."""
        at = datetime.fromtimestamp(record.timestamp / 1000, UTC)
        event = self._decoder.decode(record, None)
        value = record.value or b""
        personal = self.stream == "report"
        if event is None or isinstance(event, DeadLetter):
            key = (record.key or b"").decode(errors="replace")
            return None if personal else raw_text(self.stream, at, key, value)
        if personal or not _is_text(value) or is_nested_deeply(value):
            # Only what the schema knows: what else a report holds may say who sent it, and in a line of the recording
            # nobody could read it.
            value = msgspec.json.encode(event)
        elif b"\n" in value or b"\r" in value:
            value = msgspec.json.format(value, indent=-1)
        return event_text(self.stream, at, value)


def take(merge: Merge[P, str], partition: P, encoder: Encoder, records: Iterable[RawRecord]) -> None:
    """Give consecutive records of one partition to the merge."""
    for record in records:
        if record.key == CLOCK_KEY:
            clock = encoder.clock(record)
            if clock is not None:
                merge.clock(partition, clock)
        elif merge.wanted(partition):
            merge.line(partition, encoder.line(record))


def _is_text(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


@dataclass
class _Run:
    """One recording under way: reads the log and counts."""

    settings: Settings
    wanted: Wanted
    stop: threading.Event
    progress: Progress | None
    #: The configurations that held, as ioc.config has them.
    configurations: dict[str, msgspec.Raw] = field(default_factory=dict)

    async def into(self, writer: Writer) -> None:
        """Read until the end and write the steps. Raises what `record` says, and aiokafka's errors."""
        topics = Topics.of(self.settings)
        encoders = {
            TopicPartition(topics.raw[stream].name, number): Encoder(stream, topics.raw[stream].name, number)
            for stream in STREAMS
            if stream in self.wanted.streams
            for number in range(topics.raw[stream].partitions)
        }
        merge = Merge({tp: encoder.stream for tp, encoder in encoders.items()}, self.wanted.since)
        async with _consumer(self.settings, list(encoders)) as consumer:
            beginnings = await consumer.beginning_offsets(list(encoders))
            ends = await consumer.end_offsets(list(encoders))
            starts = beginnings
            if self.wanted.since is not None:
                starts = await offsets_before(consumer, beginnings, ends, self.wanted.since, self.stop)
            for tp, start in starts.items():
                consumer.seek(tp, start)
            await self._read(consumer, encoders, merge, writer, starts, ends)
        if writer.last is None:
            raise self._nothing(merge)
        await self._fetch_configurations([held.config for held in writer.held])

    async def _read(
        self,
        consumer: AIOKafkaConsumer,
        encoders: dict[TopicPartition, Encoder],
        merge: Merge[TopicPartition, str],
        writer: Writer,
        starts: dict[TopicPartition, int],
        ends: dict[TopicPartition, int],
    ) -> None:
        total = sum(ends[tp] - starts[tp] for tp in encoders)
        done, said, heard = 0, 0.0, time.monotonic()
        while not self.stop.is_set():
            for step in merge.steps():
                if self.wanted.until is not None and step.clock.clock > self.wanted.until:
                    return
                writer.write(step)
            lacking = merge.lacking()
            if not self.wanted.follow and await _exhausted(consumer, lacking, ends):
                return
            found = await consumer.getmany(*lacking, timeout_ms=200)
            for tp, records in found.items():
                done += len(records)
                take(merge, tp, encoders[tp], records)
            now = time.monotonic()
            if found:
                heard = now
            elif not self.wanted.follow and now - heard > PATIENCE:
                raise UserError(
                    f"Kafka at {self.settings.bootstrap} does not answer",
                    f"nothing came for {PATIENCE:.0f} s",
                    "see that it runs, and record again",
                )
            if self.progress is not None and now - said > 0.2:
                said = now
                self.progress(writer.last or merge.at, done, max(done, total))

    def _nothing(self, merge: Merge[TopicPartition, str]) -> UserError:
        since, until = self.wanted.since, self.wanted.until
        if self.stop.is_set():
            return UserError("nothing was recorded", "it was stopped before the first clock", "")
        if merge.at is None:
            where, remedy = "no clock records", "run `ioc clock`, or a replay"
        else:
            where = (
                f"no clock that all partitions have from {since or 'the beginning'} to {until or 'the end'}"
            )
            remedy = "give other --from and --to, or leave out streams that have no clock"
        return UserError(f"the raw topics of {self.settings.bootstrap} have nothing to record", where, remedy)

    async def _fetch_configurations(self, hashes: Iterable[str]) -> None:
        tp = TopicPartition(Topics.of(self.settings).config.name, 0)
        async with reader(self.settings, tp) as consumer:
            latest = await read_latest(consumer, tp)
        for hash_ in dict.fromkeys(hashes):
            content = latest.get(hash_.encode())
            if content is None:
                log.warning("ioc.config does not hold configuration %s: the recording goes without it", hash_)
            else:
                self.configurations[hash_] = msgspec.Raw(content)


async def _exhausted(
    consumer: AIOKafkaConsumer, partitions: Iterable[TopicPartition], ends: dict[TopicPartition, int]
) -> bool:
    """Whether one of the partitions has nothing more; the last offsets may be markers that nobody is given."""
    for tp in partitions:
        if await consumer.position(tp) >= ends[tp]:
            return True
    return False


@asynccontextmanager
async def _consumer(settings: Settings, partitions: list[TopicPartition]) -> AsyncIterator[AIOKafkaConsumer]:
    """A reader of the committed records of these partitions, to be sought in; it never jumps by itself."""
    consumer = AIOKafkaConsumer(
        **client_arguments(settings),
        enable_auto_commit=False,
        isolation_level="read_committed",
        auto_offset_reset="none",
        fetch_max_wait_ms=100,
        # What is fetched of each partition lies in memory unpacked, many times as much.
        max_partition_fetch_bytes=256 * 1024,
    )
    await consumer.start()
    try:
        consumer.assign(partitions)
        # Before anything is asked: without a position aiokafka would look for a committed one.
        for tp in partitions:
            consumer.seek(tp, 0)
        yield consumer
    finally:
        await stop(consumer)
