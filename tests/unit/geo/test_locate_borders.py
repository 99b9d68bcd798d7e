"""Distances to borders, against the geodesic and against measuring every edge."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod
from shapely import Polygon, box

from geo.borders import GAP, metres_per_degree
from geo.boundaries import BoundarySet
from geo.locate import Locator

GEOD = Geod(ellps="WGS84")
#: About a metre of latitude, and of longitude at 10 degrees north.
LAT_M, LON_M = 1 / 110_611, 1 / 109_639


MakeSet = Callable[[dict[str, shapely.Geometry]], BoundarySet]


@pytest.fixture(scope="module")
def squares(make_set: MakeSet) -> BoundarySet:
    """00001 and 00002 side by side, 00003 above both, a metre of gap to 00004 on the right, sea around."""
    return make_set(
        {
            "00001": box(105.00, 10.00, 105.01, 10.01),
            "00002": box(105.01, 10.00, 105.02, 10.01),
            "00003": box(105.00, 10.01, 105.02, 10.02),
            "00004": box(105.02 + LON_M, 10.00, 105.03, 10.01),
        }
    )


@pytest.fixture(scope="module")
def locator(squares: BoundarySet) -> Locator:
    return Locator(squares)


@pytest.mark.parametrize(
    ("lon", "lat", "metres", "neighbour"),
    [
        (105.01 - 20 * LON_M, 10.005, 20, "00002"),
        (105.01 + 20 * LON_M, 10.005, 20, "00001"),
        (105.005, 10.01 - 49 * LAT_M, 49, "00003"),
        (105.005, 10.01 - 51 * LAT_M, None, None),
        (105.005, 10.00 + 5 * LAT_M, 5, None),
        # A gap of a metre is no outside; beside it outside is nearer than the other commune would have to be.
        (105.02 - 10 * LON_M, 10.005, 10, "00004"),
        # Diagonally to the corner where three meet: the lowest code of the equally near ones.
        (105.01, 10.01, 0, "00002"),
        # Nearer to the sea than to the neighbour.
        (105.01 - 20 * LON_M, 10.00 + 10 * LAT_M, 10, None),
        # Outside all: the nearest commune and how far it is.
        (105.005, 10.00 - 30 * LAT_M, 30, "00001"),
        (105.005, 10.00 - 60 * LAT_M, None, None),
        (math.nan, 10.005, None, None),
        (math.inf, -math.inf, None, None),
    ],
)
def test_the_border_and_who_is_beyond_it(
    squares: BoundarySet,
    locator: Locator,
    lon: float,
    lat: float,
    metres: float | None,
    neighbour: str | None,
) -> None:
    """The rule in words, case by case, at the default width of 50 m."""
    near = locator.near_border(np.array([lon]), np.array([lat]))
    assert near.metres[0] == (math.inf if metres is None else pytest.approx(metres, abs=0.05))
    code = squares.communes[near.neighbour[0]].code if near.neighbour[0] >= 0 else None
    assert code == neighbour


@given(lat=st.floats(-60, 60), azimuth=st.floats(0, 360), metres=st.floats(1, 1000))
def test_the_local_metric_keeps_to_its_stated_error(lat: float, azimuth: float, metres: float) -> None:
    """Against the geodesic: 0.03 % up to a kilometre within 60 degrees of the equator."""
    lon2, lat2, _ = GEOD.fwd(105.0, lat, azimuth, metres)
    east_west, north_south = metres_per_degree(np.array([lat]))
    flat = math.hypot((lon2 - 105.0) * east_west[0], (lat2 - lat) * north_south[0])
    assert flat == pytest.approx(metres, rel=3e-4)


@given(lat=st.floats(8, 24), azimuth=st.floats(0, 360), metres=st.floats(1, 50))
def test_in_vietnam_the_local_metric_errs_by_less_than_a_millimetre(
    lat: float, azimuth: float, metres: float
) -> None:
    """At the default width."""
    lon2, lat2, _ = GEOD.fwd(105.0, lat, azimuth, metres)
    east_west, north_south = metres_per_degree(np.array([lat]))
    flat = math.hypot((lon2 - 105.0) * east_west[0], (lat2 - lat) * north_south[0])
    assert flat == pytest.approx(metres, abs=1e-3)


def measured(boundaries: BoundarySet, locator: Locator, lon: float, lat: float) -> tuple[float, list[float]]:
    """Metres to the commune's own border, and to that of every commune, over all edges."""
    scale = np.array([float(value[0]) for value in metres_per_degree(np.array([lat]))])
    here = shapely.Point(0, 0)
    lines = shapely.boundary(boundaries.geometries)
    flat = shapely.transform(lines, lambda c: (c - [lon, lat]) * scale)
    distances = shapely.distance(flat, here).tolist()
    index = locator.index(lon, lat)
    return (distances[index] if index >= 0 else min(distances)), distances


