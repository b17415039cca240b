"""The publisher and an identity provider: rotation without a restart, and what is answered while keys are not known."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from harness.issuer import ISSUER, IssuerKey, JwksServer, make_key, running_jwks
from harness.waiting import eventually
from integration.publisher.serving import STREAMS, client_of, refused, settings
from tidewire.http.token_check import make_token_check
from tidewire.identity.settings import TokenSettings
from tidewire.kafka.memory import MemoryBroker
from tidewire.kafka.records import TopicSpec
from tidewire.telemetry.metrics import create_metrics
from tidewire_publisher.app import create_app
from tidewire_publisher.settings import PREFIX

OLD, NEW = make_key("ES256", "old"), make_key("EdDSA", "new")


@asynccontextmanager
async def publisher(
    *keys: IssuerKey, is_away: bool = False, **changes: Any
) -> AsyncIterator[tuple[httpx.AsyncClient, JwksServer]]:
    broker, metrics = MemoryBroker(), create_metrics("publisher")
    broker.admin().create(TopicSpec("notices", 1, {}))
    async with running_jwks(*keys) as jwks:
        jwks.is_away = is_away
        tokens = TokenSettings(jwks_url=jwks.url, issuer=ISSUER, **changes)
        check = await asyncio.to_thread(make_token_check, tokens, None, PREFIX, metrics)
        assert check is not None
        app = create_app(
            settings(dev=False, trust_proxy_tls=True, tokens=tokens),
            streams=STREAMS,
            verifier=check.verifier,
            fetching=check.fetching,
            writer=broker.writer(),
            metrics=metrics,
        )
        async with client_of(app) as client:
            yield client, jwks


async def publish(client: httpx.AsyncClient, token: str | None) -> httpx.Response:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return await client.post("/v1/events/notices", json={"key": "a", "data": 1}, headers=headers)


async def test_token_of_the_identity_provider_publishes_what_its_rights_cover() -> None:
    async with publisher(OLD) as (client, _):
        assert (await publish(client, OLD.token())).status_code == 200
        refused(await publish(client, OLD.token(caps={"flights": ["publish"]})), 403, "forbidden")
        refused(await publish(client, None), 401, "token-missing")
        refused(await publish(client, OLD.token(exp=1_000_000_000)), 401, "token-expired")
        refused(await publish(client, OLD.token(aud="elsewhere")), 401, "token-invalid")
        exposed = (await client.get("/metrics")).text
    for reason in ("expired", "audience"):
        assert f'tidewire_tokens_refused_total{{reason="{reason}"}} 1.0' in exposed


async def test_key_is_rotated_without_a_restart() -> None:
    async with publisher(OLD, jwks_interval=1) as (client, jwks):
        assert (await publish(client, OLD.token())).status_code == 200
        jwks.publish(NEW)
        fetches = jwks.fetches
        await eventually(lambda: jwks.fetches >= fetches + 2)
        assert (await publish(client, NEW.token())).status_code == 200
        assert (await publish(client, OLD.token())).status_code in (401, 503)


async def test_known_keys_stay_good_while_the_provider_is_away() -> None:
    async with publisher(OLD, jwks_interval=1) as (client, jwks):
        assert (await publish(client, OLD.token())).status_code == 200
        jwks.is_away = True
        fetches = jwks.fetches
        await eventually(lambda: jwks.fetches >= fetches + 2)
        assert (await publish(client, OLD.token())).status_code == 200


async def test_request_waits_for_a_slow_provider() -> None:
    async with publisher(OLD) as (client, jwks):
        jwks.may_answer.clear()
        await eventually(lambda: jwks.fetches == 1)
        publishing = asyncio.create_task(publish(client, OLD.token()))
        assert (await client.get("/healthz")).status_code == 200
        jwks.may_answer.set()
        assert (await publishing).status_code == 200


async def test_token_that_cannot_be_checked_yet_is_no_bad_token() -> None:
    async with publisher(OLD, is_away=True) as (client, jwks):
        answer = await publish(client, OLD.token())
        refused(answer, 503, "token-undecided")
        assert int(answer.headers["Retry-After"]) >= 1
        assert (await client.get("/readyz")).status_code == 200
        fetches, jwks.is_away = jwks.fetches, False
        await eventually(lambda: jwks.fetches > fetches)
        assert (await publish(client, OLD.token())).status_code == 200


@pytest.mark.parametrize("name", ["token", "access_token", "jwt"])
async def test_token_in_the_address_is_refused(name: str) -> None:
    async with publisher(OLD) as (client, _):
        answer = await client.post(f"/v1/events/notices?{name}={OLD.token()}", json={"data": 1})
        refused(answer, 400, "token-in-query")


async def test_key_in_a_file_is_enough(tmp_path: Path) -> None:
    path = tmp_path / "new.pem"
    path.write_bytes(NEW.pem)
    async with publisher(OLD, is_away=True, key_files=(path,)) as (client, _):
        assert (await publish(client, NEW.token())).status_code == 200
