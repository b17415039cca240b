"""Positions survive being text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewire_client import Position

positions = st.builds(
    Position, st.text(), st.dictionaries(st.integers(0, 10**9), st.integers(0, 2**63 - 1))
)


@given(positions)
def test_text_of_a_position_reads_back(position: Position) -> None:
    assert Position.parse(str(position)) == position


@given(positions, positions)
def test_another_epoch_replaces_everything(one: Position, other: Position) -> None:
    merged = one.merged(other)
    if one.epoch == other.epoch:
        assert merged.offsets == {**one.offsets, **other.offsets}
    else:
        assert merged == other


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "[]",
        "{}",
        '{"epoch":1,"offsets":{}}',
        '{"epoch":"e","offsets":{"x":1}}',
        '{"epoch":"e","offsets":{"0":-1}}',
        '{"epoch":"e","offsets":{"0":true}}',
    ],
)
def test_what_is_no_position_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 -- the contract is ValueError, whichever message
        Position.parse(text)
