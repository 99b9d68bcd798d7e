"""A raster over a boundary set that answers for most points without testing a polygon.

Two levels, so that memory goes where borders are: the plane is cut into blocks of 8 x 8 cells; a block that no
border touches has one answer, the others have one for each cell. A cell that no border touches has one answer
too; the others name the communes in question, and only their points need a test.

Why it is exact: borders are drawn with a margin of a thousandth of a cell on all sides, and a point is put into
a cell with an error far below that (`_MARGIN`). So no border passes between a point and the
centre of the untouched cell that it is put into, nor between the untouched cells of one run, and all of them are
covered by the same communes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

#: Goes up when the arrays of `Grid` get another meaning or content; a kept grid of another method is not used.
METHOD = 1
#: Most memory that the answers of blocks and cells may take, bytes.
BUDGET = 32 * 2**20
#: No commune covers the block or the cell. Below it, -2 - k means entry k of the next level.
OUTSIDE = -1
#: A block has 2 ** SHIFT cells a side.
SHIFT = 3

_SIDE = 1 << SHIFT
#: Side of a cell where the memory suffices, degrees (about 28 m); half as large halves the points that need a
#: test and takes 2.5 times the memory.
_FINE = 0.00025
#: Cells along the longer side of the extent, at most and (in extents too small for `_FINE`) at least.
_MOST, _LEAST = 16_384, 1024
#: The smallest cell, degrees (about a metre): far above what a float can tell apart at 180 degrees (3e-14).
_SMALLEST = 1e-5
#: In cells. Putting a point into a cell errs by less than 1e-8 (3e-14 degrees in cells of 1e-5), and following
#: a border from column to column by less than 1e-5 (16,384 cells times their rounding, divided by `_STEEP`).
_MARGIN = 1e-3
#: A border that crosses so few columns counts as vertical, for its slope would multiply rounding errors.
_STEEP = 0.05
#: So many edges are drawn, and points tested, at once: bounds what building takes beside the result.
_AT_ONCE = 300_000

_Floats = NDArray[np.float64]
_Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Grid:
    """The raster. Row 0 is the southernmost, column 0 the westernmost; both and their opposites are outside."""

    #: South-west corner and side of a cell, degrees.
    west: float
    south: float
    cell: float
    #: int32[rows, columns] of blocks: a commune's index, OUTSIDE, or -2 - k for `fine[k]`.
    blocks: NDArray[np.int32]
    #: int32[m, 64] cells of the blocks that borders touch, row by row: a commune's index, OUTSIDE, or -2 - k
    #: for `members[starts[k] : starts[k + 1]]`.
    fine: NDArray[np.int32]
    #: int32[sets + 1] and int32[...]: the communes in question of each set of such, lowest index first.
    starts: NDArray[np.int32]
    members: NDArray[np.int32]

    @property
    def nbytes(self) -> int:
        """Memory of the arrays."""
        return self.blocks.nbytes + self.fine.nbytes + self.starts.nbytes + self.members.nbytes

    def look_up(self, lons: _Floats, lats: _Floats) -> NDArray[np.int32]:
        """float64[n] degrees to int32[n]: a commune's index, OUTSIDE, or -2 - k where set k is in question.

        OUTSIDE for all that is not finite or beyond the extent.
        """
        rows, columns = self.blocks.shape
        # The outermost cells are outside and so take what is beyond them. fmax makes NaN 0.
        with np.errstate(over="ignore", invalid="ignore"):
            column = np.fmin(np.fmax((lons - self.west) / self.cell, 0), columns * _SIDE - 1).astype(np.int32)
            row = np.fmin(np.fmax((lats - self.south) / self.cell, 0), rows * _SIDE - 1).astype(np.int32)
        found = self.blocks.ravel().take((row >> SHIFT) * columns + (column >> SHIFT))
        finer = np.flatnonzero(found < OUTSIDE)
        column, row = column[finer], row[finer]
        within = ((row & (_SIDE - 1)) << SHIFT) | (column & (_SIDE - 1))
        found[finer] = self.fine.ravel().take((-2 - found[finer].astype(np.int64)) * _SIDE**2 + within)
        return found


def edges(polygons: NDArray[np.object_]) -> tuple[_Floats, _Floats, NDArray[np.int32]]:
    """All edges: float64[m, 2] starts, float64[m, 2] ends, and int32[m] the index of each one's polygon."""
    # get_rings passes over what is not a Polygon.
    parts, of_part = shapely.get_parts(polygons, return_index=True)
    rings, of_ring = shapely.get_rings(parts, return_index=True)
    vertices, ring = shapely.get_coordinates(rings, return_index=True)
    joined = np.flatnonzero(ring[:-1] == ring[1:])
    return vertices[joined], vertices[joined + 1], of_part[of_ring[ring[joined]]].astype(np.int32)


