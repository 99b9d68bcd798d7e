"""What follows for the day's alerts from each other and from time: what is hidden, what becomes overdue, which
incidents they make, and what agencies are told. Told from the plan, as `truth` is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from streams.scenarios.can_tho_spring_tide.places import COMMUNES
from streams.scenarios.can_tho_spring_tide.stated import (
    AGENCIES,
    CLOCK,
    ESCALATIONS,
    GROUPINGS,
    HAZARDS,
    HIDDEN_BY_JAM,
    JAM_SEVERITY,
    MINUTE,
    SEVERITIES,
    WORKS,
    Agency,
    Grouping,
)
from streams.scenarios.can_tho_spring_tide.truth import Change, PlanError, Told

#: Seconds of the day.
DAY = 24 * 3600


def follow(alerts: list[Told]) -> None:
    """Complete the alerts by what follows from maintenance, a jammed commune, and that nobody acknowledges."""
    jams = [told for told in alerts if told.rule == "commune-traffic"]
    for told in alerts:
        if told.subject == WORKS.source:
            told.hidden.append((WORKS.since, WORKS.until, f"maintenance:{WORKS.id}"))
        for jam in jams:
            if told.rule in HIDDEN_BY_JAM and told.communes == jam.communes:
                # What a commune's sensors said is told a minute after the minute's end.
                told.hidden.append((jam.raised + MINUTE, (jam.ended or DAY) + MINUTE, "inhibited"))
        _hide(told)
        told.changes = [change for change in _with_overdue(told.changes) if change.time <= DAY]


def _hide(told: Told) -> None:
    end = DAY if told.ended is None else told.ended
    spans = [span for span in told.hidden if span[0] < end and span[1] > told.raised]
    if len(spans) > 1:
        raise PlanError(f"{told.rule} of {told.subject} is hidden by two things")
    for since, until, reason in spans:
        if reason == "inhibited" and _rank(_worst([told])) > _rank(JAM_SEVERITY):
            raise PlanError(f"{told.subject} is worse than what would hide it")
        if since <= told.raised:
            told.changes[0].reason = reason
        else:
            _insert(told, since, "suppressed", reason)
        if until < end:
            _insert(told, until, "resumed", "")


def _insert(told: Told, time: int, change: str, reason: str) -> None:
    before = [one for one in told.changes if one.time <= time]
    if any(0 < time - one.time <= CLOCK for one in before):
        raise PlanError(f"{told.subject}: {change} too near to another change")
    place = len(before)
    told.changes.insert(place, Change(time, change, before[-1].severity, before[-1].certainty, reason))


def _with_overdue(changes: list[Change]) -> Iterator[Change]:
    """The changes, and those by which time makes the alert overdue, for nobody acknowledges anything."""
    waiting: int | None = None
    passed, severity, certainty = 0, "", ""
    for number in range(len(changes) + 1):
        until = changes[number].time if number < len(changes) else DAY
        while waiting is not None:
            steps = [after for least, after in ESCALATIONS if _rank(severity) >= _rank(least)]
            if passed >= len(steps) or (due := waiting + steps[passed]) > until:
                break
            passed += 1
            yield Change(due, "overdue", severity, certainty)
        if number == len(changes):
            return
        change = changes[number]
        yield change
        severity, certainty = change.severity, change.certainty
        match change.change:
            case "raised":
                waiting = None if change.reason else change.time
            case "escalated":
                waiting, passed = change.time, 0
            case "suppressed":
                waiting = None
            case "resumed":
                waiting = change.time
            case "cleared" | "closed":
                return


def incidents(alerts: list[Told]) -> Iterator[dict[str, Any]]:
    """The incidents as they stand at the end of the day, in the order of their beginning."""
    found = []
    for grouping in GROUPINGS:
        places: dict[str, list[Told]] = {}
        for told in sorted(alerts, key=lambda told: (told.raised, told.rule, told.subject)):
            if told.rule in grouping.rules:
                key = {"site": told.site, "commune": "".join(told.communes[:1])}.get(grouping.same, "")
                places.setdefault(key, []).append(told)
        for members in places.values():
            found += [(grouping, group) for group in _groups(members, grouping.gap)]
    found.sort(key=lambda one: (min(told.started for told in one[1]), one[0].id))
    for grouping, members in found:
        yield _incident(grouping, members)


def _groups(members: list[Told], gap: int) -> Iterator[list[Told]]:
    """Alerts that follow each other without a longer gap."""
    group: list[Told] = []
    for told in members:
        if group:
            pause = told.raised - max(DAY if one.ended is None else one.ended for one in group)
            if abs(pause - gap) <= CLOCK:
                raise PlanError(f"{told.subject}: whether it is the same incident is a matter of seconds")
            if pause > gap:
                yield group
                group = []
        group.append(told)
    yield group


def _incident(grouping: Grouping, members: list[Told]) -> dict[str, Any]:
    ends = [told.ended for told in members if told.ended is not None]
    over = max(ends) if len(ends) == len(members) else None
    incident: dict[str, Any] = {
        "grouping": grouping.id,
        "state": "open" if over is None else "closed" if over + grouping.gap <= DAY else "quiet",
        "worst": _worst(members),
        "communes": sorted({COMMUNES[one].code for told in members for one in told.communes}),
        "started": min(told.started for told in members),
        "ended": over,
        "members": sorted(f"{told.rule} {told.subject}" for told in members),
    }
    if grouping.peaks is not None:
        by_start = sorted(members, key=lambda told: told.started)
        incident["high_waters"] = [_high_water(group) for group in _groups_of_peaks(by_start, grouping.peaks)]
    return incident


def _groups_of_peaks(members: list[Told], pause: int) -> Iterator[list[Told]]:
    group: list[Told] = []
    for told in members:
        if group and told.started > max(one.ended or DAY for one in group) + pause:
            yield group
            group = []
        group.append(told)
    yield group


def _high_water(members: list[Told]) -> dict[str, Any]:
    """Its worst alert speaks for it; of equally severe ones that which began first."""
    worst = max(members, key=lambda told: _rank(_worst([told])))
    assert worst.peak is not None
    return {
        "since": members[0].started,
        "until": max(told.ended or DAY for told in members),
        "alerts": len(members),
        "subject": worst.subject,
        "severity": _worst([worst]),
        "value": worst.peak[0],
        "time": worst.peak[1],
    }


def messages(alerts: Iterable[Told]) -> dict[str, list[tuple[int, str, str]]]:
    """By agency all that it is told, in order: time of the alert's change, type of the message, rule and subject."""
    alerts = list(alerts)
    return {
        agency.id: sorted(one for told in alerts for one in _told_of(agency, told)) for agency in AGENCIES
    }


def _told_of(agency: Agency, told: Told) -> Iterator[tuple[int, str, str]]:
    """First when it fits, is shown, and it is the hour; then each change until its end, whatever the hour."""
    if HAZARDS.get(told.rule) not in agency.hazards:
        return
    since, until = agency.hours or (0, DAY)
    if told.raised < since < (told.ended or DAY):
        raise PlanError(f"{told.subject} is open when the hours of {agency.id} begin")
    what, known, hidden = f"{told.rule} {told.subject}", False, False
    for change in told.changes:
        if change.change in ("raised", "suppressed", "resumed"):
            hidden = bool(change.reason)
        ended = change.change in ("cleared", "closed")
        if known and ended:
            yield change.time, "cancel", what
        elif known and change.change in ("escalated", "lowered", "updated"):
            yield change.time, "update", what
        elif not known and not ended and not hidden:
            known = since <= change.time < until and _rank(change.severity) >= _rank(agency.severity)
            if known:
                yield change.time, "alert", what


def _worst(members: Iterable[Told]) -> str:
    return max((change.severity for told in members for change in told.changes), key=_rank)


def _rank(severity: str) -> int:
    return SEVERITIES.index(severity)
