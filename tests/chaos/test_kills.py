"""Kill any process at any moment: the alert changes equal those of an undisturbed run.

The short form, for every run of the tests: each process is killed ten times while two hours of the scenario's
evening are replayed.
"""

from __future__ import annotations

import gzip
import json
import os
import random
import signal
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ioc.settings import Settings
from tests.conftest import Kafka
from tests.planned import SCENARIO
from tests.system import System, alert_changes, by_alert, running, wait_until_judged

BEGIN = datetime.fromisoformat("2025-10-08T17:20:00+07:00")
END = datetime.fromisoformat("2025-10-08T20:20:00+07:00")
#: Seconds of the recording in a second: its three hours take two minutes and a half.
SPEED = 72
KILLS = int(os.environ.get("IOC_TEST_KILLS", "10"))
#: The clock runs this far behind the events: they never come late, however slow a killed machine is.
CLOCK_BEHIND = timedelta(minutes=12)


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


def settings_for(kafka: Kafka) -> Settings:
    # The clock is killed too, and behind the events: none of them may count as being from the future.
    return kafka.settings(inventory_file=SCENARIO / "inventory.yaml", future_tolerance=7200.0)


@pytest.fixture(scope="module")
def undisturbed(
    kafka: Kafka, evening: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[bytes]]:
    """The alert changes of the same recording at full speed, with nobody disturbing."""
    settings = settings_for(kafka)
    with running(settings, tmp_path_factory.mktemp("undisturbed")) as system:
        system.start("sense")
        system.start("correlate")
        system.start("replay", "replay", str(evening), "--speed", "max", "--run", "evening")
        wait_until_judged(system, END, 120)
    changes = by_alert(alert_changes(settings))
    assert len(changes) > 20, "the evening has too few alerts to prove anything"
    return changes


def kill_at_random(
    system: System, arguments: dict[str, tuple[str, ...]], chance: random.Random, until: Callable[[], bool]
) -> dict[str, int]:
    """Kill each process `KILLS` times at random moments, starting it again at once; returns the kills of each.

    Stops when `until` says so. On the calling thread: children die with the thread that started them.
    """

    def pause() -> float:
        # From the middle of its start to well into its work.
        return time.monotonic() + chance.uniform(1.0, 9.0)

    kills = dict.fromkeys(arguments, 0)
    due = [(pause(), name) for name in arguments]
    while due and not until():
        due.sort()
        moment, name = due.pop(0)
        time.sleep(max(0.0, moment - time.monotonic()))
        system.kill(name)
        system.start(name, *arguments[name])
        kills[name] += 1
        if kills[name] < KILLS:
            due.append((pause(), name))
    return kills


@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", [1])
def test_killed_processes_change_nothing(
    kafka: Kafka, evening: Path, undisturbed: dict[str, list[bytes]], tmp_path: Path, seed: int
) -> None:
    """sense, correlate and clock are killed ten times each under load: same ids, sequences and contents."""
    settings = settings_for(kafka)
    clock = (
        *("clock", "--speed", str(SPEED), "--origin", datetime.now(UTC).isoformat()),
        *("--start", (BEGIN - CLOCK_BEHIND).isoformat()),
    )
    with running(settings, tmp_path) as system:
        system.start("clock", *clock)
        system.start("sense")
        system.start("correlate")
        wait_until_judged(system, BEGIN - CLOCK_BEHIND, 60)
        replay = system.start(
            "replay", "replay", str(evening), "--speed", str(SPEED), "--run", "evening", "--no-clock"
        )
        kills = kill_at_random(
            system,
            {"sense": (), "correlate": (), "clock": clock},
            random.Random(seed),
            until=lambda: replay.poll() is not None,
        )
        assert kills == dict.fromkeys(kills, KILLS), f"the load ended before the kills did: {kills}"
        assert replay.wait(300) == 0, system.tails()
        wait_until_judged(system, END, 180)
    assert by_alert(alert_changes(settings)) == undisturbed


@pytest.mark.timeout(300)
def test_a_paused_worker_that_was_replaced_writes_nothing_more(
    kafka: Kafka, evening: Path, undisturbed: dict[str, list[bytes]], tmp_path: Path
) -> None:
    """SIGSTOP for longer than the session: another worker takes over; woken, the first one is fenced and ends."""
    settings = settings_for(kafka)
    with running(settings, tmp_path) as system:
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
    assert by_alert(alert_changes(settings)) == undisturbed
