"""What aiokafka has fetched, handed out a batch at a time.

aiokafka takes some steps for each record and copies each into a `ConsumerRecord`, which together cost more than
parsing it. Here the records of a batch are one to it, a `_Run`: what it does for each batch (checksum, aborted
transactions, markers, positions) stays its own.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from itertools import chain
from operator import attrgetter
from typing import Any, NamedTuple

from aiokafka.consumer.fetcher import FetchResult

from streams.decoding import RawRecord


class _Run(NamedTuple):
    """The records of a batch, in the place of the last of them."""

    offset: int
    records: list[RawRecord]


_records = attrgetter("records")


class _Batch:
    """A batch with one thing in it."""

    def __init__(self, batch: Any) -> None:
        self._batch = batch

    def __getattr__(self, name: str) -> Any:
        return getattr(self._batch, name)

    def __next__(self) -> Any:
        return next(self._batch)  # what a marker says

    def __iter__(self) -> Iterator[_Run]:
        records = list(self._batch)
        if records:
            yield _Run(records[-1].offset, records)


class _Batches:
    def __init__(self, batches: Any) -> None:
        self._batches = batches
        self.has_next = batches.has_next

    def next_batch(self) -> _Batch:
        return _Batch(self._batches.next_batch())


def _from_offset(offset: int, tp: Any, run: _Run) -> _Run:
    """A run without what lies before what was asked for: brokers answer with whole batches."""
    if run.records[0].offset >= offset:
        return run
    return run._replace(records=[record for record in run.records if record.offset >= offset])


class FetchedRuns(OrderedDict[Any, Any]):
    """Results of fetches by partition, for aiokafka's fetcher: what is drained from it are runs."""

    def __setitem__(self, tp: Any, result: Any) -> None:
        if isinstance(result, FetchResult):
            fetched = result._partition_records
            # Nothing is taken from it yet.
            fetched._records = _Batches(fetched._records)
            fetched._consumer_record = partial(_from_offset, fetched.next_fetch_offset)
        super().__setitem__(tp, result)


def records_of(drained: Mapping[Any, Iterable[_Run]]) -> dict[Any, list[RawRecord]]:
    """The records of drained runs by partition, as aiokafka parsed them, in order."""
    return {tp: list(chain.from_iterable(map(_records, runs))) for tp, runs in drained.items()}
