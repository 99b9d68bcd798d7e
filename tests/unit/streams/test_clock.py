"""The clock that can be set; writing records: tests/integration/test_clock.py."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from streams.clock import Timebase

NOON = datetime(2025, 10, 8, 5, tzinfo=UTC)


def test_by_default_it_shows_the_wall_clocks_time() -> None:
    """Without settings a timebase changes nothing, to the microsecond."""
    wall = datetime(2026, 3, 1, 12, 30, 15, 123456, tzinfo=UTC)
    assert Timebase().now(wall) == wall


@pytest.mark.parametrize(("speed", "shown"), [(1.0, 10), (60.0, 600), (0.5, 5), (0.0, 0)])
def test_it_starts_where_it_is_set_and_runs_at_its_speed(speed: float, shown: int) -> None:
    """Ten seconds after its origin it shows its start plus ten times its speed."""
    origin = datetime(2030, 1, 1, tzinfo=UTC)
    clock = Timebase(origin=origin, start=NOON, speed=speed)
    assert clock.now(origin) == NOON
    assert clock.now(origin + timedelta(seconds=10)) == NOON + timedelta(seconds=shown)


def test_it_keeps_the_zone_apart_from_the_instant() -> None:
    """A wall clock in another zone shows the same instant."""
    wall = NOON.astimezone(datetime.fromisoformat("2025-01-01T00:00:00+07:00").tzinfo)
    assert Timebase(origin=NOON, start=NOON, speed=2).now(wall) == NOON
