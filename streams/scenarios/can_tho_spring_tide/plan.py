"""The words of the plan: ladders, episodes, sources. What the day holds stands in `day`.

The plan is the truth; readings are made to fit it and alerts are told from it. Positions are numbers of
readings (one every five minutes, 0 to 287); a source's first reading is some seconds after midnight, its
phase.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from streams.scenarios.curves import Knot

#: Seconds between two readings of a source, and how many readings a day has.
STEP = 300
READINGS = 288


class Rung(NamedTuple):
    """One level of a ladder as the rules state it."""

    severity: str
    raise_at: float
    clear_at: float


class Ladder(NamedTuple):
    """What the plan must know of a rule. A test holds it to the rules that ship."""

    rule: str
    #: 1 where high values are bad, -1 where low ones are.
    sign: int
    #: Seconds.
    hold: int
    rungs: tuple[Rung, ...]
    #: How far beyond or short of a bound a planned reading stands.
    unit: float
    #: Decimals that the device reports, and the noise of its readings.
    decimals: int
    noise: float


def water_level(**bounds: float) -> Ladder:
    """The ladder of a gauge whose inventory has these thresholds (bd1, bd2, bd3), metres."""
    severity = {"bd1": "minor", "bd2": "moderate", "bd3": "severe"}
    rungs = tuple(Rung(severity[name], value, value - 0.05) for name, value in sorted(bounds.items()))
    return Ladder("water-level", 1, 600, rungs, 0.008, 3, 0.006)


STREET = Ladder(
    "street-water",
    1,
    300,
    (Rung("minor", 0.15, 0.10), Rung("severe", 0.30, 0.25), Rung("extreme", 0.50, 0.40)),
    *(0.008, 3, 0.006),
)
TRAFFIC = Ladder("slow-traffic", -1, 600, (Rung("minor", 15, 20), Rung("moderate", 8, 12)), *(0.8, 1, 1.5))
QUEUE = Ladder("vehicle-queue", 1, 300, (Rung("minor", 40, 25), Rung("moderate", 80, 60)), *(2, 0, 3))


class Stand(NamedTuple):
    """A level is reached for good at reading `up` and left at reading `down`."""

    level: int
    up: int
    down: int


@dataclass(frozen=True)
class Episode:
    """One alert, from its first level to the end of its last."""

    stands: tuple[Stand, ...]
    #: The worst reading.
    peak: Knot
    #: Readings on the way, each on a side of the bounds that changes nothing.
    wiggles: tuple[Knot, ...] = ()


class Wrong(NamedTuple):
    """A reading that cannot be believed, and why it must be doubted."""

    value: float
    doubts: tuple[str, ...]
    #: The datum that it names, where it is another than the gauge's.
    datum: str = ""


@dataclass
class Source:
    """A fixed source of the day with all that is planned for it."""

    id: str
    stream: str
    commune: str
    number: int
    ladder: Ladder | None
    episodes: list[Episode] = field(default_factory=list)
    #: Readings beyond a bound that must not raise an alert, or near it.
    near_misses: list[Knot] = field(default_factory=list)
    #: Readings beside the regular ones: the device reports once more when much has changed.
    extra: set[float] = field(default_factory=set)
    #: Regular readings that never come.
    missing: set[int] = field(default_factory=set)
    #: The whole curve, where it is not the usual one.
    knots: list[Knot] = field(default_factory=list)
    thresholds: dict[str, float] = field(default_factory=dict)
    #: What a device reports that is out of order, instead of what it would have measured; by position.
    wrong: dict[float, Wrong] = field(default_factory=dict)
    #: Positions at which a camera sees water on the road.
    sees_water: list[float] = field(default_factory=list)
    #: False: it is listed, and never heard.
    heard: bool = True
    #: Seconds after midnight of its first reading; None: left to chance.
    phase: int | None = None
    #: Degrees; None: near the point of its commune.
    point: tuple[float, float] | None = None
    #: Sources and reports of one site lie within 250 m, those of two sites further apart than that.
    site: str = ""

    @property
    def kind(self) -> str:
        """gauge, street, traffic or camera."""
        return self.id.split("-")[0]


def reading(clock: str) -> int:
    """The number of the reading at a time such as 17:35."""
    hours, minutes = map(int, clock.split(":"))
    return (hours * 60 + minutes) * 60 // STEP


def episode(stands: str, peak: float, at: str, wiggles: dict[str, float] | None = None) -> Episode:
    """An episode from text: `stands` such as "17:25-21:20 18:00-20:30", the mildest level first.

    A wiggle's time may carry seconds after the reading, such as 18:15+120.
    """
    spans = [span.split("-") for span in stands.split()]
    return Episode(
        tuple(Stand(level, reading(up), reading(down)) for level, (up, down) in enumerate(spans)),
        (reading(at), peak),
        tuple((moment(clock), value) for clock, value in (wiggles or {}).items()),
    )


def moment(clock: str) -> float:
    """The position of a time such as 18:15 or 18:15+120, in readings."""
    time, _, seconds = clock.partition("+")
    return reading(time) + (int(seconds) / STEP if seconds else 0)


def commune_of(source: Source) -> str:
    """Key of the commune that a source stands in."""
    return "ninh-kieu" if source.commune == "can-tho" else source.commune


def positions(source: Source) -> list[float]:
    """The positions of all readings that a source sends, in order."""
    return sorted({float(k) for k in range(READINGS)} - source.missing | source.extra) if source.heard else []


def seconds(position: float, phase: int) -> int:
    """When a reading is made, seconds after midnight."""
    return phase + round(position * STEP)
