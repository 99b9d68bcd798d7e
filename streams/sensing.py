"""What sense does with a chunk of one raw partition: a function of the records, the state and the configuration.

For each record, in the log's order: a clock record moves the time, completes what falls due and may change the
configuration; an event is decoded, checked against the time, located, and judged by the rules about its source.
No result depends on where a chunk ends, on the machine's clock, or on other partitions.

The state in memory runs ahead of its commit. Where the commit fails the process must end, and the next lease
restores what was committed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

import msgspec
from msgspec import Struct

from alerts.conditions import quality
from alerts.conditions.source import SourceRules
from alerts.conditions.subject import SourceState, Subject
from alerts.model import AwareTime, Doubt, Observation, Source, Where
from alerts.rules.kinds import CommuneRule, Rule
from alerts.rules.streams import TEXTS
from alerts.signals import Passed, Signal, Switch
from streams.atlas import Atlas
from streams.configuration import Configuration
from streams.decoding import RawDecoder, RawRecord
from streams.occurrences import Counted
from streams.picturing import SourcePicture
from streams.routine import Routine
from streams.schemas import EVENTS, MEASURES, Clock, DeadLetter, Event, Place
from streams.sensed import Outcome, Writer, where_of
from streams.sums import MinuteSums
from streams.switching import Side, switch
from streams.topics import Topics, partition_of
from streams.transactions import Effects

_NEVER = datetime.max.replace(tzinfo=UTC)
_NOTHING = timedelta(0)

#: Key of the partition's own state, beside those of its sources; no source can be called so.
PARTITION_KEY = b"\x00partition"


class PartitionState(Struct, kw_only=True, omit_defaults=True):
    """State of a raw partition: its last clock record."""

    clock: AwareTime | None = None
    config: str = ""
    #: The clock record that named this configuration first.
    since: AwareTime | None = None
    run: str = ""
    #: How many signals it has told: numbers them.
    signals: int = 0
    #: How many reports it has put into the picture.
    reports: int = 0


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
        source_quota: int = 6000,
        in_full: bool = False,
    ) -> None:
        """`restored` is the partition's state as earlier chunks wrote it; the bounds are in seconds, and
        `source_quota` is how many events of a source are judged in a minute of their time.

        `atlas` has the maps for events before the first clock record; then the configuration's maps hold. `in_full`:
        handle every event in full, also where it is routine; the outcome is the same.
        """
        self.stream, self.partition, self.topic = stream, partition, topics.raw[stream].name
        self._kind = EVENTS[stream]
        self._topics, self._atlas = topics, atlas
        self._late, self._quota = timedelta(seconds=late_bound), source_quota
        #: The quota's pace: from one event to the next.
        self._pace = timedelta(minutes=1) / source_quota
        self._decoder = RawDecoder(
            stream, self.topic, partition, future_tolerance=timedelta(seconds=future_tolerance)
        )
        self._writer = Writer(stream, partition, topics)
        self._measures, self._texts = tuple(sorted(MEASURES[stream])), tuple(sorted(TEXTS.get(stream, ())))
        self.state = PartitionState()
        self.sources: dict[str, SourceState] = {}
        #: Sources whose state is not written as it is now.
        self._touched: dict[str, None] = {}
        self._sums = MinuteSums(self._name)
        self._picture = SourcePicture(stream, partition)
        self._restore(restored)
        self._picture.restore(self.sources, self.state.clock)
        self._in_full = in_full
        self._routine = Routine(
            stream,
            self._late,
            self._pace,
            self._writer,
            self._sums,
            self._picture,
            self.state,
            self._touched,
        )
        if self.state.clock is not None:
            self._routine.pass_time(self.state.clock)
        self._configuration: Configuration | None = None
        self._use_rules(())
        #: Until when at least nothing falls due for a source; sources that wait for nothing are absent.
        self._due: dict[str, datetime] = {}
        #: The earliest of them, or earlier; None where there is none.
        self._earliest: datetime | None = None
        #: Fixed sources that were heard here though their key belongs into another partition.
        self._misplaced: set[str] = set()

    def _restore(self, restored: Mapping[bytes, bytes]) -> None:
        decode = msgspec.json.Decoder(SourceState).decode
        for key, value in restored.items():
            if key == PARTITION_KEY:
                self.state = msgspec.json.decode(value, type=PartitionState)
            elif not self._sums.restore(key, value):
                self.sources[key.decode()] = decode(value)

    @property
    def misplaced(self) -> int:
        """How many fixed sources are heard here though Kafka's default partitioner puts their key elsewhere.

        There they are missed, and silence is found that is none: such a producer must be mended.
        """
        return len(self._misplaced)

    def configurations_needed(self, records: Sequence[RawRecord]) -> list[str]:
        """Hashes of the configurations that these records need, in order."""
        needed = [self.state.config] if self.state.config and self._configuration is None else []
        clocks = (self._decoder.clock(records[index]) for index in self._decoder.clock_indices(records))
        needed += [clock.config for clock in clocks if clock is not None]
        return list(dict.fromkeys(needed))

    def run(self, records: Sequence[RawRecord], configurations: Mapping[str, Configuration]) -> Outcome:
        """Process one chunk, with the state that it leads to: `work`, and what `write_state` adds."""
        out = self.work(records, configurations)
        self.write_state(out.effects)
        return out

    def work(self, records: Sequence[RawRecord], configurations: Mapping[str, Configuration]) -> Outcome:
        """Process one chunk. `configurations` holds those that `configurations_needed` named.

        Never raises for what a record holds: a record that cannot be used becomes a dead letter. The state that it
        leads to is not among the effects: whoever commits some chunks together writes it once for all.
        """
        out = Outcome()
        if self._configuration is None and self.state.config:
            self._use(configurations[self.state.config])
        decoded = self._decoder.decode_all(records, self.state.clock)
        kind, take = self._kind, self._routine.take
        places: dict[int, Place] | None = None
        passed: RawRecord | None = None
        for index, event in enumerate(decoded):
            if type(event) is kind:
                if take(event, out):
                    continue
                exceeds = self._exceeds(event)
                if places is None and not self._routine.knows(event):
                    places = self._places(decoded, index)
                place = places.get(index) if places else None
                self._event(event, place, records[index], out, exceeds)
            elif isinstance(event, Clock):
                passed = records[index]
                out.clocks_ms.append(passed.timestamp)
                if event.config != self.state.config:
                    places = None  # what follows is located by other maps, perhaps
                self._pass(event, passed, configurations, out)
            elif isinstance(event, DeadLetter):
                self._writer.dead(event, records[index].key, out)
        self._routine.count(out)
        out.events += out.located.total()
        out.unsealed, self._decoder.unsealed = self._decoder.unsealed, 0
        if passed is not None:
            self._tell_passed(passed, out)
        return out

    def _tell_passed(self, record: RawRecord, out: Outcome) -> None:
        """Tell every province how far the partition is; `record` is its last clock record."""
        state = self.state
        assert state.clock is not None, "a clock record was passed"
        self._writer.to_all(
            Passed(
                source=self._name,
                time=state.clock,
                config=state.config,
                run=state.run,
                appended_ms=record.timestamp,
            ),
            out,
        )

    def write_state(self, effects: Effects) -> None:
        """Add what has changed of the state since the last call, after the chunks that were worked on."""
        self._picture.keep(self._touched, self.sources)
        self._writer.sources(self._touched, self.sources, effects)
        self._touched.clear()
        self._writer.state(self._sums.take_changes(), effects)
        # Always: a partition with a position but no state at all means that the state's log is gone.
        self._writer.state([(PARTITION_KEY, self.state)], effects)

    @property
    def _name(self) -> str:
        return f"{self.stream}/{self.partition}"

    def _exceeds(self, event: Event) -> bool:
        """Whether an event that would be judged is more than a source may say: a bucket that leaks in event time."""
        state, clock = self.sources.get(event.source), self.state.clock
        if state is None or state.time is None or clock is None:
            return False
        gap = event.time - state.time
        if gap >= self._pace and not state.burst:
            return False
        if gap < _NOTHING or event.id == state.event or clock - event.time > self._late:
            return False
        burst = max(0.0, state.burst + 1 - gap / self._pace)
        if burst >= self._quota:
            return True
        state.burst = burst
        return False

    def _places(self, decoded: Sequence[Event | Clock | DeadLetter | None], first: int) -> dict[int, Place]:
        """The places of the events for which they are not known, by index from `first` on: looked up all at once.

        Up to where another configuration begins to hold.
        """
        strangers: list[tuple[int, Event]] = []
        for index in range(first, len(decoded)):
            event = decoded[index]
            if isinstance(event, Event):
                if not self._routine.knows(event):
                    strangers.append((index, self._placed(event)))
            elif isinstance(event, Clock) and event.config != self.state.config:
                break
        found = self._maps.places([(event.time, event.lon, event.lat) for _, event in strangers])
        return {index: place for (index, _), place in zip(strangers, found, strict=True)}

    def _placed(self, event: Event) -> Event:
        """The event with its source's place from the inventory, if that has it: jitter never moves a fixed source.

        What the inventory calls simulated is so, though an event should not say it.
        """
        source = self._source(event.source)
        if source is not None:
            event.lon, event.lat = source.lon, source.lat
            event.simulated |= source.simulated
        return event

    @property
    def _maps(self) -> Atlas:
        return self._configuration.atlas if self._configuration else self._atlas

    # The configuration

    def _use(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._use_rules(configuration.rules)
        self._routine.use(configuration, self._rules, all_in_full=self._in_full or self._looks_at_texts)
        self._due, self._earliest = {}, None
        self._misplaced = set()
        for name in self.sources:
            self._note_due(name)
            self._note_partition(name)

    def _use_rules(self, rules: tuple[Rule, ...]) -> None:
        self._rules = SourceRules(rules, self.stream)
        self._sums.use(rule for rule in rules if isinstance(rule, CommuneRule) and rule.stream == self.stream)
        self._counted = Counted(rules, self.stream)
        self._looks = self._rules.measures or self._sums.wanted
        #: Whether it follows from an event's texts what is told of it, so that every one has to be looked at.
        self._looks_at_texts = self._counted.wanted or any(rule.where for rule in self._sums.rules)

    def _switch(
        self, clock: Clock, record: RawRecord, configurations: Mapping[str, Configuration], out: Outcome
    ) -> None:
        """From this clock record on another configuration holds."""
        after, partitions = configurations[clock.config], self._topics.raw[self.stream].partitions
        before = None if self._configuration is None else Side(self._configuration, self._rules)
        owned = [
            source
            for source in after.sources.values()
            if source.stream == self.stream and partition_of(source.id.encode(), partitions) == self.partition
        ]
        now = clock.clock
        ahead = {name: state.time for name, state in self.sources.items() if state.time and state.time > now}
        done = switch(
            self.sources,
            before,
            Side(after, SourceRules(after.rules, self.stream)),
            owned,
            clock.clock,
            clock.run,
        )
        self._tell(done.signals, record, out, ahead)
        self._touched.update(dict.fromkeys(done.touched))
        for name in done.touched:
            if name not in self.sources:
                self._writer.picture(self._picture.gone(name), out)
        self._use(after)
        self._writer.to_all(
            Switch(source=self._name, order=clock.clock, config=clock.config, run=clock.run), out
        )

    # Time

    def _note_due(self, name: str) -> None:
        """Note when something falls due for a source, looking at all of it."""
        since = self.state.since
        due = None if since is None else self._rules.next_due(self._subject(name), since)
        if due is None:
            self._due.pop(name, None)
        else:
            self._set_due(name, due)

    def _set_due(self, name: str, due: datetime) -> None:
        self._due[name] = due
        if self._earliest is None or due < self._earliest:
            self._earliest = due

    def _pass(
        self, clock: Clock, record: RawRecord, configurations: Mapping[str, Configuration], out: Outcome
    ) -> None:
        """A clock record: do what is due under the configuration that held until now, then change it."""
        state, now = self.state, clock.clock
        if self._earliest is not None and self._earliest <= now:
            self._pass_time(now, record, out)
        if self._sums.wanted:
            for sums in self._sums.tell(self.sources.values(), state.clock, now, state.run):
                sums.appended_ms = record.timestamp
                self._writer.signal(sums, sums.where, out)
        for name, written in self._picture.pass_time(now, self.sources):
            self._writer.picture(written, out)
            self._touched[name] = None
        changed = clock.config != state.config
        state.clock, state.config, state.run = now, clock.config, clock.run
        self._routine.pass_time(now)
        if changed:
            state.since = now
            self._switch(clock, record, configurations, out)

    def _pass_time(self, now: datetime, record: RawRecord, out: Outcome) -> None:
        assert self.state.since is not None, "nothing falls due before the first clock record"
        for name in sorted(name for name, due in self._due.items() if due <= now):
            signals = self._rules.pass_time(self._subject(name), self.state.since, now)
            if signals:
                self._tell(signals, record, out)
                self._touched[name] = None
            self._note_due(name)
            self._routine.moved(name, self.sources[name])
        self._earliest = min(self._due.values(), default=None)

    # Events

    def _source(self, name: str) -> Source | None:
        return self._configuration.sources.get(name) if self._configuration else None

    def _subject(self, name: str) -> Subject:
        return Subject(name, self._source(name), self.sources[name])

    def _note_partition(self, name: str) -> None:
        source, state = self._source(name), self.sources[name]
        if source is not None and source.stream == self.stream and state.time is not None:
            partitions = self._topics.raw[self.stream].partitions
            if partition_of(name.encode(), partitions) != self.partition:
                self._misplaced.add(name)

    def _event(
        self, event: Event, place: Place | None, record: RawRecord, out: Outcome, exceeds: bool
    ) -> None:
        """Handle an event in full; `place` is None where it can be known. One that `exceeds` is only kept."""
        name, source, state = event.source, self._source(event.source), self.sources.get(event.source)
        known = self._routine.known(event)
        if known is not None:
            self._placed(event)
            place, where, ending = known.place, known.where, known.ending
        else:
            if place is None:
                self._placed(event)
                (place,) = self._maps.places([(event.time, event.lon, event.lat)])
            where, ending = where_of(event.lon, event.lat, place), self._writer.ending(place)
        unjudged = "quota" if exceeds else self._unjudged(event, state)
        observation, doubts = None, dict[str, tuple[Doubt, ...]]()
        datum = getattr(event, "datum", None)
        doubtful = quality.concerns(source, datum)
        if self._looks or doubtful:
            observation = self._observation(event)
            if doubtful:
                assert source is not None
                # Of an event that is not judged only what needs no look at others is said.
                remembered = state.readings if state is not None and unjudged is None else {}
                readings, observation = quality.check(source, datum, remembered, observation)
                doubts = observation.doubts
        located = self._writer.located(event, ending, doubts, out)
        if unjudged is not None:
            out.unjudged[unjudged] += 1
            if unjudged == "out-of-order" and self._counted.wanted:
                # A count asks for no order among the reports of one channel.
                self._tell_occurrence(event, place, where, record, out)
            return
        if state is None:
            state = self.sources[name] = SourceState(where=where)
        subject, first, silent = Subject(name, source, state), state.time is None, bool(state.silences)
        signals = self._rules.heard(subject, event.id, event.time) if silent else []
        if where.province != state.where.province and self._rules.has_open(state):
            # Another province's operators have it from here on.
            signals += self._rules.move(subject, where, event.time)
        state.time, state.event, state.where = event.time, event.id, where
        state.simulated, state.run = event.simulated, event.run
        self._touched[name] = None
        pictured = self._picture.heard(name, state, located, self.state)
        if pictured is not None:
            self._writer.picture(pictured, out)
        if first:
            state.listed, state.listed_by = None, ""
            self._note_partition(name)
        if doubtful:
            state.readings = readings
        if observation is not None and self._looks:
            signals += self._rules.observe(subject, observation)
            if self._sums.wanted:
                out.left_out += self._sums.say(state, observation, where, self.state.clock)
        if self._counted.wanted:
            self._tell_occurrence(event, place, where, record, out)
        self._tell(signals, record, out)
        # Unless it was silent, what silence waits for has only moved further away: that is found out when it is due.
        if source is not None and (first or silent or name not in self._due):
            self._note_due(name)
        elif (hold := self._rules.next_hold(state)) is not None and hold < self._due.get(name, _NEVER):
            self._set_due(name, hold)
        self._routine.prepare(event, source, state, place, where, ending)

    def _unjudged(self, event: Event, state: SourceState | None) -> str | None:
        """Why an event is kept without a judgement; None where it is judged."""
        if self.state.clock is None:
            return "no-clock"
        if self.state.clock - event.time > self._late:
            return "late"
        if state is None or state.time is None:
            return None
        if event.id == state.event:
            return "duplicate"
        return "out-of-order" if event.time < state.time else None

    def _observation(self, event: Event) -> Observation:
        measures = {
            name: float(value) for name in self._measures if (value := getattr(event, name)) is not None
        }
        return Observation(event=event.id, time=event.time, measures=measures, fields=self._fields(event))

    def _fields(self, event: Event) -> dict[str, str]:
        return {name: getattr(event, name) for name in self._texts}

    # Telling

    def _tell(
        self,
        signals: list[Signal],
        record: RawRecord,
        out: Outcome,
        ahead: Mapping[str, datetime] | None = None,
    ) -> None:
        """Write signals. `ahead`: the last event's time of sources whose clock runs ahead, where they may be gone."""
        clock = self.state.clock
        for signal in signals:
            self.state.signals += 1
            signal.number = self.state.signals
            # Never before what the same source told already: its clock may run ahead of the log's.
            state = self.sources.get(signal.subject)
            latest = (ahead or {}).get(signal.subject) or (state.time if state else None)
            signal.order = max(moment for moment in (signal.time, clock, latest) if moment is not None)
            signal.appended_ms = record.timestamp
            out.signals[signal.change] += 1
            self._writer.signal(signal, signal.where, out)

    def _tell_occurrence(
        self, event: Event, place: Place, where: Where, record: RawRecord, out: Outcome
    ) -> None:
        clock = self.state.clock
        assert clock is not None, "nothing is judged before the first clock record"
        occurrence = self._counted.occurrence(event, self._fields(event), place, where, clock)
        if occurrence is not None:
            occurrence.appended_ms = record.timestamp
            self._writer.signal(occurrence, where, out)
