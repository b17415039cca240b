"""The checker's rules for messages to users: a history that breaks one is caught by it, one that does not is let pass."""

import msgspec
import pytest

from histories.entries import Published
from histories.scripted import judge, place
from histories.scripted_users import ScriptedInbox, ScriptedUser
from histories.violations import Rule


@pytest.fixture
def inbox() -> ScriptedInbox:
    return ScriptedInbox()


def broken(inbox: ScriptedInbox, *devices: ScriptedUser) -> set[Rule]:
    return set(judge(inbox, *devices)[0].rules)


def after(record: Published) -> int:
    return record.offset + 1


def deliver(device: ScriptedUser, *records: Published) -> None:
    for record in records:
        device.updates(place(p0=after(record)), record)


# Histories that are right


def test_every_device_gets_every_message_of_its_user_and_no_other(inbox: ScriptedInbox) -> None:
    a, _, c = inbox.publish("a"), inbox.publish("b", to="bob"), inbox.publish("c")
    devices = [ScriptedUser("phone"), ScriptedUser("laptop")]
    for device in devices:
        device.arrive()
        deliver(device, a, c)
        device.stop()
    assert broken(inbox, *devices) == set()


def test_fresh_device_finds_all_that_is_kept_in_its_mailbox(inbox: ScriptedInbox) -> None:
    a, b = inbox.publish("a"), inbox.publish("b")
    device = ScriptedUser()
    device.arrive()
    device.updates(inbox.end(), a, b)
    device.stop()
    assert broken(inbox, device) == set()


def test_duplicate_after_a_resume_is_dropped_by_the_client(inbox: ScriptedInbox) -> None:
    a, b = inbox.publish("a"), inbox.publish("b")
    device = ScriptedUser()
    device.arrive()
    deliver(device, a)
    device.lose()
    device.arrive(place(p0=0), node="node-2")
    deliver(device, a, b)
    device.stop()
    findings, figures = judge(inbox, device)
    assert not findings.rules
    assert figures[0].repeats == 1


def test_message_that_is_not_kept_may_be_missed(inbox: ScriptedInbox) -> None:
    inbox.publish("now or never", is_kept=False)
    b = inbox.publish("b")
    device = ScriptedUser()
    device.arrive()
    deliver(device, b)
    device.stop()
    assert broken(inbox, device) == set()


def test_message_that_a_newer_one_of_its_collapse_key_replaced_may_be_missed(
    inbox: ScriptedInbox,
) -> None:
    inbox.publish("gate B7", collapse_key="gate")
    newer = inbox.publish("gate B9", collapse_key="gate")
    device = ScriptedUser()
    device.arrive()
    deliver(device, newer)
    device.stop()
    assert broken(inbox, device) == set()


def test_messages_in_a_gap_may_be_missed(inbox: ScriptedInbox) -> None:
    inbox.publish("a")
    b = inbox.publish("b")
    device = ScriptedUser()
    device.arrive()
    device.gap({0: (0, 1)}, "retention")
    deliver(device, b)
    device.stop()
    assert broken(inbox, device) == set()


def test_message_that_is_not_kept_comes_from_the_inbox_of_its_holder(inbox: ScriptedInbox) -> None:
    fleeting = inbox.publish("now or never", is_kept=False)
    inbox.hold("node-1", "e1", over_at=100.0)
    inbox.address(fleeting, "e1")
    device = ScriptedUser()
    device.arrive()
    deliver(device, fleeting)
    device.stop()
    assert broken(inbox, device) == set()


# Histories that break a rule


def test_message_of_another_user_is_foreign(inbox: ScriptedInbox) -> None:
    bobs = inbox.publish("a", to="bob")
    device = ScriptedUser()
    device.arrive()
    deliver(device, bobs)
    device.stop()
    assert broken(inbox, device) == {Rule.FOREIGN}


def test_message_that_nobody_published_is_foreign(inbox: ScriptedInbox) -> None:
    other = ScriptedInbox()
    device = ScriptedUser()
    device.arrive()
    deliver(device, other.publish("a"))
    device.stop()
    assert Rule.FOREIGN in broken(inbox, device)


def test_message_passed_over_is_lost(inbox: ScriptedInbox) -> None:
    inbox.publish("a")
    b = inbox.publish("b")
    device = ScriptedUser()
    device.arrive()
    deliver(device, b)
    device.stop()
    assert broken(inbox, device) == {Rule.LOST}


