"""A set of commune boundaries: which communes there are, their polygons, and the days they hold for."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import numpy as np
import shapely
from numpy.typing import NDArray


@dataclass(frozen=True, order=True)
class Commune:
    """A commune (xã, phường or đặc khu)."""

    #: Official code, such as 31120; text, for leading zeros count.
    code: str
    #: Name with its type, such as Phường Cái Khế.
    name: str
    #: Official code of the province that its area is in today, such as 92: what is served goes by it.
    province: str
    #: Official code of the province it was in while it existed, such as 93, for a commune of a former map.
    former_province: str | None = None


@dataclass(frozen=True, eq=False)
class BoundarySet:
    """Communes with their polygons, sorted by code. Make one with `boundary_set`."""

    #: Names the set, such as vn-approximate-2025-07.
    id: str
    #: Hash of codes, names, provinces and polygons: another content has another version.
    version: str
    #: An approximation and not an official map: whatever shows the set must say so.
    approximate: bool
    #: Where it comes from, for people.
    source: str
    licence: str
    communes: tuple[Commune, ...]
    #: shapely Polygons and MultiPolygons in WGS 84 degrees (EPSG:4326), in the order of `communes`.
    geometries: NDArray[np.object_]
    #: First instant it holds; None: unknown or since ever.
    valid_from: datetime | None = None
    #: First instant it no longer holds; None: still holds.
    valid_until: datetime | None = None

    @property
    def ref(self) -> str:
        """What a located event cites, `id@version`."""
        return f"{self.id}@{self.version}"

    def only(self, provinces: Sequence[str]) -> BoundarySet:
        """The same set with the communes of these provinces alone; its version is that of what is left."""
        kept = [i for i, commune in enumerate(self.communes) if commune.province in provinces]
        if len(kept) == len(self.communes):
            return self
        communes, geometries = tuple(self.communes[i] for i in kept), self.geometries[kept]
        return replace(
            self, communes=communes, geometries=geometries, version=content_version(communes, geometries)
        )


def boundary_set(
    *,
    id: str,
    approximate: bool,
    source: str,
    licence: str,
    communes: Iterable[Commune],
    geometries: Iterable[shapely.Geometry],
    valid_from: datetime | None = None,
    valid_until: datetime | None = None,
) -> BoundarySet:
    """A set from communes and their polygons in any order; codes must be unique, dates must have a zone.

    Raises `ValueError` otherwise: callers check what comes from users and say it better.
    """
    given, shapes = list(communes), list(geometries)
    if len(given) != len(shapes):
        raise ValueError(f"{len(given)} communes with {len(shapes)} geometries")
    order = sorted(range(len(given)), key=lambda i: given[i].code)
    ordered = tuple(given[i] for i in order)
    if len({commune.code for commune in ordered}) != len(ordered):
        raise ValueError("commune codes are not unique")
    if any(moment is not None and moment.tzinfo is None for moment in (valid_from, valid_until)):
        raise ValueError("validity dates need a zone")
    polygons = np.empty(len(order), dtype=object)
    polygons[:] = [shapes[i] for i in order]
    return BoundarySet(
        id=id,
        version=content_version(ordered, polygons),
        approximate=approximate,
        source=source,
        licence=licence,
        communes=ordered,
        geometries=polygons,
        valid_from=valid_from,
        valid_until=valid_until,
    )


def content_version(communes: Sequence[Commune], geometries: NDArray[np.object_]) -> str:
    """Twelve hexadecimal digits that follow from the content alone, whatever machine computes them."""
    digest = hashlib.sha256()
    shapes = shapely.to_wkb(geometries, output_dimension=2, byte_order=1)
    for commune, shape in zip(communes, shapes, strict=True):
        province = commune.province
        if commune.former_province is not None:
            # No code has a NUL in it.
            province += f"\0{commune.former_province}"
        # Each part is preceded by its length, so that no two contents give the same bytes.
        for part in (commune.code.encode(), commune.name.encode(), province.encode(), shape):
            digest.update(len(part).to_bytes(8, "little"))
            digest.update(part)
    return digest.hexdigest()[:12]