def cells_of_edges(starts: _Floats, ends: _Floats, margin: float) -> Iterator[tuple[_Ints, _Ints, _Ints]]:
    """The cells that edges touch, or come near to within `margin`, some edges at a time.

    Coordinates and margin are in cells, none negative. Gives int64 arrays of one length: index of the edge,
    row, column. A cell too many is possible, one too few is not.
    """
    for first in range(0, len(starts), _AT_ONCE):
        part = slice(first, first + _AT_ONCE)
        edge, row, column = _cells(starts[part], ends[part], margin)
        yield edge + first, row, column


def _cells(starts: _Floats, ends: _Floats, margin: float) -> tuple[_Ints, _Ints, _Ints]:
    turned = (starts[:, 0] > ends[:, 0])[:, None]
    (x0, y0), (x1, y1) = np.where(turned, ends, starts).T, np.where(turned, starts, ends).T
    edge, column = _ranges(np.floor(x0 - margin), np.floor(x1 + margin))
    x0, y0, x1, y1 = x0[edge], y0[edge], x1[edge], y1[edge]
    width = x1 - x0
    steep = width < _STEEP
    slope = (y1 - y0) / np.where(steep, 1, width)
    # The part of the edge that lies in the column, which is as much wider as the margin says.
    low = np.where(steep, y0, y0 + slope * (np.maximum(x0, column - margin) - x0))
    high = np.where(steep, y1, y0 + slope * (np.minimum(x1, column + 1 + margin) - x0))
    part, row = _ranges(np.floor(np.minimum(low, high) - margin), np.floor(np.maximum(low, high) + margin))
    return edge[part], row, column[part]


def _ranges(first: _Floats, last: _Floats) -> tuple[_Ints, _Ints]:
    """first[i] to last[i] for all i, one behind the other: i for each number, and the numbers."""
    first_number = first.astype(np.int64)
    counts = last.astype(np.int64) - first_number + 1
    of = np.repeat(np.arange(len(counts)), counts)
    begin = np.cumsum(counts) - counts
    return of, np.arange(len(of)) - begin[of] + first_number[of]


def build_grid(polygons: NDArray[np.object_], budget: int = BUDGET) -> Grid:
    """The grid of polygons in degrees, which are best prepared; those with the lowest index win.

    Cells are as small as `budget` (bytes) allows. Pure but for what GEOS keeps with prepared polygons.
    """
    west, south, east, north = shapely.total_bounds(polygons) if len(polygons) else [np.nan] * 4
    if np.isnan(west):
        nothing = np.zeros(0, dtype=np.int32)
        return Grid(
            0,
            0,
            1,
            np.full((1, 1), OUTSIDE, np.int32),
            nothing.reshape(0, 64),
            np.zeros(1, np.int32),
            nothing,
        )
    starts, ends, owner = edges(polygons)
    longer = float(max(east - west, north - south))
    cell = max(min(_FINE, longer / _LEAST), longer / _MOST, _SMALLEST)
    while True:
        # A block of margin on each side.
        corner = np.array([west, south]) - cell * _SIDE
        columns, rows = (
            np.ceil((np.array([east, north]) - corner) / (cell * _SIDE)).astype(int) + 1
        ).tolist()
        block = cell * _SIDE
        touched = _touched(
            (starts - corner) / block, (ends - corner) / block, columns, np.zeros_like(owner), 1
        )
        needed = 4 * (rows * columns + len(touched) * _SIDE**2)
        if needed <= budget:
            break
        # Memory falls at least as fast as cells grow.
        cell *= max(needed / budget, 1.05)
    return _filled(
        polygons, (starts - corner) / cell, (ends - corner) / cell, owner, corner, cell, (rows, columns)
    )


def _touched(starts: _Floats, ends: _Floats, columns: int, owner: NDArray[np.int32], owners: int) -> _Ints:
    """Sorted, each once: (row * columns + column) * owners + owner of the touched cells."""
    parts = [
        np.unique((row * columns + column) * owners + owner[edge])
        for edge, row, column in cells_of_edges(starts, ends, _MARGIN)
    ]
    return np.unique(np.concatenate(parts))


