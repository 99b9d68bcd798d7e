"""When something falls due for an agency: its heartbeats, the beginning of its hours, local midnight."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta, timezone

from msgspec import Struct

from alerts.model import AwareTime
from alerts.rules.policy import Hours, Subscription

#: Asia/Ho_Chi_Minh, which has no daylight saving.
LOCAL = timezone(timedelta(hours=7))
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Dues(Struct, frozen=True, kw_only=True):
    """When the next of each falls due for one agency."""

    heartbeat: AwareTime
    #: The beginning of its hours; None where it has none.
    hours: AwareTime | None
    midnight: AwareTime

    @classmethod
    def of(
        cls, subscription: Subscription, now: datetime, before: Subscription | None, dues: Dues | None
    ) -> Dues:
        """What is due next for a subscription that is new, or is another one than `before`, with these dues."""
        beats_on = before is not None and dues is not None and before.heartbeat == subscription.heartbeat
        return cls(
            heartbeat=dues.heartbeat
            if dues is not None and beats_on
            else next_beat(subscription.heartbeat, now),
            hours=hours_begin(subscription.hours, now),
            midnight=next_midnight(now) if dues is None else dues.midnight,
        )

    @property
    def first(self) -> datetime:
        return min(due for due in (self.heartbeat, self.hours, self.midnight) if due is not None)


def in_hours(hours: Hours, now: datetime) -> bool:
    """Whether a moment lies in the hours of a day; those that begin where they end are all of it."""
    clock = now.astimezone(LOCAL).time()
    if hours.since < hours.until:
        return hours.since <= clock < hours.until
    return clock >= hours.since or clock < hours.until


def hours_begin(hours: Hours | None, after: datetime) -> datetime | None:
    """When hours begin next after a moment; None where there are none."""
    return None if hours is None else _next_local(hours.since, after)


def next_midnight(after: datetime) -> datetime:
    """The first local midnight after a moment."""
    return _next_local(time.min, after)


def next_beat(every: timedelta, after: datetime) -> datetime:
    """The first multiple of the heartbeat's interval after a moment."""
    return EPOCH + ((after - EPOCH) // every + 1) * every


def _next_local(clock: time, after: datetime) -> datetime:
    local = after.astimezone(LOCAL)
    moment = datetime.combine(local.date(), clock, LOCAL)
    return moment if moment > local else moment + timedelta(days=1)
