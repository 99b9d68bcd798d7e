"""The approximate set of Cần Thơ city: what it promises, and how near it comes to the official map."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import geopandas
import pytest
import shapely

from geo.approximate import _claims, approximate_set
from geo.boundaries import BoundarySet
from geo.files import read_boundaries
from geo.units import load_units
from ioc.errors import UserError

#: The official polygons; not a part of the project.
OFFICIAL = Path(__file__).resolve().parents[4] / "shared" / "boundaries" / "can-tho-2025.geojson.gz"


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
    assert shapely.area(shapes).min() > 10 * 0.002**2


def test_the_set_follows_from_its_input_alone(approximate: BoundarySet) -> None:
    """Made again it has the same version: workers on two machines cite the same boundaries."""
    again = approximate_set(("92",))
    assert again.version == approximate.version
    assert shapely.equals_exact(again.geometries, approximate.geometries).all()


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
    claims = _claims(units)
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


@pytest.mark.skipif(
    not OFFICIAL.exists(), reason="the official polygons are not at ../shared of the repository"
)
def test_it_puts_five_sixths_of_the_area_into_the_right_commune(approximate: BoundarySet) -> None:
    """At least 83 % of Cần Thơ's area, and no commune in the wrong place altogether."""
    official = read_boundaries(OFFICIAL)
    assert [c.code for c in official.communes] == [c.code for c in approximate.communes]
    # UTM zone 48 N, whose areas are good to a thousandth here.
    ours, theirs = (
        geopandas.GeoSeries(boundaries.geometries, crs=4326).to_crs(32648)
        for boundaries in (approximate, official)
    )
    common = ours.intersection(theirs).area
    assert common.sum() / theirs.area.sum() >= 0.83
    assert (common > 0).all()
