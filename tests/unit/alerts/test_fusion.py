"""Fusions: different inputs that agree near one place, against their rules and against a model."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from alerts.conditions import cluster
from alerts.conditions.clusters import Clusters
from alerts.model import Evidence, Where
from alerts.rules.kinds import Bound, FusionInput, FusionRule, LadderRule, Level, Rule, Selector
from alerts.signals import Occurrence, Signal
from tests.unit.alerts.manysources import MINUTE, START, Driven, in_order, levels, place, report

WINDOW = 15
STREET = LadderRule(
    id="street-water",
    version="v1",
    hazard="flood",
    title={"vi": "Nước trên đường", "en": "Water on a street"},
    stream="flood",
    measure="road_depth_m",
    unit="m",
    direction="above",
    hold=timedelta(0),
    levels=(
        Level(
            severity="minor",
            raise_at=Bound(threshold=None, offset=0.2),
            clear_at=Bound(threshold=None, offset=0.1),
        ),
    ),
)


def fusion_rule(**changes: object) -> FusionRule:
    rule = FusionRule(
        id="flooded-street-agreed",
        version="v1",
        hazard="flood",
        title={"vi": "Ngập đường", "en": "Flooded street"},
        inputs=(
            FusionInput(name="gauge", rule="street-water"),
            FusionInput(name="camera", of=Selector(stream="camera", where={"kind": ("flooded_road",)})),
            FusionInput(name="reports", of=Selector(stream="report")),
        ),
        radius_m=250.0,
        window=timedelta(minutes=WINDOW),
        levels=levels(("moderate", 2, 2, "likely"), ("severe", 3, 3, "observed")),
    )
    return replace(rule, **changes)


def seen(minute: float, event: str, step: float = 0, late: float = 0) -> Occurrence:
    """A camera's event."""
    return report(minute, event, step, late=late, stream="camera", fields={"kind": "flooded_road"})


def gauge(
    minute: float,
    change: str,
    subject: str = "gauge-a",
    *,
    step: float = 0,
    began: float | None = None,
    reason: str = "",
    rule: str = "street-water",
    number: int = 1,
    commune: str = "31117",
    simulated: bool = False,
) -> Signal:
    """A signal of a gauge's condition, which began at the minute `began`."""
    start = minute if began is None else began
    return Signal(
        rule=rule,
        rule_version="v1",
        subject=subject,
        change=change,  # type: ignore[arg-type]
        severity=None if change == "ended" else "minor",
        hazard="flood",
        title=STREET.title,
        measure="road_depth_m",
        unit="m",
        time=START + minute * MINUTE,
        order=START + minute * MINUTE,
        number=number,
        start_event=f"{subject}-{start:g}",
        start_time=START + start * MINUTE,
        value=0.25,
        observed=START + minute * MINUTE,
        event=f"{subject}-{minute:g}",
        bound=0.2,
        where=place(step, commune),
        reason=reason,
        simulated=simulated,
    )


def play(
    records: Iterable[Signal | Occurrence], rules: Iterable[Rule] = (), until: float | None = None
) -> Driven[Clusters]:
    system = Driven(Clusters, [STREET, *(rules or [fusion_rule()])])
    for record in records:
        take(system, record)
    if until is not None:
        system.to(START + until * MINUTE)
    return system


def take(system: Driven[Clusters], record: Signal | Occurrence) -> None:
    part = system.to(record.order)
    system.signals += part.signal(record) if isinstance(record, Signal) else part.occurrence(record)


def short(signals: Iterable[Signal]) -> list[tuple[str, str | None, float, float, str]]:
    return [
        (signal.change, signal.severity, signal.value, (signal.time - START) / MINUTE, signal.reason)
        for signal in signals
    ]


