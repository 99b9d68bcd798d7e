"""More than the product can judge: what it sustains, and what becomes of twice as much.

The real processes on a real broker, one of each. The rate rises until the lag grows; at the last rate that held, the
delay from the broker's append of a clock record to what came of it is measured. So it is at a quarter of that rate,
and there again while one source sends thousands of events a second: what exceeds its quota is not judged, and nobody
is judged later. Then twice the rate that held for some minutes: nothing may be lost, memory must stay bounded, the
wall must say that what it shows is old, and an operator's acknowledgement must come through. Exit status 1 where one
of these does not hold. Figures go to build/load.json. The full form needs 20 GB of disk for its broker.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import msgspec
from kafka import KafkaAdminClient, KafkaConsumer, TopicPartition
from prometheus_client.parser import text_string_to_metric_families

from alerts.signals import Passed
from ioc.broker import Broker
from ioc.errors import UserError
from ioc.logs import configure_logs
from ioc.ports import LOOPBACK, free_port
from ioc.settings import Settings, load_settings
from ioc.shutdown import child_setup
from streams.admin import ensure_topics
from streams.topics import Topics
from tests import wallkit as kit
from tests.load.account import LASTING, Account, account
from tests.system import Sources, System, alert_changes, environment, read_all, running, until
from tests.wallprocess import memory_mb

BUILD = Path(__file__).resolve().parents[2] / "build"
WORKERS = ("sense", "correlate", "wall")
#: Seconds of lag from which a rate counts as too much, and how much a step of the rise is more than the one before.
BEHIND, RISE = 2.0, 1.4
#: The clock writes in transactions: behind its last record in a partition stands a marker, which nobody processes.
MARKER = 1
#: What a city's sources may be told later, in seconds, while one of them has gone mad: a beat of the clock.
LATER = 1.0
#: Memory of a worker under overload may grow by so much over the second half, beyond what it was at the half.
GROWTH = 1.25


def say(text: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S', time.gmtime())} {text}\n")
    sys.stderr.flush()


class Writer:
    """The process that writes events."""

    def __init__(self, settings: Settings, sources: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.load.write", f"--sources={sources}"],
            env=environment(settings),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=child_setup(),
        )
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n", "the writer did not begin"

    def rate(self, rate: float, mad: float = 0.0) -> None:
        """So many events a second of the city from now on, and of one source that has gone mad."""
        self._tell(f"{rate} {mad}\n")

    def end(self) -> int:
        """Stop; how many events were written."""
        self._tell("\n")
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line)
        self._process.stdin.flush()


class Lag:
    """Raw records that sense has not committed."""

    def __init__(self, settings: Settings) -> None:
        topics = Topics.of(settings).raw.values()
        self._partitions = [TopicPartition(t.name, n) for t in topics for n in range(t.partitions)]
        self._group = f"{settings.topic_prefix}ioc-sense"
        self._admin = KafkaAdminClient(bootstrap_servers=settings.bootstrap)
        self._consumer = KafkaConsumer(bootstrap_servers=settings.bootstrap, isolation_level="read_committed")

    def __call__(self) -> int:
        ends = self._consumer.end_offsets(self._partitions)
        found = self._admin.list_group_offsets({self._group: None})[self._group]
        committed = {(tp.topic, tp.partition): max(0, entry.offset) for tp, entry in found.items()}
        return sum(
            max(0, end - committed.get((tp.topic, tp.partition), 0) - MARKER) for tp, end in ends.items()
        )

    def close(self) -> None:
        self._admin.close()
        self._consumer.close()


@dataclass
class Overload:
    """What was seen while twice as much came in as can be judged."""

    memory: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in WORKERS})
    lag: list[int] = field(default_factory=list)
    oldest_s: float = 0.0
    acknowledged_s: float | None = None
    acknowledgement: str = ""


@dataclass(frozen=True)
class Mad:
    """What one mad source does to the others."""

    per_s: float
    #: Delays without it and with it, in seconds.
    calm: list[float]
    took: list[float]
    unjudged: int

    @property
    def figures(self) -> dict[str, Any]:
        return {
            "per_s": round(self.per_s),
            "unjudged": self.unjudged,
            "delay_without_s": _cuts(self.calm),
            "delay_s": _cuts(self.took),
        }

    @property
    def delays_nobody(self) -> bool:
        return _cuts(self.took)["p99"] <= _cuts(self.calm)["p99"] + LATER


class Every:
    """Passes on what it is told, but no more often than every so many seconds."""

    def __init__(self, seconds: float, tell: Callable[[int], None]) -> None:
        self._seconds, self._tell, self._last = seconds, tell, time.monotonic()

    def __call__(self, value: int) -> None:
        if time.monotonic() - self._last > self._seconds:
            self._last = time.monotonic()
            self._tell(value)


def rise(writer: Writer, lag: Lag, start: float, most: float, seconds: float) -> float:
    """Raise the rate until the lag grows, or to `most`; the last rate that held.

    Raises `UserError` where the first is too much.
    """
    rate, held = start, 0.0
    while True:
        writer.rate(rate)
        time.sleep(seconds)
        first = lag()
        time.sleep(seconds / 2)
        behind = lag()
        say(f"{rate:,.0f} events/s: {first:,} records behind, then {behind:,}")
        if behind > BEHIND * rate and behind > first:
            if not held:
                raise UserError(
                    "the first rate is more than is judged", f"{rate:,.0f}", "give a lower --start"
                )
            return held
        held, rate = rate, rate * RISE
        if rate > most:
            return held


def delays(settings: Settings, seconds: float) -> list[float]:
    """Seconds from the append of each clock record to that of what sense told of it.

    Of clock records of so many seconds, once the rate has held for a third of that.
    """
    time.sleep(seconds / 3)
    since_ms = 1000 * time.time()
    time.sleep(seconds)
    found = []
    for record in read_all(settings, Topics.of(settings).signals.name):
        if record.timestamp >= since_ms and b'"kind":"passed"' in record.value:
            passed = msgspec.json.decode(record.value, type=Passed)
            if passed.appended_ms >= since_ms:
                found.append((record.timestamp - passed.appended_ms) / 1000)
    return found


def unjudged(settings: Settings) -> int:
    """How many events were kept and not judged because their source had said enough."""
    with urlopen(f"http://{LOOPBACK}:{settings.sense_health_port}/metrics", timeout=5) as answer:
        families = text_string_to_metric_families(answer.read().decode())
    return int(
        sum(
            sample.value
            for family in families
            for sample in family.samples
            if sample.name == "ioc_events_unjudged_total" and sample.labels["reason"] == "quota"
        )
    )


def overload(system: System, lag: Lag, alert: str, seconds: float) -> Overload:
    """Watch for so long; a third of the way on, an operator acknowledges."""
    seen, began = Overload(), time.monotonic()
    asked: subprocess.Popen[str] | None = None
    asked_at = 0.0
    for age in _beats(system.settings.wall_port, began + seconds):
        now = time.monotonic()
        seen.oldest_s = max(seen.oldest_s, age)
        for name in WORKERS:
            seen.memory[name].append(memory_mb(system.processes[name].pid))
        seen.lag.append(lag())
        if asked is None and now - began > seconds / 3:
            asked_at, asked = now, _acknowledge(system.settings, alert, seconds)
        if asked is not None and seen.acknowledged_s is None and asked.poll() is not None:
            seen.acknowledged_s = now - asked_at
            seen.acknowledgement = asked.communicate()[0].strip()
    if asked is not None and asked.poll() is None:
        asked.kill()
    return seen


def _beats(port: int, until_: float) -> Iterator[float]:
    """The age that a browser is told, in seconds, with each beat of the wall."""
    with urlopen(f"http://{LOOPBACK}:{port}/events", timeout=30) as stream:
        event = b""
        for line in stream:
            if time.monotonic() >= until_:
                return
            if line.startswith(b"event: "):
                event = line[7:].strip()
            elif line.startswith(b"data: ") and event == b"beat":
                yield json.loads(line[6:]).get("silence_s") or 0.0


def lasting_alert(system: System) -> str:
    """The id of an alert that nothing ends: of a gauge that says nothing more."""
    settings = system.settings
    with closing(Sources(settings)) as sources:
        sources.say(LASTING, 0.35)
    return until(
        lambda: next((one.id for one in alert_changes(settings) if one.subject == LASTING), None),
        60,
        system.tails,
    )


def _acknowledge(settings: Settings, alert: str, seconds: float) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "ioc", "command", "acknowledge", alert, "--as", "operator"]
    return subprocess.Popen(
        [*command, "--wait", str(seconds)],
        env={**environment(settings), "NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=child_setup(),
    )


@contextmanager
def installation(directory: Path) -> Iterator[System]:
    """Broker and processes, one of each, with rules that raise alerts for some of the city's sources."""
    base = load_settings(
        bootstrap_servers="",
        state_dir=directory / "state",
        broker_port=free_port(),
        broker_controller_port=free_port(),
    )
    broker = Broker(base, say)
    broker.start()
    try:
        broker.wait_ready()
        kit.operators_file(directory)
        settings = base.model_copy(
            update={
                "bootstrap_servers": broker.address,
                "topic_prefix": "load.",
                "operators_file": directory / "operators.yaml",
                "rules_file": Path(__file__).parents[1] / "bench" / "stream" / "rules.yaml",
                "wall_port": free_port(),
                **{f"{name}_health_port": free_port() for name in (*WORKERS, "clock")},
            }
        )
        ensure_topics(settings)
        with running(settings, directory / "processes") as system:
            for name in ("clock", *WORKERS):
                system.start(name)
            yield system
    finally:
        broker.stop()


