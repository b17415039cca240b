from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewire.config.streams import Stream
from tidewire.kafka.errors import BrokerUnavailableError, TopicExistsError
from tidewire.kafka.memory import MemoryBroker
from tidewire.kafka.records import TopicSpec, TopicState
from tidewire.system.streams import FLOWS, SYSTEM, system_streams
from tidewire.topics import (
    apply_topics,
    check_topics,
    make_missing,
    revocations_topic,
    targeted_topics,
)
from tidewire.topics.plan import Status, differences, plan, spec_of

STREAMS = {
    "flights": Stream(topic="flights", partitions=6, table=True),
    "notices": Stream(topic="notices", partitions=2, retention_ms=1000),
}


def state_of(stream: Stream, **changes: Any) -> TopicState:
    spec = spec_of(stream)
    return replace(TopicState(stream.topic, "id", spec.partitions, spec.config), **changes)


def test_a_table_is_a_compacted_topic_that_keeps_removals_for_a_day() -> None:
    spec = spec_of(STREAMS["flights"])
    assert (spec.name, spec.partitions, spec.replication) == ("flights", 6, 1)
    assert spec.config["cleanup.policy"] == "compact"
    assert spec.config["delete.retention.ms"] == "86400000"


def test_another_stream_is_deleted_by_age() -> None:
    assert spec_of(STREAMS["notices"]).config == {
        "cleanup.policy": "delete",
        "retention.ms": "1000",
    }
    assert "retention.ms" not in spec_of(Stream(topic="t")).config


any_stream = st.builds(
    Stream,
    topic=st.just("t"),
    partitions=st.integers(1, 9),
    table=st.booleans(),
    retention_ms=st.sampled_from([None, -1]),
)


@given(any_stream)
def test_a_topic_that_was_made_for_a_stream_does_not_differ(stream: Stream) -> None:
    assert differences(stream, state_of(stream)) == ()


@given(any_stream, st.integers(1, 9))
def test_another_partition_count_is_always_told(stream: Stream, partitions: int) -> None:
    found = [d.setting for d in differences(stream, state_of(stream, partitions=partitions))]
    assert found == ([] if partitions == stream.partitions else ["partitions"])


@pytest.mark.parametrize(
    ("policy", "is_right"), [("compact", True), ("delete", False), ("compact,delete", False)]
)
def test_a_table_on_a_topic_that_forgets_is_told(policy: str, is_right: bool) -> None:
    state = state_of(STREAMS["flights"], config={"cleanup.policy": policy})
    found = differences(STREAMS["flights"], state)
    assert (found == ()) is is_right
    for difference in found:
        assert difference.found == policy
        assert "`table`" in str(difference)


def test_what_a_broker_does_not_tell_is_no_difference() -> None:
    assert differences(STREAMS["flights"], state_of(STREAMS["flights"], config={})) == ()


def test_streams_that_share_a_topic_must_agree() -> None:
    shared = {"a": Stream(topic="t", partitions=2), "b": Stream(topic="t", partitions=3)}
    [report] = plan(shared, {}).topics
    assert (report.status, report.streams) == (Status.DIFFERS, ("a", "b"))
    assert [d.setting for d in report.differences] == ["partitions"]


@pytest.mark.parametrize("names", [("a", "b"), ("b", "a")])
def test_topic_that_streams_share_is_made_as_all_of_them_ask(names: tuple[str, str]) -> None:
    plain, asking = names
    shared = {
        plain: Stream(topic="t"),
        asking: Stream(topic="t", replication=3, retention_ms=1000),
    }
    broker = MemoryBroker(brokers=3)
    report = apply_topics(broker.admin(), shared, overrides={"segment.bytes": "1048576"})
    assert (report.is_ok, report.created) == (True, ("t",))
    state = broker.describe(["t"])["t"]
    assert (state.replication, state.config["retention.ms"]) == (3, "1000")
    assert state.config["segment.bytes"] == "1048576"
    [few] = check_topics(MemoryBroker(brokers=2).admin(), shared).differing
    assert few.differences[0].setting == "brokers"


@pytest.mark.parametrize("names", [("a", "b"), ("b", "a")])
def test_streams_that_share_a_topic_and_keep_it_for_different_times_are_told(
    names: tuple[str, str],
) -> None:
    shared = {
        name: Stream(topic="t", retention_ms=1000 * (1 + number))
        for number, name in enumerate(names)
    }
    [report] = plan(shared, {}).differing
    assert [d.setting for d in report.differences] == ["retention.ms"]