def test_what_agrees_makes_it_surer() -> None:
    """Two inputs are likely, three observed."""
    signals = play([gauge(0, "began"), report(1, "r"), seen(2, "c", 1)]).signals
    assert short(signals) == [("began", "moderate", 2, 1, ""), ("changed", "severe", 3, 2, "")]
    assert [signal.certainty for signal in signals] == ["likely", "observed"]
    assert signals[0].subject == "flood/gauge-a/gauge-a-0"
    assert (signals[0].start_event, signals[0].start_time) == ("gauge-a-0", START)
    assert [one.stream for one in signals[1].evidence] == ["flood", "report", "camera"]
    assert signals[1].evidence[0] == Evidence(
        stream="flood", source="gauge-a", event="gauge-a-0", time=START, value=0.25
    )


def test_many_of_one_input_do_not_agree() -> None:
    """Twenty citizens are one input, and so are two gauges."""
    assert play([report(minute / 4, f"r{minute}") for minute in range(20)]).signals == []
    assert play([gauge(0, "began"), gauge(1, "began", "gauge-b", step=1)]).signals == []


def test_one_event_never_agrees_with_itself() -> None:
    """It stands for the first input that it matches."""
    twice = fusion_rule(
        inputs=(
            FusionInput(
                name="flooded", of=Selector(stream="report", where={"category": ("flooded_street",)})
            ),
            FusionInput(name="any", of=Selector(stream="report")),
        )
    )
    assert play([report(0, "r")], [twice]).signals == []
    other = report(1, "s", fields={"category": "fallen_tree"})
    assert short(play([report(0, "r"), other], [twice]).signals) == [("began", "moderate", 2, 1, "")]


def test_an_open_condition_counts_for_as_long_as_it_is_open() -> None:
    """A gauge has no window: hours later it still agrees with a report."""
    signals = play([gauge(0, "began"), report(600, "r")], until=700).signals
    assert short(signals) == [("began", "moderate", 2, 600, ""), ("ended", None, 1, 615, "expired")]
    assert signals[0].start_time == START


def test_it_clears_where_what_it_lost_was_cleared_by_its_measure() -> None:
    signals = play([gauge(0, "began"), report(1, "r"), gauge(5, "ended", began=0)]).signals
    assert short(signals)[1:] == [("ended", None, 1, 5, "")]


def test_it_expires_where_anything_that_it_lost_only_went_out_of_the_window() -> None:
    """The camera's event ran out and nobody knows whether the road is dry: the gauge's all-clear is not enough."""
    signals = play([gauge(0, "began"), seen(1, "c"), report(10, "r"), gauge(20, "ended", began=0)]).signals
    assert short(signals)[1:] == [
        ("changed", "severe", 3, 10, ""),
        ("changed", "moderate", 2, 16, ""),
        ("ended", None, 1, 20, "expired"),
    ]


def test_an_input_that_came_back_is_not_lost() -> None:
    """Camera or gauge: what was lost without an all-clear and has returned can be cleared after all."""
    flow = replace(STREET, id="street-flow")
    rule = fusion_rule(
        inputs=(*fusion_rule().inputs[:2], FusionInput(name="flow", rule="street-flow")),
        levels=levels(("moderate", 2, 2, "likely")),
    )
    begin = [gauge(0, "began"), gauge(0, "began", "flow", rule="street-flow"), seen(1, "c")]
    camera_back = [
        seen(17, "d"),
        gauge(18, "ended", began=0),
        gauge(19, "ended", "flow", rule="street-flow", began=0),
    ]
    assert short(play([*begin, *camera_back], [flow, rule]).signals)[1:] == [("ended", None, 1, 19, "")]
    gauge_back = [
        gauge(2, "ended", began=0, reason="source-removed"),
        gauge(3, "began"),
        gauge(4, "ended", "flow", rule="street-flow", began=0),
        gauge(5, "ended", began=3),
    ]
    assert short(play([*begin, *gauge_back], [flow, rule]).signals)[1:] == [("ended", None, 1, 5, "")]


