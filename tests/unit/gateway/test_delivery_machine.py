"""Whatever happens in whatever order, every client ends with what the log says.

Events of before the topic was recreated are the one thing that may be missing, and that is told.
"""

import json
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    multiple,
    precondition,
    rule,
)

from harness.virtual import VirtualClient, VirtualLog, VirtualNode, copied
from tidewire.config.streams import Stream
from tidewire.kafka.partitioning import partition_of
from tidewire.protocol.codes import Mode
from tidewire_client.subscription_state import SubscriptionState
from tidewire_gateway.core.limits import Limits

GROUPS = ("A", "B", "C")
PARTITIONS = 2
STREAM = Stream(
    topic="t",
    partitions=PARTITIONS,
    group="key-prefix",
    table=True,
    modes=(Mode.LATEST, Mode.EVERY),
)
INTERVALS = (0, 50, 1000)
RESUMED = 8  # of the positions that a client was handed, the last ones
LIMITS = Limits(max_frame_out=1400, live_timeout=3.0)

keys = st.builds("{}/{}".format, st.sampled_from(GROUPS), st.integers(0, 2))
records = st.tuples(keys, st.booleans())
Flow = tuple[list[tuple[str, bool]], int]
flows = st.tuples(st.lists(records, min_size=1, max_size=8), st.integers(0, 3))
channels = st.sampled_from(("s", "s/A", "s", "s/B", "s/C"))
Wish = tuple[int, str, Mode, int]
wishes = st.tuples(
    st.integers(0, 1), channels, st.sampled_from(list(Mode)), st.sampled_from(INTERVALS)
)


def covers(channel: str, key: str) -> bool:
    return channel == "s" or key.startswith(channel.removeprefix("s/") + "/")


