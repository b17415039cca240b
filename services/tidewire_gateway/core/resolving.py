"""What a subscribe request means here: which feed, and whether this client may have it."""

from collections.abc import Mapping

from tidewire.config.streams import Stream, is_reserved
from tidewire.identity.claims import Identity
from tidewire.identity.rights import Action
from tidewire.kafka.partitioning import partition_of
from tidewire.protocol.channels import Channel, parse_channel
from tidewire.protocol.codes import ErrorCode
from tidewire.protocol.errors import ProtocolError
from tidewire.protocol.frames import Subscribe

from .feeds import FeedKey, Topology
from .intervals import grant_interval_ms
from .limits import Limit, LimitError, Limits

__all__ = ["Operator", "channel_partitions", "check_channel", "may_read", "resolve"]


class Operator(Identity):
    """Whoever reaches the internal port; the system's own streams are there for nobody else."""

    __slots__ = ()


def resolve(
    request: Subscribe, streams: Mapping[str, Stream], identity: Identity | None
) -> FeedKey:
    """The feed that ``request`` asks for; ``identity`` None is an anonymous client.

    Raises ``ProtocolError``: ``unknown_channel``, ``forbidden``, ``unsupported`` (mode).
    """
    channel = parse_channel(request.channel)
    stream = None if _is_hidden(channel.stream, identity) else streams.get(channel.stream)
    if stream is None or not may_read(stream, identity, request.channel):
        raise _refusal(stream, identity, request)
    if channel.group is not None and stream.group == "none":
        raise _fault(
            request,
            ErrorCode.UNKNOWN_CHANNEL,
            f"stream {channel.stream} has no groups; subscribe to {channel.stream}",
        )
    mode = request.mode or stream.modes[0]
    if mode not in stream.modes:
        allowed = ", ".join(stream.modes)
        raise _fault(
            request, ErrorCode.UNSUPPORTED, f"stream {channel.stream} allows mode {allowed}"
        )
    return FeedKey(channel, mode, grant_interval_ms(request.interval_ms, stream.min_interval_ms))


def check_channel(name: str, limits: Limits, request_id: int | None = None) -> None:
    """Raises ``LimitError`` for a name that is longer than this node has them."""
    if len(name) > limits.max_channel:
        message = f"a channel's name has {limits.max_channel} characters here at the most"
        raise LimitError(Limit.CHANNEL, ErrorCode.BAD_REQUEST, message, request_id=request_id)


def channel_partitions(channel: Channel, topology: Topology) -> tuple[int, ...]:
    """The partitions that hold a channel: all for the whole stream, one for a group.

    Two for a group where the topic has another partition count than its stream was configured with: its
    events of before the count changed stand in one, those of after in the other.
    """
    if channel.group is None:
        return tuple(range(topology.partitions))
    group = channel.group.encode()
    counts = (topology.partitions, topology.declared or topology.partitions)
    found = {partition_of(group, count) for count in counts}
    return tuple(sorted(p for p in found if p < topology.partitions))


def may_read(stream: Stream, identity: Identity | None, channel: str) -> bool:
    """Whether a client may have a channel; ``identity`` None is an anonymous one."""
    if stream.public:
        return True
    return identity is not None and identity.may(Action.SUBSCRIBE, channel)


def _is_hidden(stream: str, identity: Identity | None) -> bool:
    return is_reserved(stream) and not isinstance(identity, Operator)


def _refusal(stream: Stream | None, identity: Identity | None, request: Subscribe) -> ProtocolError:
    if stream is None:
        return _fault(request, ErrorCode.UNKNOWN_CHANNEL, f"there is no channel {request.channel}")
    if identity is None:
        return _fault(
            request, ErrorCode.FORBIDDEN, f"{request.channel} is not public: say hello with a token"
        )
    return _fault(request, ErrorCode.FORBIDDEN, f"the token does not allow {request.channel}")


def _fault(request: Subscribe, code: ErrorCode, message: str) -> ProtocolError:
    return ProtocolError(code, message, request_id=request.id)
