"""Counts within a radius and a window, against their rules and against a model that counts all events anew."""

from __future__ import annotations

import random
from collections.abc import Iterable
from datetime import datetime, timedelta
from time import process_time

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from alerts.conditions import cluster
from alerts.conditions.clusters import Clusters
from alerts.conditions.nearby import Nearby
from alerts.model import SEVERITIES, Where
from alerts.rules.kinds import CountRule, Selector
from alerts.signals import Occurrence, Signal
from geo.distance import metres
from tests.unit.alerts.manysources import MINUTE, START, Driven, in_order, levels, report

RADIUS = 250.0
WINDOW = 15


def count_rule(**changes: object) -> CountRule:
    rule = CountRule(
        id="flooded-street-reports",
        version="v1",
        hazard="flood",
        title={"vi": "Báo ngập", "en": "Flood reports"},
        of=Selector(stream="report", where={"category": ("flooded_street",)}),
        radius_m=RADIUS,
        window=timedelta(minutes=WINDOW),
        levels=levels(("minor", 3, 2, "possible"), ("severe", 6, 5, "likely")),
    )
    return replace(rule, **changes)


def driven(rule: CountRule | None = None, restores: Iterable[bool] = ()) -> Driven[Clusters]:
    return Driven(Clusters, [rule or count_rule()], restores)


def play(
    occurrences: Iterable[Occurrence], rule: CountRule | None = None, until: float | None = None
) -> list[Signal]:
    """What comes of occurrences, and of the time up to a minute after them."""
    system = driven(rule)
    for occurrence in in_order(occurrences):
        system.signals += system.to(occurrence.order).occurrence(occurrence)
    if until is not None:
        system.to(START + until * MINUTE)
    return system.signals


def short(signals: Iterable[Signal]) -> list[tuple[str, str | None, float, float, str]]:
    return [
        (signal.change, signal.severity, signal.value, (signal.time - START) / MINUTE, signal.reason)
        for signal in signals
    ]


def test_a_level_is_reached_with_the_event_that_makes_it_so_many() -> None:
    signals = play([report(minute, f"r{minute}") for minute in range(6)])
    assert short(signals) == [("began", "minor", 3, 2, ""), ("changed", "severe", 6, 5, "")]
    assert [signal.certainty for signal in signals] == ["possible", "likely"]
    assert [signal.bound for signal in signals] == [3, 6]


def test_identity_is_that_of_the_first_event_in_time_and_id() -> None:
    """Subject and start follow from the events, not from which of them became known first."""
    (signal,) = play([report(2, "c"), report(1, "z", late=3), report(1, "b", late=2)])
    assert signal.subject == "report/report-channel/b"
    assert (signal.start_event, signal.start_time) == ("b", START + MINUTE)


def test_what_leaves_the_window_ends_the_condition_as_expired() -> None:
    """The absence of reports is no all-clear: it ends with a reason, at the moment when the value fell."""
    signals = play([report(minute, f"r{minute}") for minute in range(3)], until=40)
    assert short(signals) == [("began", "minor", 3, 2, ""), ("ended", None, 1, 16, "expired")]
    assert signals[1].order == START + 16 * MINUTE
    assert signals[1].bound == 2
    assert signals[1].subject == signals[0].subject


def test_between_clear_and_raise_nothing_changes() -> None:
    """Two of three keep the condition: it is left short of `clear`, not short of `raise`."""
    signals = play([report(minute, f"r{minute}") for minute in (0, 5, 6, 16, 20)], until=35)
    assert short(signals) == [("began", "minor", 3, 6, ""), ("ended", None, 1, 31, "expired")]


def test_a_milder_level_is_told_when_the_worse_is_left() -> None:
    signals = play([report(minute, f"r{minute}") for minute in (0, 1, 2, 3, 4, 5)], until=17)
    assert short(signals)[2:] == [("changed", "minor", 4, 16, "")]
    assert (signals[2].peak, signals[2].peaked) == (6, START + 5 * MINUTE)
    assert signals[2].bound == 5


