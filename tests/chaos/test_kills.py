"""Kill any process at any moment: what comes of the log is what comes of it where nobody disturbs.

The short form, for every run of the tests: each process is killed ten times while three hours of the scenario's
evening are replayed and operators give commands. Then the same log is judged anew under another prefix. All that
correlate wrote must be the same, record by record: alert changes, incidents, messages to agencies and the outcomes
of commands.
"""

from __future__ import annotations

import gzip
import hashlib
import itertools
import json
import logging
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.request import urlopen

import msgspec
import pytest
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition

from alerts.alert import Alert
from alerts.commands import Action, Command
from ioc.ports import free_port
from ioc.settings import Settings
from streams.commanding import record_of
from streams.topics import Topics
from tests import wallkit as kit
from tests.chaos.logs import Came, last_clock, undisturbed
from tests.conftest import Kafka
from tests.planned import SCENARIO
from tests.system import System, outcomes, read_all, running, until, wait_until_judged

log = logging.getLogger(__name__)

BEGIN = datetime.fromisoformat("2025-10-08T17:20:00+07:00")
END = datetime.fromisoformat("2025-10-08T20:20:00+07:00")
#: Seconds of the recording in a second: its three hours take two minutes and a half.
SPEED = 72
KILLS = int(os.environ.get("IOC_TEST_KILLS", "10"))
SEEDS = [int(seed) for seed in os.environ.get("IOC_TEST_SEEDS", "1").split(",")]
#: The clock runs this far behind the events: they never come late, however slow a killed machine is.
CLOCK_BEHIND = timedelta(minutes=12)
#: Commands hold from so much later than the clock shows: 7 seconds for them to be in the log before they do.
AHEAD = timedelta(minutes=8)

SUBSCRIPTIONS = """\
version: 1
agencies:
  - id: drill
    name: {vi: Diễn tập, en: Exercise}
    exercise: true
  - id: drill-released
    name: {vi: Diễn tập có phát hành, en: Exercise with a release}
    exercise: true
    release: true
    severity: moderate
    heartbeat: 10m
  - id: drill-evening
    name: {vi: Diễn tập buổi tối, en: Exercise in the evening}
    exercise: true
    hours: {since: 18:30, until: 22:00, always: extreme}
  - id: fire
    name: {vi: Cảnh sát PCCC, en: Fire service}
"""
AGENCIES = ["drill", "drill-released", "drill-evening", "fire"]


