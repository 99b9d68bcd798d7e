"""How the borders of communes fit together: overlaps, gaps, edges that do not match; and their repair.

Shapes are valid Polygons and MultiPolygons in WGS 84 degrees; lengths and areas are in metres.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray

from geo.metres import in_metres
from geo.report import Finding

#: Overlaps and gaps up to this area are slips of the pen, and repaired; larger ones are refused.
TOLERANCE_M2 = 100.0
#: Edges that are nearer than this, in degrees (11 cm), are meant to be the same.
_SAME = 1e-6
#: How often edges are made to match and gaps filled, at most.
_ROUNDS = 4

Shapes = NDArray[np.object_]


@dataclass(frozen=True)
class Border:
    """A border of two communes where the edges of one are not those of the other."""

    one: int
    other: int
    length_m: float
    overlap_m2: float


@dataclass(frozen=True)
class Gap:
    """A place that communes enclose and none has."""

    polygon: shapely.Polygon
    area_m2: float
    #: The communes around it, the one with the longest part of its rim first.
    around: tuple[int, ...]


def bad_borders(shapes: Shapes) -> list[Border]:
    """Every pair of communes whose common border is not one line, with what they both cover."""
    edges = shapely.coverage_invalid_edges(shapes)
    flagged = np.flatnonzero(~shapely.is_empty(edges))
    if not flagged.size:
        return []
    left, right = shapely.STRtree(shapes).query(edges[flagged], predicate="dwithin", distance=_SAME)
    left = flagged[left]
    pairs = sorted({(min(pair), max(pair)) for pair in zip(left.tolist(), right.tolist(), strict=True)})
    found = []
    for one, other in (pair for pair in pairs if pair[0] != pair[1]):
        common = shapely.intersection(shapes[one], shapes[other])
        length = max(_along(edges[one], shapes[other], shapes), _along(edges[other], shapes[one], shapes))
        overlap = float(shapely.area(in_metres(np.array([common]), shapes))[0]) if common.area else 0.0
        if length or overlap:
            found.append(Border(one, other, length, overlap))
    return found


def _along(edges: shapely.Geometry, shape: shapely.Geometry, around: Shapes) -> float:
    """Length of the edges that run along or in the shape, metres."""
    if shapely.is_empty(edges):
        return 0.0
    west, south, east, north = shapely.bounds(edges)
    near = shapely.clip_by_rect(shape, west - _SAME, south - _SAME, east + _SAME, north + _SAME)
    run = shapely.intersection(edges, shapely.buffer(near, _SAME, quad_segs=1))
    # What is shorter than the width of the strip is the corner of a commune that only touches.
    if run.length <= 4 * _SAME:
        return 0.0
    return float(shapely.length(in_metres(np.array([run]), around))[0])


def gaps(shapes: Shapes) -> list[Gap]:
    """Every place that the communes together enclose and none covers."""
    valid = shapely.coverage_is_valid(shapes)
    whole = shapely.coverage_union_all(shapes) if valid else shapely.union_all(shapes)
    # Faces of the outline that are not of the communes: holes, and slivers that reach the outside at a point.
    outline = shapely.union_all(shapely.boundary(shapely.get_parts(whole)))
    faces = shapely.get_parts(shapely.polygonize([outline]))
    shapely.prepare(whole)
    holes = faces[~shapely.intersects(whole, shapely.point_on_surface(faces))]
    if not holes.size:
        return []
    areas = shapely.area(in_metres(holes, shapes))
    tree, found = shapely.STRtree(shapes), []
    for hole, area in zip(holes, areas, strict=True):
        strip = shapely.buffer(hole, _SAME, quad_segs=1)
        near = np.sort(tree.query(strip, predicate="intersects"))
        rims = np.array([shapely.intersection(shapes[i], strip).area for i in near])
        # Of equal rims the lower code's, whatever the last digits say.
        order = np.lexsort((near, -np.round(rims / max(rims.max(), 1e-300), 3)))
        found.append(Gap(hole, float(area), tuple(near[order].tolist())))
    return found


def check_coverage(
    shapes: Shapes,
    codes: Sequence[str],
    tolerance_m2: float = TOLERANCE_M2,
    accepted: frozenset[str] | set[str] = frozenset(),
) -> tuple[Shapes, list[Finding]]:
    """Polygons that fit together for polygons that nearly do, and what was wrong.

    An overlap or gap of at most `tolerance_m2` goes to one of its neighbours, and each commune's change of area
    is told. A larger one is an error, and is left as it is; so are all borders while there is a larger overlap.
    `accepted` may hold "overlap", where such places stay as they are.
    """
    found: list[Finding] = []
    for gap in gaps(shapes):
        names = tuple(sorted(codes[i] for i in gap.around))
        if gap.area_m2 > tolerance_m2:
            message = f"a gap of {gap.area_m2:,.0f} m² at {_place(gap.polygon)} belongs to no commune"
            found.append(Finding("error", "gap", message, names, gap.area_m2, "m²"))
        else:
            message = f"a gap of {gap.area_m2:.2f} m² at {_place(gap.polygon)} went to {codes[gap.around[0]]}"
            found.append(Finding("repaired", "gap", message, names, gap.area_m2, "m²"))
    borders = bad_borders(shapes)
    for border in borders:
        if border.overlap_m2 > tolerance_m2:
            message = f"both cover the same {border.overlap_m2:,.0f} m²"
            if "overlap" in accepted:
                message += ": the lowest code has it"
            pair = codes[border.one], codes[border.other]
            found.append(Finding("error", "overlap", message, pair, border.overlap_m2, "m²"))
    if any(finding.check == "overlap" for finding in found):
        return shapes, [finding for finding in found if finding.severity == "error"]
    if not borders and not any(finding.severity == "repaired" for finding in found):
        return shapes, found
    mended = _mend(shapes, tolerance_m2)
    changes = _changes(shapes, mended)
    for border in borders:
        pair = codes[border.one], codes[border.other]
        told = [
            f"{codes[i]} {changes[i]:+.2f} m²" for i in (border.one, border.other) if abs(changes[i]) >= 0.005
        ]
        message = (
            f"{border.length_m:.0f} m of their border do not match, overlap {border.overlap_m2:.2f} m²: "
            f"now one line ({', '.join(told) or 'no area changed'})"
        )
        found.append(Finding("repaired", "border", message, pair, border.overlap_m2, "m²"))
    if not shapely.coverage_is_valid(mended):
        found.append(Finding("warning", "border", "borders are left that are not one line after the repair"))
    limit = tolerance_m2 + sum(finding.measure or 0.0 for finding in found if finding.severity == "repaired")
    for i in np.flatnonzero(np.abs(changes) > limit).tolist():
        message = f"the repair would change its area by {changes[i]:+,.0f} m²"
        found.append(Finding("error", "border", message, (codes[i],), float(changes[i]), "m²"))
    return mended, found


def _mend(shapes: Shapes, tolerance_m2: float) -> Shapes:
    """Gaps filled and edges made to match; shapes that need no change are the very same objects."""
    mended = shapes
    # Making edges match may open a hairline elsewhere, seldom twice.
    for _ in range(_ROUNDS):
        small = [gap for gap in gaps(mended) if gap.area_m2 <= tolerance_m2]
        if not small and shapely.coverage_is_valid(mended):
            break
        filled = mended.copy()
        for gap in small:
            filled[gap.around[0]] = shapely.union(filled[gap.around[0]], gap.polygon)
        mended = filled if shapely.coverage_is_valid(filled) else _matched(filled)
    return mended


def _matched(shapes: Shapes) -> Shapes:
    """One line wherever borders are common."""
    cleaned = shapely.coverage_clean(shapes)
    same = shapely.equals_exact(_ordered(shapes), _ordered(cleaned), tolerance=0)
    # A commune is never lost for the sake of its borders.
    same |= ~shapely.is_valid(cleaned) | shapely.is_empty(cleaned)
    return np.where(same, shapes, cleaned)


def _ordered(shapes: Shapes) -> Shapes:
    """Always multipolygons in the normal order, so that equal areas compare equal."""
    plain = np.empty(len(shapes), dtype=object)
    plain[:] = [shapely.multipolygons(shapely.get_parts(shape)) for shape in shapes]
    return shapely.normalize(plain)


def _changes(before: Shapes, after: Shapes) -> NDArray[np.float64]:
    """float64[n]: how much larger each one became, m²."""
    changes = np.zeros(len(before))
    for i in np.flatnonzero([one is not other for one, other in zip(before, after, strict=True)]):
        gained, lost = shapely.difference(after[i], before[i]), shapely.difference(before[i], after[i])
        areas = shapely.area(in_metres(np.array([gained, lost], dtype=object), before))
        changes[i] = areas[0] - areas[1]
    return changes


def _place(polygon: shapely.Polygon) -> str:
    point = shapely.point_on_surface(polygon)
    return f"{point.x:.5f} {point.y:.5f}"