def test_twenty_reports_on_both_sides_of_a_border_are_one_condition_with_both_communes() -> None:
    """Radius and window do not know communes: one alert, and both communes are told."""
    rule = count_rule(
        radius_m=300.0,
        window=timedelta(minutes=30),
        levels=levels(
            ("minor", 5, 3, "possible"), ("moderate", 10, 7, "likely"), ("severe", 20, 15, "observed")
        ),
    )
    signals = play(
        [
            report(
                number * 1.4, f"r{number:02}", step=(number % 6) / 2, commune=("31117", "31120")[number % 2]
            )
            for number in range(20)
        ],
        rule,
        until=28,
    )
    assert [signal.change for signal in signals] == ["began", "changed", "changed"]
    assert len({signal.subject for signal in signals}) == 1
    assert all(signal.communes == ["31117", "31120"] for signal in signals)
    assert signals[-1].severity == "severe"
    assert signals[-1].value == 20


def test_a_commune_that_is_reached_later_is_told_at_once() -> None:
    """Whoever must act there is told though the level stays; it stays told though its reports expire first."""
    events = [report(minute, f"r{minute}") for minute in (0, 1, 2, *range(16, 22))]
    signals = play([*events, report(3, "over", 1, commune="31120")])
    assert short(signals) == [
        ("began", "minor", 3, 2, ""),
        ("changed", "minor", 4, 3, ""),
        ("changed", "severe", 6, 21, ""),
    ]
    assert [signal.communes for signal in signals] == [[], ["31117", "31120"], ["31117", "31120"]]


def test_places_beyond_the_radius_of_the_anchor_count_apart() -> None:
    """The anchor is the first event: a chain of neighbours does not grow without end."""
    signals = play([report(step, f"r{step}", step) for step in range(9)])
    assert [(signal.subject, signal.value) for signal in signals] == [
        ("report/report-channel/r0", 3),
        ("report/report-channel/r3", 3),
        ("report/report-channel/r6", 3),
    ]


def test_each_event_counts_once() -> None:
    assert play([report(0, "a"), report(1, "b"), report(1, "b", late=1), report(1, "b", late=2)]) == []


def test_a_late_event_counts_by_its_own_time() -> None:
    """It leaves the window when it is as old as any other; what has left it already counts nowhere."""
    events = [report(0, "a", late=14), report(13, "b"), report(14, "c")]
    assert short(play(events, until=20)) == [("began", "minor", 3, 14, "")]
    assert short(play([replace(events[0], order=START + 15 * MINUTE), *events[1:]], until=20)) == []
    assert short(play([*events, report(20, "d")], until=29)) == [
        ("began", "minor", 3, 14, ""),
        ("ended", None, 1, 29, "expired"),
    ]


def test_what_is_simulated_or_of_another_run_counts_apart() -> None:
    """An exercise neither raises nor joins what agencies take for real."""
    real = [report(minute, f"r{minute}") for minute in (0, 1)]
    assert play([*real, report(2, "s", simulated=True), report(2, "t", run="x", simulated=True)]) == []
    (signal,) = play([*real, *(report(minute, f"s{minute}", simulated=True) for minute in (0, 1, 2))])
    assert signal.simulated
    assert signal.subject == "report/report-channel/s0"


def test_what_the_rule_does_not_ask_for_and_what_has_no_point_counts_nowhere() -> None:
    nowhere = report(2, "n")
    nowhere.where = Where(commune="31117")
    other = [report(2, "f", fields={"category": "fallen_tree"}), report(2, "c", stream="camera"), nowhere]
    assert play([report(0, "a"), report(1, "b"), *other]) == []


