"""`tidewire topics` as processes, on real brokers."""

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.ports import free_port
from tidewire.cli import topics
from tidewire.cli.app import run
from tidewire.config.streams import Stream
from tidewire.kafka.confluent_clients import ConfluentAdmin
from tidewire.kafka.records import TopicSpec
from tidewire.kafka.settings import KafkaSettings
from tidewire.system.streams import SYSTEM, system_streams
from tidewire.topics import apply_topics, check_topics
from tidewire.topics.plan import spec_of

pytestmark = pytest.mark.timeout(180)  # processes, beside whatever else runs


@pytest.mark.parametrize("broker", ["embedded_kafka", "real_kafka"])
def test_a_broker_takes_every_setting_that_is_applied(
    broker: str, request: pytest.FixtureRequest, unique_name: Callable[[str], str]
) -> None:
    streams = {
        "table": Stream(topic=unique_name("table"), partitions=3, table=True),
        "feed": Stream(topic=unique_name("feed"), partitions=2, retention_ms=60_000),
        "forever": Stream(topic=unique_name("forever"), retention_ms=-1),
        "system": system_streams()[SYSTEM].model_copy(update={"topic": unique_name("system")}),
    }
    admin = ConfluentAdmin(KafkaSettings(bootstrap=request.getfixturevalue(broker)))
    try:
        report = apply_topics(admin, streams)
        assert report.is_ok
        assert set(report.created) == {stream.topic for stream in streams.values()}
        assert apply_topics(admin, streams).created == ()
        states = admin.describe([stream.topic for stream in streams.values()])
        for stream in streams.values():
            wanted = spec_of(stream).config
            assert {k: states[stream.topic].config[k] for k in wanted} == wanted
        differing = {"table": streams["table"].model_copy(update={"partitions": 4})}
        assert not check_topics(admin, differing).is_ok
    finally:
        admin.close()


class Command:
    """`tidewire topics` in a folder with a streams file of its own."""

    def __init__(self, folder: Path, kafka: str) -> None:
        self.folder = folder
        self.kafka = kafka

    def arguments(self, *options: str) -> list[str]:
        return [sys.executable, "-m", "tidewire.cli", "topics", *options, "--kafka", self.kafka]

    def __call__(self, *options: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.arguments(*options),
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def begin(self, *options: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self.arguments(*options),
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def answered(self, text: str, *options: str) -> tuple[int, str]:
        """Exit code and all that a terminal shows, to somebody who types ``text`` there."""
        ours, theirs = pty.openpty()
        try:
            os.write(ours, text.encode())
            process = subprocess.Popen(
                self.arguments(*options),
                cwd=self.folder,
                stdin=theirs,
                stdout=theirs,
                stderr=theirs,
            )
        finally:
            os.close(theirs)
        shown = b""
        try:
            while chunk := os.read(ours, 65536):
                shown += chunk
        except OSError:  # the last process at the other end has closed it
            pass
        finally:
            os.close(ours)
        return process.wait(120), shown.decode()


@pytest.fixture
def topic(unique_name: Callable[[str], str]) -> str:
    return unique_name("applied")


@pytest.fixture
def command(tmp_path: Path, real_kafka: str, topic: str) -> Command:
    (tmp_path / "streams.yaml").write_text(
        f"streams:\n  board: {{topic: {topic}, partitions: 3, table: true}}\n"
    )
    return Command(tmp_path, real_kafka)


def test_a_second_apply_has_nothing_to_make(command: Command, topic: str) -> None:
    planned = command("apply", "--plan")
    assert planned.returncode == 3, planned.stderr
    assert f"+ {topic}: is made, 3 partitions, 1 replica\n" in planned.stdout
    assert "    cleanup.policy=compact\n" in planned.stdout
    admin = ConfluentAdmin(KafkaSettings(bootstrap=command.kafka))
    assert admin.describe([topic]) == {}
    first = command("apply")
    assert first.returncode == 0, first.stderr
    assert f"{topic}: created, 3 partitions\n" in first.stdout
    state = admin.describe([topic])[topic]
    admin.close()
    assert (state.partitions, state.replication) == (3, 1)
    assert state.config["cleanup.policy"] == "compact"
    second = command("apply")
    assert second.returncode == 0
    assert second.stdout == f"{topic}: ok, 3 partitions\ntidewire.revocations: ok, 1 partition\n"
    assert second.stderr.splitlines()[-1] == "nothing to make, 2 as they should be"


def test_two_that_apply_at_once_make_a_topic_once(command: Command, topic: str) -> None:
    both = [command.begin("apply", "--json") for _ in range(2)]
    told = [process.communicate(timeout=120) for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    states = [{t["topic"]: t["state"] for t in json.loads(out)["topics"]}[topic] for out, _ in told]
    assert sorted(states) == ["created", "ok"]


def test_more_replicas_than_brokers_are_told_before_anything_is_tried(
    command: Command, topic: str
) -> None:
    (command.folder / "streams.yaml").write_text(
        f"streams:\n  board: {{topic: {topic}, replication: 2}}\n"
    )
    planned = command("apply", "--plan", "--replication", "1")
    assert planned.returncode == 1, planned.stderr
    assert f"! {topic}: is missing and cannot be made, 1 partition, 2 replicas" in planned.stdout
    assert "brokers is 1, wanted 2: start more brokers, or set `replication: 1`" in planned.stdout


def test_a_person_is_asked_and_has_the_say(command: Command, topic: str) -> None:
    code, shown = command.answered("n\n", "apply")
    assert (code, f"+ {topic}: is made" in shown) == (3, True), shown
    assert "[y/N]" in shown
    assert "nothing was made" in shown
    code, shown = command.answered("y\n", "apply")
    assert (code, f"{topic}: created, 3 partitions" in shown) == (0, True), shown


def test_list_tells_what_real_topics_are(command: Command, topic: str) -> None:
    admin = ConfluentAdmin(KafkaSettings(bootstrap=command.kafka))
    admin.create(TopicSpec(topic, 5, {"cleanup.policy": "compact,delete"}))
    admin.close()
    listed = json.loads(command("list", "--json").stdout)
    found = {told["topic"]: told for told in listed["topics"]}
    assert {"tidewire.targeted", "tidewire.inbox", "tidewire.system"} < set(found)
    ours = found[topic]
    assert (ours["there"], ours["partitions"], ours["replicas"]) == (True, 5, 1)
    assert set(ours["cleanup_policy"].split(",")) == {"compact", "delete"}
    assert ours["state"] == "differs"


def test_a_broker_that_is_away_is_one_sentence_and_exit_code_2(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    streams, kafka = tmp_path / "streams.yaml", f"127.0.0.1:{free_port()}"
    streams.write_text("streams:\n  board: {topic: board}\n")
    monkeypatch.setattr(topics, "ANSWER_TIMEOUT", 0.3)
    arguments = ["tidewire", "topics", "apply", "--kafka", kafka, "--streams", str(streams)]
    monkeypatch.setattr(sys, "argv", arguments)
    assert run() == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"tidewire: no Kafka broker answered at {kafka} for 0.3 s: ")
    assert len(err.splitlines()) == 1
