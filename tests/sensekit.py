"""One raw partition in memory, with rules and sources made for a test."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import msgspec
import numpy as np
import shapely

from alerts.model import Source
from alerts.rules.kinds import Rule
from alerts.rules.policy import Policy, RuleSet
from alerts.signals import Occurrence, Passed, Signal, Sums, Switch
from geo.boundaries import BoundarySet, Commune, boundary_set
from geo.registry import Registry
from geo.succession import Succession
from ioc.settings import load_settings
from streams.atlas import Atlas
from streams.configuration import Configuration
from streams.offline import MemoryLog, MemoryRecord
from streams.schemas import CLOCK_KEY
from streams.sensed import Outcome
from streams.sensing import Sensing
from streams.topics import Topics

START = datetime.fromisoformat("2025-10-08T12:00:00+07:00")
MINUTE = timedelta(minutes=1)

Message = Signal | Occurrence | Sums | Passed | Switch
_decode = msgspec.json.Decoder(Message).decode


def at(minute: float) -> datetime:
    return START + minute * MINUTE


@cache  # building a locator takes a while
def squares(id: str, codes: str, provinces: str = "92,92") -> Atlas:
    """Two square communes, side by side at 106 degrees east."""
    one, other = provinces.split(",")
    made: BoundarySet = boundary_set(
        id=id,
        approximate=False,
        source="made for the test",
        licence="",
        communes=[Commune(codes[0], "Tây", one), Commune(codes[1], "Đông", other)],
        geometries=np.array([shapely.box(105, 10, 106, 11), shapely.box(106, 10, 107, 11)], dtype=object),
    )
    return Atlas(Registry([made]), Succession({}))


def source(id: str, *, lon: float = 105.5, stream: str = "flood", kind: str = "gauge", **more: Any) -> Source:
    return Source(id=id, stream=stream, name={"vi": id, "en": id}, kind=kind, lon=lon, lat=10.5, **more)


def configuration(
    name: str, rules: Iterable[Rule], sources: Iterable[Source] = (), maps: Atlas | None = None
) -> Configuration:
    """A configuration under a name of its own instead of a hash."""
    return Configuration(
        hash=name,
        policy=Policy(ruleset=RuleSet(rules=tuple(rules))),
        sources={source.id: source for source in sources},
        atlas=maps or squares("squares", "12"),
    )


class Partition:
    """A raw partition whose records are judged in one piece, or in many with restarts in between."""

    def __init__(
        self,
        *configurations: Configuration,
        stream: str = "flood",
        number: int = 0,
        partitions: int = 1,
        provinces: Sequence[str] = ("92",),
        in_full: bool = False,
        quota: int = 6000,
    ) -> None:
        settings = load_settings(topic_prefix="", raw_partitions=partitions, provinces=list(provinces))
        self.topics = Topics.of(settings)
        self.stream, self.number, self._in_full, self._quota = stream, number, in_full, quota
        self.configurations = {one.hash: one for one in configurations}
        self.log = MemoryLog()
        self.sensing = self._restored()
        self._offset = 0

    def _restored(self) -> Sensing:
        return Sensing(
            self.stream,
            self.number,
            self.topics,
            squares("squares", "12"),
            self.log.state(self.topics.raw_state[self.stream].name, self.number),
            late_bound=3600,
            future_tolerance=300,
            source_quota=self._quota,
            in_full=self._in_full,
        )

    def restart(self) -> None:
        """Go on from the written state, as after a crash."""
        self.sensing = self._restored()

    def clock(self, minute: float, config: str = "A") -> MemoryRecord:
        return self._record(json.dumps({"clock": at(minute).isoformat(), "config": config}), CLOCK_KEY)

    def event(self, minute: float, source: str = "gauge", **fields: Any) -> MemoryRecord:
        event = {"id": f"e{minute}", "source": source, "time": at(minute).isoformat(), **fields}
        return self._record(json.dumps(event), source.encode())

    def _record(self, value: str, key: bytes) -> MemoryRecord:
        self._offset += 1
        return MemoryRecord(key, value.encode(), self._offset)

    def run(self, *records: MemoryRecord) -> list[Message]:
        """Judge a chunk; what it tells of the first province."""
        return self._told(self.outcome(*records))

    def outcome(self, *records: MemoryRecord) -> Outcome:
        out = self.sensing.run(records, self.configurations)
        self.log.apply(out.effects)
        return out

    def run_in_pieces(self, records: Sequence[MemoryRecord], chance: random.Random) -> list[Message]:
        """The same in chunks of random sizes, whose state is written for some of them together; now and then restored
        from the log as after a crash."""
        told, rest = list[Message](), list(records)
        while rest:
            size = chance.randint(1, 9)
            out = self.sensing.work(rest[:size], self.configurations)
            rest = rest[size:]
            if not rest or chance.random() < 0.6:
                self.sensing.write_state(out.effects)
                self.log.apply(out.effects)
                if chance.random() < 0.6:
                    self.restart()
            else:
                self.log.apply(out.effects)
            told += self._told(out)
        return told

    def _told(self, out: Outcome, province: int = 0) -> list[Message]:
        written = out.effects.records.get((self.topics.signals.name, province), [])
        return [_decode(value) for _, value in written if value is not None]

    def told(self, province: int) -> list[Message]:
        """All that was told of a province."""
        return [
            _decode(record.value)
            for record in self.log.partitions[self.topics.signals.name, province]
            if record.value is not None
        ]

    def located(self) -> list[dict]:
        """All located events, in no order."""
        return [
            json.loads(record.value)
            for (topic, _), records in self.log.partitions.items()
            if topic == self.topics.located.name
            for record in records
            if record.value is not None
        ]


def signals(messages: Iterable[Message]) -> list[Signal]:
    return [message for message in messages if isinstance(message, Signal)]


def short(messages: Iterable[Message]) -> list[tuple[str, str, str | None, float]]:
    """Signals as (rule, change, severity, minute of its time)."""
    return [
        (signal.rule, signal.change, signal.severity, (signal.time - START) / MINUTE)
        for signal in signals(messages)
    ]
