"""`tidewire topics`: what is asked of the broker, over one in memory."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tidewire.cli import topics
from tidewire.cli.app import make_app
from tidewire.kafka.errors import BrokerUnavailableError
from tidewire.kafka.memory import MemoryBroker
from tidewire.kafka.records import TopicSpec

STREAMS = """
streams:
  flights: {topic: flights, replication: 3}
  notices: {topic: notices, replication: 2}
"""


@pytest.fixture
def broker() -> MemoryBroker:
    return MemoryBroker(brokers=3)


@pytest.fixture
def made(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, broker: MemoryBroker
) -> dict[str, TopicSpec]:
    """The topics that are made, by name."""
    specs: dict[str, TopicSpec] = {}
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


def run(command: str, *options: str) -> Result:
    arguments = ["topics", command, "--kafka", "127.0.0.1:9", "--streams", "streams.yaml"]
    return CliRunner().invoke(make_app(), [*arguments, *options])


def apply(*options: str) -> int:
    return run("apply", *options).exit_code


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def answer_at_a_terminal(monkeypatch: pytest.MonkeyPatch, text: str, *options: str) -> Any:
    """Exit code, stdout and stderr of `apply` by somebody who types ``text``."""
    out, err = io.StringIO(), Terminal()
    monkeypatch.setattr(sys, "stdin", Terminal(text))
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    arguments = ["topics", "apply", "--kafka", "127.0.0.1:9", "--streams", "streams.yaml"]
    code = make_app()([*arguments, *options], standalone_mode=False) or 0
    return code, out.getvalue(), err.getvalue()


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


PLAN = """\
! flights: differs and stays as it is, 2 partitions, 1 replica
    partitions is 2, wanted 1: set `partitions: 2` in streams.yaml, or use a new topic \
(keys stay in their partition, so a topic never grows)
    (replicas: 1, a new topic would have 3: kafka-reassign-partitions changes them)
+ notices: is made, 1 partition, 2 replicas
    cleanup.policy=delete
