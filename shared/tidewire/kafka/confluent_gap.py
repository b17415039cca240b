"""Finding the way past a broken batch with a client that does not say where it ends."""

from typing import NamedTuple

__all__ = ["Gap"]


class Gap(NamedTuple):
    """A broken batch: begins at ``base``, holds ``inside``, does not hold ``outside`` (if known).

    Reading from an offset says on which side it lies; far strides first, then halves: about two looks
    for each doubling of the batch's length.
    """

    base: int
    inside: int
    outside: int | None = None

    @property
    def is_measured(self) -> bool:
        return self.outside == self.inside + 1

    @property
    def probe(self) -> int:
        """The offset to read from next; once measured, the first behind the batch."""
        if self.outside is None:
            return self.inside + (self.inside - self.base) + 1
        return self.outside if self.is_measured else (self.inside + self.outside) // 2

    def seen(self, *, broken: bool) -> "Gap":
        """What is known after reading from ``probe``."""
        if broken:
            return self._replace(inside=self.probe)
        return self._replace(outside=self.probe)
