"""docs/api/asyncapi-kafka.yaml: every topic, with what stands in it and how it is made."""

from collections.abc import Mapping
from typing import Any, Final

from tidewire.config.streams import Stream
from tidewire.system.streams import FLOWS, SYSTEM, system_streams
from tidewire.topics import revocations_topic, targeted_topics
from tidewire.topics.plan import spec_of

from .records import OWN_MESSAGES, OWN_SCHEMAS, RECORD_CHANNEL, RECORD_MESSAGE, RECORD_SCHEMAS
from .websocket import LICENSE, VERSION

__all__ = ["MESSAGE_OF", "document"]

MESSAGE_OF: Final[Mapping[str, str]] = {
    "@me": "userEvent",
    "@inbox": "letter",
    "@dead-letters": "deadLetter",
    "@revocations": "revocation",
    SYSTEM: "process",
    FLOWS: "flow",
}
"""What stands in a topic, by the name that it goes by among streams."""
_ABOUT: Final[Mapping[str, str]] = {
    "@me": "Events to users. Made with --targeted; publishers write it, routers read it.",
    "@inbox": "Partition n is the slot of one node. Made with --targeted and as many partitions as --slots says.",
    "@dead-letters": "What routers could not route. Made with --targeted.",
    "@revocations": "Which tokens are good no longer; gateways and publishers read all of it.",
    SYSTEM: "How every process is. Made with --console.",
    FLOWS: "What becomes of sampled events. Made with --console.",
}
_OPERATIONS: Final[Mapping[str, tuple[str, str, str]]] = {
    "publishUserEvent": ("send", "@me", "Publishers, and services with the publishing SDK."),
    "routeUserEvent": ("receive", "@me", "Routers, as one consumer group."),
    "sendLetter": ("send", "@inbox", "Routers, to the slots of the nodes that hold the user."),
    "readInbox": ("receive", "@inbox", "Gateway nodes, each its own partition."),
    "buryRecord": ("send", "@dead-letters", "Routers, what can reach nobody."),
    "revoke": ("send", "@revocations", "`tidewire revoke`."),
    "readRevocations": ("receive", "@revocations", "Gateways and publishers, from its beginning."),
    "tellState": ("send", SYSTEM, "Every process with CONSOLE on."),
    "readStates": ("receive", SYSTEM, "Gateway nodes, for their console."),
    "tellFlow": ("send", FLOWS, "Gateway nodes with CONSOLE on."),
    "readFlows": ("receive", FLOWS, "Gateway nodes, for their console."),
}
_NUMERIC: Final = frozenset({"retention.ms", "delete.retention.ms"})


def document() -> dict[str, Any]:
    own = revocations_topic() | targeted_topics() | system_streams()
    return {
        "asyncapi": VERSION,
        "info": {
            "title": "Tidewire on Kafka",
            "version": "1",
            "description": "The topics of streams, which streams.yaml names, and Tidewire's own, by the names that they have "
            "where no setting says otherwise. `tidewire topics apply` makes them as the bindings say.",
            "license": LICENSE,
        },
        "defaultContentType": "application/json",
        "servers": {
            "kafka": {
                "host": "127.0.0.1:9092",
                "protocol": "kafka",
                "description": "The brokers; outside development with TLS, SASL or both.",
            }
        },
        "channels": {
            "stream": RECORD_CHANNEL,
            **{MESSAGE_OF[name]: _channel(name, stream) for name, stream in sorted(own.items())},
        },
        "operations": {
            "publishRecord": _operation("send", "stream", "record", "Publishers, and any service."),
            "readRecord": _operation(
                "receive", "stream", "record", "Gateway nodes, committed records only."
            ),
            **{
                operation: _operation(action, MESSAGE_OF[name], MESSAGE_OF[name], who)
                for operation, (action, name, who) in _OPERATIONS.items()
            },
        },
        "components": {
            "messages": {"record": RECORD_MESSAGE, **OWN_MESSAGES},
            "schemas": {**RECORD_SCHEMAS, **OWN_SCHEMAS},
        },
    }


def _channel(name: str, stream: Stream) -> dict[str, Any]:
    message, spec = MESSAGE_OF[name], spec_of(stream)
    settings: dict[str, Any] = {
        setting: int(text) if setting in _NUMERIC else text for setting, text in spec.config.items()
    }
    settings["cleanup.policy"] = spec.config["cleanup.policy"].split(",")
    return {
        "address": spec.name,
        "description": _ABOUT[name],
        "servers": [{"$ref": "#/servers/kafka"}],
        "messages": {message: {"$ref": f"#/components/messages/{message}"}},
        "bindings": {
            "kafka": {
                "partitions": spec.partitions,
                "topicConfiguration": settings,
                "bindingVersion": "0.5.0",
            }
        },
    }


def _operation(action: str, channel: str, message: str, who: str) -> dict[str, Any]:
    return {
        "action": action,
        "summary": who,
        "channel": {"$ref": f"#/channels/{channel}"},
        "messages": [{"$ref": f"#/channels/{channel}/messages/{message}"}],
    }
