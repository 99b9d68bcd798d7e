"""Operators' commands through a real broker and the real processes: by the command line and at the wall."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import HTTPCookieProcessor, OpenerDirector, Request, build_opener

import msgspec
import pytest

from alerts.commands import Command, CommandOutcome
from ioc.broker import Broker
from ioc.errors import UserError
from ioc.operators import read_operators, write_operators
from ioc.ports import free_port
from ioc.settings import Settings
from streams.admin import ensure_topics
from streams.commanding import CommandWriter, NotSent, Unconfirmed
from streams.topics import Topics
from tests import wallkit as kit
from tests.conftest import Kafka, require_or_skip
from tests.system import alert_changes, environment, read_all, running


def ioc(settings: Settings, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "ioc", *arguments],
        env={**environment(settings), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def until(found: Callable[[], Any], seconds: float, otherwise: Callable[[], str]) -> Any:
    """What `found` returns once it is true."""
    deadline = time.monotonic() + seconds
    while not (result := found()):
        assert time.monotonic() < deadline, otherwise()
        time.sleep(0.2)
    return result


class Browser:
    """What a page of the wall does: it keeps cookies, says where it comes from, and follows the stream."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._opener: OpenerDirector = build_opener(HTTPCookieProcessor(CookieJar()))
        self.alerts: dict[str, Any] = {}
        self.outcomes: dict[str, Any] = {}
        threading.Thread(target=self._follow, daemon=True).start()

    def post(self, path: str, body: Any) -> tuple[int, Any]:
        headers = {"Content-Type": "application/json", "Origin": self.url}
        request = Request(self.url + path, json.dumps(body).encode(), headers)
        try:
            with self._opener.open(request, timeout=10) as answer:
                return answer.status, json.loads(answer.read())
        except HTTPError as error:
            return error.code, json.loads(error.read())

    def _follow(self) -> None:
        with build_opener().open(self.url + "/events", timeout=60) as stream:
            for line in stream:
                if line.startswith(b"data: "):
                    self._take(json.loads(line[6:]))

    def _take(self, data: dict[str, Any]) -> None:
        self.alerts |= {alert["id"]: alert for alert in data.get("alerts", ())}
        self.outcomes |= {outcome["id"]: outcome for outcome in data.get("outcomes", ())}


def answers(url: str) -> bool:
    try:
        with build_opener().open(url + "/api/me", timeout=5) as answer:
            return bool(json.loads(answer.read())["sign_in"])
    except OSError:
        return False


