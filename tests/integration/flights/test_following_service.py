"""The service that lets visitors follow flights: its HTTP side, and whom it tells, on a broker in memory."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from harness.waiting import eventually
from tidewire.config.streams import Stream
from tidewire.identity.issuing import issue_token
from tidewire.kafka.errors import BrokerUnavailableError
from tidewire.kafka.memory import MemoryBroker
from tidewire.kafka.partitioning import partition_of
from tidewire.kafka.records import NewRecord, Record, TopicPartition, TopicSpec
from tidewire.publishing import TARGETED_TOPIC, AsyncPublisher, BufferFullError
from tidewire_flights.following.app import Parts, create_app, load_followers
from tidewire_flights.following.followers import MOST_FLIGHTS
from tidewire_flights.following.ledger import Ledger
from tidewire_flights.following.teller import Teller
from tidewire_flights.following.visitors import Visitors

KEY = b"k" * 32
FLIGHT = "JFK/TW-1"
STREAM = Stream(topic="flights", partitions=3, table=True, group="key-prefix", epoch="e1")
ROW = {"carrier": "TW", "flight": 1, "dest": "SFO", "sched_dep": 1_357_059_600_000}
NOW = 1_000_000_000.0
PAGE = "http://127.0.0.1:8080"


@dataclass
class Service:
    broker: MemoryBroker
    http: httpx.AsyncClient

    async def visitor(self) -> Mapping[str, str]:
        """Headers of somebody new."""
        answer = await self.http.post("/api/visitor")
        assert answer.status_code == 201
        return {"Authorization": f"Bearer {answer.json()['token']}"}

    async def follow(self, visitor: Mapping[str, str], flight: str = FLIGHT) -> None:
        answer = await self.http.put(f"/api/follow/{flight}", headers=visitor)
        assert answer.status_code == 200, answer.text

    async def publish(self, status: str, flight: str = FLIGHT, **more: Any) -> None:
        await write(self.broker, flight, {**ROW, "status": status, **more})

    def told(self) -> list[tuple[str, str]]:
        """User and words of everything that was told, in order."""
        return [
            ((r.key or b"").decode(), orjson.loads(r.value or b"")["text"]) for r in self.records()
        ]

    def records(self) -> list[Record]:
        return self.broker.log(TopicPartition(TARGETED_TOPIC, 0)).read(0, 10_000)[0]

    async def has_told(self, *texts: str) -> None:
        """Exactly these words were told, in this order."""
        await eventually(lambda: [t for _, t in self.told()] == list(texts), what=f"{texts}")


async def write(broker: MemoryBroker, flight: str, row: Mapping[str, Any] | None) -> None:
    partition = partition_of(flight.partition("/")[0].encode(), STREAM.partitions)
    value = None if row is None else json.dumps(row).encode()
    await broker.writer().write(NewRecord(STREAM.topic, partition, flight.encode(), value))


@pytest.fixture
def broker() -> MemoryBroker:
    broker = MemoryBroker()
    broker.admin().create(TopicSpec(STREAM.topic, STREAM.partitions, {}))
    broker.admin().create(TopicSpec(TARGETED_TOPIC, 1, {}))
    return broker


@asynccontextmanager
async def running(broker: MemoryBroker, folder: Path) -> AsyncIterator[Service]:
    """The service from its start to its end in order, as its process runs it."""
    reader = broker.reader()
    with Ledger(folder / "following.db") as ledger:
        followers = load_followers(ledger, NOW)
        async with AsyncPublisher(broker.writer()) as publisher:
            teller = Teller(reader, publisher, STREAM, followers=followers, ledger=ledger)
            await teller.begin()
            app = create_app(Parts(Visitors(KEY), followers, ledger, teller, folder / "ready.json"))
            transport = httpx.ASGITransport(app)
            async with (
                app.router.lifespan_context(app),
                httpx.AsyncClient(transport=transport, base_url="http://following") as http,
            ):
                yield Service(broker, http)
            teller.keep()


@pytest.fixture
async def service(broker: MemoryBroker, tmp_path: Path) -> AsyncIterator[Service]:
    async with running(broker, tmp_path) as started:
        yield started


async def test_followers_of_a_flight_are_told_and_nobody_else(service: Service) -> None:
    ann, ben = await service.visitor(), await service.visitor()
    await service.follow(ann)
    await service.follow(ben, "JFK/TW-2")
    await service.publish("delayed", dep_delay=45)
    await service.publish("cancelled", "JFK/TW-3")
    await service.publish("cancelled", "JFK/TW-2")
    await service.has_told("45 min late so far", "Cancelled")
    users = [user for user, _ in service.told()]
    assert len(set(users)) == 2
    assert all(user.startswith("visitor-") for user in users)


async def test_a_notice_waits_some_hours_and_gives_way_to_a_newer_one_of_its_flight(
    service: Service,
) -> None:
    await service.follow(await service.visitor())
    await service.publish("cancelled")
    await service.has_told("Cancelled")
    headers = dict(service.records()[0].headers)
    assert headers["tidewire-ttl-ms"] == b"43200000"
    assert headers["tidewire-collapse-key"] == FLIGHT.encode()
    assert headers["ce_id"].startswith(b"e1-")


async def test_what_was_before_one_followed_is_not_told(service: Service) -> None:
    await service.publish("delayed", dep_delay=45)
    first = await service.visitor()
    await service.follow(first, "JFK/TW-9")
    await service.publish("cancelled", "JFK/TW-9")
    await service.has_told("Cancelled")  # so the delay was read before
    await service.follow(await service.visitor())
    await service.publish("delayed", dep_delay=50)
    await service.publish("departed", dep_delay=52)
    await service.has_told("Cancelled", "Left 52 min late")


async def test_whoever_unfollows_is_told_nothing_more(service: Service) -> None:
    ann, ben = await service.visitor(), await service.visitor()
    await service.follow(ann)
    await service.follow(ben, "JFK/TW-2")
    answer = await service.http.delete(f"/api/follow/{FLIGHT}", headers=ann)
    assert answer.json() == {"flights": []}
    await service.publish("cancelled")
    await service.publish("departed", "JFK/TW-2", dep_delay=0)
    await service.has_told("Left on time")


async def test_a_row_that_was_removed_begins_anew(service: Service) -> None:
    await service.follow(await service.visitor())
    await service.publish("cancelled")
    await write(service.broker, FLIGHT, None)
    await service.publish("cancelled")
    await service.has_told("Cancelled", "Cancelled")


async def test_rows_that_are_none_are_passed_over(service: Service) -> None:
    await service.follow(await service.visitor())
    partition = partition_of(b"JFK", STREAM.partitions)
    for value in (b"{", b"[]", b'{"status": 7}'):
        await service.broker.writer().write(NewRecord("flights", partition, FLIGHT.encode(), value))
    await service.publish("cancelled")
    await service.has_told("Cancelled")


async def test_a_restart_keeps_what_is_followed_and_tells_what_happened_meanwhile(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    async with running(broker, tmp_path) as first:
        ann = await first.visitor()
        await first.follow(ann)
        await first.publish("delayed", dep_delay=20)
        await first.has_told("20 min late so far")
    await write(broker, FLIGHT, {**ROW, "status": "delayed", "dep_delay": 25})
    await write(broker, FLIGHT, {**ROW, "status": "departed", "dep_delay": 26})
    async with running(broker, tmp_path) as second:
        await second.has_told("20 min late so far", "Left 26 min late")
        answer = await second.http.get("/api/follow", headers=ann)
        assert answer.json() == {"flights": [FLIGHT]}


async def test_a_notice_that_the_broker_did_not_take_is_told_again(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish = AsyncPublisher.publish_to_user
    refusals = [BrokerUnavailableError("away"), BufferFullError("full")]

    async def refuse_first(publisher: AsyncPublisher, user: str, data: object, **more: Any) -> Any:
        if refusals:
            raise refusals.pop()
        return await publish(publisher, user, data, **more)

    monkeypatch.setattr(AsyncPublisher, "publish_to_user", refuse_first)
    await service.follow(await service.visitor())
    await service.publish("delayed", dep_delay=20)
    await service.publish("cancelled")
    await service.has_told("20 min late so far", "Cancelled")
    assert refusals == []


async def test_reading_goes_on_when_the_broker_is_back(service: Service) -> None:
    await service.follow(await service.visitor())
    service.broker.set_available(False)
    failed = asyncio.create_task(service.broker.reader().start())
    await asyncio.wait([failed])
    assert isinstance(failed.exception(), BrokerUnavailableError)
    service.broker.set_available(True)
    await service.publish("cancelled")
    await service.has_told("Cancelled")


async def test_records_that_left_the_log_unread_are_passed_over(
    broker: MemoryBroker, tmp_path: Path
) -> None:
    async with running(broker, tmp_path) as first:
        ann = await first.visitor()
        await first.follow(ann)
    await write(broker, FLIGHT, {**ROW, "status": "delayed", "dep_delay": 25})
    await write(broker, FLIGHT, {**ROW, "status": "cancelled"})
    partition = partition_of(b"JFK", STREAM.partitions)
    broker.truncate_before(TopicPartition("flights", partition), 1)
    async with running(broker, tmp_path) as second:
        await second.has_told("Cancelled")


async def test_a_token_that_is_shown_is_refreshed_and_the_visitor_stays(service: Service) -> None:
    first = await service.http.post("/api/visitor")
    shown = {"Authorization": f"Bearer {first.json()['token']}"}
    again = await service.http.post("/api/visitor", headers=shown)
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json()["visitor"] == first.json()["visitor"]
    assert again.json()["expires_in_ms"] == 30 * 24 * 3600 * 1000
    assert again.headers["Cache-Control"] == "no-store"


async def test_a_token_of_another_run_makes_somebody_new(service: Service) -> None:
    token = issue_token(b"x" * 32, "visitor-" + "0" * 32, {}, ttl=60)
    answer = await service.http.post("/api/visitor", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 201
    assert answer.json()["visitor"] != "visitor-" + "0" * 32


@pytest.mark.parametrize(
    ("user", "key", "kind"),
    [
        ("", KEY, "token-missing"),
        ("ann", KEY, "token-invalid"),
        ("visitor-" + "0" * 32, b"x" * 32, "token-invalid"),
    ],
)
async def test_only_a_visitor_s_own_token_is_good(
    service: Service, user: str, key: bytes, kind: str
) -> None:
    headers = {"Authorization": f"Bearer {issue_token(key, user, {}, ttl=60)}"} if user else {}
    for method in ("PUT", "DELETE"):
        answer = await service.http.request(method, f"/api/follow/{FLIGHT}", headers=headers)
        assert answer.status_code == 401
        assert answer.json()["type"].endswith(kind)
        assert "WWW-Authenticate" in answer.headers
    assert (await service.http.get("/api/follow", headers=headers)).status_code == 401


async def test_following_twice_is_following_once(service: Service) -> None:
    ann = await service.visitor()
    await service.follow(ann)
    answer = await service.http.put(f"/api/follow/{FLIGHT}", headers=ann)
    assert answer.json() == {"flights": [FLIGHT]}


async def test_refusals_say_what_to_do(service: Service) -> None:
    ann = await service.visitor()
    nonsense = await service.http.put("/api/follow/nonsense", headers=ann)
    assert (nonsense.status_code, nonsense.json()["type"]) == (
        422,
        "urn:tidewire:problem:invalid-flight",
    )
    for number in range(MOST_FLIGHTS):
        await service.follow(ann, f"JFK/TW-{number}")
    full = await service.http.put("/api/follow/EWR/TW-1", headers=ann)
    assert full.status_code == 409
    assert "unfollow one" in full.json()["detail"]
    assert (await service.http.get("/api/nothing")).status_code == 404


async def test_only_pages_of_the_run_may_read_answers(service: Service, tmp_path: Path) -> None:
    asked = {
        "Access-Control-Request-Method": "PUT",
        "Access-Control-Request-Headers": "authorization",
    }

    async def allowed(origin: str) -> str | None:
        headers = {"Origin": origin, **asked}
        answer = await service.http.options(f"/api/follow/{FLIGHT}", headers=headers)
        origin_allowed: str | None = answer.headers.get("Access-Control-Allow-Origin")
        return origin_allowed

    assert await allowed(PAGE) is None, "the run is not ready"
    (tmp_path / "ready.json").write_text(json.dumps({"nodes": [{"http": PAGE}]}))
    assert await allowed(PAGE) == PAGE
    assert await allowed("http://localhost:8080") == "http://localhost:8080"
    for foreign in ("http://127.0.0.1:8081", "https://127.0.0.1:8080", "http://evil.test", "null"):
        assert await allowed(foreign) is None
