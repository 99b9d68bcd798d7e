"""Examples beside a rule: events that come in, and the changes that must come of them.

Times are after the example's start, or on the clock at or after it. Places are metres east and north of a middle
that whoever runs the example chooses, or degrees.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime, timedelta, timezone
from typing import Any

from msgspec import Struct

from alerts.model import Certainty, Severity
from alerts.rules.specs import AnyRuleSpec, CountSpec, ExampleSourceSpec, ExampleSpec, GivenSpec, Moment
from alerts.rules.streams import Streams
from ioc.yamlfile import Duration, Path, Problems

#: The day that examples play on: all maps and thresholds of today hold there. Asia/Ho_Chi_Minh has no summer time.
DAY, ZONE = date(2025, 10, 8), timezone(timedelta(hours=7))

#: The source of an example that names none, and the sender of events from no fixed source.
ONLY, ANYBODY = "source", "anybody"

#: An example is there to be read and to be run often.
MOST_EVENTS, LONGEST = 5000, timedelta(days=3)

#: No measure is as great; and neither infinite nor .nan.
MOST = 1e9

_GIVEN_KEYS = frozenset(GivenSpec.__struct_encode_fields__)
_DAY = timedelta(days=1)


class Spot(Struct, frozen=True):
    """A place: degrees, or metres east and north of the middle."""

    east: float = 0.0
    north: float = 0.0
    lon: float | None = None
    lat: float | None = None


class Sender(Struct, frozen=True, kw_only=True):
    """A source in the example's inventory."""

    id: str
    stream: str
    kind: str
    spot: Spot
    thresholds: dict[str, float] = {}
    #: As an inventory writes them.
    interval: str | None = None
    datum: str | None = None
    plausible: dict[str, dict[str, Any]] = {}


class Given(Struct, frozen=True, kw_only=True):
    """An event that comes in at its own time."""

    at: timedelta
    stream: str
    source: str
    #: None: the source's place in the inventory.
    spot: Spot | None
    fields: dict[str, Any]


class Expected(Struct, frozen=True, kw_only=True):
    """A change that must come. None: not compared."""

    at: timedelta
    change: str
    severity: Severity | None = None
    certainty: Certainty | None = None
    label: str | None = None
    source: str | None = None
    reason: str | None = None


class Example(Struct, frozen=True, kw_only=True):
    """An example of one rule."""

    rule: str
    name: str
    #: `file:line:column` where it is written.
    place: str
    start: datetime
    until: timedelta
    senders: tuple[Sender, ...]
    #: In the order of time.
    given: tuple[Given, ...]
    #: In the order of time.
    expected: tuple[Expected, ...]


def examples_of(spec: AnyRuleSpec, path: Path, problems: Problems, streams: Streams) -> list[Example]:
    """The examples of the rule at `path`; what is wrong with them is added to `problems`."""
    return [
        _Reader(spec, example, (*path, "examples", index), problems, streams).example()
        for index, example in enumerate(spec.examples)
    ]