class DeliveryMachine(RuleBasedStateMachine):
    """Two nodes over one log; clients come, lag, pause, change rate and move between them."""

    clients = Bundle("clients")

    @initialize(
        target=clients,
        history=st.lists(records, max_size=10),
        wishes=st.lists(wishes, min_size=1, max_size=3),
    )
    def begin(self, history: list[tuple[str, bool]], wishes: list[Wish]) -> Any:
        self.log = VirtualLog("t", PARTITIONS)
        self.count = 0
        self.publish(history)
        public = STREAM.model_copy(update={"public": True})
        # One write a turn: what happens while a frame is on its way is what the machine looks for.
        self.nodes = [VirtualNode(self.log, public, LIMITS, most_writes=1) for _ in range(2)]
        for node in self.nodes:
            node.read_all()
        self.everybody: list[VirtualClient] = []
        return multiple(*(self.connect(*wish) for wish in wishes for _ in range(2)))

    def publish(self, records: list[tuple[str, bool]]) -> None:
        for key, is_removal in records:
            self.count += 1
            fill = {"n": self.count, "fill": "x" * 150}
            value = None if is_removal else json.dumps(fill).encode()
            group = key.partition("/")[0]
            self.log.publish(partition_of(group.encode(), PARTITIONS), key, value)

    @rule(node=st.integers(0, 1), amid=flows)
    def flow(self, node: int, amid: Flow) -> None:
        self.let_flow(self.nodes[node], amid)

    def let_flow(self, node: VirtualNode, amid: Flow) -> None:
        """What mostly happens: records come, a node reads some, its loop turns a few times.

        Every other thing happens amid it, or hardly a run would have anything to lose.
        """
        published, turns = amid
        self.publish(published)
        for partition in range(PARTITIONS):
            node.read(partition, 2 * len(published))
        for _ in range(turns):
            node.timers.turn()

    @rule(node=st.integers(0, 1), partition=st.integers(0, 1), count=st.integers(1, 5))
    def read(self, node: int, partition: int, count: int) -> None:
        self.nodes[node].read(partition, count)

    @rule(node=st.integers(0, 1), partition=st.integers(0, 1))
    def let_partition_go(self, node: int, partition: int) -> None:
        self.nodes[node].let_go(partition)

    @rule(node=st.integers(0, 1), partition=st.integers(0, 1))
    def begin_partition_anew(self, node: int, partition: int) -> None:
        self.nodes[node].begin_anew(partition)

    @rule(count=st.integers(3, 20))
    def forget_oldest(self, count: int) -> None:
        for node in self.nodes:
            for partition in range(PARTITIONS):
                node.evict(partition, count)

    @rule(node=st.integers(0, 1), most=st.integers(1, 6))
    def backfill(self, node: int, most: int) -> None:
        self.nodes[node].backfill(most)

    @rule(node=st.integers(0, 1))
    def measure(self, node: int) -> None:
        self.nodes[node].measure()

    @rule(node=st.integers(0, 1))
    def turn(self, node: int) -> None:
        self.nodes[node].timers.turn()

    @rule(node=st.integers(0, 1), seconds=st.sampled_from((0.01, 0.05, 0.3, 2.0)))
    def wait(self, node: int, seconds: float) -> None:
        self.nodes[node].timers.advance(seconds)

    @rule(target=clients, wish=wishes)
    def connect_another(self, wish: Wish) -> VirtualClient:
        return self.connect(*wish)

    @rule(target=clients, client=clients, amid=flows)
    def connect_twin(self, client: VirtualClient, amid: Flow) -> VirtualClient:
        """One more in a feed that is busy."""
        self.let_flow(client.node, amid)
        twin = VirtualClient(client.node, SubscriptionState(), client.channel)
        twin.subscribe(mode=client.state.mode, interval_ms=client.state.interval_ms)
        return self.joined(twin)

    def connect(self, node: int, channel: str, mode: Mode, interval_ms: int) -> VirtualClient:
        client = VirtualClient(self.nodes[node], SubscriptionState(), channel)
        client.subscribe(mode=mode, interval_ms=interval_ms)
        return self.joined(client)

    @rule(target=clients, client=consumes(clients), node=st.integers(0, 1), back=st.integers(0, 6))
    def move(self, client: VirtualClient, node: int, back: int) -> Any:
        """Lose the connection, also before the last frames arrived, and resume on some node."""
        if not client.moments:
            return client
        client.leave()
        self.everybody.remove(client)
        last = max(0, len(client.moments) - 1 - back)
        return self.joined(resumed(client, self.nodes[node], last))

    @rule(client=clients, amid=flows)
    def fall_behind(self, client: VirtualClient, amid: Flow) -> None:
        self.let_flow(client.node, amid)
        client.is_congested = True

    @rule(client=clients, amid=flows)
    def drain(self, client: VirtualClient, amid: Flow) -> None:
        self.let_flow(client.node, amid)
        client.drain()

    @rule(client=clients, amid=flows, interval_ms=st.sampled_from(INTERVALS))
    def change_rate(self, client: VirtualClient, amid: Flow, interval_ms: int) -> None:
        self.let_flow(client.node, amid)
        if client.sub is not None:
            client.update(interval_ms=interval_ms)

    @rule(client=clients, amid=flows, paused=st.booleans())
    def pause(self, client: VirtualClient, amid: Flow, paused: bool) -> None:
        self.let_flow(client.node, amid)
        if client.sub is not None:
            client.update(paused=paused)

    def joined(self, client: VirtualClient) -> VirtualClient:
        self.everybody.append(client)
        return client

    def teardown(self) -> None:
        if not hasattr(self, "everybody"):
            return
        self.settle()
        for client in self.everybody:
            client.drain()
            client.update(paused=False)
        self.settle()
        for client in self.everybody:
            self.check(client)
        self.forget_oldest(8)
        successors = [s for client in self.everybody for s in self.successors(client)]
        self.settle()
        for successor in successors:
            self.check(successor)

    def successors(self, client: VirtualClient) -> list[VirtualClient]:
        """Those who resume from the positions that a client was handed, on one node or the other."""
        moments = range(max(0, len(client.moments) - RESUMED), len(client.moments))
        return [resumed(client, self.nodes[index % 2], index) for index in moments]

    def settle(self) -> None:
        for node in self.nodes:
            node.notice_topic()
            node.read_all()
            node.timers.advance(5.0)
            while node.wanted:
                node.backfill(5)
                node.timers.advance(5.0)

    def check(self, client: VirtualClient) -> None:
        assert set(client.gap_reasons) <= {"recreated"}
        assert client.epoch == self.log.epoch
        if client.state.mode == Mode.LATEST:
            newest = {key: event.data for key, event in client.state.newest.items()}
            expected = self.log.newest(lambda key: covers(client.channel, key))
            assert newest == {key: json.loads(value) for key, value in expected.items()}
        else:
            self.check_every(client)

    def check_every(self, client: VirtualClient) -> None:
        """Each event once, in order, from where the subscription began."""
        for partition, records in self.log.records.items():
            delivered = [offset for where, offset in client.delivered if where == partition]
            matching = [
                r.offset for r in records if covers(client.channel, (r.key or b"").decode())
            ]
            start = client.moments[0].state.position
            assert start is not None
            first = start.offsets.get(partition, 0) if start.epoch == self.log.epoch else 0
            if start.epoch == self.log.epoch and partition not in start.offsets:
                # Answered before the partition was live: it begins where the node came to read it.
                first = min(delivered, default=len(records))
            assert delivered == [offset for offset in matching if offset >= first]


class RecreatedTopicMachine(DeliveryMachine):
    """The topic is made anew, too, and each node notices in its time."""

    @precondition(lambda self: self.count > 5)
    @rule()
    def recreate_topic(self) -> None:
        self.log.recreate(PARTITIONS)
        self.count = 0

    @rule(node=st.integers(0, 1))
    def notice_topic(self, node: int) -> None:
        self.nodes[node].notice_topic()


def resumed(client: VirtualClient, node: VirtualNode, index: int) -> VirtualClient:
    """A client as it stood when it was handed its ``index``-th position, connected anew."""
    moment = client.moments[index]
    successor = VirtualClient(node, copied(moment.state), client.channel)
    successor.delivered = list(moment.delivered)
    successor.moments = client.moments[: index + 1]
    position = moment.state.position
    assert position is not None
    successor.subscribe(
        mode=moment.state.mode,
        interval_ms=moment.state.interval_ms,
        since={
            "epoch": position.epoch,
            "offsets": {str(p): o for p, o in position.offsets.items()},
        },
    )
    return successor


SETTINGS = settings(max_examples=100, stateful_step_count=40, deadline=None)
TestDelivery = DeliveryMachine.TestCase
TestDelivery.settings = SETTINGS
TestRecreatedTopic = RecreatedTopicMachine.TestCase
TestRecreatedTopic.settings = SETTINGS
