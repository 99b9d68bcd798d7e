"""Readings as a browser gets them: columns of numbers, packed as bytes and those as letters.

Ten thousand sources that move each second are a third of a megabyte of JSON numbers, and a browser takes half as long
to read them as to draw them. `static/readings.js` unpacks what this packs.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np

#: Seconds that a time can be from the base, either way: more is told as so much, 68 years.
_SECONDS_MAX = 2**31 - 1
#: Degrees; the square of Mercator ends there.
_LAT_MAX = 85.051128


def pack_readings(
    base: int, read: Sequence[tuple[int, float | None, int]], moved: Sequence[tuple[int, float, float]]
) -> dict[str, Any]:
    """The message: `base` in seconds since 1970, the two others as base64, little-endian, column after column.

    `read` has number, value (None: it has none) and time in seconds since 1970 of each source that spoke: packed as
    seconds from `base` (int32), values (float32, NaN for None), numbers (uint16). `moved` has number, longitude and
    latitude in degrees: packed as places in the square of Mercator, from its north-west corner to the east and south
    in 2^32 steps of a centimetre (uint32), and numbers (uint16).

    Raises `OverflowError` for a number that takes more than 16 bits.
    """
    numbers, values, times = zip(*read, strict=True) if read else ((), (), ())
    moved_numbers, lons, lats = zip(*moved, strict=True) if moved else ((), (), ())
    seconds = np.clip(np.array(times, np.int64) - base, -_SECONDS_MAX, _SECONDS_MAX)
    with np.errstate(over="ignore"):
        singles = np.array(values, np.float64).astype("<f4")
    return {
        "base": base,
        "read": _letters(seconds.astype("<i4"), singles, np.array(numbers, "<u2")),
        "moved": _letters(*_mercator(lons, lats), np.array(moved_numbers, "<u2")),
    }


def _mercator(lons: Sequence[float], lats: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    # Here, once, and not in each browser.
    across = np.array(lons, np.float64) / 360 + 0.5
    turn = np.pi / 4 + np.radians(np.clip(np.array(lats, np.float64), -_LAT_MAX, _LAT_MAX)) / 2
    down = 0.5 - np.log(np.tan(turn)) / (2 * np.pi)
    east, south = ((part * 2**32).clip(0, 2**32 - 1).astype("<u4") for part in (across, down))
    return east, south


def _letters(*columns: np.ndarray) -> str:
    return base64.b64encode(b"".join(column.tobytes() for column in columns)).decode()
