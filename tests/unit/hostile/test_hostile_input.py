"""Whatever comes is refused by the errors that are documented, or is what it should be: no other exception, no depth that breaks."""

import time
from pathlib import Path

import pytest
from hypothesis import example, given, settings

import fuzz
from fuzz.seeds import SEEDS
from fuzz.targets import TARGETS
from unit.hostile.hostile_bytes import hostile_bytes

SLOW = "streams"
"""YAML is parsed a thousand times slower than anything else."""
FINDS = Path(fuzz.__file__).with_name("finds")
PATIENCE = 2.0
"""Seconds for an input of a few KB: far beyond what any takes, and far below what a blow-up would."""

_DEEP = b"[" * 20_000
_LARGE = (
    _DEEP,
    b'{"a":' * 20_000,
    _DEEP + b"]" * 20_000,
    b"9" * 1_000_000,
    b'"' + b"\\ud800" * 100_000 + b'"',
    b"-" * 500_000,
    b"\x00" * 500_000,
    b"0" * 500_000,
    b"00-" * 200_000,
    b"a" * 1_000_000,
    b"." * 16_000,
    b"a." * 8000,
    b"/" * 300_000,
    b"\xef\xbb\xbf{}",
    b"\x1e" + b"a:b\n" * 100_000 + b"\x1e{}",
)


@settings(max_examples=300)
@given(data=hostile_bytes())
@example(data=b"")
@example(data=b"[" * 990 + b"]" * 990)
@example(data=b"k\x1e\x1e" + b"[" * 990 + b"]" * 990)
def test_arbitrary_bytes_are_read_or_refused_as_documented(data: bytes) -> None:
    for name, target in TARGETS.items():
        if name != SLOW:
            target(data)


@settings(max_examples=40)
@given(data=hostile_bytes())
def test_arbitrary_text_is_no_configuration_or_a_good_one(data: bytes) -> None:
    TARGETS[SLOW](data)


@pytest.mark.parametrize("path", sorted(FINDS.iterdir()), ids=lambda path: path.name)
def test_what_fuzzing_found_is_read_or_refused_as_documented(path: Path) -> None:
    """Named by its target; `make fuzz` writes them."""
    TARGETS[path.name.partition(".")[0]](path.read_bytes())


def test_fuzzing_starts_from_inputs_of_every_target() -> None:
    assert set(SEEDS) == set(TARGETS)
    for name, seeds in SEEDS.items():
        for seed in seeds:
            TARGETS[name](seed)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("data", _LARGE, ids=range(len(_LARGE)))
def test_large_input_takes_no_long_time(target: str, data: bytes) -> None:
    begun_at = time.process_time()
    TARGETS[target](data)
    assert time.process_time() - begun_at < PATIENCE
