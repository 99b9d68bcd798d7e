"""Communes of any GeoJSON, whatever its properties are called and in whatever coordinate system it is."""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path

import geopandas
import numpy as np
import pandas

from geo.boundaries import Commune
from geo.columns import (
    CODE_DIGITS,
    CODE_NAMES,
    NAME_NAMES,
    PROVINCE_DIGITS,
    PROVINCE_NAMES,
    find_column,
    require_column,
    texts,
)
from geo.files import FORMER_PROVINCE, Shaped
from ioc.errors import UserError


def read_communes(content: bytes, path: Path, province: str | None) -> Shaped:
    """The communes of a file, and what it has for their shapes, in EPSG:4326.

    `province` is for a file that does not say it. Raises `UserError` where it is no GeoJSON, a property is not found
    or empty, or codes are not unique.
    """
    frame = _frame(content, path)
    code_column = require_column(frame, CODE_NAMES, "code", path)
    codes = texts(frame, code_column, CODE_DIGITS, path)
    names = texts(frame, require_column(frame, NAME_NAMES, "name", path), 0, path)
    if province is not None and find_column(frame, PROVINCE_NAMES) is None:
        provinces = [province] * len(frame)
    else:
        province_column = require_column(frame, PROVINCE_NAMES, "province code", path)
        provinces = texts(frame, province_column, PROVINCE_DIGITS, path)
    if twice := sorted(code for code, count in Counter(codes).items() if count > 1):
        raise UserError(
            f"commune codes occur more than once: {', '.join(twice[:10])}",
            f"{path}, property {code_column}",
            "give each commune one feature, of type MultiPolygon where it has several parts",
        )
    fields = zip(codes, names, provinces, _former_provinces(frame), strict=True)
    return [Commune(*field) for field in fields], np.asarray(frame.geometry.values, dtype=object)


def _frame(content: bytes, path: Path) -> geopandas.GeoDataFrame:
    """The features with their polygons in EPSG:4326."""
    remedy = "give a GeoJSON FeatureCollection of communes"
    try:
        # The bytes and not the path: GDAL would take a path's odd characters for instructions.
        frame = geopandas.read_file(io.BytesIO(content))
    except Exception as error:  # GDAL's own hierarchy, which differs by engine
        raise UserError("boundaries file is not GeoJSON", f"{path}: {error}", remedy) from None
    if not isinstance(frame, geopandas.GeoDataFrame) or frame.empty:
        raise UserError("boundaries file has no communes", f"{path}: no features with a geometry", remedy)
    try:
        return frame.set_crs(4326) if frame.crs is None else frame.to_crs(4326)
    except Exception as error:  # pyproj's own hierarchy
        raise UserError(
            "the coordinate system of the boundaries file is not usable",
            f"{path}: {error}",
            "convert the file to EPSG:4326",
        ) from None


def _former_provinces(frame: geopandas.GeoDataFrame) -> list[str | None]:
    """The codes that a file written here has for communes of a former map."""
    if FORMER_PROVINCE not in frame.columns:
        return [None] * len(frame)
    return [None if pandas.isna(value) else str(value) for value in frame[FORMER_PROVINCE]]
