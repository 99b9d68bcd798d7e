"""The tables that the command line prints."""

from __future__ import annotations

from collections.abc import Sequence

from ioc.settings import Settings
from streams.topics import DAY_MS, Topics


def topic_table(settings: Settings) -> str:
    """Every topic of the installation: name, key, partitions, what it keeps, schema."""
    rows = [
        (
            topic.name,
            topic.key,
            str(topic.partitions),
            "latest of each key" if topic.retention_ms is None else f"{topic.retention_ms / DAY_MS:g} days",
            topic.schema,
        )
        for topic in Topics.of(settings)
    ]
    return columns([("topic", "key", "partitions", "keeps", "schema"), *rows])


def settings_table(settings: Settings) -> str:
    """Every setting: variable, value, meaning. An asterisk marks what is not the default."""
    blocks = []
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        mark = "*" if name in settings.model_fields_set else " "
        blocks.append(
            f"{mark} IOC_{name.upper()} = {value if value is not None else ''}\n      {field.description}"
        )
    return "\n".join([*blocks, "", "* set in the environment; the others have their defaults"])


def columns(rows: Sequence[Sequence[str]]) -> str:
    """Rows of equally many cells as lines, each column as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
