"""Tries one target in this process, guided by which lines an input reached: python -m tests.fuzz.guided NAME.

`python -m tests.fuzz` starts one such process for each target. It ends with 77 at the first input that fails.
"""

from __future__ import annotations

import argparse
import logging
import random
import sys
import warnings
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["alerts", "geo", "ioc", "maps", "streams"]):
    from tests.fuzz.mutate import mutated
    from tests.fuzz.targets import find

#: The longest input, bytes: a little more than the broker takes of one record.
LONGEST = 1_200_000
#: MiB that the process may come to have.
MEMORY_MB = 2_000
#: Seconds on the clock after which an input counts as hanging.
HANGING_SECONDS = 60
#: Of the changes, those that know JSON; the others are libFuzzer's.
KNOWING = 0.8


def main() -> None:
    """Try inputs until so many were tried, or the time is over."""
    parser = argparse.ArgumentParser()
    parser.add_argument("target")
    parser.add_argument("--inputs", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--seconds", type=int, required=True)
    parser.add_argument("--corpus", type=Path, required=True)
    asked = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.getLogger().addHandler(logging.NullHandler())
    logging.getLogger().setLevel(logging.ERROR)
    target = find(asked.target)
    seeds = tuple(target.seeds)
    for number, seed in enumerate(seeds):
        target.run(seed)
        (asked.corpus / f"seed-{number}").write_bytes(seed)

    def change(data: bytes, longest: int, number: int) -> bytes:
        chance = random.Random(number)
        if chance.random() >= KNOWING:
            return bytes(atheris.Mutate(data, longest))
        return mutated(data or chance.choice(seeds), chance, seeds)[:longest]

    options = [
        f"-runs={asked.inputs}",
        f"-seed={asked.seed}",
        f"-max_total_time={asked.seconds}",
        f"-timeout={HANGING_SECONDS}",
        f"-rss_limit_mb={MEMORY_MB}",
        f"-max_len={LONGEST}",
        f"-artifact_prefix={asked.corpus}-",
        "-print_final_stats=1",
        "-len_control=0",
    ]
    atheris.Setup([sys.argv[0], *options, str(asked.corpus)], target.run, custom_mutator=change)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
