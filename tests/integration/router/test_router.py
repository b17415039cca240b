"""The router over parts in memory: what becomes of messages, whatever goes away meanwhile."""

import asyncio
import contextlib

import pytest

from harness.waiting import eventually
from integration.router.parts import DLQ, INBOX, TARGETED, Site, now_ms, place
from tidewire.kafka.partitioning import partition_of
from tidewire.kafka.records import NewRecord, TopicPartition, TopicSpec
from tidewire.targeting.errors import PartitionsChangedError
from tidewire_router.errors import TopicChangedError
from tidewire_router.topic import TopicFacts

PATIENT = {"lookup_ttl": 60.0}


async def test_a_message_is_kept_and_goes_to_every_place_of_its_user() -> None:
    site = Site()
    site.registry.places["ann"] = (place(0), place(2))
    async with site.router() as router:
        first = site.publish("ann", 1)
        site.publish("ann", 2)
        await eventually(lambda: len(site.inbox(2)) == 2)
        await eventually(lambda: site.committed() == 2)

        for slot in (0, 2):
            (epoch, letter), (_, second) = site.inbox(slot)
            assert epoch == f"epoch-{slot}"
            assert (letter.user, letter.id, letter.data) == ("ann", "ann:1", b"1")
            assert (letter.partition, letter.offset, letter.prev) == (first.partition, 0, None)
            assert second.prev == 0
        assert await site.mailbox("ann") == ["ann:1", "ann:2"]
        assert router.metric("router_messages_total", "routed") == 2
        assert router.metric("router_inbox_records_total") == 4
        await eventually(lambda: router.metric("router_partitions") == 2)
    assert site.opened == [TopicFacts("memory-1", 2)]


async def test_who_is_nowhere_finds_the_message_in_the_mailbox() -> None:
    site = Site()
    async with site.router() as router:
        site.publish("ann", 1)
        site.publish("ann", 2, ttl_ms=0)
        await eventually(lambda: site.committed() == 2)

        assert await site.mailbox("ann") == ["ann:1"]
        assert all(site.inbox(slot) == [] for slot in range(4))
        assert router.metric("router_messages_total", "mailbox_only") == 1
        assert router.metric("router_messages_total", "nowhere") == 1


async def test_a_message_for_now_or_never_is_routed_and_not_kept() -> None:
    site = Site()
    site.registry.places["ann"] = (place(1),)
    async with site.router():
        site.publish("ann", 1)
        site.publish("ann", 2, ttl_ms=0)
        await eventually(lambda: site.ids(1) == ["ann:1", "ann:2"])

        (_, kept), (_, passing) = site.inbox(1)
        assert (kept.is_kept, passing.is_kept) == (True, False)
        assert passing.prev == 0
        assert passing.expires_at_ms > now_ms()
        assert await site.mailbox("ann") == ["ann:1"]


async def test_what_has_expired_is_dropped_and_counted() -> None:
    site = Site()
    site.registry.places["ann"] = (place(1),)
    async with site.router() as router:
        site.publish("ann", 1, ttl_ms=1000, ts_ms=now_ms() - 2000)
        site.publish("ann", 2)
        await eventually(lambda: site.ids(1) == ["ann:2"])

        assert await site.mailbox("ann") == ["ann:2"]
        assert router.metric("router_messages_total", "expired") == 1


async def test_what_cannot_be_routed_becomes_a_dead_letter() -> None:
    site = Site()
    own = TopicPartition(TARGETED, partition_of(b"ann", 2))
    site.broker.append(
        NewRecord(TARGETED, own.partition, b"ann", b"{", [("ce_id", b"1"), ("x", b"y")])
    )
    site.broker.append_undecodable(own)
    async with site.router() as router:
        await eventually(lambda: len(site.records(DLQ)) == 2)
        await eventually(lambda: site.group.committed.get(own) == 2)

        by_offset = {dict(r.headers)["tidewire-dlq-offset"]: r for r in site.records(DLQ)}
        assert dict(by_offset[b"0"].headers) | {"x": b"y"} == dict(by_offset[b"0"].headers)
        assert dict(by_offset[b"0"].headers)["tidewire-dlq-reason"] == b"not_json"
        assert by_offset[b"0"].value == b"{"
        assert dict(by_offset[b"1"].headers)["tidewire-dlq-reason"] == b"undecodable"
        assert router.metric("router_messages_total", "dead_letter") == 2


