"""A few inputs for every target of the fuzzer; `make fuzz` tries a million."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz import targets
from tests.fuzz.__main__ import main
from tests.fuzz.mutate import mutated
from tests.fuzz.target import Target, TooSlow

TARGETS = targets.all_targets()
#: Inputs for a target whose share is 1.
EXAMPLES = 250


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_what_is_good_is_taken(target: Target) -> None:
    """The inputs that the fuzzer begins with hold what it asserts, or it would assert nothing."""
    for seed in target.seeds:
        target.run(seed)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_what_is_bad_harms_nobody(target: Target) -> None:
    """The same inputs each time; a failure is made smaller, and says which bytes."""

    @settings(
        max_examples=max(10, int(EXAMPLES * target.share)),
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(seed=st.sampled_from(target.seeds), number=st.integers(0, 2**64))
    def tries(seed: bytes, number: int) -> None:
        target.run(mutated(seed, random.Random(number), tuple(target.seeds)))

    tries()


def test_a_slow_input_is_told() -> None:
    """The time is that of the thread: another process on the machine makes nothing slow."""

    def slow(data: bytes) -> None:
        sum(range(2_000_000))

    with pytest.raises(TooSlow, match="3 bytes"):
        Target("slow", [b"x"], slow, seconds=0.001).run(b"abc")


def test_the_same_number_makes_the_same_input() -> None:
    """What was found can be found again."""
    made = [mutated(b'{"a": [1, 2, {"b": "c"}]}', random.Random(n)) for n in range(500)]
    assert made == [mutated(b'{"a": [1, 2, {"b": "c"}]}', random.Random(n)) for n in range(500)]
    assert len(set(made)) > 300


def test_a_target_that_is_not_known_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """Beside a known one it was once left out in silence."""
    with pytest.raises(SystemExit, match="2"):
        main(["signals", "no-such", "--inputs=1"])
    told = capsys.readouterr().err
    assert "no target no-such; the targets are raw-traffic" in told
