"""The history over HTTP.

    GET /api/history?from=MS&to=MS    the minutes in short: `History.timeline`; without times all that there are
    GET /api/history/at?t=MS          the whole picture at a time, as the page gets the present one

Times are ms of event time since 1970. 404 where there is nothing for that time, 503 where the log does not answer.
"""

from __future__ import annotations

import gzip
from typing import Protocol

import msgspec
from aiohttp import web
from aiokafka.errors import KafkaError

from maps.history import History, past_picture
from maps.live import Live

#: No time has more digits.
_DIGITS_MAX = 15


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

    async def at(request: web.Request) -> web.Response:
        time_ms = _time(request, "t")
        moment = None if time_ms is None else past.history.at(time_ms)
        if moment is None:
            raise web.HTTPNotFound
        try:
            located = await past.located(moment.appended_ms)
        except (KafkaError, OSError, TimeoutError):
            raise web.HTTPServiceUnavailable from None
        content = live.past(past_picture(moment, located))
        content["unnamed"] = sum(frame.unnamed for frame in moment.frames)
        return _answer(request, msgspec.json.encode(content))

    app.add_routes([web.get("/api/history", timeline), web.get("/api/history/at", at)])


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
