"""What counts as the output that a document shows."""

import pytest

from harness.transcripts import Step, difference, steps_of

PLACE = "flights partition 1 offset 182"


def test_commands_have_the_lines_below_them() -> None:
    block = "$ one \\\n    --more\na\n\nb\n\n$ two\n"

    assert steps_of(block) == [
        Step(0, "one \\\n    --more", ("a", "", "b")),
        Step(6, "two", ()),
    ]


def test_output_without_a_command_is_refused() -> None:
    with pytest.raises(ValueError, match="stands below no command"):
        steps_of("output\n$ late\n")


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        (PLACE, "flights partition 1 offset 7\n"),
        ("http://127.0.0.1:8080/", "http://127.0.0.1:41234/\n"),
        ("10:42:05.940  JFK/AA-1  {}  1:30", "22:01:59.001  JFK/AA-1         {}  1:4\n"),
        ('{"ts":1700000000000,"offset":[1,2]}', '{"ts":1795948925941,"offset":[1,47]}'),
        (
            '{"position":{"epoch":"0","offsets":{"1":3}}}',
            '{"position":{"epoch":"b9","offsets":{}}}',
        ),
        ("one … three", "one two three"),
        ("first\n…\nlast", "first\nmore\nand more\nlast"),
        ("", "\n\n"),
    ],
)
def test_what_varies_may_vary(shown: str, printed: str) -> None:
    assert difference(shown.splitlines(), printed) is None


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        (PLACE, "flights partition 2 offset 182\n"),
        (PLACE, "orders partition 1 offset 182\n"),
        (PLACE, ""),
        (PLACE, f"{PLACE}\nand something else\n"),
        ("", "something\n"),
        ('{"ts":1700000000000,"offset":[1,2]}', '{"ts":1700000000000,"offset":[2,2]}'),
        ('{"total":42}', '{"total":43}'),
        ("one … three", "one two four"),
        ("first\n…\nlast", "first\nmore\n"),
    ],
)
def test_what_may_not_vary_is_told(shown: str, printed: str) -> None:
    told = difference(shown.splitlines(), printed)

    assert told is not None
    assert "printed:" in told
