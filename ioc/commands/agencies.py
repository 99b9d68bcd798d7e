"""`ioc subscribe` and `ioc cap`: what agencies are told, as they are told it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ioc.errors import UserError

if TYPE_CHECKING:
    from kafka import KafkaConsumer

    from alerts.agencies.messages import AgencyAlert
    from ioc.settings import Settings

#: Seconds to go on knocking at a broker where nobody listens.
BOOTSTRAP_SECONDS = 3.0

_Agency = Annotated[str, typer.Argument(help="The agency, as its subscription names it.", metavar="AGENCY")]


class From(StrEnum):
    """Where a group that has never read begins."""

    beginning = "beginning"
    now = "now"


def subscribe(
    agency: _Agency,
    start: Annotated[
        From, typer.Option("--from", help="Where a group begins that has not read here yet.")
    ] = From.beginning,
    group: Annotated[
        str | None,
        typer.Option(help="Consumer group, whose position is kept.  [default: ioc-subscribe-AGENCY]"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Each message as it stands on the topic.")] = False,
    as_cap: Annotated[bool, typer.Option("--cap", help="Each message as a CAP 1.2 document.")] = False,
    quiet: Annotated[
        float, typer.Option(min=0.1, help="Seconds without a heartbeat after which it is said.")
    ] = 180.0,
) -> None:
    """Print what an agency is told, as it comes, until Ctrl-C.

    Started again it goes on where it stopped. From the beginning it tells what is kept, 30 days, so all that is open.
    An agency's own client can be as short: ioc/commands/subscribe.py is the example.

    Example: `IOC_TOPIC_PREFIX=demo. ioc subscribe drill --from now`
    """
    from ioc.commands.subscribe import follow
    from ioc.shutdown import StopSignals
    from streams.topics import Topics

    if as_json and as_cap:
        raise UserError("--json and --cap exclude each other", "", "give one of them")
    settings = _settings()
    stop = StopSignals(settings.shutdown_grace)
    topic = Topics.of(settings).agency(agency).name
    with _consumer(
        settings, agency, group or f"{settings.topic_prefix}ioc-subscribe-{agency}", start
    ) as reader:

        def show(message: AgencyAlert) -> None:
            if as_json:
                import msgspec

                text = msgspec.json.encode(message).decode()
            else:
                text = _document(message, settings) if as_cap else _line(message)
            sys.stdout.write(f"{text}\n")
            sys.stdout.flush()

        def say(text: str) -> None:
            sys.stderr.write(f"{text}\n")
            sys.stderr.flush()

        follow(reader, topic, show, say, stop.asked, quiet)


def cap(
    what: Annotated[
        str | None,
        typer.Argument(
            help="Identifier of a message, or an alert's id for the last message about it.", metavar="ID"
        ),
    ] = None,
    agency: Annotated[str | None, typer.Option(help="Whose message, from the broker.")] = None,
    file: Annotated[
        Path | None,
        typer.Option(help="A message as `ioc subscribe --json` prints it; - reads it from standard input."),
    ] = None,
) -> None:
    """Print the CAP 1.2 document of a message to an agency.

    Examples: `ioc cap fire.alert-3f2a.1 --agency fire`; `ioc cap --file message.json`
    """
    settings = _settings()
    if file is not None and what is None and agency is None:
        message = _from_file(file)
    elif file is None and what is not None and agency is not None:
        message = _from_broker(settings, agency, what)
    else:
        raise UserError("it is not clear which message is meant", "", "give ID and --agency, or --file alone")
    sys.stdout.write(f"{_document(message, settings)}\n")


def _document(message: AgencyAlert, settings: Settings) -> str:
    from alerts.agencies.cap import cap_xml

    return cap_xml(message, sender=settings.cap_sender).decode()


def _line(message: AgencyAlert) -> str:
    from alerts.agencies.cap import LANGUAGES, local_time
    from alerts.agencies.wording import headline

    language = next((one for one in message.languages if one in LANGUAGES), "vi")
    mark = " =" if message.standing else ""
    # Nothing that a name holds moves the cursor of a terminal.
    text = "".join(sign if sign.isprintable() else "\ufffd" for sign in headline(message, language))
    return f"{local_time(message.sent)} {message.type}{mark} {message.identifier} {text}"


def _from_file(file: Path) -> AgencyAlert:
    import msgspec

    from alerts.agencies.messages import AgencyAlert
    from alerts.believable import believed
    from ioc.undecodable import UNDECODABLE

    try:
        content = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
        return believed(msgspec.json.decode(content, type=AgencyAlert))
    except (OSError, *UNDECODABLE) as error:
        raise UserError("no message can be read", f"{file}: {error}", "give one message as JSON") from None


def _from_broker(settings: Settings, agency: str, what: str) -> AgencyAlert:
    import msgspec
    from kafka import TopicPartition

    from alerts.agencies.messages import AgencyAlert, Message
    from alerts.believable import believed
    from ioc.undecodable import UNDECODABLE
    from streams.topics import Topics

    topic, found = Topics.of(settings).agency(agency), None
    with _consumer(settings, agency, None, From.beginning) as reader:
        partitions = [TopicPartition(topic.name, number) for number in range(topic.partitions)]
        reader.assign(partitions)
        ends = reader.end_offsets(partitions)
        while any(reader.position(one) < ends[one] for one in partitions):
            for records in reader.poll(timeout_ms=500).values():
                for record in records:
                    try:
                        message = believed(msgspec.json.decode(record.value or b"", type=Message))
                    except UNDECODABLE:
                        continue  # no message of this program: whoever reads on passes over it too
                    if isinstance(message, AgencyAlert) and what in (message.identifier, message.alert.id):
                        found = message
    if found is None:
        raise UserError(
            f"no message to {agency} is {what}, or about it",
            topic.name,
            "`ioc subscribe` lists what there is",
        )
    return found


@contextmanager
def _consumer(settings: Settings, agency: str, group: str | None, start: From) -> Iterator[KafkaConsumer]:
    """A reader of the agency's topic. Raises `UserError` where there is none, or the broker does not answer."""
    from kafka import KafkaConsumer
    from kafka.errors import KafkaError

    from streams.clients import client_arguments
    from streams.reaching import unreachable
    from streams.topics import Topics

    topic = Topics.of(settings).agency(agency).name
    try:
        consumer = KafkaConsumer(
            **client_arguments(settings),
            group_id=group,
            isolation_level="read_committed",
            auto_offset_reset="earliest" if start == From.beginning else "latest",
            enable_auto_commit=False,
            allow_auto_create_topics=False,
            bootstrap_timeout_ms=int(BOOTSTRAP_SECONDS * 1000),
        )
    except (KafkaError, OSError) as error:
        raise unreachable(settings, error) from None
    try:
        prefix = f"{settings.topic_prefix}ioc.alerts."
        present = {name.removeprefix(prefix) for name in consumer.topics() if name.startswith(prefix)}
        if agency not in present:
            known = f"known: {', '.join(sorted(present))}" if present else "there is none yet"
            raise UserError(
                f"there is no agency {agency} here",
                f"topic {topic}; {known}",
                "name it in IOC_SUBSCRIPTIONS_FILE; see IOC_TOPIC_PREFIX",
            )
        yield consumer
    except (KafkaError, OSError) as error:
        raise unreachable(settings, error) from None
    finally:
        consumer.close()


def _settings() -> Settings:
    from ioc.logs import configure_logs
    from ioc.settings import load_settings

    configure_logs()
    return load_settings()
