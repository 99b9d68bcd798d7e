"""Which commune a point lies in, exactly.

A commune covers the points inside its polygons and on their edges. Where communes share an edge, or overlap,
the point belongs to the one with the lowest code: any fixed rule would do, a rule there must be.
"""

from __future__ import annotations

import math

import numpy as np
import shapely
from numpy.typing import NDArray

from geo.boundaries import BoundarySet, Commune


class Locator:
    """Looks points up in one boundary set. Safe to share between threads once made."""

    def __init__(self, boundaries: BoundarySet) -> None:
        self.boundaries = boundaries
        # Copies, because preparing changes a geometry and the set belongs to the caller.
        self._polygons = shapely.from_wkb(shapely.to_wkb(boundaries.geometries))
        shapely.prepare(self._polygons)
        self._boxes = shapely.STRtree(self._polygons)

    def locate(self, lon: float, lat: float) -> Commune | None:
        """The commune of a point in WGS 84 degrees; None outside all and for what is no such point."""
        if not _usable(lon, lat):
            return None
        candidates = self._boxes.query(shapely.Point(lon, lat))
        hits = candidates[shapely.intersects_xy(self._polygons[candidates], lon, lat)]
        return self.boundaries.communes[hits.min()] if hits.size else None

    def locate_many(self, lons: NDArray[np.float64], lats: NDArray[np.float64]) -> NDArray[np.int32]:
        """float64[n] longitudes and latitudes in degrees to int32[n] indexes into `boundaries.communes`.

        -1 where `locate` gives None.
        """
        lons, lats = np.asarray(lons, dtype=np.float64), np.asarray(lats, dtype=np.float64)
        found = np.full(lons.shape, -1, dtype=np.int32)
        # False for NaN as well.
        usable = np.flatnonzero((np.abs(lons) <= 180) & (np.abs(lats) <= 90))
        at, commune = self._boxes.query(shapely.points(lons[usable], lats[usable]))
        at = usable[at]
        # For a point, to intersect a polygon is to be covered by it.
        hit = shapely.intersects_xy(self._polygons[commune], lons[at], lats[at])
        at, commune = at[hit], commune[hit]
        # Communes are sorted by code, so that the lowest index wins.
        order = np.argsort(commune)[::-1]
        found[at[order]] = commune[order]
        return found


def _usable(lon: float, lat: float) -> bool:
    return math.fabs(lon) <= 180 and math.fabs(lat) <= 90
