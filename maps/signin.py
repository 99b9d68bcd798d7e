"""Signing in and out over HTTP, and what every request that changes something must show first."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import msgspec
from aiohttp import web
from msgspec import Struct

from alerts.rules.policy import Operator
from ioc.undecodable import UNDECODABLE
from maps.proxies import is_secure
from maps.screens import PASS_SECONDS
from maps.session import Access, TooManyAttempts, WrongPassword

log = logging.getLogger(__name__)

ACCESS: web.AppKey[Access] = web.AppKey("access", Access)

_SAFE = ("GET", "HEAD", "OPTIONS")
#: What everybody gets, so that he can sign in: the page without anything in it.
_PAGES = ("/", "/licences", "/boundaries.geojson", "/api/me", "/api/sign-in", "/api/sign-out")

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class SignInRequest(Struct, forbid_unknown_fields=True):
    """The body of POST /api/sign-in."""

    id: str
    password: str


_decode_sign_in = msgspec.json.Decoder(SignInRequest).decode


def answer(status: int, **content: Any) -> web.Response:
    """An answer in JSON that nobody keeps."""
    return web.Response(
        status=status,
        body=msgspec.json.encode(content),
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )


def refuse(status: int, error: str, **content: Any) -> web.Response:
    """An answer that says by a key why nothing was done; the page has the words for it."""
    return answer(status, error=error, **content)


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Whatever changes something comes from a page of this server, as JSON: no form of another site can send that."""
    if request.method not in _SAFE:
        if not _is_own(request):
            return refuse(403, "cross-origin")
        if request.content_type != "application/json":
            return refuse(415, "not-json")
    if not (request.path in _PAGES or request.path.startswith("/assets/") or may_see(request)):
        return refuse(401, "not-signed-in")
    return await handler(request)


def _is_own(request: web.Request) -> bool:
    """Whether a browser says that a page of this server sends the request. One that says nothing is not believed."""
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get("Origin")
    if site is None and origin is None:
        return False
    if site is not None and site != "same-origin":
        return False
    try:
        return origin is None or urlsplit(origin).netloc == request.host
    except ValueError:  # no address at all
        return False


def token_of(request: web.Request) -> str:
    """The session's token that the browser sends; empty where it sends none."""
    return request.cookies.get(_cookie(request), "")


def operator_of(request: web.Request, *, used: bool = True) -> Operator | None:
    """Who is signed in. Counts as use of the session, unless `used` says that the page asked by itself."""
    return request.app[ACCESS].operator(token_of(request), used=used)


def may_see(request: web.Request) -> bool:
    """Whether what the wall shows is for whoever asks. Counts as no use of the session: pages ask by themselves."""
    return not request.app[ACCESS].to_see or operator_of(request, used=False) is not None


def _cookie(request: web.Request) -> str:
    # Cookies are shared by all ports of a host: the walls of a live system and of a replay keep theirs apart.
    address = request.transport.get_extra_info("sockname") if request.transport else None
    return f"ioc_session_{address[1]}" if address else "ioc_session"


async def sign_in(request: web.Request) -> web.Response:
    """POST /api/sign-in: id and password in, a cookie out."""
    access = request.app[ACCESS]
    if not access.possible:
        return refuse(403, "sign-in-off")
    try:
        asked = _decode_sign_in(await request.read())
    except UNDECODABLE:
        return refuse(400, "not-understood")
    try:
        token, operator = await access.sign_in(asked.id, asked.password, request.remote or "")
    except WrongPassword:
        return refuse(401, "wrong-password")
    except TooManyAttempts as error:
        response = refuse(429, "too-many-attempts", seconds=error.seconds)
        response.headers["Retry-After"] = str(error.seconds)
        return response
    access.sign_out(token_of(request))
    log.info("%s signed in from %s", operator.id, request.remote)
    response = answer(200, **_me(access, operator))
    response.set_cookie(
        _cookie(request),
        token,
        path="/",
        httponly=True,
        samesite="Strict",
        secure=is_secure(request),
        # A screen's browser may be started again; an operator's forgets him with its end.
        max_age=int(PASS_SECONDS) if operator.role == "viewer" else None,
    )
    return response


async def sign_out(request: web.Request) -> web.Response:
    """POST /api/sign-out: ends the session, if there is one."""
    access = request.app[ACCESS]
    access.sign_out(token_of(request))
    response = answer(200, **_me(access, None))
    response.del_cookie(
        _cookie(request), path="/", httponly=True, samesite="Strict", secure=is_secure(request)
    )
    return response


async def me(request: web.Request) -> web.Response:
    """GET /api/me: whether one can sign in here, and who has."""
    return answer(200, **_me(request.app[ACCESS], operator_of(request)))


def _me(access: Access, operator: Operator | None) -> dict[str, Any]:
    return {"sign_in": access.possible, "to_see": access.to_see, "operator": operator}
