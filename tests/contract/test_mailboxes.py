"""What every implementation of mailboxes does."""

from collections.abc import AsyncIterator

import pytest

from contract.mailbox_stores import BEGIN_MS, TTL_MS, Clock, OpenMailboxes, letter, message, opener
from contract.redis_backends import EVERY_REDIS, embedded_redis_url, real_redis_url
from tidewire.targeting.errors import StoreUnavailableError
from tidewire.targeting.mailboxes import Mailboxes, MailboxLimits, Page
from tidewire.targeting.mailboxes_memory import MemoryMailboxes

__all__ = ["embedded_redis_url", "real_redis_url"]  # fixtures

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["memory", *EVERY_REDIS])
def open_mailboxes(request: pytest.FixtureRequest, clock: Clock) -> OpenMailboxes:
    urls = {"embedded_redis": "embedded_redis_url", "redis": "real_redis_url"}
    name = urls.get(request.param)
    return opener(None if name is None else request.getfixturevalue(name), clock)


@pytest.fixture
async def mailboxes(open_mailboxes: OpenMailboxes) -> AsyncIterator[Mailboxes]:
    """Mailboxes of up to 1,000 messages."""
    mailboxes = open_mailboxes()
    yield mailboxes
    await mailboxes.close()


@pytest.fixture
async def short(open_mailboxes: OpenMailboxes) -> AsyncIterator[Mailboxes]:
    """Mailboxes of up to three messages."""
    mailboxes = open_mailboxes(length=3)
    yield mailboxes
    await mailboxes.close()


def offsets(page: Page) -> list[int]:
    return [letter.offset for letter in page.letters]


async def test_a_mailbox_that_never_had_a_message_is_empty(mailboxes: Mailboxes) -> None:
    assert await mailboxes.read("ada", -1) == Page([], -1, None, True)


async def test_nothing_is_appended_at_once(mailboxes: Mailboxes) -> None:
    assert list(await mailboxes.append([])) == []


async def test_letters_are_read_as_the_messages_were_published(mailboxes: Mailboxes) -> None:
    plain = message(0)
    full = message(
        2**53 - 1,
        id="größe \r\n",
        data='{"emoji":"👩‍🚀\\u0000"}'.encode(),
        ts_ms=BEGIN_MS + 7,
        ttl_ms=500,
        collapse_key="k:{}%\n",
        traceparent=TRACE,
    )
    assert list(await mailboxes.append([plain, full])) == [None, 0]
    page = await mailboxes.read("ada", -1)
    assert page == Page([letter(plain, None), letter(full, 0)], -1, full.offset, True, 0)


async def test_each_message_names_the_one_before_it_in_its_mailbox(mailboxes: Mailboxes) -> None:
    batch = [message(5), message(6, "bob"), message(9), message(11, "bob"), message(12)]
    assert list(await mailboxes.append(batch)) == [None, None, 5, 6, 9]
    assert list(await mailboxes.append([message(20, "bob"), message(21)])) == [11, 12]
    assert offsets(await mailboxes.read("bob", -1)) == [6, 11, 20]


@pytest.mark.parametrize(
    ("after", "expected"), [(-1, [0, 4, 9]), (0, [4, 9]), (3, [4, 9]), (4, [9]), (9, []), (99, [])]
)
async def test_a_mailbox_is_read_beyond_an_offset(
    mailboxes: Mailboxes, after: int, expected: list[int]
) -> None:
    await mailboxes.append([message(0), message(4), message(9)])
    page = await mailboxes.read("ada", after)
    assert (offsets(page), page.last, page.is_complete) == (expected, 9, True)


async def test_a_long_mailbox_is_read_in_pages(mailboxes: Mailboxes) -> None:
    await mailboxes.append([message(offset) for offset in range(10)])
    pages = [await mailboxes.read("ada", -1, limit=4)]
    while not pages[-1].is_complete:
        pages.append(await mailboxes.read("ada", pages[-1].letters[-1].offset, limit=4))
    assert [offsets(page) for page in pages] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


async def test_a_page_that_ends_with_the_newest_is_the_last(mailboxes: Mailboxes) -> None:
    await mailboxes.append([message(offset) for offset in range(4)])
    page = await mailboxes.read("ada", -1, limit=4)
    assert (offsets(page), page.is_complete) == ([0, 1, 2, 3], True)


async def test_messages_that_are_appended_again_change_nothing_and_get_what_they_got(
    mailboxes: Mailboxes, open_mailboxes: OpenMailboxes
) -> None:
    batch = [message(2), message(3, ttl_ms=0), message(5, collapse_key="k"), message(8)]
    first = await mailboxes.append(batch)
    before = await mailboxes.read("ada", -1)

    other = open_mailboxes()  # another router, after a rebalance
    assert list(await other.append(batch)) == list(first) == [None, 2, 2, 5]
    assert list(await other.append(batch[2:])) == [2, 5]
    await other.append([message(5, data=b'"changed"')])
    if other is not mailboxes:
        await other.close()

    assert await mailboxes.read("ada", -1) == before


