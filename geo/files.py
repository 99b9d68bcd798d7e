"""Boundary sets in files: reading any GeoJSON of communes, writing one that reads back the same."""

from __future__ import annotations

import gzip
import json
import logging
import zlib
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geo.boundaries import BoundarySet, Commune, boundary_set
from geo.shapes import POLYGONAL, repaired
from ioc.errors import UserError
from ioc.wholefile import whole_file

log = logging.getLogger(__name__)

#: What a .gz may unpack to, bytes: the whole country in full detail is about 200 MB.
MAX_BYTES = 1 << 30
#: Property of a file written here, for communes of a former map.
FORMER_PROVINCE = "former_province_code"
#: Communes and their shapes, in order.
Shaped = tuple[list[Commune], NDArray[np.object_]]
#: Member of a file written here that keeps what the features cannot say.
_MEMBER = "boundary_set"
#: The member is among the first bytes of the file.
_HEAD = 20_000


def read_boundaries(
    path: Path,
    *,
    id: str | None = None,
    approximate: bool | None = None,
    source: str | None = None,
    licence: str | None = None,
    province: str | None = None,
    valid_from: datetime | None = None,
    valid_until: datetime | None = None,
) -> BoundarySet:
    """Read a GeoJSON of communes, one feature each, plain or .gz, in any coordinate system that it names.

    The properties that hold code, name (best with its type, as in Phường Cái Khế) and province code are found
    by their names; `province` is for a file without the last. What is not given is what a file written by
    `write_boundaries` says of itself, else: the file's name for `id` and `source`, not approximate, no dates.
    Polygons that are not valid are repaired, and logged.

    Raises `UserError`, saying what to do, where the file is missing or unreadable, a property is not found or
    empty, codes are not unique, or a geometry is no polygon or not in longitude and latitude.
    """
    content = _content(path)
    said = _stated(content)
    written = _written(content) if "version" in said else None
    communes, shapes = written or _foreign(content, path, province)
    geometries = _polygons(shapes, [f"{commune.code} {commune.name}" for commune in communes], path)
    stem = path.name.removesuffix(".gz").rsplit(".", 1)[0]
    return boundary_set(
        id=id or said.get("id") or stem,
        approximate=bool(said.get("approximate", False)) if approximate is None else approximate,
        source=source or said.get("source") or path.name,
        licence=licence or said.get("licence") or "",
        communes=communes,
        geometries=geometries,
        valid_from=valid_from or _date(said, "valid_from", path),
        valid_until=valid_until or _date(said, "valid_until", path),
    )


def write_boundaries(boundaries: BoundarySet, path: Path) -> None:
    """Write a GeoJSON, packed where the name ends with .gz, that `read_boundaries` reads back to the same set
    and version.

    The file appears complete or not at all. Raises `OSError`.
    """
    said = {
        "id": boundaries.id,
        "version": boundaries.version,
        "approximate": boundaries.approximate,
        "source": boundaries.source,
        "licence": boundaries.licence,
        "communes": len(boundaries.communes),
        "valid_from": boundaries.valid_from and boundaries.valid_from.isoformat(),
        "valid_until": boundaries.valid_until and boundaries.valid_until.isoformat(),
    }
    features = [
        {
            "type": "Feature",
            "properties": _properties(commune),
            "geometry": shapely.geometry.mapping(geometry),
        }
        for commune, geometry in zip(boundaries.communes, boundaries.geometries, strict=True)
    ]
    collection = {"type": "FeatureCollection", _MEMBER: said, "features": features}
    content = json.dumps(collection, ensure_ascii=False, separators=(",", ":")).encode()
    if path.suffix == ".gz":
        content = gzip.compress(content, compresslevel=6, mtime=0)
    with whole_file(path) as file:
        file.write(content)


def _properties(commune: Commune) -> dict[str, str]:
    properties = {"code": commune.code, "name": commune.name, "province_code": commune.province}
    if commune.former_province is not None:
        properties[FORMER_PROVINCE] = commune.former_province
    return properties


