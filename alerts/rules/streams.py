"""What rules must know of the streams of events: the fields that they may name."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

#: Text fields that every event of a stream has, and that `where` may look at.
TEXTS: dict[str, frozenset[str]] = {"camera": frozenset({"kind"}), "report": frozenset({"category"})}


class Streams(Struct, frozen=True):
    """The fields of each stream."""

    #: Measures by stream.
    measures: Mapping[str, frozenset[str]]
    texts: Mapping[str, frozenset[str]]

    def choose(self, stream: str | None = None) -> str:
        """What there is to choose from: streams, or the fields of one."""
        if stream is None:
            return f"choose one of {', '.join(sorted(self.measures))}"
        fields = sorted(self.measures[stream] | self.texts.get(stream, frozenset()))
        return f"choose one of {', '.join(fields)}"
