"""Every Kafka client goes in by TLS, certificate, password and token; what keeps it out is named at once."""

import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest

from contract.reading import numbered
from harness.authority import make_authority
from harness.connections import connections_end
from harness.heard import HEARD
from harness.leaks import CANARY
from harness.secure_kafka import PASSWORD, USER, Listener, SecureKafka
from harness.token_endpoint import TokenEndpoint, token_endpoint
from tidewire.kafka.aiokafka_clients import AiokafkaWriter
from tidewire.kafka.aiokafka_group import AiokafkaGroupReader
from tidewire.kafka.confluent_clients import ConfluentAdmin, ConfluentReader, ConfluentWriter
from tidewire.kafka.errors import (
    BrokerUnavailableError,
    CredentialsRefusedError,
    KafkaError,
    TlsFailedError,
)
from tidewire.kafka.groups import GroupMembership
from tidewire.kafka.records import TopicPartition, TopicSpec
from tidewire.kafka.settings import KafkaSettings

pytestmark = pytest.mark.timeout(120)

AT_ONCE = 5.0
"""Seconds; a broker that is away takes a question ten."""
WRONG = f"wrong-{CANARY}"

MakeSettings = Callable[[SecureKafka], KafkaSettings]


def with_client(kafka: SecureKafka) -> KafkaSettings:
    files = {"certificate_file": kafka.client.certificate, "key_file": kafka.client.key}
    return kafka.settings(Listener.MUTUAL, **files)


def with_locked_client(kafka: SecureKafka) -> KafkaSettings:
    files = {
        "certificate_file": kafka.locked_client.certificate,
        "key_file": kafka.locked_client.key,
    }
    return kafka.settings(Listener.MUTUAL, **files, key_password=PASSWORD)


def by_password(mechanism: str, listener: Listener = Listener.SASL) -> MakeSettings:
    return lambda kafka: kafka.settings(listener, mechanism=mechanism)


def with_token(kafka: SecureKafka, tokens: TokenEndpoint, **given: str) -> KafkaSettings:
    where = {"token_url": tokens.url, "token_ca_file": kafka.authority.certificate}
    more = {"mechanism": "OAUTHBEARER", "token_scope": "kafka", **where, **given}
    return kafka.settings(Listener.SASL, **more)


WAYS_IN: dict[str, MakeSettings] = {
    "TLS": lambda kafka: kafka.settings(Listener.TLS),
    "certificate": with_client,
    "certificate with a locked key": with_locked_client,
    "PLAIN": by_password("PLAIN"),
    "SCRAM-SHA-256": by_password("SCRAM-SHA-256"),
    "SCRAM-SHA-512": by_password("SCRAM-SHA-512"),
    "SCRAM-SHA-512 without TLS": by_password("SCRAM-SHA-512", Listener.CLEAR),
}


@pytest.fixture(autouse=True)
async def _connections_end() -> AsyncIterator[None]:
    yield
    await connections_end()


@pytest.fixture(scope="module")
def tokens(secured_kafka: SecureKafka) -> Iterator[TokenEndpoint]:
    certificate = secured_kafka.authority.issue("login")
    with token_endpoint(USER, PASSWORD, certificate) as endpoint:
        yield endpoint


class Listening:
    """A member of a group that is told nothing of interest."""

    async def on_assigned(self, _: Any) -> None:
        pass

    async def on_revoked(self, _: Any) -> None:
        pass


@pytest.mark.parametrize("way", WAYS_IN)
async def test_every_client_goes_in(
    secured_kafka: SecureKafka, unique_name: Callable[[str], str], way: str
) -> None:
    await go_in(WAYS_IN[way](secured_kafka), unique_name)


async def test_every_client_goes_in_with_a_token_that_it_gets_for_its_credentials(
    secured_kafka: SecureKafka, tokens: TokenEndpoint, unique_name: Callable[[str], str]
) -> None:
    await go_in(with_token(secured_kafka, tokens), unique_name)
    assert {("client_credentials", "kafka")} == {
        (form["grant_type"][0], form["scope"][0]) for form in tokens.asked
    }


async def go_in(settings: KafkaSettings, unique_name: Callable[[str], str]) -> None:
    topic = unique_name("secure")
    admin = ConfluentAdmin(settings)
    admin.wait_until_ready(AT_ONCE)
    admin.create(TopicSpec(topic, 1, {}))
    assert admin.describe([topic])[topic].partitions == 1
    first, second = numbered(topic, 2)

    writer = ConfluentWriter(settings)
    writer.offer(first)
    assert writer.flush(20.0) == 0
    writer.close(20.0)
    in_loop = AiokafkaWriter(settings)
    await in_loop.start()
    assert (await in_loop.write(second)).offset == 1
    await in_loop.close()

    reader = ConfluentReader(settings)
    await reader.start()
    await reader.assign({TopicPartition(topic, 0): 0})
    offsets: list[int] = []
    while len(offsets) < 2:
        fetched = await reader.fetch(max_records=10, max_wait=1.0)
        offsets += [record.offset for record in fetched.records]
    await reader.close()
    assert offsets == [0, 1]

    member = AiokafkaGroupReader(settings, topic, GroupMembership(unique_name("group")))
    await member.start(Listening())
    found: list[int] = []
    while len(found) < 2:
        batches = (await member.fetch(max_records=10, max_wait=1.0)).records.values()
        found += [record.offset for batch in batches for record in batch]
    await member.commit({TopicPartition(topic, 0): 2})
    await member.close()
    assert found == [0, 1]