@pytest.mark.parametrize("width", [10.0, 50.0, 400.0])
def test_distances_are_those_of_measuring_every_edge(approximate: BoundarySet, width: float) -> None:
    """Points around borders of the approximate set: no near edge is overlooked, none invented."""
    locator = Locator(approximate, budget=1_000_000)
    rng = np.random.default_rng(0)
    places = rng.choice(shapely.get_coordinates(approximate.geometries), 300)
    places = places + rng.uniform(-2, 2, places.shape) * width * LON_M
    near = locator.near_border(places[:, 0], places[:, 1], width)
    seen = 0
    for (lon, lat), metres, neighbour in zip(places, near.metres, near.neighbour, strict=True):
        own, distances = measured(approximate, locator, lon, lat)
        index = locator.index(lon, lat)
        others = [d for i, d in enumerate(distances) if i != index]
        assert metres == (pytest.approx(own, abs=1e-6) if own < width else math.inf)
        if own < width and min(others) <= own + GAP:
            assert distances[neighbour] == pytest.approx(min(others), abs=0.002)
            assert neighbour == min(
                i for i, d in enumerate(distances) if i != index and d <= min(others) + 0.001
            )
            seen += 1
        else:
            assert neighbour == -1
    assert seen > 50


@settings(max_examples=30, deadline=None)
@given(points=st.lists(st.tuples(st.floats(), st.floats()), max_size=30))
def test_no_floats_raise(locator: Locator, points: list[tuple[float, float]]) -> None:
    """What is no place is near no border."""
    lons, lats = np.array([p[0] for p in points]), np.array([p[1] for p in points])
    near = locator.near_border(lons, lats)
    assert near.metres.shape == near.neighbour.shape == lons.shape
    assert not np.isnan(near.metres).any()


def test_large_batches_are_as_small_ones(locator: Locator, monkeypatch: pytest.MonkeyPatch) -> None:
    """Measuring in parts changes nothing."""
    rng = np.random.default_rng(1)
    points = rng.uniform([104.999, 9.999], [105.031, 10.021], (5000, 2))
    whole = locator.near_border(points[:, 0], points[:, 1])
    monkeypatch.setattr("geo.borders._AT_ONCE", 50)
    parts = locator.near_border(points[:, 0], points[:, 1])
    assert np.array_equal(whole.metres, parts.metres)
    assert np.array_equal(whole.neighbour, parts.neighbour)
    assert np.isfinite(whole.metres).sum() > 500


@pytest.mark.parametrize("width", [0.0, -1.0, math.nan, 1001.0])
def test_widths_that_make_no_sense_are_refused(locator: Locator, width: float) -> None:
    """The stated error holds up to a kilometre."""
    with pytest.raises(ValueError, match="width"):
        locator.near_border(np.array([105.0]), np.array([10.0]), width)


def test_an_edge_without_length_is_a_point(make_set: MakeSet) -> None:
    """A vertex given twice is no reason for NaN."""
    twice = Polygon([(105, 10), (105, 10), (105.01, 10), (105.01, 10.01), (105, 10.01)])
    near = Locator(make_set({"00001": twice})).near_border(np.array([105.0]), np.array([10 - 7 * LAT_M]))
    assert near.metres[0] == pytest.approx(7, abs=0.01)