def test_retention_is_no_matter_for_a_table_that_shares_its_topic() -> None:
    shared = {"a": Stream(topic="t", table=True), "b": Stream(topic="t", retention_ms=1000)}
    [report] = plan(shared, {}).differing
    assert [(d.setting, d.wanted) for d in report.differences] == [("cleanup.policy", "delete")]


def test_apply_makes_what_is_missing_and_then_nothing() -> None:
    broker = MemoryBroker()
    first = apply_topics(broker.admin(), STREAMS)
    assert first.is_ok
    assert first.created == ("flights", "notices")
    second = apply_topics(broker.admin(), STREAMS)
    assert [t.status for t in second.topics] == [Status.OK, Status.OK]
    assert broker.partitions_of("flights") == 6


def test_settings_that_a_broker_needs_otherwise_are_made_so() -> None:
    broker = MemoryBroker()
    assert apply_topics(broker.admin(), STREAMS, overrides={"segment.bytes": "1048576"}).is_ok
    config = broker.describe(["flights"])["flights"].config
    assert (config["segment.bytes"], config["cleanup.policy"]) == ("1048576", "compact")


def test_apply_changes_no_topic_that_exists() -> None:
    broker = MemoryBroker()
    broker.create(TopicSpec("flights", 2, {"cleanup.policy": "delete"}))
    report = apply_topics(broker.admin(), STREAMS)
    assert not report.is_ok
    assert {t.topic: t.status for t in report.topics} == {
        "flights": Status.DIFFERS,
        "notices": Status.CREATED,
    }
    assert broker.partitions_of("flights") == 2


def test_apply_makes_no_topic_whose_streams_disagree() -> None:
    broker = MemoryBroker()
    shared = {"a": Stream(topic="t", partitions=2), "b": Stream(topic="t", partitions=3)}
    assert not apply_topics(broker.admin(), shared).is_ok
    assert broker.describe(["t"]) == {}


def test_another_process_that_is_first_does_not_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    broker = MemoryBroker()
    admin = broker.admin()
    create = admin.create

    def late(spec: TopicSpec) -> None:
        create(spec)
        raise TopicExistsError(spec.name)

    monkeypatch.setattr(admin, "create", late)
    report = apply_topics(admin, STREAMS)
    assert report.is_ok
    assert report.created == ()
    assert {t.remarks for t in report.topics} == {("somebody else made it meanwhile",)}


def test_a_topic_that_somebody_made_otherwise_after_the_plan_differs_and_is_left_alone() -> None:
    broker = MemoryBroker()
    admin = broker.admin()
    before = check_topics(admin, STREAMS)
    broker.create(TopicSpec("flights", 2, {"cleanup.policy": "compact"}))
    heard: list[str] = []
    report = make_missing(admin, STREAMS, before, about_to=lambda t: heard.append(t.topic))
    assert heard == ["flights", "notices"]
    assert report.created == ("notices",)
    [flights] = report.differing
    assert (flights.topic, flights.partitions) == ("flights", 2)
    assert flights.remarks == ("somebody else made it meanwhile",)
    assert broker.partitions_of("flights") == 2


def test_only_what_the_plan_calls_missing_is_made() -> None:
    broker = MemoryBroker()
    admin = broker.admin()
    apply_topics(admin, STREAMS)
    before = check_topics(admin, STREAMS)
    broker.delete("notices")
    assert make_missing(admin, STREAMS, before) is before
    assert broker.describe(["notices"]) == {}


def test_more_replicas_than_brokers_are_told_and_never_tried() -> None:
    broker = MemoryBroker(brokers=2)
    streams = {
        "few": Stream(topic="few", replication=2),
        "many": Stream(topic="many", replication=3),
    } | revocations_topic(replication=3)
    report = apply_topics(broker.admin(), streams)
    assert report.created == ("few",)
    assert broker.describe(["many", "tidewire.revocations"]) == {}
    many, revocations = report.differing
    assert str(many.differences[0]) == (
        "brokers is 2, wanted 3: start more brokers, or set `replication: 2` in streams.yaml"
    )
    assert "--replication" in str(revocations.differences[0])
    assert (many.found, many.replicas) == (None, 3)


def test_replicas_of_a_topic_that_is_there_are_the_operators() -> None:
    broker = MemoryBroker(brokers=1)
    broker.create(TopicSpec("t", 1, {"cleanup.policy": "delete"}, replication=1))
    report = apply_topics(broker.admin(), {"a": Stream(topic="t", replication=3)})
    assert report.is_ok
    [topic] = report.topics
    assert topic.replicas == 1
    [remark] = topic.remarks
    assert remark.startswith("replicas: 1, a new topic would have 3: ")


