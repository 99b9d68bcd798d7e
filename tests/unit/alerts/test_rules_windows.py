"""Maintenance windows and subscriptions: what is accepted, and that each slip is told with its place."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pytest

from alerts.agencies.subscriptions import parse_subscriptions
from alerts.rules.maintenance import parse_maintenance
from alerts.rules.policy import Hours
from ioc.yamlfile import FileErrors

HERE = Path(__file__).parent / "rules"
WINDOWS = (HERE / "maintenance.yaml").read_text(encoding="utf-8")
AGENCIES = (HERE / "subscriptions.yaml").read_text(encoding="utf-8")

BAD_WINDOWS = [
    ("id: pump-works", "id: Pump works", "f.yaml:3:9", "matching regex"),
    ("id: road-works", "id: pump-works", "f.yaml:8:9", "a second window"),
    ("08T08:00:00+07:00", "08T08:00:00", "f.yaml:4:12", "timezone"),
    ("since: 2025-10-08T08:00:00+07:00", "since: 2025-10-08", "f.yaml:4:12", "datetime"),
    ("until: 2025-10-08T17", "until: 2025-10-08T07", "f.yaml:5:12", "ends before it begins"),
    (", en: Road works", "", "f.yaml:11:13", "missing required field `en`"),
    ("    sources: [gauge-can-tho]\n", "", "f.yaml:3:5", "would suppress every alert"),
    ('["31135"]', "[31135]", "f.yaml:13:16", "Expected `str`, got `int`"),
    ("hazards:", "hazard:", "f.yaml:14:13", "unknown field `hazard`"),
]

BAD_AGENCIES = [
    ("id: fire-service", "id: fire.service", "f.yaml:3:9", "matching regex"),
    ("id: exercise-desk", "id: fire-service", "f.yaml:13:9", "a second agency"),
    ("severity: severe", "severity: bad", "f.yaml:8:15", "bad"),
    ("languages: [vi]", "languages: [fr]", "f.yaml:9:17", "fr"),
    ("languages: [vi]", "languages: [vi, vi]", "f.yaml:9:16", "named twice"),
    ("languages: [vi]", "languages: []", "f.yaml:9:16", "length >= 1"),
    ("since: 22:00", "since: 25:00", "f.yaml:10:20", "not a time of day"),
    ("until: 06:00", "until: 22:00", "f.yaml:10:34", "these hours are none"),
    ("always: extreme", "always: never", "f.yaml:10:49", "never"),
    ("heartbeat: 30s", "heartbeat: 1s", "f.yaml:12:16", "every 10s to 1h"),
    ('provinces: ["92"]', "provinces: [92]", "f.yaml:7:17", "Expected `str`"),
    ("exercise: true", "exercise: 1", "f.yaml:15:15", "`bool`"),
]


def test_a_window_arrives_as_written() -> None:
    """What it names, and its times as moments."""
    pump, road = parse_maintenance(WINDOWS, "f.yaml")
    assert (pump.since, pump.until) == (
        datetime(2025, 10, 8, 1, tzinfo=UTC),
        datetime(2025, 10, 8, 10, tzinfo=UTC),
    )
    assert (pump.sources, pump.rules, pump.reason["en"]) == (
        ("gauge-can-tho",),
        (),
        "Works at the pumping station",
    )
    assert (road.rules, road.communes, road.hazards) == (
        ("slow-traffic", "vehicle-queue"),
        ("31135",),
        ("traffic",),
    )


def test_a_subscription_arrives_as_written() -> None:
    """Hours past midnight are times of day; what is left out has its default."""
    fire, exercise = parse_subscriptions(AGENCIES, "f.yaml")
    assert fire.agency == "fire-service"
    assert fire.hours == Hours(since=time(22), until=time(6), always="extreme")
    assert (fire.communes, fire.provinces, fire.languages) == (("31135", "31150"), ("92",), ("vi",))
    assert (fire.release, fire.exercise, fire.heartbeat) == (True, False, timedelta(seconds=30))
    assert (exercise.exercise, exercise.severity, exercise.languages) == (True, "minor", ("vi", "en"))
    assert exercise.heartbeat == timedelta(minutes=1)


@pytest.mark.parametrize(("old", "new", "place", "reason"), BAD_WINDOWS)
def test_a_bad_window_is_refused(old: str, new: str, place: str, reason: str) -> None:
    assert old in WINDOWS
    with pytest.raises(FileErrors) as caught:
        parse_maintenance(WINDOWS.replace(old, new, 1), "f.yaml")
    assert any(place in str(p) and reason in str(p) and p.remedy for p in caught.value.problems), str(
        caught.value.problems
    )


@pytest.mark.parametrize(("old", "new", "place", "reason"), BAD_AGENCIES)
def test_a_bad_subscription_is_refused(old: str, new: str, place: str, reason: str) -> None:
    assert old in AGENCIES
    with pytest.raises(FileErrors) as caught:
        parse_subscriptions(AGENCIES.replace(old, new, 1), "f.yaml")
    assert any(place in str(p) and reason in str(p) and p.remedy for p in caught.value.problems), str(
        caught.value.problems
    )


def test_nothing_is_good() -> None:
    """An installation without windows or agencies."""
    assert parse_maintenance("version: 1\n", "f.yaml") == ()
    assert parse_subscriptions("version: 1\n", "f.yaml") == ()
