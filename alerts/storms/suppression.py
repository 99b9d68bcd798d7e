"""Suppression: alerts that follow from another one, or from work on a source, are not shown among the others.

Why an open alert is suppressed, the first of these that holds:

    limit:RULE        `alerts.storms.limits` refused it; whoever set this takes it away again
    maintenance:ID    a maintenance window that fits it holds now
    inhibited:ALERT   an inhibition says so, while that alert is open and not suppressed itself

What an inhibiting alert never does:

- hide a worse one, or a real one where it is simulated, or one of another run;
- inhibit where it is suppressed itself, for whatever reason: there are no chains;
- inhibit itself. Of rules that inhibit each other, directly or around a circle, the worse alert inhibits the milder,
  and of equally severe ones the one that began first; ties go by id.

So every alert that is inhibited names one that is shown. What is true follows from the open alerts, their limits and
the time, whatever was said before; only where several alerts or windows give a reason, the one that was given before
stays, so that nothing is told anew without need.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from msgspec.structs import replace

from alerts.alert import Alert
from alerts.model import SEVERITIES
from alerts.rules.policy import Inhibition, MaintenanceWindow

#: How the reason begins that `alerts.storms.limits` is the cause of.
LIMIT = "limit:"
#: Where inhibitors are looked up: the inhibition's place in the list, and what both alerts must share.
PlaceKey = tuple[int, str]


class Suppression:
    """The inhibitions and maintenance windows that hold. It keeps nothing about alerts."""

    def __init__(self) -> None:
        self._inhibitions: tuple[Inhibition, ...] = ()
        self._windows: tuple[MaintenanceWindow, ...] = ()
        self._by: frozenset[str] = frozenset()
        self._of: frozenset[str] = frozenset()
        #: For each rule those that may inhibit it, directly or through others, and itself.
        self._before: dict[str, frozenset[str]] = {}

    def configure(self, inhibitions: Sequence[Inhibition], windows: Sequence[MaintenanceWindow]) -> None:
        """Take other inhibitions and windows. What they change shows when `reasons` is asked next."""
        self._inhibitions, self._windows = tuple(inhibitions), tuple(windows)
        self._by = frozenset(rule for one in inhibitions for rule in one.by)
        self._of = frozenset(rule for one in inhibitions for rule in one.of)
        self._before = _reaching(self._inhibitions)

    def concerns(self, alert: Alert) -> bool:
        """Whether alerts may have another reason once this one is raised, ends or changes its severity or communes.

        It may itself: one that has become worse than what hid it is shown.
        """
        return alert.rule in self._by or alert.rule in self._of

    def next_due(self, now: datetime) -> datetime | None:
        """When, after `now`, the next window begins or ends; None where none does."""
        edges = (edge for window in self._windows for edge in (window.since, window.until) if edge > now)
        return min(edges, default=None)

    def reason(self, alert: Alert, open_alerts: Iterable[Alert], now: datetime) -> str:
        """Why an alert is suppressed, a limit of its own aside; empty where it is not.

        The alert need not be among the open ones. The limits of the others stand.
        """
        if alert.suppressed.startswith(LIMIT):
            alert = replace(alert, suppressed="")
        if alert.rule not in self._of:
            return self._window(alert, now)
        # Only what can bear on it, through others too.
        related = self._before[alert.rule]
        others = [one for one in open_alerts if one.rule in related and one.id != alert.id]
        return self.reasons([*others, alert], now)[alert.id]

    def reasons(self, open_alerts: Iterable[Alert], now: datetime) -> dict[str, str]:
        """Why each open alert is suppressed, by id: one look at all of them. Limits stand."""
        reasons: dict[str, str] = {}
        shown: dict[PlaceKey, list[Alert]] = {}
        # An alert can only be inhibited by one that comes before it in this order, which is decided by then.
        for alert in sorted(open_alerts, key=self._rank):
            limited = alert.suppressed if alert.suppressed.startswith(LIMIT) else ""
            reason = limited or self._window(alert, now) or self._inhibitor(alert, shown)
            reasons[alert.id] = reason
            if not reason and alert.open:
                for number, inhibition in enumerate(self._inhibitions):
                    if alert.rule in inhibition.by and _at_least(alert, inhibition):
                        for place in _places(inhibition, alert):
                            shown.setdefault((number, place), []).append(alert)
        return reasons

    def _rank(self, alert: Alert) -> tuple[int, int, datetime, str]:
        # A rule that is reached by more comes later; rules around a circle are reached by the same ones.
        reached = len(self._before.get(alert.rule, ()))
        return reached, -SEVERITIES.index(alert.severity), alert.started, alert.id

    def _window(self, alert: Alert, now: datetime) -> str:
        """The maintenance that suppresses an alert: of several the one named before, or else the last to end."""
        fitting = [window for window in self._windows if _fits(window, alert, now)]
        if not fitting:
            return ""
        named = {f"maintenance:{window.id}" for window in fitting}
        if alert.suppressed in named:
            return alert.suppressed
        last = min(fitting, key=lambda window: (-window.until.timestamp(), window.id))
        return f"maintenance:{last.id}"

    def _inhibitor(self, alert: Alert, shown: dict[PlaceKey, list[Alert]]) -> str:
        found = [
            other
            for number, inhibition in enumerate(self._inhibitions)
            if alert.rule in inhibition.of
            for place in _places(inhibition, alert)
            for other in shown.get((number, place), ())
            if _may_hide(other, alert)
        ]
        if not found:
            return ""
        if alert.suppressed in {f"inhibited:{other.id}" for other in found}:
            return alert.suppressed
        first = min(found, key=lambda other: (-SEVERITIES.index(other.severity), other.started, other.id))
        return f"inhibited:{first.id}"


def _fits(window: MaintenanceWindow, alert: Alert, now: datetime) -> bool:
    """Whether a window holds now, and all that it names fits."""
    return (
        window.since <= now < window.until
        and (not window.sources or alert.subject in window.sources)
        and (not window.rules or alert.rule in window.rules)
        and (not window.communes or bool(set(window.communes) & set(alert.area)))
        and (not window.hazards or alert.hazard in window.hazards)
    )


def _at_least(alert: Alert, inhibition: Inhibition) -> bool:
    return SEVERITIES.index(alert.severity) >= SEVERITIES.index(inhibition.severity)


def _may_hide(other: Alert, alert: Alert) -> bool:
    return (
        other.id != alert.id
        and SEVERITIES.index(alert.severity) <= SEVERITIES.index(other.severity)
        and (other.run, other.simulated) == (alert.run, alert.simulated)
    )


def _places(inhibition: Inhibition, alert: Alert) -> list[str]:
    """What another alert must share one of; none where the alert has no such place: nowhere is not a place."""
    if inhibition.same == "subject":
        return [alert.subject]
    if inhibition.same == "province":
        return [alert.where.province] if alert.where.province else []
    return alert.area


def _reaching(inhibitions: Iterable[Inhibition]) -> dict[str, frozenset[str]]:
    """For each rule all from which inhibitions lead to it, over several too, and itself."""
    direct: dict[str, set[str]] = {}
    for inhibition in inhibitions:
        for rule in (*inhibition.by, *inhibition.of):
            direct.setdefault(rule, set())
        for rule in inhibition.of:
            direct[rule] |= set(inhibition.by)
    reaching = {}
    for rule in direct:
        seen, ahead = {rule}, [rule]
        while ahead:
            new = direct[ahead.pop()] - seen
            seen |= new
            ahead += new
        reaching[rule] = frozenset(seen)
    return reaching