async def test_a_message_for_now_or_never_is_not_kept_and_names_the_newest_that_is(
    mailboxes: Mailboxes,
) -> None:
    assert list(await mailboxes.append([message(4, ttl_ms=0)])) == [None]
    assert await mailboxes.read("ada", -1) == Page([], -1, None, True)

    batch = [message(5), message(6, ttl_ms=0), message(7, ttl_ms=0), message(8)]
    assert list(await mailboxes.append(batch)) == [None, 5, 5, 5]
    page = await mailboxes.read("ada", -1)
    assert (offsets(page), page.floor, page.last) == ([5, 8], -1, 8)


async def test_a_full_mailbox_lets_the_oldest_go_and_says_so(short: Mailboxes) -> None:
    assert list(await short.append([message(offset) for offset in range(10, 15)])) == [
        None,
        10,
        11,
        12,
        13,
    ]
    assert await short.read("ada", -1) == Page(
        [letter(message(n), n - 1) for n in (12, 13, 14)], 11, 14, True, 10
    )
    assert list(await short.append([message(20)])) == [14]
    page = await short.read("ada", -1)
    assert (offsets(page), page.floor) == ([13, 14, 20], 12)


async def test_a_mailbox_is_read_without_what_has_expired(
    mailboxes: Mailboxes, clock: Clock
) -> None:
    await mailboxes.append([message(1, ttl_ms=1_000), message(2), message(3, ttl_ms=2_000)])

    clock.ms += 999
    assert offsets(await mailboxes.read("ada", -1)) == [1, 2, 3]
    clock.ms += 1
    page = await mailboxes.read("ada", -1)
    assert (offsets(page), page.floor) == ([2, 3], 1)
    clock.ms += 1_000
    page = await mailboxes.read("ada", -1)
    assert (offsets(page), page.floor, page.last) == ([2], 3, 3)
    clock.ms = BEGIN_MS + TTL_MS
    assert await mailboxes.read("ada", -1) == Page([], 3, 3, True, 1)


async def test_what_has_expired_is_forgotten_with_the_next_message_but_for_the_floor(
    mailboxes: Mailboxes, clock: Clock
) -> None:
    await mailboxes.append([message(1, ttl_ms=10), message(2, ttl_ms=20), message(3)])
    clock.ms += 20
    assert list(await mailboxes.append([message(4)])) == [3]
    clock.ms = BEGIN_MS  # what is gone does not come back, even by a clock that goes wrong
    page = await mailboxes.read("ada", -1)
    assert (offsets(page), page.floor) == ([3, 4], 2)


async def test_the_next_message_of_an_emptied_mailbox_names_the_newest_that_was_in_it(
    mailboxes: Mailboxes, clock: Clock
) -> None:
    await mailboxes.append([message(1), message(2)])
    clock.ms += TTL_MS
    assert list(await mailboxes.append([message(3, ts_ms=clock.ms)])) == [2]
    page = await mailboxes.read("ada", -1)
    assert (offsets(page), page.floor, page.last) == ([3], 2, 3)


async def test_a_message_that_comes_too_late_is_not_kept_but_counted_as_lost(
    short: Mailboxes, clock: Clock
) -> None:
    clock.ms += 5_000
    await short.append([message(1), message(2), message(3)])
    late = [message(4, ttl_ms=5_000), message(5, ttl_ms=4_000)]
    assert list(await short.append(late)) == [3, 4]
    page = await short.read("ada", -1)
    assert (offsets(page), page.floor, page.last) == ([1, 2, 3], 5, 5)
    assert list(await short.append([message(6)])) == [5]


async def test_a_mailbox_knows_with_what_it_began(short: Mailboxes, clock: Clock) -> None:
    await short.append([message(3, ttl_ms=0), message(4, collapse_key="k")])
    await short.append([message(n, collapse_key="k") for n in range(5, 10)])
    clock.ms += TTL_MS
    await short.append([message(12, ts_ms=clock.ms)])
    assert (await short.read("ada", -1)).first == 4


async def test_pages_pass_over_what_has_expired_and_end(mailboxes: Mailboxes, clock: Clock) -> None:
    await mailboxes.append([message(0)])
    await mailboxes.append([message(offset, ttl_ms=100) for offset in range(1, 8)])
    await mailboxes.append([message(8)])
    clock.ms += 100

    first = await mailboxes.read("ada", -1, limit=2)
    assert (offsets(first), first.floor, first.is_complete) == ([0], 1, False)
    second = await mailboxes.read("ada", 0, limit=2)
    assert (offsets(second), second.floor, second.is_complete) == ([8], 7, True)


