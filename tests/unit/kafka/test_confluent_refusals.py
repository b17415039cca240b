"""When the refusal of one broker is that of all."""

from typing import Any

import confluent_kafka as ck
import pytest

from tidewire.kafka.confluent_refusals import Refusals
from tidewire.kafka.errors import BrokerUnavailableError, CredentialsRefusedError, TlsFailedError

TLS = (ck.KafkaError._SSL, "ssl://b:1: SSL handshake failed: certificate verify failed")
PASSWORD = (ck.KafkaError._AUTHENTICATION, "sasl_ssl://b:1: SASL authentication error")
NO_TOKEN = (PASSWORD[0], "Failed to acquire SASL OAUTHBEARER token: invalid_client")
DOWN = (ck.KafkaError._ALL_BROKERS_DOWN, "1/1 brokers are down")
LOST = (ck.KafkaError._TRANSPORT, "b:1: Connection refused")


def heard(*errors: tuple[int, str]) -> Refusals:
    refusals = Refusals("b:1,b:2")
    hear: Any = refusals.properties["error_cb"]
    for code, text in errors:
        hear(ck.KafkaError(code, text))
    return refusals


@pytest.mark.parametrize(
    ("errors", "kind"),
    [
        ((TLS, DOWN), TlsFailedError),
        ((PASSWORD, DOWN), CredentialsRefusedError),
        ((DOWN, LOST, PASSWORD), CredentialsRefusedError),
        ((NO_TOKEN,), CredentialsRefusedError),
    ],
)
def test_a_refusal_while_no_broker_answers_is_final(
    errors: tuple[tuple[int, str], ...], kind: type[BrokerUnavailableError]
) -> None:
    with pytest.raises(kind, match="Kafka at b:1,b:2"):
        heard(*errors).check()


@pytest.mark.parametrize("errors", [(), (TLS,), (DOWN,), (LOST, DOWN)])
def test_as_long_as_a_broker_may_answer_nothing_is_final(
    errors: tuple[tuple[int, str], ...],
) -> None:
    heard(*errors).check()


def test_what_was_refused_before_says_nothing_of_now() -> None:
    refusals = heard(TLS, DOWN)
    refusals.forget()
    refusals.check()


def test_without_a_token_nothing_is_asked_though_it_is_said_once() -> None:
    refusals = heard(NO_TOKEN)
    refusals.forget()
    with pytest.raises(CredentialsRefusedError, match="TOKEN_URL"):
        refusals.check()


def test_an_answer_ends_what_was_heard() -> None:
    refusals = heard(TLS, NO_TOKEN, DOWN)
    refusals.answered()
    refusals.check()


def test_a_question_that_got_no_answer_says_who_refused_it() -> None:
    refusals = heard(TLS)
    with pytest.raises(TlsFailedError, match="CA_FILE"), refusals.named("asking"):
        raise TimeoutError


def test_a_question_that_nobody_refused_got_no_answer() -> None:
    refusals = heard(LOST, DOWN)
    with (
        pytest.raises(BrokerUnavailableError, match="no answer in time") as caught,
        refusals.named("asking"),
    ):
        raise TimeoutError
    assert type(caught.value) is BrokerUnavailableError
