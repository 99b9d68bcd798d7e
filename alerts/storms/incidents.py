"""Incidents: alerts that belong together are one thing for an operator.

    alert raised, no incident near   -> a new incident, open
    alert raised, one near           -> joins it; a quiet one opens again
    its last open alert ends         -> quiet, from the end of that alert
    `gap` after that end             -> closed: nothing joins it any more
    its grouping went                -> closed at once
    a member reopened within `KEPT`  -> open again, also when it was closed

Which incident: that of the first grouping that fits the alert, and of those that are near the one that started
first. The incident that an alert is in never changes, and two incidents are never made one: an alert between two of
them joins the older, and both go on. Operators have seen both by then, and agencies may have named them.

Alerts of another run, or simulated where the incident is not, never join: an exercise is an incident of its own.
An incident takes at most `MEMBERS_MOST` alerts, so that its record stays a record; the next one begins another.

Near is, by `same`:

    place     within `radius_m` of the first alert's point; without a radius: as for commune
    commune   they share a commune
    province  anywhere: each province has incidents of its own

A `radius_m` beside commune or province narrows it further. Where a grouping needs a point or a commune, an alert
without one does not fit it, and the next grouping is asked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

import msgspec
from msgspec.structs import replace

from alerts.agenda import Agenda
from alerts.alert import Alert
from alerts.incident import HighWater, Incident, Member
from alerts.model import SEVERITIES, Severity
from alerts.rules.policy import Grouping
from alerts.state import Tables
from geo.distance import metres

#: More would make the record of an incident longer than a broker takes: it is written anew with each change.
MEMBERS_MOST = 500
#: Events that are remembered of one alert; further ones are not counted.
EVIDENCE_MOST = 200
#: How long after its closing an incident is still known, so that an alert that reopens finds it.
KEPT = timedelta(days=3)

#: Stream, source and id of an event.
EventKey = tuple[str, str, str]


class Incidents:
    """The incidents of one province. `changed` is called with every published change of an alert that has one."""

    def __init__(self, tables: Tables) -> None:
        self._incidents = tables.table("incident", Incident)
        #: The events that each member rests on, by alert.
        self._evidence = tables.table("incident-evidence", list[EventKey])
        self._groupings: dict[str, Grouping] = {}
        self._forgotten: list[str] = []
        #: Ids of incidents that an alert may join, by grouping.
        self._joinable: dict[str, set[str]] = {}
        #: When incidents close or are forgotten, by id.
        self._agenda = Agenda()

    def configure(self, groupings: Sequence[Grouping], now: datetime) -> list[Incident]:
        """Other groupings hold from `now` on. Returns what changed: incidents whose grouping went are closed.

        Comes first after a restoration, and then changes nothing, for the groupings are the same.
        """
        self._groupings = {grouping.id: grouping for grouping in groupings}
        self._joinable, self._agenda = {}, Agenda()
        changes: list[Incident] = []
        for incident in self._incidents.values():
            self._remember(incident)
            if incident.state == "closed":
                continue
            grouping = self._groupings.get(incident.grouping)
            if grouping is None:
                new = replace(incident, state="closed", ended=incident.ended or now)
            else:
                new = self._made_up(incident, grouping, incident.members)
            changes += self._put(incident, new, now)
        # A gap may be shorter now. What is due at this very moment is left to `pass_time`, as after a restoration.
        while (due := self._agenda.next()) is not None and due < now:
            changes += self._pass(due, now)
        return changes

    def join(self, alert: Alert, now: datetime) -> str:
        """Id of the incident that an alert belongs to which is being raised or reopened; empty where to none.

        Nothing is kept: the alert's `changed`, which must come next, makes it a member.
        """
        if self._has(alert):
            return alert.incident
        for grouping in self._groupings.values():
            if _fits(grouping, alert):
                near = (
                    incident
                    for incident in map(self._incidents.__getitem__, self._joinable.get(grouping.id, ()))
                    if len(incident.members) < MEMBERS_MOST and _near(grouping, incident, alert)
                )
                oldest = min(near, key=lambda incident: (incident.started, incident.id), default=None)
                return incident_id(grouping, alert) if oldest is None else oldest.id
        return ""

    def changed(self, alert: Alert, now: datetime) -> list[Incident]:
        """The incident's new record after a change of one of its alerts; none where it looks as before."""
        incident = self._incidents.get(alert.incident)
        if incident is None:
            grouping = next((one for one in self._groupings.values() if _begins(one, alert)), None)
            if grouping is None:
                return []  # an incident that was forgotten
            incident = _new(grouping, alert, now)
        else:
            grouping = self._groupings.get(incident.grouping)
            if grouping is None or (incident.state == "closed" and alert.change != "reopened"):
                return []
        self._keep_evidence(alert)
        members = list(incident.members)
        for index, member in enumerate(members):
            if member.alert == alert.id:
                members[index] = _member(alert, member)
                break
        else:
            members.append(_member(alert, None))
        communes = sorted({*incident.communes, *alert.area})
        new = replace(
            incident, communes=communes, worst=max(incident.worst, alert.worst, key=SEVERITIES.index)
        )
        return self._put(incident, self._made_up(new, grouping, members), now)

    def next_due(self) -> datetime | None:
        """When the next incident closes or is forgotten; None where none does."""
        return self._agenda.next()

    def pass_time(self, due: datetime) -> list[Incident]:
        """Close what is to close at or before `due`. Returns the closed incidents' records."""
        return self._pass(due, due)

    def open_count(self) -> int:
        """How many incidents have an open alert."""
        return sum(incident.state == "open" for incident in self._incidents.values())

    def take_forgotten(self) -> list[str]:
        """Ids of incidents that closed long ago and were forgotten since the last call."""
        forgotten, self._forgotten = self._forgotten, []
        return forgotten

    def _pass(self, due: datetime, now: datetime) -> list[Incident]:
        changes: list[Incident] = []
        for id_ in self._agenda.take(due):
            incident = self._incidents[id_]
            if incident.state == "closed":
                self._forget(incident)
            else:
                changes += self._put(incident, replace(incident, state="closed"), now)
        return changes

    def _remember(self, incident: Incident) -> None:
        """Keep the indexes true."""
        joinable = self._joinable.setdefault(incident.grouping, set())
        if incident.state == "closed":
            joinable.discard(incident.id)
        else:
            joinable.add(incident.id)
        self._agenda.set(incident.id, self._due(incident))

    def _has(self, alert: Alert) -> bool:
        """Whether an alert is in an incident that still knows it."""
        return alert.incident in self._incidents and alert.id in self._evidence

    def _due(self, incident: Incident) -> datetime | None:
        if incident.state == "closed":
            return incident.time + KEPT
        grouping = self._groupings.get(incident.grouping)
        if incident.ended is None or grouping is None:
            return None
        # An end that became known late: closed at once, not in the past.
        return max(incident.ended + grouping.gap, incident.time)

    def _made_up(self, incident: Incident, grouping: Grouping, members: list[Member]) -> Incident:
        """The incident with these members, and with all that follows from them."""
        still_open = [member.severity for member in members if member.until is None]
        ends = [member.until for member in members if member.until is not None]
        return replace(
            incident,
            state="open" if still_open else "quiet",
            title=grouping.title,
            hazard=grouping.hazard,
            severity=_worst(still_open) if still_open else incident.worst,
            started=min(member.since for member in members),
            ended=None if still_open else max(ends),
            members=members,
            peaks=[] if grouping.peaks is None else high_waters(members, grouping.peaks),
            evidence=self._count(members),
        )

    def _put(self, before: Incident, new: Incident, now: datetime) -> list[Incident]:
        """Keep a record, if it says anything new. Returns it then, with its number and time."""
        if new == before:
            return []
        # What becomes known late does not turn an incident's time back.
        new = replace(new, sequence=before.sequence + 1, time=max(now, before.time))
        self._incidents[new.id] = new
        self._remember(new)
        return [new]

    def _keep_evidence(self, alert: Alert) -> None:
        # What it once rested on counts on: a count that falls has lost its first reports, the incident has not.
        kept = self._evidence.get(alert.id)
        known = kept or []
        new = sorted({(one.stream, one.source, one.event) for one in alert.evidence} - set(known))
        new = new[: max(0, EVIDENCE_MOST - len(known))]
        if new or kept is None:
            self._evidence[alert.id] = [*known, *new]

    def _count(self, members: Iterable[Member]) -> dict[str, int]:
        """How many events of each stream these alerts rest on; one that several rest on counts once."""
        events = {event for member in members for event in self._evidence.get(member.alert) or ()}
        counts: dict[str, int] = {}
        for stream, _, _ in events:
            counts[stream] = counts.get(stream, 0) + 1
        return dict(sorted(counts.items()))

    def _forget(self, incident: Incident) -> None:
        for member in incident.members:
            self._evidence.pop(member.alert)
        self._incidents.pop(incident.id)
        self._forgotten.append(incident.id)


