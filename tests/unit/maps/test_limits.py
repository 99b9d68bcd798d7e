"""What one client may take: slow ones, silent ones, and those that ask for too much cost the others nothing."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

import maps.limits
import maps.web
from ioc.settings import load_settings
from maps.limits import REQUEST_MAX, Connections
from maps.live import Live
from maps.web import serve_wall
from tests import wallkit as kit


@asynccontextmanager
async def running() -> AsyncIterator[tuple[str, int, Live]]:
    """A wall on a free port: host, port, and what it shows."""
    shell = kit.small_shell()
    live, stop = Live(shell.page.tag), asyncio.Event()
    address: asyncio.Future[tuple[str, int]] = asyncio.get_running_loop().create_future()

    def on_listen(host: str, port: int) -> None:
        address.set_result((host, port))

    task = asyncio.create_task(serve_wall(load_settings(wall_port=0), shell, live, stop, on_listen))
    try:
        yield *(await asyncio.wait_for(address, 5)), live
    finally:
        stop.set()
        await asyncio.wait_for(task, 10)


async def ended(reader: asyncio.StreamReader, seconds: float) -> bytes:
    """What still comes until the server ends the connection; it must, within so many seconds."""
    try:
        return await asyncio.wait_for(reader.read(), seconds)
    except ConnectionError:
        return b""


async def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


async def test_who_connects_and_says_nothing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silent connections, and such as never end their header, are ended; a stream that is followed is not."""
    monkeypatch.setattr(maps.web, "Connections", lambda: Connections(0.6))
    async with running() as (host, port, live), aiohttp.ClientSession() as client:
        stream = await client.get(f"http://{host}:{port}/events")
        silent = [await asyncio.open_connection(host, port) for _ in range(50)]
        for number, (_, writer) in enumerate(silent):
            if number % 2:
                writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ")
        began = time.monotonic()
        async with client.get(f"http://{host}:{port}/") as answer:
            assert answer.status == 200, "the others are served meanwhile"
        for reader, writer in silent:
            await ended(reader, 5)
            writer.close()
        assert time.monotonic() - began < 5
        assert live.viewers == 1
        live.touch([])
        assert await asyncio.wait_for(stream.content.readline(), 2), "who follows stays"
        stream.close()


async def test_a_body_that_trickles_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """408, and the connection is over."""
    monkeypatch.setattr(maps.limits, "BODY_SECONDS", 0.3)
    async with running() as (host, port, _):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(
            b"POST /api/sign-in HTTP/1.1\r\nHost: x\r\nSec-Fetch-Site: same-origin\r\n"
            b'Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{"id"'
        )
        answer = await ended(reader, 5)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"too-slow" in answer
        writer.close()


@pytest.mark.parametrize("length", ["announced", "chunked"])
async def test_a_body_that_is_too_long_is_given_up(length: str) -> None:
    """413 in the words of the page, after little more than what is allowed, however much would come."""
    async with running() as (host, port, _):
        reader, writer = await asyncio.open_connection(host, port)
        framing = b"Transfer-Encoding: chunked" if length == "chunked" else b"Content-Length: 100000000"
        writer.write(
            b"POST /api/commands HTTP/1.1\r\nHost: x\r\nSec-Fetch-Site: same-origin\r\n"
            b"Content-Type: application/json\r\n" + framing + b"\r\n\r\n"
        )
        piece = b"x" * 8192
        for _ in range(2 * REQUEST_MAX // len(piece)):
            writer.write(b"2000\r\n" + piece + b"\r\n" if length == "chunked" else piece)
        answer = await ended(reader, 5)
        assert answer.startswith(b"HTTP/1.1 413 ")
        assert json.loads(answer.partition(b"\r\n\r\n")[2]) == {"error": "too-long"}
        writer.close()


@pytest.mark.parametrize(
    "request_line",
    [b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\n\r\n", b"GET / HTTP/1.1\r\nA: " + b"x" * 200_000],
)
async def test_a_header_that_is_too_long_is_refused(request_line: bytes) -> None:
    """A long address or header is an error of whoever sends it, and nothing is kept."""
    async with running() as (host, port, _):
        reader, writer = await asyncio.open_connection(host, port)
        writer.write(request_line)
        answer = await ended(reader, 5)
        assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.0 400 "))
        assert b"Traceback" not in answer
        writer.close()


async def test_there_is_room_for_so_many_viewers(monkeypatch: pytest.MonkeyPatch) -> None:
    """One more is told to come again, and can once another has left."""
    monkeypatch.setattr(maps.web, "VIEWERS_MAX", 3)
    async with running() as (host, port, live), aiohttp.ClientSession() as client:
        url = f"http://{host}:{port}/events"
        streams = [await client.get(url) for _ in range(3)]
        for stream in streams:
            await stream.content.readline()
        async with client.get(url) as answer:
            assert answer.status == 503
            assert answer.headers["Retry-After"]
        streams[0].close()
        await until(lambda: live.touch([]) or live.viewers < 3)
        async with client.get(url) as answer:
            assert answer.status == 200
        for stream in streams:
            stream.close()


@pytest.mark.long
async def test_a_viewer_that_reads_nothing_is_dropped_and_holds_no_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """While others follow, one that never reads is given up; what waits for it is bounded, however much changes."""
    monkeypatch.setattr(maps.web, "WRITE_SECONDS", 1.0)
    async with running() as (host, port, live), aiohttp.ClientSession() as client:
        deaf = socket.socket()
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(deaf, (host, port))
        await loop.sock_sendall(deaf, b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
        async with client.get(f"http://{host}:{port}/events") as stream:
            following = asyncio.create_task(_last_alert(stream))
            await until(lambda: live.viewers == 2)
            (slow,) = [one for one in live._viewers if one is not _newest(live)]
            began, waiting, number = time.monotonic(), 0, 0
            while live.viewers == 2:
                number += 1
                texts = {"vi": "x" * 50_000, "en": ""}
                live.picture.apply_alert(kit.alert_record("a1", sequence=number, title=texts), "a1")
                live.touch([])
                waiting = max(waiting, slow._queue.qsize())
                await asyncio.sleep(0.02)
                assert time.monotonic() - began < 20, "a viewer that reads nothing is still there"
            assert waiting <= maps.live.QUEUE_MAX
            live.picture.apply_alert(kit.alert_record("end"), "end")
            live.touch([])
            assert await asyncio.wait_for(following, 5) == "end", "the others miss nothing"
        deaf.close()


def _newest(live: Live) -> Any:
    # Of two viewers the one with an empty queue is the one that reads.
    return min(live._viewers, key=lambda one: one._queue.qsize())


async def _last_alert(stream: aiohttp.ClientResponse) -> str:
    """Reads until the alert `end` comes."""
    async for line in stream.content.iter_any():
        if b'"id":"end"' in line:
            return "end"
    return ""
