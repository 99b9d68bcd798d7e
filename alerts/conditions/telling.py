"""What is told of a condition of one source: changes made into signals.

The signals come without number, order and append time: whoever writes them to a log knows these.
"""

from __future__ import annotations

from datetime import datetime

from alerts.conditions.ladder import Change, Laddered, LadderState, Point
from alerts.conditions.silence import Change as Fallen
from alerts.conditions.silence import Heard
from alerts.conditions.subject import Subject
from alerts.model import Evidence, Source
from alerts.rules.kinds import SilenceRule
from alerts.signals import Signal

#: At most so many observations go with a signal.
EVIDENCE = 5

#: What silence measures, and its unit.
SILENCE, SECONDS = "silent_s", "s"


def laddered(
    stream: str, subject: Subject, rule: Laddered, change: Change, *, reason: str = "", successor: str = ""
) -> Signal:
    """The signal of a ladder that moved, or was ended for a reason."""
    held, state = change.state, subject.state
    level = None if change.level is None else rule.levels[change.level]
    return Signal(
        rule=rule.id,
        rule_version=rule.version,
        subject=subject.id,
        subject_name=subject.name,
        change=change.change,
        severity=level.severity if level else None,
        label=level.label if level else {},
        certainty=level.certainty if level else "observed",
        hazard=rule.hazard,
        title=rule.title,
        measure=rule.measure,
        unit=rule.unit,
        time=change.time,
        order=change.time,
        number=0,
        start_event=held.start_event,
        start_time=held.start_time or change.time,
        value=held.value,
        observed=held.observed,
        event=held.event,
        # 1.8 - 0.05 is not 1.75 in binary; nine decimals are finer than any bound.
        bound=round(change.bound, 9),
        peak=change.peak,
        peaked=change.peaked,
        where=state.where,
        doubts=held.doubts,
        evidence=_evidence(stream, subject.id, held),
        reason=reason,
        successor=successor,
        citation=_citation(rule, subject.source, change.level),
        simulated=state.simulated,
        run=state.run,
    )


def silent(
    stream: str,
    subject: Subject,
    rule: SilenceRule,
    change: Fallen,
    *,
    by: Heard | None = None,
    reason: str = "",
    successor: str = "",
) -> Signal:
    """The signal of a source that fell silent, or is silent no more: `by` which event, or for which reason."""
    heard, state = change.heard, subject.state
    level = None if change.level is None else rule.levels[change.level]
    signs = [heard] if state.time is not None else []
    return Signal(
        rule=rule.id,
        rule_version=rule.version,
        subject=subject.id,
        subject_name=subject.name,
        change=change.change,
        severity=level.severity if level else None,
        label=level.label if level else {},
        hazard=rule.hazard,
        title=rule.title,
        measure=SILENCE,
        unit=SECONDS,
        time=change.time,
        order=change.time,
        number=0,
        start_event=change.start_event,
        start_time=heard.time,
        value=(change.time - heard.time).total_seconds(),
        observed=(by or heard).time,
        event=(by or heard).event,
        bound=change.bound,
        where=state.where,
        evidence=[
            Evidence(stream=stream, source=subject.id, event=sign.event, time=sign.time)
            for sign in [*signs, *([by] if by else [])]
        ],
        reason=reason,
        successor=successor,
        citation=rule.citation,
        simulated=state.simulated,
        run=state.run,
    )


def _evidence(stream: str, source: str, held: LadderState) -> list[Evidence]:
    """What began it, what was last, the worst, and what each level began with; in the order of time."""
    points: list[Point | None] = [held.start, held.last, held.peak]
    points += [rung.point for rung in reversed(held.rungs) if rung is not None and rung.on]
    kept: dict[tuple[str, datetime], Point] = {}
    for point in points:
        if point is not None and len(kept) < EVIDENCE:
            kept.setdefault((point.event, point.time), point)
    return [
        Evidence(
            stream=stream,
            source=source,
            event=point.event,
            time=point.time,
            value=point.value,
            doubts=point.doubts,
        )
        for point in sorted(kept.values(), key=lambda point: (point.time, point.event))
    ]


def _citation(rule: Laddered, source: Source | None, level: int | None) -> str:
    """Where the level's threshold comes from: the source's own entry, else the rule's."""
    if level is not None and source is not None:
        name = rule.levels[level].raise_at.threshold
        for threshold in source.thresholds:
            if threshold.name == name and threshold.citation:
                return threshold.citation
    return rule.citation
