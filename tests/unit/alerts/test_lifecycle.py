"""The lifecycle's table, and the identity of alerts."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alerts import lifecycle
from alerts.alert import Alert
from alerts.model import SEVERITIES
from tests.unit.streams.test_correlating import signal


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        (None, "minor", "raised"),
        ("minor", "severe", "escalated"),
        ("severe", "minor", "lowered"),
        ("minor", "minor", None),
        ("minor", None, "cleared"),
        (None, None, None),
    ],
)
def test_the_table(before: str | None, after: str | None, change: str | None) -> None:
    alert = lifecycle.apply(None, signal(0, before)) if before else None
    assert lifecycle.transition(alert, signal(1, after)) == change


@given(st.lists(st.sampled_from([None, *SEVERITIES]), max_size=30))
def test_whatever_comes_the_history_is_sound(severities: list[str | None]) -> None:
    """Every alert starts with raised at 1, numbers have no gap, nothing follows its end, `worst` never falls."""
    latest: Alert | None = None
    history: list[Alert] = []
    for minute, severity in enumerate(severities):
        following = signal(minute, severity, number=minute)
        following.start_event = f"start{minute}"
        if (alert := lifecycle.apply(latest, following)) is not None:
            latest = alert
            history.append(alert)
    for alert in history:
        assert (alert.sequence == 1) == (alert.change == "raised")
    for one, other in pairwise(history):
        if other.change == "raised":
            assert one.state != "open"
            assert other.id != one.id
        else:
            assert (other.id, other.sequence) == (one.id, one.sequence + 1)
            assert one.state == "open"
            assert SEVERITIES.index(other.worst) >= SEVERITIES.index(one.worst)


def test_the_id_follows_from_run_rule_subject_and_start() -> None:
    """The same in every replay of the same run; different as soon as one of them differs, however they are cut."""
    ids = {
        lifecycle.alert_id(*parts)
        for parts in [("", "r", "s", "e"), ("x", "r", "s", "e"), ("", "rs", "", "e"), ("", "r", "se", "")]
    }
    assert len(ids) == 4
    assert lifecycle.alert_id("", "r", "s", "e") == lifecycle.alert_id("", "r", "s", "e")
