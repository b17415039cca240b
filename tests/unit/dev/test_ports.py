"""Ports that are given out stay whole until their taker listens."""

import random
import socket

import pytest

from tidewire.dev import ports
from tidewire.dev.errors import PortInUseError
from tidewire.dev.ports import LOOPBACK, free_port


def test_no_port_is_given_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(random, "randrange", lambda _: 0)
    first, second = free_port(), free_port()
    assert first < second


def test_port_that_is_taken_is_not_given(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(ports, "_OURS", range(port, port + 1))
        with pytest.raises(PortInUseError, match=f"between {port} and {port} is free"):
            free_port()
