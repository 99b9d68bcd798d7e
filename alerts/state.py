"""State as tables of records: what is kept between chunks, and which of it has changed since it was last written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Generic, TypeVar

import msgspec

T = TypeVar("T")

#: Between a table's name and a record's key; no table's name holds it.
_MARK = "|"


class Table(Generic[T]):
    """Records of one type by key. Whoever changes a record puts it back: only then is it written.

    Iterates in the order of its keys, so that nothing depends on when a record came or was restored.
    """

    def __init__(self, name: str, kind: type[T]) -> None:
        self.name = name
        self._decode: Callable[[bytes], T] = msgspec.json.Decoder(kind).decode
        self._records: dict[str, T] = {}
        self._touched: set[str] = set()
        #: Keys that the log has, so that what came and went between two writings leaves nothing there.
        self._written: set[str] = set()

    def get(self, key: str) -> T | None:
        return self._records.get(key)

    def __getitem__(self, key: str) -> T:
        return self._records[key]

    def __setitem__(self, key: str, record: T) -> None:
        self._records[key] = record
        self._touched.add(key)

    def pop(self, key: str) -> T | None:
        """Remove a record; returns it, None where there was none."""
        record = self._records.pop(key, None)
        if record is not None:
            self._touched.add(key)
        return record

    def __contains__(self, key: str) -> bool:
        return key in self._records

    def __len__(self) -> int:
        return len(self._records)

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._records))

    def items(self) -> list[tuple[str, T]]:
        """Keys and records in the order of the keys; the table may be changed meanwhile."""
        return sorted(self._records.items(), key=lambda item: item[0])

    def values(self) -> list[T]:
        """The records in the order of their keys."""
        return [record for _, record in self.items()]

    def restore(self, key: str, value: bytes) -> None:
        """Take a record as it was written."""
        self._records[key] = self._decode(value)
        self._written.add(key)

    def take_changes(self) -> Iterator[tuple[str, bytes | None]]:
        """Keys and encoded records that changed since the last call; None for one that is gone."""
        touched, self._touched = sorted(self._touched), set()
        for key in touched:
            if key in self._records:
                self._written.add(key)
                yield key, msgspec.json.encode(self._records[key])
            elif key in self._written:
                self._written.discard(key)
                yield key, None


class Tables:
    """All tables of one state."""

    def __init__(self) -> None:
        self._tables: dict[str, Table] = {}

    def table(self, name: str, kind: type[T]) -> Table[T]:
        """A new table. Raises `ValueError` where the name is taken or holds a mark."""
        if name in self._tables or _MARK in name:
            raise ValueError(f"no table can be called {name}")
        made = self._tables[name] = Table(name, kind)
        return made

    def restore(self, state: Mapping[bytes, bytes]) -> None:
        """Take what `take_changes` of all earlier chunks wrote. Keys of other owners are left alone."""
        for key, value in state.items():
            name, mark, rest = key.decode(errors="replace").partition(_MARK)
            if mark and name in self._tables:
                self._tables[name].restore(rest, value)

    def take_changes(self) -> Iterator[tuple[bytes, bytes | None]]:
        """What changed since the last call, for the log."""
        for name in sorted(self._tables):
            for key, value in self._tables[name].take_changes():
                yield f"{name}{_MARK}{key}".encode(), value
