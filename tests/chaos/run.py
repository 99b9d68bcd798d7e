"""One case from its brokers to its verdict."""

from __future__ import annotations

import logging
import random
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from alerts.model import AwareTime
from ioc.ports import free_port
from ioc.settings import Settings, load_settings
from streams.admin import ensure_agencies, ensure_topics
from streams.correlating import FRONTIER_KEY
from streams.topics import Topics
from streams.transactions import POSITION_KEY
from tests import wallkit as kit
from tests.chaos import steppedclock, subscriber
from tests.chaos.brokers import Brokers
from tests.chaos.cases import Case
from tests.chaos.links import Link
from tests.chaos.load import AGENCIES, Load, make_load
from tests.chaos.logs import is_command, last_clock
from tests.chaos.operators import Operators
from tests.chaos.stage import Stage, draw
from tests.chaos.verdict import Verdict, judge
from tests.chaos.watch import Struck, Watch, ready
from tests.system import consumer, read_all, running

log = logging.getLogger(__name__)

#: Seconds from the last fault until everything is judged, at most; and for the first commits.
JUDGED_SECONDS, BEGIN_SECONDS = 300.0, 90.0
#: Seconds for the agency's reader to have shown the last message; its place in the group may be another's until then.
SHOWN_SECONDS = 90.0
#: Of ten faults so many strike before the one before is over.
OVERLAPPING = 0.3
#: Seconds for an operator's command to be in the log before it holds.
AHEAD_SECONDS = 7.0
#: Of the load's pace: so much longer than the faults are expected to take, since it is hurried at the end.
SLACK = 1.6
#: The part of the day that the short cases take, with the worst of its tide.
EVENING = (
    datetime.fromisoformat("2025-10-08T17:20:00+07:00"),
    datetime.fromisoformat("2025-10-08T20:20:00+07:00"),
)
#: The clock of a case with a clock of its own runs so far behind the events: they do not come from the future.
CLOCK_BEHIND = timedelta(minutes=12)
SMALL_DISK = "1500m"

Say = Callable[[str], None]


class CannotRun(Exception):
    """What this machine lacks for a case."""


@dataclass
class Outcome:
    """What a case came to."""

    case: str
    seed: int
    faults: list[Struck]
    verdict: Verdict
    hung: list[str]
    seconds: float
    load: int
    restarts: dict[str, int] = field(default_factory=dict)
    #: Faults that struck while the load still came in.
    under_load: int = 0

    @property
    def kinds(self) -> Counter[str]:
        return Counter(f"{fault.kind} {fault.target}" for fault in self.faults)


def run_case(
    case: Case,
    *,
    seed: int,
    events: int,
    kills: int,
    directory: Path,
    say: Say,
    settings: Settings | None = None,
) -> Outcome:
    """Run a case with so many events and faults. `settings` are of a broker that runs already, for a case without
    faults of brokers; otherwise it starts its own.

    Raises `CannotRun` where the machine lacks what the case needs.
    """
    began = time.monotonic()
    directory.mkdir(parents=True, exist_ok=True)
    chance = random.Random(f"{seed}-{case.name}")
    begin, end = EVENING if case.live_clock or events < 20_000 else (None, None)
    load = make_load(directory / "load", events, begin=begin, end=end)
    say(f"{case.name}: {load.records:,} records of sources, {kills} faults, seed {seed}")
    with _brokers(case, directory, settings) as ground:
        made = _settings(ground, directory, load)
        with _processes(case, ground, made, load, kills, directory) as (stage, operators):
            _first_commits(stage)
            under_load = _disturb(case, stage, chance, kills, say)
            _finish(case, stage, operators, load, say)
        say(f"{case.name}: judging the log undisturbed")
        verdict = judge(made, load, AGENCIES)
        verdict.compare_shown(subscriber.must_show(made), subscriber.shown(stage.system.log("subscriber")))
    hung = stage.hung + [
        f"fault {fault.number}, {fault.kind} of {fault.target}: not committed again: "
        + ", ".join(f"{topic}/{number}" for _, topic, number in sorted(fault.waiting))
        for fault in stage.faults
        if fault.hung
    ]
    return Outcome(
        case.name,
        seed,
        stage.faults,
        verdict,
        hung,
        time.monotonic() - began,
        load.records,
        {name: process.restarts for name, process in stage.processes.items()},
        under_load,
    )


