"""What the package vietnamadminunits (MIT) knows of communes before and after the reform of 1 July 2025.

It has points, areas and bounding boxes, no polygons. Its files are read in place, because importing it loads
address parsers that are of no use here.
"""

from __future__ import annotations

import importlib.util
import json
import sqlite3
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geo.boundaries import Commune
from ioc.errors import UserError

PACKAGE = "vietnamadminunits"
KM_PER_DEGREE = 111.195


@dataclass(frozen=True, eq=False)
class Units:
    """The whole country: n present communes, sorted by code, and the m legacy ones they were made from."""

    communes: tuple[Commune, ...]
    #: float64[n, 2]: a point in each present commune, mostly its centroid; lon, lat in degrees.
    points: NDArray[np.float64]
    #: float64[n]: radius of a circle of the commune's area, degrees of latitude; NaN where it is unknown.
    radii: NDArray[np.float64]
    #: float64[m, 4]: bounding boxes of legacy communes; west, south, east, north in degrees.
    boxes: NDArray[np.float64]
    #: m tuples: indexes of the present communes that the legacy one may have gone to; more than one where it
    #: was divided, or where the package cannot tell it from a namesake.
    became: tuple[tuple[int, ...], ...]
    #: The m legacy communes, sorted by code. `province` is the one that their area is in today. The five island
    #: districts that had no communes stand among them with the district's name and code of three digits.
    legacy: tuple[Commune, ...]
    #: m codes of the districts (quận, huyện, thị xã, thành phố) that the legacy communes were in.
    districts: tuple[str, ...]


def package_version() -> str:
    """Version of the installed package. Raises `UserError` where it is missing."""
    try:
        return version(PACKAGE)
    except PackageNotFoundError:
        raise _missing() from None


@cache
def load_units() -> Units:
    """Read the package's tables. Raises `UserError` where the package or a file of it is missing or unlike
    what is known of it."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise _missing()
    data = Path(spec.submodule_search_locations[0]) / "data"
    try:
        return _read(data)
    except (OSError, sqlite3.Error, KeyError, ValueError) as error:
        raise UserError(
            f"the data of the package {PACKAGE} {package_version()} cannot be read",
            f"{data}: {type(error).__name__}: {error}",
            "install the locked version, or set IOC_BOUNDARIES_FILE to a GeoJSON of communes",
        ) from error


def _missing() -> UserError:
    return UserError(
        f"the package {PACKAGE} is not installed",
        "it has the data of the approximate boundaries",
        "run make install, or set IOC_BOUNDARIES_FILE to a GeoJSON of communes",
    )


def _read(data: Path) -> Units:
    with sqlite3.connect(f"{(data / 'dataset.db').as_uri()}?mode=ro&immutable=1", uri=True) as database:
        present = database.execute(
            "SELECT wardCode, ward, provinceCode, wardLon, wardLat, wardAreaKm2, provinceKey, wardKey"
            " FROM admin_units ORDER BY wardCode"
        ).fetchall()
        # Five island districts had no communes; there the district's box stands in.
        legacy = database.execute(
            "SELECT provinceKey, districtKey, coalesce(wardKey, ''), coalesce(wardBounds, districtBounds),"
            " coalesce(wardCode, districtCode) AS code, coalesce(ward, district), provinceCode, districtCode"
            " FROM admin_units_legacy ORDER BY code"
        ).fetchall()
    database.close()
    converter = json.loads((data / "converter_2025.json").read_bytes())

    index = {(row[6], row[7]): i for i, row in enumerate(present)}
    became: dict[str, tuple[int, ...]] = {}
    for province, merged in converter["DICT_PROVINCE_WARD_NO_DIVIDED"].items():
        for new, olds in merged.items():
            became.update(dict.fromkeys(olds, (index[province, new],)))
    for province, divided in converter["DICT_PROVINCE_WARD_DIVIDED"].items():
        for old, news in divided.items():
            became[old] = tuple(sorted(index[province, new["newWardKey"]] for new in news))

    went = tuple(became["_".join(row[:3])] for row in legacy)
    communes = tuple(Commune(row[0], row[1], row[2]) for row in present)
    areas = np.array([row[5] if row[5] is not None else np.nan for row in present], dtype=np.float64)
    return Units(
        communes=communes,
        points=np.array([(row[3], row[4]) for row in present], dtype=np.float64),
        radii=np.sqrt(areas / np.pi) / KM_PER_DEGREE,
        boxes=np.array([_box(row[3]) for row in legacy], dtype=np.float64),
        became=went,
        # No province was divided: all that a commune may have gone to is in the same one.
        legacy=tuple(
            Commune(row[4], row[5], communes[options[0]].province, former_province=row[6])
            for row, options in zip(legacy, went, strict=True)
        ),
        districts=tuple(row[7] for row in legacy),
    )


def _box(text: str) -> tuple[float, float, float, float]:
    """`south,west – north,east` as west, south, east, north."""
    low, high = text.split(" – ")
    (south, west), (north, east) = map(float, low.split(",")), map(float, high.split(","))
    return west, south, east, north
