"""The approximate maps of Cần Thơ city: what they promise, and how near they come to the official one."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import geopandas
import pytest
import shapely

from geo.approximate import _claims, approximate_set, former_set
from geo.boundaries import BoundarySet
from geo.files import read_boundaries, write_boundaries
from geo.raster import CELL
from geo.succession import load_succession, tell_apart
from geo.units import load_units
from ioc.errors import UserError

#: The official polygons; not a part of the project.
OFFICIAL = Path(__file__).resolve().parents[4] / "shared" / "boundaries" / "can-tho-2025.geojson.gz"

needs_official = pytest.mark.skipif(
    not OFFICIAL.exists(), reason="the official polygons are not at ../shared of the repository"
)


@pytest.fixture(scope="module")
def former() -> BoundarySet:
    """The same area before July 2025."""
    return former_set(["92"])


def test_every_commune_is_there_with_its_official_code_and_name(approximate: BoundarySet) -> None:
    """Cần Thơ city has 103 communes, 31 phường and 72 xã."""
    kinds = Counter(commune.name.split()[0] for commune in approximate.communes)
    assert kinds == {"Phường": 31, "Xã": 72}
    assert {commune.province for commune in approximate.communes} == {"92"}
    assert "Phường Cái Khế" in [c.name for c in approximate.communes if c.code == "31120"]
    codes = [commune.code for commune in approximate.communes]
    assert codes == sorted(set(codes))


def test_it_calls_itself_approximate_and_says_since_when_it_holds(approximate: BoundarySet) -> None:
    """Whoever shows it can say so, and events from before the reform are not judged by it."""
    assert approximate.approximate
    assert approximate.valid_from is not None
    assert approximate.valid_from.isoformat() == "2025-07-01T00:00:00+07:00"
    assert "MIT" in approximate.licence
    assert approximate.ref == f"vn-approximate-2025-07@{approximate.version}"


def test_communes_neither_overlap_nor_leave_slivers(approximate: BoundarySet) -> None:
    """Neighbours share their edges, vertex by vertex; every commune has an area."""
    shapes = approximate.geometries
    assert shapely.is_valid(shapes).all()
    assert shapely.coverage_is_valid(shapes)
    assert set(shapely.get_type_id(shapes)) <= {3, 6}
    # A hundred cells or so is the smallest phường; none is a mere remnant.
    assert shapely.area(shapes).min() > 10 * CELL**2


def test_the_set_follows_from_its_input_alone(approximate: BoundarySet) -> None:
    """Made again it has the same version: workers on two machines cite the same boundaries."""
    again = approximate_set(("92",))
    assert again.version == approximate.version
    assert shapely.equals_exact(again.geometries, approximate.geometries).all()


@pytest.mark.long
def test_two_provinces_do_not_overlap() -> None:
    """An installation may serve several: together they are one coverage."""
    both = approximate_set(["92", "86"])
    assert {commune.province for commune in both.communes} == {"86", "92"}
    assert shapely.coverage_is_valid(both.geometries)


def test_island_zones_lie_where_they_are() -> None:
    """The data has the boxes of Trường Sa and Hoàng Sa on the mainland; their points are right.

    Looked at before the raster, which is large there and takes seconds.
    """
    units = load_units()
    claims = _claims(units, tell_apart(units)[0])
    for name, lon, lat in (("Đặc khu Hoàng Sa", 112.1, 16.6), ("Đặc khu Trường Sa", 114.4, 9.7)):
        [index] = [i for i, commune in enumerate(units.communes) if commune.name == name]
        boxes = claims.boxes[[became == (index,) for became in claims.became]]
        assert len(boxes) >= 1
        assert shapely.distance(shapely.box(*boxes.T), shapely.Point(lon, lat)).max() < 0.3


@pytest.mark.parametrize("provinces", [["93"], ["92", "xx"], []])
def test_an_unknown_province_is_an_error_that_lists_those_that_exist(provinces: list[str]) -> None:
    """93 was Hậu Giang until 1 July 2025."""
    with pytest.raises(UserError, match="no such province") as error:
        approximate_set(provinces)
    assert "92" in error.value.where


@needs_official
def test_it_puts_five_sixths_of_the_area_into_the_right_commune(approximate: BoundarySet) -> None:
    """At least 83 % of Cần Thơ's area, and no commune in the wrong place altogether."""
    official = read_boundaries(OFFICIAL)
    assert [c.code for c in official.communes] == [c.code for c in approximate.communes]
    ours, theirs = _metres(approximate), _metres(official)
    common = ours.intersection(theirs).area
    assert common.sum() / theirs.area.sum() >= 0.83
    assert (common > 0).all()