async def test_a_newer_message_of_a_key_takes_the_place_of_the_older(mailboxes: Mailboxes) -> None:
    a, b = {"collapse_key": "a"}, {"collapse_key": "b"}
    batch = [message(1, **a), message(2, **b), message(3), message(4, **a)]
    assert list(await mailboxes.append(batch)) == [None, 1, 2, 3]
    page = await mailboxes.read("ada", -1)
    assert (offsets(page), page.floor) == ([2, 3, 4], -1)

    assert list(await mailboxes.append([message(5, **a), message(6, "bob", **a)])) == [4, None]
    page = await mailboxes.read("ada", -1)
    assert (offsets(page), page.floor) == ([2, 3, 5], -1)
    assert offsets(await mailboxes.read("bob", -1)) == [6]


async def test_a_key_counts_again_when_its_message_was_trimmed_or_has_expired(
    short: Mailboxes, clock: Clock
) -> None:
    key = {"collapse_key": "k"}
    await short.append([message(1, **key), message(2), message(3), message(4)])
    await short.append([message(5, **key, ttl_ms=10)])
    page = await short.read("ada", -1)
    assert (offsets(page), page.floor) == ([3, 4, 5], 2)
    clock.ms += 10
    await short.append([message(6, **key)])
    page = await short.read("ada", -1)
    assert (offsets(page), page.floor) == ([3, 4, 6], 2)


async def test_a_message_that_comes_too_late_still_supersedes(
    mailboxes: Mailboxes, clock: Clock
) -> None:
    key = {"collapse_key": "k"}
    clock.ms += 10
    await mailboxes.append([message(1, **key), message(2, **key, ttl_ms=10)])
    assert await mailboxes.read("ada", -1) == Page([], 2, 2, True, 1)
    await mailboxes.append([message(3, **key)])
    assert offsets(await mailboxes.read("ada", -1)) == [3]


async def test_a_superseded_message_that_is_appended_again_does_not_come_back(
    mailboxes: Mailboxes,
) -> None:
    batch = [message(1), message(2, collapse_key="k"), message(3, collapse_key="k")]
    assert list(await mailboxes.append(batch)) == [None, 1, 2]
    assert list(await mailboxes.append(batch)) == [None, 1, 2]
    assert offsets(await mailboxes.read("ada", -1)) == [1, 3]


async def test_a_trimmed_message_that_is_appended_again_asks_for_the_mailbox_to_be_read(
    short: Mailboxes,
) -> None:
    batch = [message(offset) for offset in range(1, 7)]
    first = await short.append(batch)
    again = await short.append(batch)
    assert list(again[3:]) == list(first[3:])
    assert list(again[:3]) == [
        0,
        1,
        2,
    ]  # 1 may be lost to whoever has nothing yet: that is in the floor
    assert (await short.read("ada", -1)).floor == 3


@pytest.mark.parametrize(
    "user",
    [
        "{ada}",
        "}{",
        "a}:meta",
        "%7Bada%7D",
        "a:b",
        "ada@example.org",
        "a/b c",
        "👩‍🚀",
        "x" * 255,
        "*",
    ],
)
async def test_a_user_of_any_name_has_a_mailbox_of_its_own(mailboxes: Mailboxes, user: str) -> None:
    await mailboxes.append([message(1, user, collapse_key="k"), message(2, "ada")])
    await mailboxes.append([message(3, user, collapse_key="k"), message(4, "{ada")])
    page = await mailboxes.read(user, -1)
    assert [(x.user, x.offset) for x in page.letters] == [(user, 3)]


async def test_a_batch_for_many_users_is_answered_in_its_order(mailboxes: Mailboxes) -> None:
    users = [f"user-{number}" for number in range(300)]
    await mailboxes.append([message(n, user) for n, user in enumerate(users)])
    again = [message(1_000 + n, user) for n, user in enumerate(reversed(users))]
    assert list(await mailboxes.append(again)) == list(range(299, -1, -1))


async def test_mailboxes_in_memory_can_be_switched_off_and_on(clock: Clock) -> None:
    mailboxes = MemoryMailboxes(MailboxLimits(), clock)
    await mailboxes.append([message(1)])
    mailboxes.set_available(False)
    with pytest.raises(StoreUnavailableError):
        await mailboxes.append([message(2)])
    with pytest.raises(StoreUnavailableError):
        await mailboxes.read("ada", -1)
    mailboxes.set_available(True)
    assert (await mailboxes.read("ada", -1)).last == 1
