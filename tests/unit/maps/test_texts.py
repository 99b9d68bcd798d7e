"""The words for what the server and correlate can say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest

import maps
from alerts.commands import Action, Refusal
from alerts.model import CERTAINTIES, Doubt
from alerts.refusals import REASONS
from alerts.rules.policy import ROLES

STATIC = Path(maps.__file__).parent / "static"
TEXTS = (STATIC / "texts.js").read_text(encoding="utf-8")
#: What handlers refuse by a key of their own.
ANSWERS = {
    key
    for name in ("signin.py", "commands.py")
    for key in re.findall(
        r'(?:refuse|Unusable)\(\d+, "([a-z-]+)"', (STATIC.parent / name).read_text(encoding="utf-8")
    )
}


def keys(language: str) -> list[str]:
    """Keys of the words of a language, in their order."""
    block = re.search(rf"^  {language}: {{\n(.*?)^  }},$", TEXTS, re.MULTILINE | re.DOTALL)
    assert block is not None
    return re.findall(r"(?:^|, | {4})(\w+): '", block[1], re.MULTILINE)


def test_both_languages_have_the_same_words() -> None:
    """Nothing is said in one language only."""
    assert keys("vi") == keys("en")
    assert len(set(keys("vi"))) == len(keys("vi"))


@pytest.mark.parametrize("language", ["vi", "en"])
def test_every_reason_action_and_mark_has_words(language: str) -> None:
    """Whatever can be refused or shown, an operator reads it in his language."""
    known = set(keys(language))
    assert len(ANSWERS) > 8
    reasons = {
        f"reason_{reason.replace('-', '_')}" for reason in {*get_args(Refusal), *ANSWERS, "unreachable"}
    }
    doubts = {f"doubt_{doubt}" for doubt in get_args(Doubt)}
    wanted = {*reasons, *doubts, *get_args(Action), *ROLES, *set(CERTAINTIES) - {"observed"}}
    assert wanted - known == set()


def test_the_command_line_has_words_for_every_refusal() -> None:
    """In Vietnamese and in English, none left out."""
    assert set(REASONS) == set(get_args(Refusal))
    assert all(vi and en and vi != en for vi, en in REASONS.values())
