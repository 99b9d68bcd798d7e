"""What a process writes to its log stays readable, and small, while a broker is gone."""

from __future__ import annotations

import logging

from ioc.logs import Sparing


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def record(name: str, text: str, *values: object) -> logging.LogRecord:
    return logging.LogRecord(name, logging.ERROR, __file__, 1, text, values, None)


def test_a_library_says_the_same_once_in_a_while_and_how_often_it_was() -> None:
    """Each attempt to reach a broker would be a line: some megabytes in five minutes."""
    clock = Clock()
    sparing = Sparing(30.0, clock)
    attempt = ("aiokafka.client", "Unable connect to node with id %s", 1)
    assert sparing.filter(record(*attempt))
    assert not any(sparing.filter(record(*attempt)) for _ in range(40))
    assert sparing.filter(record("aiokafka.client", "Unable to update metadata from %s", 1)), (
        "another message"
    )
    assert sparing.filter(record("aiokafka.client", "Unable connect to node with id %s", 2)), "another broker"
    clock.now += 30.0
    again = record(*attempt)
    assert sparing.filter(again)
    assert again.getMessage() == "Unable connect to node with id 1 (and 40 times more)"
    clock.now += 30.0
    later = record(*attempt)
    assert sparing.filter(later)
    assert later.getMessage() == "Unable connect to node with id 1"


def test_nothing_of_our_own_is_left_out() -> None:
    """What the program itself says has its own rate, and an operator looks for it."""
    sparing = Sparing(30.0, Clock())
    assert all(sparing.filter(record("streams.worker", "state of lane %d is lost", 3)) for _ in range(5))


def test_what_never_comes_again_is_forgotten() -> None:
    """Messages with numbers in them are new ones each time: their number must not grow without end."""
    clock = Clock()
    sparing = Sparing(30.0, clock)
    for number in range(1000):
        clock.now += 1.0
        assert sparing.filter(record("aiokafka", f"request {number} failed"))
    assert len(sparing._passed) <= 61
