"""Which alerts fit a subscription, and what of them is told."""

from __future__ import annotations

from datetime import datetime

from msgspec.structs import replace

from alerts.agencies.dues import in_hours
from alerts.alert import Alert
from alerts.model import SEVERITIES, Severity
from alerts.rules.policy import Subscription


def concerns(subscription: Subscription, alert: Alert) -> bool:
    """Whether hazard, place and simulation are what the agency subscribed to."""
    return (
        alert.simulated == subscription.exercise
        and (not subscription.hazards or alert.hazard in subscription.hazards)
        and (not subscription.communes or not set(alert.area).isdisjoint(subscription.communes))
        and (not subscription.provinces or alert.where.province in subscription.provinces)
    )


def wanted(subscription: Subscription, alert: Alert) -> bool:
    """Whether the agency is to be told for the first time, leaving hours and release aside."""
    return (
        alert.open
        and not alert.suppressed
        and _at_least(alert.severity, subscription.severity)
        and concerns(subscription, alert)
    )


def may_be_told(subscription: Subscription, alert: Alert, now: datetime, released: bool) -> bool:
    """Whether the agency is to be told for the first time now; `released`: a supervisor has let it go out."""
    if not wanted(subscription, alert) or (subscription.release and not released):
        return False
    hours = subscription.hours
    if hours is None or in_hours(hours, now):
        return True
    return hours.always is not None and _at_least(alert.severity, hours.always)


def still_fits(subscription: Subscription, alert: Alert, exercise: bool) -> bool:
    """Whether what was told, as an exercise or not, could have been told under this subscription too.

    The worst severity that the alert had decides: one that has become milder is told on.
    """
    return (
        exercise == subscription.exercise
        and _at_least(alert.worst, subscription.severity)
        and concerns(subscription, alert)
    )


def told_part(alert: Alert) -> Alert:
    """The alert without what is the operators' own business."""
    return replace(
        alert,
        acknowledged=None,
        assigned="",
        shelved_until=None,
        comments=[],
        by="",
        waiting_since=None,
        suppressed="",
        overdue=0,
        awaiting=[],
        # Of an open alert it says why it was suppressed.
        reason="" if alert.open else alert.reason,
    )


def _at_least(severity: Severity, least: Severity) -> bool:
    return SEVERITIES.index(severity) >= SEVERITIES.index(least)
