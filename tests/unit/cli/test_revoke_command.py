"""`tidewire revoke`: what it takes, and what it writes."""

import time
from collections.abc import Coroutine
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from tidewire.cli import revoke
from tidewire.cli.app import make_app
from tidewire.identity.issuing import issue_token
from tidewire.kafka.records import RecordPosition
from tidewire.revocation.presented import presented_token
from tidewire.revocation.records import Kind, Revocation, Subject

ANN = Subject(Kind.USER, "ann")
KEY = bytes(range(32))


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Subject, Revocation | None]]:
    """What was written, in order; no broker is asked."""
    told: list[tuple[Subject, Revocation | None]] = []

    async def write(
        _settings: object, topic: str, subject: Subject, revocation: Revocation | None
    ) -> RecordPosition:
        told.append((subject, revocation))
        return RecordPosition(topic, 0, 7)

    monkeypatch.setattr(revoke, "_write", write)
    return told


def run(*arguments: str, text: str = "") -> Result:
    command = ["revoke", "--kafka", "127.0.0.1:9", *arguments]
    return CliRunner().invoke(make_app(), command, input=text)


def test_user_is_revoked_up_to_this_second(
    written: list[tuple[Subject, Revocation | None]],
) -> None:
    """A token that is issued within it tells the whole second only, so it is among them."""
    before = time.time()
    assert run("--user", "ann").exit_code == 0
    ((subject, revocation),) = written
    assert subject == ANN
    assert revocation is not None
    assert revocation.issued_before is not None
    assert before < revocation.issued_before <= time.time() + 1
    assert revocation.issued_before.is_integer()
    assert revocation.until is None


@pytest.mark.parametrize(
    ("text", "instant"),
    [("1769860800", 1769860800.0), ("2026-01-31T12:00:00Z", 1769860800.0)],
)
def test_time_may_be_said(
    written: list[tuple[Subject, Revocation | None]], text: str, instant: float
) -> None:
    assert run("--user", "ann", "--issued-before", text, "--token-lifetime", "60").exit_code == 0
    assert written == [(ANN, Revocation(instant, until=instant + 60))]


def test_token_is_revoked_whenever_it_was_issued(
    written: list[tuple[Subject, Revocation | None]],
) -> None:
    assert run("--token-id", "3f2a", "--reason", "stolen").exit_code == 0
    assert written == [(Subject(Kind.TOKEN, "3f2a"), Revocation(reason="stolen"))]


def test_token_from_stdin_tells_its_id_and_its_end(
    written: list[tuple[Subject, Revocation | None]],
) -> None:
    token = issue_token(KEY, "ann", {}, ttl=60)
    told = run("--token", "-", text=token)
    assert (told.exit_code, token in told.output) == (0, False)
    presented = presented_token(token)
    subject = Subject(Kind.TOKEN, presented.token_id)
    assert written == [(subject, Revocation(until=presented.expires_at))]


def test_revocation_is_taken_back(written: list[tuple[Subject, Revocation | None]]) -> None:
    assert run("--user", "ann", "--lift").stdout == "tokens of ann: no longer revoked\n"
    assert written == [(ANN, None)]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "give one of"),
        (("--user", "ann", "--token-id", "3f2a"), "give one of"),
        (("--token", "a.b.c"), "stdin"),
        (("--user", "ann", "--issued-before", "yesterday"), "neither Unix seconds"),
        (("--user", "ann", "--issued-before", "0001-01-01T00:00:00+14:00"), "neither Unix"),
        (("--user", "ann", "--lift", "--reason", "x"), "leave the other options out"),
        (("--user", "ann", "--list"), "give it alone"),
        (("--list", "--lift"), "give it alone"),
        (("--user", "ann", "--token-lifetime", "0"), "--token-lifetime"),
    ],
)
def test_what_makes_no_sense_is_refused(
    written: list[tuple[Subject, Revocation | None]], arguments: tuple[str, ...], sentence: str
) -> None:
    told = run(*arguments)
    assert told.exit_code == 2
    assert sentence in " ".join(told.stderr.replace("│", " ").split())
    assert written == []


@pytest.mark.parametrize(
    ("arguments", "text"),
    [(("--user", ""), ""), (("--token", "-"), "no token"), (("--token-id", "\udcff"), "")],
)
def test_what_names_nobody_is_one_sentence(
    written: list[tuple[Subject, Revocation | None]], arguments: tuple[str, ...], text: str
) -> None:
    told = run(*arguments, text=text)
    assert told.exception is not None
    assert str(told.exception)
    assert written == []


def test_list_shows_dates_that_no_calendar_has(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {ANN: Revocation(1e18, until=1769860800.0, reason="for ever")}

    def answer(work: Coroutine[Any, Any, Any], _topic: str) -> Any:
        work.close()
        return found

    monkeypatch.setattr(revoke, "_run", answer)
    listed = run("--list")
    assert listed.exit_code == 0
    assert "1e+18" in listed.stdout
    assert "2026-01-3" in listed.stdout
