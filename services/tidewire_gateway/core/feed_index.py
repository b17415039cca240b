"""All feeds of a node: found by what they carry, by number, and by the events they want."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from math import inf

from .events import Event
from .feeds import Feed, FeedKey, Topology

__all__ = ["FeedIndex", "StreamFeeds", "well_placed"]


class StreamFeeds:
    """The feeds of one stream: those of the ``whole`` of it, and those of a group.

    Tuples, so that feeds may come and go while somebody goes through them.
    """

    __slots__ = ("by_group", "whole")

    def __init__(self) -> None:
        self.whole: tuple[Feed, ...] = ()
        self.by_group: dict[str, tuple[Feed, ...]] = {}

    def add(self, feed: Feed) -> None:
        group = feed.key.channel.group
        if group is None:
            self.whole = (*self.whole, feed)
        else:
            self.by_group[group] = (*self.by_group.get(group, ()), feed)

    def discard(self, feed: Feed) -> None:
        group = feed.key.channel.group
        if group is None:
            self.whole = _without(feed, self.whole)
        elif left := _without(feed, self.by_group[group]):
            self.by_group[group] = left
        else:
            del self.by_group[group]


class FeedIndex:
    """Feeds by key, and by stream and group, where events find theirs in constant time."""

    def __init__(self, *, max_window_bytes: int) -> None:
        self._max_window_bytes = max_window_bytes
        self._by_key: dict[FeedKey, Feed] = {}
        self._by_stream: dict[str, StreamFeeds] = {}
        self._intervals_by_topic: dict[str, Counter[int]] = {}
        self._last_sub = 0

    def __len__(self) -> int:
        return len(self._by_key)

    def __iter__(self) -> Iterator[Feed]:
        return iter(self._by_key.values())

    def new_sub(self) -> int:
        """A number never used before on this node."""
        self._last_sub += 1
        return self._last_sub

    def find(self, key: FeedKey) -> Feed | None:
        return self._by_key.get(key)

    def create(self, key: FeedKey, topology: Topology, partitions: Iterable[int]) -> Feed:
        """A new feed with a number never used before."""
        assert key not in self._by_key
        feed = Feed(
            self.new_sub(),
            key,
            topology=topology,
            partitions=tuple(partitions),
            max_window_bytes=self._max_window_bytes,
        )
        self._by_key[key] = feed
        self._intervals_by_topic.setdefault(topology.topic, Counter())[key.interval_ms] += 1
        self.feeds_of(key.channel.stream).add(feed)
        return feed

    def discard(self, feed: Feed) -> None:
        del self._by_key[feed.key]
        intervals = self._intervals_by_topic[feed.topology.topic]
        intervals[feed.key.interval_ms] -= 1
        if not intervals[feed.key.interval_ms]:
            del intervals[feed.key.interval_ms]
        self.feeds_of(feed.key.channel.stream).discard(feed)

    def shortest_interval(self, topic: str) -> float:
        """Seconds between two flushes of the topic's feed that is in the greatest hurry; without feeds for ever."""
        return min(self._intervals_by_topic.get(topic, ()), default=inf) / 1000

    def of_stream(self, stream: str) -> list[Feed]:
        return [feed for key, feed in self._by_key.items() if key.channel.stream == stream]

    def feeds_of(self, stream: str) -> StreamFeeds:
        """The stream's feeds, those to come too: the same object every time."""
        found = self._by_stream.get(stream)
        if found is None:
            found = self._by_stream[stream] = StreamFeeds()
        return found


def well_placed(feeds: Sequence[Feed], event: Event) -> list[Feed]:
    """Those of the feeds of an event's group that read its partition.

    A group's channel reads one: an event that stands in another is not part of it, since no position of the
    channel could cover it.
    """
    return [feed for feed in feeds if event.partition in feed.partitions]


def _without(feed: Feed, feeds: tuple[Feed, ...]) -> tuple[Feed, ...]:
    return tuple(other for other in feeds if other is not feed)
