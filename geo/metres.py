"""Polygons in metres instead of degrees, for true areas and distances."""

from __future__ import annotations

import geopandas
import numpy as np
import shapely
from numpy.typing import NDArray

#: Edges longer than this, in degrees, are divided before they go on a plane. They are straight in degrees and not
#: there: 10 km along a parallel are off by 20 cm in the middle, 200 m by a tenth of a millimetre.
_LONGEST = 0.002


def in_metres(shapes: NDArray[np.object_], around: NDArray[np.object_] | None = None) -> NDArray[np.object_]:
    """Shapes in WGS 84 degrees on a plane in metres that keeps areas (Lambert's, about their middle).

    `around` are other shapes whose middle is to be taken, so that results of two calls can be compared.
    """
    west, south, east, north = shapely.total_bounds(shapes if around is None else around)
    plane = f"+proj=laea +lon_0={(west + east) / 2} +lat_0={(south + north) / 2} +datum=WGS84 +units=m"
    divided = shapely.segmentize(shapes, _LONGEST)
    return np.asarray(geopandas.GeoSeries(list(divided), crs=4326).to_crs(plane).values, dtype=object)
