"""`tidewire console`: where it is, or what is missing."""

import socket
import threading
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
