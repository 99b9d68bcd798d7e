"""Signing in and giving commands over HTTP: who may, from where, and what reaches the log."""

from __future__ import annotations

import asyncio
import http.cookies
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from alerts.model import Where
from ioc.operators import OperatorsFile
from ioc.settings import load_settings
from maps.live import Live
from maps.session import FREE_FAILURES
from maps.web import serve_wall
from streams.commanding import NotSent, Unconfirmed
from tests import wallkit as kit


@dataclass
class Wall:
    """A running wall and a browser's view of it."""

    url: str
    live: Live
    outbox: kit.Outbox
    client: aiohttp.ClientSession

    async def post(
        self, path: str, body: Any = None, headers: dict[str, str] | None = None, **more: Any
    ) -> tuple[int, Any]:
        """What a page of this wall posts; `headers` replace those that a browser would send."""
        own = {"Origin": self.url, "Sec-Fetch-Site": "same-origin"} if headers is None else headers
        async with self.client.post(self.url + path, json=body, headers=own, **more) as answer:
            said = await answer.json() if answer.content_type == "application/json" else await answer.text()
            return answer.status, said

    async def sign_in(self, id: str, password: str = kit.PASSWORD) -> tuple[int, Any]:
        return await self.post("/api/sign-in", {"id": id, "password": password})

    async def me(self) -> Any:
        async with self.client.get(self.url + "/api/me") as answer:
            return await answer.json()


@asynccontextmanager
async def running(operators: OperatorsFile | None) -> AsyncIterator[Wall]:
    shell = kit.small_shell()
    live, stop, outbox = Live(shell.page.tag), asyncio.Event(), kit.Outbox()
    live.picture.apply_alert(kit.alert_record("a1", sequence=4), "a1", 1)
    live.picture.apply_passed(kit.passed_record(kit.NOON), 0)
    address: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def on_listen(host: str, port: int) -> None:
        address.set_result(f"http://{host}:{port}")

    its = kit.operating(operators, outbox)
    task = asyncio.create_task(
        serve_wall(load_settings(wall_port=0, host="127.0.0.1"), shell, live, stop, on_listen, its)
    )
    # aiohttp keeps cookies of addresses only where it is told to.
    jar = aiohttp.CookieJar(unsafe=True)
    try:
        async with aiohttp.ClientSession(cookie_jar=jar) as client:
            yield Wall(await asyncio.wait_for(address, 5), live, outbox, client)
    finally:
        stop.set()
        await asyncio.wait_for(task, 5)


@pytest.fixture
async def wall(tmp_path: Path) -> AsyncIterator[Wall]:
    async with running(kit.operators_file(tmp_path)) as started:
        yield started


ACKNOWLEDGE = {"action": "acknowledge", "alert": "a1", "sequence": 4}


async def test_signing_in_gives_a_cookie_that_scripts_and_other_sites_do_not_get(wall: Wall) -> None:
    """HttpOnly, SameSite=Strict, the whole path, gone with the browser; the answer says who it is, and no token."""
    assert await wall.me() == {"sign_in": True, "to_see": False, "operator": None}
    own = {"Origin": wall.url}
    async with wall.client.post(
        wall.url + "/api/sign-in", json={"id": "operator", "password": kit.PASSWORD}, headers=own
    ) as answer:
        assert answer.status == 200
        said = await answer.json()
        cookie = http.cookies.SimpleCookie(answer.headers["Set-Cookie"])
        assert answer.headers["Cache-Control"] == "no-store"
    [morsel] = cookie.values()
    assert morsel["httponly"]
    assert morsel["samesite"] == "Strict"
    assert morsel["path"] == "/"
    assert not morsel["max-age"]
    assert len(morsel.value) >= 43
    assert said == {
        "sign_in": True,
        "to_see": False,
        "operator": {"id": "operator", "name": "Nguyễn Văn Operator", "role": "operator"},
    }
    assert await wall.me() == said
    assert await wall.post("/api/sign-out", {}) == (200, {"sign_in": True, "to_see": False, "operator": None})
    assert await wall.me() == {"sign_in": True, "to_see": False, "operator": None}
    stolen = {"Cookie": f"{morsel.key}={morsel.value}", "Origin": wall.url}
    assert (await wall.post("/api/commands", ACKNOWLEDGE, stolen))[0] == 401, (
        "a session that ended stays ended"
    )


async def test_a_wrong_password_gets_nothing(wall: Wall) -> None:
    """401 for a wrong password as for an unknown id; after five, 429 with the time to wait."""
    assert await wall.sign_in("nobody") == (401, {"error": "wrong-password"})
    for _ in range(FREE_FAILURES):
        assert await wall.sign_in("operator", "wrong password") == (401, {"error": "wrong-password"})
    status, said = await wall.sign_in("operator")
    assert (status, said["error"]) == (429, "too-many-attempts")
    assert 0 < said["seconds"] <= 30
    assert (await wall.me())["operator"] is None


