"""The threshold ladder against its rules, and against a slow model that looks at the whole history at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from alerts.conditions import ladder
from alerts.conditions.ladder import Change, LadderState
from alerts.model import Doubt, Observation, Source, Threshold
from alerts.rules.kinds import Bound, LadderRule, Level

START = datetime(2025, 10, 8, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def rule(hold: int = 10, direction: str = "above") -> LadderRule:
    sign = 1 if direction == "above" else -1
    return LadderRule(
        id="water",
        version="v1",
        stream="flood",
        measure="level_m",
        unit="m",
        hazard="flood",
        title={"vi": "Nước", "en": "Water"},
        direction=direction,  # type: ignore[arg-type]
        hold=timedelta(minutes=hold),
        levels=tuple(
            Level(
                severity=severity,
                raise_at=Bound(threshold=None, offset=sign * bound),
                clear_at=Bound(threshold=None, offset=sign * (bound - 2)),
            )
            for severity, bound in (("minor", 10.0), ("moderate", 20.0), ("severe", 30.0))
        ),
    )


def seen(minute: int, value: float, *doubts: Doubt) -> Observation:
    return Observation(
        event=f"e{minute}",
        time=START + minute * MINUTE,
        measures={"level_m": value},
        doubts={"level_m": doubts} if doubts else {},
    )


def play(
    the_rule: LadderRule,
    observations: list[Observation],
    clocks: list[int],
    until: int,
    source: Source | None = None,
) -> list[Change]:
    """Observations and clock records in the order of time; a clock record comes first where `clocks` says so."""
    steps = [(observation.time, 1, observation) for observation in observations]
    steps += [(START + minute * MINUTE, 0, None) for minute in clocks]
    state: LadderState | None = None
    changes: list[Change] = []
    for time, _, observation in sorted(steps, key=lambda step: step[:2]):
        if observation is not None:
            state, new = ladder.observe(the_rule, source, state, observation)
        elif state is not None:
            state, new = ladder.pass_time(the_rule, source, state, time)
        else:
            continue
        changes += new
    if state is not None:
        changes += ladder.pass_time(the_rule, source, state, START + until * MINUTE)[1]
    return changes


def short(changes: list[Change]) -> list[tuple[str, int | None, int]]:
    return [(change.change, change.level, (change.time - START) // MINUTE) for change in changes]


def test_raised_when_the_hold_is_complete_and_stamped_with_that_moment() -> None:
    """An alert starts at first observation + hold, though the next observation comes later."""
    assert short(play(rule(), [seen(0, 11), seen(15, 11)], [], 15)) == [("began", 0, 10)]


def test_a_hold_completes_without_further_data() -> None:
    """What must happen when nothing arrives happens at a clock record, stamped with when it was due."""
    assert short(play(rule(), [seen(0, 11)], [7, 14], 14)) == [("began", 0, 10)]


def test_an_observation_short_of_raise_starts_the_hold_again() -> None:
    """9 is not short of clear, but it is short of raise: the hold must be without a gap."""
    assert short(play(rule(), [seen(0, 11), seen(5, 9), seen(8, 11)], [], 30)) == [("began", 0, 18)]


def test_between_clear_and_raise_nothing_changes() -> None:
    """Hysteresis: 8.5 neither clears an alert nor starts one."""
    quiet = [seen(minute, 8.5) for minute in (0, 20, 40)]
    assert short(play(rule(), [seen(0, 11), *quiet[1:], seen(60, 7.9)], [], 70)) == [
        ("began", 0, 10),
        ("ended", None, 60),
    ]
    assert play(rule(), quiet, [], 60) == []


def test_exactly_the_bound_raises_and_exactly_clear_does_not_clear() -> None:
    assert short(play(rule(), [seen(0, 10), seen(20, 8)], [], 30)) == [("began", 0, 10)]


def test_missing_data_clears_nothing() -> None:
    assert short(play(rule(), [seen(0, 11)], list(range(0, 10_000, 100)), 10_000)) == [("began", 0, 10)]


def test_straight_to_the_worst_is_one_change() -> None:
    """Levels that are reached at one moment make one change, to the worst of them."""
    assert short(play(rule(), [seen(0, 31)], [], 20)) == [("began", 2, 10)]


def test_up_and_down_the_ladder() -> None:
    changes = play(rule(hold=0), [seen(0, 11), seen(1, 21), seen(2, 31), seen(3, 27), seen(4, 5)], [], 9)
    assert short(changes) == [
        ("began", 0, 0),
        ("changed", 1, 1),
        ("changed", 2, 2),
        ("changed", 1, 3),
        ("ended", None, 4),
    ]
    assert [change.bound for change in changes] == [10, 20, 30, 28, 18]


def test_every_change_names_the_event_that_began_it() -> None:
    """Identity follows from the start: all changes of one condition name the same event."""
    changes = play(rule(), [seen(0, 5), seen(5, 11), seen(10, 21), seen(40, 0)], [], 50)
    assert {change.state.start_event for change in changes} == {"e5"}
    assert {change.state.start_time for change in changes} == {START + 5 * MINUTE}
    assert [change.state.changes for change in changes] == [1, 2, 3]


def test_below_is_the_mirror_of_above() -> None:
    above = play(rule(), [seen(0, 11), seen(20, 31), seen(60, 0)], [], 90)
    below = play(rule(direction="below"), [seen(0, -11), seen(20, -31), seen(60, 0)], [], 90)
    assert short(above) == short(below)


def test_a_source_is_not_judged_at_a_level_whose_threshold_it_lacks() -> None:
    """Unknown thresholds stay empty: Vị Thanh has BĐ3 only, so nothing is said of BĐ1 and BĐ2."""
    levels = tuple(
        Level(severity=severity, raise_at=Bound(name), clear_at=Bound(name, -0.05))
        for severity, name in (("minor", "bd1"), ("moderate", "bd2"), ("severe", "bd3"))
    )
    the_rule = replace(rule(), levels=levels)
    source = Source(
        id="gauge",
        stream="flood",
        name={},
        kind="tide-gauge",
        lon=105.0,
        lat=10.0,
        thresholds=(Threshold(name="bd3", value=0.75),),
    )
    assert short(play(the_rule, [seen(0, 0.74)], [], 60, source)) == []
    assert short(play(the_rule, [seen(0, 0.80)], [], 60, source)) == [("began", 2, 10)]
    assert play(the_rule, [seen(0, 99.0)], [], 60, None) == []


def test_a_threshold_holds_for_its_days_only() -> None:
    """BĐ3 at Cần Thơ was 1.90 m in bulletins of 2013 and is 2.00 m now."""
    change = datetime(2020, 3, 1, tzinfo=UTC)
    source = Source(
        id="gauge",
        stream="flood",
        name={},
        kind="tide-gauge",
        lon=105.0,
        lat=10.0,
        thresholds=(
            Threshold(name="bd3", value=1.9, until=change),
            Threshold(name="bd3", value=2.0, since=change),
        ),
    )
    bound = Bound("bd3")
    assert ladder.bound_value(bound, source, datetime(2013, 10, 8, tzinfo=UTC)) == 1.9
    assert ladder.bound_value(bound, source, change) == 2.0


def test_the_peak_is_the_worst_since_the_condition_began() -> None:
    """The end of an alert tells how far it went and when; the next condition begins without that."""
    changes = play(rule(hold=0), [seen(0, 12), seen(5, 25), seen(9, 25), seen(20, 3), seen(30, 11)], [], 40)
    assert [(change.change, change.peak) for change in changes] == [
        ("began", 12),
        ("changed", 25),
        ("ended", 25),
        ("began", 11),
    ]
    assert changes[2].peaked == START + 5 * MINUTE, "of equal ones it is the first"


def test_the_peak_of_a_hold_belongs_to_the_condition() -> None:
    """The condition began with its first observation, before the hold was complete."""
    (change,) = play(rule(), [seen(0, 11), seen(3, 16), seen(8, 12)], [], 15)
    assert (change.peak, change.peaked) == (16, START + 3 * MINUTE)


def test_below_the_peak_is_the_least() -> None:
    changes = play(rule(hold=0, direction="below"), [seen(0, -12), seen(5, -15), seen(9, 0)], [], 10)
    assert [change.peak for change in changes] == [-12, -15]


def test_a_doubted_reading_does_not_raise_the_highest_level() -> None:
    """A single implausible or stuck reading never raises the highest level by itself; the milder ones it may."""
    assert short(play(rule(hold=0), [seen(0, 99, "range")], [], 5)) == [("began", 1, 0)]
    assert short(play(rule(hold=0), [seen(0, 99, "range"), seen(1, 31)], [], 5)) == [
        ("began", 1, 0),
        ("changed", 2, 1),
    ]


def test_the_highest_level_is_the_highest_that_the_source_can_reach() -> None:
    """A gauge of which only BĐ1 is known has one level, and no doubted reading raises it."""
    levels = tuple(
        Level(severity=severity, raise_at=Bound(name), clear_at=Bound(name, -0.05))
        for severity, name in (("minor", "bd1"), ("severe", "bd3"))
    )
    the_rule = replace(rule(hold=0), levels=levels)
    source = Source(
        id="gauge",
        stream="flood",
        name={},
        kind="tide-gauge",
        lon=105.0,
        lat=10.0,
        thresholds=(Threshold(name="bd1", value=1.0),),
    )
    assert play(the_rule, [seen(0, 1.2, "spike")], [], 5, source) == []
    assert short(play(the_rule, [seen(0, 1.2)], [], 5, source)) == [("began", 0, 0)]


def test_a_doubted_reading_clears_nothing() -> None:
    """No false all-clear: neither a level that is on ends, nor a hold that runs."""
    assert short(play(rule(), [seen(0, 31), seen(5, 0, "spike"), seen(20, 0, "stuck")], [], 60)) == [
        ("began", 2, 10)
    ]


def test_a_level_above_another_datum_is_not_judged() -> None:
    """It cannot be compared: it neither raises nor clears."""
    assert not ladder.applies(rule(), seen(0, 99, "datum"))
    assert ladder.applies(rule(), seen(0, 99, "range"))


def test_a_doubted_reading_is_no_peak() -> None:
    changes = play(rule(hold=0), [seen(0, 11), seen(1, 99, "range"), seen(2, 0)], [], 5)
    assert [(change.change, change.peak) for change in changes] == [
        ("began", 11),
        ("changed", 11),
        ("ended", 11),
    ]
    assert [change.state.doubts for change in changes] == [(), ("range",), ()]


@st.composite
def histories(draw: st.DrawFn, *, unique: bool = False, doubted: bool = False) -> list[Observation]:
    minutes = draw(st.lists(st.integers(0, 120), max_size=25, unique=unique))
    values = st.sampled_from([0.0, 7.9, 8.0, 9.0, 10.0, 12.0, 17.0, 18.0, 19.0, 20.0, 25.0, 28.0, 30.0, 35.0])
    doubts = st.sampled_from([{}, {}, {"level_m": ("spike",)}] if doubted else [{}])
    return [
        Observation(
            event=f"e{n}",
            time=START + minute * MINUTE,
            measures={"level_m": draw(values)},
            doubts=draw(doubts),  # type: ignore[arg-type]
        )
        for n, minute in enumerate(sorted(minutes))
    ]


def model(the_rule: LadderRule, observations: list[Observation], until: int) -> list[int | None]:
    """The level at each minute, from the whole history, each level by itself.

    A level is on at a minute if some run of observations at or beyond raise, without one short of it, had lasted
    `hold` by then, and since that moment no observation was short of clear. Doubted observations are short of
    nothing; and no run of the highest level begins with one.
    """
    hold = int(the_rule.hold / MINUTE)
    points = [((o.time - START) // MINUTE, o.measures["level_m"], bool(o.doubts)) for o in observations]
    per_minute: list[int | None] = []
    on_since: list[list[int]] = []
    for number, level in enumerate(the_rule.levels):
        top = number == len(the_rule.levels) - 1
        starts, run = [], None
        for index, (minute, value, doubted) in enumerate(points):
            if value >= level.raise_at.offset or doubted:
                if run is None and (value < level.raise_at.offset or (top and doubted)):
                    continue
                run = minute if run is None else run
                following = points[index + 1][0] if index + 1 < len(points) else until + 1
                if run + hold <= following and (not starts or starts[-1] != run + hold):
                    starts.append(run + hold)
            else:
                run = None
        on_since.append(starts)
    for minute in range(until + 1):
        level_now = None
        for index, level in enumerate(the_rule.levels):
            for start in on_since[index]:
                cleared = any(
                    start <= m <= minute and value < level.clear_at.offset
                    for m, value, doubted in points
                    if not doubted
                )
                if start <= minute and not cleared:
                    level_now = index
        per_minute.append(level_now)
    return per_minute


@given(st.booleans().flatmap(lambda d: histories(unique=True, doubted=d)), st.sampled_from([0, 3, 10]))
def test_agrees_with_a_model_that_sees_the_whole_history(observations: list[Observation], hold: int) -> None:
    """The incremental ladder stands, at the end of every minute, where the plain definition says."""
    the_rule, until = rule(hold=hold), 140
    changes = play(the_rule, observations, [], until)
    expected = model(the_rule, observations, until)
    at: list[int | None] = []
    for minute in range(until + 1):
        by_now = [change for change in changes if change.time <= START + minute * MINUTE]
        at.append(by_now[-1].level if by_now else None)
    assert at == expected


@given(histories(doubted=True), st.lists(st.integers(0, 140), max_size=20), st.sampled_from([0, 3, 10]))
def test_where_clock_records_stand_makes_no_difference(
    observations: list[Observation], clocks: list[int], hold: int
) -> None:
    """The outcome follows from the observations alone, however many clock records come between them."""
    the_rule = rule(hold=hold)
    assert play(the_rule, observations, clocks, 150) == play(the_rule, observations, [], 150)


@given(histories(), st.sampled_from([0, 3, 10]))
def test_doubted_readings_alone_reach_no_highest_level_and_clear_nothing(
    observations: list[Observation], hold: int
) -> None:
    """Whatever a sensor says that is doubted all the time: it goes up the milder levels, and never down."""
    doubted = [replace(observation, doubts={"level_m": ("stuck",)}) for observation in observations]
    levels = [change.level for change in play(rule(hold=hold), doubted, [], 150)]
    assert None not in levels
    assert levels == sorted(levels)
    assert 2 not in levels


def test_applies_needs_the_measure_and_the_fields() -> None:
    """A camera rule about queues does not judge the same camera's count of people."""
    queue = replace(rule(), where={"kind": ("vehicle_queue",)})
    event = Observation(event="e", time=START, measures={"level_m": 1.0}, fields={"kind": "vehicle_queue"})
    assert ladder.applies(queue, event)
    assert not ladder.applies(
        queue, Observation(event="e", time=START, measures={"level_m": 1.0}, fields={"kind": "crowd"})
    )
    assert not ladder.applies(
        queue, Observation(event="e", time=START, measures={}, fields={"kind": "vehicle_queue"})
    )
