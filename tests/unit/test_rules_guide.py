"""The guide for authors of rules tells the truth: each file in it is accepted, and what it shows comes."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest
import yaml

from alerts.agencies.subscriptions import parse_subscriptions
from alerts.alert import SUPPRESSIONS
from alerts.model import Doubt
from alerts.rules.maintenance import parse_maintenance
from alerts.rules.specs import KINDS, RuleSpecBase
from alerts.rules.written import read_rules
from ioc.commands.rule_examples import run_examples, told
from ioc.settings import load_settings
from streams.inventory import parse_inventory
from streams.schemas import MEASURES
from tests.prose import INLINE, Document

#: The Vietnamese one has the same files: `test_readme.py`.
GUIDE = Document("alerts/README.md")
FILES = [(yaml.safe_load(text), text) for text in GUIDE.blocks("yaml")]
RULES = [text for data, text in FILES if "rules" in data]


@pytest.mark.parametrize("text", RULES, ids=lambda text: yaml.safe_load(text)["rules"][-1]["id"])
def test_the_rules_do_what_their_examples_say(text: str, tmp_path: Path) -> None:
    """Each file of rules can be copied as it is, has an example, and all of its examples are as expected."""
    path = tmp_path / "rules.yaml"
    path.write_text(text, encoding="utf-8")
    examples = read_rules(text, "rules.yaml", MEASURES).examples
    assert examples
    for outcome in run_examples(load_settings(state_dir=tmp_path / "state"), path, examples):
        assert outcome.good, "\n".join(told(outcome))


def test_the_other_files_are_accepted() -> None:
    """An inventory, maintenance windows and subscriptions, each read by what reads an installation's."""
    read = {"sources": parse_inventory, "windows": parse_maintenance, "agencies": parse_subscriptions}
    seen = set()
    for data, text in FILES:
        for key in read.keys() & data.keys():
            assert read[key](text, GUIDE.name)
            seen.add(key)
    assert seen == set(read)


def test_every_kind_is_shown() -> None:
    """No kind of rule is without an example that runs."""
    kinds = {rule.get("kind", "ladder") for data, _ in FILES for rule in data.get("rules", [])}
    assert kinds == set(KINDS)


def test_what_all_rules_have_is_all_they_have() -> None:
    """The table of common fields has each field that every rule may have, with kind and levels."""
    fields = [INLINE.findall(row[0])[0] for row in GUIDE.table("`id`")]
    assert set(fields) == {*RuleSpecBase.__struct_fields__, "kind", "levels"}


def test_doubts_and_reasons_are_those_of_the_code() -> None:
    """Each doubt and each reason for suppression has its row."""
    assert [INLINE.findall(row[0])[0] for row in GUIDE.table("`range`")] == list(get_args(Doubt))
    reasons = [INLINE.findall(row[0])[0].partition(":")[0] for row in GUIDE.table("`maintenance:ID`")]
    assert reasons == list(SUPPRESSIONS)
