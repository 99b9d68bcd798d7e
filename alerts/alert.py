"""The alert as it stands after a change: the record of ioc.alert-changes and ioc.alerts."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from alerts.model import AwareTime, Certainty, Doubt, Evidence, Severity, Text, Where

#: What happened to an alert. The first row comes from its condition, the second from operators, the third from
#: time and from other alerts. `alerts.lifecycle` says when.
ChangeName = Literal[
    "raised", "escalated", "lowered", "updated", "cleared", "closed", "reopened",
    "acknowledged", "assigned", "commented", "shelved", "unshelved", "released",
    "overdue", "suppressed", "resumed", "withheld",
]  # fmt: skip


#: Why an alert may not be shown among the others: what its `suppressed` begins with.
SUPPRESSIONS = ("maintenance", "inhibited", "limit")


class Acknowledgement(Struct, frozen=True):
    """Somebody has taken notice."""

    by: str
    time: AwareTime


class Comment(Struct, frozen=True):
    """What an operator wrote: text, never markup."""

    by: str
    time: AwareTime
    text: str


class Alert(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An alert as it stands after its latest change."""

    #: Follows from run, rule, subject and the event that started it.
    id: str
    #: 1 for the first change, then one more for each: a reader that keeps (id, sequence) sees each once.
    sequence: int
    change: ChangeName
    state: Literal["open", "cleared", "closed"]
    #: False once the condition has ended; still true where an operator closed the alert before it did.
    condition_stands: bool = True
    #: The present severity; once cleared or closed, the last it had.
    severity: Severity
    #: The worst it ever had.
    worst: Severity
    certainty: Certainty = "observed"
    #: The rule's id; `manual` where an operator opened it, `limit` where it stands for a rule's further alerts.
    rule: str
    rule_version: str
    hazard: str
    title: Text
    #: Name of the level reached, such as BĐ3.
    label: Text = {}
    subject: str
    subject_name: Text = {}
    where: Where
    #: Codes of all communes that it lies in, where they are more than that of `where`.
    communes: list[str] = []
    #: When the condition began, before any hold.
    started: AwareTime
    #: When this change became true.
    time: AwareTime
    measure: str
    unit: str
    value: float
    observed: AwareTime
    #: The bound that the value crossed.
    bound: float
    #: The worst value so far that is known here, and when it was.
    peak: float | None = None
    peaked: AwareTime | None = None
    doubts: tuple[Doubt, ...] = ()
    evidence: list[Evidence] = []
    start_event: str
    event: str
    #: Why it was closed, where the measure did not clear it; or why it was suppressed.
    reason: str = ""
    #: Where it goes on, when it was closed because a border moved: the commune that it lies in now.
    successor: str = ""
    citation: str = ""

    # What operators did
    acknowledged: Acknowledgement | None = None
    assigned: str = ""
    shelved_until: AwareTime | None = None
    comments: list[Comment] = []
    #: Who made this change; empty where nobody did.
    by: str = ""
    #: Since when it has waited for an acknowledgement; None where it does not.
    waiting_since: AwareTime | None = None

    # Beside other alerts
    #: Why it is not shown among the others: maintenance:ID, inhibited:ALERT or limit:RULE; empty where it is.
    suppressed: str = ""
    #: How many of the escalations by time it has passed unacknowledged.
    overdue: int = 0
    incident: str = ""
    #: Agencies whose message waits for a supervisor's release.
    awaiting: list[str] = []

    simulated: bool = False
    run: str = ""

    @property
    def open(self) -> bool:
        return self.state == "open"

    @property
    def area(self) -> list[str]:
        """Codes of the communes that it lies in."""
        return self.communes or ([self.where.commune] if self.where.commune else [])
