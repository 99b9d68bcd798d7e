"""What the fuzzer tries: something that reads bytes that others wrote, good examples of these, and what must hold."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

#: Seconds of the processor that an input may take, unless a target says otherwise. The largest is about 1 MB.
SECONDS = 1.0


@dataclass(frozen=True)
class Target:
    """Something that reads what others wrote."""

    name: str
    #: Good inputs, which the fuzzer changes.
    seeds: Sequence[bytes]
    #: Raises whatever it likes where something does not hold.
    check: Callable[[bytes], None]
    #: Its part of all inputs: less for what is slow.
    share: float = 1.0
    seconds: float = SECONDS

    def run(self, data: bytes) -> None:
        """Try one input. Raises `TooSlow` beyond the time, and what `check` raises."""
        began = time.thread_time()
        self.check(data)
        took = time.thread_time() - began
        if took > self.seconds:
            raise TooSlow(f"{took:.2f} s for {len(data)} bytes, {self.seconds:g} s are the limit")


class TooSlow(AssertionError):
    """An input took too long."""
