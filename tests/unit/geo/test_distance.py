"""Distances on the sphere."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geo.distance import EARTH_RADIUS_M, metres

LON, LAT = st.floats(-180, 180), st.floats(-90, 90)


@pytest.mark.parametrize(
    ("there", "expected"),
    [((105.0, 11.0), 111_195.0), ((106.0, 10.0), 109_506.0), ((105.0, 10.001), 111.2), ((105.0, 10.0), 0.0)],
)
def test_known_distances(there: tuple[float, float], expected: float) -> None:
    """A degree of latitude is 111.195 km, one of longitude less by the cosine of the latitude."""
    assert metres(105.0, 10.0, *there) == pytest.approx(expected, rel=1e-4)


@given(LON, LAT, LON, LAT)
def test_the_same_both_ways_and_never_more_than_half_round_the_earth(
    lon: float, lat: float, other_lon: float, other_lat: float
) -> None:
    """Any two places have a distance, also the poles and antipodes."""
    there, back = metres(lon, lat, other_lon, other_lat), metres(other_lon, other_lat, lon, lat)
    assert there == pytest.approx(back, rel=1e-9, abs=1e-6)
    assert 0 <= there <= 3.1416 * EARTH_RADIUS_M
