"""The topic of revocations, followed over every broker."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from contract.backends import Backend, MemoryBackend, new_topic
from harness.waiting import eventually
from tidewire.identity.claims import Identity
from tidewire.kafka.records import NewRecord, TopicPartition
from tidewire.revocation.errors import RevocationsUnknownError, RevokedTokenError
from tidewire.revocation.listing import read_revocations
from tidewire.revocation.reading import RevocationReader
from tidewire.revocation.records import Kind, Revocation, Subject, revocation_record
from tidewire.revocation.revocations import GRACE
from tidewire.telemetry.metrics import Metrics, create_metrics

PATIENCE = 20.0
ANA = Identity("ana", {}, 2e9, token_id="t1", issued_at=1000.0)
BOB = Identity("bob", {}, 2e9, token_id="t2", issued_at=1000.0)
USER_ANA = Subject(Kind.USER, "ana")
EVERYTHING = Revocation(2000.0)


class Site:
    def __init__(self, backend: Backend, topic: str) -> None:
        self.backend = backend
        self.topic = topic
        self.metrics = create_metrics("gateway")

    def revoke(self, *subjects: Subject, revocation: Revocation | None = EVERYTHING) -> None:
        records = [revocation_record(self.topic, subject, revocation) for subject in subjects]
        self.backend.seed(records)

    def revoke_and_leave(self, *subjects: Subject) -> None:
        """By a producer that ends: one that stays asks for its topics, which makes them where the broker makes topics."""
        writer = self.backend.sync_writer()
        for subject in subjects:
            writer.offer(revocation_record(self.topic, subject, EVERYTHING))
        writer.close(PATIENCE)

    @asynccontextmanager
    async def reading(
        self, *, clock: Callable[[], float] = lambda: 0.0
    ) -> AsyncIterator[RevocationReader]:
        reader = RevocationReader(
            self.backend.reader(),
            self.topic,
            poll_interval=0.05,
            metrics=self.metrics,
            clock=clock,
        )
        async with reader.followed():
            async with asyncio.timeout(PATIENCE):
                await reader.known()
            yield reader


@pytest.fixture
def site(reading: Backend) -> Site:
    return Site(reading, new_topic(reading))


def outcome(metrics: Metrics, name: str) -> float:
    value: float = metrics.counters("revocation_records_total", "outcome")[name]._value.get()
    return value


async def test_what_was_revoked_before_is_known_from_the_start(site: Site) -> None:
    site.revoke(USER_ANA)
    async with site.reading() as reader:
        with pytest.raises(RevokedTokenError, match="revoked"):
            reader.check(ANA)
        reader.check(BOB)


async def test_what_is_revoked_later_is_told(site: Site) -> None:
    async with site.reading() as reader:
        told = asyncio.Event()
        reader.on_revoked = told.set
        reader.check(ANA)
        site.revoke(Subject(Kind.TOKEN, "t1"))
        async with asyncio.timeout(PATIENCE):
            await told.wait()
        assert reader.is_revoked(ANA)
        assert not reader.is_revoked(BOB)


async def test_what_is_lifted_is_good_again(site: Site) -> None:
    site.revoke(USER_ANA)
    async with site.reading() as reader:
        assert reader.is_revoked(ANA)
        site.revoke(USER_ANA, revocation=None)
        await eventually(lambda: not reader.is_revoked(ANA), what="the revocation to be lifted")
    async with site.reading() as again:
        assert not again.is_revoked(ANA)


async def test_the_newest_word_on_a_user_counts(site: Site) -> None:
    """As it does where compaction has left no other."""
    site.revoke(USER_ANA, revocation=Revocation(2000.0))
    site.revoke(USER_ANA, revocation=Revocation(500.0))
    async with site.reading() as reader:
        assert not reader.is_revoked(ANA)


async def test_what_is_no_revocation_is_passed_over_and_counted(site: Site) -> None:
    broken = [(b"nobody", b"{}"), (None, b"{}"), (b"user/ana", b"{}"), (b"user/ana", b"\xff{")]
    site.backend.seed([NewRecord(site.topic, 0, key, value) for key, value in broken])
    site.revoke(Subject(Kind.USER, "bob"))
    async with site.reading() as reader:
        assert reader.is_revoked(BOB)
        assert not reader.is_revoked(ANA)
    assert outcome(site.metrics, "skipped") == 4
    assert outcome(site.metrics, "revoked") == 1


async def test_record_that_nobody_can_decode_is_passed_over_and_counted(site: Site) -> None:
    records = [
        revocation_record(site.topic, Subject(Kind.USER, name), EVERYTHING)
        for name in ("ana", "eve", "bob")
    ]
    await site.backend.seed_undecodable(records, {1})
    async with site.reading() as reader:
        assert reader.is_revoked(ANA)
        assert reader.is_revoked(BOB)
    assert outcome(site.metrics, "skipped") == 1


async def test_topic_that_begins_later_is_read_from_there(site: Site) -> None:
    for name in ("ana", "bob"):
        site.revoke(Subject(Kind.USER, name))
    site.backend.truncate_before(TopicPartition(site.topic, 0), 1)
    async with site.reading() as reader:
        assert reader.is_revoked(BOB)
        assert not reader.is_revoked(ANA)


async def test_topic_that_is_not_there_revokes_nothing_and_is_taken_up_when_it_comes(
    reading: Backend, unique_name: Callable[[str], str]
) -> None:
    site = Site(reading, unique_name("revocations"))
    async with site.reading() as reader:
        reader.check(ANA)
        new_topic(reading, name=site.topic)
        site.revoke(USER_ANA)
        await eventually(lambda: reader.is_revoked(ANA), what="the new topic to be read")


async def test_what_was_revoked_stays_so_while_the_topic_is_gone(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    """And what the one that comes instead says counts from then on."""
    site.revoke_and_leave(USER_ANA, Subject(Kind.USER, "eve"))
    async with site.reading() as reader:
        site.backend.admin().delete(site.topic)
        await eventually(lambda: "there is no topic" in caplog.text, what="the end of the topic")
        assert reader.is_revoked(ANA)
        new_topic(site.backend, name=site.topic)
        site.revoke_and_leave(Subject(Kind.USER, "bob"))
        await eventually(lambda: reader.is_revoked(BOB), what="the topic to be read anew")
        assert not reader.is_revoked(ANA)


async def test_end_of_the_topic_is_found_where_nothing_is_left_at_it(site: Site) -> None:
    """Compaction leaves holes, and so do transactions."""
    site.revoke(USER_ANA)
    site.backend.abort([revocation_record(site.topic, Subject(Kind.USER, "bob"), EVERYTHING)])
    async with site.reading() as reader:
        assert reader.is_revoked(ANA)
        assert not reader.is_revoked(BOB)


async def test_everything_that_stands_in_the_topic_is_listed(site: Site) -> None:
    site.revoke(USER_ANA, Subject(Kind.TOKEN, "t2"), Subject(Kind.USER, "eve"))
    site.revoke(Subject(Kind.USER, "eve"), revocation=None)
    site.backend.seed([NewRecord(site.topic, 0, b"nobody", b"{}")])
    reader = site.backend.reader()
    await reader.start()
    try:
        async with asyncio.timeout(PATIENCE):
            found = await read_revocations(reader, site.topic)
    finally:
        await reader.close()
    assert found == {USER_ANA: EVERYTHING, Subject(Kind.TOKEN, "t2"): EVERYTHING}


async def test_what_is_over_is_forgotten() -> None:
    backend, now = MemoryBackend(), [0.0]
    site = Site(backend, new_topic(backend))
    site.revoke(USER_ANA, revocation=Revocation(2000.0, until=100.0))
    async with site.reading(clock=lambda: now[0]) as reader:
        assert reader.is_revoked(ANA)
        now[0] = 100.0 + GRACE
        await eventually(lambda: not reader.is_revoked(ANA), what="the revocation to be over")


async def test_nothing_is_accepted_before_anything_is_known() -> None:
    backend = MemoryBackend()
    site = Site(backend, new_topic(backend))
    site.revoke(USER_ANA)
    backend.broker.set_available(False)
    reader = RevocationReader(
        backend.reader(), site.topic, poll_interval=0.05, metrics=site.metrics
    )
    async with reader.followed():
        with pytest.raises(RevocationsUnknownError):
            reader.check(BOB)
        backend.broker.set_available(True)
        async with asyncio.timeout(PATIENCE):
            await reader.known()
        reader.check(BOB)
        assert reader.is_revoked(ANA)


async def test_broker_that_goes_away_changes_nothing_until_it_is_back() -> None:
    backend = MemoryBackend()
    site = Site(backend, new_topic(backend))
    site.revoke(USER_ANA)
    async with site.reading() as reader:
        backend.broker.set_available(False)
        assert reader.is_revoked(ANA)
        reader.check(BOB)
        backend.broker.set_available(True)
        site.revoke(Subject(Kind.USER, "bob"))
        await eventually(lambda: reader.is_revoked(BOB), what="what comes to be read again")


async def test_compaction_changes_nothing_of_what_is_revoked() -> None:
    backend = MemoryBackend()
    site = Site(backend, new_topic(backend))
    site.revoke(USER_ANA, revocation=Revocation(500.0))
    site.revoke(USER_ANA, Subject(Kind.USER, "bob"))
    site.revoke(Subject(Kind.USER, "bob"), revocation=None)
    backend.broker.compact(site.topic)
    async with site.reading() as reader:
        assert reader.is_revoked(ANA)
        assert not reader.is_revoked(BOB)
