"""What one source says for rules about communes: its last believed value of each minute.

The values wait with the source until the sums of their minute are told, at the first clock record a minute after the
minute's end. What comes later for that minute is left out. A value that was told is dropped when the next one comes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from msgspec import Struct

from alerts.model import Observation
from alerts.rules.kinds import CommuneRule, matches

#: How long after a minute's end its sums are told.
WAIT = timedelta(minutes=1)


class Said(Struct, frozen=True, array_like=True):
    """A source's last believed value of one minute."""

    #: Minutes since 1970.
    minute: int
    value: float
    #: The commune it lay in then.
    commune: str


@dataclass
class Total:
    """The sources of one commune in one minute, for one rule."""

    values: list[float] = field(default_factory=list)

    @property
    def sum(self) -> float:
        """The values' exact sum, rounded once: in whatever order they come."""
        return math.fsum(self.values)

    def beyond(self, rule: CommuneRule) -> int:
        """How many sources are at or beyond the rule's `beyond`."""
        if rule.beyond is None:
            return 0
        above, limit = rule.direction == "above", rule.beyond
        return sum(1 for value in self.values if (value >= limit if above else value <= limit))


def first_open(clock: datetime | None) -> int:
    """The first minute whose sums are not told yet once a clock record says this time."""
    return 0 if clock is None else minute_of(clock - WAIT)


def minute_of(time: datetime) -> int:
    """Minutes since 1970."""
    return int(time.timestamp() // 60)


def beginning(minute: int) -> datetime:
    """The beginning of a minute. In UTC, so that it is written in one way whatever the sources' zones."""
    return datetime.fromtimestamp(minute * 60, UTC)


def applies(rule: CommuneRule, observation: Observation) -> bool:
    """Whether a rule takes a value from this observation: its measure is there and believed, its `where` holds."""
    return (
        rule.measure in observation.measures
        and rule.measure not in observation.doubts
        and (not rule.where or matches(rule.where, observation.fields))
    )


def say(said: list[Said], value: float, commune: str, minute: int, open_from: int) -> list[Said]:
    """What a source has said, with one more value for a minute; `open_from` is the first that is not told yet."""
    kept = [one for one in said if one.minute >= open_from and one.minute != minute]
    kept.append(Said(minute, value, commune))
    return kept


def totals(
    sources: Iterable[tuple[Mapping[str, list[Said]], bool]], begin: int, end: int
) -> dict[tuple[int, str, str, bool], Total]:
    """By minute, rule, commune and whether it is simulated: what sources said from `begin` to before `end`.

    `sources` gives of each what it said, by rule, and whether it is simulated.
    """
    found: dict[tuple[int, str, str, bool], Total] = {}
    for by_rule, simulated in sources:
        for rule, said in by_rule.items():
            for one in said:
                if begin <= one.minute < end:
                    total = found.setdefault((one.minute, rule, one.commune, simulated), Total())
                    total.values.append(one.value)
    return found
