"""What holds for all rules of an installation: incidents, escalation, maintenance, agencies, operators."""

from __future__ import annotations

from datetime import time, timedelta
from typing import Literal

from msgspec import Struct

from alerts.commands import Action
from alerts.model import AwareTime, Severity, Text
from alerts.rules.kinds import Rule

#: A viewer sees, an operator handles alerts, a supervisor also releases them to agencies.
Role = Literal["viewer", "operator", "supervisor"]
ROLES: tuple[Role, ...] = ("viewer", "operator", "supervisor")

#: The least role that may give a command.
LEAST_ROLE: dict[Action, Role] = {
    "acknowledge": "operator",
    "assign": "operator",
    "shelve": "operator",
    "unshelve": "operator",
    "comment": "operator",
    "close": "operator",
    "open": "operator",
    "release": "supervisor",
}


#: How long a role may put an alert aside at once: what is out of sight for days is a supervisor's to answer for.
SHELVE_LONGEST: dict[Role, timedelta] = {
    "viewer": timedelta(0),
    "operator": timedelta(hours=24),
    "supervisor": timedelta(days=7),
}


class Escalation(Struct, frozen=True, kw_only=True):
    """An alert that nobody has acknowledged for `after` becomes overdue, and so the business of `to`."""

    #: Alerts of this severity and worse.
    severity: Severity
    after: timedelta
    to: Role


class Inhibition(Struct, frozen=True, kw_only=True):
    """While an alert of one of the rules `by` is open, alerts of the rules `of` in the same place are suppressed."""

    id: str
    by: tuple[str, ...]
    #: Only from this severity of the inhibiting alert on.
    severity: Severity = "minor"
    of: tuple[str, ...]
    same: Literal["commune", "province", "subject"] = "commune"


class Grouping(Struct, frozen=True, kw_only=True):
    """Which alerts belong to one incident: of these rules, near in place, and without a longer gap in time."""

    id: str
    title: Text
    hazard: str
    #: Empty: every rule of the hazard.
    rules: tuple[str, ...] = ()
    #: Metres from the incident's first alert; None: anywhere in the same commune or province.
    radius_m: float | None = None
    same: Literal["place", "commune", "province"] = "place"
    #: How long after the end of its last alert another one still belongs to it.
    gap: timedelta
    #: Whether it tells its high waters one by one; alerts no further than this apart share one.
    peaks: timedelta | None = None


class RuleSet(Struct, frozen=True, kw_only=True):
    """A file of rules, checked."""

    rules: tuple[Rule, ...] = ()
    escalations: tuple[Escalation, ...] = ()
    inhibitions: tuple[Inhibition, ...] = ()
    groupings: tuple[Grouping, ...] = ()


class MaintenanceWindow(Struct, frozen=True, kw_only=True):
    """A time in which alerts of some subjects are suppressed, for somebody works there.

    What is named must all fit; what is left empty fits everything.
    """

    id: str
    since: AwareTime
    until: AwareTime
    reason: Text
    sources: tuple[str, ...] = ()
    rules: tuple[str, ...] = ()
    communes: tuple[str, ...] = ()
    hazards: tuple[str, ...] = ()


class Hours(Struct, frozen=True, kw_only=True):
    """The hours of a day (Asia/Ho_Chi_Minh) in which an agency is told; `since` after `until` goes past midnight."""

    since: time
    until: time
    #: Alerts of this severity and worse are told at any hour; None: none is.
    always: Severity | None = None


class Subscription(Struct, frozen=True, kw_only=True):
    """What one agency wants to be told, on its own topic ioc.alerts.AGENCY."""

    agency: str
    name: Text
    #: Empty: every hazard.
    hazards: tuple[str, ...] = ()
    #: Codes of communes; empty: every commune.
    communes: tuple[str, ...] = ()
    #: Codes of provinces; empty: every province.
    provinces: tuple[str, ...] = ()
    severity: Severity = "minor"
    #: Languages of its messages, first the one it prefers.
    languages: tuple[str, ...] = ("vi", "en")
    hours: Hours | None = None
    #: The first message of an alert waits until a supervisor releases it.
    release: bool = False
    #: For exercises: it is told of simulated alerts, and of nothing else.
    exercise: bool = False
    heartbeat: timedelta = timedelta(minutes=1)


class Operator(Struct, frozen=True, kw_only=True):
    """Who may give commands; how they prove it is the wall's business and stands nowhere in the log."""

    id: str
    name: str
    role: Role


def may(role: Role, action: Action) -> bool:
    """Whether a role may give a command; a supervisor may do all that an operator may."""
    return ROLES.index(role) >= ROLES.index(LEAST_ROLE[action])


class Policy(Struct, frozen=True, kw_only=True):
    """All that judges but the inventory and the maps."""

    ruleset: RuleSet = RuleSet()
    maintenance: tuple[MaintenanceWindow, ...] = ()
    subscriptions: tuple[Subscription, ...] = ()
    operators: tuple[Operator, ...] = ()
