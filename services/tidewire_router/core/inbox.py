"""Records for the nodes' inboxes, and what of them is to be written once more."""

from collections.abc import Collection, Iterable, Sequence

from tidewire.kafka.records import NewRecord
from tidewire.targeting.messages import Letter, inbox_record
from tidewire.targeting.registry import Place

__all__ = ["from_first_failures", "inbox_records"]


def inbox_records(
    routes: Iterable[tuple[Letter, Sequence[Place]]], topic: str
) -> Sequence[NewRecord]:
    """One record for each place of each letter, in order."""
    return [
        inbox_record(letter, topic, place.slot, place.epoch)
        for letter, places in routes
        for place in places
    ]


def from_first_failures(
    records: Sequence[NewRecord], failed: Collection[int]
) -> Sequence[NewRecord]:
    """Per partition everything from the first failed record on: its order holds, at the price of duplicates.

    ``failed`` are indexes into ``records``.
    """
    first_by_partition: dict[int, int] = {}
    for index in sorted(failed):
        first_by_partition.setdefault(records[index].partition, index)
    end = len(records)
    return [
        record
        for index, record in enumerate(records)
        if index >= first_by_partition.get(record.partition, end)
    ]
