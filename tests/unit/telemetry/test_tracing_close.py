"""The end of a process hands spans over, and waits for no collector."""

import threading

from opentelemetry.sdk.trace import TracerProvider

from tidewire.telemetry.tracing import Tracing


def tracing(close: object) -> Tracing:
    assert callable(close)
    return Tracing(TracerProvider(shutdown_on_exit=False), close)


def test_what_is_closed_in_time_is_waited_for() -> None:
    closed: list[bool] = []
    tracing(lambda: closed.append(True)).close_within(10.0)
    assert closed == [True]


def test_what_never_closes_is_left_behind() -> None:
    never = threading.Event()
    tracing(never.wait).close_within(0.01)
    [left] = [thread for thread in threading.enumerate() if thread.name == "close-traces"]
    assert left.daemon
    never.set()
    left.join()
