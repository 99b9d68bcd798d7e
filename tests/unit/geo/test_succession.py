"""What became of the communes of before July 2025."""

from __future__ import annotations

from collections import Counter

import pytest

from geo.succession import Fate, Succession, load_succession
from geo.units import load_units


@pytest.fixture(scope="module")
def succession() -> Succession:
    return load_succession()


def test_the_totals_are_those_of_the_reform(succession: Succession) -> None:
    """Cần Thơ city has 103 communes, made from those of three provinces; Hậu Giang had 75 of them."""
    units = load_units()
    former = [commune for commune in units.legacy if commune.province == "92"]
    counts = Counter(commune.former_province for commune in former)
    assert set(counts) == {"92", "93", "94"}
    assert counts["93"] == 75
    assert len({new for commune in former for new in succession.successors(commune.code)}) == 103
    assert len(succession.former) == len(units.legacy) == 10_040
    assert len(units.communes) == 3_321
    assert len({commune.former_province for commune in units.legacy}) == 63


def test_every_present_commune_has_a_predecessor_and_every_former_one_a_successor(
    succession: Succession,
) -> None:
    """Nothing appeared from nowhere, nothing vanished; and none left the province that its own went to."""
    units = load_units()
    present = {commune.code: commune.province for commune in units.communes}
    former = {commune.code: commune.province for commune in units.legacy}
    assert all(succession.predecessors(code) for code in present)
    for old in succession.former:
        assert {present[new] for new in succession.successors(old)} == {former[old]}


def test_the_two_ways_agree(succession: Succession) -> None:
    """A former commune is among the predecessors of exactly those that are its successors."""
    forth = {(old, new) for old in succession.former for new in succession.successors(old)}
    back = {
        (old, commune.code)
        for commune in load_units().communes
        for old in succession.predecessors(commune.code)
    }
    assert forth == back


def test_the_fate_says_as_much_as_is_known(succession: Succession) -> None:
    """One successor is whole, several are divided or unknown; few are unknown, and none in Cần Thơ."""
    fates = {old: succession.fate(old) for old in succession.former}
    for old, fate in fates.items():
        assert (fate is Fate.WHOLE) == (len(succession.successors(old)) == 1)
        assert succession.is_divided(old) == (fate is Fate.DIVIDED)
    assert 0 < Counter(fates.values())[Fate.UNKNOWN] < 50
    in_can_tho = {c.code for c in load_units().legacy if c.province == "92"}
    assert Fate.UNKNOWN not in {fates[old] for old in in_can_tho}


def test_namesakes_of_two_districts_are_told_apart(succession: Succession) -> None:
    """Two former communes Tân Thạnh, in Thới Lai and in Long Phú 60 km away: neither went to both successors."""
    units = load_units()
    names = {commune.code: commune.name for commune in units.communes}
    went = {
        (commune.former_province, district): [names[new] for new in succession.successors(commune.code)]
        for commune, district in zip(units.legacy, units.districts, strict=True)
        if commune.province == "92" and commune.name == "Xã Tân Thạnh"
    }
    assert went == {("92", "927"): ["Xã Trường Thành"], ("94", "946"): ["Xã Tân Thạnh"]}


def test_a_divided_commune_gives_all_its_successors(succession: Succession) -> None:
    """Phường Bùi Hữu Nghĩa went to Bình Thủy and Cái Khế."""
    units = load_units()
    names = {commune.code: commune.name for commune in units.communes}
    [old] = [c.code for c in units.legacy if c.name == "Phường Bùi Hữu Nghĩa" and c.province == "92"]
    assert succession.is_divided(old)
    assert {names[new] for new in succession.successors(old)} == {"Phường Bình Thủy", "Phường Cái Khế"}


def test_a_code_that_never_was_has_no_kin(succession: Succession) -> None:
    """Empty both ways; its fate is an error rather than a guess."""
    assert succession.successors("99999") == succession.predecessors("99999") == ()
    with pytest.raises(KeyError):
        succession.fate("99999")


def test_contradictions_are_refused() -> None:
    """Gone nowhere; unknown though there is but one candidate."""
    with pytest.raises(ValueError, match="no successor: 1"):
        Succession({"1": ()})
    with pytest.raises(ValueError, match="without a choice: 1"):
        Succession({"1": ["2"]}, unknown=["1"])
    several = Succession({"1": ["3", "2", "3"], "0": ["2"]}, unknown=["1"])
    assert several.successors("1") == ("2", "3")
    assert several.predecessors("2") == ("0", "1")
    assert (several.fate("1"), several.is_divided("1")) == (Fate.UNKNOWN, False)
