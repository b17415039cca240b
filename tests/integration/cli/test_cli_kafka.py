import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.waiting import eventually
from tidewire.kafka.confluent_clients import ConfluentAdmin, ConfluentReader
from tidewire.kafka.records import TopicPartition, TopicSpec
from tidewire.kafka.settings import KafkaSettings
from tidewire.targeting.messages import Message, message_of


class Command:
    """`tidewire` as a process, in a folder with a streams file of its own."""

    def __init__(self, folder: Path, kafka: str) -> None:
        self.folder = folder
        self.kafka = kafka

    def __call__(self, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "tidewire.cli", *arguments, "--kafka", self.kafka],
            cwd=self.folder,
            input=text,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


@pytest.fixture
def topic(unique_name: Callable[[str], str]) -> str:
    return unique_name("cli")


@pytest.fixture
def tidewire(tmp_path: Path, embedded_kafka: str, topic: str) -> Command:
    (tmp_path / "streams.yaml").write_text(
        f"streams:\n  board: {{topic: {topic}, partitions: 2, table: true, group: key-prefix}}\n"
    )
    return Command(tmp_path, embedded_kafka)


def test_topics_are_made_once_and_found_good(tidewire: Command, topic: str) -> None:
    missing = tidewire("topics", "check")
    assert missing.returncode == 1
    assert f"{topic}: missing; make it with `tidewire topics apply`\n" in missing.stdout
    made = tidewire("topics", "apply")
    assert made.returncode == 0, made.stderr
    assert f"{topic}: created, 2 partitions\n" in made.stdout
    again = tidewire("topics", "apply")
    assert again.stdout == f"{topic}: ok, 2 partitions\ntidewire.revocations: ok, 1 partition\n"
    assert again.returncode == 0
    listed = json.loads(tidewire("topics", "list", "--json").stdout)
    assert listed["topics"][0] == {
        "topic": topic,
        "streams": ["board"],
        "state": "ok",
        "there": True,
        "partitions": 2,
        "replicas": 1,
        "cleanup_policy": "compact",
        "differences": [],
        "remarks": [],
    }
    assert topic in tidewire("topics", "list").stdout


def test_topics_of_the_console_are_made_where_they_are_asked_for(
    tidewire: Command, topic: str
) -> None:
    assert "tidewire.system" not in tidewire("topics", "apply").stdout
    made = json.loads(tidewire("topics", "apply", "--console", "--json").stdout)
    by_name = {told["topic"]: told for told in made["topics"]}
    assert set(by_name) == {topic, "tidewire.revocations", "tidewire.system", "tidewire.flows"}
    assert {told["partitions"] for name, told in by_name.items() if name != topic} == {1}
    assert tidewire("topics", "check", "--console").returncode == 0


def test_a_topic_that_differs_is_told_and_left_alone(tidewire: Command, topic: str) -> None:
    admin = ConfluentAdmin(KafkaSettings(bootstrap=tidewire.kafka))
    admin.create(TopicSpec(topic, 3, {"cleanup.policy": "delete"}))
    applied = tidewire("topics", "apply")
    assert applied.returncode == 1
    assert "partitions is 3, wanted 2" in applied.stdout
    assert "cleanup.policy is delete, wanted compact" in applied.stdout
    state = admin.describe([topic])[topic]
    assert (state.partitions, state.config["cleanup.policy"]) == (3, "delete")
    admin.close()


def test_one_event_is_published_and_its_position_told(tidewire: Command, topic: str) -> None:
    tidewire("topics", "apply")
    event = ("publish", "board", "--key", "JFK/1", "--data", '{"a": 1.10}', "--header", "x=y")
    told = tidewire(*event)
    assert told.returncode == 0, told.stderr
    assert told.stdout.startswith(f"{topic} partition ")
    again = json.loads(tidewire(*event, "--json").stdout)
    assert (again["topic"], again["offset"]) == (topic, 1)


def test_what_cannot_be_published_is_one_sentence(tidewire: Command) -> None:
    tidewire("topics", "apply")
    for arguments, sentence in [
        (("publish", "nope", "--key", "k", "--data", "1"), "there is no stream 'nope'"),
        (("publish", "board", "--key", "k", "--data", "{"), "data: is not JSON"),
        (("publish", "board", "--key", "", "--data", "1"), "key: is missing"),
    ]:
        refused = tidewire(*arguments)
        assert refused.returncode == 2
        assert refused.stderr.startswith("tidewire: ")
        assert sentence in refused.stderr
        assert len(refused.stderr.splitlines()) == 1


def test_many_events_come_from_stdin(tidewire: Command) -> None:
    tidewire("topics", "apply")
    text = "".join(json.dumps({"key": f"JFK/{n % 3}", "data": n}) + "\n" for n in range(700))
    told = tidewire("publish", "board", "--jsonl", "-", "--json", text=text)
    assert told.returncode == 0, told.stderr
    positions = [json.loads(line) for line in told.stdout.splitlines()]
    assert [p["offset"] for p in positions] == list(range(700)), (
        "one group, one partition, in order"
    )
    assert "700 events written to board" in told.stderr
    partly = tidewire("publish", "board", "--jsonl", "-", text='{"key":"a"}\n' + text)
    assert partly.returncode == 1
    assert partly.stderr.splitlines()[0].startswith("stdin:1: data: is missing")
    assert "1 of 701 lines were skipped" in partly.stderr