def test_evidence_is_the_first_and_the_last_ten() -> None:
    rule = count_rule(levels=levels(("minor", 30, 20, "possible")))
    (signal,) = play([report(number / 4, f"r{number:02}") for number in range(30)], rule)
    assert [one.event for one in signal.evidence] == [
        f"r{number:02}" for number in (*range(10), *range(20, 30))
    ]


def test_beyond_what_is_kept_events_are_counted_by_the_minute() -> None:
    """However many come, the state stays small, and the count is off by less than one minute's events."""
    system = driven(count_rule(levels=levels(("minor", 900, 1, "possible"))))
    for number in range(1800):
        occurrence = report(number / 100, f"r{number:04}")
        system.signals += system.to(occurrence.order).occurrence(occurrence)
        if number % 300 == 299:
            system.restore()
            (one,) = system.part.clusters.values()
            exact = min(number + 1, WINDOW * 100)
            assert exact <= cluster.value(count_rule(), one) < exact + 100
            assert len(one.members) <= cluster.KEPT
            assert len(msgspec.json.encode(one)) < 100_000
    assert short(system.signals) == [("began", "minor", 900, 8.99, "")]
    system.to(START + 40 * MINUTE)
    assert short(system.signals)[1:] == [("ended", None, 0, 32.99, "expired")]
    assert list(system.part.clusters) == []


def test_a_repetition_of_what_is_no_longer_kept_counts_again() -> None:
    """The same with or without a restore in between: what is not in the state is not known."""
    values = []
    for restored in (False, True):
        system = driven()
        for number in range(cluster.KEPT + 50):
            system.part.occurrence(report(number / 100, f"r{number:04}"))
        if restored:
            system.restore()
        for event in (report(0.1, "r0010", late=8), report(0.9, "r0090", late=8)):
            system.to(event.order).occurrence(event)
        values.append(cluster.value(count_rule(), system.part.clusters.values()[0]))
    assert values == [cluster.KEPT + 51, cluster.KEPT + 51]


def test_a_condition_ends_with_its_cluster_whatever_its_bound() -> None:
    """Also where `clear` is 0: no count is short of that."""
    rule = count_rule(levels=levels(("minor", 1, 0, "possible")))
    assert short(play([report(0, "a")], rule, until=60)) == [
        ("began", "minor", 1, 0, ""),
        ("ended", None, 0, 15, "expired"),
    ]


# Configurations


def test_a_rule_that_goes_ends_its_conditions() -> None:
    system = driven()
    for minute in range(3):
        system.signals += system.part.occurrence(report(minute, f"r{minute}"))
    system.configure([], START + 5 * MINUTE)
    assert short(system.signals) == [("began", "minor", 3, 2, ""), ("ended", None, 3, 5, "rule-removed")]
    assert system.part.next_due() is None


@pytest.mark.parametrize(
    "changes",
    [
        {"radius_m": 500.0},
        {"window": timedelta(minutes=20)},
        {"of": Selector(stream="report")},
        {"levels": levels(("minor", 3, 2, "possible"))},
    ],
)
def test_a_rule_that_counts_something_else_starts_anew(changes: dict[str, object]) -> None:
    system = driven()
    for minute in range(3):
        system.signals += system.part.occurrence(report(minute, f"r{minute}"))
    system.configure([count_rule(version="v2", **changes)], START + 5 * MINUTE)
    assert short(system.signals)[1:] == [("ended", None, 3, 5, "rule-changed")]
    system.signals += system.to(START + 6 * MINUTE).occurrence(report(6, "r6"))
    assert len(system.signals) == 2


def test_other_bounds_are_judged_by_at_once() -> None:
    """The count stands: with a lower bound it is worse from now on, with a higher one it ends for that reason."""
    system = driven()
    for minute in range(3):
        system.signals += system.part.occurrence(report(minute, f"r{minute}"))
    lower = levels(("minor", 2, 1, "possible"), ("severe", 3, 2, "likely"))
    system.configure([count_rule(version="v2", levels=lower)], START + 5 * MINUTE)
    higher = levels(("minor", 5, 4, "possible"), ("severe", 9, 8, "likely"))
    system.configure([count_rule(version="v3", levels=higher)], START + 6 * MINUTE)
    assert short(system.signals)[1:] == [
        ("changed", "severe", 3, 5, ""),
        ("ended", None, 3, 6, "rule-changed"),
    ]


