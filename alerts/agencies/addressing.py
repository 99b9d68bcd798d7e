"""Which agency is told what, and when: each change of an alert becomes messages for those who subscribed.

Rules:

- An agency is told of an alert for the first time when the alert is open and fits: its hazard, a common commune, its
  province, its severity, and simulated alerts for exercises alone. Besides it must not be suppressed, the agency's
  hours must hold or the severity be one that is told at any hour, and a supervisor must have released it where the
  subscription asks for that. Whatever is missing, the alert is told as soon as it is no longer so.
- What was told once is told on until its end, by day and night, also when it has become milder than the subscription
  asks for: an agency is never left with something that is no longer true.
- What operators do to an alert (acknowledge, assign, comment, shelve, ...) is their own business: it is neither
  told nor carried along.
- At each local midnight all that is open is told again, so that the topic's retention always holds it; and heartbeats
  tell a channel without news from a dead one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from alerts.agencies.dues import Dues, hours_begin, next_beat, next_midnight
from alerts.agencies.fitting import may_be_told, still_fits, told_part, wanted
from alerts.agencies.messages import AgencyAlert, Heartbeat, Message, Reference
from alerts.alert import Alert, ChangeName
from alerts.model import AwareTime
from alerts.rules.policy import Subscription
from alerts.state import Table, Tables

#: Changes that an agency is told of once it has been told of the alert.
TOLD: frozenset[ChangeName] = frozenset({"raised", "escalated", "lowered", "updated", "reopened"})

#: An alert that an operator closed may reopen. Its messages are counted on for so long, which is longer than its
#: topic keeps them: no two messages there have the same identifier.
KEPT_AFTER_CLOSE = timedelta(days=31)

#: References beyond these are left out between the first and the latest. Each update replaces all before it, so the
#: latest alone would do.
MOST_REFERENCES = 50


class Told(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one agency was told of one alert."""

    agency: str
    alert: str
    #: Messages about it so far; numbers their identifiers.
    number: int = 0
    #: The messages of the present telling; empty where it has not begun, or was cancelled.
    references: list[Reference] = []
    #: Whether that telling is an exercise's. It stays so to its end.
    exercise: bool = False
    #: A supervisor has let it go out.
    released: bool = False
    #: When it was cancelled.
    ended: AwareTime | None = None

    @property
    def open(self) -> bool:
        """Whether the agency knows of it, and not of its end."""
        return bool(self.references)


