"""What a cluster's condition tells: that it began, changed or ended, as signals."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from alerts.conditions.cluster import Cluster, ClusterRule, Condition, Member, by_time, evidence, value
from alerts.conditions.ladder import bound_value
from alerts.model import Text, Where
from alerts.rules.kinds import CountRule
from alerts.signals import Signal


class Cause(Struct, frozen=True):
    """Why a cluster is judged again."""

    order: datetime
    #: Why it became less, where that was not the end of what an input measures.
    reason: str = ""
    successor: str = ""
    appended_ms: int = 0


def stands(
    rule: ClusterRule,
    cluster: Cluster,
    conditions: Sequence[tuple[Condition, str]],
    at: int,
    before: int | None,
    cause: Cause,
) -> tuple[Cluster, Signal | None]:
    """A level is on, `at`, and `before` it another or None: a signal where people must know of something new.

    That is the beginning, another level, or a commune that it had not reached before; not each event that is added.
    `conditions` are those that have joined, each with its input.
    """
    count, told, level = value(rule, cluster), cluster.told, rule.levels[at]
    if told is None:
        witnesses = sorted(
            [*cluster.members, *(condition.as_member(name) for condition, name in conditions)], key=by_time
        )
        reached = tuple(sorted({witness.commune for witness in witnesses} - {""}))
        cluster = replace(cluster, peak=count, peaked=cluster.latest, communes=reached, lapsed={})
        start = _start(witnesses[0])
    else:
        start = told.subject, told.start_event, told.start_time
        if count > cluster.peak:
            cluster = replace(cluster, peak=count, peaked=cluster.latest)
    communes = list(cluster.communes) if list(cluster.communes) != [cluster.where.commune] else []
    if told is not None and (told.severity, told.label, told.certainty, told.communes) == (
        level.severity,
        level.label,
        level.certainty,
        communes,
    ):
        return cluster, None
    # Going down, the bound that was crossed is that of the level that was left; else the present level's.
    left = rule.levels[before] if before is not None and before > at else None
    bound = bound_value(left.clear_at if left else level.raise_at, None, cluster.latest)
    signal = Signal(
        rule=rule.id,
        rule_version=rule.version,
        subject=start[0],
        subject_name=_name(cluster.where),
        change="began" if told is None else "changed",
        severity=level.severity,
        label=level.label,
        certainty=level.certainty,
        hazard=rule.hazard,
        title=rule.title,
        measure="events" if isinstance(rule, CountRule) else "inputs",
        unit="",
        time=cluster.latest,
        order=cause.order,
        number=cluster.number + 1,
        start_event=start[1],
        start_time=start[2],
        value=count,
        observed=cluster.observed,
        event=cluster.event,
        bound=count if bound is None else bound,
        peak=cluster.peak,
        peaked=cluster.peaked,
        where=cluster.where,
        communes=communes,
        evidence=evidence(cluster.members, (condition for condition, _ in conditions)),
        citation=rule.citation,
        simulated=cluster.simulated,
        run=cluster.run,
        appended_ms=cause.appended_ms,
    )
    return replace(cluster, told=signal, number=signal.number), signal


def left(
    rule: ClusterRule, cluster: Cluster, told: Signal, before: int, cause: Cause
) -> tuple[Cluster, Signal]:
    """The lowest level was left, from `before`; `told` is the last signal, whose evidence and communes stand."""
    count, bound = value(rule, cluster), bound_value(rule.levels[before].clear_at, None, cluster.latest)
    signal = replace(
        _ended(cluster, told, cause),
        value=count,
        observed=cluster.observed,
        event=cluster.event,
        bound=count if bound is None else bound,
        reason=cause.reason or next(iter(cluster.lapsed.values()), ""),
    )
    return replace(
        cluster, told=None, number=signal.number, peak=0.0, peaked=None, communes=(), lapsed={}
    ), signal


def stopped(cluster: Cluster, now: datetime, reason: str) -> list[Signal]:
    """The end of a cluster's condition, where one is open, for a reason of its rule's."""
    if cluster.told is None:
        return []
    return [_ended(replace(cluster, latest=max(cluster.latest, now)), cluster.told, Cause(now, reason))]


def _ended(cluster: Cluster, told: Signal, cause: Cause) -> Signal:
    return replace(
        told,
        change="ended",
        severity=None,
        label={},
        time=cluster.latest,
        order=cause.order,
        number=cluster.number + 1,
        peak=cluster.peak,
        peaked=cluster.peaked,
        reason=cause.reason,
        successor=cause.successor,
        appended_ms=cause.appended_ms,
    )


def _start(first: Member) -> tuple[str, str, datetime]:
    """Subject, start event and start time that follow from the first witness."""
    return "/".join(first.id), first.event, first.time


def _name(where: Where) -> Text:
    """The cluster's name for people: its commune, or its point where it lies in none."""
    name = where.commune_name or f"{where.lat:.5f}, {where.lon:.5f}"
    return {"vi": name, "en": name}
