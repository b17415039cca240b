import socket

import pytest

from harness.ports import LOOPBACK
from tidewire.config.errors import ConfigError
from tidewire.config.listening import bind, is_loopback, url_of


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.3.2.1", True),
        ("::1", True),
        ("localhost", True),
        ("0.0.0.0", False),
        ("::", False),
        ("192.168.0.1", False),
        ("example.org", False),
    ],
)
def test_loopback_is_told_from_the_rest(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


@pytest.mark.parametrize(("host", "shown"), [(LOOPBACK, LOOPBACK), ("::1", "[::1]")])
def test_a_free_port_is_taken_and_told(host: str, shown: str) -> None:
    with bind(host, 0, "PORT") as sock:
        port = sock.getsockname()[1]
        assert url_of(sock) == f"http://{shown}:{port}"
        assert url_of(sock, "ws") == f"ws://{shown}:{port}"
        socket.create_connection((host, port), timeout=5).close()


def test_a_port_in_use_names_the_setting() -> None:
    with bind(LOOPBACK, 0, "PORT") as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"port {port} on {LOOPBACK} is in use: .* set PORT"):
            bind(LOOPBACK, port, "PORT")


def test_an_address_of_another_machine_is_one_sentence() -> None:
    with pytest.raises(
        ConfigError, match=r"cannot listen on 192\.0\.2\.1:0: .*set PORT or the host"
    ):
        bind("192.0.2.1", 0, "PORT")


def test_a_name_that_is_none_is_one_sentence() -> None:
    with pytest.raises(ConfigError, match="not a name: cannot listen there"):
        bind("not a name", 0, "PORT")