def test_the_former_map_holds_until_the_present_one(approximate: BoundarySet, former: BoundarySet) -> None:
    """No instant has both or neither; it is approximate too, and another set by name."""
    assert former.valid_from is None
    assert former.valid_until == approximate.valid_from
    assert former.approximate
    assert former.ref == f"vn-approximate-before-2025-07@{former.version}"


def test_the_former_map_has_the_communes_of_three_provinces(former: BoundarySet) -> None:
    """Those of Cần Thơ, Hậu Giang (75) and Sóc Trăng, each with its province of then and of now."""
    provinces = Counter(commune.former_province for commune in former.communes)
    assert set(provinces) == {"92", "93", "94"}
    assert provinces["93"] == 75
    assert {commune.province for commune in former.communes} == {"92"}
    assert {c.code for c in former.communes} == {c.code for c in load_units().legacy if c.province == "92"}
    assert former.only(["92"]) is former


def test_the_former_map_is_a_coverage_of_the_same_area(approximate: BoundarySet, former: BoundarySet) -> None:
    """Common edges, no overlap; and the land is the same but for what the smoothing takes and gives."""
    assert shapely.is_valid(former.geometries).all()
    assert shapely.coverage_is_valid(former.geometries)
    lands = [shapely.coverage_union_all(boundaries.geometries) for boundaries in (approximate, former)]
    assert shapely.area(shapely.symmetric_difference(*lands)) < 0.005 * shapely.area(lands[0])


def test_few_former_communes_are_remnants(former: BoundarySet) -> None:
    """Where the data has no box of its own for a commune it may get a cell or two: in Cần Thơ no more than
    five of 263."""
    cells = shapely.area(former.geometries) / CELL**2
    assert (cells > 0).all()
    assert (cells < 10).sum() <= 5


def test_the_two_maps_agree_with_the_succession(approximate: BoundarySet, former: BoundarySet) -> None:
    """A place is in a present commune and in one of its predecessors; smoothed edges are what differs."""
    succession = load_succession()
    index = {commune.code: i for i, commune in enumerate(approximate.communes)}
    agreed = sum(
        shapely.area(shapely.intersection(shape, approximate.geometries[index[new]]))
        for commune, shape in zip(former.communes, former.geometries, strict=True)
        for new in succession.successors(commune.code)
    )
    assert agreed > 0.96 * shapely.area(former.geometries).sum()


def test_a_former_map_reads_back_from_its_file(former: BoundarySet, tmp_path: Path) -> None:
    """With the former provinces, under the same version."""
    write_boundaries(former, tmp_path / "former.geojson")
    again = read_boundaries(tmp_path / "former.geojson")
    assert again.communes == former.communes
    assert (again.ref, again.valid_until) == (former.ref, former.valid_until)


@pytest.mark.long
def test_far_islands_take_no_memory_for_the_sea_between() -> None:
    """Khánh Hòa with Trường Sa, 500 km off its coast, in two windows or more; its communes are all there."""
    boundaries = approximate_set(["56"])
    expected = [commune.code for commune in load_units().communes if commune.province == "56"]
    assert [commune.code for commune in boundaries.communes] == expected
    assert shapely.coverage_is_valid(boundaries.geometries)
    west, _, east, _ = shapely.total_bounds(boundaries.geometries)
    assert east - west > 4


@needs_official
def test_five_sixths_of_the_area_are_in_a_predecessor_of_the_right_commune(former: BoundarySet) -> None:
    """There are no official polygons of the former communes: this is what can be measured of that map."""
    official, succession = read_boundaries(OFFICIAL), load_succession()
    index = {commune.code: i for i, commune in enumerate(official.communes)}
    ours, theirs = _metres(former), _metres(official)
    common = sum(
        ours.iloc[i].intersection(theirs.iloc[index[new]]).area
        for i, commune in enumerate(former.communes)
        for new in succession.successors(commune.code)
    )
    assert common / theirs.area.sum() >= 0.83


def _metres(boundaries: BoundarySet) -> geopandas.GeoSeries:
    """In UTM zone 48 N, whose areas are good to a thousandth here."""
    return geopandas.GeoSeries(boundaries.geometries, crs=4326).to_crs(32648)
