"""Mailboxes in Redis: a stream a user, its entries named by the offsets of the targeted topic."""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from .errors import PartitionsChangedError, StoreUnavailableError
from .mailbox_scripts import APPEND, READ
from .mailboxes import MailboxLimits, Page
from .messages import Letter, Message
from .redis_calls import asking

__all__ = ["RedisMailboxes", "claim_topic"]

META_TTL_MS: Final = 30 * 86_400_000
"""A stream may go when its last message has expired. That there was one must be known for longer: it tells who comes back
whether anything is lost. Who stays away for a month, and is sent nothing meanwhile, is told that something may be."""

REPLICATION_TIMEOUT_MS: Final = 1_000
TOPICS_KEY: Final = "tidewire:mailboxes"
_ESCAPES: Final = str.maketrans({"%": "%25", "{": "%7B", "}": "%7D", ":": "%3A"})


class RedisMailboxes:
    """Port `Mailboxes`. ``epoch`` is the targeted topic's, ``now_ms`` tells Unix milliseconds. Owns the client.

    Redis must not evict keys (maxmemory-policy noeviction): who has had nothing of an evicted mailbox is not told. What a
    primary took is lost with it where its replicas have it not: ``replicas`` says how many must before `append` returns.
    """

    def __init__(
        self,
        client: Redis,
        epoch: str,
        limits: MailboxLimits,
        now_ms: Callable[[], int],
        *,
        replicas: int = 0,
    ) -> None:
        self._client = client
        self._epoch = epoch.translate(_ESCAPES)
        self._limits = limits
        self._now_ms = now_ms
        self._replicas = replicas

    async def append(self, messages: Sequence[Message]) -> Sequence[int | None]:
        """Atomic for each user, in one round trip for all."""
        if not messages:
            return []
        indexes_by_user: defaultdict[str, list[int]] = defaultdict(list)
        for index, message in enumerate(messages):
            indexes_by_user[message.user].append(index)
        now = self._now_ms()
        calls = [
            self._call(user, [messages[index] for index in indexes], now)
            for user, indexes in indexes_by_user.items()
        ]
        async with asking(self._client):
            answers = await self._run(APPEND, calls)
        prevs: list[int | None] = [None] * len(messages)
        for indexes, answer in zip(indexes_by_user.values(), answers, strict=True):
            for index, prev in zip(indexes, answer, strict=True):
                prevs[index] = None if prev < 0 else prev
        return prevs

    async def read(self, user: str, after: int, *, limit: int = 100) -> Page:
        """One round trip, but for a page of which everything has expired."""
        assert limit > 0
        stream, meta, _ = self._keys(user)
        now = self._now_ms()
        floor, letters = -1, list[Letter]()
        async with asking(self._client):
            while True:
                ((last_text, floor_text, first_text, *entries),) = await self._run(
                    READ, [[2, stream, meta, after + 1, limit]]
                )
                last = -1 if last_text is None else int(last_text)
                found = [_letter(user, entry) for entry in entries]
                letters = [letter for letter in found if letter.expires_at_ms > now]
                expired = (x.offset for x in found if x.expires_at_ms <= now)
                floor = max([floor, -1 if floor_text is None else int(floor_text), *expired])
                after = found[-1].offset if found else after
                is_complete = len(found) < limit or after >= last
                if letters or is_complete:
                    break
        if is_complete and after < last:  # the newest is neither trimmed nor superseded: it expired
            floor = max(floor, last)
        first = None if first_text is None else int(first_text)
        return Page(letters, floor, None if last < 0 else last, is_complete, first)

    async def close(self) -> None:
        await self._client.aclose()

    def _keys(self, user: str) -> tuple[str, str, str]:
        """Of the stream, of what is known about it, of its collapse keys: all in one slot of a cluster."""
        stream = f"tidewire:mailbox:{{{self._epoch}:{user.translate(_ESCAPES)}}}"
        return stream, f"{stream}:meta", f"{stream}:keys"

    def _call(self, user: str, messages: Iterable[Message], now: int) -> list[Any]:
        """EVALSHA's arguments behind the digest."""
        limits = self._limits
        meta_ttl = max(META_TTL_MS, limits.ttl_ms)
        call: list[Any] = [3, *self._keys(user)]
        call += [now, limits.length, limits.ttl_ms, meta_ttl]
        for m in messages:
            expires = m.expires_at_ms(limits.ttl_ms) if m.is_kept else ""
            call += [m.offset, expires, m.id, m.data, m.ts_ms, m.partition]
            call += [m.collapse_key or "", m.traceparent or ""]
        return call

    async def _run(self, script: str, calls: Sequence[Sequence[Any]]) -> list[Any]:
        """The answers of a script that is called several times, in one round trip where Redis knows it."""
        answers = await self._evaluate(script, calls)
        unknown = [i for i, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
        if unknown:  # a server that was restarted, or took over
            await self._client.script_load(script)
            again = await self._evaluate(script, [calls[i] for i in unknown])
            for i, answer in zip(unknown, again, strict=True):
                answers[i] = answer
        for answer in answers:
            if isinstance(answer, Exception):
                raise answer
        return answers

    async def _evaluate(self, script: str, calls: Sequence[Sequence[Any]]) -> list[Any]:
        pipeline = self._client.pipeline(transaction=False)
        for call in calls:
            pipeline.evalsha(_digest(script), *call)
        must_wait = script is APPEND and self._replicas > 0
        if must_wait:
            pipeline.execute_command("WAIT", self._replicas, REPLICATION_TIMEOUT_MS)
        answers: list[Any] = await pipeline.execute(raise_on_error=False)
        if must_wait:
            self._require_replicas(answers.pop())
        return answers

    def _require_replicas(self, reached: int | Exception) -> None:
        if isinstance(reached, Exception):
            raise reached
        if reached < self._replicas:
            raise StoreUnavailableError(
                f"{reached} replicas of Redis have what was appended and {self._replicas} must: "
                "see that they run and can reach the primary"
            )


async def claim_topic(client: Redis, epoch: str, partitions: int) -> None:
    """Remember how many partitions the topic of the mailboxes of ``epoch`` has.

    Raises `PartitionsChangedError` where it had another number: users have moved to partitions whose offsets are lower
    than those in their mailboxes, so that new messages would be taken for old ones.
    """
    async with asking(client):
        pipeline = client.pipeline(transaction=True)
        pipeline.hsetnx(TOPICS_KEY, epoch, str(partitions))
        pipeline.hget(TOPICS_KEY, epoch)
        _, begun = await pipeline.execute()
    if int(begun) != partitions:
        raise PartitionsChangedError(
            f"the targeted topic has {partitions} partitions, and the mailboxes in Redis were begun with "
            f"{int(begun)}: messages of users who moved would look old and be lost. Stop the publishers, delete the topic "
            f"and make it anew with the partitions that you want; its mailboxes begin anew with it"
        )


@cache
def _digest(script: str) -> str:
    """The name under which Redis knows a script."""
    return hashlib.sha1(script.encode(), usedforsecurity=False).hexdigest()


def _letter(user: str, entry: bytes) -> Letter:
    offset, ts, expires, partition, prev, traceparent, id_size, key_size, rest = entry.split(
        b" ", 8
    )
    data_at = int(id_size) + int(key_size)
    return Letter(
        user=user,
        id=rest[: int(id_size)].decode(),
        data=rest[data_at:],
        ts_ms=int(ts),
        expires_at_ms=int(expires),
        partition=int(partition),
        offset=int(offset),
        prev=int(prev) if prev else None,
        collapse_key=rest[int(id_size) : data_at].decode() or None,
        traceparent=traceparent.decode() or None,
    )
