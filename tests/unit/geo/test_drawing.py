"""The drawing: what a map may rely on."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
import shapely
from shapely import Polygon, box
from shapely.geometry import shape

from geo.boundaries import BoundarySet
from geo.drawing import drawing


def features(boundaries: BoundarySet, **options: Any) -> list[dict[str, Any]]:
    """The features, as a browser gets them."""
    collection = json.loads(json.dumps(drawing(boundaries, **options)))
    assert collection["type"] == "FeatureCollection"
    assert "crs" not in collection
    return collection["features"]


@pytest.mark.parametrize("name", ["made_up", "approximate"])
def test_a_drawing_is_a_valid_coverage_of_the_same_communes(
    name: str, request: pytest.FixtureRequest
) -> None:
    """One feature for each commune in the set's order, valid, without overlaps and with common edges."""
    boundaries: BoundarySet = request.getfixturevalue(name)
    drawn = features(boundaries)
    assert [(f["properties"]["code"], f["properties"]["name"]) for f in drawn] == [
        (commune.code, commune.name) for commune in boundaries.communes
    ]
    shapes = [shape(f["geometry"]) for f in drawn]
    assert shapely.is_valid(shapes).all()
    assert not shapely.is_empty(shapes).any()
    assert shapely.coverage_is_valid(shapes)


@pytest.mark.parametrize("name", ["made_up", "approximate"])
def test_a_drawing_keeps_to_the_geojson_standard(name: str, request: pytest.FixtureRequest) -> None:
    """RFC 7946: rings closed, outer ones counter-clockwise and holes clockwise; five decimals are enough."""
    for feature in features(request.getfixturevalue(name)):
        geometry = feature["geometry"]
        polygons = (
            geometry["coordinates"] if geometry["type"] == "MultiPolygon" else [geometry["coordinates"]]
        )
        for outer, *holes in polygons:
            assert shapely.is_ccw(shapely.LinearRing(outer))
            assert not any(shapely.is_ccw(shapely.LinearRing(hole)) for hole in holes)
            for ring in (outer, *holes):
                assert ring[0] == ring[-1]
                assert all(value == round(value, 5) for place in ring for value in place)


@pytest.mark.parametrize("name", ["made_up", "approximate"])
def test_a_label_stands_inside_its_commune(name: str, request: pytest.FixtureRequest) -> None:
    """Where a centroid can lie in a hole or in the neighbour."""
    for feature in features(request.getfixturevalue(name)):
        label = shapely.Point(feature["properties"]["label"])
        assert shape(feature["geometry"]).contains(label), feature["properties"]["name"]


def test_a_greater_tolerance_gives_a_smaller_drawing(approximate: BoundarySet) -> None:
    """At 50 m the set of a province fits into 100 kB; at 1 km a third of that at 10 m is saved."""
    size = {
        metres: len(json.dumps(drawing(approximate, tolerance_m=metres), separators=(",", ":")))
        for metres in (10, 50, 1000)
    }
    assert size[50] < 100_000
    assert size[1000] < size[10] * 2 / 3


def test_polygons_that_nearly_match_are_drawn_with_common_edges(
    make_set: Callable[[dict[str, shapely.Geometry]], BoundarySet],
) -> None:
    """Official polygons overlap by centimetres, and one has vertices that its neighbour lacks."""
    ragged = make_set(
        {
            "1": box(105.0, 10.0, 105.1000001, 10.1),
            "2": Polygon([(105.1, 10.0), (105.2, 10.0), (105.2, 10.1), (105.1, 10.1), (105.0999999, 10.05)]),
        }
    )
    assert not shapely.coverage_is_valid(ragged.geometries)
    assert shapely.coverage_is_valid([shape(f["geometry"]) for f in features(ragged)])


def test_no_commune_is_lost_however_small_or_hidden(
    make_set: Callable[[dict[str, shapely.Geometry]], BoundarySet],
) -> None:
    """One that is smaller than the rounding, and two of the same shape."""
    odd = make_set(
        {
            "1": box(105, 10, 105.1, 10.1),
            "2": box(105, 10, 105.1, 10.1),
            "3": box(105.2, 10, 105.200001, 10.000001),
        }
    )
    drawn = features(odd)
    assert [f["properties"]["code"] for f in drawn] == ["1", "2", "3"]
    assert all(shape(f["geometry"]).area > 0 for f in drawn)
