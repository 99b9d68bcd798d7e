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
"""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from msgspec import Struct

from alerts.model import AwareTime, Observation, Source
from alerts.rules.kinds import Bound, LadderRule, matches


class Rung(Struct, frozen=True, array_like=True):
    """State of one level: when and by which event it became pending; `on` once the hold was complete."""

    since: AwareTime
    event: str
    on: bool


class LadderState(Struct, frozen=True, omit_defaults=True):
    """State of one rule for one source."""

    #: One for each level, mildest first; None where it is off.
    rungs: tuple[Rung | None, ...]
    #: The last observation that was judged.
    value: float
    observed: AwareTime
    event: str
    #: The event that began the present condition, and its time; empty while no rung is on.
    start_event: str = ""
    start_time: AwareTime | None = None
    #: How many changes there have been: numbers them.
    changes: int = 0

    @property
    def at(self) -> int | None:
        """Index of the worst level that is on; None where none is."""
        return worst(self.rungs)


class Change(Struct, frozen=True, kw_only=True):
    """The ladder moved. `level` is the index of the level it stands at now, None where it was left."""

    change: Literal["began", "changed", "ended"]
    level: int | None
    time: datetime
    #: Level whose bound was crossed, and the bound's value.
    bound: float
    #: The ladder after it.
    state: LadderState


def worst(rungs: tuple[Rung | None, ...]) -> int | None:
    """Index of the worst rung that is on; None where none is."""
    return max((index for index, rung in enumerate(rungs) if rung is not None and rung.on), default=None)


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


def applies(rule: LadderRule, observation: Observation) -> bool:
    """Whether the rule judges this observation: its measure is there and its `where` holds."""
    return rule.measure in observation.measures and matches(rule.where, observation.fields)


def observe(
    rule: LadderRule, source: Source | None, state: LadderState | None, observation: Observation
) -> tuple[LadderState, list[Change]]:
    """Judge one observation that `applies`, not older than the one before it.

    `source` is the inventory's entry, None for a source it does not know. Returns the new state and the changes,
    in order; the first of them may be holds that fell due at or before the observation.
    """
    value, time = observation.measures[rule.measure], observation.time
    if state is None:
        state = LadderState(
            rungs=(None,) * len(rule.levels), value=value, observed=time, event=observation.event
        )
    state, changes = pass_time(rule, source, state, time)
    rungs = tuple(
        _step(rule, source, index, rung, observation, value) for index, rung in enumerate(state.rungs)
    )
    moved, change = _move(
        rule, source, state, rungs, time, value=value, observed=time, event=observation.event
    )
    return moved, [*changes, *change]


def pass_time(
    rule: LadderRule, source: Source | None, state: LadderState, now: datetime
) -> tuple[LadderState, list[Change]]:
    """Complete the holds that are due at or before `now`, each at the moment when it was due."""
    changes: list[Change] = []
    while (due := next_due(rule, state)) is not None and due <= now:
        rungs = tuple(
            Rung(rung.since, rung.event, True) if rung is not None and rung.since + rule.hold <= due else rung
            for rung in state.rungs
        )
        state, change = _move(
            rule, source, state, rungs, due, value=state.value, observed=state.observed, event=state.event
        )
        changes += change
    return state, changes


def next_due(rule: LadderRule, state: LadderState) -> datetime | None:
    """When the next pending hold completes; None where none is pending."""
    return min(
        (rung.since + rule.hold for rung in state.rungs if rung is not None and not rung.on), default=None
    )


def _step(
    rule: LadderRule,
    source: Source | None,
    index: int,
    rung: Rung | None,
    observation: Observation,
    value: float,
) -> Rung | None:
    level, time = rule.levels[index], observation.time
    raise_at, clear_at = bound_value(level.raise_at, source, time), bound_value(level.clear_at, source, time)
    if raise_at is None or clear_at is None:
        return None  # the source has no such threshold (any more): this level is not judged
    reached = value >= raise_at if rule.direction == "above" else value <= raise_at
    left = value < clear_at if rule.direction == "above" else value > clear_at
    if rung is None:
        return Rung(time, observation.event, not rule.hold) if reached else None
    if rung.on:
        return None if left else rung
    return rung if reached else None


def _move(
    rule: LadderRule,
    source: Source | None,
    state: LadderState,
    rungs: tuple[Rung | None, ...],
    time: datetime,
    *,
    value: float,
    observed: datetime,
    event: str,
) -> tuple[LadderState, list[Change]]:
    """The state with these rungs, and the change that this is, if it is one."""
    before, after = state.at, worst(rungs)
    start_event, start_time = state.start_event, state.start_time
    if after is None:
        start_event, start_time = "", None
    elif before is None:
        first = min((rung for rung in rungs if rung is not None and rung.on), key=lambda rung: rung.since)
        start_event, start_time = first.event, first.since
    moved = before != after
    new = LadderState(
        rungs=rungs,
        value=value,
        observed=observed,
        event=event,
        start_event=start_event,
        start_time=start_time,
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
    bound = bound_value(level.raise_at if up else level.clear_at, source, observed)
    # A threshold that has lapsed has no value any more: the observation then stands for it.
    change = Change(change=kind, level=after, time=time, bound=value if bound is None else bound, state=new)
    if kind == "ended":
        # The end still names what it ends.
        ended = LadderState(
            rungs=new.rungs,
            value=new.value,
            observed=new.observed,
            event=new.event,
            start_event=state.start_event,
            start_time=state.start_time,
            changes=new.changes,
        )
        change = Change(change=kind, level=None, time=time, bound=change.bound, state=ended)
    return new, [change]
