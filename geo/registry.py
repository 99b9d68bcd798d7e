"""Which boundary set holds when: an event is located in the map of its own day."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from itertools import pairwise

from geo.boundaries import BoundarySet

#: What stands for "since ever" and "without end" where instants are compared.
_EVER, _NEVER = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


class OverlappingValidity(ValueError):
    """Two sets claim the same time."""

    def __init__(self, earlier: BoundarySet, later: BoundarySet) -> None:
        super().__init__(
            f"two boundary sets hold at one time: {_described(earlier)} and {_described(later)};"
            " end the one before the other begins"
        )


class Registry:
    """Boundary sets of which at most one holds at any time. A value: it never changes.

    One set may occur twice, before and after another that replaces it for a while; `ref` of the set is the
    same then.
    """

    def __init__(self, sets: Iterable[BoundarySet]) -> None:
        """From sets in any order; there may be times for which none holds.

        Raises `OverlappingValidity`, naming both, where two hold at one time, and `ValueError` where a set
        ends before it begins or a date has no zone.
        """
        ordered = sorted(sets, key=lambda boundaries: _period(boundaries))
        for earlier, later in pairwise(ordered):
            if _period(earlier)[1] > _period(later)[0]:
                raise OverlappingValidity(earlier, later)
        self._sets = tuple(ordered)
        self._begins = [_period(boundaries)[0] for boundaries in ordered]

    @classmethod
    def of(cls, active: Iterable[BoundarySet], defaults: Iterable[BoundarySet]) -> Registry:
        """The active sets for the times they hold, and the defaults for all other times they hold.

        A default keeps its id and version where it is cut, since its content is what it was; its validity
        here is what is left of it. Raises as the constructor does where the active sets overlap each other,
        or the defaults do.
        """
        chosen, sets = cls(active), list[BoundarySet]()
        for default in cls(defaults).sets:
            begin, end = _period(default)
            for winner in chosen.sets:
                first, last = _period(winner)
                if begin < first:
                    sets.append(_cut(default, begin, min(first, end)))
                begin = max(begin, last)
                if begin >= end:
                    break
            if begin < end:
                sets.append(_cut(default, begin, end))
        return cls([*chosen.sets, *sets])

    @property
    def sets(self) -> tuple[BoundarySet, ...]:
        """In the order of time."""
        return self._sets

    @property
    def ref(self) -> str:
        """Names all sets with their times, in UTC; the same for the same sets however they were given.

        Such as `a@0123456789ab until 2025-06-30T17:00:00Z; b@ba9876543210 from 2025-06-30T17:00:00Z`.
        """
        return "; ".join(_described(boundaries) for boundaries in self._sets)

    def at(self, time: datetime) -> BoundarySet | None:
        """The set that holds at an instant: its first instant is included, that of its end is not.

        None where none holds. Raises `ValueError` for a time without a zone.
        """
        if time.utcoffset() is None:
            raise ValueError(f"a time without a zone: {time.isoformat()}")
        index = bisect_right(self._begins, time) - 1
        if index < 0:
            return None
        boundaries = self._sets[index]
        return boundaries if boundaries.valid_until is None or time < boundaries.valid_until else None


def _period(boundaries: BoundarySet) -> tuple[datetime, datetime]:
    """First instant, and first no longer; raises `ValueError` where there is none between or a zone lacks."""
    begin, end = boundaries.valid_from or _EVER, boundaries.valid_until or _NEVER
    if begin.utcoffset() is None or end.utcoffset() is None:
        raise ValueError(f"validity dates need a zone: {boundaries.ref}")
    if begin >= end:
        raise ValueError(f"a boundary set ends before it begins: {_described(boundaries)}")
    return begin, end


def _cut(boundaries: BoundarySet, begin: datetime, end: datetime) -> BoundarySet:
    """The same set with another validity; the same object where that is what it has."""
    if (begin, end) == _period(boundaries):
        return boundaries
    return replace(
        boundaries,
        valid_from=None if begin == _EVER else begin,
        valid_until=None if end == _NEVER else end,
    )


def _described(boundaries: BoundarySet) -> str:
    begin, end = boundaries.valid_from, boundaries.valid_until
    return (
        boundaries.ref
        + ("" if begin is None else f" from {_utc(begin)}")
        + ("" if end is None else f" until {_utc(end)}")
    )


def _utc(time: datetime) -> str:
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")