async def test_a_dead_letter_that_is_too_large_for_its_topic_goes_without_its_value() -> None:
    site = Site()
    site.broker.delete(DLQ)
    site.broker.create(TopicSpec(DLQ, 1, {"max.message.bytes": "2000"}))
    site.broker.append(NewRecord(TARGETED, 0, b"ann", b"{" * 3000, [("ce_id", b"1")]))
    async with site.router() as router:
        await eventually(lambda: site.records(DLQ))

        (record,) = site.records(DLQ)
        assert record.value == b""  # aiokafka writes none that has neither key nor value
        assert ("tidewire-dlq-value-omitted", b"3000") in record.headers
        assert router.metric("router_failures_total", "too_large") == 1


async def test_a_record_that_an_inbox_does_not_take_holds_nothing_up() -> None:
    site = Site()
    site.broker.delete(INBOX)
    site.broker.create(TopicSpec(INBOX, 4, {"max.message.bytes": "2000"}))
    site.registry.places["ann"] = (place(1),)
    async with site.router() as router:
        site.broker.append(
            NewRecord(TARGETED, 0, b"ann", b'"%s"' % (b"x" * 3000), [("ce_id", b"ann:1")])
        )
        site.broker.append(NewRecord(TARGETED, 0, b"ann", b"2", [("ce_id", b"ann:2")]))
        await eventually(lambda: site.ids(1) == ["ann:2"])

        assert await site.mailbox("ann") == ["ann:1", "ann:2"]
        assert router.metric("router_failures_total", "too_large") == 1


async def test_users_are_looked_up_together_and_remembered_for_a_time() -> None:
    site = Site(partitions=1)
    for number in range(1500):
        site.publish(f"user-{number % 1200}", number)
    async with site.router(**PATIENT, batch_records=2000) as router:
        await eventually(lambda: site.committed() == 1500)

        asked = [user for users in site.registry.lookups for user in users]
        assert len(asked) == len(set(asked)) == 1200
        assert router.metric("router_users_looked_up_total", "registry") == 1200


async def test_what_partitions_want_while_a_lookup_is_under_way_is_asked_together() -> None:
    site = Site(partitions=8)
    users = [f"user-{n}" for n in range(100)]
    site.registry.answering.clear()
    async with site.router(**PATIENT):
        for user in users:
            site.publish(user, 1)
        await eventually(lambda: len(site.mailboxes.appended) == 100)
        site.registry.answering.set()
        await eventually(lambda: site.committed() == 100)

        first, second = site.registry.lookups
        assert sorted((*first, *second)) == sorted(users)


async def test_a_lookup_that_ends_with_its_partition_is_made_for_the_others() -> None:
    site = Site(partitions=4)
    users = [f"user-{n}" for n in range(40)]
    site.registry.places |= {user: (place(1),) for user in users}
    site.registry.answering.clear()
    async with site.router(revoke_timeout=0.05):
        for user in users:
            site.publish(user, 1)
        await eventually(lambda: len(site.mailboxes.appended) == 40)
        async with site.router(revoke_timeout=0.05):
            await eventually(lambda: len(site.registry.lookups) >= 2)
            site.registry.answering.set()
            await eventually(lambda: site.committed() == 40)

    assert set(site.ids(1)) == {f"{user}:1" for user in users}


