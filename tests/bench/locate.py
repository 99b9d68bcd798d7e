"""Points per second of the locator, of an STRtree and of asking every polygon: `python -m tests.bench.locate`.

On the approximate set of Cần Thơ, and on the official polygons where they lie in ../shared/boundaries. With
`--country` on the approximate set of all provinces too, which takes minutes to compute the first time. The ways
take turns, round by round, and the medians are printed, for the machine's load changes. The points lie in the
communes, evenly. Also written to build/bench-locate.json.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import shapely

from geo.approximate import approximate_set
from geo.borders import Borders
from geo.boundaries import BoundarySet
from geo.cache import present_set
from geo.files import read_boundaries
from geo.locate import Locator
from geo.units import load_units

ROOT = Path(__file__).parents[2]
OFFICIAL = ROOT.parent / "shared" / "boundaries" / "can-tho-2025.geojson.gz"
REPORT = ROOT / "build" / "bench-locate.json"

BATCHES = (1, 2_000, 300_000)
ROUNDS = 7
#: The slow ways get no more points than about this many seconds of work in a round; the rate is the same.
ENOUGH = 0.4

Ways = dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]]


def ways(locator: Locator) -> Ways:
    """Each takes float64[n] longitudes and latitudes and gives int[n] indexes of communes."""
    # The very polygons would be prepared by now: each way has its own.
    polygons = shapely.from_wkb(shapely.to_wkb(locator.boundaries.geometries))
    tree = shapely.STRtree(polygons)
    prepared = shapely.from_wkb(shapely.to_wkb(locator.boundaries.geometries))
    shapely.prepare(prepared)

    def by_tree(lons: np.ndarray, lats: np.ndarray) -> np.ndarray:
        at, polygon = tree.query(shapely.points(lons, lats), predicate="intersects")
        found = np.full(len(lons), len(polygons))
        np.minimum.at(found, at, polygon)
        return np.where(found == len(polygons), -1, found)

    def by_force(lons: np.ndarray, lats: np.ndarray) -> np.ndarray:
        found = np.full(len(lons), -1)
        for i in reversed(range(len(prepared))):
            found[shapely.intersects_xy(prepared[i], lons, lats)] = i
        return found

    return {"locator": locator.locate_many, "STRtree": by_tree, "every polygon": by_force}


def single_ways(locator: Locator) -> dict[str, Callable[[float, float], object]]:
    """The same for one point at a time, each as one would write it."""
    polygons = shapely.from_wkb(shapely.to_wkb(locator.boundaries.geometries))
    tree = shapely.STRtree(polygons)
    prepared = shapely.from_wkb(shapely.to_wkb(locator.boundaries.geometries))
    shapely.prepare(prepared)
    return {
        "locator": locator.locate,
        "STRtree": lambda lon, lat: tree.query(shapely.Point(lon, lat), predicate="intersects").min(
            initial=len(polygons)
        ),
        "every polygon": lambda lon, lat: shapely.intersects_xy(prepared, lon, lat).argmax(),
    }


def points_within(locator: Locator, many: int) -> np.ndarray:
    """float64[many, 2] degrees, evenly over the communes."""
    rng = np.random.default_rng(0)
    bounds = shapely.total_bounds(locator.boundaries.geometries)
    kept: list[np.ndarray] = []
    while sum(map(len, kept)) < many:
        points = rng.uniform(bounds[:2], bounds[2:], (many, 2))
        kept.append(points[locator.locate_many(points[:, 0], points[:, 1]) >= 0])
    return np.concatenate(kept)[:many]


def rate(run: Callable[[], object], points: int) -> float:
    begin = time.perf_counter()
    run()
    return points / (time.perf_counter() - begin)


def one_by_one(look_up: Callable[[float, float], object], points: list[list[float]]) -> Callable[[], None]:
    def run() -> None:
        for lon, lat in points:
            look_up(lon, lat)

    return run


def batches(
    look_up: Callable[[np.ndarray, np.ndarray], object], points: np.ndarray, size: int
) -> Callable[[], None]:
    parts = [points[first : first + size] for first in range(0, len(points), size)]
    arrays = [(np.ascontiguousarray(part[:, 0]), np.ascontiguousarray(part[:, 1])) for part in parts]

    def run() -> None:
        for lons, lats in arrays:
            look_up(lons, lats)

    return run


def enough(make: Callable[[int], Callable[[], object]], most: int) -> tuple[Callable[[], object], int]:
    """The run on as many points as take `ENOUGH` seconds, at most so many; warmed up. And how many."""
    count = min(100, most)
    while True:
        run = make(count)
        run()
        took = count / rate(run, count)
        if took > ENOUGH / 4 or count == most:
            return run, count
        count = min(most, max(2 * count, int(count * ENOUGH / 2 / max(took, 1e-6))))


def speeds(locator: Locator, rounds: int) -> list[dict[str, Any]]:
    """A row for each way and batch size."""
    points = points_within(locator, max(BATCHES))
    runs: list[tuple[str, str, Callable[[], object], int]] = []
    for name, single in single_ways(locator).items():
        run, count = enough(lambda n, f=single: one_by_one(f, points[:n].tolist()), len(points))  # type: ignore[misc]
        runs.append((name, "one at a time", run, count))
    others = ways(locator) | {
        "locator with outcomes": lambda lons, lats: locator.outcomes(lons, lats)[0],
        "locator with border within 50 m": lambda lons, lats: locator.near_border(lons, lats).neighbour,
    }
    few = points[:2000]
    answers = [look_up(few[:, 0], few[:, 1]) for look_up in ways(locator).values()]
    assert all(np.array_equal(answers[0], answer) for answer in answers), "the ways do not agree"
    for size in BATCHES:
        for name, many in others.items():
            # Whole batches, but for the slow ways in the largest one.
            run, count = enough(
                lambda n, f=many, s=size: batches(f, points[:n], s),  # type: ignore[misc]
                len(points),
            )
            runs.append((name, f"batches of {size:,}", run, count))
    measured: dict[int, list[float]] = {i: [] for i in range(len(runs))}
    for _ in range(rounds):
        for i, (_, _, run, count) in enumerate(runs):
            measured[i].append(rate(run, count))
    return [
        {"way": name, "how": how, "points": count, "per_second": round(statistics.median(measured[i]))}
        for i, (name, how, _, count) in enumerate(runs)
    ]


def costs(boundaries: BoundarySet, rounds: int) -> dict[str, Any]:
    """Seconds to build and to load the index, with the copy of the polygons, and bytes of memory and disk."""
    built, loaded = [], []
    with tempfile.TemporaryDirectory() as directory:
        cache = Path(directory)
        locator = Locator(boundaries, cache)
        (file,) = (cache / "locator").iterdir()
        size = file.stat().st_size
        for _ in range(rounds):
            begin = time.perf_counter()
            Locator(boundaries)
            middle = time.perf_counter()
            Locator(boundaries, cache)
            built.append(middle - begin)
            loaded.append(time.perf_counter() - middle)
    begin = time.perf_counter()
    Borders(boundaries.geometries, 50.0)
    return {
        "build_seconds": round(statistics.median(built), 3),
        "load_seconds": round(statistics.median(loaded), 4),
        "borders_seconds": round(time.perf_counter() - begin, 3),
        "memory_bytes": locator.nbytes,
        "disk_bytes": size,
    }


def measure(name: str, boundaries: BoundarySet, rounds: int) -> dict[str, Any]:
    cost = costs(boundaries, min(rounds, 3))
    result = {
        "set": name,
        "communes": len(boundaries.communes),
        "vertices": int(shapely.get_num_coordinates(boundaries.geometries).sum()),
        **cost,
        "speeds": speeds(Locator(boundaries), rounds),
    }
    print(f"\n{name}: {result['communes']:,} communes, {result['vertices']:,} vertices")
    print(
        f"index: built in {cost['build_seconds']} s, loaded in {cost['load_seconds']} s, "
        f"{cost['memory_bytes'] / 2**20:.1f} MB of memory, {cost['disk_bytes'] / 2**20:.1f} MB on disk; "
        f"edges for near_border in {cost['borders_seconds']} s"
    )
    print(
        f"{'points a second':36}{'one at a time':>16}" + "".join(f"{f'{b:,} a batch':>18}" for b in BATCHES)
    )
    for way in dict.fromkeys(row["way"] for row in result["speeds"]):
        cells = {row["how"]: row["per_second"] for row in result["speeds"] if row["way"] == way}
        hows = ["one at a time", *(f"batches of {b:,}" for b in BATCHES)]
        texts = [f"{cells[how]:,}" if how in cells else "" for how in hows]
        print(f"{way:36}{texts[0]:>16}" + "".join(f"{text:>18}" for text in texts[1:]))
    return result


def main() -> None:
    logging.basicConfig(level=logging.WARNING)
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--country", action="store_true", help="the approximate set of all provinces as well")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    options = parser.parse_args()
    results = [measure("approximate Cần Thơ", approximate_set(["92"]), options.rounds)]
    if OFFICIAL.exists():
        results.append(measure("official Cần Thơ", read_boundaries(OFFICIAL), options.rounds))
    else:
        print(f"no official polygons at {OFFICIAL}: not measured")
    if options.country:
        provinces = sorted({commune.province for commune in load_units().communes})
        country = present_set(provinces, ROOT / "build" / "cache")
        results.append(measure("approximate, all provinces", country, options.rounds))
    machine = {
        "processors": os.cpu_count(),
        "machine": platform.machine(),
        "python": platform.python_version(),
    }
    REPORT.parent.mkdir(exist_ok=True)
    report = {"machine": machine, "rounds": options.rounds, "sets": results}
    REPORT.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
