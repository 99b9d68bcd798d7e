"""The lifecycle of an alert, as one table: what happens to it in which state.

States, as an operator sees them:

    none          there is no alert of this rule and subject
    new           open, and nobody has acknowledged it
    acknowledged  open, and somebody has
    shelved       open, put aside by an operator until a time
    closed        an operator closed it while its condition goes on
    ended         its condition has ended: cleared, or closed for a reason other than the measure

Three rules that the table holds to. Missing data is no trigger, so it clears nothing. What becomes worse is new
again, whoever had acknowledged, shelved or closed it. What has ended never opens again: the next beginning makes
another alert. Suppression stands beside the states: it changes what is shown, not what is.

`LIFECYCLE.md` shows the table as a diagram; it is made by `python -m alerts.lifecycle`.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator
from datetime import datetime
from typing import Literal, get_args

import msgspec
from msgspec.structs import replace

from alerts.alert import Acknowledgement, Alert, ChangeName, Comment
from alerts.commands import Command, Refusal
from alerts.model import SEVERITIES
from alerts.signals import Signal

State = Literal["none", "new", "acknowledged", "shelved", "closed", "ended"]
STATES: tuple[State, ...] = get_args(State)

#: From its condition; from operators; from time; from other alerts.
Trigger = Literal[
    "begins", "worse", "milder", "else", "clears", "stops",
    "acknowledge", "assign", "shelve", "unshelve", "comment", "close", "release",
    "shelf-ends", "overdue",
    "suppress", "resume", "withhold",
]  # fmt: skip
TRIGGERS: tuple[Trigger, ...] = get_args(Trigger)

#: What a trigger does in a state: the change and the state after it. What is not here changes nothing, or is refused
#: for the reason in `REFUSED`.
TABLE: dict[tuple[State, Trigger], tuple[ChangeName, State]] = {
    ("none", "begins"): ("raised", "new"),
    #
    ("new", "worse"): ("escalated", "new"),
    ("new", "milder"): ("lowered", "new"),
    ("new", "else"): ("updated", "new"),
    ("new", "clears"): ("cleared", "ended"),
    ("new", "stops"): ("closed", "ended"),
    ("new", "acknowledge"): ("acknowledged", "acknowledged"),
    ("new", "assign"): ("assigned", "new"),
    ("new", "shelve"): ("shelved", "shelved"),
    ("new", "comment"): ("commented", "new"),
    ("new", "close"): ("closed", "closed"),
    ("new", "release"): ("released", "new"),
    ("new", "overdue"): ("overdue", "new"),
    ("new", "suppress"): ("suppressed", "new"),
    ("new", "resume"): ("resumed", "new"),
    ("new", "withhold"): ("withheld", "new"),
    #
    ("acknowledged", "worse"): ("escalated", "new"),
    ("acknowledged", "milder"): ("lowered", "acknowledged"),
    ("acknowledged", "else"): ("updated", "acknowledged"),
    ("acknowledged", "clears"): ("cleared", "ended"),
    ("acknowledged", "stops"): ("closed", "ended"),
    ("acknowledged", "assign"): ("assigned", "acknowledged"),
    ("acknowledged", "shelve"): ("shelved", "shelved"),
    ("acknowledged", "comment"): ("commented", "acknowledged"),
    ("acknowledged", "close"): ("closed", "closed"),
    ("acknowledged", "release"): ("released", "acknowledged"),
    ("acknowledged", "suppress"): ("suppressed", "acknowledged"),
    ("acknowledged", "resume"): ("resumed", "acknowledged"),
    ("acknowledged", "withhold"): ("withheld", "acknowledged"),
    #
    ("shelved", "worse"): ("escalated", "new"),
    ("shelved", "milder"): ("lowered", "shelved"),
    ("shelved", "else"): ("updated", "shelved"),
    ("shelved", "clears"): ("cleared", "ended"),
    ("shelved", "stops"): ("closed", "ended"),
    ("shelved", "assign"): ("assigned", "shelved"),
    ("shelved", "unshelve"): ("unshelved", "new"),
    ("shelved", "shelf-ends"): ("unshelved", "new"),
    ("shelved", "comment"): ("commented", "shelved"),
    ("shelved", "close"): ("closed", "closed"),
    ("shelved", "release"): ("released", "shelved"),
    ("shelved", "suppress"): ("suppressed", "shelved"),
    ("shelved", "resume"): ("resumed", "shelved"),
    ("shelved", "withhold"): ("withheld", "shelved"),
    #
    ("closed", "worse"): ("reopened", "new"),
    ("closed", "comment"): ("commented", "closed"),
    #
    ("ended", "comment"): ("commented", "ended"),
}

#: Why an operator's trigger is refused where the table has no row for it, by state; "" for every other one.
REFUSED: dict[State, dict[str, Refusal]] = {
    "none": {"": "unknown-alert"},
    "new": {"unshelve": "not-shelved"},
    "acknowledged": {"acknowledge": "already-so", "unshelve": "not-shelved"},
    "shelved": {"acknowledge": "shelved", "shelve": "already-so"},
    "closed": {"": "not-open"},
    "ended": {"": "not-open"},
}

#: An alert keeps its last comments; all of them stand in ioc.alert-changes.
COMMENTS_KEPT = 20


def alert_id(run: str, rule: str, subject: str, start_event: str, start_time: datetime) -> str:
    """The identity that follows from what the alert is about: the same in every replay of the same run.

    The time is part of it since a source may use an event's id again.
    """
    content = msgspec.json.encode([run, rule, subject, start_event, round(start_time.timestamp() * 1000)])
    return f"alert-{hashlib.sha256(content).hexdigest()[:20]}"


def state_of(alert: Alert | None) -> State:
    """The state of an alert; None where there is none."""
    if alert is None:
        return "none"
    if alert.state != "open":
        return "closed" if alert.condition_stands else "ended"
    if alert.shelved_until is not None:
        return "shelved"
    return "acknowledged" if alert.acknowledged is not None else "new"


def trigger_of(alert: Alert | None, signal: Signal) -> Trigger:
    """What a signal is to the alert of its rule and subject."""
    if signal.severity is None:
        return "stops" if signal.reason else "clears"
    if alert is None or state_of(alert) == "ended":
        return "begins"
    step = SEVERITIES.index(signal.severity) - SEVERITIES.index(alert.severity)
    return "worse" if step > 0 else "milder" if step < 0 else "else"


def by_signal(alert: Alert | None, signal: Signal) -> Alert | None:
    """The alert after a signal; None where the signal changes nothing that anybody is told.

    `alert` is the latest of the signal's rule and subject, if there is one. Of one that an operator closed the end of
    its condition is not told again: see `condition_ended`.
    """
    if alert is not None and state_of(alert) == "ended":
        alert = None
    trigger = trigger_of(alert, signal)
    row = TABLE.get((state_of(alert), trigger))
    if row is None or (trigger == "else" and not _tells_more(alert, signal)):
        return None
    return _raised(signal) if alert is None else _moved(alert, signal, row[0])


def condition_ended(alert: Alert) -> Alert:
    """An alert that an operator closed, once its condition has ended as well: nobody is told."""
    return replace(alert, condition_stands=False)


def _tells_more(alert: Alert | None, signal: Signal) -> bool:
    """Whether a signal of the same severity says something that an operator would want to know."""
    assert alert is not None
    return (alert.certainty, alert.communes, alert.label) != (
        signal.certainty,
        signal.communes,
        signal.label,
    )


def _raised(signal: Signal) -> Alert:
    assert signal.severity is not None, "only a signal that begins raises"
    return Alert(
        id=alert_id(signal.run, signal.rule, signal.subject, signal.start_event, signal.start_time),
        sequence=1,
        change="raised",
        state="open",
        severity=signal.severity,
        worst=signal.severity,
        certainty=signal.certainty,
        rule=signal.rule,
        rule_version=signal.rule_version,
        hazard=signal.hazard,
        title=signal.title,
        label=signal.label,
        subject=signal.subject,
        subject_name=signal.subject_name,
        where=signal.where,
        communes=signal.communes,
        started=signal.start_time,
        time=signal.time,
        measure=signal.measure,
        unit=signal.unit,
        value=signal.value,
        observed=signal.observed,
        bound=signal.bound,
        peak=signal.peak,
        peaked=signal.peaked,
        doubts=signal.doubts,
        evidence=signal.evidence,
        start_event=signal.start_event,
        event=signal.event,
        citation=signal.citation,
        waiting_since=signal.time,
        simulated=signal.simulated,
        run=signal.run,
    )


def _moved(alert: Alert, signal: Signal, change: ChangeName) -> Alert:
    severity = signal.severity or alert.severity
    alert = replace(
        _as_seen(alert, change, max(signal.time, alert.time)),
        severity=severity,
        worst=max(severity, alert.worst, key=SEVERITIES.index),
        certainty=signal.certainty if signal.severity else alert.certainty,
        rule_version=signal.rule_version,
        label=signal.label if signal.severity else alert.label,
        where=signal.where,
        communes=signal.communes or alert.communes,
        value=signal.value,
        observed=signal.observed,
        bound=signal.bound,
        peak=alert.peak if signal.peak is None else signal.peak,
        peaked=alert.peaked if signal.peak is None else signal.peaked,
        doubts=signal.doubts,
        evidence=signal.evidence or alert.evidence,
        event=signal.event,
        reason=signal.reason,
        successor=signal.successor,
        citation=signal.citation,
        simulated=alert.simulated or signal.simulated,
    )
    if change in ("escalated", "reopened"):
        # Worse than what somebody had taken notice of: it asks for notice again.
        return replace(
            alert,
            state="open",
            condition_stands=True,
            acknowledged=None,
            shelved_until=None,
            overdue=0,
            # What is not shown among the others waits for nobody: it will when it is.
            waiting_since=None if alert.suppressed else alert.time,
        )
    if change in ("cleared", "closed"):
        return _over(replace(alert, state=change, condition_stands=False))
    return alert


def _as_seen(alert: Alert, change: ChangeName, now: datetime, by: str = "") -> Alert:
    """The next change of an alert, with nothing else changed yet."""
    return replace(alert, sequence=alert.sequence + 1, change=change, time=now, by=by, reason="")


def _over(alert: Alert) -> Alert:
    """Nothing waits for anybody any more."""
    return replace(alert, shelved_until=None, waiting_since=None, awaiting=[])


def refusal(alert: Alert | None, command: Command) -> Refusal | None:
    """Why the table does not let a command through; None where it does. `open` is not its business."""
    state = state_of(alert)
    if (state, command.action) in TABLE:
        return None
    reasons = REFUSED[state]
    return reasons.get(command.action) or reasons[""]


def by_command(alert: Alert, command: Command, now: datetime) -> Alert:
    """The alert after a command that is not refused."""
    trigger: Trigger = command.action  # type: ignore[assignment]
    change, _ = TABLE[state_of(alert), trigger]
    now, who = max(now, alert.time), command.operator
    new = _as_seen(alert, change, now, who)
    match trigger:
        case "acknowledge":
            return replace(new, acknowledged=Acknowledgement(who, now), waiting_since=None, overdue=0)
        case "assign":
            return replace(new, assigned=command.to)
        case "shelve":
            return replace(new, shelved_until=command.until, acknowledged=None, waiting_since=None, overdue=0)
        case "unshelve":
            return replace(new, shelved_until=None, waiting_since=now)
        case "close":
            stands = alert.rule != "manual"
            new = _over(replace(new, state="closed", reason="operator", condition_stands=stands))
            return _with_comment(new, command, now)
        case "comment":
            return _with_comment(new, command, now)
        case "release":
            return replace(new, awaiting=[agency for agency in alert.awaiting if agency != command.to])
    raise AssertionError(f"{trigger} is no command about an alert")


def _with_comment(alert: Alert, command: Command, now: datetime) -> Alert:
    if not command.text:
        return alert
    comment = Comment(command.operator, now, command.text)
    return replace(alert, comments=[*alert.comments, comment][-COMMENTS_KEPT:])


def by_hand(command: Command, now: datetime, run: str) -> Alert:
    """The alert that an operator opens; he closes it. In a replay, which has a `run`, it is simulated."""
    opening = command.opening
    assert opening is not None, "checked before"
    return Alert(
        id=alert_id(run, "manual", command.id, command.id, now),
        sequence=1,
        change="raised",
        state="open",
        severity=opening.severity,
        worst=opening.severity,
        certainty="possible",
        rule="manual",
        rule_version="",
        hazard=opening.hazard,
        title=opening.title,
        subject=command.id,
        where=opening.where,
        started=now,
        time=now,
        measure="",
        unit="",
        value=0.0,
        observed=now,
        bound=0.0,
        start_event=command.id,
        event=command.id,
        by=command.operator,
        comments=[Comment(command.operator, now, command.text)] if command.text else [],
        waiting_since=now,
        simulated=bool(run),
        run=run,
    )


def shelf_ended(alert: Alert, now: datetime) -> Alert | None:
    """A shelved alert whose time is up; None for one that is not shelved."""
    row = TABLE.get((state_of(alert), "shelf-ends"))
    return row and replace(_as_seen(alert, row[0], now), shelved_until=None, waiting_since=now)


def overdue(alert: Alert, now: datetime) -> Alert | None:
    """One more escalation by time has passed; None for an alert that waits for nobody."""
    row = TABLE.get((state_of(alert), "overdue"))
    return row and replace(_as_seen(alert, row[0], now), overdue=alert.overdue + 1)


def suppressed(alert: Alert, reason: str, now: datetime) -> Alert | None:
    """The alert with this reason for not being shown; an empty one shows it again. None where nothing changes."""
    if alert.suppressed == reason:
        return None
    row = TABLE.get((state_of(alert), "suppress" if reason else "resume"))
    if row is None:
        return None
    waiting = None if reason or alert.acknowledged or alert.shelved_until else now
    return replace(
        _as_seen(alert, row[0], max(now, alert.time)), suppressed=reason, reason=reason, waiting_since=waiting
    )


def withheld(alert: Alert, agencies: list[str], now: datetime) -> Alert | None:
    """The alert once other agencies than before wait for its release; None where that changes nothing."""
    row = TABLE.get((state_of(alert), "withhold"))
    if row is None or alert.awaiting == agencies:
        return None
    return replace(_as_seen(alert, row[0], max(now, alert.time)), awaiting=agencies)


def diagram() -> str:
    """The table as a state diagram in Mermaid, and as a list of what is refused."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield "# The lifecycle of an alert"
    yield ""
    yield "Made from the table in `lifecycle.py` by `python -m alerts.lifecycle`. A transition is `trigger / change`."
    yield ""
    yield "```mermaid"
    yield "stateDiagram-v2"
    yield "    [*] --> new : begins / raised"
    grouped: dict[tuple[State, State], list[str]] = {}
    for (state, trigger), (change, after) in TABLE.items():
        if state != "none":
            grouped.setdefault((state, after), []).append(f"{trigger} / {change}")
    for (state, after), labels in grouped.items():
        for label in labels:
            yield f"    {state} --> {after} : {label}"
    yield "    closed --> ended : clears or stops, untold"
    yield "    ended --> [*]"
    yield "```"
    yield ""
    yield "| State | Refused | Why |"
    yield "|---|---|---|"
    for state in STATES:
        for command, reason in REFUSED[state].items():
            yield f"| {state} | {command or 'every other command'} | {reason} |"


if __name__ == "__main__":
    sys.stdout.write(diagram())
