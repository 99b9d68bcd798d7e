"""The job for contenders that see one event at a time: where it lies, and what it means for its source.

The functions are the product's own, called for one event: the grid lookup of `geo`, the ladders of `alerts`. What a
contender's framework brings (decoding, state, writing) stays its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import shapely

from alerts.conditions.source import SourceRules
from alerts.conditions.subject import SourceState, Subject
from alerts.model import Observation
from alerts.rules.streams import TEXTS
from alerts.rules.written import parse_rules
from alerts.signals import Signal
from geo.locate import Locator
from ioc.settings import Settings
from streams.schemas import MEASURES, Place
from streams.sensed import where_of
from streams.shelf import Shelf, installed_registry
from streams.topics import STREAMS


class Job:
    """One process's share of it."""

    def __init__(self, settings: Settings, at: datetime) -> None:
        """`at` is a time of the log: its map is used for all events."""
        shelf, registry = Shelf(settings), installed_registry(settings)
        self._atlas = shelf.atlas(registry)
        sheet = registry.at(at)
        assert sheet is not None
        self._index = Locator(sheet, settings.cache_dir).index
        inside = shapely.get_coordinates(shapely.point_on_surface(sheet.geometries)).tolist()
        #: A place for each commune, as the product writes it.
        self._places = self._atlas.places([(at, lon, lat) for lon, lat in inside])
        assert settings.rules_file is not None
        rules = parse_rules(settings.rules_file.read_text(), str(settings.rules_file), MEASURES).rules
        self._rules = {stream: SourceRules(rules, stream) for stream in STREAMS}
        self._texts = {stream: tuple(sorted(TEXTS.get(stream, ()))) for stream in STREAMS}
        self._late = timedelta(seconds=settings.late_bound)
        #: The last clock record of each raw partition that this process reads.
        self._clocks: dict[tuple[str, int], datetime] = {}

    def pass_time(self, stream: str, partition: int, clock: datetime) -> None:
        """A clock record of a raw partition."""
        self._clocks[stream, partition] = clock

    def place(self, time: datetime, lon: float, lat: float) -> Place:
        """The place of an event."""
        index = self._index(lon, lat)
        return self._places[index] if index >= 0 else self._atlas.places([(time, lon, lat)])[0]

    def judge(
        self,
        stream: str,
        partition: int,
        event: Mapping[str, Any],
        time: datetime,
        place: Place,
        state: SourceState | None,
        appended_ms: int,
    ) -> tuple[SourceState | None, list[Signal]]:
        """What an event leads to: its source's new state (which may be the old one changed), and signals."""
        clock = self._clocks.get((stream, partition))
        if clock is None or clock - time > self._late:
            return state, []
        if state is not None and state.time is not None and (event["id"] == state.event or time < state.time):
            return state, []
        where = where_of(event["lon"], event["lat"], place)
        if state is None:
            state = SourceState(where=where)
        state.time, state.event, state.where = time, event["id"], where
        state.simulated, state.run = event["simulated"], event["run"]
        rules = self._rules[stream]
        if not rules.measures:
            return state, []
        measures = {name: float(value) for name in MEASURES[stream] if (value := event.get(name)) is not None}
        observation = Observation(
            event=event["id"],
            time=time,
            measures=measures,
            fields={name: event[name] for name in self._texts[stream]},
        )
        signals = rules.observe(Subject(event["source"], None, state), observation)
        for signal in signals:
            signal.order, signal.appended_ms = max(time, clock), appended_ms
        return state, signals
