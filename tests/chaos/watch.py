"""How long it takes after a fault until every partition concerned is committed again."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from urllib.request import urlopen

from kafka import KafkaAdminClient
from kafka.errors import KafkaError

from ioc.settings import Settings
from streams.topics import Topics

#: Seconds between looks: recovery is not known better than this.
LOOK_SECONDS = 0.2
#: Seconds after which a partition that is not committed again counts as hung, beside the fault's own time.
HUNG_SECONDS = 90.0

#: Group, topic and partition.
At = tuple[str, str, int]


@dataclass
class Struck:
    """A fault that happened."""

    number: int
    kind: str
    target: str
    #: Seconds that it lasts by itself: a pause, a cut.
    lasts: float
    #: Groups whose partitions must be committed again; "wall" stands for the wall's readiness.
    groups: tuple[str, ...]
    began: float
    #: When the target was there again: started anew, woken, linked.
    mended: float | None = None
    ended: float | None = None
    hung: bool = False
    #: Offsets that must be passed; None until they are known.
    base: dict[At, int] | None = None
    waiting: set[At] = field(default_factory=set)

    @property
    def recovery(self) -> float | None:
        """Seconds from the fault to the first commit after it of the last partition."""
        return None if self.ended is None else self.ended - self.began

    @property
    def recovery_after_mending(self) -> float | None:
        """The same from when the target was there again; 0 where others took over before."""
        if self.ended is None:
            return None
        return max(0.0, self.ended - max(self.began, self.mended or self.began))


class Watch(threading.Thread):
    """Looks at the committed offsets of sense and correlate, over failures of the broker."""

    def __init__(self, settings: Settings, wall_port: int | None = None) -> None:
        super().__init__(name="chaos-watch", daemon=True)
        topics = Topics.of(settings)
        self._settings, self._wall_port = settings, wall_port
        prefix = settings.topic_prefix
        raw = {(t.name, n) for t in topics.raw.values() for n in range(t.partitions)}
        signals = {(topics.signals.name, n) for n in range(topics.signals.partitions)}
        self.partitions: dict[str, set[At]] = {
            "sense": {(f"{prefix}ioc-sense", *at) for at in raw},
            "correlate": {(f"{prefix}ioc-correlate", *at) for at in signals},
            "wall": {("wall", "", 0)},
        }
        self._asked = threading.Event()
        self._lock = threading.Lock()
        self._open: list[Struck] = []
        self._latest: dict[At, int] = {}
        #: When the last look began that was answered (monotonic).
        self.looked = 0.0

    def run(self) -> None:
        admin: KafkaAdminClient | None = None
        while not self._asked.wait(LOOK_SECONDS):
            began = time.monotonic()
            try:
                if admin is None:
                    admin = KafkaAdminClient(
                        bootstrap_servers=self._settings.bootstrap.split(","),
                        bootstrap_timeout_ms=2000,
                        request_timeout_ms=3000,
                    )
                found = self._look(admin)
            except (KafkaError, OSError, ValueError, AssertionError):
                if admin is not None:
                    with suppress(Exception):
                        admin.close()
                admin = None
                continue
            self._compare(found, began)
        if admin is not None:
            admin.close()

    def stop(self) -> None:
        self._asked.set()
        self.join(20)

    def strike(self, struck: Struck, *, before: bool) -> None:
        """Begin to watch a fault. `before`: what counts is what is committed now, not at the next look."""
        with self._lock:
            struck.waiting = set().union(*(self.partitions[group] for group in struck.groups))
            if before:
                struck.base = dict(self._latest)
            self._open.append(struck)

    def committed(self) -> dict[At, int]:
        """Committed offsets at the last look."""
        with self._lock:
            return dict(self._latest)

    def over(self, struck: Struck) -> bool:
        return struck.ended is not None or struck.hung

    def _look(self, admin: KafkaAdminClient) -> dict[At, int]:
        found: dict[At, int] = {}
        for name in ("sense", "correlate"):
            group = f"{self._settings.topic_prefix}ioc-{name}"
            for tp, entry in admin.list_group_offsets({group: None})[group].items():
                found[group, tp.topic, tp.partition] = entry.offset
        if self._wall_port is not None and ready(self._wall_port):
            # A count of looks at which it was ready, as if it were an offset.
            found["wall", "", 0] = self._latest.get(("wall", "", 0), 0) + 1
        return found

    def _compare(self, found: dict[At, int], began: float) -> None:
        now = time.monotonic()
        with self._lock:
            self._latest.update(found)
            self.looked = began
            for struck in list(self._open):
                if struck.base is None:
                    if began > struck.began:
                        struck.base = dict(self._latest)
                    continue
                struck.waiting = {at for at in struck.waiting if found.get(at, -1) <= struck.base.get(at, -1)}
                if not struck.waiting:
                    struck.ended = now
                    self._open.remove(struck)
                elif now - struck.began > struck.lasts + HUNG_SECONDS:
                    struck.hung = True
                    self._open.remove(struck)

    def give_up(self) -> list[Struck]:
        """Faults that are not over; nobody waits for them any more."""
        with self._lock:
            left, self._open = self._open, []
            return left


def ready(port: int) -> bool:
    """Whether a process says that it does its work."""
    try:
        with urlopen(f"http://127.0.0.1:{port}/readyz", timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False
