"""What differs between two judgements of the same events, and the alarm rate of each."""

from __future__ import annotations

from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from alerts.alert import Alert
from alerts.comparison import Comparison, compare, rate
from tests.unit.alerts.alertkit import alert, at, moved

END = at(600)


def compared(before: list[Alert], after: list[Alert]) -> Comparison:
    return compare(before, after, at(0), END)


def test_another_version_value_or_bound_is_no_difference() -> None:
    """Changed rules have another version and bound everywhere; an operator sees the same alert."""
    one = alert("a", 5)
    found = compared([one], [replace(one, rule_version="v2", bound=1.8, value=1.85)])
    assert (found.unchanged, found.differences) == (1, [])


def test_alerts_of_one_side_only_are_added_or_removed() -> None:
    """By their ids, in the order of time, each whole."""
    old, new, both = alert("old", 7), alert("new", 3), alert("both", 5)
    found = compared([both, old], [new, both])
    assert [(d.kind, (d.before or d.after).id) for d in found.differences] == [  # type: ignore[union-attr]
        ("added", "new"), ("removed", "old")
    ]  # fmt: skip
    assert found.unchanged == 1
    assert found.differences[0].after is not None
    assert (found.differences[0].after.since, found.differences[0].after.until) == (at(3), None)


def test_a_changed_alert_says_what_differs() -> None:
    """Another course of the same alert: its changes, their severities and their times, each by itself."""
    one = alert("a", 0)
    cleared = moved(one, 10, "cleared")
    assert compared([one, cleared], [one, moved(one, 20, "cleared")]).differences[0].differs == ["times"]
    assert compared([one], [replace(one, severity="severe")]).differences[0].differs == ["severities"]
    assert compared([one], [replace(one, certainty="likely")]).differences[0].differs == ["certainty"]
    assert compared([one], [replace(one, suppressed="limit:water")]).differences[0].differs == ["suppression"]
    (difference,) = compared([one, cleared], [one]).differences
    assert difference.kind == "changed"
    assert difference.differs == ["changes", "times"]


def test_an_alert_that_another_event_begins_is_moved() -> None:
    """It has another id, but the same rule and subject at an overlapping time: told once, not as two."""
    one, other = alert("a", 10, subject="g"), alert("b", 5, subject="g")
    (difference,) = compared(
        [one, moved(one, 30, "cleared")], [other, moved(other, 35, "cleared")]
    ).differences
    assert difference.kind == "moved"
    assert difference.before is not None
    assert difference.after is not None
    assert (difference.before.id, difference.after.id) == ("a", "b")


def test_apart_in_time_or_of_another_subject_nothing_is_moved() -> None:
    """The morning's alert that went and the evening's that came are two differences."""
    morning = alert("a", 10, subject="g")
    evening = alert("b", 300, subject="g")
    found = compared([morning, moved(morning, 30, "cleared")], [evening])
    assert sorted(d.kind for d in found.differences) == ["added", "removed"]
    found = compared([alert("a", 10, subject="g")], [alert("b", 10, subject="h")])
    assert sorted(d.kind for d in found.differences) == ["added", "removed"]


def test_counts_by_rule() -> None:
    """Each rule with its alerts and alarms on both sides, also where one side has none."""
    one = alert("a", 0, rule="x")
    found = compared([one, moved(one, 5, "escalated", severity="severe")], [alert("b", 0, rule="y")])
    assert [
        (r.rule, r.alerts_before, r.alerts_after, r.alarms_before, r.alarms_after) for r in found.rules
    ] == [
        ("x", 1, 0, 2, 0),
        ("y", 0, 1, 0, 1),
    ]


def test_the_alarm_rate_counts_what_calls_for_attention() -> None:
    """Raised and escalated; neither what is suppressed nor what lowers, clears or is an operator's own."""
    one = alert("a", 0)
    changes = [
        one,
        moved(one, 1, "escalated"),
        moved(one, 2, "acknowledged"),
        moved(one, 3, "lowered"),
        moved(one, 4, "cleared"),
        alert("b", 5, suppressed="maintenance:m"),
    ]
    found = rate(changes, at(0), at(120))
    assert (found.alarms, found.per_hour, found.worst_ten_minutes) == (2, 1.0, 2)


def test_without_alarms_the_rate_is_nought() -> None:
    """Also over no time at all."""
    found = rate([], at(0), at(0))
    assert (found.alarms, found.per_hour, found.worst_hour, found.worst_hour_at) == (0, 0.0, 0, None)


@given(st.lists(st.integers(0, 200), max_size=40))
def test_the_worst_window_is_the_worst_that_any_beginning_gives(minutes: list[int]) -> None:
    """Held to a count over the window that begins at each alarm; its end is outside."""
    found = rate([alert(str(n), minute) for n, minute in enumerate(minutes)], at(0), END)

    def most(window: timedelta) -> tuple[int, datetime | None]:
        counts = [
            (sum(m <= other < m + window / timedelta(minutes=1) for other in minutes), -m) for m in minutes
        ]
        if not counts:
            return 0, None
        best, first = max(counts)
        return best, at(-first)

    assert (found.worst_ten_minutes, found.worst_ten_minutes_at) == most(timedelta(minutes=10))
    assert (found.worst_hour, found.worst_hour_at) == most(timedelta(hours=1))


@given(st.data())
def test_every_alert_is_told_once(data: st.DataObject) -> None:
    """Whatever overlaps: each alert of either side is in one difference, or the same on both."""

    def side(names: str) -> list[Alert]:
        changes = []
        for name in names:
            minute = data.draw(st.integers(0, 100))
            one = alert(name, minute, subject=data.draw(st.sampled_from("gh")))
            changes.append(one)
            if data.draw(st.booleans()):
                changes.append(moved(one, minute + data.draw(st.integers(1, 50)), "cleared"))
        return changes

    before, after = side("abcde"), side("defgh")
    found = compared(before, after)
    olds = [d.before.id for d in found.differences if d.before]
    news = [d.after.id for d in found.differences if d.after]
    assert len(olds) + found.unchanged == len({a.id for a in before})
    assert len(news) + found.unchanged == len({a.id for a in after})
    assert len(set(olds)) == len(olds)
    assert len(set(news)) == len(news)
