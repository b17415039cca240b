"""Makes the topics that are missing; changes none that exists."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from ..config.streams import Stream
from ..kafka.errors import TopicExistsError
from ..kafka.ports import TopicAdmin
from .plan import Status, TopicReport, TopicsReport, plan

__all__ = ["apply_topics", "check_topics", "make_missing"]

_OVERTAKEN = "somebody else made it meanwhile"


def check_topics(admin: TopicAdmin, streams: Mapping[str, Stream]) -> TopicsReport:
    """How the streams' topics stand now. Blocks; raises the admin's errors."""
    topics = sorted({stream.topic for stream in streams.values()})
    return plan(streams, admin.describe(topics), brokers=admin.brokers())


def apply_topics(
    admin: TopicAdmin,
    streams: Mapping[str, Stream],
    *,
    overrides: Mapping[str, str] | None = None,
) -> TopicsReport:
    """Look, make what is missing, and report, as `make_missing` does."""
    return make_missing(admin, streams, check_topics(admin, streams), overrides=overrides)


def make_missing(
    admin: TopicAdmin,
    streams: Mapping[str, Stream],
    before: TopicsReport,
    *,
    overrides: Mapping[str, str] | None = None,
    about_to: Callable[[TopicReport], None] = lambda _: None,
) -> TopicsReport:
    """Make what ``before`` calls missing, then report. Idempotent, and safe beside another process that does it.

    ``overrides`` are topic settings that this broker needs otherwise; ``about_to`` hears of each topic before it is made. What
    cannot be made as its streams ask is not made. Blocks; raises the admin's errors.
    """
    if not before.missing:
        return before
    created, overtaken = set(), set()
    for report in before.missing:
        about_to(report)
        try:
            wanted = report.wanted
            admin.create(replace(wanted, config={**wanted.config, **(overrides or {})}))
        except TopicExistsError:
            overtaken.add(report.topic)  # it is checked below like any other
        else:
            created.add(report.topic)
    after = check_topics(admin, streams)
    return TopicsReport(tuple(_told(report, created, overtaken) for report in after.topics))


def _told(report: TopicReport, created: set[str], overtaken: set[str]) -> TopicReport:
    if report.topic in created and report.status is Status.OK:
        return replace(report, status=Status.CREATED)
    if report.topic in overtaken:
        return replace(report, remarks=(_OVERTAKEN, *report.remarks))
    return report
