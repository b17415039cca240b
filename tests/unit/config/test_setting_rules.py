"""Each rule is broken by something that can be set, and by nothing that is right."""

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import pytest

from tidewire.cli.rules_between import EVENT_ENVELOPE
from tidewire.cli.rules_gateway import DESCRIPTOR_RESERVE, MESSAGE_BYTES
from tidewire.cli.rules_within import CALL_TIMEOUT, HEADER_BYTES, RENEWALS
from tidewire.config.errors import ConfigError
from tidewire.config.refusals import REFUSALS
from tidewire.config.rules import Rule, Severity, find
from tidewire.config.streams import Stream
from tidewire.targeting import messages, registry_http
from tidewire_gateway import descriptors, node
from tidewire_gateway.targeted import registration
from tidewire_publisher import app as publisher_app

from .configurations import ALL, LEAST, MODELS, STREAMS, WHOLE, broken, facts_with

NO_KEYS: dict[str, str | None] = {
    f"{service}__INTERNAL_KEY_FILE": None
    for service in ("GATEWAY", "PUBLISHER", "REGISTRY", "ROUTER")
} | {"GATEWAY__INTERNAL_HOST": "127.0.0.1", "REGISTRY__HOST": "127.0.0.1"}


def kafka(service: str) -> dict[str, dict[str, str | None]]:
    """What breaks the rules that every service's Kafka has."""
    own = f"{service.upper()}__KAFKA__"
    sasl = {"PROTOCOL": "SASL_PLAINTEXT", "MECHANISM": "PLAIN", "USERNAME": "u", "PASSWORD": "p"}
    return {
        f"{service}_poll_outlasts_request": {
            own + "FETCH_WAIT": "2",
            own + "REQUEST_TIMEOUT": "2.9",
        },
        f"{service}_silence_below_poll": {own + "SILENCE_TIMEOUT": "0.1"},
        f"{service}_partition_above_fetch": {
            own + "PARTITION_FETCH_BYTES": "2097152",
            own + "FETCH_BYTES": "1048576",
        },
        f"{service}_delivery_below_request": {own + "DELIVERY_TIMEOUT": "9"},
        f"{service}_password_in_plain_text": {
            f"{own}SECURITY__{name}": text for name, text in sasl.items()
        },
    }