def measure(given: argparse.Namespace, directory: Path) -> dict[str, Any]:
    with installation(directory) as system, closing(Lag(system.settings)) as lag:
        settings = system.settings
        writer = Writer(settings, given.sources)
        try:
            writer.rate(100)
            until(lambda: read_all(settings, Topics.of(settings).located.name), 60, system.tails)
            alert = lasting_alert(system)
            sustained = rise(writer, lag, given.start, given.most, given.step)
            say(f"sustained: {sustained:,.0f} events/s; letting it catch up")
            writer.rate(sustained / 4)
            until(lambda: lag() < sustained, 300, system.tails)
            writer.rate(sustained)
            took = delays(settings, given.step)
            writer.rate(sustained / 4)
            until(lambda: lag() < sustained / 8, 60, system.tails)
            calm = delays(settings, given.step)
            say(f"one source sends {given.mad:,.0f} events/s")
            writer.rate(sustained / 4, given.mad)
            until(lambda: unjudged(settings) or None, 60, system.tails)
            mad = Mad(given.mad, calm, delays(settings, given.step), unjudged(settings))
            say(f"twice as much for {given.minutes:g} min")
            writer.rate(2 * sustained)
            seen = overload(system, lag, alert, 60 * given.minutes)
            written = writer.end()
        finally:
            writer.kill()
        say(f"{written:,} events written; {seen.lag[-1]:,} behind, being judged")
        drained = drain(lag, system)
        ended = {name: code for name in WORKERS if (code := system.processes[name].poll()) is not None}
        for name in ended:
            say(f"{name} ended with {ended[name]}:\n{system.log(name)[-3000:]}")
        say("all judged; looking what became of each event")
        became = account(settings, written, Every(10.0, lambda read: say(f"{read:,} read")))
    return figures(given, sustained, took, mad, seen, written, became, drained, ended)


