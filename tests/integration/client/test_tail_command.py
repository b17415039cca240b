"""`tidewire tail` as a person or a script runs it."""

import asyncio
import json
import os
import shlex
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from harness.waiting import eventually
from integration.client.scripted_gateway import Json, Peer, ScriptedGateway
from tidewire.dev.data_dir import DataDir
from tidewire.dev.running import Node, Running, write_running


@asynccontextmanager
async def tail(*arguments: str) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tidewire.cli", "tail", *arguments, stdout=PIPE, stderr=PIPE
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def line(process: Process) -> Json:
    assert process.stdout is not None
    text = await asyncio.wait_for(process.stdout.readline(), 15)
    found = json.loads(text)
    assert isinstance(found, dict)
    return found


async def ended(process: Process) -> tuple[int | None, str, str]:
    out, err = await asyncio.wait_for(process.communicate(), 15)
    return process.returncode, out.decode(), err.decode()


async def test_json_is_one_line_an_event_and_the_position_goes_on_from_there(
    gateway: ScriptedGateway,
) -> None:
    gateway.records = [("a", {"x": 1.0, "big": 2**70}), ("b", "Zürich")]
    async with tail("flights", "--json", "--url", gateway.url) as process:
        assert await line(process) == gateway.event(0)
        assert await line(process) == gateway.event(1)
        await gateway.publish("a", None)
        assert await line(process) == gateway.event(2)
        process.send_signal(signal.SIGINT)
        code, out, err = await ended(process)
    assert (code, out) == (0, "")
    option, position = shlex.split(err.splitlines()[-1])
    assert option == "--since"
    await gateway.publish("c", 4)
    arguments = ("flights", "--json", "--url", gateway.url, "--count", "1", "--since", position)
    async with tail(*arguments) as process:
        assert await line(process) == gateway.event(3)
        assert (await ended(process))[0] == 0


async def test_count_ends_within_a_batch_without_claiming_the_rest_of_it(
    gateway: ScriptedGateway,
) -> None:
    gateway.records = [("a", 1), ("b", 2), ("c", 3)]
    async with tail("flights", "--json", "--url", gateway.url, "--count", "2") as process:
        code, out, err = await ended(process)
    assert code == 0
    assert [json.loads(text) for text in out.splitlines()] == [gateway.event(0), gateway.event(1)]
    assert "--since" not in err


async def test_people_see_key_data_and_what_happened(gateway: ScriptedGateway) -> None:
    gateway.records = [("JFK/B6-704", {"dep_delay": 4})]
    arguments = ("notices", "--mode", "every", "--interval", "250", "--url", gateway.url)
    async with tail(*arguments, "--count", "2") as process:
        await eventually(lambda: gateway.peers and gateway.peers[0].subscriptions)
        gap = {"sub": 1, "gap": {"0": [1, 9]}, "reason": "too_far"}
        await gateway.peers[0].send("gap", gap)
        await gateway.peers[0].send("status", {"sub": 1, "state": "stale", "age_ms": 9})
        await gateway.publish("x", 1)
        gateway.records += [("y", None)] * 9
        await gateway.push(gateway.peers[0], 1, [9])
        await gateway.push(gateway.peers[0], 1, [10])
        code, out, err = await ended(process)
    assert code == 0
    assert "y" in out
    assert "removed" in out
    assert "gap (too_far): events are missing, partition 0: 1 to 9" in err
    assert "feed is stale" in err
    asked = gateway.peers[0].of_type("subscribe")[0]
    assert asked == {"channel": "notices", "mode": "every", "interval_ms": 250}


async def test_people_see_why_a_resume_brought_a_whole_table(gateway: ScriptedGateway) -> None:
    gateway.records = [("a", 1)]

    def recreated(peer: Peer, request: Json) -> Json:
        asyncio.get_running_loop().create_task(gateway._snapshot(peer, 1))
        answer = {"sub": 1, "channel": "flights", "mode": "latest", "interval_ms": 0}
        told = {"recovered": "snapshot", "reason": "recreated", "position": gateway.position}
        return {"type": "subscribed", "payload": {**answer, **told}}

    gateway.intercept = recreated
    since = '{"epoch":"before","offsets":{"0":7}}'
    arguments = ("flights", "--since", since, "--url", gateway.url, "--count", "1")
    async with tail(*arguments) as process:
        code, _, err = await ended(process)
    assert code == 0
    assert "resumed with a new table (recreated)" in err


async def test_address_comes_from_the_running_dev(
    gateway: ScriptedGateway, tmp_path: Path, running_dev: Callable[[Path, str], None]
) -> None:
    gateway.records = [("a", 1)]
    running_dev(tmp_path, gateway.url)
    async with tail("flights", "--json", "--data-dir", str(tmp_path), "--count", "1") as process:
        assert await line(process) == gateway.event(0)
        assert (await ended(process))[0] == 0


@pytest.fixture
def running_dev() -> Callable[[Path, str], None]:
    """Write into a data directory what a `tidewire dev` that runs leaves there."""

    def write(root: Path, ws: str) -> None:
        data_dir = DataDir(root)
        data_dir.lock.write_text(str(os.getpid()))
        node = Node(ws, "http://127.0.0.1:1", "http://127.0.0.1:2", 1)
        running = Running((node,), None, "127.0.0.1:3", None, data_dir.streams)
        write_running(data_dir, running)

    return write


async def failing(*arguments: str) -> str:
    async with tail(*arguments) as process:
        code, out, err = await ended(process)
    assert (code, out) == (2, "")
    assert "Traceback" not in err
    return err


async def test_refusals_name_the_cure(gateway: ScriptedGateway) -> None:
    def refuse(peer: Peer, request: Json) -> Json | None:
        return {"type": "error", "payload": {"code": "forbidden", "message": "not yours"}}

    gateway.intercept = refuse
    err = await failing("flights", "--url", gateway.url)
    assert "not yours" in err
    assert "tidewire token" in err


async def test_bad_token_is_said(gateway: ScriptedGateway) -> None:
    gateway.closings = [(3500, None)]
    err = await failing("flights", "--url", gateway.url, "--token", "nonsense")
    assert "--token" in err


@pytest.mark.parametrize(
    ("arguments", "cure"),
    [
        (("flights", "--since", "12"), "--since"),
        (("flights", "--url", "http://127.0.0.1:1/"), "ws://HOST:PORT"),
    ],
)
async def test_bad_arguments_are_one_sentence(arguments: tuple[str, ...], cure: str) -> None:
    assert cure in await failing(*arguments)


async def test_reader_that_goes_away_ends_it_quietly(gateway: ScriptedGateway) -> None:
    gateway.records = [(f"k{i}", "x" * 1000) for i in range(2000)]
    command = (
        f"{shlex.quote(sys.executable)} -m tidewire.cli tail flights --json --url {gateway.url}"
    )
    process = await asyncio.create_subprocess_shell(
        f"{command} | head -n 1", stdout=PIPE, stderr=PIPE
    )
    out, err = await asyncio.wait_for(process.communicate(), 20)
    assert json.loads(out) == gateway.event(0)
    assert b"Traceback" not in err