# Against a model


class Model:
    """All events ever, by cluster; every value is counted anew from them."""

    def __init__(self, rule: CountRule) -> None:
        self.rule = rule
        self.clusters: list[list[Occurrence]] = []
        self.latest: dict[int, datetime] = {}
        self.open: dict[int, tuple[str, str, set[str]]] = {}
        self.told: list[tuple[object, ...]] = []

    def live(self, events: list[Occurrence], now: datetime) -> list[Occurrence]:
        return [event for event in events if event.time + self.rule.window > now]

    def take(self, event: Occurrence) -> None:
        now = event.order
        if event.time + self.rule.window <= now:
            return
        fitting = (
            number
            for number, events in enumerate(self.clusters)
            if self.live(events, now) and self.near(events[0].where, event.where)
        )
        number = next(fitting, len(self.clusters))
        if number == len(self.clusters):
            self.clusters.append([])
        members = self.clusters[number]
        if any(one.event == event.event for one in self.live(members, now)):
            return
        members.append(event)
        self.latest[number] = max(self.latest.get(number, event.time), event.time)
        self.judge(number, now)

    def pass_time(self, now: datetime) -> None:
        for number, events in enumerate(self.clusters):
            if any(event.time + self.rule.window == now for event in events):
                self.latest[number] = max(self.latest[number], now)
                self.judge(number, now)

    def near(self, one: Where, other: Where) -> bool:
        assert one.lat is not None
        assert other.lat is not None
        return abs(one.lat - other.lat) * 111_195 <= self.rule.radius_m

    def judge(self, number: int, now: datetime) -> None:
        live = sorted(self.live(self.clusters[number], now), key=lambda one: (one.time, one.event))
        before = self.open.get(number)
        severity = before[1] if before else None
        for level in self.rule.levels:
            rank = SEVERITIES.index(level.severity)
            was = severity is not None and SEVERITIES.index(severity) >= rank
            reached = len(live) >= (level.clear_at if was else level.raise_at).offset
            if reached and not was:
                severity = level.severity
            elif not reached and was:
                severity = next(
                    (
                        one.severity
                        for one in reversed(self.rule.levels)
                        if SEVERITIES.index(one.severity) < rank
                    ),
                    None,
                )
                break
        communes = {event.where.commune or "" for event in live} | (before[2] if before else set())
        subject = before[0] if before else f"report/report-channel/{live[0].event}" if live else ""
        time = self.latest[number]
        if severity is None:
            if before:
                self.told.append(("ended", None, subject, len(live), time, now))
                del self.open[number]
        elif before is None or (severity, communes) != before[1:]:
            change = "changed" if before else "began"
            self.told.append((change, severity, subject, len(live), time, now))
            self.open[number] = subject, severity, communes


@st.composite
def histories(draw: st.DrawFn) -> list[Occurrence]:
    """Reports along a street in about an hour, some late, some told twice."""
    drawn = draw(
        st.lists(
            st.tuples(
                st.integers(0, 40), st.integers(0, 20), st.integers(0, 7), st.integers(0, 60), st.booleans()
            ),
            max_size=40,
        )
    )
    return in_order(
        report(minute, f"r{event:02}", step, late=late, commune="31117" if north else "31120")
        for minute, late, step, event, north in drawn
    )


