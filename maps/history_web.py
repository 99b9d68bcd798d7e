"""The history over HTTP.

    GET /api/history?from=MS&to=MS    the minutes in short: `History.timeline`; without times all that there are
    GET /api/history/at?t=MS          the whole picture at a time, as the page gets the present one
    GET /api/history/alert?t=MS&id=   an alert as it stood then, with what it rested on
    GET /api/history/source?t=MS&id=  a source with what it had last said by then

Times are ms of event time since 1970. 404 where there is nothing for that time, 503 where the log does not answer.
"""

from __future__ import annotations

import gzip
from typing import Protocol

import msgspec
from aiohttp import web
from aiokafka.errors import KafkaError

from maps.history import History, Moment, past_picture
from maps.live import Live
from maps.picture import Picture
from maps.sensors import source_view

#: No time has more digits.
_DIGITS_MAX = 15
#: Pictures of the past that are kept for whoever asks for details: those that were looked at last.
KEPT = 8


class Past(Protocol):
    """Where the past is read from."""

    @property
    def history(self) -> History: ...

    async def located(self, appended_ms: int) -> list[bytes]:
        """The last events that were located before a moment of the broker's clock."""


def add_history(app: web.Application, past: Past, live: Live) -> None:
    """Let the application answer about the past."""

    async def timeline(request: web.Request) -> web.Response:
        since, until = _time(request, "from"), _time(request, "to")
        return _answer(request, msgspec.json.encode(past.history.timeline(since, until)))

    #: By the moment's time and by how far the log was read for it; the one that was looked at last at the end.
    looked_at: dict[tuple[int, int], Picture] = {}

    async def look(request: web.Request) -> tuple[Moment, Picture]:
        time_ms = _time(request, "t")
        moment = None if time_ms is None else past.history.at(time_ms)
        if moment is None:
            raise web.HTTPNotFound
        key = (moment.time_ms, moment.appended_ms)
        picture = looked_at.pop(key, None)
        if picture is None:
            try:
                located = await past.located(moment.appended_ms)
            except (KafkaError, OSError, TimeoutError):
                raise web.HTTPServiceUnavailable from None
            picture = past_picture(moment, located)
        looked_at[key] = picture
        if len(looked_at) > KEPT:
            del looked_at[next(iter(looked_at))]
        return moment, picture

    async def at(request: web.Request) -> web.Response:
        moment, picture = await look(request)
        content = live.past(picture)
        frames = moment.frames
        content["unnamed"] = sum(frame.unnamed for frame in frames)
        content["stats"] |= {
            "alarms_10m": sum(frame.alarms_10m for frame in frames),
            "alarms_1h": sum(frame.alarms_1h for frame in frames),
            "alarms_about": False,
        }
        return _answer(request, msgspec.json.encode(content))

    async def alert(request: web.Request) -> web.Response:
        _, picture = await look(request)
        found = picture.alert(request.query.get("id", ""))
        if found is None:
            raise web.HTTPNotFound
        return _answer(request, msgspec.json.encode(found))

    async def source(request: web.Request) -> web.Response:
        _, picture = await look(request)
        found = picture.sensor(request.query.get("id", ""))
        if found is None:
            raise web.HTTPNotFound
        return _answer(request, msgspec.json.encode(source_view(found)))

    app.add_routes(
        [
            web.get("/api/history", timeline),
            web.get("/api/history/at", at),
            web.get("/api/history/alert", alert),
            web.get("/api/history/source", source),
        ]
    )


def _time(request: web.Request, name: str) -> int | None:
    text = request.query.get(name)
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= _DIGITS_MAX):
        raise web.HTTPBadRequest
    return int(text)


def _answer(request: web.Request, body: bytes) -> web.Response:
    headers = {"Cache-Control": "no-store", "Vary": "Accept-Encoding"}
    if "gzip" in request.headers.get("Accept-Encoding", ""):
        body, headers["Content-Encoding"] = gzip.compress(body, 3), "gzip"
    return web.Response(body=body, content_type="application/json", headers=headers)
