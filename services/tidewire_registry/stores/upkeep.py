"""What keeps Redis tidy, in bounded steps: dead sessions go, live ones do not expire."""

from typing import Final

from . import lua_sessions
from .commands import Argument, Commands, Script
from .redis_table import text

__all__ = ["Upkeep"]

_sweep: Final = Script(lua_sessions.SWEEP)


class Upkeep:
    """``nodes`` and ``sessions`` are the beginnings of key names; ``keep_ms`` is the expiry of a row."""

    def __init__(self, commands: Commands, nodes: str, sessions: str, keep_ms: int) -> None:
        self._commands = commands
        self._nodes = nodes
        self._sessions = sessions
        self._keep_ms = keep_ms
        self._round: list[str] = []
        self._cursor = "0"

    async def sweep(self, most: int) -> int:
        """Take at most ``most`` sessions from the index of one epoch that is gone; returns how many were removed."""
        # In this order: an epoch comes into both at once, so one that has an index and no node never gets one again.
        indexes, epochs = await self._commands.ask(
            [("SMEMBERS", f"{self._nodes}:indexes"), ("HKEYS", f"{self._nodes}:epochs")]
        )
        gone = {text(epoch) for epoch in indexes} - {text(epoch) for epoch in epochs}
        if not gone:
            return 0
        _, removed = await self._commands.run(_sweep, min(gone), self._sessions, most)
        return int(removed)

    async def renew(self, most: int) -> None:
        """Put off the expiry of about ``most`` live sessions, one epoch after the other, for ever."""
        if not self._round:
            [epochs] = await self._commands.ask([("HKEYS", f"{self._nodes}:epochs")])
            self._round = sorted(map(text, epochs))
            if not self._round:
                return
        index = f"{self._nodes}:index:{self._round[0]}"
        [(cursor, members)] = await self._commands.ask(
            [("SSCAN", index, self._cursor, "COUNT", most)]
        )
        self._cursor = text(cursor)
        if self._cursor == "0":
            del self._round[0]
        commands: list[tuple[Argument, ...]] = [("PEXPIRE", index, self._keep_ms)]
        for member in members:
            user = text(member).partition(" ")[2]
            commands.append(("PEXPIRE", f"{self._sessions}{{{user}}}", self._keep_ms))
        await self._commands.ask(commands)
