"""An agency's reader that runs through all faults: `ioc subscribe`, and whether it was shown all that it is told."""

from __future__ import annotations

import json
from collections import Counter

from ioc.settings import Settings
from tests.system import told

AGENCY = "drill"
ARGUMENTS = ("subscribe", AGENCY, "--json")


def must_show(settings: Settings) -> Counter[str]:
    """The identifiers on the agency's topic that are news: once each. What only stands is none."""
    return Counter({one.identifier: 1 for one in told(settings, AGENCY) if not one.standing})


def shown(output: str) -> Counter[str]:
    """The identifiers that a subscriber has printed, once each: a last one may come twice."""
    # Beside the messages stand what it says, the client's log, and a line that is still being written.
    lines = (
        line for line in output.splitlines(keepends=True) if line.startswith("{") and line.endswith("}\n")
    )
    return Counter({json.loads(line)["identifier"]: 1 for line in lines})
