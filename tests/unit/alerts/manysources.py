"""Drives a component of `alerts` that judges many sources, as correlate does, and restores it in between."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Generic, Protocol, TypeVar

from alerts.model import Where
from alerts.rules.kinds import Bound, Level, Rule
from alerts.signals import Occurrence, Signal
from alerts.state import Tables

START = datetime(2025, 10, 8, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
#: 100 m north, degrees.
HUNDRED_METRES = 0.0008993


class Component(Protocol):
    def configure(self, rules: Sequence[Rule], now: datetime) -> list[Signal]: ...

    def next_due(self) -> datetime | None: ...

    def pass_time(self, due: datetime) -> list[Signal]: ...


C = TypeVar("C", bound=Component)


class Driven(Generic[C]):
    """A component with the log of its state. `restores` says before each call whether it is restored first."""

    def __init__(
        self, make: Callable[[Tables], C], rules: Sequence[Rule], restores: Iterable[bool] = ()
    ) -> None:
        self._make, self.rules, self._restores = make, rules, iter(restores)
        self.log: dict[bytes, bytes] = {}
        self.tables = Tables()
        self.part = make(self.tables)
        self.now = START
        self.signals: list[Signal] = self.part.configure(rules, START)

    def to(self, order: datetime) -> C:
        """Let everything happen that is due up to a moment; returns the component, for the call of that moment."""
        while (due := self.part.next_due()) is not None and due <= order:
            self._maybe_restore()
            self.signals += self.part.pass_time(due)
            self.now = due
            after = self.part.next_due()
            assert after is None or after > due, "what was due at a moment is done with it"
        self._maybe_restore()
        self.now = order
        return self.part

    def configure(self, rules: Sequence[Rule], now: datetime) -> None:
        self.rules = rules
        self.signals += self.to(now).configure(rules, now)

    def restore(self) -> None:
        """As after a crash: from what was written, and nothing may come of it."""
        for key, value in self.tables.take_changes():
            if value is None:
                del self.log[key]
            else:
                self.log[key] = value
        self.tables = Tables()
        self.part = self._make(self.tables)
        self.tables.restore(self.log)
        assert self.part.configure(self.rules, self.now) == []
        assert list(self.tables.take_changes()) == []

    def _maybe_restore(self) -> None:
        if next(self._restores, False):
            self.restore()


def levels(*bounds: tuple[str, float, float, str]) -> tuple[Level, ...]:
    """Levels from severity, raise, clear and certainty."""
    return tuple(
        Level(
            severity=severity,  # type: ignore[arg-type]
            raise_at=Bound(threshold=None, offset=raise_at),
            clear_at=Bound(threshold=None, offset=clear_at),
            certainty=certainty,  # type: ignore[arg-type]
        )
        for severity, raise_at, clear_at, certainty in bounds
    )


def place(step: float, commune: str = "31117") -> Where:
    """A place `step` hundreds of metres north of a point in Cần Thơ."""
    return Where(
        lon=105.78,
        lat=10.03 + step * HUNDRED_METRES,
        commune=commune,
        commune_name=f"Commune {commune}",
        province="92",
    )


def report(
    minute: float,
    event: str,
    step: float = 0,
    *,
    late: float = 0,
    commune: str = "31117",
    stream: str = "report",
    fields: dict[str, str] | None = None,
    simulated: bool = False,
    run: str = "",
) -> Occurrence:
    """A report of a flooded street at a minute, which becomes known `late` minutes later."""
    return Occurrence(
        stream=stream,
        source=f"{stream}-channel",
        event=event,
        time=START + minute * MINUTE,
        order=START + (minute + late) * MINUTE,
        where=place(step, commune),
        fields={"category": "flooded_street"} if fields is None else fields,
        simulated=simulated,
        run=run,
    )


def in_order(occurrences: Iterable[Occurrence]) -> list[Occurrence]:
    """As correlate takes them."""
    return sorted(occurrences, key=lambda one: (one.order, one.time, one.stream, one.source, one.event))
