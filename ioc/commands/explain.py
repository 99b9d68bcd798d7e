"""`ioc explain`: why an alert was raised, and why it is not yet cleared."""

from __future__ import annotations

from typing import Annotated, Literal

import typer


def explain(
    alert: Annotated[str, typer.Argument(help="The alert's id, or how it begins.", metavar="ALERT")],
    lang: Annotated[Literal["vi", "en"], typer.Option(help="Language of the text.")] = "en",
    as_json: Annotated[
        bool, typer.Option("--json", help="For a machine: what was found, and the text.")
    ] = False,
) -> None:
    """Tell why an alert was raised and why it is not yet cleared, or how it ended.

    Looks up all of its changes, its rule in the versions that they name, the last reading of its source, what
    operators asked for, what agencies were told, and which alerts beside it are suppressed.

    Example: `IOC_TOPIC_PREFIX=demo. ioc explain alert-3f2a --lang vi`
    """
    import asyncio

    import msgspec
    from aiokafka.errors import KafkaError

    from alerts.explain.telling import as_lines
    from alerts.explain.telling import explain as told
    from alerts.refusals import REASONS
    from ioc.commands.progress import progress_bar
    from ioc.errors import UserError
    from ioc.logs import configure_logs
    from ioc.settings import load_settings
    from streams.admin import require_topics
    from streams.lookup import look_up

    configure_logs()
    settings = load_settings()
    require_topics(settings)
    try:
        with progress_bar("reading") as show:
            facts = asyncio.run(look_up(settings, alert, lambda topic: show(0, None, topic)))
    except KafkaError as error:
        raise UserError(
            f"Kafka at {settings.bootstrap} does not answer", str(error), "see that it runs, and ask again"
        ) from None
    sections = told(facts, lang, REASONS)
    if as_json:
        content = msgspec.json.encode({"facts": facts, "text": sections})
        typer.echo(msgspec.json.format(content, indent=2).decode())
    else:
        typer.echo("\n".join(as_lines(sections)))