def test_newest_of_a_collapse_key_must_come(inbox: ScriptedInbox) -> None:
    older = inbox.publish("gate B7", collapse_key="gate")
    inbox.publish("gate B9", collapse_key="gate")
    device = ScriptedUser()
    device.arrive()
    deliver(device, older)
    device.stop()
    assert broken(inbox, device) == {Rule.END}


def test_last_message_that_never_comes_is_missing_at_the_end(inbox: ScriptedInbox) -> None:
    a = inbox.publish("a")
    inbox.publish("b")
    device = ScriptedUser()
    device.arrive()
    deliver(device, a)
    device.stop()
    assert broken(inbox, device) == {Rule.END}


def test_one_device_of_a_user_that_gets_nothing_is_told_of(inbox: ScriptedInbox) -> None:
    a = inbox.publish("a")
    served, forgotten = ScriptedUser("phone"), ScriptedUser("laptop")
    served.arrive()
    deliver(served, a)
    served.stop()
    forgotten.arrive()
    forgotten.stop()
    findings, _ = judge(inbox, served, forgotten)
    assert [(v.rule, v.client) for v in findings.first] == [(Rule.END, "laptop")]


def test_message_twice_on_one_connection_is_a_duplicate(inbox: ScriptedInbox) -> None:
    a = inbox.publish("a")
    device = ScriptedUser()
    device.arrive()
    deliver(device, a, a)
    device.stop()
    assert broken(inbox, device) == {Rule.DUPLICATE}


def test_older_message_after_a_newer_one_is_out_of_order(inbox: ScriptedInbox) -> None:
    a, b = inbox.publish("a"), inbox.publish("b")
    device = ScriptedUser()
    device.arrive()
    device.updates(place(p0=2), b, a)
    device.stop()
    assert broken(inbox, device) == {Rule.ORDER, Rule.LOST}


def test_position_beyond_a_message_that_comes_only_then_is_unsafe(inbox: ScriptedInbox) -> None:
    a = inbox.publish("a")
    device = ScriptedUser()
    device.arrive()
    device.updates(place(p0=1))
    deliver(device, a)
    device.stop()
    assert broken(inbox, device) == {Rule.UNSAFE}


def test_other_data_than_was_published_is_told_of(inbox: ScriptedInbox) -> None:
    a = inbox.publish("a")
    inbox.entries[-1] = msgspec.structs.replace(a, digest="another")
    device = ScriptedUser()
    device.arrive()
    deliver(device, a)
    device.stop()
    assert broken(inbox, device) == {Rule.PAYLOAD}


def test_message_from_an_inbox_whose_lease_was_over_is_of_an_old_epoch(
    inbox: ScriptedInbox,
) -> None:
    fleeting = inbox.publish("now or never", is_kept=False)
    inbox.hold("node-1", "e1", over_at=1.0)
    inbox.address(fleeting, "e1")
    device = ScriptedUser()
    device.arrive()
    deliver(device, fleeting)
    device.stop()
    assert broken(inbox, device) == {Rule.OLD_EPOCH}


def test_message_from_a_node_that_it_was_not_written_for_is_of_an_old_epoch(
    inbox: ScriptedInbox,
) -> None:
    """A slot that went to another node: what stands in it for the one before is nobody's."""
    fleeting = inbox.publish("now or never", is_kept=False)
    inbox.hold("node-1", "e1", over_at=1.0)
    inbox.hold("node-2", "e2", over_at=100.0)
    inbox.address(fleeting, "e1")
    device = ScriptedUser(node="node-2")
    device.arrive()
    deliver(device, fleeting)
    device.stop()
    assert broken(inbox, device) == {Rule.OLD_EPOCH}


def test_node_that_has_a_new_lease_has_no_right_to_what_was_written_under_the_old_one(
    inbox: ScriptedInbox,
) -> None:
    fleeting = inbox.publish("now or never", is_kept=False)
    inbox.hold("node-1", "e1", over_at=1.0)
    inbox.hold("node-1", "e2", over_at=100.0)
    inbox.address(fleeting, "e1")
    device = ScriptedUser()
    device.arrive()
    deliver(device, fleeting)
    device.stop()
    assert broken(inbox, device) == {Rule.OLD_EPOCH}
