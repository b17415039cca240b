import socket

import pytest

from harness.ports import LOOPBACK
from tidewire.config.errors import ConfigError
from tidewire.config.listening import bind, is_loopback, reserved, url_of


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


def test_processes_share_a_port_that_is_reserved() -> None:
    with (
        reserved(LOOPBACK, 0, "PORT") as port,
        bind(LOOPBACK, port, "PORT", is_shared=True) as one,
        bind(LOOPBACK, port, "PORT", is_shared=True) as other,
    ):
        assert one.getsockname() == other.getsockname() == (LOOPBACK, port)
        with pytest.raises(ConfigError, match=f"port {port} on {LOOPBACK} is in use"):
            bind(LOOPBACK, port, "PORT")


@pytest.mark.parametrize("is_shared", [False, True])
def test_port_where_somebody_listens_cannot_be_reserved(is_shared: bool) -> None:
    with bind(LOOPBACK, 0, "PORT", is_shared=is_shared) as taken:
        port = taken.getsockname()[1]
        with (
            pytest.raises(ConfigError, match=f"port {port} on {LOOPBACK} is in use: .* set PORT"),
            reserved(LOOPBACK, port, "PORT"),
        ):
            pass


def test_port_is_reserved_once_even_before_anybody_listens() -> None:
    with reserved(LOOPBACK, 0, "PORT") as port:
        with (
            pytest.raises(ConfigError, match=f"port {port} on {LOOPBACK} is in use"),
            reserved(LOOPBACK, port, "PORT"),
        ):
            pass
        bind(LOOPBACK, port, "PORT", is_shared=True).close()
    with reserved(LOOPBACK, port, "PORT") as again:
        assert again == port


def test_who_came_first_keeps_a_reserved_port_for_itself() -> None:
    with (
        reserved(LOOPBACK, 0, "PORT") as port,
        bind(LOOPBACK, port, "PORT"),
        pytest.raises(ConfigError, match=f"port {port} on {LOOPBACK} is in use"),
    ):
        bind(LOOPBACK, port, "PORT", is_shared=True)


def test_connections_of_one_who_has_left_do_not_keep_a_port() -> None:
    with bind(LOOPBACK, 0, "PORT") as before:
        port = before.getsockname()[1]
        with socket.create_connection((LOOPBACK, port), timeout=5) as client:
            before.accept()[0].close()  # it closes first, and so its side waits
            assert client.recv(1) == b""
    with (
        reserved(LOOPBACK, port, "PORT") as again,
        bind(LOOPBACK, again, "PORT", is_shared=True),
    ):
        pass
