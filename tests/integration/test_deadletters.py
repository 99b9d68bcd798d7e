"""Dead letters on a real broker with a real sense: listed, repaired by the command line, and located."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

from kafka import KafkaAdminClient, KafkaProducer, TopicPartition

from ioc.errors import UserError
from ioc.settings import Settings
from streams.deadletters import HEADER, Change, Outcome, replay
from streams.letters import Wanted
from streams.repair import LetterId
from streams.topics import Topics, partition_of
from tests import wallkit as kit
from tests.conftest import Kafka
from tests.system import ioc, read_all, running, until

PLACE = {"lon": 105.78, "lat": 10.03}


def send(settings: Settings, stream: str, *values: dict) -> list[LetterId]:
    """Put records of the source `street` into a raw topic; where they stand."""
    topic = Topics.of(settings).raw[stream]
    partition = partition_of(b"street", topic.partitions)
    client = KafkaProducer(bootstrap_servers=settings.bootstrap, acks="all")
    try:
        placed = [
            client.send(topic.name, key=b"street", value=json.dumps(value).encode(), partition=partition)
            for value in values
        ]
        return [LetterId(stream, partition, one.get(timeout=10).offset) for one in placed]
    finally:
        client.close()


def located(settings: Settings) -> dict[str, dict]:
    events = [json.loads(record.value) for record in read_all(settings, Topics.of(settings).located.name)]
    assert len({event["id"] for event in events}) == len(events), "located twice"
    return {event["id"]: event for event in events}


def test_a_dead_letter_is_repaired_and_located(kafka: Kafka, tmp_path: Path) -> None:
    """A bad record, a long one, a report and one of the future: each shown, and replayed once where that can help."""
    kit.operators_file(tmp_path)
    settings = kafka.settings(state_dir=tmp_path / "state", operators_file=tmp_path / "operators.yaml")
    topics = Topics.of(settings)
    now = datetime.now(UTC)
    good = {"source": "street", "time": now.isoformat(), **PLACE}
    later = (now + timedelta(hours=2)).isoformat()

    with running(settings, tmp_path / "logs") as system:
        for name in ("clock", "sense"):
            system.start(name)
        send(settings, "flood", {"id": "first", **good})
        until(lambda: located(settings), 60, system.tails)
        comma, long, future = send(
            settings,
            "flood",
            {"id": "comma", **good, "road_depth_m": "0,3", "note": "\u202eđảo\x1b[2J"},
            {"id": "long", **good, "road_depth_m": "0,3", "note": "x" * 5000},
            {"id": "future", **good, "time": later},
        )
        report, lost = send(
            settings,
            "report",
            {"id": "report", **good, "category": 1, "reporter": {"phone": "0912345678"}},
            {"id": "lost", **good, "category": 1},
        )
        until(lambda: len(read_all(settings, topics.dead_letters.name)) == 5, 30, system.tails)

        listed = ioc(settings, "deadletters", "list", "--stream", "flood")
        assert "3 dead letters (1 flood future, 2 flood undecodable), 0 of them replayed" in listed.stdout
        shown = ioc(settings, "deadletters", "show", str(comma)).stdout
        assert 'road_depth_m: "0,3"' in shown
        # JSON wrote the signs as codes; what the terminal gets can be printed in any case.
        assert all(line.isprintable() for line in shown.split("\n"))
        assert "0912345678" not in ioc(settings, "deadletters", "show", str(report)).stdout
        raw = ioc(settings, "deadletters", "show", str(report), "--raw").stdout
        assert "0912345678" in raw
        assert "Expected `str`, got `int` - at `$.category`" in raw

        # Nothing is published without a name that may, nor by a trial.
        fix = ["replay", str(comma), "--set", "road_depth_m=0.3"]
        for arguments in (fix, [*fix, "--as", "nobody"], [*fix, "--as", "viewer"]):
            assert ioc(settings, "deadletters", *arguments).returncode == 2
        tried = ioc(settings, "deadletters", *fix, "--dry-run")
        assert (tried.returncode, "would be replayed" in tried.stdout) == (0, True)

        # As they are they would be dead letters again.
        refused = ioc(settings, "deadletters", "replay", str(comma), str(future), "--as", "operator")
        assert (refused.returncode, refused.stdout.count("refused")) == (1, 2)
        assert "road_depth_m" in refused.stdout
        assert "wait 1:5" in refused.stdout
        assert len(read_all(settings, topics.dead_letters.name)) == 5

        done = ioc(settings, "deadletters", *fix, "--as", "operator")
        assert (done.returncode, f"replayed: {comma} -> flood/" in done.stdout) == (0, True), done
        twice = ioc(settings, "deadletters", *fix, "--as", "supervisor")
        assert (twice.returncode, "operator" in twice.stdout) == (1, True), twice

        # The letter holds a part only: what is edited and published is the whole record.
        file = tmp_path / "long.json"
        assert ioc(settings, "deadletters", "show", str(long), "-o", str(file)).returncode == 0
        file.write_text(file.read_text().replace('"0,3"', "0.3") + "\n")
        edited = ioc(settings, "deadletters", "replay", str(long), "--edit", str(file), "--as", "operator")
        assert edited.returncode == 0, edited

        told = ioc(
            settings, "deadletters", "replay", str(report), "--set", "category=flood", "--as", "operator"
        )
        assert told.returncode == 0, told
        until(lambda: {"comma", "long", "report"} <= located(settings).keys(), 20, system.tails)

        admin = KafkaAdminClient(bootstrap_servers=settings.bootstrap)
        admin.delete_records({TopicPartition(topics.raw["report"].name, lost.partition): lost.offset + 1})
        admin.close()
        gone = ioc(
            settings, "deadletters", "replay", str(lost), "--set", "category=flood", "--as", "operator"
        )
        assert (gone.returncode, "7 days" in gone.stdout) == (1, True), gone

        rest = ioc(settings, "deadletters", "replay", "--reason", "undecodable", "--dry-run")
        assert (str(lost) in rest.stdout, str(comma) in rest.stdout) == (True, False), rest
        assert "5 dead letters" in (again := ioc(settings, "deadletters", "list").stdout)
        assert "3 of them replayed" in again

    found = located(settings)
    assert found.keys() == {"first", "comma", "long", "report"}
    assert found["comma"]["road_depth_m"] == 0.3
    assert found["comma"]["place"]["commune"]
    assert "0912345678" not in json.dumps(found)
    headers = {
        value.decode(): (key, record.key, json.loads(record.value)["id"])
        for topic in topics.raw.values()
        for record in read_all(settings, topic.name)
        for key, value in record.headers
    }
    assert headers == {
        str(comma): (HEADER, b"street", "comma"),
        str(long): (HEADER, b"street", "long"),
        str(report): (HEADER, b"street", "report"),
    }


def test_of_replays_at_the_same_time_one_publishes(kafka: Kafka) -> None:
    """However they meet: the letter's record is published once, with one mark, and the others are told."""
    settings = kafka.settings()
    topics = Topics.of(settings)
    letter = {
        "reason": "undecodable", "detail": "", "topic": topics.raw["flood"].name, "partition": 0, "offset": 7,
        "value": json.dumps({"id": "e", "source": "street", "time": datetime.now(UTC).isoformat()}),
    }  # fmt: skip
    client = KafkaProducer(bootstrap_servers=settings.bootstrap, acks="all")
    client.send(topics.dead_letters.name, key=b"street", value=json.dumps(letter).encode()).get(timeout=10)
    client.close()
    outcomes: list[Outcome] = []
    errors: list[UserError] = []

    def run(name: str) -> None:
        wanted = Wanted(ids=frozenset([LetterId("flood", 0, 7)]))
        try:
            outcomes.extend(replay(settings, wanted, Change(), by=name, now=datetime.now(UTC)))
        except UserError as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(f"operator-{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    if not [outcome for outcome in outcomes if outcome.to]:
        run("the-last")  # each may have been fenced by another
    assert len([outcome for outcome in outcomes if outcome.to]) == 1, (outcomes, errors)
    assert len(read_all(settings, topics.raw["flood"].name)) == 1
    marks = [json.loads(record.value) for record in read_all(settings, topics.dead_letters.name)][1:]
    assert [mark["kind"] for mark in marks] == ["replayed"]
    assert all("another replay" in error.what for error in errors), errors
