"""Of every test: brokers that start when the first one asks for them, and ears for what must not be logged."""

from collections.abc import Callable, Generator, Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from harness.heard import HEARD
from harness.names import unique
from harness.secure_kafka import SecureKafka, secure_kafka
from harness.sharing import Sharing
from tidewire.dev.brokers import apache_kafka, embedded_broker

# How long an example takes says something of the machine, nothing of the code.
settings.register_profile("tidewire", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tidewire")

BROKER_FIXTURES = frozenset({"embedded_kafka", "real_kafka", "secured_kafka"})
APACHE_FIXTURES = frozenset({"real_kafka", "secured_kafka"})
BROKER_TEST_TIMEOUT = 120.0


def pytest_configure() -> None:
    HEARD.begin()


def pytest_unconfigure() -> None:
    HEARD.end()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    call: pytest.CallInfo[None],
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test fails at its end where anything logged meanwhile gives away a token or a payload."""
    report = yield
    if call.when != "teardown":
        return report
    for name, text in report.sections:
        if "stderr" in name:
            HEARD.hear_text(f"a process that shares stderr with the tests ({name})", text)
    leaks = "\n".join(map(str, HEARD.take_leaks()))
    if leaks and report.passed:
        report.outcome = "failed"
        report.longrepr = f"logs give away what they must not:\n{leaks}"
    elif leaks:
        report.sections.append(("Leaks in logs", leaks))
    return report


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Sharing:
    return Sharing(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test that may be the first to start a broker gets the time that a cold start takes."""
    for item in items:
        names = set(getattr(item, "fixturenames", ()))
        if names & BROKER_FIXTURES and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(BROKER_TEST_TIMEOUT))
        if names & APACHE_FIXTURES:
            item.add_marker(pytest.mark.kafka)


@pytest.fixture(scope="session")
def embedded_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """HOST:PORT of an embedded broker that the whole run shares; use `unique_name` for topics."""
    with embedded_broker(tmp_path_factory.mktemp("embedded")) as broker:
        yield broker.bootstrap


@pytest.fixture(scope="session")
def real_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """HOST:PORT of an Apache Kafka that the whole run shares; use `unique_name` for topics."""
    with apache_kafka(tmp_path_factory.mktemp("kafka")) as broker:
        yield broker.bootstrap


@pytest.fixture(scope="session")
def secured_kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureKafka]:
    """An Apache Kafka with TLS and passwords that the whole run shares; use `unique_name` for topics."""
    with secure_kafka(tmp_path_factory.mktemp("secure_kafka")) as broker:
        yield broker


@pytest.fixture
def unique_name() -> Callable[[str], str]:
    """Make names (topics, groups) that no other test of the run uses."""

    return unique