@given(histories(), st.lists(st.booleans(), max_size=60))
def test_signals_are_those_of_counting_all_events_anew(
    history: list[Occurrence], restores: list[bool]
) -> None:
    """At every moment, and however often the state is restored in between."""
    rule = count_rule()
    system, model = driven(rule, restores), Model(rule)
    expiries = {event.time + rule.window for event in history}
    moments = sorted(expiries | {event.order for event in history})
    for moment in moments:
        model.pass_time(moment)
        system.to(moment)
        for event in (event for event in history if event.order == moment):
            model.take(event)
            system.signals += system.to(moment).occurrence(event)
        counts = [len(model.live(events, moment)) for events in model.clusters]
        assert [cluster.value(rule, one) for one in system.part.clusters.values()] == [
            count for count in counts if count
        ]
    signals = system.signals
    told = [(one.change, one.severity, one.subject, one.value, one.time, one.order) for one in signals]
    assert told == sorted(model.told, key=lambda one: one[-1])
    assert all(signal.time <= signal.order for signal in signals)
    assert list(system.part.clusters) == []


@given(histories(), st.randoms(use_true_random=False))
def test_what_arrives_in_another_order_gives_the_same(
    history: list[Occurrence], chance: random.Random
) -> None:
    """The driver sorts by (order, time, id), so how partitions interleaved makes no difference."""
    shuffled = history.copy()
    chance.shuffle(shuffled)
    # Two that are equal in all of that are one event told twice; which of them comes first is the log's to say.
    unique = {(one.order, one.time, one.event): one for one in history}
    again = {(one.order, one.time, one.event): unique[one.order, one.time, one.event] for one in shuffled}
    assert play(unique.values(), until=200) == play(again.values(), until=200)


# Places


@given(
    st.lists(st.tuples(st.floats(-0.02, 0.02), st.floats(-0.02, 0.02)), max_size=30),
    st.tuples(st.floats(-0.02, 0.02), st.floats(-0.02, 0.02)),
    st.sampled_from(
        [(105.78, 10.03), (0.0, 0.0), (179.99, 10.0), (-179.99, -60.0), (20.0, 79.99), (20.0, 89.98)]
    ),
    st.sampled_from([1.0, 300.0, 1500.0]),
)
@example(offsets=[(0.0, 0.0), (0.015, 0.011)], point=(-0.015, 0.012), around=(20.0, 89.98), radius=1500.0)
def test_nearby_finds_what_measuring_everything_finds(
    offsets: list[tuple[float, float]],
    point: tuple[float, float],
    around: tuple[float, float],
    radius: float,
) -> None:
    """Everywhere, also across the 180th meridian and far north; and what was removed is not found."""
    nearby = Nearby(radius)
    places = {
        f"{number:02}": ((around[0] + lon + 180) % 360 - 180, around[1] + lat)
        for number, (lon, lat) in enumerate(offsets)
    }
    for key, (lon, lat) in places.items():
        nearby.add(key, lon, lat)
    for key in list(places)[::3]:
        nearby.remove(key)
        del places[key]
    lon, lat = (around[0] + point[0] + 180) % 360 - 180, around[1] + point[1]
    assert nearby.find(lon, lat) == [
        key for key, there in places.items() if metres(lon, lat, *there) <= radius
    ]


# Speed


@pytest.mark.parametrize("spread", [0.5, 300.0])
def test_ten_thousand_events_take_less_than_two_seconds(spread: float) -> None:
    """Of processor time, all at one place or all over a province."""
    chance = random.Random(7)
    events = in_order(
        report(number / 50, f"r{number:05}", chance.uniform(-spread, spread)) for number in range(10_000)
    )
    for event in events:
        event.where = replace(event.where, lon=105.78 + chance.uniform(-spread, spread) / 1100)
    fastest = float("inf")
    for _ in range(3):  # on a busy machine one attempt may be held up
        system = driven()
        began = process_time()
        for event in events:
            system.signals += system.to(event.order).occurrence(event)
        fastest = min(fastest, process_time() - began)
        assert system.signals
        if fastest < 2:
            break
    assert fastest < 2
