"""Publish a recorded scenario, with the recording's time: once, or over and over.

Exactly once, however often it is interrupted: the events up to a clock record and that clock record, in every
raw partition, are one transaction. So the last committed clock record says where to go on.

In a loop, iteration k is the recording moved by k times its length in whole days, with run id `RUN-k` and,
from the second on, event ids `k:ID`: time never goes back, and nothing is a duplicate of what was before.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path

import msgspec

from ioc.errors import UserError
from ioc.health import Health
from ioc.metrics import CLOCK_RECORDS, REPLAYED
from ioc.settings import Settings
from streams.current import CurrentConfiguration
from streams.rawlog import Fenced, RawLog, Record, Unanswered
from streams.recording import ClockLine, EventLine, RawLine, first_and_last_clock, read_recording
from streams.schemas import CLOCK_KEY, Clock
from streams.topics import Topics, partition_of

log = logging.getLogger(__name__)

#: Records of a transaction, about: the last step is not cut.
TRANSACTION_RECORDS = 5000
#: Seconds between transactions, at least: what falls due within them goes together. A day in minutes would otherwise
#: keep the broker busy with transactions of a few records.
TRANSACTION_SECONDS = 0.2
#: Seconds that a broker may stay away before the replay gives up.
PATIENCE = 60.0
#: Seconds until a transaction that some partitions have and others lack is taken for torn. Kafka may tear one where
#: all brokers are killed at once: a coordinator that comes back goes on with a commit that the others do not know of.
TORN_SECONDS = 15.0

#: Called after each transaction with the (moved) time of the recording and the number of events so far.
Progress = Callable[[datetime, int], None]


def run_replay(
    settings: Settings,
    recording: Path,
    *,
    speed: float | None,
    run: str,
    loop: bool = False,
    progress: Progress | None = None,
    stop: threading.Event | None = None,
    clock: bool = True,
    config: str | None = None,
    health: Health | None = None,
) -> None:
    """Publish `recording` to the raw topics; returns at its end, or once `stop` is set.

    `speed` is seconds of the recording in a second, None as fast as it goes. `run` names the replay: started
    again under the same name it goes on where it stopped. Without `clock` only events are published and it
    always begins at the start. `config` is the hash that clock records carry; None publishes the
    installation's configuration, and follows what is made current meanwhile.

    Raises `UserError` where the recording is not usable, the time would go back, another replay of that name
    runs, or the broker stays away.
    """
    if speed is not None and not (speed > 0 and math.isfinite(speed)):
        raise UserError("the speed is not usable", str(speed), "give a number above 0, or max")
    stop = stop or threading.Event()
    first, last = first_and_last_clock(recording)
    raw = RawLog(settings, f"ioc-replay-{run}", stop)
    writer = Writer(raw, stop, health, lost_is_known=clock)
    try:
        writer.connect()
        if stop.is_set():
            return
        current = None
        if clock and config is None:
            current = raw.within(lambda: CurrentConfiguration(settings, stop))
        tape = Tape(recording, run, first, last, loop=loop)
        begin = tape.start(raw.last_clock() if clock else None)
        steps = tape.steps(begin)
        transactions = Transactions(
            settings, raw.partitions if clock else (), lambda: current.hash if current else config or ""
        )
        _publish(steps, transactions, writer, speed, begin.after, progress, stop, health)
    except Fenced:
        raise UserError(
            f"another replay named {run!r} took over, or this one was paused for too long",
            f"transactions of ioc-replay-{run}",
            "let one run at a time; started again, it continues",
        ) from None
    except Unanswered as error:
        if not stop.is_set():
            raise UserError(
                "Kafka does not answer", str(error), "see that it runs; started again, the replay continues"
            ) from None
    finally:
        raw.close()


@dataclass(frozen=True)
class Start:
    """Where to begin: an iteration, and the clock line (moved) after which; None: its beginning."""

    iteration: int
    after: datetime | None = None


@dataclass(frozen=True)
class Step:
    """What happens from one clock line to the next."""

    run: str
    #: The clock line that ends it, in the moved time.
    clock: datetime
    #: Stream, key and value of each record.
    records: tuple[tuple[str, bytes, bytes], ...]


class Tape:
    """A recording, endless where it loops, as steps to publish."""

    def __init__(self, path: Path, run: str, first: datetime, last: datetime, *, loop: bool) -> None:
        self._path, self._run, self._first, self._last, self._loop = path, run, first, last, loop
        #: How far an iteration is moved from the one before.
        self.shift = timedelta(days=max(1, math.ceil((last - first) / timedelta(days=1))))

    def start(self, last: Clock | None) -> Start:
        """Where to go on after the log's last clock record.

        Raises `UserError` where the time would go back.
        """
        if last is None:
            return Start(0)
        iteration = self._iteration_of(last.run)
        if iteration is not None:
            if last.clock < self._last + iteration * self.shift:
                return Start(iteration, last.clock)
            return Start(iteration + 1)
        if last.clock <= self._first:
            return Start(0)
        if self._loop:
            return Start(math.ceil((last.clock - self._first) / self.shift))
        raise UserError(
            "the replay would turn back the time",
            f"the log stands at {last.clock.isoformat()} (run {last.run!r}), "
            f"the recording begins at {self._first.isoformat()}",
            "take another --prefix, or --loop to move the recording to a later day",
        )

    def _iteration_of(self, run: str) -> int | None:
        """Which iteration of this replay a run id names; None: it is not of this replay."""
        if not self._loop:
            return 0 if run == self._run else None
        base, _, number = run.rpartition("-")
        return int(number) if base == self._run and number.isdecimal() else None

    def steps(self, start: Start) -> Iterator[Step]:
        """The steps from there on. Raises `UserError` where the recording is not the one that was begun."""
        for iteration in count(start.iteration) if self._loop else range(start.iteration, 1):
            yield from self._iteration(iteration, start.after if iteration == start.iteration else None)

    def _iteration(self, number: int, after: datetime | None) -> Iterator[Step]:
        run = f"{self._run}-{number}" if self._loop else self._run
        shift = number * self.shift
        records: list[tuple[str, bytes, bytes]] = []
        for line in read_recording(self._path):
            if isinstance(line, ClockLine):
                now = line.clock + shift
                if after is None:
                    yield Step(run, now, tuple(records))
                elif now == after:
                    after = None
                elif now > after:
                    raise UserError(
                        "this is not the recording that the run began with",
                        f"{self._path} has no clock line at {(after - shift).isoformat()}",
                        "take another run id and --prefix",
                    )
                records = []
            elif after is None:
                records.append(_record(line, run, number, shift))


def _record(
    line: EventLine | RawLine, run: str, iteration: int, shift: timedelta
) -> tuple[str, bytes, bytes]:
    if isinstance(line, RawLine):
        return line.stream, line.key.encode(), line.raw
    event = msgspec.json.decode(line.event)
    if iteration:
        event["id"] = f"{iteration}:{event['id']}"
        event["time"] = line.time + shift
    event["simulated"] = True
    event["run"] = run
    return line.stream, line.source.encode(), msgspec.json.encode(event)


@dataclass(frozen=True)
class _Transaction:
    records: list[Record]
    #: Records of sources, by stream; the rest are clock records.
    events: dict[str, int]
    run: str
    clock: datetime


class Transactions:
    """Makes transactions of steps."""

    def __init__(
        self, settings: Settings, clocks: Iterable[tuple[str, int]], config: Callable[[], str]
    ) -> None:
        """`clocks` are the partitions that get clock records; `config` says which configuration is current."""
        self._topics = {stream: topic.name for stream, topic in Topics.of(settings).raw.items()}
        self._clocks, self._config = tuple(clocks), config
        self._partitions = settings.raw_partitions

    def of(self, steps: list[Step]) -> _Transaction:
        """One transaction of several steps of one run."""
        records: list[Record] = []
        events: dict[str, int] = {}
        config = self._config()
        for step in steps:
            for stream, key, value in step.records:
                events[stream] = events.get(stream, 0) + 1
                records.append((self._topics[stream], partition_of(key, self._partitions), key, value))
            value = msgspec.json.encode(Clock(clock=step.clock, config=config, run=step.run))
            records.extend((topic, number, CLOCK_KEY, value) for topic, number in self._clocks)
        return _Transaction(records, events, steps[-1].run, steps[-1].clock)

    def size(self, step: Step) -> int:
        """Number of records that a step becomes."""
        return len(step.records) + len(self._clocks)


class Writer:
    """Commits transactions, each exactly once, over failures of the broker."""

    def __init__(
        self, raw: RawLog, stop: threading.Event, health: Health | None, *, lost_is_known: bool
    ) -> None:
        """`lost_is_known`: the log's last clock record tells whether a transaction was committed."""
        self._raw, self._stop, self._health = raw, stop, health
        self._lost_is_known = lost_is_known

    def connect(self) -> None:
        """Open the log, trying for `PATIENCE`. Raises `Unanswered`."""
        self._retry(self._raw.open)

    def commit(self, transaction: _Transaction) -> None:
        """Commit. Raises `Unanswered` once the broker has been away for `PATIENCE`, and `Fenced`."""
        try:
            self._raw.write(transaction.records)
        except Unanswered as error:
            log.warning("the broker failed, trying again: %s", error)
            self._tell(False, str(error))
            if not self._lost_is_known:
                raise
            self._retry(lambda: self.again(transaction))
        for stream, number in transaction.events.items():
            REPLAYED.labels(stream).inc(number)
        CLOCK_RECORDS.inc(len(transaction.records) - sum(transaction.events.values()))

    def again(self, transaction: _Transaction) -> None:
        """Commit what the log lacks of a transaction of which nobody knows. Raises `Unanswered`."""
        self._raw.open()
        lacking, until = self._lacking(transaction), time.monotonic() + TORN_SECONDS
        while 0 < len(lacking) < len(self._raw.partitions) and time.monotonic() < until:
            # A broker that has just taken over a partition may answer as of some transactions ago.
            if self._stop.wait(0.5):
                raise Unanswered("stopped")
            lacking = self._lacking(transaction)
        if 0 < len(lacking) < len(self._raw.partitions):
            log.error("a transaction was committed in part: writing what %s lack", sorted(lacking))
        if lacking:
            self._raw.write([record for record in transaction.records if record[:2] in lacking])

    def _lacking(self, transaction: _Transaction) -> set[tuple[str, int]]:
        """The raw partitions whose last clock record is not the transaction's."""
        ending = transaction.run, transaction.clock
        clocks = self._raw.last_clocks()
        return {tp for tp, last in clocks.items() if last is None or (last.run, last.clock) != ending}

    def _retry(self, attempt: Callable[[], None]) -> None:
        until, pause = time.monotonic() + PATIENCE, 0.2
        while not self._stop.is_set():
            try:
                attempt()
            except Unanswered as error:
                self._tell(False, str(error))
                if time.monotonic() + pause > until:
                    raise
                self._stop.wait(pause)
                pause = min(2 * pause, 5.0)
            else:
                self._tell(True, "")
                return
        raise Unanswered("stopped")

    def _tell(self, ok: bool, detail: str) -> None:
        if self._health is not None:
            self._health.check("broker", ok, detail)


