"""The examples beside rules: run with the installation's maps, and told as a difference."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

from alerts.rules.examples import Example, Expected
from ioc.settings import Settings
from streams.configuration import Configuration, local_record
from streams.examples import Came, Examples, Line, Outcome
from streams.shelf import Shelf, installed_registry


def run_examples(settings: Settings, rules: Path, examples: Sequence[Example]) -> Iterator[Outcome]:
    """Run the examples of a file of rules, one after the other. Raises `UserError` where a file is wrong."""
    # The rules of the file; nothing else of the installation has a say but its maps.
    nothing = dict.fromkeys(("inventory_file", "maintenance_file", "subscriptions_file", "operators_file"))
    alone = settings.model_copy(update={**nothing, "rules_file": rules})
    registry = installed_registry(settings)
    configuration = Configuration.of(
        local_record(alone, registry),
        Shelf(settings).atlas(registry),
        rules_name=str(rules),
        inventory_name="no inventory",
    )
    runner = Examples(alone, configuration)
    return (runner.run(example) for example in examples)


def told(outcome: Outcome, *, verbose: bool = False) -> list[str]:
    """What came of an example, as lines; those that came as expected only where one did not, or `verbose`."""
    example = outcome.example
    lines = [f"{'ok    ' if outcome.good else 'FAILED'} {example.rule}: {example.name}"]
    if not outcome.good:
        lines.append(f"       {example.place}  (- expected, + came)")
    if not outcome.good or verbose:
        lines += [f"       {_line(line, example)}" for line in outcome.lines] or ["         nothing came"]
    return lines


def _line(line: Line, example: Example) -> str:
    mark = " " if line.expected and line.came else "-" if line.expected else "+"
    change = line.came or line.expected
    assert change is not None
    time = f"{example.start + change.at:%H:%M:%S} (+{_length(change.at)})"
    words = _came(line.came) if line.came else _expected(line.expected) if line.expected else ""
    return f"{mark} {time:<22} {change.change:<10} {words}".rstrip()


def _came(change: Came) -> str:
    label = f"({change.label})" if change.label else ""
    reason = f"because {change.reason}" if change.reason else ""
    return " ".join(filter(None, (change.severity, label, change.certainty, f"at {change.source}", reason)))


def _expected(change: Expected) -> str:
    """Only what was said."""
    label = f"({change.label})" if change.label else ""
    source = f"at {change.source}" if change.source else ""
    reason = f"because {change.reason}" if change.reason else ""
    return " ".join(filter(None, (change.severity, label, change.certainty, source, reason)))


def _length(time: timedelta) -> str:
    """A length of time as an author writes it: 1h, 90m, 95s."""
    seconds = time.total_seconds()
    for unit, size in (("h", 3600), ("m", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds // size:.0f}{unit}"
    return f"{seconds:g}s"
