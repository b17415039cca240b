import pytest

from tidewire.kafka.partitioning import partition_of
from tidewire.kafka.records import NewRecord, RecordPosition
from tidewire.targeting.messages import letter_of
from tidewire_router.core.dead_letters import dead_letter_record, undecodable, without_value
from tidewire_router.core.inbox import from_first_failures, inbox_records
from tidewire_router.core.intake import DeadLetter, sort_records
from tidewire_router.core.lifetimes import NOW_WINDOW_MS, letter_of_message
from unit.router.routing import NOW_MS, letter, place, targeted_record

DAY_MS = 86_400_000


def test_messages_keep_the_order_of_their_records() -> None:
    records = [targeted_record(b"ann", offset=n) for n in range(3)]

    intake = sort_records(records, now_ms=NOW_MS, ttl_ms=DAY_MS)

    assert [message.offset for message in intake.messages] == [0, 1, 2]
    assert not intake.dead_letters
    assert intake.expired == 0


@pytest.mark.parametrize(
    ("ttl", "age_ms", "is_expired"),
    [(b"0", NOW_WINDOW_MS - 1, False), (b"0", NOW_WINDOW_MS, True), (b"1000", 1000, False)],
)
def test_what_was_for_now_or_never_is_left_out_later(
    ttl: bytes | None, age_ms: int, is_expired: bool
) -> None:
    """What is kept goes to the mailbox in any case: it has to know that something was lost."""
    intake = sort_records([targeted_record(ttl=ttl)], now_ms=NOW_MS + age_ms, ttl_ms=DAY_MS)

    assert intake.expired == is_expired
    assert len(intake.messages) == (not is_expired)


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (targeted_record(None), "no_user"),
        (targeted_record(b"\xff"), "bad_user"),
        (targeted_record(value=None), "no_data"),
        (targeted_record(value=b"{"), "not_json"),
        (targeted_record(ttl=b"soon"), "bad_ttl"),
        (targeted_record(collapse_key=b""), "bad_collapse_key"),
    ],
)
def test_what_cannot_be_routed_becomes_a_dead_letter_with_its_reason(
    record: object, reason: str
) -> None:
    assert isinstance(record, type(targeted_record()))

    (dead,) = sort_records([record], now_ms=NOW_MS, ttl_ms=DAY_MS).dead_letters

    assert dead.reason == reason
    assert dead.detail


def test_a_dead_letter_says_where_it_comes_from_and_keeps_what_it_was() -> None:
    record = targeted_record(b"ann", offset=7, ttl=b"soon", more=[("traceparent", b"00-ab")])

    written = dead_letter_record(DeadLetter(record, "bad_ttl", "write digits"), "dlq")

    assert written[:4] == ("dlq", 0, b"ann", b'{"n":1}')
    assert list(written.headers) == [
        ("tidewire-dlq-topic", b"targeted"),
        ("tidewire-dlq-partition", b"0"),
        ("tidewire-dlq-offset", b"7"),
        ("tidewire-dlq-ts", b"%d" % NOW_MS),
        ("tidewire-dlq-reason", b"bad_ttl"),
        ("tidewire-dlq-detail", b"write digits"),
        *record.headers,
    ]


def test_a_dead_letter_too_large_for_its_topic_keeps_its_provenance_alone() -> None:
    record = targeted_record(value=b"x" * 500, more=[("big", b"y" * 500)])

    cut = without_value(dead_letter_record(DeadLetter(record, "too_large", "less"), "dlq"))

    names = [name for name, _ in cut.headers]
    assert (cut.key, cut.value) == (None, b"")
    assert all(name.startswith("tidewire-dlq-") for name in names)
    assert ("tidewire-dlq-value-omitted", b"500") in cut.headers


def test_of_what_cannot_be_decoded_the_place_is_told() -> None:
    written = dead_letter_record(undecodable(RecordPosition("targeted", 3, 9)), "dlq")

    headers = dict(written.headers)
    assert headers["tidewire-dlq-partition"] == b"3"
    assert headers["tidewire-dlq-offset"] == b"9"
    assert headers["tidewire-dlq-reason"] == b"undecodable"


def test_a_dead_letter_is_never_a_record_that_clients_refuse_to_write() -> None:
    """aiokafka writes none that has neither key nor value: a router would end at it, and so would the next one."""
    nothing = targeted_record()._replace(key=None, value=None)
    where = RecordPosition("targeted", 3, 9)
    user_lacks = DeadLetter(nothing, "no_user", "give the user's id")
    assert dead_letter_record(user_lacks, "dlq").value == b""
    assert dead_letter_record(undecodable(where), "dlq").value == b""


def test_record_in_another_partition_than_its_users_is_a_dead_letter() -> None:
    record = targeted_record(b"ann")
    own = partition_of(b"ann", 12)
    good, bad = record._replace(partition=own), record._replace(partition=(own + 1) % 12)
    intake = sort_records([good, bad], now_ms=NOW_MS, ttl_ms=DAY_MS, partitions=12)
    assert [message.partition for message in intake.messages] == [own]
    assert [dead.reason for dead in intake.dead_letters] == ["wrong_partition"]


def test_a_letter_goes_to_each_place_under_the_epoch_of_its_node() -> None:
    (message,) = sort_records(
        [targeted_record(b"ann", offset=4, collapse_key=b"k")], now_ms=NOW_MS, ttl_ms=DAY_MS
    ).messages
    sent = letter_of_message(message, 2, DAY_MS)

    records = inbox_records([(sent, [place("n1"), place("n2")])], "inbox")

    assert [(r.topic, r.partition, r.key) for r in records] == [
        ("inbox", 1, b"ann"),
        ("inbox", 2, b"ann"),
    ]
    read = [
        letter_of(targeted_record(r.key, value=r.value)._replace(headers=r.headers))
        for r in records
    ]
    assert read == [("n1-epoch", sent), ("n2-epoch", sent)]


def test_a_message_that_is_not_kept_may_be_delivered_for_a_moment() -> None:
    (message,) = sort_records([targeted_record(ttl=b"0")], now_ms=NOW_MS, ttl_ms=DAY_MS).messages

    assert letter_of_message(message, None, DAY_MS).expires_at_ms == NOW_MS + NOW_WINDOW_MS


def test_what_follows_a_failed_record_in_its_partition_is_written_again() -> None:
    records: list[NewRecord] = [
        record
        for offset, node in enumerate(["n1", "n2", "n1", "n2", "n1"])
        for record in inbox_records([(letter("ann", offset), [place(node)])], "inbox")
    ]

    assert from_first_failures(records, []) == []
    assert from_first_failures(records, [2]) == [records[2], records[4]]
    assert from_first_failures(records, [4, 1]) == [records[1], records[3], records[4]]
