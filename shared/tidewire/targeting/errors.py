"""What can be wrong with a message to a user, and with the stores behind it."""

from enum import StrEnum

from ..errors import TidewireError

__all__ = [
    "BadMessage",
    "BadMessageError",
    "BatchOvertakenError",
    "InvalidUserError",
    "LeaseLostError",
    "NoFreeSlotError",
    "NodeNameTakenError",
    "PartitionsChangedError",
    "RegistryUnavailableError",
    "StoreUnavailableError",
]


class InvalidUserError(TidewireError):
    """No user can have this id."""


class BadMessage(StrEnum):
    """Why a record of the targeted topic can reach nobody; names the header or part."""

    NO_USER = "no_user"
    BAD_USER = "bad_user"
    WRONG_PARTITION = "wrong_partition"
    NO_DATA = "no_data"
    NOT_JSON = "not_json"
    TOO_LARGE = "too_large"
    NO_ID = "no_id"
    BAD_TTL = "bad_ttl"
    BAD_COLLAPSE_KEY = "bad_collapse_key"
    BAD_HEADERS = "bad_headers"


class BadMessageError(TidewireError):
    def __init__(self, reason: BadMessage, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class StoreUnavailableError(TidewireError):
    """Redis does not answer; what was asked for may have been done or not."""


class PartitionsChangedError(TidewireError):
    """The targeted topic has another partition count than its mailboxes were begun with."""


class RegistryUnavailableError(TidewireError):
    """The registry does not answer, or its store does not; ask again later."""


class LeaseLostError(TidewireError):
    """The node's lease has ended, or another holds it: nothing of what was asked was done."""


class BatchOvertakenError(TidewireError):
    """The registry has taken a later batch of this epoch: what this one tells has to be told again, as it is now."""


class NoFreeSlotError(TidewireError):
    """Every slot is held: the inbox topic needs more partitions than there are nodes."""


class NodeNameTakenError(TidewireError):
    """Another process holds a live lease under this node's name."""