CHANGES: dict[str, dict[str, str | None]] = {
    "high_water_above_memory": {"GATEWAY__LIMITS__MAX_MEMORY": "1000000000"},
    "message_above_frame": {
        "GATEWAY__LIMITS__MAX_FRAME_OUT": "131071",
        "PUBLISHER__MAX_EVENT_BYTES": "65536",
    },
    "memory_below_log": {"GATEWAY__LIMITS__MAX_MEMORY": "67108864"},
    "log_below_frame": {"GATEWAY__LOG_BYTES": "200000"},
    "stall_below_unsent": {"GATEWAY__LIMITS__UNSENT_TIMEOUT": "30"},
    "pings_before_stall": {"GATEWAY__LIMITS__PING_INTERVAL": "10"},
    "keys_later_than_hello": {"GATEWAY__TOKENS__JWKS_TIMEOUT": "8"},
    "age_below_hello": {"GATEWAY__LIMITS__CONNECTION_AGE": "9"},
    "frames_below_messages": {"GATEWAY__LIMITS__FRAMES_IN": "631"},
    "address_above_all": {"GATEWAY__LIMITS__ADDRESS_HANDSHAKES_PER_SECOND": "501"},
    "clients_share_an_address": {"GATEWAY__TRUSTED_PROXIES": None},
    "hosts_without_console": {"GATEWAY__CONSOLE_HOSTS": "gateway"},
    "every_origin_and_more": {"GATEWAY__ORIGINS": "*,https://app.example.org"},
    "address_nobody_reaches": {"GATEWAY__TARGETED__ADDRESS": None},
    "address_on_this_machine": {
        "GATEWAY__TARGETED__ADDRESS": None,
        "GATEWAY__INTERNAL_HOST": "127.0.0.1",
    },
    "address_of_a_free_port": {"GATEWAY__INTERNAL_PORT": "0"},
    "event_above_body": {"PUBLISHER__MAX_BODY_BYTES": "131071"},
    "event_above_record": {"PUBLISHER__KAFKA__MAX_RECORD_BYTES": "139263"},
    "lease_below_renewal": {"REGISTRY__LEASE": "2.5", "ROUTER__LOOKUP_TTL": "1"},
    "store_outlasts_callers": {"REGISTRY__STORE_TIMEOUT": "2.1"},
    "freeze_below_lease": {"REGISTRY__FREEZE": "9"},
    "console_without_kafka": {"REGISTRY__CONSOLE": "true", "REGISTRY__KAFKA__BOOTSTRAP": None},
    "session_below_brokers": {"ROUTER__SESSION_TIMEOUT": "5.9"},
    "batch_above_waiting": {"ROUTER__MAX_WAITING": "499"},
    "targeted_topic_of_router": {
        "GATEWAY__TARGETED__TOPIC": "t",
    },
    "targeted_topic_of_publisher": {"PUBLISHER__TARGETED_TOPIC": "t"},
    "inbox_topic": {"ROUTER__INBOX_TOPIC": "i"},
    "epochs_differ": {"ROUTER__EPOCH": "1"},
    "mailboxes_differ": {"ROUTER__REDIS_URL": "redis://redis:6379/2"},
    "mailboxes_at_other_hosts": {"ROUTER__REDIS_URL": "redis://127.0.0.1:6379/1"},
    "registry_of_router": {"GATEWAY__TARGETED__REGISTRY_URL": "http://elsewhere:8082"},
    "registry_of_publisher": {"PUBLISHER__REGISTRY_URL": "http://elsewhere:8082"},
    "second_look_too_early": {"GATEWAY__TARGETED__LOOKUP_TTL": "4"},
    "lookup_outlasts_lease": {"ROUTER__LOOKUP_TTL": "11", "GATEWAY__TARGETED__LOOKUP_TTL": "11"},
    "user_limits_cross": {"GATEWAY__LIMITS__CONNECTIONS_PER_USER": "15"},
    "router_shows_registry_no_key": {"ROUTER__INTERNAL_KEY_FILE": None},
    "node_shows_registry_no_key": NO_KEYS
    | {name: "k" for name in NO_KEYS if "KEY_FILE" in name and "GATEWAY" not in name},
    "publisher_shows_registry_no_key": NO_KEYS
    | {"REGISTRY__INTERNAL_KEY_FILE": "k", "ROUTER__INTERNAL_KEY_FILE": "k"}
    | {"GATEWAY__TARGETED__REGISTRY_URL": None, "GATEWAY__TARGETED__REDIS_URL": None},
    "registry_shows_node_no_key": NO_KEYS
    | {"GATEWAY__INTERNAL_KEY_FILE": "k", "PUBLISHER__INTERNAL_KEY_FILE": "k"},
    "revocations_topic": {"PUBLISHER__REVOCATIONS_TOPIC": "r"},
    "event_above_frame": {"GATEWAY__LIMITS__MAX_FRAME_OUT": "135167"},
    "gateway_and_router_brokers": {
        "PUBLISHER__KAFKA__BOOTSTRAP": "kafka:9092,b:1",
        "ROUTER__KAFKA__BOOTSTRAP": "b:1",
    },
    "gateway_and_publisher_brokers": {"PUBLISHER__KAFKA__BOOTSTRAP": "other:9092"},
    "publisher_and_router_brokers": {
        "GATEWAY__KAFKA__BOOTSTRAP": "kafka:9092,b:1",
        "ROUTER__KAFKA__BOOTSTRAP": "b:1",
    },
    "registry_and_gateway_brokers": {"REGISTRY__KAFKA__BOOTSTRAP": "other:9092"},
    **{name: change for service in MODELS for name, change in kafka(service).items()},
    **{
        f"{service.lower()}_cooldown_outlasts_interval": {
            f"{service}__TOKENS__JWKS_COOLDOWN": "300"
        }
        for service in ("GATEWAY", "PUBLISHER")
    },
    **{
        f"{service.lower()}_fetch_outlasts_interval": {
            f"{service}__TOKENS__JWKS_INTERVAL": "4",
            f"{service}__TOKENS__JWKS_COOLDOWN": "1",
        }
        for service in ("GATEWAY", "PUBLISHER")
    },
}
"""By rule, the change of `WHOLE` that breaks it alone; None takes a variable away."""
CIRCUMSTANCES: dict[str, tuple[dict[str, Any], str]] = {
    "too_few_descriptors": ({"machine.descriptors": 20_511}, STREAMS),
    "more_nodes_than_slots": ({"plan.nodes": 17}, STREAMS),
    "drain_outlasts_grace": ({"plan.grace": 44.5}, STREAMS),
    "streams_differ": ({"file.is_same": False}, STREAMS),
    "interval_outlasts_log": (
        {},
        "streams: {a: {topic: a, public: true, min_interval_ms: 120000}}",
    ),
    "retention_below_log": ({}, "streams: {a: {topic: a, public: true, retention_ms: 119999}}"),
    "streams_of_one_topic": (
        {},
        "streams: {a: {topic: a, public: true}, b: {topic: a, partitions: 2}}",
    ),
    "groups_of_one_topic": (
        {},
        """streams:
          a: {topic: a, public: true, partitions: 2}
          b: {topic: a, partitions: 2, group: key-prefix}""",
    ),
    "retentions_of_one_topic": (
        {},
        "streams: {a: {topic: a, retention_ms: -1}, b: {topic: a, retention_ms: 1000000}}",
    ),
}
"""By rule, what breaks it beside the settings: of the machine, the plan or streams.yaml."""
SHOWN_TOPICS = {
    "stream_shows_a_nodes_topic": ("gateway", "tidewire.inbox"),
    "stream_shows_a_routers_topic": ("router", "tidewire.targeted.dlq"),
    "stream_shows_a_publishers_topic": ("publisher", "tidewire.revocations"),
}
REFUSED: dict[str, tuple[dict[str, str], str]] = {
    "pending_below_body": (
        {"PUBLISHER__MAX_PENDING_BYTES": "4194303"},
        "PUBLISHER__MAX_PENDING_BYTES: must be at least MAX_BODY_BYTES",
    ),
    "router_reads_its_own": (
        {"ROUTER__DLQ_TOPIC": "tidewire.targeted"},
        "ROUTER__TARGETED_TOPIC: ",
    ),
    "inbox_is_targeted": (
        {"GATEWAY__TARGETED__TOPIC": "tidewire.inbox"},
        "GATEWAY__TARGETED__INBOX_TOPIC: ",
    ),
    "ports_collide": ({"GATEWAY__INTERNAL_PORT": "8080"}, "GATEWAY__INTERNAL_PORT: "),
}


