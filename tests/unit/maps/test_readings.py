"""Readings packed for a browser: what comes out is what went in, as exactly as it is shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from maps.readings import pack_readings
from tests import wallkit as kit

numbers = st.integers(0, 2**16 - 1)
BASE = 1_790_000_000


@given(
    st.lists(
        st.tuples(
            numbers, st.none() | st.floats(-8000, 8000), st.integers(BASE - 2**31 + 1, BASE + 2**31 - 1)
        )
    )
)
def test_a_reading_is_told_to_three_places(read: list[tuple[int, float | None, int]]) -> None:
    """Number, value and second of each, in order; no value stays none."""
    read = [(number, None if value is None else round(value, 3), time) for number, value, time in read]
    told, moved = kit.unpacked(pack_readings(BASE, read, []))
    assert told == read
    assert moved == []


@given(st.lists(st.tuples(numbers, st.floats(-180, 179.9999999), st.floats(-85.05, 85.05))))
def test_a_place_is_told_to_a_centimetre(moved: list[tuple[int, float, float]]) -> None:
    """Wherever on the map it is."""
    read, places = kit.unpacked(pack_readings(BASE, [], moved))
    assert read == []
    assert [number for number, _, _ in places] == [number for number, _, _ in moved]
    for (_, lon, lat), (_, wanted_lon, wanted_lat) in zip(places, moved, strict=True):
        assert lon == pytest.approx(wanted_lon, abs=1e-7)
        assert lat == pytest.approx(wanted_lat, abs=1e-7)


def test_what_no_column_can_hold_is_told_as_far_as_it_goes() -> None:
    """A clock that is wrong by centuries, a value beyond reason, a pole: the others are told all the same."""
    read = [(1, 1e300, BASE - 10**11), (2, -1e300, BASE + 10**11), (3, 1.5, BASE)]
    told, _ = kit.unpacked(pack_readings(BASE, read, []))
    assert [(number, value) for number, value, _ in told] == [(1, float("inf")), (2, float("-inf")), (3, 1.5)]
    assert [time - BASE for _, _, time in told] == [1 - 2**31, 2**31 - 1, 0]
    _, places = kit.unpacked(
        pack_readings(BASE, [], [(1, 180.0, 90.0), (2, -180.0, -90.0), (3, 105.0, 10.0)])
    )
    assert [(round(lon, 4), round(lat, 4)) for _, lon, lat in places] == [
        (180.0, 85.0511), (-180.0, -85.0511), (105.0, 10.0),
    ]  # fmt: skip


def test_a_number_that_has_no_room_is_an_error() -> None:
    """Nothing is shown at the place of another source."""
    with pytest.raises(OverflowError):
        pack_readings(BASE, [(2**16, 1.0, BASE)], [])
