"""`Letter.prev` and `Page.floor` are enough for a client to notice whatever it lacks, whatever routers do twice."""

from collections.abc import Coroutine
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tidewire.targeting.mailboxes import MailboxLimits
from tidewire.targeting.mailboxes_memory import MemoryMailboxes
from tidewire.targeting.messages import Message

T = TypeVar("T")
LENGTH, TTL_MS = 3, 1_000
MESSAGE = st.tuples(
    st.integers(1, 3),
    st.sampled_from([None, None, None, 0, 100, 500]),
    st.sampled_from([None, None, None, "a", "b"]),
)
"""Steps from the offset before it, ttl, collapse key."""


def answer(call: Coroutine[Any, Any, T]) -> T:
    """What a coroutine that waits for nothing returns."""
    try:
        call.send(None)
    except StopIteration as end:
        result: T = end.value
        return result
    raise AssertionError("it waited")


class Delivery(RuleBasedStateMachine):
    """A topic of one user's messages, routers that crash and repeat, an inbox that loses, a client."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1_000_000
        self.mailboxes = MemoryMailboxes(MailboxLimits(LENGTH, TTL_MS), lambda: self.now)
        self.topic: list[Message] = []
        self.committed = 0
        self.appended: dict[int, Message] = {}
        self.sent: list[tuple[Message, int | None]] = []
        self.next_offset = 0
        self.got: set[int] = set()
        self.announced: set[int] = set()

    @rule(messages=st.lists(MESSAGE, min_size=1, max_size=5))
    def publish(self, messages: list[tuple[int, int | None, str | None]]) -> None:
        for step, ttl_ms, key in messages:
            offset = (self.topic[-1].offset if self.topic else -1) + step
            self.topic.append(Message("ada", f"{offset}", b"1", self.now, ttl_ms, key, 0, offset))

    @rule(ms=st.sampled_from([1, 99, 400, 1_000]))
    def time_passes(self, ms: int) -> None:
        self.now += ms

    @rule(count=st.integers(1, 6), arrives=st.lists(st.booleans(), max_size=6), ends=st.booleans())
    def route(self, count: int, arrives: list[bool], ends: bool) -> None:
        """Append and send; without ``ends`` the router crashes, and another one does it again."""
        batch = self.topic[self.committed : self.committed + count]
        prevs = answer(self.mailboxes.append(batch))
        self.appended |= {message.offset: message for message in batch}
        self.sent += zip(batch, prevs, strict=True)
        if ends:
            self.committed += len(batch)
        for message, prev, does_arrive in zip(batch, prevs, arrives, strict=False):
            if does_arrive:
                self.receive(message, prev)

    @rule(data=st.data())
    def one_who_should_have_stopped_sends_again(self, data: st.DataObject) -> None:
        if self.sent:
            self.receive(*data.draw(st.sampled_from(self.sent)))

    @rule(limit=st.integers(1, 4))
    def read(self, limit: int) -> None:
        while True:
            page = answer(self.mailboxes.read("ada", self.next_offset - 1, limit=limit))
            self.announced |= set(range(self.next_offset, page.floor + 1))
            self.got |= {letter.offset for letter in page.letters}
            if page.is_complete:
                self.next_offset = max(self.next_offset, -1 if page.last is None else page.last + 1)
                return
            self.next_offset = page.letters[-1].offset + 1

    def receive(self, message: Message, prev: int | None) -> None:
        if message.offset < self.next_offset:
            return
        if prev is not None and prev >= self.next_offset:
            self.read(limit=100)
            return
        self.got.add(message.offset)
        self.next_offset = message.offset + 1

    @invariant()
    def nothing_behind_the_client_is_lost_in_silence(self) -> None:
        newest_by_key = {
            m.collapse_key: m.offset for _, m in sorted(self.appended.items()) if m.is_kept
        }
        for offset, message in self.appended.items():
            is_superseded = message.collapse_key is not None and (
                newest_by_key.get(message.collapse_key, offset) > offset
            )
            if message.is_kept and offset < self.next_offset and not is_superseded:
                assert offset in self.got | self.announced, f"{offset} is lost"

    def teardown(self) -> None:
        self.read(limit=2)
        self.nothing_behind_the_client_is_lost_in_silence()


TestDelivery = Delivery.TestCase
TestDelivery.settings = settings(max_examples=300, stateful_step_count=40)
