"""The verdict of a run of chaos sees each kind of harm; otherwise a clean one would mean nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from tests.chaos.__main__ import options, put_away, shares
from tests.chaos.cases import CASES
from tests.chaos.logs import Came
from tests.chaos.report import figures, page, percentile
from tests.chaos.run import Outcome
from tests.chaos.stage import Fault
from tests.chaos.subscriber import shown
from tests.chaos.verdict import Verdict
from tests.chaos.watch import Struck

CHANGES = ("ioc.alert-changes", 0)
CAME = Came(
    correlated={CHANGES: [(b"a", b"1"), (b"a", b"2"), (b"b", b"1")], ("ioc.audit", 0): [(b"c", b"done")]},
    located=Counter({b"x": 1, b"y": 2}),
    dead=Counter({("ioc.flood", "undecodable"): 3}),
)


def judged(came: Came) -> tuple[int, int, int]:
    verdict = Verdict()
    verdict.compare(CAME, came)
    assert verdict.clean == (not verdict.told)
    return verdict.lost, verdict.duplicated, verdict.wrong


def changes(*records: tuple[bytes, bytes]) -> Came:
    return replace(CAME, correlated={**CAME.correlated, CHANGES: list(records)})


@pytest.mark.parametrize(
    ("came", "expected"),
    [
        (CAME, (0, 0, 0)),
        (changes((b"a", b"1"), (b"b", b"1")), (1, 0, 0)),
        (changes((b"a", b"1"), (b"a", b"2"), (b"a", b"2"), (b"b", b"1")), (0, 1, 0)),
        (changes((b"a", b"1"), (b"a", b"9"), (b"b", b"1")), (0, 0, 1)),
        (changes((b"a", b"2"), (b"a", b"1"), (b"b", b"1")), (0, 0, 2)),
        (replace(CAME, correlated={CHANGES: CAME.correlated[CHANGES]}), (1, 0, 0)),
        (replace(CAME, located=Counter({b"x": 2, b"y": 2})), (0, 1, 0)),
        (replace(CAME, located=Counter({b"y": 2})), (1, 0, 0)),
        (replace(CAME, dead=Counter({("ioc.flood", "undecodable"): 2})), (1, 0, 0)),
    ],
    ids=[
        "the same",
        "lost",
        "twice",
        "changed",
        "moved",
        "a topic lost",
        "located twice",
        "not located",
        "dead",
    ],
)
def test_each_kind_of_harm_is_counted(came: Came, expected: tuple[int, int, int]) -> None:
    """Lost, duplicated and wrong, and nothing else for it."""
    assert judged(came) == expected


def test_a_message_that_an_agency_was_not_shown_is_lost() -> None:
    """And one that it was shown but never told is wrong; one shown twice is allowed, a line half written is none."""
    output = (
        'heartbeats again\n{"identifier":"drill.a.1"}\n{"identifier":"drill.a.1"}\n{"identifier":"drill.x.1"}\n'
        '{"identifier":"drill.b.1"'
    )
    verdict = Verdict()
    verdict.compare_shown(Counter(["drill.a.1", "drill.b.1", "drill.c.1"]), shown(output))
    assert (verdict.lost, verdict.duplicated, verdict.wrong) == (1, 0, 1)
    assert "shown to an agency, strange: 'drill.x.1'" in verdict.told


def test_a_long_run_has_a_hundred_faults_and_two_hundred_thousand_events() -> None:
    """As the command stands without options; every case has some."""
    given = options([])
    found = shares(list(CASES.values()), given.kills)
    assert sum(found.values()) == given.kills >= 100
    assert min(found.values()) >= 1
    assert given.events >= 200_000
    assert CASES["kills"].events == 100


def test_a_step_of_the_clock_lasts_no_time() -> None:
    """Back by an hour would have been over before it began, and on by an hour never hung."""
    assert Fault("step", "correlate", -3348.8).lasts == 0
    assert Fault("pause", "correlate", 8.0).lasts == 8
    assert str(Fault("step", "correlate", -3348.8)) == "step correlate by -3348.8 s"


def test_the_report_says_what_was_measured() -> None:
    """Recovery by nearest rank; a fault that was not over is not measured, and a hung one is counted."""
    assert percentile([], 0.95) is None
    assert percentile(range(1, 101), 0.95) == 95
    faults = [Struck(n, "kill", "sense-1", 0.0, ("sense",), 100.0, 101.0, 100.0 + n) for n in (1, 3)]
    faults.append(Struck(3, "kill", "correlate", 0.0, ("correlate",), 100.0, 101.0, None))
    outcome = Outcome(
        "kills", 7, faults, Verdict(lost=2, told=["ioc.located, missing: x"]), ["stuck"], 61.0, 500
    )
    found = figures([outcome], {"disk": "nothing can be mounted"}, 7)
    assert {name: found[name] for name in ("seed", "kills", "lost", "duplicated", "wrong", "hung")} == {
        "seed": 7,
        "kills": 3,
        "lost": 2,
        "duplicated": 0,
        "wrong": 0,
        "hung": 1,
    }
    assert found["recovery_p95_s"] == 3.0
    text = page(found)
    assert "| kills | kill sense | 2 | 2.0 s | 3.0 s | 3.0 s | 2.0 s |" in text
    assert "| kills | kill correlate | 1 | – | – | – | – |" in text
    assert "ioc.located, missing: x" in text
    assert "nothing can be mounted" in text


@pytest.mark.parametrize(
    ("verdict", "hung", "stay"),
    [(Verdict(), [], False), (Verdict(lost=1), [], True), (Verdict(), ["stuck"], True)],
    ids=["clean", "lost", "hung"],
)
def test_the_logs_of_a_failed_case_stay(
    tmp_path: Path, verdict: Verdict, hung: list[str], stay: bool
) -> None:
    """What fails once in twenty runs is understood from its logs; those of a clean case make room."""
    case, kept = tmp_path / "cluster", tmp_path / "build" / "chaos-7-cluster"
    kept.mkdir(parents=True)
    (kept / "of-an-earlier-run").touch()
    case.mkdir()
    (case / "kafka.log").write_text("UNCLEAN")
    put_away(case, kept, Outcome("cluster", 7, [], verdict, hung, 1.0, 1))
    assert not case.exists()
    assert [path.name for path in kept.glob("*")] == (["kafka.log"] if stay else [])
