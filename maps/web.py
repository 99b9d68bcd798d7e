"""The wall's server: the page, its files, the boundaries, the stream of changes, operators' commands."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import msgspec
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from ioc.errors import UserError
from ioc.ports import port_taken
from ioc.settings import Settings
from maps.assets import Asset
from maps.commands import DESK, LIVE, Desk, command
from maps.exposure import require_guarded, server_context, wall_host
from maps.feeds import Feeds, add_feeds
from maps.history_web import Past, add_history
from maps.limits import (
    CONNECTIONS,
    IDLE_SECONDS,
    LINGER_SECONDS,
    REQUEST_MAX,
    VIEWERS_MAX,
    Connections,
    limit,
    watched,
)
from maps.live import Live
from maps.proxies import PROXIES, Proxies, through_proxies
from maps.sensors import source_view
from maps.session import Access
from maps.shell import Shell
from maps.signin import ACCESS, guard, may_see, me, operator_of, sign_in, sign_out

#: No inline code, nothing from elsewhere. Leaflet sets styles through the object model, which this allows.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
#: What every answer says, and what only a page needs: forty files of the first visit would say it for nothing.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
PAGE_HEADERS = {
    **HEADERS,
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
}
#: Seconds that one write to a viewer may take; a browser that reads nothing for so long is gone.
WRITE_SECONDS = 5.0
#: Seconds for requests that are open when the server ends; streams end first.
SHUTDOWN_SECONDS = 1.0

_log = logging.getLogger("aiohttp.server")
_SHELL: web.AppKey[Shell] = web.AppKey("shell", Shell)
_FOR_GOOD = "public, max-age=31536000, immutable"


@dataclass(frozen=True)
class Operating:
    """What operators need to act at the wall: it stays when the page is made anew for other boundaries."""

    access: Access
    desk: Desk


def wall_app(
    shell: Shell,
    live: Live,
    operating: Operating | None = None,
    feeds: Feeds | None = None,
    past: Past | None = None,
    proxies: Proxies | None = None,
) -> web.Application:
    """The application for a page and a picture; it pushes changes while it runs.

    Without `operating` it only shows; without `feeds` it has none for agencies; without `past` no history. With
    `proxies` it answers them alone.
    """
    app = web.Application(middlewares=[through_proxies, limit, guard], client_max_size=REQUEST_MAX)
    before = proxies or Proxies()
    app[_SHELL], app[LIVE], app[PROXIES] = shell, live, before
    app[CONNECTIONS] = Connections().exempting(before)
    app[ACCESS] = operating.access if operating else Access()
    if operating is not None:
        app[DESK] = operating.desk
    app.add_routes(
        [
            web.get("/", _page),
            web.get("/assets/{name:.+}", _asset),
            web.get("/licences", _licences),
            web.get("/boundaries.geojson", _boundaries),
            web.get("/events", _events),
            web.get("/api/snapshot", _snapshot),
            web.get("/api/source", _source),
            web.get("/api/alert", _alert),
            web.get("/api/me", me),
            web.post("/api/sign-in", sign_in),
            web.post("/api/sign-out", sign_out),
            web.post("/api/commands", command),
        ]
    )
    if feeds is not None:
        add_feeds(app, feeds)
    if past is not None:
        add_history(app, past, live)
    app.on_response_prepare.append(_secure)
    app.cleanup_ctx.append(_pushing)
    app.on_shutdown.append(_end_streams)
    return app


async def _secure(request: web.Request, response: web.StreamResponse) -> None:
    # What a 304 says takes the place of what the browser has kept, and that may be a page.
    page = response.content_type == "text/html" or response.status == 304
    response.headers.update(PAGE_HEADERS if page else HEADERS)
    response.headers.pop("Server", None)


async def _pushing(app: web.Application) -> AsyncIterator[None]:
    task = asyncio.create_task(app[LIVE].run())
    yield
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def _end_streams(app: web.Application) -> None:
    # Before the connections are closed: an open stream would hold the server for as long as it is given.
    app[LIVE].close()


def _serve(request: web.Request, asset: Asset) -> web.Response:
    versioned = request.query.get("v") == asset.tag
    headers = {
        "Cache-Control": _FOR_GOOD if versioned else "no-cache",
        "ETag": f'"{asset.tag}"',
        "Vary": "Accept-Encoding",
    }
    if any(tag.value == asset.tag for tag in request.if_none_match or ()):
        return web.Response(status=304, headers=headers)
    body = asset.body
    if asset.gzipped is not None and "gzip" in request.headers.get("Accept-Encoding", ""):
        body = asset.gzipped
        headers["Content-Encoding"] = "gzip"
    return web.Response(body=body, headers={"Content-Type": asset.kind, **headers})


async def _page(request: web.Request) -> web.Response:
    return _serve(request, request.app[_SHELL].page)


async def _licences(request: web.Request) -> web.Response:
    return _serve(request, request.app[_SHELL].licences)


async def _boundaries(request: web.Request) -> web.Response:
    return _serve(request, request.app[_SHELL].boundaries)


async def _asset(request: web.Request) -> web.Response:
    asset = request.app[_SHELL].assets.get(request.match_info["name"])
    if asset is None:
        raise web.HTTPNotFound
    return _serve(request, asset)


def _json(body: bytes) -> web.Response:
    return web.Response(body=body, content_type="application/json", headers={"Cache-Control": "no-store"})


async def _snapshot(request: web.Request) -> web.Response:
    return _json(request.app[LIVE].snapshot())


async def _source(request: web.Request) -> web.Response:
    sensor = request.app[LIVE].picture.sensor(request.query.get("id", ""))
    if sensor is None:
        raise web.HTTPNotFound
    return _json(msgspec.json.encode(source_view(sensor)))


async def _alert(request: web.Request) -> web.Response:
    picture, id_ = request.app[LIVE].picture, request.query.get("id", "")
    alert = picture.alert(id_)
    if alert is None:
        raise web.HTTPNotFound
    # The page asks again with each change: that keeps no session alive.
    if operator_of(request, used=False) is not None:
        alert["said"] = picture.comments(id_)
    return _json(msgspec.json.encode(alert))


async def _events(request: web.Request) -> web.StreamResponse:
    live = request.app[LIVE]
    if live.viewers >= VIEWERS_MAX:
        raise web.HTTPServiceUnavailable(headers={"Retry-After": "5"})
    response = web.StreamResponse(
        headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    )
    await response.prepare(request)
    viewer = live.join()
    try:
        await response.write(b"retry: 1000\n\n")
        while (message := await viewer.take()) is not None:
            if not may_see(request):
                break  # signed out, or removed, since it began
            async with asyncio.timeout(WRITE_SECONDS):
                await response.write(message)
    except (TimeoutError, ConnectionError):
        # Nobody reads. An orderly end would wait for the same reader.
        if request.transport is not None:
            request.transport.abort()
    finally:
        live.leave(viewer)
    return response


def _is_ours(record: logging.LogRecord) -> bool:
    """Whether an error of the server is its own. What is no HTTP is answered, and would fill the log with traces."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


