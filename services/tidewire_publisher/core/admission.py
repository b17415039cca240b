"""How much may be in work at once (pure)."""

from collections.abc import Iterator
from contextlib import contextmanager

from tidewire.kafka.errors import BufferFullError

__all__ = ["Admission"]


class Admission:
    """Counts requests and the bytes of their bodies from the first byte until they are answered."""

    def __init__(self, *, max_bytes: int, max_requests: int = 1000) -> None:
        self._max_bytes = max_bytes
        self._max_requests = max_requests
        self._bytes = 0
        self._requests = 0

    @contextmanager
    def reserve(self, size: int) -> Iterator[None]:
        """Hold ``size`` bytes for one request; raises ``BufferFullError`` at either bound."""
        if self._requests >= self._max_requests or self._bytes + size > self._max_bytes:
            raise BufferFullError(
                f"{self._requests} requests with {self._bytes} bytes are in work, as many as are "
                "taken: Kafka is slower than the publishers; try again later"
            )
        self._requests += 1
        self._bytes += size
        try:
            yield
        finally:
            self._requests -= 1
            self._bytes -= size
