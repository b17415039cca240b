import asyncio
import io
import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from tidewire.cli.jsonl import LineFailedError, LineReader, PublishLines
from tidewire.cli.publish_report import PublishReport
from tidewire.config.errors import ConfigError
from tidewire.ingest.documents import parse_event
from tidewire.kafka.errors import BrokerUnavailableError
from tidewire.kafka.records import RecordPosition
from tidewire.publishing import Event, InvalidEventError


def report(source: str = "events.jsonl", *, as_json: bool = False) -> PublishReport:
    return PublishReport(source, as_json=as_json, is_shown=False)


async def acknowledge(event: Event) -> RecordPosition:
    assert isinstance(event.data, bytes)
    await asyncio.sleep(0)
    return RecordPosition("t", 0, int(event.data))


def write(path: Path, *lines: str) -> str:
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return str(path)


def line(data: object, key: str = "k") -> str:
    return json.dumps({"key": key, "data": data})


async def test_every_line_is_published_and_told_in_order(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write(tmp_path / "events.jsonl", *(line(n) for n in range(1200)))
    told = report(as_json=True)
    with LineReader(source) as lines:
        await PublishLines(lines, {}, told, parse=parse_event).run(acknowledge)
    assert told.written == 1200
    offsets = [json.loads(text)["offset"] for text in capsys.readouterr().out.splitlines()]
    assert offsets == list(range(1200))


async def test_a_bad_line_is_told_with_its_number_and_skipped(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async def refuse_two(event: Event) -> RecordPosition:
        if event.data == b"2":
            raise InvalidEventError("data", "is not wanted")
        return await acknowledge(event)

    source = write(tmp_path / "x", line(1), "", "{", '{"data":1}', line(2), line(3))
    told = report()
    with LineReader(source) as lines:
        await PublishLines(lines, {}, told, parse=parse_event).run(refuse_two)
    assert (told.written, told.skipped) == (2, 3)
    problems = capsys.readouterr().err.splitlines()
    assert [text.partition(": ")[0] for text in problems] == [
        "events.jsonl:3",
        "events.jsonl:4",
        "events.jsonl:5",
    ]
    assert "not JSON" in problems[0]
    assert "key: is missing" in problems[1]


async def test_the_first_failure_of_kafka_ends_it_with_the_line(tmp_path: Path) -> None:
    async def fail(event: Event) -> RecordPosition:
        if event.data == b"2":
            raise BrokerUnavailableError("Kafka is away")
        return await acknowledge(event)

    source = write(tmp_path / "x", line(1), line(2), *(line(3) for _ in range(5000)))
    told = report()
    with (
        LineReader(source) as lines,
        pytest.raises(LineFailedError, match=r"events\.jsonl:2: Kafka is away"),
    ):
        await PublishLines(lines, {}, told, parse=parse_event).run(fail)
    assert told.written == 1


async def test_headers_of_the_command_are_every_events_that_has_no_own(tmp_path: Path) -> None:
    seen: list[Event] = []

    async def keep(event: Event) -> RecordPosition:
        seen.append(event)
        return await acknowledge(event)

    all_have = {"a": "all", "b": "all"}
    own = json.dumps({"key": "k", "data": 2, "headers": {"a": "own"}})
    with LineReader(write(tmp_path / "x", line(1), own)) as lines:
        await PublishLines(lines, all_have, report(), parse=parse_event).run(keep)
    assert [event.headers for event in seen] == [
        {"a": "all", "b": "all"},
        {"a": "own", "b": "all"},
    ]


async def test_a_line_from_a_pipe_is_told_before_the_next_one_comes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    readable, writable = os.pipe()
    told = report("-")
    written: asyncio.Queue[int] = asyncio.Queue()
    tell = told.position

    def position(where: RecordPosition) -> None:
        tell(where)
        written.put_nowait(where.offset)

    monkeypatch.setattr(told, "position", position)
    with os.fdopen(readable, "rb") as pipe, LineReader("-") as lines:
        lines._file = pipe
        running = asyncio.create_task(
            PublishLines(lines, {}, told, parse=parse_event).run(acknowledge)
        )
        try:
            for number in range(3):
                os.write(writable, (line(number) + "\n").encode())
                assert await asyncio.wait_for(written.get(), 10) == number
        finally:
            os.close(writable)
        await running
    assert told.written == 3


async def test_many_bad_lines_are_counted_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = report()
    with LineReader(write(tmp_path / "x", *["{"] * 50)) as lines:
        await PublishLines(lines, {}, told, parse=parse_event).run(acknowledge)
    assert told.skipped == 50
    assert len(capsys.readouterr().err.splitlines()) == 21


def test_a_file_that_is_not_there_is_one_sentence() -> None:
    with pytest.raises(ConfigError, match="/no/such: cannot be read: No such file"):
        LineReader("/no/such").__enter__()


def test_stdin_is_left_open(monkeypatch: pytest.MonkeyPatch) -> None:
    stdin = io.BytesIO(b"")
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=stdin))
    with LineReader("-"):
        pass
    assert not stdin.closed
