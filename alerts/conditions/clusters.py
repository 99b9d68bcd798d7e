"""Counts and fusions: conditions over many sources near one place.

An event, or an open condition of a source, joins the oldest cluster of the rule whose anchor lies within the radius;
where there is none it is the anchor of a new one. A cluster lives while anything is left in it: an event stays for
the rule's window after its own time, a condition for as long as it is open. What comes so late that it has left the
window already joins nothing.

The value is the number of events, each (stream, source, event) once; for a fusion the number of different inputs.
An event stands for the first input that it matches: one witness never agrees with itself. A level is reached when the
value is at or beyond `raise_at` and left when it is short of `clear_at`. A condition that was left because events
went out of the window ends as `expired`, for the absence of reports is no all-clear. Only where every input that a
fusion lost was cleared by what it measures has the fusion itself cleared.

What is simulated clusters apart from what is real, and each replay's run by itself: an exercise neither raises nor
changes an alert that agencies take for real.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime

import msgspec
from msgspec.structs import replace

from alerts.agenda import Agenda
from alerts.conditions import cluster_telling as telling
from alerts.conditions.cluster import (
    Cluster,
    ClusterRule,
    Condition,
    Identity,
    Joined,
    Member,
    due,
    inputs,
    levels_on,
    value,
    with_member,
    without_expired,
)
from alerts.conditions.cluster_telling import Cause
from alerts.conditions.nearby import Nearby
from alerts.model import Evidence, Where
from alerts.rules.kinds import (
    CountRule,
    FusionRule,
    LadderRule,
    RateRule,
    Rule,
    Selector,
    SilenceRule,
    matches,
)
from alerts.signals import Occurrence, Signal
from alerts.state import Table, Tables

#: Key of the one record of the table that numbers clusters.
_LAST = "last"


class Clusters:
    """All clusters of one province. Calls come in the order of time."""

    def __init__(self, tables: Tables) -> None:
        #: By number, so that the oldest comes first.
        self.clusters: Table[Cluster] = tables.table("cluster", Cluster)
        #: Open conditions of sources, also those that no fusion asks for yet.
        self.conditions: Table[Condition] = tables.table("condition", Condition)
        self._numbers: Table[int] = tables.table("cluster-number", int)
        #: Rules by id: those judged here in the order of their ids, and the stream of those about one source.
        self._rules: dict[str, ClusterRule] = {}
        self._streams: dict[str, str] = {}
        self._shapes: dict[str, str] = {}
        # What follows from the tables and the rules.
        self._near: dict[str, Nearby] = {}
        self._events: dict[str, set[Identity]] = {}
        #: Clusters that a condition has joined, by fusion.
        self._joined: dict[str, dict[str, str]] = {}
        #: When the next event of each cluster leaves the window.
        self._agenda = Agenda()

    # Rules

    def configure(self, rules: Sequence[Rule], now: datetime) -> list[Signal]:
        """Take other rules. Also called after a restore, with those that held before: then nothing comes of it.

        Conditions end as `rule-removed` with their rule, and as `rule-changed` where what it counts has changed;
        other bounds are judged by at once. A fusion takes conditions that are open already.
        """
        judged = (rule for rule in rules if isinstance(rule, CountRule | FusionRule))
        self._rules = {rule.id: rule for rule in sorted(judged, key=lambda rule: rule.id)}
        self._shapes = {rule.id: _shape(rule) for rule in self._rules.values()}
        self._streams = {
            rule.id: rule.stream for rule in rules if isinstance(rule, LadderRule | RateRule | SilenceRule)
        }
        self._index()
        signals: list[Signal] = []
        for key, cluster in self.clusters.items():
            rule = self._rules.get(cluster.rule)
            if rule is None or cluster.shape != self._shapes[rule.id]:
                signals += telling.stopped(cluster, now, "rule-removed" if rule is None else "rule-changed")
                self._drop(key, cluster)
            elif cluster.version != rule.version:
                cause = Cause(now, "rule-changed")
                signals += self._settle(key, rule, replace(cluster, latest=max(cluster.latest, now)), cause)
        for condition in self.conditions.values():
            if condition.rule not in self._streams:
                signals += self._end(condition, now, Cause(now, "rule-removed"))
        for condition in sorted(self.conditions.values(), key=lambda one: (one.time, one.key)):
            signals += self._join(condition, now, Cause(now))
        return signals

    def _index(self) -> None:
        self._near = {rule.id: Nearby(rule.radius_m) for rule in self._rules.values()}
        self._events, self._joined, self._agenda = {}, {}, Agenda()
        for key, cluster in self.clusters.items():
            if cluster.rule in self._near:
                self._place(key, cluster)
            self._events[key] = {member.id for member in cluster.members}
            for joined in cluster.conditions:
                self._joined.setdefault(joined.condition, {})[cluster.rule] = key
            self._note_due(key, cluster)

    # Time

    def next_due(self) -> datetime | None:
        """When the next event leaves its window; None where there is none."""
        return self._agenda.next()

    def pass_time(self, due: datetime) -> list[Signal]:
        """Let the events go that leave their window at `due`, which `next_due` named."""
        signals: list[Signal] = []
        for key in sorted(self._agenda.take(due)):
            cluster = self.clusters[key]
            rule = self._rules[cluster.rule]
            less = without_expired(cluster, rule.window, due)
            self._events[key] = {member.id for member in less.members}
            lapsed = dict.fromkeys(inputs(cluster) - inputs(less), "expired")
            less = replace(
                less, latest=max(cluster.latest, due), lapsed=dict(sorted((cluster.lapsed | lapsed).items()))
            )
            signals += self._settle(key, rule, less, Cause(due, "expired"))
        return signals

    # Events and conditions

    def occurrence(self, occurrence: Occurrence) -> list[Signal]:
        """Take an event. One without a point, or one that has left the window already, counts nowhere."""
        signals: list[Signal] = []
        for rule in self._rules.values():
            name = _input_of(rule, occurrence)
            if name is None or occurrence.time + rule.window <= occurrence.order:
                continue
            member = Member(
                occurrence.time,
                occurrence.stream,
                occurrence.source,
                occurrence.event,
                name,
                occurrence.where.commune or "",
            )
            found = self._cluster_at(
                rule, occurrence.where, occurrence.simulated, occurrence.run, member.time, member.event
            )
            if found is None or member.id in self._events[found[0]]:
                continue
            key, cluster = found
            grown, not_kept = with_member(cluster, member)
            self._events[key].add(member.id)
            if not_kept is not None:
                self._events[key].discard(not_kept.id)
            cluster = replace(
                grown,
                event=member.event,
                observed=member.time,
                latest=max(cluster.latest, member.time),
                communes=_grown(grown, member.commune),
                lapsed=_regained(grown, name),
            )
            cause = Cause(occurrence.order, appended_ms=occurrence.appended_ms)
            signals += self._settle(key, rule, cluster, cause)
        return signals

    def signal(self, signal: Signal) -> list[Signal]:
        """Take a signal of a rule about one source, which may be an input of a fusion; others are passed over."""
        if signal.rule not in self._streams:
            return []
        cause = Cause(signal.order, signal.reason, signal.successor, signal.appended_ms)
        before = self.conditions.get(f"{signal.rule}|{signal.subject}")
        if signal.severity is None:
            return self._end(before, signal.time, cause) if before is not None else []
        condition = _condition(signal, self._streams[signal.rule])
        signals: list[Signal] = []
        if before is not None and _place_of(before) != _place_of(condition):
            # It is elsewhere now, or of another run: there it has not been cleared.
            signals += self._end(before, signal.time, replace(cause, reason="expired"))
        self.conditions[condition.key] = condition
        return signals + self._join(condition, signal.time, cause)

    def _join(self, condition: Condition, time: datetime, cause: Cause) -> list[Signal]:
        """Let an open condition count in the fusions that ask for it and do not have it yet."""
        signals: list[Signal] = []
        joined = self._joined.setdefault(condition.key, {})
        for rule in self._rules.values():
            name = _input_for(rule, condition.rule)
            if name is None or rule.id in joined:
                continue
            found = self._cluster_at(
                rule, condition.where, condition.simulated, condition.run, time, condition.event
            )
            if found is None:
                continue
            key, cluster = found
            joined[rule.id] = key
            cluster = replace(
                cluster,
                conditions=tuple(
                    sorted(
                        (*cluster.conditions, Joined(condition.key, name)),
                        key=lambda one: (one.condition, one.input),
                    )
                ),
                event=condition.latest.event,
                observed=condition.latest.time,
                latest=max(cluster.latest, time),
                communes=_grown(cluster, condition.where.commune or ""),
                lapsed=_regained(cluster, name),
            )
            signals += self._settle(key, rule, cluster, cause)
        return signals

    def _end(self, condition: Condition, time: datetime, cause: Cause) -> list[Signal]:
        """Forget a condition, and let it count nowhere any more."""
        signals: list[Signal] = []
        joined = self._joined.pop(condition.key, {})
        for rule_id in sorted(joined):
            key = joined[rule_id]
            cluster, rule = self.clusters[key], self._rules[rule_id]
            less = replace(
                cluster,
                conditions=tuple(one for one in cluster.conditions if one.condition != condition.key),
                latest=max(cluster.latest, time),
            )
            if cause.reason:
                lapsed = dict.fromkeys(inputs(cluster) - inputs(less), cause.reason)
                less = replace(less, lapsed=dict(sorted((cluster.lapsed | lapsed).items())))
            signals += self._settle(key, rule, less, cause)
        self.conditions.pop(condition.key)
        return signals

    # Clusters

    def _cluster_at(
        self, rule: ClusterRule, where: Where, simulated: bool, run: str, time: datetime, event: str
    ) -> tuple[str, Cluster] | None:
        """The oldest cluster at a place, or a new one; None where the place is not known."""
        if where.lon is None or where.lat is None:
            return None
        for key in self._near[rule.id].find(where.lon, where.lat):
            cluster = self.clusters[key]
            if cluster.simulated == simulated and cluster.run == run:
                return key, cluster
        number = (self._numbers.get(_LAST) or 0) + 1
        self._numbers[_LAST] = number
        key = f"{number:012}"
        cluster = Cluster(
            rule=rule.id,
            version=rule.version,
            shape=self._shapes[rule.id],
            where=where,
            on=(False,) * len(rule.levels),
            event=event,
            observed=time,
            latest=time,
            simulated=simulated,
            run=run,
        )
        self._events[key] = set()
        self._place(key, cluster)
        return key, cluster

    def _place(self, key: str, cluster: Cluster) -> None:
        where = cluster.where
        assert where.lon is not None
        assert where.lat is not None
        self._near[cluster.rule].add(key, where.lon, where.lat)

    def _drop(self, key: str, cluster: Cluster) -> None:
        self.clusters.pop(key)
        if cluster.rule in self._rules:
            self._near[cluster.rule].remove(key)
        self._events.pop(key)
        self._agenda.set(key, None)
        for joined in cluster.conditions:
            self._joined.get(joined.condition, {}).pop(cluster.rule, None)

    def _note_due(self, key: str, cluster: Cluster) -> None:
        rule = self._rules.get(cluster.rule)
        self._agenda.set(key, due(cluster, rule.window) if rule is not None else None)

    def _settle(self, key: str, rule: ClusterRule, cluster: Cluster, cause: Cause) -> list[Signal]:
        """Judge a cluster and put it back, or forget it where nothing is left in it."""
        on = levels_on(rule.levels, cluster.on, value(rule, cluster), cluster.latest)
        if not cluster.alive:
            on = (False,) * len(on)
        new = replace(cluster, on=on, version=rule.version)
        signal: Signal | None = None
        if new.at is not None:
            conditions = [(self.conditions[joined.condition], joined.input) for joined in new.conditions]
            new, signal = telling.stands(rule, new, conditions, new.at, cluster.at, cause)
        elif cluster.told is not None:
            assert cluster.at is not None
            new, signal = telling.left(rule, new, cluster.told, cluster.at, cause)
        if new.alive:
            self.clusters[key] = new
            self._note_due(key, new)
        else:
            self._drop(key, new)
        return [signal] if signal is not None else []


def _shape(rule: ClusterRule) -> str:
    """What of a rule a cluster's members depend on: where it changes, what was counted says nothing any more."""
    selected = rule.of if isinstance(rule, CountRule) else rule.inputs
    content = msgspec.json.encode(
        [type(rule).__name__, rule.radius_m, rule.window, selected, len(rule.levels)], order="deterministic"
    )
    return hashlib.sha256(content).hexdigest()[:12]


