"""Rules about a commune, against their rules and against a model that looks at all sums at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from alerts.conditions import ladder
from alerts.conditions.commune import AFTER_ITS_SUMS, CommuneMeans
from alerts.conditions.ladder import LadderState
from alerts.model import Observation, Where
from alerts.rules.kinds import CommuneRule, LadderRule
from alerts.signals import Signal, Sums
from tests.unit.alerts.manysources import MINUTE, START, Driven, levels


def commune_rule(**changes: object) -> CommuneRule:
    rule = CommuneRule(
        id="commune-traffic",
        version="v1",
        hazard="traffic",
        title={"vi": "Kẹt xe", "en": "Traffic jam"},
        stream="traffic",
        measure="speed_kmh",
        unit="km/h",
        statistic="mean",
        direction="below",
        window=timedelta(minutes=3),
        least_sources=2,
        hold=timedelta(0),
        levels=levels(("minor", 20, 25, "likely"), ("moderate", 10, 15, "likely")),
    )
    return replace(rule, **changes)


def sums(
    minute: int,
    *values: float,
    partition: int = 0,
    commune: str = "31117",
    slow: float = 15,
    late: float = 1,
    simulated: bool = False,
) -> Sums:
    """What one partition's sources said in a minute; told `late` minutes after its end."""
    return Sums(
        rule="commune-traffic",
        partition=f"traffic/{partition}",
        minute=START + minute * MINUTE,
        order=START + (minute + 1 + late) * MINUTE,
        where=Where(commune=commune, commune_name=f"Commune {commune}", province="92"),
        sources=len(values),
        total=sum(values),
        beyond=sum(value <= slow for value in values),
        simulated=simulated,
    )


def driven(rule: CommuneRule | None = None, restores: Iterable[bool] = ()) -> Driven[CommuneMeans]:
    return Driven(CommuneMeans, [rule or commune_rule()], restores)


def in_order(told: Iterable[Sums]) -> list[Sums]:
    return sorted(told, key=lambda one: (one.order, one.minute, one.where.commune or "", one.partition))


def play(
    told: Iterable[Sums], rule: CommuneRule | None = None, until: float = 60, restores: Iterable[bool] = ()
) -> list[Signal]:
    system = driven(rule, restores)
    for one in in_order(told):
        system.to(one.order).sums(one)
    system.to(START + until * MINUTE)
    return system.signals


def short(signals: Iterable[Signal]) -> list[tuple[str, str | None, float, float]]:
    return [
        (signal.change, signal.severity, signal.value, (signal.time - START) / MINUTE) for signal in signals
    ]


def test_the_mean_is_that_of_all_partitions_and_minutes_of_the_window() -> None:
    """Each source of each minute weighs the same, in whatever partition it is."""
    signals = play([sums(0, 50, 50), sums(1, 4, partition=0), sums(1, 7, 4, partition=1)])
    assert short(signals) == []
    signals = play([sums(0, 50, 50), *(sums(1, 4, partition=part) for part in range(8))])
    assert short(signals) == [("began", "minor", 13.2, 2)]
    (signal,) = signals
    assert (signal.subject, signal.subject_name["vi"]) == ("31117", "Commune 31117")
    assert signal.start_event == "31117@2025-10-08T00:01:00+00:00"
    assert signal.start_time == signal.time == START + 2 * MINUTE
    assert (signal.unit, signal.bound, signal.certainty) == ("km/h", 20, "likely")
    assert [(one.event, one.value) for one in signal.evidence] == [
        ("31117@2025-10-08T00:00:00+00:00", 50),
        ("31117@2025-10-08T00:01:00+00:00", 4),
    ]


def test_a_minute_is_judged_when_all_partitions_have_told_it() -> None:
    """A microsecond after the order that all of them share; its time is the minute's end."""
    (signal,) = play([sums(0, 15, 15, partition=0), sums(0, 16, partition=1)])
    assert signal.value == pytest.approx(46 / 3)
    assert signal.time == START + MINUTE
    assert signal.order == START + 2 * MINUTE + AFTER_ITS_SUMS


def test_old_minutes_leave_the_window() -> None:
    signals = play([sums(0, 5, 5), sums(1, 5, 5), sums(2, 5, 5), *(sums(n, 60, 60) for n in (3, 4, 5))])
    assert short(signals) == [
        ("began", "moderate", 5, 1),
        ("changed", "minor", pytest.approx(140 / 6), 4),
        ("ended", None, pytest.approx(250 / 6), 5),
    ]
    assert (signals[-1].peak, signals[-1].reason) == (5, "")


