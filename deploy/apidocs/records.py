"""What stands on Kafka: headers, keys and values of each kind of record, as JSON Schemas."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from tidewire.publishing.events import CONTENT_TYPE
from tidewire.revocation.records import MAX_NAME_BYTES, Kind
from tidewire.system.alarms import Severity
from tidewire.system.records import State
from tidewire.targeting.errors import BadMessage
from tidewire.targeting.messages import COLLAPSE_KEY, MAX_COLLAPSE_KEY_BYTES, MAX_ID_BYTES, TTL

__all__ = ["OWN_MESSAGES", "OWN_SCHEMAS", "RECORD_CHANNEL", "RECORD_MESSAGE", "RECORD_SCHEMAS"]

Schema = dict[str, Any]

_TEXT: Final[Schema] = {"type": "string"}
_COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
_MS: Final[Schema] = {"type": "number", "minimum": 0, "description": "Unix milliseconds."}
_DIGITS: Final[Schema] = {"type": "string", "pattern": "^[0-9]{1,16}$"}
_UNDECODABLE: Final = "undecodable"
_ANY_JSON: Final = "Any JSON, kept byte for byte."


def _headers(required: Mapping[str, Schema], optional: Mapping[str, Schema]) -> Schema:
    """Header values are UTF-8 text; others than these may stand beside them."""
    return {"type": "object", "required": list(required), "properties": {**required, **optional}}


def _object(required: Mapping[str, Schema], optional: Mapping[str, Schema] | None = None) -> Schema:
    return {
        "type": "object",
        "required": list(required),
        "properties": {**required, **(optional or {})},
    }


def _message(
    name: str, summary: str, key: Schema, examples: Iterable[tuple[str, Any, Any]], headers: bool
) -> Schema:
    told: Schema = {"name": name, "summary": summary, "contentType": "application/json"}
    if headers:
        told["headers"] = {"$ref": f"#/components/schemas/{name}Headers"}
    told["payload"] = {"$ref": f"#/components/schemas/{name}Value"}
    told["bindings"] = {"kafka": {"key": key}}
    told["examples"] = [
        {
            "name": named,
            **({} if with_headers is None else {"headers": with_headers}),
            "payload": value,
        }
        for named, with_headers, value in examples
    ]
    return told


_TRACE: Final[Mapping[str, Schema]] = {
    "traceparent": _TEXT | {"description": "W3C Trace Context of the publisher."},
    "tracestate": _TEXT,
}
_ATTRIBUTES: Final[Mapping[str, Schema]] = {
    "ce_specversion": {"const": "1.0"},
    "ce_id": _TEXT | {"description": "Unique for its source."},
    "ce_source": _TEXT | {"format": "uri-reference"},
    "ce_type": _TEXT | {"description": "`tidewire.<stream>` by default."},
    "ce_time": _TEXT | {"format": "date-time"},
    "content-type": {"const": CONTENT_TYPE.decode()},
}
_EXAMPLE_HEADERS: Final = {
    "ce_specversion": "1.0",
    "ce_id": "9f0d5c1e-6d0b-4a53-9a54-1f2f8a4c7d10",
    "ce_source": "/flights/replay",
    "ce_type": "tidewire.flights",
    "ce_time": "2013-01-01T05:42:00Z",
    "content-type": "application/json",
}
_REMOVAL_HEADERS: Final = _EXAMPLE_HEADERS | {
    "ce_id": "9f0d5c1e-6d0b-4a53-9a54-1f2f8a4c7d11",
    "ce_time": "2013-01-01T09:00:00Z",
}

RECORD_CHANNEL: Final[Schema] = {
    "address": "{topic}",
    "title": "The topic of a stream",
    "description": "Partition = (murmur2(group) & 0x7fffffff) % partitions, where the group is the key, or the key up to "
    "its first slash, as the stream's `group` says; the Java client's partitioner does the same with a key.",
    "parameters": {"topic": {"description": "The `topic` of a stream in streams.yaml."}},
    "servers": [{"$ref": "#/servers/kafka"}],
    "messages": {"record": {"$ref": "#/components/messages/record"}},
}
RECORD_MESSAGE: Final = _message(
    "record",
    "An event as a service published it, a CloudEvent in binary mode.",
    _TEXT | {"description": "The entity, UTF-8."},
    [
        ("A departure", _EXAMPLE_HEADERS, {"dep_delay": 4}),
        ("A tombstone, on a compacted topic", _REMOVAL_HEADERS, None),
    ],
    headers=True,
)
RECORD_SCHEMAS: Final[Mapping[str, Schema]] = {
    "recordHeaders": _headers(_ATTRIBUTES, _TRACE),
    "recordValue": {"description": f"{_ANY_JSON} No value at all is a tombstone."},
}

_USER: Final = _TEXT | {"description": "The user's id, UTF-8; its murmur2 chooses the partition."}
_COLLAPSING: Final[Schema] = {
    COLLAPSE_KEY: {
        "type": "string",
        "minLength": 1,
        "maxLength": MAX_COLLAPSE_KEY_BYTES,
        "description": "Of the messages that wait with one key only the newest is delivered.",
    }
}
_MESSAGE_ID: Final[Schema] = {
    "ce_id": {
        "type": "string",
        "minLength": 1,
        "maxLength": MAX_ID_BYTES,
        "description": "The message's own id.",
    }
}
_DELIVERY: Final[Schema] = {
    TTL: {
        "type": "string",
        "pattern": "^[0-9]{1,12}$",
        "description": "Milliseconds that it waits for a user who is away; 0: now or never.",
    },
    **_COLLAPSING,
}
_LETTER_HEADERS: Final = _headers(
    {
        "tidewire-epoch": _TEXT | {"description": "Of the node's lease: another's is passed over."},
        "tidewire-offset": {
            "type": "string",
            "pattern": "^[0-9]+:[0-9]+$",
            "description": "Partition and offset of the message in the targeted topic.",
        },
        "tidewire-ts": _DIGITS | {"description": "Unix milliseconds of the message."},
        "tidewire-expires": _DIGITS | {"description": "Unix milliseconds."},
        "tidewire-kept": {"enum": ["0", "1"], "description": "1: it stands in the mailbox."},
        **_MESSAGE_ID,
    },
    {
        "tidewire-prev": _DIGITS | {"description": "Offset of the kept message before it."},
        **_COLLAPSING,
        "traceparent": _TRACE["traceparent"],
    },
)
_DEAD_LETTER_HEADERS: Final = _headers(
    {
        "tidewire-dlq-topic": _TEXT,
        "tidewire-dlq-partition": _DIGITS,
        "tidewire-dlq-offset": _DIGITS,
        "tidewire-dlq-ts": _DIGITS | {"description": "Unix milliseconds of the record."},
        "tidewire-dlq-reason": {"enum": [*(reason.value for reason in BadMessage), _UNDECODABLE]},
        "tidewire-dlq-detail": _TEXT | {"description": "A sentence with the cure."},
    },
    {
        "tidewire-dlq-value-omitted": _DIGITS
        | {"description": "Bytes of a value too large to keep."}
    },
)
_SECONDS: Final[Schema] = {"type": "number"}
_ALARM: Final = _object(
    {
        "name": _TEXT,
        "severity": {"enum": [severity.value for severity in Severity]},
        "text": _TEXT,
        "since_ms": _COUNT,
    }
)
_SAMPLED: Final = _object(
    {
        "trace": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
        "key": _TEXT,
        "partition": _COUNT,
        "offset": {"type": "integer", "minimum": -1},
        "ts_ms": _COUNT,
        "taken_at_ms": _MS,
    },
    {"routed_at_ms": _COUNT},
)
OWN_SCHEMAS: Final[Mapping[str, Schema]] = {
    "userEventHeaders": _headers({**_ATTRIBUTES, **_MESSAGE_ID}, {**_DELIVERY, **_TRACE}),
    "userEventValue": {"description": f"{_ANY_JSON} There is always one."},
    "letterHeaders": _LETTER_HEADERS,
    "letterValue": {"description": "That of the message, byte for byte."},
    "deadLetterHeaders": _DEAD_LETTER_HEADERS,
    "deadLetterValue": {"description": "As it came: whatever it was."},
    "revocationValue": {
        "description": "No value at all lifts what was revoked. Unknown fields are ignored.",
        "type": ["object", "null"],
        "properties": {
            "issued_before": _SECONDS
            | {"description": "Unix seconds: concerns tokens issued before. Of users it is there."},
            "until": _SECONDS
            | {"description": "Unix seconds: no such token is good any more then."},
            "reason": _TEXT | {"description": "For people."},
        },
    },
    "processValue": _object(
        {
            "service": {"enum": ["gateway", "publisher", "registry", "router"]},
            "instance": _TEXT,
            "version": _TEXT,
            "at_ms": _COUNT,
            "started_at_ms": _COUNT,
            "every_ms": _COUNT | {"description": "When the next one may be expected."},
            "state": {"enum": [state.value for state in State]},
            "internal": _TEXT | {"description": "URL where operators reach it."},
            "cpu_cores": {"type": "number", "minimum": 0},
            "memory_bytes": _COUNT,
            "loop_lag_s": {"type": "number", "minimum": 0},
            "figures": {"type": "object", "description": "By service: see observability.md."},
            "alarms": {"type": "array", "items": _ALARM},
        }
    ),
    "flowValue": _object(
        {
            "node": _TEXT,
            "topic": _TEXT,
            "stream": _TEXT,
            "channel": _TEXT,
            "mode": _TEXT,
            "interval_ms": _COUNT,
            "trace": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
            "span": {"type": "string", "pattern": "^[0-9a-f]{16}$"},
            "pushed_at_ms": _MS,
            "written_at_ms": _MS,
            "connections": _COUNT,
            "events": _COUNT,
            "coalesced": _COUNT,
            "sampled": {"type": "array", "items": _SAMPLED},
            "sampled_cut": _COUNT,
        }
    ),
}
_REVOKED_KEY: Final = {
    "type": "string",
    "pattern": f"^({'|'.join(kind.value for kind in Kind)})/.+$",
    "description": f"What is revoked: token/<jti> or user/<sub>, the name at most {MAX_NAME_BYTES} bytes.",
}
OWN_MESSAGES: Final[Mapping[str, Schema]] = {
    "userEvent": _message(
        "userEvent",
        "An event to one user.",
        _USER,
        [
            (
                "A gate that changes",
                _EXAMPLE_HEADERS
                | {"ce_type": "tidewire.targeted", TTL: "3600000", COLLAPSE_KEY: "gate"},
                {"gate": "B22"},
            )
        ],
        headers=True,
    ),
    "letter": _message(
        "letter",
        "A message on its way to the node that holds the slot of its partition. Only routers write here.",
        _TEXT | {"description": "The user's id."},
        [
            (
                "A kept message",
                {
                    "tidewire-epoch": "6b1f0c9e2d3a4b5c",
                    "tidewire-offset": "7:41",
                    "tidewire-ts": "1764460800000",
                    "tidewire-expires": "1764464400000",
                    "tidewire-kept": "1",
                    "ce_id": "m1",
                    "tidewire-prev": "38",
                },
                {"gate": "B22"},
            )
        ],
        headers=True,
    ),
    "deadLetter": _message(
        "deadLetter",
        "A record of the targeted topic that can reach nobody: where it stood, why, and as it came.",
        {"description": "As it came, perhaps none."},
        [
            (
                "A record without a user",
                {
                    "tidewire-dlq-topic": "tidewire.targeted",
                    "tidewire-dlq-partition": "3",
                    "tidewire-dlq-offset": "17",
                    "tidewire-dlq-ts": "1764460800000",
                    "tidewire-dlq-reason": BadMessage.NO_USER.value,
                    "tidewire-dlq-detail": "the record has no key: give the user's id",
                },
                {"gate": "B22"},
            )
        ],
        headers=True,
    ),
    "revocation": _message(
        "revocation",
        "Tokens that are good no longer; null lifts it.",
        _REVOKED_KEY,
        [
            ("A user's tokens", None, {"issued_before": 1764460800, "reason": "lost laptop"}),
            ("Lifted", None, None),
        ],
        headers=False,
    ),
    "process": _message(
        "process",
        "How a process is, every 2 s.",
        _TEXT | {"description": "service/instance"},
        [],
        headers=False,
    ),
    "flow": _message(
        "flow",
        "What became of a flush with sampled events.",
        _TEXT | {"description": "The trace id."},
        [],
        headers=False,
    ),
}
