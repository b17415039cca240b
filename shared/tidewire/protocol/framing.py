"""WebSocket framing of ready payloads: unmasked, unfragmented text frames (RFC 6455, 5.2)."""

__all__ = ["text_frame"]


def text_frame(payload: bytes) -> bytes:
    """``payload`` (UTF-8) as the bytes that go on the socket, once for every receiver."""
    size = len(payload)
    if size < 126:
        return b"\x81%c%b" % (size, payload)
    if size < 65_536:
        return b"\x81\x7e%b%b" % (size.to_bytes(2, "big"), payload)
    return b"\x81\x7f%b%b" % (size.to_bytes(8, "big"), payload)
