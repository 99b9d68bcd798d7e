"""A page that is open for days: its memory stays what it was. The long form is `make soak-wall`."""

from __future__ import annotations

import pytest

from tests.bench import soak
from tests.browserkit import Browsing
from tests.wallprocess import wall

SOURCES = 500


@pytest.mark.long
def test_a_page_that_stays_open_does_not_grow(browsing: Browsing) -> None:
    """After a minute of moving sources and of alerts that come and go it holds what it held before, within 5 %."""
    with wall(SOURCES) as (process, port):
        soak.opened(browsing.page, port)
        figures = soak.soak(browsing.page, process.pid, minutes=1.5, warm=0.6, every=0.05)
    assert figures["heap_growth_percent"] < soak.GROWTH_MAX, figures
    # Rows and signs of what is over are let go.
    first, last = figures["samples"][0], figures["samples"][-1]
    assert last["elements"] < 1.05 * first["elements"] + 50, figures
    assert last["listeners"] < 1.05 * first["listeners"] + 20, figures
    assert browsing.errors == []


@pytest.mark.long
def test_what_a_page_keeps_is_noticed(browsing: Browsing) -> None:
    """The same measure finds a page that keeps a little of every message: it is no measure of nothing."""
    with wall(SOURCES) as (process, port):
        browsing.page.add_init_script(
            """window.kept = [];
            const listen = EventSource.prototype.addEventListener;
            EventSource.prototype.addEventListener = function (type, listener, ...rest) {
              return listen.call(this, type, (event) => {
                window.kept.push(event.data.split('').slice(0, 10000));
                listener(event);
              }, ...rest);
            };"""
        )
        soak.opened(browsing.page, port)
        figures = soak.soak(browsing.page, process.pid, minutes=0.5, warm=0.25, every=0.05)
    assert figures["heap_growth_percent"] > soak.GROWTH_MAX, figures
