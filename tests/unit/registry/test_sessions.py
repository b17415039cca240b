from hypothesis import given
from hypothesis import strategies as st

from tidewire_registry.core.sessions import Row, row_of, surplus, text_of

DEVICES = st.one_of(st.none(), st.text("abc é", min_size=1, max_size=20))


@given(st.integers(0, 1 << 50), DEVICES)
def test_a_row_is_read_as_it_was_written(since_ms: int, device: str | None) -> None:
    row = Row("0123456789abcdef" * 2, since_ms, device)
    assert row_of(text_of(row)) == row


def test_a_row_stays_below_the_size_that_redis_packs() -> None:
    assert len(text_of(Row("f" * 32, 1_700_000_000_000, "Firefox, Linux"))) <= 64


def test_the_oldest_are_surplus() -> None:
    rows = {f"c{n}": Row("e", 1000 - n, None) for n in range(5)}
    assert surplus(rows, 3) == ["c4", "c3"]
    assert surplus(rows, 5) == []


@given(st.dictionaries(st.text("abc", min_size=1), st.integers(0, 5), max_size=30))
def test_who_stays_is_never_older_than_who_goes(ages: dict[str, int]) -> None:
    rows = {connection: Row("e", since, None) for connection, since in ages.items()}
    gone = surplus(rows)
    kept = rows.keys() - set(gone)
    assert len(kept) == min(16, len(rows))
    assert not gone or max(rows[c].since_ms for c in gone) <= min(rows[c].since_ms for c in kept)
