"""What stands on an agency's topic ioc.alerts.AGENCY."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from alerts.alert import Alert
from alerts.model import AwareTime


class Reference(Struct, frozen=True):
    """An earlier message about the same alert, as CAP refers to it."""

    identifier: str
    sent: AwareTime


class AgencyAlert(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind", tag="alert"):
    """One alert for one agency. The record's key is the alert's id."""

    agency: str
    #: CAP's identifier: the agency, the alert and the number of the message about it.
    identifier: str
    #: alert: the first about it; update: it has changed; cancel: it has ended.
    type: Literal["alert", "update", "cancel"]
    #: Exercise where the subscription is for exercises; its alerts are simulated.
    status: Literal["actual", "exercise"]
    #: Event time of the change.
    sent: AwareTime
    #: The earlier messages about the same alert, oldest first.
    references: list[Reference] = []
    #: Told again without a change, so that whoever begins to read here knows what is open.
    standing: bool = False
    languages: tuple[str, ...]
    alert: Alert


class Heartbeat(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind", tag="heartbeat"):
    """The channel lives, and this is what is open. The record has no key."""

    agency: str
    time: AwareTime
    #: Ids of the alerts that the agency has been told of and that are open.
    open: list[str] = []
    run: str = ""


Message = AgencyAlert | Heartbeat
