"""The wheels in an environment that has nothing else: what publishes needs no web server, and `tidewire dev` serves."""

import asyncio
import json
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect

from harness.waiting import wait_until
from integration.packages.building import Built, Environment, environment, run

pytestmark = pytest.mark.timeout(200)

STREAMS = "streams: {news: {topic: news, partitions: 1, modes: [every], public: true}}\n"
READY_TIMEOUT = 60.0
END_TIMEOUT = 20.0
PATIENCE = 20.0


@pytest.fixture(scope="module")
def base(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    made = Environment(tmp_path_factory.mktemp("stranger") / "venv")
    made.install(built.one("tidewire-*.whl"))
    return made


@pytest.fixture(scope="module")
def serving(base: Environment, built: Built) -> Environment:
    """The same one, with the extras. Asked for last, since the other tests want to see it without."""
    wheels = built.one("tidewire-*.whl"), built.one("tidewire_client-*.whl")
    base.install(*wheels, extras=["server", "embedded"])
    return base


def test_base_install_publishes_and_has_no_web_server(base: Environment, tmp_path: Path) -> None:
    said = base.python(
        "import json, sys\n"
        "from importlib.util import find_spec\n"
        "import tidewire, tidewire.publishing as publishing\n"
        "print(json.dumps({'file': tidewire.__file__, 'can': publishing.__all__,\n"
        "  'has': [n for n in ('fastapi', 'starlette', 'uvicorn', 'redis') if find_spec(n)]}))",
        folder=tmp_path,
    )
    found = json.loads(said)
    assert Path(found["file"]).is_relative_to(base.folder)
    assert {"Event", "Publisher"} <= set(found["can"])
    assert found["has"] == []


@contextmanager
def running_dev(
    there: Environment, folder: Path
) -> Iterator[tuple[Any, "subprocess.Popen[bytes]"]]:
    """What its ready line says, and its process."""
    (folder / "streams.yaml").write_text(STREAMS)
    output, errors = folder / "out", folder / "err"
    options = ["--json", "--port", "0", "--example", "none"]
    options += ["--streams", "streams.yaml", "--data-dir", "data"]
    with output.open("wb") as stdout, errors.open("wb") as stderr:
        process = subprocess.Popen(
            [there.bin / "tidewire", "dev", *options],
            cwd=folder,
            env=environment(),
            stdout=stdout,
            stderr=stderr,
        )

    def line() -> str | None:
        assert process.poll() is None, errors.read_text()
        text = output.read_text()
        return text.partition("\n")[0] if "\n" in text else None

    try:
        yield json.loads(wait_until(line, within=READY_TIMEOUT, what="the ready line")), process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(END_TIMEOUT)


async def first_event(url: str, publish: list[str | Path], folder: Path) -> Any:
    """What arrives on channel `news` once something is published there."""
    frames = [
        {"v": 1, "type": "hello", "id": 1, "payload": {"client": "stranger/1"}},
        {"v": 1, "type": "subscribe", "id": 2, "payload": {"channel": "news", "mode": "every"}},
    ]
    async with asyncio.timeout(PATIENCE), connect(url) as socket:
        await socket.send(json.dumps(frames))
        while True:
            message = json.loads(await socket.recv())
            assert message["type"] != "error", message
            if message["type"] == "subscribed":
                await asyncio.to_thread(run, publish, folder)
            if message["type"] == "updates" and message["payload"]["events"]:
                return message["payload"]["events"][0]


def test_dev_serves_from_the_wheels_alone(serving: Environment, tmp_path: Path) -> None:
    with running_dev(serving, tmp_path) as (ready, process):
        assert ready["event"] == "ready"
        command: list[str | Path] = [serving.bin / "tidewire", "publish", "news"]
        command += [
            "--key",
            "k",
            "--data",
            '{"n": 7}',
            "--kafka",
            ready["kafka"],
            "--streams",
            "streams.yaml",
        ]
        event = asyncio.run(first_event(ready["nodes"][0]["ws"], command, tmp_path))
        assert (event["key"], event["data"]) == ("k", {"n": 7})
        process.send_signal(signal.SIGTERM)
        assert process.wait(END_TIMEOUT) == 0
