"""Which commune a point lies in, exactly.

A commune covers the points inside its polygons and on their edges. Where communes share an edge, or overlap,
the point belongs to the one with the lowest code: any fixed rule would do, a rule there must be.

Most points are answered by a grid (`geo.grid`); those in its border cells are tested against the few communes in
question. The answer is the same as that of testing every polygon.
"""

from __future__ import annotations

import threading
from itertools import pairwise
from pathlib import Path

import numpy as np
import shapely
from numpy.typing import NDArray

from geo.borders import Borders, Nearness
from geo.boundaries import BoundarySet, Commune
from geo.grid import BUDGET, SHIFT, build_grid
from geo.index_cache import cached_grid
from geo.outcomes import Outcome, outcomes_outside

_LOW = (1 << SHIFT) - 1
#: Fewer points are quicker one by one than as arrays.
_FEW = 16
#: So many points are looked up at once: their intermediate arrays stay in the processor's cache.
_AT_ONCE = 65_536

_Floats = NDArray[np.float64]


class Locator:
    """Looks points up in one boundary set. Safe to share between threads once made.

    Memory beside a copy of the set's polygons: `nbytes`, by default at most about 32 MB whatever the set, and what
    `geo.borders.Borders` takes for each width once `near_border` was called.
    """

    def __init__(self, boundaries: BoundarySet, cache_dir: Path | None = None, budget: int = BUDGET) -> None:
        """Builds the index, or with `cache_dir` takes it from there if it can and keeps it there if not.

        `budget` is the memory in bytes that the index may take; with less, more points need a test.
        Raises `ValueError` for polygons beyond 180 and 90 degrees.
        """
        bounds = np.abs(shapely.bounds(boundaries.geometries)) if boundaries.communes else np.zeros((0, 4))
        if (bounds > [180, 90, 180, 90]).any():
            raise ValueError("polygons are not in longitude and latitude")
        self.boundaries = boundaries
        # Copies, because preparing changes a geometry and the set belongs to the caller.
        self._polygons = shapely.from_wkb(shapely.to_wkb(boundaries.geometries))
        shapely.prepare(self._polygons)
        # GEOS completes a prepared polygon when it is first asked, which two threads must not do at once.
        self._lock = threading.Lock()
        self._borders: dict[float, Borders] = {}
        self._grid = (
            build_grid(self._polygons, budget)
            if cache_dir is None
            else cached_grid(boundaries, self._polygons, cache_dir, budget)
        )
        grid = self._grid
        self._west, self._south, self._cell = grid.west, grid.south, grid.cell
        rows, self._columns = grid.blocks.shape
        self._height, self._width = rows << SHIFT, self._columns << SHIFT
        # Plain Python reads single numbers much faster through these than from arrays.
        self._blocks, self._fine = grid.blocks.ravel().data, grid.fine.ravel().data
        starts = grid.starts.tolist()
        self._sets = [grid.members[a:b].tolist() for a, b in pairwise(starts)]

    @property
    def nbytes(self) -> int:
        """Bytes of memory that the index takes."""
        return self._grid.nbytes

    def locate(self, lon: float, lat: float) -> Commune | None:
        """The commune of a point in WGS 84 degrees; None outside all and for what is no such point."""
        index = self.index(lon, lat)
        return self.boundaries.communes[index] if index >= 0 else None

    def index(self, lon: float, lat: float) -> int:
        """Index into `boundaries.communes` of a point's commune; -1 where `locate` gives None."""
        x, y = (lon - self._west) / self._cell, (lat - self._south) / self._cell
        # False for NaN as well.
        if not (0 <= x < self._width and 0 <= y < self._height):
            return -1
        column, row = int(x), int(y)
        answer = self._blocks[(row >> SHIFT) * self._columns + (column >> SHIFT)]
        if answer < -1:
            within = ((row & _LOW) << SHIFT) | (column & _LOW)
            answer = self._fine[((-2 - answer) << (2 * SHIFT)) | within]
            if answer < -1:
                with self._lock:
                    for commune in self._sets[-2 - answer]:
                        # For a point, to intersect a polygon is to be covered by it.
                        if shapely.intersects_xy(self._polygons[commune], lon, lat):
                            return commune
                return -1
        return answer

    def locate_many(self, lons: NDArray[np.float64], lats: NDArray[np.float64]) -> NDArray[np.int32]:
        """float64[n] longitudes and latitudes in degrees to int32[n] indexes into `boundaries.communes`.

        -1 where `locate` gives None. Raises nothing for any floats.
        """
        lons, lats = np.asarray(lons, dtype=np.float64), np.asarray(lats, dtype=np.float64)
        if len(lons) < _FEW:
            points = zip(lons.tolist(), lats.tolist(), strict=True)
            return np.array([self.index(lon, lat) for lon, lat in points], dtype=np.int32)
        found = np.empty(len(lons), dtype=np.int32)
        for first in range(0, len(lons), _AT_ONCE):
            part = slice(first, first + _AT_ONCE)
            found[part] = self._grid.look_up(lons[part], lats[part])
        unsure = np.flatnonzero(found < -1)
        if unsure.size:
            found[unsure] = self._test(lons[unsure], lats[unsure], -2 - found[unsure])
        return found

    def _test(self, lons: _Floats, lats: _Floats, sets: NDArray[np.int32]) -> NDArray[np.int32]:
        """int32[n]: the first member of each point's set that covers it, else -1."""
        found = np.full(len(lons), -1, dtype=np.int32)
        starts, members = self._grid.starts, self._grid.members
        # By set, for a polygon that was asked just now is answered twice as fast.
        open_ = np.argsort(sets, kind="stable")
        begin, size = starts[sets], starts[sets + 1] - starts[sets]
        nth = 0
        while open_.size:
            commune = members[begin[open_] + nth]
            with self._lock:
                hit = shapely.intersects_xy(self._polygons[commune], lons[open_], lats[open_])
            found[open_[hit]] = commune[hit]
            nth += 1
            open_ = open_[~hit]
            open_ = open_[size[open_] > nth]
        return found

    def outcomes(
        self,
        lons: NDArray[np.float64],
        lats: NDArray[np.float64],
        missing: NDArray[np.bool_] | None = None,
    ) -> tuple[NDArray[np.int32], NDArray[np.uint8]]:
        """float64[n] degrees to int32[n] indexes as `locate_many` gives them and uint8[n] values of `Outcome`.

        `missing`, bool[n], says where the event names no place; the coordinates there do not matter. Raises
        nothing for any floats.
        """
        lons, lats = np.asarray(lons, dtype=np.float64), np.asarray(lats, dtype=np.float64)
        index = self.locate_many(lons, lats)
        outcome = np.full(len(index), Outcome.INSIDE, dtype=np.uint8)
        rest = np.flatnonzero(index < 0)
        swapped = self.locate_many(lats[rest], lons[rest]) >= 0
        outcome[rest] = outcomes_outside(lons[rest], lats[rest], swapped)
        if missing is not None:
            index[missing], outcome[missing] = -1, Outcome.MISSING
        return index, outcome

    def near_border(
        self, lons: NDArray[np.float64], lats: NDArray[np.float64], width_m: float = 50.0
    ) -> Nearness:
        """float64[n] degrees to each point's distance from its commune's border, where under `width_m` metres,
        and the commune on the other side.

        That is the nearest other commune, if it is not farther than the own border by more than
        `geo.borders.GAP`; of several equally near ones the one with the lowest code. A point outside all
        communes is measured to the nearest commune, which then is its neighbour. In an overlap wider than
        that gap the other commune may go unnamed. The first call for a width prepares the edges (0.1 s for
        160,000 of them). Raises `ValueError` for a width that is not above 0 and at most 1,000.
        """
        lons, lats = np.asarray(lons, dtype=np.float64), np.asarray(lats, dtype=np.float64)
        borders = self._borders.get(width_m)
        if borders is None:
            borders = self._borders[width_m] = Borders(self._polygons, width_m)
        return borders.near(lons, lats, self.locate_many(lons, lats))
