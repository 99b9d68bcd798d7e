"""Silence of one source, against its rules and against one who sees the whole day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.conditions import silence
from alerts.conditions.silence import Heard, SilenceState
from alerts.model import Source
from alerts.rules.kinds import SilenceLevel, SilenceRule

START = datetime(2025, 10, 8, tzinfo=UTC)
MINUTE = timedelta(minutes=1)

RULE = SilenceRule(
    id="silent",
    version="v1",
    hazard="system",
    title={"vi": "Mất tín hiệu", "en": "Silent"},
    stream="flood",
    levels=(
        SilenceLevel(severity="minor", intervals=3),
        SilenceLevel(severity="moderate", after=timedelta(minutes=60)),
    ),
)


def source(interval: float | None = 300.0, stream: str = "flood", kind: str = "water_level") -> Source:
    return Source(id="gauge", stream=stream, name={}, kind=kind, lon=105, lat=10, interval=interval)


def at(minute: float) -> datetime:
    return START + minute * MINUTE


def fallen(heard: float, now: float, *, the_source: Source | None = None, since: float = -1e4) -> list[tuple]:
    _, changes = silence.pass_time(
        RULE, the_source or source(), Heard("e", at(heard)), None, at(since), at(now)
    )
    return [(change.change, change.level, (change.time - START) / MINUTE, change.bound) for change in changes]


def test_levels_are_reached_when_they_are_due() -> None:
    """Stamped with the moment, though the clock record comes later; in seconds or in the source's intervals."""
    assert fallen(0, 14.9) == []
    assert fallen(0, 15) == [("began", 0, 15, 900)]
    assert fallen(0, 80) == [("began", 0, 15, 900), ("changed", 1, 60, 3600)]


def test_without_a_known_interval_its_levels_are_not_judged() -> None:
    """What is unknown stays unknown: only the level with a time of its own is there."""
    assert fallen(0, 80, the_source=source(interval=None)) == [("began", 1, 60, 3600)]


def test_a_new_rule_dates_nothing_back() -> None:
    """What it finds silent falls silent with it, at once at the worst level that it has reached."""
    assert fallen(0, 500, since=300) == [("began", 1, 300, 3600)]


@pytest.mark.parametrize(
    ("the_source", "kinds", "expected"),
    [
        (source(), (), True),
        (source(), ("water_level", "rain"), True),
        (source(), ("rain",), False),
        (source(stream="traffic"), (), False),
        (None, (), False),
    ],
)
def test_which_sources_are_judged(the_source: Source | None, kinds: tuple[str, ...], expected: bool) -> None:
    """Those of the inventory, of the stream and kinds: of a source that nobody listed nothing is expected."""
    rule = SilenceRule(
        **{**{field: getattr(RULE, field) for field in RULE.__struct_fields__}, "kinds": kinds}
    )
    assert silence.applies(rule, the_source) is expected


def test_the_end_is_never_before_the_change_that_it_follows() -> None:
    """An event may come late: then the silence that was told already ends when it was told."""
    state = SilenceState(0, at(15))
    change = silence.end(RULE, source(), Heard("e", at(0)), state, at(7))
    assert change is not None
    assert (change.time, change.level, change.start_event) == (at(15), None, "e")
    assert silence.end(RULE, source(), Heard("e", at(0)), SilenceState(None, at(15)), at(20)) is None


@given(
    st.lists(st.tuples(st.integers(0, 200), st.booleans()), max_size=40),
    st.integers(0, 200),
)
def test_agrees_with_one_who_sees_the_whole_day(moments: list[tuple[int, bool]], last: int) -> None:
    """Events and clock records in the order of time: the level at each clock record follows from the last event."""
    heard, state, told = Heard("listed", at(0)), None, list[tuple]()
    day = sorted([*moments, (last, False)])
    for minute, is_event in day:
        if is_event:
            if state is not None and (change := silence.end(RULE, source(), heard, state, at(minute))):
                told.append((change.change, change.level, change.time))
            heard, state = Heard(f"e{minute}", at(minute)), None
        else:
            state, changes = silence.pass_time(RULE, source(), heard, state, at(0), at(minute))
            told += [(change.change, change.level, change.time) for change in changes]
    # One who sees all: between two events, the levels reached by the last clock record of that stretch.
    expected, stretch, level = list[tuple](), 0, None
    for minute, is_event in day:
        if is_event:
            if level is not None:
                expected.append(("ended", None, at(minute)))
            stretch, level = minute, None
        else:
            for index, due in ((0, stretch + 15), (1, stretch + 60)):
                if due <= minute and (level is None or level < index):
                    expected.append(("began" if level is None else "changed", index, at(due)))
                    level = index
    assert told == expected
