"""Rights: which channels a token may subscribe or publish to, by whole-segment patterns (pure)."""

import re
from collections.abc import Collection, Mapping
from enum import StrEnum

__all__ = ["Action", "Caps", "allows", "covers", "parse_pattern"]

MAX_PATTERN_CHARS = 255
_SEGMENT = re.compile(r"[A-Za-z0-9._~:@-]*")


class Action(StrEnum):
    SUBSCRIBE = "subscribe"
    PUBLISH = "publish"


Caps = Mapping[str, Collection[Action]]
"""Channel pattern → what it allows."""


def allows(caps: Caps, channel: str, action: Action) -> bool:
    """Whether any pattern of ``caps`` that grants ``action`` covers ``channel``."""
    return any(action in actions and covers(pattern, channel) for pattern, actions in caps.items())


def covers(pattern: str, channel: str) -> bool:
    """Whether ``pattern`` covers ``channel``, segment by segment.

    ``*`` stands for exactly one segment, a closing ``**`` for any number, none included:
    ``flights/**`` covers ``flights`` and every group, ``flights/*`` only groups of one segment.
    """
    wanted, given = pattern.split("/"), channel.split("/")
    if wanted[-1] == "**":
        wanted.pop()
        given = given[: len(wanted)]
    return len(wanted) == len(given) and all(
        want in ("*", have) for want, have in zip(wanted, given, strict=True)
    )


def parse_pattern(text: str) -> str:
    """Return ``text`` if it is a pattern; raises ``ValueError`` naming what is wrong with it."""
    if not 0 < len(text) <= MAX_PATTERN_CHARS:
        raise ValueError(f"a pattern has 1 to {MAX_PATTERN_CHARS} characters")
    *leading, last = text.split("/")
    if "**" in leading:
        raise ValueError(f"pattern {text!r}: '**' may only be the last segment")
    for segment in (*leading, last):
        if segment not in ("*", "**") and not _SEGMENT.fullmatch(segment):
            raise ValueError(
                f"pattern {text!r}: segment {segment!r} must be '*', a closing '**' or "
                "characters of A-Z a-z 0-9 . _ ~ : @ -"
            )
    return text
