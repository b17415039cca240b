"""Waiting for keys: once where they come, and no longer than they take."""

import pytest

from tidewire.identity.claims import Identity
from tidewire.identity.errors import InvalidTokenError, KeyNeededError
from tidewire.identity.verifying import verified

ANN = Identity("ann", {}, 1.0)


class Verifier:
    """Needs keys so many times, then says what it was given."""

    def __init__(self, needs: int, verdict: Identity | InvalidTokenError) -> None:
        self._needs = needs
        self._verdict = verdict
        self.waits = 0

    def verify(self, token: str) -> Identity:
        if self._needs:
            self._needs -= 1
            raise KeyNeededError("no key", retry_after=1.0, arrival=self._arrival)
        if isinstance(self._verdict, InvalidTokenError):
            raise self._verdict
        return self._verdict

    async def _arrival(self) -> None:
        self.waits += 1


@pytest.mark.parametrize("needs", [0, 1, 2])
async def test_token_is_verified_when_its_key_has_come(needs: int) -> None:
    verifier = Verifier(needs, ANN)
    assert await verified(verifier.verify, "t") is ANN
    assert verifier.waits == needs


async def test_token_that_is_bad_after_all_is_refused() -> None:
    with pytest.raises(InvalidTokenError):
        await verified(Verifier(1, InvalidTokenError("bad")).verify, "t")
