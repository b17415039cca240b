"""JSON text to events for one user (pure).

``{"data": any JSON, "ttl_ms"?: milliseconds, "collapse_key"?: text, "id"?: text}``; a push names its
``user``, too, and has no ``collapse_key``: nothing of it waits. ``data`` stays the very bytes that came.
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from ..publishing.user_events import UserEvent
from ..targeting.messages import MAX_TTL_MS
from .documents import fields_of, read_data, scalar, unknown_fields
from .errors import FieldProblem, InvalidEventsError

__all__ = ["parse_push", "parse_user_event"]

_FIELDS: Final = ("data", "ttl_ms", "collapse_key", "id")
_PUSH_FIELDS: Final = ("user", "data", "ttl_ms", "id")


def parse_user_event(text: bytes | memoryview, user: str) -> UserEvent:
    """One event for ``user``; raises ``NotJsonError``, or ``InvalidEventsError`` with every field at fault."""
    fields = fields_of(text)
    return _event(fields, _FIELDS, user)


def parse_push(text: bytes) -> UserEvent:
    """One event that names its user; raises like `parse_user_event`."""
    fields = fields_of(text)
    return _event(fields, _PUSH_FIELDS, scalar(fields.get("user")))


def _event(fields: Mapping[str, Any], known: tuple[str, ...], user: Any) -> UserEvent:
    problems = unknown_fields(fields, known)
    if not isinstance(user, str) or not user:
        problems.append(FieldProblem("user", "is missing: name whom to reach, as text"))
    if "data" not in fields:
        problems.append(FieldProblem("data", "is missing: send what to tell the user"))
    ttl_ms = scalar(fields.get("ttl_ms"))
    if ttl_ms is not None and not _is_ttl(ttl_ms):
        problems.append(
            FieldProblem(
                "ttl_ms",
                f"must be a whole number of milliseconds, 0 (now or never) to {MAX_TTL_MS}",
            )
        )
    texts = {name: scalar(fields.get(name)) for name in ("collapse_key", "id")}
    problems += [
        FieldProblem(name, "must be text and not empty: leave it out for none")
        for name, text in texts.items()
        if text is not None and (not isinstance(text, str) or not text)
    ]
    if problems:
        raise InvalidEventsError(tuple(problems))
    return UserEvent(
        user,
        read_data(bytes(fields["data"])),
        ttl=None if ttl_ms is None else timedelta(milliseconds=ttl_ms),
        collapse_key=texts["collapse_key"],
        id=texts["id"],
    )


def _is_ttl(ttl_ms: Any) -> bool:
    return isinstance(ttl_ms, int) and not isinstance(ttl_ms, bool) and 0 <= ttl_ms <= MAX_TTL_MS