def changed(change: Mapping[str, str | None]) -> dict[str, str]:
    return {name: text for name, text in {**WHOLE, **change}.items() if text is not None}


def names(facts: Mapping[str, Any], text: str = STREAMS) -> list[str]:
    return [found.rule.name for found in broken(facts, text)]


def test_a_whole_configuration_that_is_right_breaks_no_rule() -> None:
    facts = facts_with(WHOLE, *MODELS)
    in_order = {
        "machine.descriptors": 20_512,
        "plan.nodes": 16,
        "plan.grace": 45.0,
        "file.is_same": True,
    }
    assert names(facts | in_order) == []


@pytest.mark.parametrize(
    "services", [chosen for size in range(1, 5) for chosen in combinations(MODELS, size)], ids=str
)
def test_defaults_of_any_services_together_break_no_rule(services: tuple[str, ...]) -> None:
    least = {
        f"{service.upper()}__{name}": text
        for service in services
        for name, text in LEAST[service].items()
    }
    assert names(facts_with(least, *services)) == []


@pytest.mark.parametrize("rule", CHANGES)
def test_a_setting_that_contradicts_others_breaks_its_rule_and_no_other(rule: str) -> None:
    assert names(facts_with(changed(CHANGES[rule]), *MODELS)) == [rule]


@pytest.mark.parametrize("rule", CIRCUMSTANCES)
def test_a_machine_a_plan_or_a_stream_breaks_its_rule_and_no_other(rule: str) -> None:
    extra, text = CIRCUMSTANCES[rule]
    assert names(facts_with(WHOLE, *MODELS) | extra, text) == [rule]


@pytest.mark.parametrize("rule", SHOWN_TOPICS)
def test_a_stream_that_shows_a_topic_of_the_system_breaks_its_rule(rule: str) -> None:
    service, topic = SHOWN_TOPICS[rule]
    text = f"streams: {{leak: {{topic: {topic}, public: true}}}}"
    [found] = broken(facts_with(WHOLE, service), text)
    assert found.rule.name == rule
    assert str(found).startswith("streams.leak.topic: is a topic of the system itself")


def test_publisher_without_the_nodes_key_is_told_where_nobody_knows_of_the_registry() -> None:
    change = changed(NO_KEYS | {"GATEWAY__INTERNAL_KEY_FILE": "k"})
    assert names(facts_with(change, "gateway", "publisher")) == ["publisher_shows_node_no_key"]


