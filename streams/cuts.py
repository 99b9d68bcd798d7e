"""Raw partitions, cut at their clock records and put together: log order for all of them at once.

The writer of clock records puts the same one into every raw partition. So what stands before it in any of them
comes before that clock, and each source keeps its order and its place among the clock records: nothing else
decides a judgement, so the judged changes of what was put together are those of the log.

- It begins at the first clock that every partition has: retention trims one further than another.
- A clock record that a partition lacks (damaged, or twice) moves none of its events past another clock record of
  that partition.
- What follows the last clock that every partition has reached is not told: more of it may come.
"""

from __future__ import annotations

import tempfile
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Generic, TypeVar

from streams.schemas import Clock

P = TypeVar("P")
S = TypeVar("S")

#: Bytes between two clock records of a partition beyond which they are kept on disk meanwhile.
SPOOL_BYTES = 8 * 1024 * 1024


class Lines:
    """Lines in their order, on disk where they are many: without a clock a day may lie between two clock records."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(max_size=SPOOL_BYTES)  # noqa: SIM115 - closed by `take`
        #: How many there are, and how many were left out.
        self.number = self.left_out = 0

    def add(self, line: bytes | None) -> None:
        """Add a line; None counts one that is left out."""
        if line is None:
            self.left_out += 1
        else:
            self.number += 1
            self._file.write(line)

    def take(self) -> Iterator[bytes]:
        """What was added, in pieces; once."""
        with self._file as file:
            file.seek(0)
            while piece := file.read(1 << 20):
                yield piece

    def drop(self) -> None:
        self._file.close()


@dataclass
class _Cut:
    """A clock record of one partition, and the lines that stand before it."""

    clock: Clock
    lines: Lines | None


@dataclass
class _Partition(Generic[S]):
    stream: S
    last: Clock | None = None
    cuts: deque[_Cut] = field(default_factory=deque)
    lines: Lines | None = None


@dataclass(frozen=True)
class Step(Generic[S]):
    """From one clock to the next, in all partitions."""

    #: The clock that ends it.
    clock: Clock
    #: What stands before it, partition by partition, with its stream; empty in the first step.
    lines: tuple[tuple[S, Lines], ...]
    #: In how many partitions that clock is lacking.
    lacking: int = 0


class Merge(Generic[P, S]):
    """Puts partitions together. `add` what was read of each, and ask for the `steps` that are complete."""

    def __init__(self, partitions: Mapping[P, S], since: datetime | None = None) -> None:
        """`partitions` with the stream of each. It begins at the first clock that all have, at `since` or later."""
        self._partitions = {name: _Partition(stream) for name, stream in partitions.items()}
        self._since = since
        self._begun = False

    def clock(self, partition: P, clock: Clock) -> None:
        """A clock record of a partition. One that does not move the time on is not believed."""
        own = self._partitions[partition]
        if own.last is not None and clock.clock <= own.last.clock:
            return
        own.last = clock
        own.cuts.append(_Cut(clock, own.lines))
        own.lines = None

    def wanted(self, partition: P) -> bool:
        """Whether a line that comes now may be told: not before the beginning."""
        last = self._partitions[partition].last
        return last is not None and (self._since is None or last.clock >= self._since)

    def line(self, partition: P, line: bytes | None) -> None:
        """A line of a partition, where it is `wanted`; None for one that is left out."""
        own = self._partitions[partition]
        if own.lines is None:
            own.lines = Lines()
        own.lines.add(line)

    def lacking(self) -> list[P]:
        """The partitions without which no step is complete: read on there."""
        return [name for name, own in self._partitions.items() if not own.cuts]

    @property
    def at(self) -> datetime | None:
        """The earliest time that a partition has come to; None until one has a clock record."""
        return min(
            (own.last.clock for own in self._partitions.values() if own.last is not None), default=None
        )

    def steps(self) -> Iterator[Step[S]]:
        """The steps that are complete by now, in order."""
        while self._begun or self._begin():
            if self.lacking():
                return
            clock = min(
                (own.cuts[0].clock for own in self._partitions.values()), key=lambda clock: clock.clock
            )
            taken: list[tuple[S, Lines]] = []
            lacking = 0
            for own in self._partitions.values():
                cut = own.cuts[0]
                # Also where this clock is lacking: what stands before a later one came before that.
                if cut.lines is not None:
                    taken.append((own.stream, cut.lines))
                    cut.lines = None
                if cut.clock.clock == clock.clock:
                    own.cuts.popleft()
                else:
                    lacking += 1
            yield Step(clock, tuple(taken), lacking)

    def _begin(self) -> bool:
        """Drop what stands before the first clock that all have; whether that is known yet."""
        begin = self._since
        while not self.lacking():
            heads = [own.cuts[0].clock.clock for own in self._partitions.values()]
            begin = max(heads) if begin is None else max(begin, *heads)
            for own in self._partitions.values():
                while own.cuts and own.cuts[0].clock.clock < begin:
                    _drop(own.cuts.popleft())
            if all(own.cuts and own.cuts[0].clock.clock == begin for own in self._partitions.values()):
                self._begun = True
                for own in self._partitions.values():
                    _drop(own.cuts[0])
                return True
        return False


def _drop(cut: _Cut) -> None:
    if cut.lines is not None:
        cut.lines.drop()
        cut.lines = None
