"""What sense does with a chunk of one raw partition: a function of the records, the state and the configuration.

For each record, in the log's order: a clock record moves the time, completes what falls due and may change the
configuration; an event is decoded, checked against the time, located, and judged by the rules about its source.
No result depends on where a chunk ends, on the machine's clock, or on other partitions.

The state in memory runs ahead of its commit by one chunk. Where the commit fails the process must end, and the
next lease restores what was committed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import msgspec
from aiokafka.partitioner import murmur2
from msgspec import UNSET, Struct

from alerts.conditions import ladder
from alerts.conditions.ladder import Change, LadderState
from alerts.model import AwareTime, Observation, Source, Where
from alerts.rules.kinds import LadderRule
from alerts.signals import Passed, Signal
from streams.atlas import Atlas
from streams.configuration import Configuration
from streams.decoding import RawDecoder, RawRecord
from streams.schemas import MEASURES, Clock, DeadLetter, Event, Place
from streams.topics import Topics
from streams.transactions import Effects

#: Key of the partition's own state, beside those of its sources; no source can be called so.
PARTITION_KEY = b"\x00partition"

_encode = msgspec.json.encode


class PartitionState(Struct, kw_only=True, omit_defaults=True):
    """State of a raw partition: its last clock record."""

    clock: AwareTime | None = None
    config: str = ""
    run: str = ""


class SourceState(Struct, kw_only=True, omit_defaults=True):
    """State of one source."""

    #: Time and id of the last event that was judged.
    time: AwareTime
    event: str
    where: Where
    simulated: bool = False
    run: str = ""
    ladders: dict[str, LadderState] = {}


@dataclass
class Outcome:
    """What a chunk leads to: effects to commit, counts for the metrics, and the sources whose state changed."""

    effects: Effects = field(default_factory=Effects)
    events: int = 0
    located: Counter[str] = field(default_factory=Counter)
    dead: Counter[str] = field(default_factory=Counter)
    unjudged: Counter[str] = field(default_factory=Counter)
    signals: Counter[str] = field(default_factory=Counter)
    touched: dict[str, None] = field(default_factory=dict)


class Sensing:
    """The judgement of one raw partition. `run` takes its chunks one after the other."""

    def __init__(
        self,
        stream: str,
        partition: int,
        topics: Topics,
        atlas: Atlas,
        restored: Mapping[bytes, bytes],
        *,
        late_bound: float,
        future_tolerance: float,
    ) -> None:
        """`restored` is the partition's state as earlier chunks wrote it; the bounds are in seconds.

        `atlas` has the maps for events before the first clock record; then the configuration's maps hold.
        """
        self.stream, self.partition = stream, partition
        self._topics, self._atlas = topics, atlas
        self._late = timedelta(seconds=late_bound)
        self._decoder = RawDecoder(
            stream, topics.raw[stream].name, partition, future_tolerance=timedelta(seconds=future_tolerance)
        )
        own = restored.get(PARTITION_KEY)
        self.state = msgspec.json.decode(own, type=PartitionState) if own else PartitionState()
        decode = msgspec.json.Decoder(SourceState).decode
        self.sources = {
            key.decode(): decode(value) for key, value in restored.items() if key != PARTITION_KEY
        }
        self._configuration: Configuration | None = None
        self._rules: tuple[LadderRule, ...] = ()
        #: When the next hold of a source completes; sources without one are absent.
        self._due: dict[str, datetime] = {}

    def configurations_needed(self, records: Iterable[RawRecord]) -> list[str]:
        """Hashes of the configurations that these records need, in order."""
        needed = [self.state.config] if self.state.config and self._configuration is None else []
        clocks = (self._decoder.clock(record) for record in records)
        needed += [clock.config for clock in clocks if clock is not None]
        return list(dict.fromkeys(needed))

    def run(self, records: Sequence[RawRecord], configurations: Mapping[str, Configuration]) -> Outcome:
        """Process one chunk. `configurations` holds those that `configurations_needed` named.

        Never raises for what a record holds: a record that cannot be used becomes a dead letter.
        """
        out = Outcome()
        if self._configuration is None and self.state.config:
            self._use(configurations[self.state.config])
        stretch: list[tuple[RawRecord, Event | Clock]] = []
        now, config, clocks = self.state.clock, self.state.config, 0
        for record in records:
            decoded = self._decoder.decode(record, now)
            if isinstance(decoded, DeadLetter):
                self._write_dead(decoded, record, out)
            elif isinstance(decoded, Clock):
                now, clocks = decoded.clock, clocks + 1
                stretch.append((record, decoded))
                if decoded.config != config:
                    # What follows is located by another inventory: judge what came before it first.
                    config = decoded.config
                    self._judge(stretch, configurations, out)
                    stretch = []
            elif decoded is not None:
                out.events += 1
                stretch.append((record, decoded))
        self._judge(stretch, configurations, out)
        if clocks:
            self._write_passed(out)
        self._write_state(out)
        return out

    def _judge(
        self,
        stretch: list[tuple[RawRecord, Event | Clock]],
        configurations: Mapping[str, Configuration],
        out: Outcome,
    ) -> None:
        """Judge records under one configuration; only the last of them may be a clock record with another."""
        places = iter(self._places([event for _, event in stretch if isinstance(event, Event)]))
        for record, event in stretch:
            if isinstance(event, Clock):
                self._pass(event, record, configurations, out)
            else:
                self._event(event, next(places), record, out)

    def _places(self, events: list[Event]) -> list[Place]:
        """The place of each event. A fixed source has its own from the inventory: jitter never moves it."""
        for event in events:
            source = self._source(event.source)
            if source is not None:
                event.lon, event.lat = source.lon, source.lat
        atlas = self._configuration.atlas if self._configuration else self._atlas
        return atlas.places([(event.time, event.lon, event.lat) for event in events])

    # Time

    def _use(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._rules = tuple(rule for rule in configuration.rules if rule.stream == self.stream)
        self._due = {}
        for name in self.sources:
            self._note_due(name)

    def _note_due(self, name: str) -> None:
        ladders = self.sources[name].ladders
        dues = [
            due
            for rule in self._rules
            if rule.id in ladders and (due := ladder.next_due(rule, ladders[rule.id])) is not None
        ]
        if dues:
            self._due[name] = min(dues)
        else:
            self._due.pop(name, None)

    def _pass(
        self, clock: Clock, record: RawRecord, configurations: Mapping[str, Configuration], out: Outcome
    ) -> None:
        """A clock record: complete what is due under the configuration that held until now, then change it."""
        for name in sorted(name for name, due in self._due.items() if due <= clock.clock):
            state = self.sources[name]
            for rule in self._rules:
                if rule.id in state.ladders:
                    held, changes = ladder.pass_time(
                        rule, self._source(name), state.ladders[rule.id], clock.clock
                    )
                    self._moved(rule, name, state, held, changes, record, out)
            self._note_due(name)
        self.state = PartitionState(clock=clock.clock, config=clock.config, run=clock.run)
        before = self._configuration
        if before is None or before.hash != clock.config:
            self._use(configurations[clock.config])
            self._end_removed(before, record, out)

    def _end_removed(self, before: Configuration | None, record: RawRecord, out: Outcome) -> None:
        """End the conditions whose rule went with the former configuration, and forget their ladders."""
        rules = {rule.id: rule for rule in self._rules}
        former = {rule.id: rule for rule in before.rules} if before else {}
        assert self.state.clock is not None
        for name, state in self.sources.items():
            for rule_id, held in list(state.ladders.items()):
                rule = rules.get(rule_id)
                if rule is not None and len(rule.levels) == len(held.rungs):
                    continue
                if held.at is not None and rule_id in former:
                    ended = msgspec.structs.replace(held, changes=held.changes + 1)
                    change = Change(
                        change="ended", level=None, time=self.state.clock, bound=held.value, state=ended
                    )
                    self._write_signal(
                        former[rule_id], name, state, change, record, out, reason="rule-removed"
                    )
                del state.ladders[rule_id]
                out.touched[name] = None

    # Judging

    def _source(self, name: str) -> Source | None:
        return self._configuration.sources.get(name) if self._configuration else None

    def _event(self, event: Event, place: Place, record: RawRecord, out: Outcome) -> None:
        out.located[place.outcome] += 1
        self._write_located(event, place, out)
        reason = self._unjudged(event)
        if reason is not None:
            out.unjudged[reason] += 1
            return
        name, where = event.source, _where(event, place)
        state = self.sources.setdefault(name, SourceState(time=event.time, event=event.id, where=where))
        state.time, state.event, state.where = event.time, event.id, where
        state.simulated, state.run = event.simulated, event.run
        out.touched[name] = None
        observation = _observation(self.stream, event)
        for rule in self._rules:
            if ladder.applies(rule, observation):
                held, changes = ladder.observe(
                    rule, self._source(name), state.ladders.get(rule.id), observation
                )
                self._moved(rule, name, state, held, changes, record, out)
        self._note_due(name)

    def _unjudged(self, event: Event) -> str | None:
        """Why an event is kept without a judgement; None where it is judged."""
        if self.state.clock is None:
            return "no-clock"
        if self.state.clock - event.time > self._late:
            return "late"
        before = self.sources.get(event.source)
        if before is None:
            return None
        return (
            "duplicate" if event.id == before.event else "out-of-order" if event.time < before.time else None
        )

    def _moved(
        self,
        rule: LadderRule,
        name: str,
        state: SourceState,
        held: LadderState,
        changes: list[Change],
        record: RawRecord,
        out: Outcome,
    ) -> None:
        state.ladders[rule.id] = held
        out.touched[name] = None
        for change in changes:
            self._write_signal(rule, name, state, change, record, out)

    # Writing

    def _write_dead(self, letter: DeadLetter, record: RawRecord, out: Outcome) -> None:
        out.events += 1
        out.dead[letter.reason] += 1
        out.effects.add(self._topics.dead_letters.name, 0, record.key, _encode(letter))

    def _write_located(self, event: Event, place: Place, out: Outcome) -> None:
        topic = self._topics.located
        key = (_known(place.commune) or "").encode()
        partition = (murmur2(key) & 0x7FFFFFFF) % topic.partitions
        # The event's own fields stay as they are encoded; stream and place are put behind them.
        value = b'%s,"stream":"%s","place":%s}' % (_encode(event)[:-1], self.stream.encode(), _encode(place))
        out.effects.add(topic.name, partition, key, value)

    def _write_signal(
        self,
        rule: LadderRule,
        subject: str,
        state: SourceState,
        change: Change,
        record: RawRecord,
        out: Outcome,
        *,
        reason: str = "",
    ) -> None:
        source = self._source(subject)
        level = None if change.level is None else rule.levels[change.level]
        held, clock = change.state, self.state.clock
        signal = Signal(
            rule=rule.id,
            rule_version=rule.version,
            subject=subject,
            subject_name=source.name if source else {"vi": subject, "en": subject},
            change=change.change,
            severity=level.severity if level else None,
            label=level.label if level else {},
            hazard=rule.hazard,
            title=rule.title,
            measure=rule.measure,
            unit=rule.unit,
            time=change.time,
            order=max(change.time, clock) if clock else change.time,
            number=held.changes,
            start_event=held.start_event,
            start_time=held.start_time or change.time,
            value=held.value,
            observed=held.observed,
            event=held.event,
            # 1.8 - 0.05 is not 1.75 in binary; nine decimals are finer than any bound.
            bound=round(change.bound, 9),
            where=state.where,
            reason=reason,
            citation=_citation(rule, source, change.level),
            simulated=state.simulated,
            run=state.run,
            appended_ms=record.timestamp,
        )
        out.signals[change.change] += 1
        province = state.where.province or ""
        # What lies outside every commune has no province: the first one's operators see it.
        partition = self._topics.province_partition(province) if province in self._topics.provinces else 0
        out.effects.add(self._topics.signals.name, partition, province.encode(), _encode(signal))

    def _write_passed(self, out: Outcome) -> None:
        state = self.state
        assert state.clock is not None
        passed = Passed(
            source=f"{self.stream}/{self.partition}", time=state.clock, config=state.config, run=state.run
        )
        for partition, province in enumerate(self._topics.provinces):
            out.effects.add(self._topics.signals.name, partition, province.encode(), _encode(passed))

    def _write_state(self, out: Outcome) -> None:
        topic = self._topics.raw_state[self.stream].name
        for name in out.touched:
            out.effects.add(topic, self.partition, name.encode(), _encode(self.sources[name]))
        # Always: a partition with a position but no state at all means that the state's log is gone.
        out.effects.add(topic, self.partition, PARTITION_KEY, _encode(self.state))


def _citation(rule: LadderRule, source: Source | None, level: int | None) -> str:
    """Where the level's threshold comes from: the source's own entry, else the rule's."""
    if level is not None and source is not None:
        name = rule.levels[level].raise_at.threshold
        for threshold in source.thresholds:
            if threshold.name == name and threshold.citation:
                return threshold.citation
    return rule.citation


def _known(value: object) -> str | None:
    return None if value is UNSET else str(value)


def _where(event: Event, place: Place) -> Where:
    return Where(
        lon=event.lon,
        lat=event.lat,
        commune=_known(place.commune),
        commune_name=_known(place.commune_name),
        province=_known(place.province),
        boundaries=place.boundaries,
        approximate=place.approximate,
    )


def _observation(stream: str, event: Event) -> Observation:
    measures = {
        name: float(value) for name in MEASURES[stream] if (value := getattr(event, name)) is not None
    }
    kind = getattr(event, "kind", None)
    return Observation(
        event=event.id, time=event.time, measures=measures, fields={"kind": kind} if kind is not None else {}
    )
