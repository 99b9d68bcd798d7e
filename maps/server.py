"""The wall as a process: boundaries and page, then server, feed and health until it is asked to end."""

from __future__ import annotations

import asyncio
import signal

from geo.boundaries import BoundarySet
from geo.drawing import drawing
from ioc.health import Health, serve_health
from ioc.settings import Settings
from maps.feed import Feed
from maps.live import Live
from maps.shell import BoundaryNote, Shell, build_shell
from maps.title import wall_title
from maps.web import serve_wall
from streams.shelf import installed_registry


async def _beat_health(health: Health) -> None:
    while True:
        health.beat()
        await asyncio.sleep(1)


async def _run(settings: Settings, shell: Shell, health: Health) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stop.set)
    live = Live(shell.page.tag)
    feed = Feed(settings, live, health)
    tasks = [asyncio.create_task(feed.run()), asyncio.create_task(_beat_health(health))]
    for task in tasks:
        task.add_done_callback(
            lambda _: stop.set()
        )  # neither ends by itself: a wall without them must not go on
    try:
        await serve_wall(settings, shell, live, stop)
    finally:
        failed = [task.exception() for task in tasks if task.done() and not task.cancelled()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for error in failed:
            if error is not None:
                raise error


def shell_of(boundaries: BoundarySet, settings: Settings) -> Shell:
    """The page for a boundary set."""
    note = BoundaryNote(boundaries.approximate, boundaries.source, boundaries.licence, boundaries.ref)
    return build_shell(drawing(boundaries), note, wall_title(settings))


def run_wall(settings: Settings) -> int:
    """Run the wall until SIGTERM or SIGINT; returns the process's exit code.

    Raises `UserError` for a taken port, unusable boundaries or unusable settings.
    """
    # The latest map is the one that operators see; what lies in a former one is told by its commune's name.
    boundaries = installed_registry(settings).sets[-1]
    health = Health()
    health.check("picture", False, "starting")
    shell = shell_of(boundaries, settings)
    with serve_health(health, settings.host, settings.wall_health_port, "IOC_WALL_HEALTH_PORT"):
        asyncio.run(_run(settings, shell, health))
    return 0
