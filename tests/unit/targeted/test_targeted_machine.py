"""Whatever is late, lost, doubled, paused or dead: a message to a user arrives once on every device, or is told as lost.

And the registry ends with exactly the connections that there are.
"""

from collections.abc import Sequence
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from harness.virtual_processes import Flow, Link
from harness.virtual_targeted import SLOTS, VirtualDevice, VirtualNode, VirtualRouter, VirtualWorld
from unit.targeted.stray_announces import StrayAnnounces

T = TypeVar("T")

DEVICES = ("ann", "bob", "bob")
USERS = ("ann", "bob", "cid")
"""The last has no device."""
PATIENCE = 30
"""Seconds: the lease of a dead namesake ends, and attempts are 5 s apart at most."""
KINDS: dict[str, tuple[int | None, str | None]] = {
    "kept": (None, None),
    "newest": (None, "k"),
    "brief": (2000, None),
    "now": (0, None),
}

KINDS_OF_TRAFFIC = st.sampled_from(("kept", "kept", "kept", "newest", "brief", "now"))
indexes = st.integers(0, 5)
publishing = st.tuples(
    st.just("publish"),
    st.sampled_from(("ann", "ann", "ann", "ann", "bob", "bob", "cid")),
    KINDS_OF_TRAFFIC,
)
waiting = st.tuples(st.just("wait"), st.sampled_from((0.1, 1.0, 2.5, 5.0, 6.5, 12.0)))
moving = st.tuples(st.just("move"), indexes, indexes, st.booleans())
leaving = st.tuples(st.just("leave"), indexes, st.booleans())
emptying = st.tuples(st.just("empty_registry"))
Event = tuple[Any, ...]
events: st.SearchStrategy[Event] = st.one_of(
    publishing, publishing, waiting, publishing, waiting, moving, leaving, emptying
)
flows = st.lists(events, min_size=1, max_size=8)
pauses = st.sampled_from((0.1, 2.5, 12.0))
blocks = st.sampled_from((Flow.HELD, Flow.MUTE, Flow.CUT))


