"""A consumer that does not heed the first word is told again."""

from __future__ import annotations

import asyncio
import contextlib
import time

import pytest

from streams import stopping
from streams.stopping import stop


class Consumer:
    """As aiokafka 0.14 stops: its fetcher takes so many cancellations for those of its requests."""

    def __init__(self, deaf: int) -> None:
        self.ended = False
        self._fetcher = asyncio.ensure_future(self._fetch(deaf))

    async def _fetch(self, deaf: int) -> None:
        for _ in range(deaf):
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(3600)
        await asyncio.sleep(3600)

    async def stop(self) -> None:
        await asyncio.sleep(0)
        self._fetcher.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._fetcher
        self.ended = True


@pytest.mark.parametrize("deaf", [0, 1, 2])
async def test_it_is_stopped_however_often_it_must_be_told(
    deaf: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In order, so that its connections are closed."""
    monkeypatch.setattr(stopping, "STOP_SECONDS", 0.05)
    consumer = Consumer(deaf)
    began = time.monotonic()
    await asyncio.wait_for(stop(consumer), 5)
    assert consumer.ended
    assert time.monotonic() - began >= 0.05 * deaf


async def test_who_never_heeds_is_left() -> None:
    """The command ends all the same; what a consumer raises is told."""

    class Raising:
        async def stop(self) -> None:
            raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        await stop(Raising())