def _filled(
    polygons: NDArray[np.object_],
    starts: _Floats,
    ends: _Floats,
    owner: NDArray[np.int32],
    corner: _Floats,
    cell: float,
    shape: tuple[int, int],
) -> Grid:
    """The grid with that corner, that cell and so many (rows, columns) of blocks; edges are in cells."""
    rows, columns = shape
    tree = shapely.STRtree(polygons)

    def covering(row: _Ints, column: _Ints, size: float) -> tuple[_Ints, _Ints]:
        """Who covers the centres of cells of that size: int64 index of the centre, int64 index of the polygon."""
        ats, hits = [np.zeros(0, dtype=np.int64)], [np.zeros(0, dtype=np.int64)]
        for first in range(0, len(row), _AT_ONCE):
            part = slice(first, first + _AT_ONCE)
            lons, lats = corner[0] + (column[part] + 0.5) * size, corner[1] + (row[part] + 0.5) * size
            at, polygon = tree.query(shapely.points(lons, lats))
            hit = shapely.intersects_xy(polygons[polygon], lons[at], lats[at])
            ats.append(at[hit] + first)
            hits.append(polygon[hit])
        return np.concatenate(ats), np.concatenate(hits)

    def labelled(free: NDArray[np.bool_], row: _Ints, column: _Ints, size: float) -> NDArray[np.int32]:
        """int32, the shape of `free`: the answer of each free cell, one look-up for each run of them in a row."""
        begins = free.copy()
        begins[:, 1:] &= ~free[:, :-1]
        at, polygon = covering(row[begins], column[begins], size)
        answers = np.full(int(begins.sum()), len(polygons))
        np.minimum.at(answers, at, polygon)
        answers[answers == len(polygons)] = OUTSIDE
        # The number of the run that each free cell is in; what is not free is replaced by the caller.
        run = np.cumsum(begins).reshape(free.shape) - 1
        return answers[np.maximum(run, 0)].astype(np.int32)

    keys = _touched(starts, ends, columns * _SIDE, owner, len(polygons))
    cells = np.unique(keys // len(polygons))
    row, column = np.divmod(cells, columns * _SIDE)
    block, of_cell = np.unique((row >> SHIFT) * columns + (column >> SHIFT), return_inverse=True)

    blocks = np.ones((rows, columns), dtype=bool)
    blocks.ravel()[block] = False
    block_rows, block_columns = np.indices((rows, columns))
    coarse = labelled(blocks, block_rows, block_columns, cell * _SIDE)
    coarse.ravel()[block] = -2 - np.arange(len(block))

    free = np.ones((len(block), _SIDE, _SIDE), dtype=bool)
    free[of_cell, row & (_SIDE - 1), column & (_SIDE - 1)] = False
    block_row, block_column = np.divmod(block[:, None, None], columns)
    inner_row, inner_column = np.indices((_SIDE, _SIDE))
    wide = (-1, _SIDE)
    fine = labelled(
        free.reshape(wide),
        (block_row * _SIDE + inner_row).reshape(wide),
        (block_column * _SIDE + inner_column).reshape(wide),
        cell,
    ).reshape(free.shape)

    # In question are those whose border touches the cell and those that cover all of it.
    at, polygon = covering(row, column, cell)
    keys = np.union1d(keys, cells[at] * len(polygons) + polygon)
    sets, set_starts, members = _sets(np.searchsorted(cells, keys // len(polygons)), keys % len(polygons))
    fine[of_cell, row & (_SIDE - 1), column & (_SIDE - 1)] = -2 - sets
    return Grid(
        float(corner[0]), float(corner[1]), cell, coarse, fine.reshape(-1, _SIDE**2), set_starts, members
    )


def _sets(of: _Ints, member: _Ints) -> tuple[_Ints, NDArray[np.int32], NDArray[np.int32]]:
    """Equal sets once: of[i], a sorted number from 0, has member[i].

    Gives int64[n] the set of each number, and starts and members of the sets as `Grid` has them.
    """
    counts = np.bincount(of)
    begin = np.cumsum(counts) - counts
    sets, first = np.zeros(len(counts), dtype=np.int64), np.zeros(1, dtype=np.int64)
    # Numbers with the same first k members have the same set so far; the next member tells more of them apart.
    radix = int(member.max()) + 2
    for k in range(int(counts.max())):
        following = np.where(counts > k, member[np.minimum(begin + k, len(member) - 1)] + 1, 0)
        _, first, sets = np.unique(sets * radix + following, return_index=True, return_inverse=True)
    sizes = counts[first]
    which, place = _ranges(np.zeros(len(sizes)), (sizes - 1).astype(np.float64))
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32)
    return sets, starts, member[begin[first][which] + place].astype(np.int32)
