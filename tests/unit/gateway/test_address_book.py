"""What a node remembers of addresses: all that limits need, and no more than it has room for."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from tidewire_gateway.core.address_book import AddressBook
from tidewire_gateway.core.limits import Limits

LIMITS = Limits(
    connections_per_address=3, address_handshakes_per_second=2.0, address_handshakes_burst=4
)


def accepted(book: AddressBook, address: str, now: float, tries: int) -> int:
    return [book.knock(address, now) == 0 for _ in range(tries)].count(True)


def test_address_has_its_burst_and_then_its_rate() -> None:
    book = AddressBook(LIMITS)
    assert accepted(book, "a", 0.0, 10) == 4
    assert accepted(book, "a", 1.0, 10) == 2


def test_one_address_does_not_use_up_another_ones() -> None:
    book = AddressBook(LIMITS)
    accepted(book, "a", 0.0, 1000)
    assert accepted(book, "b", 0.0, 10) == 4


def test_address_is_full_with_its_connections_until_one_ends() -> None:
    book = AddressBook(LIMITS)
    for _ in range(3):
        assert not book.is_full("a")
        book.opened("a")
    assert book.is_full("a")
    assert not book.is_full("b")
    book.closed("a", 1.0)
    assert not book.is_full("a")


def test_reconnecting_does_not_give_the_burst_back() -> None:
    book = AddressBook(LIMITS)
    for _ in range(4):
        assert book.knock("a", 0.0) == 0
        book.opened("a")
        book.closed("a", 0.0)
    assert book.knock("a", 0.0) > 0


def test_address_that_has_rested_is_forgotten() -> None:
    book = AddressBook(LIMITS)
    for n in range(100):
        book.knock(f"{n}", 0.0)
    assert len(book) == 100
    for _ in range(60):
        book.knock("again", 2.0)  # the burst is whole after 2 s
    assert len(book) == 1


def test_flood_of_addresses_is_held_to_a_bound_and_forgets_no_connection() -> None:
    book = AddressBook(LIMITS, most_idle=50)
    for _ in range(3):
        book.opened("here")
    for n in range(10_000):
        book.knock(f"{n}", 0.0)
    assert len(book) <= 51
    assert book.is_full("here")
    assert accepted(book, "9999", 0.0, 10) == 3  # seen last: it is known
    assert accepted(book, "0", 0.0, 10) == 4  # seen first: it is not


def test_lifted_limits_remember_nothing() -> None:
    book = AddressBook(Limits(connections_per_address=0, address_handshakes_per_second=0))
    for n in range(100):
        assert book.knock(f"{n}", 0.0) == 0
        book.opened("a")
        assert not book.is_full("a")
    assert len(book) == 0
    book.closed("a", 0.0)


def test_each_limit_holds_without_the_other() -> None:
    by_rate = AddressBook(Limits(connections_per_address=0, address_handshakes_burst=2))
    for _ in range(5):
        by_rate.opened("a")
    assert not by_rate.is_full("a")
    assert accepted(by_rate, "a", 0.0, 5) == 2
    by_count = AddressBook(Limits(connections_per_address=1, address_handshakes_per_second=0))
    by_count.opened("a")
    assert by_count.is_full("a")
    assert accepted(by_count, "a", 0.0, 5) == 5
    by_count.closed("a", 0.0)
    by_count.opened("b")
    by_count.closed("b", 0.0)
    assert len(by_count) <= 1  # nothing of one without connections is worth remembering


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["open", "close", "knock"]), st.sampled_from("abcdef"), st.floats(0, 2)
    ),
    max_size=200,
)


@given(STEPS, st.integers(1, 4))
def test_counts_are_those_of_the_connections_whatever_happens(
    steps: list[tuple[str, str, float]], most_idle: int
) -> None:
    book = AddressBook(LIMITS, most_idle=most_idle)
    connections: Counter[str] = Counter()
    now = 0.0
    for what, address, pause in steps:
        now += pause
        if what == "open":
            book.opened(address)
            connections[address] += 1
        elif what == "close" and connections[address]:
            book.closed(address, now)
            connections[address] -= 1
        else:
            book.knock(address, now)
        assert [book.is_full(a) for a in "abcdef"] == [connections[a] >= 3 for a in "abcdef"]
        assert len(book) <= most_idle + len(+connections)
