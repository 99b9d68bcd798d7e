"""What became of the communes at the reform of 1 July 2025, as far as the package vietnamadminunits tells.

Former and present communes share one space of codes, and many codes lived on with another area: a code says little
without the map it belongs to.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum
from functools import cache

from geo.units import Units, load_units


class Fate(Enum):
    """What became of a former commune."""

    #: All of it went to one present commune.
    WHOLE = "whole"
    #: It was divided between several.
    DIVIDED = "divided"
    #: It went to one or several of those named: the data takes it and a namesake for the same.
    UNKNOWN = "unknown"


class Succession:
    """Former communes and the present ones that they went to, both ways."""

    def __init__(self, became: Mapping[str, Sequence[str]], unknown: Iterable[str] = ()) -> None:
        """`became` says for each former code the present ones; `unknown` are the former codes for which these
        are only candidates. Raises `ValueError` where a former commune went nowhere, or an unknown one has
        fewer than two candidates."""
        self._successors = {old: tuple(sorted(set(news))) for old, news in became.items()}
        self._unknown = frozenset(unknown)
        if nowhere := sorted(old for old, news in self._successors.items() if not news):
            raise ValueError(f"no successor: {', '.join(nowhere)}")
        if sure := sorted(old for old in self._unknown if len(self.successors(old)) < 2):
            raise ValueError(f"unknown, and yet without a choice: {', '.join(sure)}")
        predecessors = defaultdict(list)
        for old in sorted(self._successors):
            for new in self._successors[old]:
                predecessors[new].append(old)
        self._predecessors = {new: tuple(olds) for new, olds in predecessors.items()}

    def successors(self, old: str) -> tuple[str, ...]:
        """Codes of the present communes that a former one went to, sorted; candidates where `fate` is
        unknown. Empty for a code that no former commune had."""
        return self._successors.get(old, ())

    def predecessors(self, new: str) -> tuple[str, ...]:
        """Codes of the former communes that a present one has, or may have, parts of: those it is a successor
        of. Empty for a code that no present commune has."""
        return self._predecessors.get(new, ())

    def fate(self, old: str) -> Fate:
        """Raises `KeyError` for a code that no former commune had."""
        if old in self._unknown:
            return Fate.UNKNOWN
        return Fate.WHOLE if len(self._successors[old]) == 1 else Fate.DIVIDED

    def is_divided(self, old: str) -> bool:
        """Whether it is known to have gone to several. Raises `KeyError` as `fate` does."""
        return self.fate(old) is Fate.DIVIDED

    @property
    def former(self) -> tuple[str, ...]:
        """All former codes, sorted."""
        return tuple(sorted(self._successors))


@cache
def load_succession() -> Succession:
    """That of the whole country. Raises `UserError` where the package is missing or unlike what is known."""
    units = load_units()
    became, unknown = tell_apart(units)
    codes = [commune.code for commune in units.communes]
    return Succession(
        {old.code: [codes[i] for i in news] for old, news in zip(units.legacy, became, strict=True)},
        {units.legacy[i].code for i in unknown},
    )


def tell_apart(units: Units) -> tuple[tuple[tuple[int, ...], ...], frozenset[int]]:
    """`units.became` without the confusion of namesakes as far as it can be undone, and the indexes of the
    legacy communes for which it cannot.

    The package gives several successors for a commune that was divided, and for communes of one name in one
    present province, which then have successors in common. Communes were joined with others of their
    district, mostly. So of these successors a namesake keeps those that certainly have another part of its
    district; and what is left over goes to the one that is left without. If then each successor has one
    namesake, they are told apart.
    """
    namesakes: dict[tuple[str, str], list[int]] = defaultdict(list)
    districts: dict[int, set[str]] = defaultdict(set)
    for i, news in enumerate(units.became):
        namesakes[units.legacy[i].province, units.legacy[i].name].append(i)
        if len(news) == 1:
            districts[news[0]].add(units.districts[i])
    became, unknown = list(units.became), set()
    for group in namesakes.values():
        confused = [
            i
            for i in group
            if len(units.became[i]) > 1
            and any(set(units.became[i]) & set(units.became[j]) for j in group if j != i)
        ]
        if not confused:
            continue
        kept = {i: [n for n in units.became[i] if units.districts[i] in districts[n]] for i in confused}
        all_options = {n for i in confused for n in units.became[i]}
        without = [i for i in confused if not kept[i]]
        if len(without) == 1:
            left = all_options - {n for news in kept.values() for n in news}
            kept[without[0]] = sorted(left & set(units.became[without[0]]))
        given = sorted(n for news in kept.values() for n in news)
        if all(kept.values()) and given == sorted(all_options):
            for i in confused:
                became[i] = tuple(kept[i])
        else:
            unknown.update(confused)
    return tuple(became), frozenset(unknown)