class Addressing:
    """The subscriptions of one province and what was told. All of it is in tables."""

    def __init__(self, tables: Tables) -> None:
        self._subscriptions: Table[Subscription] = tables.table("agency", Subscription)
        self._dues: Table[Dues] = tables.table("agency-due", Dues)
        self._told: Table[Told] = tables.table("agency-told", Told)
        #: The first due of all, found once: it is asked for with every record. None: to be found.
        self._first: tuple[datetime | None] | None = None

    # What is asked

    def awaiting(self, alert: Alert) -> list[str]:
        """Agencies whose first message about an alert waits for a supervisor's release."""
        return [
            agency
            for agency, subscription in self._subscriptions.items()
            if subscription.release
            and wanted(subscription, alert)
            and not (told := self._about(agency, alert)).open
            and not told.released
        ]

    def next_due(self) -> datetime | None:
        """When the next heartbeat, beginning of hours or midnight is due; None without subscriptions."""
        if self._first is None:
            self._first = (min((dues.first for dues in self._dues.values()), default=None),)
        return self._first[0]

    # What happens

    def configure(
        self, subscriptions: Iterable[Subscription], open_alerts: Iterable[Alert], now: datetime
    ) -> list[Message]:
        """Other subscriptions hold from now on; the same ones change nothing.

        A new one opens with the alerts that are open and fit. One that changed is told of what fits now and it was
        not told of, and gets a cancel for what no longer fits. For one that went, all is cancelled.
        """
        self._first = None
        new = {subscription.agency: subscription for subscription in subscriptions}
        alerts = {alert.id: alert for alert in open_alerts}
        changed = [agency for agency in sorted(new) if self._subscriptions.get(agency) != new[agency]]
        gone = [agency for agency in self._subscriptions if agency not in new]
        messages: list[Message] = []
        for agency in gone:
            subscription = self._subscriptions[agency]
            messages += self._withdraw(subscription, alerts, now)
            self._subscriptions.pop(agency)
            self._dues.pop(agency)
            for key, told in self._told.items():
                if told.agency == agency and not told.number:
                    self._told.pop(key)
        for agency in changed:
            before, subscription = self._subscriptions.get(agency), new[agency]
            self._subscriptions[agency] = subscription
            self._dues[agency] = Dues.of(subscription, now, before, self._dues.get(agency))
            messages += self._withdraw(subscription, alerts, now, still_fits)
            messages += self._tell_open(subscription, alerts, now, standing=True)
        return messages

    def changed(self, alert: Alert, now: datetime) -> list[Message]:
        """A change of an alert was published."""
        messages: list[Message] = []
        for agency, subscription in self._subscriptions.items():
            told = self._about(agency, alert)
            if not told.open:
                if not alert.open:
                    self._forget(told, alert)
                elif may_be_told(subscription, alert, now, told.released):
                    messages.append(self._tell(subscription, told, alert, now))
            elif not alert.open or alert.simulated != told.exercise:
                # Something real that a simulated event has touched is taken back: it is no longer known to be real.
                messages.append(self._cancel(subscription, told, alert, now))
            elif alert.change in TOLD:
                messages.append(self._tell(subscription, told, alert, now))
        return messages

    def release(self, alert: Alert, agency: str, now: datetime) -> list[Message]:
        """A supervisor lets an alert go out to an agency: at once, or when its hours begin."""
        subscription = self._subscriptions.get(agency)
        if subscription is None or not alert.open:
            return []
        told = replace(self._about(agency, alert), released=True)
        self._put(told)
        if told.open or not may_be_told(subscription, alert, now, told.released):
            return []
        return [self._tell(subscription, told, alert, now)]

    def pass_time(self, due: datetime, open_alerts: Iterable[Alert], run: str = "") -> list[Message]:
        """What is due up to this moment: alerts that waited for hours, at midnight all that is open, heartbeats."""
        self._first = None
        alerts: dict[str, Alert] = {}
        messages: list[Message] = []
        beating: list[str] = []
        new_day = False
        for agency, dues in self._dues.items():
            subscription = self._subscriptions[agency]
            if dues.hours is not None and dues.hours <= due:
                alerts = alerts or {alert.id: alert for alert in open_alerts}
                messages += self._tell_open(subscription, alerts, due, standing=False)
                dues = replace(dues, hours=hours_begin(subscription.hours, due))
            if dues.midnight <= due:
                alerts = alerts or {alert.id: alert for alert in open_alerts}
                messages += self._stand(subscription, alerts, due)
                dues = replace(dues, midnight=next_midnight(due))
                new_day = True
            if dues.heartbeat <= due:
                beating.append(agency)
                dues = replace(dues, heartbeat=next_beat(subscription.heartbeat, due))
            if dues != self._dues[agency]:
                self._dues[agency] = dues
        if new_day:
            self._forget_old(due)
        if beating:
            messages += self._beats(beating, due, run)
        return messages

    # How it is told

    def _about(self, agency: str, alert: Alert) -> Told:
        return self._told.get(f"{agency}|{alert.id}") or Told(agency=agency, alert=alert.id)

    def _put(self, told: Told) -> None:
        self._told[f"{told.agency}|{told.alert}"] = told

    def _forget(self, told: Told, alert: Alert) -> None:
        """An alert has ended; what may reopen is still counted on, what was released is so no more."""
        key = f"{told.agency}|{told.alert}"
        if key not in self._told:
            return
        if alert.condition_stands and told.number:
            self._put(replace(told, released=False))
        else:
            self._told.pop(key)

    def _tell(
        self,
        subscription: Subscription,
        told: Told,
        alert: Alert,
        now: datetime,
        *,
        type: Literal["alert", "update", "cancel"] | None = None,
        standing: bool = False,
    ) -> AgencyAlert:
        """One message, and the record of it. A first message is an alert, one that follows an update."""
        exercise = told.exercise if told.open else subscription.exercise
        if type != "cancel" and alert.simulated != exercise:
            raise ValueError(
                f"{alert.id} is{'' if alert.simulated else ' not'} simulated: not for {told.agency}"
            )
        number = told.number + 1
        prefix = "exercise-" if exercise else ""
        message = AgencyAlert(
            agency=told.agency,
            identifier=f"{prefix}{told.agency}.{alert.id}.{number}",
            type=type or ("update" if told.open else "alert"),
            status="exercise" if exercise else "actual",
            sent=now,
            references=told.references,
            standing=standing,
            languages=subscription.languages,
            alert=told_part(alert),
        )
        references = [*told.references, Reference(message.identifier, now)]
        if len(references) > MOST_REFERENCES:
            del references[1]
        self._put(
            replace(told, number=number, references=references, exercise=exercise, ended=None)
            if type != "cancel"
            else replace(told, number=number, references=[], released=False, ended=now)
        )
        return message

    def _cancel(self, subscription: Subscription, told: Told, alert: Alert, now: datetime) -> AgencyAlert:
        message = self._tell(subscription, told, alert, now, type="cancel")
        if not alert.open and not alert.condition_stands:
            self._told.pop(f"{told.agency}|{told.alert}")
        return message

    def _withdraw(
        self,
        subscription: Subscription,
        alerts: dict[str, Alert],
        now: datetime,
        keep: Callable[[Subscription, Alert, bool], bool] = lambda *_: False,
    ) -> list[Message]:
        """Cancel what an agency knows of and is not to be told of any more, though it is open."""
        return [
            self._cancel(subscription, told, alerts[told.alert], now)
            for told in self._told.values()
            if told.agency == subscription.agency
            and told.open
            and told.alert in alerts
            and not keep(subscription, alerts[told.alert], told.exercise)
        ]

    def _tell_open(
        self, subscription: Subscription, alerts: dict[str, Alert], now: datetime, *, standing: bool
    ) -> list[Message]:
        """Tell of all that is open, may be told now, and was not yet."""
        messages: list[Message] = []
        for id_ in sorted(alerts):
            told = self._about(subscription.agency, alerts[id_])
            if not told.open and may_be_told(subscription, alerts[id_], now, told.released):
                messages.append(self._tell(subscription, told, alerts[id_], now, standing=standing))
        return messages

    def _stand(self, subscription: Subscription, alerts: dict[str, Alert], now: datetime) -> list[Message]:
        """Tell again of all that is open and was told before this moment."""
        return [
            self._tell(subscription, told, alerts[told.alert], now, standing=True)
            for told in self._told.values()
            if told.agency == subscription.agency
            and told.open
            and told.alert in alerts
            and told.references[-1].sent < now
        ]

    def _forget_old(self, now: datetime) -> None:
        for key, told in self._told.items():
            if told.ended is not None and told.ended + KEPT_AFTER_CLOSE <= now:
                self._told.pop(key)

    def _beats(self, agencies: list[str], now: datetime, run: str) -> list[Message]:
        known: dict[str, list[str]] = {agency: [] for agency in agencies}
        for told in self._told.values():
            if told.open and told.agency in known:
                known[told.agency].append(told.alert)
        return [Heartbeat(agency=agency, time=now, open=ids, run=run) for agency, ids in known.items()]
