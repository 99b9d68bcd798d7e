"""The incident: alerts that belong together, as the record of ioc.incidents."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from alerts.model import AwareTime, Severity, Text, Where


class Member(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One alert of an incident, as far as the incident needs it."""

    alert: str
    rule: str
    subject: str
    #: The present severity; once ended, the last it had.
    severity: Severity
    #: The worst it ever had.
    worst: Severity
    #: When its condition began.
    since: AwareTime
    #: None while it is open.
    until: AwareTime | None = None
    peak: float | None = None
    peaked: AwareTime | None = None


class HighWater(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One of the peaks of an incident: from the first of its alerts to the end of the last."""

    since: AwareTime
    #: None while one of them is open.
    until: AwareTime | None = None
    alerts: list[str]
    #: The worst of its alerts: the subject whose alert was worst, the value, and when.
    subject: str
    severity: Severity
    value: float | None = None
    time: AwareTime | None = None


class Incident(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An incident as it stands after its latest change."""

    #: Follows from the grouping and its first alert.
    id: str
    sequence: int
    #: open while one of its alerts is; quiet while another may still join; closed after that.
    state: Literal["open", "quiet", "closed"]
    grouping: str
    hazard: str
    title: Text
    #: Place of its first alert.
    where: Where
    #: Codes of all communes that its alerts lie in.
    communes: list[str]
    #: Of its open alerts the worst; once none is open, the worst it ever had.
    severity: Severity
    worst: Severity
    started: AwareTime
    #: When this change became true.
    time: AwareTime
    ended: AwareTime | None = None
    #: In the order in which they joined.
    members: list[Member]
    #: High waters in their order, where the grouping tells them.
    peaks: list[HighWater] = []
    #: How many events of each stream its alerts rest on.
    evidence: dict[str, int] = {}
    simulated: bool = False
    run: str = ""
