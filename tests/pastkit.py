"""A short past, made up, for tests of the pages that tell of it: two hours with a few alerts."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import msgspec
import numpy as np
import shapely

from alerts.commands import Command, CommandOutcome
from alerts.incident import Incident
from geo.boundaries import BoundarySet, Commune, boundary_set
from maps.history import History
from maps.past import Past
from streams.picturing import Frame, FrameAlert
from tests import wallkit as kit

MINUTES = 120
START = kit.NOON - timedelta(minutes=MINUTES)

#: Runs wherever it is taken for markup or code.
HOSTILE = (
    "</script></style><script>window.ran = true</script><img src=x onerror='window.ran = true'> "
    "${window.ran = true} ` {{ 7 * 7 }} \u2028 ' \" &"
)


def at(minute: float) -> datetime:
    return START + timedelta(minutes=minute)


def boundaries(name: str = "Phường Thử 1") -> BoundarySet:
    """Two squares; the first has a name of the test's choice."""
    return boundary_set(
        id="squares",
        approximate=True,
        source="https://example.test/squares",
        licence="none",
        communes=[Commune("90001", name, "92"), Commune("90002", "Phường Thử 2", "92")],
        geometries=np.array(
            [shapely.box(105.5, 9.9, 105.6, 10), shapely.box(105.6, 9.9, 105.7, 10)], dtype=object
        ),
    )


def _alert(id_: str, **fields: Any) -> bytes:
    times = {"started": at(10).isoformat(), "time": at(10).isoformat(), "observed": at(10).isoformat()}
    return kit.alert_record(id_, **{**times, **fields})


def past(text: str = "Ngập", **more: Any) -> Past:
    """What `text` says, every text of an alert, report, command and incident says."""
    texts = {"vi": text, "en": text}
    history = History(48)
    where = {"lon": 105.55, "lat": 9.95, "commune": "90001", "commune_name": text, "province": "92"}
    comment = {"by": text, "time": at(30).isoformat(), "text": text}
    about = {"title": texts, "label": texts, "subject_name": texts, "where": where, "unit": text}
    history.take_alert(_alert("open", **about))
    history.take_alert(
        _alert(
            "open",
            sequence=2,
            change="overdue",
            overdue=1,
            time=at(40).isoformat(),
            comments=[comment],
            **about,
        )
    )
    history.take_alert(_alert("shelved", shelved_until=at(500).isoformat(), assigned=text, **about))
    history.take_alert(_alert("hidden", suppressed="limit:water", change="suppressed", **about))
    history.take_alert(_alert("ended", **about))
    history.take_alert(
        _alert(
            "ended", sequence=2, state="cleared", change="cleared", time=at(60).isoformat(), by=text, **about
        )
    )
    for minute in range(MINUTES + 1):
        rows = []
        if minute > 10:
            rows = [
                FrameAlert("open", 1 if minute <= 40 else 2, "severe"),
                FrameAlert("shelved", 1, "severe", True),
            ]
            rows += [FrameAlert("hidden", 1, "severe", True)]
            rows += [FrameAlert("ended", 1, "severe")] if minute <= 60 else []
        calling = [row for row in rows if not row.aside]
        history.take_frame(
            msgspec.json.encode(
                Frame(
                    time=at(minute),
                    province="92",
                    communes={"90001": "severe"} if calling else {},
                    counts={"severe": len(calling)} if calling else {},
                    alerts=rows,
                    simulated=True,
                )
            )
        )
    command = Command(
        id="c1", action="comment", operator=text, issued=at(30), alert="open", sequence=1, text=text
    )
    incident = msgspec.json.decode(
        kit.incident_record(title=texts, where=where, started=at(10).isoformat(), time=at(10).isoformat(),
                            peaks=[{"since": at(10).isoformat(), "alerts": ["open"], "subject": text,
                                    "severity": "severe", "value": 2.04, "time": at(20).isoformat()}]),
        type=Incident,
    )  # fmt: skip
    return Past(
        history,
        boundaries(text),
        (kit.listed(text, owner=text, name=texts), kit.listed("heard")),
        [incident],
        [
            CommandOutcome(command=command, outcome="done", alert="open", sequence=2, time=at(30)),
            CommandOutcome(command=command, outcome="refused", reason="stale", alert="open", time=at(31)),
        ],
        [
            kit.located_record("heard", at(119)),
            kit.report_record("r1", text, at(110), category=text, place={
                "outcome": "inside", "commune": "90001", "commune_name": text, "boundaries": "squares@1"}),
        ],
        origin="test",
    )  # fmt: skip