= tidewire.revocations: is as it should be, 1 partition, 3 replicas
1 to make, 1 as they should be, 1 for you to look after
"""


def test_plan_tells_what_is_made_what_agrees_and_what_differs_and_makes_nothing(
    made: dict[str, TopicSpec], broker: MemoryBroker
) -> None:
    broker.create(TopicSpec("flights", 2, {"cleanup.policy": "delete"}))
    broker.create(TopicSpec("tidewire.revocations", 1, {"cleanup.policy": "compact"}, 3))
    for option in ("--plan", "--dry-run"):
        told = run("apply", option)
        assert told.stdout == PLAN
        assert told.exit_code == 1
    assert made == {}


def test_exit_code_of_a_plan_says_whether_there_is_something_to_make(
    made: dict[str, TopicSpec], broker: MemoryBroker
) -> None:
    assert apply("--plan") == 3
    assert made == {}
    assert apply() == 0
    told = run("apply", "--plan")
    assert told.exit_code == 0
    assert told.stdout.splitlines()[-1] == "nothing to make, 3 as they should be"
    broker.delete("notices")
    broker.create(TopicSpec("notices", 7, {"cleanup.policy": "delete"}))
    assert apply("--plan") == 1


def test_plan_is_told_to_scripts_with_what_would_be_made(made: dict[str, TopicSpec]) -> None:
    told = run("apply", "--plan", "--json")
    document = json.loads(told.stdout)
    assert told.stderr == ""
    assert document["ok"] is False
    assert document["to_make"] == ["flights", "notices", "tidewire.revocations"]
    assert document["topics"][0] == {
        "topic": "flights",
        "streams": ["flights"],
        "state": "missing",
        "there": False,
        "partitions": 1,
        "replicas": 3,
        "cleanup_policy": "delete",
        "differences": [],
        "remarks": [],
        "settings": {"cleanup.policy": "delete"},
    }
    assert made == {}


def test_more_replicas_than_there_are_brokers_are_told_in_the_plan(
    made: dict[str, TopicSpec], broker: MemoryBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(broker, "brokers", lambda: 2)
    told = run("apply", "--plan")
    assert told.exit_code == 1
    assert "! flights: is missing and cannot be made, 1 partition, 3 replicas\n" in told.stdout
    assert "brokers is 2, wanted 3: start more brokers" in told.stdout
    assert apply() == 1
    assert set(made) == {"notices"}


def test_a_script_is_not_asked_and_reads_results_alone_on_stdout(
    made: dict[str, TopicSpec],
) -> None:
    told = run("apply")
    assert told.stdout == (
        "flights: created, 1 partition\n"
        "notices: created, 1 partition\n"
        "tidewire.revocations: created, 1 partition\n"
    )
    assert "3 to make, 0 as they should be\n" in told.stderr
    assert "making notices\n" in told.stderr
    again = run("apply")
    assert "nothing to make, 3 as they should be\n" in again.stderr
    assert "making" not in again.stderr


@pytest.mark.parametrize(
    ("text", "is_made"),
    [("y\n", True), ("Yes\n", True), ("n\n", False), ("\n", False), ("", False)],
)
def test_a_terminal_is_asked_and_anything_but_yes_makes_nothing(
    made: dict[str, TopicSpec], monkeypatch: pytest.MonkeyPatch, text: str, is_made: bool
) -> None:
    code, out, err = answer_at_a_terminal(monkeypatch, text)
    assert "make 3 topics? [y/N]" in err
    assert "+ flights: is made, 1 partition, 3 replicas" in err
    assert code == (0 if is_made else 3)
    assert bool(made) is is_made
    assert ("nothing was made" in err) is not is_made
    assert bool(out) is is_made


@pytest.mark.parametrize("option", ["--yes", "--json"])
def test_a_terminal_is_not_asked_where_the_answer_is_given(
    made: dict[str, TopicSpec], monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    code, _, err = answer_at_a_terminal(monkeypatch, "", option)
    assert code == 0
    assert "[y/N]" not in err
    assert len(made) == 3


def test_a_terminal_is_not_asked_where_there_is_nothing_to_make(
    made: dict[str, TopicSpec], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert apply() == 0
    code, _, err = answer_at_a_terminal(monkeypatch, "")
    assert code == 0
    assert "[y/N]" not in err


def test_list_tells_every_topic_that_there_could_be(
    made: dict[str, TopicSpec], broker: MemoryBroker
) -> None:
    broker.create(TopicSpec("flights", 2, {"cleanup.policy": "compact"}, 2))
    told = run("list", "--slots", "5")
    assert told.exit_code == 0
    heading, *rows = (line.split() for line in told.stdout.splitlines())
    assert heading == [
        *("topic", "streams", "partitions", "replicas", "cleanup.policy", "there", "state"),
    ]
    assert rows == [
        ["flights", "flights", "2", "2", "compact", "yes", "differs"],
        ["notices", "notices", "1", "2", "delete", "no", "missing"],
        ["tidewire.flows", "tidewire.flows", "1", "3", "delete", "no", "missing"],
        ["tidewire.inbox", "@inbox", "5", "3", "delete", "no", "missing"],
        ["tidewire.revocations", "@revocations", "1", "3", "compact", "no", "missing"],
        ["tidewire.system", "tidewire.system", "1", "3", "compact,delete", "no", "missing"],
        ["tidewire.targeted", "@me", "12", "3", "delete", "no", "missing"],
        ["tidewire.targeted.dlq", "@dead-letters", "1", "3", "delete", "no", "missing"],
    ]
    told_json = run("list", "--json").stdout
    document = json.loads(told_json)
    assert [t["topic"] for t in document["topics"] if t["there"]] == ["flights"]
    assert run("list", "--targeted", "--console", "--json").stdout == told_json
    assert made == {}


def test_a_broker_that_is_away_is_one_sentence_before_any_plan(
    made: dict[str, TopicSpec], broker: MemoryBroker
) -> None:
    broker.set_available(False)
    told = run("apply")
    assert isinstance(told.exception, BrokerUnavailableError)
    assert told.output == ""