@dataclass
class _Ground:
    """What is there before any process is."""

    address: str
    brokers: Brokers | None
    links: dict[str, Link]
    disk: Path | None
    base: Settings


@contextmanager
def _brokers(case: Case, directory: Path, settings: Settings | None) -> Iterator[_Ground]:
    with ExitStack() as stack:
        if settings is not None:
            yield _Ground(settings.bootstrap, None, {}, None, settings)
            return
        place = stack.enter_context(_small_disk(directory / "disk")) if case.small_disk else directory
        links = {name: Link() for name in case.links}
        brokers = Brokers(place, case.brokers, {name: link.port for name, link in links.items()})
        stack.callback(brokers.stop)
        brokers.start()
        for name, link in links.items():
            stack.callback(link.close)
            link.open(brokers.behind[name])
        base = load_settings(replication_factor=brokers.copies)
        yield _Ground(brokers.address, brokers, links, place if case.small_disk else None, base)


@contextmanager
def _small_disk(path: Path) -> Iterator[Path]:
    """A file system of its own in memory; raises `CannotRun` where it cannot be mounted."""
    path.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK}", "tmpfs", str(path)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    if made.returncode:
        raise CannotRun(f"no file system can be mounted: {made.stderr.strip() or 'not allowed'}")
    try:
        yield path
    finally:
        subprocess.run(["umount", str(path)], capture_output=True, timeout=30, check=False)


def _settings(ground: _Ground, directory: Path, load: Load) -> Settings:
    kit.operators_file(directory)
    settings = load_settings(
        **{
            **ground.base.model_dump(),
            "bootstrap_servers": ground.address,
            "topic_prefix": f"c{random.SystemRandom().randrange(1 << 40):010x}.",
            "session_timeout": 3.0,
            "state_dir": (ground.disk or directory) / "state",
            "operators_file": directory / "operators.yaml",
            # A killed clock may stand still for long: none of the events may count as being from the future.
            "future_tolerance": 7200.0,
            "sense_health_port": 0,
            "correlate_health_port": 0,
            "clock_health_port": 0,
            "wall_port": 0,
            "wall_health_port": free_port(),
            **load.files,
        }
    )
    ensure_topics(settings)
    ensure_agencies(settings, AGENCIES)
    return settings


@contextmanager
def _processes(
    case: Case, ground: _Ground, settings: Settings, load: Load, kills: int, directory: Path
) -> Iterator[tuple[Stage, Operators]]:
    planned = max(30.0, kills * case.each * SLACK)
    speed = (load.last - load.first).total_seconds() / planned
    clocks = {name: directory / f"{name}.clock" for name in case.clocks}
    library = steppedclock.build(directory) if clocks else None
    if clocks and library is None:
        raise CannotRun("no clock can be stepped: it needs Linux and a compiler of C")
    with running(settings, directory / "processes") as system, ExitStack() as stack:
        watch = Watch(settings, settings.wall_health_port)
        stage = Stage(settings, system, watch, ground.brokers, ground.links, clocks, ground.disk)

        def add(name: str, *arguments: str) -> None:
            more = steppedclock.environment(library, clocks[name]) if library and name in clocks else None
            link = ground.links.get(name)
            where: dict[str, Any] = {"bootstrap_servers": link.address} if link else {}
            stage.add(name, *(arguments or (name,)), more=more, **where)

        replay = ("replay", str(load.recording), "--prefix", settings.topic_prefix, "--run", "chaos")
        add("sense-1", "sense")
        add("sense-2", "sense")
        add("correlate")
        add("wall")
        stage.add("subscriber", *subscriber.ARGUMENTS)
        if case.live_clock:
            origin, shown = datetime.now(UTC).isoformat(), (load.first - CLOCK_BEHIND).isoformat()
            add("clock", "clock", "--start", shown, "--origin", origin, "--speed", str(speed))
            stage.add("replay", *replay, "--speed", str(speed), "--no-clock", may_finish=True)
        else:
            stage.add("replay", *replay, "--speed", str(speed), may_finish=True)
            stage.fast = lambda: system.start("replay", *replay, "--speed", "max")
        watch.start()
        stack.callback(watch.stop)
        yield stage, stack.enter_context(Operators(settings, timedelta(seconds=AHEAD_SECONDS * speed)))


