"""The checker's rule for tokens that were revoked: caught where it is broken, silent where it is kept."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from histories.entries import LogEntry, Published, Revoked
from histories.reading import read_log
from histories.scripted import ScriptedClient, judge, place
from histories.scripted_users import USER, ScriptedInbox, ScriptedUser
from histories.violations import Rule
from histories.writing import write_log


@dataclass
class Revoking:
    """An inbox, and what was revoked beside it."""

    inbox: ScriptedInbox
    entries: list[LogEntry]

    def revoke(self, at: float, until: float | None = None, *, user: str = USER) -> None:
        self.entries.append(Revoked(user=user, at=at, until=until))

    def publish(self) -> Published:
        record = self.inbox.publish(f"m{len(self.inbox.entries)}")
        self.entries.append(record)
        return record


@pytest.fixture
def log() -> Revoking:
    inbox = ScriptedInbox()
    return Revoking(inbox, list(inbox.entries))


def broken(log: Revoking, *devices: ScriptedClient) -> set[Rule]:
    return set(judge(log, *devices, quiet_at=None)[0].rules)


def served(log: Revoking, count: int = 3) -> ScriptedUser:
    """A device that gets an event a second."""
    device = ScriptedUser()
    device.arrive()
    for record in [log.publish() for _ in range(count)]:
        device.updates(place(p0=record.offset + 1), record)
    return device


def test_event_that_comes_within_a_second_is_on_time(log: Revoking) -> None:
    device = served(log)
    log.revoke(device.now - 2.0)  # its last line was a second ago
    device.lose(3503)
    assert broken(log, device) == set()


def test_event_that_comes_later_is_not(log: Revoking) -> None:
    device = served(log)
    log.revoke(device.now - 2.1)
    device.lose(3503)
    findings, _ = judge(log, device, quiet_at=None)
    assert set(findings.rules) == {Rule.REVOKED}
    assert "updates, 1.1 s after the tokens of ann were revoked" in str(findings.first[0])


def test_connection_that_is_let_in_is_caught_though_it_gets_no_event(log: Revoking) -> None:
    device = ScriptedUser()
    log.revoke(device.now - 5.0)
    device.connect()
    device.welcome("node-1")
    assert broken(log, device) == {Rule.REVOKED}


def test_connection_that_is_refused_is_as_it_should_be(log: Revoking) -> None:
    device = ScriptedUser()
    log.revoke(device.now - 5.0)
    device.connect()
    device.lose(3500)
    assert broken(log, device) == set()


def test_revocation_concerns_nobody_else(log: Revoking) -> None:
    log.revoke(0.0, user="bob")
    assert broken(log, served(log)) == set()


def test_revocation_that_was_lifted_concerns_nobody_from_then_on(log: Revoking) -> None:
    log.revoke(0.0, until=10.0)
    assert broken(log, served(log)) == set()


def test_revocations_are_kept_in_the_file(tmp_path: Path) -> None:
    entries = [Revoked(user="ann", at=1.5), Revoked(user="bob", at=2.0, until=3.0)]
    write_log(tmp_path, entries)
    assert list(read_log(tmp_path)) == entries