def incident_id(grouping: Grouping, first: Alert) -> str:
    """The identity that follows from the grouping and the first alert: the same in every replay of the same run."""
    content = [first.run, grouping.id, first.id]
    if first.change != "raised":
        # It was in an incident before, perhaps as its first alert, and that one is forgotten.
        content.append(str(first.sequence))
    return f"incident-{hashlib.sha256(msgspec.json.encode(content)).hexdigest()[:20]}"


def high_waters(members: Iterable[Member], pause: timedelta) -> list[HighWater]:
    """The members' spans, joined where the pause between them is not longer than `pause`; in the order of time.

    Each tells of its worst alert: values of different gauges cannot be compared, so the worse severity decides,
    then which began first.
    """
    groups: list[list[Member]] = []
    end: datetime | None = None
    for member in sorted(members, key=lambda member: (member.since, member.alert)):
        if groups and (end is None or member.since <= end + pause):
            groups[-1].append(member)
            end = None if end is None or member.until is None else max(end, member.until)
        else:
            groups.append([member])
            end = member.until
    return [_high_water(group) for group in groups]


def _high_water(group: list[Member]) -> HighWater:
    """One high water of members in the order of their beginning."""
    worst = max(group, key=lambda member: SEVERITIES.index(member.worst))  # the first of equals
    ends = [member.until for member in group if member.until is not None]
    return HighWater(
        since=group[0].since,
        until=max(ends) if len(ends) == len(group) else None,
        alerts=[member.alert for member in group],
        subject=worst.subject,
        severity=worst.worst,
        value=worst.peak,
        time=worst.peaked,
    )


