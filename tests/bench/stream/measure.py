"""One run of one contender: its processes started, its progress and processor time sampled, what it did counted.

Progress is counted in events, exactly: where a contender commits offsets with its output (a transaction), by the
committed offsets less the clock records before them; elsewhere by the located events that the broker holds.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from kafka import KafkaConsumer, TopicPartition
from kafka.admin import KafkaAdminClient
from kafka.errors import CoordinatorLoadInProgressError, CoordinatorNotAvailableError, NotCoordinatorError

from ioc.shutdown import child_setup
from tests.bench.stream.contenders import Contender
from tests.bench.stream.ground import Ground, Log

#: Seconds in which a contender must have written its first record.
START_SECONDS = 180.0
#: Seconds from its first record to the beginning of the measurement.
WARM_UP_SECONDS = 3.0
#: Seconds between two looks.
PAUSE = 0.2
#: Seconds in which a broker must know who keeps a group's offsets.
COORDINATOR_SECONDS = 20.0
_UNSETTLED = (CoordinatorLoadInProgressError, CoordinatorNotAvailableError, NotCoordinatorError)
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Sample:
    """One look."""

    time: float
    events: int
    #: Processor seconds of the contender's processes and of the broker, since they were started.
    cpu: float
    broker_cpu: float


@dataclass(frozen=True)
class Measurement:
    """What a run came to between warm-up and end."""

    contender: str
    events: int
    seconds: float
    events_per_s: float
    #: Processor microseconds an event, of the contender's processes and of the broker.
    cpu_us: float
    broker_us: float
    #: Most memory that one of its processes held, MB.
    rss_mb: float
    #: Whether it came to the end of the log.
    finished: bool


@dataclass
class Run:
    """The processes of one contender on one log, under a prefix of its own."""

    contender: Contender
    ground: Ground
    log: Log
    prefix: str
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)
    #: When `start` was called last, by the monotonic clock.
    started: float = 0.0

    @property
    def directory(self) -> Path:
        return self.ground.directory / self.prefix.rstrip(".")

    @property
    def output(self) -> Path:
        return self.directory / "output.log"

    def start(self, processes: int = 1) -> None:
        """Start it, once or in several processes."""
        self.directory.mkdir(parents=True, exist_ok=True)
        settings = self.log.settings.model_copy(update={"state_dir": self.directory / "state"})
        environment = {
            **os.environ,
            **settings.environment(),
            "BENCH_PREFIX": self.prefix,
            "BENCH_DIRECTORY": str(self.directory / "work"),
            "BENCH_SOURCES": str(self.log.city.sources),
            "NO_COLOR": "1",
        }
        self.started = time.monotonic()
        for _ in range(processes):
            with self.output.open("ab") as output:
                self.processes.append(
                    subprocess.Popen(
                        [self.contender.python() or sys.executable, *self.contender.arguments],
                        env=environment,
                        stdout=output,
                        stderr=output,
                        preexec_fn=child_setup(),
                    )
                )

    def stop(self) -> None:
        """End its processes; one that does not end within ten seconds is killed."""
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 10
        for process in self.processes:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)

    def require_alive(self) -> None:
        """Raise where one of its processes has ended, unless it was to end with the log."""
        for process in self.processes:
            code = process.poll()
            if code is not None and not (self.contender.ends and code == 0):
                raise RuntimeError(f"{self.contender.name} ended with {code}:\n{self.tail()}")

    def tail(self) -> str:
        return self.output.read_text(errors="replace")[-3000:]

    def cpu(self) -> float:
        return sum(_cpu(process.pid) for process in self.processes)

    def rss_mb(self) -> float:
        return max(_peak_mb(process.pid) for process in self.processes)


@contextlib.contextmanager
def running(contender: Contender, ground: Ground, log: Log, prefix: str, processes: int = 1) -> Iterator[Run]:
    """A contender with its topics, which end with the block: the processes, the topics and the group."""
    if contender.in_place:
        # The product has one prefix for what it reads and what it writes.
        prefix = log.settings.topic_prefix
        ours = [topic for topic in ground.topics_for(log, prefix) if topic.name not in _raw_names(log)]
        kept = {*_raw_names(log), _config_name(log)}
        ground.forget(prefix, kept)
        ground.make(topic for topic in ours if topic.name not in kept)
    else:
        topics = ground.topics_for(log, prefix)
        kept = set()
        state = next(iter(topics.raw_state.values()))
        changelogs = [replace(state, name=f"{prefix}{name}") for name in contender.changelogs]
        written = (topics.located, topics.signals, topics.dead_letters, topics.picture)
        ground.make([*written, *topics.raw_state.values(), *changelogs])
    run = Run(contender, ground, log, prefix)
    try:
        run.start(processes)
        yield run
    finally:
        run.stop()
        ground.forget(prefix, kept)


def measure(run: Run, seconds: float) -> Measurement:
    """Wait until it is warm, then watch it for `seconds`, or to the end of the log.

    Raises `RuntimeError` where it ends or never begins.
    """
    with progress(run) as events_done:

        def look() -> Sample:
            run.require_alive()
            cpu, broker = run.cpu(), _cpu(run.ground.broker.pid or 0)
            return Sample(time.monotonic(), events_done(), cpu, broker)

        deadline = time.monotonic() + START_SECONDS
        while (first := look()).events == 0:
            if time.monotonic() > deadline:
                raise RuntimeError(f"{run.contender.name} does not begin:\n{run.tail()}")
            time.sleep(PAUSE)
        total, samples, rss = run.log.events, [first], 0.0
        while samples[-1].events < total:
            time.sleep(PAUSE)
            samples.append(look())
            rss = max(rss, run.rss_mb())
            if samples[-1].time > first.time + WARM_UP_SECONDS + seconds:
                break
            if samples[-1].time > samples[0].time + START_SECONDS and samples[-1].events == samples[0].events:
                raise RuntimeError(f"{run.contender.name} stands still:\n{run.tail()}")
        return summary(run.contender.name, samples, total, rss)


def summary(name: str, samples: list[Sample], total: int, rss: float) -> Measurement:
    """What the samples come to, from the first one after the warm-up to the last."""
    begin = next(
        (one for one in samples if one.time >= samples[0].time + WARM_UP_SECONDS), samples[len(samples) // 3]
    )
    end = samples[-1]
    if end.time - begin.time < 2 and samples[0].time < begin.time:
        # Too short a log: say what is known, from the first look on.
        begin = samples[0]
    events, seconds = end.events - begin.events, max(end.time - begin.time, 1e-9)
    return Measurement(
        contender=name,
        events=events,
        seconds=seconds,
        events_per_s=events / seconds,
        cpu_us=1e6 * (end.cpu - begin.cpu) / max(events, 1),
        broker_us=1e6 * (end.broker_cpu - begin.broker_cpu) / max(events, 1),
        rss_mb=rss,
        finished=end.events >= total,
    )


@contextlib.contextmanager
def progress(run: Run) -> Iterator[Callable[[], int]]:
    """How many events a contender has done by now."""
    log, ground = run.log, run.ground
    match run.contender.progress:
        case "told":
            yield lambda: _told(run.output)
        case "committed":
            group = f"{run.prefix}{run.contender.group}"
            admin = KafkaAdminClient(bootstrap_servers=ground.broker.address, client_id="bench-progress")
            try:
                yield lambda: _events(log, committed(admin, group))
            finally:
                admin.close()
        case "located":
            consumer = KafkaConsumer(bootstrap_servers=ground.broker.address)
            located = ground.topics_for(log, run.prefix).located
            tps = [TopicPartition(located.name, number) for number in range(located.partitions)]
            try:
                yield lambda: sum(consumer.end_offsets(tps).values())
            finally:
                consumer.close()


def committed(admin: KafkaAdminClient, group: str) -> dict[tuple[str, int], int]:
    """A group's offsets by topic and partition, where it has any.

    On a young broker those who know are only being found: they are asked again for `COORDINATOR_SECONDS`.
    """
    deadline = time.monotonic() + COORDINATOR_SECONDS
    while True:
        try:
            offsets = admin.list_group_offsets([group])[group]
            break
        except _UNSETTLED:
            if time.monotonic() > deadline:
                raise
            time.sleep(PAUSE)
    return {(tp.topic, tp.partition): found.offset for tp, found in offsets.items() if found.offset > 0}


def _events(log: Log, offsets: dict[tuple[str, int], int]) -> int:
    return sum(log.events_before(tp, offset) for tp, offset in offsets.items() if tp in log.ends)


def _told(output: Path) -> int:
    # What stands behind the last line's end is half written: a number cut short.
    lines = output.read_bytes().rpartition(b"\n")[0].split(b"\n") if output.exists() else []
    return int(lines[-1]) if lines and lines[-1].isdigit() else 0


def _raw_names(log: Log) -> set[str]:
    return {name for name, _ in log.ends}


def _config_name(log: Log) -> str:
    return f"{log.settings.topic_prefix}ioc.config"


def _cpu(pid: int) -> float:
    """Processor seconds of a process, its ended children included; 0 where it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / _TICKS


def _peak_mb(pid: int) -> float:
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1000
    return 0.0