async def start_reader(settings: KafkaSettings) -> None:
    reader = ConfluentReader(settings)
    try:
        await reader.start()
    finally:
        await reader.close()


async def start_writer(settings: KafkaSettings) -> None:
    writer = AiokafkaWriter(settings)
    await writer.start()
    await writer.abandon()


async def start_member(settings: KafkaSettings) -> None:
    reader = AiokafkaGroupReader(settings, "topic", GroupMembership("group"))
    await reader.start(Listening())


async def ask_admin(settings: KafkaSettings) -> None:
    ConfluentAdmin(settings).describe(["topic"])


async def wait_for_admin(settings: KafkaSettings) -> None:
    ConfluentAdmin(settings).wait_until_ready(20.0)


async def offer(settings: KafkaSettings) -> None:
    ConfluentWriter(settings).offer(numbered("topic", 1)[0])


CLIENTS: dict[str, Callable[[KafkaSettings], Awaitable[None]]] = {
    "reader": start_reader,
    "writer": start_writer,
    "group reader": start_member,
    "admin": ask_admin,
    "admin that waits": wait_for_admin,
    "synchronous writer": offer,
}


def strange_authority(kafka: SecureKafka) -> KafkaSettings:
    folder = kafka.folder / "strangers"
    folder.mkdir(exist_ok=True)
    return kafka.settings(Listener.TLS, ca_file=make_authority(folder).certificate)


def strange_client(kafka: SecureKafka) -> KafkaSettings:
    folder = kafka.folder / "strange_client"
    folder.mkdir(exist_ok=True)
    stranger = make_authority(folder).issue("stranger")
    files = {"certificate_file": stranger.certificate, "key_file": stranger.key}
    return kafka.settings(Listener.MUTUAL, **files)


def at_another_port(kafka: SecureKafka) -> KafkaSettings:
    return kafka.settings(Listener.SASL).model_copy(update={"bootstrap": kafka.at(Listener.TLS)})


OBSTACLES: dict[str, tuple[MakeSettings, type[KafkaError], str]] = {
    "wrong password, PLAIN": (
        lambda kafka: kafka.settings(Listener.SASL, mechanism="PLAIN", password=WRONG),
        CredentialsRefusedError,
        "USERNAME and PASSWORD",
    ),
    "wrong password, SCRAM": (
        lambda kafka: kafka.settings(Listener.SASL, password=WRONG),
        CredentialsRefusedError,
        "USERNAME and PASSWORD",
    ),
    "unknown user": (
        lambda kafka: kafka.settings(Listener.CLEAR, username="nobody"),
        CredentialsRefusedError,
        "USERNAME and PASSWORD",
    ),
    "a listener without SASL": (at_another_port, CredentialsRefusedError, "MECHANISM"),
    "another authority": (strange_authority, TlsFailedError, "KAFKA__SECURITY__CA_FILE"),
    "another host name": (
        lambda kafka: kafka.settings(Listener.ELSEWHERE),
        TlsFailedError,
        "another host name",
    ),
    "expired": (lambda kafka: kafka.settings(Listener.EXPIRED), TlsFailedError, "expired"),
    "no certificate of ours": (
        lambda kafka: kafka.settings(Listener.MUTUAL),
        TlsFailedError,
        "CERTIFICATE_FILE",
    ),
    "a certificate of strangers": (strange_client, TlsFailedError, "CERTIFICATE_FILE"),
}


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("obstacle", OBSTACLES)
async def test_what_keeps_a_client_out_is_named_at_once(
    secured_kafka: SecureKafka, obstacle: str, client: str
) -> None:
    make_settings, kind, cure = OBSTACLES[obstacle]
    settings = make_settings(secured_kafka)
    begin = time.monotonic()
    with pytest.raises(BrokerUnavailableError, match=cure) as caught:
        await CLIENTS[client](settings)
    assert type(caught.value) is kind
    assert settings.bootstrap in str(caught.value)
    assert CANARY not in str(caught.value)
    assert time.monotonic() - begin < AT_ONCE


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(
    "given",
    [{"password": WRONG}, {"token_url": "https://127.0.0.1:1/token"}],
    ids=["secret", "url"],
)
async def test_a_token_that_is_not_to_be_had_is_told_at_once(
    secured_kafka: SecureKafka, tokens: TokenEndpoint, given: dict[str, str], client: str
) -> None:
    begin = time.monotonic()
    with pytest.raises(CredentialsRefusedError, match="TOKEN_URL") as caught:
        await CLIENTS[client](with_token(secured_kafka, tokens, **given))
    assert CANARY not in str(caught.value)
    assert time.monotonic() - begin < AT_ONCE


@pytest.mark.parametrize("password", [PASSWORD, WRONG])
@pytest.mark.parametrize("client", ["reader", "writer", "synchronous writer"])
async def test_no_password_is_logged_whatever_is(
    secured_kafka: SecureKafka, caplog: pytest.LogCaptureFixture, password: str, client: str
) -> None:
    """The tests hear all logs; this one has the clients told to log all that they can."""
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="aiokafka")
    settings = secured_kafka.settings(Listener.SASL, mechanism="PLAIN", password=password)
    assert CANARY not in repr(settings)
    assert CANARY not in settings.model_dump_json()
    with contextlib.suppress(KafkaError):
        await CLIENTS[client](settings)
    assert HEARD.take_leaks() == []
