"""The alarm rate: what counts as an alarm, and how much is too much."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts.alert import ChangeName
from alerts.storms.rates import AlarmRate
from tests.unit.alerts.alertkit import Restoring, alert, at, moved


def rate() -> Restoring[AlarmRate]:
    return Restoring(AlarmRate, lambda part: None)


@pytest.mark.parametrize(
    ("change", "other", "counts"),
    [
        ("raised", {}, True),
        ("escalated", {}, True),
        ("reopened", {}, True),
        ("overdue", {}, True),
        ("resumed", {}, True),
        ("unshelved", {}, True),
        ("unshelved", {"by": "lan"}, False),
        ("lowered", {}, False),
        ("updated", {}, False),
        ("cleared", {}, False),
        ("acknowledged", {"by": "lan"}, False),
        ("suppressed", {"suppressed": "maintenance:m1"}, False),
        ("escalated", {"suppressed": "inhibited:x"}, False),
        ("escalated", {"shelved_until": at(60)}, False),
    ],
)
def test_an_alarm_is_what_asks_an_operator_to_look(
    change: ChangeName, other: dict[str, object], counts: bool
) -> None:
    """Milder news, his own doing, and what is suppressed or shelved do not."""
    held = rate()
    held.part.count(moved(alert("a"), 1, change, **other), at(1))
    assert held.part.last(at(1), 1) == counts


def test_ten_minutes_and_an_hour() -> None:
    """The present minute and those before it; what is older has no weight."""
    held = rate()
    for minute in (0, 5, 50, 51, 59):
        held.part.count(alert("a", minute), at(minute))
    assert (held.part.last(at(59.9), 10), held.part.last(at(59.9), 60)) == (3, 5)
    assert (held.part.last(at(60), 10), held.part.last(at(60), 60)) == (2, 4)
    assert (held.part.last(at(500), 10), held.part.last(at(500), 60)) == (0, 0)


def test_more_than_ten_in_ten_minutes_is_a_flood() -> None:
    """And more than twelve in an hour is more than one operator manages; two share them."""
    held = rate()
    loads = []
    for number in range(13):
        held.part.count(alert("a", number * 4.5), at(number * 4.5))
        loads.append(held.part.load(at(number * 4.5)))
    assert loads == ["manageable"] * 12 + ["demanding"]
    assert held.part.load(at(54), operators=2) == "manageable"
    for _ in range(9):
        held.part.count(alert("a", 55), at(55))
        loads.append(held.part.load(at(55)))
    # The ten minutes before hold two of the first ones: 46 to 55.
    assert loads[13:] == ["demanding"] * 8 + ["flood"]
    assert held.part.load(at(55), operators=2) == "manageable"


def test_other_spans_are_refused() -> None:
    """More than the hour that is kept cannot be told."""
    for minutes in (0, 61):
        with pytest.raises(ValueError, match="1 to 60 minutes"):
            rate().part.last(at(0), minutes)


def test_an_hour_is_kept() -> None:
    """However long it goes on."""
    held = rate()
    for minute in range(200):
        held.part.count(alert("a", minute), at(minute))
    assert held.records == 60
    assert held.part.last(at(199), 60) == 60


@given(st.lists(st.integers(0, 300), max_size=60).map(sorted), st.integers(1, 60), st.booleans())
def test_the_figure_is_the_number_of_alarms_in_those_minutes(
    halves: list[int], minutes: int, restarts: bool
) -> None:
    """At half minutes; whether or not the state was restored in between."""
    held = rate()
    for number, half in enumerate(halves, start=1):
        if restarts:
            held.restart()
        held.part.count(alert("a", half / 2), at(half / 2))
        now = half // 2
        expected = sum(now - minutes < one // 2 <= now for one in halves[:number])
        assert held.part.last(at(half / 2), minutes) == expected
