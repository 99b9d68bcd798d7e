"""Approximate maps of today's communes and of those before the reform, for whoever has no official ones at hand.

The project ships no polygons of communes, but the points, areas and legacy bounding boxes of `geo.units` tell
roughly where they lie. The method, on a raster of cells:

1. A cell belongs to the legacy commune in whose bounding box it lies most centrally, and so to the present
   commune that this one became; the distance to the present commune's point has a small say as well. Communes
   of neighbouring provinces compete, which is what draws the outer border.
2. A commune keeps its large parts; the scraps go to the next best.
3. Cells in no box belong to nobody, except gaps that communes enclose.
4. Each commune's cells become a polygon, and the staircases are smoothed for all at once, so that neighbours
   keep one common edge.

The former map divides the cells of each present commune between the legacy ones that it has parts of, so that the
two maps agree but for the smoothing.

For Cần Thơ 85.6 % of the area is in the right commune, measured against the official map.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from geo.boundaries import BoundarySet, boundary_set
from geo.raster import CELL, NOBODY, Cells, Floats, Frame, Owners, fill_gaps, frames_around, scraps
from geo.reform import REFORM
from geo.succession import tell_apart
from geo.units import PACKAGE, Units, load_units, package_version
from ioc.errors import UserError

ID = "vn-approximate-2025-07"
FORMER_ID = "vn-approximate-before-2025-07"
#: Goes up when the method gives other polygons; a cached set of another method is not used.
METHOD = 2

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
#: Of a former commune's mean share of a present one, the least side of a box, as a part of the square's.
_SEED = 0.5

#: Island zones (đặc khu) are called so.
_ISLAND_ZONE = "Đặc khu"

#: For each legacy commune the indexes of the present ones that it may have gone to.
Became = Sequence[tuple[int, ...]]


@dataclass(frozen=True, eq=False)
class _Claims:
    """Boxes that claim their cells for a present commune, or for the nearest of several."""

    #: float64[m, 4]: west, south, east, north in degrees.
    boxes: Floats
    became: tuple[tuple[int, ...], ...]
    #: float64[n, 2] and float64[n]: the point and the radius to trust of each present commune, degrees.
    anchors: Floats
    radii: Floats

    def near(self, frame: Frame) -> _Claims:
        """Those that reach into the frame."""
        low, high = np.split(frame.bounds, 2)
        reach = np.flatnonzero(((self.boxes[:, :2] < high) & (self.boxes[:, 2:] > low)).all(axis=1))
        return replace(self, boxes=self.boxes[reach], became=tuple(self.became[i] for i in reach))

    def of(self, wanted: NDArray[np.bool_]) -> Floats:
        """float64[k, 4]: the boxes of these communes, and a cell at the point of each."""
        boxes = self.boxes[[bool(wanted[list(news)].any()) for news in self.became]]
        points = self.anchors[wanted]
        return np.concatenate([boxes, np.concatenate([points, points], axis=1)])


def approximate_set(provinces: Sequence[str]) -> BoundarySet:
    """Approximate boundaries of the present communes of these provinces (official codes, such as "92").

    The same provinces, in whatever order, give the same version with the same version of the data. Raises
    `UserError` for a code that no province has.
    """
    units, became = _units()
    cells = _present_cells(units, became, _wanted(units, provinces))
    return boundary_set(
        id=ID,
        approximate=True,
        source=_source(),
        licence=_licence(),
        communes=[units.communes[i] for i in np.unique(cells.owner)],
        geometries=cells.polygons(),
        valid_from=REFORM,
    )


def former_set(provinces: Sequence[str]) -> BoundarySet:
    """The same for the communes before 1 July 2025, in the area of these provinces of today.

    The codes are those of present provinces here too: "92" gives the communes of the former Cần Thơ, Hậu Giang
    and Sóc Trăng. Raises `UserError` for a code that no present province has.
    """
    units, became = _units()
    cells = _former_cells(units, became, _present_cells(units, became, _wanted(units, provinces)))
    return boundary_set(
        id=FORMER_ID,
        approximate=True,
        source=_source(),
        licence=_licence(),
        communes=[units.legacy[i] for i in np.unique(cells.owner)],
        geometries=cells.polygons(),
        valid_until=REFORM,
    )


def _units() -> tuple[Units, Became]:
    units = load_units()
    return units, tell_apart(units)[0]


def _wanted(units: Units, provinces: Sequence[str]) -> NDArray[np.bool_]:
    """bool[n]: whether a present commune is in one of the provinces. Raises `UserError`."""
    known = {commune.province for commune in units.communes}
    if unknown := sorted(set(provinces) - known) or ([] if provinces else ["none given"]):
        raise UserError(
            f"no such province: {', '.join(unknown)}",
            f"the codes since 1 July 2025 are {', '.join(sorted(known))}",
            "correct IOC_PROVINCES",
        )
    return np.array([commune.province in provinces for commune in units.communes])


def _source() -> str:
    return f"computed from the points and boxes of {PACKAGE} {package_version()}, method {METHOD}"


def _licence() -> str:
    return f"data of {PACKAGE}: MIT, Copyright (c) 2025 Tran Ngoc Minh Hieu"


def _present_cells(units: Units, became: Became, wanted: NDArray[np.bool_]) -> Cells:
    """The cells of the wanted present communes; each has one at least."""
    everyone = _claims(units, became)
    frames = frames_around(everyone.of(wanted))
    claims = [everyone.near(frame) for frame in frames]
    barred: list[list[Owners]] = [[] for _ in frames]
    windows = [_owners(*each) for each in zip(claims, frames, barred, strict=True)]
    for _ in range(2):
        for names, more in zip(barred, scraps(windows, _SCRAP), strict=True):
            names.append(more)
        windows = [_owners(*each) for each in zip(claims, frames, barred, strict=True)]
    for window in windows:
        fill_gaps(window)
    targets = np.flatnonzero(wanted)
    # A commune that lost everywhere gets the middle of it, half its width; or one cell, where that middle is
    # all that another has.
    for share in (0.5, 0.0):
        owned = np.unique(np.concatenate([np.unique(window) for window in windows]))
        for missing in np.setdiff1d(targets, owned):
            anchor, half = everyone.anchors[missing], share * everyone.radii[missing]
            low, high = (np.floor((anchor + side) / CELL).astype(int) for side in (-half, half))
            for frame, window in zip(frames, windows, strict=True):
                (west, south), (east, north) = (
                    np.clip(corner - (frame.left, frame.bottom), 0, (frame.columns, frame.rows))
                    for corner in (low, high + 1)
                )
                window[south:north, west:east] = missing
    return Cells.of(frames, windows, targets)


def _former_cells(units: Units, became: Became, present: Cells) -> Cells:
    """The same cells by legacy commune; each legacy commune that has parts there has one cell at least."""
    parts: dict[int, list[int]] = defaultdict(list)
    for legacy, news in enumerate(became):
        for commune in news:
            parts[commune].append(legacy)
    owner = np.full(present.owner.shape, NOBODY, dtype=np.int32)
    communes = np.unique(present.owner)
    for commune in communes:
        mine, olds = present.slice_of(commune), np.array(parts[commune])
        whole = np.array([len(became[old]) == 1 for old in olds])
        best = _divide(present.column[mine], present.row[mine], units.boxes[olds], whole)
        owner[mine] = olds[best]
    counts = np.bincount(owner, minlength=len(became))
    for missing in sorted({old for commune in communes for old in parts[commune] if not counts[old]}):
        own = np.concatenate([np.arange(*present.slice_of(i).indices(owner.size)) for i in became[missing]])
        # A cell from those that have others.
        own = own[counts[owner[own]] > 1]
        off_centre = _off_centre(*_centres(present.column[own], present.row[own]), units.boxes[missing])
        taken = own[off_centre.argmin()]
        counts[owner[taken]] -= 1
        owner[taken], counts[missing] = missing, 1
    return Cells.sorted(owner, present.column, present.row)


def _divide(
    column: NDArray[np.int64], row: NDArray[np.int64], boxes: Floats, whole: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """int64[k]: for each cell of a present commune which of the boxes it lies in most centrally; scraps go to
    the next best.

    A box that no cell is in, or that another has as well, says nothing: if all of its commune must be here
    (`whole`), it gets what lies in no box.
    """
    lons, lats = _centres(column, row)
    # Some boxes are those of a point: at least they have a place.
    half = _SEED * np.sqrt(column.size / len(boxes)) * CELL / 2
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    boxes = np.concatenate(
        [np.fmin(boxes[:, :2], middle - half), np.fmax(boxes[:, 2:], middle + half)], axis=1
    )
    off_centre = np.stack([_off_centre(lons, lats, box) for box in boxes])
    _, first = np.unique(boxes, axis=0, return_index=True)
    nothing = (off_centre.min(axis=1) > 1) | ~np.isin(np.arange(len(boxes)), first)
    off_centre[nothing & whole] = 1.0
    best = off_centre.argmin(axis=0)
    grid = np.full((np.ptp(row) + 1, np.ptp(column) + 1), NOBODY, dtype=np.int32)
    place = (row - row.min(), column - column.min())
    for _ in range(2):
        grid[place] = best
        [small] = scraps([grid], _SCRAP)
        [cells] = np.nonzero(small[place] != NOBODY)
        off_centre[best[cells], cells] = np.inf
        best = off_centre.argmin(axis=0)
    return best


def _centres(column: NDArray[np.int64], row: NDArray[np.int64]) -> tuple[Floats, Floats]:
    """Longitudes and latitudes of the centres of cells, degrees."""
    return np.asarray((column + 0.5) * CELL), np.asarray((row + 0.5) * CELL)


def _claims(units: Units, became: Became) -> _Claims:
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
    for box, news in enumerate(became):
        if len(news) == 1:
            own[news[0]].append(box)
    for commune, boxes in enumerate(own):
        if units.communes[commune].name.startswith(_ISLAND_ZONE) or not boxes:
            continue
        radii[commune] = np.nanmax([radii[commune], np.median(sizes[boxes]) / 2])
        if _distance(centres[boxes], anchors[commune]).min() > _MISPLACED * radii[commune]:
            anchors[commune] = np.median(centres[boxes], axis=0)
    radii = np.fmax(radii, CELL)

    claims: dict[tuple[int, ...], list[Floats]] = {}
    claimed = np.zeros(len(anchors))
    for box, news in enumerate(became):
        options = list(news)
        near = _distance(centres[box], anchors[options]) <= _FAR * radii[options]
        if near.any():
            claims.setdefault(news, []).append(units.boxes[box])
            claimed[np.array(options)[near]] += sizes[box].prod()
    halves = np.sqrt(np.pi) / 2 * np.fmax(units.radii, CELL)
    for commune, half in enumerate(halves):
        if claimed[commune] >= (2 * half) ** 2:
            continue
        square = np.concatenate([anchors[commune] - half, anchors[commune] + half])
        claims.setdefault((commune,), []).append(square)
    # In the order of codes: of two equally good claims the first holds.
    ordered = [(box, news) for news in sorted(claims) for box in claims[news]]
    return _Claims(np.array([box for box, _ in ordered]), tuple(news for _, news in ordered), anchors, radii)


def _owners(claims: _Claims, frame: Frame, barred: Sequence[Owners]) -> Owners:
    """int32[rows, columns]: the present commune of each cell, or NOBODY.

    Each of `barred` names for each cell a commune that may not have it.
    """
    owner = np.full((frame.rows, frame.columns), NOBODY, dtype=np.int32)
    best = np.full(owner.shape, np.inf)
    for box, options in zip(claims.boxes, claims.became, strict=True):
        rows, columns = window = frame.within(box)
        if not best[window].size:
            continue
        lons, lats = frame.centres(rows, columns)
        off_centre = _off_centre(lons, lats, box)
        away = np.stack([_degrees(lons, lats, *claims.anchors[i]) / claims.radii[i] for i in options])
        nearest = away.argmin(axis=0)
        for position, commune in enumerate(options):
            score = off_centre + _PULL * np.minimum(away[position], _PULL_LIMIT)
            better = (score < best[window]) & (nearest == position)
            for names in barred:
                better &= names[window] != commune
            best[window][better] = score[better]
            owner[window][better] = commune
    return owner


def _off_centre(lons: Floats, lats: Floats, box: Floats) -> Floats:
    """How far from the centre of the box points are, 1 in the middle of its sides."""
    (lon, lat), (half_width, half_height) = (box[:2] + box[2:]) / 2, (box[2:] - box[:2]) / 2
    across, up = np.abs(lons - lon) / half_width, np.abs(lats - lat) / half_height
    return np.asarray((across**_NORM + up**_NORM) ** (1 / _NORM))


def _degrees(lons: Floats, lats: Floats, lon: Floats, lat: Floats) -> Floats:
    """Distances in degrees of latitude, on a flat earth."""
    return np.hypot((lons - lon) * np.cos(np.radians(lat)), lats - lat)


def _distance(points: Floats, others: Floats) -> Floats:
    """The same between points of lon, lat in the last dimension."""
    return _degrees(points[..., 0], points[..., 1], others[..., 0], others[..., 1])