@pytest.mark.parametrize("body", [[], {}, {"id": "operator"}, {"id": 1, "password": 2}, "\ud800"])
async def test_a_sign_in_that_makes_no_sense_is_refused(wall: Wall, body: Any) -> None:
    """400, and no error inside."""
    assert await wall.post("/api/sign-in", body) == (400, {"error": "not-understood"})


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "https://elsewhere.example"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Origin": "OWN", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "http://127.0.0.1:1", "Sec-Fetch-Site": "same-origin"},
    ],
)
@pytest.mark.parametrize("path", ["/api/sign-in", "/api/sign-out", "/api/commands", "/nothing"])
async def test_nothing_changes_from_another_site(wall: Wall, path: str, headers: dict[str, str]) -> None:
    """403 for whatever does not say that it comes from this very server's page, signed in or not."""
    await wall.sign_in("operator")
    given = {name: wall.url if value == "OWN" else value for name, value in headers.items()}
    assert await wall.post(path, ACKNOWLEDGE, given) == (403, {"error": "cross-origin"})
    assert wall.outbox.sent == []
    assert (await wall.me())["operator"] is not None


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"])
async def test_only_json_is_taken(wall: Wall, kind: str) -> None:
    """415 for what a form could send."""
    await wall.sign_in("operator")
    headers = {"Origin": wall.url, "Content-Type": kind}
    assert await wall.post("/api/commands", ACKNOWLEDGE, headers) == (415, {"error": "not-json"})
    assert wall.outbox.sent == []


async def test_only_operators_give_commands(wall: Wall) -> None:
    """401 without a session, 403 for a viewer; release is a supervisor's."""
    assert await wall.post("/api/commands", ACKNOWLEDGE) == (401, {"error": "not-signed-in"})
    await wall.sign_in("viewer")
    assert await wall.post("/api/commands", ACKNOWLEDGE) == (403, {"error": "not-allowed"})
    assert await wall.post("/api/commands", {"action": "nonsense"}) == (403, {"error": "not-allowed"})
    release = {"action": "release", "alert": "a1", "sequence": 4, "to": "fire-brigade"}
    await wall.sign_in("operator")
    assert await wall.post("/api/commands", release) == (403, {"error": "not-allowed"})
    assert wall.outbox.sent == []
    await wall.sign_in("supervisor")
    assert (await wall.post("/api/commands", release))[0] == 202
    [(command, _)] = wall.outbox.sent
    assert (command.operator, command.to) == ("supervisor", "fire-brigade")


async def test_a_command_reaches_the_log_as_it_was_given(wall: Wall) -> None:
    """The operator is the session's, the partition that of the alert's record; the answer has the command's id."""
    await wall.sign_in("operator")
    before = datetime.now(UTC)
    status, said = await wall.post("/api/commands", ACKNOWLEDGE)
    [(command, partition)] = wall.outbox.sent
    assert (status, said) == (202, {"id": command.id})
    assert partition == 1
    assert (command.action, command.operator, command.alert, command.sequence) == (
        "acknowledge",
        "operator",
        "a1",
        4,
    )
    assert before <= command.issued <= datetime.now(UTC)
    assert command.time is None, "it holds from where it stands in the log"
    _, again = await wall.post("/api/commands", ACKNOWLEDGE)
    assert again["id"] != said["id"]


async def test_nobody_gives_commands_in_another_name(wall: Wall) -> None:
    """A body that names an operator is no command."""
    await wall.sign_in("operator")
    body = {**ACKNOWLEDGE, "operator": "supervisor"}
    assert await wall.post("/api/commands", body) == (400, {"error": "not-understood"})


async def test_shelving_counts_in_event_time(wall: Wall) -> None:
    """So many minutes from the time that the picture has reached, whatever this machine's clock says."""
    await wall.sign_in("operator")
    day = {"action": "shelve", "alert": "a1", "sequence": 4, "minutes": 24 * 60 + 1}
    assert await wall.post("/api/commands", day) == (403, {"error": "shelved-too-long"})
    await wall.post("/api/commands", {"action": "shelve", "alert": "a1", "sequence": 4, "minutes": 30})
    until = "2026-10-28T20:00:00+07:00"
    await wall.post("/api/commands", {"action": "shelve", "alert": "a1", "sequence": 4, "until": until})
    assert [command.until for command, _ in wall.outbox.sent] == [
        kit.NOON + timedelta(minutes=30),
        datetime.fromisoformat(until),
    ]


