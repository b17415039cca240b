"""All feeds of a node: found by what they carry, by number, and by the events they want."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from .events import Event
from .feeds import Feed, FeedKey, Topology

__all__ = ["FeedIndex", "Recipients"]


class Recipients(NamedTuple):
    """Who gets an event; ``is_misplaced``: a channel that is watched misses it, by its partition."""

    feeds: list[Feed]
    is_misplaced: bool


class FeedIndex:
    """Feeds by key; events find theirs by stream and group in constant time."""

    def __init__(self, *, max_window_bytes: int) -> None:
        self._max_window_bytes = max_window_bytes
        self._by_key: dict[FeedKey, Feed] = {}
        self._by_group: dict[tuple[str, str | None], list[Feed]] = {}
        self._last_sub = 0

    def __len__(self) -> int:
        return len(self._by_key)

    def __iter__(self) -> Iterator[Feed]:
        return iter(self._by_key.values())

    def find(self, key: FeedKey) -> Feed | None:
        return self._by_key.get(key)

    def create(self, key: FeedKey, topology: Topology, partitions: Iterable[int]) -> Feed:
        """A new feed with a number never used before."""
        assert key not in self._by_key
        self._last_sub += 1
        feed = Feed(
            self._last_sub,
            key,
            topology=topology,
            partitions=tuple(partitions),
            max_window_bytes=self._max_window_bytes,
        )
        self._by_key[key] = feed
        self._by_group.setdefault((key.channel.stream, key.channel.group), []).append(feed)
        return feed

    def discard(self, feed: Feed) -> None:
        del self._by_key[feed.key]
        place = (feed.key.channel.stream, feed.key.channel.group)
        feeds = self._by_group[place]
        feeds.remove(feed)
        if not feeds:
            del self._by_group[place]

    def of_stream(self, stream: str) -> list[Feed]:
        return [feed for key, feed in self._by_key.items() if key.channel.stream == stream]

    def recipients(self, stream: str, event: Event) -> Recipients:
        """The feeds whose channel the event belongs to and that somebody attends.

        A group's channel reads one partition: an event that stands in another is not part of it, since no
        position of the channel could cover it.
        """
        whole = self._by_group.get((stream, None), ())
        group = self._by_group.get((stream, event.group), ())
        well_placed = [feed for feed in group if event.partition in feed.partitions]
        return Recipients(
            [feed for feed in (*whole, *well_placed) if feed.is_attended],
            is_misplaced=len(well_placed) < len(group),
        )
