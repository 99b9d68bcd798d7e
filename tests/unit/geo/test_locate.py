"""The locator against the slow answer: every polygon asked with `covers`, in the order of codes."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely import MultiPolygon, Polygon, box

from geo.boundaries import BoundarySet
from geo.files import read_boundaries
from geo.locate import Locator

Locators = Callable[[BoundarySet], list[Locator]]
MakeSet = Callable[[dict[str, shapely.Geometry]], BoundarySet]

#: The official polygons are not the project's to give: they may lie beside a checkout.
OFFICIAL = Path(__file__).parents[4] / "shared" / "boundaries" / "can-tho-2025.geojson.gz"

SETS = ["made_up", "approximate"]
#: A grid of a few thousand cells: nearly every point is beside a border.
COARSE = 100_000


@pytest.fixture(params=[*SETS, "official"], scope="session")
def boundaries(request: pytest.FixtureRequest) -> BoundarySet:
    if request.param == "official":
        if not OFFICIAL.exists():
            pytest.skip(f"no official polygons at {OFFICIAL}")
        return read_boundaries(OFFICIAL)
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
def locators() -> Locators:
    """A set's locator, with the usual grid and with a coarse one; made once, for that takes time."""
    made: dict[str, list[Locator]] = {}

    def get(boundaries: BoundarySet) -> list[Locator]:
        if boundaries.version not in made:
            made[boundaries.version] = [Locator(boundaries), Locator(boundaries, budget=COARSE)]
        return made[boundaries.version]

    return get


def slow(boundaries: BoundarySet, lon: float, lat: float) -> int:
    hits = np.flatnonzero(shapely.covers(boundaries.geometries, shapely.Point(lon, lat)))
    return int(hits[0]) if hits.size else -1


def slow_many(boundaries: BoundarySet, points: np.ndarray) -> np.ndarray:
    """The same for many points: polygon by polygon, only those in its bounding box."""
    polygons = shapely.from_wkb(shapely.to_wkb(boundaries.geometries))
    shapely.prepare(polygons)
    found = np.full(len(points), -1)
    for i in reversed(range(len(polygons))):
        west, south, east, north = shapely.bounds(polygons[i])
        lons, lats = points[:, 0], points[:, 1]
        near = np.flatnonzero((lons >= west) & (lons <= east) & (lats >= south) & (lats <= north))
        found[near[shapely.covers(polygons[i], shapely.points(points[near]))]] = i
    return found


def borders(boundaries: BoundarySet) -> np.ndarray:
    """float[n, 2]: the vertices, the middles of the edges and a third of each edge."""
    places = []
    for ring in shapely.get_rings(shapely.get_parts(boundaries.geometries)):
        vertices = shapely.get_coordinates(ring)
        step = np.diff(vertices, axis=0)
        places += [vertices, vertices[:-1] + step / 2, vertices[:-1] + step / 3]
    return np.concatenate(places)


def agree(boundaries: BoundarySet, locators: list[Locator], points: np.ndarray) -> None:
    """Batch and single lookup both give the slow answer."""
    expected = [slow(boundaries, lon, lat) for lon, lat in points]
    for locator in locators:
        found = locator.locate_many(points[:, 0], points[:, 1])
        assert found.dtype == np.int32
        for (lon, lat), index, right in zip(points, found, expected, strict=True):
            assert index == right, (lon, lat)
            assert locator.locate(lon, lat) == (boundaries.communes[index] if index >= 0 else None), (
                lon,
                lat,
            )


def some(places: np.ndarray, many: int) -> np.ndarray:
    return places if len(places) <= many else np.random.default_rng(0).choice(places, many, replace=False)


@pytest.mark.long
def test_points_on_borders_are_found_as_by_asking_every_polygon(
    boundaries: BoundarySet, locators: Locators
) -> None:
    """Vertices and points of edges: where neighbours share them the lowest code has them."""
    agree(boundaries, locators(boundaries), some(borders(boundaries), 1000))


