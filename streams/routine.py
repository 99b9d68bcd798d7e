"""Routine events: a source says once more that all is normal. Nearly all events are such.

What a routine event leads to is known before it comes: its place is its source's, it moves no rule, and it is its
source's last event from then on. So a source's first event is handled in full (`streams.sensing`), and what the next
ones need is prepared then. An event that differs in anything - it is out of order, a value is outside the normal
range, something stands about its source - is handled in full again. The outcome is the same either way.
"""

from __future__ import annotations

from bisect import bisect_right
from datetime import UTC, datetime, timedelta, tzinfo

import msgspec

from alerts.conditions import minutes
from alerts.conditions.source import SourceRules
from alerts.conditions.subject import SourceState
from alerts.model import Source, Where
from streams.configuration import Configuration
from streams.picturing import Counts, SourcePicture
from streams.schemas import Event, Place
from streams.sensed import Ending, Outcome, Writer
from streams.sums import MinuteSums

_encode = msgspec.json.encode
_EVER, _NEVER = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


class Known:
    """What is the same for all events of a source while it stands still, one map holds, and the same thresholds."""

    __slots__ = (
        "at_rest",
        "datum",
        "ending",
        "fixed",
        "heard",
        "lat",
        "lon",
        "place",
        "ranges",
        "said",
        "simulated",
        "state",
        "where",
    )

    def __init__(self, source: Source | None, event: Event, state: SourceState) -> None:
        """`event` is one that was handled in full, with the place that the inventory says where it has the source."""
        self.state, self.lon, self.lat = state, event.lon, event.lat
        #: Whether the inventory has it: then its place is not its events' to say.
        self.fixed = source is not None
        self.simulated, self.datum = (False, None) if source is None else (source.simulated, source.datum)
        self.place: Place
        self.where: Where
        self.ending: Ending
        #: Measure and its normal range, both ends excluded.
        self.ranges: tuple[tuple[str, float, float], ...] = ()
        #: Rule and measure of the sums that the source speaks for.
        self.said: tuple[tuple[str, str], ...] = ()
        #: Whether nothing stands or is pending about the source.
        self.at_rest = False
        #: Routine events that are not counted yet.
        self.heard = 0

    def stands(self, event: Event) -> bool:
        """Whether an event's place is the one that is known."""
        return self.fixed or (event.lon == self.lon and event.lat == self.lat)


