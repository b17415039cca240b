"""A broker that is away fills no log."""

import logging

from tidewire.kafka.log_noise import RepeatFilter, calm_client_logs


def record(message: str, *arguments: object) -> logging.LogRecord:
    return logging.LogRecord("aiokafka.client", logging.ERROR, "f", 1, message, arguments, None)


def test_a_message_of_one_kind_passes_once_in_an_interval() -> None:
    now = 0.0
    repeats = RepeatFilter(now=lambda: now)
    assert repeats.filter(record("Unable connect to node with id %s: %s", 1, "refused"))
    assert not repeats.filter(record("Unable connect to node with id %s: %s", 2, "reset"))
    assert repeats.filter(record("Something else: %s", 1))

    now = 31.0
    assert repeats.filter(record("Unable connect to node with id %s: %s", 1, "refused"))


def test_messages_that_differ_in_numbers_only_are_of_one_kind() -> None:
    repeats = RepeatFilter(now=lambda: 0.0)
    assert repeats.filter(record("FAIL [thrd:1]: Connect failed (after 2ms)"))
    assert not repeats.filter(record("FAIL [thrd:7]: Connect failed (after 311ms)"))


def test_tracebacks_are_left_out() -> None:
    noisy = record("Unexpected exception")
    noisy.exc_info = (ValueError, ValueError("x"), None)
    assert RepeatFilter(now=lambda: 0.0).filter(noisy)
    assert noisy.exc_info is None


def test_what_clients_tell_at_debug_never_passes_since_passwords_stand_in_it() -> None:
    told = record("Request to %s:%d %d: %s", "h", 9092, 3, "SaslAuthenticateRequest_v0(…)")
    told.levelno = logging.DEBUG
    assert not RepeatFilter(now=lambda: 0.0).filter(told)


def test_calming_twice_filters_once() -> None:
    calm_client_logs()
    calm_client_logs()
    for name in ("aiokafka.client", "aiokafka.producer.sender", "tidewire.kafka.librdkafka"):
        installed = logging.getLogger(name).filters
        assert sum(isinstance(one, RepeatFilter) for one in installed) == 1