def test_commands_change_alerts_and_their_outcomes_are_told(kafka: Kafka, tmp_path: Path) -> None:
    """Opened by hand, acknowledged at the wall, refused to a viewer, closed with a reason: ioc.audit has it all."""
    kit.operators_file(tmp_path)
    file = tmp_path / "operators.yaml"
    settings = kafka.settings(state_dir=tmp_path / "state", wall_port=free_port(), operators_file=file)
    url = f"http://127.0.0.1:{settings.wall_port}"
    told = ["--hazard", "flood", "--title-vi", "Vỡ đê", "--title-en", "Dyke breach", "--severity", "severe"]
    place = ["--lon", "105.78", "--lat", "10.03"]

    with running(settings, tmp_path / "logs") as system:
        for name in ("clock", "sense", "correlate", "wall"):
            system.start(name)
        until(lambda: answers(url), 30, system.tails)

        opened: list[subprocess.CompletedProcess[str]] = []

        def opens() -> bool:
            # Before the first clock records there is no time to open it at.
            opened.append(ioc(settings, "command", "open", "--as", "operator", *told, *place))
            return opened[-1].returncode == 0

        until(opens, 120, lambda: f"{opened[-1].stderr}\n{system.tails()}")
        alert = re.findall(r"done: open (alert-\w+), sequence 1", opened[-1].stdout)[0]

        page = Browser(url)
        shown = until(lambda: page.alerts.get(alert), 15, system.tails)
        assert (shown["title"]["vi"], shown["severity"], shown["value"]) == ("Vỡ đê", "severe", None)
        assert shown["commune_name"]

        acknowledge = {"action": "acknowledge", "alert": alert, "sequence": shown["sequence"]}
        assert page.post("/api/commands", acknowledge)[0] == 401
        assert page.post("/api/sign-in", {"id": "operator", "password": kit.PASSWORD})[0] == 200
        status, said = page.post("/api/commands", acknowledge)
        assert status == 202, said
        outcome = until(lambda: page.outcomes.get(said["id"]), 15, system.tails)
        assert (outcome["outcome"], outcome["alert"], outcome["sequence"]) == ("done", alert, 2)
        until(lambda: page.alerts[alert]["acknowledged"], 5, system.tails)
        assert page.alerts[alert]["acknowledged"]["by"] == "operator"

        status, said = page.post("/api/commands", acknowledge)
        outcome = until(lambda: page.outcomes.get(said["id"]), 15, system.tails)
        assert (outcome["outcome"], outcome["reason"]) == ("refused", "stale")

        # Whoever can write to the broker is trusted with a name, but not with a role that the name does not have.
        refused = ioc(settings, "command", "close", alert[:12], "--as", "viewer", "--text", "x")
        assert refused.returncode == 1
        assert "bị từ chối / refused: close" in refused.stdout
        nobody = ioc(settings, "command", "acknowledge", alert, "--as", "nobody")
        assert nobody.returncode == 2
        unknown = ioc(settings, "command", "acknowledge", "alert-nowhere", "--as", "operator")
        assert (unknown.returncode, unknown.stderr.count("\n")) == (2, 2)

        shelved = ioc(settings, "command", "shelve", alert, "--as", "supervisor", "--for", "1h")
        assert shelved.returncode == 0, shelved.stdout + shelved.stderr
        until(lambda: page.alerts[alert]["shelved_until"], 5, system.tails)
        closed = ioc(settings, "command", "close", alert, "--as", "supervisor", "--text", "đã gia cố")
        assert closed.returncode == 0, closed.stdout + closed.stderr

        # Whoever is removed from the file is signed out, and within seconds the configuration forgets him too.
        write_operators(file, [entry for entry in read_operators(file) if entry.operator.id != "operator"])
        assert page.post("/api/commands", acknowledge)[0] == 401

    changes = [change for change in alert_changes(settings) if change.id == alert]
    assert [(change.change, change.by) for change in changes] == [
        ("raised", "operator"),
        ("acknowledged", "operator"),
        ("shelved", "supervisor"),
        ("closed", "supervisor"),
    ]
    assert [change.sequence for change in changes] == [1, 2, 3, 4]
    assert changes[-1].comments[-1].text == "đã gia cố"
    assert changes[2].shelved_until is not None
    audit = [
        msgspec.json.decode(record.value, type=CommandOutcome)
        for record in read_all(settings, Topics.of(settings).audit.name)
    ]
    assert [(one.command.action, one.outcome, one.reason) for one in audit] == [
        ("open", "done", None),
        ("acknowledge", "done", None),
        ("acknowledge", "refused", "stale"),
        ("close", "refused", "not-allowed"),
        ("shelve", "done", None),
        ("close", "done", None),
    ]


async def test_a_lost_broker_is_told_and_its_return_is_used(own_settings: Callable[..., Settings]) -> None:
    """Without the broker a command fails within seconds, certainly or not; with it again the next one arrives."""
    settings = own_settings()
    try:
        broker = Broker(settings)
        broker.start()
        broker.wait_ready()
    except UserError as error:
        broker.stop()
        require_or_skip(error)
    try:
        ensure_topics(settings)
        writer = CommandWriter(settings)
        await writer.send(command("c1"), 0)
        broker.stop()
        for _ in range(2):
            began = time.monotonic()
            with pytest.raises((NotSent, Unconfirmed)):
                await writer.send(command("lost"), 0)
            assert time.monotonic() - began < 12
        broker = Broker(settings)
        broker.start()
        broker.wait_ready()
        await writer.send(command("c2"), 0)
        await writer.close()
        written = [
            json.loads(record.value)["id"] for record in read_all(settings, Topics.of(settings).signals.name)
        ]
        assert [id_ for id_ in written if id_ != "lost"] == ["c1", "c2"]
    finally:
        broker.stop()


def command(id: str) -> Command:
    return Command(id=id, action="acknowledge", operator="an", issued=kit.NOON, alert="a1", sequence=1)
