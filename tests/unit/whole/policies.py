"""Operators, subscriptions and maintenance for tests."""

from __future__ import annotations

from datetime import datetime

from alerts.rules.policy import MaintenanceWindow, Operator, Subscription

OPERATORS = (
    Operator(id="an", name="An", role="operator"),
    Operator(id="binh", name="Bình", role="supervisor"),
)


def subscriptions(*agencies: str, release: bool = False) -> tuple[Subscription, ...]:
    """Subscriptions of these agencies to everything."""
    return tuple(
        Subscription(agency=agency, name={"vi": agency, "en": agency}, release=release) for agency in agencies
    )


def maintenance(
    since: datetime, until: datetime, *, sources: list[str] | None = None
) -> tuple[MaintenanceWindow, ...]:
    """One window, of everything or of some sources."""
    reason = {"vi": "Sửa chữa", "en": "Repairs"}
    return (
        MaintenanceWindow(id="works", since=since, until=until, reason=reason, sources=tuple(sources or ())),
    )