def test_a_share_is_that_of_sources_at_or_beyond() -> None:
    """A high share is bad though the measure is bad where it is low; it has no unit."""
    rule = commune_rule(
        statistic="share", beyond=15.0, levels=levels(("moderate", 0.5, 0.4, "likely")), window=MINUTE
    )
    signals = play([sums(0, 10, 20, 30), sums(1, 10, 12, 30, 40), sums(2, 20, 21, 22)], rule)
    assert short(signals) == [("began", "moderate", 0.5, 2), ("ended", None, 0, 3)]
    assert signals[0].unit == ""


def test_with_too_few_sources_nothing_is_judged() -> None:
    """One sensor is no commune: it neither raises nor clears, as little as no sensor does."""
    assert play([sums(minute, 3) for minute in range(9)]) == []
    signals = play([sums(0, 5, 5), *(sums(minute, 90) for minute in range(3, 9))])
    assert short(signals) == [("began", "moderate", 5, 1)]


def test_a_window_with_enough_sources_in_one_minute_is_judged() -> None:
    """Sources that report every three minutes are heard together once in the window."""
    signals = play([sums(0, 5, 5), sums(1, 8), sums(2, 90)])
    assert short(signals) == [("began", "moderate", 5, 1), ("ended", None, 27, 3)]


def test_missing_minutes_clear_nothing() -> None:
    assert short(play([sums(0, 5, 5)], until=10_000)) == [("began", "moderate", 5, 1)]


def test_sums_told_twice_count_once_and_those_of_a_judged_minute_not_at_all() -> None:
    twice = [sums(0, 30, 30), sums(0, 30, 30), sums(0, 10, 10, partition=1)]
    assert short(play(twice)) == [("began", "minor", 20, 1)]
    assert play([sums(0, 30, 30), sums(0, 1, 1, late=2, partition=1)]) == []


# Holds


def test_a_hold_completes_at_its_time_with_the_next_minute() -> None:
    """Its time is when it was due; it is told with the last minute that could have broken it."""
    rule = commune_rule(hold=3 * MINUTE, window=MINUTE)
    (signal,) = play([sums(minute, 15, 15) for minute in range(5)], rule)
    assert (signal.change, signal.time, signal.start_time) == ("began", START + 4 * MINUTE, START + MINUTE)
    assert signal.order == START + 4 * MINUTE + AFTER_ITS_SUMS
    assert signal.start_event == "31117@2025-10-08T00:00:00+00:00"


def test_a_minute_breaks_a_hold() -> None:
    rule = commune_rule(hold=3 * MINUTE, window=MINUTE)
    told = [sums(minute, *(60, 60) if minute == 2 else (15, 15)) for minute in range(5)]
    assert play(told, rule, until=8) == []


def test_missing_minutes_break_no_hold() -> None:
    """It completes when it is due, and is told when nothing that could break it can come any more."""
    rule = commune_rule(hold=3 * MINUTE, window=MINUTE)
    (signal,) = play([sums(0, 15, 15)], rule)
    assert signal.time == START + 4 * MINUTE
    assert signal.order == START + 6 * MINUTE + AFTER_ITS_SUMS


def test_a_minute_that_comes_after_a_hold_was_told_does_not_turn_back_time() -> None:
    """Where clock records were missing for minutes: what it changes becomes so no earlier than what was told."""
    rule = commune_rule(hold=3 * MINUTE, window=MINUTE)
    signals = play([sums(0, 15, 15), sums(1, 60, 60, late=9)], rule)
    assert short(signals) == [("began", "minor", 15, 4), ("ended", None, 60, 4)]


# Configurations


def jammed(*, simulated: bool = False) -> Driven[CommuneMeans]:
    system = driven()
    for minute in range(2):
        one = sums(minute, 5, 5, simulated=simulated)
        system.to(one.order).sums(one)
    system.to(START + 5 * MINUTE)
    return system


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        ([], "rule-removed"),
        ([commune_rule(version="v2", window=timedelta(minutes=5))], "rule-changed"),
        ([commune_rule(version="v2", statistic="share", beyond=15.0)], "rule-changed"),
        ([commune_rule(version="v2", levels=levels(("minor", 20, 25, "likely")))], "rule-changed"),
    ],
)
def test_what_goes_with_a_configuration_ends_for_that_reason(rules: list[CommuneRule], reason: str) -> None:
    system = jammed()
    system.configure(rules, START + 5 * MINUTE)
    assert [(one.change, one.severity, one.reason) for one in system.signals[1:]] == [("ended", None, reason)]
    assert system.signals[-1].number > system.signals[0].number
    assert system.part.next_due() is None
    # A minute that began before is told later, and was summed by the other rule.
    system.to(START + 6 * MINUTE).sums(sums(4, 5, 5))
    system.to(START + 20 * MINUTE)
    assert len(system.signals) == 2


def test_other_bounds_hold_from_the_next_minute_on() -> None:
    system = jammed()
    bounds = levels(("minor", 4, 5, "likely"), ("moderate", 2, 3, "likely"))
    system.configure([commune_rule(version="v2", levels=bounds)], START + 5 * MINUTE)
    assert len(system.signals) == 1
    system.to(START + 7 * MINUTE).sums(sums(5, 6, 6))
    system.to(START + 8 * MINUTE)
    assert short(system.signals)[1:] == [("ended", None, 6, 6)]