def test_points_a_hair_beside_borders_are_found_as_by_asking_every_polygon(
    boundaries: BoundarySet, locators: Locators
) -> None:
    """One step of a float, a millimetre and a metre to either side."""
    rng = np.random.default_rng(1)
    points = rng.choice(borders(boundaries), 1000)
    away = rng.choice([1e-8, 1e-5], points.shape) * rng.choice([-1, 1], points.shape)
    aside = np.where(
        rng.random(points.shape) < 0.4,
        np.nextafter(points, rng.choice([-999, 999], points.shape)),
        points + away,
    )
    agree(boundaries, locators(boundaries), aside)


@pytest.mark.long
def test_all_vertices_and_a_metre_around_them_are_found_as_by_asking_every_polygon(
    boundaries: BoundarySet, locators: Locators
) -> None:
    """Up to 300,000 points, on borders and beside them, in one batch."""
    rng = np.random.default_rng(2)
    places = some(borders(boundaries), 150_000)
    places = np.concatenate([places, places + rng.uniform(-1e-5, 1e-5, places.shape)])
    expected = slow_many(boundaries, places)
    for locator in locators(boundaries):
        assert np.array_equal(locator.locate_many(places[:, 0], places[:, 1]), expected)


@pytest.mark.long
def test_a_million_random_points_are_found_as_by_asking_every_polygon(
    boundaries: BoundarySet, locators: Locators
) -> None:
    """Anywhere in the extent and a little around it."""
    west, south, east, north = shapely.total_bounds(boundaries.geometries)
    rng = np.random.default_rng(3)
    points = rng.uniform([west - 0.05, south - 0.05], [east + 0.05, north + 0.05], (1_000_000, 2))
    found = locators(boundaries)[0].locate_many(points[:, 0], points[:, 1])
    assert np.array_equal(found, slow_many(boundaries, points))


def test_lines_of_the_grid_are_as_exact_as_other_places(boundaries: BoundarySet, locators: Locators) -> None:
    """Where rounding puts a point into one cell or the next: corners of cells and one float beside them."""
    rng = np.random.default_rng(4)
    for locator in locators(boundaries):
        grid = locator._grid
        rows, columns = np.array(grid.blocks.shape) * 8
        cells = np.stack([rng.integers(0, columns, 50_000), rng.integers(0, rows, 50_000)], axis=1)
        corners = np.array([grid.west, grid.south]) + cells * grid.cell
        aside = np.nextafter(corners, rng.choice([-999, 999], corners.shape))
        points = np.concatenate([corners, aside])
        expected = slow_many(boundaries, points)
        assert np.array_equal(locator.locate_many(points[:, 0], points[:, 1]), expected)
        singles = [locator.index(lon, lat) for lon, lat in points[::10].tolist()]
        assert np.array_equal(singles, expected[::10])


@settings(max_examples=40, deadline=None)
@given(data=st.data())
@pytest.mark.parametrize("name", SETS)
def test_random_points_are_found_as_by_asking_every_polygon(
    name: str, data: st.DataObject, request: pytest.FixtureRequest, locators: Locators
) -> None:
    """Anywhere in or around the set, several at once."""
    boundaries: BoundarySet = request.getfixturevalue(name)
    west, south, east, north = shapely.total_bounds(boundaries.geometries)
    place = st.tuples(st.floats(west - 0.1, east + 0.1), st.floats(south - 0.1, north + 0.1))
    agree(boundaries, locators(boundaries), np.array(data.draw(st.lists(place, min_size=1, max_size=20))))


corner = st.tuples(st.integers(0, 16), st.integers(0, 16))
shapes = st.one_of(
    st.tuples(corner, corner, corner).map(Polygon),
    st.tuples(corner, corner).map(lambda c: box(*map(min, *c), *map(max, *c))),
    st.tuples(corner, corner, corner).map(lambda c: MultiPolygon([Polygon(c), box(18, 2, 19, 3)])),
    corner.map(lambda c: shapely.Point(c).buffer(2.3).difference(shapely.Point(c).buffer(1.1))),
).filter(lambda shape: shape.is_valid and shape.area > 0)


