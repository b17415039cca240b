"""Makes the topics that are missing; changes none that exists."""

from collections.abc import Mapping
from dataclasses import replace

from ..config.streams import Stream
from ..kafka.errors import TopicExistsError
from ..kafka.ports import TopicAdmin
from .plan import Status, TopicsReport, plan, spec_of

__all__ = ["apply_topics", "check_topics"]


def check_topics(admin: TopicAdmin, streams: Mapping[str, Stream]) -> TopicsReport:
    """How the streams' topics stand now. Blocks; raises the admin's errors."""
    topics = sorted({stream.topic for stream in streams.values()})
    return plan(streams, admin.describe(topics))


def apply_topics(
    admin: TopicAdmin,
    streams: Mapping[str, Stream],
    *,
    overrides: Mapping[str, str] | None = None,
) -> TopicsReport:
    """Make what is missing, then report. Idempotent, and safe beside another process that does it.

    ``overrides`` are topic settings that this broker needs otherwise. A topic whose streams disagree about it is not made. Blocks; raises the admin's errors.
    """
    before = check_topics(admin, streams)
    created = set()
    for report in before.topics:
        if report.status is not Status.MISSING:
            continue
        try:
            admin.create(spec_of(streams[report.streams[0]], overrides))
        except TopicExistsError:
            continue  # another process was first: it is checked below like any other
        created.add(report.topic)
    if not created and all(t.status is not Status.MISSING for t in before.topics):
        return before
    after = check_topics(admin, streams)
    return TopicsReport(
        tuple(
            replace(report, status=Status.CREATED)
            if report.topic in created and report.status is Status.OK
            else report
            for report in after.topics
        )
    )
