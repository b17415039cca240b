"""Random right histories pass; with any one thing wrong in them they do not."""

from collections.abc import Callable
from dataclasses import replace
from random import Random

import msgspec
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from histories.entries import Position, Published, digest
from histories.scripted import judge
from histories.violations import Rule
from unit.histories.simulated import Simulation, Step

Mutation = Callable[[Simulation, Random], None]

modes = st.sampled_from(("latest", "every"))


def simulated(mode: str, seed: int, length: int = 20) -> Simulation:
    simulation = Simulation(mode, Random(seed))
    simulation.run(length)
    return simulation


def broken(simulation: Simulation) -> frozenset[Rule]:
    return judge(simulation.log, simulation.client())[0].rules


def pick(simulation: Simulation, random: Random, kinds: set[str]) -> tuple[int, Published]:
    """A step of these kinds and an event of it that its client needs."""
    found = [
        (index, event)
        for index, step in enumerate(simulation.steps)
        if step.kind in kinds
        for event in step.events
        if simulation.needs(index, event)
    ]
    assume(found)
    return random.choice(found)


def same_connection(simulation: Simulation, index: int) -> list[int]:
    """The steps of updates after one, up to the end of its connection or the next snapshot."""
    later = []
    for number in range(index + 1, len(simulation.steps)):
        if simulation.steps[number].kind != "updates":
            break
        later.append(number)
    return later


def drop(simulation: Simulation, random: Random) -> None:
    index, event = pick(simulation, random, {"updates", "snapshot"})
    assume(not is_repeat(simulation, index, event))
    step = simulation.steps[index]
    left = tuple(e for e in step.events if e is not event)
    simulation.steps[index] = replace(step, events=left)


def swap(simulation: Simulation, random: Random) -> None:
    """Two events of a key, in `every` of a partition, change places."""
    rivals = [
        (index, event, number, other)
        for index, step in enumerate(simulation.steps)
        if step.kind == "updates"
        for event in step.events
        for number in [index, *same_connection(simulation, index)]
        for other in simulation.steps[number].events
        if other.partition == event.partition
        and other.offset > event.offset
        and (simulation.mode == "every" or other.key == event.key)
    ]
    assume(rivals)
    index, event, number, other = random.choice(rivals)
    exchange = {event: other, other: event}
    for at in {index, number}:
        step = simulation.steps[at]
        events = tuple(exchange.get(e, e) for e in step.events)
        simulation.steps[at] = replace(step, events=events)


def duplicate(simulation: Simulation, random: Random) -> None:
    index, event = pick(simulation, random, {"updates"})
    later = same_connection(simulation, index)
    assume(later)
    number = random.choice(later)
    step = simulation.steps[number]
    simulation.steps[number] = replace(step, events=(*step.events, event))


def advance_position(simulation: Simulation, random: Random) -> None:
    """The position of a flush goes out before its events."""
    index, event = pick(simulation, random, {"updates"})
    assume(not is_repeat(simulation, index, event))
    last = index
    while not simulation.steps[last].position.offsets:
        last += 1
    position = simulation.steps[last].position
    first = index
    while first > 0 and simulation.steps[first - 1].kind == "updates":
        if simulation.steps[first - 1].position.offsets:
            break
        first -= 1
    nothing = Position(position.epoch, {})
    simulation.steps[last] = replace(simulation.steps[last], position=nothing)
    simulation.steps.insert(first, Step(simulation.steps[first].at, "updates", position))


def alter_payload(simulation: Simulation, random: Random) -> None:
    """What is told is right, but it is not what was published: the digest of the log is another."""
    _, event = pick(simulation, random, {"updates", "snapshot"})
    entries = simulation.log.entries
    other = b"null" if event.digest is not None else b"1"
    altered = msgspec.structs.replace(event, digest=digest(other))
    entries[entries.index(event)] = altered


def resurrect_key(simulation: Simulation, random: Random) -> None:
    """An old value of a removed key comes with a snapshot, or after the removal."""
    removals = [
        (index, event)
        for index, step in enumerate(simulation.steps)
        if step.kind == "updates"
        for event in step.events
        if event.digest is None and simulation.needs(index, event)
    ]
    assume(removals)
    index, removal = random.choice(removals)
    old = next(
        e
        for step in reversed(simulation.steps[:index])
        for e in step.events
        if e.key == removal.key and e.digest is not None
    )
    later = same_connection(simulation, index)
    assume(later)
    step = simulation.steps[later[0]]
    simulation.steps[later[0]] = replace(step, events=(*step.events, old))


def resurrect_in_snapshot(simulation: Simulation, random: Random) -> None:
    snapshots = [
        (index, record)
        for index, step in enumerate(simulation.steps)
        if step.kind == "snapshot"
        for record in simulation.log.entries
        if isinstance(record, Published)
        and record.digest is not None
        and record.offset < step.position.offsets.get(record.partition, 0)
        and simulation.steps[index].at > record.ts / 1000
        and is_removed(simulation, record, step)
    ]
    assume(snapshots)
    index, record = random.choice(snapshots)
    step = simulation.steps[index]
    simulation.steps[index] = replace(step, events=(*step.events, record))


def is_removed(simulation: Simulation, record: Published, step: Step) -> bool:
    below = [
        r
        for r in simulation.log.entries
        if isinstance(r, Published)
        and r.key == record.key
        and r.offset < step.position.offsets.get(r.partition, 0)
    ]
    return below[-1].digest is None


def is_repeat(simulation: Simulation, index: int, event: Published) -> bool:
    """Whether the client had this event already, and a repeat less is no loss."""
    return any(event in step.events for step in simulation.steps[:index])


ALWAYS: list[tuple[str, Mutation]] = [
    ("latest", drop),
    ("every", drop),
    ("latest", swap),
    ("every", swap),
    ("latest", duplicate),
    ("every", duplicate),
    ("latest", advance_position),
    ("every", advance_position),
    ("latest", alter_payload),
    ("every", alter_payload),
    ("latest", resurrect_key),
    ("latest", resurrect_in_snapshot),
]


@given(mode=modes, seed=st.integers(0, 1 << 32))
@settings(max_examples=300)
def test_right_histories_pass(mode: str, seed: int) -> None:
    simulation = simulated(mode, seed)
    assert broken(simulation) == frozenset()


@pytest.mark.parametrize(("mode", "mutation"), ALWAYS)
@given(seed=st.integers(0, 1 << 32))
@settings(max_examples=60, suppress_health_check=[HealthCheck.filter_too_much])
def test_one_thing_wrong_is_caught(mode: str, mutation: Mutation, seed: int) -> None:
    simulation = simulated(mode, seed)
    mutation(simulation, Random(seed))
    assert broken(simulation), simulation.steps
