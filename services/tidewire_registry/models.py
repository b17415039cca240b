"""What callers send, checked at the edge, and the shape of what they get."""

from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, FiniteFloat

from tidewire.targeting.errors import InvalidUserError
from tidewire.targeting.registry import Batch, NodeAnnouncement, NodeState, Session
from tidewire.targeting.users import check_user

__all__ = [
    "BODIES",
    "MOST_SESSIONS",
    "MOST_USERS",
    "AnnounceBody",
    "Announced",
    "Disconnected",
    "EvictedSession",
    "LeaseBody",
    "LookupBody",
    "NodeBody",
    "NodeOutcome",
    "NodeSessions",
    "Nodes",
    "PlaceView",
    "Places",
    "RenewBody",
    "Renewed",
    "SessionBody",
    "UserView",
]

MOST_SESSIONS = 1000
MOST_USERS = 1000

_NAME = r"^[^\s\x00-\x1f\x7f/]+$"
_ADDRESS = r"^https?://[^\s\x00-\x1f\x7f?#]+$"
_CONNECTION = r"^[^\s\x00-\x1f\x7f]+$"
_MOST_DEVICE = 128


def _user(user: str) -> str:
    try:
        return check_user(user)
    except InvalidUserError as error:
        raise ValueError(str(error)) from None


def _shown(device: str | None) -> str | None:
    """What a client calls itself is never a reason to refuse it, and all that were announced with it."""
    shown = (c if c.isprintable() else " " for c in (device or "")[:_MOST_DEVICE])
    return "".join(shown).strip() or None


User = Annotated[str, AfterValidator(_user)]
NodeName = Annotated[str, Field(pattern=_NAME, max_length=128, examples=["gateway-0"])]
Connection = Annotated[str, Field(pattern=_CONNECTION, max_length=128)]
Epoch = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
Device = Annotated[
    str | None,
    AfterValidator(_shown),
    Field(description="as the client calls itself; cut to 128 characters that can be shown"),
]
Load = Annotated[dict[Annotated[str, Field(max_length=64)], FiniteFloat], Field(max_length=32)]


class _Body(BaseModel):
    """Unknown fields are ignored: a newer caller may know more."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class NodeBody(_Body):
    node: NodeName
    address: Annotated[
        str,
        Field(pattern=_ADDRESS, max_length=512, description="URL of the node's internal port"),
    ]
    state: NodeState = NodeState.READY
    zone: Annotated[str, Field(max_length=128)] | None = None
    load: Load = {}
    replaces: Annotated[
        Epoch | None, Field(description="the epoch of a lease that the caller holds or held")
    ] = None

    def announcement(self) -> NodeAnnouncement:
        return NodeAnnouncement(
            self.node, self.address.rstrip("/"), self.state, self.zone, self.load
        )


class RenewBody(_Body):
    epoch: Epoch
    state: NodeState = NodeState.READY
    load: Load = {}


class SessionBody(_Body):
    user: User
    connection: Connection
    since_ms: Annotated[int, Field(ge=0, le=1 << 50, description="Unix milliseconds")]
    device: Device = None


class GoneBody(_Body):
    user: User
    connection: Connection


class AnnounceBody(_Body):
    """What happened on a node since the last batch: two sets, 1,000 entries at most."""

    node: NodeName
    epoch: Epoch
    number: Annotated[
        int,
        Field(
            ge=0,
            le=1 << 50,
            description="grows with each batch of the epoch, parts of one share it; lower than the last that was taken: "
            "refused, `batch-overtaken`",
        ),
    ] = 0
    connected: list[SessionBody] = []
    disconnected: list[GoneBody] = []

    def batch(self) -> Batch:
        return Batch(
            [Session(s.user, s.connection, s.since_ms, s.device) for s in self.connected],
            [(gone.user, gone.connection) for gone in self.disconnected],
            self.number,
        )


class LookupBody(_Body):
    users: Annotated[list[str], Field(max_length=MOST_USERS)]


BODIES: tuple[type[BaseModel], ...] = (NodeBody, RenewBody, AnnounceBody, LookupBody)


class LeaseBody(BaseModel):
    slot: int
    epoch: str
    lease_ms: int


class Renewed(BaseModel):
    lease_ms: int


class NodeEntry(BaseModel):
    node: str
    slot: int
    epoch: str
    address: str
    zone: str | None
    state: NodeState
    load: dict[str, float]
    sessions: int
    lease_ms_left: int
    is_live: bool


class Slots(BaseModel):
    total: int
    used: int


class Nodes(BaseModel):
    nodes: list[NodeEntry]
    slots: Slots
    frozen: bool = Field(description="so many leases ran out at once that none is ended")


class EvictedSession(BaseModel):
    user: str
    connection: str
    node: str


class Announced(BaseModel):
    """Who had to go, by the limit of connections a user. Nodes other than the caller are told directly."""

    evicted: list[EvictedSession]
    of_this_node: list[str] = Field(description="the caller closes these with code 3504")


class PlaceView(BaseModel):
    node: str
    slot: int
    epoch: str
    address: str
    connections: list[str]


class Places(BaseModel):
    """Users who are nowhere are missing."""

    places: dict[str, list[PlaceView]]


class NodeSession(BaseModel):
    user: str
    connection: str
    device: str | None
    since_ms: int


class NodeSessions(BaseModel):
    node: str
    epoch: str
    sessions: list[NodeSession]
    next: str | None = Field(description="`cursor` of the next page; null: this is the last")


class DeviceEntry(BaseModel):
    connection: str
    node: str | None
    device: str | None
    since_ms: int
    is_live: bool


class UserView(BaseModel):
    user: str
    devices: list[DeviceEntry]


class NodeOutcome(BaseModel):
    node: str
    connections: int | None = None
    error: str | None = None


class Disconnected(BaseModel):
    connections: int
    nodes: list[NodeOutcome]


def field_name(place: tuple[Any, ...]) -> str:
    """``connected[3].user`` for pydantic's ``("connected", 3, "user")``."""
    name = ""
    for step in place:
        name += f"[{step}]" if isinstance(step, int) else f".{step}" if name else str(step)
    return name