def test_what_was_lost_before_it_began_does_not_matter() -> None:
    """Three of four began without the camera: the gauge's all-clear is all that they lost."""
    flow = replace(STREET, id="street-flow")
    rule = fusion_rule(
        inputs=(*fusion_rule().inputs, FusionInput(name="flow", rule="street-flow")),
        levels=levels(("severe", 3, 3, "observed")),
    )
    events = [
        gauge(0, "began"),
        seen(1, "c"),
        gauge(20, "began", "flow", rule="street-flow"),
        report(21, "r"),
        gauge(22, "ended", began=0),
    ]
    assert short(play(events, [flow, rule]).signals) == [
        ("began", "severe", 3, 21, ""),
        ("ended", None, 2, 22, ""),
    ]


@pytest.mark.parametrize("reason", ["rule-removed", "source-removed", "boundary-changed"])
def test_an_input_that_was_taken_away_has_not_cleared(reason: str) -> None:
    """The fusion closes for the same reason, and names the same successor."""
    end = gauge(5, "ended", began=0, reason=reason)
    end.successor = "31120"
    ended = play([gauge(0, "began"), report(1, "r"), end]).signals[-1]
    assert (ended.change, ended.reason, ended.successor) == ("ended", reason, "31120")


def test_another_gauge_of_the_same_input_keeps_it() -> None:
    signals = play(
        [gauge(0, "began"), gauge(1, "began", "gauge-b", step=1), report(2, "r"), gauge(5, "ended", began=0)]
    ).signals
    assert short(signals) == [("began", "moderate", 2, 2, "")]


def test_a_condition_that_changes_counts_once_and_its_latest_observation_is_the_evidence() -> None:
    signals = play([gauge(0, "began"), gauge(3, "changed", began=0, number=2), report(4, "r")]).signals
    assert short(signals) == [("began", "moderate", 2, 4, "")]
    assert [one.event for one in signals[0].evidence] == ["gauge-a-3", "r"]
    assert signals[0].subject == "flood/gauge-a/gauge-a-0"


def test_what_is_simulated_never_agrees_with_what_is_real() -> None:
    assert play([gauge(0, "began", simulated=True), report(1, "r")]).signals == []


def test_signals_without_a_point_of_other_rules_or_unknown_ends_are_passed_over() -> None:
    nowhere = gauge(0, "began")
    nowhere.where = Where(commune="31117")
    own = gauge(0, "began", rule="flooded-street-agreed")
    unknown = gauge(0, "began", rule="gone")
    system = play([nowhere, own, unknown, gauge(0, "ended", "gauge-z"), report(1, "r")])
    assert system.signals == []
    system.restore()


def test_a_gauge_that_moves_counts_where_it_is() -> None:
    """A condition that goes on elsewhere has not been cleared where it was."""
    signals = play([gauge(0, "began"), report(1, "r"), gauge(2, "changed", step=50, began=0)]).signals
    assert short(signals)[1:] == [("ended", None, 1, 2, "expired")]
    signals = play([gauge(0, "began"), report(1, "r", 50), gauge(2, "changed", step=50, began=0)]).signals
    assert short(signals) == [("began", "moderate", 2, 2, "")]


def test_a_fusion_that_is_new_takes_what_is_open() -> None:
    """Adding a rule in the middle of a flood: the gauge's condition counts from then on, without a new signal."""
    system = Driven(Clusters, [STREET])
    take(system, gauge(0, "began"))
    system.restore()
    system.configure([STREET, fusion_rule()], START + 5 * MINUTE)
    take(system, report(6, "r"))
    assert short(system.signals) == [("began", "moderate", 2, 6, "")]


def test_a_fusion_that_starts_anew_takes_what_is_open() -> None:
    system = play([gauge(0, "began"), report(1, "r")])
    system.configure([STREET, fusion_rule(version="v2", radius_m=400.0)], START + 2 * MINUTE)
    take(system, report(3, "s", 3.5))
    assert short(system.signals)[1:] == [
        ("ended", None, 2, 2, "rule-changed"),
        ("began", "moderate", 2, 3, ""),
    ]


def test_a_rule_of_an_input_that_goes_takes_its_conditions_along() -> None:
    system = play([gauge(0, "began"), report(1, "r")])
    system.configure([fusion_rule()], START + 2 * MINUTE)
    assert short(system.signals)[1:] == [("ended", None, 1, 2, "rule-removed")]
    assert list(system.part.conditions) == []
    take(system, gauge(3, "ended", began=0, reason="rule-removed"))
    assert len(system.signals) == 2


