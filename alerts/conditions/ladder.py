"""The threshold ladder: how observations of one source and the passing of time move it.

Each rung (level) is off, pending or on:

    off      the measure reached `raise`                         -> pending, since that observation
    pending  an observation short of `raise`                     -> off
    pending  `hold` has passed since it became pending           -> on, at that very moment
    on       an observation short of `clear`                     -> off

Between `clear` and `raise` a rung stays what it was. The ladder stands at its worst rung that is on. What falls
due is judged before an observation of the same moment: so it makes no difference whether a clock record or the
source's next observation comes first in the log, and the outcome follows from the observations alone.
Missing data changes nothing: a rung that is on stays on, and a hold completes when it is due.

A doubted observation makes no rung leave, and breaks no hold; and the worst level that the source can reach does not
begin with it. So nothing is cleared, and nothing raised to the highest level, by a reading that may be wrong. The
milder levels begin with it as with any other. What cannot be compared at all, a level above another datum, is not
judged.
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from alerts.model import AwareTime, Doubt, Observation, Source
from alerts.rules.kinds import Bound, LadderRule, RateRule, matches

#: Rules whose levels a measure is judged by.
Laddered = LadderRule | RateRule


class Point(Struct, frozen=True, array_like=True):
    """One observation as it was judged."""

    value: float
    time: AwareTime
    event: str
    doubts: tuple[Doubt, ...] = ()


class Rung(Struct, frozen=True, array_like=True):
    """State of one level: when and by which observation it became pending; `on` once the hold was complete."""

    since: AwareTime
    event: str
    on: bool
    value: float
    doubts: tuple[Doubt, ...] = ()

    @property
    def point(self) -> Point:
        """The observation that it became pending by."""
        return Point(self.value, self.since, self.event, self.doubts)


class LadderState(Struct, frozen=True, omit_defaults=True):
    """State of one rule for one source."""

    #: One for each level, mildest first; None where it is off.
    rungs: tuple[Rung | None, ...]
    #: The last observation that was judged.
    value: float
    observed: AwareTime
    event: str
    doubts: tuple[Doubt, ...] = ()
    #: The observation that began the present condition; None while no rung is on.
    start: Point | None = None
    #: Put behind the id of the event that began it where the condition began anew without another observation.
    anew: str = ""
    #: The worst believed observation since a rung became pending; None while none is.
    peak: Point | None = None
    #: How many changes there have been: numbers them.
    changes: int = 0

    @property
    def at(self) -> int | None:
        """Index of the worst level that is on; None where none is."""
        return worst(self.rungs)

    @property
    def last(self) -> Point:
        """The last observation that was judged."""
        return Point(self.value, self.observed, self.event, self.doubts)

    @property
    def start_event(self) -> str:
        """What the condition's identity follows from; empty while no rung is on."""
        return self.start.event + self.anew if self.start else ""

    @property
    def start_time(self) -> datetime | None:
        """When the condition began, before any hold; None while no rung is on."""
        return self.start.time if self.start else None


class Change(Struct, frozen=True, kw_only=True):
    """The ladder moved. `level` is the index of the level it stands at now, None where it was left."""

    change: Literal["began", "changed", "ended"]
    level: int | None
    time: datetime
    #: Level whose bound was crossed, and the bound's value.
    bound: float
    #: The ladder after it. One that ended still names what began it, and its peak.
    state: LadderState

    @property
    def peak(self) -> float | None:
        """The worst believed value since the condition began; None where every one was doubted."""
        return self.state.peak.value if self.state.peak else None

    @property
    def peaked(self) -> datetime | None:
        """When that was."""
        return self.state.peak.time if self.state.peak else None


def worst(rungs: tuple[Rung | None, ...]) -> int | None:
    """Index of the worst rung that is on; None where none is."""
    for index in range(len(rungs) - 1, -1, -1):
        rung = rungs[index]
        if rung is not None and rung.on:
            return index
    return None


def bound_value(bound: Bound, source: Source | None, time: datetime) -> float | None:
    """What a bound is for a source at a time; None where the source has no such threshold then."""
    if bound.threshold is None:
        return bound.offset
    if source is None:
        return None
    for threshold in source.thresholds:
        if (
            threshold.name == bound.threshold
            and (threshold.since is None or threshold.since <= time)
            and (threshold.until is None or time < threshold.until)
        ):
            return threshold.value + bound.offset
    return None


def applies(rule: Laddered, observation: Observation) -> bool:
    """Whether the rule judges this observation: its measure is there, can be compared, and its `where` holds."""
    measure = rule.measure
    return (
        measure in observation.measures
        and not (observation.doubts and "datum" in observation.doubts.get(measure, ()))
        and (not rule.where or matches(rule.where, observation.fields))
    )


def reaches(rule: Laddered, source: Source | None, value: float, time: datetime) -> bool:
    """Whether a value reaches any level: one that does not leaves a ladder alone that has no rung pending or on."""
    above = rule.direction == "above"
    for level in rule.levels:
        bound = bound_value(level.raise_at, source, time)
        if bound is not None and (value >= bound if above else value <= bound):
            return True
    return False