class TestRegistryAway:
    async def test_known_users_are_routed_as_before_and_unknown_ones_wait(self) -> None:
        site = Site(partitions=1)
        site.registry.places |= {"ann": (place(0),), "bob": (place(1),)}
        async with site.router() as router:
            site.publish("ann", 1)
            await eventually(lambda: site.committed() == 1)
            site.registry.is_away = True
            site.publish("ann", 2)
            site.publish("bob", 1)
            site.publish("ann", 3)
            await eventually(lambda: site.ids(0) == ["ann:1", "ann:2", "ann:3"])
            await eventually(lambda: router.metric("router_waiting_messages") == 1)

            assert site.ids(1) == []
            assert await site.mailbox("bob") == ["bob:1"]
            assert router.metric("router_registry_away") == 1
            await eventually(lambda: site.committed() == 2)
            await eventually(lambda: router.metric("router_lag_records") == 2)
            assert site.committed() == 2

            site.registry.is_away = False
            await eventually(lambda: site.ids(1) == ["bob:1"])
            await eventually(lambda: site.committed() == 4)
            assert router.metric("router_waiting_messages") == 0
            assert router.metric("router_registry_away") == 0
            assert site.ids(0) == ["ann:1", "ann:2", "ann:3"]

    async def test_who_has_moved_meanwhile_gets_the_messages_once_it_answers(self) -> None:
        site = Site(partitions=1)
        site.registry.places["ann"] = (place(0),)
        async with site.router() as router:
            site.publish("ann", 1)
            await eventually(lambda: site.ids(0) == ["ann:1"])
            site.registry.is_away = True
            site.registry.places["ann"] = (place(3),)
            number = 1

            def is_routed_by_old_knowledge() -> bool:
                nonlocal number
                number += 1
                site.publish("ann", number)
                return router.metric("router_detours_total", "stale") >= 3

            await eventually(is_routed_by_old_knowledge)
            await eventually(lambda: f"ann:{number}" in site.ids(0))
            unconfirmed = int(router.metric("router_detours_total", "stale"))
            assert site.committed() <= number - unconfirmed  # another router would begin with these
            site.registry.is_away = False
            await eventually(lambda: router.metric("router_registry_away") == 0)
            site.publish("ann", number + 1)
            await eventually(lambda: f"ann:{number + 1}" in site.ids(3))

            stale = int(router.metric("router_detours_total", "stale"))
            assert router.metric("router_detours_total", "rerouted") == stale
            missed = [f"ann:{n}" for n in range(number - stale + 1, number + 2)]
            assert site.ids(3) == missed
            assert site.ids(0) == [f"ann:{n}" for n in range(1, number + 1)]
            await eventually(lambda: site.committed() == number + 1)

    async def test_where_no_more_may_wait_the_partition_stands_and_nothing_is_lost(self) -> None:
        site = Site(partitions=1)
        users = [f"user-{n}" for n in range(50)]
        site.registry.places |= {user: (place(1),) for user in users}
        site.registry.is_away = True
        async with site.router(max_waiting=10, batch_records=5) as router:
            for user in users:
                site.publish(user, 1)
            await eventually(lambda: router.metric("router_held_partitions") == 1)
            await eventually(lambda: router.metric("router_lag_records") == 50)

            assert router.metric("router_waiting_messages") == 10
            assert site.ids(1) == []
            assert site.committed() == 0

            site.registry.is_away = False
            await eventually(lambda: site.committed() == 50)
            assert site.ids(1) == [f"{user}:1" for user in users]
            assert router.metric("router_held_partitions") == 0

    async def test_a_router_that_ends_leaves_what_waits_to_the_next(self) -> None:
        site = Site(partitions=1)
        site.registry.places["ann"] = (place(1),)
        site.registry.is_away = True
        async with site.router() as router:
            site.publish("ann", 1)
            await eventually(lambda: router.metric("router_waiting_messages") == 1)
        assert site.committed() == 0

        site.registry.is_away = False
        async with site.router():
            await eventually(lambda: site.ids(1) == ["ann:1"])
            await eventually(lambda: site.committed() == 1)


async def test_while_the_store_is_away_nothing_is_routed_and_nothing_lost() -> None:
    site = Site()
    site.registry.places["ann"] = (place(1),)
    site.mailboxes.store.set_available(False)
    async with site.router() as router:
        site.publish("ann", 1)
        await eventually(lambda: router.metric("router_failures_total", "store") >= 2)
        assert site.ids(1) == []
        assert site.committed() == 0

        site.mailboxes.store.set_available(True)
        await eventually(lambda: site.ids(1) == ["ann:1"])
        await eventually(lambda: site.committed() == 1)


async def test_while_kafka_is_away_the_router_waits_and_goes_on() -> None:
    site = Site()
    site.registry.places["ann"] = (place(1),)
    async with site.router() as router:
        site.publish("ann", 1)
        await eventually(lambda: site.ids(1) == ["ann:1"])
        site.broker.set_available(False)
        await eventually(lambda: router.metric("router_failures_total", "kafka") >= 3)
        assert router.router.is_ready
        site.broker.set_available(True)

        site.publish("ann", 2)
        await eventually(lambda: site.ids(1) == ["ann:1", "ann:2"])
        await eventually(lambda: site.committed() == 2)


async def test_a_router_starts_once_everything_it_needs_is_there() -> None:
    site = Site()
    site.broker.set_available(False)
    running = site.start()
    await eventually(lambda: running.metric("router_failures_total", "kafka") >= 1)
    assert not running.router.is_ready

    site.broker.set_available(True)
    await eventually(lambda: running.router.is_ready)
    running.router.stop()
    await running.task
    assert not running.router.is_ready


