import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tidewire.config.errors import ConfigError
from tidewire.config.located_yaml import parse_yaml
from tidewire.config.streams import Stream, StreamsFile
from tidewire.config.streams_file import load_streams, parse_streams, streams_schema
from tidewire.protocol.codes import Mode

ROOT = Path(__file__).parents[3]

GOOD = """\
streams:
  flights:
    topic: flights
    partitions: 6
    group: key-prefix
    table: true
    modes: [latest, every]
    min_interval_ms: 50
  notices:
    topic: flight-notices
"""


def problems_of(text: str) -> list[str]:
    with pytest.raises(ConfigError) as failure:
        parse_streams(text, "streams.yaml")
    return str(failure.value).splitlines()


def test_a_good_file_is_read_with_its_defaults(tmp_path: Path) -> None:
    path = tmp_path / "streams.yaml"
    path.write_text(GOOD, encoding="utf-8")
    streams = load_streams(path).streams
    assert streams["flights"] == Stream(
        topic="flights",
        partitions=6,
        group="key-prefix",
        table=True,
        modes=(Mode.LATEST, Mode.EVERY),
        min_interval_ms=50,
    )
    assert streams["notices"] == Stream(topic="flight-notices")


def test_an_unknown_key_is_refused_with_its_line_and_the_key_that_was_meant() -> None:
    assert problems_of(GOOD.replace("partitions", "partitons")) == [
        "streams.yaml:4: streams.flights.partitons: unknown key; did you mean 'partitions'?"
    ]


def test_names_of_the_systems_own_streams_are_refused_with_their_line() -> None:
    [problem] = problems_of(GOOD.replace("notices:", "tidewire.system:"))
    assert problem.startswith("streams.yaml:9: streams.tidewire.system: ")
    assert "choose another" in problem
    good = parse_streams(GOOD.replace("notices:", "tidewires.x:"), "streams.yaml")
    assert "tidewires.x" in good.streams


def test_a_key_like_none_that_is_known_gets_the_list_of_those_that_are() -> None:
    [problem] = problems_of("streams: {a: {topic: a, zzz: 1}}")
    assert problem.startswith("streams.yaml:1: streams.a.zzz: unknown key; known: topic, ")


def test_every_problem_is_reported_in_the_order_of_the_file() -> None:
    problems = problems_of(
        "streams:\n"
        "  a:\n"
        "    topic: a/b\n"
        "    partitions: 0\n"
        "    modes: latest\n"
        "    entity: body\n"
        "  b:\n"
        "    public: 7\n"
        "  'bad name': {topic: c}\n"
        "  d: {topic: d, table: true, entity: 'header:x'}\n"
        "  e:\n"
        "extra: 1\n"
    )
    assert problems == [
        (
            "streams.yaml:3: streams.a.topic: must be characters of A-Z a-z 0-9 . _ -, "
            "as Kafka allows (is 'a/b')"
        ),
        "streams.yaml:4: streams.a.partitions: must be at least 1 (is 0)",
        "streams.yaml:5: streams.a.modes: must be a list, such as [a, b] (is 'latest')",
        "streams.yaml:6: streams.a.entity: must be key, header:<name> or value:<field> (is 'body')",
        "streams.yaml:7: streams.b.topic: is missing; every stream names its topic",
        "streams.yaml:8: streams.b.public: must be true or false (is 7)",
        (
            "streams.yaml:9: streams.bad name: a stream's name has 1 to 127 characters of "
            "A-Z a-z 0-9 . _ ~ - and starts with a letter or a digit (is 'bad name')"
        ),
        (
            "streams.yaml:10: streams.d: a table's entity is its key: "
            "set `entity: key` or `table: false`"
        ),
        "streams.yaml:11: streams.e: must be a mapping (is empty)",
        "streams.yaml:12: extra: unknown key; known: streams",
    ]


def test_a_table_that_would_forget_keys_is_refused() -> None:
    [problem] = problems_of("streams: {a: {topic: a, table: true, retention_ms: 5}}")
    assert problem.endswith("remove retention_ms or set `table: false`")
    kept = "streams: {a: {topic: a, table: true, retention_ms: -1}}"
    assert parse_streams(kept, "streams.yaml").streams["a"].table


def test_a_duplicate_key_is_refused_with_both_lines() -> None:
    assert problems_of("streams:\n  a: {topic: a}\n\n  a: {topic: b}\n") == [
        "streams.yaml:4: streams.a: duplicate key; it stands on line 2 already, keep one of the two"
    ]