def test_what_the_broker_does_not_tell_is_said_and_is_no_difference() -> None:
    state = state_of(STREAMS["notices"], config={}, replication=None)
    report = plan({"notices": STREAMS["notices"]}, {"notices": state})
    assert report.is_ok
    [topic] = report.topics
    assert (topic.replicas, topic.cleanup_policy) == (None, None)
    assert topic.remarks == (
        "replicas: the broker does not tell",
        "cleanup.policy: the broker does not tell",
        "retention.ms: the broker does not tell",
    )


@given(st.lists(st.sampled_from(["missing", "there", "otherwise"]), min_size=1, max_size=5))
def test_every_topic_is_missing_or_differing_or_neither(kinds: list[str]) -> None:
    streams = {f"s{n}": Stream(topic=f"t{n}", partitions=2) for n in range(len(kinds))}
    states = {
        f"t{n}": state_of(streams[f"s{n}"], partitions=2 if kind == "there" else 3)
        for n, kind in enumerate(kinds)
        if kind != "missing"
    }
    report = plan(streams, states, brokers=1)
    assert [t.topic for t in report.missing] == [
        f"t{n}" for n, kind in enumerate(kinds) if kind == "missing"
    ]
    assert [t.topic for t in report.differing] == [
        f"t{n}" for n, kind in enumerate(kinds) if kind == "otherwise"
    ]
    assert report.is_ok == (set(kinds) == {"there"})


def test_check_tells_what_is_missing_and_makes_nothing() -> None:
    broker = MemoryBroker()
    report = check_topics(broker.admin(), STREAMS)
    assert {t.status for t in report.topics} == {Status.MISSING}
    assert not report.is_ok
    assert broker.describe(["flights"]) == {}


def test_a_broker_that_is_away_is_told() -> None:
    broker = MemoryBroker()
    broker.set_available(False)
    with pytest.raises(BrokerUnavailableError):
        apply_topics(broker.admin(), STREAMS)


def test_topics_of_messages_to_users_are_made_and_checked_like_those_of_streams() -> None:
    admin = MemoryBroker().admin()
    wanted = STREAMS | targeted_topics(slots=5)
    made = apply_topics(admin, wanted)
    assert {t.topic: t.partitions for t in made.topics if t.topic.startswith("tidewire.")} == {
        "tidewire.inbox": 5,
        "tidewire.targeted": 12,
        "tidewire.targeted.dlq": 1,
    }
    assert check_topics(admin, wanted).is_ok
    more_nodes = check_topics(admin, STREAMS | targeted_topics(slots=9))
    (inbox,) = (t for t in more_nodes.topics if t.status is Status.DIFFERS)
    assert inbox.topic == "tidewire.inbox"
    assert inbox.differences[0].setting == "partitions"
    assert inbox.differences[0].cure.startswith(
        "say `--slots 5`, or give it more with kafka-topics"
    )
    [revocations] = revocations_topic().values()
    [more] = differences(revocations, state_of(revocations, partitions=3))
    assert "streams.yaml" not in more.cure


def test_how_processes_are_is_kept_per_key_and_forgotten_after_a_day() -> None:
    config = spec_of(system_streams()[SYSTEM]).config
    assert config["cleanup.policy"] == "compact,delete"
    assert config["retention.ms"] == "86400000"
    assert spec_of(system_streams()[FLOWS]).config["cleanup.policy"] == "delete"


@pytest.mark.parametrize(
    ("config", "settings"),
    [
        ({"cleanup.policy": "compact,delete", "retention.ms": "86400000"}, []),
        ({"cleanup.policy": "delete, compact", "retention.ms": "86400000"}, []),
        ({"cleanup.policy": "compact", "retention.ms": "86400000"}, ["cleanup.policy"]),
        ({"cleanup.policy": "compact,delete", "retention.ms": "1"}, ["retention.ms"]),
    ],
)
def test_topic_of_the_system_that_is_otherwise_is_told_with_a_cure_that_exists(
    config: dict[str, str], settings: list[str]
) -> None:
    stream = system_streams()[SYSTEM]
    found = differences(stream, state_of(stream, config=config))
    assert [difference.setting for difference in found] == settings
    for difference in found:
        assert difference.cure == "set it with kafka-configs"


def test_topics_of_the_system_have_as_many_replicas_as_they_are_given() -> None:
    for streams in (system_streams(replication=3), targeted_topics(replication=3)):
        assert {spec_of(stream).replication for stream in streams.values()} == {3}
