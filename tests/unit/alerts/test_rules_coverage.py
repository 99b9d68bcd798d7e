"""What rules cannot judge with an inventory is said, and nothing is made up for it."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from alerts.agencies.subscriptions import parse_subscriptions
from alerts.model import Source, Threshold
from alerts.rules.coverage import lapsing, not_judged, not_there
from alerts.rules.maintenance import parse_maintenance
from alerts.rules.written import parse_rules
from streams.schemas import MEASURES

HERE = Path(__file__).parent / "rules"
RULES = parse_rules((HERE / "every-kind.yaml").read_text(encoding="utf-8"), "f", MEASURES)
WATER_LEVEL, _, SILENT = RULES.rules[:3]
NOW = datetime.fromisoformat("2025-10-08T12:00:00+07:00")
DAY = timedelta(days=1)


def source(
    id: str, *thresholds: Threshold, kind: str = "water_level", interval: float | None = 300
) -> Source:
    return Source(
        id=id,
        stream="flood",
        name={},
        kind=kind,
        lon=105.0,
        lat=10.0,
        thresholds=thresholds,
        interval=interval,
    )


def inventory(*sources: Source) -> dict[str, Source]:
    return {source.id: source for source in sources}


BD1, BD3 = Threshold(name="bd1", value=1.8), Threshold(name="bd3", value=2.0)


def test_a_level_without_a_threshold_is_told_with_its_sources() -> None:
    """Of the kind that has such thresholds, so many have none; sources of other kinds are not meant."""
    sources = inventory(
        source("a", BD1, BD3), source("b", BD3), source("c"), source("street", kind="street_water")
    )
    assert not_judged([WATER_LEVEL], sources) == [
        "water-level: 2 of 3 sources of kind water_level have no bd1: level minor (BĐ1) is not judged there (b, c)",
        "water-level: 1 of 3 sources of kind water_level have no bd3: level severe (BĐ3) is not judged there (c)",
    ]
    assert not_judged([WATER_LEVEL], inventory(source("a", BD1, BD3))) == []


def test_many_sources_are_told_by_their_number() -> None:
    """A long list names five."""
    sources = inventory(source("a", BD1, BD3), *(source(f"g{n}", BD1) for n in range(8)))
    assert not_judged([WATER_LEVEL], sources) == [
        "water-level: 8 of 9 sources of kind water_level have no bd3: level severe (BĐ3) is not judged there "
        "(g0, g1, g2, g3, g4 and 3 more)"
    ]


def test_no_threshold_at_all() -> None:
    assert not_judged([WATER_LEVEL], inventory(source("a"))) == [
        "water-level: no source has a threshold bd1 or bd3: nothing is judged"
    ]


def test_silence_needs_intervals_and_sources() -> None:
    """A level that counts intervals is not judged where the interval is unknown; kinds that nothing has are told."""
    assert not_judged([SILENT], inventory(source("a", interval=None), source("b"))) == [
        "silent-source: no source of flood is of kind street_water",
        "silent-source: 1 of 2 sources have no interval: level minor and moderate is not judged there (a)",
    ]
    assert not_judged([SILENT], {}) == [
        "silent-source: no source of flood is of kind water_level",
        "silent-source: no source of flood is of kind street_water",
    ]


@pytest.mark.parametrize(
    ("thresholds", "told"),
    [
        ([Threshold(name="bd3", value=2.0)], None),
        ([Threshold(name="bd3", value=2.0, until=NOW - DAY)], "has lapsed on 2025-10-07T12:00+07:00"),
        ([Threshold(name="bd3", value=2.0, until=NOW)], "has lapsed on"),
        ([Threshold(name="bd3", value=2.0, until=NOW + 30 * DAY)], "lapses on 2025-11-07T12:00+07:00"),
        ([Threshold(name="bd3", value=2.0, until=NOW + 300 * DAY)], None),
        (
            [
                Threshold(name="bd3", value=1.9, until=NOW - 9 * DAY),
                Threshold(name="bd3", value=2.0, since=NOW - 9 * DAY),
            ],
            None,
        ),
        (
            [
                Threshold(name="bd3", value=1.9, until=NOW + DAY),
                Threshold(name="bd3", value=2.0, since=NOW + 2 * DAY),
            ],
            "lapses on",
        ),
        ([Threshold(name="other", value=2.0, until=NOW - DAY)], None),
    ],
)
def test_a_threshold_that_lapses_is_told(thresholds: list[Threshold], told: str | None) -> None:
    """Where nothing follows it, and a rule rests on it; a gap of a day counts."""
    lines = lapsing(RULES.rules, inventory(source("a", *thresholds)), NOW)
    assert [told in line for line in lines] == ([True] if told else [])


def test_names_that_stand_for_nothing_are_told() -> None:
    """In maintenance windows, subscriptions and thresholds; of sources only where there is an inventory."""
    windows = parse_maintenance((HERE / "maintenance.yaml").read_text(encoding="utf-8"), "f")
    agencies = parse_subscriptions((HERE / "subscriptions.yaml").read_text(encoding="utf-8"), "f")
    sources = inventory(source("a", BD1, Threshold(name="db3", value=2.0)))
    lines = not_there(RULES, sources, windows, agencies)
    assert lines == [
        "no rule uses the threshold db3 of a",
        "maintenance pump-works: there is no source gauge-can-tho",
        "maintenance road-works: there is no rule slow-traffic",
        "maintenance road-works: there is no rule vehicle-queue",
    ]
    assert not_there(RULES, None, windows, agencies) == lines[2:]
