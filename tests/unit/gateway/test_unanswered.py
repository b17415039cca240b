"""Requests that wait for their answer: each late one is told of once, in its time."""

from typing import Any, cast

from harness.virtual import VirtualTimers
from tidewire.protocol.frames import Subscribe
from tidewire_gateway.core.subscriptions import Subscription
from tidewire_gateway.unanswered import UnansweredRequests

TIMEOUT = 5.0
REQUEST = Subscribe(1, "flights", None, None, snapshot=True, since=None)


def subscription() -> Subscription:
    return Subscription(cast(Any, None), cast(Any, None), "flights")


def test_request_is_late_after_the_timeout_and_is_told_of_once() -> None:
    timers = VirtualTimers()
    late: list[Subscription] = []
    unanswered = UnansweredRequests(timers, TIMEOUT, late.append)
    first, second = subscription(), subscription()
    unanswered.add(first, REQUEST)
    timers.advance(2.0)
    unanswered.add(second, REQUEST)
    timers.advance(2.9)
    assert late == []
    timers.advance(0.2)
    assert late == [first]
    assert unanswered.is_late(first)
    assert not unanswered.is_late(second)
    assert first in unanswered
    timers.advance(2.0)
    assert late == [first, second]
    timers.advance(100.0)
    assert late == [first, second]


def test_request_that_was_answered_is_not_late() -> None:
    timers = VirtualTimers()
    late: list[Subscription] = []
    unanswered = UnansweredRequests(timers, TIMEOUT, late.append)
    first, second = subscription(), subscription()
    unanswered.add(first, REQUEST)
    unanswered.discard(first)
    assert first not in unanswered
    timers.advance(1.0)
    unanswered.add(second, REQUEST)
    timers.advance(TIMEOUT)
    assert late == [second]


def test_request_may_be_answered_because_it_is_late() -> None:
    timers = VirtualTimers()
    unanswered = UnansweredRequests(timers, TIMEOUT, lambda one: unanswered.discard(one))
    for _ in range(3):
        unanswered.add(subscription(), REQUEST)
    timers.advance(TIMEOUT)
    last = subscription()
    unanswered.add(last, REQUEST)
    timers.advance(TIMEOUT - 0.1)
    assert last in unanswered
    timers.advance(0.1)
    assert last not in unanswered
