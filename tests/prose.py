"""The project's documents as text: their code, tables, links, and the commands that they name."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import typer.main
from prometheus_client import REGISTRY

from ioc import metrics
from ioc.cli import app

ROOT = Path(__file__).resolve().parents[1]
#: A block may stand in a list, indented; then all of its lines are.
FENCE = re.compile(r"^( *)```(\w+)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)")

#: Commands that have commands of their own.
GROUPS = {group.typer_instance.info.name for group in app.registered_groups if group.typer_instance}


@dataclass(frozen=True)
class Document:
    """A document in Markdown, by its path in the checkout."""

    name: str

    @property
    def path(self) -> Path:
        return ROOT / self.name

    @property
    def text(self) -> str:
        return self.path.read_text(encoding="utf-8")

    @property
    def fences(self) -> list[tuple[str, str]]:
        """The fenced blocks: language and content."""
        found = []
        for indent, language, body in FENCE.findall(self.text):
            lines = [line.removeprefix(indent) for line in body.splitlines(keepends=True)]
            found.append((language, "".join(lines)))
        return found

    def blocks(self, language: str) -> list[str]:
        """The fenced blocks of one language."""
        return [body for kind, body in self.fences if kind == language]

    @property
    def prose(self) -> str:
        """The text without its fenced blocks."""
        return FENCE.sub("", self.text)

    @property
    def spans(self) -> list[str]:
        """The spans of code in the prose."""
        return INLINE.findall(self.prose)

    @property
    def code(self) -> list[str]:
        """Every line of a fenced block and every span of code in the prose."""
        return [*(line for _, body in self.fences for line in body.splitlines()), *self.spans]

    @property
    def links(self) -> list[str]:
        return LINK.findall(self.prose)

    @property
    def headings(self) -> list[str]:
        """The depth of each heading, as its signs."""
        return re.findall(r"^#+(?= )", self.prose, re.MULTILINE)

    def table(self, first: str) -> list[list[str]]:
        """The rows of the table whose first row begins with this cell, up to its end."""
        rows = []
        for line in self.prose.splitlines():
            cells = [cell.strip() for cell in line.strip("|").split("|")]
            if line.startswith("|") and (rows or cells[0] == first):
                rows.append(cells)
            elif rows:
                break
        assert rows, f"{self.name} has no table with a row {first}"
        return rows

    def missing(self) -> list[str]:
        """Relative links that lead nowhere, and paths in code that do not exist, from the document or the top."""
        paths = {span for span in self.spans if re.fullmatch(r"[\w.-]+/[\w./-]*", span)}
        made = {path for path in paths if path.startswith(".venv/")}
        links = {link for link in self.links if "://" not in link}
        lost = [link for link in sorted(links) if not (self.path.parent / link).exists()]
        return lost + [
            path
            for path in sorted(paths - made)
            if not (ROOT / path).exists() and not (self.path.parent / path).exists()
        ]


def calls(line: str) -> Iterator[tuple[str, list[str]]]:
    """Each call of the program in a line of code: the command, empty for none, and its options.

    A command of a group is named with it, such as `boundaries import`.
    """
    for call in re.split(r"(?<![\w.-])ioc +", line)[1:]:
        words = call.split()
        command = "" if words[0].startswith("-") else words[0]
        if command in GROUPS and len(words) > 1 and not words[1].startswith("-"):
            command = f"{command} {words[1]}"
        yield command, [word for word in words if word.startswith("--")]


def options() -> dict[str, set[str]]:
    """The options of each command of the program, those of groups by their full names; the program's own at ""."""
    program = typer.main.get_command(app)
    known = {"": program}
    for command, of in program.commands.items():
        inner = getattr(of, "commands", None)
        known |= {f"{command} {name}": one for name, one in inner.items()} if inner else {command: of}
    return {
        command: {option for parameter in of.params for option in parameter.opts} | {"--help"}
        for command, of in known.items()
    }


def wrong_calls(document: Document) -> list[tuple[str, list[str]]]:
    """Calls of the program with an option that the command does not have. A group alone has `--help`."""
    known = options() | {group: {"--help"} for group in ("COMMAND", *GROUPS)}  # COMMAND stands for any
    called = [call for line in document.code for call in calls(line)]
    return [(command, given) for command, given in called if not set(given) <= known.get(command, set())]


def families() -> set[str]:
    """The names of all metrics, spelt as Prometheus sees them."""
    assert metrics.EVENTS  # imported: the metrics are registered
    return {
        f"{family.name}_total" if family.type == "counter" else family.name for family in REGISTRY.collect()
    }