def observe(
    rule: Laddered, source: Source | None, state: LadderState | None, observation: Observation
) -> tuple[LadderState, list[Change]]:
    """Judge one observation that `applies`, not older than the one before it.

    `source` is the inventory's entry, None for a source it does not know. Returns the new state and the changes,
    in order; the first of them may be holds that fell due at or before the observation.
    """
    measure = rule.measure
    point = Point(
        observation.measures[measure],
        observation.time,
        observation.event,
        observation.doubts.get(measure, ()),
    )
    return judge(rule, source, state, point)


def judge(
    rule: Laddered, source: Source | None, state: LadderState | None, point: Point
) -> tuple[LadderState, list[Change]]:
    """Judge one value that was taken from an observation, not older than the one before it; as `observe`."""
    changes: list[Change] = []
    if state is None:
        state = LadderState(
            rungs=(None,) * len(rule.levels), value=point.value, observed=point.time, event=point.event
        )
    else:
        state, changes = pass_time(rule, source, state, point.time)
    moved, change = _move(rule, source, state, _stepped(rule, source, state.rungs, point), point.time, point)
    return moved, [*changes, *change]


def pass_time(
    rule: Laddered, source: Source | None, state: LadderState, now: datetime
) -> tuple[LadderState, list[Change]]:
    """Complete the holds that are due at or before `now`, each at the moment when it was due."""
    changes: list[Change] = []
    while (due := next_due(rule, state)) is not None and due <= now:
        rungs = tuple(
            replace(rung, on=True) if rung is not None and rung.since + rule.hold <= due else rung
            for rung in state.rungs
        )
        state, change = _move(rule, source, state, rungs, due, None)
        changes += change
    return state, changes


def next_due(rule: Laddered, state: LadderState) -> datetime | None:
    """When the next pending hold completes; None where none is pending."""
    due: datetime | None = None
    for rung in state.rungs:
        if rung is not None and not rung.on and (due is None or rung.since < due):
            due = rung.since
    return None if due is None else due + rule.hold


def _stepped(
    rule: Laddered, source: Source | None, rungs: tuple[Rung | None, ...], point: Point
) -> tuple[Rung | None, ...]:
    """The rungs after a value."""
    bounds = [
        (bound_value(level.raise_at, source, point.time), bound_value(level.clear_at, source, point.time))
        for level in rule.levels
    ]
    top = max((index for index, bound in enumerate(bounds) if None not in bound), default=-1)
    return tuple(
        _step(rule, rung, raise_at, clear_at, point, index == top)
        for index, (rung, (raise_at, clear_at)) in enumerate(zip(rungs, bounds, strict=True))
    )


def _step(
    rule: Laddered,
    rung: Rung | None,
    raise_at: float | None,
    clear_at: float | None,
    point: Point,
    top: bool,
) -> Rung | None:
    if raise_at is None or clear_at is None:
        return None  # the source has no such threshold (any more): this level is not judged
    value, above = point.value, rule.direction == "above"
    reached = value >= raise_at if above else value <= raise_at
    if rung is None:
        if not reached or (top and point.doubts):
            return None
        return Rung(point.time, point.event, not rule.hold, value, point.doubts)
    if point.doubts:
        return rung
    if rung.on:
        left = value < clear_at if above else value > clear_at
        return None if left else rung
    return rung if reached else None


def _move(
    rule: Laddered,
    source: Source | None,
    state: LadderState,
    rungs: tuple[Rung | None, ...],
    time: datetime,
    point: Point | None,
) -> tuple[LadderState, list[Change]]:
    """The state with these rungs, and the change that this is, if it is one; `point` is what was judged, if any."""
    before, after = state.at, worst(rungs)
    last = state.last if point is None else point
    start = state.start
    if after is None:
        start = None
    elif before is None:
        start = min((rung for rung in rungs if rung is not None and rung.on), key=lambda r: r.since).point
    peak = state.peak if point is None else _peak(rule, state.peak, point)
    moved = before != after
    new = LadderState(
        rungs=rungs,
        value=last.value,
        observed=last.time,
        event=last.event,
        doubts=last.doubts,
        start=start,
        anew="" if start is None else state.anew,
        peak=peak if any(rungs) else None,
        changes=state.changes + moved,
    )
    if not moved:
        return new, []
    kind: Literal["began", "changed", "ended"] = (
        "began" if before is None else "ended" if after is None else "changed"
    )
    up = after is not None and (before is None or after > before)
    # Going up, the bound that was crossed is the new level's; going down, the one that was left.
    crossed = after if up else before
    assert crossed is not None
    level = rule.levels[crossed]
    bound = bound_value(level.raise_at if up else level.clear_at, source, last.time)
    # A threshold that has lapsed has no value any more: the observation then stands for it.
    value = last.value if bound is None else bound
    # The end still names what it ends.
    told = (
        new
        if kind != "ended"
        else replace(new, start=state.start, anew=state.anew, peak=new.peak or state.peak)
    )
    return new, [Change(change=kind, level=after, time=time, bound=value, state=told)]


def _peak(rule: Laddered, peak: Point | None, point: Point) -> Point | None:
    """The worse of the two; the earlier where they are equal. A doubted one is none."""
    if point.doubts:
        return peak
    if peak is None:
        return point
    worse = point.value > peak.value if rule.direction == "above" else point.value < peak.value
    return point if worse else peak
