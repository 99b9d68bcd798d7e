"""Who may give which command, and whether it fits what is: the reasons for which one is refused."""

from __future__ import annotations

from datetime import datetime

from alerts import lifecycle
from alerts.alert import Alert
from alerts.commands import Command, Refusal
from alerts.rules.policy import SHELVE_LONGEST, Policy, may


def refusal(command: Command, alert: Alert | None, policy: Policy, now: datetime) -> Refusal | None:
    """Why a command is refused at `now`; None where it is done. `alert` is the one that it names, if it is known."""
    operators = {operator.id: operator for operator in policy.operators}
    if command.operator not in operators:
        return "unknown-operator"
    if not may(operators[command.operator].role, command.action):
        return "not-allowed"
    if command.action == "open":
        return None if command.opening is not None else "nothing-opened"
    if alert is None:
        return "unknown-alert"
    # A comment changes nothing that somebody else may have changed meanwhile.
    if command.action != "comment" and command.sequence not in (None, alert.sequence):
        return "stale"
    reason = lifecycle.refusal(alert, command)
    if reason is not None:
        return reason
    match command.action:
        case "assign" if command.to not in operators:
            return "unknown-assignee"
        case "shelve":
            if command.until is None or command.until <= now:
                return "until-is-past"
            if command.until - now > SHELVE_LONGEST[operators[command.operator].role]:
                return "shelved-too-long"
        case "comment" | "close" if not command.text.strip():
            return "nothing-said"
        case "release" if command.to not in alert.awaiting:
            return "not-awaiting"
    return None
