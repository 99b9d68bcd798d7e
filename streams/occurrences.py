"""The events that counts and fusions may rest on, as sense tells them: without what a citizen wrote."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime

from alerts.model import Where
from alerts.rules.kinds import Conditions, CountRule, FusionRule, Rule, matches
from alerts.signals import Occurrence
from streams.schemas import Event, Place

#: Places that an event may count at: a point that cannot be meant is none.
_SOMEWHERE = ("inside", "outside")


class Counted:
    """Which events of one stream any rule counts."""

    def __init__(self, rules: Iterable[Rule], stream: str) -> None:
        self._stream = stream
        #: What an event must meet, any of these.
        self._conditions = tuple(_conditions(rules, stream))

    @property
    def wanted(self) -> bool:
        """Whether any rule counts events of the stream."""
        return bool(self._conditions)

    def occurrence(
        self, event: Event, fields: dict[str, str], place: Place, where: Where, clock: datetime
    ) -> Occurrence | None:
        """What is told of an event; None where no rule counts it, or where it has no place.

        `fields` are its texts that conditions look at, `clock` is the last clock record.
        """
        if place.outcome not in _SOMEWHERE or not any(matches(one, fields) for one in self._conditions):
            return None
        return Occurrence(
            stream=self._stream,
            source=event.source,
            event=event.id,
            time=event.time,
            order=max(event.time, clock),
            where=where,
            fields=fields,
            simulated=event.simulated,
            run=event.run,
        )


def _conditions(rules: Iterable[Rule], stream: str) -> Iterator[Conditions]:
    for rule in rules:
        if isinstance(rule, CountRule):
            selectors = [rule.of]
        elif isinstance(rule, FusionRule):
            selectors = [entry.of for entry in rule.inputs if entry.of is not None]
        else:
            continue
        yield from (selector.where for selector in selectors if selector.stream == stream)
