"""How clients moved between versions is read off their histories."""

from pathlib import Path

from drills.code import OURS, Code, running
from drills.crossings import Stay, crossings, moves, stays
from drills.rolling import Departed
from drills.sightings import Sighting, Welcomed
from histories.entries import Opened
from tidewire.dev.processes import ChildSpec

OLD = Code(tree=Path("/released"))


def sighted(*connections: tuple[float, str]) -> Sighting:
    """A client that was welcomed at these times by these nodes."""
    sighting = Sighting("client")
    for number, (at, node) in enumerate(connections, start=1):
        sighting.opened.append(Opened(at=at, connection=number, url="ws://x"))
        sighting.welcomes.append(Welcomed(number, f"c-{number}", node))
    return sighting


def departed(node: str, asked_at: float, code: Code = OURS) -> Departed:
    return Departed(node, asked_at, exit_code=0, code=code)


def test_connection_that_was_never_welcomed_is_no_stay() -> None:
    sighting = sighted((1.0, "a"))
    sighting.opened.append(Opened(at=2.0, connection=7, url="ws://x"))
    assert stays(sighting) == [Stay(1.0, "a")]


def test_client_crosses_where_its_next_node_has_another_code() -> None:
    seen = [sighted((1.0, "a"), (12.0, "b"), (14.0, "a")), sighted((1.0, "b"))]
    assert crossings(seen, [departed("a", 10.0)], OLD) == {(OLD, OURS): 1}


def test_client_that_comes_back_to_a_replaced_node_crosses() -> None:
    gone = [departed("a", 10.0), departed("a", 20.0, OLD)]
    counted = crossings([sighted((1.0, "a"), (13.0, "a"), (23.0, "a"))], gone, OLD)
    assert counted == {(OLD, OURS): 1, (OURS, OLD): 1}


def test_moves_are_those_of_clients_that_the_drained_node_had() -> None:
    seen = [
        sighted((1.0, "a"), (11.0, "b")),
        sighted((1.0, "b"), (11.5, "c")),
        sighted((1.0, "a"), (40.0, "b")),
    ]
    assert moves(seen, departed("a", 10.0), 10.0, 12.0) == [11.0]


def test_our_code_runs_as_it_was_asked_for() -> None:
    spec = ChildSpec("node", ["python", "-m", "tidewire_gateway"], Path("log"))
    assert running(spec, OURS) == spec


def test_code_of_a_tree_runs_from_it_and_nowhere_else() -> None:
    spec = ChildSpec(
        "node",
        ["nice", "python", "-m", "tidewire_gateway", "--x"],
        Path("log"),
        environment={"PYTHONPATH": "/tests"},
    )
    found = running(spec, Code(tree=Path("/released"), patch="drills.other_formats"))
    assert found.command[2:5] == ["-m", "drills.from_tree", "/released"]
    assert found.command[5:] == ["drills.other_formats", "tidewire_gateway", "--x"]
    paths = found.environment["PYTHONPATH"].split(":")
    assert paths == ["/released/shared", "/released/services", "/released/sdk/python", "/tests"]