@settings(max_examples=30, deadline=None)
@given(parts=st.lists(shapes, min_size=1, max_size=6))
def test_any_polygons_are_looked_up_as_by_asking_every_polygon(
    make_set: MakeSet, parts: list[shapely.Geometry]
) -> None:
    """Overlapping, nested, touching, apart; edges along the grid's lines and oblique ones; points everywhere
    on a lattice that has their corners, and at random."""
    origin, scale = np.array([105.0, 10.0]), 1 / 64
    boundaries = make_set(
        {f"{i:05}": shapely.transform(part, lambda c: origin + c * scale) for i, part in enumerate(parts)}
    )
    lattice = np.stack(np.meshgrid(*[np.arange(-1, 20, 0.25)] * 2), axis=-1).reshape(-1, 2)
    free = np.random.default_rng(0).uniform(-1, 20, (2000, 2))
    points = origin + np.concatenate([lattice, free]) * scale
    expected = slow_many(boundaries, points)
    for locator in (Locator(boundaries), Locator(boundaries, budget=20_000)):
        assert np.array_equal(locator.locate_many(points[:, 0], points[:, 1]), expected)


@given(lon=st.floats(), lat=st.floats())
def test_any_two_floats_are_a_point_or_no_point(
    made_up: BoundarySet, locators: Locators, lon: float, lat: float
) -> None:
    """NaN, infinity and what is no longitude or latitude lie in no commune, and nothing raises."""
    usable = math.isfinite(lon) and math.isfinite(lat) and abs(lon) <= 180 and abs(lat) <= 90
    expected = slow(made_up, lon, lat) if usable else -1
    for locator in locators(made_up):
        many = locator.locate_many(np.full(20, lon), np.full(20, lat))
        assert many.tolist() == [expected] * 20
        assert locator.locate_many(np.array([lon]), np.array([lat])).tolist() == [expected]
        assert (locator.locate(lon, lat) is None) == (expected < 0)


def test_unusable_points_do_not_disturb_their_neighbours_in_a_batch(
    made_up: BoundarySet, locators: Locators
) -> None:
    """Each place of the batch keeps its own answer, in a short batch and in a long one."""
    lons = np.array([np.nan, 0.7, np.inf, 0.1, 999.0, 50.0])
    lats = np.array([0.7, 0.7, 0.1, 0.1, 0.1, 50.0])
    for times in (1, 100):
        found = locators(made_up)[0].locate_many(np.tile(lons, times), np.tile(lats, times))
        codes = [made_up.communes[i].code if i >= 0 else None for i in found]
        assert codes == [None, "00002", None, "00001", None, None] * times


def test_no_points_give_no_answers(made_up: BoundarySet, locators: Locators) -> None:
    """An empty chunk is a chunk."""
    assert locators(made_up)[0].locate_many(np.array([]), np.array([])).shape == (0,)


def test_a_set_without_communes_has_everything_outside(make_set: MakeSet) -> None:
    """Nothing is in question, nothing raises."""
    locator = Locator(make_set({}))
    assert locator.locate(105.8, 10.0) is None
    assert locator.locate_many(np.full(20, 105.8), np.full(20, 10.0)).tolist() == [-1] * 20
    assert np.isinf(locator.near_border(np.array([105.8]), np.array([10.0])).metres).all()


def test_polygons_in_metres_are_refused(make_set: MakeSet) -> None:
    """They would be looked up in vain without a word."""
    with pytest.raises(ValueError, match="longitude and latitude"):
        Locator(make_set({"00001": box(580_000, 1_100_000, 590_000, 1_110_000)}))


def test_the_lowest_code_has_a_common_edge_and_an_overlap(made_up: BoundarySet, locators: Locators) -> None:
    """The rule in words: 00001 and 00003 share an edge, 00004 and 00009 overlap."""
    locator = locators(made_up)[0]
    on_edge, in_overlap = locator.locate(2.0, 1.5), locator.locate(2.8, 0.6)
    assert on_edge is not None
    assert in_overlap is not None
    assert (on_edge.code, in_overlap.code) == ("00001", "00004")


def test_the_index_keeps_to_its_budget(boundaries: BoundarySet, locators: Locators) -> None:
    """What it takes beyond blocks and cells are the lists of communes in question: little."""
    usual, coarse = locators(boundaries)
    assert usual.nbytes < 33 * 2**20
    assert coarse.nbytes < COARSE + 50_000
