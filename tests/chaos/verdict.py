"""How what came of a disturbed run differs from what must come of its log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass, field

from ioc.settings import Settings
from streams.schemas import CLOCK_KEY
from streams.topics import Topics
from tests.chaos.load import Load, head_of
from tests.chaos.logs import Came
from tests.chaos.oracle import Judged, judge_log
from tests.system import read_all

#: So many differences are told of each kind.
TOLD = 3


@dataclass
class Verdict:
    """Counts of records over everything that is compared. All are 0 where nothing was lost, doubled or changed."""

    lost: int = 0
    duplicated: int = 0
    wrong: int = 0
    #: What was compared, by name.
    compared: dict[str, int] = field(default_factory=dict)
    late_commands: int = 0
    #: The first differences in words.
    told: list[str] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        return not (self.lost or self.duplicated or self.wrong)

    def differ(self, what: str, expected: Counter, found: Counter) -> None:
        """Count what is missing, what is there too often, and what must not be there at all."""
        missing, extra = expected - found, found - expected
        strange = Counter({one: number for one, number in extra.items() if one not in expected})
        # A record that differs in content is a missing one and a strange one, and is told once.
        self.wrong += strange.total()
        self.lost += max(0, missing.total() - strange.total())
        self.duplicated += extra.total() - strange.total()
        for name, counter in (("missing", missing), ("strange", strange), ("again", extra - strange)):
            self.told += [f"{what}, {name}: {_short(one)}" for one in list(counter)[:TOLD]]

    def compare(self, expected: Came, came: Came) -> None:
        """All that the workers wrote, beside what they had to write."""
        for at in sorted(expected.correlated.keys() | came.correlated.keys()):
            one, other = expected.correlated.get(at, []), came.correlated.get(at, [])
            name = f"{at[0]}/{at[1]}"
            self.compared[name] = len(one)
            if one == other:
                continue
            self.differ(name, Counter(one), Counter(other))
            if Counter(one) == Counter(other):
                moved = sum(a != b for a, b in zip(one, other, strict=True))
                self.wrong += moved
                self.told.append(f"{name}: {moved} records stand in another order")
        self.compared["ioc.located"] = expected.located.total()
        self.differ("ioc.located", expected.located, came.located)
        self.compared["ioc.deadletter"] = expected.dead.total()
        self.differ("ioc.deadletter", expected.dead, came.dead)

    def compare_shown(self, told: Counter[str], shown: Counter[str]) -> None:
        """What an agency's reader has shown, beside what stands on its topic."""
        self.compared["shown to an agency"] = told.total()
        self.differ("shown to an agency", told, shown)


def judge(settings: Settings, load: Load, agencies: list[str]) -> Verdict:
    """Read all that a run left on the broker, and judge it."""
    verdict, came = Verdict(), Came.of(settings, agencies)
    expected: Judged = judge_log(settings, agencies)
    verdict.late_commands = expected.late_commands
    verdict.lost += expected.signals_lost
    verdict.duplicated += expected.signals_doubled
    if expected.signals_lost or expected.signals_doubled:
        verdict.told.append(
            f"ioc.signals: {expected.signals_lost} missing, {expected.signals_doubled} too many"
        )
    published, records = _published(settings)
    verdict.compared["published"] = records
    verdict.differ("published", load.events, published)
    verdict.compare(expected.came, came)
    handled = came.located.total() + came.dead.total()
    if handled != records:
        verdict.told.append(f"{records} records were published, {handled} are located or dead letters")
        verdict.lost += max(0, records - handled)
    return verdict


def _published(settings: Settings) -> tuple[Counter[tuple[str, str, str]], int]:
    """The events in the raw log as (stream, source, id), and how many records of sources it has at all."""
    found: Counter[tuple[str, str, str]] = Counter()
    records = 0
    for stream, topic in Topics.of(settings).raw.items():
        for record in read_all(settings, topic.name):
            if record.key == CLOCK_KEY:
                continue
            records += 1
            if (head := head_of(record.value)) is not None:
                found[stream, *head] += 1
    return found, records


def _short(one: Hashable) -> str:
    text = repr(one)
    return text if len(text) < 300 else f"{text[:300]}…"
