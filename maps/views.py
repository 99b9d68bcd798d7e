"""Records as the page gets them: plain JSON values, times in ms since 1970. Nothing of what an operator wrote."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from alerts.alert import Alert
from alerts.commands import CommandOutcome
from alerts.incident import Incident
from alerts.model import Evidence


def ms(time: datetime) -> int:
    """A time in ms since 1970."""
    return round(time.timestamp() * 1000)


def ms_or_none(time: datetime | None) -> int | None:
    return None if time is None else ms(time)


def is_aside(view: dict[str, Any]) -> bool:
    """Whether an open alert is not among those that ask for attention: it is suppressed or shelved."""
    return bool(view["suppressed"]) or view["shelved_until"] is not None


def outcome_view(outcome: CommandOutcome) -> dict[str, Any]:
    """What became of a command."""
    return {
        "id": outcome.command.id,
        "action": outcome.command.action,
        "operator": outcome.command.operator,
        "alert": outcome.alert or outcome.command.alert,
        "outcome": outcome.outcome,
        "reason": outcome.reason,
        "sequence": outcome.sequence,
    }


def alert_view(alert: Alert) -> dict[str, Any]:
    """An alert as lists and map show it."""
    where = alert.where
    # One that an operator opened measures nothing.
    measured = bool(alert.measure)
    seen = alert.acknowledged
    return {
        "id": alert.id,
        "sequence": alert.sequence,
        "state": alert.state,
        "change": alert.change,
        "severity": alert.severity,
        "worst": alert.worst,
        "hazard": alert.hazard,
        "title": alert.title,
        "label": alert.label,
        "subject": alert.subject,
        "subject_name": alert.subject_name,
        "commune": where.commune,
        "commune_name": where.commune_name,
        "communes": alert.area,
        "lon": where.lon,
        "lat": where.lat,
        "started": ms(alert.started),
        "time": ms(alert.time),
        "streams": sorted({one.stream for one in alert.evidence}),
        "measure": alert.measure,
        "value": alert.value if measured else None,
        "bound": alert.bound if measured else None,
        "unit": alert.unit,
        "certainty": alert.certainty,
        "doubts": list(alert.doubts),
        "acknowledged": {"by": seen.by, "time": ms(seen.time)} if seen else None,
        "assigned": alert.assigned,
        "shelved_until": ms_or_none(alert.shelved_until),
        "comments": len(alert.comments),
        "suppressed": alert.suppressed,
        "overdue": alert.overdue,
        "incident": alert.incident,
        "awaiting": list(alert.awaiting),
        "simulated": alert.simulated,
    }


def alert_details(alert: Alert) -> dict[str, Any]:
    """An alert with all that it rests on; what operators wrote is for operators: `comments_view`."""
    return {
        **alert_view(alert),
        "rule": alert.rule,
        "rule_version": alert.rule_version,
        "citation": alert.citation,
        "boundaries": alert.where.boundaries,
        "approximate": alert.where.approximate,
        "observed": ms(alert.observed),
        "peak": alert.peak,
        "peaked": ms_or_none(alert.peaked),
        "condition_stands": alert.condition_stands,
        "reason": alert.reason,
        "start_event": alert.start_event,
        "event": alert.event,
        "evidence": [evidence_view(one) for one in alert.evidence],
        "run": alert.run,
    }


def comments_view(alert: Alert) -> list[dict[str, Any]]:
    """What operators wrote of an alert."""
    return [{"by": one.by, "time": ms(one.time), "text": one.text} for one in alert.comments]


def evidence_view(evidence: Evidence) -> dict[str, Any]:
    """One observation that an alert rests on."""
    return {
        "stream": evidence.stream,
        "source": evidence.source,
        "event": evidence.event,
        "time": ms(evidence.time),
        "value": evidence.value,
        "doubts": list(evidence.doubts),
    }


def incident_view(incident: Incident) -> dict[str, Any]:
    """An incident with its alerts and high waters."""
    where = incident.where
    return {
        "id": incident.id,
        "sequence": incident.sequence,
        "state": incident.state,
        "grouping": incident.grouping,
        "hazard": incident.hazard,
        "title": incident.title,
        "commune": where.commune,
        "commune_name": where.commune_name,
        "communes": incident.communes,
        "lon": where.lon,
        "lat": where.lat,
        "severity": incident.severity,
        "worst": incident.worst,
        "started": ms(incident.started),
        "time": ms(incident.time),
        "members": [
            {
                "alert": member.alert,
                "rule": member.rule,
                "subject": member.subject,
                "severity": member.severity,
                "worst": member.worst,
                "since": ms(member.since),
                "until": ms_or_none(member.until),
                "peak": member.peak,
                "peaked": ms_or_none(member.peaked),
            }
            for member in incident.members
        ],
        "peaks": [
            {
                "since": ms(peak.since),
                "until": ms_or_none(peak.until),
                "alerts": peak.alerts,
                "subject": peak.subject,
                "severity": peak.severity,
                "value": peak.value,
                "time": ms_or_none(peak.time),
            }
            for peak in incident.peaks
        ],
        "evidence": incident.evidence,
        "simulated": incident.simulated,
    }
