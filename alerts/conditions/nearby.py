"""Which of many places lie near a point, without looking at all of them."""

from __future__ import annotations

from itertools import product
from math import cos, degrees, floor, radians

from geo.distance import EARTH_RADIUS_M, metres

#: A search reaches a little further than the radius, so that rounding at a cell's edge loses no place.
_SLACK = 1.001
#: Beyond this latitude, or across the 180th meridian, every place is measured: cells are no help there.
_LAST_LATITUDE = 80.0

_Cell = tuple[int, int]


class Nearby:
    """Places by key, in cells as wide as the radius."""

    def __init__(self, radius_m: float) -> None:
        self._radius = radius_m
        self._cell = degrees(max(radius_m, 1.0) * _SLACK / EARTH_RADIUS_M)
        self._places: dict[str, tuple[float, float]] = {}
        self._cells: dict[_Cell, list[str]] = {}

    def add(self, key: str, lon: float, lat: float) -> None:
        """Take a new place, in degrees."""
        self._places[key] = lon, lat
        self._cells.setdefault(self._of(lon, lat), []).append(key)

    def remove(self, key: str) -> None:
        """Forget a place. Raises `KeyError` where there is none."""
        cell = self._of(*self._places.pop(key))
        keys = self._cells[cell]
        keys.remove(key)
        if not keys:
            del self._cells[cell]

    def find(self, lon: float, lat: float) -> list[str]:
        """Keys of the places within the radius of a point, in their order."""
        return sorted(
            key for key in self._candidates(lon, lat) if metres(lon, lat, *self._places[key]) <= self._radius
        )

    def _of(self, lon: float, lat: float) -> _Cell:
        return floor(lon / self._cell), floor(lat / self._cell)

    def _candidates(self, lon: float, lat: float) -> list[str]:
        north = abs(lat) + self._cell
        if north > _LAST_LATITUDE:
            return list(self._places)
        across = self._cell / cos(radians(north))
        if abs(lon) + across > 180:
            return list(self._places)
        west, south = self._of(lon - across, lat - self._cell)
        east, top = self._of(lon + across, lat + self._cell)
        cells = product(range(west, east + 1), range(south, top + 1))
        return [key for cell in cells for key in self._cells.get(cell, ())]
