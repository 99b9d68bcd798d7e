"""What sense writes: the records of a chunk's effects, and the counts for the metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import msgspec
from msgspec import UNSET, Struct

from alerts.believable import on_earth
from alerts.conditions.subject import SourceState
from alerts.model import Doubt, Where
from alerts.signals import Occurrence, Passed, Signal, Sums, Switch
from streams.schemas import DeadLetter, Event, Place
from streams.topics import Topics, partition_of
from streams.transactions import Effects

_encode = msgspec.json.encode

#: A record's key is its source's id, which has at most 200 characters. With a longer one a dead letter could be more
#: than the broker takes, and its partition would stand still there.
KEY_BYTES = 800


class Ending(Struct, frozen=True):
    """What stands behind the fields of every event of one place, and where such events go."""

    text: bytes
    key: bytes
    #: Topic and partition.
    target: tuple[str, int]
    outcome: str


@dataclass
class Outcome:
    """What a chunk leads to: effects to commit, and counts for the metrics."""

    effects: Effects = field(default_factory=Effects)
    events: int = 0
    located: Counter[str] = field(default_factory=Counter)
    dead: Counter[str] = field(default_factory=Counter)
    unjudged: Counter[str] = field(default_factory=Counter)
    #: When the broker appended its clock records, ms since 1970.
    clocks_ms: list[int] = field(default_factory=list)
    #: Readings that are doubted, by why.
    doubted: Counter[str] = field(default_factory=Counter)
    #: Values that came after the sums of their minute were told.
    left_out: int = 0
    #: Reports that say in plain words who sent them.
    unsealed: int = 0
    signals: Counter[str] = field(default_factory=Counter)


class Writer:
    """Writes the records of one raw partition into a chunk's outcome."""

    def __init__(self, stream: str, partition: int, topics: Topics) -> None:
        self._stream, self._partition, self._topics = stream, partition, topics
        self._state = topics.raw_state[stream].name
        self._stream_json = _encode(stream)
        #: Endings by the identity of their place, which is kept with it: a map gives few places, and shares them.
        self._endings: dict[int, tuple[Place, Ending]] = {}

    def dead(self, letter: DeadLetter, key: bytes | None, out: Outcome) -> None:
        """An event that could not be used."""
        out.events += 1
        out.dead[letter.reason] += 1
        if key is not None and len(key) > KEY_BYTES:
            key = None
        out.effects.add(self._topics.dead_letters.name, 0, key, _encode(letter))

    def ending(self, place: Place) -> Ending:
        """What the events of a place have in common."""
        if (kept := self._endings.get(id(place))) is not None:
            return kept[1]
        topic, key = self._topics.located, (known(place.commune) or "").encode()
        text = b',"stream":%s,"place":%s}' % (self._stream_json, _encode(place))
        ending = Ending(text, key, (topic.name, partition_of(key, topic.partitions)), place.outcome)
        if place.border_m is UNSET:  # otherwise it is one point's own
            self._endings[id(place)] = (place, ending)
        return ending

    def located(
        self, event: Event, ending: Ending, doubts: Mapping[str, tuple[Doubt, ...]], out: Outcome
    ) -> bytes:
        """An event with its place, and why its measures are doubted; as it is written."""
        out.located[ending.outcome] += 1
        # The event's own fields stay as they are encoded; what was found out is put behind them.
        value = _encode(event)[:-1] + ending.text
        if doubts:
            for why in doubts.values():
                out.doubted.update(why)
            value = b'%s,"doubts":%s}' % (value[:-1], _encode(doubts))
        out.effects.records[ending.target].append((ending.key, value))
        return value

    def picture(self, record: tuple[bytes, bytes | None], out: Outcome) -> None:
        """A part of the picture that the wall is restored from."""
        out.effects.add(self._topics.picture.name, self._partition, *record)

    def signal(self, message: Signal | Occurrence | Sums, where: Where, out: Outcome) -> None:
        """A record for the province of a place."""
        province = where.province or ""
        partition = self._topics.province_partition(province)
        out.effects.add(self._topics.signals.name, partition, province.encode(), _encode(message))

    def to_all(self, message: Passed | Switch, out: Outcome) -> None:
        """A record for every province."""
        value = _encode(message)
        for partition, province in enumerate(self._topics.provinces):
            out.effects.add(self._topics.signals.name, partition, province.encode(), value)

    def sources(self, names: Iterable[str], states: Mapping[str, SourceState], effects: Effects) -> None:
        """The states of sources, by name; those that are no longer there are removed."""
        written = effects.records[self._state, self._partition]
        for name in names:
            state = states.get(name)
            written.append((name.encode(), None if state is None else _encode(state)))

    def state(self, records: Iterable[tuple[bytes, object]], effects: Effects) -> None:
        """Records of the partition's state by key; None removes one."""
        for key, record in records:
            effects.add(self._state, self._partition, key, None if record is None else _encode(record))


def known(value: object) -> str | None:
    """A field of a place that may be unset."""
    return None if value is UNSET else str(value)


def where_of(lon: float | None, lat: float | None, place: Place) -> Where:
    """A place as alerts name it. Numbers that are no point on Earth, such as swapped ones, are none there."""
    if not on_earth(lon, lat):
        lon = lat = None
    return Where(
        lon=lon,
        lat=lat,
        commune=known(place.commune),
        commune_name=known(place.commune_name),
        province=known(place.province),
        boundaries=place.boundaries,
        approximate=place.approximate,
    )