class TargetedMachine(RuleBasedStateMachine):
    """Gateways, routers and devices around one registry, one topic and the mailboxes.

    Everything happens amid messages, moves and time, or hardly a run would have anything to lose.
    """

    @initialize(begins=st.lists(st.integers(0, 1), min_size=3, max_size=3))
    def begin(self, begins: list[int]) -> None:
        self.world = VirtualWorld()
        self.strays = StrayAnnounces(self.world)
        self.count = 2
        for name in ("n0", "n1"):
            self.world.start_node(name)
        for _ in range(2):
            self.world.start_router()
        self.world.give_partition(self.world.routers[0])
        self.is_moving = False
        self.devices = [VirtualDevice(self.world, user) for user in DEVICES]
        self.world.advance(0.5)
        for device, node in zip(self.devices, begins, strict=True):
            device.connect(self.world.nodes[node])
        self.world.advance(0.5)

    # What mostly happens

    @rule(amid=flows)
    def flow(self, amid: list[Event]) -> None:
        for name, *arguments in amid:
            getattr(self, name)(*arguments)
            self.world.settle()
            assert not any(node.overstays for node in self.world.live_nodes)

    @rule(
        device=indexes,
        node=indexes,
        is_lossy=st.booleans(),
        kinds=st.lists(KINDS_OF_TRAFFIC, min_size=3, max_size=3),
        seconds=st.lists(st.sampled_from((0.1, 1.0, 2.5)), min_size=3, max_size=3),
    )
    def move_in_traffic(
        self, device: int, node: int, is_lossy: bool, kinds: list[str], seconds: list[float]
    ) -> None:
        """A router has just looked where the user is."""
        user = picked(self.devices, device).user
        first, second, third = ([("publish", user, kind)] for kind in kinds)
        a, b, c = ([("wait", pause)] for pause in seconds)
        move = ("move", device, node, is_lossy)
        self.flow([*first, *a, move, *b, *second, *c, *third])

    def publish_to_all(self) -> None:
        for user in USERS:
            self.publish(user, "kept")

    def publish(self, user: str, kind: str) -> None:
        ttl_ms, key = KINDS[kind]
        self.world.publish(user, ttl_ms=ttl_ms, key=key)
        self.route()

    def route(self) -> None:
        if self.world.owner is not None:
            self.world.owner.read()
        self.world.settle()

    def wait(self, seconds: float) -> None:
        self.world.advance(seconds)
        self.commit()
        for device in self.devices:
            device.receive()
            if device.is_refused and device.is_connected:
                device.subscribe()

    def commit(self) -> None:
        if self.world.owner is not None:
            self.world.owner.commit()

    def move(self, device: int, node: int, is_lossy: bool) -> None:
        """Lose the connection, also before the last frames arrived, and resume on some node."""
        chosen = picked(self.devices, device)
        chosen.leave(is_lossy=is_lossy)
        ready = [one for one in self.world.live_nodes if one.process.is_running]
        if ready:
            chosen.connect(picked(ready, node))

    def leave(self, device: int, is_lossy: bool) -> None:
        picked(self.devices, device).leave(is_lossy=is_lossy)

    def empty_registry(self) -> None:
        self.world.empty_registry()

    @rule(device=indexes, amid=flows)
    def fall_behind(self, device: int, amid: list[Event]) -> None:
        chosen = picked(self.devices, device)
        chosen.set_congested(True)
        self.flow([*amid, ("publish", chosen.user, "kept")])
        chosen.set_congested(False)
        self.world.settle()

    # Ways

    @rule(
        is_router=st.booleans(),
        index=indexes,
        way=indexes,
        block=blocks,
        amid=flows,
        is_over=st.booleans(),
    )
    def hold(
        self,
        is_router: bool,
        index: int,
        way: int,
        block: Flow,
        amid: list[Event],
        is_over: bool,
    ) -> None:
        members: Sequence[VirtualNode | VirtualRouter] = (
            self.world.routers if is_router else self.world.live_nodes
        )
        link = picked(picked(members, index).links, way)
        link.set(block)
        self.flow(amid)
        if is_over:
            link.set(Flow.OPEN)
            self.world.settle()

    @rule(device=indexes, node=indexes, block=blocks, amid=flows)
    def move_unheard(self, device: int, node: int, block: Flow, amid: list[Event]) -> None:
        """The registry is not told, or the node hears nothing of its answer."""
        chosen = picked(self.devices, device)
        if chosen.connection is None:
            return
        link = chosen.connection.node.registry_link
        link.set(block)
        self.flow([("move", device, node, False), ("wait", 2.5), *amid])
        link.set(Flow.OPEN)
        self.world.settle()

    @precondition(lambda self: self.held)
    @rule(way=indexes, amid=flows)
    def step(self, way: int, amid: list[Event]) -> None:
        picked(self.held, way).step()
        self.flow(amid)

    @precondition(lambda self: self.held)
    @rule(way=indexes, amid=flows)
    def release(self, way: int, amid: list[Event]) -> None:
        picked(self.held, way).set(Flow.OPEN)
        self.flow(amid)

    @property
    def held(self) -> list[Link]:
        return [link for link in self.world.links if link.flow is not Flow.OPEN]

    @precondition(lambda self: any(n.kafka_link.flow is not Flow.OPEN for n in self.world.nodes))
    @rule(node=indexes, count=st.integers(1, 3))
    def read_inbox(self, node: int, count: int) -> None:
        picked(self.world.live_nodes, node).reader.allow(count)
        self.world.settle()

    @rule(way=st.integers(0, 1), block=blocks, amid=flows)
    def be_without_a_service(self, way: int, block: Flow, amid: list[Event]) -> None:
        """The registry, or the mailboxes, for everybody."""
        links = [member.links[way] for member in self.world.members]
        for link in links:
            link.set(block)
        self.flow(amid)
        for link in links:
            link.set(Flow.OPEN)
        self.world.settle()

    @rule(device=indexes, node=indexes, block=blocks, before=flows, amid=flows)
    def be_told_late(
        self, device: int, node: int, block: Flow, before: list[Event], amid: list[Event]
    ) -> None:
        """What a node told in vain is carried out after all, when it has told of the connection's end."""
        link = picked(self.world.live_nodes, node).registry_link
        link.set(block)
        self.flow([("move", device, node, False), ("wait", 2.5), *before])
        link.set(Flow.OPEN)
        self.flow([("wait", 2.5), ("leave", device, False), ("wait", 2.5)])
        self.strays.arrive()
        self.flow(amid)

    @precondition(lambda self: not (self.held or self.is_moving))
    @rule(device=indexes, is_lossy=st.booleans(), before=flows, after=flows)
    def lose_mailboxes(
        self, device: int, is_lossy: bool, before: list[Event], after: list[Event]
    ) -> None:
        """While somebody is away for whom there is something."""
        user = picked(self.devices, device).user
        publish = ("publish", user, "kept")
        self.flow([publish, ("wait", 0.1), ("leave", device, is_lossy), *before, publish])
        self.world.empty_mailboxes()
        for one in self.devices:
            one.note_loss()
        self.flow(after)

    # Processes

    @rule(is_router=st.booleans(), index=indexes, seconds=pauses, amid=flows)
    def pause(self, is_router: bool, index: int, seconds: float, amid: list[Event]) -> None:
        """Time passes without it, and its timers are late."""
        members: Sequence[VirtualNode | VirtualRouter] = (
            self.world.routers if is_router else self.world.live_nodes
        )
        process = picked(members, index).process
        process.is_paused = True
        self.flow([("publish_to_all",), ("wait", seconds), *amid])
        process.is_paused = False
        self.world.settle()

    @rule(node=indexes, is_told=st.booleans(), amid=flows)
    def end_node(self, node: int, is_told: bool, amid: list[Event]) -> None:
        if len(self.world.live_nodes) < 2:
            return
        chosen = picked(self.world.live_nodes, node)
        for device in self.devices:
            if device.connection is not None and device.connection.node is chosen:
                device.leave()
        if is_told:
            chosen.stop()
        else:
            chosen.process.kill()
        self.flow(amid)

    @precondition(lambda self: len(self.world.live_nodes) < SLOTS)
    @rule(is_namesake=st.booleans(), is_slow=st.booleans(), seconds=pauses, amid=flows)
    def start_node(
        self, is_namesake: bool, is_slow: bool, seconds: float, amid: list[Event]
    ) -> None:
        """A device goes there at once. ``is_slow``: it reads nothing of its inbox for now."""
        alive = {node.name for node in self.world.live_nodes}
        gone = [node.name for node in self.world.nodes if node.name not in alive]
        if not (is_namesake and gone):
            gone = [f"n{self.count}"]
            self.count += 1
        node = self.world.start_node(gone[-1])
        if is_slow:
            node.kafka_link.set(Flow.HELD)
        self.devices[0].leave()
        self.devices[0].connect(node)
        self.flow([*amid, ("wait", seconds), ("publish_to_all",)])
        node.kafka_link.set(Flow.OPEN)
        self.world.settle()

    @precondition(lambda self: not self.is_moving)
    @rule(amid=flows)
    def rebalance(self, amid: list[Event]) -> None:
        """The partition goes to the other router once its owner has let it go."""
        self.flow(amid)
        old, new = self.turns()
        self.is_moving = True

        def moved() -> None:
            self.is_moving = False
            if self.world.owner is old:
                self.world.give_partition(new)
                new.read()

        old.revoke(moved)
        self.world.settle()

    @precondition(lambda self: not self.is_moving)
    @rule(way=indexes, before=flows, amid=flows)
    def take_over(self, way: int, before: list[Event], amid: list[Event]) -> None:
        """The partition goes to the other router while its owner, cut off from the group, is still at work."""
        assert self.world.owner is not None
        link = picked(self.world.owner.links, way)
        link.set(Flow.HELD)
        self.flow(before)
        old, new = self.turns()
        self.world.give_partition(new)
        new.read()
        old.revoke(lambda: None)
        self.flow(amid)
        link.set(Flow.OPEN)
        self.world.settle()

    @precondition(lambda self: not self.is_moving)
    @rule(amid=flows)
    def crash_router(self, amid: list[Event]) -> None:
        self.flow(amid)
        old, new = self.turns()
        self.world.give_partition(new)
        new.read()
        old.process.kill()
        self.world.routers.remove(old)
        self.world.start_router()
        self.world.settle()

    def turns(self) -> tuple[VirtualRouter, VirtualRouter]:
        """The owner, and another router that has let go whatever it had."""
        old = self.world.owner
        assert old is not None
        new = next(router for router in self.world.routers if router is not old)
        if new.lane is not None:
            new.process.kill()
            self.world.routers.remove(new)
            new = self.world.start_router()
        return old, new

    @invariant()
    def calm_down(self) -> None:
        """What is lost now, later messages would bring to light: nobody may depend on them."""
        if not (self.held or self.is_moving):
            self.heal()
            self.check()

    @rule(amid=flows)
    def go_on_without_registry(self, amid: list[Event]) -> None:
        """Kept messages arrive all the same, only later."""
        self.heal()
        for member in self.world.members:
            member.registry_link.set(Flow.CUT)
        self.flow(amid)
        self.flow([("wait", 16.0), ("publish_to_all",), ("wait", 8.0)])
        for device in self.devices:
            if device.is_connected:
                device.receive()
                self.check_device(device)
        for member in self.world.members:
            member.registry_link.set(Flow.OPEN)

    # The end

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        try:
            self.heal()
            self.strays.arrive()
            self.check()
        finally:
            self.world.close()

    def receive(self) -> None:
        """Take what has come; who was refused by what was late when the services came back asks again, as a client does."""
        for device in self.devices:
            device.receive()
        refused = [device for device in self.devices if device.is_refused]
        if refused:
            for device in refused:
                device.subscribe()
            self.world.advance(1.0)
            for device in refused:
                device.receive()

    def heal(self) -> None:
        world = self.world
        for link in world.links:
            link.set(Flow.OPEN)
        world.settle()
        while len(world.live_nodes) < 2:
            self.start_node(False, False, 0.1, [])
        world.settle()
        for number, device in enumerate(self.devices):
            device.receive()
            if not device.is_connected:
                device.connect(picked(world.live_nodes, number))
            elif device.is_refused:
                device.subscribe()
        waited = 0
        while self.is_moving or not all(node.is_told for node in world.live_nodes):
            assert waited < PATIENCE, "every node comes back"
            waited += 1
            world.advance(1.0)
        self.route()
        world.advance(10.5)  # leases of the dead end, everybody is looked after once more
        self.commit()
        self.receive()

    def check(self) -> None:
        self.check_places()
        for device in self.devices:
            self.check_device(device)
        for user in USERS:
            self.check_newcomer(user)

    def check_places(self) -> None:
        for user in USERS:
            there: dict[str, set[str]] = {}
            for device in self.devices:
                if device.user == user and device.connection is not None:
                    node = device.connection.node.name
                    there.setdefault(node, set()).add(device.connection.id)
            assert self.world.places(user) == there, "the registry has exactly who is there"

    def check_device(self, device: VirtualDevice) -> None:
        world = self.world
        assert device.begin is not None, "its subscription is answered"
        assert device.delivered == sorted(set(device.delivered)), "in order, each once"
        had = device.had | set(device.delivered)
        of_user = [o for o, r in enumerate(world.topic) if r.key == device.user.encode()]
        assert had <= set(of_user)
        box = world.mailbox(device.user)
        gone = max([box.floor, *world.unknowable.get(device.user, ())])
        begun = 0 if not world.unknowable or box.first is None else box.first
        assert all(end <= max(gone + 1, begun) for _, end in device.gaps), "only what is gone"
        due = {o for o in self.due(device.user) if o >= device.begin}
        missing = due - had - device.lost
        assert not missing, f"{sorted(missing)} neither came nor is a gap"
        held = {x.offset for x in box.letters if x.offset >= device.begin}
        assert held <= had, "what the mailbox still has was delivered"

    def due(self, user: str) -> list[int]:
        """What every device must have: kept, not superseded, not too old to be delivered."""
        kept, now_ms = self.world.kept[user], self.world.clock.now_ms
        newest = max((o for o, m in kept.items() if m.collapse_key is not None), default=-1)
        return [
            offset
            for offset, message in kept.items()
            if message.expires_at_ms(1 << 60) > now_ms
            and (message.collapse_key is None or offset == newest)
        ]

    def check_newcomer(self, user: str) -> None:
        world = self.world
        accepted = {
            offset
            for offset, record in enumerate(world.topic)
            if record.key == user.encode()
            and not any(h == "tidewire-ttl-ms" for h, _ in record.headers)
        }
        assert accepted <= world.kept[user].keys(), "every accepted message was in the mailbox"
        newcomer = VirtualDevice(world, user)
        newcomer.connect(world.live_nodes[0])
        world.advance(1.0)
        newcomer.receive()
        newcomer.leave()
        world.settle()
        assert newcomer.delivered == [letter.offset for letter in world.mailbox(user).letters]


def picked(choices: Sequence[T], index: int) -> T:
    return choices[index % len(choices)]


TestTargeted = TargetedMachine.TestCase
TestTargeted.settings = settings(max_examples=60, stateful_step_count=8, deadline=None)
