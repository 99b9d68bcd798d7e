"""Polygons as arrays: which they are, and the repair of those that are not valid."""

from __future__ import annotations

import numpy as np
import shapely

#: The type ids, in shapely, of a Polygon and a MultiPolygon.
POLYGONAL = (3, 6)


def repaired(shape: shapely.Geometry) -> shapely.Geometry | None:
    """The area that an invalid polygon encloses, as a valid Polygon or MultiPolygon; None where it has none."""
    parts = shapely.get_parts(shapely.make_valid(shape, method="structure", keep_collapsed=False))
    parts = shapely.get_parts(parts[np.isin(shapely.get_type_id(parts), POLYGONAL)])
    parts = parts[~shapely.is_empty(parts)]
    if not len(parts):
        return None
    return parts[0] if len(parts) == 1 else shapely.MultiPolygon(list(parts))
