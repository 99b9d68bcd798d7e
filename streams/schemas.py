"""What the records of each topic hold. JSON, one object a message.

Times are RFC 3339 with a zone, coordinates WGS 84 degrees. A field that an event may lack is None.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from alerts.believable import GREATEST
from alerts.model import AwareTime

#: Key of a clock record in a raw partition; no source may be called so.
CLOCK_KEY = b"\x00clock"

#: An identifier: not empty, no control characters, short enough to be a key. `streams.decoding` looks for control
#: characters itself, for a pattern would be most of the cost of decoding an event.
Identifier = Annotated[
    str, Meta(min_length=1, max_length=200, extra_json_schema={"pattern": r"^[^\x00-\x1f\x7f]+$"})
]


#: A number that can be reckoned with: sums of many stay numbers. Nothing that is measured comes near.
Measure = Annotated[float, Meta(ge=-GREATEST, le=GREATEST)]

#: A word that a device says of itself: no reading comes with a longer one.
Word = Annotated[str, Meta(max_length=200)]


class Event(Struct, kw_only=True, omit_defaults=True):
    """What the events of all streams share."""

    #: Unique among the events of the source.
    id: Identifier
    #: Stable id of the sensor, gauge, camera or channel; also the record's key.
    source: Identifier
    #: When it was observed, by the source's clock.
    time: AwareTime
    #: Degrees; a fixed source may leave them out, its place comes from the inventory.
    lon: float | None = None
    lat: float | None = None
    #: Made by a simulation; everything made from it says so too.
    simulated: bool = False
    #: Names the replay that published it; empty on a live system.
    run: Word = ""


class TrafficEvent(Event, kw_only=True, omit_defaults=True):
    """A traffic sensor's count over its interval."""

    #: Mean speed, km/h.
    speed_kmh: Measure | None = None
    #: Vehicles per hour.
    flow_vph: Measure | None = None
    #: Share of the interval in which the sensor was covered, 0 to 1.
    occupancy: Measure | None = None


class FloodEvent(Event, kw_only=True, omit_defaults=True):
    """A gauge's reading of water, rain or salt."""

    #: Water level above `datum`, metres.
    level_m: Measure | None = None
    datum: Word | None = None
    #: Rain since the last reading, millimetres.
    rain_mm: Measure | None = None
    #: Water above the road's surface, metres.
    road_depth_m: Measure | None = None
    #: Salinity, parts per thousand.
    salinity_permille: Measure | None = None


class CameraEvent(Event, kw_only=True, omit_defaults=True):
    """What a camera's analytics saw."""

    #: What was seen, such as vehicle_queue.
    kind: Word
    #: 0 to 1, the camera's own.
    confidence: Measure | None = None
    count: Measure | None = None


class ReportEvent(Event, kw_only=True, omit_defaults=True):
    """A citizen's report. `reporter` (`streams.identity`) stays on the raw topic: nothing downstream has it."""

    category: Identifier
    #: Hostile until proven otherwise: shown as text, never as markup.
    text: Annotated[str, Meta(max_length=4000)] = ""
    #: References, never contents.
    #: Which reporter it was, as a hash with his key: the same for the reports of some days. `RawDecoder` makes it of
    #: `reporter`; whatever else a record says here is not believed.
    reporter_hash: Word = ""
    attachments: Annotated[list[Annotated[str, Meta(max_length=500)]], Meta(max_length=20)] = []


#: The events of each stream.
EVENTS: dict[str, type[Event]] = {
    "traffic": TrafficEvent,
    "flood": FloodEvent,
    "camera": CameraEvent,
    "report": ReportEvent,
}

#: The fields of each stream's events that are identifiers.
IDENTIFIERS: dict[str, tuple[str, ...]] = {
    stream: tuple(field.name for field in msgspec.structs.fields(kind) if field.type == Identifier)
    for stream, kind in EVENTS.items()
}

#: The measures of each stream: its events' numbers, that rules can judge.
MEASURES: dict[str, frozenset[str]] = {
    "traffic": frozenset({"speed_kmh", "flow_vph", "occupancy"}),
    "flood": frozenset({"level_m", "rain_mm", "road_depth_m", "salinity_permille"}),
    "camera": frozenset({"count", "confidence"}),
    "report": frozenset(),
}


class Clock(Struct, kw_only=True, omit_defaults=True):
    """A clock record: the time that holds from here on in this partition, and the configuration that does."""

    clock: AwareTime
    #: Hash of the configuration in ioc.config.
    config: Word
    #: Names the replay; empty on a live system.
    run: Word = ""


class Place(Struct, kw_only=True, omit_defaults=True):
    """Where an event was found to be, and which boundaries said so."""

    #: As `geo.outcomes.Outcome` names them; no-map where no boundary set holds at the event's time.
    outcome: Literal[
        "inside", "outside", "nowhere", "not-finite", "out-of-range", "swapped", "null-island", "no-map"
    ]
    commune: str | UnsetType = UNSET
    commune_name: str | UnsetType = UNSET
    province: str | UnsetType = UNSET
    #: Id and version of the boundary set, `id@version`; empty where none holds.
    boundaries: str
    #: Metres to the commune's border, where that is near, and the commune on its other side, if there is one.
    border_m: float | UnsetType = UNSET
    neighbour: str | UnsetType = UNSET
    neighbour_name: str | UnsetType = UNSET
    #: For a commune of the map before 1 July 2025: the present ones that its area went to, and whether that is
    #: one (whole), several (divided), or one of those named (unknown).
    present: list[str] = []
    fate: Literal["whole", "divided", "unknown"] | UnsetType = UNSET
    #: For a present commune: the former ones that its area came from, whole or in part.
    former: list[str] = []
    #: The set is an approximation, not the official map.
    approximate: bool = False


class DeadLetter(Struct, kw_only=True, omit_defaults=True):
    """A record that could not be used: why, and where it stands in its raw topic."""

    #: undecodable: not an event of its stream. future: too far after the last clock record.
    reason: Literal["undecodable", "future"]
    detail: str
    topic: str
    partition: int
    offset: int
    #: The record's value as text, at most 4 kB; never for a citizen's report, which may hold personal data.
    value: str | None = None


class Replayed(Struct, kw_only=True, tag_field="kind", tag="replayed"):
    """That a dead letter was published again. Stands in ioc.deadletter behind its letter."""

    #: Where the record that could not be used stands.
    topic: str
    partition: int
    offset: int
    #: Where the record that was made of it stands, in the same topic.
    to_partition: int
    to_offset: int
    #: The operator who asked, and when.
    by: str
    at: AwareTime
    #: The record was changed before.
    repaired: bool


def schema_of(kind: type) -> dict:
    """The JSON Schema of a record."""
    return msgspec.json.schema(kind)
