"""The live clock: one record a second to every raw partition, with the time and the configuration that hold.

Time in a partition never goes back, whatever the machine's clock does: after a step back nothing is written
until the machine's time has passed the last record.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from ioc.errors import UserError
from ioc.health import Health
from ioc.metrics import CLOCK_HELD, CLOCK_RECORDS
from ioc.settings import Settings
from streams.current import CurrentConfiguration
from streams.rawlog import Fenced, RawLog, Unanswered
from streams.schemas import CLOCK_KEY, Clock

log = logging.getLogger(__name__)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: Seconds between attempts to reach a broker that is away: the first, and the longest.
_PAUSE, _LONGEST_PAUSE = 0.2, 5.0


@dataclass(frozen=True)
class Timebase:
    """A clock that can be set: at `origin` of the wall clock it shows `start`, and it runs `speed` times as
    fast.

    By default the wall clock's own time.
    """

    origin: datetime = _EPOCH
    start: datetime = _EPOCH
    speed: float = 1.0

    def now(self, wall: datetime) -> datetime:
        """What it shows when the wall clock shows `wall`."""
        return self.start + (wall - self.origin) * self.speed


def _wall() -> datetime:
    return datetime.now(UTC)


def run_clock(
    settings: Settings,
    *,
    stop: threading.Event,
    timebase: Timebase | None = None,
    interval: float = 1.0,
    now: Callable[[], datetime] = _wall,
    health: Health | None = None,
    config: str | None = None,
) -> None:
    """Write clock records until `stop` is set, every `interval` seconds; a broker that is away is waited for.

    `now` is the wall clock. `config` is the hash that the records carry; None publishes the installation's
    configuration, and follows what is made current while it runs.

    Raises `UserError` where another clock writes to the same topics.
    """
    timebase = timebase or Timebase()
    raw = RawLog(settings, "ioc-clock", stop)
    writer = _ClockWriter(raw)
    current: CurrentConfiguration | None = None
    pause = _PAUSE
    due = time.monotonic()
    try:
        while not stop.is_set():
            if health is not None:
                health.beat()
            try:
                if config is None and current is None:
                    current = raw.within(lambda: CurrentConfiguration(settings, stop))
                writer.tick(timebase.now(now()), current.hash if current else config or "")
            except Unanswered as error:
                raw.close()
                writer.connected = False
                log.warning("no clock records, trying again in %.1f s: %s", pause, error)
                _tell(health, False, f"the broker does not answer: {error}")
                stop.wait(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
                continue
            _tell(health, not writer.held, "the machine's time has gone back" if writer.held else "")
            pause = _PAUSE
            # What was missed is not made up for: the present time says it all.
            due = max(due + interval, time.monotonic())
            stop.wait(due - time.monotonic())
    except Fenced:
        _tell(health, False, "another clock has taken over")
        raise UserError(
            "another clock writes to these topics, or this one was paused for too long",
            f"transactions of {settings.topic_prefix}ioc-clock",
            "run one clock for each topic prefix",
        ) from None
    finally:
        raw.close()


class _ClockWriter:
    """Writes clock records, and none that would turn back the time."""

    def __init__(self, raw: RawLog) -> None:
        self._raw = raw
        self.connected = False
        #: Nothing is written, for the time is not past the last record.
        self.held = False
        self._last: datetime | None = None

    def tick(self, time: datetime, config: str) -> None:
        """Write `time` to every partition if it is later than the last. Raises `Unanswered` and `Fenced`."""
        if not self.connected:
            # First fence, then look: whoever wrote before cannot write after that.
            self._raw.open()
            last = self._raw.last_clock()
            self._last = last.clock if last else None
            self.connected = True
        time = time.replace(microsecond=time.microsecond // 1000 * 1000)
        if self._last is not None and time <= self._last:
            CLOCK_HELD.inc()
            if not self.held:
                log.warning(
                    "the time is %s, the last clock record says %s: nothing is written until it is later",
                    *(time.isoformat(), self._last.isoformat()),
                )
            self.held = True
            return
        value = msgspec.json.encode(Clock(clock=time, config=config))
        self._raw.write((topic, number, CLOCK_KEY, value) for topic, number in self._raw.partitions)
        self._last, self.held = time, False
        CLOCK_RECORDS.inc(len(self._raw.partitions))


def _tell(health: Health | None, ok: bool, detail: str) -> None:
    if health is not None:
        health.check("clock", ok, detail)
