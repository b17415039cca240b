"""`tidewire revoke`: tokens that are good no longer, from now on and everywhere."""

import asyncio
import logging
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.table import Table
from rich.text import Text

from ..dev.options import DEFAULT_DATA_DIR
from ..kafka.errors import UnknownTopicError
from ..kafka.records import RecordPosition
from ..kafka.settings import KafkaSettings
from ..revocation.listing import read_revocations
from ..revocation.presented import presented_token
from ..revocation.records import REVOCATIONS, Kind, Revocation, Subject, revocation_record
from .connection import DataDirOption, KafkaOption, kafka_settings
from .output import print_json, print_line, print_table

__all__ = ["register"]

STDIN = "-"
_MAX_LIFETIME = 10 * 365 * 24 * 3600


@dataclass(frozen=True, slots=True)
class _Asked:
    """``until``: when the tokens that are concerned have expired in any case, where the token itself says."""

    subject: Subject
    until: float | None = None


def register(app: typer.Typer) -> None:
    app.command("revoke")(revoke)


def revoke(
    user: Annotated[
        str | None, typer.Option(metavar="USER", help="All tokens of this user (claim sub).")
    ] = None,
    token_id: Annotated[
        str | None, typer.Option(metavar="JTI", help="The token with this id (claim jti).")
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(metavar="-", help="The token that is given on stdin; it is not shown."),
    ] = None,
    issued_before: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Only tokens issued before: Unix seconds, or 2026-01-31T12:00:00Z. Default: with --user now, else any.",
        ),
    ] = None,
    token_lifetime: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            min=1,
            max=_MAX_LIFETIME,
            help="The longest that tokens are good for: after it the revocation need not be held. Default: for ever, or as the token says.",
        ),
    ] = None,
    reason: Annotated[
        str | None, typer.Option(metavar="TEXT", help="For operators; clients are not told.")
    ] = None,
    lift: Annotated[bool, typer.Option("--lift", help="Take the revocation back.")] = False,
    list_all: Annotated[bool, typer.Option("--list", help="Show what is revoked.")] = False,
    kafka: KafkaOption = None,
    topic: Annotated[
        str, typer.Option(metavar="TOPIC", help="Where gateways and publishers read it.")
    ] = REVOCATIONS,
    data_dir: DataDirOption = DEFAULT_DATA_DIR,
    as_json: Annotated[bool, typer.Option("--json", help="JSON lines on stdout.")] = False,
) -> None:
    """Revoke tokens: open connections are closed within a second, and nothing accepts them any more.

    Returns once Kafka has taken it. A token that does not say when it was issued counts as issued before any time.

    Exit codes: 0 done; 2 there is no such token, or Kafka or the topic is not there.
    """
    if list_all:
        _check_nothing_else(user, token_id, token, lift=lift)
        _list(kafka_settings(kafka, data_dir), topic, as_json=as_json)
        return
    before = _time(issued_before)
    asked = _asked(user, token_id, token)
    if lift and (issued_before, token_lifetime, reason) != (None, None, None):
        raise typer.BadParameter("--lift takes back all of it: leave the other options out")
    revocation = None if lift else _revocation(asked, before, token_lifetime, reason)
    settings = kafka_settings(kafka, data_dir)
    position = _run(_write(settings, topic, asked.subject, revocation), topic)
    _tell(asked.subject, revocation, position, as_json=as_json)


def _check_nothing_else(
    user: str | None, token_id: str | None, token: str | None, *, lift: bool
) -> None:
    if lift or (user, token_id, token) != (None, None, None):
        raise typer.BadParameter("--list shows everything: give it alone")


def _asked(user: str | None, token_id: str | None, token: str | None) -> _Asked:
    if [user, token_id, token].count(None) != 2:
        raise typer.BadParameter("give one of: --user USER, --token-id JTI, --token -")
    if user is not None:
        return _Asked(Subject(Kind.USER, user))
    if token_id is not None:
        return _Asked(Subject(Kind.TOKEN, token_id))
    if token != STDIN:  # an argument is seen by everybody on the machine, and kept in histories
        raise typer.BadParameter(
            "a token is read from stdin: give --token - and pipe it", param_hint="--token"
        )
    presented = presented_token(sys.stdin.read())
    return _Asked(Subject(Kind.TOKEN, presented.token_id), presented.expires_at)


