"""The quality of readings: which of them are doubted, and why.

    range   outside of what the inventory calls plausible
    spike   further than `step` from the last believed reading and from the last one at all: a second reading near
            the jump confirms it
    stuck   the same value for `stuck` and longer, in three readings at least
    datum   a water level above another datum than the source's: it cannot be compared

A doubted reading is kept and shown as such. What it may still do is the rules' business.
"""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from alerts.model import AwareTime, Doubt, Observation, Plausibility, Source

#: The measure that is above a datum.
ABOVE_DATUM = "level_m"

#: So many readings of one value make a stuck one.
STUCK_READINGS = 3


class Readings(Struct, frozen=True, array_like=True):
    """What is remembered of one measure of one source."""

    #: The last reading, doubted or not; since when every reading has had this value, and how many they are.
    last: float
    since: AwareTime
    count: int
    #: The last one that was believed; None before the first.
    believed: float | None


def concerns(source: Source | None, datum: str | None) -> bool:
    """Whether anything can be doubted of an event of this source; most sources need no further look."""
    return source is not None and (bool(source.plausible) or _other_datum(source, datum))


def check(
    source: Source, datum: str | None, readings: dict[str, Readings], observation: Observation
) -> tuple[dict[str, Readings], Observation]:
    """What is doubted of an observation; `datum` is the one that its event names, None where it names none.

    `readings` is what was remembered of the source's measures. Returns what is to be remembered, and the observation
    with its doubts.
    """
    doubts: dict[str, tuple[Doubt, ...]] = {}
    known = readings
    other_datum = _other_datum(source, datum)
    for measure, value in observation.measures.items():
        if other_datum and measure == ABOVE_DATUM:
            # Not remembered either: the next reading above the right datum is no jump.
            doubts[measure] = ("datum",)
            continue
        plausible = source.plausible.get(measure)
        if plausible is None:
            continue
        new, found = _read(plausible, known.get(measure), value, observation)
        known = {**known, measure: new}
        if found:
            doubts[measure] = found
    return known, replace(observation, doubts=doubts) if doubts else observation


def _other_datum(source: Source, datum: str | None) -> bool:
    # Where the inventory names no datum there is nothing to compare with.
    return datum is not None and source.datum is not None and datum != source.datum


def _read(
    plausible: Plausibility, before: Readings | None, value: float, observation: Observation
) -> tuple[Readings, tuple[Doubt, ...]]:
    time, found = observation.time, list[Doubt]()
    if (plausible.least is not None and value < plausible.least) or (
        plausible.greatest is not None and value > plausible.greatest
    ):
        found.append("range")
    since, count = time, 1
    if before is not None:
        step = plausible.step
        if (
            step is not None
            and before.believed is not None
            and abs(value - before.believed) > step
            and abs(value - before.last) > step
        ):
            found.append("spike")
        if value == before.last:
            since, count = before.since, before.count + 1
            if (
                plausible.stuck is not None
                and count >= STUCK_READINGS
                and (time - since).total_seconds() >= plausible.stuck
            ):
                found.append("stuck")
    believed = value if not found else before.believed if before is not None else None
    return Readings(value, since, count, believed), tuple(found)
