"""Requests that come through a proxy: whose they are, said by proxies that are named, and by nobody else."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address

from aiohttp import web

from maps.exposure import networks

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Proxies:
    """The proxies before this wall; none: browsers come by themselves."""

    def __init__(self, texts: Sequence[str] = ()) -> None:
        """Raises `UserError` for what is neither address nor network."""
        self._networks: tuple[IPv4Network | IPv6Network, ...] = networks(texts, "IOC_WALL_PROXIES")

    def __bool__(self) -> bool:
        return bool(self._networks)

    def __contains__(self, address: object) -> bool:
        try:
            found = ip_address(str(address))
        except ValueError:
            return False
        found = getattr(found, "ipv4_mapped", None) or found
        return any(found in network for network in self._networks)

    def client(self, peer: str, forwarded: Sequence[str]) -> str:
        """Who asks, from X-Forwarded-For: the last that is no proxy. What stands before him he may have made up."""
        client = peer
        hops = [hop.strip() for header in forwarded for hop in header.split(",")]
        for hop in reversed(hops):
            try:
                client = str(ip_address(hop))
            except ValueError:
                break
            if client not in self:
                break
        return client


PROXIES: web.AppKey[Proxies] = web.AppKey("proxies", Proxies)


def peer_of(request: web.BaseRequest) -> str:
    """The address at the other end of the connection; empty where it is gone."""
    name = request.transport.get_extra_info("peername") if request.transport else None
    return str(name[0]) if name else ""


def is_secure(request: web.Request) -> bool:
    """Whether the browser speaks HTTPS, to us or to the proxy."""
    return request.secure or bool(request.app[PROXIES])


@web.middleware
async def through_proxies(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Behind proxies, take from them who asks for what; whoever comes past them gets nothing."""
    proxies = request.app[PROXIES]
    if not proxies:
        return await handler(request)
    peer = peer_of(request)
    if peer not in proxies:
        raise web.HTTPForbidden(text="ask the proxy before this server\n")
    client = proxies.client(peer, request.headers.getall("X-Forwarded-For", []))
    host = _last(request, "X-Forwarded-Host") or request.host
    scheme = "http" if _last(request, "X-Forwarded-Proto") == "http" else "https"
    return await handler(request.clone(remote=client, host=host, scheme=scheme))


def _last(request: web.Request, name: str) -> str:
    values = request.headers.getall(name, [])
    return values[-1].rpartition(",")[2].strip() if values else ""
