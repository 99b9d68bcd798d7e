"""What the log holds of an alert: all that an explanation may say."""

from __future__ import annotations

from msgspec import Struct

from alerts.agencies.messages import AgencyAlert
from alerts.alert import Alert
from alerts.commands import CommandOutcome
from alerts.model import AwareTime, Doubt, Source
from alerts.rules.kinds import Rule


class Reading(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The last observation that the alert's rule judged of its source."""

    value: float
    observed: AwareTime
    doubts: tuple[Doubt, ...] = ()


class Facts(Struct, frozen=True, kw_only=True):
    """What the log holds of an alert."""

    #: All of its changes that are still there, in their order; one at least.
    changes: list[Alert]
    #: Its rule, by each version that a change names and that is still there.
    rules: dict[str, Rule] = {}
    #: The inventory's entry of its source; None where it has none.
    source: Source | None = None
    #: None where its condition is not about one source, or nothing is kept of it.
    reading: Reading | None = None
    #: When its source was last heard, whatever it said.
    heard: AwareTime | None = None
    #: The time that the log has come to, where its source is read; None where that is not known.
    now: AwareTime | None = None
    #: Open alerts beside it that are suppressed: of its incident, or its communes.
    siblings: list[Alert] = []
    #: Commands about it and what became of them.
    outcomes: list[CommandOutcome] = []
    #: What agencies were told of it, in its order.
    messages: list[AgencyAlert] = []
