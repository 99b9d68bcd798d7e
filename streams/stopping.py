"""Stopping aiokafka's consumers, which may not end by themselves."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Protocol

#: Seconds for a consumer to stop before it is told once more, and how often it is.
STOP_SECONDS, TIMES = 0.5, 6


class Stoppable(Protocol):
    async def stop(self) -> None: ...


async def stop(consumer: Stoppable) -> None:
    """Stop a consumer. One that was just assigned something else takes the first cancellation for that of a request.

    aiokafka 0.14's fetcher swallows it while it waits for the requests of its former assignment, and `stop` would
    wait for the fetcher for ever; cancelling `stop` cancels the fetcher again.
    """
    stopping = asyncio.ensure_future(consumer.stop())
    for _ in range(TIMES):
        done, _ = await asyncio.wait({stopping}, timeout=STOP_SECONDS)
        if done:
            break
        stopping.cancel()
    if stopping.done():
        with contextlib.suppress(asyncio.CancelledError):
            stopping.result()
