"""What one client may have: it is refused and counted beyond, and the connection next to it does not notice."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import websockets

from harness.gateway import FrameClient, Gateway, MemoryTopics
from harness.waiting import eventually
from tidewire.identity.issuing import issue_token
from tidewire.identity.rights import Action
from tidewire_gateway.core.limits import Limit

KEY = b"k" * 32
OFFENDER = ("127.0.0.2", 0)
NEIGHBOUR = ("127.0.0.3", 0)
"""Addresses of two clients."""

Offence = Callable[[Gateway], Awaitable[None]]


def counted(gateway: Gateway, series: str) -> float:
    metrics: str = gateway.app.state.instruments.metrics.render()[0].decode()
    (line,) = [line for line in metrics.splitlines() if line.startswith(f"tidewire_{series} ")]
    return float(line.split()[-1])


def limited(gateway: Gateway, limit: Limit) -> float:
    return counted(gateway, f'limited_total{{limit="{limit}"}}')


@contextlib.asynccontextmanager
async def offender(gateway: Gateway, **options: Any) -> AsyncIterator[FrameClient]:
    async with gateway.connect(local_addr=OFFENDER, **options) as client:
        yield client


async def refusal(gateway: Gateway, address: tuple[str, int] = OFFENDER) -> dict[str, Any]:
    """The problem that a handshake from ``address`` was refused with; it says when to come again."""
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with gateway.connect(hello=False, local_addr=address):
            pass
    response = refused.value.response
    problem: dict[str, Any] = json.loads(response.body)
    assert response.headers["Content-Type"] == "application/problem+json"
    assert response.status_code == problem["status"]
    assert 1 <= int(response.headers["Retry-After"]) <= 60
    return problem


def token(user: str) -> str:
    return issue_token(KEY, user, {"**": [Action.SUBSCRIBE]}, ttl=60)


async def send_a_large_frame(gateway: Gateway) -> None:
    async with offender(gateway) as client:
        await client.send_text("x" * 2000)
        assert (await client.closed())[0] == 1009


async def send_a_large_frame_in_pieces(gateway: Gateway) -> None:
    async with offender(gateway) as client:
        with contextlib.suppress(websockets.ConnectionClosed):
            await client.connection.send(["x" * 300] * 7)
        assert (await client.closed())[0] == 1009


async def send_many_messages(gateway: Gateway) -> None:
    async with offender(gateway) as client:
        for _ in range(4):
            await client.send("unsubscribe", sub=99)
            assert (await client.expect("error"))["code"] == "bad_request"
        await client.send("unsubscribe", sub=99)
        error = await client.expect("error")
        assert (error["code"], error["retry_after_ms"] > 0) == ("rate_limited", True)


async def send_a_frame_of_many_messages(gateway: Gateway) -> None:
    async with offender(gateway) as client:
        message = {"v": 1, "type": "unsubscribe", "id": 1, "payload": {"sub": 1}}
        await client.send_text(json.dumps([message] * 4))
        assert (await client.expect("error"))["code"] == "bad_request"


async def send_many_bad_requests(gateway: Gateway) -> None:
    async with offender(gateway) as client:
        for _ in range(4):
            await client.send("nonsense")
        assert (await client.closed())[0] == 3501


async def name_a_long_channel(gateway: Gateway) -> None:
    async with offender(gateway) as client:
        await client.send("subscribe", channel="flights/" + "x" * 248)
        assert (await client.expect("error"))["code"] == "bad_request"
        await client.send("subscribe", channel="flights/" + "x" * 247)
        await client.expect("subscribed")


async def name_a_channel_of_a_thousand_times_that(gateway: Gateway) -> None:
    async with offender(gateway) as client:
        await client.send("subscribe", channel="x" * 60_000)
        assert (await client.expect("error"))["code"] == "bad_request"


async def name_a_channel_longer_than_the_node_has_them(gateway: Gateway) -> None:
    async with offender(gateway) as client:
        await client.send("subscribe", channel="flights/JFKX")
        error = await client.expect("error")
        assert (error["code"], "11 characters" in error["message"]) == ("bad_request", True)
        await client.subscribe("flights/JFK")


async def subscribe_too_often(gateway: Gateway) -> None:
    async with offender(gateway) as client:
        await client.subscribe("notices", mode="every")
        await client.send("subscribe", channel="flights")
        assert (await client.expect("error"))["code"] == "limit_exceeded"


async def send_many_pings(gateway: Gateway) -> None:
    async with offender(gateway) as client:
        with contextlib.suppress(websockets.ConnectionClosed):
            for _ in range(30):
                await client.connection.ping()
        assert await client.closed() == (3501, "too many frames")


async def ask_for_a_feed_too_many(gateway: Gateway) -> None:
    async with offender(gateway) as client:
        await client.send("subscribe", channel="notices")
        error = await client.expect("error")
        assert (error["code"], error["retry_after_ms"] > 0) == ("unavailable", True)
        await client.subscribe("flights")  # there is one: the neighbour's


async def connect_as_one_user_too_often(gateway: Gateway) -> None:
    async with (
        offender(gateway, token=token("ann")),
        offender(gateway, token=token("ann")) as second,
    ):
        async with offender(gateway, hello=False) as third:
            await third.send("hello", client="test/1", token=token("ann"))
            assert await third.closed() == (3504, "the user has too many connections")
        async with offender(gateway, token=token("bob")), offender(gateway), offender(gateway):
            pass
        await second.connection.close()
        await eventually(lambda: len(gateway.node.connections) == 2)
        async with offender(gateway, token=token("ann")):
            pass


async def connect_too_often(gateway: Gateway) -> None:
    async with offender(gateway), offender(gateway) as second:
        problem = await refusal(gateway)
        assert (problem["status"], problem["type"]) == (
            429,
            "urn:tidewire:problem:limited-address-connections",
        )
        await second.connection.close()
        await eventually(lambda: len(gateway.node.connections) == 2)
        async with offender(gateway):
            pass


async def knock_too_fast(gateway: Gateway) -> None:
    for _ in range(2):
        async with offender(gateway):
            pass
    problem = await refusal(gateway)
    assert (problem["status"], problem["type"]) == (
        429,
        "urn:tidewire:problem:limited-address-handshakes",
    )


OFFENCES: list[tuple[Limit, dict[str, Any], Offence]] = [
    (Limit.FRAME, {"max_frame_in": 1024}, send_a_large_frame),
    (Limit.FRAME, {"max_frame_in": 1024}, send_a_large_frame_in_pieces),
    (Limit.FRAMES, {"frames_in": 20}, send_many_pings),
    (
        Limit.MESSAGES,
        {"messages_in": 3, "subscriptions_per_connection": 1},
        send_many_messages,
    ),
    (Limit.MESSAGES_PER_FRAME, {"messages_per_frame": 3}, send_a_frame_of_many_messages),
    (Limit.REFUSALS, {"refusals": 3}, send_many_bad_requests),
    (Limit.CHANNEL, {}, name_a_long_channel),
    (Limit.CHANNEL, {}, name_a_channel_of_a_thousand_times_that),
    (Limit.CHANNEL, {"max_channel": 11}, name_a_channel_longer_than_the_node_has_them),
    (Limit.SUBSCRIPTIONS, {"subscriptions_per_connection": 1}, subscribe_too_often),
    (Limit.FEEDS, {"feeds_per_node": 1}, ask_for_a_feed_too_many),
    (Limit.USER_CONNECTIONS, {"connections_per_user": 2}, connect_as_one_user_too_often),
    (Limit.ADDRESS_CONNECTIONS, {"connections_per_address": 2}, connect_too_often),
    (
        Limit.ADDRESS_HANDSHAKES,
        {"address_handshakes_per_second": 0.01, "address_handshakes_burst": 2},
        knock_too_fast,
    ),
]


def test_each_limit_is_met_here() -> None:
    assert {limit for limit, _, _ in OFFENCES} == set(Limit)


@pytest.mark.parametrize(
    ("limit", "limits", "offend"), OFFENCES, ids=[offence.__name__ for _, _, offence in OFFENCES]
)
async def test_who_asks_for_too_much_is_refused_and_counted_and_the_neighbour_does_not_notice(
    make_gateway: Any,
    topics: MemoryTopics,
    tmp_path: Path,
    limit: Limit,
    limits: dict[str, Any],
    offend: Offence,
) -> None:
    key = tmp_path / "token.key"
    key.write_text(KEY.hex())
    async with (
        make_gateway(limits=limits, token_key_file=key) as gateway,
        gateway.connect(local_addr=NEIGHBOUR) as neighbour,
    ):
        await neighbour.subscribe("flights")
        await neighbour.expect("snapshot")
        assert all(limited(gateway, other) == 0 for other in Limit)

        await offend(gateway)

        await eventually(lambda: limited(gateway, limit) == 1)
        assert all(limited(gateway, other) == 0 for other in Limit if other is not limit)
        for number in range(3):
            await topics.publish("flights", "JFK/1", {"n": number})
            updates = await neighbour.expect("updates")  # and nothing else came meanwhile
            assert updates["events"][-1]["data"] == {"n": number}
        await neighbour.send("unsubscribe", sub=updates["sub"])
        await neighbour.expect("unsubscribed")


async def test_crowd_from_many_addresses_is_refused_by_the_node_and_is_nobodys_limit(
    make_gateway: Any,
) -> None:
    limits = {"handshakes_per_second": 0.01, "handshakes_burst": 3}
    async with make_gateway(limits=limits) as gateway, gateway.connect(local_addr=NEIGHBOUR):
        for last in range(10, 12):
            async with gateway.connect(local_addr=(f"127.0.0.{last}", 0)):
                pass
        problem = await refusal(gateway)
        assert (problem["status"], problem["type"]) == (503, "urn:tidewire:problem:overloaded-rate")
        assert all(limited(gateway, limit) == 0 for limit in Limit)


@pytest.mark.parametrize(
    ("limits", "outcome"),
    [
        ({"connections_per_address": 1}, "limited"),
        ({"handshakes_per_second": 0.01, "handshakes_burst": 1}, "overloaded_rate"),
    ],
)
async def test_refused_handshake_has_an_outcome_and_leaves_the_node_ready(
    make_gateway: Any, limits: dict[str, Any], outcome: str
) -> None:
    async with make_gateway(limits=limits) as gateway, offender(gateway):
        await refusal(gateway)
        assert counted(gateway, f'handshakes_total{{outcome="{outcome}"}}') == 1
        assert gateway.node.overload() is None


async def test_those_who_were_refused_together_are_told_different_times(make_gateway: Any) -> None:
    async with make_gateway(limits={"handshakes_per_second": 1, "handshakes_burst": 1}) as gateway:
        seconds = []
        for _ in range(60):
            try:
                async with gateway.connect(hello=False):
                    pass
            except websockets.InvalidStatus as refused:
                seconds.append(int(refused.response.headers["Retry-After"]))
    assert len(seconds) > 50
    assert max(seconds) > 20  # 1 a second: some are to wait so long
    assert len(set(seconds)) > 15


async def test_connection_is_counted_once_from_when_it_is_known_whose_it_is(
    make_gateway: Any, tmp_path: Path
) -> None:
    key = tmp_path / "token.key"
    key.write_text(KEY.hex())
    async with make_gateway(limits={"connections_per_user": 1}, token_key_file=key) as gateway:
        async with offender(gateway) as client, offender(gateway) as other:
            for _ in range(3):
                await client.send("refresh", token=token("ann"))
                await client.expect("refreshed")
            await other.send("refresh", token=token("ann"))
            assert (await other.closed())[0] == 3504
        await eventually(lambda: not gateway.node.connections)
        async with offender(gateway, token=token("ann")):
            pass


async def test_address_at_its_limit_is_named_in_the_log_now_and_then(
    make_gateway: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async with make_gateway(limits={"connections_per_address": 1}) as gateway, offender(gateway):
        for _ in range(5):
            await refusal(gateway)
    lines = [r for r in caplog.records if "an address is at its limit" in r.getMessage()]
    assert 1 <= len(lines) < 5
    assert "127.0.0.2" in lines[0].getMessage()


async def test_connections_that_say_no_hello_count_for_their_address(make_gateway: Any) -> None:
    async with make_gateway(limits={"connections_per_address": 1, "hello_timeout": 0.2}) as gateway:
        async with offender(gateway, hello=False) as silent:
            await refusal(gateway)
            assert (await silent.closed())[0] == 3501
        await eventually(lambda: not gateway.node.connections)
        async with offender(gateway):
            pass


async def test_handshake_that_ends_at_once_leaves_no_count(make_gateway: Any) -> None:
    async with make_gateway(limits={"connections_per_address": 1}) as gateway:
        for _ in range(20):
            _, writer = await asyncio.open_connection(
                "127.0.0.1", gateway.port, local_addr=OFFENDER
            )
            writer.write(
                b"GET /v1/ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
            )
            writer.transport.abort()
        await eventually(lambda: not gateway.node.connections)
        async with offender(gateway):
            pass
