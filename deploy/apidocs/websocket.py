"""docs/asyncapi.yaml: the WebSocket, and the topics whose events it carries."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from tidewire.protocol.codes import SUBPROTOCOL

from .fields import CLIENT_MODELS, SERVER_ENCODERS
from .prose import close_codes, error_codes
from .records import RECORD_CHANNEL, RECORD_MESSAGE, RECORD_SCHEMAS
from .schemas import SHARED, message_schema, schema_name

__all__ = ["HEADER", "LICENSE", "VERSION", "document"]

HEADER: Final = "# Made from the code by `make api-docs`; tests hold it to that.\n"
VERSION: Final = "3.0.0"
LICENSE: Final = {
    "name": "Apache-2.0",
    "url": "https://www.apache.org/licenses/LICENSE-2.0",
}
_VECTORS: Final = Path(__file__).parents[2] / "tests" / "vectors" / "protocol"
_SUMMARIES: Final[Mapping[str, str]] = {
    "hello": "Who is there; the first message of a connection, within 8 s.",
    "subscribe": "Ask for a channel, fresh or from a position.",
    "update_subscription": "Change the rate of a live subscription, or pause it, with no gap.",
    "unsubscribe": "End a subscription.",
    "refresh": "New credentials on a live connection.",
    "welcome": "The connection stands.",
    "subscribed": "A subscription stands; what follows is said by `recovered`.",
    "snapshot": "The newest event of every key, or one part of it.",
    "updates": "A batch of events, coalesced and encoded once for every subscriber of the feed.",
    "status": "Whether a feed is live.",
    "gap": "Events that this subscription will never see.",
    "unsubscribed": "A subscription has ended.",
    "refreshed": "The new credentials are accepted.",
    "goaway": "Move to another connection before you are moved.",
    "error": "A request is refused, or a frame is at fault.",
    "ping": "A sign of life for browser code; no answer is due.",
}
_REPLIES: Final[Mapping[str, str]] = {
    "hello": "welcome",
    "subscribe": "subscribed",
    "update_subscription": "subscribed",
    "unsubscribe": "unsubscribed",
    "refresh": "refreshed",
}
_ONLY_REPLIES: Final = frozenset({"welcome", "subscribed", "refreshed"})
_EXAMPLES: Final[Mapping[str, tuple[str, ...]]] = {
    "hello": ("hello with every field",),
    "subscribe": ("subscribe to a group", "subscribe with every field"),
    "update_subscription": (
        "update_subscription: another interval",
        "update_subscription: pause",
    ),
    "unsubscribe": ("unsubscribe",),
    "refresh": ("refresh",),
    "welcome": ("welcome with every field", "welcome for a connection that never expires"),
    "subscribed": ("subscribed, fresh", "subscribed, resumed: gap"),
    "snapshot": (
        "snapshot of a table",
        "snapshot, partial and a part that is not the last",
    ),
    "updates": (
        "updates: several events, some folded away, only partitions that moved",
        "updates with traceparent",
        "updates of @me: each event has an id",
    ),
    "status": (
        "status of one subscription: lagging",
        "status that names the partitions that are not live",
    ),
    "gap": ("gap in several partitions",),
    "unsubscribed": ("unsubscribed, as asked", "unsubscribed by the server"),
    "refreshed": ("refreshed",),
    "goaway": ("goaway", "goaway with an address"),
    "error": ("error with a time to wait", "error that answers no request"),
    "ping": ("ping",),
}
_DESCRIPTION: Final = f"""\
Subprotocol `{SUBPROTOCOL}`, text frames. A frame is one of these messages or an array of them. Unknown fields are ignored, \
and an optional field of a client's message that is null counts as absent. Kept for a later version, and refused: the types \
`publish` and `ack`, the mode `merge`, the fields `filter`, `fields` and `delta`."""


