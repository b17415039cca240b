import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tidewire.kafka.confluent_clients import ConfluentAdmin
from tidewire.kafka.records import TopicSpec
from tidewire.kafka.settings import KafkaSettings


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
    assert (missing.returncode, missing.stdout) == (
        1,
        f"{topic}: missing; make it with `tidewire topics apply`\n",
    )
    made = tidewire("topics", "apply")
    assert (made.returncode, made.stdout) == (0, f"{topic}: created, 2 partitions\n"), made.stderr
    again = tidewire("topics", "apply")
    assert (again.returncode, again.stdout) == (0, f"{topic}: ok, 2 partitions\n")
    listed = json.loads(tidewire("topics", "list", "--json").stdout)
    assert listed["topics"][0] == {
        "topic": topic,
        "streams": ["board"],
        "state": "ok",
        "partitions": 2,
        "differences": [],
    }
    assert topic in tidewire("topics", "list").stdout


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


def test_a_broker_that_is_away_is_one_sentence(tidewire: Command) -> None:
    tidewire.kafka = "127.0.0.1:1"
    refused = tidewire("publish", "board", "--key", "k", "--data", "1")
    assert refused.returncode == 2
    assert "127.0.0.1:1" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
