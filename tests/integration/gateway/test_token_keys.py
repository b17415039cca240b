"""A node whose tokens come from an identity provider: clients wait for keys where they must, and nobody else does."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import httpx
import jwt
import pytest

from harness.gateway import FrameClient, Gateway
from harness.issuer import ISSUER, IssuerKey, JwksServer, claims, make_key, running_jwks
from harness.waiting import eventually
from tidewire.identity.settings import TokenSettings
from tidewire_gateway.connection import Connection

OLD, NEW = make_key("ES256", "old"), make_key("RS256", "new")
GatewayMaker = Callable[..., AbstractAsyncContextManager[Gateway]]


@asynccontextmanager
async def node(
    make_gateway: GatewayMaker,
    *keys: IssuerKey,
    limits: dict[str, Any] | None = None,
    **tokens: Any,
) -> AsyncIterator[tuple[Gateway, JwksServer]]:
    async with running_jwks(*keys) as jwks:
        settings = TokenSettings(jwks_url=jwks.url, issuer=ISSUER, **tokens)
        async with make_gateway(tokens=settings, limits=limits) as gateway:
            yield gateway, jwks


def metric(gateway: Gateway, line: str) -> float:
    text = gateway.app.state.instruments.metrics.render()[0].decode()
    return next(
        float(found.rpartition(" ")[2])
        for found in text.splitlines()
        if found.startswith(f"tidewire_{line} ")
    )


def waiting(gateway: Gateway) -> list[Connection]:
    return [c for c in gateway.node.connections if c.waits_for_key]


async def closed_with(gateway: Gateway, token: str) -> int | None:
    async with gateway.connect(hello=False) as client:
        await client.send("hello", client="x/1", token=token)
        return (await client.closed())[0]


async def test_token_of_the_identity_provider_opens_what_its_rights_cover(
    make_gateway: GatewayMaker,
) -> None:
    async with (
        node(make_gateway, OLD) as (gateway, _),
        gateway.connect(token=OLD.token(caps={"secret/a": ["subscribe"]})) as client,
    ):
        await client.subscribe("secret/a", snapshot=False)
        await client.send("subscribe", channel="secret/b")
        assert (await client.expect("error"))["code"] == "forbidden"


async def test_key_is_rotated_while_the_node_runs(make_gateway: GatewayMaker) -> None:
    async with node(make_gateway, OLD, jwks_interval=1) as (gateway, jwks):
        async with gateway.connect(token=OLD.token()) as old:
            jwks.publish(NEW, OLD)
            await eventually(lambda: jwks.fetches >= 2)
            async with gateway.connect(token=NEW.token()) as new:
                await new.subscribe("flights")
            jwks.publish(NEW)
            fetches = jwks.fetches
            await eventually(lambda: jwks.fetches >= fetches + 2)
            await old.subscribe("flights")  # it is good until its token expires
        assert await closed_with(gateway, OLD.token()) in (3030, 3500)
        async with gateway.connect(token=NEW.token()):
            pass


async def test_token_that_was_known_is_forgotten_with_its_key(make_gateway: GatewayMaker) -> None:
    async with node(make_gateway, OLD, NEW, jwks_interval=1) as (gateway, jwks):
        token = OLD.token()
        async with gateway.connect(token=token):
            pass
        jwks.publish(NEW)
        fetches = jwks.fetches
        await eventually(lambda: jwks.fetches >= fetches + 2)
        assert await closed_with(gateway, token) in (3030, 3500)


async def test_clients_wait_for_a_slow_provider_and_others_do_not(
    make_gateway: GatewayMaker,
) -> None:
    async with node(make_gateway, OLD) as (gateway, jwks):
        jwks.may_answer.clear()
        async with gateway.connect(hello=False) as client, gateway.connect() as anonymous:
            await client.send("hello", client="x/1", token=OLD.token())
            await client.send("subscribe", channel="secret/a")
            await eventually(lambda: len(waiting(gateway)) == 1)
            await anonymous.subscribe("flights")
            jwks.may_answer.set()
            await client.expect("welcome")
            assert (await client.expect("subscribed"))["channel"] == "secret/a"
        assert jwks.fetches == 1


async def test_client_that_leaves_waits_no_more(make_gateway: GatewayMaker) -> None:
    async with node(make_gateway, OLD) as (gateway, jwks):
        jwks.may_answer.clear()
        async with gateway.connect(hello=False) as client:
            await client.send("hello", client="x/1", token=OLD.token())
            await eventually(lambda: len(waiting(gateway)) == 1)
            [task] = [c._credentials._waiting for c in waiting(gateway) if c._credentials]
        assert task is not None
        await eventually(lambda: task.cancelled() and not gateway.node.connections)


async def test_hello_that_waits_has_no_longer_than_any_other(make_gateway: GatewayMaker) -> None:
    async with node(make_gateway, OLD, limits={"hello_timeout": 0.3}) as (gateway, jwks):
        jwks.may_answer.clear()
        assert await closed_with(gateway, OLD.token()) == 3030
        assert metric(gateway, 'handshakes_total{outcome="undecided_token"}') == 1


async def test_client_that_sends_too_much_before_its_welcome_is_closed(
    make_gateway: GatewayMaker,
) -> None:
    async with node(make_gateway, OLD, limits={"max_frame_in": 4096}) as (gateway, jwks):
        jwks.may_answer.clear()
        async with gateway.connect(hello=False) as client:
            await client.send("hello", client="x/1", token=OLD.token())
            for _ in range(100):
                await client.send("subscribe", channel="flights")
            assert (await client.closed())[0] == 3030


async def test_node_without_any_key_yet_sends_clients_away_to_come_again(
    make_gateway: GatewayMaker,
) -> None:
    async with node(make_gateway, OLD) as (gateway, jwks):
        jwks.is_away = True
        assert await closed_with(gateway, OLD.token()) == 3030
        async with httpx.AsyncClient(base_url=gateway.http) as http:
            headers = {"Authorization": f"Bearer {OLD.token()}"}
            answer = await http.get("/v1/channels/secret/a", headers=headers)
            assert answer.status_code == 503
            assert answer.json()["type"] == "urn:tidewire:problem:token-undecided"
            assert int(answer.headers["Retry-After"]) >= 1
            assert (await http.get("/v1/channels/flights")).status_code == 200
            jwks.is_away = False
            await eventually(lambda: metric(gateway, 'jwks_fetches_total{outcome="fetched"}') == 1)
            assert (await http.get("/v1/channels/secret/a", headers=headers)).status_code == 200
        async with gateway.connect(token=OLD.token()):
            pass


async def test_reading_once_waits_for_keys_as_a_hello_does(make_gateway: GatewayMaker) -> None:
    async with (
        node(make_gateway, OLD) as (gateway, jwks),
        httpx.AsyncClient(base_url=gateway.http) as http,
    ):
        jwks.may_answer.clear()
        headers = {"Authorization": f"Bearer {OLD.token()}"}
        reading = asyncio.create_task(http.get("/v1/channels/secret/a", headers=headers))
        await eventually(lambda: jwks.fetches == 1)
        jwks.may_answer.set()
        assert (await reading).status_code == 200


async def test_flood_of_unknown_keys_costs_the_provider_nothing(make_gateway: GatewayMaker) -> None:
    async with node(make_gateway, OLD) as (gateway, jwks):
        async with gateway.connect(token=OLD.token()):
            tokens = [NEW.token(kid=f"unknown-{number}") for number in range(40)]
            codes = await asyncio.gather(*(closed_with(gateway, token) for token in tokens))
        assert jwks.fetches == 1
        assert set(codes) == {3030}
        assert metric(gateway, 'tokens_refused_total{reason="undecided"}') == 40


@pytest.mark.parametrize(
    ("changes", "code", "reason"),
    [
        ({"aud": "elsewhere"}, 3500, "audience"),
        ({"iss": "https://other.example"}, 3500, "issuer"),
        ({"sub": None}, 3500, "claims"),
        ({"exp": 1e300}, 3500, "claims"),
        ({"exp": 1_000_000_000}, 3005, "expired"),
    ],
)
async def test_token_for_somebody_else_is_refused_and_counted(
    make_gateway: GatewayMaker, changes: dict[str, Any], code: int, reason: str
) -> None:
    async with node(make_gateway, OLD) as (gateway, _):
        assert await closed_with(gateway, OLD.token(**changes)) == code
        assert metric(gateway, f'tokens_refused_total{{reason="{reason}"}}') == 1


async def test_algorithm_that_is_not_accepted_is_refused(make_gateway: GatewayMaker) -> None:
    async with node(make_gateway, OLD, algorithms=("ES256",)) as (gateway, jwks):
        secret = OLD.pem.hex().encode()
        for token in (NEW.token(), jwt.encode(claims(), secret, headers={"kid": "old"})):
            assert await closed_with(gateway, token) == 3500
        assert metric(gateway, 'tokens_refused_total{reason="algorithm"}') == 2
        assert jwks.fetches <= 1


async def test_token_that_expires_on_a_live_connection_closes_it(
    make_gateway: GatewayMaker,
) -> None:
    async with (
        node(make_gateway, OLD) as (gateway, _),
        gateway.connect(token=OLD.token(exp=time.time() + 1)) as client,
    ):
        assert (await client.closed())[0] == 3005


async def test_token_in_the_address_is_refused_before_the_upgrade(
    make_gateway: GatewayMaker,
) -> None:
    async with (
        node(make_gateway, OLD) as (gateway, jwks),
        httpx.AsyncClient(base_url=gateway.http) as http,
    ):
        for name in ("token", "access_token", "Authorization"):
            answer = await http.get(f"/v1/channels/secret/a?{name}={OLD.token()}")
            assert (answer.status_code, answer.json()["type"]) == (
                400,
                "urn:tidewire:problem:token-in-query",
            )
        assert jwks.fetches <= 1


async def test_nobody_without_a_token_has_more_than_public_streams(
    make_gateway: GatewayMaker,
) -> None:
    async with node(make_gateway, OLD) as (gateway, _), gateway.connect() as client:
        await client.subscribe("flights", snapshot=False)
        await client.send("subscribe", channel="secret/a")
        assert (await client.expect("error"))["code"] == "forbidden"


# Other credentials on a live connection


async def refresh(client: FrameClient, token: str) -> dict[str, Any]:
    await client.send("refresh", token=token)
    return await client.receive()


async def test_refresh_waits_for_its_key_and_the_connection_goes_on_meanwhile(
    make_gateway: GatewayMaker,
) -> None:
    async with (
        node(make_gateway, OLD, jwks_cooldown=1) as (gateway, jwks),
        gateway.connect(token=OLD.token()) as client,
    ):
        jwks.publish(OLD, NEW)
        jwks.may_answer.clear()
        while (answer := await refreshing(client, gateway, NEW.token())) is not None:
            assert answer["payload"]["code"] == "unavailable"
            await asyncio.sleep(answer["payload"]["retry_after_ms"] / 1000)  # as clients do
        assert (await client.subscribe("flights", snapshot=False))["channel"] == "flights"
        other = await refresh(client, OLD.token())
        assert (other["type"], other["payload"]["code"]) == ("error", "unavailable")
        jwks.may_answer.set()
        assert (await client.expect("refreshed"))["expires_in_ms"] > 0


async def refreshing(client: FrameClient, gateway: Gateway, token: str) -> dict[str, Any] | None:
    """Ask for other credentials; the answer, None while it is waited for."""
    await client.send("refresh", token=token)
    answer = asyncio.create_task(client.receive())
    await eventually(lambda: answer.done() or bool(waiting(gateway)))
    if answer.done():
        return await answer
    answer.cancel()
    await asyncio.wait([answer])
    return None


async def test_refresh_whose_key_cannot_be_had_leaves_the_connection_as_it_was(
    make_gateway: GatewayMaker,
) -> None:
    async with (
        node(make_gateway, OLD) as (gateway, jwks),
        gateway.connect(token=OLD.token()) as client,
    ):
        jwks.is_away = True
        refused = await refresh(client, NEW.token())
        assert refused["type"] == "error"
        assert refused["payload"]["code"] == "unavailable"
        assert refused["payload"]["retry_after_ms"] >= 1000
        await client.subscribe("secret/a")


@pytest.mark.parametrize("changes", [{"sub": "bob"}, {"sub": "Ann"}])
async def test_token_of_another_user_closes_the_connection(
    make_gateway: GatewayMaker, changes: dict[str, Any]
) -> None:
    async with (
        node(make_gateway, OLD) as (gateway, _),
        gateway.connect(token=OLD.token()) as client,
    ):
        await client.send("refresh", token=OLD.token(**changes))
        code, reason = await client.closed()
        assert code == 3500
        assert reason == "the token is another user's: connect anew with it"
        assert metric(gateway, 'tokens_refused_total{reason="other_user"}') == 1


async def test_connection_of_nobody_becomes_a_users_and_stays_his(
    make_gateway: GatewayMaker,
) -> None:
    async with node(make_gateway, OLD) as (gateway, _), gateway.connect() as client:
        assert (await refresh(client, OLD.token()))["type"] == "refreshed"
        await client.subscribe("secret/a")
        await client.send("refresh", token=OLD.token(sub="bob"))
        assert (await client.closed())[0] == 3500
