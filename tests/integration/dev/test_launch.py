"""The launcher with real processes: nothing that it starts outlives the process that asked."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from harness.processes import is_gone
from harness.waiting import wait_until

LAUNCH = [sys.executable, "-m", "tidewire.dev.launch"]
# Starts one child through the launcher, tells its process id, and waits to be killed.
PARENT = """
import os, subprocess, sys, time
child = subprocess.Popen(
    [sys.executable, "-m", "tidewire.dev.launch", *{options!r}, str(os.getpid()), "--", *{command!r}],
    start_new_session=True,
)
time.sleep(600)
"""
TELL = "import os, sys, time; open(sys.argv[1] + '.new', 'w').write(str(os.getpid())); "
TELL += "os.rename(sys.argv[1] + '.new', sys.argv[1]); time.sleep(600)"


def _told(path: Path) -> int:
    wait_until(path.exists, within=20, what=f"the child wrote {path}")
    return int(path.read_text())


@pytest.mark.parametrize("options", [[], ["--watch"]], ids=["by-kernel", "by-watcher"])
def test_child_of_a_killed_parent_is_gone(tmp_path: Path, options: list[str]) -> None:
    told = tmp_path / "pid"
    command = [sys.executable, "-c", TELL, str(told)]
    script = PARENT.format(options=options, command=command)
    with subprocess.Popen([sys.executable, "-c", script]) as parent:
        child = _told(told)
        parent.kill()
    wait_until(lambda: is_gone(child), what="the child is gone")


def test_child_gets_the_signal_it_was_promised(tmp_path: Path) -> None:
    told, last_words = tmp_path / "pid", tmp_path / "last-words"
    say = "import signal, sys, pathlib; signal.signal(signal.SIGTERM, lambda *_: "
    say += f"(pathlib.Path({str(last_words)!r}).write_text('saved'), sys.exit(0))); "
    command = [sys.executable, "-c", say + TELL, str(told)]
    script = PARENT.format(options=["--signal", str(int(signal.SIGTERM))], command=command)
    with subprocess.Popen([sys.executable, "-c", script]) as parent:
        child = _told(told)
        parent.kill()
    wait_until(lambda: is_gone(child), what="the child is gone")
    assert last_words.read_text() == "saved"


def test_nothing_starts_for_a_parent_that_is_gone() -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as gone:
        gone.wait()
    launched = subprocess.run(
        [*LAUNCH, str(gone.pid), "--", sys.executable, "-c", "print('started')"],
        capture_output=True,
        timeout=20,
    )
    assert (launched.returncode, launched.stdout) == (125, b"")


def test_command_takes_the_place_of_the_launcher() -> None:
    command = [sys.executable, "-c", "import os; print(os.getpid())"]
    with subprocess.Popen(
        [*LAUNCH, str(os.getpid()), "--", *command], stdout=subprocess.PIPE, text=True
    ) as child:
        output, _ = child.communicate(timeout=20)
        assert int(output) == child.pid


def test_missing_command_is_one_sentence() -> None:
    launched = subprocess.run(
        [*LAUNCH, str(os.getpid()), "--", "/nowhere/program"],
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert launched.returncode == 127
    assert launched.stderr == "/nowhere/program: cannot be started: No such file or directory\n"


def test_watcher_hands_on_signals_and_exit_codes() -> None:
    script = "import signal, sys, time; signal.signal(signal.SIGTERM, lambda *_: sys.exit(7)); "
    script += "print('up', flush=True); time.sleep(600)"
    with subprocess.Popen(
        [*LAUNCH, "--watch", str(os.getpid()), "--", sys.executable, "-c", script],
        stdout=subprocess.PIPE,
        text=True,
    ) as watcher:
        assert watcher.stdout is not None
        assert watcher.stdout.readline() == "up\n"
        watcher.terminate()
        assert watcher.wait(20) == 7
