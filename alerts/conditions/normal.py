"""The normal range of a source: within it no measure moves any rule, so nothing needs to be judged.

It is given only for a source about which nothing stands and nothing is pending. Its ends do not belong to it: a value
at a bound is judged as any other.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime

from msgspec import Struct

from alerts.conditions import ladder
from alerts.model import Source
from alerts.rules.kinds import LadderRule


class Range(Struct, frozen=True):
    """Values of one measure, both ends excluded."""

    measure: str
    low: float = -math.inf
    high: float = math.inf


def ranges(
    rules: Iterable[LadderRule], judged: Iterable[str], source: Source | None, time: datetime
) -> tuple[Range, ...]:
    """The normal range of each measure that `rules` look at, for an off ladder, as the thresholds are at `time`.

    Of the measures in `judged` no value is normal: each has to be looked at.
    """
    found: dict[str, Range] = {}
    for rule in rules:
        known = found.get(rule.measure) or Range(rule.measure)
        low, high = known.low, known.high
        for level in rule.levels:
            bound = ladder.bound_value(level.raise_at, source, time)
            if bound is not None:
                low, high = (low, min(high, bound)) if rule.direction == "above" else (max(low, bound), high)
        found[rule.measure] = Range(rule.measure, low, high)
    for measure in judged:
        found[measure] = Range(measure, math.inf, -math.inf)
    return tuple(found.values())
