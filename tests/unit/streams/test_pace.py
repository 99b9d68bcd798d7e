"""Partitions far ahead in event time wait for the slowest one, and nobody waits for one that stands still."""

from __future__ import annotations

import math
import random

import pytest
from faust.types import TP

from streams.pace import AHEAD_SECONDS, STANDS_SECONDS, Pace

TRAFFIC, FLOOD, CAMERA = (TP(topic, 0) for topic in ("traffic", "flood", "camera"))


class Consumer:
    """What is stopped, as Faust's consumer keeps it."""

    def __init__(self) -> None:
        self.stopped: set[TP] = set()

    def on_buffer_full(self, tp: TP) -> None:
        self.stopped.add(tp)

    def on_buffer_drop(self, tp: TP) -> None:
        self.stopped.discard(tp)


@pytest.fixture
def consumer() -> Consumer:
    return Consumer()


@pytest.fixture
def pace(consumer: Consumer) -> Pace:
    return Pace(consumer)


def test_who_is_ahead_waits_until_the_slowest_is_near(pace: Pace, consumer: Consumer) -> None:
    pace.reached(TRAFFIC, 1000.0, 0.0)
    pace.reached(FLOOD, 1000.0 + AHEAD_SECONDS, 0.0)
    assert not consumer.stopped
    pace.reached(FLOOD, 1001.0 + AHEAD_SECONDS, 0.0)
    assert consumer.stopped == pace.waiting == {FLOOD}
    pace.reached(TRAFFIC, 1001.0, 0.1)
    assert not consumer.stopped
    assert not pace.waiting


def test_nobody_waits_for_a_partition_that_stands(pace: Pace, consumer: Consumer) -> None:
    """Its broker is gone, or it has no clock records: the others go on, and its events alone change nothing."""
    pace.reached(TRAFFIC, 1000.0, 0.0)
    pace.reached(FLOOD, 2000.0, 1.0)
    assert consumer.stopped == {FLOOD}
    pace.reached(TRAFFIC, 1000.0, STANDS_SECONDS - 0.1)
    pace.look(STANDS_SECONDS + 0.1)
    assert not consumer.stopped
    pace.reached(TRAFFIC, 1001.0, STANDS_SECONDS + 1)
    assert consumer.stopped == {FLOOD}


def test_a_full_lane_stops_it_too(pace: Pace, consumer: Consumer) -> None:
    """It goes on when it is neither full nor ahead, in whichever order these end."""
    pace.reached(TRAFFIC, 1000.0, 0.0)
    pace.reached(FLOOD, 2000.0, 0.0)
    pace.on_buffer_full(FLOOD)
    pace.on_buffer_drop(FLOOD)
    assert consumer.stopped == {FLOOD}
    pace.on_buffer_full(FLOOD)
    pace.reached(TRAFFIC, 2000.0, 0.0)
    assert consumer.stopped == {FLOOD}
    pace.on_buffer_drop(FLOOD)
    assert not consumer.stopped


def test_an_assignment_that_lets_all_go_on_is_mended(pace: Pace, consumer: Consumer) -> None:
    pace.reached(TRAFFIC, 1000.0, 0.0)
    pace.reached(FLOOD, 2000.0, 0.0)
    consumer.stopped.clear()
    pace.reached(TRAFFIC, 1001.0, 0.0)
    assert consumer.stopped == {FLOOD}


def test_nobody_waits_for_what_is_given_up(pace: Pace, consumer: Consumer) -> None:
    pace.reached(TRAFFIC, 1000.0, 0.0)
    pace.reached(FLOOD, 2000.0, 0.0)
    pace.forget(TRAFFIC)
    pace.look(0.1)
    assert not consumer.stopped
    pace.forget(FLOOD)
    pace.reached(FLOOD, 500.0, 0.2)
    assert not pace.waiting


def test_provinces_do_not_wait_for_each_other(consumer: Consumer) -> None:
    pace = Pace(consumer, ahead=math.inf)
    pace.reached(TRAFFIC, 1000.0, 0.0)
    pace.reached(FLOOD, 2000.0, 0.0)
    assert not consumer.stopped


@pytest.mark.parametrize("seed", range(20))
def test_somebody_always_goes_on_and_nobody_gets_far(seed: int) -> None:
    """Whatever the speeds: the slowest is never stopped, and nobody passes it by more than the bound and a step."""
    chance, consumer = random.Random(seed), Consumer()
    pace = Pace(consumer)
    clocks = dict.fromkeys((TRAFFIC, FLOOD, CAMERA), 1000.0)
    steps = {tp: chance.choice((0.5, 5.0, 50.0)) for tp in clocks}
    for number in range(500):
        free = [tp for tp in clocks if tp not in consumer.stopped]
        assert free, "all wait for each other"
        tp = chance.choice(free)
        clocks[tp] += chance.uniform(0.1, steps[tp])
        pace.reached(tp, clocks[tp], number * STANDS_SECONDS / 1000)
        assert max(clocks.values()) - min(clocks.values()) <= AHEAD_SECONDS + max(steps.values())
    assert min(clocks.values()) > 1000.0