class _Reader:
    """Reads one example."""

    def __init__(
        self, rule: AnyRuleSpec, spec: ExampleSpec, path: Path, problems: Problems, streams: Streams
    ) -> None:
        self._rule, self._spec, self._path = rule, spec, path
        self._problems, self._streams = problems, streams
        #: The rule's stream; a fusion has none of its own.
        self._stream: str | None = getattr(rule.of if isinstance(rule, CountSpec) else rule, "stream", None)
        start = spec.start.time if spec.start else datetime.min.time()
        self._start = datetime.combine(DAY, start, ZONE)

    def example(self) -> Example:
        spec = self._spec
        until = self._time(spec.until)
        if not timedelta(0) < until <= LONGEST:
            self._add("until", "it ends at once or takes more than three days", "write a time such as 2h")
        senders = self._senders()
        given = [event for index in range(len(spec.given)) for event in self._given(index, senders)]
        if len(given) > MOST_EVENTS:
            self._add("given", f"these are {len(given)} events", f"give at most {MOST_EVENTS}")
        for index, expect in enumerate(spec.expect):
            if not self._time(expect.at) <= until:
                self._add(("expect", index, "at"), "it is after `until`", "let the example last longer")
            if expect.source is not None and senders and expect.source not in senders:
                self._add(
                    ("expect", index, "source"), f"no source is called {expect.source}", _names(senders)
                )
        return Example(
            rule=self._rule.id,
            name=spec.name,
            place=self._problems.document.place(self._path),
            start=self._start,
            until=until,
            senders=tuple(senders.values()),
            given=tuple(sorted(given, key=lambda event: event.at)),
            expected=tuple(
                Expected(
                    at=self._time(expect.at),
                    change=expect.change,
                    severity=expect.severity,
                    certainty=expect.certainty,
                    label=expect.label,
                    source=expect.source,
                    reason=expect.reason,
                )
                for expect in sorted(spec.expect, key=lambda expect: self._time(expect.at))
            ),
        )

    def _add(self, part: str | Path, what: str, remedy: str) -> None:
        path = (part,) if isinstance(part, str) else part
        self._problems.add((*self._path, *path), what, remedy)

    def _time(self, moment: Moment) -> timedelta:
        """How long after the start."""
        if isinstance(moment.at, Duration):
            return moment.at.time
        wanted = datetime.combine(DAY, moment.at.time, ZONE)
        return (wanted - self._start) % _DAY

    def _senders(self) -> dict[str, Sender]:
        spec = self._spec
        if spec.source is not None and spec.sources:
            self._add("source", "there are `source` and `sources`", "keep one of them")
        specs: Mapping[str, ExampleSourceSpec] = spec.sources
        about_sources = getattr(self._rule, "stream", None) is not None
        if not specs and (spec.source is not None or about_sources):
            # A rule about sources has one to judge, even where the example says nothing of it.
            specs = {ONLY: spec.source or ExampleSourceSpec()}
        found = {}
        for name, source in specs.items():
            path: Path = ("sources", name) if spec.sources else ("source",)
            stream = source.stream or self._stream
            if stream is None or stream not in self._streams.measures:
                self._add(path, "it has no stream", f"add `stream: ...`; {self._streams.choose()}")
                continue
            for measure in source.plausible:
                if measure not in self._streams.measures[stream]:
                    self._add(
                        (*path, "plausible", measure),
                        f"{stream} has no measure {measure}",
                        self._streams.choose(stream),
                    )
            if source.interval is not None and not source.interval.time:
                self._add((*path, "interval"), "0 is not an interval", "write it with its unit, such as 5m")
            found[name] = Sender(
                id=name,
                stream=stream,
                kind=source.kind or next(iter(getattr(self._rule, "kinds", ())), "example"),
                spot=self._spot(source, path, 0.0) or Spot(),
                thresholds=source.thresholds,
                interval=f"{source.interval.time.total_seconds():g}s" if source.interval else None,
                datum=source.datum,
                # As it was written: an inventory takes the same.
                plausible=self._problems.document.part((*self._path, *path, "plausible")) or {},
            )
        return found

    def _spot(self, spec: ExampleSourceSpec | GivenSpec, path: Path, share: float) -> Spot | None:
        """The place that is written, of an event at its share of several; None where none is."""
        if spec.lon is not None and spec.lat is not None:
            return Spot(lon=spec.lon, lat=spec.lat)
        if spec.lon is not None or spec.lat is not None:
            self._add(path, "lon and lat go together", "give both or none")
        if spec.east is None and spec.north is None:
            return None
        return Spot(east=_at_share(spec.east or 0.0, share), north=_at_share(spec.north or 0.0, share))

    def _given(self, index: int, senders: Mapping[str, Sender]) -> list[Given]:
        spec, path = self._spec.given[index], ("given", index)
        names = [spec.source] if isinstance(spec.source, str) else spec.source
        if names is None:
            # The only source, where the event is not said to be of another stream.
            only = next(iter(senders.values())) if len(senders) == 1 else None
            fits = only is not None and spec.stream in (None, only.stream)
            if senders and not fits and spec.stream is None:
                self._add(path, "it is not said who sends it", f"add `source: ...`; {_names(senders)}")
                return []
            names = [only.id] if only is not None and fits else [ANYBODY]
        times = self._times(spec, path)
        found = []
        for name in names:
            sender = senders.get(name)
            stream = spec.stream or (sender.stream if sender else self._stream)
            if stream is None or stream not in self._streams.measures:
                self._add(path, "it has no stream", f"add `stream: ...`; {self._streams.choose()}")
                return []
            if sender is not None and sender.stream != stream:
                self._add((*path, "stream"), f"{name} is a source of {sender.stream}", "leave `stream` out")
            fields = self._fields(index, stream)
            for number, at in enumerate(times):
                share = number / (len(times) - 1) if len(times) > 1 else 0.0
                spot = self._spot(spec, path, share)
                event = {key: _at_share(value, share) for key, value in fields.items()}
                if spot is None and sender is None:
                    spot = Spot()
                found.append(Given(at=at, stream=stream, source=name, spot=spot, fields=event))
        return found

    def _times(self, spec: GivenSpec, path: Path) -> list[timedelta]:
        first = self._time(spec.at)
        last = self._time(spec.to) if spec.to else first
        if (spec.to is None) != (spec.every is None):
            self._add(path, "`to` and `every` go together", "give both or none")
            return [first]
        if last > self._time(self._spec.until):
            self._add(
                (*path, "to" if spec.to else "at"), "it is after `until`", "let the example last longer"
            )
        step = spec.every.time if spec.every else timedelta(0)
        if spec.every is None or last < first or not step:
            if spec.every is not None:
                self._add(path, "it is not repeated", "let `to` be later than `at`, and `every` above 0")
            return [first]
        count = (last - first) // step + 1
        if count > MOST_EVENTS:
            self._add(path, f"these are {count} events", f"give at most {MOST_EVENTS}")
            return [first]
        return [first + number * step for number in range(count)]

    def _fields(self, index: int, stream: str) -> dict[str, Any]:
        """The event's own fields, as they are written."""
        path: Path = ("given", index)
        written = self._problems.document.part((*self._path, *path))
        measures, texts = self._streams.measures[stream], self._streams.texts.get(stream, frozenset())
        fields = {}
        for key, value in written.items():
            if key in _GIVEN_KEYS:
                continue
            if key in measures:
                good = _is_number(value) or (
                    isinstance(value, list) and len(value) == 2 and all(map(_is_number, value))
                )
                what, remedy = "is no number", "write a number, or [first, last]"
            elif key in texts or key == "datum":
                good = isinstance(value, str) and bool(value.strip())
                what, remedy = "is no text", "put it in quotes"
            else:
                self._add((*path, str(key)), f"{stream} has no field {key}", self._streams.choose(stream))
                continue
            if good:
                fields[key] = value
            else:
                self._add((*path, key), f"{value!r} {what}", remedy)
        for key in sorted(texts - written.keys()):
            self._add(path, f"an event of {stream} has a {key}", f"add `{key}: ...`")
        return fields


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= MOST


def _at_share(value: Any, share: float) -> Any:
    """A value at its share of the way, where it is written as [first, last]."""
    if not isinstance(value, list):
        return value
    first, last = value
    return round(first + (last - first) * share, 6)


def _names(senders: Mapping[str, Sender]) -> str:
    return f"choose one of {', '.join(senders)}"
