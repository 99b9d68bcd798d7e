"""Every point has a named outcome, whatever floats it has."""

from __future__ import annotations

import math
from collections.abc import Callable

import msgspec
import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from shapely import box

from geo.boundaries import BoundarySet
from geo.locate import Locator
from geo.outcomes import Outcome
from streams.schemas import EVENTS

NAN, INF = math.nan, math.inf


MakeSet = Callable[[dict[str, shapely.Geometry]], BoundarySet]


@pytest.fixture(scope="module")
def locator(make_set: MakeSet) -> Locator:
    return Locator(make_set({"00001": box(105.7, 10.0, 105.8, 10.1)}))


@pytest.mark.parametrize(
    ("lon", "lat", "label"),
    [
        (105.75, 10.05, "inside"),
        (105.7, 10.0, "inside"),
        (105.9, 10.05, "outside"),
        (110.0, 10.05, "outside"),
        (NAN, 10.05, "not-finite"),
        (105.75, NAN, "not-finite"),
        (INF, 10.05, "not-finite"),
        (105.75, -INF, "not-finite"),
        (180.5, 10.05, "out-of-range"),
        (105.75, 90.1, "out-of-range"),
        (1e308, -1e308, "out-of-range"),
        (10.05, 105.75, "swapped"),
        (10.0, 105.7, "swapped"),
        (10.05, 105.9, "out-of-range"),
        (0.0, 0.0, "null-island"),
        (-0.0, 0.009, "null-island"),
        (0.0, 0.02, "outside"),
        (0.0, 10.05, "outside"),
        (180.0, -90.0, "outside"),
    ],
)
def test_each_case_has_its_name(locator: Locator, lon: float, lat: float, label: str) -> None:
    """Alone and in a batch of many, the same; a commune only where inside."""
    for times in (1, 50):
        index, outcome = locator.outcomes(np.full(times, lon), np.full(times, lat))
        assert {Outcome(value).label for value in outcome} == {label}
        assert index.tolist() == [0 if label == "inside" else -1] * times
        assert (index.dtype, outcome.dtype) == (np.int32, np.uint8)


def test_what_names_no_place_is_nowhere(locator: Locator) -> None:
    """Told apart from NaN, and not looked up whatever stands there."""
    lons, lats = np.array([NAN, 105.75, NAN]), np.array([NAN, 10.05, 10.05])
    index, outcome = locator.outcomes(lons, lats, np.array([True, True, False]))
    assert [Outcome(value).label for value in outcome] == ["nowhere", "nowhere", "not-finite"]
    assert index.tolist() == [-1, -1, -1]


@given(st.lists(st.tuples(st.floats(), st.floats()), max_size=40))
def test_no_floats_raise_and_the_commune_is_that_of_locate(
    locator: Locator, points: list[tuple[float, float]]
) -> None:
    """An index where inside and nowhere else; every outcome is a known one."""
    lons, lats = np.array([p[0] for p in points]), np.array([p[1] for p in points])
    index, outcome = locator.outcomes(lons, lats)
    assert index.tolist() == locator.locate_many(lons, lats).tolist()
    assert ((index >= 0) == (outcome == Outcome.INSIDE)).all()
    assert set(outcome.tolist()) <= set(Outcome)


def test_where_both_orders_are_inside_the_order_given_counts(make_set: MakeSet) -> None:
    """A set on both sides of the diagonal: nothing says that the sender meant the other."""
    both: BoundarySet = make_set({"00001": box(40, 50, 41, 51), "00002": box(50, 40, 51, 41)})
    index, outcome = Locator(both).outcomes(np.array([40.5, 50.5]), np.array([50.5, 40.5]))
    assert index.tolist() == [0, 1]
    assert outcome.tolist() == [Outcome.INSIDE, Outcome.INSIDE]


@pytest.mark.parametrize("stream", sorted(EVENTS))
def test_a_text_for_a_coordinate_is_refused_by_decoding(stream: str) -> None:
    """So that it never reaches the locator."""
    event = b'{"id":"1","source":"s","time":"2026-01-01T00:00:00Z","lon":"105.7","lat":10.0}'
    with pytest.raises(msgspec.ValidationError, match="lon"):
        msgspec.json.decode(event, type=EVENTS[stream])
