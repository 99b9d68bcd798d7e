"""A source as the rules see it: its entry in the inventory, and what is kept of it."""

from __future__ import annotations

from msgspec import UNSET, Raw, Struct, UnsetType

from alerts.conditions.ladder import LadderState
from alerts.conditions.minutes import Said
from alerts.conditions.quality import Readings
from alerts.conditions.rate import RateState
from alerts.conditions.silence import NEVER_HEARD, Heard, SilenceState
from alerts.model import AwareTime, Source, Text, Where


class SourceState(Struct, kw_only=True, omit_defaults=True):
    """State of one source. What is as it was at first is not kept."""

    where: Where
    #: Time and id of the last event that was judged; None and empty where the source was never heard.
    time: AwareTime | None = None
    event: str = ""
    #: For a source of the inventory that was never heard: since when which inventory lists it.
    listed: AwareTime | None = None
    listed_by: str = ""
    simulated: bool = False
    run: str = ""
    #: By measure.
    readings: dict[str, Readings] = {}
    #: By rule, as are the following; only where a rung is pending or on.
    ladders: dict[str, LadderState] = {}
    rates: dict[str, RateState] = {}
    silences: dict[str, SilenceState] = {}
    said: dict[str, list[Said]] = {}
    #: Events that came sooner than the quota's pace, less what has passed since: more than the quota are not judged.
    burst: float = 0.0
    #: For the wall's picture: in which ten seconds it was written last, and the last event since that is not.
    pictured: int = 0
    unpictured: Raw | UnsetType = UNSET

    @property
    def heard(self) -> Heard:
        """The last sign of it: its last event, or where there was none, its being listed."""
        if self.time is not None:
            return Heard(self.event, self.time)
        assert self.listed is not None, "a source is known because it was heard or because it is listed"
        return Heard(f"{NEVER_HEARD}{self.listed_by}", self.listed)


class Subject(Struct, frozen=True):
    """A source: its id, its entry in the inventory (None where it has none), and its state."""

    id: str
    source: Source | None
    state: SourceState

    @property
    def name(self) -> Text:
        """Its name for people."""
        return self.source.name if self.source else {"vi": self.id, "en": self.id}
