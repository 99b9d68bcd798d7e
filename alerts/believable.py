"""What no true record says: times far from ours, numbers beyond all measures, points that are not on Earth.

Reckoning with such a time can pass the ends of the calendar, with such a number the range of numbers; that would end
the program that reckons.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TypeVar

import msgspec
from msgspec import Struct

from alerts.model import Where

T = TypeVar("T")

#: The years of all times: the first, and the first that is too late.
YEARS = range(1970, 2200)
#: The first and the last instant in them.
EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2199, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)


#: The greatest number that any measure has, up or down.
GREATEST = 1e9


def on_earth(lon: float | None, lat: float | None) -> bool:
    """Whether these degrees can be a point, or are none. A point of which one is missing could still be one."""
    # Written so that a NaN fails too.
    return (lon is None or abs(lon) <= 180) and (lat is None or abs(lat) <= 90)


def doubt(record: object) -> str:
    """What in a record is not to be believed, with the field; empty where nothing is. Looks into all its parts."""
    if isinstance(record, datetime):
        return "" if record.year in YEARS else f"{record.isoformat()} is not in our time"
    if isinstance(record, float):
        # Sums of measures are greater than these.
        return "" if abs(record) <= GREATEST**2 else f"{record:g} is no measure"
    if isinstance(record, Where):
        good = on_earth(record.lon, record.lat)
        return "" if good else f"{record.lon}, {record.lat} is no point on Earth"
    if isinstance(record, Struct):
        for name in record.__struct_fields__:
            if (found := getattr(record, name)) and (why := doubt(found)):
                return f"{name}: {why}" if isinstance(found, datetime | float | Where) else f"{name}.{why}"
    elif isinstance(record, list | tuple):
        for number, part in enumerate(record):
            if why := doubt(part):
                return f"{number}.{why}"
    return ""


def believed(record: T) -> T:
    """The record itself. Raises `msgspec.ValidationError`, saying why, where it is not to be believed."""
    if why := doubt(record):
        raise msgspec.ValidationError(why)
    return record
