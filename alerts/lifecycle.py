"""The lifecycle of an alert, as one table: what a signal does to it.

    state \\ signal   began or changed                              ended
    none             raised                                        nothing to end: ignored
    open             escalated or lowered; same severity: ignored  cleared, or closed where a reason is given
    cleared, closed  the next signal that begins makes a new alert

Missing data is no signal, so it clears nothing.
"""

from __future__ import annotations

import hashlib

import msgspec

from alerts.alert import Alert, ChangeName
from alerts.model import SEVERITIES
from alerts.signals import Signal


def alert_id(run: str, rule: str, subject: str, start_event: str) -> str:
    """The identity that follows from what the alert is about: the same in every replay of the same run."""
    content = msgspec.json.encode([run, rule, subject, start_event])
    return f"alert-{hashlib.sha256(content).hexdigest()[:20]}"


def transition(alert: Alert | None, signal: Signal) -> ChangeName | None:
    """The row of the table that holds; None where the signal changes nothing."""
    is_open = alert is not None and alert.state == "open"
    if signal.severity is None:
        if not is_open:
            return None
        return "closed" if signal.reason else "cleared"
    if not is_open:
        return "raised"
    assert alert is not None
    step = SEVERITIES.index(signal.severity) - SEVERITIES.index(alert.severity)
    return "escalated" if step > 0 else "lowered" if step < 0 else None


def apply(alert: Alert | None, signal: Signal) -> Alert | None:
    """The alert after a signal; None where the signal changes nothing.

    `alert` is the latest alert of the signal's rule and subject, if there is one.
    """
    change = transition(alert, signal)
    if change is None:
        return None
    previous = alert if alert is not None and change != "raised" else None
    severity = signal.severity or (previous.severity if previous else None)
    assert severity is not None, "a signal without a severity only ends an open alert"
    worst = max(severity, previous.worst if previous else severity, key=SEVERITIES.index)
    return Alert(
        id=previous.id if previous else alert_id(signal.run, signal.rule, signal.subject, signal.start_event),
        sequence=previous.sequence + 1 if previous else 1,
        change=change,
        state="cleared" if change == "cleared" else "closed" if change == "closed" else "open",
        severity=severity,
        worst=worst,
        rule=signal.rule,
        rule_version=signal.rule_version,
        hazard=signal.hazard,
        title=signal.title,
        label=signal.label or (previous.label if previous and signal.severity is None else {}),
        subject=signal.subject,
        subject_name=signal.subject_name,
        where=signal.where,
        started=previous.started if previous else signal.start_time,
        time=signal.time,
        measure=signal.measure,
        unit=signal.unit,
        value=signal.value,
        observed=signal.observed,
        bound=signal.bound,
        start_event=previous.start_event if previous else signal.start_event,
        event=signal.event,
        reason=signal.reason,
        citation=signal.citation,
        simulated=signal.simulated,
        run=previous.run if previous else signal.run,
    )
