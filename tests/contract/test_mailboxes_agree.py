"""Mailboxes in Redis do step by step what those in memory do."""

import asyncio
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from contract.mailbox_stores import Clock, message, opener
from contract.redis_backends import embedded_redis_url, real_redis_url, redis_url
from tidewire.targeting.messages import Message

__all__ = ["embedded_redis_url", "real_redis_url", "redis_url"]  # fixtures

LENGTH = 3
TTL_MS = 1_000
USERS = st.sampled_from(["ada", "{bob}"])
MESSAGE = st.fixed_dictionaries(
    {
        "user": USERS,
        "step": st.integers(1, 3),
        "age": st.sampled_from([0, 0, 0, 400, 1_000]),
        "ttl_ms": st.sampled_from([None, None, 0, 200, 500, 5_000]),
        "collapse_key": st.sampled_from([None, None, "a", "b"]),
    }
)


class Agreement(RuleBasedStateMachine):
    """The same calls on both; every answer must be equal."""

    def __init__(self, url: str, runner: asyncio.Runner) -> None:
        super().__init__()
        self.clock = Clock()
        self.runner = runner
        self.stores = [
            opener(place, self.clock)(length=LENGTH, ttl_ms=TTL_MS) for place in (None, url)
        ]
        self.log: list[Message] = []

    def both(self, name: str, *args: Any, **kwargs: Any) -> None:
        memory, redis = (
            self.runner.run(getattr(store, name)(*args, **kwargs)) for store in self.stores
        )
        if name == "append":
            assert list(redis) == list(memory)
        else:
            assert redis == memory

    @rule(batch=st.lists(MESSAGE, min_size=1, max_size=6))
    def append(self, batch: list[dict[str, Any]]) -> None:
        begin = len(self.log)
        for fields in batch:
            step, age = fields["step"], fields["age"]
            rest = {k: v for k, v in fields.items() if k not in {"step", "age"}}
            offset = (self.log[-1].offset if self.log else -1) + step
            self.log.append(message(offset, ts_ms=self.clock.ms - age, **rest))
        self.both("append", self.log[begin:])

    @rule(data=st.data())
    def append_again(self, data: st.DataObject) -> None:
        begin = data.draw(st.integers(0, len(self.log)))
        end = data.draw(st.integers(begin, len(self.log)))
        self.both("append", self.log[begin:end])

    @rule(ms=st.sampled_from([1, 100, 300, 700, 2_000]))
    def time_passes(self, ms: int) -> None:
        self.clock.ms += ms

    @rule(user=USERS, after=st.integers(-1, 60), limit=st.sampled_from([1, 2, 3, 100]))
    def read(self, user: str, after: int, limit: int) -> None:
        self.both("read", user, after, limit=limit)

    def teardown(self) -> None:
        for user in ("ada", "{bob}"):
            self.both("read", user, -1)
        for store in self.stores:
            self.runner.run(store.close())


@pytest.mark.timeout(120)
def test_redis_answers_as_memory_does(redis_url: str) -> None:
    with asyncio.Runner() as runner:
        run_state_machine_as_test(
            cast(Any, lambda: Agreement(redis_url, runner)),  # any maker of one will do
            settings=settings(
                max_examples=60,
                stateful_step_count=25,
                deadline=None,
                suppress_health_check=list(HealthCheck),
                phases=set(Phase) - {Phase.explain},  # which takes minutes over a server
            ),
        )
