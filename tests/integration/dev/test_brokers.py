"""Real brokers: they answer when the context manager says so, and are gone after it."""

import os
from pathlib import Path

import pytest

from harness.waiting import wait_until
from tidewire.dev.brokers import apache_kafka, embedded_broker, redis_server
from tidewire.dev.ports import free_port
from tidewire.dev.probe import broker_answers, port_answers


def _host_port(bootstrap: str) -> tuple[str, int]:
    host, _, port = bootstrap.rpartition(":")
    return host, int(port)


def _is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_embedded_broker_answers_inside_and_is_gone_after(tmp_path: Path) -> None:
    port = free_port()
    with embedded_broker(tmp_path, kafka_port=port, redis=True) as broker:
        assert broker.bootstrap == f"127.0.0.1:{port}"
        assert broker_answers("127.0.0.1", port)
        assert broker.redis_url is not None
        host, redis_port = _host_port(broker.redis_url.removeprefix("redis://"))
        assert port_answers(host, redis_port)
    assert wait_until(lambda: _is_gone(broker.pid))
    assert not broker_answers("127.0.0.1", port)


@pytest.mark.timeout(120)
def test_apache_kafka_starts_again_on_what_it_wrote(tmp_path: Path) -> None:
    with apache_kafka(tmp_path) as broker:
        assert broker_answers(*_host_port(broker.bootstrap))
        identity = (tmp_path / "kafka" / "log" / "meta.properties").read_text()
    assert wait_until(lambda: _is_gone(broker.pid))
    with apache_kafka(tmp_path) as broker:
        assert broker_answers(*_host_port(broker.bootstrap))
        assert (tmp_path / "kafka" / "log" / "meta.properties").read_text() == identity


def test_redis_server_answers_inside_and_is_gone_after(tmp_path: Path) -> None:
    with redis_server(tmp_path) as redis:
        host, port = _host_port(redis.url.removeprefix("redis://"))
        assert port_answers(host, port)
    assert wait_until(lambda: _is_gone(redis.child.pid))


def test_fixtures_hand_out_brokers_that_answer(embedded_kafka: str, real_kafka: str) -> None:
    assert broker_answers(*_host_port(embedded_kafka))
    assert broker_answers(*_host_port(real_kafka))
