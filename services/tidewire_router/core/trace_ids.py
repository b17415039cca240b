"""How a log line names the trace of what it tells of (pure)."""

from collections.abc import Iterable, Mapping

from tidewire.kafka.records import NewRecord, Record
from tidewire.protocol.trace_context import TRACEPARENT, sampled

__all__ = ["trace_id_of"]


def trace_id_of(records: Iterable[Record | NewRecord]) -> Mapping[str, str]:
    """`trace_id`, as log lines have it, of the first that is sampled; nothing where none is."""
    for record in records:
        for name, content in record.headers:
            if name == TRACEPARENT and (parent := sampled(content)) is not None:
                return {"trace_id": f"{parent.trace_id:032x}"}
    return {}
