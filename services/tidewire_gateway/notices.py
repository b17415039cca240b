"""Tell subscriptions how they are: live, stale, or lagging."""

from collections.abc import Iterable

from tidewire.protocol.codes import FeedState

from .answers import Answers
from .core.subscriptions import Subscription, SubscriptionState
from .timers import Timers
from .turns import Turns
from .unanswered import UnansweredRequests

__all__ = ["Notices"]

_A_TURN = 200

_AT_REST = frozenset(
    {SubscriptionState.ATTACHED, SubscriptionState.JOINING, SubscriptionState.PAUSED}
)


class Notices:
    """Everybody is told of a change once; who cannot be written to now, when that is possible again.

    ``away_since``: since when the node's source has not answered, None while it does.
    """

    def __init__(self, timers: Timers, answers: Answers, unanswered: UnansweredRequests) -> None:
        self._timers = timers
        self._answers = answers
        self._unanswered = unanswered
        self._turns = Turns(timers, self.review, most=_A_TURN)
        self.away_since: float | None = None

    def source_away(self, subscriptions: Iterable[Subscription]) -> None:
        self.away_since = self._timers.time()
        self.review_soon(subscriptions)

    def source_back(self, subscriptions: Iterable[Subscription]) -> None:
        self.away_since = None
        self.review_soon(subscriptions)

    def review_soon(self, subscriptions: Iterable[Subscription]) -> None:
        """Tell each of these how it is, as many a turn of the loop as that can bear."""
        self._turns.add(subscriptions)

    def review(self, subscription: Subscription) -> None:
        """Tell a subscription how it is, unless it knows."""
        state = self._state_of(subscription)
        if state is subscription.told or not self._can_be_told(subscription):
            return
        self._tell(subscription, state)

    def lagging(self, subscription: Subscription) -> None:
        """The socket was behind and has drained: say so before it is caught up."""
        subscription.told = FeedState.LAGGING
        age = self._timers.time() - subscription.behind_since
        self._answers.status(subscription, FeedState.LAGGING, age)

    def _can_be_told(self, subscription: Subscription) -> bool:
        return not (
            subscription.state is SubscriptionState.ENDED
            or subscription.receiver.is_congested
            or subscription in self._unanswered
        )

    def _tell(self, subscription: Subscription, state: FeedState) -> None:
        subscription.told = state
        since = self.away_since if state is FeedState.STALE else None
        age = 0.0 if since is None else self._timers.time() - since
        self._answers.status(subscription, state, age)

    def _state_of(self, subscription: Subscription) -> FeedState:
        is_waiting = subscription.state is SubscriptionState.WAITING
        if self.away_since is not None or is_waiting or not subscription.feed.is_live:
            return FeedState.STALE
        if subscription.told is FeedState.LAGGING and subscription.state not in _AT_REST:
            return FeedState.LAGGING
        return FeedState.LIVE
