"""`tidewire topics`: what is asked of the broker, over one in memory."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tidewire.cli import topics
from tidewire.cli.app import make_app
from tidewire.kafka.memory import MemoryBroker
from tidewire.kafka.records import TopicSpec

STREAMS = """
streams:
  flights: {topic: flights, replication: 3}
  notices: {topic: notices, replication: 2}
"""


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, TopicSpec]:
    """The topics that are made, by name."""
    specs: dict[str, TopicSpec] = {}
    broker = MemoryBroker()
    admin: Any = broker.admin()
    create = admin.create

    def noting(spec: TopicSpec) -> None:
        specs[spec.name] = spec
        create(spec)

    monkeypatch.setattr(admin, "create", noting)
    monkeypatch.setattr(topics, "_connect", lambda _: admin)
    monkeypatch.chdir(tmp_path)
    Path("streams.yaml").write_text(STREAMS)
    return specs


def apply(*options: str) -> int:
    arguments = ["topics", "apply", "--kafka", "127.0.0.1:9", "--streams", "streams.yaml"]
    return CliRunner().invoke(make_app(), [*arguments, *options]).exit_code


def replicas(made: dict[str, TopicSpec]) -> dict[str, int]:
    return {name: spec.replication for name, spec in made.items()}


def test_topics_of_the_system_have_as_many_replicas_as_the_stream_with_most(
    made: dict[str, TopicSpec],
) -> None:
    assert apply("--console", "--targeted") == 0
    assert replicas(made) == {
        "flights": 3,
        "notices": 2,
        "tidewire.system": 3,
        "tidewire.flows": 3,
        "tidewire.revocations": 3,
        "tidewire.targeted": 3,
        "tidewire.inbox": 3,
        "tidewire.targeted.dlq": 3,
    }


def test_replicas_of_the_topics_of_the_system_can_be_said(made: dict[str, TopicSpec]) -> None:
    assert apply("--console", "--replication", "2") == 0
    assert replicas(made) == {
        "flights": 3,
        "notices": 2,
        "tidewire.system": 2,
        "tidewire.flows": 2,
        "tidewire.revocations": 2,
    }


def test_topic_of_revocations_keeps_the_newest_word_on_everybody(
    made: dict[str, TopicSpec],
) -> None:
    assert apply() == 0
    revocations = made["tidewire.revocations"]
    assert (revocations.partitions, revocations.config["cleanup.policy"]) == (1, "compact")


def test_no_replica_at_all_is_refused(made: dict[str, TopicSpec]) -> None:
    assert apply("--console", "--replication", "0") == 2
    assert made == {}
