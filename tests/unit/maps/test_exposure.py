"""A wall that others reach: HTTPS, proxies, signing in to see, and what one address may take. Over real sockets."""

from __future__ import annotations

import asyncio
import http.cookies
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest

import maps.web
from ioc.errors import UserError
from ioc.operators import OperatorsFile, write_operators
from ioc.settings import load_settings
from maps import limits
from maps.exposure import is_loopback, require_guarded
from maps.limits import Connections
from maps.live import Live
from maps.proxies import Proxies
from maps.session import FREE_OF_ADDRESS
from maps.web import Operating, serve_wall
from tests import wallkit as kit
from tests.certificates import Authority

#: Addresses of this machine that are neither its own nor a proxy's.
BROWSER, PROXY = "127.0.0.5", "127.0.0.7"


@asynccontextmanager
async def running(
    operators: OperatorsFile | None, **choices: Any
) -> AsyncIterator[tuple[str, Live, Operating]]:
    """A wall on a free port of loopback with these settings: its `127.0.0.1:PORT`, what it shows, its sessions."""
    settings = load_settings(wall_port=0, host="127.0.0.1", **choices)
    shell = kit.small_shell()
    live, stop = Live(shell.page.tag), asyncio.Event()
    live.picture.apply_alert(kit.alert_record("a1", sequence=4), "a1", 1)
    its = kit.operating(operators, kit.Outbox(), settings.wall_sign_in == "to-see")
    listening: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def on_listen(host: str, port: int) -> None:
        listening.set_result(f"{host}:{port}")

    task = asyncio.create_task(serve_wall(settings, shell, live, stop, on_listen, its))
    waiting = asyncio.ensure_future(listening)
    try:
        await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED, timeout=5)
        if task.done():
            task.result()
        yield waiting.result(), live, its
    finally:
        stop.set()
        await asyncio.wait({task}, timeout=5)


def client(address: str = "127.0.0.1", **more: Any) -> aiohttp.ClientSession:
    """A browser at another address of this machine."""
    connector = aiohttp.TCPConnector(local_addr=(address, 0), force_close=True)
    return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.CookieJar(unsafe=True), **more)


async def sign_in(
    browser: aiohttp.ClientSession, url: str, id: str, password: str = kit.PASSWORD, **headers: str
) -> aiohttp.ClientResponse:
    body = {"id": id, "password": password}
    given = {"Sec-Fetch-Site": "same-origin", **headers}
    async with browser.post(f"{url}/api/sign-in", json=body, headers=given) as answer:
        await answer.read()
        return answer


# Where it may listen


@pytest.mark.parametrize(
    ("host", "alone"),
    [("127.0.0.1", True), ("127.0.0.9", True), ("::1", True), ("localhost", True),
     ("0.0.0.0", False), ("::", False), ("10.0.0.5", False), ("wall.example", False)],
)  # fmt: skip
def test_which_addresses_only_this_machine_reaches(host: str, alone: bool) -> None:
    """All of loopback; a name that is none is taken for one that others reach."""
    assert is_loopback(host) is alone


GUARDED = {"wall_host": "0.0.0.0", "wall_tls_file": Path("x.pem"), "wall_sign_in": "to-see"}


@pytest.mark.parametrize(
    ("change", "operators", "said"),
    [
        ({"wall_tls_file": None}, True, "IOC_WALL_TLS_FILE"),
        ({"wall_sign_in": "to-act"}, True, "IOC_WALL_SIGN_IN=to-see"),
        ({"wall_sign_in": "to-act"}, False, "IOC_OPERATORS_FILE"),
        ({}, False, "nobody could see"),
        ({"wall_host": "", "host": "0.0.0.0", "wall_tls_file": None}, True, "IOC_HOST=0.0.0.0"),
    ],
)
def test_beyond_this_machine_each_guard_is_asked_for(
    change: dict[str, Any], operators: bool, said: str
) -> None:
    """What is missing is named with its setting; with all of it the wall listens."""
    require_guarded(load_settings(**GUARDED), True)
    with pytest.raises(UserError) as raised:
        require_guarded(load_settings(**{**GUARDED, **change}), operators)
    assert said in str(raised.value)


def test_loopback_a_proxy_and_a_closed_network_need_no_certificate() -> None:
    """On this machine, behind named proxies, and where somebody has said that nobody else is near."""
    require_guarded(load_settings(host="127.0.0.1"), False)
    require_guarded(load_settings(**{**GUARDED, "wall_tls_file": None, "wall_proxies": ["10.0.0.7"]}), True)
    require_guarded(load_settings(host="0.0.0.0", wall_reach="anybody"), False)


async def test_an_unguarded_wall_does_not_listen() -> None:
    """Not only said: the socket is not opened."""
    with pytest.raises(UserError, match="does not listen beyond this machine"):
        async with running(None, wall_host="0.0.0.0"):
            pass


