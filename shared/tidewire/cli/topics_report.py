"""What `tidewire topics` says of topics: lines and a table for people, members for scripts."""

from collections.abc import Iterator
from typing import Any

from rich.table import Table

from ..topics import TopicReport, TopicsReport
from ..topics.plan import Status

__all__ = ["as_table", "plan_lines", "plan_wire", "topic_lines", "topics_wire"]

_COLOURS = {
    Status.OK: "green",
    Status.CREATED: "green",
    Status.MISSING: "yellow",
    Status.DIFFERS: "red",
}


def topic_lines(topic: TopicReport) -> Iterator[str]:
    """How a topic stands, and below it what is wrong."""
    partitions = _counted(topic.partitions, "partition")
    said = {
        Status.OK: f"ok, {partitions}",
        Status.CREATED: f"created, {partitions}",
        Status.MISSING: "missing; make it with `tidewire topics apply`",
        Status.DIFFERS: "differs" if topic.found else "missing, and cannot be made",
    }
    yield f"{topic.topic}: {said[topic.status]}"
    for told in (*topic.differences, *topic.remarks):
        yield f"  {told}"


def plan_lines(report: TopicsReport) -> Iterator[str]:
    """What `apply` would do with each topic, and at the end the sum of it."""
    for topic in report.topics:
        yield from _planned(topic)
    agree = len(report.topics) - len(report.missing) - len(report.differing)
    to_make = f"{len(report.missing)} to make" if report.missing else "nothing to make"
    by_hand = f", {len(report.differing)} for you to look after" if report.differing else ""
    yield f"{to_make}, {agree} as they should be{by_hand}"


def _planned(topic: TopicReport) -> Iterator[str]:
    shape = f"{_counted(topic.partitions, 'partition')}, {_counted(topic.replicas, 'replica')}"
    match topic.status:
        case Status.MISSING:
            yield f"+ {topic.topic}: is made, {shape}"
            for setting, text in sorted(topic.wanted.config.items()):
                yield f"    {setting}={text}"
        case Status.DIFFERS if topic.found is None:
            yield f"! {topic.topic}: is missing and cannot be made, {shape}"
        case Status.DIFFERS:
            yield f"! {topic.topic}: differs and stays as it is, {shape}"
        case _:
            yield f"= {topic.topic}: is as it should be, {shape}"
    for difference in topic.differences:
        yield f"    {difference}"
    for remark in topic.remarks:
        yield f"    ({remark})"


def as_table(report: TopicsReport) -> Table:
    table = Table(box=None, header_style="bold")
    for heading in ("topic", "streams", "partitions", "replicas", "cleanup.policy", "there"):
        is_number = heading in {"partitions", "replicas"}
        table.add_column(heading, justify="right" if is_number else "left")
    table.add_column("state")
    for topic in report.topics:
        table.add_row(
            topic.topic,
            ", ".join(topic.streams),
            str(topic.partitions),
            _or_unknown(topic.replicas),
            _or_unknown(topic.cleanup_policy),
            "no" if topic.found is None else "yes",
            f"[{_COLOURS[topic.status]}]{topic.status}[/]",
        )
    return table


def topics_wire(report: TopicsReport) -> dict[str, Any]:
    return {"ok": report.is_ok, "topics": [_wire(topic) for topic in report.topics]}


def plan_wire(report: TopicsReport) -> dict[str, Any]:
    """As `topics_wire`, with the names of what is made and the settings that it gets."""
    settings = {topic.topic: {"settings": dict(topic.wanted.config)} for topic in report.missing}
    return {
        "ok": report.is_ok,
        "to_make": [topic.topic for topic in report.missing],
        "topics": [_wire(topic) | settings.get(topic.topic, {}) for topic in report.topics],
    }


def _wire(topic: TopicReport) -> dict[str, Any]:
    return {
        "topic": topic.topic,
        "streams": list(topic.streams),
        "state": topic.status.value,
        "there": topic.found is not None,
        "partitions": topic.partitions,
        "replicas": topic.replicas,
        "cleanup_policy": topic.cleanup_policy,
        "differences": [
            {"setting": d.setting, "wanted": d.wanted, "found": d.found, "cure": d.cure}
            for d in topic.differences
        ],
        "remarks": list(topic.remarks),
    }


def _counted(count: int | None, what: str) -> str:
    if count is None:
        return f"{what}s unknown"
    return f"1 {what}" if count == 1 else f"{count} {what}s"


def _or_unknown(value: object) -> str:
    return "?" if value is None else str(value)
