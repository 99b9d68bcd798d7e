"""The rate of change: how far a measure of one source has risen or fallen within a window, judged by a ladder.

The distance of a reading is taken from the least believed reading within the window before it (from the greatest
where falling is bad), itself included. Of the readings a thirtieth of the window's length each only the most extreme
is kept, and none that a later one makes needless: at most 32 of them. So a base may leave the window up to a
thirtieth of it too early, never too late. Doubted readings are judged, but no base.
"""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from alerts.conditions import ladder
from alerts.conditions.ladder import Change, LadderState, Point
from alerts.model import Observation, Source
from alerts.rules.kinds import RateRule

#: Into so many parts a window is cut; of each one reading is kept.
PARTS = 30


class RateState(Struct, frozen=True, omit_defaults=True):
    """State of one rule for one source."""

    #: (Unix seconds, value) of the readings that may be a base, in the order of time: each is less extreme than those
    #: after it, so the first is the base of a reading that is not below it.
    kept: tuple[tuple[float, float], ...] = ()
    #: The ladder on the distance; None while nothing is pending or on.
    ladder: LadderState | None = None


def observe(
    rule: RateRule, source: Source | None, state: RateState | None, observation: Observation
) -> tuple[RateState, list[Change]]:
    """Judge one observation that `ladder.applies`, not older than the one before it.

    The values in the changes are distances: above 0 where the measure rose, below 0 where it fell.
    """
    state = state or RateState()
    value, time = observation.measures[rule.measure], observation.time
    doubts = observation.doubts.get(rule.measure, ())
    kept = _within(rule, state.kept, time)
    if not doubts:
        kept = _with(rule, kept, time, value)
    if not kept:
        return RateState(kept, state.ladder), []  # a doubted reading with nothing to compare it with
    distance = round(value - kept[0][1], 9)
    before, changes = state.ladder, list[Change]()
    if before is None and not ladder.reaches(rule, source, distance, time):
        return RateState(kept), []
    held, changes = ladder.judge(rule, source, before, Point(distance, time, observation.event, doubts))
    return RateState(kept, held if any(held.rungs) else None), changes


def pass_time(
    rule: RateRule, source: Source | None, state: RateState, now: datetime
) -> tuple[RateState, list[Change]]:
    """Complete the holds that are due at or before `now`."""
    if state.ladder is None:
        return state, []
    held, changes = ladder.pass_time(rule, source, state.ladder, now)
    return RateState(state.kept, held), changes


def _within(rule: RateRule, kept: tuple[tuple[float, float], ...], time: datetime) -> tuple:
    """The readings that the window ending at `time` still holds."""
    oldest, first = time.timestamp() - rule.window.total_seconds(), 0
    while first < len(kept) and kept[first][0] < oldest:
        first += 1
    return kept[first:]


def _with(rule: RateRule, kept: tuple[tuple[float, float], ...], time: datetime, value: float) -> tuple:
    """The readings with another one, the latest."""
    seconds, part = time.timestamp(), rule.window.total_seconds() / PARTS
    end = len(kept)
    while end and (value <= kept[end - 1][1] if rule.direction == "above" else value >= kept[end - 1][1]):
        end -= 1  # it stays longer than the one before, and is no less extreme
    kept = kept[:end]
    if kept and seconds // part == kept[-1][0] // part:
        return kept
    return (*kept, (seconds, value))
