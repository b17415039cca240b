"""Options become the program's command line."""

from pathlib import Path

import pytest

from tidewire.bench.load_client import LoadOptions
from tidewire.bench.load_options import arguments

URL = "ws://127.0.0.1:1/"


def test_defaults_leave_out_what_was_not_asked_for(tmp_path: Path) -> None:
    line = arguments(LoadOptions(url=URL, connections=3), folder=tmp_path)
    assert f"--url={URL}" in line
    assert "--connections=3" in line
    named = {argument.split("=")[0] for argument in line}
    assert named.isdisjoint(
        {"--script", "--tokens", "--since", "--subprotocol", "--header", "--ready", "--churn"}
    )
    assert named.isdisjoint({"--slow", "--core"})
    assert not list(tmp_path.iterdir())


def test_lines_are_handed_over_in_files(tmp_path: Path) -> None:
    options = LoadOptions(
        url=URL, connections=1, script=["a", "b {n}"], tokens=["t"], since=["s", "ß"]
    )
    line = arguments(options, folder=tmp_path)
    assert f"--script={tmp_path / 'script'}" in line
    assert (tmp_path / "script").read_text() == "a\nb {n}\n"
    assert (tmp_path / "tokens").read_text() == "t\n"
    assert (tmp_path / "since").read_bytes() == b"s\n\xc3\x9f\n"


def test_line_of_a_script_cannot_be_broken(tmp_path: Path) -> None:
    options = LoadOptions(url=URL, connections=1, script=["a\nb"])
    with pytest.raises(AssertionError, match="broken"):
        arguments(options, folder=tmp_path)


def test_all_that_was_asked_for_is_said(tmp_path: Path) -> None:
    options = LoadOptions(
        url=URL,
        connections=5,
        headers={"Authorization": "Bearer {token}", "X-A": "b"},
        subprotocol="tidewire.v1",
        ready='"welcome"',
        churn=True,
        clock="unix-ms",
        slow_connections=2,
        slow_rate=100,
    )
    line = arguments(options, folder=tmp_path, core=0)
    assert line[-1] == "--churn"
    assert {
        "--header=Authorization: Bearer {token}",
        "--header=X-A: b",
        "--subprotocol=tidewire.v1",
        '--ready="welcome"',
        "--clock=unix-ms",
        "--slow=2:100",
        "--core=0",
    } <= set(line)
