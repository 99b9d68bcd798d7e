"""Parts, scraps and gaps of a raster, held against the plain way of finding them."""

from __future__ import annotations

from collections import deque

import numpy as np
import shapely
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from geo.raster import CELL, NOBODY, Cells, Frame, Owners, fill_gaps, frames_around, labels, scraps

RASTERS = st.tuples(st.integers(1, 9), st.integers(1, 9)).flatmap(
    lambda shape: arrays(np.int32, shape, elements=st.integers(NOBODY, 2))
)


def flooded(values: Owners) -> list[set[tuple[int, int]]]:
    """The connected parts, one after another from each cell that none has yet."""
    parts: list[set[tuple[int, int]]] = []
    left = {(int(row), int(column)) for row, column in np.ndindex(values.shape)}
    while left:
        start = min(left)
        part, queue = {start}, deque([start])
        while queue:
            row, column = queue.popleft()
            for cell in ((row + 1, column), (row - 1, column), (row, column + 1), (row, column - 1)):
                if cell in left and cell not in part and values[cell] == values[start]:
                    part.add(cell)
                    queue.append(cell)
        parts.append(part)
        left -= part
    return parts


@given(RASTERS)
def test_parts_are_what_a_flood_reaches(values: Owners) -> None:
    """Cells have one number exactly if a path of equal cells joins them."""
    label = labels(values)
    found: dict[int, set[tuple[int, int]]] = {}
    for cell in np.ndindex(values.shape):
        found.setdefault(int(label[cell]), set()).add((cell[0], cell[1]))
    assert sorted(map(sorted, found.values())) == sorted(map(sorted, flooded(values)))


@given(RASTERS)
def test_gaps_are_filled_and_open_water_is_not(values: Owners) -> None:
    """Nobody's cells keep that exactly where they reach the edge; owned cells stay as they are."""
    filled = values.copy()
    fill_gaps(filled)
    last_row, last_column = values.shape[0] - 1, values.shape[1] - 1
    for part in flooded(values):
        reaches = any(row in (0, last_row) or column in (0, last_column) for row, column in part)
        for cell in part:
            if values[cell] != NOBODY:
                assert filled[cell] == values[cell]
            else:
                assert (filled[cell] == NOBODY) == reaches


def test_a_part_is_a_scrap_beside_the_largest_wherever_that_is() -> None:
    """Three cells here are a scrap because the owner has twenty in the other window."""
    here, there = np.full((3, 3), NOBODY, np.int32), np.zeros((4, 5), np.int32)
    here[0] = 0
    here[2, 2] = 1
    small, none = scraps([here, there], 0.25)
    assert small.tolist() == [[0, 0, 0], [-1, -1, -1], [-1, -1, -1]]
    assert (none == NOBODY).all()
    [alone] = scraps([here], 0.25)
    assert (alone == NOBODY).all()


def test_windows_join_where_they_meet_and_only_there() -> None:
    """Two boxes side by side have one window; an island far off has its own, a cell wider than the box."""
    boxes = np.array([[105.0, 10.0, 105.01, 10.01], [105.01, 10.0, 105.02, 10.01], [114.0, 9.0, 114.0, 9.0]])
    coast, island = sorted(frames_around(boxes), key=lambda frame: frame.left)
    assert (coast.columns, island.columns) == (12, 2)
    for frame, box in ((coast, boxes[0]), (coast, boxes[1]), (island, boxes[2])):
        assert (frame.bounds[:2] < box[:2]).all()
        assert (frame.bounds[2:] > box[2:]).all()


def test_cells_become_polygons_that_share_their_edges() -> None:
    """Two owners in one window and the first in another: a geometry each, over their cells, side by side."""
    frames = [Frame(52_500, 5_000, 20, 10), Frame(53_000, 5_000, 10, 10)]
    window = np.zeros((10, 20), np.int32)
    window[:, 10:] = 4
    cells = Cells.of(frames, [window, np.zeros((10, 10), np.int32)], np.array([0, 4]))
    first, second = cells.polygons()
    assert first.geom_type == "MultiPolygon"
    assert shapely.coverage_is_valid([first, second])
    assert abs(second.area / CELL**2 - 100) < 3
    assert second.covers(shapely.Point((52_500 + 15) * CELL, (5_000 + 5) * CELL))
    only = Cells.of(frames, [window, window[:, :10]], np.array([4]))
    assert set(only.owner.tolist()) == {4}
