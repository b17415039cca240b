"""`tidewire dev` when something is wrong: one clear sentence, the cure, exit code 2, nothing left."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from harness.dev import dev_command, running_dev
from harness.processes import is_gone, processes_naming
from harness.stand_in import stand_ins
from harness.waiting import wait_until
from tidewire.dev.running import read_running

pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def _refused(data_dir: Path, *options: str, environment: Mapping[str, str] | None = None) -> str:
    """The one sentence on stderr of a run that cannot be."""
    done = subprocess.run(
        dev_command(data_dir, "--json", *options),
        capture_output=True,
        text=True,
        timeout=50,
        env={**os.environ, **(environment or {})},
    )
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert processes_naming(str(data_dir)) == []
    return done.stderr.splitlines()[-1]


def test_port_in_use_names_the_port_and_the_cure(tmp_path: Path, taken_port: int) -> None:
    sentence = _refused(tmp_path / "data", "--port", str(taken_port))
    assert sentence == (
        f"tidewire: port {taken_port} is in use by another program: "
        "choose another with --port (make: PORT=…), or end that program"
    )


def test_second_run_in_the_same_data_directory_is_refused(tmp_path: Path) -> None:
    parts = stand_ins(tmp_path / "parts")
    with running_dev(tmp_path / "data", "--port", "0", environment=parts) as run:
        done = subprocess.run(
            dev_command(tmp_path / "data", "--port", "0"),
            capture_output=True,
            text=True,
            timeout=50,
        )
        assert done.returncode == 2
        assert done.stderr == (
            f"tidewire: another tidewire dev (process {run.process.pid}) runs in "
            f"{tmp_path / 'data'}: end it, or start this one with another --data-dir\n"
        )
        assert run.process.poll() is None


def test_file_in_place_of_the_data_directory(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("not a folder")
    sentence = _refused(tmp_path / "data", "--port", "0")
    assert "data cannot be used" in sentence
    assert "--data-dir" in sentence


def test_broken_data_of_the_embedded_broker(tmp_path: Path) -> None:
    broken = tmp_path / "data" / "embedded" / "data"
    broken.mkdir(parents=True)
    (broken / "kafka.json").write_text('{"not what it')
    sentence = _refused(tmp_path / "data", "--port", "0")
    assert sentence.startswith("tidewire: the embedded broker failed (exit code 1): error: kafka")
    assert f"if its data is broken, remove {broken.parent} to start afresh" in sentence


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--nodes", "0"), "--nodes 0"),
        (("--broker", "rabbit"), "--broker 'rabbit'"),
        (("--redis", "http://x"), "--redis 'http://x'"),
        (("--speed", "-1"), "--speed -1"),
        (("--redis", "redis://127.0.0.1:1"), "nothing answers at redis://127.0.0.1:1"),
        (("--streams", "/nowhere/streams.yaml"), "/nowhere/streams.yaml: no such file"),
    ],
)
def test_unusable_option_is_named(tmp_path: Path, options: tuple[str, ...], said: str) -> None:
    assert said in _refused(tmp_path / "data", "--port", "0", *options)


def test_missing_program_is_named_with_the_cure(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    nothing = {"PATH": str(tmp_path / "bin")}
    sentence = _refused(tmp_path / "data", "--port", "0", "--broker", "kafka", environment=nothing)
    assert sentence == (
        "tidewire: `redis-server` is not on this machine: "
        "install Redis, or name one that runs (--redis redis://HOST:PORT)"
    )


def test_embedded_broker_without_a_wheel_points_to_apache_kafka(tmp_path: Path) -> None:
    (tmp_path / "parts" / "noida_db").mkdir(parents=True)
    (tmp_path / "parts" / "noida_db" / "__init__.py").touch()  # the package without its program
    hidden = {"PYTHONPATH": str(tmp_path / "parts")}
    sentence = _refused(tmp_path / "data", "--port", "0", environment=hidden)
    assert sentence == (
        "tidewire: the embedded broker has no program for this platform: "
        "use real Apache Kafka (make: BROKER=kafka, command line: --broker kafka)"
    )


def test_service_that_refuses_to_start_is_named_with_its_own_sentence(tmp_path: Path) -> None:
    parts = stand_ins(tmp_path / "parts", publisher="refuses")
    sentence = _refused(tmp_path / "data", "--port", "0", environment=parts)
    assert "publisher" in sentence
    assert "the setting COLOUR is wrong: choose red" in sentence


@pytest.mark.parametrize("part", ["publisher", "flights"])
def test_service_that_dies_ends_the_run(tmp_path: Path, part: str) -> None:
    parts = stand_ins(tmp_path / "parts", **{part: "dies"})
    with running_dev(tmp_path / "data", "--port", "0", environment=parts) as run:
        (tmp_path / "parts" / "alive").unlink()
        assert run.process.wait(20) == 2
        assert run.processes() == []
        last = run.said().splitlines()[-1]
        assert last.startswith(
            f"tidewire: {part} ended by itself (exit code 1): the disk caught fire"
        )


def test_broker_that_dies_ends_the_run(tmp_path: Path) -> None:
    parts = stand_ins(tmp_path / "parts")
    with running_dev(tmp_path / "data", "--port", "0", environment=parts) as run:
        (broker,) = [pid for pid in run.processes() if b"noida-db" in _command_of(pid)]
        os.kill(broker, signal.SIGKILL)
        assert run.process.wait(20) == 2
        assert "the embedded broker ended by itself (killed by SIGKILL)" in run.said()


def _command_of(pid: int) -> bytes:
    return Path(f"/proc/{pid}/cmdline").read_bytes()


def test_killed_gateway_starts_again_on_its_port(tmp_path: Path) -> None:
    parts = stand_ins(tmp_path / "parts")
    with running_dev(tmp_path / "data", "--port", "0", environment=parts) as run:
        before = run.ready["nodes"][0]
        os.kill(before["pid"], signal.SIGKILL)

        def is_back() -> bool:
            running = read_running(tmp_path / "data")
            return running is not None and running.nodes[0].pid != before["pid"]

        wait_until(is_back, what="another gateway process")
        running = read_running(tmp_path / "data")
        assert running is not None
        after = running.nodes[0]
        assert (after.ws, after.http, after.internal) == (
            before["ws"],
            before["http"],
            before["internal"],
        )
        assert "gateway-1 ended by itself (killed by SIGKILL); it starts again" in run.said()
        assert run.end() == 0


def test_deaf_child_is_killed(tmp_path: Path) -> None:
    parts = stand_ins(tmp_path / "parts", gateway="deaf")
    with running_dev(tmp_path / "data", "--port", "0", environment=parts) as run:
        assert run.end() == 0
        assert is_gone(run.ready["nodes"][0]["pid"])


def test_stop_while_starting_ends_in_order(tmp_path: Path) -> None:
    parts = stand_ins(tmp_path / "parts")
    hanging = tmp_path / "parts" / "tidewire_publisher" / "__main__.py"
    hanging.write_text("import time\ntime.sleep(600)\n")
    process = subprocess.Popen(
        dev_command(tmp_path / "data", "--port", "0", "--json"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **parts},
    )
    with process:
        wait_until(lambda: len(processes_naming(str(tmp_path / "data"))) > 3, within=30)
        process.terminate()
        output, errors = process.communicate(timeout=20)
    assert (process.returncode, output) == (0, "")
    assert errors.splitlines()[-1] == "tidewire dev: stopped, every part has ended"
    assert processes_naming(str(tmp_path / "data")) == []


def test_missing_extras_are_one_sentence(tmp_path: Path) -> None:
    hide = "import sys; sys.modules['typer'] = None; "
    script = hide + "import importlib.util as u; find = u.find_spec; "
    script += "u.find_spec = lambda name, *rest: None if name == 'typer' else find(name, *rest); "
    script += "from tidewire.cli.__main__ import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=30
    )
    assert done.returncode == 2
    assert done.stderr == "tidewire: the command line needs typer: pip install 'tidewire[cli]'\n"
