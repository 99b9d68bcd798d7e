"""Recording a real broker's topics, judging the recording again, and explaining what came of it."""

from __future__ import annotations

import gzip
import json
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from alerts.alert import Alert
from ioc.errors import UserError
from ioc.settings import Settings
from streams.configuration import DEFAULT_RULES, with_maps
from streams.recorder import Wanted, record
from streams.recording import ClockLine, EventLine, Line, clock_text, event_text, raw_text, read_recording
from streams.recording_index import configurations_path, load_index, read_between
from streams.rehearsal import judge_recording, recorded_configuration
from streams.replay import run_replay
from streams.shelf import Shelf
from tests.conftest import Kafka
from tests.planned import SCENARIO
from tests.system import alert_changes, by_alert, environment, running, wait_until_judged

BEGIN, END = (datetime.fromisoformat(f"2025-10-08T{hour}:00+07:00") for hour in ("17:00", "18:10"))


def write(lines: Iterator[Line], path: Path) -> None:
    """Lines as a recording."""
    with path.open("wb") as file:
        for line in lines:
            if isinstance(line, ClockLine):
                file.write(clock_text(line.clock, line.run))
            elif isinstance(line, EventLine):
                file.write(event_text(line.stream, line.at, line.event))
            else:
                file.write(raw_text(line.stream, line.at, line.key, line.raw))


