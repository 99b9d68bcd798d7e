"""The official list that a set of communes is held against: codes, names, provinces, places and areas.

Before 1 July 2025 it is that of the former communes, which gives boxes and no areas.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from functools import cache

from geo.boundaries import Commune
from geo.reform import REFORM
from geo.units import KM_PER_DEGREE, load_units


@dataclass(frozen=True)
class Entry:
    """What is known of one commune without its polygon."""

    commune: Commune
    #: A point in it, or the middle of its box: lon, lat in WGS 84 degrees.
    point: tuple[float, float]
    #: Official area; None where it is unknown.
    area_km2: float | None


@dataclass(frozen=True)
class OfficialList:
    """Every commune of the country at one time, by code."""

    #: What it is called in a message.
    title: str
    entries: dict[str, Entry]

    def codes(self, province: str) -> set[str]:
        """The codes of a province's communes, by the code that the province had in the list's time."""
        return {
            code
            for code, entry in self.entries.items()
            if province == (entry.commune.former_province or entry.commune.province)
        }


def official_list(valid_until: datetime | None) -> OfficialList:
    """The list for a set that holds until then (None: it still holds). Raises `UserError` as `load_units` does."""
    return _former() if valid_until is not None and valid_until <= REFORM else _present()


@cache
def _present() -> OfficialList:
    units = load_units()
    areas = [math.pi * (radius * KM_PER_DEGREE) ** 2 for radius in units.radii.tolist()]
    return OfficialList(
        "communes since 1 July 2025",
        {
            commune.code: Entry(commune, (lon, lat), None if math.isnan(area) else area)
            for commune, (lon, lat), area in zip(units.communes, units.points.tolist(), areas, strict=True)
        },
    )


@cache
def _former() -> OfficialList:
    units = load_units()
    middles = ((units.boxes[:, :2] + units.boxes[:, 2:]) / 2).tolist()
    return OfficialList(
        "communes before 1 July 2025",
        {
            commune.code: Entry(commune, (lon, lat), None)
            for commune, (lon, lat) in zip(units.legacy, middles, strict=True)
        },
    )
