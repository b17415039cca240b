"""The record of a process, and the streams that carry it, against docs/observability.md."""

import json
import re
from pathlib import Path

from tidewire import __version__
from tidewire.protocol.codes import Mode
from tidewire.system.records import Observation, Process, State, Vitals, key_of, system_record
from tidewire.system.streams import FLOWS, SYSTEM, system_streams
from tidewire.topics.plan import spec_of

CONTRACT = Path(__file__).parents[3] / "docs" / "observability.md"
PROCESS = Process("gateway", "node-1", "http://127.0.0.1:9001", 1_764_460_000_000)


def test_record_has_the_members_of_the_contract_in_its_order() -> None:
    example = re.search(
        r"A record of `tidewire\.system`\n\n```json\n(.*?)```", CONTRACT.read_text(), re.DOTALL
    )
    assert example is not None
    written = json.loads(example[1])
    record = system_record(
        PROCESS,
        Observation(State.READY, {"figure": 1}),
        Vitals(0.3104, 91_000_000, 0.00212),
        alarms=written["alarms"],
        at_ms=1_764_460_800_000,
        every_ms=2000,
    )
    assert list(record) == list(written)
    assert record == written | {
        "version": __version__,
        "cpu_cores": 0.31,
        "loop_lag_s": 0.0021,
        "figures": {"figure": 1},
    }
    assert key_of(PROCESS) == "gateway/node-1"


def test_states_are_those_of_the_contract() -> None:
    assert [state.value for state in State] == [
        *("starting", "ready", "draining", "overloaded", "ended")
    ]


def test_streams_are_a_table_of_processes_and_an_hour_of_flows() -> None:
    streams = system_streams(epoch="e")
    system, flows = spec_of(streams[SYSTEM]), spec_of(streams[FLOWS])
    assert (system.name, system.partitions, system.config["cleanup.policy"]) == (
        *("tidewire.system", 1, "compact,delete"),
    )
    assert (flows.name, flows.partitions, flows.config) == (
        "tidewire.flows",
        1,
        {"cleanup.policy": "delete", "retention.ms": "3600000"},
    )
    assert streams[SYSTEM].modes == (Mode.LATEST,)
    assert streams[FLOWS].modes == (Mode.EVERY,)
    assert not any(stream.public for stream in streams.values())
    assert {stream.epoch for stream in streams.values()} == {"e"}
