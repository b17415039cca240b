"""The end of a broken batch is found by reading around it."""

from hypothesis import given
from hypothesis import strategies as st

from tidewire.kafka.confluent_gap import Gap


@given(
    base=st.integers(0, 10**12),
    length=st.integers(1, 10**6),
    data=st.data(),
)
def test_the_first_offset_behind_a_broken_batch_is_found_in_few_looks(
    base: int, length: int, data: st.DataObject
) -> None:
    end = base + length
    begun_at = data.draw(st.integers(base, end - 1))
    gap = Gap(base, begun_at)
    looks = 0
    while not gap.is_measured:
        gap = gap.seen(broken=gap.probe < end)
        looks += 1
    assert gap.probe == end
    assert looks <= 2 * length.bit_length() + 1
