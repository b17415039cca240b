"""The service as a process, over a real Redis that comes and goes."""

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from harness.ports import LOOPBACK, free_port
from harness.redis import RedisProcess, redis_process, watched_redis
from harness.registry import registry_environment, registry_process
from harness.waiting import eventually, wait_until
from tidewire import __version__
from tidewire.errors import TidewireError
from tidewire.targeting.errors import LeaseLostError, RegistryUnavailableError
from tidewire.targeting.registry import Batch, Lease, NodeAnnouncement, NodeState, Session
from tidewire.targeting.registry_http import HttpRegistry

pytestmark = pytest.mark.timeout(60)

ANN = Batch([Session("ann", "c1", 1)])


@pytest.fixture
def store(tmp_path: Path) -> Iterator[RedisProcess]:
    with redis_process(tmp_path / "redis") as process:
        yield process


def node(name: str) -> NodeAnnouncement:
    return NodeAnnouncement(name, f"http://{LOOPBACK}:1")


async def registered(registry: HttpRegistry, name: str) -> Lease | None:
    with suppress(TidewireError):
        return await registry.register(node(name))
    return None


async def is_fenced(registry: HttpRegistry, name: str, epoch: str) -> bool:
    """Whether a renewal finds the lease lost, and not the registry or its store away."""
    try:
        await registry.renew(name, epoch, NodeState.READY, {})
    except LeaseLostError:
        return True
    except RegistryUnavailableError:
        return False
    return False


async def test_a_node_that_paused_too_long_is_fenced(store: RedisProcess, tmp_path: Path) -> None:
    with registry_process(tmp_path, store.url, LEASE="1", SLOTS="1") as running:
        registry = HttpRegistry(running.url)
        first = await registry.register(node("a"))
        assert first.lease_ms == 1000
        await registry.announce("a", first.epoch, ANN)
        [place] = (await registry.lookup(["ann"]))["ann"]
        assert (place.slot, place.epoch, place.connections) == (first.slot, first.epoch, ("c1",))
        assert await registry.renew("a", first.epoch, NodeState.READY, {}) == 1000

        second = await eventually(lambda: registered(registry, "b"), what="the slot of a")
        assert second.slot == first.slot
        assert second.epoch != first.epoch
        assert await registry.lookup(["ann"]) == {}
        assert await is_fenced(registry, "a", first.epoch)
        with pytest.raises(LeaseLostError):
            await registry.announce("a", first.epoch, ANN)
        await registry.announce("b", second.epoch, Batch([Session("bob", "c2", 1)]))
        assert set(await registry.lookup(["ann", "bob"])) == {"bob"}
        await registry.close()


async def test_an_emptied_store_is_filled_again_by_the_nodes(
    store: RedisProcess, tmp_path: Path
) -> None:
    with registry_process(tmp_path, store.url) as running:
        registry = HttpRegistry(running.url)
        lease = await registry.register(node("a"))
        sessions = Batch([Session(f"u{i}", f"c{i}", i) for i in range(50)])
        await registry.announce("a", lease.epoch, sessions)
        assert store.tell("FLUSHALL") == "OK"
        assert await registry.lookup(["u1"]) == {}
        assert await is_fenced(registry, "a", lease.epoch)
        again = await registry.register(node("a"), replaces=lease.epoch)
        assert again.epoch != lease.epoch
        await registry.announce("a", again.epoch, sessions)
        assert len(await registry.lookup([f"u{i}" for i in range(50)])) == 50
        await registry.close()


async def is_store_up(url: str, is_up: bool) -> bool:
    """Whether the registry says so by its metric."""
    async with httpx.AsyncClient(base_url=url, timeout=3.0) as client:
        metrics = (await client.get("/metrics")).text
    return f"\ntidewire_registry_store_up {float(is_up)}" in metrics


