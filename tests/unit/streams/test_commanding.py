"""Commands on their way into the log: where they go, and what is said where nobody takes them."""

from __future__ import annotations

import time
from datetime import timedelta

import msgspec
import pytest

from alerts.commands import Command
from alerts.signals import Passed, Signal
from ioc.errors import UserError
from ioc.ports import free_port
from ioc.settings import Settings, load_settings
from streams.commanding import (
    CommandWriter,
    NotSent,
    find_alert,
    new_command_id,
    present,
    record_of,
    send,
    send_and_wait,
)
from streams.topics import Topics
from tests.wallkit import NOON

COMMAND = Command(
    id="c1", action="shelve", operator="an", issued=NOON, alert="a1", until=NOON + timedelta(hours=1)
)


def nowhere() -> Settings:
    """Settings of a broker at a port where nobody listens."""
    return load_settings(bootstrap_servers=f"127.0.0.1:{free_port()}", provinces=["93", "92"])


def test_a_command_goes_where_its_alert_is_judged() -> None:
    """The partition is the province's; like the signals of what lies in none, such commands go to the first."""
    topics = Topics.of(nowhere())
    assert [topics.province_partition(code) for code in ("92", "93", "01", None)] == [0, 1, 0, 0]
    topic, key, value = record_of(topics, COMMAND, 1)
    assert (topic, key) == (topics.signals.name, b"93")
    assert msgspec.json.decode(value, type=Command | Signal | Passed) == COMMAND, (
        "it is told from its neighbours"
    )


def test_ids_of_commands_never_repeat() -> None:
    """A command that is sent twice is done once, so two commands never share an id."""
    assert len({new_command_id() for _ in range(1000)}) == 1000


async def test_a_writer_says_at_once_that_nothing_was_sent() -> None:
    """Without a broker the command is certainly not in the log; the answer takes seconds, not a minute."""
    writer = CommandWriter(nowhere())
    began = time.monotonic()
    with pytest.raises(NotSent):
        await writer.send(COMMAND, 0)
    assert time.monotonic() - began < 8
    await writer.close()


@pytest.mark.parametrize(
    "call",
    [
        lambda settings: send(settings, COMMAND, 0),
        lambda settings: send_and_wait(settings, COMMAND, 0, 1),
        lambda settings: find_alert(settings, "a1"),
        lambda settings: present(settings, 0),
    ],
)
def test_a_missing_broker_is_a_user_error(call) -> None:
    """It names the address and what to look at."""
    settings = nowhere()
    with pytest.raises(UserError) as raised:
        call(settings)
    assert settings.bootstrap in raised.value.what
    assert "IOC_BOOTSTRAP_SERVERS" in raised.value.remedy
