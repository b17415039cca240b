"""Coverage-guided fuzzing of the targets: `make fuzz SECONDS=60`, or `python -m fuzz TARGET SECONDS`.

One process a target, since libFuzzer ends its own. What is new by its coverage stays in `.tidewire/fuzz/TARGET` for the
next run; an input that breaks a target is written to `tests/fuzz/finds`, where an ordinary test takes it up.
"""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from fuzz.seeds import SEEDS
from fuzz.words import NASTY, WORDS

_FINDS = Path(__file__).with_name("finds")
_CORPUS = Path(".tidewire/fuzz")
_INSTRUMENTED = ["tidewire", "tidewire_gateway", "tidewire_publisher", "jwt", "yaml"]
_MAX_BYTES = 8192
_PATIENCE = 10
"""Seconds for one input."""
_FIGURES = re.compile(r"#(\d+)\s+\w+\s+cov: (\d+)")


def main(arguments: list[str]) -> int:
    match arguments:
        case [target, seconds]:
            return _fuzz(target, int(seconds))
        case [seconds]:
            return max([_run(target, seconds) for target in SEEDS])
    sys.stderr.write("python -m fuzz [TARGET] SECONDS\n")
    return 2


def _run(target: str, seconds: str) -> int:
    """Fuzz in a process of its own, and say in one line what came of it."""
    begun_at = time.monotonic()
    command = [sys.executable, "-m", "fuzz", target, seconds]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    took = time.monotonic() - begun_at
    told = list(_FIGURES.finditer(ended.stderr))
    executions, coverage = (int(told[-1][1]), told[-1][2]) if told else (0, "?")
    outcome = "nothing found" if ended.returncode == 0 else "BROKEN"
    line = f"{target:14} {executions:9} executions {executions / took:8.0f}/s  coverage {coverage:>5}  {outcome}"
    sys.stdout.write(line + "\n")
    if ended.returncode != 0:
        sys.stdout.write("\n".join(_told_of(ended.stderr)) + "\n")
    sys.stdout.flush()
    return ended.returncode


def _told_of(said: str) -> Iterator[str]:
    """From the exception on, without libFuzzer's own figures."""
    lines = said.splitlines()
    starts = [n for n, line in enumerate(lines) if "exception" in line.lower() or "ERROR" in line]
    yield from lines[starts[0] if starts else -20 :][:60]


def _fuzz(target: str, seconds: int) -> int:
    import atheris  # only `make fuzz` installs it

    with atheris.instrument_imports(include=_INSTRUMENTED):
        from fuzz.targets import TARGETS

    corpus = _CORPUS / target
    corpus.mkdir(parents=True, exist_ok=True)
    _FINDS.mkdir(exist_ok=True)
    for number, seed in enumerate(SEEDS[target]):
        (corpus / f"seed-{number}").write_bytes(seed)
    dictionary = _CORPUS / f"{target}.dict"
    dictionary.write_text(
        "".join(map(_entry, [*WORDS, *(word for word in NASTY if len(word) < 64)]))
    )
    options = [
        sys.argv[0],
        f"-max_total_time={seconds}",
        f"-max_len={_MAX_BYTES}",
        f"-timeout={_PATIENCE}",
        f"-artifact_prefix={_FINDS / target}.",
        f"-dict={dictionary}",
        "-rss_limit_mb=2048",
        str(corpus),
    ]
    atheris.Setup(options, TARGETS[target])
    atheris.Fuzz()
    return 0


def _entry(word: bytes) -> str:
    return '"' + "".join(f"\\x{byte:02x}" for byte in word) + '"\n'


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
