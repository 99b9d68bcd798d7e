"""POST /api/commands: an operator asks for a change of an alert.

The answer only says that the command stands in the log; what becomes of it comes with the stream of changes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated

import msgspec
from aiohttp import web
from msgspec import Meta, Struct

from alerts.commands import Action, Command, Opening, Words
from alerts.model import AwareTime, Severity, Text, Where
from alerts.rules.policy import SHELVE_LONGEST, Operator, may
from ioc.undecodable import UNDECODABLE
from maps.live import Live
from maps.picture import LOCAL
from maps.signin import answer, operator_of, refuse
from streams.commanding import NotSent, Sender, Unconfirmed, new_command_id
from streams.topics import Topics

#: Longest time that an alert is shelved for at once.
SHELVE_MAX_MINUTES = SHELVE_LONGEST["supervisor"] / timedelta(minutes=1)

#: Where a point lies at a time; None while no map is known.
Locate = Callable[[float, float, datetime], Where | None]


@dataclass(frozen=True)
class Desk:
    """What commands need beside the picture: a way into the log, and the map."""

    sender: Sender
    topics: Topics
    locate: Locate


DESK: web.AppKey[Desk] = web.AppKey("desk", Desk)
LIVE: web.AppKey[Live] = web.AppKey("live", Live)


class OpeningRequest(Struct, forbid_unknown_fields=True, kw_only=True):
    """An alert to open by hand, at a point."""

    hazard: Annotated[str, Meta(min_length=1, max_length=60)]
    title: Text
    severity: Severity
    lon: Annotated[float, Meta(ge=-180, le=180)]
    lat: Annotated[float, Meta(ge=-90, le=90)]


class CommandRequest(Struct, forbid_unknown_fields=True, kw_only=True):
    """The body of POST /api/commands."""

    action: Action
    alert: Annotated[str, Meta(max_length=100)] = ""
    #: The alert's sequence as the operator saw it.
    sequence: int | None = None
    #: shelve: until when, event time; or for so many minutes of event time from now.
    until: AwareTime | None = None
    minutes: Annotated[float, Meta(gt=0, le=SHELVE_MAX_MINUTES)] | None = None
    to: Annotated[str, Meta(max_length=100)] = ""
    text: Words = ""
    opening: OpeningRequest | None = None


class Unusable(Exception):
    """A request that makes no command: status and key of the answer."""

    def __init__(self, status: int, error: str) -> None:
        super().__init__(error)
        self.status, self.error = status, error


_decode_request = msgspec.json.Decoder(CommandRequest).decode


async def command(request: web.Request) -> web.Response:
    """Answers 202 with the command's id; 401 and 403 where the operator may not; 503 and 504 where the log fails."""
    operator = operator_of(request)
    if operator is None:
        return refuse(401, "not-signed-in")
    if operator.role == "viewer":
        return refuse(403, "not-allowed")
    try:
        asked = _decode_request(await request.read())
    except UNDECODABLE:
        return refuse(400, "not-understood")
    if not may(operator.role, asked.action):
        return refuse(403, "not-allowed")
    desk, live = request.app[DESK], request.app[LIVE]
    try:
        made, partition = _make(asked, operator, desk, live)
    except Unusable as error:
        return refuse(error.status, error.error)
    try:
        await desk.sender.send(made, partition)
    except NotSent:
        return refuse(503, "not-sent")
    except Unconfirmed:
        return refuse(504, "unconfirmed", id=made.id)
    return answer(202, id=made.id)


def _make(asked: CommandRequest, operator: Operator, desk: Desk, live: Live) -> tuple[Command, int]:
    """The command for a request and the partition that it goes to. Raises `Unusable`."""
    text = asked.text.strip()
    event_ms = live.picture.event_ms
    opening, until, partition = None, asked.until, 0
    if asked.action == "open":
        opening, partition = _opening(asked, desk, event_ms)
    else:
        found = live.picture.partition(asked.alert)
        if found is None:
            raise Unusable(404, "unknown-alert")
        partition = found
    match asked.action:
        case "shelve" if until is None:
            if asked.minutes is None:
                raise Unusable(400, "not-understood")
            if event_ms is None:
                raise Unusable(503, "no-time")
            until = datetime.fromtimestamp(event_ms / 1000, LOCAL) + timedelta(minutes=asked.minutes)
        case "comment" | "close" if not text:
            raise Unusable(400, "nothing-said")
        case "assign" | "release" if not asked.to:
            raise Unusable(400, "not-understood")
    if asked.action == "shelve" and until is not None and event_ms is not None:
        longest = SHELVE_LONGEST[operator.role] / timedelta(seconds=1)
        if until.timestamp() - event_ms / 1000 > longest:
            raise Unusable(403, "shelved-too-long")
    made = Command(
        id=new_command_id(),
        action=asked.action,
        operator=operator.id,
        issued=datetime.now(UTC),
        alert="" if opening else asked.alert,
        sequence=None if opening else asked.sequence,
        until=until if asked.action == "shelve" else None,
        to=asked.to,
        text=text,
        opening=opening,
    )
    return made, partition


def _opening(asked: CommandRequest, desk: Desk, event_ms: int | None) -> tuple[Opening, int]:
    wanted = asked.opening
    if wanted is None:
        raise Unusable(400, "not-understood")
    title = {language: words.strip() for language, words in wanted.title.items() if language in ("vi", "en")}
    if not any(title.values()) or any(len(words) > 200 for words in title.values()):
        raise Unusable(400, "nothing-said")
    if event_ms is None:
        raise Unusable(503, "no-time")
    where = desk.locate(wanted.lon, wanted.lat, datetime.fromtimestamp(event_ms / 1000, LOCAL))
    if where is None:
        raise Unusable(503, "no-map")
    opening = Opening(hazard=wanted.hazard, title=title, severity=wanted.severity, where=where)
    return opening, desk.topics.province_partition(where.province)