def test_a_key_that_yaml_takes_for_something_else_asks_for_quotes() -> None:
    assert problems_of("streams:\n  no: {topic: a}\n  7: {topic: b}\n") == [
        'streams.yaml:2: streams: key no is not text to YAML; write it as "no"',
        'streams.yaml:3: streams: key 7 is not text to YAML; write it as "7"',
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("streams:\n\ta: 1", "streams.yaml:2: not valid YAML: .*indent with spaces, not tabs$"),
        ("streams:\n  a: [", "streams.yaml:2: not valid YAML: "),
        ("a: 1\n--- \nb: 2", "streams.yaml:2: not valid YAML: .*single document"),
        ("x: 1\ny: \x01", r"streams.yaml:2: not valid YAML: character U\+0001"),
        ("x: !!python/object:os.x 1", "streams.yaml:1: not valid YAML: .*constructor"),
        ("x: 2013-13-45", "streams.yaml:1: x: not a YAML value: month"),
        ("streams: &a [*a]", "streams.yaml:1: streams.0: an alias that contains itself"),
        ("", "streams.yaml: the file is empty; the least it says is"),
        ("# nothing\n", "streams.yaml: the file is empty"),
        ("3", r"streams.yaml:1: must be a mapping \(is 3\)"),
        ("{}", "streams.yaml:1: streams: is missing, such as"),
        ("streams: {}", "streams.yaml:1: streams: must not be empty"),
    ],
)
def test_what_is_no_streams_file_is_one_sentence(text: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem) as failure:
        parse_streams(text, "streams.yaml")
    assert len(str(failure.value).splitlines()) == 1


def test_aliases_that_multiply_are_bounded() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 9)]
    with pytest.raises(ConfigError, match="more than 100000 values"):
        parse_streams("\n".join(lines), "streams.yaml")


def test_shared_settings_may_be_merged() -> None:
    streams = parse_streams(
        "streams:\n"
        "  a: &base {topic: a, partitions: 3, public: true}\n"
        "  b: {<<: *base, topic: b}\n"
        "  c:\n"
        "    <<: [{topic: c, partitions: 4}, *base]\n",
        "streams.yaml",
    ).streams
    assert streams["b"] == Stream(topic="b", partitions=3, public=True)
    assert streams["c"] == Stream(topic="c", partitions=4, public=True)


def test_merging_something_else_is_refused() -> None:
    [problem] = problems_of("streams:\n  a:\n    <<: 7\n    topic: a\n")
    assert problem == "streams.yaml:3: streams.a: '<<' merges a mapping, or a list of mappings"


def test_a_missing_file_names_the_cure(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no such file; make one \(docs/configuration.md"):
        load_streams(tmp_path / "streams.yaml")


def test_a_folder_in_its_place_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load_streams(tmp_path)


def test_a_file_in_another_encoding_names_the_line(tmp_path: Path) -> None:
    path = tmp_path / "streams.yaml"
    path.write_bytes(b"streams:\n  # caf\xe9\n")
    with pytest.raises(ConfigError, match=r"streams.yaml:2: not UTF-8"):
        load_streams(path)


def test_a_file_that_cannot_be_meant_is_not_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "streams.yaml"
    path.write_bytes(b"#" * ((1 << 20) + 1))
    with pytest.raises(ConfigError, match="larger than 1 MiB"):
        load_streams(path)


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text("ab :#-'\"\n", max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("xyz", min_size=1), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(PLAIN)
def test_values_are_what_the_yaml_library_reads(value: Any) -> None:
    text = yaml.safe_dump(value)
    assert parse_yaml(text).value == yaml.safe_load(text) == value


@given(st.dictionaries(st.text("abc", min_size=1, max_size=4), st.integers(), min_size=1))
def test_every_key_stands_on_the_line_that_is_told(value: dict[str, int]) -> None:
    text = yaml.safe_dump({"streams": value}, default_flow_style=False)
    document = parse_yaml(text)
    for key in value:
        line = text.splitlines()[document.line_of(("streams", key)) - 1]
        assert line.strip(" '\"?").startswith(key)


def test_the_committed_schema_is_the_generated_one() -> None:
    committed = (ROOT / "docs" / "streams.schema.json").read_text(encoding="utf-8")
    assert json.loads(committed) == streams_schema(), (
        "tidewire config schema > docs/streams.schema.json"
    )


def test_the_schema_says_what_it_is() -> None:
    schema = streams_schema()
    assert schema["$schema"].endswith("2020-12/schema")
    assert schema["$id"].startswith("urn:tidewire:")
    properties = schema["$defs"]["Stream"]["properties"]
    assert all(properties[name].get("description") for name in Stream.model_fields)


def test_the_documented_file_is_a_good_one() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    blocks = [block.partition("```")[0] for block in page.split("```yaml\n")[1:]]
    assert blocks
    for block in blocks:
        assert isinstance(parse_streams(block, "configuration.md"), StreamsFile)


def test_the_documentation_names_every_key() -> None:
    page = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert [key for key in Stream.model_fields if f"| `{key}` |" not in page] == []
