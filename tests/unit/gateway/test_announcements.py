"""What the registry is told of a node's connections: in the end exactly those that there are."""

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from tidewire.targeting.registry import Batch, Session
from tidewire_gateway.core.announcements import Announcements

MOST = 3


class AnnouncingMachine(RuleBasedStateMachine):
    """A node and the registry's table; batches may be taken without the node hearing of it, be lost, or come late."""

    def __init__(self) -> None:
        super().__init__()
        self.announcements = Announcements()
        self.there: dict[str, Session] = {}
        self.registry: dict[str, str] = {}
        self.in_flight: Batch | None = None
        self.late: list[Batch] = []
        self.taken = 0
        self.count = 0

    @rule(user=st.sampled_from(["ann", "bob"]))
    def connect(self, user: str) -> None:
        self.count += 1
        session = Session(user, f"c{self.count}", self.count)
        self.there[session.connection] = session
        self.announcements.connected(session)

    @precondition(lambda self: self.there)
    @rule(data=st.data())
    def disconnect(self, data: st.DataObject) -> None:
        connection = data.draw(st.sampled_from(sorted(self.there)))
        del self.there[connection]
        self.announcements.disconnected(connection)
        assert not self.announcements.is_known(connection)

    @precondition(lambda self: self.in_flight is None and self.announcements.has_news)
    @rule()
    def tell(self) -> None:
        self.in_flight = self.announcements.begin(MOST)
        assert 0 < len(self.in_flight.connected) + len(self.in_flight.disconnected) <= MOST

    @precondition(lambda self: self.in_flight is not None)
    @rule()
    def take(self) -> None:
        self.apply()
        for connection in self.announcements.acknowledged():
            assert self.registry[connection] == self.there[connection].user
            assert self.announcements.is_known(connection)

    @precondition(lambda self: self.in_flight is not None)
    @rule(is_taken=st.booleans())
    def fail(self, is_taken: bool) -> None:
        assert self.in_flight is not None
        if is_taken:
            self.apply()
        else:
            self.late.append(self.in_flight)
        self.in_flight = None
        self.announcements.failed()

    @precondition(lambda self: self.late)
    @rule(data=st.data())
    def come_late(self, data: st.DataObject) -> None:
        late = self.late.pop(data.draw(st.integers(0, len(self.late) - 1)))
        self.offer(late)

    @rule()
    def begin_a_new_lease(self) -> None:
        """Rows of the old epoch count for nothing from here on."""
        self.registry.clear()
        self.late.clear()
        self.in_flight, self.taken = None, 0
        self.announcements.forget()
        assert not any(map(self.announcements.is_known, self.there))

    def apply(self) -> None:
        assert self.in_flight is not None
        batch, self.in_flight = self.in_flight, None
        assert batch.number > self.taken, "what is told now is not refused"
        self.offer(batch)

    def offer(self, batch: Batch) -> None:
        if batch.number < self.taken:
            return
        self.taken = batch.number
        for user, connection in batch.disconnected:
            if self.registry.get(connection) == user:
                del self.registry[connection]
        for session in batch.connected:
            self.registry[session.connection] = session.user

    def teardown(self) -> None:
        if self.in_flight is not None:
            self.take()
        while self.announcements.has_news:
            self.tell()
            self.take()
        while self.late:
            self.offer(self.late.pop())
        assert self.registry == {c: s.user for c, s in self.there.items()}, (
            "no ghosts, nobody missed"
        )
        assert all(map(self.announcements.is_known, self.there))


TestAnnouncing = AnnouncingMachine.TestCase
TestAnnouncing.settings = settings(max_examples=300, stateful_step_count=40, deadline=None)


def test_connection_that_came_and_went_untold_is_never_told() -> None:
    announcements = Announcements()
    announcements.connected(Session("ann", "c1", 0))
    announcements.disconnected("c1")
    assert not announcements.has_news


def test_user_of_a_connection_may_change() -> None:
    announcements = Announcements()
    announcements.connected(Session("ann", "c1", 0))
    announcements.begin(MOST)
    list(announcements.acknowledged())
    announcements.disconnected("c1")
    announcements.connected(Session("bob", "c1", 0))
    batch = announcements.begin(MOST)
    assert list(batch.disconnected) == [("ann", "c1")]
    assert [session.user for session in batch.connected] == ["bob"]


def test_each_batch_has_a_higher_number_than_any_before() -> None:
    """Also under another epoch, and when it tells again what failed."""
    announcements = Announcements()
    numbers: list[int] = []
    for end in (announcements.acknowledged, announcements.failed, announcements.forget):
        announcements.connected(Session("ann", f"c{len(numbers)}", 0))
        numbers.append(announcements.begin(MOST).number)
        end()
    numbers.append(announcements.begin(MOST).number)
    assert numbers == [1, 2, 3, 4]
