"""The checks on arrays: each finds what it is for, says how much, and lets what is right pass."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from pyproj import Geod
from shapely import LineString, MultiPolygon, Point, Polygon, box

from geo import checks
from geo.boundaries import Commune
from geo.coverage import bad_borders, check_coverage, gaps
from geo.metres import in_metres
from geo.official import Entry, OfficialList, official_list
from geo.reform import REFORM
from geo.report import Finding, Report, tolerated

_GEOD = Geod(ellps="WGS84")
#: One metre, roughly, in degrees.
M = 1 / 111_000


def shapes_of(*shapes: shapely.Geometry | None) -> np.ndarray:
    array = np.empty(len(shapes), dtype=object)
    array[:] = shapes
    return array


def square(column: int, row: int) -> Polygon:
    """A cell of a grid of 0.1 degrees in the delta."""
    return box(*np.round([105 + column / 10, 10 + row / 10, 105.1 + column / 10, 10.1 + row / 10], 6))


def three() -> tuple[np.ndarray, list[str], OfficialList]:
    """Three communes in a row with their list: points in the middle, areas by the ellipsoid."""
    shapes, codes = shapes_of(*(square(i, 0) for i in range(3))), ["00001", "00002", "00003"]
    return shapes, codes, listed(shapes, codes)


def listed(shapes: np.ndarray, codes: list[str]) -> OfficialList:
    return OfficialList(
        "communes of a test",
        {
            code: Entry(
                Commune(code, f"Xã {code}", "92"),
                (shape.centroid.x, shape.centroid.y),
                abs(_GEOD.geometry_area_perimeter(shape)[0]) / 1e6,
            )
            for code, shape in zip(codes, shapes, strict=True)
        },
    )


def kinds(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(finding.severity, finding.check) for finding in findings]


def test_areas_are_those_on_the_ellipsoid() -> None:
    """The plane keeps areas to a ten-thousandth, for a province and for shapes far from its middle."""
    shapes = shapes_of(square(0, 0), square(20, 30), box(106.123, 10.5, 106.124, 10.501))
    truth = [abs(_GEOD.geometry_area_perimeter(shape)[0]) for shape in shapes]
    assert shapely.area(in_metres(shapes)) == pytest.approx(truth, rel=1e-4)


def test_what_is_right_has_no_findings() -> None:
    """A set that is as the list has it passes every check, and no polygon is touched."""
    shapes, codes, official = three()
    communes = [official.entries[code].commune for code in codes]
    assert checks.check_texts(communes) == []
    assert checks.check_codes(communes, official) == []
    assert checks.check_polygons(shapes, codes) == []
    assert checks.check_axes(shapes, official) == []
    assert checks.check_places(shapes, codes, official) == []
    assert checks.check_areas(shapes, codes, official) == []
    kept, found = check_coverage(shapes, codes)
    assert found == []
    assert all(one is other for one, other in zip(kept, shapes, strict=True))


def test_codes_are_held_against_the_list() -> None:
    """Duplicated, unknown and missing codes, another province and another name are each told by code."""
    _, _, official = three()
    communes = [
        Commune("00001", "Xã 00001", "92"),
        Commune("00001", "Xã 00001", "92"),
        Commune("00002", "Xã Khác", "93"),
        Commune("99999", "Xã Lạ", "92"),
    ]
    found = checks.check_codes(communes, official)
    assert {(finding.check, finding.communes) for finding in found} == {
        ("duplicate-code", ("00001",)),
        ("province", ("00002",)),
        ("name", ("00002",)),
        ("unknown-code", ("99999",)),
        ("missing-code", ("00003",)),
    }


def test_a_name_may_lack_its_type_or_accents_but_not_be_another() -> None:
    """Spellings of one name are the same; a type is not a part of another name."""
    assert checks.same_name("Phường Bình Thủy", "Phường Bình Thuỷ")
    assert checks.same_name("Cái Khế", "Phường Cái Khế")
    assert not checks.same_name("Thới An", "Phường Thới An Đông")
    assert not checks.same_name("An Khế", "Phường Cái Khế")


def test_keys_and_names_that_would_do_harm_are_refused() -> None:
    """A code that is none, and a name with control characters, never become part of a set."""
    found = checks.check_texts([Commune("31120\n", "Xã", "92"), Commune("00001", "\x1b[2J", "92")])
    assert kinds(found) == [("error", "code"), ("error", "name")]


@pytest.mark.parametrize(
    ("shape", "check"),
    [
        (None, "not-polygon"),
        (Polygon(), "not-polygon"),
        (LineString([(105, 10), (106, 10)]), "not-polygon"),
        (Point(105, 10), "not-polygon"),
        (Polygon([(105, 10), (106, 10), (float("nan"), 11)]), "coordinates"),
        (Polygon([(105, 10), (106, 10), (float("inf"), 11)]), "coordinates"),
    ],
)
def test_what_is_no_polygon_is_told(shape: shapely.Geometry | None, check: str) -> None:
    """Each commune needs a polygon of numbers."""
    assert kinds(checks.check_polygons(shapes_of(square(0, 0), shape), ["1", "2"])) == [("error", check)]


def test_swapped_coordinates_are_called_so() -> None:
    """Latitude before longitude is told from metres, and from another country."""
    shapes, _, official = three()

    def moved(change: object) -> list[Finding]:
        return checks.check_axes(shapely.transform(shapes, change), official)

    [swapped] = moved(lambda points: points[:, ::-1])
    [metres] = moved(lambda points: points * 10_000)
    [abroad] = moved(lambda points: points - 60)
    assert [swapped.check, metres.check, abroad.check] == ["swapped", "coordinates", "displaced"]
    assert "swapped" in swapped.message


def test_invalid_rings_become_valid_and_the_reason_is_told() -> None:
    """A bow tie keeps its two triangles; a line drawn as a polygon has no area and stays an error."""
    tie = Polygon([(105, 10), (105.1, 10.1), (105.1, 10), (105, 10.1)])
    flat = Polygon([(105, 10), (105.1, 10), (105, 10)])
    shapes = shapes_of(square(3, 0), tie, flat)
    mended, found = checks.repair_rings(shapes, ["1", "2", "3"])
    assert kinds(found) == [("repaired", "geometry"), ("error", "not-polygon")]
    assert "Self-intersection" in found[0].message
    assert mended[0] is shapes[0]
    assert mended[1].is_valid
    assert mended[1].area == pytest.approx(0.005)


def test_a_displaced_commune_is_a_warning_and_a_displaced_map_an_error() -> None:
    """Official points have mistakes, so one that is far away does not refuse a file; most of them do."""
    shapes, codes, official = three()
    one = replace(official.entries["00002"], point=(106.5, 10.05))
    wrong = OfficialList(official.title, {**official.entries, "00002": one})
    assert kinds(checks.check_places(shapes, codes, wrong)) == [("warning", "displaced")]
    moved = shapely.transform(shapes, lambda points: points + np.array([0, 0.5]))
    assert kinds(checks.check_places(moved, codes, official)) == [("error", "displaced")]


def test_areas_beyond_five_percent_are_told_with_both_figures() -> None:
    """4 % passes, 6 % is a warning; where it is most of the communes the map as a whole is wrong."""
    shapes, codes, official = three()

    def with_areas(*factors: float) -> OfficialList:
        return OfficialList(
            "communes of a test",
            {
                code: replace(entry, area_km2=entry.area_km2 * factor)
                for (code, entry), factor in zip(official.entries.items(), factors, strict=True)
            },
        )

    assert checks.check_areas(shapes, codes, with_areas(1.04, 0.96, 1)) == []
    [finding] = checks.check_areas(shapes, codes, with_areas(1.07, 1, 1))
    assert (finding.severity, finding.communes) == ("warning", ("00001",))
    assert finding.measure == pytest.approx(official.entries["00001"].area_km2, rel=1e-3)
    assert kinds(checks.check_areas(shapes, codes, with_areas(2, 2, 1)))[0] == ("error", "area")


def test_edges_that_do_not_match_are_found_by_pair_and_become_one_line() -> None:
    """A vertex on one side only, a hand's breadth into the neighbour: told with length and area, repaired with
    no more change than that, and communes that are not concerned stay the same objects."""
    bulge = Polygon([(105.2, 10), (105.2, 10.1), (105.1, 10.1), (105.1 - 0.2 * M, 10.05), (105.1, 10)])
    shapes = shapes_of(square(0, 0), bulge, square(2, 0), square(5, 5))
    [border] = bad_borders(shapes)
    assert (border.one, border.other) == (0, 1)
    assert border.length_m == pytest.approx(11_060, rel=0.01)
    assert border.overlap_m2 == pytest.approx(0.1 * 11_060 * 0.984, rel=0.05)
    mended, found = check_coverage(shapes, ["a", "b", "c", "d"], tolerance_m2=2000)
    assert kinds(found) == [("repaired", "border")]
    assert shapely.coverage_is_valid(mended)
    assert mended[2] is shapes[2]
    assert mended[3] is shapes[3]
    change = shapely.area(shapely.symmetric_difference(in_metres(shapes), in_metres(mended, shapes)))
    assert change.sum() == pytest.approx(border.overlap_m2, rel=0.01)


def test_a_vertex_in_the_middle_of_the_neighbours_edge_is_no_overlap_but_is_told() -> None:
    """The sides of a border must have the same vertices, or rounding will tear them apart one day."""
    shapes = shapes_of(square(0, 0), square(1, 0), box(105, 10.1, 105.2, 10.2))
    assert {(b.one, b.other) for b in bad_borders(shapes)} == {(0, 2), (1, 2)}
    mended, found = check_coverage(shapes, ["a", "b", "c"])
    assert {finding.check for finding in found} == {"border"}
    assert all("no area changed" in finding.message for finding in found)
    assert shapely.coverage_is_valid(mended)


def test_large_overlaps_are_errors_and_nothing_is_repaired() -> None:
    """Who has the 11 ha that two communes claim is not ours to say."""
    shapes = shapes_of(square(0, 0), box(105.0999, 10, 105.2, 10.1))
    kept, [finding] = check_coverage(shapes, ["a", "b"])
    assert (finding.severity, finding.check, finding.communes) == ("error", "overlap", ("a", "b"))
    assert finding.measure == pytest.approx(1e-4 * 109_600 * 11_060, rel=0.01)
    assert all(one is other for one, other in zip(kept, shapes, strict=True))


def test_a_commune_within_another_and_one_drawn_twice_are_overlaps() -> None:
    """Even without any edge in common."""
    inside = shapes_of(square(0, 0), box(105.02, 10.02, 105.03, 10.03))
    twice = shapes_of(square(0, 0), square(0, 0))
    for shapes in (inside, twice):
        _, found = check_coverage(shapes, ["a", "b"])
        assert ("error", "overlap") in kinds(found)


def test_small_gaps_are_filled_and_large_ones_are_errors() -> None:
    """A sliver between two communes goes to one of them; a hole of a hectare is somebody's."""
    sliver = Polygon([(105.1, 10.0), (105.2, 10), (105.2, 10.1), (105.1, 10.1), (105.1 + 0.003 * M, 10.05)])
    shapes = shapes_of(square(0, 0), sliver)
    [gap] = gaps(shapes)
    assert gap.area_m2 == pytest.approx(0.0015 * 11_060, rel=0.05)
    mended, found = check_coverage(shapes, ["a", "b"])
    assert ("repaired", "gap") in kinds(found)
    assert gaps(mended) == []
    assert shapely.coverage_is_valid(mended)

    hole = square(0, 0).difference(box(105.05, 10.05, 105.051, 10.051))
    kept, [finding] = check_coverage(shapes_of(hole, square(1, 0)), ["a", "b"])
    assert (finding.severity, finding.check, finding.communes) == ("error", "gap", ("a",))
    assert kept[0] is hole


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(-30, 30), st.integers(-30, 30)), min_size=8, max_size=8))
def test_slips_of_a_few_centimetres_are_always_mended(slips: list[tuple[int, int]]) -> None:
    """Whatever corners of neighbours are a few centimetres off, the result has no overlap and no gap, and no
    area changes by more than the strips along its border."""
    grid = [square(column, row) for column in range(2) for row in range(2)]
    moved = []
    for number, shape in enumerate(grid):
        points = shapely.get_coordinates(shape)[:-1]
        for corner in (number * 2 % 4, (number * 2 + 1) % 4):
            points[corner] += np.array(slips[number * 2 + corner % 2]) * 1e-8
        moved.append(Polygon(points))
    shapes = shapes_of(*moved)
    mended, found = check_coverage(shapes, ["a", "b", "c", "d"], tolerance_m2=2000)
    assert all(finding.severity == "repaired" for finding in found)
    assert gaps(mended) == []
    for one in range(4):
        for other in range(one):
            assert not shapely.intersection(mended[one], mended[other]).area
    before, after = shapely.area(in_metres(shapes)), shapely.area(in_metres(mended, shapes))
    assert np.abs(after - before).max() < 0.05 * 4 * 11_100


