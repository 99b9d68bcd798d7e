"""The maps in force, each for its days, and the places of events in them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, tzinfo
from typing import NamedTuple

import msgspec
import numpy as np

from geo.boundaries import BoundarySet, Commune
from geo.locate import Locator
from geo.outcomes import Outcome
from geo.reform import REFORM
from geo.registry import Registry
from geo.succession import Succession
from streams.schemas import Place

#: When something was, and its longitude and latitude in degrees where it says them.
Point = tuple[datetime, float | None, float | None]

_EVER, _NEVER = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


class Atlas:
    """Attaches the commune, in the map that held on the event's day."""

    def __init__(
        self,
        registry: Registry,
        succession: Succession,
        locator: Callable[[BoundarySet], Locator] = Locator,
        *,
        border_width: float = 0.0,
    ) -> None:
        """`locator` gives a set's locator; those of a process share them, since building one takes time.

        Within `border_width` metres of a border the place says how far it is and whose the other side is; 0: never.
        """
        self.registry = registry
        self._sheets = {
            sheet.ref: _Sheet(sheet, succession, locator(sheet), border_width) for sheet in registry.sets
        }

    def places(self, points: Sequence[Point]) -> list[Place]:
        """The place of each point, in order."""
        places: list[Place] = [Place(outcome="no-map", boundaries="")] * len(points)
        of_sheet: dict[str, list[int]] = defaultdict(list)
        span = None
        for index, (time, _, _) in enumerate(points):
            # Most points are of one map and one zone, whose times are compared twenty times as fast as those of two.
            if span is None or time.tzinfo is not span.zone or not span.begin <= time < span.end:
                span = _Span.around(self.registry, time)
            if span.sheet is not None:
                of_sheet[span.sheet.ref].append(index)
        for ref, indexes in of_sheet.items():
            found = self._sheets[ref].places([points[index][1:] for index in indexes])
            for index, place in zip(indexes, found, strict=True):
                places[index] = place
        return places


class _Span(NamedTuple):
    """Times in one zone at which one map holds."""

    zone: tzinfo | None
    begin: datetime
    end: datetime
    sheet: BoundarySet | None

    @classmethod
    def around(cls, registry: Registry, time: datetime) -> _Span:
        sheet, zone = registry.at(time), time.tzinfo
        if sheet is None:
            return cls(zone, time, time, None)

        return cls(
            zone,
            _EVER.replace(tzinfo=zone) if sheet.valid_from is None else sheet.valid_from.astimezone(zone),
            _NEVER.replace(tzinfo=zone) if sheet.valid_until is None else sheet.valid_until.astimezone(zone),
            sheet,
        )


class _Sheet:
    """One boundary set with the places it can give: made once, shared by all events in them."""

    def __init__(
        self, boundaries: BoundarySet, succession: Succession, locator: Locator, border_width: float
    ) -> None:
        self._locator, self._border_width = locator, border_width
        self._communes = boundaries.communes
        self._inside = [_inside(commune, boundaries, succession) for commune in boundaries.communes]
        self._elsewhere = {
            outcome: Place(
                outcome=outcome.label,  # type: ignore[arg-type]
                boundaries=boundaries.ref,
                approximate=boundaries.approximate,
            )
            for outcome in Outcome
        }

    def places(self, points: Sequence[tuple[float | None, float | None]]) -> list[Place]:
        lons = np.array([np.nan if lon is None else lon for lon, _ in points], dtype=float)
        lats = np.array([np.nan if lat is None else lat for _, lat in points], dtype=float)
        missing = np.array([lon is None or lat is None for lon, lat in points], dtype=bool)
        indexes, outcomes = self._locator.outcomes(lons, lats, missing)
        places = [
            self._inside[index] if index >= 0 else self._elsewhere[Outcome(outcome)]
            for index, outcome in zip(indexes.tolist(), outcomes.tolist(), strict=True)
        ]
        if self._border_width:
            near = self._locator.near_border(lons, lats, self._border_width)
            for at in np.flatnonzero(np.isfinite(near.metres) & (indexes >= 0)):
                places[at] = self._near(places[at], float(near.metres[at]), int(near.neighbour[at]))
        return places

    def _near(self, place: Place, metres: float, neighbour: int) -> Place:
        place = msgspec.structs.replace(place, border_m=round(metres, 1))
        if neighbour >= 0:
            place.neighbour = self._communes[neighbour].code
            place.neighbour_name = self._communes[neighbour].name
        return place


def _inside(commune: Commune, boundaries: BoundarySet, succession: Succession) -> Place:
    """The place of what lies in a commune, with the codes on the other side of the reform where it is known."""
    place = Place(
        outcome="inside",
        commune=commune.code,
        commune_name=commune.name,
        province=commune.province,
        boundaries=boundaries.ref,
        approximate=boundaries.approximate,
    )
    if boundaries.valid_until is not None and boundaries.valid_until <= REFORM:
        place.present = list(succession.successors(commune.code))
        if place.present:
            place.fate = succession.fate(commune.code).value
    elif boundaries.valid_from is not None and boundaries.valid_from >= REFORM:
        place.former = list(succession.predecessors(commune.code))
    return place