def document() -> dict[str, Any]:
    types = (*CLIENT_MODELS, *SERVER_ENCODERS)
    return {
        "asyncapi": VERSION,
        "info": {
            "title": "Tidewire",
            "version": "1",
            "description": "Services publish events to Kafka topics; gateway nodes push them to clients over WebSocket. "
            "Words, rules and promises stand in protocol.md beside this file; this is its machine-readable half. Every "
            "topic, those of Tidewire's own among them, is in api/asyncapi-kafka.yaml.",
            "license": LICENSE,
        },
        "defaultContentType": "application/json",
        "servers": {
            "gateway": {
                "host": "127.0.0.1:8080",
                "protocol": "ws",
                "description": "One gateway node; every node serves every client. Outside development it is wss.",
                "security": [{"$ref": "#/components/securitySchemes/token"}],
            },
            "kafka": {
                "host": "127.0.0.1:9092",
                "protocol": "kafka",
                "description": "The brokers that services publish to and gateway nodes read from.",
            },
        },
        "channels": {
            "connection": {
                "address": "/v1/ws",
                "title": "One WebSocket",
                "description": _DESCRIPTION,
                "servers": [{"$ref": "#/servers/gateway"}],
                "bindings": {"ws": {"method": "GET"}},
                "messages": {schema_name(t): _component(t) for t in types},
                "x-error-codes": error_codes(),
                "x-close-codes": close_codes(),
            },
            "topic": RECORD_CHANNEL,
        },
        "operations": {
            **{schema_name(type_): _request(type_) for type_ in CLIENT_MODELS},
            "push": _push(),
            "readRecord": {
                "action": "receive",
                "summary": "Gateway nodes read records, committed ones only.",
                "channel": {"$ref": "#/channels/topic"},
                "messages": [{"$ref": "#/channels/topic/messages/record"}],
            },
        },
        "components": {
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "In `hello` (preferred), as the subprotocol `tidewire.bearer.<token>`, or as an "
                    "`Authorization: Bearer` header.",
                }
            },
            "messages": {
                **{schema_name(type_): _message(type_) for type_ in types},
                "record": RECORD_MESSAGE,
            },
            "correlationIds": {
                "request": {
                    "description": "The client's number for a request, echoed by its reply.",
                    "location": "$message.payload#/id",
                }
            },
            "schemas": {
                **{schema_name(type_): message_schema(type_) for type_ in types},
                **SHARED,
                **RECORD_SCHEMAS,
            },
        },
    }


def _component(type_: str) -> dict[str, str]:
    return {"$ref": f"#/components/messages/{schema_name(type_)}"}


def _on_channel(type_: str) -> dict[str, str]:
    return {"$ref": f"#/channels/connection/messages/{schema_name(type_)}"}


def _request(type_: str) -> dict[str, Any]:
    channel = {"$ref": "#/channels/connection"}
    return {
        "action": "receive",
        "summary": _SUMMARIES[type_],
        "channel": channel,
        "messages": [_on_channel(type_)],
        "reply": {
            "channel": channel,
            "messages": [_on_channel(_REPLIES[type_]), _on_channel("error")],
        },
    }


def _push() -> dict[str, Any]:
    return {
        "action": "send",
        "summary": "What the gateway says without being asked.",
        "channel": {"$ref": "#/channels/connection"},
        "messages": [_on_channel(t) for t in SERVER_ENCODERS if t not in _ONLY_REPLIES],
    }


def _message(type_: str) -> dict[str, Any]:
    name = schema_name(type_)
    return {
        "name": type_,
        "summary": _SUMMARIES[type_],
        "contentType": "application/json",
        "correlationId": {"$ref": "#/components/correlationIds/request"},
        "payload": {"$ref": f"#/components/schemas/{name}"},
        "examples": [
            {"name": named, "payload": _frame(type_, named)} for named in _EXAMPLES[type_]
        ],
    }


def _frame(type_: str, named: str) -> Any:
    for vector in _vectors(
        "client_frames.json" if type_ in CLIENT_MODELS else "server_frames.json"
    ):
        if vector["name"] == named:
            return json.loads(vector["frame"])
    raise LookupError(f"no golden frame is called {named!r}: name another in {__name__}")


def _vectors(file: str) -> Iterator[dict[str, Any]]:
    yield from json.loads((_VECTORS / file).read_text(encoding="utf-8"))
