"""A router that traces: what its mailboxes and inboxes are given goes on with its spans, and its log names them."""

from typing import Any

import pytest
from opentelemetry.trace import StatusCode

from harness.spans import SpanKeeper, header_of, parent_of
from harness.waiting import eventually
from integration.router.parts import DLQ, INBOX, TARGETED, Running, Site, place
from tidewire.kafka.records import NewRecord, TopicSpec
from tidewire_router.traces import MessageTraces

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACE_ID = TRACE.split("-")[1]
UNSAMPLED = TRACE[:-1] + "0"


def traced_site() -> tuple[Site, SpanKeeper]:
    spans = SpanKeeper()
    traces = MessageTraces(
        spans.tracer, TARGETED, INBOX, most_per_second=1000, counted=lambda _: None
    )
    return Site(traces=traces), spans


async def test_mailbox_and_inboxes_go_on_with_the_routers_spans() -> None:
    site, spans = traced_site()
    site.registry.places["ann"] = (place(0), place(2))
    async with site.router():
        site.publish("ann", 1, traceparent=TRACE)
        await eventually(lambda: len(spans.ended) == 3)
    [process] = spans.named("process targeted")
    sent = spans.named("send inbox")
    assert parent_of(process) == TRACE
    assert [parent_of(span) for span in sent] == [header_of(process)] * 2
    [in_mailbox] = site.mailboxes.appended
    assert in_mailbox.traceparent == header_of(process)
    assert [site.inbox(slot)[0][1].traceparent for slot in (0, 2)] == [
        header_of(span) for span in sent
    ]


async def test_what_is_sent_later_is_still_of_the_messages_trace() -> None:
    """The registry is away: the letter goes where its user was, and when it answers where it is now."""
    site, spans = traced_site()
    site.registry.places["ann"] = (place(0),)
    async with site.router() as router:
        site.publish("ann", 1)
        await eventually(lambda: site.ids(0) == ["ann:1"])
        site.registry.is_away = True
        await eventually(lambda: _is_noticed(site, router))
        site.publish("ann", 3, traceparent=TRACE)
        await eventually(lambda: "ann:3" in site.ids(0))
        site.registry.places["ann"] = (place(1),)
        site.registry.is_away = False
        await eventually(lambda: "ann:3" in site.ids(1))
        await eventually(lambda: len(spans.named("send inbox")) == 2)
    [process] = spans.named("process targeted")
    assert [parent_of(span) for span in spans.named("send inbox")] == [header_of(process)] * 2


def _is_noticed(site: Site, router: Running) -> bool:
    """That the registry is away shows once something is to be routed."""
    site.publish("ann", 2)
    return router.metric("router_registry_away") == 1


async def test_what_is_not_sampled_leaves_no_span_and_goes_on_as_it_came() -> None:
    site, spans = traced_site()
    site.registry.places["ann"] = (place(0),)
    async with site.router():
        site.publish("ann", 1, traceparent=UNSAMPLED)
        site.publish("ann", 2)
        await eventually(lambda: len(site.inbox(0)) == 2)
    assert spans.ended == ()
    assert [letter.traceparent for _, letter in site.inbox(0)] == [UNSAMPLED, None]


async def test_a_router_that_does_not_trace_hands_the_context_on() -> None:
    site = Site()
    site.registry.places["ann"] = (place(0),)
    async with site.router():
        site.publish("ann", 1, traceparent=TRACE)
        await eventually(lambda: len(site.inbox(0)) == 1)
    assert [letter.traceparent for _, letter in site.inbox(0)] == [TRACE]


async def test_a_record_that_an_inbox_does_not_take_is_told_by_its_span_and_in_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    site, spans = traced_site()
    site.broker.delete(INBOX)
    site.broker.create(TopicSpec(INBOX, 4, {"max.message.bytes": "2000"}))
    site.registry.places["ann"] = (place(1),)
    large = message("ann", b'"%s"' % (b"x" * 3000), TRACE)
    async with site.router():
        site.broker.append(large)
        site.publish("ann", 2, traceparent=TRACE)
        await eventually(lambda: len(spans.named("send inbox")) == 2)
    refused, taken = spans.named("send inbox")
    assert (refused.status.status_code, taken.status.status_code) == (
        StatusCode.ERROR,
        StatusCode.UNSET,
    )
    assert (refused.attributes or {})["error.type"] == "RecordTooLargeError"
    assert told(caplog, "left out of an inbox")["trace_id"] == TRACE_ID


async def test_a_retry_is_told_with_the_trace_of_one_that_is_sampled(
    caplog: pytest.LogCaptureFixture,
) -> None:
    site = Site()
    site.registry.places["ann"] = (place(1),)
    async with site.router():
        site.broker.delete(INBOX)
        site.publish("ann", 1, traceparent=TRACE)
        await eventually(lambda: lines_of(caplog, "failed, and is tried again"))
        site.broker.create(TopicSpec(INBOX, 4, {}))
        await eventually(lambda: site.ids(1) == ["ann:1"])
    assert lines_of(caplog, "failed, and is tried again")[0]["trace_id"] == TRACE_ID


@pytest.mark.parametrize(("trace", "named"), [(TRACE, TRACE_ID), (UNSAMPLED, None), (None, None)])
async def test_dead_letters_are_told_with_the_trace_of_one_that_is_sampled(
    caplog: pytest.LogCaptureFixture, trace: str | None, named: str | None
) -> None:
    site = Site()
    async with site.router():
        site.broker.append(message("ann", b"{", trace))
        await eventually(lambda: site.records(DLQ))
    line = told(caplog, "dead letters")
    assert (line["count"], line["reason"], line.get("trace_id")) == (1, "not_json", named)


def message(user: str, body: bytes, trace: str | None) -> NewRecord:
    headers = [("ce_id", b"1"), *([] if trace is None else [("traceparent", trace.encode())])]
    return NewRecord(TARGETED, 0, user.encode(), body, headers)


def told(caplog: pytest.LogCaptureFixture, event: str) -> dict[str, Any]:
    """The fields of the one line that says so."""
    [line] = lines_of(caplog, event)
    return line


def lines_of(caplog: pytest.LogCaptureFixture, event: str) -> list[dict[str, Any]]:
    lines = [dict(record.msg) for record in caplog.records if isinstance(record.msg, dict)]
    return [line for line in lines if line.get("event") == event]
