"""The partitions of a worker in step: who is far ahead in event time waits for those that are behind.

Correlate takes signals in one order of time, once the slowest raw partition has passed it, and holds what the others
told until then. Where more comes in than can be judged, or after an outage, a stream of few events is read to its end
at once while another is minutes behind: all that it told would be held. The log holds it for nothing.
"""

from __future__ import annotations

import math
from typing import Protocol

from faust.types import TP

#: Seconds of event time that a partition may be ahead of the slowest one. More than one chunk of a live stream has.
AHEAD_SECONDS = 30.0

#: Seconds without an advance of its clock after which nobody waits for a partition: its broker may be gone. Where far
#: too much comes in there are many events between two clock records.
STANDS_SECONDS = 15.0


class Room(Protocol):
    """Who stops and goes on handing over a partition's chunks: Faust's consumer."""

    def on_buffer_full(self, tp: TP) -> None: ...
    def on_buffer_drop(self, tp: TP) -> None: ...


class Pace:
    """The room of a worker's lanes, which also stops the partitions that are ahead.

    A partition may be stopped for its full lane and for the others that are behind: it goes on when neither holds.
    `now` is monotonic.
    """

    def __init__(self, room: Room, *, ahead: float = AHEAD_SECONDS) -> None:
        """`ahead` is infinite where partitions have nothing to do with each other."""
        self._room, self._ahead = room, ahead
        #: Event time that each partition has reached, Unix seconds, and when it did.
        self._clocks: dict[TP, tuple[float, float]] = {}
        #: The partitions that are ahead and wait.
        self.waiting: set[TP] = set()
        self._full: set[TP] = set()

    def on_buffer_full(self, tp: TP) -> None:
        self._full.add(tp)
        self._room.on_buffer_full(tp)

    def on_buffer_drop(self, tp: TP) -> None:
        self._full.discard(tp)
        if tp not in self.waiting:
            self._room.on_buffer_drop(tp)

    def reached(self, tp: TP, clock: float | None, now: float) -> None:
        """A partition has been worked on up to that event time."""
        if clock is None or math.isinf(self._ahead):
            return
        before = self._clocks.get(tp)
        if before is None or clock != before[0]:
            self._clocks[tp] = clock, now
            self.look(now)

    def look(self, now: float) -> None:
        """Stop who is ahead, and let go on whom the others have come near to. To be called now and then as well,
        since a partition that is waited for may fall silent."""
        moving = [clock for clock, since in self._clocks.values() if now - since < STANDS_SECONDS]
        limit = min(moving) + self._ahead if moving else math.inf
        for tp, (clock, _) in self._clocks.items():
            if clock > limit:
                self.waiting.add(tp)
                self._room.on_buffer_full(tp)  # again and again: an assignment lets all go on
            elif tp in self.waiting:
                self.waiting.discard(tp)
                if tp not in self._full:
                    self._room.on_buffer_drop(tp)

    def forget(self, tp: TP) -> None:
        """The partition is given up: nobody waits for it, and it waits for nobody."""
        self._clocks.pop(tp, None)
        self._full.discard(tp)
        self.waiting.discard(tp)