class Routine:
    """The routine of one raw partition."""

    def __init__(
        self,
        stream: str,
        late_bound: timedelta,
        pace: timedelta,
        writer: Writer,
        sums: MinuteSums,
        picture: SourcePicture,
        counts: Counts,
        touched: dict[str, None],
    ) -> None:
        """`touched` is where the sources are noted whose state changed."""
        #: An event that comes sooner after the one before it counts against its source's quota.
        self._pace = pace
        self._stream, self._late_bound, self._writer = stream, late_bound, writer
        self._sums, self._picture, self._counts, self._touched = sums, picture, counts, touched
        self._known: dict[str, Known] = {}
        #: Those with routine events that are not counted yet.
        self._heard: list[Known] = []
        self._shared: dict[tuple[tuple[str, float, float], ...], tuple[tuple[str, float, float], ...]] = {}
        self._said: tuple[tuple[str, str], ...] = ()
        self._rules: SourceRules | None = None
        #: The instants at which a map or a threshold of the stream begins or ceases to hold.
        self._turns: list[datetime] = []
        #: Between which of them time is.
        self._since, self._until = _EVER, _EVER
        self._clock: datetime | None = None
        self._zone: tzinfo | None = None
        # Of the events in this zone, which times are routine, and which minute is told of now.
        self._first = self._end = self._minute_begin = self._minute_end = _EVER
        self._minute = self._open_from = 0

    def use(self, configuration: Configuration, rules: SourceRules, *, all_in_full: bool) -> None:
        """From now on this configuration holds, with these rules of the stream; or no event is routine."""
        self._known, self._shared = {}, {}
        self._rules = None if all_in_full else rules
        self._said = tuple((rule.id, rule.measure) for rule in self._sums.rules)
        turns = {
            turn for one in configuration.atlas.registry.sets for turn in (one.valid_from, one.valid_until)
        }
        for source in configuration.sources.values():
            if source.stream == self._stream:
                turns.update(turn for one in source.thresholds for turn in (one.since, one.until))
        self._turns = sorted(turn for turn in turns if turn is not None)
        self._since, self._until = _EVER, _EVER
        if self._clock is not None:
            self.pass_time(self._clock)

    def pass_time(self, clock: datetime) -> None:
        """A clock record."""
        self._clock, self._zone = clock, None
        if not self._since <= clock < self._until:
            index = bisect_right(self._turns, clock)
            self._since = self._turns[index - 1] if index else _EVER
            self._until = self._turns[index] if index < len(self._turns) else _NEVER
            self._known = {}

    def knows(self, event: Event) -> bool:
        """Whether an event's place need not be looked up, but for odd times."""
        known = self._known.get(event.source)
        return known is not None and known.stands(event)

    def known(self, event: Event) -> Known | None:
        """What is prepared for an event's source, where that holds for the event."""
        known = self._known.get(event.source)
        if known is None or not self._since <= event.time < self._until or not known.stands(event):
            return None
        return known

    def prepare(
        self,
        event: Event,
        source: Source | None,
        state: SourceState,
        place: Place,
        where: Where,
        ending: Ending,
    ) -> None:
        """After an event was handled in full: prepare for the next one of its source."""
        if self._rules is None:
            return
        known = self.known(event)
        if known is None:
            if not self._since <= event.time < self._until:
                return
            known = Known(source, event, state)
            known.place, known.where, known.ending = place, where, ending
            ranges = self._rules.normal_ranges(source, event.time)
            normal = tuple((one.measure, one.low, one.high) for one in ranges)
            known.ranges = self._shared.setdefault(normal, normal)  # most sources have those of many others
            if where.commune is not None:
                known.said = self._said
            self._known[event.source] = known
        known.at_rest = self._rules.at_rest(state)

    def moved(self, name: str, state: SourceState) -> None:
        """Something changed about a source without an event."""
        known = self._known.get(name)
        if known is not None and self._rules is not None:
            known.at_rest = self._rules.at_rest(state)

    def take(self, event: Event, out: Outcome) -> bool:
        """Handle an event if it is routine; returns whether it was."""
        name, time = event.source, event.time
        known = self._known.get(name)
        if known is None or not known.at_rest:
            return False
        if time.tzinfo is not self._zone:
            self._enter(time.tzinfo)
        state = known.state
        if not self._first <= time < self._end or event.id == state.event:
            return False
        if time - state.time < self._pace or state.burst:  # type: ignore[operator]
            return False
        for measure, low, high in known.ranges:
            value = getattr(event, measure)
            if value is not None and not low < value < high:
                return False
        if not known.fixed and (event.lon != known.lon or event.lat != known.lat):
            return False
        if known.datum is not None and event.datum not in (None, known.datum):  # type: ignore[attr-defined]
            return False
        # From here on as in full, only that all is known.
        if known.fixed:
            event.lon, event.lat = known.lon, known.lat
            event.simulated |= known.simulated
        ending = known.ending
        located = _encode(event)[:-1] + ending.text
        out.effects.records[ending.target].append((ending.key, located))
        if not known.heard:
            self._heard.append(known)
            self._touched[name] = None
        known.heard += 1
        state.time, state.event = time, event.id
        state.simulated, state.run = event.simulated, event.run
        pictured = self._picture.heard(name, state, located, self._counts)
        if pictured is not None:
            self._writer.picture(pictured, out)
        if known.said:
            if not self._minute_begin <= time < self._minute_end:
                self._tell_minute(time)
            for rule, measure in known.said:
                value = getattr(event, measure)
                if value is not None:
                    said = state.said.get(rule, [])
                    commune = known.where.commune
                    assert commune is not None, "without a commune nothing is said for one"
                    state.said[rule] = minutes.say(said, value, commune, self._minute, self._open_from)
        return True

    def count(self, out: Outcome) -> None:
        """At a chunk's end: count its routine events."""
        for known in self._heard:
            out.located[known.ending.outcome] += known.heard
            known.heard = 0
        self._heard.clear()

    def _enter(self, zone: tzinfo | None) -> None:
        """Turn the bounds into times of a zone: such are compared twenty times as fast as those of two."""
        assert self._clock is not None, "nothing is known before the first clock record"
        self._open_from = minutes.first_open(self._clock)
        first = max(self._since, self._clock - self._late_bound)
        if self._sums.wanted:
            first = max(first, minutes.beginning(self._open_from))
        self._first, self._end = _within(first, zone), _within(self._until, zone)
        self._minute_begin = self._minute_end = self._first
        self._zone = zone

    def _tell_minute(self, time: datetime) -> None:
        self._minute = minutes.minute_of(time)
        self._minute_begin = minutes.beginning(self._minute).astimezone(self._zone)
        self._minute_end = self._minute_begin + timedelta(minutes=1)


def _within(time: datetime, zone: tzinfo | None) -> datetime:
    # The ends of time have no counterpart in other zones.
    return time.replace(tzinfo=zone) if time in (_EVER, _NEVER) else time.astimezone(zone)
