"""Runs the commands of a document one after another, as somebody with several terminals does."""

import os
import re
import shlex
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from typer.testing import CliRunner

from harness.transcripts import Step, difference
from harness.waiting import wait_until
from integration.docs.expectations import ROOT, Expectation
from integration.docs.site import Site
from tidewire.cli.app import make_app

__all__ = ["Shell", "end", "lacking"]

PATIENCE = 60.0
ENDLESS = re.compile(r"tidewire tail (?!.*--count)|python watch\.py|python -m http\.server")
STARTS = re.compile(r"make run\b|tidewire dev\b")
MAKE = re.compile(r"make (?P<target>[\w-]+)(?P<variables>(?: [A-Z]+=\S+)*)(?:\s+#.*)?")
COMMENT = re.compile(r"\s+#.*$")


@dataclass(slots=True)
class _Follower:
    """A command in a terminal of its own."""

    step: Step
    process: "subprocess.Popen[bytes]"
    output: Path

    def has_shown(self) -> bool:
        return difference(self.step.expected, self.output.read_text()) is None


class Shell:
    """Commands of a block share folder and variables. Those that never end run beside the others until `close`."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._followers: list[_Follower] = []
        self._state = site.folder / ".shell"
        self._write_state(site.folder)

    def begin_block(self) -> None:
        """A block may be typed into a terminal of its own: the folder stays, variables do not."""
        self._write_state(self._folder())

    def run(self, step: Step, expected: Expectation | None = None) -> str | None:
        """What is wrong with it; None where it did what stands in the document."""
        command = self._site.here(step.command)
        if STARTS.match(command):
            return self._started(command)
        if MAKE.match(command):
            return _fault_of_make(command)
        if ENDLESS.match(command):
            self._follow(step, command)
            return None
        return self._ended(step, command, expected)

    def close(self) -> list[str]:
        """What is wrong with those that ran beside; they have ended on return."""
        faults = []
        for follower in self._followers:
            try:
                wait_until(partial(_shown, follower), within=PATIENCE, what="its output")
            except AssertionError:
                told = difference(follower.step.expected, follower.output.read_text())
                errors = follower.output.with_suffix(".err").read_text()
                faults.append(f"{follower.step.command}: {told or 'it ended by itself'}\n{errors}")
            finally:
                end(follower.process)
        self._followers.clear()
        return faults

    def _ended(self, step: Step, command: str, expected: Expectation | None) -> str | None:
        try:
            done = subprocess.run(
                ["bash", "-c", self._script(command)],
                env=self._site.environment(),
                capture_output=True,
                text=True,
                timeout=PATIENCE,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"{step.command}: has not ended after {PATIENCE:g} s"
        printed = done.stdout + (done.stderr if done.returncode else "")
        is_shown = bool(step.expected) and difference(step.expected, printed) is None
        if done.returncode and not is_shown:
            return f"{step.command}: exit code {done.returncode}: {printed}"
        if expected is not None and expected.has in step.command:
            return lacking(expected.prints, printed)
        return difference(step.expected, printed) if step.expected else None

    def _script(self, command: str) -> str:
        """What a command leaves behind (folder, variables) is there for the next."""
        state = shlex.quote(str(self._state))
        keep = f'{{ export -p; echo "cd $(printf %q "$PWD")"; }} > {state}'
        return f". {state}\n{command}\nstatus=$?\n{keep}\nexit $status"

    def _follow(self, step: Step, command: str) -> None:
        """The state goes along as text: the next command writes it anew, perhaps before this one has read it."""
        output = self._site.folder / f".follower-{len(self._followers)}"
        script = f"{self._state.read_text()}\nexec {COMMENT.sub('', command)}"
        errors = output.with_suffix(".err")
        with output.open("w") as stdout, errors.open("w") as stderr:
            process = subprocess.Popen(
                ["bash", "-c", script],
                env=self._site.environment(),
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )
        self._followers.append(_Follower(step, process, output))

    def _started(self, command: str) -> str | None:
        """The run of the tests stands for it, in this folder; that it could be started like this is looked at."""
        self._site.enter(self._folder())
        if command.startswith("make"):
            return _fault_of_make(command)
        asked = shlex.split(command, comments=True)[1:]
        answer = CliRunner().invoke(make_app(), [*asked, "--help"])  # options are read all the same
        return f"{command}: {answer.output}" if answer.exit_code else None

    def _write_state(self, folder: Path) -> None:
        self._state.write_text(f"cd {shlex.quote(str(folder))}\n")

    def _folder(self) -> Path:
        last = self._state.read_text().rstrip().splitlines()[-1]
        return Path(shlex.split(last)[1])


def _shown(follower: _Follower) -> bool:
    assert follower.process.poll() is None, "it ended by itself"
    return follower.has_shown() if follower.step.expected else True


def _fault_of_make(command: str) -> str | None:
    """Whether the Makefile has the target and the variables."""
    asked = MAKE.fullmatch(command.strip())
    if asked is None:
        return f"{command}: not a call of make that the tests understand"
    makefile = (ROOT / "Makefile").read_text()
    named = [pair.partition("=")[0] for pair in asked["variables"].split()]
    lacks = [name for name in named if not re.search(rf"^{name} \?=", makefile, re.MULTILINE)]
    if not re.search(rf"^{asked['target']}:", makefile, re.MULTILINE):
        lacks.append(asked["target"])
    return f"{command}: the Makefile has no {', '.join(lacks)}" if lacks else None


def lacking(prints: Sequence[str], output: str) -> str | None:
    """Which of the texts an output lacks."""
    lacks = [text for text in prints if text not in output]
    return f"{lacks} is not in what it printed:\n{output}" if lacks else None


def end(process: "subprocess.Popen[bytes]") -> None:
    """End it with all that it started."""
    for number in (signal.SIGINT, signal.SIGKILL):
        if process.poll() is None:
            os.killpg(process.pid, number)
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                continue