# HTTPS


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
async def test_it_speaks_https_with_a_certificate_of_its_own(tmp_path: Path) -> None:
    """TLS 1.2 or later, the cookie for HTTPS alone; who speaks in the clear gets nothing."""
    authority = Authority(tmp_path)
    async with running(kit.operators_file(tmp_path), wall_tls_file=authority.server("wall")) as (where, *_):
        context = ssl.create_default_context(cafile=str(authority.file))
        async with client() as browser:
            async with browser.get(f"https://{where}/", ssl=context) as answer:
                assert answer.status == 200
            body, headers = {"id": "operator", "password": kit.PASSWORD}, {"Origin": f"https://{where}"}
            async with browser.post(
                f"https://{where}/api/sign-in", json=body, headers=headers, ssl=context
            ) as answer:
                assert answer.status == 200
                [cookie] = http.cookies.SimpleCookie(answer.headers["Set-Cookie"]).values()
                assert cookie["secure"]
            with pytest.raises(aiohttp.ClientError):
                await browser.get(f"http://{where}/")
            old = ssl.create_default_context(cafile=str(authority.file))
            old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
            with pytest.raises(aiohttp.ClientError):
                await browser.get(f"https://{where}/", ssl=old)


async def test_a_certificate_that_is_none_is_named(tmp_path: Path) -> None:
    """The file and the setting are named, nothing of its content."""
    file = tmp_path / "wall.pem"
    file.write_text("-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n")
    with pytest.raises(UserError, match="IOC_WALL_TLS_FILE") as raised:
        async with running(None, wall_tls_file=file):
            pass
    assert "c2VjcmV0" not in str(raised.value)


# Behind a proxy


async def test_behind_a_proxy_it_answers_the_proxy_alone(tmp_path: Path) -> None:
    """Whoever comes past the proxy gets nothing, whatever headers he brings; the cookie is for HTTPS."""
    operators = kit.operators_file(tmp_path)
    async with running(operators, wall_proxies=[PROXY]) as (where, *_):
        url = f"http://{where}"
        forwarded = {
            "X-Forwarded-For": "203.0.113.5",
            "X-Forwarded-Proto": "https",
            "X-Forwarded-Host": "wall.example",
            "Origin": "https://wall.example",
        }
        async with client(BROWSER) as browser:
            for path in ("/", "/api/snapshot", "/events"):
                async with browser.get(url + path, headers=forwarded) as answer:
                    assert answer.status == 403, path
            assert (await sign_in(browser, url, "operator", **forwarded)).status == 403
        async with client(PROXY) as browser:
            answer = await sign_in(browser, url, "operator", **forwarded)
            assert answer.status == 200
            [cookie] = http.cookies.SimpleCookie(answer.headers["Set-Cookie"]).values()
            assert cookie["secure"]
            other = {**forwarded, "Origin": "https://elsewhere.example"}
            assert (await sign_in(browser, url, "operator", **other)).status == 403


async def test_without_proxies_nobody_is_believed(tmp_path: Path) -> None:
    """X-Forwarded headers of a browser change nothing: neither the host that its page comes from nor where it is."""
    async with running(kit.operators_file(tmp_path)) as (where, *_), client(BROWSER) as browser:
        url = f"http://{where}"
        lies = {
            "X-Forwarded-Host": "evil.example",
            "Origin": "https://evil.example",
            "X-Forwarded-Proto": "https",
        }
        assert (await sign_in(browser, url, "operator", **lies)).status == 403
        seen = set()
        for number in range(FREE_OF_ADDRESS + 1):
            lie = {"X-Forwarded-For": f"203.0.113.{number}"}
            seen.add((await sign_in(browser, url, f"nobody-{number}", "wrong password", **lie)).status)
        assert seen == {401, 429}, "a new address for each guess does not help"


@pytest.mark.parametrize(
    ("forwarded", "client_"),
    [
        (["203.0.113.5"], "203.0.113.5"),
        (["1.2.3.4, 203.0.113.5"], "203.0.113.5"),
        (["1.2.3.4", "203.0.113.5, 10.1.2.3"], "203.0.113.5"),
        (["1.2.3.4, nonsense"], "10.0.0.7"),
        ([], "10.0.0.7"),
        (["10.1.2.3, 10.1.2.4"], "10.1.2.3"),
    ],
)
def test_who_asks_is_the_last_that_no_proxy_made_up(forwarded: list[str], client_: str) -> None:
    """What a browser puts in front of the header counts for nothing."""
    assert Proxies(["10.0.0.7", "10.1.0.0/16"]).client("10.0.0.7", forwarded) == client_


def test_a_proxy_that_is_no_address_is_refused() -> None:
    """A name is no address: what it leads to may change."""
    with pytest.raises(UserError, match="IOC_WALL_PROXIES"):
        Proxies(["proxy.example"])


# Signing in to see


