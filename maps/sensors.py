"""The sources that the map shows: the latest reading of each, its state, and how well each commune is watched.

A browser knows a source by a small number. It gets a row for each new one, then packed numbers: ten thousand sources
that speak each second are a quarter of a megabyte, not a whole one of objects.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from msgspec import UNSET, Raw, Struct

from alerts.model import SEVERITIES, AwareTime, Source
from maps.readings import pack_readings
from streams.schemas import Place

#: The streams of fixed sources, and the measures that one shows of each: the first of them that an event has. Their
#: places in these lists stand for them in what the page gets.
STREAMS = ("traffic", "flood", "camera")
MAIN_MEASURES = {
    "traffic": ("speed_kmh", "flow_vph"),
    "flood": ("level_m", "road_depth_m", "rain_mm", "salinity_permille"),
    "camera": ("count",),
}
MEASURES = tuple(measure for measures in MAIN_MEASURES.values() for measure in measures)

#: A source is silent after so many of its intervals, by event time.
INTERVALS = 3
#: The interval of a source that no inventory names, seconds.
INTERVAL_UNKNOWN = 300.0
SOURCES_MAX = 20_000

#: State of a source as one number: its worst open alert, 0 for none, 1 (minor) to 4 (extreme); and two marks.
DOUBTFUL, SILENT = 8, 16
RANKS: dict[str, int] = {severity: rank for rank, severity in enumerate(SEVERITIES, 1)}

_NUMBERS = {measure: number for number, measure in enumerate(MEASURES)}


class LocatedEvent(Struct):
    """What the wall reads of a record of ioc.located."""

    id: str
    source: str
    time: AwareTime
    stream: str
    place: Place
    lon: float | None = None
    lat: float | None = None
    simulated: bool = False
    run: str = ""
    category: str = ""
    text: str = ""
    doubts: dict[str, list[str]] = {}
    speed_kmh: float | None = None
    flow_vph: float | None = None
    level_m: float | None = None
    road_depth_m: float | None = None
    rain_mm: float | None = None
    salinity_permille: float | None = None
    count: float | None = None

    def main(self) -> tuple[int, float | None]:
        """Number of the measure that the map shows, and its value; -1 where there is none."""
        for measure in MAIN_MEASURES.get(self.stream, ()):
            value = getattr(self, measure)
            if value is not None:
                return _NUMBERS[measure], value
        return -1, None


class Listed(Struct, frozen=True):
    """A source of the inventory, and the code of the commune that it lies in."""

    source: Source
    commune: str | None = None


class Sensor:
    """One source as it stands."""

    __slots__ = (
        "commune", "doubtful", "due_ms", "id", "lat", "listed", "lon", "measure", "number", "raw", "run", "severity",
        "silent", "simulated", "stream", "time_ms", "value",
    )  # fmt: skip

    def __init__(self, id_: str, number: int, stream: str, lon: float, lat: float) -> None:
        self.id, self.number, self.stream, self.lon, self.lat = id_, number, stream, lon, lat
        self.commune: str | None = None
        self.listed: Listed | None = None
        self.measure, self.value = -1, None  # type: int, float | None
        #: Event time of the latest reading; None: never heard.
        self.time_ms: int | None = None
        #: Beyond this event time it is silent; so is one that was never heard.
        self.due_ms = -1
        self.run = ""
        self.doubtful = self.simulated = False
        self.silent = True
        self.severity = 0
        #: The event as it came.
        self.raw = b""

    @property
    def state(self) -> int:
        return self.severity | (DOUBTFUL if self.doubtful else 0) | (SILENT if self.silent else 0)

    @property
    def interval(self) -> float:
        """How often it should speak, seconds."""
        known = self.listed.source.interval if self.listed else None
        return INTERVAL_UNKNOWN if known is None else known

    def set_due(self) -> None:
        if self.time_ms is not None:
            self.due_ms = self.time_ms + round(INTERVALS * self.interval * 1000)


def source_view(sensor: Sensor) -> dict[str, Any]:
    """A source with its latest event as it came; `event` is None where it was never heard."""
    source = sensor.listed.source if sensor.listed else None
    return {
        "id": sensor.id,
        "stream": sensor.stream,
        "name": source.name if source else {},
        "kind": source.kind if source else "",
        "owner": source.owner if source else "",
        "interval": source.interval if source else None,
        "lon": sensor.lon,
        "lat": sensor.lat,
        "commune": sensor.commune,
        "state": sensor.state,
        "time": sensor.time_ms,
        "event": Raw(sensor.raw) if sensor.raw else None,
    }


class Sensors:
    """All sources. What changed since the last `take_changes` and `take_readings` is kept apart from the rest."""

    def __init__(self) -> None:
        self._by_id: dict[str, Sensor] = {}
        #: Those that no inventory names, the one that has been silent longest first.
        self._unlisted: dict[str, None] = {}
        #: Worst open alert by subject, also of subjects that are no source.
        self._severities: dict[str, int] = {}
        self._simulated = 0
        self._now_ms: int | None = None
        self._free: list[int] = []
        self._all: Counter[str] = Counter()
        self._live: Counter[str] = Counter()
        self.forget_changes()

    def __iter__(self) -> Iterator[Sensor]:
        return iter(self._by_id.values())

    def __len__(self) -> int:
        return len(self._by_id)

    @property
    def simulated(self) -> bool:
        """Whether the latest reading of any is simulated."""
        return self._simulated > 0

    def get(self, id_: str) -> Sensor | None:
        return self._by_id.get(id_)

    def forget_changes(self) -> None:
        """What has changed so far is told already."""
        self._new: dict[str, Sensor] = {}
        self._gone: set[int] = set()
        self._new_states: dict[str, Sensor] = {}
        self._new_coverage: set[str] = set()
        self._moved: dict[str, Sensor] = {}
        self._read: dict[str, Sensor] = {}

    # What happens to them

    def hear(self, event: LocatedEvent, time_ms: int, lon: float, lat: float, raw: bytes) -> None:
        """A reading. One that is older than the latest of its run says nothing."""
        sensor = self._by_id.get(event.source)
        if sensor is None:
            sensor = self._add(event.source, event.stream, lon, lat)
        elif sensor.time_ms is not None and time_ms < sensor.time_ms and event.run == sensor.run:
            return
        if sensor.listed is None:
            # Popped and put back.
            self._unlisted.pop(sensor.id, None)
            self._unlisted[sensor.id] = None
        if (sensor.lon, sensor.lat) != (lon, lat):
            sensor.lon, sensor.lat = lon, lat
            self._moved[sensor.id] = sensor
        measure, value = event.main()
        commune = None if event.place.commune is UNSET else event.place.commune
        if (sensor.stream, sensor.measure, sensor.commune) != (event.stream, measure, commune):
            self._count(sensor, -1)
            sensor.stream, sensor.measure, sensor.commune = event.stream, measure, commune
            self._count(sensor, 1)
            self._new[sensor.id] = sensor
        self._simulated += int(event.simulated) - int(sensor.simulated)
        sensor.simulated = event.simulated
        sensor.value, sensor.time_ms, sensor.run, sensor.raw = value, time_ms, event.run, raw
        sensor.set_due()
        self._read[sensor.id] = sensor
        doubtful = bool(event.doubts)
        if doubtful != sensor.doubtful:
            sensor.doubtful = doubtful
            self._new_states[sensor.id] = sensor
        self._set_silent(sensor, self._now_ms is not None and self._now_ms > sensor.due_ms)
        if len(self._by_id) > SOURCES_MAX and self._unlisted:
            self._drop(self._by_id[next(iter(self._unlisted))])

    def know(self, inventory: Iterable[Listed]) -> None:
        """The inventory that is in force: its sources are shown, heard or not."""
        listed = {one.source.id: one for one in inventory}
        for sensor in list(self._by_id.values()):
            if sensor.listed is not None and sensor.id not in listed:
                sensor.listed = None
                if sensor.time_ms is None:
                    self._drop(sensor)
                else:
                    self._unlisted[sensor.id] = None
                    sensor.set_due()
        for id_, one in listed.items():
            known = self._by_id.get(id_)
            if known is None:
                if one.source.stream not in STREAMS or len(self._by_id) >= SOURCES_MAX:
                    continue
                known = self._add(id_, one.source.stream, one.source.lon, one.source.lat)
                self._count(known, -1)
                known.commune = one.commune
                self._count(known, 1)
            known.listed = one
            self._unlisted.pop(id_, None)
            known.set_due()
        if self._now_ms is not None:
            self.pass_time(self._now_ms)

    def mark(self, subject: str, severity: str | None) -> None:
        """The worst open alert about a subject, which may be no source."""
        rank = RANKS[severity] if severity else 0
        if rank:
            self._severities[subject] = rank
        else:
            self._severities.pop(subject, None)
        sensor = self._by_id.get(subject)
        if sensor is not None and sensor.severity != rank:
            sensor.severity = rank
            self._new_states[subject] = sensor

    def pass_time(self, now_ms: int) -> None:
        """The event time has come this far, or back: who is silent now."""
        self._now_ms = now_ms
        for sensor in self._by_id.values():
            if (now_ms > sensor.due_ms) != sensor.silent:
                self._set_silent(sensor, now_ms > sensor.due_ms)

    def _add(self, id_: str, stream: str, lon: float, lat: float) -> Sensor:
        number = self._free.pop() if self._free else len(self._by_id)
        sensor = self._by_id[id_] = Sensor(id_, number, stream, lon, lat)
        sensor.severity = self._severities.get(id_, 0)
        self._count(sensor, 1)
        self._unlisted[id_] = None
        self._new[id_] = sensor
        return sensor

    def _drop(self, sensor: Sensor) -> None:
        del self._by_id[sensor.id]
        self._unlisted.pop(sensor.id, None)
        self._count(sensor, -1)
        self._simulated -= int(sensor.simulated)
        self._free.append(sensor.number)
        self._gone.add(sensor.number)
        for changed in (self._new, self._new_states, self._moved, self._read):
            changed.pop(sensor.id, None)

    def _set_silent(self, sensor: Sensor, silent: bool) -> None:
        if silent == sensor.silent:
            return
        self._count(sensor, -1)
        sensor.silent = silent
        self._count(sensor, 1)
        self._new_states[sensor.id] = sensor

    def _count(self, sensor: Sensor, by: int) -> None:
        if sensor.commune is not None:
            self._all[sensor.commune] += by
            if not sensor.silent:
                self._live[sensor.commune] += by
            self._new_coverage.add(sensor.commune)

    # What a browser gets

    def snapshot(self, base_ms: int | None) -> dict[str, Any]:
        """All of them. `base_ms` is what times are told from, in whole seconds."""
        return {
            "streams": STREAMS,
            "measures": MEASURES,
            "base": _seconds(base_ms),
            "rows": [self._row(sensor, _seconds(base_ms)) for sensor in self._by_id.values()],
            "coverage": {code: [self._live[code], count] for code, count in self._all.items() if count},
        }

    def take_changes(self, base_ms: int | None) -> dict[str, Any]:
        """New sources, states and coverage since the last call, which a browser must show at once."""
        states: list[int] = []
        for id_, sensor in self._new_states.items():
            if id_ not in self._new:
                states += (sensor.number, sensor.state)
        result = {
            "base": _seconds(base_ms),
            "gone": sorted(self._gone),
            "rows": [self._row(sensor, _seconds(base_ms)) for sensor in self._new.values()],
            "states": states,
            "coverage": {code: [self._live[code], self._all[code]] for code in sorted(self._new_coverage)},
        }
        # A row tells everything: nothing of it is told again.
        for id_ in self._new:
            self._moved.pop(id_, None)
            self._read.pop(id_, None)
        self._new, self._gone, self._new_states, self._new_coverage = {}, set(), {}, set()
        return result

    @property
    def pending(self) -> int:
        """How many readings wait for `take_readings`."""
        return len(self._read)

    def take_readings(self, base_ms: int | None) -> dict[str, Any]:
        """The latest readings since the last call, packed for a browser (`maps.readings`).

        Sources whose row it does not have yet are left for later.
        """
        read = [
            (sensor.number, _short(sensor.value), sensor.time_ms // 1000)
            for id_, sensor in self._read.items()
            if id_ not in self._new and sensor.time_ms is not None
        ]
        moved = [
            (sensor.number, sensor.lon, sensor.lat)
            for id_, sensor in self._moved.items()
            if id_ not in self._new
        ]
        self._read, self._moved = {}, {}
        return pack_readings(_seconds(base_ms), read, moved)

    def _row(self, sensor: Sensor, base: int) -> list[Any]:
        return [
            sensor.number,
            sensor.id,
            STREAMS.index(sensor.stream) if sensor.stream in STREAMS else -1,
            sensor.measure,
            round(sensor.lon, 5),
            round(sensor.lat, 5),
            sensor.commune,
            sensor.state,
            _short(sensor.value),
            None if sensor.time_ms is None else sensor.time_ms // 1000 - base,
        ]


def _seconds(base_ms: int | None) -> int:
    return 0 if base_ms is None else base_ms // 1000


def _short(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
