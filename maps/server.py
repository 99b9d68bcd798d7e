"""The wall as a process: boundaries and page, then server, feed and health until it is asked to end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

from alerts.model import Where
from alerts.rules.policy import Subscription
from geo.boundaries import BoundarySet
from geo.drawing import drawing
from ioc.health import Health, serve_health
from ioc.operators import OperatorsFile
from ioc.settings import Settings
from ioc.shutdown import when_asked_to_end
from maps.commands import Desk
from maps.exposure import require_guarded, server_context
from maps.feed import Feed
from maps.feeds import Feeds
from maps.history_feed import HistoryFeed
from maps.live import Live
from maps.sensors import Listed
from maps.session import Access
from maps.shell import BoundaryNote, Shell, build_shell
from maps.title import wall_title
from maps.web import Operating, say_address, serve_wall
from streams.commanding import CommandWriter, where_of
from streams.configuration import Configuration, Configurations
from streams.sensed import known
from streams.shelf import Shelf, installed_registry
from streams.topics import Topics

log = logging.getLogger(__name__)

#: Seconds between looks at which boundaries are in force.
LOOK_SECONDS = 3.0
#: Seconds that a look may take; without a broker aiokafka may wait for ever.
LOOK_TIMEOUT = 5.0


class InForce:
    """The boundary set to draw: the latest of the current configuration's, else of this installation's.

    What lies in a former map is told by its commune's name.
    """

    def __init__(self, settings: Settings) -> None:
        """Raises `UserError` where this installation's boundaries are not usable."""
        self._configurations = Configurations(settings, Shelf(settings))
        self.boundaries = installed_registry(settings).sets[-1]
        #: None until the broker told it.
        self._configuration: Configuration | None = None
        self._listed: tuple[str, tuple[Listed, ...]] | None = None

    async def look(self) -> bool:
        """Ask the broker; True where another set is in force than before. Without an answer nothing changes."""
        asking = asyncio.ensure_future(self._configurations.current())
        await asyncio.wait({asking}, timeout=LOOK_TIMEOUT)
        if not asking.done():
            asking.add_done_callback(lambda task: task.cancelled() or task.exception())
            asking.cancel()
            return False
        if error := asking.exception():
            log.debug("cannot ask which boundaries are in force: %s", error)
            return False
        self._configuration = configuration = asking.result()
        latest = configuration.atlas.registry.sets[-1] if configuration else self.boundaries
        before, self.boundaries = self.boundaries, latest
        return latest.ref != before.ref

    def subscriptions(self) -> tuple[Subscription, ...]:
        """The agencies' subscriptions in the current configuration."""
        return self._configuration.policy.subscriptions if self._configuration else ()

    def inventory(self) -> tuple[Listed, ...]:
        """The inventory of the current configuration, with its communes: the same object while it is the same."""
        configuration = self._configuration
        if configuration is None:
            return ()
        if self._listed is None or self._listed[0] != configuration.hash:
            self._listed = configuration.hash, listed(configuration)
        return self._listed[1]

    def locate(self, lon: float, lat: float, time: datetime) -> Where | None:
        """The place of a point in the maps of the current configuration; None where there is none."""
        return where_of(self._configuration.atlas, lon, lat, time) if self._configuration else None


def listed(configuration: Configuration) -> tuple[Listed, ...]:
    """The inventory of a configuration, each source with the commune that it lies in now."""
    sources = list(configuration.sources.values())
    now = datetime.now(UTC)
    places = configuration.atlas.places([(now, source.lon, source.lat) for source in sources])
    return tuple(Listed(source, known(place.commune)) for source, place in zip(sources, places, strict=True))


def note_of(boundaries: BoundarySet) -> BoundaryNote:
    """What is said of a boundary set wherever it is drawn."""
    return BoundaryNote(boundaries.approximate, boundaries.source, boundaries.licence, boundaries.ref)


def shell_of(boundaries: BoundarySet, settings: Settings) -> Shell:
    """The page for a boundary set."""
    return build_shell(drawing(boundaries), note_of(boundaries), wall_title(settings))


def run_wall(settings: Settings) -> int:
    """Run the wall until SIGTERM or SIGINT; returns the process's exit code.

    Raises `UserError` for a taken port, unusable boundaries, operators, certificates or settings.
    """
    require_guarded(settings, settings.operators_file is not None)
    server_context(settings.wall_tls_file)
    health = Health()
    health.check("picture", False, "starting")
    in_force = InForce(settings)
    operators = OperatorsFile(settings.operators_file) if settings.operators_file else None
    with serve_health(health, settings.host, settings.wall_health_port, "IOC_WALL_HEALTH_PORT"):
        asyncio.run(_run(settings, in_force, health, operators))
    return 0


async def _run(
    settings: Settings, in_force: InForce, health: Health, operators: OperatorsFile | None
) -> None:
    """Serve the wall; with other boundaries in force it is built anew, and browsers load it again."""
    asked = asyncio.Event()
    when_asked_to_end(settings.shutdown_grace, asked.set)
    await in_force.look()
    on_listen: Callable[[str, int], None] = partial(
        say_address, scheme="https" if settings.wall_tls_file else "http"
    )
    writer = CommandWriter(settings)
    operating = Operating(
        Access(operators, to_see=settings.wall_sign_in == "to-see"),
        Desk(writer, Topics.of(settings), in_force.locate),
    )
    try:
        while not asked.is_set():
            await _serve(settings, in_force, health, asked, on_listen, operating)
            on_listen = _say_nothing
    finally:
        await writer.close()


def _say_nothing(host: str, port: int) -> None:
    """The address is what it was."""


async def _serve(
    settings: Settings,
    in_force: InForce,
    health: Health,
    asked: asyncio.Event,
    on_listen: Callable[[str, int], None],
    operating: Operating,
) -> None:
    """Serve one set of boundaries, until `asked` is set or another set is in force."""
    stop = asyncio.Event()
    shell = shell_of(in_force.boundaries, settings)
    live = Live(shell.page.tag)
    live.know(in_force.inventory())
    feed, feeds = Feed(settings, live, health), Feeds(settings, in_force.subscriptions)
    past = HistoryFeed(settings)
    # None of them ends by itself but with a reason to stop; a wall without the others must not go on.
    tasks = [
        asyncio.create_task(work)
        for work in (
            feed.run(),
            past.run(),
            _beat_health(health),
            asked.wait(),
            _until_changed(in_force, live),
        )
    ]
    for task in tasks:
        task.add_done_callback(lambda _: stop.set())
    try:
        await serve_wall(settings, shell, live, stop, on_listen, operating, feeds, past)
    finally:
        failed = [task.exception() for task in tasks if task.done() and not task.cancelled()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for error in failed:
            if error is not None:
                raise error


async def _beat_health(health: Health) -> None:
    while True:
        health.beat()
        await asyncio.sleep(1)


async def _until_changed(in_force: InForce, live: Live) -> None:
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        if await in_force.look():
            log.info("boundaries %s are in force: the wall draws them", in_force.boundaries.ref)
            return
        live.know(in_force.inventory())