def say_address(host: str, port: int, scheme: str = "http") -> None:
    """Print where the wall is, for people and for programs that start it."""
    sys.stdout.write(f"wall: {scheme}://{f'[{host}]' if ':' in host else host}:{port}/\n")
    sys.stdout.flush()


async def serve_wall(
    settings: Settings,
    shell: Shell,
    live: Live,
    stop: asyncio.Event,
    on_listen: Callable[[str, int], None] = say_address,
    operating: Operating | None = None,
    feeds: Feeds | None = None,
    past: Past | None = None,
) -> None:
    """Serve until `stop` is set; `on_listen` gets the address once it answers. The rest as for `wall_app`.

    Raises `UserError` where the port is taken, the address is not of this machine, or others could reach a wall that
    asks for nothing.
    """
    require_guarded(settings, operating is not None and operating.access.possible)
    tls, host = server_context(settings.wall_tls_file), wall_host(settings)
    app = wall_app(shell, live, operating, feeds, past, Proxies(settings.wall_proxies))
    runner = web.AppRunner(
        app,
        access_log=None,
        keepalive_timeout=IDLE_SECONDS,
        lingering_time=LINGER_SECONDS,
        shutdown_timeout=SHUTDOWN_SECONDS,
        handle_signals=False,
    )
    _log.addFilter(_is_ours)
    await runner.setup()
    try:
        try:
            site = web.TCPSite(runner, host, settings.wall_port, ssl_context=tls)
            await site.start()
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise port_taken(settings.wall_port, "IOC_WALL_PORT", "the wall") from None
            raise UserError(
                f"cannot listen on {host}:{settings.wall_port}",
                str(error),
                "set IOC_WALL_HOST or IOC_HOST to an address of this machine",
            ) from None
        host, port = runner.addresses[0][:2]
        on_listen(host, port)
        async with watched(app[CONNECTIONS], runner.server):
            await stop.wait()
    finally:
        await runner.cleanup()
