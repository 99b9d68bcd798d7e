"""When something falls due: a key and its moment, the earliest first."""

from __future__ import annotations

import heapq
from datetime import datetime


class Agenda:
    """At most one moment for each key. What is replaced stays in the heap until it comes up, and is passed over."""

    def __init__(self) -> None:
        self._due: dict[str, datetime] = {}
        self._heap: list[tuple[datetime, str]] = []

    def __len__(self) -> int:
        """How many keys fall due."""
        return len(self._due)

    def set(self, key: str, due: datetime | None) -> None:
        """Let a key fall due at a moment; None: not at all."""
        if due is None:
            self._due.pop(key, None)
        elif self._due.get(key) != due:
            self._due[key] = due
            heapq.heappush(self._heap, (due, key))

    def next(self) -> datetime | None:
        """The earliest moment; None where nothing falls due."""
        while self._heap and self._due.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def take(self, due: datetime) -> list[str]:
        """Remove what falls due at or before a moment; its keys in the order of moment and key."""
        taken = []
        while (moment := self.next()) is not None and moment <= due:
            taken.append(self.pop())
        return taken

    def pop(self) -> str:
        """Remove what falls due first; its key. Raises `IndexError` where nothing falls due."""
        self.next()
        key = heapq.heappop(self._heap)[1]
        del self._due[key]
        return key
