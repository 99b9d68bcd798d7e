"""The official polygons of Cần Thơ, where they are at hand: what an import says of them, and changes."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np
import pytest
import shapely
from pyproj import Geod

from geo.boundaries import BoundarySet
from geo.coverage import gaps
from geo.importing import Said, examine
from geo.report import Report

OFFICIAL = Path(__file__).resolve().parents[3].parent / "shared" / "boundaries" / "can-tho-2025.geojson.gz"
pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        not OFFICIAL.exists(),
        reason=f"the official polygons are not at {OFFICIAL}; they are not ours to ship",
    ),
]
_GEOD = Geod(ellps="WGS84")


@pytest.fixture(scope="module")
def examined(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Report, BoundarySet, dict[str, shapely.Geometry]]:
    """The outcome for a folder of one-feature files as the public data set has them, and the raw polygons."""
    folder = tmp_path_factory.mktemp("wards")
    raw = {}
    for feature in json.loads(gzip.decompress(OFFICIAL.read_bytes()))["features"]:
        said = feature["properties"]
        raw[said["code"]] = shapely.geometry.shape(feature["geometry"])
        named = {"unit_code": said["code"], "unit_name": said["name"]}
        one = {"type": "FeatureCollection", "features": [{**feature, "properties": named}]}
        (folder / f"{said['code']}.geojson").write_text(json.dumps(one), encoding="utf-8")
    report, boundaries = examine(folder, Said(id="can-tho-2025", province="92"))
    assert boundaries is not None, report.text()
    return report, boundaries, raw


def test_all_communes_are_accepted_with_their_full_names(
    examined: tuple[Report, BoundarySet, dict[str, shapely.Geometry]],
) -> None:
    """103 communes, 31 wards and 72 xã, all of province 92, without an error."""
    report, boundaries, _ = examined
    assert report.accepted
    assert {commune.province for commune in boundaries.communes} == {"92"}
    kinds = [commune.name.split()[0] for commune in boundaries.communes]
    assert (len(kinds), kinds.count("Phường"), kinds.count("Xã")) == (103, 31, 72)


def test_the_three_borders_that_do_not_match_are_reported_and_repaired(
    examined: tuple[Report, BoundarySet, dict[str, shapely.Geometry]],
) -> None:
    """On one side of each a vertex is a centimetre inside the neighbour; two slivers belong to nobody."""
    report, _, _ = examined
    repaired = [finding for finding in report.findings if finding.severity == "repaired"]
    borders = {finding.communes: finding.measure for finding in repaired if finding.check == "border"}
    assert set(borders) == {("31168", "31174"), ("31232", "31249"), ("31537", "31540")}
    assert all(0.5 < overlap < 5 for overlap in borders.values())
    slivers = {finding.communes: finding.measure for finding in repaired if finding.check == "gap"}
    assert slivers == {
        ("31249", "31255"): pytest.approx(7.05, abs=0.1),
        ("31360", "31408"): pytest.approx(0.79, abs=0.05),
    }


def test_the_repair_changes_a_handful_of_square_metres_and_leaves_a_clean_map(
    examined: tuple[Report, BoundarySet, dict[str, shapely.Geometry]],
) -> None:
    """Four communes differ from the raw polygons, by what the report says and no more; no two communes have
    ground in common, and none lies between them."""
    _, boundaries, raw = examined
    assert shapely.coverage_is_valid(boundaries.geometries)
    assert gaps(boundaries.geometries) == []
    changed = {}
    for commune, shape in zip(boundaries.communes, boundaries.geometries, strict=True):
        parts = shapely.get_parts(shapely.symmetric_difference(shape, raw[commune.code]))
        area = sum(abs(_GEOD.geometry_area_perimeter(part)[0]) for part in parts)
        if area > 1e-6:
            changed[commune.code] = area
    assert set(changed) == {"31168", "31249", "31408", "31540"}
    assert max(changed.values()) < 10


def test_areas_that_contradict_the_official_figure_are_warnings(
    examined: tuple[Report, BoundarySet, dict[str, shapely.Geometry]],
) -> None:
    """Three of 103; the largest is a mistake of the figure, which is less than half of what the map shows."""
    report, _, _ = examined
    warned = {finding.communes[0]: finding.measure for finding in report.findings if finding.check == "area"}
    assert set(warned) == {"31777", "31783", "31795"}
    assert all(finding.severity == "warning" for finding in report.findings if finding.check == "area")
    assert np.isclose(warned["31777"], 76.8, atol=0.1)
