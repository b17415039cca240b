"""Pieces that fuzzers put together: what readers look for, and what readers break by."""

from typing import Final

__all__ = ["NASTY", "WORDS"]

WORDS: Final = (
    b"v", b"type", b"id", b"payload", b"hello", b"subscribe", b"update_subscription", b"unsubscribe", b"refresh",
    b"client", b"token", b"device", b"channel", b"mode", b"interval_ms", b"since", b"epoch", b"offsets", b"sub", b"paused",
    b"snapshot", b"filter", b"key", b"data", b"headers", b"specversion", b"1.0", b"source", b"time", b"subject",
    b"partitionkey", b"datacontenttype", b"data_base64", b"traceparent", b"user", b"ttl_ms", b"collapse_key", b"sub",
    b"exp", b"aud", b"iss", b"iat", b"nbf", b"jti", b"caps", b"tidewire", b"tidewire-dev", b"alg", b"kid", b"crit", b"HS256",
    b"none", b"issued_before", b"until", b"reason", b"token/", b"user/", b"keys", b"kty", b"RSA", b"EC", b"OKP", b"n", b"e",
    b"x", b"y", b"crv", b"use", b"sig", b"key_ops", b"streams", b"topic", b"modes", b"group", b"entity", b"table", b"h", b"f",
    b"content-type", b"application/cloudevents+json", b"ce_id", b"ce-id", b"tidewire-ttl-ms", b"__proto__", b"constructor",
    b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
)  # fmt: skip
NASTY: Final = (
    b"\x1e", b"\x00", b"\r\n", b"\n", b":", b"\xef\xbb\xbf", b"\\ud800", b"\\udfff\\ud800", b"\xed\xa0\x80", b"\xff",
    b"NaN", b"Infinity", b"-Infinity", b"1e999", b"-0", b"1e-999", b"9" * 400, b"9" * 5000, b"18446744073709551616",
    b"-9223372036854775809", b"0.1", b"true", b"null", b'""', b"{}", b"[]", b"[" * 300, b"[" * 2000, b'{"a":' * 2000,
    b"[" * 200 + b"]" * 200, b"[" * 500 + b"]" * 500, b"[" * 2000 + b"]" * 2000, b'{"a":1,"a":2}', b"!!python/object:os.system",
    b"&a [*a, *a]", b"<<: *a", b"? [a]\n: b", b"!!binary =", b"2001-99-99", b"- " * 500, b"a: " * 300, b"%00", b"%ff", b"%2f", b"..", b"\x1b[31m",
)  # fmt: skip
