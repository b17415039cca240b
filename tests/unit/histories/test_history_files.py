"""What is written is read back, and the command judges it."""

import json
from pathlib import Path

import pytest

from histories.__main__ import main
from histories.checking import check
from histories.entries import Got, Run, Sample
from histories.reading import read_client
from histories.scripted import Scripted, ScriptedClient, ScriptedLog
from histories.scripted_users import ScriptedInbox, ScriptedUser
from histories.violations import Rule
from histories.writing import Recording, write_log, write_run, write_samples


def write(folder: Path, log: Scripted, *clients: ScriptedClient, quiet: bool = True) -> None:
    """A history on disk: a part for every two clients."""
    write_log(folder, log.entries)
    write_run(folder, Run(quiet_at=0.0 if quiet else None, most_bytes=1000))
    for number in range(0, len(clients), 2):
        recording = Recording(folder / f"part{number}")
        for place, client in enumerate(clients[number : number + 2]):
            record = recording.client(f"client{number + place}")
            for entry in client.entries:
                if isinstance(entry, Got):
                    frame = bytes(client.frames[entry.start : entry.start + entry.length])
                    stored = recording.store(frame)
                    entry = Got(
                        at=entry.at,
                        connection=entry.connection,
                        start=stored.start,
                        length=stored.length,
                    )
                record.note(entry)
        recording.close()


def history(*, loses: bool = False) -> tuple[ScriptedLog, list[ScriptedClient]]:
    log = ScriptedLog()
    clients = [ScriptedClient(f"c{n}", mode="every") for n in range(3)]
    for client in clients:
        client.connect()
        client.subscribed(log.end())
    events = [log.publish("A/1"), log.publish("A/2")]
    for client in clients:
        client.status("stale")
        client.updates(log.end(), *events[loses:])
        client.status("live")
        client.lose()
        client.connect(log.end())
        client.subscribed(log.end(), "exact")
        client.stop()
    return log, clients


def test_right_history_is_clean_and_its_figures_are_counted(tmp_path: Path) -> None:
    log, clients = history()
    write(tmp_path, log, *clients)
    write_samples(tmp_path, [Sample(at=1.0, node="n", bytes=900)])
    verdict = check(tmp_path)
    assert verdict.is_clean, verdict.findings.first
    assert [figures.name for figures in verdict.clients] == ["c0", "c1", "c2"]
    assert verdict.most_bytes == 900
    total = verdict.total
    assert (total.events, total.connections, total.codes) == (6, 6, {"1006": 3, "own": 3})
    assert total.recovered == {"none": 3, "exact": 3}
    assert total.states == {"stale": 3, "live": 3}
    assert total.not_live == 6.0  # three clients, two lines of one second each
    assert total.returns == [3.0] * 3
    assert total.age(1.0) == pytest.approx(15.0)  # published at 0, it came with the sixth line


def test_loss_is_found_in_every_part(tmp_path: Path) -> None:
    log, clients = history(loses=True)
    write(tmp_path, log, *clients)
    findings = check(tmp_path).findings
    assert dict(findings.counts) == {Rule.LOST: 3}
    assert {violation.client for violation in findings.first} == {"c0", "c1", "c2"}


def test_frame_that_two_clients_got_is_stored_once(tmp_path: Path) -> None:
    log, clients = history()
    write(tmp_path, log, *clients)
    frames = (tmp_path / "part0" / "frames").read_bytes()
    assert frames.count(b'"updates"') == 1


def test_only_the_first_violations_of_a_rule_are_kept(tmp_path: Path) -> None:
    log = ScriptedLog()
    client = ScriptedClient(mode="every")
    client.connect()
    client.subscribed(log.end())
    for _ in range(30):
        log.publish("A/1")
    client.updates(log.end())
    client.stop()
    write(tmp_path, log, client)
    findings = check(tmp_path).findings
    assert findings.counts[Rule.LOST] == 30
    assert len(findings.first) == 20


@pytest.mark.parametrize("loses", [False, True])
def test_command_tells_by_its_exit_code(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], loses: bool
) -> None:
    log, clients = history(loses=loses)
    write(tmp_path, log, *clients)
    report = tmp_path / "report.json"
    assert main([str(tmp_path), "--clients", "--json", str(report)]) == int(loses)
    out = capsys.readouterr().out
    assert ("BROKEN lost: 3 times" in out) is loses
    assert ("nothing was broken" in out) is not loses
    assert "c1" in out
    assert json.loads(report.read_text())["violations"] == ({"lost": 3} if loses else {})


def test_folder_without_clients_is_no_history(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, ScriptedLog())
    assert main([str(tmp_path)]) == 2
    assert "has no clients" in capsys.readouterr().err


def test_broken_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "c.jsonl"
    path.write_text('{"type":"stopped","at":1.0}\n{"type":"what"}\n')
    with pytest.raises(ValueError, match=r"c\.jsonl:2"):
        list(read_client(path))


def test_two_clients_of_a_part_cannot_share_a_name(tmp_path: Path) -> None:
    recording = Recording(tmp_path / "part")
    recording.client("a")
    with pytest.raises(AssertionError, match="two clients"):
        recording.client("a")
    recording.close()


@pytest.mark.parametrize(("over_at", "rules"), [(100.0, set()), (1.0, {Rule.OLD_EPOCH})])
def test_history_of_messages_to_users_is_judged_with_its_leases(
    tmp_path: Path, over_at: float, rules: set[Rule]
) -> None:
    inbox = ScriptedInbox()
    fleeting = inbox.publish("now or never", is_kept=False)
    inbox.hold("node-1", "e1", over_at=over_at)
    inbox.address(fleeting, "e1")
    device = ScriptedUser()
    device.arrive()
    device.updates(inbox.end(), fleeting)
    device.stop()
    write(tmp_path, inbox, device)
    assert check(tmp_path).findings.rules == rules
