"""Rules about a whole commune: what its sources say together, minute by minute.

Each raw partition tells the sums of one minute with the same `order`. Since they come one by one, the minute is
judged one microsecond after it, when all of them are in. Sums of a minute that was judged already change nothing.

The value is that of the window that ends with the minute: the mean over all its source-minutes, or the share of those
at or beyond the rule's `beyond`. The ladder judges it at the minute's end. Where no minute of the window has at least
`least_sources` sources the minute is not judged, nor is one without sums: no level is reached or left, and no hold is
broken. Missing data changes nothing, also not that a hold completes when it is due, as in every ladder.

That a hold completed is told once no minute that could break it can come any more: after the commune's next minute,
or `LATEST` after it was due. Its time is when it was due.

A rule judges minutes that began under it. What is simulated, and each replay's run, is judged by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from math import fsum

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from alerts.agenda import Agenda
from alerts.conditions import ladder
from alerts.conditions.ladder import Change, LadderState
from alerts.model import AwareTime, Evidence, Observation, Where
from alerts.rules.kinds import CommuneRule, LadderRule, Rule
from alerts.signals import Signal, Sums
from alerts.state import Table, Tables

MINUTE = timedelta(minutes=1)
#: From the order of a minute's sums to its judgement.
AFTER_ITS_SUMS = timedelta(microseconds=1)
#: The sums of a minute are told a minute after its end, at the next clock record: by then, unless clock records are
#: missing for longer than a minute.
LATEST = 2 * MINUTE + AFTER_ITS_SUMS
#: So many minutes are told as evidence.
TOLD = 10
#: What the subject of a simulated condition ends with: an exercise in a commune ends no real alert there.
SIMULATED = "/simulated"
#: Key of the one record of the communes that there are.
_PRESENT = "present"


class Part(Struct, frozen=True, array_like=True):
    """What one raw partition told of a minute."""

    partition: str
    sources: int
    total: float
    beyond: int


class Told(Struct, frozen=True, kw_only=True):
    """A minute that is still to be judged."""

    minute: AwareTime
    order: AwareTime
    where: Where
    #: In the order of the partitions, so that the sum does not depend on which came first.
    parts: tuple[Part, ...]
    appended_ms: int = 0


class Minute(Struct, frozen=True, array_like=True):
    """What all partitions told of a minute."""

    minute: AwareTime
    sources: int
    total: float
    beyond: int


class CommuneState(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """State of one rule for one commune."""

    rule: str
    commune: str
    where: Where
    simulated: bool = False
    run: str = ""
    #: Minutes to be judged, and those of the window that were, each in order.
    waiting: tuple[Told, ...] = ()
    minutes: tuple[Minute, ...] = ()
    ladder: LadderState | None = None
    #: The time up to which the ladder was judged.
    reached: AwareTime | None = None
    #: The last signal, while a level is on.
    told: Signal | None = None


class InForce(Struct, frozen=True):
    """Since when a rule judges, and what of it must not change under what was summed."""

    shape: str
    since: AwareTime


class CommuneMeans:
    """Rules about the communes of one province. Calls come in the order of time."""

    def __init__(self, tables: Tables) -> None:
        self.communes: Table[CommuneState] = tables.table("commune", CommuneState)
        self._in_force: Table[InForce] = tables.table("commune-rule", InForce)
        self._present: Table[tuple[str, ...]] = tables.table("commune-codes", tuple[str, ...])
        self._rules: dict[str, CommuneRule] = {}
        self._ladders: dict[str, LadderRule] = {}
        self._codes: frozenset[str] | None = None
        #: When a minute is to be judged or a hold to be told, by key of the state.
        self._agenda = Agenda()

    # Rules

    def configure(self, rules: Sequence[Rule], now: datetime) -> list[Signal]:
        """Take other rules. Also called after a restore, with those that held before: then nothing comes of it.

        Conditions end as `rule-removed` with their rule, and as `rule-changed` where what it sums has changed.
        Other bounds are judged by from the next minute on.
        """
        self._rules = {rule.id: rule for rule in rules if isinstance(rule, CommuneRule)}
        self._ladders = {rule.id: _ladder_rule(rule) for rule in self._rules.values()}
        signals: list[Signal] = []
        for rule_id, before in self._in_force.items():
            rule = self._rules.get(rule_id)
            if rule is None:
                self._in_force.pop(rule_id)
                signals += self._stop(rule_id, now, "rule-removed")
            elif before.shape != _shape(rule):
                self._in_force.pop(rule_id)
                signals += self._stop(rule_id, now, "rule-changed")
        for rule_id, rule in sorted(self._rules.items()):
            if rule_id not in self._in_force:
                self._in_force[rule_id] = InForce(_shape(rule), now)
        codes = self._present.get(_PRESENT)
        self._codes = None if codes is None else frozenset(codes)
        self._agenda = Agenda()
        for key, state in self.communes.items():
            self._note_due(key, state)
        return signals

    def keep_communes(self, communes: frozenset[str], now: datetime) -> list[Signal]:
        """Take the codes of the communes that there are from now on; conditions of others end as `boundary-changed`.

        Until it is first called every commune is judged.
        """
        if communes == self._codes:
            return []
        self._codes = communes
        self._present[_PRESENT] = tuple(sorted(communes))
        signals: list[Signal] = []
        for key, state in self.communes.items():
            if state.commune not in communes:
                signals += self._forget(key, state, now, "boundary-changed")
        return signals

    def _stop(self, rule_id: str, now: datetime, reason: str) -> list[Signal]:
        signals: list[Signal] = []
        for key, state in self.communes.items():
            if state.rule == rule_id:
                signals += self._forget(key, state, now, reason)
        return signals

    def _forget(self, key: str, state: CommuneState, now: datetime, reason: str) -> list[Signal]:
        """Drop a state; returns the end of its condition, where one is open."""
        self.communes.pop(key)
        self._agenda.set(key, None)
        if state.told is None:
            return []
        return [
            replace(
                state.told,
                change="ended",
                severity=None,
                label={},
                time=now,
                order=now,
                number=state.told.number + 1,
                reason=reason,
                appended_ms=0,
            )
        ]

    # Sums and time

    def sums(self, sums: Sums) -> None:
        """Take the sums of one partition and minute; the same sent twice counts once."""
        commune, in_force = sums.where.commune, self._in_force.get(sums.rule)
        if commune is None or in_force is None or sums.minute < in_force.since:
            return
        if self._codes is not None and commune not in self._codes:
            return
        # A replay that begins again goes on where it was: its runs are one time.
        key = f"{sums.rule}|{commune}|{int(sums.simulated)}"
        state = self.communes.get(key) or CommuneState(
            rule=sums.rule, commune=commune, where=sums.where, simulated=sums.simulated, run=sums.run
        )
        if state.minutes and sums.minute <= state.minutes[-1].minute:
            return  # it was judged already
        state = replace(state, waiting=_with(state.waiting, sums), run=sums.run)
        self.communes[key] = state
        self._note_due(key, state)

    def next_due(self) -> datetime | None:
        """When the next minute is to be judged or a hold to be told; None where there is none."""
        return self._agenda.next()

    def pass_time(self, due: datetime) -> list[Signal]:
        """Judge the minutes whose sums are in, and complete the holds that no minute can break any more."""
        signals: list[Signal] = []
        for key in sorted(self._agenda.take(due)):
            state = self.communes[key]
            told = [one for one in state.waiting if one.order + AFTER_ITS_SUMS <= due]
            state = replace(state, waiting=tuple(one for one in state.waiting if one not in told))
            for one in told:
                state, new = self._judge(state, one, due)
                signals += new
            hold = self._hold_told(state)
            if hold is not None and hold <= due:
                state, new = self._complete(state, hold - LATEST, due, 0)
                signals += new
            self.communes[key] = state
            self._note_due(key, state)
        return signals

    def _judge(self, state: CommuneState, told: Told, now: datetime) -> tuple[CommuneState, list[Signal]]:
        """Judge one minute."""
        rule = self._rules[state.rule]
        minute = Minute(
            told.minute,
            sum(part.sources for part in told.parts),
            fsum(part.total for part in told.parts),
            sum(part.beyond for part in told.parts),
        )
        kept = tuple(one for one in state.minutes if one.minute > told.minute - rule.window)
        state = replace(state, minutes=(*kept, minute), where=told.where)
        if max(one.sources for one in state.minutes) < max(rule.least_sources, 1):
            return state, []
        end = told.minute + MINUTE
        observation = Observation(
            event=_event(state.commune, told.minute),
            # A hold that was told before a minute that should have come first: clock records were missing.
            time=end if state.reached is None else max(end, state.reached),
            measures={rule.measure: _statistic(rule, state.minutes)},
        )
        held, changes = ladder.observe(self._ladders[rule.id], None, state.ladder, observation)
        state, signals = self._moved(state, held, observation.time, changes, now, told.appended_ms)
        # No later minute of it ends before a minute from here.
        state, completed = self._complete(state, observation.time + MINUTE, now, told.appended_ms)
        return state, signals + completed

    def _complete(
        self, state: CommuneState, until: datetime, now: datetime, appended_ms: int
    ) -> tuple[CommuneState, list[Signal]]:
        """Complete the holds that are due up to a moment."""
        assert state.ladder is not None
        held, changes = ladder.pass_time(self._ladders[state.rule], None, state.ladder, until)
        reached = changes[-1].time if changes else state.reached
        return self._moved(state, held, reached, changes, now, appended_ms)

    def _moved(
        self,
        state: CommuneState,
        held: LadderState,
        reached: datetime | None,
        changes: list[Change],
        now: datetime,
        appended_ms: int,
    ) -> tuple[CommuneState, list[Signal]]:
        """The state with another ladder, and a signal for each change."""
        state = replace(state, ladder=held, reached=reached)
        signals: list[Signal] = []
        for change in changes:
            signal = self._signal(state, change, now, appended_ms)
            state = replace(state, told=None if change.level is None else signal)
            signals.append(signal)
        return state, signals

    def _signal(self, state: CommuneState, change: Change, now: datetime, appended_ms: int) -> Signal:
        rule, held = self._rules[state.rule], change.state
        level = None if change.level is None else rule.levels[change.level]
        name = state.where.commune_name or state.commune
        return Signal(
            rule=rule.id,
            rule_version=rule.version,
            subject=f"{state.commune}{SIMULATED}" if state.simulated else state.commune,
            subject_name={"vi": name, "en": name},
            change=change.change,
            severity=level.severity if level else None,
            label=level.label if level else {},
            certainty=level.certainty if level else "observed",
            hazard=rule.hazard,
            title=rule.title,
            measure=rule.measure,
            # A share has none: the rule's is that of what the sources measure.
            unit=rule.unit if rule.statistic == "mean" else "",
            time=change.time,
            order=now,
            number=held.changes,
            start_event=held.start_event,
            start_time=held.start_time or change.time,
            value=held.value,
            observed=held.observed,
            event=held.event,
            bound=round(change.bound, 9),
            peak=change.peak,
            peaked=change.peaked,
            where=state.where,
            evidence=_evidence(rule, state),
            citation=rule.citation,
            simulated=state.simulated,
            run=state.run,
            appended_ms=appended_ms,
        )

    def _note_due(self, key: str, state: CommuneState) -> None:
        dues = [told.order + AFTER_ITS_SUMS for told in state.waiting]
        hold = self._hold_told(state)
        self._agenda.set(key, min([*dues, hold] if hold is not None else dues, default=None))

    def _hold_told(self, state: CommuneState) -> datetime | None:
        """When the next hold is told though no minute came after it; None where none is pending."""
        rule = self._ladders.get(state.rule)
        due = ladder.next_due(rule, state.ladder) if rule is not None and state.ladder is not None else None
        return None if due is None else due + LATEST


def _with(waiting: tuple[Told, ...], sums: Sums) -> tuple[Told, ...]:
    """Minutes that wait, with what one partition told of one of them."""
    minutes = {told.minute: told for told in waiting}
    told = minutes.get(sums.minute) or Told(minute=sums.minute, order=sums.order, where=sums.where, parts=())
    if any(part.partition == sums.partition for part in told.parts):
        return waiting
    part = Part(sums.partition, sums.sources, sums.total, sums.beyond)
    minutes[sums.minute] = replace(
        told,
        order=max(told.order, sums.order),
        parts=tuple(sorted((*told.parts, part), key=lambda one: one.partition)),
        appended_ms=max(told.appended_ms, sums.appended_ms),
    )
    return tuple(minutes[minute] for minute in sorted(minutes))


def _statistic(rule: CommuneRule, minutes: Sequence[Minute]) -> float:
    """The mean or the share over some minutes, at least one of them with a source."""
    sources = sum(one.sources for one in minutes)
    if rule.statistic == "share":
        return sum(one.beyond for one in minutes) / sources
    return fsum(one.total for one in minutes) / sources


def _event(commune: str, minute: datetime) -> str:
    return f"{commune}@{minute.astimezone(UTC).isoformat()}"


def _evidence(rule: CommuneRule, state: CommuneState) -> list[Evidence]:
    """The last minutes of the window, each with its own value."""
    return [
        Evidence(
            stream=rule.stream,
            source=state.commune,
            event=_event(state.commune, one.minute),
            time=one.minute + MINUTE,
            value=_statistic(rule, [one]),
        )
        for one in state.minutes[-TOLD:]
        if one.sources
    ]


def _ladder_rule(rule: CommuneRule) -> LadderRule:
    """The ladder that judges a commune. A high share is bad, whatever it is a share of."""
    return LadderRule(
        id=rule.id,
        version=rule.version,
        hazard=rule.hazard,
        title=rule.title,
        citation=rule.citation,
        stream=rule.stream,
        measure=rule.measure,
        unit=rule.unit,
        direction=rule.direction if rule.statistic == "mean" else "above",
        hold=rule.hold,
        levels=rule.levels,
    )


def _shape(rule: CommuneRule) -> str:
    """What of a rule its sums and its ladder depend on."""
    parts = [
        rule.stream, rule.measure, rule.statistic, rule.beyond, rule.direction, rule.window, rule.where,
        len(rule.levels),
    ]  # fmt: skip
    return msgspec.json.encode(parts, order="deterministic").decode()
