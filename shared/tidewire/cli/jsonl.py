"""JSON lines to events: read in a thread, published with a bounded number under way."""

import asyncio
import contextlib
import sys
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import CancelledError
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Generic, Self, TypeVar

from ..config.errors import ConfigError
from ..errors import TidewireError
from ..ingest.errors import InvalidEventsError, NotJsonError
from ..kafka.errors import KafkaError
from ..kafka.records import RecordPosition
from ..publishing import Event, InvalidEventError, UserEvent
from .publish_report import PublishReport

__all__ = ["LineReader", "PublishLines"]

_WINDOW = 500
_QUEUE = 4
_LINES_AT_ONCE = 250
_MAX_LINE_BYTES = 4 * 1024 * 1024

E = TypeVar("E", Event, UserEvent)


class LineReader:
    """Lines of a file, or of stdin (``-``), read in a thread that a blocked read cannot hold up.

    Lines of a terminal or a pipe are handed over one by one as they come.
    """

    def __init__(self, source: str) -> None:
        self._source = source
        self._at_once = 1 if source == "-" else _LINES_AT_ONCE
        self._file: BinaryIO | None = None

    def __enter__(self) -> Self:
        if self._source == "-":
            self._file = sys.stdin.buffer
            return self
        try:
            self._file = Path(self._source).open("rb")  # closed by __exit__
        except OSError as e:
            raise ConfigError(f"{self._source}: cannot be read: {e.strerror}") from e
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._file is not None and self._source != "-":
            self._file.close()

    def start(self, loop: asyncio.AbstractEventLoop) -> "asyncio.Queue[list[bytes]]":
        """A queue of lines; an empty list is the end. Bounded: reading waits for publishing."""
        queue: asyncio.Queue[list[bytes]] = asyncio.Queue(_QUEUE)

        def put(lines: list[bytes]) -> bool:
            putting = queue.put(lines)
            try:
                asyncio.run_coroutine_threadsafe(putting, loop).result()
            except CancelledError:
                return False
            except RuntimeError:  # the loop is closed: nobody listens any more
                putting.close()
                return False
            return True

        threading.Thread(target=self._read, args=(put,), name="read-lines", daemon=True).start()
        return queue

    def _read(self, put: Callable[[list[bytes]], bool]) -> None:
        assert self._file is not None
        with contextlib.suppress(ValueError):  # closed while it was read: the command is ending
            while lines := self._some_lines(self._file):
                if not put(lines):
                    return
        put([])

    def _some_lines(self, file: BinaryIO) -> list[bytes]:
        lines: list[bytes] = []
        while len(lines) < self._at_once and (line := file.readline(_MAX_LINE_BYTES + 1)):
            lines.append(line)
        return lines


class PublishLines(Generic[E]):
    """One pass over the lines, each read by ``parse``: bad ones are told and skipped, positions are told in order.

    ``headers`` are every event's that has none of that name.
    """

    def __init__(
        self,
        lines: LineReader,
        headers: Mapping[str, str | bytes],
        report: PublishReport,
        *,
        parse: Callable[[bytes], E],
    ) -> None:
        self._lines = lines
        self._parse: Callable[[bytes], E] = parse
        self._headers = headers
        self._report = report
        self._under_way: deque[tuple[int, asyncio.Future[RecordPosition]]] = deque()

    async def run(self, publish: Callable[[E], Awaitable[RecordPosition]]) -> None:
        """Publish all; raises the first error of Kafka with the number of its line."""
        queue = self._lines.start(asyncio.get_running_loop())
        number = 0
        try:
            while lines := await self._next_lines(queue):
                for line in lines:
                    number += 1
                    await self._start_line(number, line, publish)
            while self._under_way:
                await self._end_first()
        finally:
            for _, future in self._under_way:
                future.cancel()
            await asyncio.gather(*(f for _, f in self._under_way), return_exceptions=True)

    async def _next_lines(self, queue: "asyncio.Queue[list[bytes]]") -> list[bytes]:
        """The next lines; while there are none, what was written is told."""
        getting = asyncio.ensure_future(queue.get())
        try:
            while not getting.done() and self._under_way:
                either: set[asyncio.Future[Any]] = {getting, self._under_way[0][1]}
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
                while self._under_way and self._under_way[0][1].done():
                    await self._end_first()
            return await getting
        finally:
            getting.cancel()

    async def _start_line(
        self, number: int, line: bytes, publish: Callable[[E], Awaitable[RecordPosition]]
    ) -> None:
        if not line.strip():
            return
        try:
            event = self._event_of(line)
        except (NotJsonError, InvalidEventsError) as e:
            await self._end_all()  # so that what is told stays in order
            self._report.bad_line(number, e)
            return
        if self._headers:
            event = replace(event, headers={**self._headers, **event.headers})
        self._under_way.append((number, asyncio.ensure_future(publish(event))))
        if len(self._under_way) >= _WINDOW:
            await self._end_first()

    def _event_of(self, line: bytes) -> E:
        if len(line) > _MAX_LINE_BYTES:
            raise NotJsonError(f"longer than {_MAX_LINE_BYTES >> 20} MiB")
        return self._parse(line)

    async def _end_all(self) -> None:
        while self._under_way:
            await self._end_first()

    async def _end_first(self) -> None:
        number, future = self._under_way[0]
        try:
            position = await future
        except InvalidEventError as e:
            self._report.bad_line(number, e)
        except KafkaError as e:
            raise LineFailedError(f"{self._report.where(number)}: {e}") from e
        else:
            self._report.position(position)
        self._under_way.popleft()


class LineFailedError(TidewireError):
    """Kafka did not take a line; those before it were written."""
