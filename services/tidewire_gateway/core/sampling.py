"""What is known of an event whose producer had it sampled (pure)."""

from tidewire.protocol.trace_context import TraceParent

__all__ = ["SampledEvent"]


class SampledEvent:
    """A sampled event on its way through the node.

    ``parent`` is the span that published it, None for one that is followed though its producer had it not sampled; ``span``
    is that of its reading, None where it was not traced after all; ``taken_ns`` when it was read (Unix); ``routed_ms`` when a
    router sent it to this node (Unix milliseconds), None where none did.
    """

    __slots__ = ("key", "offset", "parent", "partition", "routed_ms", "span", "taken_ns", "ts_ms")

    def __init__(
        self, parent: TraceParent | None, key: str, partition: int, offset: int, ts_ms: int
    ) -> None:
        self.parent = parent
        self.key = key
        self.partition = partition
        self.offset = offset
        self.ts_ms = ts_ms
        self.span: TraceParent | None = None
        self.taken_ns = 0
        self.routed_ms: int | None = None
