"""What drills publish to users."""

from collections import Counter
from itertools import islice

from drills.publisher import UserFlow, user_name
from tidewire.kafka.partitioning import partition_of
from tidewire.kafka.records import NewRecord, Record
from tidewire.targeting.messages import Message, message_of

PARTITIONS = 12


def flow(**options: float) -> UserFlow:
    return UserFlow("targeted", PARTITIONS, 100.0, 20, **options)  # type: ignore[arg-type] # numbers of either kind


def read(record: NewRecord, offset: int) -> Message:
    whole = Record(
        record.topic, record.partition, offset, 0, record.key, record.value, record.headers
    )
    return message_of(whole, partitions=PARTITIONS)


def messages(flow: UserFlow, count: int) -> list[Message]:
    return [read(record, offset) for offset, record in enumerate(islice(flow.records(), count))]


def test_user_flow_is_made_of_messages_in_the_partitions_of_their_users() -> None:
    found = messages(flow(), 500)
    assert {m.user for m in found} == {user_name(number) for number in range(20)}
    assert all(m.partition == partition_of(m.user.encode(), PARTITIONS) for m in found)
    assert len({m.id for m in found}) == 500


def test_user_flow_has_its_shares_of_fleeting_and_collapsing_messages() -> None:
    found = messages(flow(fleeting=0.3, collapsing=0.2), 2000)
    kinds = Counter((m.is_kept, m.collapse_key is not None) for m in found)
    assert set(kinds) == {(False, False), (True, True), (True, False)}
    assert 500 < kinds[False, False] < 700
    assert 300 < kinds[True, True] < 500


def test_flows_of_different_seeds_have_different_ids() -> None:
    assert not {m.id for m in messages(flow(seed=1), 50)} & {
        m.id for m in messages(flow(seed=2), 50)
    }
