"""Silence: a source of the inventory that has not been heard for too long, or never was.

A level is reached when its time has passed since the source was last heard (since it was listed, where it never
was); a clock record at or behind that moment makes it so, stamped with the moment. It ends with the next event of the
source that is judged. Nothing else ends it.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from msgspec import Struct

from alerts.model import AwareTime, Source
from alerts.rules.kinds import SilenceLevel, SilenceRule

#: What stands in the place of the last event's id, before the hash of the configuration that listed the source first.
NEVER_HEARD = "inventory@"


class Heard(Struct, frozen=True):
    """The last sign of a source: its last event, or that the inventory listed it."""

    event: str
    time: AwareTime


class SilenceState(Struct, frozen=True, array_like=True):
    """State of one rule for one source that is silent, or was when the rule last changed."""

    #: Index of the level that is reached; None where the silence was ended, but not by an event.
    level: int | None
    #: When that became so.
    time: AwareTime
    #: Put behind the id of the last event where the condition began anew without another.
    anew: str = ""


class Change(Struct, frozen=True, kw_only=True):
    """The source fell silent, stayed so for longer, or was heard."""

    change: Literal["began", "changed", "ended"]
    level: int | None
    time: datetime
    #: Seconds of the level that was reached, or left.
    bound: float
    #: What was heard last before it fell silent.
    heard: Heard
    state: SilenceState

    @property
    def start_event(self) -> str:
        """What the condition's identity follows from."""
        return self.heard.event + self.state.anew


def applies(rule: SilenceRule, source: Source | None) -> bool:
    """Whether the rule judges a source: one of the inventory, of its stream and kinds."""
    return (
        source is not None and source.stream == rule.stream and (not rule.kinds or source.kind in rule.kinds)
    )


def seconds_of(level: SilenceLevel, source: Source) -> float | None:
    """How long a source must be silent for a level; None where that takes an interval that is not known."""
    if level.after is not None:
        return level.after.total_seconds()
    if level.intervals is None or source.interval is None:
        return None
    return level.intervals * source.interval


def next_due(
    rule: SilenceRule, source: Source, heard: Heard, state: SilenceState | None, since: datetime
) -> datetime | None:
    """When the next level is reached if the source stays silent; None where none is left.

    Not before `since`, when the configuration began to hold: what a new rule finds begins with it.
    """
    at = -1 if state is None or state.level is None else state.level
    due = min(
        (seconds for level in rule.levels[at + 1 :] if (seconds := seconds_of(level, source)) is not None),
        default=None,
    )
    return None if due is None else max(heard.time + timedelta(seconds=due), since)


def pass_time(
    rule: SilenceRule,
    source: Source,
    heard: Heard,
    state: SilenceState | None,
    since: datetime,
    now: datetime,
) -> tuple[SilenceState | None, list[Change]]:
    """Reach the levels that are due at or before `now`, each at its moment; of several at one moment the worst."""
    changes: list[Change] = []
    while (due := next_due(rule, source, heard, state, since)) is not None and due <= now:
        reached = [
            (index, seconds)
            for index, level in enumerate(rule.levels)
            if (seconds := seconds_of(level, source)) is not None
            and heard.time + timedelta(seconds=seconds) <= due
        ]
        index, seconds = reached[-1]
        began = state is None or state.level is None
        state = SilenceState(index, due, state.anew if state else "")
        changes.append(
            Change(
                change="began" if began else "changed",
                level=index,
                time=due,
                bound=seconds,
                heard=heard,
                state=state,
            )
        )
    return state, changes


def end(
    rule: SilenceRule, source: Source | None, heard: Heard, state: SilenceState, time: datetime
) -> Change | None:
    """The end of a silence at `time`, never before its last change; None where it was ended already."""
    if state.level is None:
        return None
    seconds = None if source is None else seconds_of(rule.levels[state.level], source)
    return Change(
        change="ended",
        level=None,
        time=max(time, state.time),
        bound=0.0 if seconds is None else seconds,
        heard=heard,
        state=state,
    )