@pytest.fixture(scope="module")
def hour(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seventy minutes of the scenario's evening."""
    path = tmp_path_factory.mktemp("hour") / "hour.ndjson"
    write(read_between(SCENARIO / "scenario.ndjson.gz", BEGIN, END), path)
    return path


class Judged:
    """A system that has judged the hour, and its recording."""

    settings: Settings
    recording: Path
    changes: list[Alert]


@pytest.fixture(scope="module")
def judged(kafka: Kafka, hour: Path, tmp_path_factory: pytest.TempPathFactory) -> Judged:
    """The hour, replayed through sense and correlate, and recorded from the raw topics."""
    directory = tmp_path_factory.mktemp("judged")
    found = Judged()
    found.settings = kafka.settings(inventory_file=SCENARIO / "inventory.yaml")
    with running(found.settings, directory) as system:
        system.start("sense")
        system.start("correlate")
        system.start("replay", "replay", str(hour), "--speed", "max", "--run", "r")
        wait_until_judged(system, END, 120)
        assert system.processes["replay"].wait(10) == 0, system.log("replay")
    found.changes = alert_changes(found.settings)
    assert len({alert.id for alert in found.changes}) > 10, "the hour has too few alerts to prove anything"
    found.recording = directory / "recorded.ndjson.gz"
    record(found.settings, found.recording, Wanted())
    return found


def ioc(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ioc", *arguments],
        env=environment(settings),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_recording_holds_what_was_replayed(judged: Judged, hour: Path) -> None:
    """Every clock, and each source's events in their order with what they said; but not who reported."""
    before, after = list(read_recording(hour)), list(read_recording(judged.recording))

    def clocks(lines: list[Line]) -> list[datetime]:
        return [line.clock for line in lines if isinstance(line, ClockLine)]

    def events(lines: list[Line]) -> dict[str, list[tuple[datetime, str]]]:
        found: dict[str, list[tuple[datetime, str]]] = defaultdict(list)
        now = BEGIN
        for line in lines:
            if isinstance(line, ClockLine):
                now = line.clock
            elif isinstance(line, EventLine):
                found[line.source].append((now, json.loads(line.event)["id"]))
        return found

    assert clocks(after) == clocks(before)
    assert events(after) == events(before)
    text = gzip.decompress(judged.recording.read_bytes())
    assert b"reporter" in hour.read_bytes()
    assert b"reporter" not in text
    assert b"0000 000" not in text
    index = load_index(judged.recording)
    assert index is not None
    assert (index.first, index.last, index.left_out, index.clocks_lacking) == (BEGIN, END, 0, 0)
    assert sum(index.records.values()) == sum(len(of_source) for of_source in events(after).values())


def test_the_recording_judged_in_memory_gives_the_systems_alert_changes(judged: Judged) -> None:
    """In id, sequence and content, by the configuration that was recorded with it; nothing is read from Kafka."""
    configuration = recorded_configuration(judged.recording)
    assert configuration is not None
    again = judge_recording(
        judged.settings,
        with_maps(configuration, Shelf(judged.settings), rules_name="rules", inventory_name="inventory"),
        judged.recording,
    )
    assert by_alert(again.changes) == by_alert(judged.changes)


@pytest.mark.parametrize("near", [10, 10_000])
def test_a_part_begins_and_ends_with_the_clocks_that_were_asked_for(
    judged: Judged, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, near: int
) -> None:
    """And holds exactly what the whole recording has between them; whether its beginning was sought or read up to."""
    monkeypatch.setattr("streams.seeking.NEAR", near)
    since, until = BEGIN + timedelta(minutes=21, seconds=3), BEGIN + timedelta(minutes=40)
    part = tmp_path / "part.ndjson.gz"
    record(judged.settings, part, Wanted(since, until, streams=("flood", "traffic")))
    whole = [
        line
        for line in read_between(judged.recording, since, until)
        if isinstance(line, ClockLine) or line.stream in ("flood", "traffic")
    ]
    assert list(read_recording(part)) == whole


def test_nothing_of_that_time_leaves_no_file(judged: Judged, tmp_path: Path) -> None:
    """An error that says so, and neither a recording nor anything beside it."""
    with pytest.raises(UserError, match="nothing to record"):
        record(judged.settings, tmp_path / "x.ndjson.gz", Wanted(since=END + timedelta(days=1)))
    assert list(tmp_path.iterdir()) == []


def test_a_log_without_clocks_is_said_to_have_none(kafka: Kafka, tmp_path: Path) -> None:
    """With the remedy."""
    with pytest.raises(UserError) as caught:
        record(kafka.settings(), tmp_path / "x.ndjson.gz", Wanted())
    assert "no clock records" in caught.value.where
    assert "ioc clock" in caught.value.remedy


def test_interrupted_it_leaves_a_valid_shorter_recording(kafka: Kafka, hour: Path, tmp_path: Path) -> None:
    """Ctrl-C while it follows: what came in by then is whole, with its index; and it is told."""
    settings = kafka.settings(inventory_file=SCENARIO / "inventory.yaml")
    path = tmp_path / "r.ndjson.gz"
    run_replay(settings, hour, speed=None, run="r", config="c")
    process = subprocess.Popen(
        [sys.executable, "-m", "ioc", "record", "-o", str(path), "--follow"],
        env=environment(settings),
        stderr=subprocess.PIPE,
    )
    try:
        until = time.monotonic() + 60
        while not any(file.stat().st_size > 10_000 for file in tmp_path.glob(".r.ndjson.gz.*")):
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < until, "nothing was written"
            time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        errors = process.communicate(timeout=20)[1].decode()
    finally:
        process.kill()
    assert process.returncode == 0, errors
    assert str(path) in errors
    lines = list(read_recording(path))
    assert isinstance(lines[-1], ClockLine)
    assert load_index(path) is not None
    assert list(tmp_path.glob(".r.ndjson.gz.*")) == []
    # ioc.config does not hold the configuration that this replay named.
    assert not configurations_path(path).exists()


def held(series: list[tuple[datetime, float]], bound: float, hold: timedelta, end: datetime) -> bool:
    """Whether the values stood at or below a bound for so long, counted without any of the product's code."""
    since: datetime | None = None
    for moment, value in [*series, (end, 0.0)]:
        if since is not None and since + hold <= moment:
            return True
        if value > bound:
            since = None
        elif since is None:
            since = moment
    return False


def slow(lines: list[Line], bound: float) -> set[str]:
    """Traffic sensors that were at or below a speed for ten minutes."""
    series: dict[str, list[tuple[datetime, float]]] = defaultdict(list)
    for line in lines:
        if isinstance(line, EventLine) and line.stream == "traffic":
            event = json.loads(line.event)
            if "speed_kmh" in event and (not series[line.source] or line.time >= series[line.source][-1][0]):
                series[line.source].append((line.time, event["speed_kmh"]))
    return {source for source, values in series.items() if held(values, bound, timedelta(minutes=10), END)}


def test_backtest_tells_the_alerts_that_another_threshold_adds(judged: Judged, tmp_path: Path) -> None:
    """Slow traffic from 20 km/h instead of 15: the sensors that only then stood still for ten minutes are added; no
    alert goes, and the alarm rate of the present rules is that of the system. Without Kafka, and with it."""
    tried = tmp_path / "tried.yaml"
    rules = DEFAULT_RULES.read_text(encoding="utf-8")
    assert "raise: 15, clear: 20" in rules
    tried.write_text(rules.replace("raise: 15, clear: 20", "raise: 20, clear: 24"), encoding="utf-8")
    lines = list(read_recording(judged.recording))
    expected = slow(lines, 20) - slow(lines, 15)
    assert expected, "the hour has no sensor between the two thresholds"
    nowhere = judged.settings.model_copy(update={"bootstrap_servers": "127.0.0.1:1"})
    for settings, more in ((nowhere, ("--recording", str(judged.recording))), (judged.settings, ())):
        result = ioc(settings, "backtest", "--rules", str(tried), "--json", *more)
        assert result.returncode == 0, result.stderr
        found = json.loads(result.stdout)
        added = {d["after"]["subject"] for d in found["differences"] if d["kind"] == "added"}
        assert added == expected
        assert [d for d in found["differences"] if d["kind"] == "removed"] == []
        assert {(d["before"] or d["after"])["rule"] for d in found["differences"] if "before" in d} <= {
            "slow-traffic"
        }
        alarms = [c for c in judged.changes if c.change in ("raised", "escalated") and not c.suppressed]
        assert found["before"]["alarms"] == len(alarms)
    table = ioc(nowhere, "backtest", "--rules", str(tried), "--recording", str(judged.recording)).stdout
    assert f"{len(expected)} added, 0 removed" in table
    assert all(subject in table for subject in expected)


def test_backtest_names_the_line_of_a_wrong_rule(judged: Judged, tmp_path: Path) -> None:
    """Before anything is judged."""
    tried = tmp_path / "tried.yaml"
    tried.write_text("version: 1\nrules:\n  - id: x\n", encoding="utf-8")
    result = ioc(judged.settings, "backtest", "--rules", str(tried), "--recording", str(judged.recording))
    assert result.returncode == 2
    assert f"{tried}:3" in result.stderr


def test_explain_tells_what_the_log_holds(judged: Judged) -> None:
    """The rule's bound, the last reading, and that nothing has come since, for an alert that is open; in both
    languages, and as JSON."""
    latest = {alert.id: alert for alert in judged.changes}
    open_ = next(
        a for a in latest.values() if a.open and a.rule == "water-level" and a.subject == "gauge-can-tho"
    )
    result = ioc(judged.settings, "explain", open_.id)
    assert result.returncode == 0, result.stderr
    assert "Why it is not yet cleared" in result.stdout
    assert "It clears below" in result.stdout
    assert "Last reading: " in result.stdout
    assert "Basis: Decision 05/2020" in result.stdout
    assert f"Rule water-level {open_.rule_version}" in result.stdout
    assert "no longer in ioc.config" not in result.stdout
    assert "Vì sao chưa kết thúc" in ioc(judged.settings, "explain", open_.id[:-4], "--lang", "vi").stdout
    found: dict[str, Any] = json.loads(ioc(judged.settings, "explain", open_.id, "--json").stdout)
    assert [c["sequence"] for c in found["facts"]["changes"]] == list(range(1, open_.sequence + 1))
    last = [
        line
        for line in read_recording(judged.recording)
        if isinstance(line, EventLine) and line.source == "gauge-can-tho"
    ][-1]
    reading = found["facts"]["reading"]
    assert reading["value"] == json.loads(last.event)["level_m"]
    assert datetime.fromisoformat(reading["observed"]) == last.time
    assert datetime.fromisoformat(found["facts"]["now"]) == END


def test_explain_of_an_unknown_alert(judged: Judged) -> None:
    """Two lines: there is none, and where to find its id; of several that begin so, some are named."""
    result = ioc(judged.settings, "explain", "alert-nobody")
    assert result.returncode == 2
    assert "no alert is called alert-nobody" in result.stderr
    assert "IOC_TOPIC_PREFIX" in result.stderr
    result = ioc(judged.settings, "explain", "alert-")
    assert result.returncode == 2
    assert "give more of the id" in result.stderr
