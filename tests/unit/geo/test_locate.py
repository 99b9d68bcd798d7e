"""The locator against the slow answer: every polygon asked with `covers`, in the order of codes."""

from __future__ import annotations

import math

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geo.boundaries import BoundarySet
from geo.locate import Locator

SETS = ["made_up", "approximate"]


@pytest.fixture(params=SETS, scope="session")
def boundaries(request: pytest.FixtureRequest) -> BoundarySet:
    return request.getfixturevalue(request.param)


def slow(boundaries: BoundarySet, lon: float, lat: float) -> int:
    hits = np.flatnonzero(shapely.covers(boundaries.geometries, shapely.Point(lon, lat)))
    return int(hits[0]) if hits.size else -1


def borders(boundaries: BoundarySet) -> np.ndarray:
    """float[n, 2]: the vertices, the middles of the edges and a third of each edge."""
    rings = shapely.get_rings(boundaries.geometries)
    places = []
    for ring in rings:
        vertices = shapely.get_coordinates(ring)
        step = np.diff(vertices, axis=0)
        places += [vertices, vertices[:-1] + step / 2, vertices[:-1] + step / 3]
    return np.concatenate(places)


def agree(boundaries: BoundarySet, points: np.ndarray) -> None:
    """Batch and single lookup both give the slow answer."""
    locator = Locator(boundaries)
    found = locator.locate_many(points[:, 0], points[:, 1])
    assert found.dtype == np.int32
    for (lon, lat), index in zip(points, found, strict=True):
        assert index == slow(boundaries, lon, lat), (lon, lat)
        single = locator.locate(lon, lat)
        assert single == (boundaries.communes[index] if index >= 0 else None), (lon, lat)


def test_points_on_borders_are_found_as_by_asking_every_polygon(boundaries: BoundarySet) -> None:
    """Vertices and points of edges: where neighbours share them the lowest code has them."""
    points = borders(boundaries)
    rng = np.random.default_rng(0)
    agree(boundaries, points if len(points) <= 1500 else rng.choice(points, 1500, replace=False))


def test_points_a_hair_beside_borders_are_found_as_by_asking_every_polygon(boundaries: BoundarySet) -> None:
    """One step of a float, a millimetre and a metre to either side."""
    rng = np.random.default_rng(1)
    points = rng.choice(borders(boundaries), 1200)
    away = rng.choice([1e-8, 1e-5], points.shape) * rng.choice([-1, 1], points.shape)
    aside = np.where(
        rng.random(points.shape) < 0.4,
        np.nextafter(points, rng.choice([-999, 999], points.shape)),
        points + away,
    )
    agree(boundaries, aside)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
@pytest.mark.parametrize("name", SETS)
def test_random_points_are_found_as_by_asking_every_polygon(
    name: str, data: st.DataObject, request: pytest.FixtureRequest
) -> None:
    """Anywhere in or around the set, several at once."""
    boundaries: BoundarySet = request.getfixturevalue(name)
    west, south, east, north = shapely.total_bounds(boundaries.geometries)
    place = st.tuples(st.floats(west - 0.1, east + 0.1), st.floats(south - 0.1, north + 0.1))
    agree(boundaries, np.array(data.draw(st.lists(place, min_size=1, max_size=20))))


@given(lon=st.floats(), lat=st.floats())
def test_any_two_floats_are_a_point_or_no_point(made_up: BoundarySet, lon: float, lat: float) -> None:
    """NaN, infinity and what is no longitude or latitude lie in no commune, and nothing raises."""
    locator = Locator(made_up)
    usable = math.isfinite(lon) and math.isfinite(lat) and abs(lon) <= 180 and abs(lat) <= 90
    expected = slow(made_up, lon, lat) if usable else -1
    assert locator.locate_many(np.array([lon]), np.array([lat])).tolist() == [expected]
    assert (locator.locate(lon, lat) is None) == (expected < 0)


def test_unusable_points_do_not_disturb_their_neighbours_in_a_batch(made_up: BoundarySet) -> None:
    """Each place of the batch keeps its own answer."""
    lons = np.array([np.nan, 0.7, np.inf, 0.1, 999.0, 50.0])
    lats = np.array([0.7, 0.7, 0.1, 0.1, 0.1, 50.0])
    codes = [made_up.communes[i].code if i >= 0 else None for i in Locator(made_up).locate_many(lons, lats)]
    assert codes == [None, "00002", None, "00001", None, None]


def test_no_points_give_no_answers(made_up: BoundarySet) -> None:
    """An empty chunk is a chunk."""
    assert Locator(made_up).locate_many(np.array([]), np.array([])).shape == (0,)


def test_the_lowest_code_has_a_common_edge_and_an_overlap(made_up: BoundarySet) -> None:
    """The rule in words: 00001 and 00003 share an edge, 00004 and 00009 overlap."""
    locator = Locator(made_up)
    on_edge, in_overlap = locator.locate(2.0, 1.5), locator.locate(2.8, 0.6)
    assert on_edge is not None
    assert in_overlap is not None
    assert (on_edge.code, in_overlap.code) == ("00001", "00004")