def test_communes_that_are_no_more_end_as_boundary_changed() -> None:
    system = jammed()
    assert system.part.keep_communes(frozenset({"31117"}), START + 5 * MINUTE) == []
    (ended,) = system.part.keep_communes(frozenset({"99001"}), START + 6 * MINUTE)
    assert (ended.change, ended.severity, ended.reason) == ("ended", None, "boundary-changed")
    system.restore()
    assert system.part.keep_communes(frozenset({"99001"}), START + 6 * MINUTE) == []
    system.to(START + 8 * MINUTE).sums(sums(6, 5, 5))
    system.to(START + 8 * MINUTE).sums(sums(6, 5, 5, commune="99001"))
    system.to(START + 20 * MINUTE)
    assert [signal.subject for signal in system.signals[1:]] == ["99001"]


def test_what_is_simulated_is_judged_apart() -> None:
    """A simulated jam does not slow the real mean."""
    told = [one for minute in range(3) for one in (sums(minute, 50, 50), sums(minute, 5, 5, simulated=True))]
    assert [(one.change, one.simulated) for one in play(told)] == [("began", True)]


# Against a model


@st.composite
def tellings(draw: st.DrawFn) -> list[Sums]:
    """An hour of some communes and partitions; all of a minute are told at one time, at most a minute late."""
    lates = draw(st.lists(st.sampled_from([1.0, 1.1, 1.9]), min_size=30, max_size=30))
    told = []
    for commune in ("31117", "31120"):
        for partition in range(2):
            for minute in draw(st.sets(st.integers(0, 29), max_size=30)):
                values = draw(st.lists(st.integers(0, 40), min_size=1, max_size=3))
                late = lates[minute]
                told.append(sums(minute, *values, partition=partition, commune=commune, late=late))
    return told


@given(
    tellings(),
    st.sampled_from([0.0, 1.0, 1.5, 4.0]),
    st.sampled_from(["mean", "share"]),
    st.lists(st.booleans(), max_size=100),
)
def test_signals_are_those_of_the_ladder_over_all_minutes(
    told: list[Sums], hold: float, statistic: str, restores: list[bool]
) -> None:
    """In event time, whenever the sums came and however often the state was restored."""
    bounds = {
        "mean": levels(("minor", 20, 25, "likely"), ("moderate", 10, 15, "likely")),
        "share": levels(("minor", 0.3, 0.2, "likely"), ("moderate", 0.7, 0.5, "likely")),
    }
    rule = commune_rule(
        hold=hold * MINUTE, statistic=statistic, beyond=15.0, levels=bounds[statistic], least_sources=3
    )
    signals = play(told, rule, restores=restores)
    got = defaultdict(list)
    for one in signals:
        got[one.subject].append((one.change, one.severity, one.time, one.value, one.start_event, one.bound))
        assert one.time <= one.order <= one.time + 2 * MINUTE + AFTER_ITS_SUMS
    assert [one.order for one in signals] == sorted(one.order for one in signals)
    assert dict(got) == {
        commune: expected
        for commune in ("31117", "31120")
        if (expected := model(rule, [one for one in told if one.where.commune == commune]))
    }


def model(rule: CommuneRule, told: list[Sums]) -> list[tuple[object, ...]]:
    """The ladder over a commune's minutes, each value counted anew from all sums."""
    judged_by = LadderRule(
        id=rule.id,
        version=rule.version,
        hazard=rule.hazard,
        title=rule.title,
        stream=rule.stream,
        measure="it",
        unit="",
        direction="below" if rule.statistic == "mean" else "above",
        hold=rule.hold,
        levels=rule.levels,
    )
    state: LadderState | None = None
    changes = []
    for minute in sorted({one.minute for one in told}):
        window = [one for one in told if minute - rule.window < one.minute <= minute]
        sources: dict[datetime, int] = defaultdict(int)
        for one in window:
            sources[one.minute] += one.sources
        if max(sources.values()) < rule.least_sources:
            continue
        part = sum(one.total if rule.statistic == "mean" else one.beyond for one in window)
        observation = Observation(
            event=f"{told[0].where.commune}@{minute.isoformat()}",
            time=minute + MINUTE,
            measures={"it": part / sum(sources.values())},
        )
        state, new = ladder.observe(judged_by, None, state, observation)
        changes += new
    if state is not None:
        changes += ladder.pass_time(judged_by, None, state, START + 50 * MINUTE)[1]
    return [
        (
            one.change,
            None if one.level is None else rule.levels[one.level].severity,
            one.time,
            one.state.value,
            one.state.start_event,
            round(one.bound, 9),
        )
        for one in changes
    ]
