"""The file of parties: who has a user at Kafka, and what for. `deploy/access/parties.example.yaml` is one.

    version: 1
    users: ioc-
    processes:
      - {user: ioc-sense, does: [sense]}
    sources:
      - {user: ioc-cctv, streams: [camera]}
    agencies:
      - {user: ioc-fire, agency: fire-service}

No password stands in it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, get_args

from msgspec import Meta, Struct

from alerts.rules.specs import Name
from ioc.settings import Settings
from ioc.textfile import read_text
from ioc.yamlfile import Document, Problems
from streams.access.rights import Right, Rights, Task
from streams.topics import STREAMS

_User = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9._-]*$(?!\n)", max_length=60)]
_Stream = Literal["traffic", "flood", "camera", "report"]
assert get_args(_Stream) == STREAMS

Mechanism = Literal["SCRAM-SHA-512", "SCRAM-SHA-256"]

_NAME = "write lower-case letters, digits, dots, hyphens and underscores, beginning with a letter or digit"
_REMEDIES = {
    "version": "write version: 1",
    "user": _NAME,
    "agency": _NAME,
    "users": "write what all users of this file begin with, such as ioc-",
    "does": f"choose of {', '.join(get_args(Task))}",
    "streams": f"choose of {', '.join(STREAMS)}",
    "mechanism": f"choose one of {', '.join(get_args(Mechanism))}",
}


class ProcessSpec(Struct, forbid_unknown_fields=True, kw_only=True):
    """A process of this program, or whoever uses its command line."""

    user: _User
    does: Annotated[list[Task], Meta(min_length=1)]


class SourceSpec(Struct, forbid_unknown_fields=True, kw_only=True):
    """A system that sends events."""

    user: _User
    streams: Annotated[list[_Stream], Meta(min_length=1)]


class AgencySpec(Struct, forbid_unknown_fields=True, kw_only=True):
    """An agency that is told of alerts, as its subscription names it."""

    user: _User
    agency: Name


class PartiesSpec(Struct, forbid_unknown_fields=True, kw_only=True):
    """The file of parties."""

    version: Literal[1]
    #: Users whose names begin so belong to this file: one that it does not name is taken away.
    users: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9._-]*[._-]$(?!\n)", max_length=30)]
    mechanism: Mechanism = "SCRAM-SHA-512"
    processes: list[ProcessSpec] = []
    sources: list[SourceSpec] = []
    agencies: list[AgencySpec] = []


@dataclass(frozen=True)
class Parties:
    """Who has a user at Kafka."""

    spec: PartiesSpec

    @property
    def begin(self) -> str:
        """What all users of the file begin with."""
        return self.spec.users

    @property
    def mechanism(self) -> Mechanism:
        """How they prove their passwords."""
        return self.spec.mechanism

    @property
    def users(self) -> tuple[str, ...]:
        """All users, in the order of the file."""
        processes, sources = self.spec.processes, self.spec.sources
        return tuple(
            [one.user for one in processes]
            + [one.user for one in sources]
            + [one.user for one in self.spec.agencies]
        )

    def rights(self, settings: Settings) -> frozenset[Right]:
        """What all of them may do in the installation of these settings."""
        return frozenset(self._rights(Rights(settings)))

    def _rights(self, rights: Rights) -> Iterator[Right]:
        for process in self.spec.processes:
            for task in process.does:
                yield from rights.of_task(process.user, task)
        for source in self.spec.sources:
            yield from rights.of_source(source.user, source.streams)
        for agency in self.spec.agencies:
            yield from rights.of_agency(agency.user, agency.agency)


def parse_parties(text: str, name: str) -> Parties:
    """The parties in `text`; `name` is the file's name for messages.

    Raises `FileErrors` with file, line, column and reason of all that is wrong.
    """
    problems = Problems(Document(text, name), _REMEDIES)
    spec = problems.read(PartiesSpec)
    problems.tell()
    assert spec is not None
    seen: set[str] = set()
    for part, users in (
        ("processes", [one.user for one in spec.processes]),
        ("sources", [one.user for one in spec.sources]),
        ("agencies", [one.user for one in spec.agencies]),
    ):
        for index, user in enumerate(users):
            path = (part, index, "user")
            if user in seen:
                # One user with the rights of two could do what neither should.
                problems.add(path, f"a second party is called {user}", "give each a user of its own")
            seen.add(user)
            if not user.startswith(spec.users) or user == spec.users:
                problems.add(
                    path, f"the user does not begin with {spec.users}", f"call it {spec.users}{user}"
                )
    problems.tell()
    return Parties(spec)


def read_parties(path: Path) -> Parties:
    """The parties in a file. Raises `UserError` where it cannot be read or is wrong."""
    text = read_text(path, "the file of parties", "begin with a copy of deploy/access/parties.example.yaml")
    return parse_parties(text, str(path))