@pytest.fixture(scope="module")
def evening(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three hours of the recording, with the worst of the tide."""
    path = tmp_path_factory.mktemp("recording") / "evening.ndjson"
    with gzip.open(SCENARIO / "scenario.ndjson.gz", "rt", encoding="utf-8") as lines, path.open("w") as out:
        for line in lines:
            record = json.loads(line)
            moment = datetime.fromisoformat(record.get("clock") or record["at"])
            if BEGIN <= moment <= END:
                out.write(line)
    return path


@pytest.fixture
def settings_for(kafka: Kafka, tmp_path: Path) -> Callable[[], Settings]:
    """Makes settings that are the same but for the prefix."""
    kit.operators_file(tmp_path)
    (tmp_path / "subscriptions.yaml").write_text(SUBSCRIPTIONS, encoding="utf-8")

    def make() -> Settings:
        # The clock is killed too, and behind the events: none of them may count as being from the future.
        return kafka.settings(
            state_dir=tmp_path / "state",
            inventory_file=SCENARIO / "inventory.yaml",
            operators_file=tmp_path / "operators.yaml",
            subscriptions_file=tmp_path / "subscriptions.yaml",
            future_tolerance=7200.0,
        )

    return make


class Operators:
    """Three people at their desks, each alert in the hands of a script: they see it raised, and give its commands.

    A command holds from a time that the clock has not reached, so that its place among all records is known.
    """

    def __init__(self, settings: Settings, now: Callable[[], datetime]) -> None:
        self._settings, self._now = settings, now
        self._topics = Topics.of(settings)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self.sent = 0

    def __enter__(self) -> Operators:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(20)
        assert not self._thread.is_alive()

    def _work(self) -> None:
        producer = KafkaProducer(bootstrap_servers=self._settings.bootstrap, acks="all")
        changes = KafkaConsumer(
            bootstrap_servers=self._settings.bootstrap,
            isolation_level="read_committed",
            auto_offset_reset="earliest",
            enable_auto_commit=False,
        )
        changes.assign([TopicPartition(self._topics.alert_changes.name, 0)])
        while not self._stop.is_set():
            for batch in changes.poll(timeout_ms=200).values():
                for record in batch:
                    alert = msgspec.json.decode(record.value, type=Alert)
                    if alert.change == "raised":
                        for command in self.script(alert):
                            topic, key, value = record_of(self._topics, command, 0)
                            producer.send(topic, key=key, value=value, partition=0)
                            self.sent += 1
            producer.flush()
        changes.close()
        producer.close()

    def script(self, alert: Alert) -> Iterator[Command]:
        """What is asked about a raised alert; which of the scripts it gets follows from its id."""
        start, numbers, sequences = self._now() + AHEAD, itertools.count(1), itertools.count(alert.sequence)

        def ask(action: Action, minutes: float, operator: str = "operator", **more: object) -> Command:
            # Each reckons with those before it and with nothing else happening, unless it says otherwise.
            fields = {"sequence": next(sequences), **more}
            return Command(
                id=f"{alert.id}-{next(numbers)}",
                action=action,
                operator=operator,
                issued=datetime.now(UTC),
                time=start + timedelta(minutes=minutes),
                alert=alert.id,
                **fields,  # type: ignore[arg-type]
            )

        yield from (ask("release", 1, "supervisor", to=agency) for agency in alert.awaiting)
        match hashlib.sha256(alert.id.encode()).digest()[0] % 5:
            case 0:
                yield (twice := ask("acknowledge", 2))
                yield twice
                yield ask("acknowledge", 4, "supervisor")
            case 1:
                yield ask("shelve", 2, sequence=None, until=start + timedelta(minutes=40))
            case 2:
                yield ask("close", 3, sequence=None, text="đã xử lý")
            case 3:
                yield ask("comment", 1, text="đang kiểm tra")
                yield ask("assign", 2, to="supervisor")
            case 4:
                yield ask("acknowledge", 2, "viewer")


class Progress:
    """How far each process has come in what it has committed, for that is what a kill can do harm to."""

    def __init__(self, settings: Settings, clock_health_port: int) -> None:
        self._prefix, self._port = settings.topic_prefix, clock_health_port
        self._admin = KafkaAdminClient(bootstrap_servers=settings.bootstrap)

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self._admin.close()

    def of(self, name: str) -> int:
        """Records of which a worker has committed what came of them; of the clock 1 while it does its work."""
        if name == "clock":
            return int(ready(self._port))
        group = f"{self._prefix}ioc-{name}"
        offsets = self._admin.list_group_offsets({group: None})[group]
        return sum(max(0, entry.offset) for entry in offsets.values())


def ready(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/readyz", timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def kill_at_random(
    starts: dict[str, Callable[[], object]],
    system: System,
    progress: Progress,
    chance: random.Random,
    loaded: Callable[[], bool],
) -> dict[str, int]:
    """Kill each process `KILLS` times, starting it again at once with `starts`; returns how often under load.

    In turns at a random moment of its work, which is after its first commit, and of its start. On the calling
    thread: children die with the thread that started them.
    """
    kills, under_load = dict.fromkeys(starts, 0), dict.fromkeys(starts, 0)
    #: How far each had come when it was started last.
    begun = dict.fromkeys(starts, 0)
    #: When each is killed next; None: not known before it is at work.
    due: dict[str, float | None] = dict.fromkeys(starts)
    while due:
        for name, moment in list(due.items()):
            if moment is None and progress.of(name) > begun[name]:
                due[name] = time.monotonic() + chance.uniform(0.0, 8.0)
            elif moment is not None and moment <= time.monotonic():
                system.kill(name)
                begun[name] = progress.of(name)
                starts[name]()
                kills[name] += 1
                under_load[name] += loaded()
                due[name] = None if kills[name] % 2 == 0 else time.monotonic() + chance.uniform(0.5, 3.0)
                if kills[name] == KILLS:
                    del due[name]
        time.sleep(0.05)
    return under_load


@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", SEEDS)
def test_killed_processes_change_nothing(
    settings_for: Callable[[], Settings], evening: Path, tmp_path: Path, seed: int
) -> None:
    """sense, correlate and clock are killed ten times each under load: nothing is lost, doubled or different."""
    settings = settings_for()
    begin = BEGIN - CLOCK_BEHIND
    with running(settings, tmp_path / "disturbed") as system:
        # A clock that hardly moves, until the load has begun: however slow the start is, no event comes late.
        system.start("clock", "clock", "--start", begin.isoformat())
        system.start("sense")
        system.start("correlate")
        wait_until_judged(system, begin, 60)
        replay = system.start(
            "replay", "replay", str(evening), "--speed", str(SPEED), "--run", "evening", "--no-clock"
        )
        located = Topics.of(settings).located.name
        until(lambda: read_all(settings, located), 60, system.tails)
        system.end("clock")
        origin = datetime.now(UTC)
        port = free_port()

        def start_clock() -> None:
            shown = ("--start", begin.isoformat(), "--origin", origin.isoformat(), "--speed", str(SPEED))
            system.start("clock", "clock", *shown, clock_health_port=port)

        start_clock()

        def now() -> datetime:
            return begin + (datetime.now(UTC) - origin) * SPEED

        with Operators(settings, now) as operators, Progress(settings, port) as progress:
            under_load = kill_at_random(
                {
                    "sense": lambda: system.start("sense"),
                    "correlate": lambda: system.start("correlate"),
                    "clock": start_clock,
                },
                system,
                progress,
                random.Random(seed),
                loaded=lambda: replay.poll() is None,
            )
            log.info("killed by %s of the evening, under load %s", now().time(), under_load)
            assert min(under_load.values()) > KILLS // 2, f"the load ended before the kills did: {under_load}"
            assert replay.wait(300) == 0, system.tails()
            wait_until_judged(system, END, 180)
        # What the last commands hold from is judged as well.
        wait_until_judged(system, now() + AHEAD + timedelta(minutes=5), 60)
        system.end("clock")
        wait_until_judged(system, last_clock(settings), 60)
    came = Came.of(settings, AGENCIES)
    said = Counter((one.outcome, one.reason) for one in outcomes(settings))
    log.info("records by topic: %s; outcomes of commands: %s", came.numbers(), dict(said))
    numbers = came.numbers()
    assert numbers["ioc.alert-changes"] > 100, "the evening has too few alerts to prove anything"
    assert numbers["ioc.incidents"] > 20
    assert numbers["ioc.alerts.drill"] > 100
    assert said["done", None] > 10, said
    assert said["refused", "not-allowed"] > 1, said
    assert sum(said.values()) < operators.sent, "what was sent twice was done twice"
    came.assert_same(undisturbed(settings, settings_for(), AGENCIES, tmp_path / "undisturbed"))


@pytest.mark.timeout(300)
def test_a_paused_worker_that_was_replaced_writes_nothing_more(
    settings_for: Callable[[], Settings], evening: Path, tmp_path: Path
) -> None:
    """SIGSTOP for longer than the session: another worker takes over; woken, the first one is fenced and ends."""
    settings = settings_for()
    with running(settings, tmp_path / "disturbed") as system:
        first = system.start("sense-1", "sense")
        system.start("correlate")
        system.start("replay", "replay", str(evening), "--speed", "400", "--run", "evening")
        wait_until_judged(system, BEGIN + timedelta(minutes=20), 60)
        system.kill("sense-1", signal.SIGSTOP)
        system.start("sense-2", "sense")
        wait_until_judged(system, BEGIN + timedelta(minutes=90), 90)
        system.kill("sense-1", signal.SIGCONT)
        wait_until_judged(system, END, 90)
        assert first.poll() in (None, 70), system.log("sense-1")
    came = Came.of(settings, AGENCIES)
    assert came.numbers()["ioc.alert-changes"] > 60, "the evening has too few alerts to prove anything"
    came.assert_same(undisturbed(settings, settings_for(), AGENCIES, tmp_path / "undisturbed"))
