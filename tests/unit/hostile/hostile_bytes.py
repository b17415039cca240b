"""Bytes that are nearly what a reader expects, and wrong in the ways that readers break by."""

import json
from typing import Any

from hypothesis import strategies as st

from fuzz.words import NASTY, WORDS

__all__ = ["hostile_bytes"]

_name = st.sampled_from([word.decode() for word in WORDS])
_leaf = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([2**63, 2**64, -(2**63) - 1, 10**400, -1, 0, 1, 2**53]),
    st.floats(),
    st.text(st.characters(), max_size=20),
    st.sampled_from(["\ud800", "\udc00\ud800", "\x00", "\r\nX: y", "\x1b[31m", "a" * 300, "latest", "every"]),
    _name,
)  # fmt: skip
_json = st.recursive(
    _leaf,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.one_of(_name, _name, st.text()), inner, max_size=6)
    ),
    max_leaves=16,
)  # fmt: skip


def _written(value: Any, escaped: bool) -> bytes:
    return json.dumps(value, ensure_ascii=escaped).encode("utf-8", "surrogatepass")


_documents = st.builds(_written, _json, st.booleans())
_deep = st.builds(
    lambda depth, opening, closing, inner: opening * depth + inner + closing * depth,
    st.integers(0, 3000),
    st.sampled_from([b"[", b'{"a":', b'{"data":', b"- "]),
    st.sampled_from([b"]", b"}", b""]),
    st.sampled_from([b"", b"1", b"\xff"]),
)
_piece = st.one_of(
    st.binary(max_size=12), st.sampled_from(WORDS), st.sampled_from(NASTY), _documents
)
_mixed = st.lists(_piece, max_size=8).map(b"".join)
_parted = st.lists(st.one_of(_mixed, _documents), min_size=2, max_size=9).map(b"\x1e".join)


def hostile_bytes() -> st.SearchStrategy[bytes]:
    return st.one_of(_documents, _mixed, _parted, _deep, st.binary(max_size=200))