def _revocation(
    asked: _Asked, issued_before: float | None, lifetime: float | None, reason: str | None
) -> Revocation:
    now = time.time()
    if issued_before is None and asked.subject.kind is Kind.USER:
        issued_before = float(int(now) + 1)  # tokens tell whole seconds: those of this one too
    until = asked.until
    if until is None and lifetime is not None:
        until = (now if issued_before is None else issued_before) + lifetime
    return Revocation(issued_before, until, reason)


def _time(text: str | None) -> float | None:
    if text is None:
        return None
    try:
        return float(int(text))
    except ValueError:
        pass
    try:
        return datetime.fromisoformat(text).astimezone().timestamp()
    except (ValueError, OverflowError):
        raise typer.BadParameter(
            f"{text!r} is neither Unix seconds nor a time such as 2026-01-31T12:00:00Z",
            param_hint="--issued-before",
        ) from None


async def _write(
    settings: KafkaSettings, topic: str, subject: Subject, revocation: Revocation | None
) -> RecordPosition:
    from ..kafka.aiokafka_clients import AiokafkaWriter  # slow to load

    # What the client says on the way is in the error, if one comes.
    logging.getLogger("aiokafka").addHandler(logging.NullHandler())
    writer = AiokafkaWriter(settings)
    await writer.start()
    try:
        return await writer.write(revocation_record(topic, subject, revocation))
    finally:
        await writer.abandon()  # it is acknowledged, or has failed


async def _read(settings: KafkaSettings, topic: str) -> Mapping[Subject, Revocation]:
    from ..kafka.confluent_clients import ConfluentReader  # librdkafka is slow to load

    reader = ConfluentReader(settings)
    try:
        await reader.start()
        return await read_revocations(reader, topic)
    finally:
        await reader.close()


def _run(work: Any, topic: str) -> Any:
    """The result of ``work``; raises ``UnknownTopicError`` that names the cure."""
    try:
        return asyncio.run(work)
    except UnknownTopicError as error:
        raise UnknownTopicError(
            f"{error}; make the topic {topic} with `tidewire topics apply`, or name another with --topic",
            topic=topic,
        ) from None


def _tell(
    subject: Subject, revocation: Revocation | None, position: RecordPosition, *, as_json: bool
) -> None:
    if as_json:
        print_json(
            _wire(subject, revocation) | {"lifted": revocation is None, **position._asdict()}
        )
        return
    if revocation is None:
        print_line(f"{_named(subject)}: no longer revoked")
        return
    before = revocation.issued_before
    issued = "" if before is None else f", issued before {_date(before)}"
    print_line(f"{_named(subject)}: revoked{issued}")


def _list(settings: KafkaSettings, topic: str, *, as_json: bool) -> None:
    found: Mapping[Subject, Revocation] = _run(_read(settings, topic), topic)
    if as_json:
        for subject, revocation in found.items():
            print_json(_wire(subject, revocation))
        return
    if not found:
        print_line("nothing is revoked")
        return
    table = Table(box=None, header_style="bold")
    for heading in ("what", "issued before", "until", "reason"):
        table.add_column(heading)
    for subject, revocation in found.items():
        table.add_row(
            Text(_named(subject)),
            _date(revocation.issued_before),
            _date(revocation.until),
            Text(revocation.reason or ""),
        )
    print_table(table)


def _wire(subject: Subject, revocation: Revocation | None) -> dict[str, Any]:
    told: dict[str, Any] = {"token_id" if subject.kind is Kind.TOKEN else "user": subject.name}
    if revocation is not None:
        told |= {
            "issued_before": revocation.issued_before,
            "until": revocation.until,
            "reason": revocation.reason,
        }
    return told


def _named(subject: Subject) -> str:
    return f"token {subject.name}" if subject.kind is Kind.TOKEN else f"tokens of {subject.name}"


def _date(instant: float | None) -> str:
    """Local time, to the second; empty where there is none."""
    if instant is None:
        return ""
    try:
        return datetime.fromtimestamp(instant, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    except (OverflowError, ValueError, OSError):
        return f"{instant:g}"
