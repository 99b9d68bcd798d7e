"""The boundary set in force, and the places of points as events carry them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from geo.boundaries import BoundarySet
from geo.locate import Locator
from streams.schemas import Place


class Atlas:
    """Attaches the commune. Made once for a process: building the locator takes time."""

    def __init__(self, boundaries: BoundarySet) -> None:
        self.boundaries = boundaries
        self._locator = Locator(boundaries)
        ref, approximate = boundaries.ref, boundaries.approximate
        self._nowhere = Place(outcome="nowhere", boundaries=ref, approximate=approximate)
        self._outside = Place(outcome="outside", boundaries=ref, approximate=approximate)
        self._inside = [
            Place(
                outcome="inside",
                commune=commune.code,
                commune_name=commune.name,
                province=commune.province,
                boundaries=ref,
                approximate=approximate,
            )
            for commune in boundaries.communes
        ]

    def places(self, points: Sequence[tuple[float | None, float | None]]) -> list[Place]:
        """The place of each (lon, lat), in degrees; a coordinate that is missing or out of range is nowhere."""
        lons = np.array([np.nan if lon is None else lon for lon, _ in points], dtype=float)
        lats = np.array([np.nan if lat is None else lat for _, lat in points], dtype=float)
        usable = (np.abs(lons) <= 180) & (np.abs(lats) <= 90)
        return [
            self._inside[index] if index >= 0 else self._outside if ok else self._nowhere
            for index, ok in zip(self._locator.locate_many(lons, lats), usable, strict=True)
        ]
