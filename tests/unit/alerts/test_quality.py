"""Which readings are doubted, and why."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.conditions import quality
from alerts.model import Observation, Plausibility, Source

START = datetime(2025, 10, 8, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def source(datum: str | None = "Hon Dau", **plausible: Plausibility) -> Source:
    return Source(
        id="gauge",
        stream="flood",
        name={},
        kind="water_level",
        lon=105,
        lat=10,
        datum=datum,
        plausible=plausible,
    )


GAUGE = source(level_m=Plausibility(least=-1.0, greatest=4.0, step=0.5, stuck=3600.0))


def doubts(readings: list[tuple[int, float]], gauge: Source = GAUGE) -> list[tuple[str, ...]]:
    """The doubts of each of the (minute, level)."""
    known: dict[str, quality.Readings] = {}
    found = []
    for minute, value in readings:
        observation = Observation(
            event=f"e{minute}", time=START + minute * MINUTE, measures={"level_m": value}
        )
        known, observation = quality.check(gauge, None, known, observation)
        found.append(observation.doubts.get("level_m", ()))
    return found


def test_what_lies_outside_of_the_plausible_is_doubted() -> None:
    """The bounds themselves are plausible."""
    gauge = source(level_m=Plausibility(least=-1.0, greatest=4.0))
    assert doubts([(0, -1.0), (1, -1.01), (2, 4.0), (3, 4.01)], gauge) == [(), ("range",), (), ("range",)]


def test_a_jump_is_doubted_and_one_that_comes_back_was_a_spike() -> None:
    assert doubts([(0, 1.0), (5, 2.0), (10, 1.1), (15, 1.2)]) == [(), ("spike",), (), ()]


def test_a_second_reading_near_the_jump_confirms_it() -> None:
    """A sluice that opens makes a real jump: it is believed with the second reading, and from there on."""
    assert doubts([(0, 1.0), (5, 2.0), (10, 2.2), (15, 2.6), (20, 1.0)]) == [
        (),
        ("spike",),
        (),
        (),
        ("spike",),
    ]


def test_a_step_that_is_just_allowed_is_no_spike() -> None:
    assert doubts([(0, 1.0), (5, 1.5), (10, 1.0)]) == [(), (), ()]


def test_the_first_reading_is_no_spike() -> None:
    """There is nothing that it could have jumped from."""
    assert doubts([(0, 3.9)]) == [()]


def test_an_unchanging_value_is_doubted_after_its_time() -> None:
    """Three readings at least, so that a source that was silent for long is not taken for stuck."""
    assert doubts([(0, 1.0), (30, 1.0), (59, 1.0), (60, 1.0), (61, 1.01)]) == [(), (), (), ("stuck",), ()]
    assert doubts([(0, 1.0), (600, 1.0), (601, 1.0)]) == [(), (), ("stuck",)]


def test_a_level_above_another_datum_is_doubted_for_that_alone() -> None:
    """It cannot be compared with the readings around it: it is no jump, and none comes after it."""
    known: dict[str, quality.Readings] = {}
    found = []
    for minute, value, datum in ((0, 1.0, None), (5, 9.0, "local zero"), (10, 1.1, "Hon Dau")):
        observation = Observation(
            event=f"e{minute}",
            time=START + minute * MINUTE,
            measures={"level_m": value, "rain_mm": 500.0},
        )
        known, observation = quality.check(GAUGE, datum, known, observation)
        found.append(observation.doubts)
    assert found == [{}, {"level_m": ("datum",)}, {}]


@pytest.mark.parametrize(
    ("gauge", "datum", "expected"),
    [
        (None, "x", False),
        (source(datum=None), "x", False),
        (source(), None, False),
        (source(), "Hon Dau", False),
        (source(), "x", True),
        (GAUGE, None, True),
    ],
)
def test_most_sources_need_no_look(gauge: Source | None, datum: str | None, expected: bool) -> None:
    """Without anything plausible, and with the datum of the inventory or without one, nothing is doubted."""
    assert quality.concerns(gauge, datum) is expected


@given(
    st.lists(
        st.tuples(st.integers(1, 40), st.sampled_from([-2.0, 0.9, 1.0, 1.4, 1.6, 2.0, 2.4, 3.0, 4.5])),
        max_size=30,
    )
)
def test_agrees_with_the_definition_on_the_whole_history(steps: list[tuple[int, float]]) -> None:
    """The little that is remembered is enough: each doubt is as one who sees all readings would have it."""
    readings, minute = [], 0
    for gap, value in steps:
        minute += gap
        readings.append((minute, value))
    expected: list[tuple[str, ...]] = []
    for index, (minute, value) in enumerate(readings):
        found = []
        if not -1 <= value <= 4:
            found.append("range")
        believed = [readings[n][1] for n in range(index) if not expected[n]]
        if believed and abs(value - believed[-1]) > 0.5 and abs(value - readings[index - 1][1]) > 0.5:
            found.append("spike")
        same = index
        while same and readings[same - 1][1] == value:
            same -= 1
        if index - same >= 2 and minute - readings[same][0] >= 60:
            found.append("stuck")
        expected.append(tuple(found))
    assert doubts(readings) == expected
