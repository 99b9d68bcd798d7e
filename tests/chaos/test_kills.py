"""Kill any process at any moment: what comes of the log is what comes of it where nobody disturbs.

The short form, for every run of the tests, of what `make chaos` does with more of everything: ten faults under load
while operators give commands, in an order and at moments that follow from the seed.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.chaos.cases import SHORT
from tests.chaos.run import run_case
from tests.conftest import Kafka

SEEDS = [int(seed) for seed in os.environ.get("IOC_TEST_SEEDS", "1").split(",")]
EVENTS = 9_000


@pytest.mark.timeout(400)
@pytest.mark.parametrize("seed", SEEDS)
def test_killed_and_paused_processes_change_nothing(kafka: Kafka, tmp_path: Path, seed: int) -> None:
    """sense, correlate and clock are killed, ended and paused under load: nothing is lost, doubled or different."""
    outcome = run_case(
        SHORT,
        seed=seed,
        events=EVENTS,
        kills=len(SHORT.fixed),
        directory=tmp_path,
        say=lambda text: print(text, file=sys.stderr),  # noqa: T201
        settings=kafka.settings(topics=False),
    )
    found = outcome.verdict
    assert not outcome.hung
    assert found.clean, found.told
    assert outcome.under_load == len(SHORT.fixed), "the load ended before the faults did"
    assert found.compared["published"] >= EVENTS
    for topic, least in (("alert-changes", 200), ("incidents", 40), ("alerts.drill", 200), ("audit", 40)):
        assert found.compared[f"ioc.{topic}/0"] >= least, f"too little of ioc.{topic} to prove anything"
    measured = [fault.recovery for fault in outcome.faults if fault.recovery is not None]
    assert len(measured) >= len(SHORT.fixed) - 2