@pytest.mark.parametrize(("service", "longest"), [("publisher", 8.0), ("registry", 5.0)])
def test_requests_under_way_need_time_before_the_process_is_killed(
    service: str, longest: float
) -> None:
    facts = facts_with(WHOLE, service)
    assert names(facts | {"plan.grace": longest}) == [f"{service}_shutdown_outlasts_grace"]
    assert names(facts | {"plan.grace": longest + 0.1}) == []


def test_without_keys_and_public_streams_there_is_nothing_for_anybody() -> None:
    facts = facts_with({"GATEWAY__STREAMS": "s", "GATEWAY__DEV": "true"}, "gateway")
    assert names(facts, "streams: {a: {topic: a}}") == ["nothing_for_anybody"]
    assert names(facts) == []
    with_key = facts_with(
        {"GATEWAY__STREAMS": "s", "GATEWAY__DEV": "true", "GATEWAY__TOKEN_KEY_FILE": "k"},
        "gateway",
    )
    assert names(with_key, "streams: {a: {topic: a}}") == []


@pytest.mark.parametrize("rule", REFUSED)
def test_what_a_service_refuses_is_told_with_names_values_and_cure(rule: str) -> None:
    variables, said = REFUSED[rule]
    [own] = [r for r in REFUSALS if r.name == rule]
    service = own.settings[0].partition(".")[0]
    with pytest.raises(ConfigError) as refused:
        facts_with({**WHOLE, **variables}, service)
    [line] = str(refused.value).splitlines()
    assert line.startswith(f"TIDEWIRE_{said}")
    assert f"{own.why}; {own.cure} (" in line
    for name, text in variables.items():
        assert f"TIDEWIRE_{name}={text}" in line


@pytest.mark.parametrize(
    ("hosts", "is_refused"),
    [
        (("0.0.0.0", "127.0.0.1"), True),
        (("localhost", "127.0.0.1"), True),
        (("127.0.0.1", "127.0.0.2"), False),
    ],
)
def test_one_port_on_two_addresses_is_two_places(hosts: tuple[str, str], is_refused: bool) -> None:
    environ = WHOLE | {"GATEWAY__INTERNAL_PORT": "8080"}
    environ |= {"GATEWAY__HOST": hosts[0], "GATEWAY__INTERNAL_HOST": hosts[1]}
    if not is_refused:
        facts_with(environ, "gateway")
        return
    with pytest.raises(ConfigError, match="two cannot listen at one place"):
        facts_with(environ, "gateway")


@pytest.mark.parametrize(
    ("rule", "severity"),
    [
        ("mailboxes_differ", Severity.ERROR),
        ("mailboxes_at_other_hosts", Severity.WARNING),
        ("address_nobody_reaches", Severity.ERROR),
        ("address_on_this_machine", Severity.WARNING),
        ("groups_of_one_topic", Severity.ERROR),
    ],
)
def test_what_may_be_meant_is_a_warning(rule: str, severity: Severity) -> None:
    [found] = [one.severity for one in ALL if one.name == rule]
    assert found is severity


def test_every_rule_has_a_test_and_a_name_of_its_own() -> None:
    told = [rule.name for rule in (*REFUSALS, *ALL)]
    assert len(told) == len(set(told))
    tried = {*CHANGES, *CIRCUMSTANCES, *SHOWN_TOPICS, *REFUSED}
    tried |= {"nothing_for_anybody", "publisher_shows_node_no_key"}
    tried |= {f"{service}_shutdown_outlasts_grace" for service in ("publisher", "registry")}
    assert tried == set(told)


def test_a_finding_names_settings_values_reason_and_cure_and_no_secret() -> None:
    facts = facts_with(changed(CHANGES["mailboxes_differ"]), *MODELS)
    [found] = broken(facts)
    assert dict(found.values) == {
        "TIDEWIRE_GATEWAY__TARGETED__REDIS_URL": "redis://user:**********@redis/1",
        "TIDEWIRE_ROUTER__REDIS_URL": "redis://redis:6379/2",
    }
    assert str(found) == (
        "TIDEWIRE_GATEWAY__TARGETED__REDIS_URL: nodes look for mailboxes elsewhere than routers fill them: "
        "who was away gets nothing; name the same Redis and database "
        "(TIDEWIRE_GATEWAY__TARGETED__REDIS_URL=redis://user:**********@redis/1, "
        "TIDEWIRE_ROUTER__REDIS_URL=redis://redis:6379/2)"
    )


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ("redis://redis", "redis://user:pw@redis:6379/0"),
        ("rediss://redis/2?ssl_ca_certs=ca.pem", "rediss://redis:6379/2"),
        ("unix:///run/redis.sock", "unix:///run/redis.sock"),
        ("unix:///run/redis.sock", "unix:///run/redis.sock?db=0"),
        ("redis+sentinel://a,b/main", "redis+sentinel://u:p@a,b/main"),
        ("redis+sentinel://a,b/main", "redis+sentinel://b:26379,a/main/0"),
    ],
)
def test_one_redis_written_in_two_ways_is_one(ours: str, theirs: str) -> None:
    change = {"GATEWAY__TARGETED__REDIS_URL": ours, "ROUTER__REDIS_URL": theirs}
    assert names(facts_with(WHOLE | change, *MODELS)) == []