def stated(path: Path) -> dict[str, Any]:
    """What a file written here says of its set without the communes: id, version, approximate, source, licence,
    communes (how many), valid_from and valid_until (RFC 3339 or None).

    Empty for other files. Raises `OSError` where the start of the file cannot be read.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            return _stated(file.read(_HEAD))
    except (EOFError, zlib.error) as error:
        raise OSError(str(error)) from None


def stated_version(path: Path) -> str | None:
    """The version that a file written here says it holds; None for other files. Raises `UserError` as reading
    does."""
    version = _stated(_content(path)).get("version")
    return version if isinstance(version, str) else None


def _content(path: Path) -> bytes:
    try:
        if path.suffix != ".gz":
            return path.read_bytes()
        with gzip.open(path) as packed:
            content = packed.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise UserError(
                "boundaries file is larger than anything known",
                f"{path}: more than {MAX_BYTES / 2**20:.0f} MiB unpacked",
                "give a file of communes alone",
            )
        return content
    except FileNotFoundError:
        raise UserError("boundaries file not found", str(path), "correct IOC_BOUNDARIES_FILE") from None
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(
            "boundaries file cannot be read", f"{path}: {error}", "check the file and its permissions"
        ) from None


def _stated(content: bytes) -> dict[str, Any]:
    """What a file written here says of itself: at its start, so that the rest need not be parsed."""
    head = content[:_HEAD].decode("utf-8", errors="ignore")
    start = head.find(f'"{_MEMBER}":')
    if start < 0:
        return {}
    try:
        said, _ = json.JSONDecoder().raw_decode(head[start + len(_MEMBER) + 3 :].lstrip())
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _date(said: dict[str, Any], name: str, path: Path) -> datetime | None:
    value = said.get(name)
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        moment = None
    if moment is None or moment.tzinfo is None or not 1800 <= moment.year < 3000:
        raise UserError(
            f"{name} is not a time with a zone", f"{path}: {value!r}", "write it as 2025-07-01T00:00:00+07:00"
        )
    return moment


def _written(content: bytes) -> Shaped | None:
    """The communes of a file as `write_boundaries` writes it, with their shapes; None where it was changed since.

    Workers read such files alone: GDAL, pandas and pyproj would take 60 MB of each of them.
    """
    try:
        collection = json.loads(content)
        if collection.keys() != {"type", _MEMBER, "features"}:
            return None  # another coordinate system, for example
        communes = [_commune(feature["properties"]) for feature in collection["features"]]
        shapes = shapely.get_parts(shapely.from_geojson(content))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, shapely.errors.GEOSException):
        return None  # somebody has changed it: what is wrong is told by whoever reads all files
    is_whole = len({commune.code for commune in communes}) == len(communes) == len(shapes) > 0
    return (communes, shapes) if is_whole else None


def _commune(properties: dict[str, str]) -> Commune:
    """What `_properties` was made from. Raises `ValueError` where it is something else."""
    code, name, province = properties["code"], properties["name"], properties["province_code"]
    former = properties.get(FORMER_PROVINCE)
    said = [code, name, province] if former is None else [code, name, province, former]
    if not all(isinstance(text, str) and text and text == text.strip() for text in said):
        raise ValueError("not as it was written")
    return Commune(code, name, province, former)


def _foreign(content: bytes, path: Path, province: str | None) -> Shaped:
    from geo.foreign import read_communes

    return read_communes(content, path, province)


def _polygons(shapes: NDArray[np.object_], labels: list[str], path: Path) -> NDArray[np.object_]:
    """Valid Polygons and MultiPolygons in longitude and latitude, without heights."""
    shapes = shapely.force_2d(shapes)
    polygonal = np.isin(shapely.get_type_id(shapes), POLYGONAL) & ~shapely.is_empty(shapes)
    if not polygonal.all():
        first = int(np.flatnonzero(~polygonal)[0])
        kind = shapes[first].geom_type if shapes[first] is not None else "no geometry"
        raise UserError(
            f"{int((~polygonal).sum())} of {len(shapes)} communes have no polygon",
            f"{path}: {labels[first]} has {kind}",
            "give each commune a Polygon or MultiPolygon",
        )
    bounds = shapely.bounds(shapes)
    # Written so that a NaN fails too.
    usable = (np.abs(bounds[:, [0, 2]]) <= 180).all(axis=1) & (np.abs(bounds[:, [1, 3]]) <= 90).all(axis=1)
    if not usable.all():
        first = int(np.flatnonzero(~usable)[0])
        raise UserError(
            "coordinates are not longitude and latitude in degrees",
            f"{path}: {labels[first]} spans {', '.join(f'{value:g}' for value in bounds[first])}",
            "name the file's coordinate system in its crs member, or convert it to EPSG:4326",
        )
    for i in np.flatnonzero(~shapely.is_valid(shapes)):
        log.warning("%s: %s repaired: %s", path, labels[i], shapely.is_valid_reason(shapes[i]))
        shape = repaired(shapes[i])
        if shape is None:
            raise UserError(
                "a polygon has no area", f"{path}: {labels[i]}", "give each commune a Polygon or MultiPolygon"
            )
        shapes[i] = shape
    return shapes