async def test_an_alert_opened_by_hand_lies_where_the_map_says(wall: Wall) -> None:
    """The place is found here; what the request says of a commune does not exist."""
    await wall.sign_in("operator")
    opening = {
        "hazard": "flood",
        "title": {"vi": " Vỡ đê ", "en": "Dyke breach", "xx": "?"},
        "severity": "extreme",
    }
    body = {"action": "open", "text": "điện thoại", "opening": {**opening, "lon": 105.6, "lat": 9.9}}
    assert (await wall.post("/api/commands", body))[0] == 202
    [(command, partition)] = wall.outbox.sent
    assert partition == 0
    assert command.opening is not None
    assert command.opening.title == {"vi": "Vỡ đê", "en": "Dyke breach"}
    assert command.opening.where == Where(
        lon=105.6, lat=9.9, commune="90001", commune_name="Phường Thử 1", province="92"
    )
    forged = {**body, "opening": {**body["opening"], "where": {"commune": "1"}}}  # type: ignore[dict-item]
    assert await wall.post("/api/commands", forged) == (400, {"error": "not-understood"})


async def test_what_operators_wrote_is_for_operators(wall: Wall) -> None:
    """Whoever only looks at the wall learns how many comments there are, and no more."""
    comment = {"by": "an", "time": kit.NOON.isoformat(), "text": "bơm đang chạy"}
    wall.live.picture.apply_alert(kit.alert_record("a1", sequence=5, comments=[comment]), "a1", 1)

    async def details() -> Any:
        async with wall.client.get(wall.url + "/api/alert?id=a1") as answer:
            return await answer.json()

    assert "said" not in await details()
    await wall.sign_in("viewer")
    said = await details()
    assert said["comments"] == 1
    assert [(one["by"], one["text"]) for one in said["said"]] == [("an", "bơm đang chạy")]


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        ({"action": "acknowledge", "alert": "unknown", "sequence": 1}, 404, "unknown-alert"),
        ({"action": "acknowledge"}, 404, "unknown-alert"),
        ({"action": "explode", "alert": "a1"}, 400, "not-understood"),
        ({"action": "shelve", "alert": "a1"}, 400, "not-understood"),
        ({"action": "shelve", "alert": "a1", "minutes": 0}, 400, "not-understood"),
        ({"action": "shelve", "alert": "a1", "minutes": 1e9}, 400, "not-understood"),
        ({"action": "shelve", "alert": "a1", "until": "2026-10-28T20:00:00"}, 400, "not-understood"),
        ({"action": "assign", "alert": "a1"}, 400, "not-understood"),
        ({"action": "comment", "alert": "a1"}, 400, "nothing-said"),
        ({"action": "close", "alert": "a1", "text": " \n "}, 400, "nothing-said"),
        ({"action": "comment", "alert": "a1", "text": "x" * 1001}, 400, "not-understood"),
        ({"action": "comment", "alert": "a1", "text": "\ud800"}, 400, "not-understood"),
        ({"action": "open"}, 400, "not-understood"),
        ([], 400, "not-understood"),
    ],
)
async def test_what_makes_no_command_is_refused(wall: Wall, body: Any, status: int, error: str) -> None:
    """Each with a key that the page has words for; nothing reaches the log."""
    await wall.sign_in("operator")
    assert await wall.post("/api/commands", body) == (status, {"error": error})
    assert wall.outbox.sent == []


async def test_a_huge_body_is_refused(wall: Wall) -> None:
    """413 before it is read."""
    await wall.sign_in("operator")
    status, _ = await wall.post("/api/commands", {**ACKNOWLEDGE, "text": "x" * 100_000})
    assert status == 413


async def test_a_log_that_fails_is_said(wall: Wall) -> None:
    """503 where the command is certainly not in the log; 504 with its id where that is not known."""
    await wall.sign_in("operator")
    wall.outbox.failure = NotSent("no broker")
    assert await wall.post("/api/commands", ACKNOWLEDGE) == (503, {"error": "not-sent"})
    wall.outbox.failure = Unconfirmed("no answer")
    status, said = await wall.post("/api/commands", ACKNOWLEDGE)
    assert (status, said["error"]) == (504, "unconfirmed")
    assert said["id"]


async def test_without_a_file_of_operators_the_wall_only_shows() -> None:
    """It says that nobody can sign in, and takes neither a sign-in nor a command."""
    async with running(None) as wall:
        assert await wall.me() == {"sign_in": False, "to_see": False, "operator": None}
        assert await wall.sign_in("operator") == (403, {"error": "sign-in-off"})
        assert await wall.post("/api/commands", ACKNOWLEDGE) == (401, {"error": "not-signed-in"})


async def test_every_answer_about_operators_is_locked_down(wall: Wall) -> None:
    """The policy stands on them too, refused or not, and nothing of them is kept."""
    for path in ("/api/me", "/api/sign-in", "/api/commands"):
        method = wall.client.get if path == "/api/me" else wall.client.post
        async with method(wall.url + path) as answer:
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
            assert answer.headers["Cache-Control"] == "no-store"
            assert "Server" not in answer.headers
