"""`ioc rebuild`: the state of workers, where it was lost, from the log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from streams.rebuilding import Rebuilt

#: Exit code where something is lost and nothing was done about it.
LOST = 1


def rebuild(
    every: Annotated[
        bool, typer.Option("--all", help="Every partition, also those whose state is not lost.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell what is lost; exit with 1 where something is.")
    ] = False,
) -> None:
    """Make the lost state of workers anew: judge again what the broker still keeps of their log.

    A worker whose state topic was deleted or made anew is not ready and says so. This reads the partition's log up
    to where the worker stands, through the functions that judge it, and writes the state; events, alerts and messages
    are not written again. The worker then goes on by itself. Where retention has deleted the log's beginning,
    conditions that began before are not known any more.

    A topic that is missing must be made first: `ioc topics --create`
    """
    import asyncio

    from aiokafka.errors import KafkaError

    from ioc.commands.progress import progress_bar
    from ioc.errors import UserError
    from ioc.logs import configure_logs
    from ioc.settings import load_settings
    from streams import rebuilding
    from streams.admin import require_topics

    configure_logs()
    settings = load_settings()
    require_topics(settings)
    try:
        with progress_bar("judging the log again") as show:
            found = asyncio.run(
                rebuilding.rebuild(
                    settings,
                    every=every,
                    only_look=dry_run,
                    progress=lambda tp, done, total: show(done, total, f"{tp.topic}/{tp.partition}"),
                )
            )
    except (KafkaError, OSError) as error:
        raise UserError(
            f"Kafka at {settings.bootstrap} does not answer, or refused",
            str(error) or type(error).__name__,
            "see that it runs, then ask again: a state is made anew whole or not at all",
        ) from None
    told = [line for one in found for line in lines(one)]
    typer.echo("\n".join(told) if told else f"no state is lost: {len(found)} partitions were looked at")
    if dry_run and any(one.lost for one in found):
        raise typer.Exit(LOST)


def lines(one: Rebuilt) -> list[str]:
    """What is said of a partition; nothing where nothing was lost and nothing done."""
    name = f"{one.tp.topic}/{one.tp.partition}"
    said = [one.lost] if one.lost else []
    if one.done:
        said.append(
            f"{name}: {one.states} states from {one.records} records; goes on at offset {one.position}"
        )
        if one.beginning and one.records:
            said.append(
                f"{name}: retention has deleted what stood before offset {one.beginning}; "
                "conditions that began before are not known"
            )
    return said
