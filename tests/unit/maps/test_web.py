"""The wall's server on a free port: headers, caching, streams, slow viewers, an end in time."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from ioc.errors import UserError
from ioc.settings import load_settings
from maps.live import QUEUE_MAX, Live
from maps.web import serve_wall
from tests import wallkit as kit

Wall = tuple[str, Live, asyncio.Event, "asyncio.Task[None]"]


@asynccontextmanager
async def running() -> AsyncIterator[Wall]:
    shell = kit.small_shell()
    live, stop = Live(shell.page.tag), asyncio.Event()
    address: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def on_listen(host: str, port: int) -> None:
        address.set_result(f"http://{host}:{port}")

    task = asyncio.create_task(serve_wall(load_settings(wall_port=0), shell, live, stop, on_listen))
    try:
        yield await asyncio.wait_for(address, 5), live, stop, task
    finally:
        stop.set()
        await asyncio.wait_for(task, 5)


async def next_event(stream: aiohttp.StreamReader) -> tuple[str, Any]:
    """The next server-sent event: its name and its data."""
    name = ""
    while line := (await asyncio.wait_for(stream.readline(), 5)).decode().rstrip("\n"):
        if line.startswith("event: "):
            name = line[7:]
        elif line.startswith("data: "):
            return name, json.loads(line[6:])
    return (await next_event(stream)) if not stream.at_eof() else ("", None)


async def event_called(stream: aiohttp.StreamReader, wanted: str) -> Any:
    while True:
        name, data = await next_event(stream)
        if name == wanted:
            return data
        assert name, f"the stream ended before {wanted}"


async def test_every_answer_is_locked_down() -> None:
    """No inline script or style may run, no other host may be asked, and nobody learns our versions."""
    async with running() as (url, *_), aiohttp.ClientSession() as client:
        answers = (
            ("/", 200), ("/licences", 200), ("/assets/wall.js", 200), ("/api/snapshot", 200), ("/nothing", 404),
        )  # fmt: skip
        for path, status in answers:
            async with client.get(url + path) as answer:
                assert answer.status == status
                policy = dict(
                    part.split(maxsplit=1) for part in answer.headers["Content-Security-Policy"].split("; ")
                )
                assert policy["default-src"] == "'none'"
                assert policy["frame-ancestors"] == "'none'"
                if path in ("/", "/licences"):
                    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
                    assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
                else:
                    assert set(policy) == {"default-src", "frame-ancestors"}, (
                        "what is no page may load nothing"
                    )
                assert "unsafe" not in str(policy)
                assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
                assert answer.headers["X-Content-Type-Options"] == "nosniff"
                assert answer.headers["Referrer-Policy"] == "no-referrer"
                assert "Server" not in answer.headers


async def test_a_page_that_is_still_the_same_keeps_its_policy() -> None:
    """A browser puts the headers of a 304 in the place of those it kept: a page must not lose its scripts."""
    async with running() as (url, *_), aiohttp.ClientSession() as client:
        for path in ("/", "/licences"):
            async with client.get(url + path) as first:
                tag = first.headers["ETag"]
            async with client.get(url + path, headers={"If-None-Match": tag}) as again:
                assert again.status == 304
                for name in ("Content-Security-Policy", "Cross-Origin-Opener-Policy"):
                    assert again.headers[name] == first.headers[name], (path, name)


async def test_files_are_cached_by_their_content() -> None:
    """With the hash in its address a file is kept for good; without, it is asked for by its tag."""
    async with running() as (url, *_), aiohttp.ClientSession() as client:
        asset = kit.small_shell().assets["leaflet/leaflet.js"]
        async with client.get(url + asset.url) as answer:
            assert "immutable" in answer.headers["Cache-Control"]
            assert answer.headers["Content-Encoding"] == "gzip"
            assert await answer.read() == asset.body
            tag = answer.headers["ETag"]
        async with client.get(f"{url}/assets/{asset.name}", headers={"If-None-Match": tag}) as answer:
            assert answer.status == 304
            assert answer.headers["Cache-Control"] == "no-cache"
        async with client.get(url + "/assets/../server.py") as answer:
            assert answer.status == 404


async def test_a_stream_begins_with_everything_then_tells_changes() -> None:
    """First the snapshot, then each change well within a quarter of a second, and a beat each second."""
    async with running() as (url, live, *_), aiohttp.ClientSession() as client:
        live.picture.apply_alert(kit.alert_record("a1"), "a1")
        async with client.get(url + "/events") as answer:
            assert answer.content_type == "text/event-stream"
            name, snapshot = await next_event(answer.content)
            assert name == "snapshot"
            assert [alert["id"] for alert in snapshot["alerts"]] == ["a1"]
            live.touch([])
            await event_called(answer.content, "changes")
            live.picture.apply_alert(kit.alert_record("a2"), "a2")
            began = time.monotonic()
            live.touch([])
            changes = await event_called(answer.content, "changes")
            assert time.monotonic() - began < 0.3
            assert [alert["id"] for alert in changes["alerts"]] == ["a2"]
            beat = await event_called(answer.content, "beat")
            assert beat["state"] == "restoring"


async def test_a_slow_viewer_is_dropped_and_told_to_start_afresh() -> None:
    """A viewer that does not take its messages costs a bounded queue; its last message is resync."""
    async with running() as (url, live, *_), aiohttp.ClientSession() as client:
        slow = live.join()
        async with client.get(url + "/events") as answer:
            await next_event(answer.content)
            assert live.viewers == 2
            for number in range(QUEUE_MAX + 1):
                live.picture.apply_alert(kit.alert_record(f"a{number}"), f"a{number}")
                live._flush()
                await asyncio.sleep(0)
            assert live.viewers == 1, "the viewer that reads must stay"
            assert b"event: resync" in (await slow.take() or b"")
            assert await slow.take() is None


async def test_a_viewer_that_went_away_is_forgotten() -> None:
    """A closed browser leaves nothing behind."""
    async with running() as (url, live, *_), aiohttp.ClientSession() as client:
        async with client.get(url + "/events") as answer:
            await next_event(answer.content)
        deadline = time.monotonic() + 5
        while live.viewers and time.monotonic() < deadline:
            live.touch([])
            await asyncio.sleep(0.05)
        assert live.viewers == 0


async def test_open_streams_do_not_hold_up_the_end() -> None:
    """With viewers connected the server ends within two seconds, and each stream ends in order."""
    async with (
        running() as (url, _live, stop, task),
        aiohttp.ClientSession() as client,
        client.get(url + "/events") as one,
        client.get(url + "/events") as two,
    ):
        await next_event(one.content)
        await next_event(two.content)
        began = time.monotonic()
        stop.set()
        await asyncio.wait_for(asyncio.shield(task), 5)
        assert time.monotonic() - began < 2
        # Read to its end: an orderly one, not a connection that was cut.
        await asyncio.wait_for(one.content.read(), 1)


async def test_a_taken_port_says_what_to_do() -> None:
    """The error names the port and the setting that chooses another."""
    async with running() as (url, *_):
        port = int(url.rpartition(":")[2])
        shell = kit.small_shell()
        with pytest.raises(UserError) as error:
            await serve_wall(load_settings(wall_port=port), shell, Live(shell.page.tag), asyncio.Event())
        assert str(port) in error.value.what
        assert "IOC_WALL_PORT" in error.value.remedy


async def test_the_latest_reading_of_a_source_can_be_asked_for() -> None:
    """As it came; an unknown source is not found."""
    async with running() as (url, live, *_), aiohttp.ClientSession() as client:
        live.picture.apply_located(kit.located_record("s1", level_m=1.23))
        async with client.get(url + "/api/source", params={"id": "s1"}) as answer:
            assert (await answer.json())["event"]["level_m"] == 1.23
        async with client.get(url + "/api/source", params={"id": "s2"}) as answer:
            assert answer.status == 404
