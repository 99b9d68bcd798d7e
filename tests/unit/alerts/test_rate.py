"""The rate of change, against its rules and against one who keeps every reading."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from alerts.conditions import rate
from alerts.conditions.ladder import Change
from alerts.conditions.rate import PARTS, RateState
from alerts.model import Doubt, Observation
from alerts.rules.kinds import Bound, Level, RateRule

START = datetime(2025, 10, 8, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def rule(direction: str = "above", hold: int = 0) -> RateRule:
    sign = 1 if direction == "above" else -1
    return RateRule(
        id="rising",
        version="v1",
        stream="flood",
        measure="level_m",
        unit="m",
        hazard="flood",
        title={"vi": "Nước lên", "en": "Rising"},
        direction=direction,  # type: ignore[arg-type]
        window=timedelta(minutes=60),
        hold=timedelta(minutes=hold),
        levels=(
            Level(
                severity="minor",
                raise_at=Bound(None, sign * 0.5),
                clear_at=Bound(None, sign * 0.3),
            ),
            Level(
                severity="severe",
                raise_at=Bound(None, sign * 1.0),
                clear_at=Bound(None, sign * 0.8),
            ),
        ),
    )


def seen(minute: float, value: float, *doubts: Doubt) -> Observation:
    return Observation(
        event=f"e{minute}",
        time=START + minute * MINUTE,
        measures={"level_m": value},
        doubts={"level_m": doubts} if doubts else {},
    )


def play(
    the_rule: RateRule, observations: list[Observation], until: float | None = None
) -> tuple[RateState, list[Change]]:
    state, changes = None, list[Change]()
    for observation in observations:
        state, new = rate.observe(the_rule, None, state, observation)
        # What was restored is what was held.
        state = msgspec.json.decode(msgspec.json.encode(state), type=RateState)
        changes += new
    assert state is not None
    if until is not None:
        state, new = rate.pass_time(the_rule, None, state, START + until * MINUTE)
        changes += new
    return state, changes


def short(changes: list[Change]) -> list[tuple[str, int | None, float, float]]:
    return [(c.change, c.level, (c.time - START) / MINUTE, c.state.value) for c in changes]


def test_a_rise_within_the_window_raises_and_ages_away() -> None:
    """The distance is what is compared, told and bounded; it ends when the base has left the window."""
    _, changes = play(rule(), [seen(0, 1.0), seen(30, 1.6), seen(55, 1.7), seen(80, 1.7), seen(91, 1.7)])
    assert short(changes) == [("began", 0, 30, 0.6), ("ended", None, 80, 0.1)]
    assert changes[0].bound == 0.5


def test_a_slow_rise_raises_nothing() -> None:
    assert play(rule(), [seen(20 * n, 1 + 0.1 * n) for n in range(30)])[1] == []


def test_below_is_a_fall() -> None:
    _, changes = play(rule("below"), [seen(0, 2.0), seen(10, 1.4), seen(20, 0.9), seen(90, 0.9)])
    assert short(changes) == [("began", 0, 10, -0.6), ("changed", 1, 20, -1.1), ("ended", None, 90, 0.0)]


def test_a_hold_completes_when_it_is_due() -> None:
    _, changes = play(rule(hold=10), [seen(0, 1.0), seen(30, 1.6)], until=45)
    assert short(changes) == [("began", 0, 40, 0.6)]


def test_a_doubted_reading_is_no_base() -> None:
    """After a spike down the way back up is no rise; and a spike up alone raises no highest level."""
    assert play(rule(), [seen(0, 1.0), seen(10, 0.0, "spike"), seen(20, 1.0)])[1] == []
    _, changes = play(rule(), [seen(0, 1.0), seen(10, 9.0, "range")])
    assert [change.level for change in changes] == [0]
    assert play(rule(), [seen(0, 9.0, "range")])[1] == [], "there is nothing to compare it with"


@given(
    st.lists(st.tuples(st.integers(1, 900), st.integers(0, 40)), min_size=1, max_size=120),
    st.sampled_from(["above", "below"]),
)
def test_little_is_kept_and_the_distance_is_right_to_a_thirtieth_of_the_window(
    steps: list[tuple[int, int]], direction: str
) -> None:
    """The base is never older than the window, and no better one is younger than the window less a thirtieth."""
    the_rule, state, all_seen, second = rule(direction), None, [], 0
    for gap, tenths in steps:
        second += gap
        value = tenths / 10
        all_seen.append((second, value))
        observation = Observation(
            event="e", time=START + timedelta(seconds=second), measures={"level_m": value}
        )
        state, _ = rate.observe(the_rule, None, state, observation)
        assert len(state.kept) <= PARTS + 2
        best = min if direction == "above" else max
        widest = best(v for s, v in all_seen if s >= second - 3600)
        narrowest = best(v for s, v in all_seen if s >= second - 3600 + 3600 / PARTS)
        base = state.kept[0][1]
        assert best(base, widest) == widest
        assert best(base, narrowest) == base
