import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tidewire.cli.app import make_app
from tidewire.cli.connection import connection, kafka_settings
from tidewire.config.errors import ConfigError
from tidewire.config.streams_file import streams_schema
from tidewire.dev.data_dir import claimed
from tidewire.dev.running import Running, write_running
from tidewire.identity.keys import load_key
from tidewire.identity.rights import Action
from tidewire.identity.tokens import TokenVerifier

GOOD = "streams: {b: {topic: b}, a: {topic: a}}"


def run(*arguments: str) -> Result:
    return CliRunner().invoke(make_app(), list(arguments))


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty folder, and none of the machine's settings."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        if name.startswith("TIDEWIRE_"):
            monkeypatch.delenv(name)


def test_check_says_that_a_file_is_good() -> None:
    Path("streams.yaml").write_text(GOOD)
    result = run("config", "check")
    assert (result.exit_code, result.stdout) == (0, "streams.yaml: good; streams: a, b\n")
    assert json.loads(run("config", "check", "--json").stdout) == {
        "ok": True,
        "streams": ["a", "b"],
    }


def test_check_tells_every_problem_and_exits_1() -> None:
    Path("bad.yaml").write_text("streams:\n  a: {topik: a}\n")
    result = run("config", "check", "bad.yaml")
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "bad.yaml:2: streams.a.topic: is missing; every stream names its topic",
        "bad.yaml:2: streams.a.topik: unknown key; did you mean 'topic'?",
    ]
    assert json.loads(run("config", "check", "bad.yaml", "--json").stdout) == {
        "ok": False,
        "problems": result.stdout.splitlines(),
    }


def test_schema_is_printed_as_json() -> None:
    assert json.loads(run("config", "schema").stdout) == streams_schema()


def test_show_prints_a_services_settings_by_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEWIRE_PUBLISHER__STREAMS", "s.yaml")
    monkeypatch.setenv("TIDEWIRE_PUBLISHER__DEV", "1")
    Path(".env").write_text("TIDEWIRE_PUBLISHER__KAFKA__BOOTSTRAP=kafka:9092\n")
    result = run("config", "show", "publisher")
    lines = result.stdout.splitlines()
    assert "TIDEWIRE_PUBLISHER__KAFKA__BOOTSTRAP=kafka:9092" in lines
    assert "TIDEWIRE_PUBLISHER__DEV=True" in lines
    assert json.loads(run("config", "show", "publisher", "--json").stdout)["port"] == 8081


def test_show_names_a_setting_that_is_wrong() -> None:
    result = run("config", "show", "publisher")
    assert isinstance(result.exception, ConfigError)
    assert "TIDEWIRE_PUBLISHER__STREAMS: is not set" in str(result.exception)


def test_token_prints_one_for_each_user_that_the_runs_key_verifies() -> None:
    result = run(
        *("token", "--user", "ann", "--user", "bob", "--ttl", "60", "--data-dir", "d"),
        *("--subscribe", "flights/**", "--publish", "notices", "--publish", "flights/**"),
    )
    assert result.exit_code == 0
    verifier = TokenVerifier(load_key(Path("d/token.key")))
    identities = [verifier.verify(line) for line in result.stdout.splitlines()]
    assert [i.user for i in identities] == ["ann", "bob"]
    for identity in identities:
        assert identity.may(Action.SUBSCRIBE, "flights/JFK")
        assert identity.may(Action.PUBLISH, "flights")
        assert identity.may(Action.PUBLISH, "notices")
        assert not identity.may(Action.SUBSCRIBE, "notices")


def test_a_token_without_rights_says_so_beside_it() -> None:
    result = run("token", "--user", "ann")
    assert len(result.stdout.splitlines()) == 1
    assert "no rights" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("token",),
        ("token", "--user", ""),
        ("token", "--user", "a", "--subscribe", "fl*"),
        ("token", "--user", "a", "--ttl", "0"),
        ("publish", "flights"),
        ("publish", "flights", "--data", "1"),
        ("publish", "flights", "--key", "a", "--data", "1", "--jsonl", "-"),
        ("publish", "flights", "--key", "a", "--jsonl", "-"),
        ("publish", "flights", "--key", "a", "--data", "1", "--header", "x"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(arguments: tuple[str, ...]) -> None:
    assert run(*arguments).exit_code == 2


@pytest.mark.parametrize("command", [("topics", "check"), ("publish", "a", "--key", "k")])
def test_without_anything_to_talk_to_the_options_are_named(command: tuple[str, ...]) -> None:
    extra = ("--data", "1") if command[0] == "publish" else ()
    result = run(*command, *extra)
    assert isinstance(result.exception, ConfigError)
    assert "--streams" in str(result.exception)
    Path("streams.yaml").write_text(GOOD)
    result = run(*command, *extra)
    assert isinstance(result.exception, ConfigError)
    assert "--kafka HOST:PORT or set TIDEWIRE_KAFKA__BOOTSTRAP" in str(result.exception)


def test_a_broker_that_is_no_address_names_where_it_was_set(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    Path("streams.yaml").write_text(GOOD)
    assert str(run("topics", "check", "--kafka", "here").exception).startswith("--kafka: must be")
    monkeypatch.setenv("TIDEWIRE_KAFKA__BOOTSTRAP", "here")
    assert str(run("topics", "check").exception).startswith("TIDEWIRE_KAFKA__BOOTSTRAP: must be")


def test_the_environment_says_how_a_broker_is_spoken_to(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"PROTOCOL": "SASL_SSL", "MECHANISM": "PLAIN", "USERNAME": "tide", "PASSWORD": "hush"}
    for name, text in told.items():
        monkeypatch.setenv(f"TIDEWIRE_KAFKA__SECURITY__{name}", text)
    monkeypatch.setenv("TIDEWIRE_KAFKA__BOOTSTRAP", "kafka:9093")
    for given, bootstrap in ((None, "kafka:9093"), ("other:9093", "other:9093")):
        settings = kafka_settings(given)
        assert settings.bootstrap == bootstrap
        assert settings.librdkafka_common()["sasl.username"] == "tide"
    monkeypatch.delenv("TIDEWIRE_KAFKA__SECURITY__PASSWORD")
    with pytest.raises(ConfigError, match=r"^TIDEWIRE_KAFKA__SECURITY__PASSWORD: is not set"):
        kafka_settings("other:9093")


def test_commands_find_the_run_of_a_data_directory(tmp_path: Path) -> None:
    data_dir = tmp_path / "data"
    with claimed(data_dir) as held:
        held.streams.write_text(GOOD)
        write_running(
            held,
            Running(
                nodes=(), publisher=None, kafka="127.0.0.1:19", redis=None, streams=held.streams
            ),
        )
        found = connection(None, None, data_dir)
        assert found.kafka.bootstrap == "127.0.0.1:19"
        assert set(found.streams) == {"a", "b"}
        assert connection("127.0.0.1:20", None, data_dir).kafka.bootstrap == "127.0.0.1:20"
    with pytest.raises(ConfigError, match=r"no streams\.yaml"):
        connection(None, None, data_dir)
