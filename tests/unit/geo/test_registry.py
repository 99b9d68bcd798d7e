"""Which set holds when, and what becomes of the defaults where another set is active."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise

import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st

from geo.boundaries import BoundarySet, Commune, boundary_set
from geo.registry import OverlappingValidity, Registry

VIETNAM = timezone(timedelta(hours=7))
REFORM = datetime(2025, 7, 1, tzinfo=VIETNAM)
START = datetime(2025, 1, 1, tzinfo=UTC)


def a_set(name: str, begin: datetime | None = None, end: datetime | None = None) -> BoundarySet:
    return boundary_set(
        id=name,
        approximate=False,
        source="a test",
        licence="",
        communes=[Commune("00001", "Xã A", "00")],
        geometries=[shapely.box(0, 0, 1, 1)],
        valid_from=begin,
        valid_until=end,
    )


def day(number: int) -> datetime:
    """A day, in one zone or another."""
    return (START + timedelta(days=number)).astimezone(VIETNAM if number % 2 else UTC)


def holds(boundaries: BoundarySet, time: datetime) -> bool:
    """The rule itself."""
    begins = boundaries.valid_from is None or boundaries.valid_from <= time
    return begins and (boundaries.valid_until is None or time < boundaries.valid_until)


def linear(sets: Sequence[BoundarySet], time: datetime) -> BoundarySet | None:
    found = [boundaries for boundaries in sets if holds(boundaries, time)]
    assert len(found) <= 1
    return found[0] if found else None


@st.composite
def timelines(draw: st.DrawFn, name: str) -> list[BoundarySet]:
    """Sets that do not overlap, in any order; some adjoin, some leave gaps, the ends may be open."""
    days = sorted(draw(st.sets(st.integers(0, 30), max_size=8)))
    edges: list[int | None] = [*days]
    if draw(st.booleans()):
        edges.insert(0, None)
    if draw(st.booleans()):
        edges.append(None)
    periods = [
        (begin, end) for begin, end in pairwise(edges) if draw(st.booleans()) or (begin, end) == (None, None)
    ]
    sets = [
        a_set(f"{name}{i}", None if begin is None else day(begin), None if end is None else day(end))
        for i, (begin, end) in enumerate(periods)
    ]
    return draw(st.permutations(sets))


#: Every day's first instant, the instant before, and one at noon.
TIMES = [
    START + timedelta(days=number) + offset
    for number in range(-1, 32)
    for offset in (timedelta(), -timedelta(microseconds=1), timedelta(hours=12))
]


def test_an_event_is_located_in_the_map_of_its_day() -> None:
    """The first instant of the new map belongs to it and no longer to the old, in whatever zone it is said."""
    old, new = a_set("old", None, REFORM), a_set("new", REFORM)
    registry = Registry([new, old])
    assert registry.sets == (old, new)
    assert registry.at(datetime(2025, 5, 3, 12, tzinfo=VIETNAM)) is old
    assert registry.at(REFORM - timedelta(microseconds=1)) is old
    assert registry.at(REFORM) is new
    assert registry.at(datetime(2025, 6, 30, 17, tzinfo=UTC)) is new
    assert registry.at(datetime(2025, 6, 30, 16, 59, 59, tzinfo=UTC)) is old


def test_a_time_that_no_set_covers_has_none() -> None:
    """Before the first, between two, after the last; and where there is no set at all."""
    registry = Registry([a_set("a", day(2), day(4)), a_set("b", day(6), day(8))])
    assert [registry.at(day(n)) is None for n in range(1, 10)] == [
        True, False, False, True, True, False, False, True, True,
    ]  # fmt: skip
    assert Registry([]).at(day(1)) is None


def test_a_time_without_a_zone_is_refused() -> None:
    """Seven hours decide which map holds: nobody guesses them."""
    for registry in (Registry([]), Registry([a_set("a")])):
        with pytest.raises(ValueError, match="without a zone"):
            registry.at(datetime(2025, 7, 1))  # noqa: DTZ001


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ((None, 5), (4, None)),
        ((None, None), (3, 4)),
        ((2, 6), (3, 4)),
        ((2, 6), (2, 6)),
        ((2, None), (None, 9)),
    ],
)
def test_two_sets_at_one_time_are_refused(
    one: tuple[int | None, int | None], other: tuple[int | None, int | None]
) -> None:
    """The message names both and their dates."""
    sets = [
        a_set(name, None if begin is None else day(begin), None if end is None else day(end))
        for name, (begin, end) in (("one", one), ("other", other))
    ]
    for given_order in (sets, sets[::-1]):
        with pytest.raises(OverlappingValidity) as error:
            Registry(given_order)
        for boundaries in sets:
            assert boundaries.ref in str(error.value)
            for date in (boundaries.valid_from, boundaries.valid_until):
                assert date is None or date.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") in str(error.value)


@pytest.mark.parametrize(("begin", "end"), [(4, 4), (5, 4)])
def test_a_set_that_never_holds_is_refused(begin: int, end: int) -> None:
    """Its dates are wrong; to pass over it would hide that."""
    with pytest.raises(ValueError, match="ends before it begins"):
        Registry([a_set("a", day(begin), day(end))])


@given(sets=timelines("s"))
def test_the_answer_is_that_of_asking_every_set(sets: list[BoundarySet]) -> None:
    """For any sets, at the very edges and between them."""
    registry = Registry(sets)
    for time in TIMES:
        assert registry.at(time) is linear(sets, time)


@given(active=timelines("active"), defaults=timelines("default"))
def test_an_active_set_wins_over_a_default_while_it_holds(
    active: list[BoundarySet], defaults: list[BoundarySet]
) -> None:
    """And what it does not cover keeps the default, under its own id and version."""
    registry = Registry.of(active, defaults)
    for time in TIMES:
        expected, found = linear(active, time) or linear(defaults, time), registry.at(time)
        assert (found and found.ref) == (expected and expected.ref)
        assert found is None or holds(found, time)


def test_a_default_is_cut_and_not_changed() -> None:
    """An official map of some months in the midst of the approximate one: that holds before and after."""
    approximate, official = (
        a_set("approximate", REFORM),
        a_set("official", REFORM + timedelta(days=30), day(300)),
    )
    registry = Registry.of(active=[official], defaults=[approximate])
    before, during, after = registry.sets
    assert during is official
    assert before.ref == after.ref == approximate.ref
    assert (before.valid_from, before.valid_until) == (REFORM, official.valid_from)
    assert (after.valid_from, after.valid_until) == (official.valid_until, None)
    assert before.geometries is approximate.geometries
    assert Registry.of(active=[], defaults=[approximate]).sets == (approximate,)


def test_overlaps_within_either_kind_are_refused() -> None:
    """Only a default gives way, and only to an active set."""
    one, other = a_set("one", day(1), day(5)), a_set("other", day(4))
    for active, defaults in (([one, other], []), ([], [one, other])):
        with pytest.raises(OverlappingValidity):
            Registry.of(active, defaults)


def test_the_ref_names_every_set_and_its_time() -> None:
    """Equal for equal instants in other zones and for another order; different where anything differs."""
    old, new = a_set("old", None, REFORM), a_set("new", REFORM)
    ref = Registry([old, new]).ref
    assert ref == f"{old.ref} until 2025-06-30T17:00:00Z; {new.ref} from 2025-06-30T17:00:00Z"
    utc = REFORM.astimezone(UTC)
    assert Registry([a_set("new", utc), a_set("old", None, utc)]).ref == ref
    assert Registry([a_set("old", None, REFORM - timedelta(days=1)), new]).ref != ref
    assert Registry([new]).ref != ref
    assert Registry([a_set("always")]).ref == a_set("always").ref
