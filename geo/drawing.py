"""Boundaries for drawing: simplified, so that a browser gets kilobytes and not megabytes.

For display only. A simplified border can be hundreds of metres from the true one whatever the tolerance, so a
lookup never uses it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import shapely

from geo.boundaries import BoundarySet
from geo.units import KM_PER_DEGREE

#: A hundred-thousandth of a degree is about a metre.
DECIMALS = 5


def drawing(boundaries: BoundarySet, tolerance_m: float = 50.0) -> dict[str, Any]:
    """A GeoJSON FeatureCollection (RFC 7946) with one feature for each commune, in the order of the set.

    Neighbours are simplified together and keep one common edge. `tolerance_m`, in metres, is about the square
    root of the area of the corners that vanish. Properties: `code`, `name` and `label`, a point [lon, lat]
    inside the polygon, far from its edges, for the name to stand at.
    """
    middle = float(np.mean(shapely.total_bounds(boundaries.geometries)[[1, 3]]))
    # Metres, or the tolerance would be another one across than up.
    scale = np.array([np.cos(np.radians(middle)), 1.0]) * KM_PER_DEGREE * 1000
    metres = shapely.transform(boundaries.geometries, lambda degrees: degrees * scale)
    # Official polygons overlap by a hair's breadth and lack each other's vertices; a coverage must not.
    clean = shapely.coverage_clean(metres, gap_width=1.0)
    simple = shapely.coverage_simplify(clean, tolerance_m)
    # Two polygons on top of each other: cleaning leaves one of them nothing.
    simple = np.where(shapely.is_empty(simple), metres, simple)
    shapes = shapely.transform(simple, lambda places: np.round(places / scale, DECIMALS))
    # Rounding can make a polygon touch itself, or leave nothing of one that is smaller than a metre.
    shapes = shapely.make_valid(shapes, method="structure", keep_collapsed=False)
    shapes = np.where(shapely.is_empty(shapes), boundaries.geometries, shapes)
    shapes = shapely.orient_polygons(shapes)
    return {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature",
                "properties": {"code": commune.code, "name": commune.name, "label": _label(shape)},
                "geometry": _geometry(shape),
            }
            for commune, shape in zip(boundaries.communes, shapes, strict=True)
        ],
    }


def _label(shape: shapely.Geometry) -> list[float]:
    """The point farthest from the edges, rounded if it then still lies inside."""
    centre = shapely.get_point(shapely.maximum_inscribed_circle(shape), 0)
    lon, lat = shapely.get_coordinates(centre)[0]
    rounded = [round(float(lon), DECIMALS), round(float(lat), DECIMALS)]
    return rounded if shapely.contains_xy(shape, *rounded) else [float(lon), float(lat)]


def _geometry(shape: shapely.Geometry) -> dict[str, Any]:
    return {
        "type": shape.geom_type,
        "coordinates": shapely.geometry.mapping(shape)["coordinates"],
    }
