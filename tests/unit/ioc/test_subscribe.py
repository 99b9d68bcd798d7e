"""What a subscriber says of its channel."""

from __future__ import annotations

from kafka import TopicPartition

from ioc.commands.subscribe import Channel

ONE = TopicPartition("ioc.alerts.fire", 0)
DEAD = "no heartbeat for 10 s: the channel may be dead"
IDLE = "nothing of ioc.alerts.fire was this reader's for 10 s: another reader of its group may have it"


def test_silence_is_told_once_and_so_is_its_end() -> None:
    """After more than the quiet time since the last word, or since the partition came; the next word ends it."""
    channel = Channel("ioc.alerts.fire", 10, 0)
    assert [channel.changed({ONE}, now) for now in (1, 11, 12, 13)] == ["", "", DEAD, ""]
    channel.heard(ONE, 14)
    assert [channel.changed({ONE}, now) for now in (14, 24, 25)] == ["heartbeats again", "", DEAD]


def test_a_reader_without_a_partition_is_not_silent_but_idle() -> None:
    """It is told after as long, and that it has the topic as soon as it has."""
    channel = Channel("ioc.alerts.fire", 10, 0)
    assert [channel.changed(set(), now) for now in (5, 11, 20)] == ["", IDLE, ""]
    assert channel.changed({ONE}, 21) == "ioc.alerts.fire is this reader's now"
    assert channel.changed({ONE}, 31) == ""
    assert channel.changed({ONE}, 32) == DEAD


def test_a_partition_that_comes_back_is_heard_from_then_on() -> None:
    """What was heard before another reader had it does not count."""
    channel = Channel("ioc.alerts.fire", 10, 0)
    channel.heard(ONE, 1)
    assert [channel.changed({ONE}, 1), channel.changed(set(), 9)] == ["", ""]
    assert [channel.changed({ONE}, now) for now in (15, 25, 26)] == ["", "", DEAD]