def _new(grouping: Grouping, alert: Alert, now: datetime) -> Incident:
    """An incident before its first record, which its first member completes."""
    return Incident(
        id=alert.incident,
        sequence=0,
        state="open",
        grouping=grouping.id,
        hazard=grouping.hazard,
        title=grouping.title,
        where=alert.where,
        communes=[],
        severity=alert.severity,
        worst=alert.worst,
        started=alert.started,
        time=now,
        members=[],
        simulated=alert.simulated,
        run=alert.run,
    )


def _member(alert: Alert, before: Member | None) -> Member:
    """A member as its alert stands now. What is said of an alert after its end does not move the end."""
    until = None if alert.open else before.until if before is not None and before.until else alert.time
    return Member(
        alert=alert.id,
        rule=alert.rule,
        subject=alert.subject,
        severity=alert.severity,
        worst=alert.worst,
        since=alert.started,
        until=until,
        peak=alert.peak,
        peaked=alert.peaked,
    )


def _begins(grouping: Grouping, alert: Alert) -> bool:
    """Whether this change of an alert is the one by which its incident comes to be."""
    return alert.change in ("raised", "reopened") and alert.incident == incident_id(grouping, alert)


def _fits(grouping: Grouping, alert: Alert) -> bool:
    """Whether a grouping wants an alert, and can tell what is near it."""
    wanted = alert.rule in grouping.rules if grouping.rules else alert.hazard == grouping.hazard
    placed = alert.where.lon is not None and alert.where.lat is not None
    return (
        wanted
        and (placed or grouping.radius_m is None)
        and (bool(alert.area) or not _by_commune(grouping))
        and (placed or grouping.same != "place")
    )


def _by_commune(grouping: Grouping) -> bool:
    return grouping.same == "commune" or (grouping.same == "place" and grouping.radius_m is None)


def _near(grouping: Grouping, incident: Incident, alert: Alert) -> bool:
    if (incident.run, incident.simulated) != (alert.run, alert.simulated):
        return False
    if _by_commune(grouping) and not set(incident.communes) & set(alert.area):
        return False
    if grouping.radius_m is None:
        return True
    here, there = incident.where, alert.where
    if here.lon is None or here.lat is None or there.lon is None or there.lat is None:
        return False  # the incident began under a grouping that asked for no radius
    return metres(here.lon, here.lat, there.lon, there.lat) <= grouping.radius_m


def _worst(severities: Iterable[Severity]) -> Severity:
    return max(severities, key=SEVERITIES.index)