# Against a model

Record = Signal | Occurrence


class Model:
    """Who is where and since when, asked anew at every moment; one place, so one cluster at a time."""

    def __init__(self, named: dict[int, str]) -> None:
        #: The level at so many inputs.
        self.named = named
        self.events: list[tuple[str, Occurrence]] = []
        self.open: dict[str, Signal] = {}
        self.now_in: set[str] = set()
        #: What was lost since the condition began, and how.
        self.lost: dict[str, str] = {}
        self.level: str | None = None
        self.told: list[tuple[object, ...]] = []

    def inputs(self, now: datetime) -> set[str]:
        live = {name for name, event in self.events if event.time + WINDOW * MINUTE > now}
        return live | ({"gauge"} if self.open else set())

    def judge(self, now: datetime, how: str) -> None:
        inputs = self.inputs(now)
        for name in self.now_in - inputs:
            self.lost[name] = how
        for name in inputs:
            self.lost.pop(name, None)
        self.now_in = inputs
        level = self.named.get(len(inputs))
        if level != self.level:
            if level is None:
                cleared = how == "cleared" and set(self.lost.values()) <= {"cleared"}
                self.told.append(("ended", None, len(inputs), now, "" if cleared else "expired"))
            else:
                self.told.append(("changed" if self.level else "began", level, len(inputs), now, ""))
            if self.level is None:
                self.lost = {}
            self.level = level


@st.composite
def histories(draw: st.DrawFn) -> list[Record]:
    """Reports and camera events, some late, and the conditions of two gauges that begin and end."""
    drawn = draw(
        st.lists(
            st.tuples(st.sampled_from("rc"), st.integers(0, 60), st.integers(0, 20), st.integers(0, 2)),
            max_size=16,
        )
    )
    events = [
        (report if kind == "r" else seen)(minute, f"e{number}", step, late=late)
        for number, (kind, minute, late, step) in enumerate(drawn)
    ]
    signals = []
    for subject in ("gauge-a", "gauge-b"):
        times = sorted(draw(st.sets(st.integers(0, 70), max_size=6)))
        for number, minute in enumerate(times):
            began = times[number - number % 2]
            change = "ended" if number % 2 else "began"
            signals.append(gauge(minute, change, subject, step=1, began=began, number=number + 1))
    signals.sort(key=lambda one: (one.order, one.subject))
    records: list[Record] = [*signals, *in_order(events)]
    return sorted(records, key=lambda one: (one.order, isinstance(one, Occurrence)))


@given(
    histories(),
    st.sampled_from([{2: "moderate", 3: "severe"}, {3: "severe"}]),
    st.lists(st.booleans(), max_size=60),
)
def test_signals_are_those_of_asking_anew_at_every_moment(
    history: list[Record], named: dict[int, str], restores: list[bool]
) -> None:
    """However often the state is restored in between."""
    ladder = levels(*((severity, least, least, "likely") for least, severity in named.items()))
    rule = fusion_rule(radius_m=2000.0, levels=ladder)
    system, model = Driven(Clusters, [STREET, rule], restores), Model(named)
    expiries = {one.time + rule.window for one in history if isinstance(one, Occurrence)}
    for moment in sorted(expiries | {one.order for one in history}):
        model.judge(moment, "expired")
        system.to(moment)
        for record in (one for one in history if one.order == moment):
            take(system, record)
            if isinstance(record, Occurrence):
                model.events.append(("camera" if record.stream == "camera" else "reports", record))
            elif record.severity is None:
                del model.open[record.subject]
            else:
                model.open[record.subject] = record
            model.judge(moment, "cleared")
        values = [cluster.value(rule, one) for one in system.part.clusters.values()]
        assert values == ([len(model.inputs(moment))] if model.inputs(moment) else [])
    told = [(one.change, one.severity, one.value, one.order, one.reason) for one in system.signals]
    assert told == model.told
    assert all(one.time <= one.order for one in system.signals)
