"""`tidewire console`: where it is, or what is missing."""

import socket
import threading
import time
import webbrowser
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from harness.answering import answering
from harness.ports import LOOPBACK, free_port
from tidewire.cli.app import make_app
from tidewire.config.errors import ConfigError
from tidewire.dev.data_dir import claimed
from tidewire.dev.running import Node, Running, write_running
from tidewire.identity.internal_keys import InternalKeys
from tidewire.identity.internal_passes import LOGIN, LOGIN_TTL, read_pass

PAGE: dict[tuple[str, str], tuple[int, Any]] = {("GET", "/console/"): (200, {})}


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The pages that a browser was asked to open."""
    pages: list[str] = []

    def open_page(page: str) -> bool:
        pages.append(page)
        return True

    monkeypatch.setattr(webbrowser, "open", open_page)
    return pages


def console(*options: str) -> Result:
    return CliRunner().invoke(make_app(), ["console", *options])


def told(result: Result) -> str:
    """The one sentence of a command that fails."""
    assert isinstance(result.exception, ConfigError)
    assert result.stdout == ""
    return str(result.exception)


def test_console_of_the_running_dev_is_opened_and_told(tmp_path: Path, opened: list[str]) -> None:
    with answering(PAGE) as server, claimed(tmp_path / "data") as data_dir:
        nodes = [Node("ws://n", "http://n", url, 1) for url in (server.url, "http://other")]
        running = Running(tuple(nodes), None, "127.0.0.1:9", None, data_dir.streams)
        write_running(data_dir, running)
        result = console("--data-dir", str(tmp_path / "data"))
    assert (result.exit_code, result.stdout) == (0, f"{server.url}/console/\n")
    assert opened == [f"{server.url}/console/"]


def test_no_browser_is_opened_where_none_is_wanted(opened: list[str]) -> None:
    with answering(PAGE) as server:
        result = console("--url", f"{server.url}/", "--no-browser")
    assert (result.exit_code, result.stdout) == (0, f"{server.url}/console/\n")
    assert opened == []


def test_without_a_run_it_says_what_to_do(tmp_path: Path, opened: list[str]) -> None:
    said = told(console("--data-dir", str(tmp_path)))
    assert "no `tidewire dev` runs" in said
    assert "--url" in said
    assert opened == []


def test_node_without_a_console_is_told_with_the_setting(opened: list[str]) -> None:
    with answering({("GET", "/console/"): (404, {})}) as server:
        said = told(console("--url", server.url))
    assert "TIDEWIRE_GATEWAY__CONSOLE=true" in said
    with answering({("GET", "/console/"): (500, {})}) as server:
        assert "500" in told(console("--url", server.url))
    assert opened == []


def test_port_that_speaks_no_http_is_told(opened: list[str]) -> None:
    with socket.create_server((LOOPBACK, 0)) as listener:

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"-ERR unknown command\r\n")

        answering_once = threading.Thread(target=answer)
        answering_once.start()
        said = told(console("--url", f"http://{LOOPBACK}:{listener.getsockname()[1]}"))
        answering_once.join()
    assert "no HTTP" in said
    assert opened == []


def test_key_goes_to_no_other_place_than_the_one_that_was_named(
    tmp_path: Path, opened: list[str]
) -> None:
    key_file = tmp_path / "internal.key"
    key_file.write_text("a" * 64)
    with answering(PAGE) as elsewhere, socket.create_server((LOOPBACK, 0)) as listener:

        def send_away() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(4096)
                head = f"HTTP/1.1 302 Found\r\nLocation: {elsewhere.url}/console/\r\n\r\n"
                connection.sendall(head.encode())

        sending_away = threading.Thread(target=send_away)
        sending_away.start()
        url = f"http://{LOOPBACK}:{listener.getsockname()[1]}"
        said = told(console("--url", url, "--internal-key-file", str(key_file)))
        sending_away.join()
    assert elsewhere.asked == []
    assert "302" in said
    assert opened == []


def test_name_that_the_port_does_not_go_by_is_told_with_the_setting(opened: list[str]) -> None:
    with answering({("GET", "/console/"): (403, {})}) as server:
        assert "TIDEWIRE_GATEWAY__CONSOLE_HOSTS" in told(console("--url", server.url))
    assert opened == []


def test_address_that_cannot_be_one_or_does_not_answer_is_told(opened: list[str]) -> None:
    assert "--url" in told(console("--url", "here"))
    away = f"http://{LOOPBACK}:{free_port()}"
    assert "nothing answers" in told(console("--url", away))
    assert "--url" in told(console("--url", "http://a b:1"))
    assert opened == []


def test_node_with_a_key_is_opened_with_a_link_that_logs_in_for_a_minute(
    tmp_path: Path, opened: list[str]
) -> None:
    key_file = tmp_path / "internal.key"
    key_file.write_text("a" * 64)
    with answering(PAGE) as server:
        begun_at = time.time()
        result = console("--url", server.url, "--internal-key-file", str(key_file))
    assert server.asked[0].headers["authorization"] == f"Bearer {'a' * 64}"
    assert (result.exit_code, result.stdout) == (0, f"{server.url}/console/\n")
    (link,) = opened
    page, _, shown = link.partition("#pass=")
    assert page == f"{server.url}/console/login"
    assert "a" * 64 not in link
    login = read_pass(InternalKeys(["a" * 64]), LOGIN, shown, begun_at)
    assert login is not None
    assert login.expires_at <= time.time() + LOGIN_TTL


def test_without_the_key_the_page_is_opened_that_asks_for_it(opened: list[str]) -> None:
    with answering({("GET", "/console/"): (401, {})}) as server:
        result = console("--url", server.url)
    assert "authorization" not in server.asked[0].headers
    assert (result.exit_code, opened) == (0, [f"{server.url}/console/"])


def test_key_that_the_node_does_not_take_is_told_with_the_option(
    tmp_path: Path, opened: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    key_file = tmp_path / "internal.key"
    key_file.write_text("a" * 64)
    monkeypatch.setenv("TIDEWIRE_INTERNAL_KEY_FILE", str(key_file))
    with answering({("GET", "/console/"): (401, {})}) as server:
        said = told(console("--url", server.url))
    assert "--internal-key-file" in said
    assert "a" * 64 not in said
    assert opened == []
