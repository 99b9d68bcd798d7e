"""Who sent a report, on a real broker: sealed on the raw topic, shown to him, and gone once his key is erased."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from kafka import KafkaAdminClient, KafkaProducer

from ioc.settings import Settings
from streams.identity import Key, Keystore, opened, sealed_in
from streams.topics import Topics, partition_of
from tests import wallkit as kit
from tests.conftest import Kafka
from tests.system import ioc, read_all, running, until

PLACE = {"lon": 105.78, "lat": 10.03}
AN = {"account": "An.Nguyen@example.vn", "name": "Nguyễn Văn An", "phone": "0912345678"}
BINH = {"account": "binh", "name": "Trần Thị Bình", "phone": "0987654321"}
PLAIN = {"name": "Phạm Không Dấu", "phone": "0900000001"}


def words(*people: dict[str, str]) -> list[bytes]:
    """What would name a person, in the forms in which programs write it."""
    found = set()
    for person in people:
        for value in person.values():
            for form in (value, value.lower(), value.casefold(), json.dumps(value)[1:-1]):
                found |= {form.encode(), form.encode().hex().encode()}
    return sorted(found)


def named(content: bytes, *people: dict[str, str]) -> list[bytes]:
    return [word for word in words(*people) if word in content]


def everything(settings: Settings) -> dict[str, bytes]:
    """All that every topic of the installation holds, by topic: keys, values and headers."""
    admin = KafkaAdminClient(bootstrap_servers=settings.bootstrap)
    try:
        names = [name for name in admin.list_topics() if name.startswith(settings.topic_prefix)]
    finally:
        admin.close()
    return {
        name: b"\n".join(
            b" ".join(
                [record.key or b"", record.value or b"", *(value or b"" for _, value in record.headers)]
            )
            for record in read_all(settings, name)
        )
        for name in names
    }


def files(folder: Path) -> bytes:
    found = []
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        content = path.read_bytes()
        found += [path.name.encode(), content, gzip.decompress(content) if path.suffix == ".gz" else b""]
    return b"\n".join(found)


def test_who_was_erased_is_nowhere(kafka: Kafka, tmp_path: Path) -> None:
    """Not in a topic, a dead letter, a recording, a state, a log or the folder of keys; who was not, can be read."""
    kit.operators_file(tmp_path)
    state = tmp_path / "state"
    settings = kafka.settings(state_dir=state, operators_file=tmp_path / "operators.yaml")
    topics, raw = Topics.of(settings), Topics.of(settings).raw["report"]
    store = Keystore(state / "privacy")
    now = datetime.now(UTC)
    partition = partition_of(b"citizen-app", raw.partitions)

    def report(id_: str, reporter: Any, **fields: Any) -> bytes:
        good = {
            "id": id_,
            "source": "citizen-app",
            "time": now.isoformat(),
            "category": "flooded_street",
            **PLACE,
        }
        return json.dumps({**good, "text": "Ngập", "reporter": reporter, **fields}).encode()

    sent = [
        report("a1", store.seal(AN, "a1", now)),
        report("a2", store.seal(AN, "a2", now), lon=0, lat=0),
        report("a3", store.seal(AN, "a3", now), category=1),  # a dead letter
        report("a4", store.seal(AN, "a4", now), time=(now + timedelta(hours=3)).isoformat()),  # of the future
        report("b1", store.seal(BINH, "b1", now)),
        report("p1", PLAIN),
        report("p2", PLAIN, category=1),
    ]
    with running(settings, tmp_path / "logs") as system:
        for name in ("clock", "sense", "correlate"):
            system.start(name)
        producer = KafkaProducer(bootstrap_servers=settings.bootstrap, acks="all")
        # The clock must have spoken first, or nothing is of the future.
        until(lambda: read_all(settings, raw.name), 30, system.tails)
        for value in sent:
            producer.send(raw.name, key=b"citizen-app", value=value, partition=partition)
        producer.flush()
        producer.close()
        until(lambda: len(read_all(settings, topics.located.name)) == 4, 60, system.tails)
        until(lambda: len(read_all(settings, topics.dead_letters.name)) == 3, 30, system.tails)
        recorded = ioc(settings, "record", "-o", str(tmp_path / "out.ndjson.gz"))
        assert recorded.returncode == 0, recorded.stderr
        shown = ioc(settings, "privacy", "show", AN["account"].upper())
        assert shown.returncode == 0, shown.stderr
        assert shown.stdout.count("phone: 0912345678") == 4
        assert "2 sự kiện" in shown.stdout
        assert BINH["phone"] not in shown.stdout
        mine = [sealed for value in sent[:4] if (sealed := sealed_in(value))]
        [his] = [sealed for value in sent[4:5] if (sealed := sealed_in(value))]
        hashes = [json.loads(r.value).get("reporter_hash") for r in read_all(settings, topics.located.name)]
        assert sorted(one or "" for one in hashes) == sorted(["", mine[0].by, mine[0].by, his.by])

        erased = ioc(settings, "privacy", "erase", AN["account"], "--as", "supervisor")
        assert erased.returncode == 0, erased.stderr
        assert ioc(settings, "privacy", "show", AN["account"]).returncode == 1
        until(lambda: "name their reporter in plain words" in system.log("sense"), 10, system.tails)

    held = everything(settings)
    assert len(held) > 10
    # The plain ones stand on the raw topic, which cannot be changed, and nowhere else.
    assert named(held[raw.name], PLAIN)
    for name, content in held.items():
        assert not named(content, AN, BINH), name
        assert name == raw.name or not named(content, PLAIN), name
    kept = files(state) + files(tmp_path / "logs")
    assert not named(kept + (tmp_path / "out.ndjson.gz").read_bytes(), AN, BINH, PLAIN)
    assert not named(gzip.decompress((tmp_path / "out.ndjson.gz").read_bytes()), AN, BINH, PLAIN)

    # Nothing that is left opens what is sealed, whatever of it is taken for a key.
    assert all(one.sealed.encode() in held[raw.name] for one in mine)
    left = [bytes.fromhex((state / "privacy" / "secret").read_text().strip())]
    left += [key.secret for key in store.keys(BINH["account"])]
    left += [kept[at : at + 32] for at in range(0, min(len(kept), 20_000))]
    for number, sealed in enumerate(mine, 1):
        tried = [Key(now, sealed.by, secret) for secret in left if len(secret) == 32]
        assert all(opened([key], sealed, f"a{number}") is None for key in tried)
    assert opened(store.keys(BINH["account"]), his, "b1") == BINH
    noted = (state / "privacy" / "erased.ndjson").read_bytes()
    assert json.loads(noted)["operator"] == "supervisor"
    assert not named(noted, AN)