async def test_who_is_not_signed_in_sees_nothing(tmp_path: Path) -> None:
    """Neither picture nor stream, past nor feeds; the page itself, with nothing in it, and the way in."""
    async with (
        running(kit.operators_file(tmp_path), wall_sign_in="to-see") as (where, *_),
        client() as browser,
    ):
        url = f"http://{where}"
        hidden = ("/events", "/api/snapshot", "/api/alert?id=a1", "/api/source?id=s", "/api/history",
                  "/api/history/at?to=1", "/agencies/fire/feed.atom", "/nothing")  # fmt: skip
        for path in hidden:
            async with browser.get(url + path) as answer:
                assert answer.status == 401, path
                assert await answer.json() == {"error": "not-signed-in"}
        for path in ("/", "/licences", "/boundaries.geojson", "/assets/wall.js"):
            async with browser.get(url + path) as answer:
                assert answer.status == 200, path
                assert b"gauge-1" not in await answer.read()
        async with browser.get(url + "/api/me") as answer:
            assert await answer.json() == {"sign_in": True, "to_see": True, "operator": None}
        assert (await sign_in(browser, url, "viewer")).status == 200
        async with browser.get(url + "/api/snapshot") as answer:
            assert [alert["id"] for alert in (await answer.json())["alerts"]] == ["a1"]


async def test_a_stream_ends_with_its_session(tmp_path: Path) -> None:
    """Whoever signs out, or is removed, is told nothing more."""
    operators = tmp_path / "operators.yaml"
    async with running(kit.operators_file(tmp_path), wall_sign_in="to-see") as (where, live, _):
        async with client() as browser:
            await sign_in(browser, f"http://{where}", "viewer")
            async with browser.get(f"http://{where}/events") as stream:
                assert await asyncio.wait_for(stream.content.readline(), 5)
                operators.unlink()
                write_operators(operators, [])
                began = time.monotonic()
                rest = await asyncio.wait_for(stream.content.read(), 5)
                assert time.monotonic() - began < 4
                assert rest.count(b"event: beat") <= 2
        assert live.viewers == 0


# What one address may take


async def test_who_guesses_must_wait_wherever_he_guesses(tmp_path: Path) -> None:
    """One address that tries many ids is held up, another is not; a right password among them does not clear it."""
    async with running(kit.operators_file(tmp_path)) as (where, *_):
        url = f"http://{where}"
        async with client(BROWSER) as guesser, client() as other:
            for number in range(FREE_OF_ADDRESS):
                assert (await sign_in(guesser, url, f"nobody-{number}", "wrong password")).status == 401
                if number == FREE_OF_ADDRESS - 2:
                    assert (await sign_in(guesser, url, "viewer")).status == 200
            answer = await sign_in(guesser, url, "operator")
            assert answer.status == 429
            assert 0 < int(answer.headers["Retry-After"]) <= 30
            assert (await sign_in(other, url, "operator")).status == 200


async def test_one_address_has_only_so_many_connections(monkeypatch: pytest.MonkeyPatch) -> None:
    """The newest beyond them are cut off; who was there before stays, and so does everybody else."""
    monkeypatch.setattr(maps.web, "Connections", lambda: Connections(60.0, 20))
    monkeypatch.setattr(limits.Connections.watch, "__defaults__", (0.1,))
    async with running(None) as (where, live, _):
        host, _, port = where.partition(":")

        async def connect(address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
            reader, writer = await asyncio.open_connection(host, int(port), local_addr=(address, 0))
            writer.write(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
            await asyncio.wait_for(reader.readline(), 5)
            return reader, writer

        first = [await connect(BROWSER) for _ in range(20)]
        others = [await connect("127.0.0.6") for _ in range(5)]
        assert live.viewers == 25
        await asyncio.sleep(0.3)  # they were seen
        many = [await asyncio.open_connection(host, int(port), local_addr=(BROWSER, 0)) for _ in range(40)]
        for reader, _ in many:
            with suppress(ConnectionError):
                assert await asyncio.wait_for(reader.read(), 5) == b"", "the newest are cut off"
        assert live.viewers == 25
        live.picture.apply_alert(kit.alert_record("after"), "after")
        live.touch([])
        for reader, _ in (*first, *others):
            assert await asyncio.wait_for(reader.readuntil(b'"id":"after"'), 5), "who was there before stays"
        for _, writer in (*first, *others, *many):
            writer.close()


@pytest.mark.long
async def test_a_second_request_that_trickles_is_ended_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that has made one request and then sends a header byte by byte is cut off like an idle one."""
    monkeypatch.setattr(maps.web, "IDLE_SECONDS", 1.0)
    async with running(None) as (where, *_):
        host, _, port = where.partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /api/me HTTP/1.1\r\nHost: x\r\n\r\n")
        await asyncio.wait_for(reader.readuntil(b"}"), 5)

        async def trickle() -> None:
            for sign in b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: " + b"x" * 1000:
                writer.write(bytes([sign]))
                await asyncio.sleep(0.1)

        slow = asyncio.create_task(trickle())
        began = time.monotonic()
        with suppress(ConnectionError):
            await asyncio.wait_for(reader.read(), 8)
        assert time.monotonic() - began < 6
        slow.cancel()
        await asyncio.wait({slow})
        writer.close()
