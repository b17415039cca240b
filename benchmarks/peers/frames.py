"""The payloads that every server beside the gateway sends: one envelope, one event."""

import time

__all__ = ["NO_SUCH_SIZE", "RECEIVER_DIGITS", "private_parts", "shared_payload"]

RECEIVER_DIGITS = 7
NO_SUCH_SIZE = "no frame has this SIZE"

_HEADER = 4  # bytes in front of 126 to 65,535
_PAYLOAD_SIZES = range(126, 65_536)
_RECEIVER = b"0" * RECEIVER_DIGITS
_HEAD = (
    b'{"v":1,"type":"updates","payload":{"sub":1,"position":{"epoch":"bench","offsets":{"0":%d}},'
    b'"events":[{"key":"k","data":{"at":%d,%b"pad":"'
)
_TAIL = b'"},"ts":%d,"offset":[0,%d]}],"coalesced":0}}'


def shared_payload(number: int, at: int, size: int) -> bytes:
    """The payload of frame ``number``, stamped ``at`` (CLOCK_MONOTONIC, ns), in a frame of ``size`` bytes.

    Raises `ValueError` where no frame has that size.
    """
    return _padded(number, at, size, b"")


def private_parts(number: int, at: int, size: int) -> tuple[bytes, bytes]:
    """The same for one connection only: what stands before and after its number of seven digits."""
    whole = _padded(number, at, size, b'"to":"%b",' % _RECEIVER)
    head, _, tail = whole.partition(_RECEIVER + b'","pad"')
    return head, b'","pad"' + tail


def _padded(number: int, at: int, size: int, receiver: bytes) -> bytes:
    head = _HEAD % (number, at, receiver)
    tail = _TAIL % (time.time_ns() // 1_000_000, number)
    pad = size - _HEADER - len(head) - len(tail)
    if pad < 0 or size - _HEADER not in _PAYLOAD_SIZES:
        raise ValueError(NO_SUCH_SIZE)
    return b"%b%b%b" % (head, b"x" * pad, tail)