def _first_commits(stage: Stage) -> None:
    """Wait until every partition is committed to: only then a fault can do harm."""
    every = stage.watch.partitions["sense"] | stage.watch.partitions["correlate"]
    found = stage.wait_for(lambda: every <= stage.watch.committed().keys(), BEGIN_SECONDS)
    assert found, f"the workers did not begin:\n{stage.system.tails()}"


def _disturb(case: Case, stage: Stage, chance: random.Random, kills: int, say: Say) -> int:
    """Bring so many faults upon it; returns how many struck while the load came in."""
    under_load = 0
    faults = chance.sample(case.fixed, len(case.fixed)) or [draw(chance, case.menu) for _ in range(kills)]
    for number, fault in enumerate(faults):
        stage.wait(chance.uniform(0.3, 3.0))
        under_load += stage.at_work()
        struck = stage.strike(fault)
        if chance.random() >= OVERLAPPING:
            stage.wait_for(lambda: stage.watch.over(struck), struck.lasts + 100.0)  # noqa: B023
        took = "" if struck.recovery is None else f", committed again after {struck.recovery:.1f} s"
        say(f"{case.name}: {number + 1}/{len(faults)} {fault}{took}")
    return under_load


def _finish(case: Case, stage: Stage, operators: Operators, load: Load, say: Say) -> None:
    """Let the rest of the load be judged, then end every process in time."""
    stage.hurry()
    say(f"{case.name}: the rest of the load")
    if not stage.wait_for(lambda: not stage.at_work(), JUDGED_SECONDS):
        stage.hung.append("the replay did not come to its end")
    reached = load.last
    if case.live_clock:
        stage.wait(AHEAD_SECONDS)
        stage.processes["clock"].held = True
        stage.end("clock")
        reached = last_clock(stage.settings)
    if not stage.wait_for(_Judged(stage.settings, reached), JUDGED_SECONDS):
        stage.hung.append(f"not judged within {JUDGED_SECONDS:g} s after the last event")
    # A command that comes after the workers is nobody's loss, but it stands in the log by which they are judged.
    operators.leave()
    if not stage.wait_for(Taken(stage.settings), JUDGED_SECONDS):
        stage.hung.append(f"commands not taken within {JUDGED_SECONDS:g} s after the last one")
    if not stage.wait_for(lambda: ready(stage.settings.wall_health_port), 60):
        stage.hung.append("the wall is not ready again")
    expected = subscriber.must_show(stage.settings)
    stage.wait_for(lambda: expected <= subscriber.shown(stage.system.log("subscriber")), SHOWN_SECONDS)
    # What is not over now will not be: nothing comes in that could be committed.
    stage.watch.give_up()
    for name, process in stage.processes.items():
        process.held = True
        if stage.system.processes[name].poll() is None:
            stage.end(name)


class _Judged:
    """Whether correlate has committed what came of everything up to a time."""

    def __init__(self, settings: Settings, reached: datetime) -> None:
        self._settings, self._reached, self._topics = settings, reached, Topics.of(settings)
        self._consumer = consumer(settings, self._topics.signals_state.name)
        self._frontier: dict[str, datetime] = {}
        self._expected = sum(topic.partitions for topic in self._topics.raw.values())

    def __call__(self) -> bool:
        for batch in self._consumer.poll(timeout_ms=200).values():
            for record in batch:
                if record.key == FRONTIER_KEY and record.value:
                    self._frontier = msgspec.json.decode(record.value, type=dict[str, AwareTime])
        times = set(self._frontier.values())
        return len(self._frontier) == self._expected and len(times) == 1 and min(times) >= self._reached


class Taken:
    """Whether correlate has committed what came of every command in the log."""

    def __init__(self, settings: Settings) -> None:
        topics = Topics.of(settings)
        written = read_all(settings, topics.signals.name)
        self._end = max((one.offset + 1 for one in written if is_command(one.value)), default=0)
        self._consumer = consumer(settings, topics.signals_state.name)
        #: The next offset of the signals that correlate takes.
        self.position = 0

    def __call__(self) -> bool:
        for batch in self._consumer.poll(timeout_ms=200).values():
            for record in batch:
                if record.key == POSITION_KEY:
                    self.position = int(record.value)
        return self.position >= self._end