def drain(lag: Lag, system: System) -> float:
    """Wait until all is judged; how many seconds that took."""
    began = time.monotonic()
    tell = Every(10.0, lambda behind: say(f"{behind:,} behind"))

    def is_done() -> bool:
        behind = lag()
        tell(behind)
        return behind == 0

    until(is_done, 1800, system.tails)
    return time.monotonic() - began


def figures(
    given: argparse.Namespace,
    sustained: float,
    took: list[float],
    mad: Mad,
    seen: Overload,
    written: int,
    became: Account,
    drained: float,
    ended: dict[str, int],
) -> dict[str, Any]:
    memory = {name: _memory(found) for name, found in seen.memory.items() if found}
    found: dict[str, Any] = {
        "machine": platform.platform(),
        "sustained_per_s": round(sustained),
        "delay_s": _cuts(took),
        "mad_source": mad.figures,
        "overload_per_s": round(2 * sustained),
        "overload_s": 60 * given.minutes,
        "written": written,
        **asdict(became),
        "lag_at_end": seen.lag[-1],
        "drained_s": round(drained, 1),
        "memory_mb": memory,
        "wall_oldest_s": round(seen.oldest_s, 1),
        "acknowledged_s": None if seen.acknowledged_s is None else round(seen.acknowledged_s, 1),
        "acknowledgement": seen.acknowledgement,
        "ended": ended,
    }
    found["failed"] = [
        what
        for what, holds in {
            "nothing is lost": became.lost == 0,
            "nothing is there twice": became.duplicated == 0,
            "nothing is a dead letter": became.dead == 0,
            "nobody ended": not ended,
            "memory is bounded": all(one["end"] <= GROWTH * one["half"] for one in memory.values()),
            "a mad source delays nobody": mad.delays_nobody,
            "the wall says that it is behind": seen.oldest_s > 4,
            "an acknowledgement comes through": "done" in seen.acknowledgement,
        }.items()
        if not holds
    ]
    return found


def _cuts(took: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(took, n=100)
    return {f"p{percent}": round(cuts[percent - 1], 3) for percent in (50, 95, 99)}


def _memory(found: list[float]) -> dict[str, int]:
    half = found[len(found) // 3 : 2 * len(found) // 3] or found
    end = found[2 * len(found) // 3 :] or found
    return {
        "half": round(statistics.median(half)),
        "end": round(statistics.median(end)),
        "most": round(max(found)),
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tests.load",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--minutes", type=float, default=5.0, help="of overload (default: 5)")
    parser.add_argument(
        "--start", type=float, default=4000.0, help="first rate, events a second (default: 4000)"
    )
    parser.add_argument(
        "--most", type=float, default=math.inf, help="rate up to which it rises (default: until lag grows)"
    )
    parser.add_argument(
        "--step", type=float, default=15.0, help="seconds of each rate of the rise (default: 15)"
    )
    parser.add_argument(
        "--mad", type=float, default=10_000.0, help="events a second of the mad source (default: 10000)"
    )
    parser.add_argument("--sources", type=int, default=10_000, help="of the city (default: 10000)")
    parser.add_argument("--output", type=Path, default=BUILD / "load.json")
    given = parser.parse_args()
    configure_logs()
    # Ended from outside it ends its processes too, and leaves no gigabytes of a broker behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        with tempfile.TemporaryDirectory(prefix="ioc-load-") as directory:
            found = measure(given, Path(directory))
    except UserError as error:
        say(str(error))
        return 2
    given.output.parent.mkdir(parents=True, exist_ok=True)
    given.output.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    sys.stdout.write(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    return 1 if found["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
