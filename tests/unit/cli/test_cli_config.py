import json
import os
from pathlib import Path
from typing import Any

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
        "services": [],
        "streams": ["a", "b"],
        "problems": [],
        "warnings": [],
        "findings": [],
    }


def test_check_tells_every_problem_and_exits_1() -> None:
    Path("bad.yaml").write_text("streams:\n  a: {topik: a}\n")
    result = run("config", "check", "bad.yaml")
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "bad.yaml:2: streams.a.topic: is missing; every stream names its topic",
        "bad.yaml:2: streams.a.topik: unknown key; did you mean 'topic'?",
    ]
    told = json.loads(run("config", "check", "bad.yaml", "--json").stdout)
    assert (told["ok"], told["problems"]) == (False, result.stdout.splitlines())


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
    assert "--subscribe PATTERN" in result.stderr


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


NODE = {"TIDEWIRE_GATEWAY__STREAMS": "streams.yaml", "TIDEWIRE_GATEWAY__DEV": "true"}
PUBLIC = "streams: {b: {topic: b, public: true}}"


def check(*arguments: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(run("config", "check", *arguments, "--json").stdout)
    return told


def rules(told: dict[str, Any]) -> list[str]:
    """But for what depends on the machine."""
    found = [finding["rule"] for finding in told["findings"]]
    return [rule for rule in found if rule != "too_few_descriptors"]


@pytest.fixture
def node(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A node in development with nothing wrong; sets further variables."""
    Path("streams.yaml").write_text(PUBLIC)
    for name, text in NODE.items():
        monkeypatch.setenv(name, text)
    return monkeypatch


def test_check_reads_the_services_that_are_told_anything(node: pytest.MonkeyPatch) -> None:
    told = check()
    assert (told["ok"], told["services"], told["streams"]) == (True, ["gateway"], ["b"])
    Path(".env").write_text("TIDEWIRE_ROUTER__BATCH_RECORDS=100\n")
    assert check()["services"] == ["gateway", "router"]
    result = run("config", "check")
    assert result.exit_code == 0
    assert result.stdout.splitlines()[-2:] == [
        "streams.yaml: good; streams: b",
        "settings: good; services: gateway, router",
    ]
    assert check("--service", "registry")["services"] == ["registry"]


def test_check_without_services_says_that_the_streams_alone_were_checked() -> None:
    Path("streams.yaml").write_text(GOOD)
    assert "--service NAME" in run("config", "check").stderr


def test_check_tells_what_a_service_would_refuse_in_its_own_words(
    node: pytest.MonkeyPatch,
) -> None:
    node.setenv("TIDEWIRE_GATEWAY__PROT", "1")
    node.setenv("TIDEWIRE_GATEWAY__INTERNAL_PORT", "8080")
    node.setenv("TIDEWIRE_ROUTER__REDIS_URL", "http://redis")
    result = run("config", "check")
    assert result.exit_code == 1
    unknown, refused, redis = result.stdout.splitlines()
    assert unknown == (
        "TIDEWIRE_GATEWAY__PROT: unknown setting; did you mean 'TIDEWIRE_GATEWAY__PORT'?"
    )
    assert refused.startswith("TIDEWIRE_GATEWAY__INTERNAL_PORT: the internal port is the public")
    assert redis.startswith("TIDEWIRE_ROUTER__REDIS_URL: the Redis URL has the scheme 'http'")


@pytest.mark.parametrize(
    "name", ["INTERNAL_KEY_FILE", "TOKEN_KEY_FILE", "TOKENS__KEY_FILES", "TLS__CERTIFICATE_FILE"]
)
def test_check_tells_of_a_file_that_is_not_there(node: pytest.MonkeyPatch, name: str) -> None:
    node.setenv(f"TIDEWIRE_GATEWAY__{name}", "missing.pem")
    if name.startswith("TLS"):
        node.setenv("TIDEWIRE_GATEWAY__TLS__KEY_FILE", "missing.pem")
    if name.startswith("TOKENS"):
        node.setenv("TIDEWIRE_GATEWAY__TOKENS__ISSUER", "i")
    told = check()
    assert not told["ok"]
    assert "missing.pem" in told["problems"][0]


def test_check_finds_contradictions_and_a_script_reads_them(node: pytest.MonkeyPatch) -> None:
    node.setenv("TIDEWIRE_GATEWAY__TARGETED__REGISTRY_URL", "http://127.0.0.1:8082")
    node.setenv("TIDEWIRE_GATEWAY__TARGETED__REDIS_URL", "redis://:hush@127.0.0.1:6379")
    node.setenv("TIDEWIRE_ROUTER__INBOX_TOPIC", "letters")
    told = check()
    assert not told["ok"]
    [finding] = [found for found in told["findings"] if found["rule"] == "inbox_topic"]
    assert finding == {
        "rule": "inbox_topic",
        "severity": "error",
        "settings": {
            "TIDEWIRE_GATEWAY__TARGETED__INBOX_TOPIC": "tidewire.inbox",
            "TIDEWIRE_ROUTER__INBOX_TOPIC": "letters",
            "TIDEWIRE_GATEWAY__TARGETED__REGISTRY_URL": "http://127.0.0.1:8082",
        },
        "why": "routers write to another inbox than the one that nodes read: they have to name the same topic",
        "cure": "give both the same",
    }
    assert finding["why"] in told["problems"][0]
    assert "hush" not in json.dumps(told)


def test_more_nodes_than_slots_are_an_error() -> None:
    assert rules(check("--service", "registry", "--nodes", "16")) == []
    told = check("--service", "registry", "--nodes", "17")
    assert (told["ok"], rules(told)) == (False, ["more_nodes_than_slots"])
    assert run("config", "check", "--service", "registry", "--nodes", "17").exit_code == 1


def test_a_drain_that_is_longer_than_the_grace_is_an_error(node: pytest.MonkeyPatch) -> None:
    assert rules(check("--grace", "45")) == []
    assert rules(check("--grace", "30")) == ["drain_outlasts_grace"]


def test_a_warning_is_an_error_where_that_is_asked_for(node: pytest.MonkeyPatch) -> None:
    node.setenv("TIDEWIRE_ROUTER__SESSION_TIMEOUT", "3")
    result = run("config", "check", "--service", "router")
    assert result.exit_code == 0
    warning, good = result.stdout.splitlines()
    assert warning.startswith("warning: TIDEWIRE_ROUTER__SESSION_TIMEOUT: brokers refuse")
    assert good == "settings: good; services: router"
    assert run("config", "check", "--service", "router", "--strict").exit_code == 1


def test_check_tells_of_a_variable_that_nothing_reads(node: pytest.MonkeyPatch) -> None:
    node.setenv("TIDEWIRE_GATEWY__PORT", "1")
    node.setenv("TIDEWIRE_GATEWAY_SERVICE_HOST", "10.0.0.7")
    assert [line for line in check()["warnings"] if "GATEWY" in line or "SERVICE_HOST" in line] == [
        "TIDEWIRE_GATEWY__PORT: nothing reads it; did you mean 'TIDEWIRE_GATEWAY__PORT'?"
    ]


def test_streams_that_a_service_names_are_checked_with_its_settings(
    node: pytest.MonkeyPatch,
) -> None:
    Path("other.yaml").write_text("streams: {a: {topic: tidewire.inbox, public: true}}")
    node.setenv("TIDEWIRE_GATEWAY__STREAMS", "other.yaml")
    assert rules(check()) == ["stream_shows_a_nodes_topic"]
    assert rules(check("streams.yaml")) == []
    node.setenv("TIDEWIRE_GATEWAY__STREAMS", "missing.yaml")
    assert check()["problems"][0].startswith("missing.yaml: no such file")


def test_streams_that_differ_between_services_are_an_error(node: pytest.MonkeyPatch) -> None:
    node.setenv("TIDEWIRE_PUBLISHER__DEV", "true")
    node.setenv("TIDEWIRE_PUBLISHER__STREAMS", "copy.yaml")
    Path("copy.yaml").write_text("# the same\n" + PUBLIC)
    assert rules(check()) == []
    Path("copy.yaml").write_text("streams: {b: {topic: b, public: true, partitions: 2}}")
    assert rules(check()) == ["streams_differ"]


def test_check_cannot_be_done_where_secrets_cannot_be_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TIDEWIRE_SECRETS_DIR", "nowhere")
    result = run("config", "check")
    assert isinstance(result.exception, ConfigError)
    assert str(result.exception) == "TIDEWIRE_SECRETS_DIR: nowhere is not a directory"


def test_no_part_of_a_url_that_cannot_be_read_is_shown(node: pytest.MonkeyPatch) -> None:
    node.setenv("TIDEWIRE_GATEWAY__TARGETED__REGISTRY_URL", "http://127.0.0.1:8082")
    node.setenv("TIDEWIRE_GATEWAY__TARGETED__REDIS_URL", "redis::hunter2@redis:6379/0")
    node.setenv("TIDEWIRE_ROUTER__REDIS_URL", "u:hunter2@redis:6379")
    told = check()
    assert "mailboxes_at_other_hosts" in rules(told)
    node.setenv("TIDEWIRE_GATEWAY__TARGETED__REGISTRY_URL", "htp://u:hunter2@registry:8082")
    node.setenv("TIDEWIRE_PUBLISHER__DEV", "true")
    node.setenv("TIDEWIRE_PUBLISHER__STREAMS", "streams.yaml")
    node.setenv("TIDEWIRE_PUBLISHER__REGISTRY_URL", "htp://u:hunter2@registry:8082")
    refused = check()
    assert len([line for line in refused["problems"] if "REGISTRY_URL: must" in line]) == 2
    shown = run("config", "show", "router").stdout
    assert "TIDEWIRE_ROUTER__REDIS_URL=**********" in shown
    assert "hunter2" not in json.dumps([told, refused]) + run("config", "check").stdout + shown


@pytest.mark.parametrize("service", ["GATEWAY", "PUBLISHER"])
def test_authorities_that_are_not_there_are_told(node: pytest.MonkeyPatch, service: str) -> None:
    for name, text in (("DEV", "true"), ("STREAMS", "streams.yaml")):
        node.setenv(f"TIDEWIRE_{service}__{name}", text)
    node.setenv(f"TIDEWIRE_{service}__TOKENS__ISSUER", "i")
    node.setenv(f"TIDEWIRE_{service}__TOKENS__JWKS_URL", "https://login.example/jwks")
    node.setenv(f"TIDEWIRE_{service}__TOKENS__JWKS_CA_FILE", "missing.pem")
    [problem] = check()["problems"]
    assert problem.startswith("missing.pem: not certificates to trust: ")


def test_a_folder_of_files_that_is_not_there_is_told(node: pytest.MonkeyPatch) -> None:
    node.setenv("TIDEWIRE_GATEWAY__STATIC", '{"/": "nowhere"}')
    assert check()["problems"] == [
        "TIDEWIRE_GATEWAY__STATIC: nowhere is no folder: name one that is there"
    ]


def test_what_commands_are_told_of_kafka_is_checked(node: pytest.MonkeyPatch) -> None:
    node.setenv("TIDEWIRE_KAFKA__BOOTSTRP", "x")
    assert check()["problems"] == [
        "TIDEWIRE_KAFKA__BOOTSTRP: unknown setting; did you mean 'TIDEWIRE_KAFKA__BOOTSTRAP'?"
    ]
    assert run("config", "check").exit_code == 1
    node.delenv("TIDEWIRE_KAFKA__BOOTSTRP")
    node.setenv("TIDEWIRE_KAFKA__BOOTSTRAP", "here")
    [problem] = check()["problems"]
    assert problem.startswith("TIDEWIRE_KAFKA__BOOTSTRAP: must be HOST:PORT")
    node.setenv("TIDEWIRE_KAFKA__BOOTSTRAP", "kafka:9092")
    assert check()["ok"]


def test_a_file_that_is_given_stands_for_those_of_the_services(node: pytest.MonkeyPatch) -> None:
    node.setenv("TIDEWIRE_GATEWAY__STREAMS", "missing.yaml")
    assert check("streams.yaml")["ok"]
    assert not check()["ok"]
