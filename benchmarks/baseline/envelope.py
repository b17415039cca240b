"""One record as the JSON text that every client gets: the same envelope as the gateway's updates."""

from typing import Any

import orjson
from aiokafka import ConsumerRecord

__all__ = ["envelope"]


def envelope(record: "ConsumerRecord[bytes | None, bytes | None]") -> str:
    """The record's value is valid JSON and is embedded as it is; None removes its key."""
    event: dict[str, Any] = {"key": (record.key or b"").decode()}
    if record.value is None:
        event["deleted"] = True
    else:
        event["data"] = orjson.Fragment(record.value)
    event |= {"ts": record.timestamp, "offset": (record.partition, record.offset)}
    position = {"epoch": "bench", "offsets": {str(record.partition): record.offset + 1}}
    payload = {"sub": 1, "position": position, "events": [event], "coalesced": 0}
    return orjson.dumps({"v": 1, "type": "updates", "payload": payload}).decode()
