"""What became of a point that was looked up: a name for each case, so that each can be counted.

A coordinate that is a text never gets here: decoding refuses it, and the event becomes a dead letter.

Offshore has no name of its own. A set says what belongs to its communes and nothing of what lies beyond:
whether that is sea, another province or another country cannot be told from it, so it is all `OUTSIDE`.
"""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray


class Outcome(IntEnum):
    """The outcome of one point. Where several apply, the first of MISSING, NOT_FINITE, INSIDE, SWAPPED,
    OUT_OF_RANGE, NULL_ISLAND, OUTSIDE."""

    #: In a commune.
    INSIDE = 0
    #: A place on earth, in no commune of the set: another province or country, or the sea.
    OUTSIDE = 1
    #: The event names no longitude or no latitude.
    MISSING = 2
    #: A coordinate is NaN or infinite.
    NOT_FINITE = 3
    #: A longitude beyond 180 or a latitude beyond 90 degrees.
    OUT_OF_RANGE = 4
    #: In no commune, but with longitude and latitude exchanged it would be.
    SWAPPED = 5
    #: Within 0.01 degrees of 0, 0, where receivers without a fix put themselves.
    NULL_ISLAND = 6

    @property
    def label(self) -> str:
        """As metrics and events spell it, such as not-finite; MISSING is called nowhere."""
        return "nowhere" if self is Outcome.MISSING else self.name.lower().replace("_", "-")


#: Degrees around 0, 0 (about a kilometre); only open sea lies there.
NULL_ISLAND_REACH = 0.01


def outcomes_outside(
    lons: NDArray[np.float64], lats: NDArray[np.float64], swapped_inside: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    """float64[n] degrees of points in no commune, and bool[n] whether they would be in one with longitude and
    latitude exchanged, to uint8[n] values of `Outcome`."""
    finite = np.isfinite(lons) & np.isfinite(lats)
    range_ = (np.abs(lons) <= 180) & (np.abs(lats) <= 90)
    null = (np.abs(lons) <= NULL_ISLAND_REACH) & (np.abs(lats) <= NULL_ISLAND_REACH)
    chosen = np.select(
        [~finite, swapped_inside, ~range_, null],
        [Outcome.NOT_FINITE, Outcome.SWAPPED, Outcome.OUT_OF_RANGE, Outcome.NULL_ISLAND],
        Outcome.OUTSIDE,
    )
    return chosen.astype(np.uint8)
