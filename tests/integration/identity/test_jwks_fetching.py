"""Published keys over a real HTTP connection: when they are fetched, and what is not taken."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from harness.certificate import make_certificate
from harness.issuer import ISSUER, IssuerKey, JwksServer, key_set, make_key, running_jwks
from harness.waiting import eventually
from tidewire.http.token_check import make_token_check
from tidewire.identity.errors import (
    IdentityError,
    InvalidTokenError,
    KeyNeededError,
    KeysUnavailableError,
    Refusal,
)
from tidewire.identity.settings import TokenSettings
from tidewire.identity.tokens import TokenVerifier
from tidewire.identity.verifying import verified
from tidewire.telemetry.metrics import Metrics, create_metrics

OLD, NEW = make_key("ES256", "old"), make_key("ES256", "new")


class Checking:
    """A verifier whose keys are fetched, and what was counted."""

    def __init__(self, verifier: TokenVerifier, metrics: Metrics) -> None:
        self.verifier = verifier
        self.metrics = metrics

    async def user(self, token: str) -> str:
        return (await verified(self.verifier.verify, token)).user

    async def client(self, token: str) -> str:
        """As a client does: it comes again when it was told to."""
        while True:
            try:
                return await self.user(token)
            except KeysUnavailableError as error:
                await asyncio.sleep(error.retry_after)

    def fetches(self, outcome: str) -> float:
        counter = self.metrics.counters("jwks_fetches_total", "outcome")[outcome]
        value: float = counter._value.get()
        return value


@contextlib.asynccontextmanager
async def checking(url: str, **settings: Any) -> AsyncIterator[Checking]:
    metrics = create_metrics("gateway")
    tokens = TokenSettings(jwks_url=url, issuer=ISSUER, **settings)
    check = await asyncio.to_thread(make_token_check, tokens, None, "X__", metrics)
    assert check is not None
    assert check.fetching is not None
    task = asyncio.create_task(check.fetching.run())
    try:
        yield Checking(check.verifier, metrics)
    finally:
        task.cancel()
        await asyncio.wait([task])


@contextlib.asynccontextmanager
async def both(*keys: IssuerKey, **settings: Any) -> AsyncIterator[tuple[JwksServer, Checking]]:
    async with running_jwks(*keys) as jwks, checking(jwks.url, **settings) as check:
        yield jwks, check


async def test_first_token_waits_for_the_first_fetch() -> None:
    async with both(OLD) as (jwks, check):
        with pytest.raises(KeyNeededError):
            check.verifier.verify(OLD.token())
        assert await check.user(OLD.token()) == "ann"
        assert check.verifier.verify(OLD.token()).user == "ann"
        assert jwks.fetches == 1
        assert check.metrics.gauge("jwks_fetched_seconds")._value.get() > 1.7e9


async def test_new_key_is_fetched_when_its_first_token_comes() -> None:
    async with both(OLD, jwks_cooldown=1) as (jwks, check):
        await check.user(OLD.token())
        jwks.publish(OLD, NEW)
        users = await asyncio.gather(*(check.client(NEW.token(sub=f"u{n}")) for n in range(50)))
        assert users == [f"u{n}" for n in range(50)]
        assert jwks.fetches == 2


async def test_flood_of_unknown_keys_makes_no_flood_of_fetches() -> None:
    async with both(OLD) as (jwks, check):
        await check.user(OLD.token())
        refused: list[IdentityError] = []
        for number in range(500):
            with pytest.raises(IdentityError) as failure:
                await check.user(NEW.token(kid=f"unknown-{number}"))
            refused.append(failure.value)
        assert jwks.fetches == 1
        assert all(isinstance(error, KeysUnavailableError) for error in refused)
        assert await check.user(OLD.token()) == "ann"


async def test_key_that_is_not_published_is_refused_for_good_once_that_is_known() -> None:
    async with both(OLD, jwks_cooldown=1) as (jwks, check):
        await check.user(OLD.token())
        for _ in range(2):
            with pytest.raises(InvalidTokenError, match="publishes no such key") as failure:
                await check.client(NEW.token())
            assert failure.value.refusal is Refusal.UNKNOWN_KEY
        assert jwks.fetches == 2


async def test_name_of_a_published_key_does_not_make_a_signature_good() -> None:
    async with both(OLD) as (jwks, check):
        await check.user(OLD.token())
        for kid in ("old", None):
            with pytest.raises(InvalidTokenError, match="another key") as failure:
                await check.user(make_key("ES256").token(kid=kid))
            assert failure.value.refusal is Refusal.SIGNATURE
        assert jwks.fetches == 1


async def test_known_keys_stay_good_while_the_issuer_is_away() -> None:
    async with both(OLD, jwks_interval=1) as (jwks, check):
        await check.user(OLD.token())
        jwks.is_away = True
        await eventually(lambda: check.fetches("unreachable") >= 2)
        assert check.verifier.verify(OLD.token()).user == "ann"
        jwks.is_away = False
        jwks.publish(OLD, NEW)
        await eventually(lambda: check.fetches("fetched") >= 2)
        assert check.verifier.verify(NEW.token()).user == "ann"


async def test_who_comes_before_any_key_was_had_is_told_to_come_again() -> None:
    async with both(OLD) as (jwks, check):
        jwks.is_away = True
        with pytest.raises(KeysUnavailableError) as failure:
            await check.user(OLD.token())
        assert failure.value.retry_after >= 1
        jwks.is_away = False
        await eventually(lambda: check.fetches("fetched") == 1)
        assert check.verifier.verify(OLD.token()).user == "ann"


async def test_issuer_that_does_not_answer_is_not_waited_for_beyond_the_timeout() -> None:
    async with both(OLD, jwks_timeout=0.2) as (jwks, check):
        jwks.may_answer.clear()
        with pytest.raises(KeysUnavailableError):
            await check.user(OLD.token())
        assert check.fetches("timed_out") >= 1


async def test_key_that_is_withdrawn_is_told_of() -> None:
    forgotten = asyncio.Event()
    async with both(OLD, NEW, jwks_interval=1) as (jwks, check):
        check.verifier.on_withdrawn(forgotten.set)
        await check.user(OLD.token())
        jwks.publish(NEW)
        async with asyncio.timeout(10):
            await forgotten.wait()
        with pytest.raises(IdentityError):
            check.verifier.verify(OLD.token())
        assert check.verifier.verify(NEW.token()).user == "ann"


async def test_those_who_wait_are_bounded() -> None:
    async with both(OLD) as (jwks, check):
        jwks.may_answer.clear()
        waiting = [asyncio.create_task(check.user(OLD.token(kid=None))) for _ in range(1100)]
        await eventually(lambda: sum(task.done() for task in waiting) == 1100 - 1024)
        jwks.may_answer.set()
        answers = await asyncio.gather(*waiting, return_exceptions=True)
        assert answers.count("ann") == 1024
        assert sum(isinstance(answer, KeysUnavailableError) for answer in answers) == 76


@pytest.mark.parametrize(
    ("parts", "outcome"),
    [
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n", *[b" "] * 1000], "timed_out"),
        ([b"no HTTP at all\r\n\r\n"], "unreachable"),
        ([b"HTTP/1.1 200 OK\r\n", *[b"x: " + b"y" * 60_000 + b"\r\n"] * 4], "unreachable"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{"], "unreachable"),
    ],
)
async def test_server_that_means_harm_is_not_waited_for(parts: list[bytes], outcome: str) -> None:
    answering: list[asyncio.Task[Any] | None] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        answering.append(asyncio.current_task())
        with contextlib.suppress(ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            for part in parts:
                writer.write(part)
                await writer.drain()
                await asyncio.sleep(0.02)  # drop by drop
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        async with checking(url, jwks_timeout=0.4) as check:
            with pytest.raises(KeysUnavailableError):
                await check.user(OLD.token())
            assert check.fetches(outcome) >= 1
        await asyncio.gather(*filter(None, answering))


async def test_waiters_are_told_when_fetching_ends() -> None:
    async with running_jwks(OLD) as jwks:
        jwks.may_answer.clear()
        async with checking(jwks.url) as check:
            waiting = asyncio.create_task(check.user(OLD.token()))
            await eventually(lambda: jwks.fetches == 1)
        with pytest.raises(KeysUnavailableError):
            await waiting


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        ("302 Found", ["Location: https://elsewhere.example/jwks"], None),
        ("404 Not Found", [], None),
        ("500 Oops", [], None),
        ("200 OK", [], b"nothing"),
        ("200 OK", [], b'{"keys":[]}'),
        ("200 OK", [], b'{"keys":[' + b" " * 300_000 + b"]}"),
        ("200 OK", ["Content-Encoding: gzip"], None),
    ],
)
async def test_answer_that_is_no_key_set_is_not_taken(
    status: str, headers: list[str], body: bytes | None
) -> None:
    async with running_jwks(OLD) as jwks:
        jwks.status, jwks.headers, jwks.body = status, headers, body or jwks.body
        async with checking(jwks.url) as check:
            with pytest.raises(KeysUnavailableError):
                await check.user(OLD.token())
            assert check.fetches("unusable") >= 1


async def test_nothing_of_a_token_or_of_the_environment_goes_to_the_issuer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    async with both(OLD) as (jwks, check):
        await check.user(OLD.token())
    assert jwks.requests[0].startswith("GET /jwks.json HTTP/1.1\r\n")
    assert "authorization" not in jwks.requests[0].lower()
    assert "accept-encoding: identity" in jwks.requests[0].lower()


async def test_url_is_trusted_by_the_authorities_that_are_named_alone(tmp_path: Path) -> None:
    made = await asyncio.to_thread(make_certificate, tmp_path)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        body = key_set([OLD])
        writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=made.server_context())
    async with server:
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/jwks"
        async with checking(url, jwks_ca_file=made.certificate) as check:
            assert await check.user(OLD.token()) == "ann"
        async with checking(url) as check:
            with pytest.raises(KeysUnavailableError):
                await check.user(OLD.token())
            assert check.fetches("unreachable") >= 1


async def test_secrets_in_files_and_published_keys_are_good_together(tmp_path: Path) -> None:
    path = tmp_path / "static.pem"
    path.write_bytes(NEW.pem)
    async with both(OLD, key_files=(path,)) as (jwks, check):
        jwks.may_answer.clear()
        assert check.verifier.verify(NEW.token()).user == "ann"
        with pytest.raises(KeyNeededError):
            check.verifier.verify(OLD.token())
        jwks.may_answer.set()
        assert await check.user(OLD.token()) == "ann"


async def test_answer_without_an_end_is_not_read_to_it() -> None:
    hung_up = asyncio.Event()

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(b" " * 65_536)
                await writer.drain()
        hung_up.set()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    async with server, checking(f"http://{host}:{port}/", jwks_timeout=60) as check:
        async with asyncio.timeout(20):
            await hung_up.wait()
        await eventually(lambda: check.fetches("unusable") == 1)
