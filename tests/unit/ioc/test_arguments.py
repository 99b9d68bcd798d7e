"""Arguments that are more than a word."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from ioc.commands.arguments import speed_of, time_with_zone
from ioc.errors import UserError


def test_a_time_needs_its_zone() -> None:
    """A time without a zone is refused, whatever else is right about it; the error names the option."""
    assert time_with_zone("2025-10-07T17:00:00Z", "--start") == datetime(2025, 10, 7, 17, tzinfo=UTC)
    assert time_with_zone("2025-10-08T00:00:00+07:00", "--start") == datetime(2025, 10, 7, 17, tzinfo=UTC)
    assert time_with_zone(None, "--start") is None
    for text in ("2025-10-08T00:00:00", "tomorrow", ""):
        with pytest.raises(UserError, match="--start"):
            time_with_zone(text, "--start")


def test_a_speed_is_a_positive_number_or_max() -> None:
    """`max` means as fast as it goes; nothing, standing still and backwards are refused."""
    assert speed_of("max") is None
    assert speed_of("0.5") == 0.5
    for text in ("0", "-1", "nan", "inf", "fast", ""):
        with pytest.raises(UserError, match="--speed"):
            speed_of(text)
