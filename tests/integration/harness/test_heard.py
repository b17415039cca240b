"""The ears of the test run: each leak here is made, and taken back before the run would fail for it."""

import asyncio
import logging
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from harness.heard import HEARD
from harness.leaks import CANARY
from harness.waiting import wait_until
from tidewire.dev.processes import ChildSpec, start_child
from tidewire.telemetry.logging import get_logger

LEAKING = [
    sys.executable,
    "-c",
    f"import sys; sys.stderr.write('fine\\nread {CANARY[:6]}' + '{CANARY[6:]}\\n')",
]
"""Not in one piece: the command line is no log, and is not to be found in one either."""
SAID = f"read {CANARY}"


def only_leak() -> tuple[str, int, str]:
    [leak] = HEARD.take_leaks()
    assert leak.what == "a payload"
    return leak.source, leak.number, leak.line


def test_a_process_that_writes_its_log_to_a_file_is_heard(tmp_path: Path) -> None:
    log = tmp_path / "program.stderr"
    log.write_text("of a former start\n")
    with log.open("a") as errors:
        subprocess.run(LEAKING, stderr=errors, check=True)

    assert only_leak() == (f"{Path(sys.executable).name} ({log})", 3, SAID)


def test_a_process_whose_log_is_read_through_a_pipe_is_heard() -> None:
    subprocess.run(LEAKING, capture_output=True, check=True)

    assert only_leak() == (Path(sys.executable).name, 2, SAID)


async def test_a_process_of_an_event_loop_is_heard() -> None:
    process = await asyncio.create_subprocess_exec(*LEAKING, stderr=asyncio.subprocess.PIPE)
    await process.communicate()

    assert only_leak() == (f"process {process.pid}", 2, SAID)


def test_a_part_of_a_development_run_is_heard(tmp_path: Path) -> None:
    child = start_child(ChildSpec("part", LEAKING, tmp_path / "part.log"))
    child.wait_for_end(timeout=10)

    assert only_leak() == (f"{Path(sys.executable).name} ({tmp_path / 'part.log'})", 2, SAID)


def test_a_process_that_goes_on_is_heard_by_whole_lines(tmp_path: Path) -> None:
    half, rest = CANARY[:6], CANARY[6:]
    script = (
        "import sys; say = lambda t: (sys.stderr.write(t), sys.stderr.flush()); "
        f"say('fine\\n'); say('read {half}'); sys.stdin.readline(); say('{rest}\\n'); sys.stdin.readline()"
    )
    log = tmp_path / "program.stderr"
    with (
        log.open("w") as errors,
        subprocess.Popen(
            [sys.executable, "-c", script], stdin=subprocess.PIPE, stderr=errors, text=True
        ) as process,
    ):
        assert process.stdin is not None
        wait_until(lambda: log.read_text().endswith(half))
        assert HEARD.take_leaks() == []
        process.stdin.write("\n")
        process.stdin.flush()
        wait_until(lambda: log.read_text().endswith(f"{rest}\n"))
        assert only_leak() == (f"{Path(sys.executable).name} ({log})", 2, SAID)
        process.stdin.close()
    assert HEARD.take_leaks() == []


def test_logs_in_a_folder_are_heard_until_their_process_ends(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        HEARD.hear_folder(tmp_path, process.pid)
        assert HEARD.take_leaks() == []
        log = tmp_path / "gateway.log"
        log.write_text(f"fine\nread {CANARY}\n")
        assert only_leak() == (str(log), 2, SAID)
        log.write_text(f"fine\nread {CANARY}\nlast words of {CANARY}")
        assert process.stdin is not None
        process.stdin.close()
    assert only_leak() == (str(log), 3, f"last words of {CANARY}")
    log.write_text(f"{CANARY}\n" * 9)
    assert HEARD.take_leaks() == []


def test_what_this_process_logs_is_heard() -> None:
    get_logger("structured").info("record read", value=CANARY)
    assert only_leak()[:2] == ("the process of the tests, logger structured", 1)

    logging.getLogger("plain").info("record read: %s", CANARY)
    assert only_leak()[:2] == ("the process of the tests, logger plain", 1)


def test_a_traceback_is_heard() -> None:
    try:
        raise ValueError(CANARY)
    except ValueError:
        get_logger("structured").exception("task ended")
        assert only_leak()[2] == f"ValueError: {CANARY}"
        logging.getLogger("plain").exception("task ended")
        assert only_leak()[2] == f"ValueError: {CANARY}"


def test_an_error_that_is_handed_over_is_heard_with_what_caused_it() -> None:
    try:
        try:
            raise KeyError(CANARY)
        except KeyError as cause:
            raise ValueError("fine") from cause
    except ValueError as error:
        told = error
    get_logger("structured").warning("task ended", exc_info=told)
    assert only_leak()[2] == f"KeyError: '{CANARY}'"
    logging.getLogger("plain").warning("task ended", exc_info=told)
    assert only_leak()[2] == f"KeyError: '{CANARY}'"


def test_fields_that_are_put_to_a_record_are_heard() -> None:
    logging.getLogger("plain").info("record read", extra={"key": "JFK", "body": {"text": CANARY}})
    assert only_leak()[2] == f"body={{'text': '{CANARY}'}}"


@pytest.mark.parametrize("ends", ["pass", "assert False"])
def test_a_test_fails_where_a_log_leaks_and_says_who_wrote_what(tmp_path: Path, ends: str) -> None:
    """In a run of its own: the leaking process shares its stderr, as routers do."""
    (tmp_path / "test_leaking.py").write_text(
        textwrap.dedent(f"""\
            import subprocess

            def test_leaking():
                subprocess.run({LEAKING!r}, check=True)
                {ends}

            def test_sound():
                pass
            """)
    )
    tests = Path(__file__).parents[2]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "conftest", "-p", "no:cacheprovider", "-rA", "."],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{tests}{os.pathsep}{tests.parent}"},
        stdout=subprocess.PIPE,
        text=True,
        timeout=25,
        check=False,
    )
    assert run.returncode == 1, run.stdout
    assert "logs give away what they must not" in run.stdout
    assert (
        f"shares stderr with the tests (Captured stderr call), line 2: a payload: {SAID}"
        in run.stdout
    )
    assert "ERROR test_leaking.py::test_leaking" in run.stdout
    assert "PASSED test_leaking.py::test_sound" in run.stdout
