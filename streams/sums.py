"""The sums that sense tells for rules about communes: what its sources say together, minute by minute."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime

import msgspec

from alerts.conditions import minutes
from alerts.conditions.subject import SourceState
from alerts.model import Observation, Where
from alerts.rules.kinds import CommuneRule
from alerts.signals import Sums

#: Before the code of a commune in the keys of a partition's state; no source can be called so.
COMMUNE_KEY = b"\x00commune|"


class MinuteSums:
    """The sums of one raw partition. What a source says waits in its state until its minute is told."""

    def __init__(self, partition: str) -> None:
        """`partition` is said in the sums, as `stream/number`."""
        self._partition = partition
        #: Rules whose sums are told.
        self.rules: tuple[CommuneRule, ...] = ()
        #: Communes that sources spoke for, without a point, by code; and those that the log does not have so yet.
        self._communes: dict[str, Where] = {}
        self._changed: dict[str, None] = {}

    @property
    def wanted(self) -> bool:
        """Whether any rule asks for sums."""
        return bool(self.rules)

    def use(self, rules: Iterable[CommuneRule]) -> None:
        """Tell these rules' sums from now on."""
        self.rules = tuple(rules)

    def restore(self, key: bytes, value: bytes) -> bool:
        """Take a record as it was written; returns whether it is one of these."""
        if not key.startswith(COMMUNE_KEY):
            return False
        self._communes[key[len(COMMUNE_KEY) :].decode()] = msgspec.json.decode(value, type=Where)
        return True

    def take_changes(self) -> Iterator[tuple[bytes, Where]]:
        """What changed since the last call, for the log."""
        changed, self._changed = self._changed, {}
        for code in changed:
            yield COMMUNE_KEY + code.encode(), self._communes[code]

    def say(self, state: SourceState, observation: Observation, where: Where, clock: datetime | None) -> int:
        """Keep what a source says in its commune and minute; returns for how many sums it comes too late.

        `clock` is the last clock record.
        """
        commune, late = where.commune, 0
        if commune is None:
            return 0
        minute, open_from = minutes.minute_of(observation.time), minutes.first_open(clock)
        for rule in self.rules:
            if minutes.applies(rule, observation):
                if minute < open_from:
                    late += 1
                    continue
                said = state.said.get(rule.id, [])
                value = observation.measures[rule.measure]
                state.said[rule.id] = minutes.say(said, value, commune, minute, open_from)
        known = self._communes.get(commune)
        if known is None or known.boundaries != where.boundaries:
            self._communes[commune] = msgspec.structs.replace(where, lon=None, lat=None)
            self._changed[commune] = None
        return late

    def tell(
        self, sources: Collection[SourceState], before: datetime | None, now: datetime, run: str
    ) -> Iterator[Sums]:
        """The sums of the minutes that the clock record `now` completes, in order; `before` is the one before it."""
        begin, end = minutes.first_open(before), minutes.first_open(now)
        if begin == end:
            return
        rules = {rule.id: rule for rule in self.rules}
        said = ((state.said, state.simulated) for state in sources if state.said)
        for (minute, id_, commune, simulated), total in sorted(minutes.totals(said, begin, end).items()):
            yield Sums(
                rule=id_,
                partition=self._partition,
                minute=minutes.beginning(minute),
                # The same in every partition, also in one that lacks this clock record; the one before was earlier.
                order=minutes.beginning(minute + 1) + minutes.WAIT,
                where=self._communes[commune],
                sources=len(total.values),
                total=total.sum,
                beyond=total.beyond(rules[id_]),
                simulated=simulated,
                run=run,
            )
