"""The rules about one source, together: what they make of its events, of the passing of time, and of changes of the
rules, the inventory and the maps.

A `SourceState` is changed in place, for there are many sources and many events a second; all else are values. The
signals come without number, order and append time: whoever writes them to a log knows these.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from msgspec.structs import replace

from alerts.conditions import ladder, normal, rate, silence, telling
from alerts.conditions.ladder import Laddered, LadderState
from alerts.conditions.normal import Range
from alerts.conditions.silence import Heard, SilenceState
from alerts.conditions.subject import SourceState, Subject
from alerts.model import Observation, Source, Where
from alerts.rules.kinds import LadderRule, RateRule, Rule, SilenceRule, SourceRule
from alerts.signals import Signal


class SourceRules:
    """The rules about single sources of one stream."""

    def __init__(self, rules: Iterable[Rule], stream: str) -> None:
        rules = tuple(rules)
        self.stream = stream
        #: Ids of all rules, those of other streams and about many sources too.
        self._ids = frozenset(rule.id for rule in rules)
        own = [rule for rule in rules if isinstance(rule, SourceRule) and rule.stream == stream]
        self._by_id: dict[str, SourceRule] = {rule.id: rule for rule in own}
        self._ladders = tuple(rule for rule in own if isinstance(rule, LadderRule))
        self._rates = tuple(rule for rule in own if isinstance(rule, RateRule))
        self._silences = tuple(rule for rule in own if isinstance(rule, SilenceRule))
        self._laddered: tuple[Laddered, ...] = (*self._ladders, *self._rates)
        #: Whether an event's measures are looked at by any of them.
        self.measures = bool(self._ladders or self._rates)

    # What happens to a source

    def observe(self, subject: Subject, observation: Observation) -> list[Signal]:
        """Judge the measures of one event, not older than the one before it. `heard` is told before."""
        signals: list[Signal] = []
        source, state = subject.source, subject.state
        for rule in self._ladders:
            if ladder.applies(rule, observation):
                held = state.ladders.get(rule.id)
                value, time = observation.measures[rule.measure], observation.time
                if held is None and not ladder.reaches(rule, source, value, time):
                    continue
                held, changes = ladder.observe(rule, source, held, observation)
                _keep_ladder(state, rule, held)
                signals += [telling.laddered(self.stream, subject, rule, change) for change in changes]
        for rate_rule in self._rates:
            if ladder.applies(rate_rule, observation):
                rated, changes = rate.observe(rate_rule, source, state.rates.get(rate_rule.id), observation)
                state.rates[rate_rule.id] = rated
                signals += [telling.laddered(self.stream, subject, rate_rule, change) for change in changes]
        return signals

    def heard(self, subject: Subject, event: str, time: datetime) -> list[Signal]:
        """An event of the source is judged: it is silent no more. The state still knows the event before it."""
        state = subject.state
        if not state.silences:
            return []
        signals = []
        for id_, held in sorted(state.silences.items()):
            rule = self._by_id.get(id_)
            if isinstance(rule, SilenceRule):
                change = silence.end(rule, subject.source, state.heard, held, time)
                if change is not None:
                    signals.append(telling.silent(self.stream, subject, rule, change, by=Heard(event, time)))
        state.silences = {}
        return signals

    def pass_time(self, subject: Subject, since: datetime, now: datetime) -> list[Signal]:
        """Do what is due at or before `now`; the configuration holds `since` then."""
        signals: list[Signal] = []
        source, state = subject.source, subject.state
        if state.ladders:
            for rule in self._ladders:
                if (held := state.ladders.get(rule.id)) is not None:
                    held, changes = ladder.pass_time(rule, source, held, now)
                    _keep_ladder(state, rule, held)
                    signals += [telling.laddered(self.stream, subject, rule, change) for change in changes]
        for rate_rule in self._rates:
            if (rated := state.rates.get(rate_rule.id)) is not None:
                rated, changes = rate.pass_time(rate_rule, source, rated, now)
                state.rates[rate_rule.id] = rated
                signals += [telling.laddered(self.stream, subject, rate_rule, change) for change in changes]
        for silence_rule in self._silences:
            if source is not None and silence.applies(silence_rule, source):
                quiet = state.silences.get(silence_rule.id)
                quiet, fallen = silence.pass_time(silence_rule, source, state.heard, quiet, since, now)
                if quiet is not None:
                    state.silences[silence_rule.id] = quiet
                signals += [telling.silent(self.stream, subject, silence_rule, change) for change in fallen]
        return signals

    def next_hold(self, state: SourceState) -> datetime | None:
        """When the next hold of the source completes; None where none is pending."""
        dues = []
        if state.ladders:
            for rule in self._ladders:
                if (held := state.ladders.get(rule.id)) is not None:
                    dues.append(ladder.next_due(rule, held))
        if state.rates:
            for rate_rule in self._rates:
                rated = state.rates.get(rate_rule.id)
                if rated is not None and rated.ladder is not None:
                    dues.append(ladder.next_due(rate_rule, rated.ladder))
        return min((due for due in dues if due is not None), default=None)

    def next_due(self, subject: Subject, since: datetime) -> datetime | None:
        """When `pass_time` has something to do next if no event comes; None where it has not."""
        source, state = subject.source, subject.state
        dues = [self.next_hold(state)]
        if source is not None:
            dues += [
                silence.next_due(rule, source, state.heard, state.silences.get(rule.id), since)
                for rule in self._silences
                if silence.applies(rule, source)
            ]
        return min((due for due in dues if due is not None), default=None)

    # What needs no judgement

    def normal_ranges(self, source: Source | None, time: datetime) -> tuple[Range, ...]:
        """Within which values an event of a source `at_rest` moves no rule; with the thresholds of `time`."""
        judged = [rule.measure for rule in self._rates]
        if source is not None:
            judged += source.plausible
        return normal.ranges(self._ladders, judged, source, time)

    def at_rest(self, state: SourceState) -> bool:
        """Whether nothing stands or is pending about a source."""
        return not (
            state.ladders
            or state.silences
            or (state.rates and any(rated.ladder is not None for rated in state.rates.values()))
        )

    # What happens to the configuration. `self` has the rules that hold from now on.

    def take_over(
        self, former: SourceRules, was: Subject, source: Source | None, now: datetime, by: str
    ) -> list[Signal]:
        """End what the former rules began and these do not carry on: `by` this configuration, at `now`.

        `was` is the subject as the former configuration knew it, `source` its present entry in the inventory.
        """
        signals: list[Signal] = []
        state = was.state
        for id_ in sorted({*state.ladders, *state.rates}):
            old, new = former._by_id.get(id_), self._by_id.get(id_)
            if old is not None and _shape(old) == _shape(new):
                continue
            if isinstance(old, Laddered):
                signals += self._ended(was, old, now, self._why(id_))
            state.ladders.pop(id_, None)
            state.rates.pop(id_, None)
        for id_, quiet in sorted(state.silences.items()):
            old, new = former._by_id.get(id_), self._by_id.get(id_)
            carried_on = old is not None and _shape(old) == _shape(new)
            if carried_on and isinstance(new, SilenceRule) and silence.applies(new, source):
                continue
            if isinstance(old, SilenceRule):
                change = silence.end(old, was.source, state.heard, quiet, now)
                if change is not None:
                    signals.append(telling.silent(self.stream, was, old, change, reason=self._why(id_)))
                    # Should it begin again before the source is heard, it is another condition.
                    state.silences[id_] = SilenceState(None, change.time, f"{quiet.anew}@{by}")
        return signals

    def remove(self, subject: Subject, now: datetime) -> list[Signal]:
        """End all conditions of a source that is in the inventory no more."""
        return self._end_all(subject, now, "source-removed", "")

    def move(self, subject: Subject, where: Where, now: datetime) -> list[Signal]:
        """The source lies in another commune from now on: its conditions end there, and begin anew here.

        They stay what they were but for their identity. Changes the state's `where`.
        """
        state, mark = subject.state, f"@{where.boundaries}"
        signals = self._end_all(subject, now, "boundary-changed", where.commune or "")
        state.where = where
        for rule in self._laddered:
            held = _ladder_of(state, rule)
            if held is not None and (level := held.at) is not None:
                held = replace(held, anew=held.anew + mark, changes=held.changes + 2)
                _keep_ladder(state, rule, held)
                bound = ladder.bound_value(rule.levels[level].raise_at, subject.source, held.observed)
                change = ladder.Change(
                    change="began",
                    level=level,
                    time=now,
                    bound=held.value if bound is None else bound,
                    state=held,
                )
                signals.append(telling.laddered(self.stream, subject, rule, change))
        for silence_rule in self._silences:
            quiet = state.silences.get(silence_rule.id)
            if quiet is not None and quiet.level is not None:
                quiet = SilenceState(quiet.level, max(now, quiet.time), quiet.anew + mark)
                state.silences[silence_rule.id] = quiet
                assert subject.source is not None, "silence is judged for sources of the inventory"
                level_seconds = silence.seconds_of(silence_rule.levels[quiet.level or 0], subject.source)
                fallen = silence.Change(
                    change="began",
                    level=quiet.level,
                    time=quiet.time,
                    bound=level_seconds or 0.0,
                    heard=state.heard,
                    state=quiet,
                )
                signals.append(telling.silent(self.stream, subject, silence_rule, fallen))
        return signals

    def has_open(self, state: SourceState) -> bool:
        """Whether any condition of the source stands."""
        return (
            any(held.at is not None for held in state.ladders.values())
            or any(rated.ladder is not None and rated.ladder.at is not None for rated in state.rates.values())
            or any(quiet.level is not None for quiet in state.silences.values())
        )

    def _why(self, rule: str) -> str:
        return "rule-changed" if rule in self._ids else "rule-removed"

    def _end_all(self, subject: Subject, now: datetime, reason: str, successor: str) -> list[Signal]:
        signals, state = list[Signal](), subject.state
        for rule in self._laddered:
            signals += self._ended(subject, rule, now, reason, successor)
        for silence_rule in self._silences:
            quiet = state.silences.get(silence_rule.id)
            if quiet is not None:
                change = silence.end(silence_rule, subject.source, state.heard, quiet, now)
                if change is not None:
                    signals.append(
                        telling.silent(
                            self.stream, subject, silence_rule, change, reason=reason, successor=successor
                        )
                    )
        return signals

    def _ended(
        self, subject: Subject, rule: Laddered, now: datetime, reason: str, successor: str = ""
    ) -> list[Signal]:
        held = _ladder_of(subject.state, rule)
        if held is None or held.at is None:
            return []
        state = replace(held, changes=held.changes + 1)
        change = ladder.Change(change="ended", level=None, time=now, bound=held.value, state=state)
        return [telling.laddered(self.stream, subject, rule, change, reason=reason, successor=successor)]


def _ladder_of(state: SourceState, rule: Laddered) -> LadderState | None:
    if isinstance(rule, LadderRule):
        return state.ladders.get(rule.id)
    rated = state.rates.get(rule.id)
    return rated.ladder if rated is not None else None


def _keep_ladder(state: SourceState, rule: Laddered, held: LadderState) -> None:
    if isinstance(rule, RateRule):
        state.rates[rule.id] = replace(state.rates[rule.id], ladder=held)
    elif any(held.rungs):
        state.ladders[rule.id] = held
    else:
        state.ladders.pop(rule.id, None)


def _shape(rule: SourceRule | None) -> tuple | None:
    """What must stay for a rule's conditions to go on when the rule changes."""
    if rule is None:
        return None
    severities = tuple(level.severity for level in rule.levels)
    if isinstance(rule, SilenceRule):
        return SilenceRule, severities
    return type(rule), severities, rule.measure, rule.direction, rule.where
