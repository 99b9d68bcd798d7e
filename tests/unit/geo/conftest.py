"""The sets that the tests of geo share."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import shapely
from shapely import MultiPolygon, Polygon, box

from geo.approximate import approximate_set
from geo.boundaries import BoundarySet, Commune, boundary_set


def _make(shapes: dict[str, shapely.Geometry]) -> BoundarySet:
    return boundary_set(
        id="made-up",
        approximate=False,
        source="a test",
        licence="",
        communes=[Commune(code, f"Xã {code}", "00") for code in shapes],
        geometries=shapes.values(),
    )


@pytest.fixture(scope="session")
def make_set() -> Callable[[dict[str, shapely.Geometry]], BoundarySet]:
    """Makes a set from code to polygon."""
    return _make


@pytest.fixture(scope="session")
def made_up() -> BoundarySet:
    """What makes a lookup hard.

    A common edge with a vertex on one side only, a hole with a commune in it, an overlap, an island, an edge
    that no float lies on, a gap. Codes are given in an order that is not theirs.
    """
    return _make(
        {
            "00009": MultiPolygon([box(2, 0, 3, 1), box(4, 2, 5, 3)]),
            "00001": Polygon(
                [(0, 0), (2, 0), (2, 0.3), (2, 2), (0, 2)], holes=[box(0.5, 0.5, 1, 1).exterior.coords]
            ),
            "00002": box(0.5, 0.5, 1, 1),
            "00003": Polygon([(2, 1), (3, 1), (4, 2), (3.3, 2.7), (2, 2)]),
            "00004": Polygon([(2.5, 0.5), (3.5, 0.1), (3.7, 1.9), (2.9, 1.3)]),
            "00005": Polygon([(0, 2), (2, 2), (1 / 3, 10 / 3)]),
        }
    )


@pytest.fixture(scope="session")
def approximate() -> BoundarySet:
    """The approximate set of Cần Thơ city."""
    return approximate_set(["92"])