async def test_a_router_that_is_stopped_before_it_has_started_ends() -> None:
    site = Site()
    site.broker.set_available(False)
    running = site.start()
    await eventually(lambda: running.metric("router_failures_total", "kafka") >= 1)

    running.router.stop()
    async with asyncio.timeout(10.0):
        await running.task


async def test_writes_under_way_are_finished_and_committed_before_a_router_ends() -> None:
    site = Site()
    site.registry.places["ann"] = (place(1),)
    async with site.router() as running:
        site.broker.hold_acknowledgements(True)
        site.publish("ann", 1)
        await eventually(lambda: site.mailboxes.appended)
        running.router.stop()
        site.broker.hold_acknowledgements(False)
        await running.task

    assert site.ids(1) == ["ann:1"]
    assert site.committed() == 1


async def test_a_second_router_takes_its_share_and_no_message_is_lost_or_out_of_order() -> None:
    site = Site(partitions=4)
    users = [f"user-{n}" for n in range(20)]
    site.registry.places |= {user: (place(n % 4),) for n, user in enumerate(users)}
    async with site.router() as first:
        for number in range(10):
            for user in users:
                site.publish(user, number)
        async with site.router() as second:
            await eventually(lambda: second.metric("router_partitions") == 2)
            assert first.metric("router_partitions") == 2
            for number in range(10, 20):
                for user in users:
                    site.publish(user, number)
            await eventually(lambda: site.committed() == 400)
        await eventually(lambda: first.metric("router_partitions") == 4)

    for slot in range(4):
        for user in users[slot::4]:
            got = [letter_id for letter_id in site.ids(slot) if letter_id.startswith(f"{user}:")]
            firsts = list(dict.fromkeys(got))
            assert firsts == [f"{user}:{number}" for number in range(20)]
            assert await site.mailbox(user) == firsts


async def test_what_a_killed_router_had_not_committed_is_routed_by_the_next() -> None:
    site = Site(partitions=2)
    users = [f"user-{n}" for n in range(6)]
    site.registry.places |= {user: (place(1),) for user in users}
    killed = site.start(commit_interval=30.0)  # it commits its first batch at most
    await eventually(lambda: killed.router.is_ready)
    for number in range(5):
        for user in users:
            site.publish(user, number)
        sent = (number + 1) * len(users)
        await eventually(lambda sent=sent: len(site.ids(1)) >= sent)  # type: ignore[misc] # bound now
    await site.group.expire(killed.reader)
    killed.task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await killed.task

    async with site.router():
        for user in users:
            site.publish(user, 5)
        await eventually(lambda: site.committed() == 36)

    for user in users:
        got = [letter_id for letter_id in site.ids(1) if letter_id.startswith(f"{user}:")]
        assert list(dict.fromkeys(got)) == [f"{user}:{number}" for number in range(6)]
        assert await site.mailbox(user) == [f"{user}:{number}" for number in range(6)]


async def test_records_that_retention_took_are_counted() -> None:
    site = Site(partitions=1)
    for number in range(5):
        site.publish("ann", number)
    site.group.committed[TopicPartition(TARGETED, 0)] = 1
    site.broker.truncate_before(TopicPartition(TARGETED, 0), 3)
    async with site.router() as router:
        await eventually(lambda: site.committed() == 5)

        assert router.metric("router_missed_records_total") == 2
        assert await site.mailbox("ann") == ["ann:3", "ann:4"]


async def test_a_backlog_larger_than_a_lane_holds_is_routed_whole() -> None:
    site = Site(partitions=1)
    site.registry.places["ann"] = (place(1),)
    for number in range(300):
        site.publish("ann", number)
    async with site.router(batch_records=10) as router:
        await eventually(lambda: site.committed() == 300)

        assert site.ids(1) == [f"ann:{number}" for number in range(300)]
        assert router.metric("router_messages_total", "routed") == 300


async def test_a_topic_that_is_made_anew_ends_the_router() -> None:
    site = Site()
    async with site.router() as running:
        site.broker.delete(TARGETED)
        site.broker.create(TopicSpec(TARGETED, 2, {}))

        with pytest.raises(TopicChangedError, match="made anew"):
            await asyncio.wait_for(asyncio.shield(running.task), 10.0)
    assert not running.router.is_ready


async def test_a_topic_whose_mailboxes_were_begun_otherwise_is_refused() -> None:
    site = Site(begun_with=3)
    running = site.start()

    with pytest.raises(PartitionsChangedError):
        await asyncio.wait_for(running.task, 10.0)