@pytest.mark.parametrize(
    ("ours", "theirs", "rule"),
    [
        ("redis://localhost:6379", "redis://127.0.0.1:6379", "mailboxes_at_other_hosts"),
        ("redis://a", "redis://a:6380", "mailboxes_at_other_hosts"),
        ("redis+sentinel://a/main", "redis+sentinel://b/main", "mailboxes_at_other_hosts"),
        ("redis://a", "redis+sentinel://b/main", "mailboxes_at_other_hosts"),
        ("redis://a", "redis:a@b", "mailboxes_at_other_hosts"),
        ("redis://a/1", "redis://b/2", "mailboxes_differ"),
        ("redis+sentinel://a/main", "redis+sentinel://a/other", "mailboxes_differ"),
        ("unix:///run/redis.sock?db=1", "unix:///run/redis.sock", "mailboxes_differ"),
        ("redis://a/1", "redis+sentinel://b/main", "mailboxes_differ"),
    ],
)
def test_other_hosts_may_be_one_redis_and_another_database_is_not(
    ours: str, theirs: str, rule: str
) -> None:
    for one, other in ((ours, theirs), (theirs, ours)):
        change = {"GATEWAY__TARGETED__REDIS_URL": one, "ROUTER__REDIS_URL": other}
        assert names(facts_with(WHOLE | change, *MODELS)) == [rule]


@pytest.mark.parametrize(
    ("partitions", "group"), [(1, "key-prefix"), (2, "key")], ids=["one-partition", "by-key-too"]
)
def test_groups_that_choose_the_same_partition_contradict_nothing(
    partitions: int, group: str
) -> None:
    text = f"""streams:
      a: {{topic: a, public: true, partitions: {partitions}}}
      b: {{topic: a, partitions: {partitions}, group: {group}}}"""
    assert names(facts_with(WHOLE, *MODELS), text) == []


def test_only_streams_of_one_topic_are_held_against_each_other() -> None:
    held: list[tuple[str, str]] = []

    def hold(topic: str, other: str) -> bool:
        held.append((topic, other))
        return False

    rule = Rule("r", ("stream.topic", "other.topic"), hold, "why", "cure")
    streams = {f"s{number}": Stream(topic=f"t{number % 3}") for number in range(5)}
    assert find([rule], {}, streams) == []
    assert held == [("t0", "t0"), ("t1", "t1")]


def test_what_is_off_contradicts_nothing() -> None:
    off: dict[str, str | None] = {
        "GATEWAY__TARGETED__REGISTRY_URL": None,
        "GATEWAY__TARGETED__REDIS_URL": None,
        "GATEWAY__TARGETED__LOOKUP_TTL": "1",
        "GATEWAY__TARGETED__TOPIC": "t",
        "GATEWAY__LIMITS__CONNECTIONS_PER_USER": "1",
        "GATEWAY__LIMITS__HANDSHAKES_PER_SECOND": "0",
        "GATEWAY__LIMITS__MAX_MEMORY": "0",
        "REGISTRY__FREEZE": "0",
    }
    assert names(facts_with(changed(off), *MODELS)) == []


def test_the_rules_figures_are_those_of_the_code() -> None:
    assert RENEWALS == registration._RENEWALS
    assert CALL_TIMEOUT == registry_http.CALL_TIMEOUT
    assert DESCRIPTOR_RESERVE == descriptors.RESERVE
    assert MESSAGE_BYTES == messages.MAX_DATA_BYTES
    assert EVENT_ENVELOPE == node._EVENT_ENVELOPE
    assert HEADER_BYTES == publisher_app._HEADER_BYTES
