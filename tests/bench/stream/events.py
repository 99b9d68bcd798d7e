"""The raw log that every contender reads: a city's sources, each with one event a step of event time.

The same seed gives the same records. A step begins with a clock record in every raw partition; then each source says
something, in an order that is the same in every step. A source is calm or raised and changes over with a small
probability, so that about 4 % of all events cross a bound of `rules.yaml`. Events have about 250 bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import msgspec
import numpy as np
import shapely
from numpy.typing import NDArray

from geo.boundaries import BoundarySet
from streams.schemas import CLOCK_KEY, Clock
from streams.topics import STREAMS, partition_of

START = datetime.fromisoformat("2025-10-08T12:00:00+07:00")
#: Of the sources, how many belong to each stream.
SHARES = {"traffic": 0.60, "flood": 0.20, "camera": 0.15, "report": 0.05}
#: That a calm source is raised at its next event, and that a raised one is calm again.
RAISES, CALMS = 0.022, 0.5
#: Of the sources, how many stand outside every commune.
OUTSIDE = 0.005
RUN = "bench"

#: Stream, partition, key, value.
Raw = tuple[str, int, bytes, bytes]
_Floats = NDArray[np.float64]

_TEXTS = (
    "Nước ngập trước nhà, xe máy không qua được",
    "Đèn tín hiệu không sáng, xe ùn lại ở ngã tư",
    "Cây đổ chắn một làn đường sau cơn mưa",
)


@dataclass(frozen=True)
class City:
    """What the log is made of."""

    sources: int = 10_000
    partitions: int = 4
    #: Event time from one event of a source to its next.
    step: timedelta = timedelta(seconds=1)
    seed: int = 92


def steps(city: City, boundaries: BoundarySet, config: str) -> Iterator[list[Raw]]:
    """The records of one step after the other, without end; clock records name the configuration `config`."""
    chance = np.random.default_rng(city.seed)
    groups = [
        _Group(stream, count, city, boundaries, chance)
        for stream, count in zip(STREAMS, _counts(city.sources), strict=True)
    ]
    clocks = [(stream, number) for stream in STREAMS for number in range(city.partitions)]
    step = 0
    while True:
        now = START + step * city.step
        clock = msgspec.json.encode(Clock(clock=now, config=config, run=RUN))
        records: list[Raw] = [(stream, number, CLOCK_KEY, clock) for stream, number in clocks]
        for group in groups:
            records += group.say(step, now)
        yield records
        step += 1


def _counts(sources: int) -> list[int]:
    counts = [max(1, round(share * sources)) for share in SHARES.values()]
    counts[0] = max(1, sources - sum(counts[1:]))
    return counts


class _Group:
    """The sources of one stream."""

    def __init__(
        self,
        stream: str,
        count: int,
        city: City,
        boundaries: BoundarySet,
        chance: np.random.Generator,
    ) -> None:
        self._stream, self._chance, self._count = stream, chance, count
        names = [f"vn.92.can-tho.{stream}.{number:06d}" for number in range(count)]
        self._keys = [name.encode() for name in names]
        self._partitions = [partition_of(key, city.partitions) for key in self._keys]
        ids = [f"{chance.integers(1 << 62):020x}-{number:06x}" for number in range(count)]
        # In a step no source speaks before its clock record, and the last before the next one's.
        phases = chance.integers(0, 999, count) * (city.step / timedelta(seconds=1)) // 1
        self._order = np.argsort(phases, kind="stable").tolist()
        self._offsets = [timedelta(milliseconds=int(phase)) for phase in phases]
        self._heads = [f'{{"id":"{id_}-' for id_ in ids]
        self._middles = [
            f'","source":"{name}","lon":{lon:.6f},"lat":{lat:.6f},"simulated":true,"run":"{RUN}",'
            for name, (lon, lat) in zip(names, _points(boundaries, count, chance), strict=True)
        ]
        self._raised = np.zeros(count, dtype=bool)
        #: Of its present episode, 0 to 1: how bad it is.
        self._depth = chance.random(count)

    def say(self, step: int, now: datetime) -> list[Raw]:
        chance, count = self._chance, self._count
        change = chance.random(count) < np.where(self._raised, CALMS, RAISES)
        self._raised ^= change
        self._depth = np.where(change, chance.random(count), self._depth)
        tails = getattr(self, f"_{self._stream}")(chance.random(count))
        stamps: dict[timedelta, str] = {}
        records: list[Raw] = []
        for i in self._order:
            offset = self._offsets[i]
            stamp = stamps.get(offset)
            if stamp is None:
                # Six digits: Faust's own parser takes the three of milliseconds for microseconds.
                stamp = stamps[offset] = (now + offset).isoformat(timespec="microseconds")
            value = f'{self._heads[i]}{step:06d}{self._middles[i]}"time":"{stamp}",{tails[i]}}}'
            records.append((self._stream, self._partitions[i], self._keys[i], value.encode()))
        return records

    def _traffic(self, noise: _Floats) -> list[str]:
        # The noise is less than the gap between raise and clear: an episode is told once.
        speed = np.where(self._raised, 8.5 + 5 * self._depth, 25 + 30 * self._depth) + noise - 0.5
        flow = 400 + 900 * noise
        return [
            f'"speed_kmh":{a:.1f},"flow_vph":{b:.0f},"occupancy":{c:.3f}'
            for a, b, c in zip(speed.tolist(), flow.tolist(), noise.tolist(), strict=True)
        ]

    def _flood(self, noise: _Floats) -> list[str]:
        depth = np.where(self._raised, 0.16 + 0.35 * self._depth, 0.07 * self._depth) + 0.01 * noise
        return [
            f'"level_m":{1.2 + a:.2f},"datum":"Hon Dau","rain_mm":{b:.1f},"road_depth_m":{a:.3f}'
            for a, b in zip(depth.tolist(), (4 * noise).tolist(), strict=True)
        ]

    def _camera(self, noise: _Floats) -> list[str]:
        count = np.where(self._raised, 42 + 30 * self._depth, 20 * self._depth) + 2 * noise
        return [
            f'"kind":"vehicle_queue","confidence":{b:.3f},"count":{a:.0f}'
            for a, b in zip(count.tolist(), noise.tolist(), strict=True)
        ]

    def _report(self, noise: _Floats) -> list[str]:
        return [f'"category":"street-water","text":"{_TEXTS[int(3 * one)]}"' for one in noise.tolist()]


def _points(boundaries: BoundarySet, count: int, chance: np.random.Generator) -> list[tuple[float, float]]:
    """Places of sources: evenly in the communes, a few of them outside."""
    area = shapely.union_all(boundaries.geometries)
    shapely.prepare(area)
    west, south, east, north = area.bounds
    inside, outside = list[tuple[float, float]](), list[tuple[float, float]]()
    wanted = round(OUTSIDE * count)
    while len(inside) < count - wanted or len(outside) < wanted:
        lons, lats = chance.uniform(west, east, 4096), chance.uniform(south, north, 4096)
        found = shapely.intersects_xy(area, lons, lats)
        inside += zip(lons[found].tolist(), lats[found].tolist(), strict=True)
        outside += zip(lons[~found].tolist(), lats[~found].tolist(), strict=True)
    chosen = inside[: count - wanted] + outside[:wanted]
    return [chosen[i] for i in chance.permutation(count)]