def _input_of(rule: ClusterRule, occurrence: Occurrence) -> str | None:
    """Name of the first input that an event stands for, "" in a count; None where it is none."""
    if isinstance(rule, CountRule):
        return "" if _selects(rule.of, occurrence) else None
    names = (one.name for one in rule.inputs if one.of is not None and _selects(one.of, occurrence))
    return next(names, None)


def _input_for(rule: ClusterRule, source_rule: str) -> str | None:
    """Name of the first input that a condition stands for; None where it is none."""
    if isinstance(rule, CountRule):
        return None
    return next((one.name for one in rule.inputs if one.rule == source_rule), None)


def _selects(selector: Selector, occurrence: Occurrence) -> bool:
    return selector.stream == occurrence.stream and matches(selector.where, occurrence.fields)


def _condition(signal: Signal, stream: str) -> Condition:
    latest = Evidence(
        stream=stream,
        source=signal.subject,
        event=signal.event,
        time=signal.observed,
        value=signal.value,
        doubts=signal.doubts,
    )
    return Condition(
        rule=signal.rule,
        subject=signal.subject,
        stream=stream,
        event=signal.start_event,
        time=signal.start_time,
        where=signal.where,
        latest=latest,
        simulated=signal.simulated,
        run=signal.run,
    )


def _place_of(condition: Condition) -> tuple[object, ...]:
    return condition.where.lon, condition.where.lat, condition.simulated, condition.run


def _grown(cluster: Cluster, commune: str) -> tuple[str, ...]:
    """The communes of an open condition with one more."""
    if cluster.told is None or not commune or commune in cluster.communes:
        return cluster.communes
    return tuple(sorted((*cluster.communes, commune)))


def _regained(cluster: Cluster, name: str) -> dict[str, str]:
    """Inputs that were lost, without one that is back."""
    return {lost: reason for lost, reason in cluster.lapsed.items() if lost != name}
