"""The alerts of one province: signals, sums, occurrences and commands in, changes out.

`take` is called with one record after the other in the order of their `order`; before each, everything that falls due
up to that moment is done, each at its own moment. So the outcome depends on the records alone, not on how they were
cut into chunks or how often the state was restored in between.

This module lets the parts work together and knows none of their rules: conditions over many sources
(`alerts.conditions`), the lifecycle, incidents and suppression (`alerts.storms`), agencies (`alerts.agencies`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from msgspec.structs import replace

from alerts import authority, lifecycle
from alerts.agencies.addressing import Addressing
from alerts.agencies.messages import Message
from alerts.agenda import Agenda
from alerts.alert import Alert
from alerts.commands import Command, CommandOutcome
from alerts.conditions.clusters import Clusters
from alerts.conditions.commune import CommuneMeans
from alerts.incident import Incident
from alerts.model import SEVERITIES, AwareTime
from alerts.rules.policy import Escalation, Policy
from alerts.signals import Occurrence, Signal, Sums
from alerts.state import Table, Tables
from alerts.storms.incidents import Incidents
from alerts.storms.limits import Limits
from alerts.storms.rates import AlarmRate
from alerts.storms.suppression import Suppression

#: How long after its end an alert can still be commented on, in event time; then it is forgotten here.
KEPT_AFTER_END = timedelta(days=3)
#: How many ended alerts are kept at most; then those that ended first are forgotten sooner, so that a flood of alarms
#: does not fill the memory. It takes more than forty in ten minutes for three days, which nobody reads.
ENDED_MOST = 20_000
#: How long a command's id is remembered, so that one that is sent again is done once.
COMMANDS_KEPT = timedelta(days=1)

#: What falls due at one moment can make more fall due at it, but not for ever.
AT_ONE_MOMENT = 1000

#: What is taken in order.
Item = Signal | Occurrence | Sums | Command


@dataclass
class Effects:
    """What came of some records, in the order in which it happened."""

    #: Changes, with the append time of the raw record that caused it, ms; None where nothing did but time or people.
    changes: list[tuple[Alert, int | None]] = field(default_factory=list)
    incidents: list[Incident] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    outcomes: list[CommandOutcome] = field(default_factory=list)
    #: Ids of alerts that ended long ago.
    forgotten: list[str] = field(default_factory=list)
    #: The same of incidents.
    incidents_forgotten: list[str] = field(default_factory=list)


class _Timed(Protocol):
    def next_due(self) -> datetime | None: ...


class Correlation:
    """The alerts of one province, and what led to them, as `tables`."""

    def __init__(self) -> None:
        self.tables = Tables()
        #: By id: open alerts, those that an operator closed while their condition stands, those that ended lately.
        self.alerts: Table[Alert] = self.tables.table("alert", Alert)
        self._commands: Table[AwareTime] = self.tables.table("command", datetime)
        #: One record: the last moment that was dealt with.
        self._moments: Table[AwareTime] = self.tables.table("moment", datetime)
        self.clusters = Clusters(self.tables)
        self.means = CommuneMeans(self.tables)
        self.incidents = Incidents(self.tables)
        self.limits = Limits(self.tables)
        self.rate = AlarmRate(self.tables)
        self.addressing = Addressing(self.tables)
        self.suppression = Suppression()
        self.policy = Policy()
        self._run = ""
        #: Id of the alert whose condition stands, by rule and subject.
        self._standing: dict[tuple[str, str], str] = {}
        self._open: set[str] = set()
        #: When each ended alert ended.
        self._ended = Agenda()
        #: Due times of alerts: the end of a shelf, the next escalation, or being forgotten.
        self._agenda = Agenda()
        self._effects = Effects()

    # State

    def restore(self, state: Mapping[bytes, bytes], policy: Policy | None, run: str) -> None:
        """Take the state as earlier calls left it in `tables`, under the policy that held then."""
        self.tables.restore(state)
        self._run = run
        if policy is not None:
            self._use(policy)
        for alert in self.alerts.values():
            self._remember(alert)
        for id_, time in self._commands.items():
            self._agenda.set(f"command|{id_}", time + COMMANDS_KEPT)
        now = self.now
        if policy is not None and now is not None:
            # The parts learn their rules again. They have seen them before: nothing comes of it.
            self.clusters.configure(policy.ruleset.rules, now)
            self.means.configure(policy.ruleset.rules, now)
            self.limits.configure(policy.ruleset.rules, now)
            self.incidents.configure(policy.ruleset.groupings, now)
            self.addressing.configure(policy.subscriptions, self.open(), now)

    @property
    def now(self) -> datetime | None:
        """The last moment that was dealt with; None before the first."""
        return self._moments.get("last")

    def _reach(self, moment: datetime) -> datetime:
        """Let time come to a moment; it never goes back. Returns what time it is."""
        before = self.now
        if before is None or moment > before:
            self._moments["last"] = moment
            return moment
        return before

    def open(self) -> list[Alert]:
        """The open alerts, in the order of their ids."""
        return [self.alerts[id_] for id_ in sorted(self._open)]

    def take_effects(self) -> Effects:
        """What has happened since the last call."""
        effects, self._effects = self._effects, Effects()
        return effects

    # Records

    def configure(self, policy: Policy, communes: frozenset[str], now: datetime, run: str) -> None:
        """Another configuration holds from `now` on; `communes` are the codes that its maps have."""
        self.pass_time(now)
        now, self._run = self._reach(now), run
        self._use(policy)
        for part in (self.clusters, self.means):
            self._signals(part.configure(policy.ruleset.rules, now))
        self._signals(self.means.keep_communes(communes, now))
        self._signals(self.limits.configure(policy.ruleset.rules, now))
        self._effects.incidents += self.incidents.configure(policy.ruleset.groupings, now)
        self._resuppress(now)
        self._effects.messages += self.addressing.configure(policy.subscriptions, self.open(), now)
        for alert in self.open():
            withheld = lifecycle.withheld(alert, self.addressing.awaiting(alert), now)
            if withheld is not None:
                self._publish(withheld, now)
            self._schedule(self.alerts[alert.id])

    def take(self, item: Item, now: datetime) -> None:
        """Take the next record; `now` is its order, or for a command that comes later the time that has passed."""
        self.pass_time(now)
        now = self._reach(now)
        while len(self._ended) > ENDED_MOST:
            self._forget(self._ended.pop())
        match item:
            case Signal():
                self._signal(item)
            case Occurrence():
                self._signals(self.clusters.occurrence(item))
            case Sums():
                self.means.sums(item)
            case Command():
                self._command(item, now)

    def pass_time(self, until: datetime, *, beyond: bool = True) -> None:
        """Do what falls due up to `until`, each at its moment; `beyond`: what falls due at that very moment too."""
        last, times = None, 0
        while (due := self._next_due()) is not None and (due < until or (beyond and due == until)):
            last, times = due, times + 1 if due == last else 1
            if times > AT_ONE_MOMENT:
                # Better to end than to hang unseen.
                raise RuntimeError(f"what is due at {due.isoformat()} is not done")
            self._pass(due)
            self._reach(due)

    def _next_due(self) -> datetime | None:
        now = self.now
        dues = [
            self.clusters.next_due(),
            self.means.next_due(),
            self.limits.next_due(),
            self._agenda.next(),
            self.suppression.next_due(now) if now else None,
            self.incidents.next_due(),
            self.addressing.next_due(),
        ]
        return min((due for due in dues if due is not None), default=None)

    def _pass(self, due: datetime) -> None:
        """What falls due at one moment, conditions first and agencies last."""
        if _is_due(self.clusters, due):
            self._signals(self.clusters.pass_time(due))
        if _is_due(self.means, due):
            self._signals(self.means.pass_time(due))
        if _is_due(self.limits, due):
            self._signals(self.limits.pass_time(due))
            self._resuppress(due)
        before = self.now
        for key in self._agenda.take(due):
            # A new configuration may have made something due that is past: it happens now.
            self._alert_due(key, due if before is None else max(due, before))
        window = self.suppression.next_due(before) if before else None
        if window is not None and window <= due:
            self._resuppress(due)
        if _is_due(self.incidents, due):
            self._effects.incidents += self.incidents.pass_time(due)
            self._effects.incidents_forgotten += self.incidents.take_forgotten()
        if _is_due(self.addressing, due):
            self._effects.messages += self.addressing.pass_time(due, self.open(), run=self._run)

    # Conditions

    def _signals(self, signals: Iterable[Signal]) -> None:
        for signal in signals:
            self._signal(signal)

    def _signal(self, signal: Signal) -> None:
        """One condition began, changed or ended."""
        key = (signal.rule, signal.subject)
        before = self.alerts.get(self._standing.get(key, ""))
        alert = lifecycle.by_signal(before, signal)
        if alert is not None:
            self._change(before, self._named(alert), signal.order, signal.appended_ms)
        elif before is not None and signal.severity is None and not before.open:
            self._keep(lifecycle.condition_ended(before))
        self._signals(self.clusters.signal(signal))

    def _named(self, alert: Alert) -> Alert:
        """A raised alert with an id that no other had, should a source use one event's id and time again."""
        number = 2
        named = alert
        while alert.sequence == 1 and named.id in self.alerts:
            named = replace(alert, id=f"{alert.id}-{number}")
            number += 1
        return named

    # Changes

    def _change(self, before: Alert | None, alert: Alert, now: datetime, appended_ms: int | None) -> None:
        """Publish a change of an alert with all that follows from it."""
        raised = alert.change in ("raised", "reopened")
        overflow: list[Signal] = []
        if raised:
            if alert.rule != "limit":
                alert = replace(alert, incident=self.incidents.join(alert, now))
            if alert.rule != "limit" and not self.limits.admit(alert, now):
                overflow = self.limits.refused(alert, now)
                alert = replace(alert, suppressed=f"limit:{alert.rule}")
            else:
                alert = replace(alert, suppressed=self.suppression.reason(alert, self.open(), now))
            if alert.suppressed:
                alert = replace(alert, waiting_since=None, reason=alert.suppressed)
        self._publish(alert, now, appended_ms)
        self._signals(overflow)
        ended = before is not None and before.open and not alert.open
        moved = before is not None and (before.severity, before.area) != (alert.severity, alert.area)
        if (raised or ended or moved) and self.suppression.concerns(alert):
            self._resuppress(now)

    def _publish(self, alert: Alert, now: datetime, appended_ms: int | None = None) -> None:
        if alert.open:
            alert = replace(alert, awaiting=self.addressing.awaiting(alert))
        self._keep(alert)
        self.rate.count(alert, now)
        self._effects.changes.append((alert, appended_ms))
        self._effects.messages += self.addressing.changed(alert, now)
        if alert.incident:
            self._effects.incidents += self.incidents.changed(alert, now)

    def _keep(self, alert: Alert) -> None:
        self.alerts[alert.id] = alert
        self._remember(alert)

    def _remember(self, alert: Alert) -> None:
        """Keep the indexes of alerts true, and what falls due for this one."""
        key = (alert.rule, alert.subject)
        if alert.condition_stands:
            self._standing[key] = alert.id
        elif self._standing.get(key) == alert.id:
            del self._standing[key]
        if alert.open:
            self._open.add(alert.id)
        else:
            self._open.discard(alert.id)
        self._ended.set(alert.id, None if alert.open or alert.condition_stands else alert.time)
        self._schedule(alert)

    def _resuppress(self, now: datetime) -> None:
        """Suppress and resume what other alerts, maintenance windows and limits now say."""
        alerts = [
            replace(alert, suppressed="") if self._let_through(alert) else alert for alert in self.open()
        ]
        for id_, reason in sorted(self.suppression.reasons(alerts, now).items()):
            new = lifecycle.suppressed(self.alerts[id_], reason, now)
            if new is not None:
                self._publish(new, now)

    def _let_through(self, alert: Alert) -> bool:
        """Whether an alert waited behind its rule's limit, and no longer does."""
        limited = alert.suppressed == f"limit:{alert.rule}"
        return limited and not self.limits.over(alert.rule, alert.simulated)

    # Time

    def _schedule(self, alert: Alert) -> None:
        self._agenda.set(f"alert|{alert.id}", self._due(alert))

    def _due(self, alert: Alert) -> datetime | None:
        if not alert.open:
            return None if alert.condition_stands else alert.time + KEPT_AFTER_END
        if alert.shelved_until is not None:
            return alert.shelved_until
        step = self._escalation(alert)
        return None if step is None or alert.waiting_since is None else alert.waiting_since + step.after

    def _escalation(self, alert: Alert) -> Escalation | None:
        """The next escalation by time of an alert that waits; None where there is none."""
        steps = [
            step
            for step in self.policy.ruleset.escalations
            if SEVERITIES.index(step.severity) <= SEVERITIES.index(alert.severity)
        ]
        steps.sort(key=lambda step: step.after)
        return steps[alert.overdue] if alert.overdue < len(steps) else None

    def _alert_due(self, key: str, now: datetime) -> None:
        kind, id_ = key.split("|", 1)
        if kind == "command":
            self._commands.pop(id_)
            return
        alert = self.alerts[id_]
        if not alert.open:
            self._forget(id_)
            return
        after: Callable[[Alert, datetime], Alert | None] = (
            lifecycle.shelf_ended if alert.shelved_until is not None else lifecycle.overdue
        )
        new = after(alert, now)
        if new is not None:
            self._publish(new, now)

    def _forget(self, id_: str) -> None:
        self.alerts.pop(id_)
        self._ended.set(id_, None)
        self._agenda.set(f"alert|{id_}", None)
        self._effects.forgotten.append(id_)

    def _use(self, policy: Policy) -> None:
        self.policy = policy
        self.suppression.configure(policy.ruleset.inhibitions, policy.maintenance)

    # Commands

    def _command(self, command: Command, now: datetime) -> None:
        if command.id in self._commands:
            return  # sent twice: its outcome is told already
        self._commands[command.id] = now
        self._agenda.set(f"command|{command.id}", now + COMMANDS_KEPT)
        alert = None if command.action == "open" else self.alerts.get(command.alert)
        reason = authority.refusal(command, alert, self.policy, now)
        if reason is None:
            alert = self._obey(command, alert, now)
        self._effects.outcomes.append(
            CommandOutcome(
                command=command,
                outcome="done" if reason is None else "refused",
                reason=reason,
                alert=alert.id if alert else command.alert,
                sequence=alert.sequence if alert else None,
                time=now,
            )
        )

    def _obey(self, command: Command, alert: Alert | None, now: datetime) -> Alert:
        if alert is None:
            new = lifecycle.by_hand(command, now, self._run)
        else:
            new = lifecycle.by_command(alert, command, now)
        if command.action == "release":
            # Released first: what is told from here on may be told.
            self._effects.messages += self.addressing.release(new, command.to, now)
        self._change(alert, new, now, None)
        return self.alerts[new.id]


def _is_due(part: _Timed, due: datetime) -> bool:
    moment = part.next_due()
    return moment is not None and moment <= due
