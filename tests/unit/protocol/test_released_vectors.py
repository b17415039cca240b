"""What the last release understood and said still holds, by the rules of docs/protocol.md, "Evolution"."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from harness.both_sides import read_by_server, read_record
from harness.evolution import breaks, holds
from harness.releases import last_release

PRESENT = Path(__file__).parents[2] / "vectors" / "protocol"
RELEASE = last_release()
FILES = [
    "client_frames.json",
    "foreign_server_frames.json",
    "sequences.json",
    "server_frames.json",
]

Json = dict[str, Any]


def vectors(folder: Path, file: str) -> list[Json]:
    found: list[Json] = json.loads((folder / file).read_text())
    return found


def as_vector(read: Any) -> Json:
    """A message of `read_by_server` in the words of a vector."""
    payload = {name: value for name, value in read.items() if name not in {"id", "read_as"}}
    return {"payload": payload} | ({} if read["id"] is None else {"id": read["id"]})


def without_type(message: Json) -> Json:
    return {name: value for name, value in message.items() if name != "type"}


def changed(file: str, name: str, **fields: Any) -> list[str]:
    """What is said where one present vector of the release's differs in these fields."""
    released = vectors(RELEASE.vectors, file)
    present = copy.deepcopy(released)
    vector = next(v for v in present if v["name"] == name)
    vector |= fields
    return breaks(file, released, present)


def first(file: str, *, with_error: bool = False) -> Json:
    """A vector of the release that has messages, or one that has an error and ends no connection."""
    wanted = "error" if with_error else "messages"
    return next(v for v in vectors(RELEASE.vectors, file) if v.get(wanted))


def test_release_has_every_kind_of_vector() -> None:
    assert sorted(path.name for path in RELEASE.vectors.glob("*.json")) == FILES
    assert {path.name for path in PRESENT.glob("*.json")} == set(FILES)


@pytest.mark.parametrize("file", FILES)
def test_present_vectors_keep_what_was_released(file: str) -> None:
    assert breaks(file, vectors(RELEASE.vectors, file), vectors(PRESENT, file)) == []


@pytest.mark.parametrize(
    "vector", [pytest.param(v, id=v["name"]) for v in vectors(RELEASE.vectors, FILES[0])]
)
def test_present_server_reads_frames_of_clients_of_the_release(vector: Json) -> None:
    read = read_by_server(vector["frame"])
    messages = [as_vector(message) for message in read if not isinstance(message, str)]
    assert holds(messages, [without_type(m) for m in vector.get("messages", [])])
    codes = [message for message in read if isinstance(message, str)]
    assert codes == ([vector["error"]["code"]] if "error" in vector else [])


def test_present_code_reads_records_that_the_release_wrote() -> None:
    frozen = json.loads((RELEASE.vectors.parent / "records.json").read_text())
    assert set(frozen["written"]) == set(frozen["read"])
    for name, told in frozen["written"].items():
        assert holds(read_record(name, told), frozen["read"][name]), name


def test_vector_that_is_gone_is_told_with_the_rule() -> None:
    file = "server_frames.json"
    released = vectors(RELEASE.vectors, file)
    [told] = breaks(file, released, released[1:])
    assert released[0]["name"] in told
    assert "stays a vector under its name; a change that needs it is a new protocol version" in told


def test_request_that_is_read_otherwise_is_told_with_the_rule() -> None:
    vector = first("client_frames.json")
    messages = [{**vector["messages"][0], "payload": {"client": "other/1"}}]
    [told] = changed("client_frames.json", vector["name"], messages=messages)
    assert "a field keeps its meaning" in told


def test_request_with_one_more_optional_field_is_no_break() -> None:
    vector = first("client_frames.json")
    message = copy.deepcopy(vector["messages"][0])
    message["payload"]["later"] = None
    assert changed("client_frames.json", vector["name"], messages=[message]) == []


def test_error_with_another_code_is_told_with_the_rule() -> None:
    released = vectors(RELEASE.vectors, "client_frames.json")
    vector = next(v for v in released if v.get("error", {}).get("code") == "bad_request")
    [told] = changed("client_frames.json", vector["name"], error={"code": "internal"})
    assert "an error keeps its code" in told


def test_what_was_kept_for_later_may_be_understood_later() -> None:
    released = vectors(RELEASE.vectors, "client_frames.json")
    kept = next(v for v in released if v.get("error", {}).get("code") == "unsupported")
    present = [copy.deepcopy(v) for v in released if v is not kept]
    present.append({"name": kept["name"], "frame": kept["frame"], "messages": [{"type": "ack"}]})
    assert breaks("client_frames.json", released, present) == []


def test_close_code_that_changed_is_told_with_the_rule() -> None:
    released = vectors(RELEASE.vectors, "client_frames.json")
    vector = next(v for v in released if "close" in v)
    [told] = changed("client_frames.json", vector["name"], close=3030)
    assert "a close code keeps its duty" in told


def test_server_message_may_gain_a_field_and_must_not_lose_one() -> None:
    vector = first("server_frames.json")
    more, less = copy.deepcopy(vector["messages"]), copy.deepcopy(vector["messages"])
    more[0]["payload"]["later"] = 1
    less[0]["payload"].popitem()
    assert changed("server_frames.json", vector["name"], messages=more) == []
    [told] = changed("server_frames.json", vector["name"], messages=less)
    assert "clients of the release read it" in told


def test_sequence_that_ends_elsewhere_is_told_with_the_rule() -> None:
    vector = vectors(RELEASE.vectors, "sequences.json")[0]
    expect = {**vector["expect"], "position": None, "state": {"other": 1}}
    [told] = changed("sequences.json", vector["name"], expect=expect)
    assert "positions, duplicates and gaps keep their rules" in told


def test_true_is_not_held_by_one() -> None:
    assert not holds({"more": 1}, {"more": True})
    assert not holds([1, 2], [1])
    assert holds({"a": [{"b": 1, "c": 2}]}, {"a": [{"b": 1}]})
