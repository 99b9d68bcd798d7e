"""A source that goes mad is judged so often in a minute and no more; all of it is kept, and nobody else sees it."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest

from alerts.rules.kinds import Bound, LadderRule, Level
from streams.offline import MemoryRecord
from tests.sensekit import Partition, configuration, short, source

QUOTA = 5
DEEP = LadderRule(
    id="deep",
    version="v1",
    hazard="flood",
    title={"vi": "Ngập", "en": "Deep"},
    stream="flood",
    measure="road_depth_m",
    unit="m",
    direction="above",
    hold=timedelta(0),
    levels=(Level(severity="minor", raise_at=Bound(None, 0.3), clear_at=Bound(None, 0.2)),),
)


@pytest.fixture
def partition() -> Partition:
    sources = (source("mad"), source("calm"))
    return Partition(configuration("A", [DEEP], sources), quota=QUOTA)


def readings(partition: Partition, name: str, *depths: float, minute: float = 0.0) -> list[MemoryRecord]:
    return [
        partition.event(minute + number / 1000, name, road_depth_m=depth)
        for number, depth in enumerate(depths, 1)
    ]


def test_what_exceeds_the_quota_is_kept_and_not_judged(partition: Partition) -> None:
    """The one beyond the quota would begin an alert; a minute later it does."""
    partition.run(partition.clock(0))
    out = partition.outcome(*readings(partition, "mad", *[0.1] * (QUOTA + 1), 0.9, 0.9))
    assert out.unjudged == {"quota": 2}
    assert not out.signals
    assert len(partition.located()) == QUOTA + 3
    told = partition.run(partition.clock(1), *readings(partition, "mad", 0.9, minute=1))
    assert short(told) == [("deep", "began", "minor", pytest.approx(1.001))]


def test_a_flood_of_one_changes_nothing_for_others(partition: Partition) -> None:
    """What is told of a calm source is the same, with a thousand events of another between each of its own."""
    partition.run(partition.clock(0))
    records = []
    for minute, depth in enumerate((0.1, 0.4, 0.1)):
        records += readings(partition, "mad", *[0.9] * 1000, minute=minute)
        records += [partition.clock(minute + 0.5), *readings(partition, "calm", depth, minute=minute + 0.5)]
    out = partition.outcome(*records)
    assert out.unjudged["quota"] > 2900
    calm = [one for one in short(partition.told(0)) if one[3] % 1 > 0.5]
    assert calm == [
        ("deep", "began", "minor", pytest.approx(1.501)),
        ("deep", "ended", None, pytest.approx(2.501)),
    ]


@pytest.mark.parametrize("seed", range(5))
def test_neither_chunks_nor_restarts_change_what_is_beyond(seed: int) -> None:
    """It is in the source's state: in one piece, or in many with restarts between, the same are judged."""
    sources = (source("mad"), source("calm"))

    def judged(in_pieces: bool) -> tuple[list, list[str]]:
        partition = Partition(configuration("A", [DEEP], sources), quota=QUOTA)
        chance = random.Random(seed)
        records = [partition.clock(0)]
        for minute in range(6):
            for name in ("mad", "calm"):
                depths = [chance.choice((0.1, 0.5)) for _ in range(chance.randint(1, 12))]
                records += readings(partition, name, *depths, minute=minute)
            records.append(partition.clock(minute + 1))
        if in_pieces:
            partition.run_in_pieces(records, chance)
        else:
            partition.run(*records)
        told = short(partition.told(0))
        state = partition.log.state(partition.topics.raw_state["flood"].name, 0)
        return told, sorted(f"{key!r} {value!r}" for key, value in state.items())

    whole = judged(False)
    assert whole[0], "nothing was told"
    assert judged(True) == whole
