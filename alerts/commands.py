"""What operators ask for, and what became of it: records of ioc.signals and ioc.audit."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from alerts.model import AwareTime, Severity, Text, Where

Action = Literal["acknowledge", "assign", "shelve", "unshelve", "comment", "close", "open", "release"]

#: An operator's text is shown as text, never as markup.
Words = Annotated[str, Meta(max_length=1000)]


class Opening(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an operator says of an alert that he opens by hand, after a telephone call for example."""

    hazard: Annotated[str, Meta(min_length=1, max_length=60)]
    title: Text
    severity: Severity
    where: Where


class Command(Struct, frozen=True, kw_only=True, omit_defaults=True, tag_field="kind", tag="command"):
    """An operator asks for a change of one alert. Keyed by province in ioc.signals."""

    #: Made by whoever sends it: the same command sent twice is done once.
    id: Annotated[str, Meta(min_length=1, max_length=100)]
    action: Action
    #: Who asks, as the server that he signed in to says.
    operator: str
    #: When he asked, by the server's clock: for the audit. It decides nothing.
    issued: AwareTime
    #: Event time from which it holds; None, or a time that has passed: from where it stands in the log.
    time: AwareTime | None = None
    #: The alert, and its sequence as the operator saw it; not for `open`.
    alert: str = ""
    sequence: int | None = None
    #: shelve: until when, in event time.
    until: AwareTime | None = None
    #: assign: the operator; release: the agency.
    to: str = ""
    #: comment and close: what he says.
    text: Words = ""
    opening: Opening | None = None


#: Why a command was refused.
Refusal = Literal[
    "unknown-operator", "not-allowed", "unknown-alert", "stale", "not-open", "already-so", "not-shelved",
    "shelved", "shelved-too-long", "not-awaiting", "unknown-assignee", "until-is-past", "nothing-said",
    "nothing-opened",
]  # fmt: skip


class CommandOutcome(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of a command: the record of ioc.audit."""

    command: Command
    outcome: Literal["done", "refused"]
    #: None where it was done.
    reason: Refusal | None = None
    #: The alert and its sequence after it; the alert's present sequence where it was refused as stale.
    alert: str = ""
    sequence: int | None = None
    #: Event time at which it was judged; None where no time was known yet.
    time: AwareTime | None = None