def _publish(
    steps: Iterable[Step],
    transactions: Transactions,
    writer: Writer,
    speed: float | None,
    begun: datetime | None,
    progress: Progress | None,
    stop: threading.Event,
    health: Health | None,
) -> None:
    """Commit each step when it is due; those that are due at about the same time go together."""
    pending: list[Step] = []
    size = published = 0
    started = committed = time.monotonic()

    def commit() -> None:
        nonlocal pending, size, published, committed
        committed = time.monotonic()
        if pending:
            transaction = transactions.of(pending)
            writer.commit(transaction)
            published += sum(transaction.events.values())
            pending, size = [], 0
            if progress is not None:
                progress(transaction.clock, published)

    for step in steps:
        begun = begun or step.clock
        # By the whole way from the beginning, not from step to step: pauses do not add up.
        due = started + (step.clock - begun).total_seconds() / speed if speed else started
        full = size >= TRANSACTION_RECORDS or (pending and pending[-1].run != step.run)
        if full or (pending and due > committed + TRANSACTION_SECONDS):
            if not full and _stopped_before(committed + TRANSACTION_SECONDS, stop, health):
                break
            commit()
        if _stopped_before(due, stop, health):
            break
        pending.append(step)
        size += transactions.size(step)
    commit()


def _stopped_before(due: float, stop: threading.Event, health: Health | None) -> bool:
    """Wait until a moment of the monotonic clock, beating; True where `stop` came first."""
    while True:
        if health is not None:
            health.beat()
        left = due - time.monotonic()
        if left <= 0 or stop.wait(min(left, 1.0)):
            return stop.is_set()
