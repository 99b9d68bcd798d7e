"""An approximate map of today's communes, for whoever has no official one at hand.

The project ships no polygons of the present communes, but the points, areas and legacy bounding boxes of
`geo.units` tell roughly where they lie. The method, on a raster of cells:

1. A cell belongs to the legacy commune in whose bounding box it lies most centrally, and so to the present
   commune that this one became; the distance to the present commune's point has a small say as well. Communes
   of neighbouring provinces compete, which is what draws the outer border.
2. A commune keeps its large parts; the scraps go to the next best.
3. Cells in no box belong to nobody, except gaps that communes enclose.
4. Each commune's cells become a polygon, and the staircases are smoothed for all at once, so that neighbours
   keep one common edge.

For Cần Thơ it puts 85.6 % of the area into the right commune, measured against the official map.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone

import numpy as np
import shapely
from numpy.typing import NDArray

from geo.boundaries import BoundarySet, boundary_set
from geo.units import PACKAGE, Units, load_units, package_version
from ioc.errors import UserError

ID = "vn-approximate-2025-07"
#: Goes up when the method gives other polygons; a cached set of another method is not used.
METHOD = 1
#: Side of a cell, degrees (about 220 m).
CELL = 0.002
#: The reform took effect on 1 July 2025, Vietnamese time (decision 19/2025/QĐ-TTg for the codes).
VALID_FROM = datetime(2025, 7, 1, tzinfo=timezone(timedelta(hours=7)))

#: Exponent of the norm that says how central a point lies in a box: between a circle (2) and the box itself.
_NORM = 3
#: Weight of the distance to the present commune's point, in radii of the commune, beside that of the box, and
#: how many radii count at most. 0.2 was best for Cần Thơ; 0.1 to 0.5 differ by less than half a percent.
_PULL, _PULL_LIMIT = 0.2, 3.0
#: A commune's point that is so many radii away from every one of its boxes is taken for a namesake's.
_MISPLACED = 3.0
#: A legacy box whose centre is so many radii away from its commune is taken for a namesake elsewhere.
_FAR = 6.0
#: A part smaller than this share of a commune's largest part is a scrap.
_SCRAP = 0.25
#: Staircases have steps of one cell; this removes them and keeps what is larger. In cells.
_SMOOTHING = 1.5

#: Island zones (đặc khu) are called so.
_ISLAND_ZONE = "Đặc khu"

_NOBODY = -1

_Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class _Claims:
    """Boxes that claim their cells for a present commune, or for the nearest of several."""

    #: float64[m, 4]: west, south, east, north in degrees.
    boxes: _Floats
    became: tuple[tuple[int, ...], ...]
    #: float64[n, 2] and float64[n]: the point and the radius to trust of each present commune, degrees.
    anchors: _Floats
    radii: _Floats

    def near(self, frame: _Frame) -> _Claims:
        """Those that reach into the frame."""
        low = np.array([frame.left, frame.bottom]) * CELL
        high = low + np.array([frame.columns, frame.rows]) * CELL
        reach = np.flatnonzero(((self.boxes[:, :2] < high) & (self.boxes[:, 2:] > low)).all(axis=1))
        return replace(self, boxes=self.boxes[reach], became=tuple(self.became[i] for i in reach))


@dataclass(frozen=True)
class _Frame:
    """A window of the raster; a cell's south-west corner is at (left + column, bottom + row) times CELL."""

    left: int
    bottom: int
    columns: int
    rows: int

    def within(self, box: NDArray[np.float64]) -> tuple[slice, slice]:
        """Rows and columns of the cells whose centres lie in the box."""
        low = np.ceil(box[:2] / CELL - 0.5).astype(int) - (self.left, self.bottom)
        high = np.floor(box[2:] / CELL - 0.5).astype(int) + 1 - (self.left, self.bottom)
        column, row = np.maximum(low, 0)
        return slice(int(row), int(max(row, high[1]))), slice(int(column), int(max(column, high[0])))

    def centres(self, rows: slice, columns: slice) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Longitudes as a row and latitudes as a column, degrees."""
        lons = (self.left + np.arange(*columns.indices(self.columns), dtype=np.float64) + 0.5) * CELL
        lats = (self.bottom + np.arange(*rows.indices(self.rows), dtype=np.float64) + 0.5) * CELL
        return lons[None, :], lats[:, None]


def approximate_set(provinces: Sequence[str]) -> BoundarySet:
    """Approximate boundaries of the present communes of these provinces (official codes, such as "92").

    The same provinces, in whatever order, give the same version with the same version of the data. Raises
    `UserError` for a code that no province has.
    """
    units = load_units()
    wanted = np.array([commune.province in provinces for commune in units.communes])
    known = {commune.province for commune in units.communes}
    if unknown := sorted(set(provinces) - known) or ([] if provinces else ["none given"]):
        raise UserError(
            f"no such province: {', '.join(unknown)}",
            f"the codes since 1 July 2025 are {', '.join(sorted(known))}",
            "correct IOC_PROVINCES",
        )
    everyone = _claims(units)
    frame = _frame(everyone, wanted)
    claims = everyone.near(frame)

    scraps: list[NDArray[np.int32]] = []
    owner = _owners(claims, frame, scraps)
    for _ in range(2):
        scraps.append(_scraps(owner))
        owner = _owners(claims, frame, scraps)
    _fill_gaps(owner)
    targets = np.flatnonzero(wanted)
    for missing in np.setdiff1d(targets, owner):
        column, row = np.floor(claims.anchors[missing] / CELL).astype(int) - (frame.left, frame.bottom)
        owner[row, column] = missing

    return boundary_set(
        id=ID,
        approximate=True,
        source=f"computed from the points and boxes of {PACKAGE} {package_version()}, method {METHOD}",
        licence=f"data of {PACKAGE}: MIT, Copyright (c) 2025 Tran Ngoc Minh Hieu",
        communes=[units.communes[i] for i in targets],
        geometries=_polygons(owner, targets, frame),
        valid_from=VALID_FROM,
    )


def _claims(units: Units) -> _Claims:
    """What the package says, without what contradicts itself.

    Of the 3,321 points a dozen are those of a namesake, far from every box that the commune was made from:
    the boxes are right then. For the island zones it is the reverse, their boxes are on the mainland. A
    single box far from its commune is a namesake's too. A commune whose boxes together are smaller than it is
    gets a square of its area beside them.
    """
    anchors, radii = units.points.copy(), units.radii.copy()
    centres = (units.boxes[:, :2] + units.boxes[:, 2:]) / 2
    sizes = units.boxes[:, 2:] - units.boxes[:, :2]
    own: list[list[int]] = [[] for _ in units.communes]
    for box, became in enumerate(units.became):
        if len(became) == 1:
            own[became[0]].append(box)
    for commune, boxes in enumerate(own):
        if units.communes[commune].name.startswith(_ISLAND_ZONE) or not boxes:
            continue
        radii[commune] = np.nanmax([radii[commune], np.median(sizes[boxes]) / 2])
        if _distance(centres[boxes], anchors[commune]).min() > _MISPLACED * radii[commune]:
            anchors[commune] = np.median(centres[boxes], axis=0)
    radii = np.fmax(radii, CELL)

    claims: dict[tuple[int, ...], list[_Floats]] = {}
    claimed = np.zeros(len(anchors))
    for box, became in enumerate(units.became):
        options = list(became)
        near = _distance(centres[box], anchors[options]) <= _FAR * radii[options]
        if near.any():
            claims.setdefault(became, []).append(units.boxes[box])
            claimed[np.array(options)[near]] += sizes[box].prod()
    halves = np.sqrt(np.pi) / 2 * np.fmax(units.radii, CELL)
    for commune, half in enumerate(halves):
        if claimed[commune] >= (2 * half) ** 2:
            continue
        square = np.concatenate([anchors[commune] - half, anchors[commune] + half])
        claims.setdefault((commune,), []).append(square)
    # In the order of codes: of two equally good claims the first holds.
    ordered = [(box, became) for became in sorted(claims) for box in claims[became]]
    return _Claims(
        np.array([box for box, _ in ordered]), tuple(became for _, became in ordered), anchors, radii
    )


def _frame(claims: _Claims, wanted: NDArray[np.bool_]) -> _Frame:
    """A window around the boxes and points of the wanted communes, one cell wider on each side."""
    boxes = claims.boxes[[bool(wanted[list(became)].any()) for became in claims.became]]
    points = claims.anchors[wanted]
    low = np.minimum(boxes[:, :2].min(axis=0), points.min(axis=0))
    high = np.maximum(boxes[:, 2:].max(axis=0), points.max(axis=0))
    left, bottom = (np.floor(low / CELL) - 1).astype(int)
    right, top = (np.ceil(high / CELL) + 1).astype(int)
    return _Frame(int(left), int(bottom), int(right - left), int(top - bottom))


def _owners(claims: _Claims, frame: _Frame, scraps: list[NDArray[np.int32]]) -> NDArray[np.int32]:
    """int32[rows, columns]: the present commune of each cell, or _NOBODY.

    Each of `scraps` names for each cell a commune that may not have it.
    """
    owner = np.full((frame.rows, frame.columns), _NOBODY, dtype=np.int32)
    best = np.full(owner.shape, np.inf)
    for box, options in zip(claims.boxes, claims.became, strict=True):
        rows, columns = window = frame.within(box)
        if not best[window].size:
            continue
        lons, lats = frame.centres(rows, columns)
        (lon, lat), (half_width, half_height) = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2
        across, up = np.abs(lons - lon) / half_width, np.abs(lats - lat) / half_height
        off_centre = (across**_NORM + up**_NORM) ** (1 / _NORM)
        away = np.stack([_degrees(lons, lats, *claims.anchors[i]) / claims.radii[i] for i in options])
        nearest = away.argmin(axis=0)
        for position, commune in enumerate(options):
            score = off_centre + _PULL * np.minimum(away[position], _PULL_LIMIT)
            better = (score < best[window]) & (nearest == position)
            for barred in scraps:
                better &= barred[window] != commune
            best[window][better] = score[better]
            owner[window][better] = commune
    return owner


def _degrees(lons: _Floats, lats: _Floats, lon: _Floats, lat: _Floats) -> _Floats:
    """Distances in degrees of latitude, on a flat earth."""
    return np.hypot((lons - lon) * np.cos(np.radians(lat)), lats - lat)


def _distance(points: _Floats, others: _Floats) -> _Floats:
    """The same between points of lon, lat in the last dimension."""
    return _degrees(points[..., 0], points[..., 1], others[..., 0], others[..., 1])


def _labels(values: NDArray[np.int32]) -> NDArray[np.int64]:
    """Connected parts of equal cells: cells have the same number exactly if they are of the same part."""
    starts = np.ones(values.shape, dtype=bool)
    starts[:, 1:] = values[:, 1:] != values[:, :-1]
    run = np.cumsum(starts.ravel()).reshape(values.shape) - 1
    touching = values[1:] == values[:-1]
    count = int(run[-1, -1]) + 1
    one, other = np.divmod(np.unique(run[:-1][touching] * count + run[1:][touching]), count)
    part = np.arange(count)
    while True:
        before, low = part.copy(), np.minimum(part[one], part[other])
        np.minimum.at(part, before[one], low)
        np.minimum.at(part, before[other], low)
        # A part's number is one of its runs: following it halves the way that is left.
        part = part[part]
        if np.array_equal(part, before):
            return part[run]


def _scraps(owner: NDArray[np.int32]) -> NDArray[np.int32]:
    """int32[rows, columns]: the owner of each cell that is in a scrap of its commune, else _NOBODY."""
    label = _labels(owner).ravel()
    size = np.bincount(label, minlength=label.size)
    largest = np.zeros(owner.max(initial=0) + 2, dtype=np.int64)
    np.maximum.at(largest, owner.ravel(), size[label])  # _NOBODY counts in the last place
    small = size[label] < _SCRAP * largest[owner.ravel()]
    return np.where(small.reshape(owner.shape), owner, _NOBODY).astype(np.int32)


def _fill_gaps(owner: NDArray[np.int32]) -> None:
    """Give the cells of nobody that communes enclose to a neighbour, from the rim of the gap inwards."""
    label = _labels(owner)
    rim = np.concatenate([label[0], label[-1], label[:, 0], label[:, -1]])
    gap = (owner == _NOBODY) & ~np.isin(label, rim)
    while gap.any():
        before = owner.copy()
        for axis, shift in ((1, 1), (1, -1), (0, 1), (0, -1)):
            # The frame is one cell wider than what it holds, so that nothing wraps around.
            neighbour = np.roll(before, shift, axis)
            take = gap & (owner == _NOBODY) & (neighbour != _NOBODY)
            owner[take] = neighbour[take]
        gap &= owner == _NOBODY


def _polygons(owner: NDArray[np.int32], communes: NDArray[np.int64], frame: _Frame) -> NDArray[np.object_]:
    """The cells of each commune as one geometry, with common edges. Corners are rounded to 6 decimals."""
    outlines = np.empty(len(communes), dtype=object)
    for i, commune in enumerate(communes):
        rows, columns = np.nonzero(owner == commune)
        west, south = np.round((frame.left + columns) * CELL, 6), np.round((frame.bottom + rows) * CELL, 6)
        east, north = (
            np.round((frame.left + columns + 1) * CELL, 6),
            np.round((frame.bottom + rows + 1) * CELL, 6),
        )
        outlines[i] = shapely.coverage_union_all(shapely.box(west, south, east, north))
    return shapely.coverage_simplify(outlines, _SMOOTHING * CELL)
