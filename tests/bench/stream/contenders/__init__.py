"""Who takes part, and how each is started and watched."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from streams.topics import STREAMS

ROOT = Path(__file__).parents[4]
#: The environment that `make bench` makes, with the frameworks that the product does not need.
BENCH_PYTHON = ROOT / "build" / "bench-venv" / "bin" / "python"

_PACKAGE = "tests.bench.stream.contenders"


@dataclass(frozen=True)
class Contender:
    """One way to do the job."""

    name: str
    title: str
    #: Arguments of Python.
    arguments: tuple[str, ...]
    #: How its progress is seen: `measure.progress`.
    progress: Literal["committed", "located", "told"]
    #: Its consumer group, after the prefix.
    group: str = ""
    #: It reads and writes under one prefix, that of the raw log.
    in_place: bool = False
    #: It does the whole job, so its results must be those of the others.
    whole: bool = True
    #: It may end by itself at the end of the log.
    ends: bool = False
    #: Compacted topics that it has beside the product's, after the prefix, with as many partitions as a raw topic.
    #: Faust makes its changelog topics itself, but does not always see them before it writes: then it loses events.
    changelogs: tuple[str, ...] = ()
    #: A module that the product does not need.
    needs: str | None = None

    def python(self) -> str | None:
        """A Python that can run it; None where there is none: `make bench` makes one."""
        if self.needs is None or importlib.util.find_spec(self.needs):
            return sys.executable
        return str(BENCH_PYTHON) if BENCH_PYTHON.exists() else None


def _module(name: str, *arguments: str) -> tuple[str, ...]:
    return ("-m", f"{_PACKAGE}.{name}", *arguments)


CONTENDERS = {
    one.name: one
    for one in (
        Contender(
            "product", "ioc sense", ("-m", "ioc", "sense"), "committed", group="ioc-sense", in_place=True
        ),
        Contender(
            "faust",
            "Faust as documented",
            _module("faust_documented", "worker", "-l", "warn", "--without-web"),
            "located",
            changelogs=tuple(f"faust-{stream}-sources-changelog" for stream in STREAMS),
        ),
        Contender("quix", "Quix Streams with state", _module("quix"), "located", needs="quixstreams"),
        Contender("bytewax", "Bytewax", _module("bytewax_flow"), "located", needs="bytewax"),
        Contender("ceiling", "aiokafka, batched", _module("ceiling"), "committed", group="ceiling"),
        Contender("bare", "aiokafka, only counting", _module("bare"), "told", whole=False),
    )
}
