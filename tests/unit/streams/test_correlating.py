"""Signals become alerts once every raw partition has passed their time, in one order."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

import msgspec
import pytest

from alerts.alert import Alert
from alerts.correlation import KEPT_AFTER_END
from alerts.model import Where
from alerts.signals import Passed, Signal
from ioc.settings import load_settings
from streams.correlating import Correlating, Outcome
from streams.offline import MemoryLog, MemoryRecord
from streams.topics import STREAMS, Topics

START = datetime.fromisoformat("2025-10-08T12:00:00+07:00")
SOURCES = [f"{stream}/{number}" for stream in STREAMS for number in range(4)]


@pytest.fixture
def topics() -> Topics:
    return Topics.of(load_settings(topic_prefix=""))


def at(minute: float) -> datetime:
    return START + timedelta(minutes=minute)


def signal(
    minute: float, severity: str | None, *, subject: str = "gauge", number: int = 1, **more: object
) -> Signal:
    return Signal(
        rule="water",
        rule_version="v1",
        subject=subject,
        change="ended" if severity is None else "began",
        severity=severity,  # type: ignore[arg-type]
        hazard="flood",
        title={"vi": "Nước", "en": "Water"},
        measure="level_m",
        unit="m",
        time=at(minute),
        order=at(minute),
        number=number,
        start_event="e0",
        start_time=at(minute),
        value=1.0,
        observed=at(minute),
        event=f"e{minute}",
        bound=0.5,
        where=Where(commune="31120", province="92"),
        **more,  # type: ignore[arg-type]
    )


def passed(minute: float, *sources: str) -> list[Passed]:
    return [Passed(source=source, time=at(minute), config="c") for source in (sources or SOURCES)]


def records(*messages: Signal | Passed) -> list[MemoryRecord]:
    return [MemoryRecord(b"92", msgspec.json.encode(message), n) for n, message in enumerate(messages)]


def changes(out: Outcome) -> list[tuple[str, str, int]]:
    return [(alert.subject, alert.change, alert.sequence) for alert, _ in out.changes]


def test_a_signal_waits_for_the_slowest_partition(topics: Topics) -> None:
    """As long as one raw partition may still send an earlier signal, nothing is taken."""
    correlating = Correlating(0, topics, {})
    assert changes(correlating.run(records(signal(1, "minor"), *passed(5, *SOURCES[1:])), {})) == []
    assert correlating.passed is None
    assert changes(correlating.run(records(*passed(1, SOURCES[0])), {})) == []  # 1 itself has not been passed
    assert changes(correlating.run(records(*passed(2, SOURCES[0])), {})) == [("gauge", "raised", 1)]


def test_signals_are_taken_in_the_order_of_time_not_of_arrival(topics: Topics) -> None:
    late = [signal(3, None, number=3), signal(2, "severe", number=2), signal(1, "minor")]
    out = Correlating(0, topics, {}).run(records(*late, *passed(9)), {})
    assert changes(out) == [("gauge", "raised", 1), ("gauge", "escalated", 2), ("gauge", "cleared", 3)]
    assert {alert.id for alert, _ in out.changes} == {out.changes[0][0].id}


def test_an_end_with_a_reason_closes(topics: Topics) -> None:
    out = Correlating(0, topics, {}).run(
        records(signal(1, "minor"), signal(2, None, number=2, reason="rule-removed"), *passed(9)), {}
    )
    assert [(alert.change, alert.reason) for alert, _ in out.changes] == [
        ("raised", ""),
        ("closed", "rule-removed"),
    ]


def test_an_end_without_a_start_is_nothing(topics: Topics) -> None:
    assert changes(Correlating(0, topics, {}).run(records(signal(1, None), *passed(9)), {})) == []


def test_a_new_run_is_a_new_alert(topics: Topics) -> None:
    """A replay's alerts are never taken for those of another run."""
    first = Correlating(0, topics, {}).run(records(signal(1, "minor", run="a"), *passed(9)), {})
    second = Correlating(0, topics, {}).run(records(signal(1, "minor", run="b"), *passed(9)), {})
    assert first.changes[0][0].id != second.changes[0][0].id


def test_an_unreadable_record_is_counted(topics: Topics) -> None:
    out = Correlating(0, topics, {}).run(
        [MemoryRecord(b"92", b"nonsense", 0), MemoryRecord(b"92", None, 1)], {}
    )
    assert out.unreadable == 2


def test_what_was_restored_is_what_was_held(topics: Topics) -> None:
    """Held signals, open alerts and the frontier survive a crash after any chunk."""
    messages = [
        message
        for minute in range(60)
        for message in (
            *passed(minute),
            signal(minute + 0.5, "minor", subject=f"s{minute % 7}", number=2 * minute),
            signal(minute + 3.2, None, subject=f"s{minute % 7}", number=2 * minute + 1),
        )
    ] + passed(100)
    whole = changes(Correlating(0, topics, {}).run(records(*messages), {}))
    assert len(whole) > 50
    chance = random.Random(7)
    log, pieces, rest = MemoryLog(), [], records(*messages)
    while rest:
        size = chance.randint(1, 20)
        out = Correlating(0, topics, log.state(topics.signals_state.name, 0)).run(rest[:size], {})
        log.apply(out.effects)
        pieces += changes(out)
        rest = rest[size:]
    assert pieces == whole


def test_an_ended_alert_leaves_the_latest_alerts_after_some_days(topics: Topics) -> None:
    """ioc.alerts gets a tombstone, so that it does not grow for ever."""
    correlating, log = Correlating(0, topics, {}), MemoryLog()
    log.apply(correlating.run(records(signal(1, "minor"), signal(2, None, number=2), *passed(9)), {}).effects)
    (latest,) = log.state(topics.alerts.name, 0).values()
    assert msgspec.json.decode(latest, type=Alert).state == "cleared"
    end = 2 + KEPT_AFTER_END / timedelta(minutes=1)
    log.apply(correlating.run(records(*passed(end)), {}).effects)
    assert log.state(topics.alerts.name, 0)
    log.apply(correlating.run(records(*passed(end + 1)), {}).effects)
    assert log.state(topics.alerts.name, 0) == {}
    assert not any(key.startswith(b"alert|") for key in log.state(topics.signals_state.name, 0))
