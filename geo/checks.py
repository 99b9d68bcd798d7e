"""Checks of communes before a set is accepted: pure, arrays in, findings out.

Shapes are shapely geometries in WGS 84 degrees. How borders fit together is checked in `geo.coverage`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from statistics import median

import numpy as np
import shapely
from numpy.typing import NDArray

from geo.boundaries import Commune
from geo.columns import plain
from geo.metres import in_metres
from geo.official import OfficialList
from geo.report import Finding
from geo.shapes import POLYGONAL, repaired

#: An area may differ from the official figure by this share.
AREA_SHARE = 0.05
#: Official points lie in their communes; a commune so far from its own is elsewhere, kilometres.
DISPLACED_KM = 10.0
#: The country's box is that of the official points and so many degrees more.
_MARGIN = 1.0

_CODE = re.compile(r"[0-9A-Za-z-]{1,20}")
_NAME_LETTERS = 120
#: What kinds of communes are called, as `plain` spells it; part of the full name.
_TYPES = ("phuong", "xa", "dackhu", "thitran")

Shapes = NDArray[np.object_]


def check_texts(communes: Sequence[Commune]) -> list[Finding]:
    """Codes and names that are usable as keys and on a screen."""
    found = []
    for number, commune in enumerate(communes, 1):
        if not _CODE.fullmatch(commune.code) or not _CODE.fullmatch(commune.province):
            found.append(
                Finding(
                    "error",
                    "code",
                    f"feature {number}: {commune.code[:30]!r}, province {commune.province[:30]!r}: no such codes "
                    "can be; name their columns with --code-column and --province-column",
                )
            )
        if not commune.name.isprintable() or len(commune.name) > _NAME_LETTERS:
            found.append(
                Finding("error", "name", f"{commune.name[:40]!r} is not a name", (commune.code[:20],))
            )
    return found


def check_codes(communes: Sequence[Commune], official: OfficialList) -> list[Finding]:
    """Duplicated, unknown and missing codes, and names and provinces that are not those of the list.

    Missing are the communes of the provinces that the file has communes of.
    """
    known, found = official.entries, []
    for code, count in sorted(Counter(commune.code for commune in communes).items()):
        if count > 1:
            message = f"the code occurs {count} times; give each commune one feature of all its parts"
            found.append(Finding("error", "duplicate-code", message, (code,)))
    for commune in communes:
        if commune.code not in known:
            message = f"{commune.name}: the code is not among the {official.title}"
            found.append(Finding("error", "unknown-code", message, (commune.code,)))
            continue
        expected = known[commune.code].commune
        if (commune.province, commune.former_province) != (expected.province, expected.former_province):
            message = (
                f"{commune.name}: province {commune.former_province or commune.province}, "
                f"officially {expected.former_province or expected.province}"
            )
            found.append(Finding("error", "province", message, (commune.code,)))
        if not same_name(commune.name, expected.name):
            message = f"named {commune.name}, officially {expected.name}"
            found.append(Finding("warning", "name", message, (commune.code,)))
    there = {commune.code for commune in communes}
    for province in sorted({commune.former_province or commune.province for commune in communes}):
        for code in sorted(official.codes(province) - there):
            message = f"{known[code].commune.name} is not in the file"
            found.append(Finding("error", "missing-code", message, (code,)))
    return found


def same_name(one: str, other: str) -> bool:
    """The same but for accents, case, and the type of commune that one of them lacks."""
    a, b = plain(one), plain(other)
    return a == b or any(a == kind + b or b == kind + a for kind in _TYPES)


def check_polygons(shapes: Shapes, codes: Sequence[str]) -> list[Finding]:
    """Each commune has a polygon, and its coordinates are numbers."""
    found = []
    for code, shape in zip(codes, shapes, strict=True):
        if shape is None or shape.is_empty:
            found.append(Finding("error", "not-polygon", "no geometry", (code,)))
        elif shapely.get_type_id(shape) not in POLYGONAL:
            found.append(Finding("error", "not-polygon", f"{shape.geom_type} and no polygon", (code,)))
        elif not np.isfinite(shapely.get_coordinates(shape)).all():
            found.append(Finding("error", "coordinates", "coordinates that are not numbers", (code,)))
    return found


def check_axes(shapes: Shapes, official: OfficialList) -> list[Finding]:
    """The polygons are in longitude and latitude, in this order, and in the country."""
    west, south, east, north = shapely.total_bounds(shapes)
    points = np.array([entry.point for entry in official.entries.values()])
    low, high = points.min(axis=0) - _MARGIN, points.max(axis=0) + _MARGIN

    def inside(lons: tuple[float, float], lats: tuple[float, float]) -> bool:
        return bool(low[0] <= lons[0] and lons[1] <= high[0] and low[1] <= lats[0] and lats[1] <= high[1])

    spans = f"x {west:g} to {east:g}, y {south:g} to {north:g}"
    if inside((west, east), (south, north)):
        return []
    if inside((south, north), (west, east)):
        message = f"longitude and latitude are swapped: {spans}; write the file anew with longitude first"
        return [Finding("error", "swapped", message)]
    if max(abs(west), abs(east)) > 180 or max(abs(south), abs(north)) > 90:
        message = f"not degrees: {spans}; name the coordinate system with --crs EPSG:..."
        return [Finding("error", "coordinates", message)]
    message = f"outside the country: {spans}; is it another coordinate system (--crs EPSG:...)?"
    return [Finding("error", "displaced", message)]


def repair_rings(shapes: Shapes, codes: Sequence[str]) -> tuple[Shapes, list[Finding]]:
    """Valid polygons for polygons: what was not valid is repaired and told, with the change of its area.

    A polygon without area stays as it is, with an error.
    """
    mended, found = shapes.copy(), []
    for i in np.flatnonzero(~shapely.is_valid(shapes)).tolist():
        reason, shape = shapely.is_valid_reason(shapes[i]), repaired(shapes[i])
        if shape is None:
            found.append(Finding("error", "not-polygon", f"a polygon without area: {reason}", (codes[i],)))
            continue
        mended[i] = shape
        size = float(shapely.area(in_metres(mended[i : i + 1]))[0])
        message = f"{reason}; now valid, {size / 1e6:.2f} km² in {shapely.get_num_geometries(shape)} parts"
        found.append(Finding("repaired", "geometry", message, (codes[i],), size, "m²"))
    return mended, found


def check_places(shapes: Shapes, codes: Sequence[str], official: OfficialList) -> list[Finding]:
    """No commune is more than `DISPLACED_KM` from its official point.

    A single one is a warning, because some of these points are a namesake's; most of them are an error.
    """
    known = [i for i, code in enumerate(codes) if code in official.entries]
    if not known:
        return []
    points = shapely.points([official.entries[codes[i]].point for i in known])
    on_plane = in_metres(np.concatenate([shapes[known], points]))
    away = shapely.distance(on_plane[: len(known)], on_plane[len(known) :]) / 1000
    if (middle := median(away.tolist())) > DISPLACED_KM:
        message = f"half of the communes are over {middle:.0f} km from where they are officially; check --crs"
        return [Finding("error", "displaced", message, (), middle, "km")]
    return [
        Finding(
            "warning", "displaced", f"{far:.0f} km from its official point", (codes[i],), float(far), "km"
        )
        for i, far in zip(known, away, strict=True)
        if far > DISPLACED_KM
    ]


def check_areas(shapes: Shapes, codes: Sequence[str], official: OfficialList) -> list[Finding]:
    """Areas that differ from the official figure by more than `AREA_SHARE`.

    Warnings, because official figures have mistakes of their own; an error where it is most of the communes.
    """
    found, compared = [], 0
    for code, size in zip(codes, shapely.area(in_metres(shapes)) / 1e6, strict=True):
        entry = official.entries.get(code)
        if entry is None or not entry.area_km2:
            continue
        compared += 1
        share = size / entry.area_km2 - 1
        if abs(share) > AREA_SHARE:
            message = f"{size:.2f} km², officially {entry.area_km2:.2f} km² ({share:+.1%})"
            found.append(Finding("warning", "area", message, (code,), float(size), "km²"))
    if 2 * len(found) > compared:
        message = f"{len(found)} of {compared} areas differ from the official figure by over {AREA_SHARE:.0%}"
        found.insert(0, Finding("error", "area", message))
    return found
