"""The same rights as commands of Kafka's own tools, for a cluster that somebody else administers."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from ioc.settings import Settings
from streams.access.parties import Parties


def commands(parties: Parties, settings: Settings) -> Iterator[str]:
    """Lines of a shell that give each user his password, from a file of his name, and then his rights.

    They set what the file says, and take nothing away. `admin.properties` says who gives the rights.
    """
    server = f"--bootstrap-server {shlex.quote(settings.bootstrap)} --command-config admin.properties"
    for user in parties.users:
        # The shell puts it in: it stands in no output of ours.
        value = f'"{parties.mechanism}=[password=$(cat passwords/{user})]"'
        yield f"kafka-configs.sh {server} --alter --entity-type users --entity-name {user} --add-config {value}"
    for right in sorted(parties.rights(settings)):
        yield (
            f"kafka-acls.sh {server} --add --allow-principal User:{right.user} --operation {right.operation} "
            f"--{right.resource} {shlex.quote(right.name)} --resource-pattern-type {right.pattern}"
        )