async def test_without_its_store_the_registry_says_so_and_recovers(
    store: RedisProcess, tmp_path: Path
) -> None:
    with registry_process(tmp_path, store.url) as running:
        registry = HttpRegistry(running.url)
        lease = await registry.register(node("a"))
        store.kill()
        async with httpx.AsyncClient(base_url=running.url, timeout=3.0) as client:
            answer = await client.post("/v1/lookup", json={"users": ["ann"]})
            assert answer.status_code == 503
            assert answer.json()["type"] == "urn:tidewire:problem:store-unavailable"
            assert answer.headers["retry-after"] == "1"
            assert (await client.get("/readyz")).status_code == 200

            await eventually(lambda: is_store_up(running.url, False))
        with pytest.raises(RegistryUnavailableError):
            await registry.renew("a", lease.epoch, NodeState.READY, {})
        store.on()
        await eventually(lambda: is_fenced(registry, "a", lease.epoch), what="the store's return")
        again = await registry.register(node("a"), replaces=lease.epoch)
        await registry.announce("a", again.epoch, ANN)
        assert set(await registry.lookup(["ann"])) == {"ann"}
        await registry.close()
        await eventually(lambda: is_store_up(running.url, True))
        log = await asyncio.to_thread(running.stop, signal.SIGTERM)
    told = [json.loads(line)["event"] for line in log]
    assert told.count("the store does not answer") == 1
    assert told.count("the store answers again") == 1


async def test_a_store_that_is_silent_is_given_up_in_time(
    store: RedisProcess, tmp_path: Path
) -> None:
    with registry_process(tmp_path, store.url) as running:
        async with httpx.AsyncClient(base_url=running.url, timeout=3.0) as client:
            assert (await client.get("/v1/nodes")).status_code == 200
            with store.silenced():
                answers = await asyncio.gather(*(client.get("/v1/nodes") for _ in range(40)))
                assert {answer.status_code for answer in answers} == {503}
                assert (await client.get("/healthz")).status_code == 200

            async def answers_again() -> bool:
                return (await client.get("/v1/nodes")).status_code == 200

            await eventually(answers_again)


async def test_a_killed_registry_loses_nothing(store: RedisProcess, tmp_path: Path) -> None:
    with registry_process(tmp_path, store.url) as running:
        registry = HttpRegistry(running.url)
        lease = await registry.register(node("a"))
        await registry.announce("a", lease.epoch, ANN)
        running.kill()
        with pytest.raises(RegistryUnavailableError):
            await registry.lookup(["ann"])
        await registry.close()
    with registry_process(tmp_path, store.url) as running:
        registry = HttpRegistry(running.url)
        [place] = (await registry.lookup(["ann"]))["ann"]
        assert (place.epoch, place.connections) == (lease.epoch, ("c1",))
        assert await registry.renew("a", lease.epoch, NodeState.READY, {}) == 10_000
        await registry.close()


async def test_two_registries_are_one(store: RedisProcess, tmp_path: Path) -> None:
    with (
        registry_process(tmp_path, store.url) as one,
        registry_process(tmp_path, store.url) as other,
    ):
        first, second = HttpRegistry(one.url), HttpRegistry(other.url)
        leases = await asyncio.gather(
            *((first, second)[i % 2].register(node(f"n{i}")) for i in range(16))
        )
        assert {lease.slot for lease in leases} == set(range(16))
        await first.announce("n0", leases[0].epoch, ANN)
        assert set(await second.lookup(["ann"])) == {"ann"}
        await second.release("n0", leases[0].epoch)
        assert await first.lookup(["ann"]) == {}
        await first.close()
        await second.close()


async def test_after_a_failover_nodes_announce_anew_to_the_new_primary(tmp_path: Path) -> None:
    """What the old one was told last may not have reached the new one: nobody could tell what is missing."""
    with (
        watched_redis(tmp_path / "redis") as watched,
        registry_process(tmp_path, watched.url, LEASE="60") as running,
    ):
        registry = HttpRegistry(running.url)
        lease = await registry.register(node("a"))
        await registry.announce("a", lease.epoch, ANN)
        watched.primary.kill()
        await eventually(
            lambda: is_fenced(registry, "a", lease.epoch), within=30, what="the failover"
        )
        again = await registry.register(node("a"), replaces=lease.epoch)
        await registry.announce("a", again.epoch, ANN)
        [place] = (await registry.lookup(["ann"]))["ann"]
        assert place.epoch == again.epoch
        await registry.close()