@pytest.fixture
def targeted(tidewire: Command, unique_name: Callable[[str], str]) -> str:
    """A targeted topic that nobody else writes to; and no streams.yaml: users need none."""
    (tidewire.folder / "streams.yaml").unlink()
    name = unique_name("targeted")
    admin = ConfluentAdmin(KafkaSettings(bootstrap=tidewire.kafka))
    admin.create(TopicSpec(name, 4, {}))
    admin.close()
    return name


async def messages_of(kafka: str, topic: str) -> list[Message]:
    """As a router reads them."""
    reader = ConfluentReader(KafkaSettings(bootstrap=kafka))
    await reader.start()
    try:
        await reader.assign({TopicPartition(topic, number): 0 for number in range(4)})
        found: list[Message] = []

        async def is_read() -> bool:
            fetched = await reader.fetch(max_records=1000, max_wait=0.2)
            found.extend(message_of(record, partitions=4) for record in fetched.records)
            return bool(found) and not fetched.records

        await eventually(is_read, what="the topic is read to its end")
    finally:
        await reader.close()
    return found


async def test_one_event_for_a_user_needs_no_streams(tidewire: Command, targeted: str) -> None:
    told = await asyncio.to_thread(
        tidewire,
        *("publish", "--user", "a/b", "--data", '{"n": 1.10}', "--ttl", "1.5"),
        *("--collapse-key", "gate", "--targeted-topic", targeted, "--json"),
    )
    assert told.returncode == 0, told.stderr
    [message] = await messages_of(tidewire.kafka, targeted)
    assert json.loads(told.stdout) == {
        "topic": targeted,
        "partition": message.partition,
        "offset": 0,
    }
    assert (message.user, message.data) == ("a/b", b'{"n": 1.10}')
    assert (message.ttl_ms, message.collapse_key) == (1500, "gate")


async def test_many_events_for_a_user_come_from_stdin(tidewire: Command, targeted: str) -> None:
    lines = [
        {"data": 1},
        {"data": 2, "ttl_ms": 0, "collapse_key": "own", "id": "m-2"},
        {"key": "k", "data": 3},
        {"data": None},
        {"data": 5},
    ]
    told = await asyncio.to_thread(
        tidewire,
        *("publish", "--user", "ann", "--jsonl", "-", "--ttl", "60", "--collapse-key", "all"),
        *("--targeted-topic", targeted),
        text="".join(json.dumps(line) + "\n" for line in lines),
    )
    assert told.returncode == 1
    problems = told.stderr.splitlines()
    assert problems[0].startswith("stdin:3: key: unknown field")
    assert problems[1].startswith("stdin:4: data: is missing: there is nothing to tell the user")
    assert "3 events written to user ann" in told.stderr
    assert "2 of 5 lines were skipped" in told.stderr
    messages = await messages_of(tidewire.kafka, targeted)
    assert [(m.data, m.ttl_ms, m.collapse_key) for m in messages] == [
        (b"1", 60_000, "all"),
        (b"2", 0, "own"),
        (b"5", 60_000, "all"),
    ]
    assert messages[1].id == "m-2"


def test_what_no_user_can_be_told_is_one_sentence(tidewire: Command, targeted: str) -> None:
    ann = ("publish", "--user", "ann", "--targeted-topic", targeted)
    for arguments, sentence in [
        (("publish", "--user", "", "--data", "1"), "user: "),
        ((*ann, "--data", "null"), "data: is missing: there is nothing to tell"),
        ((*ann, "--data", "{"), "data: is not JSON"),
        ((*ann, "--data", "1", "--ttl", "-1"), "ttl: must be 0 (now or never) to 31536000 seconds"),
        ((*ann, "--jsonl", "-", "--ttl", "nan"), "ttl: must be 0"),
        ((*ann, "--data", "1", "--collapse-key", ""), "collapse_key: must be text and not empty"),
        ((*ann, "--data", "1", "--header", "tidewire-ttl-ms=5"), "headers.tidewire-ttl-ms: is set"),
        (("publish", "--user", "ann", "--data", "1", "--targeted-topic", "nope"), "nope"),
    ]:
        refused = tidewire(*arguments)
        assert refused.returncode == 2, refused.stderr
        assert refused.stderr.startswith("tidewire: ")
        assert sentence in refused.stderr
        assert len(refused.stderr.splitlines()) == 1


def test_a_broker_that_is_away_is_one_sentence(tidewire: Command) -> None:
    tidewire.kafka = "127.0.0.1:1"
    refused = tidewire("publish", "board", "--key", "k", "--data", "1")
    assert refused.returncode == 2
    assert "127.0.0.1:1" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
