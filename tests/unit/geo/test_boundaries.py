"""Boundary sets as values."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import pytest
import shapely
from shapely import box

from geo.boundaries import BoundarySet, Commune, boundary_set

Make = Callable[[dict[str, shapely.Geometry]], BoundarySet]


def test_communes_and_polygons_are_sorted_together(make_set: Make) -> None:
    """By code, as text, whatever order they came in."""
    boundaries = make_set({"3": box(3, 0, 4, 1), "10": box(10, 0, 11, 1), "2": box(2, 0, 3, 1)})
    assert [commune.code for commune in boundaries.communes] == ["10", "2", "3"]
    assert shapely.bounds(boundaries.geometries)[:, 0].tolist() == [10, 2, 3]


def test_the_version_follows_from_the_content(make_set: Make) -> None:
    """Communes in another order have the same version; a moved corner, a name or a province another."""
    one = make_set({"1": box(0, 0, 1, 1), "2": box(1, 0, 2, 1)})
    assert one.version == make_set({"2": box(1, 0, 2, 1), "1": box(0, 0, 1, 1)}).version
    assert one.version != make_set({"1": box(0, 0, 1, 1), "2": box(1, 0, 2, 1.0000001)}).version
    assert one.ref == f"made-up@{one.version}"

    def versions(*communes: Commune) -> set[str]:
        return {
            boundary_set(
                id="x",
                approximate=False,
                source="",
                licence="",
                communes=[commune],
                geometries=[box(0, 0, 1, 1)],
            ).version
            for commune in communes
        }

    assert len(versions(Commune("1", "A", "92"), Commune("1", "B", "92"), Commune("1", "A", "93"))) == 3
    assert (
        len(versions(Commune("1", "A", "92"), Commune("1", "A", "92", "93"), Commune("1", "A", "92", "94")))
        == 3
    )
    # The parts are told apart: these have the same letters in a row.
    assert len(versions(Commune("1", "2A", "92"), Commune("12", "A", "92"), Commune("1", "2A9", "2"))) == 3


def test_only_keeps_the_provinces_asked_for(made_up: BoundarySet) -> None:
    """All of them: the same set; none: an empty one with a version of its own."""
    assert made_up.only(["00", "92"]) is made_up
    nothing = made_up.only(["92"])
    assert nothing.communes == ()
    assert nothing.version != made_up.version


def test_a_set_that_contradicts_itself_is_refused() -> None:
    """Codes that are not unique, a geometry too few, dates without a zone."""
    fields = {"id": "x", "approximate": False, "source": "", "licence": ""}
    two = [Commune("1", "A", "92"), Commune("1", "B", "92")]
    with pytest.raises(ValueError, match="not unique"):
        boundary_set(**fields, communes=two, geometries=[box(0, 0, 1, 1)] * 2)
    with pytest.raises(ValueError, match="2 communes with 1"):
        boundary_set(**fields, communes=two, geometries=[box(0, 0, 1, 1)])
    with pytest.raises(ValueError, match="zone"):
        boundary_set(
            **fields,
            communes=two[:1],
            geometries=[box(0, 0, 1, 1)],
            valid_from=datetime(2025, 7, 1),  # noqa: DTZ001 - the fault that is tested
        )
