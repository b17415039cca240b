"""What docs/protocol.md says of codes, so that it is written once."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from tidewire.protocol.codes import CloseCode, ErrorCode

__all__ = ["close_codes", "error_codes"]

_PROTOCOL: Final = Path(__file__).parents[2] / "docs" / "protocol.md"
_RECONNECT, _STOP = "reconnect with back-off, resume", "stop, tell the user"
_STANDARD: Final[Mapping[CloseCode, tuple[str, str]]] = {
    CloseCode.NORMAL: ("the client's own end", "none"),
    CloseCode.GOING_AWAY: ("the process ends", _RECONNECT),
    CloseCode.MESSAGE_TOO_BIG: ("a frame is too large", _RECONNECT),
}
_FIRST_TO_STOP: Final = 3500


def error_codes() -> list[dict[str, Any]]:
    """Every error code with its meaning."""
    told = _table("Errors", r"`(\w+)` \| (.+?)")
    return [{"code": code.value, "meaning": _plain(told[code.value])} for code in ErrorCode]


def close_codes() -> list[dict[str, Any]]:
    """Every close code that a gateway sends, with the client's duty."""
    told = _table("Close codes", r"(\d{4}) \| (.+?) \|.*?")
    return [_close_code(code, told) for code in CloseCode]


def _close_code(code: CloseCode, told: Mapping[str, str]) -> dict[str, Any]:
    if code in _STANDARD:
        meaning, duty = _STANDARD[code]
    else:
        meaning, duty = told[str(int(code))], _STOP if code >= _FIRST_TO_STOP else _RECONNECT
    return {"code": int(code), "meaning": meaning, "duty": duty}


def _table(heading: str, row: str) -> dict[str, str]:
    section = _PROTOCOL.read_text(encoding="utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return dict(re.findall(rf"^\| {row} \|$", section, re.MULTILINE))


def _plain(markdown: str) -> str:
    """Without links, which lead nowhere from another file."""
    return re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", markdown)
