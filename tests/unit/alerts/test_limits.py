"""Limits: what one rule may raise within a window, and what is told when it raises more."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from alerts import lifecycle
from alerts.model import Severity
from alerts.rules.kinds import LadderRule, Limit
from alerts.signals import Signal
from alerts.storms.limits import Limits
from tests.unit.alerts.alertkit import MINUTE, Restoring, alert, at

RULE = LadderRule(
    id="water",
    version="v1",
    stream="flood",
    measure="level_m",
    unit="m",
    hazard="flood",
    title={"vi": "Mực nước", "en": "Water level"},
    direction="above",
    hold=timedelta(),
    levels=(),
    limit=Limit(3, 10 * MINUTE),
)


class Play:
    """Raises one after the other, with the passing of time before each, as correlate drives them."""

    def __init__(self, rule: LadderRule = RULE, restarts: bool = False) -> None:
        self.rules = [rule]
        self.now = at(0)
        self._held = Restoring(Limits, self._configured)
        self._restarts = restarts
        self.told: list[Signal] = []
        self.raised = 0

    def _configured(self, part: Limits) -> None:
        assert part.configure(self.rules, self.now) == []

    @property
    def part(self) -> Limits:
        if self._restarts:
            self._held.restart()
        return self._held.part

    def until(self, now: datetime) -> None:
        while (due := self.part.next_due()) is not None and due <= now:
            assert due >= self.now, "nothing falls due in the past"
            self.now = due
            self.told += self.part.pass_time(due)
        self.now = now

    def __call__(self, minute: float, severity: Severity = "moderate", **other: object) -> bool:
        self.until(at(minute))
        self.raised += 1
        one = alert(f"a{self.raised}", minute, severity, **other)
        if self.part.admit(one, self.now):
            return True
        self.told += self.part.refused(one, self.now)
        return False

    @property
    def short(self) -> list[tuple[str, int, float, str | None]]:
        return [(one.change, (one.time - at(0)) // MINUTE, one.value, one.severity) for one in self.told]


def test_within_the_limit_all_are_admitted() -> None:
    """Three in ten minutes, again and again: nothing is refused, nothing told."""
    play = Play()
    assert all(play(minute) for minute in (0, 1, 2, 10, 11, 12, 20))
    assert play.told == []


def test_one_too_many_begins_the_overflow_and_a_calm_window_ends_it() -> None:
    """It ends when fewer raises than the limit lie in the window, the refused ones counted."""
    play = Play()
    assert [play(minute) for minute in (0, 1, 2, 3, 8, 9)] == [True] * 3 + [False] * 3
    assert play.part.over("water")
    assert play.part.next_due() == at(13), "from then on only the raises at 8 and 9 lie in the window"
    play.until(at(60))
    assert not play.part.over("water")
    assert play.short == [("began", 3, 1, "moderate"), ("changed", 8, 2, "moderate"), ("ended", 13, 3, None)]
    assert play.told[-1].reason == "", "it has really ended"
    assert play(61)


def test_a_storm_that_goes_on_keeps_the_overflow_open() -> None:
    """A rule that raises as many as it may while it is over does not end it and begin it again."""
    play = Play()
    refused = [not play(minute) for minute in range(0, 120, 3)]
    assert refused == [False] * 3 + [True] * 37
    assert [one.change for one in play.told].count("began") == 1
    play.until(at(10_000))
    assert play.told[-1].change == "ended"
    assert play.told[-1].time == at(111 + 10), "the last three were at 111, 114 and 117"


def test_the_overflow_is_told_when_it_doubles_or_gets_worse() -> None:
    """Not with each refused alert: that would be the storm again."""
    play = Play()
    severities: list[Severity] = ["moderate"] * 3 + ["minor"] * 10 + ["severe"] + ["minor"] * 20
    for number, severity in enumerate(severities):
        play(number / 100, severity)
    assert [(one.value, one.severity) for one in play.told] == [
        (1, "minor"),
        (2, "minor"),
        (4, "minor"),
        (8, "minor"),
        (11, "severe"),
        (22, "severe"),
    ]
    assert [one.number for one in play.told] == [1, 2, 3, 4, 5, 6]


def test_the_overflow_is_an_alert_of_its_own() -> None:
    """It says which rule in both languages, and the lifecycle makes one alert of it from beginning to end."""
    play = Play()
    for minute in range(6):
        play(minute)
    play.until(at(60))
    first = play.told[0]
    assert (first.rule, first.subject, first.hazard, first.where.province) == (
        "limit",
        "water",
        "flood",
        "92",
    )
    assert first.title == {"vi": "Quá nhiều cảnh báo: Mực nước", "en": "Too many alerts: Water level"}
    assert first.start_event == "a4"
    overflow = None
    changes = []
    for signal in play.told:
        new = lifecycle.by_signal(overflow, signal)
        if new is not None:
            overflow = new
            changes.append(new.change)
    assert changes[0] == "raised"
    assert changes[-1] == "cleared"
    assert overflow is not None
    assert overflow.peak == 3


def test_a_second_overflow_is_another_alert() -> None:
    """It starts with another refused alert, from which its identity follows."""
    play = Play()
    for minute in (0, 0, 0, 0, 100, 100, 100, 100):
        play(minute)
    began = [one for one in play.told if one.change == "began"]
    assert [one.start_event for one in began] == ["a4", "a8"]
    assert [one.value for one in began] == [1, 1]


def test_an_exercise_has_a_count_of_its_own() -> None:
    """However many simulated alerts there are, the first real one is admitted."""
    play = Play()
    assert [play(minute, simulated=True) for minute in (0, 0, 0, 0)] == [True, True, True, False]
    assert play(1)
    assert play.part.over("water", simulated=True)
    assert not play.part.over("water")
    assert play.told[0].simulated


def test_rules_without_a_limit_have_none() -> None:
    """Nor has what operators open by hand, or the overflow itself."""
    play = Play()
    assert all(play(0, rule=rule) for rule in ("manual", "limit") for _ in range(20))
    assert play._held.records == 0


def test_the_overflow_of_a_rule_that_went_ends() -> None:
    """Or of one that has no limit any more: with that reason, at that moment."""
    for rules in ([], [replace(RULE, limit=None)]):
        play = Play()
        for _ in range(5):
            play(1)
        (ended,) = play.part.configure(rules, at(4))
        assert (ended.change, ended.reason, ended.time) == ("ended", "rule-removed", at(4))
        assert play.part.next_due() is None
        assert play._held.records == 0
        assert all(play.part.admit(alert("z", 5), at(5)) for _ in range(20))


def test_another_limit_holds_from_its_configuration_on() -> None:
    """Under a wider one an overflow may be over at once; a narrower one judges the raises that are known."""
    play = Play()
    for minute in range(5):
        play(minute)
    wider = replace(RULE, limit=Limit(30, 10 * MINUTE))
    assert [(one.change, one.time) for one in play.part.configure([wider], at(6))] == [("ended", at(6))]
    play = Play()
    for minute in (0, 1):
        play(minute)
    assert play.part.configure([replace(RULE, limit=Limit(1, 10 * MINUTE))], at(2)) == []
    assert not play(3)


@pytest.mark.parametrize("raises", [10, 10_000])
def test_what_is_kept_does_not_grow(raises: int) -> None:
    """One record, with one time more than the limit allows."""
    play = Play()
    for _ in range(raises):
        play(1)
    (record,) = play.part._raises.values()
    assert len(record.times) == 4


@st.composite
def storms(draw: st.DrawFn) -> tuple[Limit, list[int]]:
    limit = Limit(draw(st.integers(1, 4)), draw(st.integers(1, 15)) * MINUTE)
    return limit, sorted(draw(st.lists(st.integers(0, 60), max_size=30)))


def model(limit: Limit, minutes: list[int]) -> tuple[list[bool], list[tuple[str, int]]]:
    """Minute by minute over the whole list of raises: who is admitted, and when overflows begin and end."""
    window = limit.window // MINUTE
    admitted: list[bool] = []
    edges: list[tuple[str, int]] = []
    before: list[int] = []
    over = False
    for minute in range(200):
        if over and sum(one > minute - window for one in before) < limit.alerts:
            over = False
            edges.append(("ended", minute))
        for _ in range(minutes.count(minute)):
            before.append(minute)
            lets = not over and sum(one > minute - window for one in before) <= limit.alerts
            admitted.append(lets)
            if not lets and not over:
                over = True
                edges.append(("began", minute))
    return admitted, edges


@given(storms(), st.booleans())
def test_limits_do_what_a_look_at_all_raises_says(storm: tuple[Limit, list[int]], restarts: bool) -> None:
    """Also when the state is written and restored before every call."""
    limit, minutes = storm
    play = Play(replace(RULE, limit=limit), restarts)
    admitted = [play(minute) for minute in minutes]
    play.until(at(200))
    expected, edges = model(limit, minutes)
    assert admitted == expected
    assert [(change, minute) for change, minute, _, _ in play.short if change != "changed"] == edges
    assert sum(value for change, _, value, _ in play.short if change == "ended") == admitted.count(False)
    assert [one.number for one in play.told] == list(range(1, len(play.told) + 1))