def test_former_communes_have_a_list_of_their_own() -> None:
    """A set that ended on 1 July 2025 is held against the codes of its time."""
    present, former = official_list(None), official_list(REFORM)
    assert len(present.entries) == 3321
    assert len(former.entries) > 10_000
    assert len(present.codes("92")) == 103
    assert former.codes("93")
    assert not present.codes("93")
    # 92 was a smaller Cần Thơ then.
    assert not former.codes("93") & former.codes("92")


def test_a_report_holds_no_control_characters_and_counts_what_it_leaves_out() -> None:
    """A file's texts cannot steer the terminal; of a hundred findings of a kind a person sees the first."""
    findings = tuple(Finding("error", "name", f"\x1b[2J {i}", (f"{i:05}",)) for i in range(100))
    report = Report("bad\nname", findings)
    text = report.text()
    assert "\x1b" not in text
    assert "\nname" not in text
    assert "and 88 more" in text
    assert len(text.splitlines()) < 20
    assert not report.accepted
    assert len(report.as_dict()["findings"]) == 100


def test_only_the_errors_that_are_named_are_tolerated() -> None:
    """What a person accepts becomes a warning; the rest stays."""
    found = (Finding("error", "gap", "x"), Finding("error", "overlap", "y"))
    assert kinds(list(tolerated(found, {"gap"}))) == [("warning", "gap"), ("error", "overlap")]


def test_parts_of_a_multipolygon_stay_parts() -> None:
    """Islands survive the repair of the mainland's border."""
    islands = MultiPolygon([square(0, 0), box(104.5, 9.5, 104.6, 9.6)])
    shapes = shapes_of(islands, square(1, 0).union(box(105.1 - 0.001 * M, 10.02, 105.15, 10.03)))
    mended, _ = check_coverage(shapes, ["a", "b"])
    assert shapely.get_num_geometries(mended[0]) == 2