async def test_in_memory_it_needs_no_redis(tmp_path: Path) -> None:
    with registry_process(tmp_path, "memory://", LEASE="0.5") as running:
        registry = HttpRegistry(running.url)
        lease = await registry.register(node("a"))
        await registry.announce("a", lease.epoch, ANN)
        assert set(await registry.lookup(["ann"])) == {"ann"}

        async def is_over() -> bool:
            return await registry.lookup(["ann"]) == {}

        await eventually(is_over, what="the end of the lease")
        assert await is_fenced(registry, "a", lease.epoch)
        await registry.close()
        await asyncio.to_thread(running.stop, signal.SIGTERM)


async def test_without_a_store_it_starts_and_asks_to_try_again(tmp_path: Path) -> None:
    with registry_process(tmp_path, f"redis://{LOOPBACK}:1") as running:
        async with httpx.AsyncClient(base_url=running.url, timeout=3.0) as client:
            assert (await client.get("/readyz")).status_code == 200
            assert (await client.get("/v1/nodes")).status_code == 503
        await asyncio.to_thread(running.stop, signal.SIGINT)


async def test_a_caller_that_hangs_up_leaves_no_trace_but_a_count(tmp_path: Path) -> None:
    with registry_process(tmp_path, "memory://") as running:
        port = int(running.url.rpartition(":")[2])
        _, writer = await asyncio.open_connection(LOOPBACK, port)
        writer.write(b"POST /v1/lookup HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{")
        await writer.drain()
        writer.close()
        await writer.wait_closed()
        async with httpx.AsyncClient(base_url=running.url) as client:
            counted = 'tidewire_registry_requests_total{operation="lookup",outcome="refused"} 1.0'

            async def is_counted() -> bool:
                return counted in (await client.get("/metrics")).text

            await eventually(is_counted)
        await asyncio.to_thread(running.stop, signal.SIGTERM)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"SLTS": "1"}, "TIDEWIRE_REGISTRY__SLTS: unknown setting; did you mean"),
        ({"DEV": "1", "HOST": "0.0.0.0"}, "TIDEWIRE_REGISTRY__HOST: development mode"),
        ({"REDIS_URL": "http://x"}, "TIDEWIRE_REGISTRY__REDIS_URL: the Redis URL has the scheme"),
        ({"LEASE": "0"}, "TIDEWIRE_REGISTRY__LEASE: must be at least 0.1"),
    ],
)
def test_settings_that_cannot_be_used_are_told(
    tmp_path: Path, settings: dict[str, str], sentence: str
) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "tidewire_registry"],
        env=registry_environment(PORT="0", **settings),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode == 2, ended.stderr
    assert ended.stdout == ""
    assert "Traceback" not in ended.stderr
    assert ended.stderr.startswith(f"tidewire-registry: {sentence}")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_its_log_tells_its_beginning_and_its_end_once(
    store: RedisProcess, tmp_path: Path, number: signal.Signals
) -> None:
    with registry_process(tmp_path, store.url) as running:
        for _ in range(3):
            assert httpx.get(f"{running.url}/v1/nodes?token=hush").status_code == 200
        log = [json.loads(line) for line in running.stop(number)]
    [begin] = [line for line in log if line["event"] == "listening"]
    assert (begin["http"], begin["version"]) == (running.url, __version__)
    [end] = [line for line in log if line["event"] == "stopped"]
    assert end["reason"] == number.name
    assert "/v1/nodes" not in json.dumps(log)


def test_a_registry_that_never_saw_its_store_is_ready_and_says_what_it_lacks(
    tmp_path: Path,
) -> None:
    """All of them lack it: taken out of the balancer they would answer worse than 503 with its reason."""
    with (
        registry_process(tmp_path, f"redis://{LOOPBACK}:{free_port()}") as running,
        httpx.Client(base_url=running.url, timeout=3.0) as client,
    ):
        health = {path: client.get(path) for path in ("/healthz", "/startupz", "/readyz")}
        assert [(a.status_code, a.text) for a in health.values()] == [
            (200, "ok\n"),
            (200, "started\n"),
            (200, "ready\n"),
        ]
        answer = client.post("/v1/lookup", json={"users": ["ann"]})
        assert answer.status_code == 503
        assert answer.json()["type"] == "urn:tidewire:problem:store-unavailable"
        assert "\ntidewire_registry_store_up 0.0" in client.get("/metrics").text
        wait_until(lambda: "the store does not answer" in running.errors.read_text())
