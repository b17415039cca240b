"""Which fields a message of the protocol has, read off the code that reads and writes it."""

import dataclasses
import inspect
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

from tidewire.protocol import frames, server_frames
from tidewire.protocol.codes import ErrorCode
from tidewire.protocol.errors import ProtocolError
from tidewire_client.messages import Welcome

__all__ = ["CLIENT_MODELS", "SERVER_ENCODERS", "Field", "fields_of"]

CLIENT_MODELS: Final[Mapping[str, type]] = {
    "hello": frames.Hello,
    "subscribe": frames.Subscribe,
    "update_subscription": frames.UpdateSubscription,
    "unsubscribe": frames.Unsubscribe,
    "refresh": frames.Refresh,
}
SERVER_ENCODERS: Final[Mapping[str, Callable[..., Any]]] = {
    "welcome": Welcome,  # the encoder takes anything, the client's reader does not
    "subscribed": server_frames.encode_subscribed,
    "snapshot": server_frames.encode_snapshot,
    "updates": server_frames.encode_updates,
    "status": server_frames.encode_status,
    "gap": server_frames.encode_gap,
    "unsubscribed": server_frames.encode_unsubscribed,
    "refreshed": server_frames.encode_refreshed,
    "goaway": server_frames.encode_goaway,
    "error": ProtocolError,  # what its encoder is given
    "ping": server_frames.encode_ping,
}
_ENVELOPE: Final = frozenset({"id", "request_id"})
_OPTIONAL: Final = frozenset(
    {
        "snapshot",  # of `subscribe`: true by default
        "partial",  # written where it is true
        "more",
    }
)
_ALWAYS: Final = frozenset({"limits"})  # a client does without


@dataclass(frozen=True, slots=True)
class Field:
    """``kind`` is its type in Python, without the None that makes it optional."""

    name: str
    kind: Any
    is_required: bool


def fields_of(type_: str) -> tuple[Field, ...]:
    """The fields of a message's payload, in the order in which they are written."""
    if type_ in CLIENT_MODELS:
        return tuple(_fields_of_model(CLIENT_MODELS[type_]))
    return tuple(_fields_of_call(SERVER_ENCODERS[type_]))


def _fields_of_model(model: type) -> Iterator[Field]:
    hints = get_type_hints(model)
    for field in dataclasses.fields(model):
        if field.name not in _ENVELOPE:
            yield _field(field.name, hints[field.name], has_default=False)


def _fields_of_call(call: Callable[..., Any]) -> Iterator[Field]:
    hints = get_type_hints(vars(call)["__init__"] if isinstance(call, type) else call)
    if call is ProtocolError:
        hints["code"] = ErrorCode
    for parameter in inspect.signature(call).parameters.values():
        if parameter.name not in _ENVELOPE:
            has_default = parameter.default is not inspect.Parameter.empty
            yield _field(parameter.name, hints[parameter.name], has_default=has_default)


def _field(name: str, hint: Any, *, has_default: bool) -> Field:
    kinds = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    known = [kind for kind in kinds if kind is not type(None)]
    assert len(known) == 1, f"{name}: {hint} is more than one kind"
    is_optional = has_default or len(known) < len(kinds) or name in _OPTIONAL
    return Field(name, known[0], name in _ALWAYS or not is_optional)
