"""A raster of cells and who owns each: connected parts, scraps, gaps, and the way back to polygons.

Owners are numbers from 0; cells lie in a grid over all longitudes and latitudes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

#: Side of a cell, degrees (about 220 m).
CELL = 0.002
#: The owner of a cell that belongs to nobody.
NOBODY = -1

#: Staircases have steps of one cell; this removes them and keeps what is larger. In cells.
_SMOOTHING = 1.5

Floats = NDArray[np.float64]
Owners = NDArray[np.int32]


@dataclass(frozen=True)
class Frame:
    """A window of the raster; a cell's south-west corner is at (left + column, bottom + row) times CELL."""

    left: int
    bottom: int
    columns: int
    rows: int

    @property
    def bounds(self) -> Floats:
        """float64[4]: west, south, east, north in degrees."""
        left, bottom = self.left, self.bottom
        return np.array([left, bottom, left + self.columns, bottom + self.rows]) * CELL

    def within(self, box: Floats) -> tuple[slice, slice]:
        """Rows and columns of the cells whose centres lie in the box."""
        low = np.ceil(box[:2] / CELL - 0.5).astype(int) - (self.left, self.bottom)
        high = np.floor(box[2:] / CELL - 0.5).astype(int) + 1 - (self.left, self.bottom)
        column, row = np.maximum(low, 0)
        return slice(int(row), int(max(row, high[1]))), slice(int(column), int(max(column, high[0])))

    def centres(self, rows: slice, columns: slice) -> tuple[Floats, Floats]:
        """Longitudes as a row and latitudes as a column, degrees."""
        lons = (self.left + np.arange(*columns.indices(self.columns), dtype=np.float64) + 0.5) * CELL
        lats = (self.bottom + np.arange(*rows.indices(self.rows), dtype=np.float64) + 0.5) * CELL
        return lons[None, :], lats[:, None]


def frames_around(boxes: Floats) -> list[Frame]:
    """Windows around boxes (float64[n, 4] in degrees), one cell wider on each side, that do not overlap.

    What is far apart, such as a coast and its islands, gets a window each: the sea between needs no memory.
    """
    low, high = np.floor(boxes[:, :2] / CELL) - 1, np.ceil(boxes[:, 2:] / CELL) + 1
    windows = np.concatenate([low, high], axis=1)
    while True:
        joined = shapely.bounds(shapely.get_parts(shapely.union_all(shapely.box(*windows.T))))
        if len(joined) == len(windows):
            break
        windows = joined
    ordered = joined[np.lexsort(joined.T)].astype(int).tolist()
    return [Frame(west, south, east - west, north - south) for west, south, east, north in ordered]


def labels(values: Owners) -> NDArray[np.int64]:
    """Connected parts of equal cells: cells have the same number exactly if they are of the same part."""
    starts = np.ones(values.shape, dtype=bool)
    starts[:, 1:] = values[:, 1:] != values[:, :-1]
    run = np.cumsum(starts.ravel()).reshape(values.shape) - 1
    # Where a pair of runs begins to touch is enough: the cells after it say the same.
    touching = values[1:] == values[:-1]
    touching[:, 1:] &= starts[1:, 1:] | starts[:-1, 1:]
    one, other = run[:-1][touching], run[1:][touching]
    part = np.arange(int(run[-1, -1]) + 1)
    while True:
        before, low = part.copy(), np.minimum(part[one], part[other])
        np.minimum.at(part, before[one], low)
        np.minimum.at(part, before[other], low)
        # A part's number is one of its runs: following it halves the way that is left.
        part = part[part]
        if np.array_equal(part, before):
            return part[run]


def scraps(windows: Sequence[Owners], share: float) -> list[Owners]:
    """For each window the owner of each cell that is in a part smaller than `share` of its owner's largest,
    in whatever window that is; else NOBODY."""
    parts = [labels(owner) for owner in windows]
    sizes = [np.bincount(label.ravel()) for label in parts]
    largest = np.zeros(max(int(owner.max(initial=0)) for owner in windows) + 2, dtype=np.int64)
    for owner, label, size in zip(windows, parts, sizes, strict=True):
        np.maximum.at(largest, owner.ravel(), size[label.ravel()])  # NOBODY counts in the last place
    return [
        np.where(size[label] < share * largest[owner], owner, NOBODY).astype(np.int32)
        for owner, label, size in zip(windows, parts, sizes, strict=True)
    ]


def fill_gaps(owner: Owners) -> None:
    """Give the cells of nobody that owned ones enclose to a neighbour, from the rim of the gap inwards."""
    label = labels(owner)
    rim = np.zeros(int(label.max()) + 1, dtype=bool)
    for edge in (label[0], label[-1], label[:, 0], label[:, -1]):
        rim[edge] = True
    rows, columns = np.nonzero((owner == NOBODY) & ~rim[label])
    while rows.size:
        taken = np.full(rows.shape, NOBODY, dtype=np.int32)
        # No gap reaches the edge of the window, so that every neighbour is inside.
        for up, right in ((0, -1), (0, 1), (-1, 0), (1, 0)):
            taken = np.where(taken == NOBODY, owner[rows + up, columns + right], taken)
        owner[rows, columns] = taken
        rows, columns = rows[taken == NOBODY], columns[taken == NOBODY]


@dataclass(frozen=True, eq=False)
class Cells:
    """The cells of several owners, in one list sorted by owner."""

    #: int32[k], ascending.
    owner: Owners
    #: int64[k] each: the cell's place in the grid.
    column: NDArray[np.int64]
    row: NDArray[np.int64]

    @classmethod
    def of(cls, frames: Sequence[Frame], windows: Sequence[Owners], owners: NDArray[np.int64]) -> Cells:
        """Those of some owners alone."""
        found = []
        for frame, window in zip(frames, windows, strict=True):
            wanted = np.zeros(max(int(window.max()), int(owners.max())) + 2, dtype=bool)
            wanted[owners] = True  # the last place is that of NOBODY
            rows, columns = np.nonzero(wanted[window])
            found.append((window[rows, columns], columns + frame.left, rows + frame.bottom))
        return cls.sorted(*(np.concatenate(parts) for parts in zip(*found, strict=True)))

    @classmethod
    def sorted(cls, owner: Owners, column: NDArray[np.int64], row: NDArray[np.int64]) -> Cells:
        """From cells in any order."""
        order = np.argsort(owner, kind="stable")
        return cls(owner[order], column[order], row[order])

    def slice_of(self, owner: int) -> slice:
        """Where the owner's cells are in the list."""
        first, end = np.searchsorted(self.owner, [owner, owner + 1])
        return slice(int(first), int(end))

    def polygons(self) -> NDArray[np.object_]:
        """The cells of each owner as one geometry, in the order of owners, with smoothed staircases.

        Neighbours have common edges. Corners are rounded to 6 decimals before the smoothing.
        """
        owners = np.unique(self.owner)
        outlines = np.empty(len(owners), dtype=object)
        for i, owner in enumerate(owners):
            mine = self.slice_of(owner)
            column, row = self.column[mine], self.row[mine]
            west, south = np.round(column * CELL, 6), np.round(row * CELL, 6)
            east, north = np.round((column + 1) * CELL, 6), np.round((row + 1) * CELL, 6)
            outlines[i] = shapely.coverage_union_all(shapely.box(west, south, east, north))
        return shapely.coverage_simplify(outlines, _SMOOTHING * CELL)
